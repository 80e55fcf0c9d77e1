"""Pooling on the GPU. See the textbook's file of this name."""

from __future__ import annotations

from typing import Any

from minicnn.backends.cupy import device
from minicnn.backends.cupy.windows import MAX_GRID_Y, Windows, along_rows, geometry
from minicnn.shapes import Pair

KERNELS = device.Kernels("pooling")
SIDE_BY_SIDE = ((2, 2), (3, 3))
"""Sizes of windows for which the kernels have loops with constants, if they lie side by side."""

Shape = tuple[int, ...]


def max_pool2d(x: Any, pool_size: Pair, strides: Pair, padding: str = "valid") -> tuple[Any, Any]:
    """``(y, argmax)``: the maximum of each window, and the tap i * kw + j where it first is.

    ``argmax`` is uint8, or uint32 where the window has more than 256 pixels.

    Raises:
        ValueError: if the window does not fit on the image.
    """
    (x,) = device.ready(x)
    windows = Windows.on(x.shape[1:3], pool_size, strides, padding)
    n, c = len(x), x.shape[3]
    y = device.empty((n, *windows.count, c), x.dtype)
    index = "uint8" if pool_size[0] * pool_size[1] <= 256 else "uint32"
    argmax = device.empty(y.shape, index)
    packed = device.packed(c, x, y, argmax)
    for block in _blocks(windows, n, c):
        _launch(f"max_pool_{index}", windows, packed, y[block], x[block], y[block], argmax[block])
    return y, argmax


def max_pool2d_backward(
    dy: Any, argmax: Any, x_shape: Shape, pool_size: Pair, strides: Pair, padding: str = "valid"
) -> Any:
    """dx = the sum of dy over the windows in which a pixel was the first maximum."""
    return max_pool2d_relu_backward(dy, None, argmax, x_shape, pool_size, strides, padding)


def max_pool2d_relu_backward(
    dy: Any, y: Any, argmax: Any, x_shape: Shape, pool_size: Pair, strides: Pair,
    padding: str = "valid",
) -> Any:  # fmt: skip
    """The same through a ReLU as well, whose maxima are y: of windows where that is above 0."""
    dy, y = device.ready(dy, y)
    windows = Windows.on(x_shape[1:3], pool_size, strides, padding)
    argmax = device.contiguous(argmax)
    dx = device.empty(x_shape, dy.dtype)
    packed = device.packed(x_shape[3], dy, y, dx, argmax)
    name = f"max_pool_backward_{argmax.dtype}"
    for block in _blocks(windows, x_shape[0], x_shape[3]):
        cut = None if y is None else y[block]
        _launch(name, windows, packed, dx[block], dy[block], cut, argmax[block], dx[block])
    return dx


def average_pool2d(x: Any, pool_size: Pair, strides: Pair, padding: str = "valid") -> Any:
    """y = the mean of what each window has on the image.

    Raises:
        ValueError: if the window does not fit on the image.
    """
    (x,) = device.ready(x)
    windows = Windows.on(x.shape[1:3], pool_size, strides, padding)
    n, c = len(x), x.shape[3]
    y = device.empty((n, *windows.count, c), x.dtype)
    packed = device.packed(c, x, y)
    for block in _blocks(windows, n, c):
        _launch("average_pool", windows, packed, y[block], x[block], y[block])
    return y


def average_pool2d_backward(
    dy: Any, x_shape: Shape, pool_size: Pair, strides: Pair, padding: str = "valid"
) -> Any:
    """dx = the sum, over the windows that a pixel is in, of its share of dy."""
    (dy,) = device.ready(dy)
    windows = Windows.on(x_shape[1:3], pool_size, strides, padding)
    dx = device.empty(x_shape, dy.dtype)
    packed = device.packed(x_shape[3], dy, dx)
    for block in _blocks(windows, x_shape[0], x_shape[3]):
        _launch("average_pool_backward", windows, packed, dx[block], dy[block], dx[block])
    return dx


def _blocks(windows: Windows, images: int, c: int) -> Any:
    (oh, ow), (h, w) = windows.count, windows.image
    return device.slices(images, max(oh * ow, h * w) * c)


def _launch(name: str, windows: Windows, packed: bool, result: Any, *arrays: Any) -> None:
    """A block for each row of pixels of ``result``, or of windows that cover it."""
    (top, _), (left, _) = windows.borders
    n, rows, columns, c = result.shape
    k = windows.kernel_size
    if "_backward" in name and k == windows.strides and k in SIDE_BY_SIDE:
        rows, columns = -(-(rows + top) // k[0]), -(-(columns + left) // k[1])
    KERNELS.launch(
        name, result.dtype, *along_rows(n * rows, columns, c // (4 if packed else 1)),
        *arrays, *geometry(windows), c, *k, *windows.strides, top, left, packed,
    )  # fmt: skip


# -- whole images -----------------------------------------------------------------------------


def global_average_pool2d(x: Any) -> Any:
    """y[n, c] = the mean of x[n, :, :, c]."""
    (x,) = device.ready(x)
    y = device.empty((len(x), x.shape[3]), x.dtype)
    _over_images("global_average", x.shape, x, y)
    return y


def global_average_pool2d_backward(dy: Any, x_shape: Shape) -> Any:
    """dx = dy / (h w) at every pixel."""
    (dy,) = device.ready(dy)
    dx = device.empty(x_shape, dy.dtype)
    _over_images("global_average_backward", x_shape, dy, dx)
    return dx


def global_max_pool2d(x: Any) -> tuple[Any, Any]:
    """``(y, argmax)``: the maximum of each channel, and the index row * w + column of the first."""
    (x,) = device.ready(x)
    y = device.empty((len(x), x.shape[3]), x.dtype)
    argmax = device.empty(y.shape, "int32")
    _over_images("global_max", x.shape, x, y, argmax)
    return y, argmax


def global_max_pool2d_backward(dy: Any, argmax: Any, x_shape: Shape) -> Any:
    """dx = dy at each channel's first maximum, 0 elsewhere."""
    (dy,) = device.ready(dy)
    dx = device.empty(x_shape, dy.dtype)
    argmax = device.contiguous(argmax, "int32")
    _over_images("global_max_backward", x_shape, dy, argmax, dx)
    return dx


def _over_images(name: str, x_shape: Shape, *arrays: Any) -> None:
    """A block for some channels of each image."""
    n, h, w, c = x_shape
    (tiles, _), block, _ = device.down_columns(h * w, c)
    for images in device.slices(n, 1, MAX_GRID_Y):
        parts = [array[images] for array in arrays]
        KERNELS.launch(
            name, arrays[0].dtype, (tiles, images.stop - images.start), block, *parts, h * w, c
        )
