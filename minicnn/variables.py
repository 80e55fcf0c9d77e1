"""Weights: each one a named array with a gradient, all trainable ones together one vector.

Gradients are *added*, not set. A weight that is used several times (its layer stands in a network
twice) reaches the loss in several ways, and by the chain rule its gradient is the sum over all of
them. Each step has to begin that sum from zero. Writing zeros would cost a pass over all weights;
instead they are marked ``stale``, and the first gradient of a step overwrites what the last step
left.

``piece`` and ``awaited`` let the compiled floor update weights during the backward pass already
(``backends/numba/update_in_backward.py``). On the textbook floor both are always ``None``: skip
them at a first reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from minicnn.backend import floor_of

# Each weight starts at a multiple of this many elements (64 bytes of float32), where wide loads and
# stores are quickest. The gaps between weights stay zero, in the values and in the gradients.
ALIGNMENT = 16


class Variable:
    """One weight of a layer.

    Attributes:
        value: the weights, an array of the layer's floor.
        gradient: dL/dvalue, of the same shape; ``None`` before the first backward, and after one
            that updated the weights with it at once.
        stale: whether ``gradient`` still holds what the step before left, to be overwritten.
        wanted: whether anyone needs the gradient; a model switches it off for frozen weights.
        piece: what a floor updates the weights with as soon as it has their gradient, or ``None``.
        name: "kernel", "bias", "gamma", ...
        trainable: whether an optimizer may ever change it (a moving mean is not trainable).
        regularizer, constraint: as given to the layer, or ``None``.
        home: the :class:`ParameterVector` that the value is a piece of, or ``None``.
    """

    def __init__(
        self,
        value: Any,
        name: str = "variable",
        trainable: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
    ):
        self.value = value
        self.gradient: Any = None
        self.stale = False
        self.wanted = True
        self.piece: Any = None
        self.name = name
        self.trainable = trainable
        self.regularizer = regularizer
        self.constraint = constraint
        self.home: ParameterVector | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.value.shape)

    @property
    def dtype(self) -> np.dtype:
        return self.value.dtype

    @property
    def size(self) -> int:
        return int(self.value.size)

    def numpy(self) -> np.ndarray:
        """A copy of the value as a NumPy array, wherever it was computed."""
        return np.array(floor_of(self.value).to_numpy(self.value))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.numpy() if dtype is None else self.numpy().astype(dtype)

    def __getitem__(self, key: Any) -> np.ndarray:
        """A part of the value, as :meth:`numpy` gives it: ``layer.kernel[:, :, 0, 3]``."""
        return self.numpy()[key]

    def assign(self, value: Any) -> None:
        """Overwrite the value in place.

        Raises:
            ValueError: if ``value`` has another shape.
        """
        value = np.asarray(value)
        if value.shape != self.shape:
            raise ValueError(
                f"value for weight {self.name!r}: expected shape {self.shape}, got {value.shape}"
            )
        self.value[...] = floor_of(self.value).asarray(value, self.dtype)

    def add_gradient(self, gradient: Any) -> None:
        """Add to the gradient. ``gradient`` may be the very array of :attr:`place_for_gradient`: it
        has been written in place then, and nothing is left to add."""
        if not self.wanted:
            return
        if self.piece is not None and gradient is self.piece:
            self.gradient, self.stale = None, False
            return
        if self.gradient is None:
            self.gradient = np.zeros_like(self.value)
        if not self.stale:
            self.gradient += gradient
        elif gradient is not self.gradient:
            self.gradient[...] = gradient
        self.stale = False

    @property
    def place_for_gradient(self) -> Any:
        """The array that the first gradient of a step may be written into, to save the addition;
        ``None`` for a later one, which has to be added. If :attr:`piece` is set, it is that: the
        floor updates the weights with the gradient at once."""
        if not (self.stale and self.wanted):
            return None
        return self.gradient if self.piece is None else self.piece

    def __repr__(self) -> str:
        return f"<Variable {self.name!r} shape={self.shape} dtype={self.dtype}>"


class ParameterVector:
    """All trainable weights of a model as one vector, their gradients as another.

    On construction every variable moves in: its ``value`` and ``gradient`` become views into the
    two vectors. An optimizer is then the formula of its paper, over vectors.

    Args:
        variables: the weights, in the model's order.
        ops: the floor they live on.

    Attributes:
        value, gradient: the two flat vectors.
        slices, gradients: where each variable lies in them, and its gradient, in the order of
            ``variables``.
        awaited: what the optimizer gets in place of the gradient, if the floor updates the weights
            during the backward pass, since nobody wants to see their gradient; else ``None``.
        regularized, constrained: those of the variables that have a penalty, or a constraint.
    """

    def __init__(self, variables: Sequence[Variable], ops: ModuleType):
        self.variables = list(variables)
        self.ops = ops
        self.regularized = [v for v in self.variables if v.regularizer is not None]
        self.constrained = [v for v in self.variables if v.constraint is not None]
        self.slices: list[slice] = []
        end = 0
        for variable in self.variables:
            self.slices.append(slice(end, end + variable.size))
            end += -(-variable.size // ALIGNMENT) * ALIGNMENT
        dtype = self.variables[0].dtype if self.variables else np.dtype(np.float32)
        template = self.variables[0].value if self.variables else ops.asarray(np.empty(0, dtype))
        self.value = np.zeros_like(template, shape=(end,))
        self.gradient = np.zeros_like(self.value)
        for variable, place in zip(self.variables, self.slices, strict=True):
            shape = variable.shape
            self.value[place] = variable.value.reshape(-1)
            variable.value = self.value[place].reshape(shape)
            variable.gradient = self.gradient[place].reshape(shape)
            variable.home = self
        self.gradients = [variable.gradient for variable in self.variables]
        self.awaited: Any = None

    def holds(self, variables: Sequence[Variable]) -> bool:
        """Whether exactly these variables live here; another model may have taken some away."""
        return len(variables) == len(self.variables) and all(
            mine is theirs and theirs.home is self
            for mine, theirs in zip(self.variables, variables, strict=True)
        )

    def begin_gradient(self) -> None:
        """Before a backward pass: start all sums anew. :meth:`end_gradient` must follow."""
        for variable, place in zip(self.variables, self.gradients, strict=True):
            variable.gradient, variable.stale = place, True
        if self.awaited is not None:
            for variable, piece in zip(self.variables, self.awaited.pieces, strict=True):
                variable.piece = piece

    def end_gradient(self) -> None:
        """After a backward pass: zeros for those weights that no gradient came back to."""
        for variable in self.variables:
            if variable.stale:
                variable.gradient.fill(0)
                variable.stale = False
            variable.piece = None
