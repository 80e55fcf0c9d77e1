"""Normalization to mean 0 and variance 1: over the batch for each channel, or within each sample.

Batch normalization (Ioffe and Szegedy, 2015) and layer normalization (Ba et al., 2016) are one
formula; they differ in the axes over which mean and variance are taken, and in the axes along which
the scale gamma and the shift beta vary:

    x^ = (x - mean) / sqrt(variance + epsilon),    y = gamma x^ + beta.

(x^ is read "x hat", and dx^ is the gradient with respect to it: ``x_hat``, ``dx_hat`` in the code.)
``gamma`` and ``beta`` may be ``None`` (no scale, no shift); their gradients then are ``None``, too.
All arrays keep the dtype of x, float32 or float64. Sums run in float64, because adding 50,000
float32 numbers one after the other loses two of their seven digits.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minicnn.backends.numpy.broadcasting import sum_to_shape


class Saved(NamedTuple):
    """What a backward needs.

    Attributes:
        x_hat: the standardized input.
        inverse_deviation: 1 / sqrt(variance + epsilon), broadcastable to x.
        gamma, beta: as given.
        shape: that of gamma and beta, with ones in it so that it broadcasts to x.
        axes: those over which mean and variance were taken; ``None`` if both were given.
    """

    x_hat: Any
    inverse_deviation: Any
    gamma: Any
    beta: Any
    shape: tuple[int, ...]
    axes: tuple[int, ...] | None


def batch_norm(
    x: Any, gamma: Any, beta: Any, epsilon: float, axes: tuple[int, ...]
) -> tuple[Any, Any, Any, Saved]:
    """Normalize each channel by the statistics of the batch, as in training.

    Args:
        x: for instance (n, h, w, c).
        gamma, beta: one number for every channel, (c,) or any other shape of as many elements.
        epsilon: added to the variance.
        axes: all axes but that of the channels: (0, 1, 2).

    Returns:
        ``(y, mean, variance, saved)``: y like x; the statistics (c,), the variance being the
        population's, sum (x - mean)^2 / m over the m elements of the channel.
    """
    axes = _positive(axes, x.ndim)
    x_hat, inverse_deviation, mean, variance = _standardize(x, epsilon, axes)
    saved = Saved(x_hat, inverse_deviation, gamma, beta, mean.shape, axes)
    channels = tuple(size for axis, size in enumerate(x.shape) if axis not in axes)
    return _scale_and_shift(saved), mean.reshape(channels), variance.reshape(channels), saved


def batch_norm_backward(dy: Any, saved: Saved) -> tuple[Any, Any, Any]:
    """``(dx, dgamma, dbeta)``: the gradient through the formula *and* through the statistics.

    gamma and beta enter linearly:

        dgamma = sum dy x^,    dbeta = sum dy,    dx^ = gamma dy.

    x_i enters every x^_j = (x_j - mean) / s of its channel, s = sqrt(variance + epsilon), in three
    ways: by itself if i = j, in the mean and in s. With m elements in the channel, and D_i for the
    derivative with respect to x_i,

        D_i mean     = 1 / m
        D_i variance = 2 (x_i - mean) / m    (what the mean adds is 0, as sum_j (x_j - mean) is)
        D_i s        = D_i variance / (2 s) = x^_i / m

    so that, by the quotient rule, with [i = j] for 1 if i = j and 0 otherwise,

        D_i x^_j = ([i = j] - D_i mean) / s - x^_j D_i s / s = ([i = j] - 1/m - x^_j x^_i / m) / s.

    The chain rule, dx_i = sum_j dx^_j D_i x^_j, then makes means of the sums over j:

        dx_i = (dx^_i - mean_j(dx^_j) - x^_i mean_j(dx^_j x^_j)) / s.

    That is dx^ without its mean and without its part along x^. For x^ stays as it is when all of x
    is shifted, or (nearly, because of epsilon) stretched: no gradient can point that way.
    """
    dx_hat, dgamma, dbeta = _scale_and_shift_backward(dy, saved)
    return _standardize_backward(dx_hat, saved), dgamma, dbeta


def batch_norm_inference(
    x: Any, gamma: Any, beta: Any, mean: Any, variance: Any, epsilon: float
) -> tuple[Any, Saved]:
    """Normalize by given statistics, as a trained network does: ``(y, saved)``.

    ``gamma``, ``beta``, ``mean`` and ``variance`` have one shape, which broadcasts against x: (c,)
    if the channels come last, else with ones, like (1, c, 1, 1).
    """
    inverse_deviation = 1 / np.sqrt(variance + epsilon)
    x_hat = (x - mean) * inverse_deviation
    saved = Saved(x_hat, inverse_deviation, gamma, beta, mean.shape, None)
    return _scale_and_shift(saved), saved


def batch_norm_inference_backward(dy: Any, saved: Saved) -> tuple[Any, Any, Any]:
    """``(dx, dgamma, dbeta)``. The statistics are constants, so dx = dx^ / sqrt(var + epsilon)."""
    dx_hat, dgamma, dbeta = _scale_and_shift_backward(dy, saved)
    return dx_hat * saved.inverse_deviation, dgamma, dbeta


def layer_norm(
    x: Any, gamma: Any, beta: Any, epsilon: float, axes: tuple[int, ...]
) -> tuple[Any, Saved]:
    """Normalize each sample by its own statistics over ``axes``: ``(y, saved)``.

    ``gamma`` and ``beta`` hold one number for every place in those axes, for instance (c,) for
    ``axes=(-1,)``.
    """
    axes = _positive(axes, x.ndim)
    x_hat, inverse_deviation, _, _ = _standardize(x, epsilon, axes)
    shape = tuple(size if axis in axes else 1 for axis, size in enumerate(x.shape))
    saved = Saved(x_hat, inverse_deviation, gamma, beta, shape, axes)
    return _scale_and_shift(saved), saved


def layer_norm_backward(dy: Any, saved: Saved) -> tuple[Any, Any, Any]:
    """``(dx, dgamma, dbeta)``, as in :func:`batch_norm_backward`; but the sums for dgamma and dbeta
    run over the samples, and the means in dx over each sample's own axes."""
    dx_hat, dgamma, dbeta = _scale_and_shift_backward(dy, saved)
    return _standardize_backward(dx_hat, saved), dgamma, dbeta


