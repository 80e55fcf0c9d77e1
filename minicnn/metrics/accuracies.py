"""How often is the prediction right?"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import backend
from minicnn.losses.targets import as_array, as_floating
from minicnn.metrics.base import MeanMetricWrapper, same_shape
from minicnn.shapes import positive_int
from minicnn.validation import number

_SPARSE_HINT = "; for class labels there is 'sparse_categorical_accuracy'"


def accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the prediction equals the target, else 0; arrays of one shape.

    >>> accuracy([1, 2, 3], [1, 2, 4])
    array([1., 1., 0.], dtype=float32)
    """
    y_true, y_pred = same_shape(y_true, y_pred, "accuracy")
    return (y_true == y_pred).astype(np.float32)


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    """1 where the target is 1 and the prediction above the threshold, or 0 and not above it.

    >>> binary_accuracy([[1], [1], [0]], [[0.9], [0.2], [0.1]])
    array([[1.],
           [0.],
           [1.]], dtype=float32)
    """
    y_true, y_pred = same_shape(y_true, y_pred, "binary_accuracy")
    return (y_true == (y_pred > threshold)).astype(np.float32)


def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the largest prediction stands where the largest target does: (n, c) -> (n,).

    >>> categorical_accuracy([[0, 0, 1], [0, 1, 0]], [[0.1, 0.1, 0.8], [0.05, 0, 0.95]])
    array([1., 0.], dtype=float32)
    """
    y_true, y_pred = same_shape(y_true, y_pred, "categorical_accuracy", _SPARSE_HINT)
    return backend.floor_of(y_pred).categorical_matches(y_true, y_pred)


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the largest prediction stands at the label: labels (n,) or (n, 1), (n, c) -> (n,).

    >>> sparse_categorical_accuracy([2, 1], [[0.1, 0.1, 0.8], [0.05, 0, 0.95]])
    array([1., 0.], dtype=float32)
    """
    labels, y_pred = _labels(y_true, y_pred, "sparse_categorical_accuracy")
    return backend.floor_of(y_pred).sparse_matches(labels, y_pred)


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """1 where the true class is among the k largest predictions: (n, c) -> (n,).

    >>> top_k_categorical_accuracy([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0, 0.95]], k=2)
    array([1., 0.], dtype=float32)
    """
    y_true, y_pred = same_shape(y_true, y_pred, "top_k_categorical_accuracy", _SPARSE_HINT)
    return _in_top_k(y_true.argmax(axis=-1), y_pred, k)


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """1 where the label is among the k largest predictions: labels (n,) or (n, 1) -> (n,).

    >>> sparse_top_k_categorical_accuracy([2, 1], [[0.1, 0.9, 0.8], [0.05, 0, 0.95]], k=2)
    array([1., 0.], dtype=float32)
    """
    labels, y_pred = _labels(y_true, y_pred, "sparse_top_k_categorical_accuracy")
    return _in_top_k(labels, y_pred, k)


class Accuracy(MeanMetricWrapper):
    """How often predictions equal targets."""

    def __init__(self, name: str | None = "accuracy", dtype: Any = None):
        super().__init__(accuracy, name, dtype)


class BinaryAccuracy(MeanMetricWrapper):
    """How often predictions are on the target's side of ``threshold``."""

    def __init__(
        self, name: str | None = "binary_accuracy", dtype: Any = None, threshold: float = 0.5
    ):
        self.threshold = number(threshold, "threshold")
        super().__init__(binary_accuracy, name, dtype, threshold=self.threshold)


class CategoricalAccuracy(MeanMetricWrapper):
    """How often the largest prediction is that of the true class, for one-hot targets."""

    def __init__(self, name: str | None = "categorical_accuracy", dtype: Any = None):
        super().__init__(categorical_accuracy, name, dtype)


class SparseCategoricalAccuracy(MeanMetricWrapper):
    """How often the largest prediction is that of the true class, for labels."""

    def __init__(self, name: str | None = "sparse_categorical_accuracy", dtype: Any = None):
        super().__init__(sparse_categorical_accuracy, name, dtype)


class TopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the true class is among the ``k`` largest predictions, for one-hot targets.

    Raises:
        ValueError: if there are fewer classes than ``k``, where Keras reports that all is right.
    """

    def __init__(
        self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype: Any = None
    ):
        self.k = positive_int(k, "k")
        super().__init__(top_k_categorical_accuracy, name, dtype, k=self.k)


class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the true class is among the ``k`` largest predictions, for labels.

    Raises:
        ValueError: if there are fewer classes than ``k``, where Keras reports that all is right.
    """

    def __init__(
        self, k: int = 5, name: str | None = "sparse_top_k_categorical_accuracy", dtype: Any = None
    ):
        self.k = positive_int(k, "k")
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, k=self.k)


def _in_top_k(labels: Any, y_pred: Any, k: int) -> Any:
    """Whether fewer than k predictions are larger than the label's; never for one that is NaN."""
    if positive_int(k, "k") > y_pred.shape[-1]:
        raise ValueError(f"k: expected at most the {y_pred.shape[-1]} classes, got {k}")
    labels = labels.astype(np.int64)[..., np.newaxis]
    of_label = np.take_along_axis(y_pred, labels, axis=-1)
    larger = np.sum(y_pred > of_label, axis=-1)
    return ((larger < k) & ~np.isnan(of_label[..., 0])).astype(np.float32)


def _labels(y_true: Any, y_pred: Any, metric: str) -> tuple[Any, Any]:
    y_pred, labels = as_floating(y_pred), as_array(y_true)
    if labels.ndim == y_pred.ndim and labels.shape[-1] == 1:
        labels = labels[..., 0]
    if labels.shape != y_pred.shape[:-1]:
        raise ValueError(
            f"y_true: {metric} needs one label for each row of predictions, shape "
            f"{y_pred.shape[:-1]}, got {labels.shape}; for one-hot rows there is "
            "'categorical_accuracy'"
        )
    return labels, y_pred
