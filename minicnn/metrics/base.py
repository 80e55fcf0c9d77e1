"""What every metric is: running totals over batches, and a result from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn import backend, initializers
from minicnn.configurable import Configurable, dtype_name, plain
from minicnn.losses.targets import as_array, as_floating, match_rank
from minicnn.metrics.variable import MetricVariable


class Metric(Configurable):
    """A figure that is reported, over all batches since the last reset. Write your own like this:

    >>> class LargestError(Metric):
    ...     def __init__(self, name="largest_error", **kwargs):
    ...         super().__init__(name=name, **kwargs)
    ...         self.largest = self.add_weight(name="largest", initializer="zeros")
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.largest.assign(np.maximum(self.largest, np.abs(y_true - y_pred).max()))
    ...     def result(self):
    ...         return self.largest
    >>> metric = LargestError()
    >>> metric.update_state(np.array([1.0, 2.0]), np.array([1.5, 2.0]))
    >>> float(metric.result())
    0.5

    Totals that only grow by addition need no :meth:`add_weight`: :meth:`add` makes them.

    Args:
        name: how the metric is called; by default the class's name, numbered as Keras does.
        dtype: of the totals; by default that of what is added to them.

    Attributes:
        ops: the floor that does the arithmetic.
        totals: the running totals by name, each an array that stays where its batches are
            computed: on a GPU no number is fetched before somebody looks at the result.
    """

    keras_module = "keras.metrics"

    def __init__(self, name: str | None = None, dtype: Any = None):
        if name is not None and not isinstance(name, str):
            raise TypeError(f"name: expected a str, got {name!r}")
        self.name = name or backend.auto_name(type(self).__name__)
        self.dtype = None if dtype is None else np.dtype(dtype)
        self.ops = backend.current()
        self.totals: dict[str, Any] = {}

    def add_variable(
        self, shape: Any, initializer: Any, dtype: Any = None, name: str | None = None
    ) -> MetricVariable:
        """A new running total that can be assigned to.

        Args:
            shape: its sizes, ``()`` for a number.
            initializer: what it holds in the beginning. Every reset fills it with 0.
            dtype: by default that of the metric, or else ``minicnn.backend.floatx()``.
            name: its name among the ``totals``, with a number behind it where that is taken.
        """
        dtype = np.dtype(dtype or self.dtype or backend.floatx())
        value = initializers.get("zeros" if initializer is None else initializer)(
            tuple(shape), dtype=dtype.name
        )
        stem = name = name or "variable"
        number = 0
        while name in self.totals:
            number += 1
            name = f"{stem}_{number}"
        self.totals[name] = self.ops.asarray(value, dtype)
        return MetricVariable(self.totals, name)

    def add_weight(
        self, shape: Any = (), initializer: Any = None, dtype: Any = None, name: str | None = None
    ) -> MetricVariable:
        """As :meth:`add_variable`: by default one number, which begins at 0."""
        return self.add_variable(shape, initializer, dtype, name)

    @property
    def variables(self) -> list[MetricVariable]:
        """The running totals."""
        return [MetricVariable(self.totals, name) for name in self.totals]

    def move_to(self, ops: Any) -> None:
        """Go on with the arrays of another floor."""
        if ops is not self.ops:
            self.ops = ops
            for name, total in self.totals.items():
                self.totals[name] = ops.asarray(backend.floor_of(total).to_numpy(total))

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor, as plain data."""
        config = super().get_config()
        if self.dtype is None:
            del config["dtype"]
        return config

    @classmethod
    def from_config(cls, config: Any) -> Metric:
        if isinstance(config, dict) and "dtype" in config:
            config = {**config, "dtype": dtype_name(config["dtype"])}
        return super().from_config(config)

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Take one batch into account."""
        raise NotImplementedError(f"{type(self).__name__} does not define update_state")

    def result(self) -> Any:
        """The figure over all batches since the last reset."""
        raise NotImplementedError(f"{type(self).__name__} does not define result")

    def reset_state(self) -> None:
        """Forget all batches."""
        for total in self.totals.values():
            total.fill(0)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Take one batch into account, and return the figure so far."""
        self.update_state(*args, **kwargs)
        return self.result()

    def add(self, **amounts: Any) -> None:
        """Add to the running totals of these names, in place."""
        for name, amount in amounts.items():
            if name in self.totals:
                self.totals[name] += amount
            else:
                amount = as_array(amount)
                self.totals[name] = amount.astype(self.dtype or amount.dtype, copy=True)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


class Sum(Metric):
    """sum_i w_i v_i over all values v, with weights w (1 where none are given).

    >>> Sum()([1, 3, 5, 7], sample_weight=[1, 1, 0, 0])
    np.float32(4.0)
    """

    def __init__(self, name: str | None = "sum", dtype: Any = None):
        super().__init__(name, dtype)

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        values = as_floating(values)
        if sample_weight is not None:
            w = _weights(sample_weight, values)
            values = w * np.sum(values, axis=tuple(range(w.ndim, values.ndim)))
        self.add(total=np.sum(values))

    def result(self) -> Any:
        return self.totals["total"][()] if "total" in self.totals else np.float32(0)


