"""Cross-entropies, for classification: how surprising the true class is to the model.

The formulas and their gradients are in ``minicnn/backends/numpy/cross_entropy.py``. Here targets
are checked, and one of the two forms of each loss is chosen: from probabilities, or from logits.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from minicnn.losses.base import Loss
from minicnn.losses.targets import (
    Shape,
    as_numbers,
    check_labels,
    check_length,
    check_probabilities,
    check_same_shape,
    fits,
)
from minicnn.registry import snake_case
from minicnn.validation import number


class Crossentropy(Loss):
    """What all cross-entropies have in common: predictions that are probabilities or logits."""

    activation: str

    def __init__(
        self, from_logits: bool, axis: int, reduction: str | None, name: str | None, dtype: Any
    ):
        super().__init__(name or snake_case(type(self).__name__), reduction, dtype)
        if axis != -1 or isinstance(axis, bool):
            raise ValueError(f"axis: classes are the last axis here, expected -1, got {axis!r}")
        self.axis = axis
        self.from_logits = bool(from_logits)

    @property
    def fused_activation(self) -> str | None:
        """The activation that a model's last layer must have to be differentiated with the loss."""
        return None if self.from_logits else self.activation

    def call(self, y_true: Any, y_pred: Any) -> Any:
        if self.from_logits:
            return self.call_and_gradient_from_logits(y_true, y_pred)[0]
        return self.call_probabilities(y_true, y_pred)

    def gradient(self, y_true: Any, y_pred: Any) -> Any:
        if self.from_logits:
            return self.call_and_gradient_from_logits(y_true, y_pred)[1]
        return self.gradient_probabilities(y_true, y_pred)

    def call_probabilities(self, y_true: Any, y_pred: Any) -> Any:
        """The values, where ``y_pred`` are probabilities."""
        raise NotImplementedError

    def gradient_probabilities(self, y_true: Any, y_pred: Any) -> Any:
        """The gradients, where ``y_pred`` are probabilities."""
        raise NotImplementedError


class CategoricalCrossentropy(Crossentropy):
    """-sum_k t_k log p_k, for one-hot targets t (or any probabilities): one class of many.

    Args:
        from_logits: whether predictions are logits z, with p = softmax(z).
        label_smoothing: a, between 0 and 1: targets become (1 - a) t + a / classes.
        axis: -1, the classes' axis.
        reduction, name, dtype: see :class:`~minicnn.losses.Loss`.

    >>> loss = CategoricalCrossentropy()
    >>> loss([[0, 1, 0], [0, 0, 1]], [[0.05, 0.95, 0], [0.1, 0.8, 0.1]]).round(3)
    np.float32(1.177)
    """

    activation = "softmax"

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(from_logits, axis, reduction, name, dtype)
        self.label_smoothing = number(label_smoothing, "label_smoothing", "[0, 1]")

    def prepare(self, y_true: Any, output_shape: Shape) -> Any:
        y_true = super().prepare(y_true, output_shape)
        classes, hint = output_shape[-1], ""
        if fits(y_true.shape, output_shape[:-1]) or (
            y_true.ndim == len(output_shape) and y_true.shape[-1] == 1
        ):
            hint = (
                "; these look like class numbers: use sparse_categorical_crossentropy, or make "
                f"one-hot rows with minicnn.utils.to_categorical(y, {classes})"
            )
        check_same_shape(y_true, output_shape, self.name, hint)
        if classes == 1:
            warnings.warn(
                f"{self.name}: the output has one class, so its probability is always 1 and the "
                "loss 0; for two classes and one output unit use binary_crossentropy",
                stacklevel=2,
            )
        return y_true

    def call_probabilities(self, y_true: Any, y_pred: Any) -> Any:
        return self.ops.categorical_cross_entropy(self._smoothed(y_true), y_pred)

    def gradient_probabilities(self, y_true: Any, y_pred: Any) -> Any:
        return self.ops.categorical_cross_entropy_backward(self._smoothed(y_true), y_pred)

    def call_and_gradient_from_logits(self, y_true: Any, z: Any) -> tuple[Any, Any, Any]:
        t = self._smoothed(y_true)
        values, p = self.ops.softmax_cross_entropy(z, t)
        return values, self.ops.softmax_cross_entropy_backward(p, t), p

    def _smoothed(self, t: Any) -> Any:
        a = self.label_smoothing
        return t * (1 - a) + a / t.shape[-1] if a else t


