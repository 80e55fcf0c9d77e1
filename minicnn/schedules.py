"""Learning rates that change from step to step: ``Adam(learning_rate=CosineDecay(0.1, 1000))``.

A schedule is a function of the number of steps done so far. The classes are those of Keras, and
also stand in ``minicnn.optimizers.schedules``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minicnn.configurable import Configurable, deserialize
from minicnn.validation import number


class LearningRateSchedule(Configurable):
    """The base class. Write your own by defining ``__call__``.

    >>> class Halving(LearningRateSchedule):
    ...     def __call__(self, step):
    ...         return 0.1 * 0.5**step
    >>> Halving()(2)
    0.025
    """

    keras_module = "keras.optimizers.schedules"

    def __call__(self, step: int) -> float:
        """The learning rate after ``step`` steps."""
        raise NotImplementedError(f"{type(self).__name__} does not define __call__(step)")


class ExponentialDecay(LearningRateSchedule):
    """initial_learning_rate decay_rate^p, with p = step / decay_steps.

    Args:
        initial_learning_rate: at step 0.
        decay_steps: after so many steps it has been multiplied by ``decay_rate`` once.
        decay_rate: the factor.
        staircase: whether p is rounded down.
        name: of the schedule.

    >>> ExponentialDecay(0.1, decay_steps=10, decay_rate=0.5)(20)
    0.025
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ):
        self.initial_learning_rate = _rate(initial_learning_rate)
        self.decay_steps = number(decay_steps, "decay_steps", "(0, inf)")
        self.decay_rate = number(decay_rate, "decay_rate", "[0, inf)")
        self.staircase = bool(staircase)
        self.name = name

    def __call__(self, step: int) -> float:
        p = _progress(step, self.decay_steps, self.staircase)
        return self.initial_learning_rate * self.decay_rate**p


class InverseTimeDecay(LearningRateSchedule):
    """initial_learning_rate / (1 + decay_rate p), with p = step / decay_steps.

    Args:
        initial_learning_rate: at step 0.
        decay_steps: how long it takes for p to grow by 1.
        decay_rate: the factor.
        staircase: whether p is rounded down.
        name: of the schedule.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ):
        self.initial_learning_rate = _rate(initial_learning_rate)
        self.decay_steps = number(decay_steps, "decay_steps", "(0, inf)")
        self.decay_rate = number(decay_rate, "decay_rate", "[0, inf)")
        self.staircase = bool(staircase)
        self.name = name

    def __call__(self, step: int) -> float:
        p = _progress(step, self.decay_steps, self.staircase)
        return self.initial_learning_rate / (1 + self.decay_rate * p)


class PiecewiseConstantDecay(LearningRateSchedule):
    """values[0] up to and including step boundaries[0], then values[1], and so on.

    Args:
        boundaries: the last step of each piece but the last, in increasing order.
        values: a learning rate for each piece, so one more.
        name: of the schedule.

    Raises:
        ValueError: if the lengths do not fit or the boundaries do not increase.

    >>> schedule = PiecewiseConstantDecay([2], [0.1, 0.01])
    >>> [schedule(step) for step in (1, 2, 3)]
    [0.1, 0.1, 0.01]
    """

    def __init__(
        self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant"
    ):
        self.boundaries = [number(b, "boundaries") for b in boundaries]
        self.values = [_rate(value, "values") for value in values]
        self.name = name
        if len(self.boundaries) != len(self.values) - 1:
            raise ValueError(
                "boundaries: expected one less than there are values, got "
                f"{len(self.boundaries)} boundaries and {len(self.values)} values"
            )
        if any(a >= b for a, b in zip(self.boundaries, self.boundaries[1:], strict=False)):
            raise ValueError(f"boundaries: expected increasing steps, got {boundaries}")

    def __call__(self, step: int) -> float:
        return self.values[sum(step > boundary for boundary in self.boundaries)]


class PolynomialDecay(LearningRateSchedule):
    """end + (initial - end) (1 - step / decay_steps)^power, and ``end_learning_rate`` afterwards.

    Args:
        initial_learning_rate: at step 0.
        decay_steps: how long it takes.
        end_learning_rate: at its end.
        power: 1 is a straight line.
        cycle: whether, instead of staying at the end, it starts anew on a longer way: the smallest
            multiple of ``decay_steps`` that is not below ``step`` takes the place of
            ``decay_steps``.
        name: of the schedule.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ):
        self.initial_learning_rate = _rate(initial_learning_rate)
        self.decay_steps = number(decay_steps, "decay_steps", "(0, inf)")
        self.end_learning_rate = _rate(end_learning_rate, "end_learning_rate")
        self.power = number(power, "power", "[0, inf)")
        self.cycle = bool(cycle)
        self.name = name

    def __call__(self, step: int) -> float:
        whole = self.decay_steps
        if self.cycle:
            whole *= max(1, math.ceil(step / self.decay_steps))
        rest = 1 - min(step, whole) / whole
        end = self.end_learning_rate
        return end + (self.initial_learning_rate - end) * rest**self.power


