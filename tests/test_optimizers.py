"""Optimizers as objects: hyperparameters, clipping, decay, and what they remember."""

import pickle

import numpy as np
import pytest

from minicnn import backend, optimizers
from minicnn.optimizers import SGD, Adam, AdamW, Nadam, Optimizer, RMSprop
from minicnn.schedules import ExponentialDecay
from minicnn.variables import ParameterVector, Variable

# Every optimizer with every option that has slots of its own.
ALL = {
    "SGD": lambda **k: optimizers.SGD(**k),
    "SGD momentum": lambda **k: optimizers.SGD(momentum=0.9, **k),
    "SGD nesterov": lambda **k: optimizers.SGD(momentum=0.9, nesterov=True, **k),
    "RMSprop": lambda **k: optimizers.RMSprop(**k),
    "RMSprop all": lambda **k: optimizers.RMSprop(momentum=0.9, centered=True, **k),
    "Adam": lambda **k: optimizers.Adam(**k),
    "Adam amsgrad": lambda **k: optimizers.Adam(amsgrad=True, **k),
    "AdamW": lambda **k: optimizers.AdamW(**k),
    "Adagrad": lambda **k: optimizers.Adagrad(**k),
    "Adadelta": lambda **k: optimizers.Adadelta(**k),
    "Adamax": lambda **k: optimizers.Adamax(**k),
    "Nadam": lambda **k: optimizers.Nadam(**k),
    "Lion": lambda **k: optimizers.Lion(**k),
}
SHAPES = [(3, 4), (5,), (2, 1, 3)]


def make_variables(rng, dtype=np.float32):
    return [
        Variable(rng.normal(size=shape).astype(dtype), f"w{i}") for i, shape in enumerate(SHAPES)
    ]


def vector(variables):
    return ParameterVector(variables, backend.current())


def step(optimizer, parameters, gradients):
    """One step with the given gradient for each variable (by its name)."""
    for variable in parameters.variables:
        variable.gradient[...] = gradients[variable.name]
    optimizer.apply(parameters)


def random_gradients(rng):
    return {f"w{i}": rng.normal(size=shape) for i, shape in enumerate(SHAPES)}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_step(rng, name, dtype):
    parameters = vector(make_variables(rng, dtype))
    optimizer = ALL[name]()
    before = parameters.value.copy()
    inside = np.zeros(parameters.value.size, dtype=bool)
    for place in parameters.slices:
        inside[place] = True
    for i in range(3):
        assert optimizer.iterations == i
        step(optimizer, parameters, random_gradients(rng))
    assert (parameters.value != before)[inside].all()
    assert not parameters.value[~inside].any()
    assert parameters.value.dtype == dtype
    for slot in optimizer.slots.values():
        assert slot.shape == parameters.value.shape
        assert slot.dtype == dtype
    assert np.array_equal(parameters.variables[0].value.ravel(), parameters.value[:12])


@pytest.mark.parametrize("name", ALL)
def test_goes_downhill(name):
    """On a long narrow valley, L = w1^2 / 2 + 5 w2^2, started from (1, 1)."""
    w = Variable(np.ones(2))
    parameters = vector([w])
    optimizer = ALL[name]()
    optimizer.learning_rate = 1.0 if name == "Adadelta" else 0.01
    for _ in range(500):
        w.gradient[...] = [w.value[0], 10 * w.value[1]]
        optimizer.apply(parameters)
    loss = w.value[0] ** 2 / 2 + 5 * w.value[1] ** 2
    assert loss < 0.8 * 5.5
    assert np.abs(w.value).max() < 1


def test_clipvalue(rng):
    parameters = vector(make_variables(rng))
    before, gradients = parameters.value.copy(), random_gradients(rng)
    step(SGD(1.0, clipvalue=0.25), parameters, gradients)
    for variable, place in zip(parameters.variables, parameters.slices, strict=True):
        expected = np.clip(gradients[variable.name].ravel(), -0.25, 0.25)
        assert np.abs(before[place] - parameters.value[place] - expected).max() < 1e-6


def test_clipnorm_and_global_clipnorm(rng):
    gradients = random_gradients(rng)
    gradients["w1"] *= 1e-3  # short enough by itself
    norms = {name: np.linalg.norm(g) for name, g in gradients.items()}
    overall = np.sqrt(sum(norm**2 for norm in norms.values()))
    for option in ("clipnorm", "global_clipnorm"):
        parameters = vector(make_variables(rng))
        before = parameters.value.copy()
        step(SGD(1.0, **{option: 0.5}), parameters, gradients)
        for variable, place in zip(parameters.variables, parameters.slices, strict=True):
            g = gradients[variable.name].ravel()
            norm = norms[variable.name] if option == "clipnorm" else overall
            expected = g * min(1, 0.5 / norm)
            assert np.abs(before[place] - parameters.value[place] - expected).max() < 1e-6


