"""How a convolution is divided among the cores, and its two passes.

``correlate`` is the way forth, ``spread_and_sum`` the way back with the sums for the kernel; a
convolution, a transposed convolution and a convolution that ends in a ReLU and a pooling are made
of them.

The textbook writes the windows out as a matrix, im2col's, in which every pixel stands kh * kw
times, and multiplies that with the kernel. But the pixels under one row of a window lie side by
side, so this matrix is in the image already: the rows of it overlap. The product written here takes
it from there; only where windows reach over a border it takes a copy of some rows of the image with
zeros around it. A core does so with some rows of an image at a time, and finishes them while they
are in its cache.

dW and db are sums over all windows. A fixed number of *parts* of the batch, whatever the number of
cores, have sums of their own, which are added up in order.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from minicnn.backends.numba.arrays import contiguous, empty
from minicnn.backends.numba.threads import Kernels, crew, launch, product
from minicnn.backends.numpy.windows import Windows
from minicnn.shapes import Pair, check_channels

Shape = tuple[int, ...]

kernels = Kernels("conv_kernels")

# The rows that a core has at a time have so many numbers, which fit into its second cache.
AT_ONCE = 2**16
# A batch is cut into so many pieces at least, for the cores to have alike.
PIECES = 16
# All partial sums of dW together have about so many numbers.
SUMS = 2**20
PARTS = 16
# So many multiplications a core does in a nanosecond, roughly.
RATE = 64
# The bias is added by loops over so many numbers at a time.
BIASES = 128


class Plan(NamedTuple):
    """What depends on the shapes alone.

    Attributes:
        count: ``(height, width)`` of the result.
        windows: ``(oh, ow, kh, kw, sh, sw, dh, dw, top, left)``.
        pools: ``(ph, pw, height, width)``; without any, each window is a pool of its own.
        lines: so many rows of the result at a time.
        space: numbers that a core needs for their pixels and windows.
        parts: into how many the batch is divided for the sums of the backward.
    """

    count: Pair
    windows: np.ndarray
    pools: np.ndarray
    lines: int
    space: int
    parts: int


@lru_cache(maxsize=1024)
def plan(n: int, W_shape: Shape, groups: int, windows: Windows, pool: Pair | None) -> Plan:
    """How a convolution of n images is cut up."""
    kh, kw, c, f = W_shape
    (oh, ow), (height, width) = windows.count, pool or (1, 1)
    (sh, sw), (dh, dw) = windows.strides, windows.dilation
    ph, pw = oh // height, ow // width
    row = ((ow - 1) * sw + (kw - 1) * dw + 1) * c * groups  # of pixels

    def space(lines: int) -> int:
        pixels = ((lines * height - 1) * sh + (kh - 1) * dh + 1) * row
        return pixels + lines * height * ow * f

    lines = max(1, min(ph, -(-n * ph // PIECES)))
    while lines > 1 and space(lines) > AT_ONCE:
        lines -= 1
    parts = min(PARTS, n, max(4, SUMS // (kh * kw * c * f)))
    (top, _), (left, _) = windows.borders
    return Plan(
        (ph, pw),
        np.array([oh, ow, kh, kw, sh, sw, dh, dw, top, left], np.int64),
        np.array([ph, pw, height, width], np.int64),
        lines,
        space(lines),
        2 ** (parts.bit_length() - 1),
    )


@lru_cache(maxsize=1024)
def windows_on(
    x_shape: Shape, W_shape: Shape, strides: Pair, padding: str, dilation: Pair, groups: int = 1
) -> Windows:
    """The windows of a convolution.

    Raises:
        ValueError: if the kernel does not fit on the image, or the channels do not fit the kernel
            and the groups.
    """
    check_channels(x_shape, W_shape, W_shape[2] * groups)
    if W_shape[3] % groups:
        raise ValueError(f"groups: {groups} does not divide the {W_shape[3]} filters of W")
    return Windows.on(x_shape[1:3], W_shape[:2], strides, padding, dilation)


def correlate(
    x: np.ndarray,
    W: np.ndarray,
    b: np.ndarray | None,
    windows: Windows,
    groups: int = 1,
    relu: bool = False,
    pool: Pair | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Every window weighs the pixels under it: (n, h, w, c) -> (n, oh, ow, f).

    Args:
        relu: whether to cut off below zero.
        pool: the size of the windows of which only the maximum is wanted: -> (n, ph, pw, f).

    Returns:
        ``(y, argmax)``, the latter empty without a pool.
    """
    how = plan(len(x), W.shape, groups, windows, pool)
    k, f = math.prod(W.shape[:3]), W.shape[3]
    workers = crew(len(x) * math.prod(windows.count) * k * f // groups // RATE)
    y = empty((len(x), *how.count, f), x.dtype)
    argmax = np.empty((0,) * 4, np.uint8)
    if pool:
        argmax = empty(y.shape, np.min_scalar_type(math.prod(pool) - 1))
    launch(
        kernels.forward,
        workers,
        product(x.dtype),
        contiguous(x),
        contiguous(W).reshape(k, f),
        repeated(b, relu, x.dtype),
        y,
        argmax,
        how.windows,
        how.pools,
        groups,
        how.lines,
        relu,
        empty((workers, how.space + 2 * kernels.CHUNK), x.dtype),
    )
    return y, argmax


def repeated(b: np.ndarray | None, relu: bool, dtype: np.dtype) -> np.ndarray:
    """What is added before a ReLU: the bias, several times over if it is short. Without one zeros;
    without either nothing."""
    if b is None:
        return np.zeros(BIASES if relu else 0, dtype)
    return np.tile(b, -(-BIASES // len(b)))


def spread_and_sum(
    dy: np.ndarray,
    x: np.ndarray | None,
    W: np.ndarray,
    windows: Windows,
    groups: int = 1,
    y: np.ndarray | None = None,
    argmax: np.ndarray | None = None,
    pool: Pair | None = None,
    input_gradient: bool = True,
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """``(dx, dW, db)``: every window adds dy W^T to the pixels under it; dW and db are summed up.

    Args:
        dy: (n, oh, ow, f); with a pool (n, ph, pw, f).
        x: what the windows are on; ``None`` if dW and db are not wanted.
        y: if it was cut off below zero, what remained.
        argmax, pool: if only maxima remained, where they were.
        input_gradient: whether dx is wanted.
    """
    how = plan(len(dy), W.shape, groups, windows, pool)
    (kh, kw, c, f), dtype = W.shape, dy.dtype
    k = kh * kw * c
    workers = crew(2 * len(dy) * math.prod(windows.count) * k * f // groups // RATE)
    nothing = np.empty((0,) * 4, dtype)
    dx = empty((len(dy), *windows.image, c * groups), dtype) if input_gradient else nothing
    sums = empty((how.parts, 0 if x is None else k * f + f), dtype)
    launch(
        kernels.backward,
        workers,
        product(dtype),
        contiguous(dy),
        nothing if y is None else contiguous(y),
        np.empty((0,) * 4, np.uint8) if argmax is None else contiguous(argmax),
        nothing if x is None else contiguous(x),
        contiguous(W.reshape(k, f).T),
        dx,
        sums,
        how.windows,
        how.pools,
        groups,
        how.lines,
        y is not None,
        empty((workers, how.space + 2 * kernels.CHUNK), dtype),
    )
    dx = dx if input_gradient else None
    if x is None:
        return dx, None, None
    total = empty((k * f + f,), dtype)
    launch(kernels.add_parts, workers, sums, total)
    return dx, total[: k * f].reshape(kh, kw, c, f), total[k * f :]
