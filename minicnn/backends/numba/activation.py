"""Activation functions; ``minicnn/backends/numpy/activation.py`` has them all.

Of these, three have a twin here. ReLU is a comparison for every number, so what it costs is the way
through memory: the textbook goes it two or three times, on one core. Softmax of short rows, such as
ten classes, is one call instead of five, and NumPy is slow at sums over few numbers. The sigmoid
takes one exponential for a number instead of two, and goes through memory once instead of seven
times. The others are dominated by exponentials, which NumPy computes many at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.backends import numpy as textbook
from minicnn.backends.numba.arrays import alike, contiguous, empty, rows
from minicnn.backends.numba.threads import Kernels, crew, launch_elementwise

kernels = Kernels("activation_kernels")

# With less numbers, NumPy has finished before a kernel has begun.
SMALL = 2**13
# With longer rows, its exponentials make up for its sums.
SHORT = 32


def relu(
    z: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Any:
    """y = max(z, 0); the textbook's ``relu``."""
    if negative_slope or threshold or max_value is not None or not _large(z):
        return textbook.relu(z, negative_slope, max_value, threshold)
    y = empty(z.shape, z.dtype)
    launch_elementwise(kernels.relu, crew(z.size // 2), contiguous(z).reshape(-1), y.reshape(-1))
    return y


def relu_backward(
    dy: Any,
    z: Any,
    y: Any,
    negative_slope: float = 0.0,
    max_value: float | None = None,
    threshold: float = 0.0,
) -> Any:
    """dz = dy where y > 0; the textbook's ``relu_backward``."""
    if negative_slope or max_value is not None or not _large(dy) or y.dtype != dy.dtype:
        return textbook.relu_backward(dy, z, y, negative_slope, max_value, threshold)
    dz = empty(dy.shape, dy.dtype)
    launch_elementwise(
        kernels.relu_backward,
        crew(dy.size // 2),
        contiguous(dy).reshape(-1),
        contiguous(y).reshape(-1),
        dz.reshape(-1),
    )
    return dz


def sigmoid(z: Any) -> Any:
    """y = 1 / (1 + e^-z); the textbook's ``sigmoid``."""
    if z.dtype != np.float32 or not _large(z):
        return textbook.sigmoid(z)
    y = empty(z.shape, z.dtype)
    launch_elementwise(kernels.sigmoid, crew(z.size), contiguous(z).reshape(-1), y.reshape(-1))
    return y


def sigmoid_backward(dy: Any, z: Any, y: Any) -> Any:
    """dz = y (1 - y) dy; the textbook's ``sigmoid_backward``."""
    if not _large(dy) or y.dtype != dy.dtype:
        return textbook.sigmoid_backward(dy, z, y)
    dz = empty(dy.shape, dy.dtype)
    vectors = (contiguous(a).reshape(-1) for a in (dy, y, dz))
    launch_elementwise(kernels.sigmoid_backward, crew(dy.size // 2), *vectors)
    return dz


def softmax(z: Any, axis: int | tuple[int, ...] = -1) -> Any:
    """The textbook's ``softmax``."""
    if axis != -1 or z.shape[-1] > SHORT or not alike(z):
        return textbook.softmax(z, axis)
    y = empty(z.shape, z.dtype)
    kernels.softmax(rows(z), rows(y))
    return y


def _large(a: Any) -> bool:
    """Whether there is enough to do, in a dtype that the kernels know."""
    return a.size >= SMALL and a.dtype.char in "fd"
