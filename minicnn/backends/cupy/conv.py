"""Convolution on the GPU: a product of matrices for every block of images.

The derivation stands in the textbook's file of this name. With ``cols``, the matrix of all windows,

    y = cols W + b        dW = cols^T dy        dx = col2im(dy W^T)        db = the sum of dy's rows

Where that is too much memory to and fro, ``implicit_gemm.py`` does the same without ``cols``. The
groups of a grouped convolution take their parts of the channels out of x, W and y as they lie.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from minicnn.backends.cupy import device, implicit_gemm
from minicnn.backends.cupy.activation import relu, relu_backward
from minicnn.backends.cupy.dense import add_bias, sum_rows
from minicnn.backends.cupy.pooling import max_pool2d, max_pool2d_relu_backward
from minicnn.backends.cupy.windows import Windows, are_pixels, blocks, col2im, im2col
from minicnn.shapes import Pair, check_channels


def conv2d(
    x: Any,
    W: Any,
    b: Any | None = None,
    strides: Pair = (1, 1),
    padding: str = "valid",
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> Any:
    """y = x correlated with W, plus b: (n, h, w, c), (kh, kw, c / groups, f) -> (n, oh, ow, f).

    Raises:
        ValueError: if the kernel does not fit on the image, or the channels do not fit the kernel
            and the groups.
    """
    return _convolved(x, W, b, strides, padding, dilation, groups, with_relu=False)


class Saved(NamedTuple):
    """What the backward of a convolution with a ReLU needs.

    Attributes:
        x: the input.
        y: the output.
        argmax: where the maxima were, if only these are the output.
        shape: that of the output before the pooling.
    """

    x: Any
    y: Any
    argmax: Any
    shape: tuple[int, ...]


def conv2d_relu(
    x: Any,
    W: Any,
    b: Any | None = None,
    strides: Pair = (1, 1),
    padding: str = "valid",
    dilation: Pair = (1, 1),
    groups: int = 1,
    pool_size: Pair | None = None,
) -> tuple[Any, Any]:
    """y = relu(conv2d(x, W, b, ...)), with the relu taken on the way out; then the maximum of each
    pool, if there is a ``pool_size``.

    Returns:
        ``(y, saved)``: the output, and what the backward needs.
    """
    y = _convolved(x, W, b, strides, padding, dilation, groups, with_relu=True)
    shape, argmax = y.shape, None
    if pool_size:
        y, argmax = max_pool2d(y, pool_size, pool_size)
    return y, Saved(x, y, argmax, shape)


def _convolved(
    x: Any,
    W: Any,
    b: Any,
    strides: Pair,
    padding: str,
    dilation: Pair,
    groups: int,
    with_relu: bool,
) -> Any:
    check_channels(x.shape, W.shape, W.shape[2] * groups)
    if W.shape[3] % groups:
        raise ValueError(f"groups: {groups} does not divide the {W.shape[3]} filters of W")
    x, W, b = device.ready(x, W, b)
    windows = Windows.on(x.shape[1:3], W.shape[:2], strides, padding, dilation)
    return gather(x, W, windows, groups, b, with_relu)


def conv2d_backward(
    dy: Any,
    x: Any,
    W: Any,
    strides: Pair = (1, 1),
    padding: str = "valid",
    dilation: Pair = (1, 1),
    groups: int = 1,
    input_gradient: bool = True,
) -> tuple[Any | None, Any, Any]:
    """``(dx, dW, db)`` in the shapes of x, W and b; dx is ``None`` where it is not wanted."""
    windows = Windows.on(x.shape[1:3], W.shape[:2], strides, padding, dilation)
    return _gradients(dy, x, W, windows, groups, input_gradient)


def _gradients(
    dy: Any, x: Any, W: Any, windows: Windows, groups: int, input_gradient: bool,
    out: tuple[Any, Any] = (None, None),
) -> tuple[Any | None, Any, Any]:  # fmt: skip
    dy, x, W = device.ready(dy, x, W)
    dx = scatter(dy, W, windows, groups) if input_gradient else None
    if implicit_gemm.is_better(windows, len(x), W.shape[3], groups):
        return dx, *implicit_gemm.gradients(dy, x, windows, out)
    dW = kernel_gradient(dy, x, windows, groups, out[0])
    return dx, dW, sum_rows(dy.reshape(-1, dy.shape[3]), out[1])


def conv2d_relu_backward(
    dy: Any,
    saved: Any,
    W: Any,
    strides: Pair = (1, 1),
    padding: str = "valid",
    dilation: Pair = (1, 1),
    groups: int = 1,
    pool_size: Pair | None = None,
    input_gradient: bool = True,
    out: tuple[Any, Any] = (None, None),
) -> tuple[Any | None, Any, Any]:
    """``(dx, dW, db)`` of :func:`conv2d_relu`, from dy and what it saved.

    Args:
        out: arrays for dW and db, instead of new ones.
    """
    x, y, argmax, shape = saved
    if pool_size:
        dz = max_pool2d_relu_backward(dy, y, argmax, shape, pool_size, pool_size)
    else:
        dz = relu_backward(dy, None, y)
    windows = Windows.on(x.shape[1:3], W.shape[:2], strides, padding, dilation)
    return _gradients(dz, x, W, windows, groups, input_gradient, out)


def gather(
    x: Any, W: Any, windows: Windows, groups: int = 1, b: Any = None, with_relu: bool = False
) -> Any:
    """y = cols W + b: every window weighs the pixels under it. (n, h, w, c) -> (n, oh, ow, f)."""
    n, c, f = len(x), W.shape[2], W.shape[3]
    if implicit_gemm.is_better(windows, n, f, groups):
        return implicit_gemm.convolve(x, W, b, windows, with_relu)
    y = device.empty((n, *windows.count, f), x.dtype)
    matrix = W.reshape(-1, f)
    for block in blocks(windows, n, c, x.itemsize):
        rows = y[block].reshape(-1, f)
        for group, filters in _groups(f, groups):
            cols = im2col(x[block], windows, group * c, c)
            device.gemm(cols, matrix[:, filters], rows[:, filters])
    if b is None:
        return relu(y) if with_relu else y
    add_bias(y, b, with_relu)
    return y


def scatter(dy: Any, W: Any, windows: Windows, groups: int = 1) -> Any:
    """What :func:`gather` does, transposed: (n, oh, ow, f) -> (n, h, w, c)."""
    n, c, f = len(dy), W.shape[2], W.shape[3]
    kh, kw = windows.kernel_size
    if windows.strides == (1, 1) and implicit_gemm.is_better(windows, n, f, groups):
        return implicit_gemm.convolve_back(dy, W, windows)
    dx = device.empty((n, *windows.image, c * groups), dy.dtype)
    matrix = W.reshape(-1, f)
    for block in blocks(windows, n, c, dy.itemsize):
        rows = dy[block].reshape(-1, f)
        if are_pixels(windows) and groups == 1:
            device.gemm(rows, matrix, dx[block].reshape(-1, c), transpose_b=True)
            continue
        cols = device.empty((len(rows), kh * kw * c), dy.dtype)
        for group, filters in _groups(f, groups):
            device.gemm(rows[:, filters], matrix[:, filters], cols, transpose_b=True)
            col2im(cols, dx[block], windows, group * c, c)
    return dx


def kernel_gradient(dy: Any, x: Any, windows: Windows, groups: int = 1, out: Any = None) -> Any:
    """dW = cols^T dy: for every weight, the pixels it met times the gradients they led to."""
    n, c, f = len(x), x.shape[3] // groups, dy.shape[3]
    kh, kw = windows.kernel_size
    dW = device.empty((kh, kw, c, f), x.dtype) if out is None else out
    matrix = dW.reshape(-1, f)
    if n == 0:
        dW.fill(0)
    for block in blocks(windows, n, c, x.itemsize):
        rows = dy[block].reshape(-1, f)
        for group, filters in _groups(f, groups):
            cols = im2col(x[block], windows, group * c, c)
            device.gemm(
                cols, rows[:, filters], matrix[:, filters],
                transpose_a=True, accumulate=block.start > 0,
            )  # fmt: skip
    return dW


def _groups(filters: int, groups: int) -> Iterator[tuple[int, slice]]:
    """For each group its number, and which filters are its."""
    size = filters // groups
    for group in range(groups):
        yield group, slice(group * size, (group + 1) * size)
