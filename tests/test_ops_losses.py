"""The losses' operations on every floor: values, gradients, extremes."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from loss_cases import draw

from minicnn.checking import numerical_gradient, relative_error

# Operation, arguments, kind of targets, kind of predictions.
FROM_PREDICTIONS = [
    ("categorical_cross_entropy", {}, "one-hot", "probabilities"),
    ("categorical_cross_entropy", {}, "mixtures", "positive"),
    ("sparse_categorical_cross_entropy", {}, "labels", "positive"),
    ("binary_cross_entropy", {}, "unit", "unit"),
    ("categorical_focal_cross_entropy", {}, "one-hot", "probabilities"),
    ("categorical_focal_cross_entropy", {"alpha": 0.5, "gamma": 0.7}, "mixtures", "positive"),
    ("binary_focal_cross_entropy", {}, "unit", "unit"),
    ("binary_focal_cross_entropy", {"alpha": 0.3, "gamma": 0.5}, "binary", "unit"),
    ("binary_focal_cross_entropy", {"gamma": 0.0}, "binary", "unit"),
    ("tversky", {"axis": -1}, "unit", "unit"),
    ("tversky", {"alpha": 0.3, "beta": 1.2, "axis": -1}, "one-hot", "unit"),
    ("mean_squared_error", {}, "real", "real"),
    ("mean_absolute_error", {}, "real", "real"),
    ("mean_absolute_percentage_error", {}, "real", "real"),
    ("mean_squared_logarithmic_error", {}, "positive", "real"),
    ("huber", {}, "real", "real"),
    ("huber", {"delta": 0.3}, "real", "real"),
    ("log_cosh", {}, "real", "real"),
    ("hinge", {}, "signs", "real"),
    ("hinge", {}, "binary", "real"),
    ("squared_hinge", {}, "signs", "real"),
    ("squared_hinge", {}, "binary", "real"),
    ("categorical_hinge", {}, "one-hot", "real"),
    ("kl_divergence", {}, "probabilities", "unit"),
    ("cosine_similarity", {}, "real", "real"),
    ("poisson", {}, "positive", "positive"),
]
FROM_LOGITS = [
    ("softmax_cross_entropy", "one-hot"),
    ("softmax_cross_entropy", "mixtures"),
    ("softmax_cross_entropy", "positive"),  # targets whose sum is not 1
    ("sparse_softmax_cross_entropy", "labels"),
    ("sigmoid_binary_cross_entropy", "unit"),
]
FLOORS = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("shape", [(1, 4), (5, 3), (7, 1), (2, 3, 2, 5)])
@pytest.mark.parametrize(("name", "kwargs", "true", "pred"), FROM_PREDICTIONS)
def test_gradient_from_predictions(ops, rng, name, kwargs, true, pred, shape):
    y_true, y_pred = draw(rng, true, shape, float), draw(rng, pred, shape, float)
    f, f_backward = getattr(ops, name), getattr(ops, f"{name}_backward")
    values = f(y_true, y_pred, **kwargs)
    assert values.shape == shape[:-1]
    upstream = rng.normal(size=values.shape)
    analytic = upstream[..., np.newaxis] * f_backward(y_true, y_pred, **kwargs)
    numeric = numerical_gradient(lambda p: (upstream * f(y_true, p, **kwargs)).sum(), y_pred)
    assert analytic.shape == shape
    assert np.abs(numeric).max() > 0.01 or shape[-1] == 1
    assert relative_error(analytic, numeric) < 1e-6


@pytest.mark.parametrize(
    ("axis", "values_shape"), [(None, ()), (0, (2, 4, 5)), ((1, 2, 3), (3,)), ((0, 3), (2, 4))]
)
def test_gradient_of_regions(ops, rng, axis, values_shape):
    t, p = draw(rng, "binary", (3, 2, 4, 5), float), draw(rng, "unit", (3, 2, 4, 5), float)
    values = ops.tversky(t, p, 0.3, 0.8, axis)
    assert np.shape(values) == values_shape
    analytic = ops.tversky_backward(t, p, 0.3, 0.8, axis)
    numeric = numerical_gradient(lambda p: np.sum(ops.tversky(t, p, 0.3, 0.8, axis)), p)
    assert relative_error(analytic, numeric) < 1e-6


@pytest.mark.parametrize("shape", [(1, 4), (5, 3), (2, 3, 2, 5)])
@pytest.mark.parametrize(("name", "true"), FROM_LOGITS)
def test_gradient_from_logits(ops, rng, name, true, shape):
    t, z = draw(rng, true, shape, float), 3 * draw(rng, "real", shape, float)
    f, f_backward = getattr(ops, name), getattr(ops, f"{name}_backward")
    values, p = f(z, t)
    assert values.shape == shape[:-1]
    upstream = rng.normal(size=values.shape)
    analytic = upstream[..., np.newaxis] * f_backward(p, t)
    numeric = numerical_gradient(lambda z: (upstream * f(z, t)[0]).sum(), z)
    assert relative_error(analytic, numeric) < 1e-6


@pytest.mark.parametrize(("name", "kwargs", "true", "pred"), FROM_PREDICTIONS)
def test_float32_stays_float32(ops, rng, name, kwargs, true, pred):
    y_true, y_pred = draw(rng, true, (4, 3), "float32"), draw(rng, pred, (4, 3), "float32")
    assert getattr(ops, name)(y_true, y_pred, **kwargs).dtype == np.float32
    assert getattr(ops, f"{name}_backward")(y_true, y_pred, **kwargs).dtype == np.float32


@pytest.mark.parametrize(("name", "true"), FROM_LOGITS)
def test_float32_stays_float32_from_logits(ops, rng, name, true):
    t, z = draw(rng, true, (4, 3), "float32"), draw(rng, "real", (4, 3), "float32")
    values, p = getattr(ops, name)(z, t)
    dz = getattr(ops, f"{name}_backward")(p, t)
    assert values.dtype == p.dtype == dz.dtype == np.float32


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 5),
    c=st.integers(2, 7),
    scale=st.sampled_from([0.1, 1.0, 30.0]),
)
@FLOORS
def test_softmax_cross_entropy_properties(ops, seed, n, c, scale):
    """What must hold for all logits: p sums to 1, dz sums to 0, a shift of z changes nothing."""
    rng = np.random.default_rng(seed)
    z, labels = scale * rng.normal(size=(n, c)), rng.integers(0, c, n)
    t = np.eye(c)[labels]
    values, p = ops.softmax_cross_entropy(z, t)
    dz = ops.softmax_cross_entropy_backward(p, t)
    assert np.abs(p.sum(axis=-1) - 1).max() < 1e-12
    assert np.abs(dz.sum(axis=-1)).max() < 1e-12
    shift = 100 * rng.normal(size=(n, 1))
    shifted, _ = ops.softmax_cross_entropy(z + shift, t)
    assert np.abs(shifted - values).max() < 1e-9
    sparse, sparse_p = ops.sparse_softmax_cross_entropy(z, labels)
    assert np.abs(sparse - values).max() < 1e-12
    assert np.abs(sparse_p - p).max() < 1e-12
    assert np.abs(ops.sparse_softmax_cross_entropy_backward(p, labels) - dz).max() < 1e-12


def test_maximum_is_taken_row_by_row(ops):
    """With one maximum for the whole batch, the second row would underflow to 0 / 0."""
    z = np.array([[1e4, 1e4 - 1], [-1e4, -1e4 - 1]], np.float32)
    values, p = ops.softmax_cross_entropy(z, np.array([[0, 1], [0, 1]], np.float32))
    expected = 1 + np.log1p(np.exp(-1))
    assert np.abs(values - expected).max() < 1e-6
    assert np.abs(p[0] - p[1]).max() < 1e-6


def test_huge_logits(ops):
    """Confident and wrong: neither an overflow nor a vanished gradient."""
    z = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 0]], np.float32)
    labels = np.array([1, 1])
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        values, p = ops.sparse_softmax_cross_entropy(z, labels)
        dz = ops.sparse_softmax_cross_entropy_backward(p, labels)
    assert np.array_equal(values, [2e4, 0])
    assert np.array_equal(dz, [[1, -1, 0], [0, 0, 0]])


def test_huge_logits_of_a_sigmoid(ops):
    z = np.array([[1e4], [-1e4], [1e4], [-1e4]], np.float32)
    t = np.array([[0], [1], [1], [0]], np.float32)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        values, p = ops.sigmoid_binary_cross_entropy(z, t)
        dz = ops.sigmoid_binary_cross_entropy_backward(p, t)
    assert np.array_equal(values, [1e4, 1e4, 0, 0])
    assert np.array_equal(dz, [[1], [-1], [0], [0]])


def test_probabilities_are_clipped(ops):
    """log 0 does not occur, and where the clip holds there is no gradient."""
    y_pred = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    labels = np.array([1, 1])
    values = ops.sparse_categorical_cross_entropy(labels, y_pred)
    assert abs(values[0] + np.log(1e-7)) < 1e-5
    assert 0 <= values[1] < 2e-7
    assert np.array_equal(ops.sparse_categorical_cross_entropy_backward(labels, y_pred), 0 * y_pred)
    t = np.array([[1.0], [0.0]], np.float32)
    values = ops.binary_cross_entropy(t, 1 - t)
    # The number of float32 that is next to 1 - 1e-7 is 1 - 2^-23.
    assert np.abs(values - [-np.log(1e-7), 23 * np.log(2)]).max() < 1e-5
    assert np.array_equal(ops.binary_cross_entropy_backward(t, 1 - t), [[0], [0]])


@pytest.mark.parametrize("label", [-1, 3, 255])
def test_a_label_that_is_no_class_counts_nothing(ops, rng, label):
    labels = np.array([1, label])
    y_pred = draw(rng, "probabilities", (2, 3), float)
    values, p = ops.sparse_softmax_cross_entropy(y_pred, labels)
    dz = ops.sparse_softmax_cross_entropy_backward(p, labels)
    assert values[0] > 0
    assert values[1] == 0
    assert not dz[1].any()
    assert ops.sparse_categorical_cross_entropy(labels, y_pred)[1] == 0
    assert not ops.sparse_categorical_cross_entropy_backward(labels, y_pred)[1].any()


def test_one_hot(ops):
    t = ops.one_hot(np.array([[0, 2], [1, -1]]), 3, "float32")
    assert t.dtype == np.float32
    assert t.tolist() == [[[1, 0, 0], [0, 0, 1]], [[0, 1, 0], [0, 0, 0]]]


def test_log_cosh_does_not_overflow(ops):
    y_pred = np.array([[1e4], [-1e4], [0]], np.float32)
    with np.errstate(over="raise"):
        values = ops.log_cosh(np.zeros_like(y_pred), y_pred)
    assert np.abs(values - [1e4 - np.log(2), 1e4 - np.log(2), 0]).max() < 1e-3


def test_binary_labels_of_a_hinge_become_signs(ops, rng):
    y_pred = draw(rng, "real", (6, 2), float)
    binary = draw(rng, "binary", (6, 2), float)
    for name in ("hinge", "squared_hinge", "hinge_backward", "squared_hinge_backward"):
        f = getattr(ops, name)
        assert np.array_equal(f(binary, y_pred), f(2 * binary - 1, y_pred))
    signs = np.array([[1.0, -1.0]])
    assert ops.hinge(signs, np.array([[0.5, 0.5]])) == (0.5 + 1.5) / 2


def test_a_row_of_zeros_has_no_direction(ops):
    t = np.array([[1, 2], [0, 0], [3, 4]], np.float32)
    y_pred = np.array([[0, 0], [1, 1], [-6, -8]], np.float32)
    with np.errstate(all="raise"):
        values = ops.cosine_similarity(t, y_pred)
        dy = ops.cosine_similarity_backward(t, y_pred)
    assert np.abs(values - [0, 0, 1]).max() < 1e-6
    assert np.abs(dy).max() < 1e-6


def test_no_count_and_none_expected(ops):
    """Poisson: log 0 does not occur, and the best prediction is the count itself."""
    counts = np.array([[0, 2, 0]], np.float32)
    with np.errstate(all="raise"):
        value = ops.poisson(counts, np.array([[0, 0, 0]], np.float32))
        dy = ops.poisson_backward(counts, np.array([[0, 2, 1]], np.float32))
    assert abs(value[0] + 2 / 3 * np.log(1e-7)) < 1e-4
    assert np.abs(dy - [[1 / 3, 0, 1 / 3]]).max() < 1e-6
