"""Every learning-rate schedule against Keras, step by step."""

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from minicnn.optimizers import schedules  # noqa: E402

pytestmark = pytest.mark.keras

CASES = [
    ("ExponentialDecay", (0.1, 7, 0.9), {}),
    ("ExponentialDecay", (0.1, 7, 0.9), {"staircase": True}),
    ("InverseTimeDecay", (0.1, 7, 0.4), {}),
    ("InverseTimeDecay", (0.1, 7, 0.4), {"staircase": True}),
    ("PiecewiseConstantDecay", ([3, 10, 20], [0.1, 0.05, 0.02, 0.01]), {}),
    ("PolynomialDecay", (0.1, 30), {}),
    ("PolynomialDecay", (0.1, 30, 0.02, 2.0), {}),
    ("PolynomialDecay", (0.1, 8, 0.02, 0.5), {"cycle": True}),
    ("CosineDecay", (0.1, 30), {}),
    ("CosineDecay", (0.1, 30, 0.2), {}),
    ("CosineDecay", (0.0, 20), {"warmup_target": 0.1, "warmup_steps": 10}),
    ("CosineDecay", (0.01, 20, 0.3), {"warmup_target": 0.1, "warmup_steps": 10}),
    ("CosineDecay", (0.1, 20), {"warmup_steps": 10}),
    ("CosineDecayRestarts", (0.1, 8), {}),
    ("CosineDecayRestarts", (0.1, 8, 1.0, 0.5), {}),
    ("CosineDecayRestarts", (0.1, 8, 2.0, 0.9, 0.1), {}),
    ("CosineDecayRestarts", (0.1, 9, 1.5), {}),
]


@pytest.mark.parametrize(("name", "arguments", "options"), CASES)
def test_schedule(name, arguments, options):
    ours = getattr(schedules, name)(*arguments, **options)
    theirs = getattr(keras.optimizers.schedules, name)(*arguments, **options)
    assert ours.name == theirs.name
    for step in range(50):
        expected = float(theirs(np.array(step, dtype="int32")))
        assert abs(ours(step) - expected) < 1e-6, step
