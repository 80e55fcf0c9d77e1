"""How wrong predictions are: the number that training makes small.

``base.py`` is what every loss is, ``crossentropy.py``, ``distances.py`` and ``regions.py`` are the
losses, ``functions.py`` their function forms, and ``targets.py`` checks what users give as targets.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from minicnn.configurable import deserialize
from minicnn.losses.base import Loss
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
from minicnn.losses.functions import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    cosine_similarity,
    dice,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
    tversky,
)
from minicnn.losses.regions import Dice, Tversky
from minicnn.registry import lookup, snake_case

# Their short names.
mae = MAE = mean_absolute_error
mape = MAPE = mean_absolute_percentage_error
mse = MSE = mean_squared_error
msle = MSLE = mean_squared_logarithmic_error

__all__ = [
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "Dice",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "Tversky",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "cosine_similarity",
    "dice",
    "get",
    "hinge",
    "huber",
    "is_resolved_by_shape",
    "kind_of_targets",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "resolve",
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "tversky",
]

_CLASSES: dict[Callable[..., Any], type[Loss]] = {
    binary_crossentropy: BinaryCrossentropy,
    binary_focal_crossentropy: BinaryFocalCrossentropy,
    categorical_crossentropy: CategoricalCrossentropy,
    categorical_focal_crossentropy: CategoricalFocalCrossentropy,
    categorical_hinge: CategoricalHinge,
    cosine_similarity: CosineSimilarity,
    dice: Dice,
    hinge: Hinge,
    huber: Huber,
    kl_divergence: KLDivergence,
    log_cosh: LogCosh,
    mean_absolute_error: MeanAbsoluteError,
    mean_absolute_percentage_error: MeanAbsolutePercentageError,
    mean_squared_error: MeanSquaredError,
    mean_squared_logarithmic_error: MeanSquaredLogarithmicError,
    poisson: Poisson,
    sparse_categorical_crossentropy: SparseCategoricalCrossentropy,
    squared_hinge: SquaredHinge,
    tversky: Tversky,
}
_TABLE: dict[str, type[Loss]] = {
    **{snake_case(loss.__name__): loss for loss in _CLASSES.values()},
    "bce": BinaryCrossentropy,
    "kld": KLDivergence,
    "mae": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "mse": MeanSquaredError,
    "msle": MeanSquaredLogarithmicError,
}


def get(identifier: Any) -> Loss | None:
    """The loss that ``identifier`` names.

    Args:
        identifier: a name in any case (``"mse"``, ``"MeanSquaredError"``), a loss, one of the
            classes, one of the functions of this module, Keras's dict form of one (see
            ``minicnn.configurable``), or ``None``.

    Raises:
        ValueError: if there is no loss of that name.
        TypeError: if it is anything else. A function of one's own has no gradient: subclass
            :class:`Loss`.

    >>> get("mse").name, get("Huber").delta, get(sparse_categorical_crossentropy).fused_activation
    ('mean_squared_error', 1.0, 'softmax')
    """
    if identifier is None or isinstance(identifier, Loss):
        return identifier
    if isinstance(identifier, str):
        return lookup(_TABLE, identifier, "loss")()
    if isinstance(identifier, dict):
        return get(deserialize(identifier, _TABLE, "keras.losses", "loss", Loss, functions=True))
    if inspect.isclass(identifier) and issubclass(identifier, Loss):
        return identifier()
    if inspect.isfunction(identifier) and identifier in _CLASSES:
        return _CLASSES[identifier]()
    hint = ""
    if callable(identifier):
        hint = (
            "; a function has no gradient: subclass minicnn.losses.Loss with "
            "call(y_true, y_pred) and gradient(y_true, y_pred)"
        )
    raise TypeError(
        f"loss: expected a name such as 'mse', a Loss or a function of minicnn.losses, "
        f"got {identifier!r}{hint}"
    )


def resolve(identifier: Any, y_true_shape: Any, y_pred_shape: Any) -> Loss | None:
    """As :func:`get`, but ``"crossentropy"`` and ``"ce"`` become the one that fits the shapes.

    >>> resolve("crossentropy", (None, 1), (None, 10)).name, resolve("ce", (None,), (None, 1)).name
    ('sparse_categorical_crossentropy', 'binary_crossentropy')
    """
    if is_resolved_by_shape(identifier):
        identifier = f"{kind_of_targets(y_true_shape, y_pred_shape)}_crossentropy"
    return get(identifier)


def is_resolved_by_shape(identifier: Any) -> bool:
    """Whether the targets must be known to tell which loss is meant."""
    return isinstance(identifier, str) and identifier.lower() in ("crossentropy", "ce")


def kind_of_targets(y_true_shape: Any, y_pred_shape: Any) -> str:
    """``"binary"``, ``"sparse_categorical"`` or ``"categorical"``, by Keras's rules.

    >>> kind_of_targets((None, 10), (None, 10)), kind_of_targets((None,), (None, 10))
    ('categorical', 'sparse_categorical')
    """
    if y_pred_shape[-1] == 1:
        return "binary"
    if len(y_true_shape) < len(y_pred_shape) or y_true_shape[-1] == 1:
        return "sparse_categorical"
    return "categorical"
