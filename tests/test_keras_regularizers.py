"""Regularizers and constraints against Keras."""

import inspect

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from keras_reference import keras_gradient  # noqa: E402

from minicnn import constraints, regularizers  # noqa: E402
from minicnn.checking import relative_error  # noqa: E402

pytestmark = pytest.mark.keras

REGULARIZERS = [
    ("L1", {}),
    ("L1", {"l1": 0.3}),
    ("L2", {}),
    ("L2", {"l2": 0.3}),
    ("L1L2", {"l1": 0.2, "l2": 0.1}),
    ("L1L2", {"l2": 0.1}),
    ("OrthogonalRegularizer", {}),
    ("OrthogonalRegularizer", {"factor": 0.5, "mode": "columns"}),
]


@pytest.mark.parametrize(("name", "kwargs"), REGULARIZERS)
@pytest.mark.parametrize("shape", [(4, 3), (2, 6)])
def test_penalty_and_gradient(rng, name, kwargs, shape):
    mine = getattr(regularizers, name)(**kwargs)
    theirs = getattr(keras.regularizers, name)(**kwargs)
    w = rng.normal(size=shape).astype(np.float32)
    expected, (expected_dw,) = keras_gradient(theirs, w)
    assert np.abs(expected_dw).max() > 1e-4
    assert abs(mine(w) - expected) < 1e-5
    assert relative_error(mine.gradient(w), expected_dw) < 1e-4


@pytest.mark.parametrize(("name", "kwargs"), REGULARIZERS[:6])
def test_of_a_kernel(rng, name, kwargs):
    mine = getattr(regularizers, name)(**kwargs)
    theirs = getattr(keras.regularizers, name)(**kwargs)
    w = rng.normal(size=(3, 3, 2, 4)).astype(np.float32)
    expected, (expected_dw,) = keras_gradient(theirs, w)
    assert abs(mine(w) - expected) < 1e-5 * max(1, abs(expected))
    assert relative_error(mine.gradient(w), expected_dw) < 1e-4


@pytest.mark.parametrize("name", ["L1", "L2", "L1L2", "l1", "l2"])
def test_defaults_by_name(name):
    mine, theirs = regularizers.get(name), keras.regularizers.get(name)
    assert type(mine).__name__ == type(theirs).__name__
    w = np.array([[1.0, -2.0]], np.float32)
    assert abs(mine(w) - keras.ops.convert_to_numpy(theirs(keras.ops.array(w)))) < 1e-6


CONSTRAINTS = [
    ("MaxNorm", {}),
    ("MaxNorm", {"max_value": 0.7, "axis": 1}),
    ("NonNeg", {}),
    ("UnitNorm", {}),
    ("UnitNorm", {"axis": [0, 1, 2]}),
    ("MinMaxNorm", {}),
    ("MinMaxNorm", {"min_value": 0.5, "max_value": 0.8, "rate": 0.3, "axis": (0, 1)}),
]


@pytest.mark.parametrize(("name", "kwargs"), CONSTRAINTS)
def test_constraint(rng, name, kwargs):
    mine = getattr(constraints, name)(**kwargs)
    theirs = getattr(keras.constraints, name)(**kwargs)
    for scale in (0.05, 1.0, 10.0):
        w = (scale * rng.normal(size=(3, 3, 2, 4))).astype(np.float32)
        expected = keras.ops.convert_to_numpy(theirs(w))
        assert relative_error(mine(w), expected) < 1e-5


@pytest.mark.parametrize(
    ("name", "place"),
    [
        *[(name, "constraints") for name in ("MaxNorm", "NonNeg", "UnitNorm", "MinMaxNorm")],
        *[(name, "regularizers") for name in ("L1", "L2", "L1L2", "OrthogonalRegularizer")],
    ],
)
def test_arguments(name, place):
    def arguments(module):
        parameters = inspect.signature(getattr(module, name)).parameters.values()
        return [(p.name, p.default) for p in parameters if p.name not in ("args", "kwargs")]

    mine = {"constraints": constraints, "regularizers": regularizers}[place]
    assert arguments(mine) == arguments(getattr(keras, place))
