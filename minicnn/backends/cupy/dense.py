"""The fully connected product on the GPU: y = x W + b. See the textbook's file of this name."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.backends.cupy import device

KERNELS = device.Kernels("dense")


def dense(x: Any, W: Any, b: Any | None = None) -> Any:
    """y = x W + b: (..., in), (in, units), (units,) -> (..., units)."""
    x, W, b = device.ready(x, W, b)
    y = device.empty((*x.shape[:-1], W.shape[1]), x.dtype)
    device.gemm(x.reshape(-1, x.shape[-1]), W, y.reshape(-1, W.shape[1]))
    if b is not None:
        add_bias(y, b)
    return y


def dense_backward(
    dy: Any, x: Any, W: Any, input_gradient: bool = True, out: tuple[Any, Any] = (None, None)
) -> tuple[Any | None, Any, Any]:
    """``(dx, dW, db)``: dx = dy W^T, dW = x^T dy, db = the sum of dy's rows."""
    dy, x, W = device.ready(dy, x, W)
    rows, samples = dy.reshape(-1, dy.shape[-1]), x.reshape(-1, x.shape[-1])
    dx = None
    if input_gradient:
        dx = device.empty(x.shape, x.dtype)
        device.gemm(rows, W, dx.reshape(samples.shape), transpose_b=True)
    dW = device.empty(W.shape, x.dtype) if out[0] is None else out[0]
    device.gemm(samples, rows, dW, transpose_a=True)
    return dx, dW, sum_rows(rows, out[1])


def add_bias(y: Any, b: Any, relu: bool = False) -> None:
    """y[..., u] += b[u], in place; with ``relu``, then y = max(y, 0)."""
    columns = b.size
    packed = device.packed(columns, y, b)
    rows = y.size // max(columns, 1)
    KERNELS.rows(
        "add_bias", y.dtype, rows, columns // 4 if packed else columns,
        y, b, np.int64(rows), columns, relu, packed,
    )  # fmt: skip


def sum_rows(matrix: Any, out: Any = None) -> Any:
    """The sum of the rows of a matrix (rows, columns) -> (columns,), in a fixed order."""
    rows, columns = matrix.shape
    grid, block, slabs = device.down_columns(rows, columns)
    sums = device.empty(columns, matrix.dtype) if out is None else out
    partial = device.empty((slabs, columns), "float64") if slabs > 1 else None
    KERNELS.launch(
        "column_sums", matrix.dtype, grid, block, matrix, np.int64(rows), columns, partial, sums
    )
    if slabs > 1:
        add_slabs(partial, sums)
    return sums


def add_slabs(partial: Any, sums: Any, rest: Any = None) -> None:
    """``sums``, and after it ``rest``, is the sum of the rows of ``partial`` (slabs, columns),
    which is float64."""
    slabs, columns = partial.shape
    grid, block = device.merging(slabs, columns)
    KERNELS.launch(
        "add_slabs", sums.dtype, grid, block, partial, slabs, columns, sums, sums.size, rest
    )
