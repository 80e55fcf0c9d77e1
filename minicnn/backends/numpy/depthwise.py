"""Depthwise convolution: every channel has kernels of its own and sees no other channel.

    y[n, r, q, c m + k] = sum_{i, j} x[n, r s + i d - top, q s + j d - left, c] W[i, j, c, k]
                          + b[c m + k]

with k = 0 ... m - 1 and m the depth multiplier, so each of the c channels gives m output channels.
With every channel repeated m times it is one kernel for each channel, and the sum over the kernel's
taps is a sum of products of equally shaped arrays: no matrix product, one tap at a time.

The backward is that of a convolution (derived in ``conv.py``), each channel by itself: a product
x W in a window sends dy W back to the pixel and dy x to the weight, and all of these add up. So do
the gradients of a repeated channel's copies.

Source: Chollet, "Xception: deep learning with depthwise separable convolutions" (2017).
"""

from __future__ import annotations

import numpy as np

from minicnn.backends.numpy.windows import Windows
from minicnn.shapes import Pair, check_channels


def depthwise_conv2d(
    x: np.ndarray,
    W: np.ndarray,
    b: np.ndarray | None = None,
    strides: Pair = (1, 1),
    padding: str = "valid",
    dilation: Pair = (1, 1),
) -> np.ndarray:
    """Every channel of x with its own m kernels; this module's docstring has the equation.

    Args:
        x: images (n, h, w, c).
        W: kernels (kh, kw, c, m).
        b: (c * m,), or ``None`` for no bias.
        strides, padding, dilation: as in ``conv2d``.

    Returns:
        y: (n, oh, ow, c * m), of the dtype of x and W.

    Raises:
        ValueError: if the kernel does not fit on the image, or the channels do not fit the kernel.

    >>> x = np.array([[1.0, 10.0], [2.0, 20.0]]).reshape(1, 1, 2, 2)
    >>> depthwise_conv2d(x, np.array([[1.0, 3.0], [-1.0, 3.0]]).reshape(1, 2, 2, 1)).ravel()
    array([-1., 90.])
    """
    check_channels(x.shape, W.shape, W.shape[2])
    windows = Windows.on(x.shape[1:3], W.shape[:2], strides, padding, dilation)
    x, W = one_kernel_each(x, W)
    dtype, shape = np.result_type(x, W), (len(x), *windows.count, x.shape[3])
    y = np.zeros_like(x, dtype=dtype, shape=shape)
    for (i, j), inside, pixels in windows.taps():
        y[inside] += x[pixels] * W[i, j]
    if b is not None:
        y += b
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
    """The gradients of :func:`depthwise_conv2d`.

    Args:
        dy: (n, oh, ow, c * m).
        x, W, strides, padding, dilation: what the forward got.
        input_gradient: whether dx is wanted; a network's first layer does without.

    Returns:
        ``(dx, dW, db)`` in the shapes of x, W and b; dx is ``None`` where it is not wanted.
    """
    windows = Windows.on(x.shape[1:3], W.shape[:2], strides, padding, dilation)
    copies, kernels = one_kernel_each(x, W)
    dW = np.empty_like(kernels)
    dcopies = np.zeros_like(copies, dtype=dy.dtype) if input_gradient else None
    for (i, j), inside, pixels in windows.taps():
        dW[i, j] = np.einsum("nrqc,nrqc->c", copies[pixels], dy[inside])
        if input_gradient:
            dcopies[pixels] += dy[inside] * kernels[i, j]
    dx = None
    if input_gradient:
        dx = np.einsum("nhwcm->nhwc", dcopies.reshape(*x.shape, W.shape[3]))
    db = dy.sum(axis=(0, 1, 2))
    return dx, dW.reshape(W.shape), db


def one_kernel_each(x: np.ndarray, W: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every channel m times, and the kernels (kh, kw, c, m) in the same order: (kh, kw, c * m)."""
    kh, kw, c, m = W.shape
    return (x if m == 1 else np.repeat(x, m, axis=3)), W.reshape(kh, kw, c * m)
