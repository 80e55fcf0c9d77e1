"""Initializers against Keras: other random numbers, but the same distributions."""

import inspect

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from minicnn import initializers  # noqa: E402

pytestmark = pytest.mark.keras

SHAPE = (3, 3, 50, 200)
CASES = [
    ("RandomNormal", {"mean": 0.1, "stddev": 0.2}, "normal"),
    ("RandomUniform", {"minval": -0.1, "maxval": 0.4}, "uniform"),
    ("TruncatedNormal", {"mean": 0.1, "stddev": 0.2}, "truncated"),
    ("VarianceScaling", {}, "truncated"),
    ("VarianceScaling", {"scale": 3.0, "mode": "fan_out", "distribution": "normal"}, "truncated"),
    ("VarianceScaling", {"mode": "fan_avg", "distribution": "untruncated_normal"}, "normal"),
    ("VarianceScaling", {"scale": 0.5, "distribution": "uniform"}, "uniform"),
    ("GlorotUniform", {}, "uniform"),
    ("GlorotNormal", {}, "truncated"),
    ("HeUniform", {}, "uniform"),
    ("HeNormal", {}, "truncated"),
    ("LecunUniform", {}, "uniform"),
    ("LecunNormal", {}, "truncated"),
    ("Orthogonal", {"gain": 2.0}, "normal"),
]


def both(name, **kwargs):
    return [getattr(m, name)(**kwargs) for m in (initializers, keras.initializers)]


@pytest.mark.parametrize(("name", "kwargs", "distribution"), CASES)
def test_distribution(name, kwargs, distribution):
    """Standard deviation and quantiles of 90,000 numbers agree within their chance errors."""
    mine, theirs = both(name, **kwargs, seed=7)
    w, expected = mine(SHAPE), np.asarray(keras.ops.convert_to_numpy(theirs(SHAPE)))
    assert w.dtype == expected.dtype == np.float32
    assert abs(w.std() / expected.std() - 1) < 0.012
    places = [0.001, 0.05, 0.25, 0.5, 0.75, 0.95, 0.999]
    difference = np.quantile(w, places) - np.quantile(expected, places)
    assert np.abs(difference[1:-1]).max() < 0.03 * expected.std()
    assert np.abs(difference).max() < 0.25 * expected.std()
    if keras.backend.backend() == "torch" and distribution == "truncated":
        return  # there, Keras lets a few numbers in a million be larger
    if distribution != "normal":
        assert abs(w.max() - expected.max()) < 0.02 * expected.std()
        assert abs(w.min() - expected.min()) < 0.02 * expected.std()


@pytest.mark.parametrize(
    "shape", [(), (7,), (784, 30), (5, 3, 8), (3, 3, 16, 32), (2, 3, 4, 5, 6), (1, 1, 1, 1)]
)
def test_fans(shape):
    from keras.src.initializers.random_initializers import compute_fans

    assert initializers.compute_fans(shape) == compute_fans(shape)


@pytest.mark.parametrize(
    ("name", "kwargs", "shape"),
    [
        ("Zeros", {}, (2, 3)),
        ("Ones", {}, (2, 3)),
        ("Constant", {"value": 2.5}, (2, 3)),
        ("Identity", {"gain": 3.0}, (2, 3)),
        ("Identity", {}, (3, 3)),
    ],
)
def test_without_chance(name, kwargs, shape):
    mine, theirs = both(name, **kwargs)
    assert np.array_equal(mine(shape), keras.ops.convert_to_numpy(theirs(shape)))


@pytest.mark.parametrize("name", sorted({name for name, *_ in CASES} | {"Constant", "Identity"}))
def test_arguments(name):
    """Keras's arguments in Keras's order, with Keras's defaults (its einsum axes apart)."""

    def arguments(cls):
        parameters = inspect.signature(cls).parameters.values()
        return [(p.name, p.default) for p in parameters if not p.name.endswith("_axes")]

    mine, theirs = getattr(initializers, name), getattr(keras.initializers, name)
    assert arguments(mine) == arguments(theirs)


@pytest.mark.parametrize("name", ["glorot_uniform", "he_normal", "orthogonal", "normal", "zero"])
def test_names(name):
    mine, theirs = initializers.get(name), keras.initializers.get(name)
    assert type(mine).__name__ == type(theirs).__name__


def test_repeated_calls():
    """Seeded or not, one initializer gives the same numbers at each call, as in Keras."""
    for seed in (None, 5):
        for initializer in both("HeNormal", seed=seed):
            a, b = (keras.ops.convert_to_numpy(initializer((3, 4))) for _ in range(2))
            assert np.array_equal(a, b)
