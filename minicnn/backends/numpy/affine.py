"""Pictures turned, shifted, zoomed and resized: seen through an affine map of the plane.

For every pixel of the new picture, its row r and column q, the map says from which place (u, v) of
the old one it is taken:

    y[r, q] = x(u, v),      u = A[0, 0] r + A[0, 1] q + A[0, 2]
                            v = A[1, 0] r + A[1, 1] q + A[1, 2].

Asked in this direction, every new pixel gets its value; to send each old pixel to its new place
instead would leave holes. Two things are missing: what x is between its pixels, and beyond them.

Between pixels: ``"nearest"`` takes the pixel next to (u, v); ``"bilinear"`` goes in a straight line
from one pixel to the next along both axes. With p = floor(u) and f = u - p, of one axis,

    x(u) = (1 - f) x[p] + f x[p + 1].

Beyond the border, the picture a b c d goes on as the ``fill_mode`` says (k is ``fill_value``):

    "constant"   k k k k | a b c d | k k k k        "nearest"   a a a a | a b c d | d d d d
    "reflect"    d c b a | a b c d | d c b a        "wrap"      a b c d | a b c d | a b c d

Places are computed in float64 whatever x is: in float32, one at column 1000 would be off by 1e-4.

Source: Wolberg (1990), Digital image warping, chapters 3 and 5; borders as Keras has them on JAX.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minicnn.shapes import Pair
from minicnn.validation import choice

Shape = tuple[int, ...]
INTERPOLATIONS = ("nearest", "bilinear")
FILL_MODES = ("constant", "nearest", "reflect", "wrap")


def affine2d(
    x: np.ndarray,
    A: np.ndarray,
    size: Pair,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0.0,
) -> np.ndarray:
    """y[r, q] = x(A (r, q, 1)).

    Args:
        x: images (n, h, w, c).
        A: (n, 2, 3), or (1, 2, 3) for all images: new row, column and 1 -> old row and column.
        size: (oh, ow), of the new images.
        interpolation: ``"nearest"`` or ``"bilinear"``.
        fill_mode: ``"constant"``, ``"nearest"``, ``"reflect"`` or ``"wrap"``.
        fill_value: what is beyond the border if that is ``"constant"``.

    Returns:
        y: (n, oh, ow, c), of the dtype of x.

    Raises:
        ValueError: if ``interpolation`` or ``fill_mode`` is none of these.

    >>> x = np.array([1.0, 2.0, 4.0]).reshape(1, 1, 3, 1)
    >>> half_a_pixel = np.array([[[1, 0, 0], [0, 1, 0.5]]])
    >>> affine2d(x, half_a_pixel, (1, 3)).ravel()
    array([1.5, 3. , 2. ])
    """
    check_modes(interpolation, fill_mode)
    y = 0
    for pixels, weight, inside in _pixels(A, x.shape, size, interpolation, fill_mode):
        y = y + weight.astype(x.dtype) * np.where(inside, x[pixels], x.dtype.type(fill_value))
    return y


def affine2d_backward(
    dy: np.ndarray,
    A: np.ndarray,
    x_shape: Shape,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
) -> np.ndarray:
    """dx: a pixel gets back what it gave to each pixel of y, in the same parts.

    Args:
        dy: (n, oh, ow, c).
        A, interpolation, fill_mode: what the forward got.
        x_shape: (n, h, w, c).

    Returns:
        dx: (n, h, w, c), of the dtype of dy.
    """
    check_modes(interpolation, fill_mode)
    dx = np.zeros_like(dy, shape=x_shape)
    for pixels, weight, inside in _pixels(A, x_shape, dy.shape[1:3], interpolation, fill_mode):
        np.add.at(dx, pixels, np.where(inside, weight.astype(dy.dtype) * dy, dy.dtype.type(0)))
    return dx


def _pixels(
    A: np.ndarray, x_shape: Shape, size: Pair, interpolation: str, fill_mode: str
) -> Iterator[tuple[Any, np.ndarray, np.ndarray]]:
    """The one or four pixels around each place: where they are in x (an index for n oh ow of
    them), with what weight (n, oh, ow, 1), and whether x reaches so far (n, oh, ow, 1)."""
    n, h, w, _ = x_shape
    r, q = np.indices(size)
    u, v = np.einsum("nij,jrq->inrq", A, np.stack([r, q, np.ones_like(r)]))
    images = np.arange(n)[:, np.newaxis, np.newaxis]
    for row, part_of_row in _along_axis(u, interpolation):
        for column, part_of_column in _along_axis(v, interpolation):
            inside = (row >= 0) & (row < h) & (column >= 0) & (column < w)
            pixels = images, _filled(row, h, fill_mode), _filled(column, w, fill_mode)
            weight = part_of_row * part_of_column
            yield pixels, weight[..., np.newaxis], (inside | (fill_mode != "constant"))[..., None]


def _along_axis(u: np.ndarray, interpolation: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """The pixels next to the places u of one axis, each with its weight."""
    if interpolation == "nearest":
        rounded = np.trunc(u + np.copysign(0.5, u))  # halves away from 0
        return [(rounded.astype(int), np.ones_like(u))]
    p = np.floor(u)
    f = u - p
    return [(p.astype(int), 1 - f), (p.astype(int) + 1, f)]


def _filled(p: np.ndarray, n: int, fill_mode: str) -> np.ndarray:
    """The pixel of an axis of n that stands at p, which may lie beyond the border.

    >>> [_filled(np.arange(-4, 8), 4, mode).tolist() for mode in ("reflect", "wrap")]
    [[3, 2, 1, 0, 0, 1, 2, 3, 3, 2, 1, 0], [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3]]
    """
    if fill_mode == "wrap":
        return p % n
    if fill_mode == "reflect":
        return np.minimum(p % (2 * n), 2 * n - 1 - p % (2 * n))
    return np.clip(p, 0, n - 1)


def check_modes(interpolation: str, fill_mode: str) -> None:
    """Raise a ValueError if one of them is none that there is."""
    choice(interpolation, "interpolation", INTERPOLATIONS)
    choice(fill_mode, "fill_mode", FILL_MODES)
