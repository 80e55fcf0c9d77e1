"""Transposed convolution; ``minicnn/backends/numpy/conv_transpose.py`` has the mathematics.

It is the way back through a convolution, and its backward is the way forth: the passes of
``conv.py`` serve for both.
"""

from __future__ import annotations

import numpy as np

from minicnn.backends import numpy as textbook
from minicnn.backends.numba.arrays import alike
from minicnn.backends.numba.correlation import correlate, spread_and_sum
from minicnn.backends.numpy.windows import Windows
from minicnn.shapes import Pair, check_channels


def conv2d_transpose(
    x: np.ndarray,
    W: np.ndarray,
    b: np.ndarray | None = None,
    strides: Pair = (1, 1),
    padding: str = "valid",
    dilation: Pair = (1, 1),
    output_padding: Pair | None = None,
) -> np.ndarray:
    """The textbook's ``conv2d_transpose``."""
    if not alike(x, W, b):
        return textbook.conv2d_transpose(x, W, b, strides, padding, dilation, output_padding)
    check_channels(x.shape, W.shape, W.shape[3])
    windows = Windows.under(x.shape[1:3], W.shape[:2], strides, padding, dilation, output_padding)
    y, _, _ = spread_and_sum(x, None, W, windows)
    if b is not None:
        y += b
    return y


def conv2d_transpose_backward(
    dy: np.ndarray,
    x: np.ndarray,
    W: np.ndarray,
    strides: Pair = (1, 1),
    padding: str = "valid",
    dilation: Pair = (1, 1),
    output_padding: Pair | None = None,
    input_gradient: bool = True,
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """The textbook's ``conv2d_transpose_backward``."""
    if not alike(dy, x, W):
        return textbook.conv2d_transpose_backward(
            dy, x, W, strides, padding, dilation, output_padding, input_gradient
        )
    windows = Windows.under(x.shape[1:3], W.shape[:2], strides, padding, dilation, output_padding)
    dx = correlate(dy, W, None, windows)[0] if input_gradient else None
    _, dW, _ = spread_and_sum(x, dy, W, windows, input_gradient=False)
    return dx, dW, dy.sum(axis=(0, 1, 2))
