"""Activation functions: y = f(z), element by element (softmax: row by row).

Every function has its backward under it, ``f_backward(dy, z, y, **parameters) -> dz``. Each z has a
part in its own y only, so the chain rule's sum has one term:

    dz = f'(z) dy.

Some derivatives are easiest to write with the output y, some with the pre-activation z; each
backward says which one it reads, and the other may be ``None``, so that a network need not keep it.
The derivative at a kink is the one on its left: that of relu at 0 is 0.

All arrays have one shape and one dtype, float32 or float64, which the results keep. Nothing
overflows: an exponential is only ever taken of numbers that are not positive, ``exponential``
itself excepted.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from minicnn.backends.numpy.broadcasting import sum_to_shape

# The fixed point of Klambauer et al. (2017), Self-normalizing neural networks, eq. 14: with these
# two numbers, mean 0 and variance 1 are mapped to mean 0 and variance 1.
SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805


# -- piecewise linear -----------------------------------------------------------------------------


def relu(
    z: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Any:
    """The rectified linear unit: y = max(z, 0) (Nair and Hinton, 2010).

    In general y = min(z, max_value) above the threshold, and negative_slope (z - threshold)
    elsewhere. None of the three may be negative.
    """
    if negative_slope == 0 and threshold == 0:
        y = np.maximum(z, 0)
    else:
        below = negative_slope * (z - threshold) if negative_slope else 0
        y = np.where(z > threshold, z, below)
    return y if max_value is None else np.minimum(y, max_value)


def relu_backward(
    dy: Any,
    z: Any,
    y: Any,
    negative_slope: float = 0.0,
    max_value: float | None = None,
    threshold: float = 0.0,
) -> Any:
    """dz = dy where threshold < z < max_value, negative_slope dy below, 0 above. Reads y.

    As the threshold is not negative, y > 0 says that z was above it.
    """
    passes = y > 0 if max_value is None else (y > 0) & (y < max_value)
    dz = dy * passes
    return dz + negative_slope * dy * (y <= 0) if negative_slope else dz


def leaky_relu(z: Any, negative_slope: float = 0.2) -> Any:
    """y = z where z > 0, negative_slope z elsewhere (Maas et al., 2013)."""
    return relu(z, negative_slope)


def leaky_relu_backward(dy: Any, z: Any, y: Any, negative_slope: float = 0.2) -> Any:
    """dz = dy where z > 0, negative_slope dy elsewhere. Reads y."""
    return relu_backward(dy, z, y, negative_slope)


def relu6(z: Any) -> Any:
    """y = min(max(z, 0), 6) (Krizhevsky, 2010)."""
    return relu(z, max_value=6.0)


def relu6_backward(dy: Any, z: Any, y: Any) -> Any:
    """dz = dy where 0 < z < 6, else 0. Reads y."""
    return relu_backward(dy, z, y, max_value=6.0)


def prelu(x: Any, alpha: Any) -> Any:
    """y = x where x > 0, alpha x elsewhere, with a learned alpha (He et al., 2015, eq. 1).

    ``alpha`` broadcasts against x: (c,) or (1, 1, c) is one slope a channel.
    """
    return np.where(x > 0, x, alpha * x)


def prelu_backward(dy: Any, x: Any, alpha: Any) -> tuple[Any, Any]:
    """``(dx, dalpha)``: dalpha sums dy x over all x <= 0 that shared the slope (He et al., eq. 3).

    ``dalpha`` has the shape of ``alpha``.
    """
    negative = x <= 0
    dx = np.where(negative, alpha * dy, dy)
    dalpha = sum_to_shape(dy * x * negative, alpha.shape)
    return dx, dalpha


def hard_sigmoid(z: Any) -> Any:
    """y = z / 6 + 1/2, cut off at 0 and 1."""
    return np.clip(z / 6 + 0.5, 0, 1)


def hard_sigmoid_backward(dy: Any, z: Any, y: Any) -> Any:
    """dz = dy / 6 where 0 < y < 1, else 0. Reads y."""
    return dy / 6 * ((y > 0) & (y < 1))


def hard_silu(z: Any) -> Any:
    """y = z hard_sigmoid(z) (Howard et al., 2019, Searching for MobileNetV3, section 5.2)."""
    return z * hard_sigmoid(z)


def hard_silu_backward(dy: Any, z: Any, y: Any) -> Any:
    """By the product rule dz = (h + z h') dy, with h = hard_sigmoid(z). Reads z."""
    h = hard_sigmoid(z)
    return dy * h + hard_sigmoid_backward(dy * z, z, h)


# -- of exponentials ------------------------------------------------------------------------------


def exponential(z: Any) -> Any:
    """y = e^z. It overflows to infinity where z > 88 in float32, z > 709 in float64."""
    return np.exp(z)


def exponential_backward(dy: Any, z: Any, y: Any) -> Any:
    """dz = y dy. Reads y."""
    return dy * y


def elu(z: Any, alpha: float = 1.0) -> Any:
    """y = z where z > 0, alpha (e^z - 1) elsewhere (Clevert et al., 2016, eq. 15). alpha >= 0."""
    return np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0)))