class Mean(Metric):
    """sum_i w_i v_i / sum_i w_i over all samples, with weights w (1 where none are given).

    A sample's v is the mean of its values, where it has several: values (n, h, w) count as n.

    >>> Mean()([1, 3, 5, 7]), Mean()([1, 3, 5, 7], sample_weight=[1, 1, 0, 0])
    (np.float32(4.0), np.float32(2.0))
    """

    def __init__(self, name: str | None = "mean", dtype: Any = None):
        super().__init__(name, dtype)

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        values = as_floating(values)
        if sample_weight is None:
            self._add_values(_mean_from(1, values), 1)
        else:
            w = _weights(sample_weight, values)
            # Weights (n,) for values (n, h, w) weigh each sample's mean; weights of more axes weigh
            # what stands there, and the sample counts as the mean of its weights.
            values = _mean_from(w.ndim, values)
            if w.shape != values.shape:
                w = np.broadcast_to(w, values.shape)
            self.add(total=np.sum(_mean_from(1, w * values)), count=np.sum(_mean_from(1, w)))

    def add_mean(self, mean: Any, samples: int) -> None:
        """Take so many samples into account, of which the mean is known."""
        self._add_values(as_floating(mean), samples)

    def _add_values(self, values: Any, each: int) -> None:
        """Take values into account, each for so many samples."""
        if "total" not in self.totals:
            for name in ("total", "count"):
                self.totals[name] = _number_like(values, 0, self.dtype)
        self.ops.add_to_mean(self.totals["total"], self.totals["count"], values, each)

    def result(self) -> Any:
        if "total" not in self.totals:
            return np.float32(0)
        return divide_no_nan(self.totals["total"], self.totals["count"])


class MeanMetricWrapper(Mean):
    """The mean of a function ``fn(y_true, y_pred, **kwargs)`` that gives values for each sample.

    >>> def largest_error(y_true, y_pred):
    ...     return np.abs(y_true - y_pred).max(axis=-1)
    >>> metric = MeanMetricWrapper(largest_error, name="largest_error")
    >>> metric(np.zeros((2, 2)), np.array([[1.0, -2.0], [0.5, 1.0]]))
    np.float64(1.5)
    """

    def __init__(
        self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any
    ):
        if not callable(fn):
            raise TypeError(f"fn: expected a function fn(y_true, y_pred), got {fn!r}")
        Metric.__init__(self, name, dtype)
        self.fn = fn
        self.kwargs = kwargs

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **plain(self.kwargs)}

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        values = self.fn(as_array(y_true), as_floating(y_pred), **self.kwargs)
        super().update_state(values, sample_weight)


def same_shape(y_true: Any, y_pred: Any, metric: str, hint: str = "") -> tuple[Any, Any]:
    """Both as arrays of one shape, the predictions as floating-point numbers; or a ValueError."""
    y_pred = as_floating(y_pred)
    y_true = match_rank(as_array(y_true), y_pred.shape)
    if y_true.shape != y_pred.shape:
        raise ValueError(
            f"y_true: {metric} needs the shape of the predictions, {y_pred.shape}, "
            f"got {y_true.shape}{hint}"
        )
    return y_true, y_pred


def _number_like(values: Any, number: float, dtype: Any = None) -> Any:
    """An array of no axes, where the values are. For CuPy, ``shape=()`` would be no shape."""
    return np.full_like(values, number, dtype, shape=(1,)).reshape(())


def _mean_from(axis: int, values: Any) -> Any:
    """The mean over this axis and those behind it, if there are any."""
    return np.mean(values, axis=tuple(range(axis, values.ndim))) if values.ndim > axis else values


def divide_no_nan(a: Any, b: Any) -> Any:
    """a / b, and 0 where b is 0."""
    return np.where(b == 0, 0, a / np.where(b == 0, 1, b))[()]


def _weights(sample_weight: Any, values: Any) -> Any:
    if isinstance(sample_weight, (bool, int, float)):
        w = _number_like(values, sample_weight)
    else:
        w = np.asarray(sample_weight, like=values).astype(values.dtype)
    if w.ndim == values.ndim + 1 and w.shape[-1] == 1:
        w = w[..., 0]
    fits = w.ndim <= values.ndim and all(
        size in (1, n) for size, n in zip(w.shape, values.shape, strict=False)
    )
    if not fits:
        raise ValueError(
            f"sample_weight: expected a shape that goes with that of the values, {values.shape}, "
            f"axis by axis from the first; got {w.shape}"
        )
    return w
