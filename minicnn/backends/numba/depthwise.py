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
from minicnn.backends.numpy.depthwise import one_kernel_each
from minicnn.backends.numpy.windows import Windows
from minicnn.shapes import Pair, check_channels

kernels = Kernels("depthwise_kernels")

PARTS = 16
# So many multiplications a core does in a nanosecond, roughly.
RATE = 8


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
    x, W = one_kernel_each(x, W)
    y = empty((len(x), *count, x.shape[3]), x.dtype)
    b = np.zeros(x.shape[3], x.dtype) if b is None else contiguous(b)
    workers = crew(y.size * W.shape[0] * W.shape[1] // RATE)
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
    windows = _windows(x.shape, W.shape, strides, padding, dilation)[1]
    copies, kernels_of_copies = one_kernel_each(x, W)
    dx = empty(copies.shape if input_gradient else (0,) * 4, x.dtype)
    sums = empty((min(PARTS, len(x)), W.size + copies.shape[3]), x.dtype)
    launch(
        kernels.backward,
        crew(2 * dy.size * W.shape[0] * W.shape[1] // RATE),
        contiguous(dy),
        contiguous(copies),
        contiguous(kernels_of_copies),
        dx,
        sums,
        windows,
    )
    total = sums.sum(axis=0)
    dW, db = total[: W.size].reshape(W.shape), total[W.size :]
    if not input_gradient:
        return None, dW, db
    m = W.shape[3]  # the gradients of a channel's copies add up
    return (dx if m == 1 else dx.reshape(*x.shape, m).sum(axis=-1)), dW, db


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
