"""Optimizers that divide each gradient by how large it usually is.

The formulas are in ``minicnn/backends/numpy/updates.py``, one function for each.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from minicnn.optimizers.base import LearningRate, Optimizer
from minicnn.validation import number


class RMSprop(Optimizer):
    """The gradient over the root of its mean square. See ``rmsprop``.

    Args:
        learning_rate: see :class:`Optimizer`.
        rho: how much of the mean is left after a step.
        momentum: how much of the last step is added to the next, 0 to 1.
        epsilon: added to the mean square.
        centered: whether the variance takes the place of the mean square.
        kwargs: ``weight_decay``, ``clipnorm``, ... of :class:`Optimizer`.
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, **kwargs)
        self.rho = number(rho, "rho", "[0, 1)")
        self.momentum = number(momentum, "momentum", "[0, 1]")
        self.epsilon = number(epsilon, "epsilon", "(0, inf)")
        self.centered = bool(centered)

    def slot_values(self) -> dict[str, float]:
        wanted = {"velocity": True, "momentum": self.momentum > 0, "average": self.centered}
        return {name: 0.0 for name, needed in wanted.items() if needed}

    def update(self, ops: ModuleType, w: Any, g: Any, lr: float) -> None:
        average, step = self.slots.get("average"), self.slots.get("momentum")
        ops.rmsprop(
            w, g, self.slots["velocity"], average, step, lr, self.rho, self.momentum, self.epsilon
        )


class Adagrad(Optimizer):
    """The gradient over the root of the sum of all its squares. See ``adagrad``.

    Args:
        learning_rate: see :class:`Optimizer`.
        initial_accumulator_value: what the sum starts from.
        epsilon: added to the sum.
        kwargs: ``weight_decay``, ``clipnorm``, ... of :class:`Optimizer`.
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, **kwargs)
        self.initial_accumulator_value = number(
            initial_accumulator_value, "initial_accumulator_value", "[0, inf)"
        )
        self.epsilon = number(epsilon, "epsilon", "(0, inf)")

    def slot_values(self) -> dict[str, float]:
        return {"accumulator": self.initial_accumulator_value}

    def update(self, ops: ModuleType, w: Any, g: Any, lr: float) -> None:
        ops.adagrad(w, g, self.slots["accumulator"], lr, self.epsilon)


class Adadelta(Optimizer):
    """Steps as long as the last ones were. See ``adadelta``.

    Args:
        learning_rate: see :class:`Optimizer`; the paper's is 1.
        rho: how much of the means is left after a step.
        epsilon: added to both means.
        kwargs: ``weight_decay``, ``clipnorm``, ... of :class:`Optimizer`.
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, **kwargs)
        self.rho = number(rho, "rho", "[0, 1)")
        self.epsilon = number(epsilon, "epsilon", "(0, inf)")

    def slot_values(self) -> dict[str, float]:
        return {"accumulated_grad": 0.0, "accumulated_delta_var": 0.0}

    def update(self, ops: ModuleType, w: Any, g: Any, lr: float) -> None:
        a, b = self.slots["accumulated_grad"], self.slots["accumulated_delta_var"]
        ops.adadelta(w, g, a, b, lr, self.rho, self.epsilon)
