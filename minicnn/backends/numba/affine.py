"""Pictures through an affine map, on the cores of a CPU; ``minicnn/backends/numpy/affine.py`` has
the mathematics.

The textbook writes down place, pixels and weights of every new pixel, as arrays. Here they stay in
registers. The forward deals out rows of new pixels to the cores; the backward, which adds to
wherever the map points, whole images.
"""

from __future__ import annotations

import numpy as np

from minicnn.backends import numpy as textbook
from minicnn.backends.numba.arrays import contiguous, empty
from minicnn.backends.numba.threads import Kernels, crew, launch
from minicnn.backends.numpy.affine import FILL_MODES, check_modes
from minicnn.shapes import Pair

Shape = tuple[int, ...]

kernels = Kernels("affine_kernels")

# So many nanoseconds a new pixel takes, besides those for each of its channels.
PLACE = 10


def affine2d(
    x: np.ndarray,
    A: np.ndarray,
    size: Pair,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0.0,
) -> np.ndarray:
    """The textbook's ``affine2d``."""
    check_modes(interpolation, fill_mode)
    if x.dtype.char not in "fd":
        return textbook.affine2d(x, A, size, interpolation, fill_mode, fill_value)
    y = empty((len(x), *size, x.shape[3]), x.dtype)
    launch(
        kernels.affine,
        _crew(y.shape),
        contiguous(x),
        _matrices(A, len(x)),
        y,
        interpolation == "bilinear",
        FILL_MODES.index(fill_mode),
        x.dtype.type(fill_value),
    )
    return y


def affine2d_backward(
    dy: np.ndarray,
    A: np.ndarray,
    x_shape: Shape,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
) -> np.ndarray:
    """The textbook's ``affine2d_backward``."""
    check_modes(interpolation, fill_mode)
    if dy.dtype.char not in "fd":
        return textbook.affine2d_backward(dy, A, x_shape, interpolation, fill_mode)
    dx = empty(x_shape, dy.dtype)
    launch(
        kernels.affine_backward,
        _crew(dy.shape),
        contiguous(dy),
        _matrices(A, len(dy)),
        dx,
        interpolation == "bilinear",
        FILL_MODES.index(fill_mode),
    )
    return dx


def _matrices(A: np.ndarray, n: int) -> np.ndarray:
    """A for each of n images, in float64."""
    return contiguous(np.broadcast_to(A, (n, 2, 3)).astype(np.float64))


def _crew(shape: Shape) -> int:
    n, oh, ow, c = shape
    return crew(n * oh * ow * (PLACE + c))
