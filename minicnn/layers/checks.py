"""Checks of arguments and of input shapes that several layers make."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from minicnn.configurable import dtype_name


def sizes(shape: Any, name: str) -> tuple[int | None, ...]:
    """``shape`` as a tuple of positive ints, or ``None`` for a size that is not known.

    Raises:
        TypeError: if it is no such tuple or list.
        ValueError: if a size is less than 1.

    >>> sizes([None, 28, 28], "shape")
    (None, 28, 28)
    """
    try:
        result = tuple(None if size is None else operator.index(size) for size in shape)
    except TypeError:
        raise TypeError(f"{name}: expected a tuple of sizes, got {shape!r}") from None
    if any(size is not None and size < 1 for size in result):
        raise ValueError(f"{name}: expected positive sizes or None, got {shape!r}")
    return result


def kept_dtype(value: Any) -> str | None:
    """The dtype for a layer whose dtype policy in Keras is ``value``.

    Raises:
        ValueError: if there is no such dtype here.

    >>> kept_dtype("float64")
    'float64'
    """
    name = dtype_name(value)
    if name in ("mixed_float16", "mixed_bfloat16", "bfloat16"):
        warnings.warn(f"dtype: {name} is computed in float32 here", stacklevel=2)
        return "float32"
    if name not in (None, "float16", "float32", "float64"):
        raise ValueError(f"dtype: expected float32, float64 or float16, got {name!a}")
    return name


def channels_last(data_format: Any) -> str:
    """The only layout there is.

    Raises:
        ValueError: if ``data_format`` is anything but ``None`` or ``"channels_last"``.

    >>> channels_last(None)
    'channels_last'
    """
    if data_format not in (None, "channels_last"):
        raise ValueError(
            'data_format: expected None or "channels_last", got '
            f"{data_format!r}: images are (batch, height, width, channels) everywhere here (NHWC)"
        )
    return "channels_last"


def axis_number(value: Any, name: str = "axis") -> int:
    """``value`` as an int, negative ones allowed.

    Raises:
        TypeError: if it is not one.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name}: expected an int, got {value!r}")
    return int(value)


def axis_of(layer: Any, input_shape: Any, axis: int) -> int:
    """``axis`` counted from the front, for an input of ``layer``.

    Raises:
        ValueError: if the input has no such axis.
    """
    rank = len(input_shape)
    if not -rank <= axis < rank:
        raise ValueError(
            f"axis of layer {layer.name!r} ({type(layer).__name__}): expected at least {-rank} and "
            f"less than {rank} for an input of shape {input_shape}, got {axis}"
        )
    return axis % rank


def axes_of(layer: Any, input_shape: Any, axes: Iterable[int]) -> tuple[int, ...]:
    """Several axes in order, counted from the front, for an input of ``layer``.

    Raises:
        ValueError: if the input has no such axis, or one is named twice.
    """
    found = tuple(sorted(axis_of(layer, input_shape, axis) for axis in axes))
    if len(set(found)) < len(found):
        raise ValueError(
            f"axis of layer {layer.name!r} ({type(layer).__name__}): {axes} names an axis twice, "
            f"for an input of shape {input_shape}"
        )
    return found


def check_size(layer: Any, input_shape: Any, axis: int, what: str, size: int | None = None) -> None:
    """Raise a ValueError unless an input's size along ``axis`` is known and, where ``size`` is
    given (the layer is built), equal to it. ``what`` names the axis: "channels", "features"."""
    got = input_shape[axis]
    if got is None or (size is not None and got != size):
        wanted = f"{size} {what}" if size is not None else f"a known number of {what}"
        raise ValueError(
            f"input of layer {layer.name!r} ({type(layer).__name__}): expected {wanted}, got "
            f"{got} in shape {input_shape}"
        )
