"""One figure of precision and recall: their weighted harmonic mean."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.backend import epsilon
from minicnn.losses.targets import align_sample_weight, as_array
from minicnn.metrics.base import Metric, same_shape
from minicnn.validation import choice, number


class FBetaScore(Metric):
    """With precision P and recall R of each class::

        F = (1 + beta^2) P R / (beta^2 P + R)

    A beta above 1 gives the recall more weight, one below 1 the precision (van Rijsbergen, 1979,
    Information retrieval, chapter 7). As in Keras, 1e-7 is added to each denominator.

    Args:
        average: ``None`` gives one result for each class; ``"macro"`` their mean, ``"weighted"``
            the mean weighted with how often a class occurs; ``"micro"`` counts all classes as one.
        beta: above 0.
        threshold: above which a prediction says yes, above 0 and at most 1. By default the largest
            of a row says yes, unless it is 0.
        name, dtype: see :class:`~minicnn.metrics.Metric`.

    >>> metric = FBetaScore(beta=2.0, threshold=0.5)
    >>> metric([[1, 1], [1, 0], [1, 1]], [[0.2, 0.6], [0.6, 0.6], [0.7, 0.9]]).round(3)
    array([0.714, 0.909], dtype=float32)
    """

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: Any = None,
    ):
        super().__init__(name, dtype)
        choice(average, "average", (None, "micro", "macro", "weighted"))
        self.average = average
        self.beta = number(beta, "beta", "(0, inf)")
        self.threshold = None if threshold is None else number(threshold, "threshold", "(0, 1]")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        hint = "; make class labels one-hot with minicnn.utils.to_categorical"
        y_true, y_pred = same_shape(y_true, y_pred, self.name, hint)
        if y_pred.ndim != 2:
            raise ValueError(
                f"y_pred: {self.name} needs predictions (samples, classes), got {y_pred.shape}"
            )
        if self.threshold is None:
            largest = y_pred >= np.max(y_pred, axis=-1, keepdims=True)
            yes = largest & (np.abs(y_pred) > 1e-9)
        else:
            yes = y_pred > self.threshold
        p, t = yes.astype(y_pred.dtype), y_true.astype(y_pred.dtype)
        w = 1
        if sample_weight is not None:
            w = align_sample_weight(as_array(sample_weight).astype(y_pred.dtype), y_pred.shape)
        axis = None if self.average == "micro" else 0
        self.add(
            tp=np.sum(w * p * t, axis=axis),
            fp=np.sum(w * p * (1 - t), axis=axis),
            fn=np.sum(w * (1 - p) * t, axis=axis),
        )

    def result(self) -> Any:
        if not self.totals:
            return np.float32(0)
        tp, fp, fn = (self.totals[name] for name in ("tp", "fp", "fn"))
        precision, recall = tp / (tp + fp + epsilon()), tp / (tp + fn + epsilon())
        b = self.beta**2
        score = (1 + b) * (precision * recall / (b * precision + recall + epsilon()))
        if self.average == "weighted":
            occurs = tp + fn
            return np.sum(score * occurs / (np.sum(occurs) + epsilon()))
        return score if self.average is None else np.mean(score)


class F1Score(FBetaScore):
    """2 P R / (P + R), with precision P and recall R. See :class:`FBetaScore`.

    >>> metric = F1Score(average="macro", threshold=0.5)
    >>> metric([[1, 1], [1, 0], [1, 1]], [[0.2, 0.6], [0.6, 0.6], [0.7, 0.9]]).round(3)
    np.float32(0.8)
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: Any = None,
    ):
        super().__init__(average, 1.0, threshold, name, dtype)
