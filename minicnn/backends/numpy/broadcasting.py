"""The backward pass of broadcasting."""

from __future__ import annotations

from typing import Any

import numpy as np


def sum_to_shape(a: Any, shape: tuple[int, ...]) -> Any:
    """Sum ``a`` over the axes along which an array of ``shape`` was broadcast to ``a.shape``.

    Where broadcasting used one number many times, its gradient is the sum over all those uses:
    y_ij = x_ij + b_j gives db_j = sum_i dy_ij. The sum runs in float64 and has the dtype of ``a``.

    Args:
        a: the gradient in the broadcast shape.
        shape: the shape before broadcasting.

    >>> sum_to_shape(np.ones((2, 3)), (3,)), sum_to_shape(np.ones((2, 3)), (2, 1))
    (array([2., 2., 2.]), array([[3.],
           [3.]]))
    """
    missing = a.ndim - len(shape)
    stretched = tuple(
        axis
        for axis, size in enumerate(a.shape)
        if axis < missing or (shape[axis - missing] == 1 and size != 1)
    )
    if not stretched:
        return a
    return a.sum(axis=stretched, dtype=np.float64).astype(a.dtype).reshape(shape)
