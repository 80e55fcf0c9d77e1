"""Adam and its relatives: running means of the gradient, and of its size.

The formulas are in ``minicnn/backends/numpy/updates.py``, one function for each.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

from minicnn.optimizers.base import LearningRate, Optimizer
from minicnn.validation import number


class Adam(Optimizer):
    """Running means of the gradient and of its square. See ``adam``.

    Args:
        learning_rate: see :class:`Optimizer`.
        beta_1, beta_2: how much of the two means is left after a step.
        epsilon: added to the root of the mean square.
        amsgrad: whether the largest mean square so far takes the place of the mean square.
        kwargs: ``weight_decay``, ``clipnorm``, ... of :class:`Optimizer`.
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = number(beta_1, "beta_1", "[0, 1)")
        self.beta_2 = number(beta_2, "beta_2", "[0, 1)")
        self.epsilon = number(epsilon, "epsilon", "(0, inf)")
        self.amsgrad = bool(amsgrad)

    def slot_values(self) -> dict[str, float]:
        names = ["momentum", "velocity"] + ["velocity_hat"] * self.amsgrad
        return dict.fromkeys(names, 0.0)

    def update(self, ops: ModuleType, w: Any, g: Any, lr: float) -> None:
        m, v, v_max = (self.slots.get(n) for n in ("momentum", "velocity", "velocity_hat"))
        t = self.iterations + 1
        ops.adam(w, g, m, v, v_max, lr, self.beta_1, self.beta_2, self.epsilon, t)


class AdamW(Adam):
    """Adam with a weight decay of 0.004 (Loshchilov and Hutter, 2019).

    Args:
        learning_rate: see :class:`Optimizer`.
        weight_decay: see :class:`Optimizer`.
        beta_1, beta_2, epsilon, amsgrad: see :class:`Adam`.
        kwargs: ``clipnorm``, ... of :class:`Optimizer`.
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **kwargs: Any,
    ):
        if weight_decay is None:
            raise ValueError("weight_decay of AdamW: expected a number, got None; that is Adam")
        super().__init__(
            learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **kwargs
        )


class Adamax(Optimizer):
    """Adam with the largest gradient for the mean square. See ``adamax``.

    Args:
        learning_rate: see :class:`Optimizer`.
        beta_1, beta_2: how much of the mean and of the maximum is left after a step.
        epsilon: added to the maximum.
        kwargs: ``weight_decay``, ``clipnorm``, ... of :class:`Optimizer`.
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = number(beta_1, "beta_1", "[0, 1)")
        self.beta_2 = number(beta_2, "beta_2", "[0, 1)")
        self.epsilon = number(epsilon, "epsilon", "(0, inf)")

    def slot_values(self) -> dict[str, float]:
        return {"momentum": 0.0, "norm": 0.0}

    def update(self, ops: ModuleType, w: Any, g: Any, lr: float) -> None:
        m, u = self.slots["momentum"], self.slots["norm"]
        ops.adamax(w, g, m, u, lr, self.beta_1, self.beta_2, self.epsilon, self.iterations + 1)


class Nadam(Optimizer):
    """Adam with Nesterov's look ahead. See ``nadam``.

    Args:
        learning_rate: see :class:`Optimizer`.
        beta_1, beta_2: how much of the two means is left after a step.
        epsilon: added to the root of the mean square.
        kwargs: ``weight_decay``, ``clipnorm``, ... of :class:`Optimizer`.
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = number(beta_1, "beta_1", "[0, 1)")
        self.beta_2 = number(beta_2, "beta_2", "[0, 1)")
        self.epsilon = number(epsilon, "epsilon", "(0, inf)")
        self._product_at = (0, 1.0)

    def slot_values(self) -> dict[str, float]:
        return {"momentum": 0.0, "velocity": 0.0}

    def momentum_at(self, t: int) -> float:
        """The momentum of step t, mu_t = beta_1 (1 - 0.96^t / 2): it grows (Dozat, 2016)."""
        return self.beta_1 * (1 - 0.5 * 0.96**t)

    def momentum_product(self, t: int) -> float:
        """mu_1 mu_2 ... mu_t, continued from the last step's where that is known."""
        known, product = self._product_at
        if known > t:
            known, product = 0, 1.0
        product *= math.prod(self.momentum_at(i) for i in range(known + 1, t + 1))
        self._product_at = (t, product)
        return product

    def update(self, ops: ModuleType, w: Any, g: Any, lr: float) -> None:
        t = self.iterations + 1
        ops.nadam(
            w,
            g,
            self.slots["momentum"],
            self.slots["velocity"],
            lr,
            self.beta_1,
            self.beta_2,
            self.epsilon,
            t,
            mu=self.momentum_at(t),
            mu_next=self.momentum_at(t + 1),
            mu_product=self.momentum_product(t),
        )


class Lion(Optimizer):
    """The sign of a running mean of the gradient. See ``lion``.

    Args:
        learning_rate: see :class:`Optimizer`; the paper takes a tenth of Adam's.
        beta_1: how much of the mean stands in the step, against the new gradient.
        beta_2: how much of the mean is left after a step.
        kwargs: ``weight_decay``, ``clipnorm``, ... of :class:`Optimizer`.
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = number(beta_1, "beta_1", "[0, 1)")
        self.beta_2 = number(beta_2, "beta_2", "[0, 1)")

    def slot_values(self) -> dict[str, float]:
        return {"momentum": 0.0}

    def update(self, ops: ModuleType, w: Any, g: Any, lr: float) -> None:
        ops.lion(w, g, self.slots["momentum"], lr, self.beta_1, self.beta_2)
