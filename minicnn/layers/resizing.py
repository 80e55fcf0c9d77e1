"""Pictures brought to one size: resized, or cut out of larger ones. No weights.

Each layer here takes a box of the picture and resizes it, both as an affine map
(``backends/numpy/affine.py``). A pixel is a small square with its middle at a whole number. Where n
pixels become m, the new one r has its middle at (r + 1/2) n / m of the way, counted from the
outermost edge, which is half a pixel before the first middle; so it is taken from

    u = (r + 1/2) n / m - 1/2 = (n / m) r + (n / m - 1) / 2.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.backends.numpy.affine import INTERPOLATIONS
from minicnn.layers.pictures import PictureLayer, batch, in_training
from minicnn.random import SeedGenerator
from minicnn.shapes import Pair, positive_int
from minicnn.validation import choice, number

Box = tuple[int, int, int, int]


class Framing(PictureLayer):
    """A box of each picture, resized to height x width: (n, h, w, c) -> (n, height, width, c).

    Args:
        height, width: of the new pictures.
        kwargs: what every layer of this kind takes.
    """

    interpolation = "bilinear"
    fill_value = 0.0

    def __init__(self, *, height: int, width: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.height, self.width = positive_int(height, "height"), positive_int(width, "width")

    def box(self, h: int, w: int) -> Box:
        """``(top, left, height, width)``: what is taken of h x w pixels. It may reach beyond."""
        raise NotImplementedError(f"{type(self).__name__} does not define box(h, w)")

    def compute_output_shape(self, input_shape: Any) -> Any:
        *n, _, _, c = input_shape
        return (*n, self.height, self.width, c)

    def forward(self, x: Any, training: bool | None) -> tuple[Any, Any]:
        y, saved = batch(x), []
        for step in self.steps(*x.shape[-3:-1]):
            saved.append((step, y.shape))
            A, size, how, fill_mode = step
            y = self.ops.affine2d(y, A, size, how, fill_mode, self.fill_value)
        return y.reshape(self.compute_output_shape(x.shape)), (saved, x.shape)

    def backward(self, dy: Any, saved: Any) -> Any:
        steps, x_shape = saved
        dx = batch(dy)
        for (A, _, how, fill_mode), shape in reversed(steps):
            dx = self.ops.affine2d_backward(dx, A, shape, how, fill_mode)
        return dx.reshape(x_shape)

    def steps(self, h: int, w: int) -> list[tuple[Any, Pair, str, str]]:
        """The maps that are needed, as ``affine2d`` takes them: A, size, interpolation, fill_mode.

        The box is cut out first, so that its border is the border when it is resized.
        """
        top, left, height, width = self.box(h, w)
        steps = []
        if (top, left, height, width) != (0, 0, h, w):
            A = [[1, 0, top], [0, 1, left]]
            steps.append((self.on_floor(A)[None], (height, width), "nearest", "constant"))
        if (height, width) != (self.height, self.width):
            (a, s), (b, t) = (
                scaling(n, m, self.interpolation)
                for n, m in ((height, self.height), (width, self.width))
            )
            A = self.on_floor([[a, 0, s], [0, b, t]])[None]
            steps.append((A, (self.height, self.width), self.interpolation, "nearest"))
        return steps


def scaling(n: int, m: int, interpolation: str) -> tuple[float, float]:
    """``(a, s)`` of u = a r + s, where n pixels become m.

    The places u are multiples of 1 / 2m, and so is the edge between two pixels. For "nearest" they
    are shifted by 1 / 4m: a place on an edge goes to the upper pixel, as in Keras, however it is
    rounded, and no other one comes to lie on the other side of an edge.

    >>> scaling(2, 4, "bilinear")
    (0.5, -0.25)
    """
    a = n / m
    return a, (a - 1) / 2 + (1 / (4 * m) if interpolation == "nearest" else 0)


class Resizing(Framing):
    """Pictures of another size: (n, h, w, c) -> (n, height, width, c).

    Args:
        height, width: of the new pictures.
        interpolation: ``"bilinear"`` or ``"nearest"``. Of pictures that become much smaller both
            look at few of the pixels only.
        crop_to_aspect_ratio: keep the proportions, and cut off at both sides what does not fit.
        pad_to_aspect_ratio: keep the proportions, and put ``fill_value`` at both sides.
        fill_mode: ``"constant"``, as in Keras.
        fill_value: what is put there.
        antialias: ``False``; there is nothing else here.
        data_format: ``None`` or ``"channels_last"``.
        kwargs: what every layer takes (``name``, ``input_shape``, ...).

    Raises:
        ValueError, TypeError: if an argument is wrong.

    >>> x = np.array([0.0, 4.0]).reshape(1, 1, 2, 1)
    >>> Resizing(1, 4)(x).ravel(), Resizing(1, 4, "nearest")(x).ravel()
    (array([0., 1., 3., 4.], dtype=float32), array([0., 0., 4., 4.], dtype=float32))
    """

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(height=height, width=width, data_format=data_format, **kwargs)
        choice(interpolation, "interpolation", INTERPOLATIONS)
        choice(fill_mode, "fill_mode", ("constant",))
        choice(antialias, "antialias", (False,))
        if crop_to_aspect_ratio and pad_to_aspect_ratio:
            raise ValueError(
                "crop_to_aspect_ratio, pad_to_aspect_ratio: expected at most one of them, got both"
            )
        self.interpolation, self.fill_mode, self.antialias = interpolation, fill_mode, False
        self.crop_to_aspect_ratio = bool(crop_to_aspect_ratio)
        self.pad_to_aspect_ratio = bool(pad_to_aspect_ratio)
        self.fill_value = number(fill_value, "fill_value")

    def box(self, h: int, w: int) -> Box:
        if self.crop_to_aspect_ratio:
            return largest_box(h, w, self.height, self.width)
        if self.pad_to_aspect_ratio:
            # The least frame of the new proportions that holds the picture.
            above = (max(h, w * self.height // self.width) - h) // 2
            before = (max(w, h * self.width // self.height) - w) // 2
            return -above, -before, h + 2 * above, w + 2 * before
        return 0, 0, h, w


class CenterCrop(Framing):
    """The middle of each picture: (n, h, w, c) -> (n, height, width, c).

    Of a picture that is smaller than that, the largest box of the new proportions is resized.

    Args:
        height, width: of the new pictures.
        data_format: ``None`` or ``"channels_last"``.
        kwargs: what every layer takes (``name``, ``input_shape``, ...).

    >>> CenterCrop(1, 2)(np.arange(4).reshape(1, 1, 4, 1)).ravel()
    array([1., 2.], dtype=float32)
    """

    def __init__(self, height: int, width: int, data_format: str | None = None, **kwargs: Any):
        super().__init__(height=height, width=width, data_format=data_format, **kwargs)

    def box(self, h: int, w: int) -> Box:
        if h >= self.height and w >= self.width:
            return (h - self.height) // 2, (w - self.width) // 2, self.height, self.width
        return largest_box(h, w, self.height, self.width)


class RandomCrop(Framing):
    """While training, a box of height x width from a place that is drawn anew for each batch.

    In inference, and where the pictures are not larger than that along both axes, it is the largest
    box of the new proportions, from the middle, which is resized. (So say the documents of Keras,
    too; its code leaves pictures as they are in inference.)

    Args:
        height, width: of the new pictures.
        seed: of the random numbers; by default a new one from the global seed.
        data_format: ``None`` or ``"channels_last"``.
        kwargs: what every layer takes (``name``, ``input_shape``, ...).

    >>> crop = RandomCrop(1, 2, seed=0)
    >>> x = np.arange(20).reshape(2, 1, 10, 1).repeat(3, axis=1)
    >>> crop(x, training=True)[:, 0, :, 0]
    array([[ 7.,  8.],
           [17., 18.]], dtype=float32)
    """

    def __init__(
        self,
        height: int,
        width: int,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(height=height, width=width, data_format=data_format, **kwargs)
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)

    def box(self, h: int, w: int) -> Box:
        return largest_box(h, w, self.height, self.width)

    def forward(self, x: Any, training: bool | None) -> tuple[Any, Any]:
        h, w = x.shape[-3:-1]
        if not in_training(training) or h <= self.height or w <= self.width:
            return super().forward(x, training)
        u = self.ops.random_uniform((1, 2, 1), *self.seed_generator.next(), np.float64)
        # The first row and column: whole numbers from 0 to h - height and to w - width.
        places = self.on_floor([[0, 0, h - self.height + 1], [0, 0, w - self.width + 1]])
        A, size = np.floor(u * places) + self.on_floor(np.eye(2, 3)), (self.height, self.width)
        pictures = batch(x)
        y = self.ops.affine2d(pictures, A, size, "nearest")
        saved = [((A, size, "nearest", "constant"), pictures.shape)]
        return y.reshape(self.compute_output_shape(x.shape)), (saved, x.shape)


def largest_box(h: int, w: int, height: int, width: int) -> Box:
    """The largest box in the middle of h x w pixels that is height : width in its proportions.

    >>> largest_box(10, 6, 2, 2)
    (2, 0, 6, 6)
    """
    box_height = max(1, min(h, w * height // width))
    box_width = max(1, min(w, h * width // height))
    return (h - box_height) // 2, (w - box_width) // 2, box_height, box_width
