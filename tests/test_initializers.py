"""Initializers: shapes, statistics, seeds, names."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from minicnn import initializers
from minicnn.random import SeedGenerator, set_seed

RANDOM = [
    initializers.RandomNormal,
    initializers.RandomUniform,
    initializers.TruncatedNormal,
    initializers.VarianceScaling,
    initializers.GlorotUniform,
    initializers.GlorotNormal,
    initializers.HeUniform,
    initializers.HeNormal,
    initializers.LecunUniform,
    initializers.LecunNormal,
    initializers.Orthogonal,
]
ALL = [*RANDOM, initializers.Zeros, initializers.Ones, initializers.Constant]


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shape_and_dtype(make, dtype):
    for shape in ((4, 3), [3, 3, 2, 5], (1, 1), (2, 1)):
        w = make()(shape, dtype=dtype)
        assert w.shape == tuple(shape)
        assert w.dtype == dtype
        assert w.flags.writeable
        assert make()(shape).dtype == np.float32
        assert make()(shape, dtype=None).dtype == np.float32


def test_constants():
    assert np.array_equal(initializers.Zeros()((2, 3)), np.zeros((2, 3)))
    assert np.array_equal(initializers.Ones()((2, 3)), np.ones((2, 3)))
    assert np.array_equal(initializers.Constant(2.5)((2,)), [2.5, 2.5])
    assert np.array_equal(initializers.Constant([1, 2])((2, 2)), [[1, 2], [1, 2]])
    assert np.array_equal(initializers.Identity(gain=2)((2, 3)), [[2, 0, 0], [0, 2, 0]])
    assert initializers.Zeros()(()).shape == initializers.TruncatedNormal()(()).shape == ()


# A sample of N numbers has a standard deviation within about 1 / sqrt(2 N) of the true one, and a
# mean within stddev / sqrt(N). With N = 90,000, three of those are 0.7 % and 1 % of stddev.
SHAPE = (3, 3, 50, 200)
WINDOW = 9


@pytest.mark.parametrize(
    ("initializer", "stddev"),
    [
        (initializers.RandomNormal(stddev=0.3, seed=1), 0.3),
        (initializers.RandomUniform(-0.3, 0.3, seed=1), 0.3 / math.sqrt(3)),
        (initializers.TruncatedNormal(stddev=0.3, seed=1), 0.3 * 0.87962566),
        (initializers.VarianceScaling(seed=1), math.sqrt(1 / (WINDOW * 50))),
        (initializers.VarianceScaling(3, "fan_out", seed=1), math.sqrt(3 / (WINDOW * 200))),
        (
            initializers.VarianceScaling(2, "fan_avg", "untruncated_normal", seed=1),
            math.sqrt(2 / (WINDOW * 125)),
        ),
        (initializers.VarianceScaling(1, "fan_in", "uniform", 1), math.sqrt(1 / (WINDOW * 50))),
        (initializers.GlorotUniform(1), math.sqrt(2 / (WINDOW * 250))),
        (initializers.GlorotNormal(1), math.sqrt(2 / (WINDOW * 250))),
        (initializers.HeUniform(1), math.sqrt(2 / (WINDOW * 50))),
        (initializers.HeNormal(1), math.sqrt(2 / (WINDOW * 50))),
        (initializers.LecunUniform(1), math.sqrt(1 / (WINDOW * 50))),
        (initializers.LecunNormal(1), math.sqrt(1 / (WINDOW * 50))),
    ],
)
def test_statistics(initializer, stddev):
    w = initializer(SHAPE, dtype="float64")
    assert abs(w.std() / stddev - 1) < 0.007
    assert abs(w.mean()) < 0.01 * stddev


@pytest.mark.parametrize(
    ("initializer", "limit"),
    [
        (initializers.RandomUniform(-0.3, 0.3, 1), 0.3),
        (initializers.GlorotUniform(1), math.sqrt(6 / (WINDOW * 250))),
        (initializers.HeUniform(1), math.sqrt(6 / (WINDOW * 50))),
        (initializers.LecunUniform(1), math.sqrt(3 / (WINDOW * 50))),
        (initializers.TruncatedNormal(stddev=0.3, seed=1), 0.6),
        (initializers.HeNormal(1), 2 * math.sqrt(2 / (WINDOW * 50)) / 0.87962566),
    ],
)
def test_limits(initializer, limit):
    """Nothing outside, and the range is used up to its ends."""
    w = initializer(SHAPE, dtype="float64")
    assert np.abs(w).max() <= limit
    assert w.max() > 0.995 * limit
    assert w.min() < -0.995 * limit


def test_mean():
    assert abs(initializers.RandomNormal(mean=2, stddev=0.1, seed=1)((300, 300)).mean() - 2) < 1e-3
    w = initializers.TruncatedNormal(mean=-2, stddev=0.1, seed=1)((300, 300))
    assert abs(w.mean() + 2) < 1e-3
    assert w.min() >= -2.2001
    assert w.max() <= -1.7999


@given(st.lists(st.integers(1, 6), min_size=2, max_size=4), st.sampled_from([0.5, 1.0, 2.0]))
@settings(max_examples=25, deadline=None)
def test_orthogonal(shape, gain):
    w = initializers.Orthogonal(gain, seed=1)(shape, dtype="float64")
    a = w.reshape(-1, shape[-1])
    product = a.T @ a if a.shape[0] >= a.shape[1] else a @ a.T
    assert np.abs(product - gain**2 * np.eye(len(product))).max() < 1e-12


def test_orthogonal_matrices_are_equally_likely():
    """Without the choice of signs, the first entries would nearly all be negative."""
    first = np.array([initializers.Orthogonal(seed=s)((2, 2), "float64")[0, 0] for s in range(400)])
    assert abs((first > 0).mean() - 0.5) < 0.08


@pytest.mark.parametrize(
    ("shape", "fans"),
    [
        ((), (1, 1)),
        ((7,), (7, 7)),
        ((784, 30), (784, 30)),
        ((5, 3, 8), (15, 40)),
        ((3, 3, 16, 32), (144, 288)),
        ((2, 3, 4, 5, 6), (120, 144)),
    ],
)
def test_fans(shape, fans):
    assert initializers.compute_fans(shape) == fans


# -- seeds ------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", RANDOM)
def test_seeds(make):
    """A seed fixes the numbers; None takes a seed of the library; a generator goes on."""
    shape = (4, 5)
    assert np.array_equal(make(seed=3)(shape), make(seed=3)(shape))
    assert not np.array_equal(make(seed=3)(shape), make(seed=4)(shape))
    initializer = make()
    assert np.array_equal(initializer(shape), initializer(shape))
    assert not np.array_equal(initializer(shape), make()(shape))
    set_seed(11)
    first, second = make()(shape), make()(shape)
    set_seed(11)
    assert np.array_equal(first, make()(shape))
    assert np.array_equal(second, make()(shape))
    initializer = make(seed=SeedGenerator(3))
    assert not np.array_equal(initializer(shape), initializer(shape))


# -- names and errors -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        ("zeros", initializers.Zeros),
        ("Zeros", initializers.Zeros),
        ("zero", initializers.Zeros),
        ("one", initializers.Ones),
        ("normal", initializers.RandomNormal),
        ("uniform", initializers.RandomUniform),
        ("random_normal", initializers.RandomNormal),
        ("TruncatedNormal", initializers.TruncatedNormal),
        ("glorot_uniform", initializers.GlorotUniform),
        ("GLOROT_NORMAL", initializers.GlorotNormal),
        ("HeNormal", initializers.HeNormal),
        ("lecun_normal", initializers.LecunNormal),
        ("orthogonal", initializers.Orthogonal),
        ("identity", initializers.Identity),
        ("VarianceScaling", initializers.VarianceScaling),
        (initializers.HeUniform, initializers.HeUniform),
        (initializers.he_uniform, initializers.HeUniform),
        (initializers.Constant(3), initializers.Constant),
    ],
)
def test_get(identifier, expected):
    assert type(initializers.get(identifier)) is expected


def test_get_functions_and_arrays():
    def tens(shape, dtype=None):
        return np.full(shape, 10, dtype)

    assert initializers.get(tens) is tens
    assert initializers.get(None) is None
    values = np.array([[1.0, 2.0], [3.0, 4.0]])
    initializer = initializers.get(values)
    w = initializer((2, 2), dtype="float32")
    assert w.dtype == np.float32
    assert np.array_equal(w, values)
    w[0, 0] = 9
    assert values[0, 0] == 1
    with pytest.raises(ValueError, match=r"shape \(2, 2\), the weight needs \(2, 3\)"):
        initializer((2, 3))


def test_get_refuses():
    with pytest.raises(ValueError, match=r"unknown initializer 'glorot'.*glorot_uniform"):
        initializers.get("glorot")
    with pytest.raises(TypeError, match=r"initializer: .*got 3"):
        initializers.get(3)


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: initializers.RandomNormal(stddev=-1), "stddev"),
        (lambda: initializers.RandomNormal(mean=math.nan), "mean"),
        (lambda: initializers.TruncatedNormal(stddev=-1), "stddev"),
        (lambda: initializers.RandomUniform(1, 0), "maxval"),
        (lambda: initializers.VarianceScaling(scale=0), "scale"),
        (lambda: initializers.VarianceScaling(mode="fan"), "mode"),
        (lambda: initializers.VarianceScaling(distribution="cauchy"), "distribution"),
        (lambda: initializers.Orthogonal(gain=math.inf), "gain"),
        (lambda: initializers.GlorotUniform(seed=-1), "seed"),
        (lambda: initializers.Orthogonal()((3,)), "shape"),
        (lambda: initializers.Identity()((2, 2, 2)), "shape"),
        (lambda: initializers.Zeros()((2, -2)), "shape"),
    ],
)
def test_bad_values(make, argument):
    with pytest.raises(ValueError, match=f"^{argument}: "):
        make()


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: initializers.RandomNormal(stddev="big"), "stddev"),
        (lambda: initializers.Constant("big"), "value"),
        (lambda: initializers.GlorotUniform(seed=1.5), "seed"),
        (lambda: initializers.GlorotUniform()(3), "shape"),
        (lambda: initializers.GlorotUniform()((3, 3), dtype="int32"), "dtype"),
    ],
)
def test_bad_types(make, argument):
    with pytest.raises(TypeError, match=f"^{argument}: "):
        make()
