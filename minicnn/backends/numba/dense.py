"""The fully connected product; ``minicnn/backends/numpy/dense.py`` has the mathematics.

W is the largest array of them all, and is read once. In the backward the inputs are divided among
the cores: each has its columns of x and its rows of W, and writes its rows of dW and its columns of
dx. In the forward, too, where W is large and the inputs are many more than the units: each core
finds in its cache the rows of W that it, or the optimizer on it, wrote there, and the sums are
added up afterwards. Elsewhere the units are divided, and where these are few the batch, too.

Where a model allows it, the backward updates W as well; see ``update_in_backward.py``.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from minicnn.backends import numpy as textbook
from minicnn.backends.numba.arrays import alike, contiguous, empty, rows
from minicnn.backends.numba.threads import Kernels, crew, launch, product
from minicnn.backends.numba.update_in_backward import Piece

kernels = Kernels("dense_kernels")

# So many multiplications a core does in a nanosecond, roughly.
RATE = 64
# ... and so many additions of what another core may have computed.
ADDITIONS = 4
# The inputs are divided in the forward if W has so many numbers, and they are so many times as many
# as the units...
LARGE, MANY = 2**18, 8
# ... and each of at most so many parts has so many. The sums are half as many as W, or fewer.
PARTS, PART = 8, 256


def dense(x: np.ndarray, W: np.ndarray, b: np.ndarray | None = None) -> np.ndarray:
    """The textbook's ``dense``."""
    if not alike(x, W, b):
        return textbook.dense(x, W, b)
    x_rows, W = rows(x), contiguous(W)
    b = np.empty(0, x.dtype) if b is None else contiguous(b)
    y = empty((*x.shape[:-1], W.shape[1]), x.dtype)
    y_rows = y.reshape(-1, W.shape[1])
    workers = crew(len(x_rows) * W.size // RATE)
    parts = _parts(len(x_rows), *W.shape)
    if parts > 1:
        sums = empty((parts, *y_rows.shape), x.dtype)
        launch(kernels.forward_in_parts, workers, product(x.dtype), x_rows, W, b, sums)
        sums = sums.reshape(parts, y.size)
        launch(kernels.add_parts, crew(sums.size // ADDITIONS), sums, y.reshape(-1))
    else:
        launch(kernels.forward, workers, product(x.dtype), x_rows, W, b, y_rows)
    return y


@cache
def _parts(n: int, inputs: int, units: int) -> int:
    """Into how many sums those over the inputs are divided."""
    divided = inputs * units >= LARGE and inputs >= MANY * units
    parts = max(1, min(PARTS, inputs // PART, inputs // (2 * n))) if divided else 1
    return 2 ** (parts.bit_length() - 1)  # for 2, 4 or 8 cores


def dense_backward(
    dy: np.ndarray,
    x: np.ndarray,
    W: np.ndarray,
    input_gradient: bool = True,
    out: tuple[np.ndarray | Piece | None, np.ndarray | None] = (None, None),
) -> tuple[np.ndarray | None, np.ndarray | Piece, np.ndarray]:
    """The textbook's ``dense_backward``. With a :class:`Piece` in dW's place W is updated, too."""
    dW, db = out
    piece = dW if isinstance(dW, Piece) else None
    if not alike(dy, x, W):
        return textbook.dense_backward(dy, x, W, input_gradient, (None if piece else dW, db))
    rows_x, rows_dy, W = rows(x), rows(dy), contiguous(W)
    dx = empty(x.shape if input_gradient else (0, x.shape[-1]), x.dtype)
    dW = piece.gradient if piece else empty(W.shape, W.dtype) if dW is None else dW
    db = empty(W.shape[1:], W.dtype) if db is None else db
    workers = crew(2 * len(rows_x) * W.size // RATE)
    # The smaller matrix is transposed: of the product dx^T = W dy^T, or of dx = dy W^T.
    smaller = input_gradient and len(rows_dy) <= W.shape[1]
    dy_T = np.ascontiguousarray(rows_dy.T) if smaller else np.empty((0, 0), x.dtype)
    launch(
        kernels.backward,
        workers,
        product(x.dtype),
        rows_dy,
        dy_T,
        rows_x,
        W,
        dx.reshape(-1, x.shape[-1]),
        dW,
        db,
        empty((workers, kernels.INPUTS * min(rows_dy.shape) if input_gradient else 0), x.dtype),
        *((0, 0, 0) if piece is None else piece.use()),
    )
    return (dx if input_gradient else None), (dW if piece is None else piece), db
