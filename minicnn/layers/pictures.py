"""What the layers that prepare pictures share: drawing at random, and matrices on the floor."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.layers.base import Layer
from minicnn.layers.checks import channels_last
from minicnn.random import SeedGenerator
from minicnn.validation import number


class PictureLayer(Layer):
    """A layer for a batch of pictures (n, h, w, c), or, as in Keras, for a single one (h, w, c).

    Args:
        data_format: ``None`` or ``"channels_last"``.
        kwargs: what every layer takes.
    """

    trains_by_default = True

    def __init__(self, *, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = channels_last(data_format)
        self._constants: dict[bytes, Any] = {}

    def check_input_shape(self, input_shape: Any) -> None:
        if not isinstance(input_shape, tuple) or len(input_shape) not in (3, 4):
            raise ValueError(
                f"input of layer {self.name!r} ({type(self).__name__}): expected rank 4 (batch, "
                f"height, width, channels), or 3 for a single picture, got shape {input_shape}"
            )

    def on_floor(self, A: Any) -> Any:
        """A matrix (2, 3) as an array of the floor: a GPU is given it once, not at each step."""
        A = np.asarray(A, np.float64)
        key = A.tobytes()
        if key not in self._constants:
            self._constants[key] = self._bind_ops().asarray(A)
        return self._constants[key]


class RandomPictureLayer(PictureLayer):
    """Changes each picture at random while training, and lets it pass in inference.

    Called without ``training`` it changes them, too, as in Keras: to look at what it does. A
    subclass says how in :meth:`augment` and :meth:`augment_backward`.

    Args:
        seed: of the random numbers; by default a new one from the global seed.
        kwargs: what every layer takes.
    """

    def __init__(self, *, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)

    def augment(self, x: Any) -> tuple[Any, Any]:
        """``(y, saved)`` for a batch of pictures (n, h, w, c)."""
        raise NotImplementedError(f"{type(self).__name__} does not define augment(x)")

    def augment_backward(self, dy: Any, saved: Any) -> Any:
        """dx, the gradient for the pictures."""
        raise NotImplementedError(f"{type(self).__name__} does not define augment_backward(dy)")

    def forward(self, x: Any, training: bool | None) -> tuple[Any, Any]:
        if not in_training(training):
            return x, None
        y, saved = self.augment(batch(x))
        return y.reshape(x.shape), saved

    def backward(self, dy: Any, saved: Any) -> Any:
        return dy if saved is None else self.augment_backward(batch(dy), saved).reshape(dy.shape)

    def draw(self, shape: tuple[int, ...], dtype: Any = np.float64) -> Any:
        """Uniform numbers from [0, 1): the next page of the layer's stream."""
        seed, step = self.seed_generator.next()
        return self.ops.random_uniform(shape, seed, step, dtype)


def in_training(training: bool | None) -> bool:
    """Whether pictures are to be changed at random: if not told, yes."""
    return training is None or bool(training)


def batch(x: Any) -> Any:
    """A single picture (h, w, c) as a batch of one; a batch as it is."""
    return x.reshape((-1, *x.shape[-3:]))


def bounds(factor: Any, name: str, interval: str = "[-1, 1]") -> tuple[float, float]:
    """The two ends between which a factor is drawn.

    Args:
        factor: both ends, or a number f for -f and f, as far as the interval reaches.
        name: of the argument, for the message.
        interval: in which both must lie.

    Raises:
        TypeError, ValueError: if it is neither, or outside the interval.

    >>> bounds(0.2, "factor"), bounds((0.3, -0.1), "factor"), bounds(0.2, "factor", "[0, 1]")
    ((-0.2, 0.2), (-0.1, 0.3), (0.0, 0.2))
    """
    if isinstance(factor, (list, tuple)):
        return two_numbers(factor, name, interval)
    f = abs(number(factor, name, interval))
    return max(-f, float(interval[1:].partition(",")[0])), f


def two_numbers(values: Any, name: str, interval: str = "(-inf, inf)") -> tuple[float, float]:
    """Two numbers, the smaller one first.

    Raises:
        TypeError, ValueError: if they are no two numbers, or one is outside the interval.
    """
    if not isinstance(values, (list, tuple)):
        raise TypeError(f"{name}: expected two numbers, got {values!r}")
    if len(values) != 2:
        raise ValueError(f"{name}: expected two numbers, got {len(values)}: {values!r}")
    low, high = sorted(number(value, name, interval) for value in values)
    return low, high
