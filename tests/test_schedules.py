"""Learning-rate schedules: values worked out by hand."""

import math

import numpy as np
import pytest

from minicnn import optimizers, schedules
from minicnn.schedules import (
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    LearningRateSchedule,
    PiecewiseConstantDecay,
    PolynomialDecay,
)

CASES = [
    (ExponentialDecay(0.1, 10, 0.5), {0: 0.1, 5: 0.1 * 0.5**0.5, 10: 0.05, 30: 0.0125}),
    (ExponentialDecay(0.1, 10, 0.5, staircase=True), {0: 0.1, 9: 0.1, 10: 0.05, 19: 0.05}),
    (InverseTimeDecay(0.1, 10, 0.5), {0: 0.1, 5: 0.08, 10: 0.1 / 1.5, 20: 0.05}),
    (InverseTimeDecay(0.1, 10, 0.5, staircase=True), {5: 0.1, 19: 0.1 / 1.5, 20: 0.05}),
    (PiecewiseConstantDecay([2, 5], [3.0, 2.0, 1.0]), {0: 3, 2: 3, 3: 2, 5: 2, 6: 1, 99: 1}),
    (PiecewiseConstantDecay([], [3.0]), {0: 3, 7: 3}),
    (PolynomialDecay(1.1, 10, 0.1), {0: 1.1, 5: 0.6, 10: 0.1, 11: 0.1, 25: 0.1}),
    (PolynomialDecay(1.1, 10, 0.1, power=2), {0: 1.1, 5: 0.35, 10: 0.1}),
    (PolynomialDecay(1.1, 10, 0.1, cycle=True), {0: 1.1, 10: 0.1, 15: 0.35, 20: 0.1, 25: 4 / 15}),
    (CosineDecay(0.2, 10), {0: 0.2, 5: 0.1, 10: 0, 11: 0}),
    (CosineDecay(0.2, 10, alpha=0.5), {0: 0.2, 5: 0.15, 10: 0.1, 99: 0.1}),
    (
        CosineDecay(0.1, 10, warmup_target=0.5, warmup_steps=4),
        {0: 0.1, 2: 0.3, 4: 0.5, 9: 0.25, 14: 0, 20: 0},
    ),
    (CosineDecayRestarts(0.2, 10), {0: 0.2, 5: 0.1, 10: 0.2, 20: 0.1, 30: 0.2, 50: 0.1, 70: 0.2}),
    (CosineDecayRestarts(0.2, 10, t_mul=1.0), {0: 0.2, 5: 0.1, 10: 0.2, 15: 0.1, 1000: 0.2}),
    (CosineDecayRestarts(0.2, 10, m_mul=0.5, alpha=0.1), {0: 0.2, 10: 0.11, 30: 0.065, 20: 0.065}),
]


@pytest.mark.parametrize(("schedule", "values"), CASES, ids=lambda v: type(v).__name__)
def test_values(schedule, values):
    for step, expected in values.items():
        for kind in (int, np.int64):
            value = schedule(kind(step))
            assert abs(value - expected) < 1e-12
            assert isinstance(float(value), float)
    assert isinstance(schedule, LearningRateSchedule)


def test_restarts_are_exact_after_many_periods():
    """A logarithm would be a hair off at a power of t_mul, and the restart a step late."""
    schedule = CosineDecayRestarts(1.0, 7, t_mul=3.0)
    start, length = 0, 7
    for _ in range(12):
        assert schedule(start) == 1.0
        before = schedule(start + length - 1)
        assert abs(before - (1 + math.cos(math.pi * (length - 1) / length)) / 2) < 1e-9
        start, length = start + length, 3 * length


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ExponentialDecay(0.1, 0, 0.5), ValueError, "decay_steps.*got 0"),
        (lambda: ExponentialDecay(-0.1, 1, 0.5), ValueError, "initial_learning_rate.*got -0.1"),
        (lambda: ExponentialDecay("fast", 1, 0.5), TypeError, "initial_learning_rate.*'fast'"),
        (lambda: InverseTimeDecay(0.1, -1, 0.5), ValueError, "decay_steps"),
        (lambda: PolynomialDecay(0.1, 0), ValueError, "decay_steps"),
        (lambda: PolynomialDecay(0.1, 10, -1), ValueError, "end_learning_rate"),
        (lambda: CosineDecay(0.1, 0), ValueError, "decay_steps"),
        (lambda: CosineDecay(0.1, 9, warmup_steps=-1), ValueError, "warmup_steps"),
        (lambda: CosineDecay(0.1, 9, warmup_target=-1), ValueError, "warmup_target"),
        (lambda: CosineDecayRestarts(0.1, 0), ValueError, "first_decay_steps"),
        (lambda: CosineDecayRestarts(0.1, 9, t_mul=0.5), ValueError, "t_mul"),
        (lambda: PiecewiseConstantDecay([1, 2], [1, 2]), ValueError, "2 boundaries and 2 values"),
        (lambda: PiecewiseConstantDecay([2, 1], [1, 2, 3]), ValueError, "increasing"),
        (lambda: PiecewiseConstantDecay([1], [1, -2]), ValueError, "values.*got -2"),
        (lambda: LearningRateSchedule()(0), NotImplementedError, "__call__"),
    ],
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_reached_as_in_keras():
    from minicnn.optimizers.schedules import CosineDecay as reached

    assert reached is CosineDecay
    names = [name for name in dir(schedules) if name.endswith(("Decay", "Restarts", "Schedule"))]
    assert len(names) == 7
    assert all(getattr(optimizers.schedules, n) is getattr(schedules, n) for n in names)


def test_an_optimizer_follows_its_schedule():
    optimizer = optimizers.SGD(ExponentialDecay(0.1, 1, 0.5))
    rates = []
    for step in range(4):
        optimizer.iterations = step
        rates.append(optimizer.learning_rate)
    assert rates == [0.1, 0.05, 0.025, 0.0125]
