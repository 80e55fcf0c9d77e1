"""Convolutions with kernels of 3x3 in a quarter of the multiplications: Winograd's way.

The textbook multiplies each of the 9 numbers of a kernel with each pixel. Here an image is cut into
tiles of m x m outputs, with the (m + 2) x (m + 2) inputs that they depend on; these inputs, and the
kernel, are brought into a world where a convolution is a product number by number, (m + 2)^2 of
them instead of 9 m^2: with m = 4, 36 instead of 144. The way there and back is a small matrix on
each side (see ``transform_kernels.py``):

    U = G W G^T,   V = B^T d B,   M_p = V_p U_p for each of the (m + 2)^2 positions p,   Y = A^T M A

M_p = V_p U_p is a product of matrices, (tiles, c) with (c, f). Every step is linear, so the way
back is the same steps, transposed, in reverse order:

    dM = A dY A^T,   dV_p = dM_p U_p^T,   dd = B dV B^T,   dU_p = V_p^T dM_p,   dW = G^T dU G

It pays from 16 channels on. The result is the textbook's but for rounding: in float32 about ten
times as much of it, some 1e-6. Over an empty region, where the textbook has 0, it may have 1e-9;
and if the bias is 0, too, a ReLU passes that. In float64 this way is not taken.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from minicnn.backends.numba.arrays import contiguous, empty
from minicnn.backends.numba.correlation import repeated
from minicnn.backends.numba.threads import Kernels, crew, launch, product
from minicnn.backends.numpy.windows import Windows

kernels = Kernels("winograd_kernels")

SIDES = (3, 4)
# Loops over channels take 16 at a time.
CHUNK = 16
# A block has so many tiles, for quick products...
TILES = 64
# ... and so many numbers, for a core's second cache.
BLOCK = 2**20
SUMS = 2**20
PARTS = 16
RATE = 64


@lru_cache(maxsize=1024)
def side_of_tiles(
    n: int, W_shape: tuple[int, ...], windows: Windows, groups: int = 1, kind: str = "f"
) -> int | None:
    """m, the side of the tiles with which a convolution takes the least; ``None`` if it cannot, or
    should not, be done in this way.

    Args:
        kind: the letter of the dtype. Whoever computes in float64 wants the last digits.
    """
    kh, kw, c, f = W_shape
    if kind != "f":
        return None
    if (kh, kw) != (3, 3) or windows.strides != (1, 1) or windows.dilation != (1, 1) or groups > 1:
        return None
    if c % CHUNK or f % CHUNK or min(windows.count) < 3:
        return None
    m = min(SIDES, key=lambda m: _tiles(windows, m) * (m + 2) ** 2)
    numbers = _tiles(windows, m) * (m + 2) ** 2 * (c + f)
    enough = n * _tiles(windows, m) >= 2 * CHUNK  # else the kernel's own transform costs too much
    return m if numbers <= BLOCK and enough else None


def _tiles(windows: Windows, m: int) -> int:
    """How many tiles an image has."""
    return math.prod(-(-count // m) for count in windows.count)


def forward(
    x: np.ndarray, W: np.ndarray, b: np.ndarray | None, windows: Windows, m: int, relu: bool = False
) -> np.ndarray:
    """``conv2d`` with 3x3 kernels, and max(y, 0) of it if ``relu``.

    Args:
        x, W, b: those of ``conv2d``.
        windows: where the kernel lies.
        m: from :func:`side_of_tiles`.
    """
    (n, c), f = (len(x), x.shape[3]), W.shape[3]
    images, _ = _blocks(n, c, f, windows, m)
    workers = _workers(n, c, f, windows, m)
    y = empty((n, *windows.count, f), x.dtype)
    launch(
        kernels.forward,
        workers,
        product(x.dtype),
        contiguous(x),
        _transformed(W, m),
        repeated(b, relu, x.dtype),
        y,
        _numbers(windows, m, images),
        relu,
        _scratch(workers, images, c, f, windows, m, x.dtype),
    )
    return y


def backward(
    dy: np.ndarray,
    x: np.ndarray,
    W: np.ndarray,
    windows: Windows,
    m: int,
    input_gradient: bool = True,
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """``conv2d_backward`` with 3x3 kernels: (dx, dW, db)."""
    (n, c), f, dtype = (len(x), x.shape[3]), W.shape[3], x.dtype
    images, parts = _blocks(n, c, f, windows, m)
    workers = _workers(n, c, f, windows, m)
    dx = empty(x.shape if input_gradient else (0, 0, 0, 0), dtype)
    size = (m + 2) ** 2 * c * f
    sums = empty((parts, size + f), dtype)
    launch(
        kernels.backward,
        workers,
        product(dtype),
        contiguous(dy),
        contiguous(x),
        _transformed(W.swapaxes(2, 3), m) if input_gradient else empty((0,), dtype),
        dx,
        sums,
        _numbers(windows, m, images),
        _scratch(workers, images, c, f, windows, m, dtype),
    )
    dW = empty(W.shape, dtype)
    launch(kernels.transform_gradient, crew(parts * size // 4), sums, dW.reshape(-1), m)
    return (dx if input_gradient else None), dW, sums[:, size:].sum(axis=0)


def _transformed(W: np.ndarray, m: int) -> np.ndarray:
    """U = G W G^T, for each channel and filter."""
    W = contiguous(W).reshape(-1)
    U = empty((W.size // 9 * (m + 2) ** 2,), W.dtype)
    launch(kernels.transform_kernel, crew(U.size // 4), W, U, m)
    return U


@lru_cache(maxsize=1024)
def _blocks(n: int, c: int, f: int, windows: Windows, m: int) -> tuple[int, int]:
    """How many images a block has, and how many sums of its own the kernel's gradient."""
    per_image, positions = _tiles(windows, m), (m + 2) ** 2
    tiles = min(TILES, BLOCK // (positions * (c + f)))
    images = max(1, tiles // per_image)
    parts = min(PARTS, -(-n // images), max(2, SUMS // (positions * c * f)))
    parts = 2 ** (parts.bit_length() - 1)
    per_part = -(-n // parts)
    return -(-per_part // -(-per_part // images)), parts


@lru_cache(maxsize=1024)
def _numbers(windows: Windows, m: int, images: int) -> np.ndarray:
    (top, _), (left, _) = windows.borders
    return np.array([m, top, left, images], np.int64)


def _workers(n: int, c: int, f: int, windows: Windows, m: int) -> int:
    return crew(n * _tiles(windows, m) * (m + 2) ** 2 * c * f // RATE)


def _scratch(
    workers: int, images: int, c: int, f: int, windows: Windows, m: int, dtype: np.dtype
) -> np.ndarray:
    """Space for V, M and one tile, for each worker."""
    positions = (m + 2) ** 2
    tiles = images * _tiles(windows, m)
    return empty((workers, positions * (tiles * (c + f) + max(c, f))), dtype)