class SparseCategoricalCrossentropy(Crossentropy):
    """-log p_label, for labels 0, 1, ..., classes - 1: one class of many.

    The same as :class:`CategoricalCrossentropy` of the labels as one-hot rows.

    Args:
        from_logits: whether predictions are logits z, with p = softmax(z).
        ignore_class: a label that is left out: its value and gradient are 0, and means do not
            count it. For pixels of no class in segmentation, often 255 or -1.
        reduction, axis, name, dtype: see :class:`CategoricalCrossentropy`.

    >>> loss = SparseCategoricalCrossentropy()
    >>> loss([1, 2], [[0.05, 0.95, 0], [0.1, 0.8, 0.1]]).round(3)
    np.float32(1.177)
    """

    activation = "softmax"
    not_in_config = frozenset({"axis"})  # which Keras does not write down here
    keras_only = {"axis": (-1,)}

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(from_logits, axis, reduction, name, dtype)
        if ignore_class is not None and (
            isinstance(ignore_class, bool) or not isinstance(ignore_class, (int, np.integer))
        ):
            raise TypeError(f"ignore_class: expected an int or None, got {ignore_class!r}")
        self.ignore_class = ignore_class

    def prepare(self, y_true: Any, output_shape: Shape) -> Any:
        y_true = as_numbers(y_true, "y_true")
        check_length(y_true, output_shape)
        expected, classes = output_shape[:-1], output_shape[-1]
        if fits(y_true.shape, (*expected, 1)):
            y_true = y_true[..., 0]
        if not fits(y_true.shape, expected):
            hint = ""
            if fits(y_true.shape, output_shape):
                hint = (
                    "; these look like one-hot rows: use categorical_crossentropy, or labels "
                    "np.argmax(y, axis=-1)"
                )
            raise ValueError(
                f"y_true: {self.name} needs one label for each row of the output, shape "
                f"{expected} or {(*expected, 1)}, got {y_true.shape}{hint}"
            )
        check_labels(y_true, classes, self.ignore_class, self.name)
        return y_true.astype(np.int32)

    def align(self, y_true: Any, y_pred: Any) -> Any:
        if y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1:
            y_true = y_true[..., 0]
        return y_true.astype(np.int32, copy=False)

    def mask(self, y_true: Any) -> Any:
        return None if self.ignore_class is None else y_true != self.ignore_class

    def call_probabilities(self, y_true: Any, y_pred: Any) -> Any:
        return self.ops.sparse_categorical_cross_entropy(self._without_ignored(y_true), y_pred)

    def gradient_probabilities(self, y_true: Any, y_pred: Any) -> Any:
        labels = self._without_ignored(y_true)
        return self.ops.sparse_categorical_cross_entropy_backward(labels, y_pred)

    def call_and_gradient_from_logits(self, y_true: Any, z: Any) -> tuple[Any, Any, Any]:
        labels = self._without_ignored(y_true)
        values, p = self.ops.sparse_softmax_cross_entropy(z, labels)
        return values, self.ops.sparse_softmax_cross_entropy_backward(p, labels), p

    def _without_ignored(self, labels: Any) -> Any:
        # The label -1 is no class: its value and gradient are 0.
        mask = self.mask(labels)
        return labels if mask is None else np.where(mask, labels, -1)


class BinaryCrossentropy(Crossentropy):
    """-t log p - (1 - t) log(1 - p), averaged over the last axis: yes-or-no questions.

    Args:
        from_logits: whether predictions are logits z, with p = sigmoid(z).
        label_smoothing: a, between 0 and 1: targets become (1 - a) t + a / 2.
        axis, reduction, name, dtype: see :class:`CategoricalCrossentropy`.

    >>> BinaryCrossentropy()([[0], [1], [0], [0]], [[0.1], [0.8], [0.3], [0.2]]).round(3)
    np.float32(0.227)
    """

    activation = "sigmoid"

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(from_logits, axis, reduction, name, dtype)
        self.label_smoothing = number(label_smoothing, "label_smoothing", "[0, 1]")

    def prepare(self, y_true: Any, output_shape: Shape) -> Any:
        y_true = super().prepare(y_true, output_shape)
        check_same_shape(y_true, output_shape, self.name)
        check_probabilities(y_true, self.name)
        return y_true

    def call_probabilities(self, y_true: Any, y_pred: Any) -> Any:
        return self.ops.binary_cross_entropy(self._smoothed(y_true), y_pred)

    def gradient_probabilities(self, y_true: Any, y_pred: Any) -> Any:
        return self.ops.binary_cross_entropy_backward(self._smoothed(y_true), y_pred)

    def call_and_gradient_from_logits(self, y_true: Any, z: Any) -> tuple[Any, Any, Any]:
        t = self._smoothed(y_true)
        values, p = self.ops.sigmoid_binary_cross_entropy(z, t)
        return values, self.ops.sigmoid_binary_cross_entropy_backward(p, t), p

    def _smoothed(self, t: Any) -> Any:
        a = self.label_smoothing
        return t * (1 - a) + a / 2 if a else t


