"""Pooling: a window of pixels becomes one number, each channel for itself.

**Maximum.** y = max of the window. Raising the largest pixel raises y by as much, the others change
nothing. So dy goes to the pixel that was the maximum, and the forward remembers which one that was.
Where several are equal the derivative does not exist, and one of them has to be chosen; here, on
every floor, it is the first one, row by row. (Sharing dy among them would be as good. Giving it to
each in full would not be: raising them all raises y once, not several times.)

**Average.** y = (sum of the window) / m, with m the number of its pixels: each of them gets dy / m.

Where windows overlap, a pixel adds up what it gets from each window it is in. Padding is no pixel:
it is never the maximum, even if all pixels are negative, and not counted in m. The loops below go
over the taps of the window (see ``windows.py``), not over the pixels.
"""

from __future__ import annotations

import numpy as np

from minicnn.backends.numpy.windows import Windows
from minicnn.shapes import Pair

Shape = tuple[int, ...]


def max_pool2d(
    x: np.ndarray, pool_size: Pair, strides: Pair, padding: str = "valid"
) -> tuple[np.ndarray, np.ndarray]:
    """y[n, r, q, c] = max over (i, j) of x[n, r s + i - top, q s + j - left, c].

    Args:
        x: images (n, h, w, c).
        pool_size: ``(kh, kw)``, the window.
        strides: the distance between two windows, down and across.
        padding: ``"valid"`` (none) or ``"same"`` (oh = ceil(h / s)).

    Returns:
        y: (n, oh, ow, c), of the dtype of x. A NaN in a window makes its y NaN.
        argmax: (n, oh, ow, c), the tap i * kw + j of the window's first maximum; uint8, or a larger
        unsigned type where the window has more than 256 pixels.

    Raises:
        ValueError: if the window does not fit on the image.

    >>> x = np.array([[1.0, 5.0, 5.0, 2.0]]).reshape(1, 1, 4, 1)
    >>> y, argmax = max_pool2d(x, (1, 3), (1, 1))
    >>> y.ravel(), argmax.ravel()
    (array([5., 5.]), array([1, 0], dtype=uint8))
    """
    windows = Windows.on(x.shape[1:3], pool_size, strides, padding)
    kh, kw = pool_size
    y = np.full_like(x, -np.inf, shape=(len(x), *windows.count, x.shape[3]))
    argmax = np.zeros_like(y, dtype=np.min_scalar_type(kh * kw - 1))
    for tap, (_, inside, pixels) in enumerate(windows.taps()):
        greater = x[pixels] > y[inside]  # not >=: of equal pixels the first one stays the maximum
        y[inside] = np.maximum(y[inside], x[pixels])
        # This does argmax[inside][greater] = tap in half the time: since the taps come in rising
        # order, the maximum of the old tap and of this one is this one.
        candidate = np.multiply(greater, tap, dtype=argmax.dtype)
        argmax[inside] = np.maximum(argmax[inside], candidate)
    return y, argmax


def max_pool2d_backward(
    dy: np.ndarray,
    argmax: np.ndarray,
    x_shape: Shape,
    pool_size: Pair,
    strides: Pair,
    padding: str = "valid",
) -> np.ndarray:
    """dx = the sum, over the windows in which a pixel was the first maximum, of dy.

    Args:
        dy: (n, oh, ow, c).
        argmax: what the forward returned.
        x_shape: (n, h, w, c).
        pool_size, strides, padding: what the forward got.

    Returns:
        dx: (n, h, w, c), of the dtype of dy.
    """
    windows = Windows.on(x_shape[1:3], pool_size, strides, padding)
    dx = np.zeros_like(dy, shape=x_shape)
    for tap, (_, inside, pixels) in enumerate(windows.taps()):
        dx[pixels] += dy[inside] * (argmax[inside] == tap)
    return dx


