"""Cross-entropies: how surprising the true class is, given the predicted probabilities.

They come in two forms. *From logits* z (the numbers that softmax, or sigmoid, turns into
probabilities p), activation and cross-entropy are one function: the exponential of the one and the
logarithm of the other cancel, so that nothing overflows, and the gradient is p - t, with t the
targets. It does not vanish when a network is sure and wrong: it is then nearly 1 in size
(Goodfellow et al. (2016), "Deep Learning", section 6.2.2). *From probabilities* p, clipping must
keep p away from 0, where log p is infinite, and where p is clipped, the gradient is lost.

All values are per sample, summed (or for binary ones averaged) over the last axis: arrays (..., c)
give values (...). The backward functions return the gradient of each sample's own value.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.backends.numpy.activation import sigmoid, softplus

# Probabilities are clipped to [EPSILON, 1 - EPSILON] before their logarithm is taken, as in Keras.
EPSILON = 1e-7


def one_hot(labels: Any, classes: int, dtype: Any) -> Any:
    """t with t_k = 1 where k is the label and 0 elsewhere: (...) -> (..., classes).

    A label that is no class gives a row of zeros.

    >>> one_hot(np.array([1, 0]), 3, "float32")
    array([[0., 1., 0.],
           [1., 0., 0.]], dtype=float32)
    """
    return (labels[..., np.newaxis] == np.arange(classes, like=labels)).astype(dtype)


# -- from logits ------------------------------------------------------------------------------


def softmax_cross_entropy(z: Any, t: Any) -> tuple[Any, Any]:
    """-sum_k t_k log p_k, where p = softmax(z).

    With m = max_k z_k, one maximum for each sample::

        log p_k = z_k - m - log sum_j exp(z_j - m)

    The exponents are at most 0, so nothing overflows, and the sum is at least 1, so its logarithm
    is finite.

    Args:
        z: logits (..., c).
        t: targets (..., c), probabilities such as one-hot rows.

    Returns:
        The values (...) and p (..., c), which the backward needs.
    """
    shifted = z - np.max(z, axis=-1, keepdims=True)
    e = np.exp(shifted)
    total = np.sum(e, axis=-1, keepdims=True)
    log_p = shifted - np.log(total)
    return -np.sum(t * log_p, axis=-1), e / total


def softmax_cross_entropy_backward(p: Any, t: Any) -> Any:
    """dz = p sum_k t_k - t, which for probabilities t is p - t.

    In log p_k = z_k - log sum_i exp(z_i), the first term has the derivative [j = k] with respect to
    z_j (1 where j = k, 0 elsewhere), the second exp(z_j) / sum_i exp(z_i) = p_j. So::

        dz_j = -sum_k t_k ([j = k] - p_j) = p_j sum_k t_k - t_j
    """
    return p * np.sum(t, axis=-1, keepdims=True) - t


def sparse_softmax_cross_entropy(z: Any, labels: Any) -> tuple[Any, Any]:
    """-log p_label, where p = softmax(z): logits (..., c), labels (...) from 0 to c - 1.

    Returns:
        The values (...) and p (..., c).
    """
    return softmax_cross_entropy(z, one_hot(labels, z.shape[-1], z.dtype))


def sparse_softmax_cross_entropy_backward(p: Any, labels: Any) -> Any:
    """dz = p - one_hot(labels)."""
    return softmax_cross_entropy_backward(p, one_hot(labels, p.shape[-1], p.dtype))


def sigmoid_binary_cross_entropy(z: Any, t: Any) -> tuple[Any, Any]:
    """The mean over the last axis of -t log p - (1 - t) log(1 - p), where p = sigmoid(z).

    Inserting p = 1 / (1 + exp(-z)) leaves log(1 + exp(z)) - t z, a softplus and a product.

    Args:
        z: logits (..., c).
        t: targets (..., c), each between 0 and 1.

    Returns:
        The values (...) and p (..., c).
    """
    return np.mean(softplus(z) - t * z, axis=-1), sigmoid(z)


def sigmoid_binary_cross_entropy_backward(p: Any, t: Any) -> Any:
    """dz = (p - t) / c: the derivative of softplus(z) is sigmoid(z) = p, and that of t z is t."""
    return (p - t) / p.shape[-1]


# -- from probabilities -----------------------------------------------------------------------


def categorical_cross_entropy(y_true: Any, y_pred: Any) -> Any:
    """-sum_k t_k log clip(q_k), where q = y_pred / sum_k y_pred_k.

    Args:
        y_true: targets t (..., c).
        y_pred: non-negative predictions (..., c). A row need not sum to 1, it is divided by its
            sum.

    Returns:
        The values (...).
    """
    q = y_pred / np.sum(y_pred, axis=-1, keepdims=True)
    return -np.sum(y_true * np.log(np.clip(q, EPSILON, 1 - EPSILON)), axis=-1)


def categorical_cross_entropy_backward(y_true: Any, y_pred: Any) -> Any:
    """The gradient with respect to ``y_pred``, through the clip and the division.

    With s = sum_k y_pred_k, and dq_k = -t_k / q_k where q_k is not clipped and 0 where it is, the
    quotient rule gives::

        d y_pred_j = sum_k dq_k ([j = k] / s - y_pred_k / s^2) = (dq_j - sum_k dq_k q_k) / s
    """
    total = np.sum(y_pred, axis=-1, keepdims=True)
    q = y_pred / total
    clipped = np.clip(q, EPSILON, 1 - EPSILON)
    dq = np.where(q == clipped, -y_true / clipped, 0)
    return _of_quotient(dq, q, total)


def _of_quotient(dq: Any, q: Any, total: Any) -> Any:
    """The gradient for ``y_pred`` from that for q = y_pred / sum_k y_pred_k."""
    return (dq - np.sum(dq * q, axis=-1, keepdims=True)) / total


def sparse_categorical_cross_entropy(labels: Any, y_pred: Any) -> Any:
    """-log clip(q_label), where q = y_pred / sum_k y_pred_k: labels (...), predictions (..., c)."""
    return categorical_cross_entropy(one_hot(labels, y_pred.shape[-1], y_pred.dtype), y_pred)


def sparse_categorical_cross_entropy_backward(labels: Any, y_pred: Any) -> Any:
    """The gradient with respect to ``y_pred``."""
    t = one_hot(labels, y_pred.shape[-1], y_pred.dtype)
    return categorical_cross_entropy_backward(t, y_pred)


def binary_cross_entropy(y_true: Any, y_pred: Any) -> Any:
    """The mean over the last axis of -t log p - (1 - t) log(1 - p), where p = clip(y_pred).

    Args:
        y_true: targets t (..., c), each between 0 and 1.
        y_pred: probabilities (..., c), one for each of c yes-or-no questions.

    Returns:
        The values (...).
    """
    p = np.clip(y_pred, EPSILON, 1 - EPSILON)
    return -np.mean(y_true * np.log(p) + (1 - y_true) * np.log(1 - p), axis=-1)


def binary_cross_entropy_backward(y_true: Any, y_pred: Any) -> Any:
    """dp = (p - t) / (p (1 - p) c) where p is not clipped, 0 where it is."""
    p = np.clip(y_pred, EPSILON, 1 - EPSILON)
    return np.where(y_pred == p, (p - y_true) / (p * (1 - p) * p.shape[-1]), 0)


# -- focal: what is predicted well counts less ------------------------------------------------


def categorical_focal_cross_entropy(
    y_true: Any, y_pred: Any, alpha: Any = 0.25, gamma: float = 2.0
) -> Any:
    """-sum_k alpha_k t_k (1 - q_k)^gamma log q_k, where q = clip(y_pred / sum_k y_pred_k).

    The factor (1 - q)^gamma takes the weight from classes that are predicted well already
    (Lin et al. (2017), "Focal loss for dense object detection").

    Args:
        y_true: targets t (..., c).
        y_pred: non-negative predictions (..., c).
        alpha: a number, or one for each class (c,).
        gamma: 0 for no such factor.

    Returns:
        The values (...).
    """
    alpha = _alpha_like(alpha, y_pred)
    q = np.clip(y_pred / np.sum(y_pred, axis=-1, keepdims=True), EPSILON, 1 - EPSILON)
    return -np.sum(alpha * y_true * (1 - q) ** gamma * np.log(q), axis=-1)


def categorical_focal_cross_entropy_backward(
    y_true: Any, y_pred: Any, alpha: Any = 0.25, gamma: float = 2.0
) -> Any:
    """As for :func:`categorical_cross_entropy`, with

    dq_k = alpha_k t_k (gamma (1 - q_k)^(gamma - 1) log q_k - (1 - q_k)^gamma / q_k).
    """
    alpha = _alpha_like(alpha, y_pred)
    total = np.sum(y_pred, axis=-1, keepdims=True)
    q = y_pred / total
    r = np.clip(q, EPSILON, 1 - EPSILON)
    slope = gamma * (1 - r) ** (gamma - 1) * np.log(r) - (1 - r) ** gamma / r
    dq = np.where(q == r, alpha * y_true * slope, 0)
    return _of_quotient(dq, q, total)


def _alpha_like(alpha: Any, y_pred: Any) -> Any:
    return alpha if np.ndim(alpha) == 0 else np.asarray(alpha, y_pred.dtype, like=y_pred)


def binary_focal_cross_entropy(
    y_true: Any, y_pred: Any, alpha: float | None = None, gamma: float = 2.0
) -> Any:
    """The mean over the last axis of w m^gamma b: b the binary cross-entropy, m how wrong p is.

    m = t (1 - p) + (1 - t) p; the weight w is alpha for t = 1 and 1 - alpha for t = 0, or 1 where
    alpha is ``None`` (Lin et al. (2017)).

    Args:
        y_true: targets t (..., c), each between 0 and 1.
        y_pred: probabilities p (..., c).

    Returns:
        The values (...).
    """
    m, b, _ = _focal_parts(y_true, y_pred)
    return np.mean(_focal_weight(y_true, alpha) * m**gamma * b, axis=-1)


def binary_focal_cross_entropy_backward(
    y_true: Any, y_pred: Any, alpha: float | None = None, gamma: float = 2.0
) -> Any:
    """dp = w/c (gamma m^(gamma - 1) (1 - 2 t) b + m^gamma db), with db the gradient of b."""
    m, b, db = _focal_parts(y_true, y_pred)
    # Where nothing is wrong, b is next to 0: what m^(gamma - 1) is there does not matter.
    dm = gamma * np.maximum(m, EPSILON) ** (gamma - 1) * (1 - 2 * y_true)
    return _focal_weight(y_true, alpha) * (dm * b + m**gamma * db) / y_pred.shape[-1]


def _focal_parts(t: Any, p: Any) -> tuple[Any, Any, Any]:
    """(m, b, db), each (..., c); b and db are those of single numbers."""
    t, p = t[..., np.newaxis], p[..., np.newaxis]
    m = t * (1 - p) + (1 - t) * p
    return m[..., 0], binary_cross_entropy(t, p), binary_cross_entropy_backward(t, p)[..., 0]


def _focal_weight(t: Any, alpha: float | None) -> Any:
    return 1 if alpha is None else t * alpha + (1 - t) * (1 - alpha)
