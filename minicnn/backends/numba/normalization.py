"""Batch normalization; ``minicnn/backends/numpy/normalization.py`` has the mathematics.

The textbook goes through memory once for every operation in the formula, seven times in the
forward, and keeps the normalized x^ besides x. Here the forward goes twice, once for mean and
variance together and once for y, and so does the backward; x^ is computed again from x where it is
needed. Rows of channels are dealt out to the cores; sums over them are made in parts, whose number
depends on the shape alone.

This is for channels in the last axis. For others, and for layer normalization, the textbook serves.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minicnn.backends import numpy as textbook
from minicnn.backends.numba.arrays import contiguous, empty
from minicnn.backends.numba.threads import Kernels, crew, launch

kernels = Kernels("normalization_kernels")

PARTS = 16


class Saved(NamedTuple):
    """What a backward needs.

    Attributes:
        x: the input.
        mean, inverse_deviation: (c,), in the dtype of x.
        gamma, beta: as given.
        constant: whether mean and variance were constants, not the batch's.
    """

    x: Any
    mean: Any
    inverse_deviation: Any
    gamma: Any
    beta: Any
    constant: bool


def batch_norm(
    x: Any, gamma: Any, beta: Any, epsilon: float, axes: tuple[int, ...]
) -> tuple[Any, Any, Any, Any]:
    """The textbook's ``batch_norm``."""
    last = tuple(range(x.ndim - 1))
    if tuple(axis % x.ndim for axis in axes) != last or not _fast(x, gamma, beta):
        return textbook.batch_norm(x, gamma, beta, epsilon, axes)
    x = contiguous(x)
    rows, c = x.reshape(-1, x.shape[-1]), x.shape[-1]
    means, squares = np.empty((2, min(PARTS, len(rows)), c))
    launch(kernels.statistics, crew(2 * x.size), rows, means, squares)
    kernels.join_parts(means, squares, len(rows))
    mean, variance = means[0].astype(x.dtype), (squares[0] / len(rows)).astype(x.dtype)
    saved = _saved(x, gamma, beta, mean, variance, epsilon, constant=False)
    return _normalized(saved), mean, variance, saved


def batch_norm_backward(dy: Any, saved: Any) -> tuple[Any, Any, Any]:
    """The textbook's ``batch_norm_backward``."""
    if not isinstance(saved, Saved):
        return textbook.batch_norm_backward(dy, saved)
    x, mean, inverse_deviation, gamma, beta, constant = saved
    x_rows, c = x.reshape(-1, x.shape[-1]), x.shape[-1]
    dy_rows = contiguous(dy.astype(x.dtype, copy=False)).reshape(-1, c)
    dgammas, dbetas = np.empty((2, min(PARTS, len(x_rows)), c))
    launch(
        kernels.gradient_sums,
        crew(x.size),
        dy_rows,
        x_rows,
        mean,
        inverse_deviation,
        dgammas,
        dbetas,
    )
    dgamma, dbeta = dgammas.sum(axis=0), dbetas.sum(axis=0)
    scale = inverse_deviation if gamma is None else inverse_deviation * gamma.reshape(-1)
    of_statistics = 0 if constant else 1 / len(x_rows)
    dx = empty(x.shape, x.dtype)
    launch(
        kernels.input_gradient,
        crew(x.size),
        dy_rows.reshape(-1),
        x.reshape(-1),
        dx.reshape(-1),
        mean,
        inverse_deviation,
        scale,
        (of_statistics * dbeta).astype(x.dtype),
        (of_statistics * dgamma).astype(x.dtype),
    )
    return (
        dx,
        None if gamma is None else dgamma.astype(x.dtype).reshape(gamma.shape),
        None if beta is None else dbeta.astype(x.dtype).reshape(beta.shape),
    )


def batch_norm_inference(
    x: Any, gamma: Any, beta: Any, mean: Any, variance: Any, epsilon: float
) -> tuple[Any, Any]:
    """The textbook's ``batch_norm_inference``."""
    if mean.shape != x.shape[-1:] or not _fast(x, gamma, beta, mean, variance):
        return textbook.batch_norm_inference(x, gamma, beta, mean, variance, epsilon)
    # Copies: moving means change in place, and a backward may come later.
    saved = _saved(contiguous(x), gamma, beta, mean.copy(), variance, epsilon, constant=True)
    return _normalized(saved), saved


def batch_norm_inference_backward(dy: Any, saved: Any) -> tuple[Any, Any, Any]:
    """The textbook's ``batch_norm_inference_backward``."""
    if not isinstance(saved, Saved):
        return textbook.batch_norm_inference_backward(dy, saved)
    return batch_norm_backward(dy, saved)


def _saved(x, gamma, beta, mean, variance, epsilon, constant) -> Saved:
    inverse_deviation = (1 / np.sqrt(variance + x.dtype.type(epsilon))).astype(x.dtype)
    return Saved(x, mean, inverse_deviation, gamma, beta, constant)


def _normalized(saved: Saved) -> Any:
    """y = gamma x^ + beta."""
    x, mean, inverse_deviation, gamma, beta, _ = saved
    c = x.shape[-1]
    y = empty(x.shape, x.dtype)
    launch(
        kernels.normalize,
        crew(x.size),
        x.reshape(-1),
        y.reshape(-1),
        mean,
        inverse_deviation,
        np.ones(c, x.dtype) if gamma is None else contiguous(gamma).reshape(-1),
        np.zeros(c, x.dtype) if beta is None else contiguous(beta).reshape(-1),
    )
    return y


def _fast(x: Any, *others: Any) -> bool:
    """Whether the kernels can take them: all float32 or all float64, and not empty."""
    return (
        x.dtype.char in "fd"
        and x.size > 0
        and all(other is None or other.dtype == x.dtype for other in others)
    )
