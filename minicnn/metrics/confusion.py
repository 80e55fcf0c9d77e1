"""Yes or no? Precision, recall, and the area under a curve of such figures.

A prediction above a threshold says yes. With the four counts *true positives* (rightly yes), *false
positives* (wrongly yes), *false negatives* (wrongly no) and *true negatives* (rightly no)::

    precision = tp / (tp + fp)               how many that are called positive are so
    recall    = tp / (tp + fn)               how many that are positive are found
    false positive rate = fp / (fp + tn)     how many that are negative are called positive
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.backend import epsilon
from minicnn.losses.targets import align_sample_weight, as_array
from minicnn.metrics.base import Metric, divide_no_nan, same_shape
from minicnn.shapes import positive_int
from minicnn.validation import number

# Predictions that are not among the top k are moved down here, below every threshold.
FAR_BELOW = -1e10
_ONE_HOT_HINT = "; make class labels one-hot with minicnn.utils.to_categorical"


def confusion_counts(
    y_true: Any, y_pred: Any, thresholds: np.ndarray, sample_weight: Any = None
) -> dict[str, Any]:
    """The four counts for every threshold, with each prediction counted as its weight.

    Each prediction is put into the bin between the two thresholds that it lies between. What is
    above threshold i then is all that is in the bins above it: a running sum from the top.

    Args:
        y_true: targets of any shape, where 0 means no.
        y_pred: predictions of the same shape.
        thresholds: T of them, in any order.
        sample_weight: weights of a shape that broadcasts to that of the predictions.

    Returns:
        "tp", "fp", "fn" and "tn", each (T,), in the dtype of the predictions.

    >>> counts = confusion_counts(np.array([1, 1, 0]), np.array([0.9, 0.2, 0.6]), np.array([0.5]))
    >>> {name: count.item() for name, count in counts.items()}
    {'tp': 1.0, 'fp': 1.0, 'fn': 1.0, 'tn': 0.0}
    """
    w = np.ones_like(y_pred)
    if sample_weight is not None:
        w = w * align_sample_weight(as_array(sample_weight), y_pred.shape)
    order = np.argsort(thresholds)
    rising = np.asarray(thresholds[order], dtype=y_pred.dtype, like=y_pred)
    # How many thresholds lie below each prediction; below NaN there is none.
    y_pred = np.where(np.isnan(y_pred), -np.inf, y_pred).reshape(-1)
    bins = np.searchsorted(rising, y_pred, side="left")
    counts = {}
    for is_yes, above, below in (y_true != 0, "tp", "fn"), (y_true == 0, "fp", "tn"):
        filled = np.bincount(bins, (w * is_yes).reshape(-1), minlength=len(order) + 1)
        counts[above] = np.cumsum(filled[::-1])[::-1][1:]
        counts[below] = np.cumsum(filled)[:-1]
    place = np.argsort(order)
    return {name: counts[name][place].astype(rising.dtype) for name in ("tp", "fp", "fn", "tn")}


class ThresholdMetric(Metric):
    """Precision and recall have the same arguments.

    Args:
        thresholds: above which a prediction says yes: a number or a list of numbers from 0 to 1,
            0.5 by default. A list gives a list of results.
        top_k: if given, only a row's k largest predictions can say yes, and without ``thresholds``
            all of them do.
        class_id: if given, only this column counts.
        name, dtype: see :class:`~minicnn.metrics.Metric`.
    """

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(name, dtype)
        self.given_thresholds = thresholds
        self.top_k = None if top_k is None else positive_int(top_k, "top_k")
        if class_id is not None and (isinstance(class_id, bool) or not isinstance(class_id, int)):
            raise TypeError(f"class_id: expected an int or None, got {class_id!r}")
        self.class_id = class_id
        if thresholds is None:
            self.thresholds = [0.5 if top_k is None else FAR_BELOW]
        else:
            many = thresholds if isinstance(thresholds, (list, tuple)) else [thresholds]
            self.thresholds = [number(one, "thresholds", "[0, 1]") for one in many]
        if not self.thresholds:
            raise ValueError("thresholds: expected at least one, got an empty list")

    def argument_value(self, name: str) -> Any:
        return self.given_thresholds if name == "thresholds" else super().argument_value(name)

    def counts(self, y_true: Any, y_pred: Any, sample_weight: Any) -> dict[str, Any]:
        """The four counts of one batch."""
        y_true, y_pred = same_shape(y_true, y_pred, self.name, _ONE_HOT_HINT)
        if self.top_k is not None:
            y_pred = np.where(_is_in_top_k(y_pred, self.top_k), y_pred, FAR_BELOW)
        if self.class_id is not None:
            if y_pred.ndim < 2 or not 0 <= self.class_id < y_pred.shape[-1]:
                raise ValueError(
                    f"class_id: predictions of shape {y_pred.shape} have no column {self.class_id}"
                )
            column = slice(self.class_id, self.class_id + 1)
            y_true, y_pred = y_true[..., column], y_pred[..., column]
        return confusion_counts(y_true, y_pred, np.array(self.thresholds), sample_weight)

    def ratio(self, found: str, missed: str) -> Any:
        """found / (found + missed), a number or one for each threshold."""
        if self.totals:
            ratio = divide_no_nan(self.totals[found], self.totals[found] + self.totals[missed])
        else:
            ratio = np.zeros(len(self.thresholds), np.float32)
        return ratio[0] if len(self.thresholds) == 1 else ratio


class Precision(ThresholdMetric):
    """tp / (tp + fp): of all that are called positive, how many are. See :class:`ThresholdMetric`.

    >>> Precision()([0, 1, 1, 1], [1, 0, 1, 1]).round(3)
    np.float32(0.667)
    """

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        counts = self.counts(y_true, y_pred, sample_weight)
        self.add(tp=counts["tp"], fp=counts["fp"])

    def result(self) -> Any:
        return self.ratio("tp", "fp")


class Recall(ThresholdMetric):
    """tp / (tp + fn): of all that are positive, how many are found. See :class:`ThresholdMetric`.

    >>> Recall()([0, 1, 1, 1], [1, 0, 1, 1]).round(3)
    np.float32(0.667)
    """

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        counts = self.counts(y_true, y_pred, sample_weight)
        self.add(tp=counts["tp"], fn=counts["fn"])

    def result(self) -> Any:
        return self.ratio("tp", "fn")


class ConfusionCount(ThresholdMetric):
    """One of the four counts.

    Args:
        thresholds: above which a prediction says yes: a number or a list of numbers from 0 to 1,
            0.5 by default. A list gives a list of results.
        name, dtype: see :class:`~minicnn.metrics.Metric`.
    """

    count: str

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(thresholds, name=name, dtype=dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        counts = self.counts(y_true, y_pred, sample_weight)
        self.add(**{self.count: counts[self.count]})

    def result(self) -> Any:
        total = self.totals.get(self.count, np.zeros(len(self.thresholds), np.float32))
        return total[0] if len(self.thresholds) == 1 else total


class TruePositives(ConfusionCount):
    """How many are rightly called positive. See :class:`ConfusionCount`.

    >>> TruePositives()([0, 1, 1, 1], [1, 0, 1, 1])
    np.float32(2.0)
    """

    count = "tp"


class FalsePositives(ConfusionCount):
    """How many are wrongly called positive. See :class:`ConfusionCount`."""

    count = "fp"


class FalseNegatives(ConfusionCount):
    """How many are wrongly called negative. See :class:`ConfusionCount`."""

    count = "fn"


class TrueNegatives(ConfusionCount):
    """How many are rightly called negative. See :class:`ConfusionCount`."""

    count = "tn"


class AUC(Metric):
    """The area under a curve that is drawn by moving the threshold from 0 to 1.

    The ROC curve is recall over the false positive rate: its area is the probability that a
    positive is predicted higher than a negative. The PR curve is precision over recall.

    Args:
        num_thresholds: how many, at equal distances; the more, the finer the curve.
        curve: ``"ROC"`` or ``"PR"``.
        summation_method: how the area between two points is filled: ``"interpolation"`` (a
            trapezoid; for PR after Davis and Goadrich, below), ``"minoring"`` (the lower height) or
            ``"majoring"`` (the higher one).
        thresholds: thresholds of one's own between 0 and 1; 0 and 1 are added.
        from_logits: whether predictions are logits z, with p = sigmoid(z). Otherwise they are
            probabilities, and what lies outside of [0, 1] counts as 0 or 1.
        name, dtype: see :class:`~minicnn.metrics.Metric`.

    Between two points of the PR curve, tp grows in proportion to the number of yeses p = tp + fp,
    tp = slope p + intercept, and not precision in proportion to recall. With P positives, the area
    below is the integral of tp/p d(tp)/P (Davis and Goadrich, 2006, "The relationship between
    precision-recall and ROC curves")::

        slope / P (tp_i - tp_{i+1} + intercept log(p_i / p_{i+1}))

    >>> AUC(num_thresholds=3)([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])
    np.float32(0.75)
    """

    keras_only = {"multi_label": (False,), "num_labels": (None,), "label_weights": (None,)}

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Sequence[float] | None = None,
        from_logits: bool = False,
    ):
        super().__init__(name, dtype)
        self.given_thresholds = thresholds
        if thresholds is None:
            if positive_int(num_thresholds, "num_thresholds") < 2:
                raise ValueError(f"num_thresholds: expected at least 2, got {num_thresholds}")
            inner = np.linspace(0, 1, num_thresholds)[1:-1]
        else:
            inner = np.sort([number(one, "thresholds", "[0, 1]") for one in thresholds])
        # The outer two are a little outside, so that a prediction of 0 lies above the first.
        self.thresholds = np.concatenate([[-epsilon()], inner, [1 + epsilon()]])
        self.num_thresholds = len(self.thresholds)
        self.curve = _one_of(("ROC", "PR"), curve, "curve")
        methods = ("interpolation", "minoring", "majoring")
        self.summation_method = _one_of(methods, summation_method, "summation_method")
        self.from_logits = bool(from_logits)

    def argument_value(self, name: str) -> Any:
        return self.given_thresholds if name == "thresholds" else super().argument_value(name)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = same_shape(y_true, y_pred, self.name, _ONE_HOT_HINT)
        y_pred = self.ops.sigmoid(y_pred) if self.from_logits else np.clip(y_pred, 0, 1)
        self.add(**confusion_counts(y_true, y_pred, self.thresholds, sample_weight))

    def result(self) -> Any:
        if not self.totals:
            return np.float32(0)
        tp, fp, fn, tn = (self.totals[name] for name in ("tp", "fp", "fn", "tn"))
        recall = divide_no_nan(tp, tp + fn)
        if self.curve == "ROC":
            x, y = divide_no_nan(fp, fp + tn), recall
        elif self.summation_method == "interpolation":
            return self._interpolated_pr_area()
        else:
            x, y = recall, divide_no_nan(tp, tp + fp)
        if self.summation_method == "interpolation":
            heights = (y[:-1] + y[1:]) / 2
        elif self.summation_method == "minoring":
            heights = np.minimum(y[:-1], y[1:])
        else:
            heights = np.maximum(y[:-1], y[1:])
        # The threshold rises from point to point, so x falls.
        return np.sum((x[:-1] - x[1:]) * heights)

    def _interpolated_pr_area(self) -> Any:
        tp, fn = self.totals["tp"], self.totals["fn"]
        p = tp + self.totals["fp"]
        dtp = tp[:-1] - tp[1:]
        slope = divide_no_nan(dtp, np.maximum(p[:-1] - p[1:], 0))
        intercept = tp[1:] - slope * p[1:]
        both = (p[:-1] > 0) & (p[1:] > 0)
        log_ratio = np.log(np.where(both, p[:-1], 1) / np.where(both, p[1:], 1))
        return np.sum(divide_no_nan(slope * (dtp + intercept * log_ratio), tp[1:] + fn[1:]))


def _is_in_top_k(y_pred: Any, k: int) -> Any:
    """Truth values: is this one of its row's k largest predictions (the first ones, of equals)?"""
    if k > y_pred.shape[-1]:
        raise ValueError(f"top_k: expected at most the {y_pred.shape[-1]} classes, got {k}")
    best = np.argsort(-y_pred, axis=-1, kind="stable")[..., :k]
    places = np.arange(y_pred.shape[-1], like=y_pred)
    return np.any(best[..., np.newaxis] == places, axis=-2)


def _one_of(allowed: Sequence[str], value: Any, name: str) -> str:
    for one in allowed:
        if isinstance(value, str) and value.lower() == one.lower():
            return one
    raise ValueError(f"{name}: expected one of {', '.join(allowed)}, got {value!r}")
