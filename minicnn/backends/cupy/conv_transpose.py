"""Transposed convolution on the GPU: the way back through a convolution, as an operation.

The derivation stands in the textbook's file of this name.
"""

from __future__ import annotations

from typing import Any

from minicnn.backends.cupy import device
from minicnn.backends.cupy.conv import gather, kernel_gradient, scatter
from minicnn.backends.cupy.dense import add_bias, sum_rows
from minicnn.backends.cupy.windows import Windows
from minicnn.shapes import Pair, check_channels


def conv2d_transpose(
    x: Any,
    W: Any,
    b: Any | None = None,
    strides: Pair = (1, 1),
    padding: str = "valid",
    dilation: Pair = (1, 1),
    output_padding: Pair | None = None,
) -> Any:
    """Each pixel of x lays its kernel down: (n, h, w, c), (kh, kw, out, c) -> (n, oh, ow, out).

    Raises:
        ValueError: if an ``output_padding`` is not less than its stride, nothing is left, or the
            channels do not fit the kernel.
    """
    check_channels(x.shape, W.shape, W.shape[3])
    x, W, b = device.ready(x, W, b)
    windows = Windows.under(x.shape[1:3], W.shape[:2], strides, padding, dilation, output_padding)
    y = scatter(x, W, windows)
    if b is not None:
        add_bias(y, b)
    return y


def conv2d_transpose_backward(
    dy: Any,
    x: Any,
    W: Any,
    strides: Pair = (1, 1),
    padding: str = "valid",
    dilation: Pair = (1, 1),
    output_padding: Pair | None = None,
    input_gradient: bool = True,
) -> tuple[Any | None, Any, Any]:
    """``(dx, dW, db)`` in the shapes of x, W and b; dx is ``None`` where it is not wanted."""
    dy, x, W = device.ready(dy, x, W)
    windows = Windows.under(x.shape[1:3], W.shape[:2], strides, padding, dilation, output_padding)
    dx = gather(dy, W, windows) if input_gradient else None
    dW = kernel_gradient(x, dy, windows)
    return dx, dW, sum_rows(dy.reshape(-1, dy.shape[3]))