def elu_backward(dy: Any, z: Any, y: Any, alpha: float = 1.0) -> Any:
    """dz = dy where z > 0, alpha e^z dy = (y + alpha) dy elsewhere. Reads y."""
    return np.where(y > 0, dy, (y + alpha) * dy)


def selu(z: Any) -> Any:
    """y = scale elu(z, alpha) with the constants of Klambauer et al. (2017), eq. 2."""
    return SELU_SCALE * elu(z, SELU_ALPHA)


def selu_backward(dy: Any, z: Any, y: Any) -> Any:
    """dz = scale dy where z > 0, (y + scale alpha) dy elsewhere. Reads y."""
    return np.where(y > 0, SELU_SCALE * dy, (y + SELU_SCALE * SELU_ALPHA) * dy)


def sigmoid(z: Any) -> Any:
    """y = 1 / (1 + e^-z) for z >= 0, and e^z / (1 + e^z), the same, for z < 0: no exponent > 0."""
    return np.exp(np.minimum(z, 0)) / (1 + np.exp(-np.abs(z)))


def sigmoid_backward(dy: Any, z: Any, y: Any) -> Any:
    """dz = y (1 - y) dy: f' is e^-z / (1 + e^-z)^2, and 1 - y = e^-z / (1 + e^-z). Reads y."""
    return dy * y * (1 - y)


def tanh(z: Any) -> Any:
    """y = (e^z - e^-z) / (e^z + e^-z)."""
    return np.tanh(z)


def tanh_backward(dy: Any, z: Any, y: Any) -> Any:
    """dz = (1 - y^2) dy. Reads y."""
    return dy * (1 - y * y)


def softplus(z: Any) -> Any:
    """y = log(1 + e^z) = max(z, 0) + log(1 + e^-|z|) (Dugas et al., 2001)."""
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def softplus_backward(dy: Any, z: Any, y: Any) -> Any:
    """dz = sigmoid(z) dy = (1 - e^-y) dy. Reads y."""
    return dy * -np.expm1(-y)


def softsign(z: Any) -> Any:
    """y = z / (1 + |z|) (Bergstra et al., 2009)."""
    return z / (1 + np.abs(z))


def softsign_backward(dy: Any, z: Any, y: Any) -> Any:
    """dz = dy / (1 + |z|)^2. Reads z."""
    return dy / (1 + np.abs(z)) ** 2


def silu(z: Any) -> Any:
    """y = z sigmoid(z), also called swish (Ramachandran et al., 2017)."""
    return z * sigmoid(z)


def silu_backward(dy: Any, z: Any, y: Any) -> Any:
    """dz = s (1 + z (1 - s)) dy, with s = sigmoid(z). Reads z."""
    s = sigmoid(z)
    return dy * s * (1 + z * (1 - s))


def mish(z: Any) -> Any:
    """y = z tanh(softplus(z)) (Misra, 2019)."""
    return z * np.tanh(softplus(z))


def mish_backward(dy: Any, z: Any, y: Any) -> Any:
    """dz = (t + z (1 - t^2) s) dy, with t = tanh(softplus(z)) and s = sigmoid(z). Reads z."""
    t = np.tanh(softplus(z))
    return dy * (t + z * (1 - t * t) * sigmoid(z))


def gelu(z: Any, approximate: bool = False) -> Any:
    """y = z P(z), where P is the normal distribution function (Hendrycks and Gimpel, 2016).

    With ``approximate``, P(z) is replaced by (1 + tanh(u)) / 2, u = sqrt(2/pi) (z + 0.044715 z^3).
    """
    if approximate:
        t, _ = _gelu_tanh(z)
        return 0.5 * z * (1 + t)
    P, _ = _normal_distribution(z)
    return z * P


