"""Distances between targets and predictions, and divergences, each with its gradient.

``f(y_true, y_pred)`` takes two arrays (..., n) and returns values (...): the mean (for
``categorical_hinge``, ``cosine_similarity`` and ``kl_divergence`` the maximum or sum) over the last
axis.
``f_backward(y_true, y_pred)`` returns the gradient of each value with respect to its own row of
``y_pred``, (..., n). At a kink, where there is no gradient, it is that of one side, or 0 for |x|.

The cross-entropies are in ``cross_entropy.py``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn.backends.numpy.activation import softplus
from minicnn.backends.numpy.cross_entropy import EPSILON


def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """1/n sum (y_pred - y_true)^2."""
    return np.mean(np.square(y_pred - y_true), axis=-1)


def mean_squared_error_backward(y_true: Any, y_pred: Any) -> Any:
    """2/n (y_pred - y_true)."""
    return (y_pred - y_true) * (2 / y_pred.shape[-1])


def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """1/n sum |y_pred - y_true|."""
    return np.mean(np.abs(y_pred - y_true), axis=-1)


def mean_absolute_error_backward(y_true: Any, y_pred: Any) -> Any:
    """1/n sign(y_pred - y_true)."""
    return np.sign(y_pred - y_true) / y_pred.shape[-1]


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """100/n sum |y_pred - y_true| / max(|y_true|, EPSILON)."""
    scale = np.maximum(np.abs(y_true), EPSILON)
    return 100 * np.mean(np.abs(y_pred - y_true) / scale, axis=-1)


def mean_absolute_percentage_error_backward(y_true: Any, y_pred: Any) -> Any:
    """100/n sign(y_pred - y_true) / max(|y_true|, EPSILON)."""
    scale = np.maximum(np.abs(y_true), EPSILON)
    return (100 / y_pred.shape[-1]) * np.sign(y_pred - y_true) / scale


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """1/n sum (log(1 + max(y_pred, EPSILON)) - log(1 + max(y_true, EPSILON)))^2."""
    log_true = np.log1p(np.maximum(y_true, EPSILON))
    log_pred = np.log1p(np.maximum(y_pred, EPSILON))
    return np.mean(np.square(log_pred - log_true), axis=-1)


def mean_squared_logarithmic_error_backward(y_true: Any, y_pred: Any) -> Any:
    """2/n (log(1 + y_pred) - log(1 + y_true)) / (1 + y_pred), and 0 where y_pred < EPSILON."""
    log_true = np.log1p(np.maximum(y_true, EPSILON))
    bounded = np.maximum(y_pred, EPSILON)
    dy = (2 / y_pred.shape[-1]) * (np.log1p(bounded) - log_true) / (1 + bounded)
    return np.where(y_pred == bounded, dy, 0)


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """1/n sum of e^2 / 2 where |e| <= delta, else delta |e| - delta^2 / 2; e = y_pred - y_true.

    A parabola near 0 and a straight line outside, so that a few wild targets do not rule the mean
    (Huber (1964), "Robust estimation of a location parameter").
    """
    e = y_pred - y_true
    size = np.abs(e)
    line = delta * size - 0.5 * delta**2
    return np.mean(np.where(size <= delta, 0.5 * np.square(e), line), axis=-1)


def huber_backward(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """1/n of e, clipped to [-delta, delta]."""
    return np.clip(y_pred - y_true, -delta, delta) / y_pred.shape[-1]


def log_cosh(y_true: Any, y_pred: Any) -> Any:
    """1/n sum log cosh e, with e = y_pred - y_true: like e^2 / 2 near 0, like |e| - log 2 outside.

    cosh e = exp(e) (1 + exp(-2 e)) / 2, and its logarithm in this form does not overflow.
    """
    e = y_pred - y_true
    return np.mean(e + softplus(-2 * e) - math.log(2), axis=-1)


def log_cosh_backward(y_true: Any, y_pred: Any) -> Any:
    """1/n tanh(e)."""
    return np.tanh(y_pred - y_true) / y_pred.shape[-1]


def _signed_labels(y_true: Any) -> Any:
    """Labels as -1 and 1: if all of them are 0 or 1, they become -1 and 1."""
    is_binary = np.all((y_true == 0) | (y_true == 1))
    return np.where(is_binary, 2 * y_true - 1, y_true)


def hinge(y_true: Any, y_pred: Any) -> Any:
    """1/n sum max(1 - t y_pred, 0), with labels t of -1 or 1 (0 and 1 are turned into them).

    No penalty for what lies on its right side by a margin of at least 1.
    """
    return np.mean(np.maximum(1 - _signed_labels(y_true) * y_pred, 0), axis=-1)


def hinge_backward(y_true: Any, y_pred: Any) -> Any:
    """-t/n where 1 - t y_pred > 0, else 0."""
    t = _signed_labels(y_true)
    return np.where(1 - t * y_pred > 0, -t / y_pred.shape[-1], 0)


def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """1/n sum max(1 - t y_pred, 0)^2, with labels t of -1 or 1 (0 and 1 are turned into them)."""
    return np.mean(np.square(np.maximum(1 - _signed_labels(y_true) * y_pred, 0)), axis=-1)


def squared_hinge_backward(y_true: Any, y_pred: Any) -> Any:
    """-2 t/n max(1 - t y_pred, 0)."""
    t = _signed_labels(y_true)
    return (-2 / y_pred.shape[-1]) * t * np.maximum(1 - t * y_pred, 0)


def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    """max(neg - pos + 1, 0), with pos = sum t y_pred, neg = max (1 - t) y_pred and one-hot t.

    The true class's score should lead the best of the others by 1.
    """
    pos = np.sum(y_true * y_pred, axis=-1)
    neg = np.max((1 - y_true) * y_pred, axis=-1)
    return np.maximum(neg - pos + 1, 0)


def categorical_hinge_backward(y_true: Any, y_pred: Any) -> Any:
    """(1 - t_j) [j is where the maximum is] - t_j, where the value is above 0, else 0."""
    others = (1 - y_true) * y_pred
    places = np.arange(y_pred.shape[-1], like=y_pred)
    is_best = np.argmax(others, axis=-1)[..., np.newaxis] == places
    dy = np.where(is_best, 1 - y_true, 0) - y_true
    return np.where(categorical_hinge(y_true, y_pred)[..., np.newaxis] > 0, dy, 0)


def _directions(y: Any) -> tuple[Any, Any]:
    """``(y / |y|, |y|)`` along the last axis; lengths below EPSILON count as EPSILON."""
    length = np.maximum(np.sqrt(np.sum(np.square(y), axis=-1, keepdims=True)), EPSILON)
    return y / length, length


def cosine_similarity(y_true: Any, y_pred: Any) -> Any:
    """-sum u v, with u = y_true / |y_true| and v = y_pred / |y_pred|: -1 where both point one way.

    The cosine of the angle between the two, with a minus, so that the smallest value is the best.
    """
    u, _ = _directions(y_true)
    v, _ = _directions(y_pred)
    return -np.sum(u * v, axis=-1)


def cosine_similarity_backward(y_true: Any, y_pred: Any) -> Any:
    """(c v - u) / |y_pred| with c = sum u v: nothing along y_pred, whose length does not count.

    0 where |y_pred| is not above EPSILON: there it has no direction.
    """
    u, _ = _directions(y_true)
    v, length = _directions(y_pred)
    c = np.sum(u * v, axis=-1, keepdims=True)
    return np.where(length > EPSILON, (c * v - u) / length, 0)


def poisson(y_true: Any, y_pred: Any) -> Any:
    """1/n sum (y_pred - y_true log(y_pred + EPSILON)), for counts y_true.

    -log of the Poisson probability of y_true where y_pred is the mean, but for log(y_true!), which
    no prediction changes.
    """
    return np.mean(y_pred - y_true * np.log(y_pred + EPSILON), axis=-1)


def poisson_backward(y_true: Any, y_pred: Any) -> Any:
    """1/n (1 - y_true / (y_pred + EPSILON))."""
    return (1 - y_true / (y_pred + EPSILON)) / y_pred.shape[-1]


def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    """sum t log(t / p), with t and p clipped to [EPSILON, 1]: how far p is from t, in nats."""
    t = np.clip(y_true, EPSILON, 1)
    p = np.clip(y_pred, EPSILON, 1)
    return np.sum(t * np.log(t / p), axis=-1)


def kl_divergence_backward(y_true: Any, y_pred: Any) -> Any:
    """-t / p where p is not clipped, 0 where it is."""
    t = np.clip(y_true, EPSILON, 1)
    p = np.clip(y_pred, EPSILON, 1)
    return np.where(y_pred == p, -t / p, 0)


def tversky(
    y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Any = None
) -> Any:
    """1 - I / (I + alpha sum t (1 - p) + beta sum (1 - t) p + EPSILON), with I = sum t p.

    How badly two regions match: I is what they share, the other sums what is missed and what is
    wrongly found (Salehi et al. (2017), "Tversky loss function for image segmentation using 3D
    fully convolutional deep networks"). With alpha = beta = 1/2 it is one minus Dice's coefficient
    2 I / (sum t + sum p).

    Args:
        y_true: targets t, between 0 and 1.
        y_pred: predictions p, of the same shape.
        axis: over which the sums run, an int or several; ``None`` for all, the batch included.

    Returns:
        The values, along the other axes.
    """
    shared, union = _overlap(y_true, y_pred, alpha, beta, axis)
    return 1 - np.squeeze(shared / union, axis=axis)


def tversky_backward(
    y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Any = None
) -> Any:
    """With U the denominator: dp = (I ((1 - alpha) t + beta (1 - t)) - U t) / U^2."""
    shared, union = _overlap(y_true, y_pred, alpha, beta, axis)
    dunion = (1 - alpha) * y_true + beta * (1 - y_true)
    return (shared * dunion - union * y_true) / (union * union)


def _overlap(t: Any, p: Any, alpha: float, beta: float, axis: Any) -> tuple[Any, Any]:
    """(I, U), with ones in their shape where a sum was taken."""
    shared, missed, found = (
        np.sum(part, axis=axis, keepdims=True) for part in (t * p, t * (1 - p), (1 - t) * p)
    )
    return shared, shared + alpha * missed + beta * found + EPSILON
