"""Depthwise convolution; ``minicnn/backends/numpy/depthwise.py`` has the mathematics.

The textbook goes over whole images once for every tap of the kernel. Here each window is visited
once, with all its taps and channels, while its pixels are in the core's cache. Images are dealt out
to the cores; dW and db are summed up in a fixed number of parts of the batch.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from minicnn.backends import numpy as textbook
from minicnn.backends.numba.arrays import alike, contiguous, empty
from minicnn.backends.numba.threads import Kernels, crew, launch
from minicnn.backends.numpy.windows import Windows
from minicnn.shapes import Pair, check_channels

kernels = Kernels("depthwise_kernels")

PARTS = 16


def depthwise_conv2d(
    x: np.ndarray,
    W: np.ndarray,
    b: np.ndarray | None = None,
    strides: Pair = (1, 1),
    padding: str = "valid",
    dilation: Pair = (1, 1),
) -> np.ndarray:
    """The textbook's ``depthwise_conv2d``."""
    if not alike(x, W, b):
        return textbook.depthwise_conv2d(x, W, b, strides, padding, dilation)
    count, windows = _windows(x.shape, W.shape, strides, padding, dilation)
    y = empty((len(x), *count, W.shape[2] * W.shape[3]), x.dtype)
    b = np.empty(0, x.dtype) if b is None else contiguous(b)
    workers = crew(y.size * W.shape[0] * W.shape[1])
    launch(kernels.forward, workers, contiguous(x), contiguous(W), b, y, windows)
    return y


def depthwise_conv2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    W: np.ndarray,
    strides: Pair = (1, 1),
    padding: str = "valid",
    dilation: Pair = (1, 1),
    input_gradient: bool = True,
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """The textbook's ``depthwise_conv2d_backward``."""
    if not alike(dy, x, W):
        return textbook.depthwise_conv2d_backward(
            dy, x, W, strides, padding, dilation, input_gradient
        )
    dx = empty(x.shape, x.dtype) if input_gradient else np.empty((0,) * 4, x.dtype)
    parts = min(PARTS, len(x))
    dWs, dbs = empty((parts, *W.shape), W.dtype), empty((parts, dy.shape[3]), W.dtype)
    launch(
        kernels.backward,
        crew(2 * dy.size * W.shape[0] * W.shape[1]),
        contiguous(dy),
        contiguous(x),
        contiguous(W),
        dx,
        dWs,
        dbs,
        _windows(x.shape, W.shape, strides, padding, dilation)[1],
    )
    return (dx if input_gradient else None), dWs.sum(axis=0), dbs.sum(axis=0)


@lru_cache(maxsize=1024)
def _windows(
    x_shape: tuple[int, ...],
    W_shape: tuple[int, ...],
    strides: Pair,
    padding: str,
    dilation: Pair,
) -> tuple[Pair, np.ndarray]:
    """How many windows there are, and what the kernels need to know about the windows."""
    check_channels(x_shape, W_shape, W_shape[2])
    windows = Windows.on(x_shape[1:3], W_shape[:2], strides, padding, dilation)
    (top, _), (left, _) = windows.borders
    numbers = [*windows.count, *W_shape[:2], *strides, *dilation, top, left]
    return windows.count, np.array(numbers, np.int64)
