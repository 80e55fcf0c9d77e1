"""Windows on images as rows of a matrix, and back: see the textbook's file of this name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minicnn.backends.cupy import device
from minicnn.backends.numpy.windows import Windows as Windows

COLUMN_BYTES = 2**28
"""How much memory the matrix of windows may take at a time (one image may take more)."""

WINDOWS_A_THREAD = 4
"""For how many windows a thread of im2col works; it divides only once for them."""

MAX_GRID_Y = 65535

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


def along_rows(
    rows: int, columns: int, across: int, columns_a_thread: int = 1
) -> tuple[tuple[int, int], tuple[int, int]]:
    """A block for each row of pixels: ``(grid, block)``, for ``EACH_COLUMN`` and ``EACH_CHANNEL``.

    Args:
        rows: of all images.
        columns: how many pixels a row has.
        across: how many threads the channels of a pixel could employ. They are dealt out to so few
            passes as a block's size allows, all of the same number of threads.
        columns_a_thread: how many pixels a thread gets, about.

    >>> along_rows(64, 32, 8), along_rows(64, 28, 288, 4)
    (((64, 1), (8, 32)), ((64, 7), (144, 1)))
    """
    passes = max(1, -(-across // device.BLOCK))
    x = max(1, -(-across // passes))
    y = max(1, min(device.BLOCK // x, -(-columns // columns_a_thread)))
    return (rows, min(-(-columns // (y * columns_a_thread)), MAX_GRID_Y)), (x, y)


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
    size = kh * kw * c // (4 if packed else 1)
    KERNELS.launch(
        "im2col", x.dtype, *along_rows(n * oh, ow, size, WINDOWS_A_THREAD), x, cols,
        *geometry(windows), channels, first, c, *steps(windows), packed,
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
    KERNELS.launch(
        "col2im", dx.dtype, *along_rows(n * h, w, c // (4 if packed else 1)), cols, dx,
        *geometry(windows), channels, first, c, *steps(windows), packed,
    )  # fmt: skip
