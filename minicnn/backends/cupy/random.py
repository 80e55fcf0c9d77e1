"""Counted random numbers on the GPU: the very bits of the textbook's file of this name.

Where a recorded step draws, ``step`` is a :class:`~minicnn.backends.cupy.recording.Count`, which
the device counts on.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn.backends.cupy import device
from minicnn.backends.cupy.recording import whole_number

KERNELS = device.Kernels("random")


def philox4x32(counter: Any, key: tuple[int, int]) -> Any:
    """Encrypt counters: (4, n) words -> (4, n) words, all below 2^32, as uint64."""
    counter = device.contiguous(counter, "uint64")
    result = device.empty(counter.shape, "uint64")
    n = counter.shape[1]
    KERNELS.each("philox", "float32", n, counter, result, np.int64(n), *map(np.uint32, key))
    return result


def random_bits(n: int, seed: int, step: int) -> Any:
    """n words of 32 random bits, uint32: page ``step`` of the stream ``seed``."""
    result = device.empty(n, "uint32")
    _draw("bits", np.float32, n, [result], seed, step)
    return result


def random_uniform(shape: tuple[int, ...], seed: int, step: int, dtype: Any = np.float32) -> Any:
    """Numbers from [0, 1), multiples of 2^-24."""
    result = device.empty(shape, dtype)
    _draw("uniform", dtype, result.size, [result], seed, step)
    return result


def random_normal(shape: tuple[int, ...], seed: int, step: int, dtype: Any = np.float32) -> Any:
    """Numbers of the normal distribution of mean 0 and variance 1."""
    result = device.empty(shape, dtype)
    _draw("normal", dtype, result.size, [result], seed, step)
    return result


def _draw(
    kernel: str, dtype: Any, n: int, arrays: list[Any], seed: int, step: Any, *more: Any
) -> None:
    """A thread for every four of n elements."""
    page = (np.uint64(seed % 2**64), *whole_number(step))
    KERNELS.each(kernel, dtype, -(-n // 4), *arrays, np.int64(n), *page, *more)


def dropout(
    x: Any,
    rate: float,
    seed: int,
    step: int,
    noise_shape: tuple[int | None, ...] | None = None,
) -> tuple[Any, Any]:
    """``(y, mask)``: y = x / (1 - rate) where the mask is true, 0 elsewhere.

    Args:
        x: any array of floats.
        rate: from 0 to 1.
        seed, step: which random numbers.
        noise_shape: the shape of the mask, which broadcasts to that of x; ``None`` in it stands for
            the size of x, and by itself for the shape of x.
    """
    (x,) = device.ready(x)
    sizes = x.shape if noise_shape is None else noise_shape
    shape = tuple(full if size is None else size for size, full in zip(sizes, x.shape, strict=True))
    threshold = np.uint32(math.ceil(rate * 2**24))
    mask = device.empty(shape, "bool")
    if shape != x.shape:
        _draw("keep", x.dtype, mask.size, [mask], seed, step, threshold)
        return x * mask * _scale(rate), mask
    y = device.empty(shape, x.dtype)
    packed = device.packed(x.size, x, y, mask)
    _draw("dropout", x.dtype, x.size, [x, y, mask], seed, step, threshold, _scale(rate), packed)
    return y, mask


def dropout_backward(dy: Any, mask: Any, rate: float) -> Any:
    """dx = dy / (1 - rate) where the mask is true, 0 elsewhere."""
    if mask.shape != dy.shape:
        return dy * mask * _scale(rate)
    (dy,) = device.ready(dy)
    dx = device.empty(dy.shape, dy.dtype)
    n, mask = dy.size, device.contiguous(mask)
    packed = device.packed(n, dy, mask, dx)
    KERNELS.each(
        "dropout_backward", dy.dtype, n // 4 if packed else n,
        dy, mask, dx, np.int64(n), _scale(rate), packed,
    )  # fmt: skip
    return dx


def _scale(rate: float) -> float:
    return 1 / (1 - rate) if rate < 1 else 0.0
