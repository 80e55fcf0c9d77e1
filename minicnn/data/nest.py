"""Elements of a pipeline: leaves (arrays, numbers, ...) in any nesting of tuples and dicts.

A list is a leaf: it is data, an array still to be made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def map_structure(fn: Callable[..., Any], structure: Any, *others: Any) -> Any:
    """The same nesting, with ``fn(leaf, leaf of others...)`` in the place of each leaf.

    Raises:
        ValueError: if ``others`` are not nested as ``structure`` is.

    >>> map_structure(lambda a, b: a + b, {"x": 1, "y": (2, 3)}, {"x": 10, "y": (20, 30)})
    {'x': 11, 'y': (22, 33)}
    """
    if isinstance(structure, dict):
        for other in others:
            if not isinstance(other, dict) or other.keys() != structure.keys():
                raise _mismatch(structure, other)
        return {
            key: map_structure(fn, part, *[other[key] for other in others])
            for key, part in structure.items()
        }
    if isinstance(structure, tuple):
        for other in others:
            if not isinstance(other, tuple) or len(other) != len(structure):
                raise _mismatch(structure, other)
        parts = [map_structure(fn, *column) for column in zip(structure, *others, strict=True)]
        return type(structure)(*parts) if hasattr(structure, "_fields") else tuple(parts)
    for other in others:
        if isinstance(other, (dict, tuple)):
            raise _mismatch(structure, other)
    return fn(structure, *others)


def leaves(structure: Any) -> list[Any]:
    """All leaves, from left to right.

    >>> leaves({"x": 1, "y": (2, [3, 4])})
    [1, 2, [3, 4]]
    """
    if isinstance(structure, dict):
        structure = tuple(structure.values())
    if isinstance(structure, tuple):
        return [leaf for part in structure for leaf in leaves(part)]
    return [structure]


def describe(structure: Any) -> str:
    """The nesting in words that fit an error message.

    >>> describe(({"image": 1, "label": 2}, 3))
    "({'image': ..., 'label': ...}, ...)"
    """
    if isinstance(structure, dict):
        return "{" + ", ".join(f"{k!r}: {describe(v)}" for k, v in structure.items()) + "}"
    if isinstance(structure, tuple):
        return "(" + ", ".join(map(describe, structure)) + ("," * (len(structure) == 1)) + ")"
    return "..."


def read_only(leaf: Any) -> Any:
    """A view of an array that cannot be written to; anything else as it is."""
    if not isinstance(leaf, np.ndarray):
        return leaf
    view = leaf.view()
    view.flags.writeable = False
    return view


def _mismatch(expected: Any, got: Any) -> ValueError:
    return ValueError(
        f"elements differ in structure: {describe(expected)} and {describe(got)} "
        "(each ... is an array or a number)"
    )
