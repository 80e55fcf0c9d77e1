"""Images made larger and smaller, on the GPU. See the textbook's file of this name."""

from __future__ import annotations

from typing import Any

from minicnn.backends.cupy import device
from minicnn.backends.numpy.resampling import _check as check_interpolation
from minicnn.shapes import Pair, cropped_size

KERNELS = device.Kernels("resampling")

Shape = tuple[int, ...]


def zero_pad2d(x: Any, padding: tuple[Pair, Pair]) -> Any:
    """x with a border of zeros: (n, h, w, c) -> (n, top + h + bottom, left + w + right, c)."""
    (top, bottom), (left, right) = padding
    n, h, w, c = x.shape
    return _shifted(x, (n, top + h + bottom, left + w + right, c), -top, -left)


def zero_pad2d_backward(dy: Any, padding: tuple[Pair, Pair]) -> Any:
    """dx = dy without the border."""
    return crop2d(dy, padding)


def crop2d(x: Any, cropping: tuple[Pair, Pair]) -> Any:
    """x without its outermost rows and columns.

    Raises:
        ValueError: if nothing is left.
    """
    (top, bottom), (left, right) = cropping
    oh, ow = cropped_size(x.shape[1], top, bottom), cropped_size(x.shape[2], left, right)
    return _shifted(x, (len(x), oh, ow, x.shape[3]), top, left)


def crop2d_backward(dy: Any, x_shape: Shape, cropping: tuple[Pair, Pair]) -> Any:
    """dx = dy, and 0 where the forward cut off."""
    (top, _), (left, _) = cropping
    return _shifted(dy, x_shape, -top, -left)


def _shifted(x: Any, shape: Shape, top: int, left: int) -> Any:
    (x,) = device.ready(x)
    y = device.empty(shape, x.dtype)
    _, oh, ow, c = shape
    _, h, w, _ = x.shape
    for images in device.slices(len(x), max(h * w, oh * ow) * c):
        part = y[images]
        KERNELS.each(
            "shift", x.dtype, part.size, x[images], part, len(part), oh, ow, h, w, c, top, left
        )
    return y


def upsample2d(x: Any, size: Pair, interpolation: str = "nearest") -> Any:
    """x made ``size`` times as high and as wide, by ``"nearest"`` or ``"bilinear"`` interpolation.

    Raises:
        ValueError: if ``interpolation`` is neither.
    """
    check_interpolation(interpolation)
    (x,) = device.ready(x)
    n, h, w, c = x.shape
    y = device.empty((n, h * size[0], w * size[1], c), x.dtype)
    for images in device.slices(n, h * w * size[0] * size[1] * c):
        part = y[images]
        KERNELS.each(interpolation, x.dtype, part.size, x[images], part, len(part), h, w, c, *size)
    return y


def upsample2d_backward(dy: Any, x_shape: Shape, size: Pair, interpolation: str = "nearest") -> Any:
    """dx: a pixel gets back what it gave to each pixel of y, in the same parts."""
    check_interpolation(interpolation)
    (dy,) = device.ready(dy)
    n, h, w, c = x_shape
    dx = device.empty(x_shape, dy.dtype)
    for images in device.slices(n, h * w * size[0] * size[1] * c):
        part = dx[images]
        KERNELS.each(
            f"{interpolation}_backward", dy.dtype, part.size,
            dy[images], part, len(part), h, w, c, *size,
        )  # fmt: skip
    return dx
