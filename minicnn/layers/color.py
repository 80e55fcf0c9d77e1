"""Contrast and brightness of pictures changed at random while training. No weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.layers.pictures import RandomPictureLayer, bounds, two_numbers


class RandomContrast(RandomPictureLayer):
    """While training, in each picture all numbers go away from their channel's mean, or near it:

        y = clip(f (x - mean) + mean, *value_range),

    with a factor f that is drawn for the picture, and the mean over its pixels.

    Args:
        factor: two numbers a <= b from 0 to 1; f is between 1 - a and 1 + b. One number b stands
            for 0 and b, as Keras 3 takes it (while it says that the number stands for both).
        value_range: the least and the greatest number that a pixel can have.
        seed: of the random numbers; by default a new one from the global seed.
        kwargs: what every layer takes (``name``, ``input_shape``, ...).

    >>> more = RandomContrast((0, 1), seed=1)
    >>> more(np.array([100, 140]).reshape(1, 1, 2, 1), training=True).ravel().round(1)
    array([ 82.2, 157.8], dtype=float32)
    """

    def __init__(
        self, factor: Any, value_range: Any = (0, 255), seed: int | None = None, **kwargs: Any
    ):
        super().__init__(seed=seed, **kwargs)
        self.factor = bounds(factor, "factor", "[0, 1]")
        self.value_range = two_numbers(value_range, "value_range")

    def augment(self, x: Any) -> tuple[Any, Any]:
        less, more = self.factor
        f = 1 - less + (less + more) * self.draw((len(x), 1, 1, 1), x.dtype)
        mean = x.mean(axis=(1, 2), keepdims=True)
        y = np.clip(f * (x - mean) + mean, *self.value_range)
        return y, (f, y)

    def augment_backward(self, dy: Any, saved: Any) -> Any:
        f, y = saved
        dz = dy * _inside(y, self.value_range)
        # Each x is in z by itself, f times, and in the mean, of which z has 1 - f.
        return f * dz + (1 - f) * dz.mean(axis=(1, 2), keepdims=True)


class RandomBrightness(RandomPictureLayer):
    """While training, to all numbers of a picture the same is added:

        y = clip(x + f (high - low), low, high),      low, high = value_range,

    with an f that is drawn for the picture.

    Args:
        factor: f is between these two numbers, from -1 to 1; one number f stands for -f and f.
        value_range: the least and the greatest number that a pixel can have.
        seed: of the random numbers; by default a new one from the global seed.
        kwargs: what every layer takes (``name``, ``input_shape``, ...).

    >>> lighter = RandomBrightness((0.2, 0.2))
    >>> lighter(np.array([0, 100, 250]).reshape(1, 1, 3, 1), training=True).ravel()
    array([ 51., 151., 255.], dtype=float32)
    """

    def __init__(
        self, factor: Any, value_range: Any = (0, 255), seed: int | None = None, **kwargs: Any
    ):
        super().__init__(seed=seed, **kwargs)
        self.factor = bounds(factor, "factor")
        self.value_range = two_numbers(value_range, "value_range")

    def augment(self, x: Any) -> tuple[Any, Any]:
        (least, greatest), (low, high) = self.factor, self.value_range
        f = least + (greatest - least) * self.draw((len(x), 1, 1, 1), x.dtype)
        y = np.clip(x + f * (high - low), low, high)
        return y, y

    def augment_backward(self, dy: Any, saved: Any) -> Any:
        y = saved
        return dy * _inside(y, self.value_range)


def _inside(y: Any, value_range: tuple[float, float]) -> Any:
    """Where nothing was cut off."""
    low, high = value_range
    return (y > low) & (y < high)
