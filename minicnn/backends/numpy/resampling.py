"""Images made larger and smaller: borders of zeros, cropping, upsampling.

Every operation here is linear, y = A x, and so its backward is the transpose: dx = A^T dy. Where
the forward copies a pixel to several places, the backward adds up what comes back from them; where
it drops a pixel, the backward puts a zero.
"""

from __future__ import annotations

import numpy as np

from minicnn.shapes import Pair, cropped_size

Shape = tuple[int, ...]
INTERPOLATIONS = ("nearest", "bilinear")


def zero_pad2d(x: np.ndarray, padding: tuple[Pair, Pair]) -> np.ndarray:
    """x with a border of zeros.

    Args:
        x: images (n, h, w, c).
        padding: ``((top, bottom), (left, right))``, none negative.

    Returns:
        y: (n, top + h + bottom, left + w + right, c), of the dtype of x.

    >>> zero_pad2d(np.ones((1, 1, 2, 1)), ((0, 1), (1, 0)))[0, :, :, 0]
    array([[0., 1., 1.],
           [0., 0., 0.]])
    """
    return np.pad(x, ((0, 0), *padding, (0, 0)))


def zero_pad2d_backward(dy: np.ndarray, padding: tuple[Pair, Pair]) -> np.ndarray:
    """dx = dy without the border: (n, top + h + bottom, left + w + right, c) -> (n, h, w, c)."""
    return crop2d(dy, padding)


def crop2d(x: np.ndarray, cropping: tuple[Pair, Pair]) -> np.ndarray:
    """x without its outermost rows and columns.

    Args:
        x: images (n, h, w, c).
        cropping: ``((top, bottom), (left, right))``, none negative.

    Returns:
        y: (n, h - top - bottom, w - left - right, c), a view of x.

    Raises:
        ValueError: if nothing is left.

    >>> crop2d(np.arange(4.0).reshape(1, 1, 4, 1), ((0, 0), (1, 2))).ravel()
    array([1.])
    """
    (top, bottom), (left, right) = cropping
    oh, ow = cropped_size(x.shape[1], top, bottom), cropped_size(x.shape[2], left, right)
    return x[:, top : top + oh, left : left + ow]


def crop2d_backward(dy: np.ndarray, x_shape: Shape, cropping: tuple[Pair, Pair]) -> np.ndarray:
    """dx = dy, and 0 where the forward cut off: -> x_shape (n, h, w, c)."""
    dx = np.zeros_like(dy, shape=x_shape)
    crop2d(dx, cropping)[...] = dy
    return dx


def upsample2d(x: np.ndarray, size: Pair, interpolation: str = "nearest") -> np.ndarray:
    """x made ``size`` times as high and as wide.

    ``"nearest"`` repeats every pixel. ``"bilinear"`` takes y[r] = sum_p A[r, p] x[p] along the
    height and then along the width, with the weights A of :func:`linear_weights`.

    Args:
        x: images (n, h, w, c).
        size: how many times as high and as wide.
        interpolation: ``"nearest"`` or ``"bilinear"``.

    Returns:
        y: (n, h * size[0], w * size[1], c), of the dtype of x.

    Raises:
        ValueError: if ``interpolation`` is neither.

    >>> x = np.array([0.0, 4.0]).reshape(1, 1, 2, 1)
    >>> upsample2d(x, (1, 2)).ravel(), upsample2d(x, (1, 2), "bilinear").ravel()
    (array([0., 0., 4., 4.]), array([0., 1., 3., 4.]))
    """
    _check(interpolation)
    if interpolation == "nearest":
        return np.repeat(np.repeat(x, size[0], axis=1), size[1], axis=2)
    n, h, w, c = x.shape
    A_rows, A_columns = linear_weights(h, size[0], x.dtype), linear_weights(w, size[1], x.dtype)
    tall = (A_rows @ x.reshape(n, h, w * c)).reshape(n, h * size[0], w, c)
    return A_columns @ tall


def upsample2d_backward(
    dy: np.ndarray, x_shape: Shape, size: Pair, interpolation: str = "nearest"
) -> np.ndarray:
    """dx = A^T dy: a pixel gets back what it gave to each pixel of y, in the same parts.

    Args:
        dy: (n, h * size[0], w * size[1], c).
        x_shape: (n, h, w, c).
        size, interpolation: what the forward got.

    Returns:
        dx: (n, h, w, c), of the dtype of dy.
    """
    _check(interpolation)
    n, h, w, c = x_shape
    if interpolation == "nearest":
        return dy.reshape(n, h, size[0], w, size[1], c).sum(axis=(2, 4))
    A_rows, A_columns = linear_weights(h, size[0], dy.dtype), linear_weights(w, size[1], dy.dtype)
    dtall = A_columns.T @ dy
    return (A_rows.T @ dtall.reshape(n, h * size[0], w * c)).reshape(x_shape)


def linear_weights(n: int, factor: int, dtype: np.dtype) -> np.ndarray:
    """The matrix A (n * factor, n) that interpolates linearly between pixels along one axis.

    A pixel is a small area whose value stands at its middle. The middle of the new pixel r is at
    u = (r + 1/2) / factor - 1/2 in old pixels, between floor(u) and floor(u) + 1, and takes its
    value from these two in proportion to their nearness; outside the outermost middles it takes
    that of the outermost pixel.

    >>> linear_weights(2, 2, np.dtype("float64"))
    array([[1.  , 0.  ],
           [0.75, 0.25],
           [0.25, 0.75],
           [0.  , 1.  ]])
    """
    u = np.clip((np.arange(n * factor) + 0.5) / factor - 0.5, 0, n - 1)
    nearness = 1 - np.abs(u[:, None] - np.arange(n))
    return np.maximum(nearness, 0).astype(dtype)


def _check(interpolation: str) -> None:
    if interpolation not in INTERPOLATIONS:
        allowed = " or ".join(f'"{name}"' for name in INTERPOLATIONS)
        raise ValueError(f"interpolation: expected {allowed}, got {interpolation!r}")
