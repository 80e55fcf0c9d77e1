"""The loops of the fully connected product: its parts, each a product on one core."""

from __future__ import annotations

from minicnn.backends.numba.blas_kernels import matmul_add
from minicnn.backends.numba.compiling import compiled, kernel


@compiled
def _share(parts, worker, workers):
    """A worker's parts: neighbours, as an optimizer deals out a weight. So each core finds in its
    cache what it wrote there."""
    return range(parts * worker // workers, parts * (worker + 1) // workers)


@kernel
def forward(worker, workers, gemm, x, W, b, y, by_rows, parts, block, sink):
    """y = x W + b, in parts of the batch or of the units.

    Args:
        x: (n, in).
        W: (in, units).
        b: (units,), or empty.
        y: (n, units).
        by_rows: whether the parts are of the batch.
        block: so many inputs go into one product.
        sink: (workers, some), for numbers that nobody wants.
    """
    n, (inputs, units) = len(x), W.shape
    for part in _share(parts, worker, workers):
        rows, columns = slice(0, n), slice(0, units)
        if by_rows:
            rows = slice(n * part // parts, n * (part + 1) // parts)
            matmul_add(gemm, x[rows], False, W, False, y[rows], 0)
        else:
            columns = slice(units * part // parts, units * (part + 1) // parts)
            for start in range(0, inputs, block):
                some = slice(start, min(start + block, inputs))
                _fetch(W[some, columns], sink[worker])
                part_of_x, keep = x[:, some], 0 if start == 0 else 1
                matmul_add(gemm, part_of_x, False, W[some, columns], False, y[:, columns], keep)
        if b.size:
            for i in range(rows.start, rows.stop):
                for j in range(columns.start, columns.stop):
                    y[i, j] += b[j]


@kernel
def partial_forward(worker, workers, gemm, x, W, sums, block, sink):
    """x W in so many parts as ``sums`` (parts, n, units) has, along the inputs.

    Args:
        block: so many inputs go into one product.
        sink: (workers, some), for numbers that nobody wants.
    """
    inputs, parts = len(W), len(sums)
    for part in _share(parts, worker, workers):
        first, last = inputs * part // parts, inputs * (part + 1) // parts
        for start in range(first, last, block):
            end = min(start + block, last)
            keep = 0 if start == first else 1
            _fetch(W[start:end], sink[worker])
            matmul_add(gemm, x[:, start:end], False, W[start:end], False, sums[part], keep)


@kernel
def backward(
    worker, workers, gemm, dy, x, W, dx, dW, db, dx_by_rows, parts_of_dx, dW_by_rows, parts_of_dW,
    block, sink,
):  # fmt: skip
    """dx = dy W^T, dW = x^T dy, each in parts of its rows or of its columns; db.

    Args:
        dx: (n, in), or empty where it is not wanted.
        block: so many rows of dW come from one product.
        sink: (workers, some), for numbers that nobody wants.
    """
    n, (inputs, units) = len(dy), W.shape
    for part in _share(parts_of_dW, worker, workers):
        if dW_by_rows:
            last = inputs * (part + 1) // parts_of_dW
            for start in range(inputs * part // parts_of_dW, last, block):
                some = slice(start, min(start + block, last))
                matmul_add(gemm, x[:, some], True, dy, False, dW[some], 0)
        else:
            some = slice(units * part // parts_of_dW, units * (part + 1) // parts_of_dW)
            matmul_add(gemm, x, True, dy[:, some], False, dW[:, some], 0)
    for part in _share(parts_of_dx if dx.size else 0, worker, workers):
        if dx_by_rows:
            some = slice(n * part // parts_of_dx, n * (part + 1) // parts_of_dx)
            matmul_add(gemm, dy[some], False, W, True, dx[some], 0)
        else:
            last = inputs * (part + 1) // parts_of_dx
            for start in range(inputs * part // parts_of_dx, last, FETCHED):
                some = slice(start, min(start + FETCHED, last))
                _fetch(W[some], sink[worker])
                matmul_add(gemm, dy, False, W[some], True, dx[:, some], 0)
    if worker == 0:
        _sum_rows(dy, db)


# So many rows of W are fetched before they are multiplied.
FETCHED = 512


@compiled
def _fetch(W, sink):
    """Bring some rows of W into the cache.

    BLAS takes a large matrix 16 columns at a time, and where it is not in the cache waits for every
    row anew. Read from front to back, it comes much quicker.
    """
    total = sink[0]
    for i in range(len(W)):
        for j in range(0, W.shape[1], 64 // W.itemsize):
            total += W[i, j]
    sink[0] = total  # or else the compiler would leave out the reading


@compiled
def _sum_rows(a, total):
    """total = the sum of the rows of a, in order."""
    for j in range(len(total)):
        total[j] = 0
    for i in range(len(a)):
        row = a[i]
        for j in range(len(total)):
            total[j] += row[j]
