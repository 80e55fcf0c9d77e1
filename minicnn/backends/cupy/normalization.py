"""Batch and layer normalization on the GPU.

The mathematics stands in the textbook's file of this name. The kernels are for the layouts that
networks have: channels last, and the last axes of a sample. For others the textbook's own text runs
on CuPy's arrays, many small kernels instead of two or three.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from minicnn.backends.cupy import device
from minicnn.backends.numpy import normalization as textbook

KERNELS = device.Kernels("normalization")


class Saved(NamedTuple):
    """What a backward needs.

    Attributes:
        x: the input, as a matrix.
        mean, variance: for each of its columns (batch) or rows (layer).
        gamma, beta: as given.
        epsilon: as given.
        shape: of the input.
    """

    x: Any
    mean: Any
    variance: Any
    gamma: Any
    beta: Any
    epsilon: float
    shape: tuple[int, ...]


def batch_norm(
    x: Any, gamma: Any, beta: Any, epsilon: float, axes: tuple[int, ...]
) -> tuple[Any, Any, Any, Any]:
    """``(y, mean, variance, saved)``: each channel by the statistics of the batch."""
    if sorted(axis % x.ndim for axis in axes) != list(range(x.ndim - 1)):
        return textbook.batch_norm(x, gamma, beta, epsilon, axes)
    saved = _saved(x, None, None, gamma, beta, epsilon, columns=x.shape[-1])
    rows, columns = saved.x.shape
    grid, block, slabs = device.down_columns(rows, columns)
    means, squares = device.empty((2, slabs, columns), "float64")
    KERNELS.launch(
        "slab_moments", saved.x.dtype, grid, block, saved.x, np.int64(rows), columns, means, squares
    )
    mean, variance = device.empty((2, columns), saved.x.dtype)
    KERNELS.launch(
        "merge_moments", saved.x.dtype, *device.merging(slabs, columns),
        means, squares, np.int64(rows), slabs, columns, mean, variance,
    )  # fmt: skip
    saved = saved._replace(mean=mean, variance=variance)
    return _normalized_columns(saved), mean, variance, saved


def batch_norm_backward(dy: Any, saved: Any) -> tuple[Any, Any, Any]:
    """``(dx, dgamma, dbeta)``: through the formula and through the statistics."""
    if not isinstance(saved, Saved):
        return textbook.batch_norm_backward(dy, saved)
    return _columns_backward(dy, saved, saved.x.shape[0])


def batch_norm_inference(
    x: Any, gamma: Any, beta: Any, mean: Any, variance: Any, epsilon: float
) -> tuple[Any, Any]:
    """``(y, saved)``: by given statistics."""
    if mean.size != x.shape[-1] or mean.shape[-1] != mean.size:
        return textbook.batch_norm_inference(x, gamma, beta, mean, variance, epsilon)
    saved = _saved(x, mean, variance, gamma, beta, epsilon, columns=x.shape[-1])
    return _normalized_columns(saved), saved


def batch_norm_inference_backward(dy: Any, saved: Any) -> tuple[Any, Any, Any]:
    """``(dx, dgamma, dbeta)``: the statistics are constants."""
    if not isinstance(saved, Saved):
        return textbook.batch_norm_inference_backward(dy, saved)
    return _columns_backward(dy, saved, 0)


def _normalized_columns(saved: Saved) -> Any:
    x, mean, variance, gamma, beta, epsilon, shape = saved
    rows, columns = x.shape
    y = device.empty(shape, x.dtype)
    packed = device.packed(columns, x, y)
    KERNELS.rows(
        "normalize_columns", x.dtype, rows, columns // 4 if packed else columns,
        x, mean, variance, gamma, beta, float(epsilon), y, np.int64(rows), columns, packed,
    )  # fmt: skip
    return y


def _columns_backward(dy: Any, saved: Saved, m: int) -> tuple[Any, Any, Any]:
    """m: how many numbers are behind each mean; 0 where the statistics are constants."""
    x, mean, variance, gamma, beta, epsilon, shape = saved
    rows, columns = x.shape
    dy, x = device.ready(dy.reshape(rows, columns), x)
    sums = gamma is not None or beta is not None or m > 0
    dgamma, dbeta = _sums("slab_gradients", dy, saved) if sums else (None, None)
    dx = device.empty(shape, x.dtype)
    packed = device.packed(columns, dy, x, dx)
    KERNELS.rows(
        "normalize_columns_backward", x.dtype, rows, columns // 4 if packed else columns,
        dy, x, mean, variance, gamma, float(epsilon), dbeta, dgamma, dx,
        np.int64(rows), columns, float(m), packed,
    )  # fmt: skip
    return dx, _like(dgamma, gamma), _like(dbeta, beta)


def _sums(kernel: str, dy: Any, saved: Saved) -> tuple[Any, Any]:
    """``(dgamma, dbeta)``: sum dy x^ and sum dy down the columns."""
    x, mean, variance, _, _, epsilon, _ = saved
    rows, columns = x.shape
    grid, block, slabs = device.down_columns(rows, columns)
    partial = device.empty((slabs, columns, 2), "float64")
    KERNELS.launch(
        kernel, x.dtype, grid, block,
        dy, x, mean, variance, float(epsilon), np.int64(rows), columns, partial,
    )  # fmt: skip
    dbeta, dgamma = device.empty((2, columns), x.dtype)
    grid, block = device.merging(slabs, columns)
    KERNELS.launch("merge_gradients", x.dtype, grid, block, partial, slabs, columns, dbeta, dgamma)
    return dgamma, dbeta


def _like(gradient: Any, weight: Any) -> Any:
    return None if weight is None else gradient.reshape(weight.shape)


# -- within each sample ---------------------------------------------------------------------------


def layer_norm(
    x: Any, gamma: Any, beta: Any, epsilon: float, axes: tuple[int, ...]
) -> tuple[Any, Any]:
    """``(y, saved)``: each sample by its own statistics over ``axes``."""
    places = sorted(axis % x.ndim for axis in axes)
    if places != list(range(places[0], x.ndim)):
        return textbook.layer_norm(x, gamma, beta, epsilon, axes)
    saved = _saved(x, None, None, gamma, beta, epsilon, columns=math.prod(x.shape[places[0] :]))
    x, _, _, gamma, beta, epsilon, shape = saved
    rows, columns = x.shape
    y, (mean, variance) = device.empty(shape, x.dtype), device.empty((2, rows), x.dtype)
    KERNELS.warps(
        "normalize_rows", x.dtype, rows,
        x, gamma, beta, float(epsilon), y, mean, variance, np.int64(rows), columns,
    )  # fmt: skip
    return y, saved._replace(mean=mean, variance=variance)


def layer_norm_backward(dy: Any, saved: Any) -> tuple[Any, Any, Any]:
    """``(dx, dgamma, dbeta)``."""
    if not isinstance(saved, Saved):
        return textbook.layer_norm_backward(dy, saved)
    x, mean, variance, gamma, beta, epsilon, shape = saved
    rows, columns = x.shape
    dy, x = device.ready(dy.reshape(rows, columns), x)
    dx = device.empty(shape, x.dtype)
    KERNELS.warps(
        "normalize_rows_backward", x.dtype, rows,
        dy, x, mean, variance, gamma, float(epsilon), dx, np.int64(rows), columns,
    )  # fmt: skip
    dgamma = dbeta = None
    if gamma is not None or beta is not None:
        dgamma, dbeta = _sums("slab_gradients_of_rows", dy, saved)
    return dx, _like(dgamma, gamma), _like(dbeta, beta)


def _saved(
    x: Any, mean: Any, variance: Any, gamma: Any, beta: Any, epsilon: float, columns: int
) -> Saved:
    shape = x.shape
    x, mean, variance, gamma, beta = device.ready(x, mean, variance, gamma, beta)
    return Saved(x.reshape(-1, columns), mean, variance, gamma, beta, epsilon, shape)
