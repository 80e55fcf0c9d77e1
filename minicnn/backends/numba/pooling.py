"""Pooling on the cores of a CPU; ``minicnn/backends/numpy/pooling.py`` has the mathematics.

The textbook goes over whole images once for every tap of the window, several times each. Here each
window is visited once, forward and backward, and what it reads and writes stays in the core's
cache. Images are dealt out to the cores.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from minicnn.backends import numpy as textbook
from minicnn.backends.numba.arrays import contiguous, empty
from minicnn.backends.numba.threads import Kernels, crew, launch
from minicnn.backends.numpy.windows import Windows
from minicnn.shapes import Pair

Shape = tuple[int, ...]

kernels = Kernels("pooling_kernels")

# With fewer channels, the loops over a pixel's are so short that they take longer to begin.
FEW = 16


def max_pool2d(
    x: np.ndarray, pool_size: Pair, strides: Pair, padding: str = "valid"
) -> tuple[np.ndarray, np.ndarray]:
    """The textbook's ``max_pool2d``."""
    count, windows = _windows(x.shape[1:3], pool_size, strides, padding)
    if x.dtype.char not in "fd":
        return textbook.max_pool2d(x, pool_size, strides, padding)
    y = empty((len(x), *count, x.shape[3]), x.dtype)
    argmax = empty(y.shape, np.min_scalar_type(pool_size[0] * pool_size[1] - 1))
    pools = _side_by_side(x.shape, pool_size, strides, padding)
    if pools is None:
        launch(kernels.max_pool, crew(2 * x.size), contiguous(x), y, argmax, windows)
    else:
        launch(kernels.max_pool_side_by_side, crew(x.size), contiguous(x), y, argmax, pools)
    return y, argmax


def max_pool2d_backward(
    dy: np.ndarray,
    argmax: np.ndarray,
    x_shape: Shape,
    pool_size: Pair,
    strides: Pair,
    padding: str = "valid",
) -> np.ndarray:
    """The textbook's ``max_pool2d_backward``."""
    if dy.dtype.char not in "fd":
        return textbook.max_pool2d_backward(dy, argmax, x_shape, pool_size, strides, padding)
    _, windows = _windows(x_shape[1:3], pool_size, strides, padding)
    dx, dy, argmax = empty(x_shape, dy.dtype), contiguous(dy), contiguous(argmax)
    pools = _side_by_side(x_shape, pool_size, strides, padding)
    if pools is None:
        launch(kernels.max_pool_backward, crew(2 * dx.size), dy, argmax, dx, windows)
    else:
        launch(kernels.max_pool_side_by_side_backward, crew(dx.size), dy, argmax, dx, pools)
    return dx


def average_pool2d(
    x: np.ndarray, pool_size: Pair, strides: Pair, padding: str = "valid"
) -> np.ndarray:
    """The textbook's ``average_pool2d``."""
    count, windows = _windows(x.shape[1:3], pool_size, strides, padding)
    if x.dtype.char not in "fd":
        return textbook.average_pool2d(x, pool_size, strides, padding)
    y = empty((len(x), *count, x.shape[3]), x.dtype)
    launch(kernels.average_pool, crew(2 * x.size), contiguous(x), y, windows)
    return y


def average_pool2d_backward(
    dy: np.ndarray, x_shape: Shape, pool_size: Pair, strides: Pair, padding: str = "valid"
) -> np.ndarray:
    """The textbook's ``average_pool2d_backward``."""
    if dy.dtype.char not in "fd":
        return textbook.average_pool2d_backward(dy, x_shape, pool_size, strides, padding)
    _, windows = _windows(x_shape[1:3], pool_size, strides, padding)
    dx = empty(x_shape, dy.dtype)
    launch(kernels.average_pool_backward, crew(2 * dx.size), contiguous(dy), dx, windows)
    return dx


def _side_by_side(
    x_shape: Shape, pool_size: Pair, strides: Pair, padding: str
) -> np.ndarray | None:
    """What the kernels for few channels want to know of the pools, or ``None`` if these overlap or
    reach over the border. Longer runs of channels are vectors without their help."""
    image = tuple(x_shape[1:3])
    (ph, pw), _ = _windows(image, pool_size, strides, padding)
    inside = ph * pool_size[0] <= image[0] and pw * pool_size[1] <= image[1]
    fits = inside and tuple(strides) == tuple(pool_size) and 0 < x_shape[3] < FEW and x_shape[0]
    return np.array([ph, pw, *pool_size]) if fits else None


@lru_cache(maxsize=1024)
def _windows(image: Pair, pool_size: Pair, strides: Pair, padding: str) -> tuple[Pair, np.ndarray]:
    """How many windows there are, and what the kernels need to know about the windows."""
    windows = Windows.on(image, pool_size, strides, padding)
    (top, _), (left, _) = windows.borders
    return windows.count, np.array(
        [*windows.count, *pool_size, *strides, *windows.dilation, top, left]
    )
