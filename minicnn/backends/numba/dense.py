"""The fully connected product; ``minicnn/backends/numpy/dense.py`` has the mathematics.

It is left to BLAS here as there. But NumPy's BLAS divides a product by the number of its threads,
and its last digits with it; and its threads, waiting for more work, take the cores away from the
compiled loops that come next. So a large product is cut into a fixed number of parts, each of them
products on one core: parts of the batch, or, as a batch is rather small, of the units, the inputs,
or the sum over these. W is read once, from front to back, a little ahead of the products with it.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from minicnn.backends import numpy as textbook
from minicnn.backends.numba.arrays import alike, contiguous, empty
from minicnn.backends.numba.threads import (
    Kernels,
    crew,
    gemm,
    launch,
    launch_with_blas,
    small_product,
)

kernels = Kernels("dense_kernels")
sums_of = Kernels("conv_kernels")

# A part has so many multiplications.
PART = 2**19
PARTS = 16
# A sum of products that is cut into several should leave each so many summands.
LONG = 256
# So much of W is multiplied at a time.
BLOCK = 2**17
# With less rows or columns than these, BLAS spends its time on packing the other matrix...
WIDTH = 32
# ... and with more, hardly any.
WIDE = 256


def dense(x: np.ndarray, W: np.ndarray, b: np.ndarray | None = None) -> np.ndarray:
    """The textbook's ``dense``."""
    if not alike(x, W, b):
        return textbook.dense(x, W, b)
    rows, W = _rows(x), contiguous(W)
    y = empty((*x.shape[:-1], W.shape[1]), x.dtype)
    how = _plan(len(rows), W.shape)
    workers = crew(how.work)
    sink = np.zeros((workers, 16), x.dtype)
    y_rows = y.reshape(-1, W.shape[1])
    if how.sums:
        sums = empty((how.sums, *y_rows.shape), x.dtype)
        launch_with_blas(
            kernels.partial_forward, workers, gemm(x.dtype), rows, W, sums, how.block, sink
        )
        launch(sums_of.add_parts, crew(sums.size // 4), sums.reshape(how.sums, -1), y.reshape(-1))
        if b is not None:
            y += b
        return y
    launch_with_blas(
        kernels.forward,
        workers,
        gemm(x.dtype),
        rows,
        W,
        np.empty(0, x.dtype) if b is None else contiguous(b),
        y_rows,
        *how.y,
        how.block,
        sink,
    )
    return y


def dense_backward(
    dy: np.ndarray,
    x: np.ndarray,
    W: np.ndarray,
    input_gradient: bool = True,
    out: np.ndarray | None = None,
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """The textbook's ``dense_backward``."""
    if not alike(dy, x, W):
        return textbook.dense_backward(dy, x, W, input_gradient, out)
    rows_x, rows_dy, W = _rows(x), _rows(dy), contiguous(W)
    dx = empty(x.shape if input_gradient else (0, x.shape[-1]), x.dtype)
    dW, db = empty(W.shape, W.dtype) if out is None else out, empty(W.shape[1:], W.dtype)
    how = _plan(len(rows_x), W.shape)
    workers = crew(2 * how.work)
    launch_with_blas(
        kernels.backward,
        workers,
        gemm(x.dtype),
        rows_dy,
        rows_x,
        W,
        dx.reshape(-1, x.shape[-1]),
        dW,
        db,
        *how.dx,
        *how.dW,
        how.rows_of_dW,
        np.zeros((workers, 16), x.dtype),
    )
    return (dx if input_gradient else None), dW, db


class Cut(NamedTuple):
    """Whether a matrix is cut into parts of its rows or else of its columns, and into how many."""

    by_rows: bool
    parts: int


class Plan(NamedTuple):
    """How the three products are cut up, which depends on the shapes alone.

    Attributes:
        work: how many nanoseconds each takes one core, roughly.
        y, dx, dW: what parts are computed one by one.
        sums: instead of that, y as so many sums over some of the inputs; 0 for not.
        block: how many inputs go into one product of the forward.
        rows_of_dW: how many rows of dW come from one product, unless it is cut by columns.
    """

    work: int
    y: Cut
    dx: Cut
    dW: Cut
    sums: int
    block: int
    rows_of_dW: int


@cache
def _plan(n: int, W_shape: tuple[int, int]) -> Plan:
    """Products so small that BLAS does not pack its matrices can be cut to any size, and large ones
    are quicker when they are cut that small; where BLAS packs always, they should not be."""
    (inputs, units), unpacked = W_shape, small_product()
    size = n * inputs * units
    parts = min(PARTS, 2 ** max(0, size // PART - 1).bit_length())  # for 2, 4 or 8 cores
    small = size <= parts * unpacked
    y, dx, dW = (_cut(*shape, parts, small) for shape in ((n, units), (n, inputs), W_shape))
    # Each sum is written and read once more. That pays if it has many summands.
    sums = 0 if y.by_rows or inputs < 8 * units else min(parts // 2, inputs // LONG)
    sums = 2 ** (sums.bit_length() - 1) if sums > 1 else 0
    block = max(128, BLOCK // (units if sums else units // y.parts))
    rows_of_dW = unpacked // (n * units) // 8 * 8
    return Plan(size // 64, y, dx, dW, sums, block, rows_of_dW if rows_of_dW >= 16 else inputs)


def _cut(rows: int, columns: int, parts: int, small: bool) -> Cut:
    by_rows = rows >= columns or rows >= parts * WIDTH
    size = rows if by_rows else columns
    if not small:
        parts = max(1, min(parts, size // WIDTH, max(4, size // WIDE)))
    return Cut(by_rows, min(parts, size))


def _rows(x: np.ndarray) -> np.ndarray:
    """All batch axes in one."""
    return contiguous(x).reshape(-1, x.shape[-1])
