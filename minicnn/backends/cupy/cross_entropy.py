"""Cross-entropies on the GPU. The mathematics stands in the textbook's file of this name.

Those from logits that end a classifier have kernels of their own (softmax.cu); the others are the
textbook's own text on CuPy's arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.backends.cupy import device
from minicnn.backends.cupy.activation import SOFTMAX_KERNELS as KERNELS
from minicnn.backends.numpy.cross_entropy import (
    binary_cross_entropy as binary_cross_entropy,
    binary_cross_entropy_backward as binary_cross_entropy_backward,
    binary_focal_cross_entropy as binary_focal_cross_entropy,
    binary_focal_cross_entropy_backward as binary_focal_cross_entropy_backward,
    categorical_cross_entropy as categorical_cross_entropy,
    categorical_cross_entropy_backward as categorical_cross_entropy_backward,
    categorical_focal_cross_entropy as categorical_focal_cross_entropy,
    categorical_focal_cross_entropy_backward as categorical_focal_cross_entropy_backward,
    one_hot as one_hot,
    sigmoid_binary_cross_entropy as sigmoid_binary_cross_entropy,
    sigmoid_binary_cross_entropy_backward as sigmoid_binary_cross_entropy_backward,
    sparse_categorical_cross_entropy as sparse_categorical_cross_entropy,
    sparse_categorical_cross_entropy_backward as sparse_categorical_cross_entropy_backward,
)


def softmax_cross_entropy(z: Any, t: Any) -> tuple[Any, Any]:
    """``(values, p)``: -sum_k t_k log p_k with p = softmax(z), (..., c) -> (...) and (..., c)."""
    z, t = device.ready(z, t)
    return _values_and_p("cross_entropy", z, t)


def softmax_cross_entropy_backward(p: Any, t: Any) -> Any:
    """dz = p sum_k t_k - t."""
    p, t = device.ready(p, t)
    return _gradient("cross_entropy_backward", p, t)


def sparse_softmax_cross_entropy(z: Any, labels: Any) -> tuple[Any, Any]:
    """``(values, p)``: -log p_label with p = softmax(z); 0 where the label is no class."""
    (z,) = device.ready(z)
    return _values_and_p("sparse_cross_entropy", z, whole(labels))


def sparse_softmax_cross_entropy_backward(p: Any, labels: Any) -> Any:
    """dz = p - one_hot(labels)."""
    (p,) = device.ready(p)
    return _gradient("sparse_cross_entropy_backward", p, whole(labels))


def _values_and_p(kernel: str, z: Any, targets: Any) -> tuple[Any, Any]:
    values, p = device.empty(z.shape[:-1], z.dtype), device.empty(z.shape, z.dtype)
    rows, columns = values.size, z.shape[-1]
    KERNELS.warps(kernel, z.dtype, rows, z, targets, values, p, np.int64(rows), columns)
    return values, p


def _gradient(kernel: str, p: Any, targets: Any) -> Any:
    dz = device.empty(p.shape, p.dtype)
    rows, columns = p.size // max(p.shape[-1], 1), p.shape[-1]
    KERNELS.warps(kernel, p.dtype, rows, p, targets, dz, np.int64(rows), columns)
    return dz


def whole(labels: Any) -> Any:
    """Labels as the kernels take them."""
    return device.contiguous(labels, "int32")
