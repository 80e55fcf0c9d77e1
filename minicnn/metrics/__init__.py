"""What is reported beside the loss: figures that people understand, over all batches of an epoch.

``base.py`` is what every metric is, ``accuracies.py`` counts right answers, ``confusion.py`` has
precision, recall and AUC, ``f_score.py`` one figure of both, ``iou.py`` how well regions match,
``errors.py`` the losses as metrics. ``variable.py`` is what a metric of one's own assigns to.
"""

from __future__ import annotations

import inspect
from typing import Any

from minicnn.configurable import checked_config, deserialize
from minicnn.losses import (
    Loss,
    binary_crossentropy,
    categorical_crossentropy,
    categorical_hinge,
    hinge,
    kind_of_targets,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from minicnn.metrics.accuracies import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    accuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from minicnn.metrics.base import Mean, MeanMetricWrapper, Metric, Sum
from minicnn.metrics.confusion import (
    AUC,
    FalseNegatives,
    FalsePositives,
    Precision,
    Recall,
    TrueNegatives,
    TruePositives,
)
from minicnn.metrics.errors import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    Hinge,
    KLDivergence,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    R2Score,
    RootMeanSquaredError,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from minicnn.metrics.f_score import F1Score, FBetaScore
from minicnn.metrics.iou import BinaryIoU, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU
from minicnn.registry import lookup, snake_case

# Their short names.
mae = MAE = mean_absolute_error
mape = MAPE = mean_absolute_percentage_error
mse = MSE = mean_squared_error
msle = MSLE = mean_squared_logarithmic_error

__all__ = [
    "AUC",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "BinaryIoU",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "Hinge",
    "IoU",
    "KLDivergence",
    "LogCoshError",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanIoU",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "OneHotIoU",
    "OneHotMeanIoU",
    "Precision",
    "R2Score",
    "Recall",
    "RootMeanSquaredError",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "SquaredHinge",
    "Sum",
    "TopKCategoricalAccuracy",
    "TrueNegatives",
    "TruePositives",
    "accuracy",
    "binary_accuracy",
    "binary_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "categorical_hinge",
    "get",
    "hinge",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "resolve",
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy",
    "squared_hinge",
    "top_k_categorical_accuracy",
]

_CLASSES: list[type[Metric]] = [
    AUC,
    Accuracy,
    BinaryAccuracy,
    BinaryCrossentropy,
    BinaryIoU,
    CategoricalAccuracy,
    CategoricalCrossentropy,
    CategoricalHinge,
    F1Score,
    FBetaScore,
    FalseNegatives,
    FalsePositives,
    Hinge,
    IoU,
    KLDivergence,
    LogCoshError,
    Mean,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanIoU,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    OneHotIoU,
    OneHotMeanIoU,
    Precision,
    R2Score,
    Recall,
    RootMeanSquaredError,
    SparseCategoricalAccuracy,
    SparseCategoricalCrossentropy,
    SparseTopKCategoricalAccuracy,
    SquaredHinge,
    Sum,
    TopKCategoricalAccuracy,
    TrueNegatives,
    TruePositives,
]
_TABLE: dict[str, type[Metric]] = {
    **{snake_case(metric.__name__): metric for metric in _CLASSES},
    "bce": BinaryCrossentropy,
    "mae": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "mse": MeanSquaredError,
    "msle": MeanSquaredLogarithmicError,
}
# The functions that have a class of their own, which checks no targets and stays on its floor.
_OF_FUNCTION: dict[Any, type[Metric]] = {
    binary_crossentropy: BinaryCrossentropy,
    categorical_crossentropy: CategoricalCrossentropy,
    categorical_hinge: CategoricalHinge,
    hinge: Hinge,
    kl_divergence: KLDivergence,
    log_cosh: LogCoshError,
    mean_absolute_error: MeanAbsoluteError,
    mean_absolute_percentage_error: MeanAbsolutePercentageError,
    mean_squared_error: MeanSquaredError,
    mean_squared_logarithmic_error: MeanSquaredLogarithmicError,
    sparse_categorical_crossentropy: SparseCategoricalCrossentropy,
    squared_hinge: SquaredHinge,
}


def get(identifier: Any) -> Metric | None:
    """The metric that ``identifier`` names.

    Args:
        identifier: a name in any case (``"mse"``, ``"TopKCategoricalAccuracy"``), a metric, one of
            the classes, a function f(y_true, y_pred) that gives a value for each sample, a loss,
            Keras's dict form of one (see ``minicnn.configurable``), or ``None``.

    Raises:
        ValueError: if there is no metric of that name.
        TypeError: if it is anything else.

    >>> get("mse").name, get(top_k_categorical_accuracy).name
    ('mean_squared_error', 'top_k_categorical_accuracy')
    """
    if identifier is None or isinstance(identifier, Metric):
        return identifier
    if isinstance(identifier, str):
        return lookup(_TABLE, identifier, "metric")()
    if isinstance(identifier, dict):
        return _from_dict(identifier)
    if inspect.isclass(identifier) and issubclass(identifier, Metric):
        return identifier()
    if inspect.isfunction(identifier) and identifier in _OF_FUNCTION:
        return _OF_FUNCTION[identifier](name=identifier.__name__)
    if isinstance(identifier, Loss):
        return MeanMetricWrapper(identifier, name=identifier.name)
    if callable(identifier) and not inspect.isclass(identifier):
        name = getattr(identifier, "__name__", type(identifier).__name__)
        return MeanMetricWrapper(identifier, name=snake_case(name))
    raise TypeError(
        "metric: expected a name such as 'accuracy', a Metric, or a function f(y_true, y_pred), "
        f"got {identifier!r}"
    )


def _from_dict(data: dict[str, Any]) -> Metric:
    if data.get("class_name") != "MeanMetricWrapper" or data.get("module") != "keras.metrics":
        made = deserialize(data, _TABLE, "keras.metrics", "metric", Metric, functions=True)
        return get(made)
    config = data.get("config")
    if not isinstance(config, dict) or not isinstance(config.get("fn"), dict):
        raise ValueError("config of MeanMetricWrapper: expected an object fn, a function")
    metric = get(config["fn"])
    rest = {key: value for key, value in config.items() if key not in ("fn", "dtype")}
    metric.name = checked_config(Metric, rest).get("name", metric.name)
    return metric


def resolve(identifier: Any, loss: Loss | None, y_true_shape: Any, y_pred_shape: Any) -> Metric:
    """The metric that is meant where a model with these shapes is trained with this loss.

    ``"accuracy"`` and ``"acc"`` become the accuracy that fits the shapes, ``"crossentropy"`` and
    ``"ce"`` the cross-entropy. A metric that was given as a name is called by that very name.

    Args:
        identifier: as for :func:`get`, but not ``None``.
        loss: of the output; a cross-entropy metric follows its ``from_logits``.
        y_true_shape, y_pred_shape: of targets and predictions, batch first.

    >>> resolve("acc", None, (None,), (None, 10)), resolve("accuracy", None, (None, 1), (None, 1))
    (<SparseCategoricalAccuracy 'acc'>, <BinaryAccuracy 'accuracy'>)
    >>> resolve("MSE", None, (None, 3), (None, 3))
    <MeanSquaredError 'MSE'>
    """
    if identifier is None:
        raise ValueError("metrics: expected a metric, got None")
    if not isinstance(identifier, str):
        return get(identifier)
    if identifier.lower() in ("accuracy", "acc"):
        kind = kind_of_targets(y_true_shape, y_pred_shape)
        return _TABLE[f"{kind}_accuracy"](name=identifier)
    if identifier.lower() in ("crossentropy", "ce"):
        kind = kind_of_targets(y_true_shape, y_pred_shape)
        from_logits = loss is not None and loss.from_logits
        return _TABLE[f"{kind}_crossentropy"](name=identifier, from_logits=from_logits)
    metric = get(identifier)
    metric.name = identifier
    return metric
