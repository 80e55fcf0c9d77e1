"""Depthwise convolution on the GPU. See the textbook's file of this name."""

from __future__ import annotations

from typing import Any

from minicnn.backends.cupy import device
from minicnn.backends.cupy.dense import add_slabs, sum_rows
from minicnn.backends.cupy.windows import Windows, geometry, steps
from minicnn.shapes import Pair, check_channels

KERNELS = device.Kernels("depthwise")


def depthwise_conv2d(
    x: Any,
    W: Any,
    b: Any | None = None,
    strides: Pair = (1, 1),
    padding: str = "valid",
    dilation: Pair = (1, 1),
) -> Any:
    """Every channel of x with its own m kernels: (n, h, w, c), (kh, kw, c, m) -> (n, oh, ow, c m).

    Raises:
        ValueError: if the kernel does not fit on the image, or the channels do not fit the kernel.
    """
    check_channels(x.shape, W.shape, W.shape[2])
    x, W, b = device.ready(x, W, b)
    windows = Windows.on(x.shape[1:3], W.shape[:2], strides, padding, dilation)
    n, (c, m) = len(x), W.shape[2:]
    y = device.empty((n, *windows.count, c * m), x.dtype)
    packed = m == 1 and device.packed(c, x, W, b, y)
    for block in _blocks(windows, n, c * m):
        part = y[block]
        KERNELS.each(
            "depthwise_forward", x.dtype, part.size // (4 if packed else 1),
            x[block], W, b, part, *_sizes(windows, len(part), c, m), packed,
        )  # fmt: skip
    return y


def depthwise_conv2d_backward(
    dy: Any,
    x: Any,
    W: Any,
    strides: Pair = (1, 1),
    padding: str = "valid",
    dilation: Pair = (1, 1),
    input_gradient: bool = True,
) -> tuple[Any | None, Any, Any]:
    """``(dx, dW, db)`` in the shapes of x, W and b; dx is ``None`` where it is not wanted."""
    dy, x, W = device.ready(dy, x, W)
    windows = Windows.on(x.shape[1:3], W.shape[:2], strides, padding, dilation)
    n, (c, m) = len(x), W.shape[2:]
    dx = None
    if input_gradient:
        dx = device.empty(x.shape, x.dtype)
        packed = m == 1 and device.packed(c, dy, W, dx)
        for block in _blocks(windows, n, c * m):
            part = dx[block]
            KERNELS.each(
                "depthwise_backward_input", x.dtype, part.size // (4 if packed else 1),
                dy[block], W, part, *_sizes(windows, len(part), c, m), packed,
            )  # fmt: skip
    db = sum_rows(dy.reshape(-1, c * m))
    return dx, _kernel_gradient(dy, x, W, windows), db


def _kernel_gradient(dy: Any, x: Any, W: Any, windows: Windows) -> Any:
    (oh, ow), (c, m) = windows.count, W.shape[2:]
    grid, block, slabs = device.down_columns(len(x) * oh * ow, W.size)
    partial = device.empty((slabs, W.size), "float64")
    KERNELS.launch(
        "depthwise_backward_kernel", x.dtype, grid, block,
        dy, x, partial, *_sizes(windows, len(x), c, m),
    )  # fmt: skip
    dW = device.empty(W.shape, x.dtype)
    add_slabs(partial, dW)
    return dW


def _blocks(windows: Windows, images: int, channels: int) -> Any:
    (oh, ow), (h, w) = windows.count, windows.image
    return device.slices(images, max(oh * ow, h * w) * channels)


def _sizes(windows: Windows, images: int, c: int, m: int) -> tuple[int, ...]:
    return (images, *geometry(windows), c, m, *steps(windows))
