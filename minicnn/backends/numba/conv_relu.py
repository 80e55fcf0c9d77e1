"""Convolution, ReLU and max-pooling in one pass; the textbook has them one after the other.

The first layer of a network makes the largest array, and its cheapest numbers. What they cost is
the way through memory: written by the convolution, read and written by the ReLU, read by the
pooling, and all that again backwards. Here a core adds the bias, cuts off below zero and takes the
maxima of a tile while it is in the cache. Only the maxima leave it, with the place in its window
that each came from: the backward needs no more. A maximum that is above zero passes dy back to that
place; the others pass nothing. (Where Winograd's way is quicker, it is followed by the pooling: its
arrays are smaller.)

The textbook has no such operation, and a network does not need it: it is what a model may put in
place of a convolution and what follows it. Of two numbers of a pool that differ by less than adding
the bias rounds away, this takes the larger and the textbook the first.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.backends import numpy as textbook
from minicnn.backends.numba import winograd
from minicnn.backends.numba.activation import relu_backward
from minicnn.backends.numba.arrays import alike
from minicnn.backends.numba.conv import conv2d_backward
from minicnn.backends.numba.correlation import correlate, spread_and_sum, windows_on
from minicnn.backends.numba.pooling import max_pool2d, max_pool2d_backward
from minicnn.shapes import Pair


def conv2d_relu(
    x: np.ndarray,
    W: np.ndarray,
    b: np.ndarray | None = None,
    strides: Pair = (1, 1),
    padding: str = "valid",
    dilation: Pair = (1, 1),
    groups: int = 1,
    pool_size: Pair | None = None,
) -> tuple[np.ndarray, Any]:
    """``relu(conv2d(x, W, b, ...))``, and ``max_pool2d`` of that if there is a ``pool_size``.

    Args:
        x, W, b, strides, padding, dilation, groups: those of ``conv2d``.
        pool_size: the pools, which do not overlap: their strides are their size. Rows and columns
            that are not enough for another pool are left out.

    Returns:
        ``(y, saved)``: the output, and what the backward needs.

    Raises:
        ValueError: if the kernel does not fit on the image.
    """
    argmax = None
    if alike(x, W, b):
        windows = windows_on(x.shape, W.shape, strides, padding, dilation, groups)
        m = winograd.side_of_tiles(len(x), W.shape, windows, groups, x.dtype.char)
        if not m:
            y, argmax = correlate(x, W, b, windows, groups, relu=True, pool=pool_size)
            return y, (x, y, argmax if pool_size else None)
        y = winograd.forward(x, W, b, windows, m, relu=True)
    else:
        y = textbook.relu(textbook.conv2d(x, W, b, strides, padding, dilation, groups))
    if pool_size:
        y, argmax = max_pool2d(y, pool_size, pool_size)
    return y, (x, y, argmax)


def conv2d_relu_backward(
    dy: np.ndarray,
    saved: Any,
    W: np.ndarray,
    strides: Pair = (1, 1),
    padding: str = "valid",
    dilation: Pair = (1, 1),
    groups: int = 1,
    pool_size: Pair | None = None,
    input_gradient: bool = True,
    out: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """``(dx, dW, db)``.

    Args:
        dy: like the output.
        saved: what the forward returned.
        W, strides, padding, dilation, groups, pool_size: what the forward got.
        input_gradient: whether dx is wanted; a network's first layer does without.
        out: arrays that dW and db may be put into. Here they are small, and come as they are.
    """
    x, y, argmax = saved
    windows = windows_on(x.shape, W.shape, strides, padding, dilation, groups)
    if alike(dy, x, W) and not winograd.side_of_tiles(
        len(x), W.shape, windows, groups, x.dtype.char
    ):
        return spread_and_sum(dy, x, W, windows, groups, y, argmax, pool_size, input_gradient)
    dz = relu_backward(dy, None, y)
    if pool_size:
        z_shape = (len(x), *windows.count, W.shape[3])
        dz = max_pool2d_backward(dz, argmax, z_shape, pool_size, pool_size)
    return conv2d_backward(dz, x, W, strides, padding, dilation, groups, input_gradient)
