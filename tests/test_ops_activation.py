"""The activation functions of every floor: values, derivatives, extremes."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from minicnn.checking import numerical_gradient, relative_error

# Name, parameters, whether the backward reads "y" or "z", kinks.
CASES = [
    ("relu", {}, "y", [0]),
    ("relu", {"negative_slope": 0.3}, "y", [0]),
    ("relu", {"max_value": 1.5}, "y", [0, 1.5]),
    ("relu", {"threshold": 0.7}, "y", [0.7]),
    ("relu", {"negative_slope": 0.3, "max_value": 2.0, "threshold": 0.5}, "y", [0.5, 2.0]),
    ("leaky_relu", {}, "y", [0]),
    ("leaky_relu", {"negative_slope": 0.01}, "y", [0]),
    ("relu6", {}, "y", [0, 6]),
    ("elu", {}, "y", [0]),
    ("elu", {"alpha": 0.4}, "y", [0]),
    ("selu", {}, "y", [0]),
    ("gelu", {}, "z", []),
    ("gelu", {"approximate": True}, "z", []),
    ("sigmoid", {}, "y", []),
    ("tanh", {}, "y", []),
    ("softplus", {}, "y", []),
    ("softsign", {}, "z", [0]),
    ("silu", {}, "z", []),
    ("mish", {}, "z", []),
    ("exponential", {}, "y", []),
    ("hard_sigmoid", {}, "y", [-3, 3]),
    ("hard_silu", {}, "z", [-3, 3]),
    ("softmax", {}, "y", []),
    ("softmax", {"axis": 0}, "y", []),
    ("log_softmax", {}, "y", []),
    ("log_softmax", {"axis": 0}, "y", []),
]
IDS = [f"{name}-{parameters}" for name, parameters, _, _ in CASES]
each_case = pytest.mark.parametrize(("name", "parameters", "reads", "kinks"), CASES, ids=IDS)


def away_from(kinks, z):
    for kink in kinks:
        z = np.where(np.abs(z - kink) < 1e-3, kink + 0.01, z)
    return z


def backward(ops, name, dy, z, y, reads, parameters):
    """The backward, which sees only what it says it reads."""
    z, y = (z, None) if reads == "z" else (None, y)
    return getattr(ops, f"{name}_backward")(dy, z, y, **parameters)


@each_case
@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    shape=st.lists(st.integers(1, 3), min_size=1, max_size=4).map(tuple), seed=st.integers(0, 999)
)
def test_gradient(ops, name, parameters, reads, kinks, shape, seed):
    rng = np.random.default_rng(seed)
    # Where a function is flat, differences measure rounding: stay where it is not.
    z = away_from(kinks, rng.uniform(-4, 8 if 6 in kinks else 4, size=shape))
    dy = rng.normal(size=shape)
    f = getattr(ops, name)
    dz = backward(ops, name, dy, z, f(z, **parameters), reads, parameters)
    expected = numerical_gradient(lambda z: float((dy * f(z, **parameters)).sum()), z)
    assert dz.shape == shape
    # What softmax passes back may be next to nothing, where all dy happen to be alike.
    rounding = 1e-10 * np.abs(dy).max()
    assert np.abs(dz - expected).max() < 1e-6 * np.abs(expected).max() + rounding


@each_case
def test_float32_stays(ops, rng, name, parameters, reads, kinks):
    z = rng.normal(size=(3, 4)).astype(np.float32)
    y = getattr(ops, name)(z, **parameters)
    dz = backward(ops, name, z, z, y, reads, parameters)
    assert y.dtype == dz.dtype == np.float32
    wide = z.astype(np.float64)
    expected = getattr(ops, name)(wide, **parameters)
    assert expected.dtype == np.float64
    assert relative_error(y, expected) < 1e-6
    expected = backward(ops, name, wide, wide, expected, reads, parameters)
    assert relative_error(dz, expected) < 1e-5


@each_case
def test_extremes(ops, name, parameters, reads, kinks):
    """Up to 10,000 on either side nothing overflows, nothing is NaN, and nobody is warned."""
    z = np.concatenate([-np.geomspace(1e4, 1e-30, 61), [0], np.geomspace(1e-30, 1e4, 61)])
    z = z.astype(np.float32)
    if name == "exponential":
        z = z[z < 88]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y = getattr(ops, name)(z, **parameters)
        dz = backward(ops, name, np.ones_like(z), z, y, reads, parameters)
    assert np.isfinite(y).all()
    assert np.isfinite(dz).all()


def normal_distribution(z):
    return 0.5 * math.erfc(-z / math.sqrt(2))


DEFINITIONS = {
    "relu": lambda z: max(z, 0.0),
    "relu6": lambda z: min(max(z, 0.0), 6.0),
    "leaky_relu": lambda z: z if z > 0 else 0.2 * z,
    "elu": lambda z: z if z > 0 else math.exp(z) - 1,
    "selu": lambda z: 1.05070098 * (z if z > 0 else 1.67326324 * (math.exp(z) - 1)),
    "gelu": lambda z: z * normal_distribution(z),
    "sigmoid": lambda z: 1 / (1 + math.exp(-z)),
    "tanh": math.tanh,
    "softplus": lambda z: math.log(1 + math.exp(z)),
    "softsign": lambda z: z / (1 + abs(z)),
    "silu": lambda z: z / (1 + math.exp(-z)),
    "mish": lambda z: z * math.tanh(math.log(1 + math.exp(z))),
    "exponential": math.exp,
    "hard_sigmoid": lambda z: min(max(z / 6 + 0.5, 0.0), 1.0),
    "hard_silu": lambda z: z * min(max(z / 6 + 0.5, 0.0), 1.0),
}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_values(ops, name):
    z = np.linspace(-9, 9, 181)
    expected = np.array([DEFINITIONS[name](v) for v in z])
    error = np.abs(getattr(ops, name)(z) - expected) / np.maximum(np.abs(expected), 1)
    assert error.max() < (1e-8 if name == "selu" else 1e-14)


def test_gelu_has_a_precise_tail(ops):
    """P(z) is tiny far to the left of 0, but it is right, not merely near 0."""
    z = np.linspace(-8, -0.1, 80)
    expected = np.array([v * normal_distribution(v) for v in z])
    assert np.abs(ops.gelu(z) / expected - 1).max() < 1e-10


def test_approximate_gelu(ops):
    z = np.array([-1.0, 0.5, 2.0])
    u = math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)
    assert np.abs(ops.gelu(z, approximate=True) - z * (1 + np.tanh(u)) / 2).max() < 1e-15
    assert 1e-6 < np.abs(ops.gelu(z, approximate=True) - ops.gelu(z)).max() < 1e-3


def test_relu_options(ops):
    z = np.array([-2.0, 0.0, 0.5, 1.0, 3.0, 9.0])
    y = ops.relu(z, negative_slope=0.1, max_value=4.0, threshold=1.0)
    assert np.abs(y - [-0.3, -0.1, -0.05, 0, 3, 4]).max() < 1e-15
    dz = ops.relu_backward(np.ones(6), None, y, negative_slope=0.1, max_value=4.0, threshold=1.0)
    assert np.array_equal(dz, [0.1, 0.1, 0.1, 0.1, 1, 0])


def test_relu_passes_nan_on(ops):
    assert np.isnan(ops.relu(np.array([np.nan]))).all()


def test_relu_derivative_at_zero(ops):
    zero = np.zeros(2)
    assert np.array_equal(ops.relu_backward(np.ones(2), None, ops.relu(zero)), zero)


def test_softmax_takes_the_maximum_of_each_row(ops):
    """With one maximum for the whole batch, the second row would be 0 / 0."""
    z = np.array([[1000.0, 1001.0], [-1000.0, -1001.0]], dtype=np.float32)
    p = 1 / (1 + math.exp(-1))
    assert np.abs(ops.softmax(z) - [[1 - p, p], [p, 1 - p]]).max() < 1e-6
    assert np.abs(ops.log_softmax(z) - np.log([[1 - p, p], [p, 1 - p]])).max() < 1e-6


def test_softmax_over_several_axes(ops, rng):
    z, dy = rng.normal(size=(2, 3, 2, 4)), rng.normal(size=(2, 3, 2, 4))
    for axes in ((1, 2), (-1, 0)):
        y = ops.softmax(z, axis=axes)
        assert np.abs(y.sum(axis=axes) - 1).max() < 1e-14
        dz = ops.softmax_backward(dy, None, y, axis=axes)
        expected = numerical_gradient(
            lambda z, axes=axes: float((dy * ops.softmax(z, axis=axes)).sum()), z
        )
        assert relative_error(dz, expected) < 1e-6


@pytest.mark.parametrize("alpha_shape", [(4,), (1, 1, 4), (3, 1, 4), (2, 1), (), (2, 3, 2, 4)])
def test_prelu(ops, rng, alpha_shape):
    x = away_from([0], rng.normal(size=(2, 3, 2, 4)))
    alpha, dy = rng.normal(size=alpha_shape), rng.normal(size=x.shape)
    alpha = np.asarray(alpha)
    dx, dalpha = ops.prelu_backward(dy, x, alpha)
    assert dalpha.shape == alpha_shape

    def loss(_):
        return float((dy * ops.prelu(x, alpha)).sum())

    assert relative_error(dx, numerical_gradient(loss, x)) < 1e-6
    assert relative_error(dalpha, numerical_gradient(loss, alpha)) < 1e-6


def test_prelu_values_and_dtype(ops):
    x = np.array([[-2.0, -2.0], [0.0, 3.0]], dtype=np.float32)
    alpha = np.array([0.1, 0.5], dtype=np.float32)
    y = ops.prelu(x, alpha)
    assert relative_error(y, np.array([[-0.2, -1.0], [0.0, 3.0]])) < 1e-6
    dx, dalpha = ops.prelu_backward(x, x, alpha)
    assert y.dtype == dx.dtype == dalpha.dtype == np.float32


def test_sum_to_shape_is_the_adjoint_of_broadcasting(ops, rng):
    for shape in [(4,), (1, 4), (3, 1), (), (2, 1, 1), (2, 3, 4), (1, 1, 1)]:
        a, b = rng.normal(size=(2, 3, 4)), np.asarray(rng.normal(size=shape))
        summed = ops.sum_to_shape(a, shape)
        assert np.shape(summed) == shape
        assert abs((a * b).sum() - (summed * b).sum()) < 1e-12
