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
# With less rows or columns than these, BLAS spends its time on packing the other matrix.
WIDTH = 64


def dense(x: np.ndarray, W: np.ndarray, b: np.ndarray | None = None) -> np.ndarray:
    """The textbook's ``dense``."""
    if not alike(x, W, b):
        return textbook.dense(x, W, b)
    rows, W = _rows(x), contiguous(W)
    y = empty((*x.shape[:-1], W.shape[1]), x.dtype)
    how = _plan(len(rows), W.shape)
    workers = crew(how.work)
    sink = np.zeros((workers, 16), x.dtype)
    if how.sums:
        sums = empty((how.sums, len(rows), W.shape[1]), x.dtype)
        launch_with_blas(
            kernels.partial_forward,
            workers,
            gemm(x.dtype),
            rows,
            W,
            sums,
            how.block,
            how.columns,
            sink,
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
        y.reshape(-1, W.shape[1]),
        how.parts_of_y,
        how.by_batch,
        how.block,
        sink,
    )
    return y


def dense_backward(
    dy: np.ndarray, x: np.ndarray, W: np.ndarray, input_gradient: bool = True
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """The textbook's ``dense_backward``."""
    if not alike(dy, x, W):
        return textbook.dense_backward(dy, x, W, input_gradient)
    rows_x, rows_dy, W = _rows(x), _rows(dy), contiguous(W)
    dx = empty(x.shape if input_gradient else (0, x.shape[-1]), x.dtype)
    dW, db = empty(W.shape, W.dtype), empty(W.shape[1:], W.dtype)
    how = _plan(len(rows_x), W.shape)
    workers = crew(2 * how.work)
    arguments = (
        gemm(x.dtype),
        rows_dy,
        rows_x,
        W,
        dx.reshape(-1, x.shape[-1]),
        dW,
        db,
        how.parts,
        how.by_batch,
        how.rows_of_dW,
    )
    sink = np.zeros((workers, 16), x.dtype)
    launch_with_blas(kernels.backward, workers, *arguments, sink)
    return (dx if input_gradient else None), dW, db


class Plan(NamedTuple):
    """How a product is cut up, which depends on the shapes alone.

    Attributes:
        work: how many nanoseconds it takes one core, roughly.
        parts: a power of two, so that two, four or eight cores get equally much.
        by_batch: whether x, y and dx are cut into parts of the batch, or else y into parts of the
            units, and dx of the inputs.
        parts_of_y: into how many.
        sums: instead of that, into how many sums over some of the inputs; 0 for not.
        block, columns: how many inputs and units go into one product of the forward.
        rows_of_dW: how many inputs go into one product of the backward.
    """

    work: int
    parts: int
    by_batch: bool
    parts_of_y: int
    sums: int
    block: int
    columns: int
    rows_of_dW: int


@cache
def _plan(n: int, W_shape: tuple[int, int]) -> Plan:
    """Products so small that BLAS does not pack its matrices can be cut to any size, and large ones
    are quicker when they are cut that small; where BLAS packs always, they should not be."""
    (inputs, units), unpacked = W_shape, small_product()
    size = n * inputs * units
    parts = min(PARTS, 2 ** max(0, size // PART - 1).bit_length())
    by_batch = parts == 1 or n >= parts * WIDTH or (size <= parts * unpacked and n >= parts)
    parts_of_y = parts if by_batch else max(1, min(parts, units // (WIDTH // 2)))
    # Each sum is written and read once more. That pays if it has many summands.
    sums = min(parts, inputs // LONG) if not by_batch and inputs >= 8 * units else 0
    sums = 2 ** (sums.bit_length() - 1) if sums > 1 else 0
    columns = min(units, 128) if sums else units // parts_of_y
    block = unpacked // (n * columns) // 8 * 8
    if block < 32:
        block, columns = 256, units
    rows_of_dW = unpacked // (n * units) // 8 * 8
    if rows_of_dW < 16:
        rows_of_dW = inputs
    return Plan(size // 64, parts, by_batch, parts_of_y, sums, block, columns, rows_of_dW)


def _rows(x: np.ndarray) -> np.ndarray:
    """All batch axes in one."""
    return contiguous(x).reshape(-1, x.shape[-1])
