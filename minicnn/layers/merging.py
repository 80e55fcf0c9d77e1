"""Layers with several inputs and one output: sums, products, maxima, and inputs side by side."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn.layers.base import Layer
from minicnn.layers.checks import axis_number, axis_of


class Merging(Layer):
    """A layer that is called on a list of arrays.

    ``forward`` gets the list, ``backward`` returns a list of gradients, one for each.
    """

    least, most = 1, math.inf

    def check_input_shape(self, input_shape: Any) -> None:
        if not isinstance(input_shape, (list, tuple)) or not all(
            isinstance(shape, tuple) for shape in input_shape
        ):
            raise ValueError(
                f"input of layer {self.name!r} ({type(self).__name__}): expected a list of "
                f"arrays, got one of shape {input_shape}"
            )
        if not self.least <= len(input_shape) <= self.most:
            wanted = self.least if self.least == self.most else f"at least {self.least}"
            raise ValueError(
                f"input of layer {self.name!r} ({type(self).__name__}): expected {wanted} arrays, "
                f"got {len(input_shape)}"
            )
        if len({shape[0] for shape in input_shape if shape} - {None}) > 1:
            self.reject(input_shape, "different batch sizes")

    def reject(self, input_shape: Any, why: str) -> None:
        """Raise a ValueError about the shapes of the inputs."""
        raise ValueError(
            f"input of layer {self.name!r} ({type(self).__name__}): cannot merge arrays of shapes "
            f"{', '.join(str(shape) for shape in input_shape)}: {why}"
        )


class Elementwise(Merging):
    """y = f(x_1, ..., x_k), element by element.

    The inputs broadcast against each other: a size of 1 stands for any size, and an input that
    lacks axes gets axes of size 1 after the batch. Where an input was broadcast, its gradient is
    the sum over all the places where it was used.

    A subclass defines ``merge`` and ``merge_backward`` for inputs of one rank.
    """

    def merge(self, xs: list[Any]) -> tuple[Any, Any]:
        """``(y, saved)``."""
        raise NotImplementedError

    def merge_backward(self, dy: Any, saved: Any, k: int) -> list[Any]:
        """The gradients for the k inputs, in the shape of dy."""
        raise NotImplementedError

    def check_input_shape(self, input_shape: Any) -> None:
        super().check_input_shape(input_shape)
        for sizes in zip(*(_padded(shape, input_shape) for shape in input_shape), strict=True):
            if len(set(sizes) - {None, 1}) > 1:
                self.reject(input_shape, f"{' and '.join(str(s) for s in sizes)} differ")

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, *axes = zip(*(_padded(shape, input_shape) for shape in input_shape), strict=True)
        known = [n for n in batch if n is not None]
        sizes = (None if None in axis else max(axis) for axis in axes)
        return (known[0] if known else None, *sizes)

    def forward(self, x: Any, training: bool) -> tuple[Any, Any]:
        shapes = [part.shape for part in x]
        y, saved = self.merge([part.reshape(_padded(part.shape, shapes)) for part in x])
        return y, (saved, shapes)

    def backward(self, dy: Any, saved: Any) -> Any:
        saved, shapes = saved
        return [
            self.ops.sum_to_shape(d, _padded(shape, shapes)).reshape(shape)
            for d, shape in zip(self.merge_backward(dy, saved, len(shapes)), shapes, strict=True)
        ]


def _padded(shape: Any, shapes: list[Any]) -> Any:
    """``shape`` with axes of size 1 after the batch, up to the highest rank among ``shapes``."""
    rank = max(len(other) for other in shapes)
    return (*shape[:1], *(1,) * (rank - len(shape)), *shape[1:])


class Add(Elementwise):
    """y = x_1 + x_2 + ... The gradient of the sum goes to every input: a shortcut.

    >>> import numpy as np
    >>> Add()([np.array([[1, 2]]), np.array([[10, 20]])])
    array([[11., 22.]], dtype=float32)
    """

    def merge(self, xs: list[Any]) -> tuple[Any, Any]:
        return sum(xs[1:], xs[0]), None

    def merge_backward(self, dy: Any, saved: Any, k: int) -> list[Any]:
        return [dy] * k


class Subtract(Elementwise):
    """y = x_1 - x_2.

    >>> import numpy as np
    >>> Subtract()([np.array([[1, 2]]), np.array([[10, 20]])])
    array([[ -9., -18.]], dtype=float32)
    """

    least = most = 2

    def merge(self, xs: list[Any]) -> tuple[Any, Any]:
        return xs[0] - xs[1], None

    def merge_backward(self, dy: Any, saved: Any, k: int) -> list[Any]:
        return [dy, -dy]


class Multiply(Elementwise):
    """y = x_1 x_2 ..., element by element.

    >>> import numpy as np
    >>> Multiply()([np.array([[1, 2]]), np.array([[10, 20]])])
    array([[10., 40.]], dtype=float32)
    """

    def merge(self, xs: list[Any]) -> tuple[Any, Any]:
        return math.prod(xs[1:], start=xs[0]), xs

    def merge_backward(self, dy: Any, saved: Any, k: int) -> list[Any]:
        # Not y / x_i, which fails where x_i is 0.
        xs = saved
        return [math.prod(xs[:i] + xs[i + 1 :], start=dy) for i in range(k)]


class Average(Elementwise):
    """y = (x_1 + ... + x_k) / k.

    >>> import numpy as np
    >>> Average()([np.array([[1, 2]]), np.array([[10, 20]])])
    array([[ 5.5, 11. ]], dtype=float32)
    """

    def merge(self, xs: list[Any]) -> tuple[Any, Any]:
        return sum(xs[1:], xs[0]) / len(xs), None

    def merge_backward(self, dy: Any, saved: Any, k: int) -> list[Any]:
        return [dy / k] * k


class Extremum(Elementwise):
    """y = the best of x_1, x_2, ... The gradient goes to the first input that has it.

    Attributes:
        best: the better one of two.
        beats: where one is better than the other.
    """

    best: Any
    beats: Any

    def merge(self, xs: list[Any]) -> tuple[Any, Any]:
        y, wins = xs[0], []
        for x in xs[1:]:
            wins.append(self.beats(x, y))
            y = self.best(x, y)
        return y, wins

    def merge_backward(self, dy: Any, saved: Any, k: int) -> list[Any]:
        dxs = []
        for won in reversed(saved):  # the last one takes its part, the others share the rest
            dxs.append(dy * won)
            dy = dy * ~won
        return [dy, *reversed(dxs)]


class Maximum(Extremum):
    """y = max(x_1, x_2, ...), element by element; the gradient goes to the first that has it.

    >>> import numpy as np
    >>> Maximum()([np.array([[1, 20]]), np.array([[10, 2]])])
    array([[10., 20.]], dtype=float32)
    """

    best, beats = np.maximum, np.greater


class Minimum(Extremum):
    """y = min(x_1, x_2, ...), element by element; the gradient goes to the first that has it.

    >>> import numpy as np
    >>> Minimum()([np.array([[1, 20]]), np.array([[10, 2]])])
    array([[1., 2.]], dtype=float32)
    """

    best, beats = np.minimum, np.less


class Concatenate(Merging):
    """The inputs side by side: (n, h, w, c_1) and (n, h, w, c_2) -> (n, h, w, c_1 + c_2).

    Args:
        axis: along which, the last by default; all other sizes must agree.
        kwargs: what every layer takes (``name``, ...).

    >>> import numpy as np
    >>> Concatenate()([np.array([[1, 2]]), np.array([[3]])])
    array([[1., 2., 3.]], dtype=float32)
    """

    def __init__(self, axis: int = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axis_number(axis)

    def check_input_shape(self, input_shape: Any) -> None:
        super().check_input_shape(input_shape)
        if len({len(shape) for shape in input_shape}) > 1:
            self.reject(input_shape, "different ranks")
        along = axis_of(self, input_shape[0], self.axis)
        for axis, sizes in enumerate(zip(*input_shape, strict=True)):
            if axis != along and len(set(sizes) - {None}) > 1:
                self.reject(input_shape, f"different sizes on axis {axis}")

    def compute_output_shape(self, input_shape: Any) -> Any:
        along = self.axis % len(input_shape[0])
        columns = list(zip(*input_shape, strict=True))
        return tuple(
            _total(sizes) if axis == along else _agreed(sizes) for axis, sizes in enumerate(columns)
        )

    def forward(self, x: Any, training: bool) -> tuple[Any, Any]:
        return np.concatenate(x, axis=self.axis), [part.shape[self.axis] for part in x]

    def backward(self, dy: Any, saved: Any) -> Any:
        sizes = saved
        return np.split(dy, np.cumsum(sizes[:-1]), axis=self.axis)


def _total(sizes: Any) -> int | None:
    return None if None in sizes else sum(sizes)


def _agreed(sizes: Any) -> int | None:
    return next((size for size in sizes if size is not None), None)


def add(inputs: list[Any], **kwargs: Any) -> Any:
    """``Add(**kwargs)(inputs)``."""
    return Add(**kwargs)(inputs)


def subtract(inputs: list[Any], **kwargs: Any) -> Any:
    """``Subtract(**kwargs)(inputs)``."""
    return Subtract(**kwargs)(inputs)


def multiply(inputs: list[Any], **kwargs: Any) -> Any:
    """``Multiply(**kwargs)(inputs)``."""
    return Multiply(**kwargs)(inputs)


def average(inputs: list[Any], **kwargs: Any) -> Any:
    """``Average(**kwargs)(inputs)``."""
    return Average(**kwargs)(inputs)


def maximum(inputs: list[Any], **kwargs: Any) -> Any:
    """``Maximum(**kwargs)(inputs)``."""
    return Maximum(**kwargs)(inputs)


def minimum(inputs: list[Any], **kwargs: Any) -> Any:
    """``Minimum(**kwargs)(inputs)``."""
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: list[Any], axis: int = -1, **kwargs: Any) -> Any:
    """``Concatenate(axis, **kwargs)(inputs)``."""
    return Concatenate(axis, **kwargs)(inputs)
