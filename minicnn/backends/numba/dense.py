"""The fully connected product; ``minicnn/backends/numpy/dense.py`` has the mathematics.

It is left to BLAS here as there. But NumPy's BLAS divides a product by the number of its threads,
and its last digits with it; and its threads, waiting for more work, take the cores away from the
compiled loops that come next. So a large product is cut into a fixed number of pieces, each a
product on one core: pieces of the result, or, where that is small and the sum long, of the sum. A
small one is done on one core together with what belongs to it, in one call.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from minicnn.backends.numba import threads
from minicnn.backends.numba.arrays import alike, contiguous, empty
from minicnn.backends.numba.threads import (
    Kernels,
    gemm,
    launch,
    launch_with_blas,
    run_with_blas,
    small_product,
)
from minicnn.backends.numpy import dense as textbook

kernels = Kernels("dense_kernels")
sums_of = Kernels("conv_kernels")

# A piece has so many multiplications, which keep a core busy for longer than it takes to wake it.
PIECE = 2**19
PIECES = 16
# With less rows or columns, BLAS spends its time on packing the other matrix.
WIDTH = 64


def dense(x: np.ndarray, W: np.ndarray, b: np.ndarray | None = None) -> np.ndarray:
    """The textbook's ``dense``."""
    if not alike(x, W, b):
        return textbook.dense(x, W, b)
    rows, W = _rows(x), contiguous(W)
    y = empty((*x.shape[:-1], W.shape[1]), x.dtype)
    result = y.reshape(-1, W.shape[1])
    nothing = np.empty(0, x.dtype)
    pieces, by_row = _cut(len(rows), W.shape, x.dtype)
    if not by_row and W.shape[1] < pieces * WIDTH and len(W) > 4 * W.shape[1]:
        sums = empty((pieces, *result.shape), x.dtype)
        launch_with_blas(kernels.partial_products, threads.workers, gemm(x.dtype), rows, W, sums)
        launch(sums_of.add_parts, threads.workers, sums.reshape(pieces, -1), y.reshape(-1))
        if b is not None:
            result += b
        return y
    b = nothing if b is None else contiguous(b)
    _run(kernels.forward, kernels.forward_part, rows, W, b, result, pieces, by_row)
    return y


def dense_backward(
    dy: np.ndarray, x: np.ndarray, W: np.ndarray, input_gradient: bool = True
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """The textbook's ``dense_backward``."""
    if not alike(dy, x, W):
        return textbook.dense_backward(dy, x, W, input_gradient)
    rows_x, rows_dy, W = _rows(x), _rows(dy), contiguous(W)
    dx = empty(x.shape if input_gradient else (0, 0), x.dtype)
    dx_rows = dx.reshape(-1, x.shape[-1]) if input_gradient else dx
    dW, db = empty(W.shape, W.dtype), empty(W.shape[1:], W.dtype)
    pieces, by_row = _cut(len(rows_x), W.shape, x.dtype)
    _run(
        kernels.backward, kernels.backward_part,
        rows_dy, rows_x, W, dx_rows, dW, db, pieces, by_row,
    )  # fmt: skip
    return (dx if input_gradient else None), dW, db


@cache
def _cut(n: int, W_shape: tuple[int, int], dtype: np.dtype) -> tuple[int, bool]:
    """``(pieces, by_row)``: in how many pieces, and whether of the batch or of the features.

    A power of two, so that two, four or eight cores get equally much. Products so small that BLAS
    does not pack its matrices can be cut to any size.
    """
    work = n * math.prod(W_shape)
    pieces = min(PIECES, 2 ** max(0, work // PIECE - 1).bit_length())
    small = work <= pieces * small_product() and pieces <= n
    return pieces, small or n >= pieces * WIDTH


def _run(kernel: Any, part: Any, x: np.ndarray, *arguments: Any) -> None:
    """Run a kernel; if there is but one piece, at once and on this core."""
    pieces = arguments[-2]
    if pieces == 1:
        run_with_blas(part, 0, 1, gemm(x.dtype), x, *arguments)
    else:
        launch_with_blas(kernel, threads.workers, gemm(x.dtype), x, *arguments)


def _rows(x: np.ndarray) -> np.ndarray:
    """All batch axes in one."""
    return contiguous(x).reshape(-1, x.shape[-1])