def test_weight_decay_comes_before_the_update(rng):
    parameters = vector(make_variables(rng, np.float64))
    before, gradients = parameters.value.copy(), random_gradients(rng)
    step(SGD(0.1, weight_decay=0.5), parameters, gradients)
    for variable, place in zip(parameters.variables, parameters.slices, strict=True):
        expected = before[place] * (1 - 0.1 * 0.5) - 0.1 * gradients[variable.name].ravel()
        assert np.abs(parameters.value[place] - expected).max() < 1e-14


def test_exclude_from_weight_decay(rng):
    variables = make_variables(rng, np.float64)
    variables[1].name = "bias"
    parameters = vector(variables)
    before = parameters.value.copy()
    optimizer = SGD(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_list=[variables[0]], var_names=["bias"])
    optimizer.apply(parameters)  # the gradients are zero
    ratios = [parameters.value[p] / before[p] for p in parameters.slices]
    assert [r.round(12).tolist() for r in ratios] == [[1.0] * 12, [1.0] * 5, [0.95] * 6]
    with pytest.raises(ValueError, match="before training begins"):
        optimizer.exclude_from_weight_decay(var_names=["w0"])


@pytest.mark.parametrize("name", ALL)
def test_memory_moves_with_the_weights(rng, name):
    """Frozen, unfrozen, moved to another vector in another order: the same as never moved."""
    stay = make_variables(np.random.default_rng(5), np.float64)
    move = make_variables(np.random.default_rng(5), np.float64)
    steps = [random_gradients(rng) for _ in range(7)]

    quiet, moved = ALL[name](weight_decay=0.1), ALL[name](weight_decay=0.1)
    home = vector(stay)
    for i, gradients in enumerate(steps):
        if i in (2, 3):  # the middle weight is frozen
            kept = (
                stay[1].value.copy(),
                {n: s[home.slices[1]].copy() for n, s in quiet.slots.items()},
            )
            step(quiet, home, gradients)
            stay[1].value[...] = kept[0]
            for n, values in kept[1].items():
                quiet.slots[n][home.slices[1]] = values
        else:
            step(quiet, home, gradients)

    at = {0: move, 2: [move[2], move[0]], 4: [move[1], move[2], move[0]], 6: move}
    for i, gradients in enumerate(steps):
        if i in at:
            parameters = vector(at[i])
            moved.build(parameters)
        step(moved, parameters, gradients)

    assert moved.iterations == quiet.iterations == 7
    for a, b in zip(stay, move, strict=True):
        assert np.abs(a.value - b.value).max() < 1e-14


def test_new_weights_start_from_nothing(rng):
    first, second = Variable(np.ones(3)), Variable(np.ones(3))
    optimizer = optimizers.Adagrad(initial_accumulator_value=0.25)
    parameters = vector([first])
    first.gradient[...] = 2
    optimizer.apply(parameters)
    parameters = vector([second, first])
    optimizer.build(parameters)
    accumulator = optimizer.slots["accumulator"]
    assert accumulator[parameters.slices[0]].tolist() == [0.25] * 3
    assert accumulator[parameters.slices[1]].tolist() == [4.25] * 3


def test_building_twice_changes_nothing(rng):
    parameters = vector(make_variables(rng))
    optimizer = Adam()
    step(optimizer, parameters, random_gradients(rng))
    slots = dict(optimizer.slots)
    optimizer.build(parameters)
    assert all(optimizer.slots[name] is slot for name, slot in slots.items())


def test_nadam_resumes_from_its_count_alone(rng):
    """The product of the momenta is a function of the number of steps."""
    one, other = (vector(make_variables(np.random.default_rng(1), np.float64)) for _ in range(2))
    whole, first = Nadam(), Nadam()
    steps = [random_gradients(rng) for _ in range(4)]
    for gradients in steps:
        step(whole, one, gradients)
    for gradients in steps[:2]:
        step(first, other, gradients)
    second = Nadam()
    second.build(other)
    second.iterations = first.iterations
    for name, slot in first.slots.items():
        second.slots[name][...] = slot
    for gradients in steps[2:]:
        step(second, other, gradients)
    assert np.array_equal(one.value, other.value)


def test_learning_rate():
    optimizer = Adam()
    assert optimizer.learning_rate == 0.001
    optimizer.learning_rate = np.float32(0.5)
    assert optimizer.learning_rate == 0.5
    assert isinstance(optimizer.learning_rate, float)
    optimizer.learning_rate = lambda: 0.25
    assert optimizer.learning_rate == 0.25
    optimizer.learning_rate = 1
    assert optimizer.learning_rate == 1
    optimizer.learning_rate = ExponentialDecay(0.1, 1, 0.5)
    optimizer.iterations = 2
    assert optimizer.learning_rate == 0.025
    with pytest.raises(TypeError, match="follows a schedule"):
        optimizer.learning_rate = 0.1
    assert optimizer.learning_rate == 0.025


