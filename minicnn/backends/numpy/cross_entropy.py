"""Cross-entropies: how surprising the true class is, given the predicted probabilities.

They come in two forms. *From logits* z, softmax (or sigmoid) and cross-entropy are one function:
the exponential of the one and the logarithm of the other cancel, so that nothing overflows, and the
gradient is p - t, which stays 1 however wrong and however sure the network is (Goodfellow et al.
(2016), "Deep Learning", section 6.2.2). *From probabilities* p, log p must be kept from 0 by
clipping, and where the clip holds, the gradient is lost.

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

    From d log p_k / dz_j = [j = k] - p_j::

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
    """dz = (p - t) / c, as the derivative of softplus(z) is sigmoid(z) = p."""
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

    With s = sum_k y_pred_k, and dq_k = -t_k / q_k where q_k is not clipped and 0 where it is::

        d y_pred_j = sum_k dq_k ([j = k] / s - y_pred_k / s^2) = (dq_j - sum_k dq_k q_k) / s
    """
    total = np.sum(y_pred, axis=-1, keepdims=True)
    q = y_pred / total
    clipped = np.clip(q, EPSILON, 1 - EPSILON)
    dq = np.where(q == clipped, -y_true / clipped, 0)
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
