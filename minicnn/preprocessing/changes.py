"""How pictures are changed, each in its own way."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import backend
from minicnn.preprocessing.pictures import array_to_img, img_to_array


def changed(
    x: np.ndarray, changes: list[dict[str, Any]], method: str, fill_mode: str, cval: float
) -> np.ndarray:
    """Pictures (n, h, w, c) after one change each.

    Args:
        changes: what ``ImageDataGenerator.apply_transform`` takes.
        method, fill_mode, cval: see :func:`minicnn.backends.numpy.affine.affine2d`.
    """
    size = x.shape[1:3]
    A = np.array([affine_map(size, **_placed(change)) for change in changes])
    if (A - np.eye(2, 3)).any():
        ops = backend.current()
        y = ops.affine2d(ops.asarray(x), A, size, method, fill_mode, cval)
        x = np.array(ops.to_numpy(y))
    return np.stack([_recolored(*pair) for pair in zip(x, changes, strict=True)])


def affine_map(
    size: tuple[int, int],
    theta: float = 0.0,
    tx: float = 0.0,
    ty: float = 0.0,
    shear: float = 0.0,
    zx: float = 1.0,
    zy: float = 1.0,
) -> np.ndarray:
    """From which place (row, column) of the old picture a pixel of the new one is taken.

    Rotation, shift, shear and zoom are matrices on (x, y, 1), x to the right and y down from the
    middle; the new pixel goes through the zoom first.

    Args:
        size: (h, w).
        theta, shear: in degrees.
        tx, ty: in pixels.
        zx, zy: factors.

    Returns:
        (2, 3), for :func:`minicnn.backends.numpy.affine.affine2d`.

    >>> affine_map((4, 6), tx=2)
    array([[1., 0., 0.],
           [0., 1., 2.]])
    """
    theta, shear = np.deg2rad([theta, shear])
    rotation = np.array(
        [[np.cos(theta), -np.sin(theta), 0], [np.sin(theta), np.cos(theta), 0], [0, 0, 1]]
    )
    shift = np.array([[1, 0, tx], [0, 1, ty], [0, 0, 1]])
    sheared = np.array([[1, -np.sin(shear), 0], [0, np.cos(shear), 0], [0, 0, 1]])
    zoom = np.diag([zx, zy, 1])
    M = (rotation @ shift @ sheared @ zoom)[[1, 0, 2]][:, [1, 0, 2]]  # (x, y) -> (row, column)
    middle = (np.array(size) - 1) / 2
    M[:2, 2] += middle - M[:2, :2] @ middle
    return M[:2]


def _placed(change: dict[str, Any]) -> dict[str, Any]:
    """What of a change is a matter of places."""
    return {key: change[key] for key in ("theta", "tx", "ty", "shear", "zx", "zy") if key in change}


def _recolored(x: np.ndarray, change: dict[str, Any]) -> np.ndarray:
    """What else happens to one picture (h, w, c)."""
    if change.get("channel_shift_intensity") is not None:
        x = np.clip(x + x.dtype.type(change["channel_shift_intensity"]), x.min(), x.max())
    if change.get("flip_horizontal"):
        x = x[:, ::-1]
    if change.get("flip_vertical"):
        x = x[::-1]
    if change.get("brightness") is not None:
        x = _brightened(x, change["brightness"])
    return x


def _brightened(x: np.ndarray, factor: float) -> np.ndarray:
    """The picture on a screen, 256 shades from black, each times a factor."""
    from PIL import ImageEnhance

    low, high = x.min(), x.max()
    foreign = low < 0 or high > 255
    image = ImageEnhance.Brightness(array_to_img(x, scale=foreign)).enhance(factor)
    y = img_to_array(image, dtype=x.dtype)
    return y / 255 * (high - low) + low if foreign else y
