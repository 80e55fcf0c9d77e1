"""A running total of a metric, as metrics that were written for Keras handle it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from minicnn.backend import floor_of


class MetricVariable(NDArrayOperatorsMixin):
    """One of a metric's ``totals``, under its name. It computes as the array does that it stands
    for, in expressions and in NumPy's functions, and results are arrays.

    >>> from minicnn.metrics import Metric
    >>> metric = Metric()
    >>> total = metric.add_weight(name="total", initializer="zeros")
    >>> total.assign_add(3)
    >>> total / 2, metric.totals["total"]
    (np.float32(1.5), array(3., dtype=float32))
    """

    __array_priority__ = 1000  # CuPy's arrays, too, leave the arithmetic to it

    def __init__(self, totals: dict[str, Any], name: str):
        self._totals, self.name = totals, name

    @property
    def value(self) -> Any:
        """The array, where its metric computes."""
        return self._totals[self.name]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.value.shape)

    @property
    def dtype(self) -> np.dtype:
        return self.value.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def assign(self, value: Any) -> None:
        """Overwrite it, in place.

        Raises:
            ValueError: if ``value`` has another shape.
        """
        value = self._here(value)
        if np.shape(value) != self.shape:
            raise ValueError(
                f"value for {self.name!r} of a metric: expected shape {self.shape}, got "
                f"{np.shape(value)}"
            )
        self.value[...] = value

    def assign_add(self, value: Any) -> None:
        """Add to it, in place."""
        self.assign(self.value + self._here(value))

    def assign_sub(self, value: Any) -> None:
        """Subtract from it, in place."""
        self.assign(self.value - self._here(value))

    def _here(self, value: Any) -> Any:
        """A number as it is, an array where this one lies."""
        value = _array(value)
        is_elsewhere = isinstance(value, (np.ndarray, list, tuple))
        return floor_of(self.value).asarray(value) if is_elsewhere else value

    def copy(self) -> Any:
        """What it holds now, as an array of its own."""
        return self.value.copy()

    def numpy(self) -> np.ndarray:
        """The same as a NumPy array."""
        return np.array(floor_of(self.value).to_numpy(self.value))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.numpy() if dtype is None else self.numpy().astype(dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if "out" in options:  # from x += y
            options["out"] = _array(options["out"])
            getattr(ufunc, method)(*_array(inputs), **options)
            return self
        return getattr(ufunc, method)(*_array(inputs), **options)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        return function(*_array(args), **options)

    def __getitem__(self, key: Any) -> Any:
        return self.value[key]

    def __float__(self) -> float:
        return float(self.value)

    def __int__(self) -> int:
        return int(self.value)

    def __bool__(self) -> bool:
        return bool(self.value)

    def __repr__(self) -> str:
        return f"<MetricVariable {self.name!r} {self.value!r}>"


def _array(x: Any) -> Any:
    """``x`` with the arrays in the place of the variables in it."""
    if isinstance(x, MetricVariable):
        return x.value
    return type(x)(_array(part) for part in x) if type(x) in (tuple, list) else x
