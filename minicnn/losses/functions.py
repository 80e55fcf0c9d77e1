"""Keras's function forms: the value of each sample, without weights or a reduction."""

from __future__ import annotations

from typing import Any

from minicnn.losses.crossentropy import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    SparseCategoricalCrossentropy,
)
from minicnn.losses.distances import (
    CategoricalHinge,
    CosineSimilarity,
    Hinge,
    Huber,
    KLDivergence,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    SquaredHinge,
)
from minicnn.losses.regions import Dice, Tversky


def categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """See :class:`~minicnn.losses.CategoricalCrossentropy`.

    >>> categorical_crossentropy([[0, 1], [0, 1]], [[0.05, 0.95], [0.9, 0.1]]).round(3)
    array([0.051, 2.303], dtype=float32)
    """
    loss = CategoricalCrossentropy(from_logits, label_smoothing, axis, reduction=None)
    return loss(y_true, y_pred)


def sparse_categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Any:
    """See :class:`~minicnn.losses.SparseCategoricalCrossentropy`."""
    loss = SparseCategoricalCrossentropy(from_logits, ignore_class, reduction=None, axis=axis)
    return loss(y_true, y_pred)


def binary_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """See :class:`~minicnn.losses.BinaryCrossentropy`."""
    loss = BinaryCrossentropy(from_logits, label_smoothing, axis, reduction=None)
    return loss(y_true, y_pred)


def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """See :class:`~minicnn.losses.MeanSquaredError`."""
    return MeanSquaredError(reduction=None)(y_true, y_pred)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """See :class:`~minicnn.losses.MeanAbsoluteError`."""
    return MeanAbsoluteError(reduction=None)(y_true, y_pred)


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """See :class:`~minicnn.losses.MeanAbsolutePercentageError`."""
    return MeanAbsolutePercentageError(reduction=None)(y_true, y_pred)


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """See :class:`~minicnn.losses.MeanSquaredLogarithmicError`."""
    return MeanSquaredLogarithmicError(reduction=None)(y_true, y_pred)


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """See :class:`~minicnn.losses.Huber`."""
    return Huber(delta, reduction=None)(y_true, y_pred)


def log_cosh(y_true: Any, y_pred: Any) -> Any:
    """See :class:`~minicnn.losses.LogCosh`."""
    return LogCosh(reduction=None)(y_true, y_pred)


def hinge(y_true: Any, y_pred: Any) -> Any:
    """See :class:`~minicnn.losses.Hinge`."""
    return Hinge(reduction=None)(y_true, y_pred)


def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """See :class:`~minicnn.losses.SquaredHinge`."""
    return SquaredHinge(reduction=None)(y_true, y_pred)


def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    """See :class:`~minicnn.losses.CategoricalHinge`."""
    return CategoricalHinge(reduction=None)(y_true, y_pred)


def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    """See :class:`~minicnn.losses.KLDivergence`."""
    return KLDivergence(reduction=None)(y_true, y_pred)


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """See :class:`~minicnn.losses.CosineSimilarity`."""
    return CosineSimilarity(axis, reduction=None)(y_true, y_pred)


def poisson(y_true: Any, y_pred: Any) -> Any:
    """See :class:`~minicnn.losses.Poisson`."""
    return Poisson(reduction=None)(y_true, y_pred)


def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: Any = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """See :class:`~minicnn.losses.CategoricalFocalCrossentropy`."""
    loss = CategoricalFocalCrossentropy(alpha, gamma, from_logits, label_smoothing, axis, None)
    return loss(y_true, y_pred)


def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """See :class:`~minicnn.losses.BinaryFocalCrossentropy`."""
    loss = BinaryFocalCrossentropy(
        apply_class_balancing, alpha, gamma, from_logits, label_smoothing, axis, None
    )
    return loss(y_true, y_pred)


def dice(y_true: Any, y_pred: Any, axis: Any = None) -> Any:
    """See :class:`~minicnn.losses.Dice`."""
    return Dice(reduction=None, axis=axis)(y_true, y_pred)


def tversky(
    y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Any = None
) -> Any:
    """See :class:`~minicnn.losses.Tversky`."""
    return Tversky(alpha, beta, reduction=None, axis=axis)(y_true, y_pred)
