"""Convolution, ReLU and max-pooling in one pass; the textbook has them one after the other.

The first layer of a network makes the largest array, and its cheapest numbers. What they cost is
the way through memory: written by the convolution, read and written by the ReLU, read by the
pooling, and all that again backwards. Here a core adds the bias, cuts off below zero and takes the
maxima of a tile while it is in the cache. Only the maxima leave it, with the place in its window
that each came from: the backward needs no more. A maximum that is above zero passes dy back to that
place; the others pass nothing.

The textbook has no such operation, and a network does not need it: it is what a model may put in
place of a convolution and what follows it. Of two numbers of a pool that differ by less than adding
the bias rounds away, this takes the larger and the textbook the first.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.backends.numba.arrays import alike
from minicnn.backends.numba.tiles import gather, scatter_and_sum, windows_on
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
        TypeError: if the arrays are not all float32 or all float64.
        ValueError: if the kernel does not fit on the image.
    """
    _check(x, W, b)
    windows = windows_on(x.shape, W.shape, strides, padding, dilation, groups)
    y, argmax = gather(x, W, b, windows, groups, relu=True, pool=pool_size)
    return y, (x, y, argmax if pool_size else None)


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
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """``(dx, dW, db)``.

    Args:
        dy: like the output.
        saved: what the forward returned.
        W, strides, padding, dilation, groups, pool_size: what the forward got.
        input_gradient: whether dx is wanted; a network's first layer does without.
    """
    x, y, argmax = saved
    _check(dy, x, W)
    windows = windows_on(x.shape, W.shape, strides, padding, dilation, groups)
    return scatter_and_sum(dy, x, W, windows, groups, y, argmax, pool_size, input_gradient)


def _check(*arrays: np.ndarray | None) -> None:
    if not alike(*arrays):
        given = ", ".join(f"{a.dtype}{a.shape}" for a in arrays if a is not None)
        raise TypeError(f"expected arrays of float32 or of float64 that are not empty; got {given}")
