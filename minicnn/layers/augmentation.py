"""Pictures mirrored, shifted, turned and zoomed at random while training. No weights.

A network that has seen each picture a little differently in every epoch learns what does not depend
on such differences. All but the mirror are affine maps, which say for the new pixel in row r and
column q from which place of the old picture it is taken (``backends/numpy/affine.py``):

    (u, v) = A (r, q, 1),      A a matrix (2, 3), drawn for each picture.

Rows are counted from 0 to h - 1, so the middle of a picture is half-way between these two, in row
(h - 1) / 2; with an even h that is between two rows of pixels. To turn or to stretch the plane
about the middle m = ((h - 1) / 2, (w - 1) / 2), a matrix M (2, 2) is applied to what a place p is
away from it:

    p -> m + M (p - m),      and so      A = [M | m - M m].
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn.backends.numpy.affine import FILL_MODES, INTERPOLATIONS
from minicnn.layers.pictures import RandomPictureLayer, bounds
from minicnn.validation import choice, number

MODES = ("horizontal", "vertical", "horizontal_and_vertical")


class RandomFlip(RandomPictureLayer):
    """While training, every second picture, by chance, is mirrored.

    Args:
        mode: ``"horizontal"`` (left and right change places), ``"vertical"`` (top and bottom), or
            ``"horizontal_and_vertical"`` (both at once, which is a turn by 180 degrees).
        seed: of the random numbers; by default a new one from the global seed.
        data_format: ``None`` or ``"channels_last"``.
        kwargs: what every layer takes (``name``, ``input_shape``, ...).

    >>> flip = RandomFlip("horizontal", seed=4)
    >>> x = np.array([1.0, 2.0, 3.0]).reshape(1, 1, 3, 1)
    >>> flip(x, training=True).ravel(), flip(x, training=False).ravel()
    (array([3., 2., 1.], dtype=float32), array([1., 2., 3.], dtype=float32))
    """

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        choice(mode, "mode", MODES)
        self.mode = mode

    def augment(self, x: Any) -> tuple[Any, Any]:
        flipped = self.draw((len(x), 1, 1, 1)) <= 0.5
        return self._where(flipped, x), flipped

    def augment_backward(self, dy: Any, saved: Any) -> Any:
        return self._where(saved, dy)  # flipped twice, a picture is what it was

    def _where(self, flipped: Any, x: Any) -> Any:
        down = slice(None, None, -1 if "vertical" in self.mode else 1)
        across = slice(None, None, -1 if "horizontal" in self.mode else 1)
        return np.where(flipped, x[:, down, across], x)


class RandomAffine(RandomPictureLayer):
    """An affine map, drawn for each picture by the subclass.

    Args:
        fill_mode: how the picture goes on beyond its border: ``"constant"``, ``"nearest"``,
            ``"reflect"`` or ``"wrap"``.
        interpolation: what it is between its pixels: ``"nearest"`` or ``"bilinear"``.
        fill_value: what is beyond the border if that is ``"constant"``.
        kwargs: what every layer of this kind takes.
    """

    def __init__(self, *, fill_mode: str, interpolation: str, fill_value: float, **kwargs: Any):
        super().__init__(**kwargs)
        choice(fill_mode, "fill_mode", FILL_MODES)
        choice(interpolation, "interpolation", INTERPOLATIONS)
        self.fill_mode, self.interpolation = fill_mode, interpolation
        self.fill_value = number(fill_value, "fill_value")

    def matrices(self, n: int, h: int, w: int) -> Any:
        """A (n, 2, 3), for n pictures of h x w pixels."""
        raise NotImplementedError(f"{type(self).__name__} does not define matrices(n, h, w)")

    def augment(self, x: Any) -> tuple[Any, Any]:
        n, h, w, _ = x.shape
        A = self.matrices(n, h, w)
        y = self.ops.affine2d(x, A, (h, w), self.interpolation, self.fill_mode, self.fill_value)
        return y, A

    def augment_backward(self, dy: Any, saved: Any) -> Any:
        A = saved
        return self.ops.affine2d_backward(dy, A, dy.shape, self.interpolation, self.fill_mode)

    def between(self, first: Any, last: Any, u: Any) -> Any:
        """A = first + u (last - first): for u from 0 to 1, from one matrix to the other."""
        return self.on_floor(first) + u * self.on_floor(np.subtract(last, first))


class RandomRotation(RandomAffine):
    """While training, each picture is turned about its middle m by an angle t, drawn for it:

        A = [R | m - R m],      R = [[ cos t, sin t],
                                     [-sin t, cos t]].

    A turns new places clockwise into old ones, as rows are counted downwards; so for t > 0 the
    picture itself turns counterclockwise.

    Args:
        factor: t is between 2 pi times the two numbers; one number f stands for -f and f.
        fill_mode, interpolation, fill_value: see :class:`RandomAffine`.
        seed: of the random numbers; by default a new one from the global seed.
        data_format: ``None`` or ``"channels_last"``.
        kwargs: what every layer takes (``name``, ``input_shape``, ...).

    >>> quarter = RandomRotation((0.25, 0.25))
    >>> x = np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 2, 2, 1)
    >>> quarter(x, training=True)[0, :, :, 0].round(3)
    array([[2., 4.],
           [1., 3.]], dtype=float32)
    """

    def __init__(
        self,
        factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            fill_mode=fill_mode, interpolation=interpolation, fill_value=fill_value,
            seed=seed, data_format=data_format, **kwargs,
        )  # fmt: skip
        self.factor = bounds(factor, "factor")

    def matrices(self, n: int, h: int, w: int) -> Any:
        low, high = self.factor
        t = 2 * math.pi * (low + (high - low) * self.draw((n, 1, 1)))
        row, column = middle(h, w)
        # A = [0 | m] + cos t [I | -m] + sin t [J | -J m],  J = [[0, 1], [-1, 0]]
        of_cosine = self.on_floor([[1, 0, -row], [0, 1, -column]])
        of_sine = self.on_floor([[0, 1, -column], [-1, 0, row]])
        rest = self.on_floor([[0, 0, row], [0, 0, column]])
        return np.cos(t) * of_cosine + np.sin(t) * of_sine + rest


class RandomTranslation(RandomAffine):
    """While training, each picture is shifted by d, drawn for it: A = [I | -d].

    Args:
        height_factor: d is between these two parts of the height, downwards where positive; one
            number f stands for -f and f.
        width_factor: the same for the width, to the right.
        fill_mode, interpolation, fill_value: see :class:`RandomAffine`.
        seed: of the random numbers; by default a new one from the global seed.
        data_format: ``None`` or ``"channels_last"``.
        kwargs: what every layer takes (``name``, ``input_shape``, ...).

    >>> right = RandomTranslation(0, (0.25, 0.25), fill_mode="constant")
    >>> right(np.arange(1, 5).reshape(1, 1, 4, 1), training=True).ravel()
    array([0., 1., 2., 3.], dtype=float32)
    """

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            fill_mode=fill_mode, interpolation=interpolation, fill_value=fill_value,
            seed=seed, data_format=data_format, **kwargs,
        )  # fmt: skip
        self.height_factor, self.width_factor = height_factor, width_factor
        self._ends()

    def _ends(self) -> Any:
        """The least part of both sizes, and the greatest."""
        down = bounds(self.height_factor, "height_factor")
        return zip(down, bounds(self.width_factor, "width_factor"), strict=True)

    def matrices(self, n: int, h: int, w: int) -> Any:
        first, last = ([[1, 0, -h * down], [0, 1, -w * across]] for down, across in self._ends())
        return self.between(first, last, self.draw((n, 2, 1)))


class RandomZoom(RandomAffine):
    """While training, each picture is stretched or shrunk about its middle m:

        A = [Z | m - Z m],      Z = [[z_row, 0], [0, z_column]],

    with z = 1 + f, f drawn for it. At f = 1 the new picture shows twice as much of the plane, and
    all in it is half as large; at f = -1/2 it is twice as large.

    Args:
        height_factor: f is between these two numbers, along the height; one number stands for its
            negative and itself. More than -1, and at most 1.
        width_factor: the same for the width; ``None`` for the f of the height, which keeps the
            picture's proportions.
        fill_mode, interpolation, fill_value: see :class:`RandomAffine`.
        seed: of the random numbers; by default a new one from the global seed.
        data_format: ``None`` or ``"channels_last"``.
        kwargs: what every layer takes (``name``, ``input_shape``, ...).

    >>> wide = RandomZoom(0, (-0.5, -0.5))
    >>> wide(np.arange(4).reshape(1, 1, 4, 1), training=True).ravel()
    array([0.75, 1.25, 1.75, 2.25], dtype=float32)
    """

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            fill_mode=fill_mode, interpolation=interpolation, fill_value=fill_value,
            seed=seed, data_format=data_format, **kwargs,
        )  # fmt: skip
        self.height_factor, self.width_factor = height_factor, width_factor
        self._ends()

    def _ends(self) -> Any:
        """The least f along both axes, and the greatest."""
        down = across = bounds(self.height_factor, "height_factor", "(-1, 1]")
        if self.width_factor is not None:
            across = bounds(self.width_factor, "width_factor", "(-1, 1]")
        return zip(down, across, strict=True)

    def matrices(self, n: int, h: int, w: int) -> Any:
        row, column = middle(h, w)
        first, last = (
            [[1 + down, 0, -down * row], [0, 1 + across, -across * column]]
            for down, across in self._ends()
        )
        # One number for both rows of the matrix, or one for each.
        return self.between(first, last, self.draw((n, 1 if self.width_factor is None else 2, 1)))


def middle(h: int, w: int) -> tuple[float, float]:
    """((h - 1) / 2, (w - 1) / 2)."""
    return (h - 1) / 2, (w - 1) / 2
