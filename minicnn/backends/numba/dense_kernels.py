"""The loops of the fully connected product: its parts, each a product on one core."""

from __future__ import annotations

from minicnn.backends.numba.blas_kernels import matmul_add
from minicnn.backends.numba.compiling import compiled, kernel


@kernel
def forward(worker, workers, gemm, x, W, b, y, parts, by_batch, block, sink):
    """y = x W + b, in parts of the batch or of the units.

    Args:
        x: (n, in).
        W: (in, units).
        b: (units,), or empty.
        y: (n, units).
        block: with parts of the units, so many inputs go into one product.
        sink: (workers, some), for numbers that nobody wants.
    """
    (inputs, units), n = W.shape, len(x)
    for part in range(worker, parts, workers):
        rows, columns = slice(0, n), slice(0, units)
        if by_batch:
            rows = slice(n * part // parts, n * (part + 1) // parts)
            matmul_add(gemm, x[rows], False, W, False, y[rows], 0)
        else:
            columns = slice(units * part // parts, units * (part + 1) // parts)
            for start in range(0, inputs, block):
                some = slice(start, min(start + block, inputs))
                _fetch(W[some, columns], sink[worker])
                part_of_x = x[:, some]
                matmul_add(
                    gemm, part_of_x, False, W[some, columns], False, y[:, columns], int(start > 0)
                )
        if b.size:
            for i in range(rows.start, rows.stop):
                for j in range(columns.start, columns.stop):
                    y[i, j] += b[j]


@kernel
def partial_forward(worker, workers, gemm, x, W, sums, block, columns, sink):
    """x W in so many parts as ``sums`` (parts, n, units) has, along the inputs.

    Args:
        block, columns: so many inputs and units go into one product.
        sink: (workers, some), for numbers that nobody wants.
    """
    (inputs, units), parts = W.shape, len(sums)
    for part in range(worker, parts, workers):
        first, last = inputs * part // parts, inputs * (part + 1) // parts
        for start in range(first, last, block):
            end = min(start + block, last)
            keep = 0 if start == first else 1
            _fetch(W[start:end], sink[worker])
            for unit in range(0, units, columns):
                some = slice(unit, min(unit + columns, units))
                result = sums[part][:, some]
                matmul_add(gemm, x[:, start:end], False, W[start:end, some], False, result, keep)


@kernel
def backward(worker, workers, gemm, dy, x, W, dx, dW, db, parts, by_batch, block, sink):
    """dx = dy W^T in parts of the batch or of the inputs, dW = x^T dy in parts of the inputs, db.

    Args:
        dx: (n, in), or empty where it is not wanted.
        block: so many rows of dW come from one product.
        sink: (workers, some), for numbers that nobody wants.
    """
    n, inputs = len(dy), len(W)
    for task in range(worker, 2 * parts, workers):
        part = task // 2
        first, last = inputs * part // parts, inputs * (part + 1) // parts
        if task % 2:
            for start in range(first, last, block):
                end = min(start + block, last)
                matmul_add(gemm, x[:, start:end], True, dy, False, dW[start:end], 0)
        elif dx.size and by_batch:
            first, last = n * part // parts, n * (part + 1) // parts
            matmul_add(gemm, dy[first:last], False, W, True, dx[first:last], 0)
        elif dx.size:
            for start in range(first, last, FETCHED):
                end = min(start + FETCHED, last)
                _fetch(W[start:end], sink[worker])
                matmul_add(gemm, dy, False, W[start:end], True, dx[:, start:end], 0)
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
