"""Losses that compare targets and predictions number by number; formulas are in the floor's file.

Targets have the shape of the predictions, (n, ..., c), and each value is a mean over the last axis.
"""

from __future__ import annotations

from typing import Any

from minicnn.losses.base import Loss
from minicnn.losses.targets import Shape, check_same_shape
from minicnn.registry import snake_case
from minicnn.validation import number


class Distance(Loss):
    """What they have in common: the order of arguments, and the check of the targets' shape.

    Args:
        reduction, name, dtype: see :class:`~minicnn.losses.Loss`.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(name or snake_case(type(self).__name__), reduction, dtype)

    def prepare(self, y_true: Any, output_shape: Shape) -> Any:
        y_true = super().prepare(y_true, output_shape)
        check_same_shape(y_true, output_shape, self.name)
        return y_true


class MeanSquaredError(Distance):
    """1/c sum (y_pred - y_true)^2.

    >>> MeanSquaredError()([[0.0, 1.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 0.0]])
    np.float32(0.5)
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.ops.mean_squared_error(y_true, y_pred)

    def gradient(self, y_true: Any, y_pred: Any) -> Any:
        return self.ops.mean_squared_error_backward(y_true, y_pred)


class MeanAbsoluteError(Distance):
    """1/c sum |y_pred - y_true|."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.ops.mean_absolute_error(y_true, y_pred)

    def gradient(self, y_true: Any, y_pred: Any) -> Any:
        return self.ops.mean_absolute_error_backward(y_true, y_pred)


class MeanAbsolutePercentageError(Distance):
    """100/c sum |y_pred - y_true| / |y_true|."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.ops.mean_absolute_percentage_error(y_true, y_pred)

    def gradient(self, y_true: Any, y_pred: Any) -> Any:
        return self.ops.mean_absolute_percentage_error_backward(y_true, y_pred)


class MeanSquaredLogarithmicError(Distance):
    """1/c sum (log(1 + y_pred) - log(1 + y_true))^2, for numbers that are not negative."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.ops.mean_squared_logarithmic_error(y_true, y_pred)

    def gradient(self, y_true: Any, y_pred: Any) -> Any:
        return self.ops.mean_squared_logarithmic_error_backward(y_true, y_pred)


class Huber(Distance):
    """1/c sum of e^2 / 2 where |e| <= delta, else delta |e| - delta^2 / 2; e = y_pred - y_true.

    Args:
        delta: where the parabola becomes a line; a positive number. Keras leaves it out of its
            configs, so that a model that Keras saved comes back with 1.
        reduction, name, dtype: see :class:`~minicnn.losses.Loss`.
    """

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "huber_loss",
        dtype: Any = None,
    ):
        super().__init__(reduction, name, dtype)
        self.delta = number(delta, "delta", "(0, inf)")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.ops.huber(y_true, y_pred, self.delta)

    def gradient(self, y_true: Any, y_pred: Any) -> Any:
        return self.ops.huber_backward(y_true, y_pred, self.delta)


class LogCosh(Distance):
    """1/c sum log cosh(y_pred - y_true)."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.ops.log_cosh(y_true, y_pred)

    def gradient(self, y_true: Any, y_pred: Any) -> Any:
        return self.ops.log_cosh_backward(y_true, y_pred)


class Hinge(Distance):
    """1/c sum max(1 - t y_pred, 0), for labels t of -1 and 1, or 0 and 1."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.ops.hinge(y_true, y_pred)

    def gradient(self, y_true: Any, y_pred: Any) -> Any:
        return self.ops.hinge_backward(y_true, y_pred)


class SquaredHinge(Distance):
    """1/c sum max(1 - t y_pred, 0)^2, for labels t of -1 and 1, or 0 and 1."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.ops.squared_hinge(y_true, y_pred)

    def gradient(self, y_true: Any, y_pred: Any) -> Any:
        return self.ops.squared_hinge_backward(y_true, y_pred)


class CategoricalHinge(Distance):
    """max(1 + the best wrong class's score - the true class's score, 0), for one-hot targets."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.ops.categorical_hinge(y_true, y_pred)

    def gradient(self, y_true: Any, y_pred: Any) -> Any:
        return self.ops.categorical_hinge_backward(y_true, y_pred)


class KLDivergence(Distance):
    """sum_k t_k log(t_k / p_k), for probabilities t and p."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.ops.kl_divergence(y_true, y_pred)

    def gradient(self, y_true: Any, y_pred: Any) -> Any:
        return self.ops.kl_divergence_backward(y_true, y_pred)


class CosineSimilarity(Distance):
    """-sum t y_pred / (|t| |y_pred|): -1 for the same direction, 0 across, 1 for the opposite one.

    Args:
        axis: -1, the one that is summed over.
        reduction, name, dtype: see :class:`~minicnn.losses.Loss`.

    >>> CosineSimilarity()([[0.0, 1.0], [1.0, 0.0]], [[0.0, 3.0], [0.0, 2.0]])
    np.float32(-0.5)
    """

    not_in_config = frozenset({"axis"})  # which Keras does not write down
    keras_only = {"axis": (-1,)}

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "cosine_similarity",
        dtype: Any = None,
    ):
        super().__init__(reduction, name, dtype)
        if axis != -1 or isinstance(axis, bool):
            raise ValueError(f"axis: sums run over the last axis here, expected -1, got {axis!r}")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.ops.cosine_similarity(y_true, y_pred)

    def gradient(self, y_true: Any, y_pred: Any) -> Any:
        return self.ops.cosine_similarity_backward(y_true, y_pred)


class Poisson(Distance):
    """1/c sum (y_pred - y_true log y_pred), for counts y_true and their expected numbers y_pred.

    >>> Poisson()([[0.0, 2.0]], [[1.0, 1.0]])
    np.float32(0.9999999)
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.ops.poisson(y_true, y_pred)

    def gradient(self, y_true: Any, y_pred: Any) -> Any:
        return self.ops.poisson_backward(y_true, y_pred)
