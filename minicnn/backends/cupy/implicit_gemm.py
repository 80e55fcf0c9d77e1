"""Convolution as a product of matrices without the matrix of windows ("implicit GEMM").

im2col writes every pixel once for each tap of the kernel, and cuBLAS reads it again. Here a block
of threads fetches what it needs of the images itself. It multiplies more slowly than cuBLAS, so
that it gains where there are few filters, and little to multiply for every number fetched; and
only if the result is large enough to occupy the GPU, since the sums of y and dx are not divided.
"""

from __future__ import annotations

from typing import Any

from minicnn.backends.cupy import device
from minicnn.backends.cupy.dense import add_slabs
from minicnn.backends.cupy.windows import Windows, are_pixels

KERNELS = device.Kernels("implicit_gemm")

FILTERS = 128
"""Up to so many filters, convolutions are computed here. By the bytes and the multiplications that
either way takes; on a GPU it has not been measured yet."""

RESULTS = 2**18
"""So many numbers y must have; fewer are too few blocks, of which each has long sums. Estimated."""

SIZES = {"large": (128, 64), "small": (64, 32), "flat": (32, 32)}
"""The tiles of the result that a block makes, in rows and columns; a thread for each row."""

MANY = 512
"""So many blocks occupy a GPU; with fewer, tiles are small, or sums are divided."""

TIMES = {"large": 1, "small": 2, "flat": 3}
"""How many times so many fit where tiles are smaller."""

SLAB = 128
"""So many windows at least are summed before a sum is divided."""


def is_better(windows: Windows, images: int, filters: int, groups: int) -> bool:
    """Whether a convolution shall be computed here. Kernels of one pixel need no matrix of windows,
    and TensorFloat-32 is in cuBLAS."""
    (oh, ow), (h, w) = windows.count, windows.image
    fits = images * max(oh * ow, h * w) < device.INT_LIMIT
    return (
        groups == 1 and filters <= FILTERS and images * oh * ow * filters >= RESULTS and fits
        and not are_pixels(windows) and not device.door().tf32
    )  # fmt: skip


def convolve(x: Any, W: Any, b: Any | None, windows: Windows, relu: bool) -> Any:
    """y = x correlated with W, plus b; with ``relu``, then y = max(y, 0)."""
    (top, _), (left, _) = windows.borders
    y = device.empty((len(x), *windows.count, W.shape[3]), x.dtype)
    steps = (*windows.strides, *windows.dilation, top, left)
    _product(x, W, b, y, windows, steps, exchanged=False, relu=relu)
    return y


def convolve_back(dy: Any, W: Any, windows: Windows) -> Any:
    """dx, for strides of 1. The windows in which pixel (p, o) is lie where

        r = p + top - i dh   and   q = o + left - j dw

    so that dx is dy correlated with W, with borders and dilation the other way round.
    """
    (top, _), (left, _) = windows.borders
    dx = device.empty((len(dy), *windows.image, W.shape[2]), dy.dtype)
    dh, dw = windows.dilation
    _product(dy, W, None, dx, windows, (1, 1, -dh, -dw, -top, -left), exchanged=True, relu=False)
    return dx


def _product(
    x: Any, W: Any, b: Any, y: Any, windows: Windows, steps: Any, exchanged: bool, relu: bool
) -> None:
    count, f = y.size // max(1, y.shape[3]), y.shape[3]
    size, (tiles, across) = _tiles(count, f, 1)
    KERNELS.launch(
        f"product_{size}", x.dtype, (tiles, across), (SIZES[size][0],), x, W, b, y, count, f,
        exchanged, relu, device.packed(x.shape[3], x, W), device.packed(f, W, y),
        *y.shape[1:3], *x.shape[1:], *windows.kernel_size, *steps,
    )  # fmt: skip


def gradients(
    dy: Any, x: Any, windows: Windows, out: tuple[Any, Any] = (None, None)
) -> tuple[Any, Any]:
    """``(dW, db)``; db is computed as if it were one more row of dW."""
    (top, _), (left, _) = windows.borders
    c, f, count = x.shape[3], dy.shape[3], dy.size // max(1, dy.shape[3])
    inner = windows.kernel_size[0] * windows.kernel_size[1] * c
    # A function of the shapes alone, so that the order of the sums is the same on every GPU.
    most = max(1, count // SLAB)
    size, (tiles, across) = _tiles(inner + 1, f, most)
    if inner < SIZES["flat"][0]:
        size, (tiles, across) = "flat", (1, -(-f // SIZES["flat"][1]))
    slabs = max(1, min(TIMES[size] * MANY // max(1, tiles * across), most))
    shape = *windows.kernel_size, c, f
    dW = device.empty(shape, x.dtype) if out[0] is None else out[0]
    db = device.empty(f, x.dtype) if out[1] is None else out[1]
    partial = device.empty((slabs, (inner + 1) * f), "float64") if slabs > 1 else None
    KERNELS.launch(
        f"gradients_{size}", x.dtype, (tiles, across, slabs), (SIZES[size][0],),
        x, dy, partial, dW, db, count, f, device.packed(c, x), device.packed(f, dy),
        *dy.shape[1:3], *x.shape[1:], *windows.kernel_size, *windows.strides, *windows.dilation,
        top, left,
    )  # fmt: skip
    if slabs > 1:
        add_slabs(partial, dW, db)
    return dW, db


def _tiles(rows: int, columns: int, slabs: int) -> tuple[str, tuple[int, int]]:
    """The size of the tiles of a matrix, large if there are many of them (in so many slabs), and
    how many there are, one below and one beside the other."""
    counts = {size: (-(-rows // m), -(-columns // f)) for size, (m, f) in SIZES.items()}
    down, across = counts["large"]
    wide = 2 * columns > SIZES["large"][1]  # a narrow matrix leaves half of its large tiles empty
    size = "large" if wide and down * across * slabs >= MANY else "small"
    return size, counts[size]
