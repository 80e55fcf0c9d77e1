"""The fully connected product, and the ways into a floor and out of it."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from minicnn.checking import numerical_gradient, relative_error

SHAPES = [((1, 1), 1), ((4, 3), 5), ((2, 3, 4), 2), ((2, 1, 3, 2), 3), ((3,), 2)]


def naive_dense(x, W, b):
    y = np.zeros((*x.shape[:-1], W.shape[1]))
    for index in np.ndindex(y.shape):
        y[index] = sum(x[(*index[:-1], i)] * W[i, index[-1]] for i in range(len(W))) + b[index[-1]]
    return y


def assert_right(ops, x_shape, units, rng):
    x, b = rng.normal(size=x_shape), rng.normal(size=units)
    W = rng.normal(size=(x_shape[-1], units))
    y = ops.dense(x, W, b)
    assert y.shape == (*x_shape[:-1], units)
    assert relative_error(y, naive_dense(x, W, b)) < 1e-12
    assert relative_error(ops.dense(x, W), naive_dense(x, W, np.zeros(units))) < 1e-12
    dy = rng.normal(size=y.shape)
    gradients = ops.dense_backward(dy, x, W)
    for array, gradient in zip((x, W, b), gradients, strict=True):
        assert gradient.shape == array.shape
        assert np.abs(gradient).max() > 0
        numerical = numerical_gradient(lambda _: (ops.dense(x, W, b) * dy).sum(), array)
        assert relative_error(gradient, numerical) < 1e-6


@pytest.mark.parametrize(("x_shape", "units"), SHAPES)
def test_forward_and_gradients(ops, rng, x_shape, units):
    assert_right(ops, x_shape, units, rng)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    x_shape=st.lists(st.integers(1, 4), min_size=2, max_size=4).map(tuple),
    units=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_shape(ops, x_shape, units, seed):
    assert_right(ops, x_shape, units, np.random.default_rng(seed))


@pytest.mark.parametrize(("x_shape", "units"), SHAPES)
def test_backward_is_the_adjoint(ops, rng, x_shape, units):
    x, other_x = rng.normal(size=(2, *x_shape))
    W, other_W = rng.normal(size=(2, x_shape[-1], units))
    dy = rng.normal(size=(*x_shape[:-1], units))
    dx, dW, _ = ops.dense_backward(dy, x, W)
    assert abs((dy * ops.dense(other_x, W)).sum() - (dx * other_x).sum()) < 1e-12
    assert abs((dy * ops.dense(x, other_W)).sum() - (dW * other_W).sum()) < 1e-12


def test_without_the_input_gradient(ops, rng):
    x, W, dy = rng.normal(size=(4, 3)), rng.normal(size=(3, 2)), rng.normal(size=(4, 2))
    dx, dW, db = ops.dense_backward(dy, x, W, input_gradient=False)
    assert dx is None
    assert np.array_equal(dW, ops.dense_backward(dy, x, W)[1])
    assert np.array_equal(db, ops.dense_backward(dy, x, W)[2])


def test_float32_stays_float32_and_arguments_as_they_are(ops, rng):
    x, W, b, dy = (
        rng.normal(size=shape).astype(np.float32) for shape in ((4, 3), (3, 2), (2,), (4, 2))
    )
    before = [array.copy() for array in (x, W, b, dy)]
    y = ops.dense(x, W, b)
    gradients = ops.dense_backward(dy, x, W)
    assert [array.dtype for array in (y, *gradients)] == [np.float32] * 4
    assert relative_error(y, naive_dense(*(a.astype(np.float64) for a in (x, W, b)))) < 1e-6
    for array, copy in zip((x, W, b, dy), before, strict=True):
        assert np.array_equal(array, copy)


def test_in_and_out(ops):
    x = ops.asarray([[1, 2], [3, 4]], "float32")
    assert x.dtype == np.float32
    assert x.shape == (2, 2)
    back = ops.to_numpy(x)
    assert type(back) is np.ndarray
    assert back.tolist() == [[1, 2], [3, 4]]
    assert ops.to_numpy(ops.asarray(np.arange(3, dtype=np.uint8))).dtype == np.uint8
    assert ops.to_numpy(ops.asarray(np.arange(6.0)[::2], "float64")).tolist() == [0, 2, 4]
