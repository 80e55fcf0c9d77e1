"""Ten steps of every optimizer and every option, beside Keras."""

import inspect

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from minicnn import backend, optimizers  # noqa: E402
from minicnn.variables import ParameterVector, Variable  # noqa: E402

pytestmark = pytest.mark.keras

NAMES = ["SGD", "RMSprop", "Adam", "AdamW", "Adagrad", "Adadelta", "Adamax", "Nadam", "Lion"]
CASES = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("SGD", {"nesterov": True}),
    ("RMSprop", {}),
    ("RMSprop", {"rho": 0.7, "epsilon": 1e-3}),
    ("RMSprop", {"momentum": 0.8}),
    ("RMSprop", {"centered": True}),
    ("RMSprop", {"momentum": 0.8, "centered": True}),
    ("Adam", {}),
    ("Adam", {"beta_1": 0.5, "beta_2": 0.8, "epsilon": 1e-2}),
    ("Adam", {"amsgrad": True, "beta_2": 0.6}),
    ("AdamW", {}),
    ("AdamW", {"weight_decay": 0.5, "amsgrad": True}),
    ("Adagrad", {}),
    ("Adagrad", {"initial_accumulator_value": 0.5, "epsilon": 1e-2}),
    ("Adadelta", {"learning_rate": 1.0}),
    ("Adadelta", {"learning_rate": 0.3, "rho": 0.6, "epsilon": 1e-3}),
    ("Adamax", {}),
    ("Adamax", {"beta_1": 0.5, "beta_2": 0.8, "epsilon": 1e-2}),
    ("Nadam", {}),
    ("Nadam", {"beta_1": 0.5, "beta_2": 0.8, "epsilon": 1e-2}),
    ("Lion", {}),
    ("Lion", {"beta_1": 0.5, "beta_2": 0.8}),
]
SHARED = [
    {"clipnorm": 0.5},
    {"clipvalue": 0.3},
    {"global_clipnorm": 0.5},
    {"weight_decay": 0.1},
    {"weight_decay": 0.1, "clipnorm": 0.5},
]
SHAPES = [(3, 4), (4,), (2, 2, 1, 3)]
STEPS = 10


def run_both(rng, ours, theirs, names=("kernel", "bias", "filters")):
    """The largest difference of any weight after ten steps with the same random gradients."""
    start = [rng.normal(size=shape).astype(np.float32) for shape in SHAPES]
    mine = [Variable(w.copy(), name) for w, name in zip(start, names, strict=True)]
    parameters = ParameterVector(mine, backend.current())
    keras_variables = [keras.Variable(w, name=name) for w, name in zip(start, names, strict=True)]
    theirs.build(keras_variables)
    for _ in range(STEPS):
        gradients = [rng.normal(size=shape).astype(np.float32) for shape in SHAPES]
        gradients[0][0] = 0  # as of a unit that nothing reached
        for variable, g in zip(mine, gradients, strict=True):
            variable.gradient[...] = g
        ours.apply(parameters)
        theirs.apply([keras.ops.convert_to_tensor(g) for g in gradients], keras_variables)
    moved = max(np.abs(v.value - w).max() for v, w in zip(mine, start, strict=True))
    assert moved > 1e-3
    assert ours.iterations == int(theirs.iterations)
    assert abs(ours.learning_rate - float(theirs.learning_rate)) < 1e-7
    return max(
        np.abs(v.value - keras.ops.convert_to_numpy(k)).max()
        for v, k in zip(mine, keras_variables, strict=True)
    )


@pytest.mark.parametrize(("name", "options"), CASES)
def test_optimizer(rng, name, options):
    ours = getattr(optimizers, name)(**options)
    theirs = getattr(keras.optimizers, name)(**options)
    assert run_both(rng, ours, theirs) < 2e-6


@pytest.mark.parametrize("options", SHARED)
@pytest.mark.parametrize("name", ["SGD", "RMSprop", "Adam", "Lion"])
def test_clipping_and_decay(rng, name, options):
    ours = getattr(optimizers, name)(0.01, **options)
    theirs = getattr(keras.optimizers, name)(0.01, **options)
    assert run_both(rng, ours, theirs) < 2e-6


def test_weight_decay_with_exclusions(rng):
    ours, theirs = (kit.SGD(0.1, weight_decay=0.5) for kit in (optimizers, keras.optimizers))
    for optimizer in (ours, theirs):
        optimizer.exclude_from_weight_decay(var_names=["bias"])
    assert run_both(rng, ours, theirs) < 2e-6


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_schedule(rng, name):
    """The decay of the weights follows the schedule, too.

    (Keras takes 1 - 0.999^t in float32, so that Adam's first steps are 3e-5 of themselves off.)
    """
    ours, theirs = (
        getattr(kit, name)(kit.schedules.ExponentialDecay(0.03, 3, 0.5), weight_decay=0.1)
        for kit in (optimizers, keras.optimizers)
    )
    assert run_both(rng, ours, theirs) < 2e-6


@pytest.mark.parametrize("name", NAMES)
def test_arguments_and_defaults(name):
    ours, theirs = (getattr(kit, name) for kit in (optimizers, keras.optimizers))
    shared = set(inspect.signature(optimizers.Optimizer).parameters)
    shared -= {"learning_rate", "unknown"}
    mine = inspect.signature(ours).parameters
    expected = inspect.signature(theirs).parameters
    own = [n for n in mine if n != "kwargs"]
    assert own == [n for n in expected if n in own]  # in this order
    for parameter in own:
        assert mine[parameter].default == expected[parameter].default
    assert shared <= set(expected)
    backend.clear_session()
    keras.backend.clear_session()
    assert ours().name == theirs().name
    assert float(theirs().learning_rate) == np.float32(ours().learning_rate)
