"""What every loss is: a value for each sample, its gradient, and how values become one number."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import backend
from minicnn.configurable import Configurable, dtype_name
from minicnn.losses.targets import (
    Shape,
    align_sample_weight,
    as_floating,
    as_numbers,
    check_length,
    match_rank,
)

REDUCTIONS = ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none", None)


class Loss(Configurable):
    """How wrong predictions are. Write your own in two methods:

    ``call(y_true, y_pred)`` returns one value for each sample, and ``gradient(y_true, y_pred)``
    the gradient of each sample's value with respect to that sample's predictions, an array like
    ``y_pred``. Sample weights and the reduction to one number are taken care of here, in the value
    and in the gradient.

    >>> class FourthPower(Loss):
    ...     def call(self, y_true, y_pred):
    ...         return np.sum((y_pred - y_true) ** 4, axis=-1)
    ...     def gradient(self, y_true, y_pred):
    ...         return 4 * (y_pred - y_true) ** 3
    >>> y_true, y_pred = np.array([[0.0], [1.0]]), np.array([[1.0], [3.0]])
    >>> FourthPower().value_and_gradient(y_true, y_pred)
    (np.float64(8.5), array([[ 2.],
           [16.]]))

    Args:
        name: how the loss is called; by default the class's name, numbered as Keras does.
        reduction: how the values v_i, with sample weights w_i (1 where none are given), become one
            number: ``"sum_over_batch_size"`` and ``"mean"`` are sum w_i v_i / n, where n counts the
            values; ``"mean_with_sample_weight"`` is sum w_i v_i / sum w_i; ``"sum"`` is
            sum w_i v_i; ``"none"`` and ``None`` leave w_i v_i as they are, and cannot be trained.
        dtype: in which it is computed; by default in that of the predictions.

    Attributes:
        ops: the floor that does the arithmetic. A model that is compiled with the loss sets its
            own.
        fused_activation: the activation (``"softmax"``, ``"sigmoid"``) with which the loss has a
            common form from logits (the z of y = activation(z)), or ``None``. See
            :meth:`value_and_gradient_from_logits`.
        from_logits: whether the predictions are logits, to which that activation is yet to be
            applied.
    """

    keras_module = "keras.losses"
    fused_activation: str | None = None
    from_logits: bool = False

    def __init__(
        self,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: Any = None,
    ):
        if name is not None and not isinstance(name, str):
            raise TypeError(f"name: expected a str, got {name!r}")
        if reduction not in REDUCTIONS:
            raise ValueError(
                f"reduction: expected one of {', '.join(map(repr, REDUCTIONS))}, got {reduction!r}"
            )
        self.name = name or backend.auto_name(type(self).__name__)
        self.reduction = reduction
        self.dtype = None if dtype is None else np.dtype(dtype)
        self.ops = backend.current()

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor, as plain data."""
        config = super().get_config()
        if self.dtype is None:
            del config["dtype"]
        return config

    @classmethod
    def from_config(cls, config: Any) -> Loss:
        if isinstance(config, dict) and "dtype" in config:
            config = {**config, "dtype": dtype_name(config["dtype"])}
        return super().from_config(config)

    # -- what a loss defines ------------------------------------------------------------------

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The value of each sample: predictions (n, ..., c) give values (n, ...)."""
        raise NotImplementedError(f"{type(self).__name__} does not define call(y_true, y_pred)")

    def gradient(self, y_true: Any, y_pred: Any) -> Any:
        """The gradient of each value with respect to its own predictions, (n, ..., c)."""
        raise NotImplementedError(f"{type(self).__name__} does not define gradient(y_true, y_pred)")

    def call_and_gradient_from_logits(self, y_true: Any, z: Any) -> tuple[Any, Any, Any]:
        """``(values, gradients, y_pred)`` for y_pred = activation(z), with the gradients for z."""
        raise TypeError(f"{self.name}: has no form from logits")

    def mask(self, y_true: Any) -> Any:
        """Which values count, as truth values of their shape; ``None`` if all do."""
        return None

    def prepare(self, y_true: Any, output_shape: Shape) -> Any:
        """Check targets, and bring them into the form that :meth:`call` wants.

        Args:
            y_true: what the user gave.
            output_shape: of the predictions, batch first; a size may be ``None`` (unknown).

        Raises:
            TypeError, ValueError: naming the first wrong target, or the shapes.
        """
        y_true = as_numbers(y_true, "y_true")
        check_length(y_true, output_shape)
        return match_rank(y_true, output_shape)

    def align(self, y_true: Any, y_pred: Any) -> Any:
        """Targets in the rank and dtype that :meth:`call` wants; looks at no number."""
        return match_rank(y_true, y_pred.shape).astype(y_pred.dtype, copy=False)

    # -- the reduced value, and its gradient --------------------------------------------------

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The reduced value, with all arguments checked.

        Args:
            y_true: targets.
            y_pred: predictions (n, ..., c).
            sample_weight: weights (n,), or of a shape that broadcasts to (n, ...).

        Returns:
            A NumPy number; an array of all values for the reduction ``None``.
        """
        y_pred = as_floating(y_pred)
        y_true = self.prepare(y_true, y_pred.shape)
        if sample_weight is not None:
            sample_weight = self.ops.asarray(as_numbers(sample_weight, "sample_weight"))
        y_true, y_pred = self.ops.asarray(y_true), self.ops.asarray(y_pred)
        return self.ops.to_numpy(self.value(y_true, y_pred, sample_weight))[()]

    def value(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The reduced value of arrays of the floor :attr:`ops`; targets are not checked."""
        y_pred = self._computed(y_pred)
        y_true = self.align(y_true, y_pred)
        values = self.call(y_true, y_pred)
        w, count = self._weights_and_count(values, sample_weight, self.mask(y_true))
        values = _weighted(values, w)
        return values if self.reduction in ("none", None) else _divide(values.sum(), count)

    def value_and_gradient(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> tuple[Any, Any]:
        """The reduced value, and its gradient with respect to ``y_pred``.

        The arguments are arrays of the floor :attr:`ops`, and the targets are not checked:
        :meth:`prepare` does that.

        Raises:
            ValueError: for the reduction ``None``.
        """
        dtype, y_pred = y_pred.dtype, self._computed(y_pred)
        y_true = self.align(y_true, y_pred)
        if self.from_logits:
            values, dy, _ = self.call_and_gradient_from_logits(y_true, y_pred)
        else:
            values, dy = self.call(y_true, y_pred), self.gradient(y_true, y_pred)
        total, dy = self._reduced(y_true, values, dy, sample_weight)
        return total, dy.astype(dtype, copy=False)

    def value_and_gradient_from_logits(
        self, y_true: Any, z: Any, sample_weight: Any = None
    ) -> tuple[Any, Any, Any]:
        """The same for y_pred = activation(z) with :attr:`fused_activation`, as one function of z.

        Returns:
            ``(value, dz, y_pred)``.
        """
        dtype, z = z.dtype, self._computed(z)
        y_true = self.align(y_true, z)
        values, dz, y_pred = self.call_and_gradient_from_logits(y_true, z)
        total, dz = self._reduced(y_true, values, dz, sample_weight)
        return total, dz.astype(dtype, copy=False), y_pred.astype(dtype, copy=False)

    def _reduced(
        self, y_true: Any, values: Any, gradients: Any, sample_weight: Any
    ) -> tuple[Any, Any]:
        """L = sum_i w_i v_i / count, and its gradient: w_i / count times that of each value v_i."""
        if self.reduction in ("none", None):
            raise ValueError(
                f"reduction: {self.name} with reduction={self.reduction!r} gives many numbers, and "
                "there is a gradient of one; use 'sum_over_batch_size', the default"
            )
        w, count = self._weights_and_count(values, sample_weight, self.mask(y_true))
        if w is None:
            return self.ops.mean_loss(values, gradients, count)
        total = _divide(_weighted(values, w).sum(), count)
        scale = _divide(w, count)
        return total, gradients * scale.reshape(scale.shape + (1,) * (gradients.ndim - scale.ndim))

    def _computed(self, y_pred: Any) -> Any:
        return y_pred if self.dtype is None else y_pred.astype(self.dtype, copy=False)

    def _weights_and_count(self, values: Any, sample_weight: Any, mask: Any) -> tuple[Any, Any]:
        """The weight w_i of each value (``None`` if all are 1), and what the sum is divided by."""
        w = None
        if sample_weight is not None:
            w = align_sample_weight(sample_weight, values.shape).astype(values.dtype)
        if mask is not None:
            w = _weighted(mask.astype(values.dtype), w)
        if self.reduction in ("sum", "none", None):
            return w, 1
        if self.reduction == "mean_with_sample_weight" and w is not None:
            return w, np.sum(w)
        return w, values.size if mask is None else np.sum(mask).astype(values.dtype)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} reduction={self.reduction!r}>"


def _weighted(values: Any, w: Any) -> Any:
    return values if w is None else values * w


def _divide(total: Any, count: Any) -> Any:
    """total / count, but 0 where count is 0: weights that are all 0 give a loss of 0, not 0 / 0."""
    if isinstance(count, int):
        return total / count
    return np.where(count == 0, 0, total / np.where(count == 0, 1, count))[()]
