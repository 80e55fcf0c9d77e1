"""The arguments of a pipeline, checked when it is put together."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable
from typing import Any

AUTOTUNE = -1


def whole(name: str, value: Any, at_least: int) -> int:
    """``value`` as an int.

    Raises:
        TypeError: if it is none.
        ValueError: if it is smaller than ``at_least``.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise TypeError(f"{name}: expected an int, got {value!r}")
    if number < at_least:
        raise ValueError(f"{name}: expected at least {at_least}, got {number}")
    return number


def autotuned(name: str, value: Any, automatic: int) -> int:
    """``automatic`` in the place of ``AUTOTUNE``; anything else must be a positive int."""
    return automatic if value == AUTOTUNE else whole(name, value, 1)


def cores() -> int:
    """The number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def on_elements(name: str, fn: Callable[..., Any]) -> Callable[[Any], Any]:
    """``fn`` as a function of one element: a tuple becomes its arguments."""
    if not callable(fn):
        raise TypeError(f"{name}: expected a function, got {fn!r}")
    return lambda element: fn(*element) if isinstance(element, tuple) else fn(element)