def gelu_backward(dy: Any, z: Any, y: Any, approximate: bool = False) -> Any:
    """dz = (P(z) + z p(z)) dy, where p = P' is the normal density. Reads z.

    With ``approximate``, dz = (1 + t + z (1 - t^2) u') dy / 2, t = tanh(u).
    """
    if approximate:
        t, du = _gelu_tanh(z)
        return 0.5 * dy * (1 + t + z * (1 - t * t) * du)
    P, p = _normal_distribution(z)
    return dy * (P + z * p)


def _gelu_tanh(z: Any) -> tuple[Any, Any]:
    """``(tanh(u), u')`` of the approximate gelu."""
    c = math.sqrt(2 / math.pi)
    square = z * z
    return np.tanh(c * z * (1 + 0.044715 * square)), c * (1 + 3 * 0.044715 * square)


def _normal_distribution(z: Any) -> tuple[Any, Any]:
    """``(P(z), p(z))``: distribution function and density of the standard normal distribution.

    NumPy has no error function. But P(-a) = e^(-a^2/2) q(t) for a >= 0, where q is a smooth
    function of t = 1 / (1 + a / sqrt(8)), which runs from 1 at a = 0 down to 0: a polynomial of
    degree 16 meets it to 1e-14.
    """
    a = np.abs(z)
    t = 1 / (1 + a / math.sqrt(8))
    q = 0 * t
    for coefficient in _tail_polynomial():  # Horner's rule
        q = q * t + coefficient
    p = np.exp(-0.5 * a * a)
    tail = q * p
    return np.where(z > 0, 1 - tail, tail), p / math.sqrt(2 * math.pi)


@cache
def _tail_polynomial(degree: int = 16) -> tuple[float, ...]:
    """Coefficients of q(t) = e^(a^2/2) P(-a), the highest power first, fitted for 0 <= a <= 8.5.

    Beyond, where P(-a) < 1e-17, whatever the polynomial says vanishes under e^(-a^2/2).
    """

    def q(t: np.ndarray) -> np.ndarray:
        x = [2 * (1 - u) / u for u in t]  # a / sqrt(2)
        return np.array([0.5 * math.exp(v * v) * math.erfc(v) for v in x])

    fitted = np.polynomial.Chebyshev.interpolate(q, degree, domain=[0.25, 1])
    power_series = fitted.convert(kind=np.polynomial.Polynomial, domain=[-1, 1], window=[-1, 1])
    return tuple(float(c) for c in power_series.coef[::-1])


# -- softmax --------------------------------------------------------------------------------------


def softmax(z: Any, axis: int | tuple[int, ...] = -1) -> Any:
    """y_i = e^(z_i - m) / sum_j e^(z_j - m) along ``axis``, a probability distribution.

    m = max_j z_j cancels in the quotient and keeps the exponentials at most 1. It is the maximum of
    each row: with one m for the whole batch, rows far below it would become 0 / 0.
    """
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def softmax_backward(dy: Any, z: Any, y: Any, axis: int | tuple[int, ...] = -1) -> Any:
    """dz_i = y_i (dy_i - sum_j y_j dy_j). Reads y.

    Every z_i has a part in all y_j of its row. By the quotient rule the derivative of y_j with
    respect to z_i is y_j ([i = j] - y_i), where [i = j] is 1 for i = j and 0 otherwise; times the
    gradient dy_j, summed over j, that is dz_i.
    """
    return y * (dy - (y * dy).sum(axis=axis, keepdims=True))


def log_softmax(z: Any, axis: int | tuple[int, ...] = -1) -> Any:
    """y_i = z_i - m - log sum_j e^(z_j - m) along ``axis``, with m as in :func:`softmax`."""
    shifted = z - z.max(axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


def log_softmax_backward(dy: Any, z: Any, y: Any, axis: int | tuple[int, ...] = -1) -> Any:
    """dz_i = dy_i - e^(y_i) sum_j dy_j, as y_j has the derivative [i = j] - e^(y_i). Reads y."""
    return dy - np.exp(y) * dy.sum(axis=axis, keepdims=True)
