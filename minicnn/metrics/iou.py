"""How well do regions match? Intersection over union, for pictures whose pixels have classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.losses.targets import align_sample_weight, as_array
from minicnn.metrics.base import Metric, divide_no_nan
from minicnn.shapes import positive_int
from minicnn.validation import number


class IoU(Metric):
    """tp / (tp + fp + fn): the pixels that both call this class, over those that either does.

    The result is the mean over those of the wanted classes that occur. All pixels are counted in
    one matrix, by what they are (its rows) and what they are called (its columns).

    Args:
        num_classes: how many classes there are. Pixels whose class or prediction is none of them
            are left out.
        target_class_ids: the wanted classes.
        ignore_class: pixels that are of this class are left out.
        sparse_y_true, sparse_y_pred: whether targets and predictions are class numbers; otherwise
            the largest number along ``axis`` tells the class.
        axis: see there.
        name: see :class:`~minicnn.metrics.Metric`.
        dtype: of the matrix; whole numbers cut the sample weights off. float64 by default.

    >>> IoU(num_classes=2, target_class_ids=[0])([0, 0, 1, 1], [0, 1, 0, 1]).round(3)
    np.float64(0.333)
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ):
        super().__init__(name, dtype)
        self.num_classes = positive_int(num_classes, "num_classes")
        self.target_class_ids = list(target_class_ids)
        if not self.target_class_ids or not all(
            isinstance(one, (int, np.integer)) and 0 <= one < num_classes
            for one in self.target_class_ids
        ):
            raise ValueError(
                f"target_class_ids: expected classes from 0 to {num_classes - 1}, got "
                f"{target_class_ids!r}"
            )
        self.ignore_class = ignore_class
        self.sparse_y_true, self.sparse_y_pred = sparse_y_true, sparse_y_pred
        self.axis = axis

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = as_array(y_true), as_array(y_pred)
        t = y_true if self.sparse_y_true else np.argmax(y_true, axis=self.axis)
        p = y_pred if self.sparse_y_pred else np.argmax(y_pred, axis=self.axis)
        if t.size != p.size:
            raise ValueError(
                f"y_true: {self.name} needs a class for each of the {p.size} predictions of shape "
                f"{y_pred.shape}, got {t.size} of shape {y_true.shape}"
            )
        w = np.ones_like(t, dtype=np.float64)
        if sample_weight is not None:
            w = w * align_sample_weight(as_array(sample_weight), t.shape)
        if self.dtype is not None:
            w = w.astype(self.dtype).astype(np.float64)
        t, p = t.astype(np.int64).reshape(-1), p.astype(np.int64).reshape(-1)
        c = self.num_classes
        counts = (t >= 0) & (t < c) & (p >= 0) & (p < c)
        if self.ignore_class is not None:
            counts = counts & (t != self.ignore_class)
        cells = np.where(counts, t * c + p, 0)
        matrix = np.bincount(cells, w.reshape(-1) * counts, minlength=c * c).reshape(c, c)
        self.add(matrix=matrix.astype(self.dtype or matrix.dtype))

    def result(self) -> Any:
        if not self.totals:
            return np.float64(0)
        matrix = self.totals["matrix"].astype(np.float64)
        tp = np.diagonal(matrix)[self.target_class_ids]
        union = (np.sum(matrix, axis=0) + np.sum(matrix, axis=1))[self.target_class_ids] - tp
        return divide_no_nan(np.sum(divide_no_nan(tp, union)), np.sum(union > 0))


class MeanIoU(IoU):
    """The mean over all classes that occur. See :class:`IoU`.

    >>> MeanIoU(num_classes=2)([0, 0, 1, 1], [0, 1, 0, 1]).round(3)
    np.float64(0.333)
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ):
        every = range(positive_int(num_classes, "num_classes"))
        super().__init__(
            num_classes, every, name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis
        )


class OneHotIoU(IoU):
    """For one-hot targets, and predictions with a number for each class. See :class:`IoU`."""

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ):
        super().__init__(
            num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis
        )


class OneHotMeanIoU(MeanIoU):
    """For one-hot targets, and predictions with a number for each class. See :class:`MeanIoU`."""

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ):
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)


class BinaryIoU(IoU):
    """For two classes, where a prediction of at least ``threshold`` says 1. See :class:`IoU`.

    >>> BinaryIoU(target_class_ids=[1], threshold=0.3)([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7]).round(3)
    np.float64(0.333)
    """

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = number(threshold, "threshold")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        super().update_state(y_true, as_array(y_pred) >= self.threshold, sample_weight)
