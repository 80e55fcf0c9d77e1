"""Transposed convolution: the way back through a convolution, as an operation of its own.

A convolution gathers: each output pixel weighs the window of the image under it. Its transpose
scatters: each *input* pixel x[r] lays x[r] W[i] down on the output, in windows s pixels apart, and
where windows overlap the parts add up:

    y[r s + i d - top] += x[r] W[i]^T            for all r and i,   and   y += b

A convolution is linear in x: with all pixels in one column it is y = A x, A a large matrix made of
W, and this is y = A^T x. Hence the name, and hence its backward, which needs nothing new. dx = A dy
is a *convolution* of dy. And as sum(dy * A^T x) = sum(A dy * x), the kernel's gradient is that of
the convolution with x and dy in exchanged places. The kernel has the axes (kh, kw, out, in): those
of the convolution that goes from this operation's output to its input.

Source: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning" (2016), chapter 4.
"""

from __future__ import annotations

import numpy as np

from minicnn.backends.numpy.conv import gather, kernel_gradient, scatter
from minicnn.backends.numpy.windows import Windows
from minicnn.shapes import Pair, check_channels


def conv2d_transpose(
    x: np.ndarray,
    W: np.ndarray,
    b: np.ndarray | None = None,
    strides: Pair = (1, 1),
    padding: str = "valid",
    dilation: Pair = (1, 1),
    output_padding: Pair | None = None,
) -> np.ndarray:
    """y[n, r s + i d - top, q s + j d - left, o] += sum_c x[n, r, q, c] W[i, j, o, c]; y += b.

    Args:
        x: images (n, h, w, c).
        W: kernel (kh, kw, out, c).
        b: (out,), or ``None`` for no bias.
        strides: the distance between two windows on the output: by how much it is larger than x.
        padding: ``"valid"`` keeps all of the output, ``"same"`` its middle h * s by w * s pixels.
        dilation: the distance between two taps of the kernel.
        output_padding: chooses among the output sizes that have h x w windows
            (see :func:`minicnn.shapes.transposed_output_size`).

    Returns:
        y: (n, oh, ow, out), of the dtype of x and W.

    Raises:
        ValueError: if an ``output_padding`` is not less than its stride, nothing is left, or the
            channels do not fit the kernel.

    >>> x = np.array([1.0, 2.0]).reshape(1, 1, 2, 1)
    >>> conv2d_transpose(x, np.array([1.0, 1.0, 10.0]).reshape(1, 3, 1, 1), strides=(1, 2)).ravel()
    array([ 1.,  1., 12.,  2., 20.])
    """
    check_channels(x.shape, W.shape, W.shape[3])
    windows = Windows.under(x.shape[1:3], W.shape[:2], strides, padding, dilation, output_padding)
    y = scatter(x, W, windows)
    if b is not None:
        y += b
    return y


def conv2d_transpose_backward(
    dy: np.ndarray,
    x: np.ndarray,
    W: np.ndarray,
    strides: Pair = (1, 1),
    padding: str = "valid",
    dilation: Pair = (1, 1),
    output_padding: Pair | None = None,
    input_gradient: bool = True,
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """The gradients of :func:`conv2d_transpose`: dx is the convolution of dy with W.

    Args:
        dy: (n, oh, ow, out).
        x, W, strides, padding, dilation, output_padding: what the forward got.
        input_gradient: whether dx is wanted; a network's first layer does without.

    Returns:
        ``(dx, dW, db)`` in the shapes of x, W and b; dx is ``None`` where it is not wanted.
    """
    windows = Windows.under(x.shape[1:3], W.shape[:2], strides, padding, dilation, output_padding)
    dx = gather(dy, W, windows) if input_gradient else None
    dW = kernel_gradient(x, dy, windows)
    db = dy.sum(axis=(0, 1, 2))
    return dx, dW, db
