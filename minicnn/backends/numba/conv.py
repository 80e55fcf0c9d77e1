"""Convolution on the cores of a CPU; ``minicnn/backends/numpy/conv.py`` has the mathematics.

The textbook writes out the windows of many images, multiplies, and adds the bias: three trips
through memory, the first with every pixel copied kh * kw times. Here each core does all three with
some rows of an image at a time, and the product takes the windows from the image itself:
``correlation.py`` says how. For 3x3 kernels over many channels there is a way with less
multiplications, ``winograd.py``.
"""

from __future__ import annotations

import numpy as np

from minicnn.backends import numpy as textbook
from minicnn.backends.numba import winograd
from minicnn.backends.numba.arrays import alike
from minicnn.backends.numba.correlation import correlate, spread_and_sum, windows_on
from minicnn.shapes import Pair


def conv2d(
    x: np.ndarray,
    W: np.ndarray,
    b: np.ndarray | None = None,
    strides: Pair = (1, 1),
    padding: str = "valid",
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> np.ndarray:
    """The textbook's ``conv2d``."""
    if not alike(x, W, b):
        return textbook.conv2d(x, W, b, strides, padding, dilation, groups)
    windows = windows_on(x.shape, W.shape, strides, padding, dilation, groups)
    m = winograd.side_of_tiles(len(x), W.shape, windows, groups, x.dtype.char)
    if m:
        return winograd.forward(x, W, b, windows, m)
    y, _ = correlate(x, W, b, windows, groups)
    return y


def conv2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    W: np.ndarray,
    strides: Pair = (1, 1),
    padding: str = "valid",
    dilation: Pair = (1, 1),
    groups: int = 1,
    input_gradient: bool = True,
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """The textbook's ``conv2d_backward``."""
    if not alike(dy, x, W):
        return textbook.conv2d_backward(
            dy, x, W, strides, padding, dilation, groups, input_gradient
        )
    windows = windows_on(x.shape, W.shape, strides, padding, dilation, groups)
    m = winograd.side_of_tiles(len(x), W.shape, windows, groups, x.dtype.char)
    if m:
        return winograd.backward(dy, x, W, windows, m, input_gradient)
    return spread_and_sum(dy, x, W, windows, groups, input_gradient=input_gradient)
