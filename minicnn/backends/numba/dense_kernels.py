"""The loops of the fully connected product: its pieces, each a product on one core."""

from __future__ import annotations

import numpy as np
from numba import prange

from minicnn.backends.numba.blas_kernels import matmul_add
from minicnn.backends.numba.compiling import compiled, parallel, serial


@parallel
def forward(workers, gemm, x, W, b, y, pieces, by_row):
    """y = x W + b, in pieces of y's rows or columns.

    Args:
        x: (n, in).
        W: (in, units).
        b: (units,), or empty.
        y: (n, units).
    """
    for worker in prange(workers):
        forward_part(np.int64(worker), workers, gemm, x, W, b, y, pieces, by_row)


@serial
def forward_part(worker, workers, gemm, x, W, b, y, pieces, by_row):
    size = len(x) if by_row else W.shape[1]
    for piece in range(worker, pieces, workers):
        first, last = size * piece // pieces, size * (piece + 1) // pieces
        if by_row:
            part, bias = y[first:last], b
            matmul_add(gemm, x[first:last], False, W, False, part, 0)
        else:
            part, bias = y[:, first:last], b[first:last]
            matmul_add(gemm, x, False, W[:, first:last], False, part, 0)
        if b.size:
            for i in range(len(part)):
                row = part[i]
                for j in range(len(row)):
                    row[j] += bias[j]


@parallel
def partial_products(workers, gemm, x, W, sums):
    """x W in so many parts as ``sums`` (parts, n, units) has, along the inputs."""
    for worker in prange(workers):
        _partial_products(np.int64(worker), workers, gemm, x, W, sums)


@compiled
def _partial_products(worker, workers, gemm, x, W, sums):
    k, parts = len(W), len(sums)
    for part in range(worker, parts, workers):
        first, last = k * part // parts, k * (part + 1) // parts
        matmul_add(gemm, x[:, first:last], False, W[first:last], False, sums[part], 0)


@parallel
def backward(workers, gemm, dy, x, W, dx, dW, db, pieces, by_row):
    """dx = dy W^T in pieces of its rows or columns, dW = x^T dy in pieces of its rows, and db.

    Args:
        dx: (n, in), or empty where it is not wanted.
    """
    for worker in prange(workers):
        backward_part(np.int64(worker), workers, gemm, dy, x, W, dx, dW, db, pieces, by_row)


@serial
def backward_part(worker, workers, gemm, dy, x, W, dx, dW, db, pieces, by_row):
    inputs = len(W)
    for piece in range(worker, 2 * pieces, workers):
        part = piece // 2
        first, last = inputs * part // pieces, inputs * (part + 1) // pieces
        if piece % 2:
            matmul_add(gemm, x[:, first:last], True, dy, False, dW[first:last], 0)
        elif dx.size and by_row:
            first, last = len(dy) * part // pieces, len(dy) * (part + 1) // pieces
            matmul_add(gemm, dy[first:last], False, W, True, dx[first:last], 0)
        elif dx.size:
            matmul_add(gemm, dy, False, W[first:last], True, dx[:, first:last], 0)
    if worker == 0:
        _sum_rows(dy, db)


@compiled
def _sum_rows(a, total):
    """total = the sum of the rows of a, in order."""
    for j in range(len(total)):
        total[j] = 0
    for i in range(len(a)):
        row = a[i]
        for j in range(len(total)):
            total[j] += row[j]
