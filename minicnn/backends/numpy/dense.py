"""The fully connected product.

    y = x W + b

Every input feature i of a sample n contributes to every unit u: ``y_nu = sum_i x_ni W_iu + b_u``.
Let dy be the gradient of the loss L with respect to y, dy_nu = dL/dy_nu. A number gets, from every
y_nu that it has a part in, dy_nu times its factor there (the chain rule), and these add up:

    dx_ni = sum_u dy_nu W_iu        dx = dy W^T
    dW_iu = sum_n x_ni dy_nu        dW = x^T dy
    db_u  = sum_n dy_nu             db = the sum of dy's rows

Source: any textbook; e.g. Goodfellow, Bengio and Courville, "Deep Learning" (2016), section 6.5.
"""

from __future__ import annotations

import numpy as np


def dense(x: np.ndarray, W: np.ndarray, b: np.ndarray | None = None) -> np.ndarray:
    """y = x W + b.

    Args:
        x: (..., in); all axes but the last are batch axes.
        W: (in, units).
        b: (units,), or ``None`` for no bias.

    Returns:
        y: (..., units), of the dtype of x and W.

    >>> dense(np.array([[1.0, 2.0]]), np.array([[1.0, 0.0], [10.0, 1.0]]), np.array([0.0, 5.0]))
    array([[21.,  7.]])
    """
    y = (_rows(x) @ W).reshape(*x.shape[:-1], W.shape[1])
    if b is not None:
        y += b
    return y


def dense_backward(
    dy: np.ndarray,
    x: np.ndarray,
    W: np.ndarray,
    input_gradient: bool = True,
    out: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """The gradients of :func:`dense`: dx = dy W^T, dW = x^T dy, db = the sum of dy.

    Args:
        dy: (..., units).
        x, W: what the forward got.
        input_gradient: whether dx is wanted; a network's first layer does without.
        out: arrays for dW and db, instead of new ones.

    Returns:
        ``(dx, dW, db)`` in the shapes of x, W and b; dx is ``None`` where it is not wanted.
    """
    rows = _rows(dy)
    dx = (rows @ W.T).reshape(x.shape) if input_gradient else None
    dW = np.matmul(_rows(x).T, rows, out=out[0])
    db = rows.sum(axis=0, out=out[1])
    return dx, dW, db


def _rows(x: np.ndarray) -> np.ndarray:
    """All batch axes as one: a single large product is faster than many small ones."""
    return x.reshape(-1, x.shape[-1])
