"""How a convolution is cut into tiles, and the two passes over them.

``gather`` is the way forth, ``scatter_and_sum`` the way back with the sums for the kernel; a
convolution, a transposed convolution and a convolution that ends in a ReLU and a pooling are made
of them. A *tile* is some hundred windows. A core gathers them into its cache, multiplies them there
with the kernel (or the gradient) by a one-thread product of BLAS, and finishes the result before it
goes on to the next.

dW and db are sums over all windows. A fixed number of *parts* of the batch, whatever the number of
cores, have sums of their own, which are added up in order.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from minicnn.backends.numba.arrays import contiguous, empty
from minicnn.backends.numba.threads import (
    Kernels,
    crew,
    gemm,
    launch,
    launch_with_blas,
    small_product,
)
from minicnn.backends.numpy.windows import Windows
from minicnn.shapes import Pair, check_channels

Shape = tuple[int, ...]

kernels = Kernels("conv_kernels")

# A tile has so many numbers, which fit into most cores' second cache.
TILE = 2**19
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
        pools: ``(ph, pw, height, width)``; zeros if there are none.
        rows: windows of a tile in the forward.
        lines: rows of pools of a tile in the forward.
        parts: into how many the batch is divided for the sums of the backward.
        rows_of_part: windows of a tile in the backward.
        images: so many at a time are brought back through their pools.
        small: whether the products of the backward are small enough for BLAS not to pack them.
    """

    count: Pair
    windows: np.ndarray
    pools: np.ndarray
    rows: int
    lines: int
    parts: int
    rows_of_part: int
    images: int
    small: bool


@lru_cache(maxsize=1024)
def plan(n: int, W_shape: Shape, groups: int, windows: Windows, pool: Pair | None) -> Plan:
    """How a convolution of n images is cut up."""
    kh, kw, c, filters = W_shape
    k, f = kh * kw * c, filters // groups
    oh, ow = windows.count
    large = min(max(TILE // k, 64), 512)
    # Where BLAS need not pack its matrices, tiles of a few windows are the quickest.
    unpacked = min(small_product() // (k * f), 128) // 8 * 8
    rows = unpacked if unpacked >= 32 else large
    rows_of_part = unpacked if unpacked >= 16 else large
    height, width = pool or (1, 1)
    ph, pw = oh // height, ow // width
    parts = min(PARTS, n, max(1, 2 * n * oh * ow // rows_of_part), max(4, SUMS // (k * filters)))
    parts = 2 ** (parts.bit_length() - 1)
    (top, _), (left, _) = windows.borders
    return Plan(
        (ph, pw),
        np.array([oh, ow, kh, kw, *windows.strides, *windows.dilation, top, left], np.int64),
        np.array([ph, pw, height, width] if pool else [0, 0, 0, 0], np.int64),
        _even(n * oh * ow, rows, 4),
        _even(n * ph, max(1, rows // (height * ow)), 4),
        parts,
        _even(-(-n // parts) * oh * ow, rows_of_part, 1),
        -(-rows_of_part // (oh * ow)) if pool else n,
        unpacked >= 16,
    )


def _even(total: int, rows: int, multiple: int) -> int:
    """``rows``, or somewhat less so that the tiles are equal and a multiple of so many."""
    tiles = -(-total // (rows * multiple)) * multiple
    return max(1, -(-total // tiles))


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


def gather(
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
    operands = (gemm(x.dtype), contiguous(x), contiguous(W).reshape(k, f), repeated(b, x.dtype))
    if pool:
        argmax = empty(y.shape, np.min_scalar_type(math.prod(pool) - 1))
        size = how.lines * pool[0] * windows.count[1] * (k + f) + 2 * kernels.CHUNK
        launch_with_blas(
            kernels.forward_to_pools,
            workers,
            *operands,
            y.reshape(-1, f),
            argmax.reshape(-1, f),
            how.windows,
            how.pools,
            groups,
            how.lines,
            relu,
            empty((workers, size), x.dtype),
        )
    else:
        launch_with_blas(
            kernels.forward,
            workers,
            *operands,
            y.reshape(-1, f),
            how.windows,
            groups,
            how.rows,
            relu,
            empty((workers, how.rows * k + kernels.CHUNK), x.dtype),
        )
    return y, argmax


def repeated(b: np.ndarray | None, dtype: np.dtype) -> np.ndarray:
    """The bias, several times over if it is short; empty where there is none."""
    return np.empty(0, dtype) if b is None else np.tile(b, -(-BIASES // len(b)))


def scatter_and_sum(
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
        x: what was gathered from; ``None`` if dW and db are not wanted.
        y: if it was cut off below zero, what remained.
        argmax, pool: if only maxima remained, where they were.
        input_gradient: whether dx is wanted.
    """
    how = plan(len(dy), W.shape, groups, windows, pool)
    (kh, kw, c, f), dtype = W.shape, dy.dtype
    k = kh * kw * c
    workers = crew(2 * len(dy) * math.prod(windows.count) * k * f // groups // RATE)
    no_images, no_matrix = np.empty((0,) * 4, dtype), np.empty((0, 0), dtype)
    W = contiguous(W).reshape(k, f)
    dx = empty((len(dy), *windows.image, c * groups), dtype) if input_gradient else no_images
    sums = empty((how.parts, 0 if x is None else k * f + f), dtype)
    rows_of_dz = how.images * math.prod(windows.count) if pool else how.rows_of_part
    launch_with_blas(
        kernels.backward,
        workers,
        gemm(dtype),
        contiguous(dy).reshape(-1, f),
        no_matrix if y is None else contiguous(y).reshape(-1, f),
        np.empty((0, 0), np.uint8) if argmax is None else contiguous(argmax).reshape(-1, f),
        no_images if x is None else contiguous(x),
        W,
        np.ascontiguousarray(W.T) if how.small and input_gradient else no_matrix,
        dx,
        sums,
        how.windows,
        how.pools,
        groups,
        how.images,
        how.rows_of_part,
        y is not None,
        empty((workers, how.rows_of_part * k + rows_of_dz * f + 2 * kernels.CHUNK), dtype),
    )
    dx = dx if input_gradient else None
    if x is None:
        return dx, None, None
    total = empty((k * f + f,), dtype)
    launch(kernels.add_parts, workers, sums, total)
    return dx, total[: k * f].reshape(kh, kw, c, f), total[k * f :]
