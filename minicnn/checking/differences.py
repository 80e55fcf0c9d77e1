"""The gradient of any function, by finite differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def numerical_gradient(
    f: Callable[[np.ndarray], float], x: np.ndarray, step: float = 1e-5
) -> np.ndarray:
    """The gradient of ``f`` at ``x`` by central differences: (f(x + h) - f(x - h)) / 2h.

    Args:
        f: a function of one float64 array to a number. It may see ``x`` changed and changed back.
        x: where, float64; it is the very array that ``f`` is called with.
        step: h. The error is of the order h^2 plus rounding / h: best near 1e-5 in float64.

    >>> numerical_gradient(lambda x: float((x**2).sum()), np.array([1.0, 2.0])).round(6)
    array([2., 4.])
    """
    if x.dtype != np.float64:
        raise TypeError(f"x: finite differences need float64, got {x.dtype}")
    gradient = np.empty_like(x)
    for index in np.ndindex(x.shape):
        kept = x[index]
        x[index] = kept + step
        above = f(x)
        x[index] = kept - step
        below = f(x)
        x[index] = kept
        gradient[index] = (above - below) / (2 * step)
    return gradient


def relative_error(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference between two arrays, relative to the largest entry of either."""
    scale = max(np.abs(a).max(initial=0.0), np.abs(b).max(initial=0.0), 1e-8)
    return float(np.abs(a - b).max(initial=0.0) / scale)
