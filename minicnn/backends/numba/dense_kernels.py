"""The loops of the fully connected product: what each core has of it."""

from __future__ import annotations

import numpy as np

from minicnn.backends.numba.compiling import call, compiled, kernel
from minicnn.backends.numba.product_kernels import (
    ROWS,
    lanes_of,
    matmul_add,
    windows_add,
)
from minicnn.backends.numba.sums_kernels import add_parts as add_parts
from minicnn.backends.numba.turns_kernels import turns

# So many inputs are taken at a time on the way back: a few tiles of the product.
INPUTS = 48


@kernel
def forward(worker, workers, product, x, W, b, y):
    """y = x W + b.

    Args:
        product: the address of the matrix product.
        x: (n, in).
        W: (in, units).
        b: (units,), or empty.
        y: (n, units).
    """
    n, units = y.shape
    parts = min(workers, -(-units // (2 * lanes_of(y))))  # of the columns
    share = workers // parts  # of the rows
    if worker >= parts * share:
        return
    first, last = _share(units, 2 * lanes_of(y), worker % parts, parts)
    start, end = _share(n, ROWS, worker // parts, share)
    y = y[start:end, first:last]
    matmul_add(product, x[start:end], W[:, first:last], y, 0)
    if b.size:
        b = b[first:last]
        for i in range(len(y)):
            for j in range(len(b)):
                y[i, j] += b[j]


@kernel
def forward_in_parts(worker, workers, product, x, W, b, sums):
    """x W + b in as many parts as ``sums`` (parts, n, units) has, along the inputs."""
    inputs, parts = len(W), len(sums)
    for part in turns(parts, worker, workers):
        start, end = inputs * part // parts, inputs * (part + 1) // parts
        keep = 1 if part == 0 and b.size else 0
        for i in range(len(x) if keep else 0):
            sums[part, i] = b
        matmul_add(product, x[:, start:end], W[start:end], sums[part], keep)


@kernel
def backward(worker, workers, product, dy, dy_T, x, W, dx, dW, db, scratch, update, place, begin):
    """dx = dy W^T, dW = x^T dy; db, the sum of the rows of dy; perhaps the update of W.

    Args:
        dy: (n, units).
        dy_T: its transpose, contiguous, or empty: then W is transposed instead.
        dx: (n, in), or empty where it is not wanted.
        scratch: (workers, INPUTS * the smaller of n and units), unless dx is empty.
        update: 0, or a function of (first, last, start, place) that updates the weights from
            ``first`` to ``last`` of a vector with the gradients from ``start`` on of another. Then
            W and dW are what lies in these from ``begin`` on, and dW is of no use afterwards.
    """
    n, (inputs, units) = len(dy), W.shape
    first, last = _share(inputs, ROWS, worker, workers)
    for start in range(first, last, INPUTS):
        end = min(start + INPUTS, last)
        row = first if update else start
        matmul_add(product, x[:, start:end].T, dy, dW[row : row + end - start], 0)
        if dx.size and dy_T.size:
            dx_T = scratch[worker, : (end - start) * n].reshape(end - start, n)
            matmul_add(product, W[start:end], dy_T, dx_T, 0)
            _transpose(dx_T, dx[:, start:end])
        elif dx.size:
            W_T = scratch[worker, : units * (end - start)].reshape(units, end - start)
            _transpose(W[start:end], W_T)
            matmul_add(product, dy, W_T, dx[:, start:end], 0)
        if update:
            piece = begin + start * units, begin + end * units, begin + row * units, place
            call(update, piece)
    if worker == 0:  # db = (1 ... 1) dy, with one 1 for all of them
        ones = np.ones(1, db.dtype)
        windows_add(product, ones, 0, 0, 0, 0, 1, dy, db.reshape(1, units), 0)


@compiled
def _share(size, piece, worker, workers):
    """A worker's part of a range, from and up to, such that only the last piece is not whole."""
    pieces = -(-size // piece)
    first, last = pieces * worker // workers, pieces * (worker + 1) // workers
    return first * piece, min(last * piece, size)


@compiled
def _transpose(a, a_T):
    for i in range(len(a_T)):
        for j in range(len(a)):
            a_T[i, j] = a[j, i]
