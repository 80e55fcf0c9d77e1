"""What weights must fulfil: applied to them after each update.

Most constrain a norm: ``|w| = sqrt(sum of w^2)``, taken over ``axis``. For a kernel (in, out) of a
Dense layer, ``axis=0`` means the weights that flow into each unit; for a convolution's kernel
(kh, kw, in, out), ``axis=[0, 1, 2]`` means each filter.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.backend import epsilon
from minicnn.configurable import Configurable, deserialize
from minicnn.registry import lookup
from minicnn.validation import number


class Constraint(Configurable):
    """Base class: a subclass defines ``__call__(w)``, which returns the weights to go on with.

    >>> class Rounded(Constraint):
    ...     def __call__(self, w):
    ...         return np.round(w, 1)
    """

    keras_module = "keras.constraints"

    def __call__(self, w: Any) -> Any:
        """An array like ``w`` that fulfils the constraint."""
        raise NotImplementedError(f"{type(self).__name__} does not define __call__(w)")


class NonNeg(Constraint):
    """w >= 0: negative weights become 0."""

    def __call__(self, w: Any) -> Any:
        return np.maximum(w, 0)


class MinMaxNorm(Constraint):
    """min_value <= |w| <= max_value.

    Each w is scaled by desired / (epsilon + |w|), where, with rate 1, desired is the nearest
    allowed norm. A rate below 1 goes only that part of the way at each update::

        desired = rate clip(|w|, min_value, max_value) + (1 - rate) |w|

    Args:
        min_value, max_value: the bounds.
        rate: between 0 and 1.
        axis: an axis, or a list of axes, over which the norm is taken.

    >>> MinMaxNorm(1.0, 2.0)(np.array([[3.0, 0.3], [4.0, 0.4]])).round(3)
    array([[1.2, 0.6],
           [1.6, 0.8]])
    """

    def __init__(
        self,
        min_value: float = 0.0,
        max_value: float = 1.0,
        rate: float = 1.0,
        axis: int | Sequence[int] = 0,
    ):
        self.min_value = number(min_value, "min_value", "[0, inf)")
        self.max_value = number(max_value, "max_value", f"[{self.min_value}, inf)")
        self.rate = number(rate, "rate", "[0, 1]")
        self.axis = _checked_axis(axis)

    def __call__(self, w: Any) -> Any:
        norm = _norm(w, self.axis)
        desired = np.clip(norm, self.min_value, self.max_value)
        desired = self.rate * desired + (1 - self.rate) * norm
        return w * (desired / (epsilon() + norm))


class MaxNorm(MinMaxNorm):
    """|w| <= max_value: weights that are too long are scaled back.

    >>> MaxNorm(2.0)(np.array([[3.0, 0.3], [4.0, 0.4]])).round(3)
    array([[1.2, 0.3],
           [1.6, 0.4]])
    """

    def __init__(self, max_value: float = 2, axis: int | Sequence[int] = 0):
        super().__init__(max_value=max_value, axis=axis)


class UnitNorm(Constraint):
    """|w| = 1.

    >>> UnitNorm()(np.array([[3.0, 0.3], [4.0, 0.4]])).round(3)
    array([[0.6, 0.6],
           [0.8, 0.8]])
    """

    def __init__(self, axis: int | Sequence[int] = 0):
        self.axis = _checked_axis(axis)

    def __call__(self, w: Any) -> Any:
        return w / (epsilon() + _norm(w, self.axis))


def _norm(w: Any, axis: tuple[int, ...]) -> Any:
    if any(not -w.ndim <= a < w.ndim for a in axis):
        raise ValueError(f"axis: weights of shape {w.shape} have no axes {axis}")
    return np.sqrt(np.sum(np.square(w), axis=axis, keepdims=True))


def get(identifier: Any) -> Any:
    """The constraint that ``identifier`` names.

    Args:
        identifier: a name in any case (``"non_neg"``), a constraint, one of the classes, a function
            f(w), Keras's dict form of one (see ``minicnn.configurable``), or ``None``.

    Raises:
        ValueError: if there is no constraint of that name.
        TypeError: if it is anything else.

    >>> get("UnitNorm").axis
    (0,)
    """
    if identifier is None:
        return None
    if isinstance(identifier, str):
        return lookup(_TABLE, identifier, "constraint")()
    if isinstance(identifier, dict):
        return deserialize(identifier, _TABLE, "keras.constraints", "constraint", Constraint)
    if inspect.isclass(identifier) and issubclass(identifier, Constraint):
        return identifier()
    if callable(identifier):
        return identifier
    raise TypeError(
        "constraint: expected a name such as 'non_neg', a Constraint, a function f(w) or None, "
        f"got {identifier!r}"
    )


def _checked_axis(axis: Any) -> tuple[int, ...]:
    axes = tuple(axis) if isinstance(axis, (list, tuple)) else (axis,)
    if any(isinstance(a, bool) or not isinstance(a, (int, np.integer)) for a in axes):
        raise TypeError(f"axis: expected an int or a list of ints, got {axis!r}")
    return axes


# Keras's second names for the classes, as in ``constraints.max_norm(3)``.
max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm

_TABLE: dict[str, type[Constraint]] = {
    "max_norm": MaxNorm,
    "min_max_norm": MinMaxNorm,
    "non_neg": NonNeg,
    "unit_norm": UnitNorm,
}