def average_pool2d(
    x: np.ndarray, pool_size: Pair, strides: Pair, padding: str = "valid"
) -> np.ndarray:
    """y[n, r, q, c] = (1 / m) sum over (i, j) of x[n, r s + i - top, q s + j - left, c].

    Args:
        x, pool_size, strides, padding: as in :func:`max_pool2d`.

    Returns:
        y: (n, oh, ow, c), of the dtype of x. m is kh * kw, less what is padding.

    Raises:
        ValueError: if the window does not fit on the image.

    >>> x = np.array([1.0, 2.0, 6.0]).reshape(1, 1, 3, 1)
    >>> average_pool2d(x, (1, 2), (1, 2), "same").ravel()
    array([1.5, 6. ])
    """
    windows = Windows.on(x.shape[1:3], pool_size, strides, padding)
    y = np.zeros_like(x, shape=(len(x), *windows.count, x.shape[3]))
    for _, inside, pixels in windows.taps():
        y[inside] += x[pixels]
    return y / _pixels_in_each(windows, like=x)


def average_pool2d_backward(
    dy: np.ndarray, x_shape: Shape, pool_size: Pair, strides: Pair, padding: str = "valid"
) -> np.ndarray:
    """dx = the sum, over the windows that a pixel is in, of dy / m.

    Args:
        dy: (n, oh, ow, c).
        x_shape: (n, h, w, c).
        pool_size, strides, padding: what the forward got.

    Returns:
        dx: (n, h, w, c), of the dtype of dy.
    """
    windows = Windows.on(x_shape[1:3], pool_size, strides, padding)
    share = dy / _pixels_in_each(windows, like=dy)
    dx = np.zeros_like(dy, shape=x_shape)
    for _, inside, pixels in windows.taps():
        dx[pixels] += share[inside]
    return dx


def global_average_pool2d(x: np.ndarray) -> np.ndarray:
    """y[n, c] = the mean of x[n, :, :, c]: (n, h, w, c) -> (n, c), of the dtype of x.

    >>> global_average_pool2d(np.array([1.0, 2.0, 6.0]).reshape(1, 1, 3, 1))
    array([[3.]])
    """
    return x.mean(axis=(1, 2))


def global_average_pool2d_backward(dy: np.ndarray, x_shape: Shape) -> np.ndarray:
    """dx = dy / (h w) at every pixel: (n, c) -> x_shape (n, h, w, c)."""
    _, h, w, _ = x_shape
    dx = np.empty_like(dy, shape=x_shape)
    dx[...] = (dy / (h * w))[:, None, None, :]
    return dx


def global_max_pool2d(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """y[n, c] = the maximum of x[n, :, :, c].

    Args:
        x: images (n, h, w, c).

    Returns:
        y: (n, c), of the dtype of x; NaN where a channel has one.
        argmax: (n, c), the index row * w + column of the first maximum.

    >>> global_max_pool2d(np.array([1.0, 5.0, 5.0, 2.0]).reshape(1, 2, 2, 1))
    (array([[5.]]), array([[1]]))
    """
    pixels = x.reshape(len(x), -1, x.shape[3])
    argmax = pixels.argmax(axis=1)
    y = np.take_along_axis(pixels, argmax[:, None, :], axis=1)[:, 0, :]
    return y, argmax


def global_max_pool2d_backward(dy: np.ndarray, argmax: np.ndarray, x_shape: Shape) -> np.ndarray:
    """dx = dy at each channel's first maximum, 0 elsewhere: (n, c) -> x_shape (n, h, w, c)."""
    n, _, _, c = x_shape
    pixels = np.arange(x_shape[1] * x_shape[2])[:, None]
    return (dy[:, None, :] * (pixels == argmax[:, None, :])).reshape(n, *x_shape[1:3], c)


def _pixels_in_each(windows: Windows, like: np.ndarray) -> np.ndarray:
    """m for every window, (oh, ow, 1): as many taps as are on the image."""
    m = np.zeros_like(like, shape=(*windows.count, 1))
    for _, (_, rows, columns), _ in windows.taps():
        m[rows, columns] += 1
    return m
