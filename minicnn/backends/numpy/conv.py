"""Convolution, and how a gradient gets through it.

What neural networks call a convolution is a correlation: the kernel is laid on the image as it is,
not flipped. Take one axis first. Window r lays tap i of the kernel on pixel r s + i d - top, with s
the stride, d the dilation, and ``top`` the number of zeros put before the first pixel:

    y[r] = sum_i x[r s + i d - top] W[i] + b

Here x[p] is a row of c channels, W[i] a matrix (c, f) and y[r] a row of f filters. With both axes,
the images n, and everything written out,

    y[n, r, q, f] = sum_{i, j, c} x[n, r s + i d - top, q s + j d - left, c] W[i, j, c, f] + b[f]

**The gradient of x.** A pixel x[p] has a part in every y[r] whose window has a tap i on it, that is
p = r s + i d - top, and its part there is x[p] W[i]: a fully connected product, whose way back is
dy[r] W[i]^T. The chain rule adds up what comes back from all of them:

    dx[p] = sum over all (r, i) with r s + i d - top = p  of  dy[r] W[i]^T

Read from the side of dy: every window *scatters* dy[r] W[i]^T back to the pixels from which it had
*gathered*. That is how :func:`scatter` does it, and it is right for every stride, dilation and
padding: pixels under several windows get several parts, border pixels that no window reached get 0,
and what falls on the padding is dropped.

Read from the side of dx, for s = d = 1, r = p + top - i: dx[p] = sum_i dy[p + top - i] W[i]^T. The
index of dy falls while that of W rises. So dx is dy correlated with the kernel *flipped* by 180
degrees, its channel axes exchanged (for s > 1, with s - 1 zeros put between the entries of dy). A
program that forgets the flip has wrong gradients for all but symmetric kernels, and yet it trains
a little.

**The gradient of W.** W[i] has a part in every y[r], and meets there the pixel x[r s + i d - top].
:func:`~minicnn.backends.numpy.windows.im2col` copies just these pixels into a matrix ``cols``: a
row for each window r of each image, a column for each tap i and channel. With the kernel as a
matrix, too, one column for each filter,

    y = cols W + b        dW = cols^T dy        db = the sum of dy's rows

which are the formulas of a fully connected layer (``dense.py``): a convolution is one such layer,
applied to every window.

**Groups.** With g groups the channels are split into g equal parts, and so are the filters: g
convolutions side by side that do not see each other.

Source: Goodfellow, Bengio and Courville, "Deep Learning" (2016), sections 9.1 and 9.5; dx as a
convolution of its own is in Dumoulin and Visin (2016), chapter 4.
"""

from __future__ import annotations

import numpy as np

from minicnn.backends.numpy.windows import Windows, blocks, im2col
from minicnn.shapes import Pair, check_channels


def conv2d(
    x: np.ndarray,
    W: np.ndarray,
    b: np.ndarray | None = None,
    strides: Pair = (1, 1),
    padding: str = "valid",
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> np.ndarray:
    """y = x correlated with W, plus b; the equation is at the head of this module.

    Args:
        x: images (n, h, w, c).
        W: kernel (kh, kw, c / groups, f).
        b: (f,), or ``None`` for no bias.
        strides: the distance between two windows, down and across.
        padding: ``"valid"`` (none) or ``"same"`` (oh = ceil(h / s)).
        dilation: the distance between two taps of the kernel.
        groups: how many convolutions side by side; it divides c and f.

    Returns:
        y: (n, oh, ow, f), of the dtype of x and W.

    Raises:
        ValueError: if the kernel does not fit on the image, or the channels do not fit the kernel
            and the groups.

    >>> x = np.array([[0.0, 0, 1, 1]]).reshape(1, 1, 4, 1)
    >>> edge = np.array([[-1.0, 1]]).reshape(1, 2, 1, 1)
    >>> conv2d(x, edge).ravel()
    array([0., 1., 0.])
    """
    check_channels(x.shape, W.shape, W.shape[2] * groups)
    if W.shape[3] % groups:
        raise ValueError(f"groups: {groups} does not divide the {W.shape[3]} filters of W")
    windows = Windows.on(x.shape[1:3], W.shape[:2], strides, padding, dilation)
    y = _joined(
        [
            gather(x_group, W_group, windows)
            for x_group, W_group in zip(_split(x, groups), _split(W, groups), strict=True)
        ]
    )
    if b is not None:
        y += b
    return y


def conv2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    W: np.ndarray,
    strides: Pair = (1, 1),
    padding: str = "valid",
    dilation: Pair = (1, 1),
    groups: int = 1,
    input_gradient: bool = True,
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """The gradients of :func:`conv2d`; this module's docstring derives them.

    Args:
        dy: (n, oh, ow, f).
        x, W, strides, padding, dilation, groups: what the forward got.
        input_gradient: whether dx is wanted; a network's first layer does without.

    Returns:
        ``(dx, dW, db)`` in the shapes of x, W and b; dx is ``None`` where it is not wanted.
    """
    windows = Windows.on(x.shape[1:3], W.shape[:2], strides, padding, dilation)
    dys, xs, Ws = (_split(array, groups) for array in (dy, x, W))
    dx = None
    if input_gradient:
        dx = _joined([scatter(*group, windows) for group in zip(dys, Ws, strict=True)])
    dW = _joined([kernel_gradient(*group, windows) for group in zip(dys, xs, strict=True)])
    db = dy.sum(axis=(0, 1, 2))
    return dx, dW, db


def gather(x: np.ndarray, W: np.ndarray, windows: Windows) -> np.ndarray:
    """y = cols W: every window weighs the pixels under it. (n, h, w, c) -> (n, oh, ow, f)."""
    f = W.shape[3]
    dtype, shape = np.result_type(x, W), (len(x), *windows.count, f)
    y = np.empty_like(x, dtype=dtype, shape=shape, order="C")  # so that the reshape is a view
    for block in blocks(x, windows):
        np.matmul(im2col(x[block], windows), W.reshape(-1, f), out=y[block].reshape(-1, f))
    return y


def scatter(dy: np.ndarray, W: np.ndarray, windows: Windows) -> np.ndarray:
    """The way back of :func:`gather`: (n, oh, ow, f) -> (n, h, w, c).

    Every window adds dy W[i, j]^T to the pixel under its tap (i, j); one tap of all windows at a
    time, for these pixels all differ, so that += loses nothing. (Known as "col2im".)
    """
    n, f, c = len(dy), W.shape[3], W.shape[2]
    rows = dy.reshape(-1, f)
    dx = np.zeros_like(dy, dtype=np.result_type(dy, W), shape=(n, *windows.image, c))
    for (i, j), inside, pixels in windows.taps():
        parts = (rows @ W[i, j].T).reshape(n, *windows.count, c)
        dx[pixels] += parts[inside]
    return dx


def kernel_gradient(dy: np.ndarray, x: np.ndarray, windows: Windows) -> np.ndarray:
    """dW = cols^T dy: for each weight, the sum over all windows of the pixel it met times dy."""
    c, f = x.shape[3], dy.shape[3]
    kh, kw = windows.kernel_size
    dW = np.zeros_like(x, dtype=np.result_type(dy, x), shape=(kh * kw * c, f))
    for block in blocks(x, windows):
        dW += im2col(x[block], windows).T @ dy[block].reshape(-1, f)
    return dW.reshape(kh, kw, c, f)


def _split(array: np.ndarray, groups: int) -> list[np.ndarray]:
    """The last axis (channels of x, filters of W and dy) in equal parts."""
    return np.split(array, groups, axis=-1)


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
