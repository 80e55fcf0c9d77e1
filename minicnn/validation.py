"""Checking a number, or one of a few values, that a user gave."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


def number(value: Any, name: str, interval: str = "(-inf, inf)") -> float:
    """``value`` as a Python float, which promotes no array, if it lies in the interval.

    Args:
        value: what the user gave.
        name: the argument's name, for the message.
        interval: in the usual notation: ``"[0, 1)"`` holds 0 and not 1.

    Raises:
        TypeError: if it is not a real number.
        ValueError: if it is outside the interval, or NaN.

    >>> number(np.float32(0.5), "rate", "[0, 1)")
    0.5
    >>> number(1, "rate", "[0, 1)")
    Traceback (most recent call last):
    ValueError: rate: expected a number in [0, 1), got 1
    """
    is_scalar = getattr(value, "ndim", 0) == 0  # NumPy's numbers and 0-d arrays
    if isinstance(value, (bool, np.bool_, str)) or not is_scalar or not hasattr(value, "__float__"):
        raise TypeError(f"{name}: expected a number, got {value!r}")
    try:
        x = float(value)
    except OverflowError:  # a whole number of more than 308 digits
        x = math.inf
    low, high = (float(bound) for bound in interval[1:-1].split(","))
    above = x >= low if interval[0] == "[" else x > low
    below = x <= high if interval[-1] == "]" else x < high
    if not (above and below) or math.isnan(x):
        raise ValueError(f"{name}: expected a number in {interval}, got {value!r}")
    return x


def choice(value: Any, name: str, accepted: tuple[Any, ...]) -> None:
    """Raise a ValueError unless ``value`` is one of those accepted.

    >>> choice("full", "padding", ("valid", "same"))
    Traceback (most recent call last):
    ValueError: padding: expected 'valid' or 'same', got 'full'
    """
    if value not in accepted:
        raise ValueError(f"{name}: expected {' or '.join(map(repr, accepted))}, got {value!r}")


@contextmanager
def about(what: str) -> Iterator[None]:
    """Errors that are raised meanwhile say what they are about.

    >>> with about("validation data"):
    ...     choice(3, "x", (1, 2))
    Traceback (most recent call last):
    ValueError: validation data: x: expected 1 or 2, got 3
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{what}: {error}") from error
