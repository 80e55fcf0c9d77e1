"""Pictures through an affine map, on the GPU. See the textbook's file of this name."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.backends.cupy import device
from minicnn.backends.numpy.affine import FILL_MODES, check_modes
from minicnn.shapes import Pair

KERNELS = device.Kernels("affine")

Shape = tuple[int, ...]


def affine2d(
    x: Any,
    A: Any,
    size: Pair,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0.0,
) -> Any:
    """y[r, q] = x(A (r, q, 1)).

    Args:
        x: images (n, h, w, c).
        A: (n, 2, 3), or (1, 2, 3) for all images.
        size: (oh, ow), of the new images.
        interpolation: ``"nearest"`` or ``"bilinear"``.
        fill_mode: ``"constant"``, ``"nearest"``, ``"reflect"`` or ``"wrap"``.
        fill_value: what is beyond the border if that is ``"constant"``.

    Returns:
        y: (n, oh, ow, c), of the dtype of x.

    Raises:
        ValueError: if ``interpolation`` or ``fill_mode`` is none of these.
    """
    check_modes(interpolation, fill_mode)
    (x,) = device.ready(x)
    y = device.empty((len(x), *size, x.shape[3]), x.dtype)
    _run("affine", y.size, x, A, y, x.shape, y.shape, interpolation, fill_mode, float(fill_value))
    return y


def affine2d_backward(
    dy: Any,
    A: Any,
    x_shape: Shape,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
) -> Any:
    """dx: a pixel gets back what it gave to each pixel of y, in the same parts."""
    check_modes(interpolation, fill_mode)
    (dy,) = device.ready(dy)
    dx = device.empty(x_shape, dy.dtype)
    threads = len(dy) * dy.shape[3]
    _run("affine_backward", threads, dy, A, dx, x_shape, dy.shape, interpolation, fill_mode)
    return dx


def _run(
    kernel: str, threads: int, given: Any, A: Any, result: Any, x_shape: Shape, y_shape: Shape,
    interpolation: str, fill_mode: str, *more: float,
) -> None:  # fmt: skip
    """Run a kernel with so many threads, for as many images at a time as 32 bits can count."""
    (n, h, w, c), (_, oh, ow, _) = x_shape, y_shape
    A = device.contiguous(A, np.float64)
    modes = interpolation == "bilinear", FILL_MODES.index(fill_mode)
    for images in device.slices(n, max(h * w, oh * ow) * c):
        part = result[images]
        of_images = A[images] if len(A) == n else A
        KERNELS.each(
            kernel, given.dtype, threads // n * len(part), given[images], of_images, part,
            len(part), len(of_images), oh, ow, h, w, c, *modes, *more,
        )  # fmt: skip
