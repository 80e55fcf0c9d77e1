"""Activation functions on the GPU. The formulas stand in the textbook's file of this name.

Element by element in one kernel each; softmax and its logarithm along the last axis with a warp for
each row. Along other axes, and for ``prelu``, the textbook's own text runs on CuPy's arrays.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn.backends.cupy import device
from minicnn.backends.numpy import activation as textbook
from minicnn.backends.numpy.activation import (
    SELU_ALPHA,
    SELU_SCALE,
    prelu as prelu,
    prelu_backward as prelu_backward,
)

KERNELS = device.Kernels("activation")
SOFTMAX_KERNELS = device.Kernels("softmax")


def _forward(name: str, z: Any, a: float = 0.0, b: float = 0.0, c: float = 0.0) -> Any:
    (z,) = device.ready(z)
    y = device.empty(z.shape, z.dtype)
    _launch(f"activate_{name}", y, z, y, parameters=(a, b, c))
    return y


def _backward(name: str, dy: Any, s: Any, a: float = 0.0, b: float = 0.0, c: float = 0.0) -> Any:
    dy, s = device.ready(dy, s)
    dz = device.empty(dy.shape, dy.dtype)
    _launch(f"activate_{name}_backward", dz, dy, s, dz, parameters=(a, b, c))
    return dz


def _launch(name: str, result: Any, *arrays: Any, parameters: tuple[float, ...]) -> None:
    n, packed = result.size, device.packed(result.size, *arrays)
    KERNELS.each(
        name, result.dtype, n // (4 if packed else 1),
        *arrays, np.int64(n), *map(float, parameters), packed,
    )  # fmt: skip


# -- piecewise linear -----------------------------------------------------------------------------


def relu(
    z: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Any:
    """y = min(z, max_value) above the threshold, negative_slope (z - threshold) elsewhere."""
    top = math.inf if max_value is None else max_value
    return _forward("relu", z, negative_slope, top, threshold)


def relu_backward(
    dy: Any,
    z: Any,
    y: Any,
    negative_slope: float = 0.0,
    max_value: float | None = None,
    threshold: float = 0.0,
) -> Any:
    """dz = dy where threshold < z < max_value, negative_slope dy below, 0 above. Reads y."""
    top = math.inf if max_value is None else max_value
    return _backward("relu", dy, y, negative_slope, top, threshold)


def leaky_relu(z: Any, negative_slope: float = 0.2) -> Any:
    """y = z where z > 0, negative_slope z elsewhere."""
    return relu(z, negative_slope)


def leaky_relu_backward(dy: Any, z: Any, y: Any, negative_slope: float = 0.2) -> Any:
    """dz = dy where z > 0, negative_slope dy elsewhere. Reads y."""
    return relu_backward(dy, z, y, negative_slope)


def relu6(z: Any) -> Any:
    """y = min(max(z, 0), 6)."""
    return relu(z, max_value=6.0)


def relu6_backward(dy: Any, z: Any, y: Any) -> Any:
    """dz = dy where 0 < z < 6, else 0. Reads y."""
    return relu_backward(dy, z, y, max_value=6.0)


def hard_sigmoid(z: Any) -> Any:
    """y = z / 6 + 1/2, cut off at 0 and 1."""
    return _forward("hard_sigmoid", z)


def hard_sigmoid_backward(dy: Any, z: Any, y: Any) -> Any:
    """dz = dy / 6 where 0 < y < 1, else 0. Reads y."""
    return _backward("hard_sigmoid", dy, y)


def hard_silu(z: Any) -> Any:
    """y = z hard_sigmoid(z)."""
    return _forward("hard_silu", z)


def hard_silu_backward(dy: Any, z: Any, y: Any) -> Any:
    """dz = (h + z h') dy, with h = hard_sigmoid(z). Reads z."""
    return _backward("hard_silu", dy, z)


# -- of exponentials ------------------------------------------------------------------------------


def exponential(z: Any) -> Any:
    """y = e^z."""
    return _forward("exponential", z)


def exponential_backward(dy: Any, z: Any, y: Any) -> Any:
    """dz = y dy. Reads y."""
    return _backward("exponential", dy, y)


def elu(z: Any, alpha: float = 1.0) -> Any:
    """y = z where z > 0, alpha (e^z - 1) elsewhere."""
    return _forward("elu", z, alpha)


def elu_backward(dy: Any, z: Any, y: Any, alpha: float = 1.0) -> Any:
    """dz = dy where z > 0, (y + alpha) dy elsewhere. Reads y."""
    return _backward("elu", dy, y, alpha)


def selu(z: Any) -> Any:
    """y = scale elu(z, alpha), with the two numbers of self-normalizing networks."""
    return _forward("selu", z, SELU_ALPHA, SELU_SCALE)


def selu_backward(dy: Any, z: Any, y: Any) -> Any:
    """dz = scale dy where z > 0, (y + scale alpha) dy elsewhere. Reads y."""
    return _backward("selu", dy, y, SELU_ALPHA, SELU_SCALE)


def sigmoid(z: Any) -> Any:
    """y = 1 / (1 + e^-z)."""
    return _forward("sigmoid", z)


def sigmoid_backward(dy: Any, z: Any, y: Any) -> Any:
    """dz = y (1 - y) dy. Reads y."""
    return _backward("sigmoid", dy, y)


def tanh(z: Any) -> Any:
    """y = (e^z - e^-z) / (e^z + e^-z)."""
    return _forward("tanh", z)


def tanh_backward(dy: Any, z: Any, y: Any) -> Any:
    """dz = (1 - y^2) dy. Reads y."""
    return _backward("tanh", dy, y)


def softplus(z: Any) -> Any:
    """y = log(1 + e^z)."""
    return _forward("softplus", z)


def softplus_backward(dy: Any, z: Any, y: Any) -> Any:
    """dz = (1 - e^-y) dy. Reads y."""
    return _backward("softplus", dy, y)


def softsign(z: Any) -> Any:
    """y = z / (1 + |z|)."""
    return _forward("softsign", z)


def softsign_backward(dy: Any, z: Any, y: Any) -> Any:
    """dz = dy / (1 + |z|)^2. Reads z."""
    return _backward("softsign", dy, z)


def silu(z: Any) -> Any:
    """y = z sigmoid(z)."""
    return _forward("silu", z)


def silu_backward(dy: Any, z: Any, y: Any) -> Any:
    """dz = s (1 + z (1 - s)) dy, with s = sigmoid(z). Reads z."""
    return _backward("silu", dy, z)


def mish(z: Any) -> Any:
    """y = z tanh(softplus(z))."""
    return _forward("mish", z)


def mish_backward(dy: Any, z: Any, y: Any) -> Any:
    """dz = (t + z (1 - t^2) s) dy, with t = tanh(softplus(z)) and s = sigmoid(z). Reads z."""
    return _backward("mish", dy, z)


def gelu(z: Any, approximate: bool = False) -> Any:
    """y = z P(z), with P the normal distribution function, or its approximation by a tanh."""
    return _forward("gelu_tanh" if approximate else "gelu", z)


def gelu_backward(dy: Any, z: Any, y: Any, approximate: bool = False) -> Any:
    """dz = (P(z) + z p(z)) dy, where p = P'. Reads z."""
    return _backward("gelu_tanh" if approximate else "gelu", dy, z)


# -- softmax --------------------------------------------------------------------------------------


def softmax(z: Any, axis: int | tuple[int, ...] = -1) -> Any:
    """y_i = e^(z_i - m) / sum_j e^(z_j - m) along ``axis``, with m = max_j z_j."""
    return _by_row("softmax", z) if _is_last(axis, z) else textbook.softmax(z, axis)


def softmax_backward(dy: Any, z: Any, y: Any, axis: int | tuple[int, ...] = -1) -> Any:
    """dz_i = y_i (dy_i - sum_j y_j dy_j). Reads y."""
    if _is_last(axis, y):
        return _by_row("softmax_backward", dy, y)
    return textbook.softmax_backward(dy, z, y, axis)


def log_softmax(z: Any, axis: int | tuple[int, ...] = -1) -> Any:
    """y_i = z_i - m - log sum_j e^(z_j - m) along ``axis``."""
    return _by_row("log_softmax", z) if _is_last(axis, z) else textbook.log_softmax(z, axis)


def log_softmax_backward(dy: Any, z: Any, y: Any, axis: int | tuple[int, ...] = -1) -> Any:
    """dz_i = dy_i - e^(y_i) sum_j dy_j. Reads y."""
    if _is_last(axis, y):
        return _by_row("log_softmax_backward", dy, y)
    return textbook.log_softmax_backward(dy, z, y, axis)


def _is_last(axis: int | tuple[int, ...], z: Any) -> bool:
    axes = axis if isinstance(axis, tuple) else (axis,)
    return len(axes) == 1 and axes[0] % z.ndim == z.ndim - 1


def _by_row(name: str, *arrays: Any) -> Any:
    arrays = device.ready(*arrays)
    result = device.empty(arrays[0].shape, arrays[0].dtype)
    columns = result.shape[-1]
    rows = result.size // max(columns, 1)
    SOFTMAX_KERNELS.warps(name, result.dtype, rows, *arrays, result, np.int64(rows), columns)
    return result
