"""Windows on images as rows of a matrix, and back: see the textbook's file of this name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minicnn.backends.cupy import device
from minicnn.backends.numpy.windows import Windows as Windows

COLUMN_BYTES = 2**28
"""How much memory the matrix of windows may take at a time (one image may take more)."""

KERNELS = device.Kernels("conv")


def blocks(windows: Windows, images: int, channels: int, itemsize: int) -> Iterator[slice]:
    """The batch in blocks of images whose windows take at most ``COLUMN_BYTES`` as a matrix."""
    (oh, ow), (kh, kw), (h, w) = windows.count, windows.kernel_size, windows.image
    per_image = max(oh * ow * kh * kw, h * w) * channels
    return device.slices(images, per_image, min(COLUMN_BYTES // itemsize, device.INT_LIMIT))


def geometry(windows: Windows) -> tuple[int, ...]:
    """What the kernels are told: oh, ow, h, w, and after the channels what :func:`steps` gives."""
    return (*windows.count, *windows.image)


def steps(windows: Windows) -> tuple[int, ...]:
    """kh, kw, sh, sw, dh, dw, top, left."""
    (top, _), (left, _) = windows.borders
    return (*windows.kernel_size, *windows.strides, *windows.dilation, top, left)


def are_pixels(windows: Windows) -> bool:
    """Whether every pixel is its own window: a 1x1 kernel without strides."""
    return windows.kernel_size == windows.strides == (1, 1) and windows.count == windows.image


def im2col(x: Any, windows: Windows, first: int, c: int) -> Any:
    """The matrix (n * oh * ow, kh * kw * c) of all windows of ``x``.

    Args:
        x: (n, h, w, channels), in C order.
        first, c: which of the channels: c of them, from ``first`` on.
    """
    n, _, _, channels = x.shape
    (oh, ow), (kh, kw) = windows.count, windows.kernel_size
    if are_pixels(windows) and c == channels:
        return x.reshape(-1, c)
    cols = device.empty((n * oh * ow, kh * kw * c), x.dtype)
    packed = first % 4 == 0 and channels % 4 == 0 and device.packed(c, x, cols)
    grid = (-(-(n * oh * ow) // 8),)
    KERNELS.launch(
        "im2col", x.dtype, grid, (32, 8), x, cols, n * oh * ow, *geometry(windows),
        channels, first, c, *steps(windows), packed,
    )  # fmt: skip
    return cols


def col2im(cols: Any, dx: Any, windows: Windows, first: int, c: int) -> None:
    """dx[..., first : first + c] = the sum, for every pixel, of its entries in ``cols``.

    Args:
        cols: (n * oh * ow, kh * kw * c).
        dx: (n, h, w, channels), written to.
    """
    n, h, w, channels = dx.shape
    packed = first % 4 == 0 and channels % 4 == 0 and device.packed(c, cols, dx)
    count = n * h * w * c // (4 if packed else 1)
    KERNELS.each(
        "col2im", dx.dtype, count, cols, dx, n, *geometry(windows),
        channels, first, c, *steps(windows), packed,
    )  # fmt: skip
