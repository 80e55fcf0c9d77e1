"""Scaling inputs to a range that suits a network."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.layers.base import Layer
from minicnn.validation import number


class Rescaling(Layer):
    """y = scale x + offset. No weights.

    ``Rescaling(1 / 255)`` brings pixels to [0, 1], ``Rescaling(1 / 127.5, offset=-1)`` to [-1, 1].

    Args:
        scale, offset: numbers, or arrays that broadcast against the input (one number a channel).
        kwargs: what every layer takes (``name``, ``input_shape``, ...).

    Raises:
        ValueError: if an array does not broadcast against the input.

    >>> import numpy as np
    >>> Rescaling(1 / 255)(np.array([[0, 255]], dtype=np.uint8))
    array([[0., 1.]], dtype=float32)
    """

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.scale = _number_or_array(scale, "scale")
        self.offset = _number_or_array(offset, "offset")
        self._on_floor: tuple[Any, Any] = (self.scale, self.offset)

    def build(self, input_shape: Any) -> None:
        self._on_floor = tuple(
            value if isinstance(value, float) else self._bind_ops().asarray(value, self.dtype)
            for value in (self.scale, self.offset)
        )

    def check_input_shape(self, input_shape: Any) -> None:
        for name, value in (("scale", self.scale), ("offset", self.offset)):
            sizes = np.shape(value)
            fits = len(sizes) <= len(input_shape) and all(
                mine in (1, size) or size is None
                for mine, size in zip(sizes[::-1], input_shape[::-1], strict=False)
            )
            if not fits:
                raise ValueError(
                    f"{name} of layer {self.name!r} (Rescaling): an array of shape {sizes} does "
                    f"not broadcast against an input of shape {input_shape}"
                )

    def forward(self, x: Any, training: bool) -> tuple[Any, Any]:
        scale, offset = (_as(value, x.dtype) for value in self._on_floor)
        return x * scale + offset, None

    def backward(self, dy: Any, saved: Any) -> Any:
        return dy * _as(self._on_floor[0], dy.dtype)


def _as(value: Any, dtype: Any) -> Any:
    return value if isinstance(value, float) else value.astype(dtype, copy=False)


def _number_or_array(value: Any, name: str) -> Any:
    if np.ndim(value) == 0:
        return number(value, name)
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name}: expected a number or an array of numbers, got {value!r}")
    return array
