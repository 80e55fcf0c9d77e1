"""Random numbers; ``minicnn/backends/numpy/random.py`` has the mathematics.

Dropout needs a random number for every activation. The textbook writes all of them down, as words
of 64 bits, once for each of the ten rounds of the cipher. Here each core encrypts a few counters at
a time in its registers, and drops what they say at once. The numbers are the same to the bit. Other
random numbers are the textbook's.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn.backends import numpy as textbook
from minicnn.backends.numba.arrays import contiguous, empty
from minicnn.backends.numba.threads import Kernels, crew, launch, launch_elementwise

kernels = Kernels("random_kernels")


def dropout(
    x: Any,
    rate: float,
    seed: int,
    step: int,
    noise_shape: tuple[int | None, ...] | None = None,
) -> tuple[Any, Any]:
    """The textbook's ``dropout``."""
    if noise_shape is not None or x.dtype.char not in "fd":
        return textbook.dropout(x, rate, seed, step, noise_shape)
    y, mask = empty(x.shape, x.dtype), empty(x.shape, bool)
    launch(
        kernels.dropout,
        crew(x.size),
        contiguous(x).reshape(-1),
        y.reshape(-1),
        mask.reshape(-1),
        np.uint64(seed % 2**64),
        np.uint64(step % 2**64),
        np.uint32(math.ceil(rate * 2**24)),
        x.dtype.type(_scale(rate)),
    )
    return y, mask


def dropout_backward(dy: Any, mask: Any, rate: float) -> Any:
    """The textbook's ``dropout_backward``."""
    if mask.shape != dy.shape or dy.dtype.char not in "fd":
        return textbook.dropout_backward(dy, mask, rate)
    dx = empty(dy.shape, dy.dtype)
    launch_elementwise(
        kernels.dropout_backward,
        crew(dy.size // 2),
        contiguous(dy).reshape(-1),
        contiguous(mask).reshape(-1),
        dx.reshape(-1),
        dy.dtype.type(_scale(rate)),
    )
    return dx


def _scale(rate: float) -> float:
    return 1 / (1 - rate) if rate < 1 else 0.0
