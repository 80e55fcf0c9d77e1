"""Scaling inputs to a range that suits a network."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from minicnn.backend import epsilon, floor_of
from minicnn.layers.base import Layer
from minicnn.layers.checks import axes_of, axis_number, check_size
from minicnn.validation import number
from minicnn.variables import Variable

# So many samples of an array are looked at together: their squares take memory.
_TOGETHER = 1024


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


class Normalization(Layer):
    """y = (x - mean) / max(sqrt(variance), 1e-7), with the mean and variance of the data.

    They are learned from data before the training, by :meth:`adapt`, and kept with the weights; or
    they are given. Until then the mean is 0 and the variance 1.

    Args:
        axis: along which each index has a mean and a variance of its own: an int, several, or
            ``None`` for one mean and variance of everything. The channels by default.
        mean, variance: the two, if they are known: numbers, or arrays that broadcast to the sizes
            of those axes.
        invert: the way back, y = mean + x max(sqrt(variance), 1e-7).
        kwargs: what every layer takes (``name``, ``input_shape``, ...).

    Attributes:
        input_mean, input_variance: as given.

    Raises:
        ValueError, TypeError: if an argument or the input's shape is wrong.

    >>> import numpy as np
    >>> layer = Normalization()
    >>> layer.adapt(np.array([[0.0, 10.0], [2.0, 30.0]]))
    >>> layer(np.array([[2.0, 20.0]]))
    array([[1., 0.]], dtype=float32)
    """

    def __init__(
        self,
        axis: Any = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        axes = () if axis is None else axis if isinstance(axis, (list, tuple)) else (axis,)
        self.axis = tuple(axis_number(one) for one in axes)
        if (mean is None) != (variance is None):
            raise ValueError(
                f"mean, variance: expected both or neither, got {mean!r} and {variance!r}"
            )
        self.input_mean = None if mean is None else _number_or_array(mean, "mean")
        self.input_variance = None if mean is None else _number_or_array(variance, "variance")
        if np.shape(self.input_mean) != np.shape(self.input_variance):
            raise ValueError(
                f"mean, variance: expected one shape, got {np.shape(mean)} and {np.shape(variance)}"
            )
        if mean is not None and np.min(self.input_variance) < 0:
            raise ValueError(f"variance: expected no negative number, got {variance!r}")
        self.invert = bool(invert)
        self.adapt_mean: Variable | None = None
        self.adapt_variance: Variable | None = None
        self.count: Variable | None = None
        self._given: list[Any] = []

    def argument_value(self, name: str) -> Any:
        return getattr(self, f"input_{name}" if name in ("mean", "variance") else name)

    @property
    def mean(self) -> np.ndarray | None:
        """The mean in use, so that it broadcasts against an input; ``None`` before any is known."""
        return self.ops.to_numpy(self._statistics(self._built_for)[0]) if self.built else None

    @property
    def variance(self) -> np.ndarray | None:
        """The variance in use, in the same form."""
        return self.ops.to_numpy(self._statistics(self._built_for)[1]) if self.built else None

    def check_input_shape(self, input_shape: Any) -> None:
        axes = axes_of(self, input_shape, self.axis)
        known = self._sizes if self.built else [None] * len(axes)
        for axis, size in zip(axes, known, strict=True):
            check_size(self, input_shape, axis, f"elements on axis {axis}", size)

    def build(self, input_shape: Any) -> None:
        self._built_for = input_shape
        self._sizes = tuple(input_shape[axis] for axis in axes_of(self, input_shape, self.axis))
        if self.input_mean is None:
            self.adapt_mean = self.add_weight(self._sizes, "zeros", "mean", trainable=False)
            self.adapt_variance = self.add_weight(self._sizes, "ones", "variance", trainable=False)
            # Keras has it in its files; neither library counts anything in it.
            self.count = self.add_weight((), "zeros", "count", trainable=False, dtype="int32")
            return
        self._given = []
        for name, value in (("mean", self.input_mean), ("variance", self.input_variance)):
            try:
                whole = np.broadcast_to(value, self._sizes)
            except ValueError:
                raise ValueError(
                    f"{name} of layer {self.name!r} (Normalization): an array of shape "
                    f"{np.shape(value)} does not broadcast to {self._sizes}, the sizes of axis "
                    f"{self.axis} of an input of shape {input_shape}"
                ) from None
            self._given.append(self._bind_ops().asarray(whole, self.dtype))

    def adapt(self, data: Any) -> None:
        """Take mean and variance from data, in place of what they were.

        Args:
            data: an array; or what yields batches, each an array or a tuple (x, y) of which x
                counts: a list, a ``Dataset``, a ``PyDataset``, a generator. It must end.

        Raises:
            TypeError: if it is neither, or does not hold numbers.
            ValueError: if there is nothing in it, a batch has another shape, or the layer was told
                its mean and variance.

        Batch by batch, with m and v of n numbers more, of then N (Chan et al., 1979, Updating
        formulae and a pairwise algorithm for computing sample variances)::

            mean_new     = mean + n/N (m - mean)
            variance_new = variance + n/N (v - variance + (m - mean) (m - mean_new))
        """
        if self.input_mean is not None:
            raise ValueError(
                f"adapt of layer {self.name!r}: mean and variance were given, there is nothing to "
                "learn; leave them out"
            )
        count, mean, variance = 0, 0.0, 0.0
        for x in _batches(data, self.axis):
            if x.dtype.kind not in "buif":
                raise TypeError(f"data: expected numbers, got an array of {x.dtype}")
            self.ensure_built(x.shape)
            axes = axes_of(self, x.shape, self.axis)
            others = tuple(axis for axis in range(x.ndim) if axis not in axes)
            n = math.prod(x.shape[axis] for axis in others)
            if n:
                m, v = x.mean(others, np.float64), x.var(others, np.float64)
                count += n
                old, mean = mean, mean + n / count * (m - mean)
                variance = variance + n / count * (v - variance + (m - old) * (m - mean))
        if not count:
            raise ValueError(f"data: layer {self.name!r} needs at least one sample, got none")
        self.adapt_mean.assign(mean)
        self.adapt_variance.assign(variance)

    def forward(self, x: Any, training: bool) -> tuple[Any, Any]:
        mean, variance = (part.astype(x.dtype, copy=False) for part in self._statistics(x.shape))
        deviation = np.maximum(np.sqrt(variance), epsilon())
        return mean + x * deviation if self.invert else (x - mean) / deviation, deviation

    def backward(self, dy: Any, saved: Any) -> Any:
        deviation = saved
        return dy * deviation if self.invert else dy / deviation

    def _statistics(self, shape: Any) -> list[Any]:
        """Mean and variance, so that they broadcast against an input of this shape."""
        sizes = [1] * len(shape)
        for axis, size in zip(axes_of(self, shape, self.axis), self._sizes, strict=True):
            sizes[axis] = size
        return [
            part.reshape(sizes)
            for part in self._given or (self.adapt_mean.value, self.adapt_variance.value)
        ]


def _batches(data: Any, kept: tuple[int, ...]) -> Iterator[np.ndarray]:
    """The batches in ``data``. An array is cut into some, unless its first axis is to be kept."""
    if hasattr(data, "shape"):
        data = floor_of(data).to_numpy(data)
        whole = data.ndim == 0 or not len(data) or any(axis % data.ndim == 0 for axis in kept)
        if whole:
            yield data
        else:
            yield from np.split(data, range(_TOGETHER, len(data), _TOGETHER))
        return
    if not hasattr(data, "__iter__"):
        raise TypeError(
            f"data: expected an array or something that yields batches, got {type(data).__name__}"
        )
    for element in data:
        x = element[0] if isinstance(element, tuple) else element
        if not hasattr(x, "shape"):
            raise TypeError(
                f"data: expected an array, or batches that are arrays, got a "
                f"{type(data).__name__} of {type(x).__name__}; write np.array(data)"
            )
        yield floor_of(x).to_numpy(x)


def _as(value: Any, dtype: Any) -> Any:
    return value if isinstance(value, float) else value.astype(dtype, copy=False)


def _number_or_array(value: Any, name: str) -> Any:
    if np.ndim(value) == 0:
        return number(value, name)
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name}: expected a number or an array of numbers, got {value!r}")
    return array
