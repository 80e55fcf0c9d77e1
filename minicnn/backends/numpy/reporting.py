"""What is said about a batch: the mean loss, which predictions are right, running means."""

from __future__ import annotations

from typing import Any

import numpy as np


def mean_loss(values: Any, gradients: Any, count: int) -> tuple[Any, Any]:
    """L = sum_i values_i / count, and dL = gradients / count.

    Args:
        values: the losses (...).
        gradients: (..., c), the gradient of each value for its own prediction.
        count: what the sum is divided by, such as the number of the values.

    Returns:
        ``(L, dL)``: a number, and an array (..., c).

    >>> mean_loss(np.array([1.0, 2.0]), np.array([[2.0, -2.0], [0.0, 4.0]]), 2)
    (np.float64(1.5), array([[ 1., -1.],
           [ 0.,  2.]]))
    """
    return values.sum() / count, gradients * (1 / count)


def categorical_matches(t: Any, p: Any) -> Any:
    """1 where the largest of t stands where the largest of p does, else 0: (..., c) -> (...).

    Of equal numbers the first is taken; a NaN is larger than any number.
    """
    return (t.argmax(axis=-1) == p.argmax(axis=-1)).astype(np.float32)


def sparse_matches(labels: Any, p: Any) -> Any:
    """The same for labels (...)."""
    return (labels == p.argmax(axis=-1)).astype(np.float32)


def add_to_mean(total: Any, count: Any, values: Any, each: int) -> None:
    """total += each sum_i values_i and count += each size(values), in place.

    total / count is then the mean of all values so far, where each was that of so many samples.

    Args:
        total, count: arrays of no axes.

    >>> total, count = np.array(6.0), np.array(2.0)
    >>> add_to_mean(total, count, np.array([1.0, 2.0]), 1)
    >>> total, count
    (array(9.), array(4.))
    """
    total += each * (values.sum() if values.ndim else values)
    count += values.size * each