class CosineDecay(LearningRateSchedule):
    """Half a period of a cosine, from the initial learning rate down to ``alpha`` times that.

    initial ((1 - alpha) (1 + cos(pi p)) / 2 + alpha), with p = step / decay_steps up to 1
    (Loshchilov and Hutter, 2017, SGDR, eq. 5). With ``warmup_target`` the rate first rises in a
    straight line from ``initial_learning_rate`` to the target, and comes down from there.

    Args:
        initial_learning_rate: at step 0.
        decay_steps: how long the way down is.
        alpha: what is left at the end, as a fraction.
        name: of the schedule.
        warmup_target: the rate at the end of the warmup; ``None`` for no warmup.
        warmup_steps: how long the warmup is.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ):
        self.initial_learning_rate = _rate(initial_learning_rate)
        self.decay_steps = number(decay_steps, "decay_steps", "(0, inf)")
        self.alpha = number(alpha, "alpha", "[0, inf)")
        self.name = name
        self.warmup_target = (
            None if warmup_target is None else _rate(warmup_target, "warmup_target")
        )
        self.warmup_steps = number(warmup_steps, "warmup_steps", "[0, inf)")

    def __call__(self, step: int) -> float:
        low = high = self.initial_learning_rate
        if self.warmup_target is not None:
            high = self.warmup_target
            if step < self.warmup_steps:
                return low + (high - low) * step / self.warmup_steps
            step = step - self.warmup_steps
        p = min(step, self.decay_steps) / self.decay_steps
        return high * _cosine(p, self.alpha)


class CosineDecayRestarts(LearningRateSchedule):
    """Cosine decay again and again (Loshchilov and Hutter, 2017, SGDR, section 3).

    Args:
        initial_learning_rate: at step 0.
        first_decay_steps: how long the first period is.
        t_mul: each period is so many times longer than the one before, at least 1.
        m_mul: and starts at so many times its height.
        alpha: the smallest learning rate, as a fraction of the initial one.
        name: of the schedule.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ):
        self.initial_learning_rate = _rate(initial_learning_rate)
        self.first_decay_steps = number(first_decay_steps, "first_decay_steps", "(0, inf)")
        self.t_mul = number(t_mul, "t_mul", "[1, inf)")
        self.m_mul = number(m_mul, "m_mul", "[0, inf)")
        self.alpha = number(alpha, "alpha", "[0, inf)")
        self.name = name

    def __call__(self, step: int) -> float:
        length = self.first_decay_steps
        if self.t_mul == 1:
            period, done = divmod(step, length)
        else:
            period, done = 0, float(step)
            while done >= length:
                done -= length
                length *= self.t_mul
                period += 1
        return self.initial_learning_rate * _cosine(done / length, self.alpha, self.m_mul**period)


_TABLE: dict[str, type[LearningRateSchedule]] = {
    kind.__name__: kind
    for kind in (
        CosineDecay,
        CosineDecayRestarts,
        ExponentialDecay,
        InverseTimeDecay,
        PiecewiseConstantDecay,
        PolynomialDecay,
    )
}


def from_dict(data: dict[str, Any]) -> LearningRateSchedule:
    """The schedule that Keras's dict form (see ``minicnn.configurable``) describes.

    Raises:
        ValueError: if it describes none.
    """
    module = LearningRateSchedule.keras_module
    return deserialize(data, _TABLE, module, "learning-rate schedule", LearningRateSchedule)


def _rate(value: Any, name: str = "initial_learning_rate") -> float:
    return number(value, name, "[0, inf)")


def _progress(step: int, decay_steps: float, staircase: bool) -> float:
    p = step / decay_steps
    return math.floor(p) if staircase else p


def _cosine(p: float, alpha: float, height: float = 1.0) -> float:
    """From ``height`` at p = 0 down to 0 at p = 1, and that between alpha and 1."""
    return (1 - alpha) * height * (1 + math.cos(math.pi * p)) / 2 + alpha