class CategoricalFocalCrossentropy(CategoricalCrossentropy):
    """-sum_k alpha_k t_k (1 - p_k)^gamma log p_k: what is predicted well already counts less.

    Args:
        alpha: a number, or one for each class, to make up for classes that are rare.
        gamma: how much less; 0 for a :class:`CategoricalCrossentropy` times alpha.
        from_logits, label_smoothing, axis, reduction, name, dtype: see there.

    Source: Lin et al. (2017), Focal loss for dense object detection.

    >>> loss = CategoricalFocalCrossentropy()
    >>> loss([[0, 1, 0], [0, 0, 1]], [[0.05, 0.95, 0], [0.1, 0.8, 0.1]]).round(4)
    np.float32(0.2332)
    """

    fused_activation = None

    def __init__(
        self,
        alpha: Any = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_focal_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)
        if isinstance(alpha, (list, tuple, np.ndarray)):
            self.alpha: Any = [number(one, "alpha", "[0, inf)") for one in alpha]
        else:
            self.alpha = number(alpha, "alpha", "[0, inf)")
        self.gamma = number(gamma, "gamma", "[0, inf)")

    def prepare(self, y_true: Any, output_shape: Shape) -> Any:
        if isinstance(self.alpha, list) and len(self.alpha) != output_shape[-1]:
            raise ValueError(
                f"alpha of {self.name}: expected a number for each of the {output_shape[-1]} "
                f"classes, got {len(self.alpha)}"
            )
        return super().prepare(y_true, output_shape)

    def call_probabilities(self, y_true: Any, y_pred: Any) -> Any:
        t = self._smoothed(y_true)
        return self.ops.categorical_focal_cross_entropy(t, y_pred, self.alpha, self.gamma)

    def gradient_probabilities(self, y_true: Any, y_pred: Any) -> Any:
        t = self._smoothed(y_true)
        return self.ops.categorical_focal_cross_entropy_backward(t, y_pred, self.alpha, self.gamma)

    def call_and_gradient_from_logits(self, y_true: Any, z: Any) -> tuple[Any, Any, Any]:
        p = self.ops.softmax(z)
        dz = self.ops.softmax_backward(self.gradient_probabilities(y_true, p), z, p)
        return self.call_probabilities(y_true, p), dz, p


class BinaryFocalCrossentropy(BinaryCrossentropy):
    """w m^gamma times the binary cross-entropy, averaged over the last axis; m = |t - p| for
    targets t of 0 and 1: what is predicted well already counts less.

    Args:
        apply_class_balancing: whether w is alpha for t = 1 and 1 - alpha for t = 0, instead of 1.
        alpha: between 0 and 1.
        gamma: how much less; 0 for a :class:`BinaryCrossentropy` times w.
        from_logits, label_smoothing, axis, reduction, name, dtype: see there.

    Source: Lin et al. (2017), Focal loss for dense object detection.

    >>> BinaryFocalCrossentropy()([[0], [1], [0], [0]], [[0.1], [0.8], [0.3], [0.2]]).round(4)
    np.float32(0.0128)
    """

    fused_activation = None

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_focal_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)
        self.apply_class_balancing = bool(apply_class_balancing)
        self.alpha = number(alpha, "alpha", "[0, 1]")
        self.gamma = number(gamma, "gamma", "[0, inf)")

    def call_probabilities(self, y_true: Any, y_pred: Any) -> Any:
        return self.ops.binary_focal_cross_entropy(self._smoothed(y_true), y_pred, *self._factors())

    def gradient_probabilities(self, y_true: Any, y_pred: Any) -> Any:
        t = self._smoothed(y_true)
        return self.ops.binary_focal_cross_entropy_backward(t, y_pred, *self._factors())

    def call_and_gradient_from_logits(self, y_true: Any, z: Any) -> tuple[Any, Any, Any]:
        p = self.ops.sigmoid(z)
        dz = self.ops.sigmoid_backward(self.gradient_probabilities(y_true, p), z, p)
        return self.call_probabilities(y_true, p), dz, p

    def _factors(self) -> tuple[float | None, float]:
        return self.alpha if self.apply_class_balancing else None, self.gamma
