"""Losses that compare regions: how much of what is there is found.

One value is of a whole picture, or of a whole batch, and not of a pixel.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.losses.distances import Distance
from minicnn.validation import number


class Tversky(Distance):
    """1 - I / (I + alpha missed + beta found), for targets t and predictions p from 0 to 1.

    I = sum t p is what they share, sum t (1 - p) is missed, and sum (1 - t) p wrongly found.

    Args:
        alpha: how bad it is to miss something, not negative.
        beta: how bad it is to find what is not there, not negative.
        axis: over which the sums run: ``(1, 2, 3)`` gives a value for each picture, ``None`` one
            for the batch, which sample weights cannot weigh.
        reduction, name, dtype: see :class:`~minicnn.losses.Loss`.

    Source: Salehi et al. (2017), Tversky loss function for image segmentation using 3D fully
    convolutional deep networks.

    >>> Tversky(alpha=1.0, beta=0.0)([[1, 1, 0, 0]], [[1, 0, 1, 0]])
    np.float32(0.5)
    """

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "tversky",
        axis: Any = None,
        dtype: Any = None,
    ):
        super().__init__(reduction, name, dtype)
        self.alpha = number(alpha, "alpha", "[0, inf)")
        self.beta = number(beta, "beta", "[0, inf)")
        axes = axis if isinstance(axis, (list, tuple)) else () if axis is None else (axis,)
        if not all(isinstance(one, (int, np.integer)) for one in axes):
            raise TypeError(f"axis: expected None, an int or several, got {axis!r}")
        self.axis = tuple(axis) if isinstance(axis, list) else axis

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.ops.tversky(y_true, y_pred, self.alpha, self.beta, self.axis)

    def gradient(self, y_true: Any, y_pred: Any) -> Any:
        return self.ops.tversky_backward(y_true, y_pred, self.alpha, self.beta, self.axis)


class Dice(Tversky):
    """1 - 2 sum t p / (sum t + sum p): :class:`Tversky` with alpha = beta = 1/2.

    >>> Dice()([[1, 1, 0, 0]], [[1, 0, 1, 0]])
    np.float32(0.5)
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "dice",
        axis: Any = None,
        dtype: Any = None,
    ):
        super().__init__(0.5, 0.5, reduction, name, axis, dtype)