# -- the two steps that they share ----------------------------------------------------------------


def _standardize(x: Any, epsilon: float, axes: tuple[int, ...]) -> tuple[Any, Any, Any, Any]:
    """``(x_hat, inverse_deviation, mean, variance)``, the last three with ones in their shape.

    The variance comes from x - mean, in a second pass: mean(x^2) - mean(x)^2 would be the small
    difference of two large numbers, and lose its digits.
    """
    mean = _mean(x, axes)
    centred = x - mean
    variance = _mean(centred * centred, axes)
    inverse_deviation = 1 / np.sqrt(variance + epsilon)
    return centred * inverse_deviation, inverse_deviation, mean, variance


def _standardize_backward(dx_hat: Any, saved: Saved) -> Any:
    """dx = (dx^ - mean(dx^) - x^ mean(dx^ x^)) / s, derived at :func:`batch_norm_backward`."""
    x_hat, axes = saved.x_hat, saved.axes
    along = _mean(dx_hat * x_hat, axes)
    return (dx_hat - _mean(dx_hat, axes) - x_hat * along) * saved.inverse_deviation


def _scale_and_shift(saved: Saved) -> Any:
    """y = gamma x^ + beta."""
    y = saved.x_hat
    if saved.gamma is not None:
        y = y * saved.gamma.reshape(saved.shape)
    return y if saved.beta is None else y + saved.beta.reshape(saved.shape)


def _scale_and_shift_backward(dy: Any, saved: Saved) -> tuple[Any, Any, Any]:
    """``(dx_hat, dgamma, dbeta)``."""
    dx_hat, dgamma, dbeta = dy, None, None
    if saved.gamma is not None:
        dgamma = sum_to_shape(dy * saved.x_hat, saved.shape).reshape(saved.gamma.shape)
        dx_hat = dy * saved.gamma.reshape(saved.shape)
    if saved.beta is not None:
        dbeta = sum_to_shape(dy, saved.shape).reshape(saved.beta.shape)
    return dx_hat, dgamma, dbeta


def _mean(a: Any, axes: tuple[int, ...] | None) -> Any:
    return a.mean(axis=axes, keepdims=True, dtype=np.float64).astype(a.dtype)


def _positive(axes: tuple[int, ...], ndim: int) -> tuple[int, ...]:
    return tuple(axis % ndim for axis in axes)
