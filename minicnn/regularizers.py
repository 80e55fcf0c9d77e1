"""Penalties on weights (or on a layer's output), added to the loss.

A regularizer is a pair: the penalty ``r(w)``, one number, and its gradient dr/dw, which training
adds to the gradient of the loss.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from minicnn.configurable import Configurable, deserialize
from minicnn.registry import lookup
from minicnn.validation import number


class Regularizer(Configurable):
    """Base class: a subclass defines the penalty and its gradient.

    >>> class Sum(Regularizer):
    ...     def __call__(self, w):
    ...         return w.sum()
    ...     def gradient(self, w):
    ...         return np.ones_like(w)
    """

    keras_module = "keras.regularizers"

    def __call__(self, w: Any) -> Any:
        """The penalty: 0-d, in the dtype of ``w``."""
        raise NotImplementedError(f"{type(self).__name__} does not define __call__(w)")

    def gradient(self, w: Any) -> Any:
        """d penalty / dw: an array like ``w``."""
        raise NotImplementedError(f"{type(self).__name__} does not define gradient(w)")


class L1(Regularizer):
    """l1 sum |w|: pushes weights to exactly 0.

    The gradient is l1 sign(w), with sign(0) = 0 where |w| has its kink.
    """

    def __init__(self, l1: float = 0.01):
        self.l1 = number(0.01 if l1 is None else l1, "l1", "[0, inf)")

    def __call__(self, w: Any) -> Any:
        return self.l1 * np.sum(np.abs(w))

    def gradient(self, w: Any) -> Any:
        return self.l1 * np.sign(w)


class L2(Regularizer):
    """l2 sum w^2, without the half that some books have: keeps weights small.

    The gradient is 2 l2 w.
    """

    def __init__(self, l2: float = 0.01):
        self.l2 = number(0.01 if l2 is None else l2, "l2", "[0, inf)")

    def __call__(self, w: Any) -> Any:
        return self.l2 * np.sum(np.square(w))

    def gradient(self, w: Any) -> Any:
        return 2 * self.l2 * w


class L1L2(Regularizer):
    """l1 sum |w| + l2 sum w^2.

    >>> w = np.array([[1.0, -2.0], [0.0, 3.0]])
    >>> round(L1L2(l1=0.1, l2=0.01)(w), 2).item()
    0.74
    >>> L1L2(l1=0.1, l2=0.01).gradient(w)
    array([[ 0.12, -0.14],
           [ 0.  ,  0.16]])
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0):
        self.l1 = number(0.0 if l1 is None else l1, "l1", "[0, inf)")
        self.l2 = number(0.0 if l2 is None else l2, "l2", "[0, inf)")

    def __call__(self, w: Any) -> Any:
        return L1(self.l1)(w) + L2(self.l2)(w)

    def gradient(self, w: Any) -> Any:
        return L1(self.l1).gradient(w) + L2(self.l2).gradient(w)


class OrthogonalRegularizer(Regularizer):
    """Keeps the rows (or columns) of a matrix at right angles to each other.

    With v_i the rows, each divided by its length, and P = n (n - 1) / 2 the number of pairs::

        penalty = factor / P  sum_{i < j} |v_i . v_j|

    With S the matrix of the signs of all v_i . v_j, zeros on its diagonal, and V the rows v_i::

        dV = factor / P  S V,    dw_i = (dv_i - v_i (v_i . dv_i)) / |w_i|

    The second step is the gradient of w / |w|: only what is at right angles to w turns it. A
    single row has no pairs and no penalty.

    Args:
        factor: a non-negative number.
        mode: ``"rows"`` or ``"columns"``.
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows"):
        self.factor = number(factor, "factor", "[0, inf)")
        if mode not in ("rows", "columns"):
            raise ValueError(f"mode: expected 'rows' or 'columns', got {mode!r}")
        self.mode = mode

    def __call__(self, w: Any) -> Any:
        _, v = self._unit_vectors(w)
        # The sum over all i and j but the diagonal counts each pair twice.
        return 0.5 * self._weight(v) * np.sum(np.abs(_off_diagonal(v @ v.T)))

    def gradient(self, w: Any) -> Any:
        length, v = self._unit_vectors(w)
        dv = self._weight(v) * np.sign(_off_diagonal(v @ v.T)) @ v
        dw = (dv - v * np.sum(v * dv, axis=1, keepdims=True)) / length
        return dw if self.mode == "rows" else dw.T

    def _unit_vectors(self, w: Any) -> tuple[Any, Any]:
        if w.ndim != 2:
            raise ValueError(
                f"w: OrthogonalRegularizer needs a matrix (rank 2), got shape {w.shape}"
            )
        rows = w if self.mode == "rows" else w.T
        # A row of zeros has no direction: the bound keeps it at zero.
        length = np.maximum(np.sqrt(np.sum(np.square(rows), axis=1, keepdims=True)), 1e-7)
        return length, rows / length

    def _weight(self, v: Any) -> float:
        n = v.shape[0]
        return self.factor / (n * (n - 1) / 2) if n > 1 else 0.0


def _off_diagonal(a: Any) -> Any:
    return a * (1 - np.eye(a.shape[0], dtype=a.dtype, like=a))


def get(identifier: Any) -> Regularizer | None:
    """The regularizer that ``identifier`` names.

    Args:
        identifier: a name in any case (``"l2"``), a regularizer, one of the classes, Keras's dict
            form of one (see ``minicnn.configurable``), or ``None``.

    Raises:
        ValueError: if there is no regularizer of that name.
        TypeError: if it is anything else. A plain function has no gradient: write a subclass.

    >>> get("l2").l2
    0.01
    """
    if identifier is None:
        return None
    if isinstance(identifier, str):
        return lookup(_TABLE, identifier, "regularizer")()
    if isinstance(identifier, dict):
        return deserialize(identifier, _TABLE, "keras.regularizers", "regularizer", Regularizer)
    if inspect.isclass(identifier) and issubclass(identifier, Regularizer):
        return identifier()
    if callable(identifier) and callable(getattr(identifier, "gradient", None)):
        return identifier
    hint = ""
    if isinstance(identifier, (int, float)):
        hint = f"; did you mean L2({identifier})?"
    elif callable(identifier):
        hint = "; a function has no gradient: subclass Regularizer with __call__ and gradient"
    raise TypeError(
        "regularizer: expected a name such as 'l2', a Regularizer or None, "
        f"got {identifier!r}{hint}"
    )


# Keras's second names for the classes, as in ``regularizers.l2(0.01)``.
l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer

_TABLE: dict[str, type[Regularizer]] = {
    "l1": L1,
    "l2": L2,
    "l1_l2": L1L2,
    "orthogonal_regularizer": OrthogonalRegularizer,
}
