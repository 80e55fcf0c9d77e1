"""Losses as metrics: the mean of a loss's values over all samples, without being minimised."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import losses
from minicnn.losses.targets import align_sample_weight, as_array, as_floating
from minicnn.metrics.base import Mean


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
