"""Losses as metrics: the mean of a loss's values over all samples, without being minimised; and how
much of the variance is explained."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from minicnn import losses
from minicnn.losses.targets import align_sample_weight, as_array, as_floating
from minicnn.metrics.base import Mean, Metric, divide_no_nan, same_shape
from minicnn.shapes import positive_int
from minicnn.validation import choice


class LossMetric(Mean):
    """The mean of the values of ``loss``."""

    def __init__(self, loss: losses.Loss, name: str | None, dtype: Any):
        super().__init__(name, dtype)
        self.loss = loss

    def argument_value(self, name: str) -> Any:
        return getattr(self if name in ("name", "dtype") else self.loss, name)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.loss.ops = self.ops
        y_pred = as_floating(y_pred)
        y_true = self.loss.align(as_array(y_true), y_pred)
        values, mask = self.loss.call(y_true, y_pred), self.loss.mask(y_true)
        if mask is not None and sample_weight is not None:
            # As in Keras: what the loss leaves out has no weight. Without weights it counts as 0.
            sample_weight = align_sample_weight(as_array(sample_weight), values.shape) * mask
        super().update_state(values, sample_weight)


class MeanSquaredError(LossMetric):
    """See :class:`~minicnn.losses.MeanSquaredError`."""

    def __init__(self, name: str | None = "mean_squared_error", dtype: Any = None):
        super().__init__(losses.MeanSquaredError(), name, dtype)


class RootMeanSquaredError(LossMetric):
    """The square root of the mean squared error over all samples.

    >>> RootMeanSquaredError()([[0.0], [0.0]], [[1.0], [7.0]])
    np.float32(5.0)
    """

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None):
        super().__init__(losses.MeanSquaredError(), name, dtype)

    def result(self) -> Any:
        return np.sqrt(super().result())


class MeanAbsoluteError(LossMetric):
    """See :class:`~minicnn.losses.MeanAbsoluteError`."""

    def __init__(self, name: str | None = "mean_absolute_error", dtype: Any = None):
        super().__init__(losses.MeanAbsoluteError(), name, dtype)


class MeanAbsolutePercentageError(LossMetric):
    """See :class:`~minicnn.losses.MeanAbsolutePercentageError`."""

    def __init__(self, name: str | None = "mean_absolute_percentage_error", dtype: Any = None):
        super().__init__(losses.MeanAbsolutePercentageError(), name, dtype)


class MeanSquaredLogarithmicError(LossMetric):
    """See :class:`~minicnn.losses.MeanSquaredLogarithmicError`."""

    def __init__(self, name: str | None = "mean_squared_logarithmic_error", dtype: Any = None):
        super().__init__(losses.MeanSquaredLogarithmicError(), name, dtype)


class LogCoshError(LossMetric):
    """See :class:`~minicnn.losses.LogCosh`."""

    def __init__(self, name: str | None = "logcosh", dtype: Any = None):
        super().__init__(losses.LogCosh(), name, dtype)


class Hinge(LossMetric):
    """See :class:`~minicnn.losses.Hinge`."""

    def __init__(self, name: str | None = "hinge", dtype: Any = None):
        super().__init__(losses.Hinge(), name, dtype)


class SquaredHinge(LossMetric):
    """See :class:`~minicnn.losses.SquaredHinge`."""

    def __init__(self, name: str | None = "squared_hinge", dtype: Any = None):
        super().__init__(losses.SquaredHinge(), name, dtype)


class CategoricalHinge(LossMetric):
    """See :class:`~minicnn.losses.CategoricalHinge`."""

    def __init__(self, name: str | None = "categorical_hinge", dtype: Any = None):
        super().__init__(losses.CategoricalHinge(), name, dtype)


class KLDivergence(LossMetric):
    """See :class:`~minicnn.losses.KLDivergence`."""

    def __init__(self, name: str | None = "kl_divergence", dtype: Any = None):
        super().__init__(losses.KLDivergence(), name, dtype)


class BinaryCrossentropy(LossMetric):
    """See :class:`~minicnn.losses.BinaryCrossentropy`."""

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
    ):
        super().__init__(losses.BinaryCrossentropy(from_logits, label_smoothing), name, dtype)


class CategoricalCrossentropy(LossMetric):
    """See :class:`~minicnn.losses.CategoricalCrossentropy`."""

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
    ):
        loss = losses.CategoricalCrossentropy(from_logits, label_smoothing, axis)
        super().__init__(loss, name, dtype)


class SparseCategoricalCrossentropy(LossMetric):
    """See :class:`~minicnn.losses.SparseCategoricalCrossentropy`."""

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ):
        loss = losses.SparseCategoricalCrossentropy(from_logits, ignore_class, axis=axis)
        super().__init__(loss, name, dtype)


class R2Score(Metric):
    """How much of the variance of the targets is explained, in each column::

        R^2 = 1 - sum_i w_i (y_i - p_i)^2 / sum_i w_i (y_i - mean(y))^2

    1 is perfect, 0 no better than always predicting the mean. Where all targets are the same, it is
    0, too.

    Args:
        class_aggregation: ``"uniform_average"`` gives the mean of all columns,
            ``"variance_weighted_average"`` that weighted with their variances, ``None`` all.
        num_regressors: the number k of variables that the prediction was made from. Above 0 the
            result is the adjusted 1 - (1 - R^2) (n - 1) / (n - k - 1), for n numbers.
        name, dtype: see :class:`~minicnn.metrics.Metric`.

    >>> R2Score()([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]]).round(3)
    np.float64(0.571)
    """

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: Any = None,
    ):
        super().__init__(name, dtype)
        allowed = (None, "uniform_average", "variance_weighted_average")
        choice(class_aggregation, "class_aggregation", allowed)
        self.class_aggregation = class_aggregation
        given = num_regressors != 0
        self.num_regressors = positive_int(num_regressors, "num_regressors") if given else 0

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = same_shape(y_true, y_pred, self.name)
        if y_pred.ndim != 2:
            raise ValueError(
                f"y_pred: {self.name} needs predictions (samples, columns), got {y_pred.shape}"
            )
        # In float64: the sum of squares and the square of the sum nearly cancel.
        y, p = y_true.astype(np.float64), y_pred.astype(np.float64)
        w = np.ones_like(y)
        if sample_weight is not None:
            w = w * align_sample_weight(as_array(sample_weight), y.shape)
        self.add(
            count=np.sum(w, axis=0),
            sum=np.sum(w * y, axis=0),
            squares=np.sum(w * y * y, axis=0),
            errors=np.sum(w * (y - p) ** 2, axis=0),
            numbers=np.sum(np.ones_like(y)),
        )

    def result(self) -> Any:
        if not self.totals:
            return np.float64(0)
        names = ("count", "sum", "squares", "errors")
        count, total, squares, errors = (self.totals[name] for name in names)
        variance = squares - divide_no_nan(total * total, count)
        score = np.where(variance == 0, 0.0, 1 - divide_no_nan(errors, variance))[()]
        if self.class_aggregation == "uniform_average":
            score = np.mean(score)
        elif self.class_aggregation == "variance_weighted_average":
            score = divide_no_nan(np.sum(variance * score), np.sum(variance))
        if not self.num_regressors:
            return score
        n = float(self.totals["numbers"])
        if n - self.num_regressors - 1 <= 0:
            warnings.warn(
                f"num_regressors: {self.num_regressors} are too many for {n:.0f} numbers; R^2 is "
                "not adjusted",
                stacklevel=2,
            )
            return score
        return 1 - (1 - score) * (n - 1) / (n - self.num_regressors - 1)