def test_the_learning_rate_can_be_read_and_set_as_keras_does_it():
    optimizer = SGD(0.1)
    for read in (optimizer.learning_rate.numpy(), optimizer.learning_rate.value):
        assert read == np.float32(0.1)
        assert read.dtype == np.float32
    optimizer.learning_rate.assign(optimizer.learning_rate * 0.5)
    assert optimizer.learning_rate == 0.05
    assert type(pickle.loads(pickle.dumps(optimizer.learning_rate))) is float
    with pytest.raises(ValueError, match=r"learning_rate: .*got -1"):
        optimizer.learning_rate.assign(-1)


def test_the_schedule_is_read_before_the_step():
    w = Variable(np.zeros(1))
    parameters = vector([w])
    optimizer = SGD(ExponentialDecay(1.0, 1, 0.5))
    w.gradient[...] = -1
    values = []
    for _ in range(3):
        optimizer.apply(parameters)
        values.append(float(w.value[0]))
    assert values == [1, 1.5, 1.75]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: SGD(-0.1),
            ValueError,
            r"learning_rate: expected a number in \[0, inf\), got -0.1",
        ),
        (lambda: SGD(float("nan")), ValueError, "learning_rate"),
        (lambda: SGD(float("inf")), ValueError, "learning_rate"),
        (lambda: SGD("0.1"), TypeError, "learning_rate: expected a number, got '0.1'"),
        (lambda: SGD(None), TypeError, "learning_rate"),
        (lambda: SGD(True), TypeError, "learning_rate"),
        (lambda: SGD(np.ones(2)), TypeError, "learning_rate"),
        (lambda: SGD(ExponentialDecay), TypeError, "got the class"),
        (lambda: SGD(momentum=1.5), ValueError, "momentum.*got 1.5"),
        (lambda: SGD(momentum=-0.5), ValueError, "momentum"),
        (lambda: RMSprop(rho=1), ValueError, "rho"),
        (lambda: RMSprop(momentum=2), ValueError, "momentum"),
        (lambda: RMSprop(epsilon=0), ValueError, "epsilon"),
        (lambda: Adam(beta_1=1), ValueError, r"beta_1: expected a number in \[0, 1\), got 1"),
        (lambda: Adam(beta_2=-0.1), ValueError, "beta_2"),
        (lambda: Adam(epsilon=-1), ValueError, "epsilon"),
        (lambda: AdamW(weight_decay=None), ValueError, "weight_decay"),
        (lambda: optimizers.Adagrad(initial_accumulator_value=-1), ValueError, "initial_accum"),
        (lambda: optimizers.Adadelta(rho=1.5), ValueError, "rho"),
        (lambda: optimizers.Adamax(beta_1=1), ValueError, "beta_1"),
        (lambda: optimizers.Nadam(beta_2=1), ValueError, "beta_2"),
        (lambda: optimizers.Lion(beta_1=2), ValueError, "beta_1"),
        (lambda: SGD(clipnorm=0), ValueError, "clipnorm"),
        (lambda: SGD(clipvalue=-1), ValueError, "clipvalue"),
        (lambda: SGD(global_clipnorm=-1), ValueError, "global_clipnorm"),
        (lambda: SGD(weight_decay=-1), ValueError, "weight_decay"),
        (lambda: SGD(clipnorm=1, clipvalue=2), ValueError, "at most one.*clipnorm=1, clipvalue=2"),
        (lambda: SGD(lr=0.1), TypeError, "lr"),
        (
            lambda: optimizers.get("adm"),
            ValueError,
            "unknown optimizer 'adm'.*Did you mean '[Aa]dam'",
        ),
        (lambda: optimizers.get(None), TypeError, "optimizer: expected a name"),
        (lambda: optimizers.get(len), TypeError, "optimizer: expected a name"),
    ],
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_failed_setting_changes_nothing():
    optimizer = Adam(0.5)
    with pytest.raises(ValueError, match="learning_rate"):
        optimizer.learning_rate = -1
    assert optimizer.learning_rate == 0.5


@pytest.mark.parametrize(
    "name",
    ["SGD", "RMSprop", "Adam", "AdamW", "Adagrad", "Adadelta", "Adamax", "Nadam", "Lion"],
)
def test_get(name):
    kind = getattr(optimizers, name)
    for identifier in (name, name.lower(), name.upper(), kind):
        assert type(optimizers.get(identifier)) is kind
    optimizer = kind()
    assert optimizers.get(optimizer) is optimizer


def test_names_are_counted():
    backend.clear_session()
    assert [SGD().name, SGD().name, Adam().name, Adam(name="mine").name] == [
        "sgd",
        "sgd_1",
        "adam",
        "mine",
    ]


def test_an_unfinished_optimizer_says_so():
    with pytest.raises(NotImplementedError, match="Optimizer does not define update"):
        Optimizer(0.1).apply(vector([Variable(np.ones(2))]))
