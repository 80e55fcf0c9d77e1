"""Gradient descent.

The formulas are in ``minicnn/backends/numpy/updates.py``, one function for each.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from minicnn.optimizers.base import LearningRate, Optimizer
from minicnn.validation import number


class SGD(Optimizer):
    """Gradient descent, with momentum if wanted. See ``sgd`` and ``sgd_momentum``.

    Args:
        learning_rate: see :class:`Optimizer`.
        momentum: how much of the velocity is left after a step, 0 to 1.
        nesterov: whether to take the gradient's step ahead of the velocity's.
        kwargs: ``weight_decay``, ``clipnorm``, ... of :class:`Optimizer`.
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, **kwargs)
        self.momentum = number(momentum, "momentum", "[0, 1]")
        self.nesterov = bool(nesterov)

    def slot_values(self) -> dict[str, float]:
        return {"momentum": 0.0} if self.momentum else {}

    def update(self, ops: ModuleType, w: Any, g: Any, lr: float) -> None:
        if self.momentum:
            ops.sgd_momentum(w, g, self.slots["momentum"], lr, self.momentum, self.nesterov)
        else:
            ops.sgd(w, g, lr)
