"""Batch and layer normalization on every floor."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from minicnn.checking import numerical_gradient, relative_error

EPSILON = 1e-3


def check_gradients(rng, x, gamma, beta, forward, backward):
    """dx, dgamma and dbeta against finite differences of sum(dy y) with a random dy."""
    y, saved = forward()
    dy = rng.normal(size=y.shape)
    gradients = backward(dy, saved)
    for array, gradient in zip((x, gamma, beta), gradients, strict=True):
        if array is None:
            assert gradient is None
            continue
        expected = numerical_gradient(lambda _: float((dy * forward()[0]).sum()), array)
        assert gradient.shape == array.shape
        assert relative_error(gradient, expected) < 1e-6


def batch_norm(ops, x, gamma, beta, axes):
    y, _, _, saved = ops.batch_norm(x, gamma, beta, EPSILON, axes)
    return y, saved


@pytest.mark.parametrize(
    ("shape", "axes", "channels"),
    [
        ((5, 3), (0,), (3,)),
        ((3, 2, 4, 2), (0, 1, 2), (2,)),
        ((3, 2, 4, 2), (0, 2, 3), (2,)),  # the channels come second
        ((3, 2, 4, 2), (0, -2, -1), (1, 2, 1, 1)),
        ((1, 3, 2, 1), (0, 1, 2), (1,)),
        ((4, 3, 2), (0, 1), (1, 1, 2)),
    ],
)
@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("shift", [True, False])
def test_batch_norm_gradient(ops, rng, shape, axes, channels, scale, shift):
    x = 2 + 3 * rng.normal(size=shape)
    gamma = rng.normal(size=channels) if scale else None
    beta = rng.normal(size=channels) if shift else None
    check_gradients(
        rng, x, gamma, beta, lambda: batch_norm(ops, x, gamma, beta, axes), ops.batch_norm_backward
    )


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    shape=st.tuples(st.integers(2, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)),
    axes=st.sampled_from([(-1,), (3,), (1, 2, 3), (2, 3), (1,), (-2, -1)]),
    seed=st.integers(0, 999),
)
def test_layer_norm_gradient(ops, shape, axes, seed):
    rng = np.random.default_rng(seed)
    x = 1 + rng.normal(size=shape)
    sizes = tuple(shape[axis] for axis in sorted(axis % 4 for axis in axes))
    gamma, beta = rng.normal(size=sizes), rng.normal(size=sizes)
    for g, b in ((gamma, beta), (None, beta), (gamma, None), (None, None)):
        check_gradients(
            rng,
            x,
            g,
            b,
            lambda g=g, b=b: ops.layer_norm(x, g, b, EPSILON, axes),
            ops.layer_norm_backward,
        )


@pytest.mark.parametrize("channels", [(3,), (1, 4, 1), (1, 1, 3)])
@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("shift", [True, False])
def test_batch_norm_inference_gradient(ops, rng, channels, scale, shift):
    x = rng.normal(size=(2, 4, 3))
    mean, variance = rng.normal(size=channels), rng.uniform(0.5, 2, size=channels)
    gamma = rng.normal(size=channels) if scale else None
    beta = rng.normal(size=channels) if shift else None
    check_gradients(
        rng,
        x,
        gamma,
        beta,
        lambda: ops.batch_norm_inference(x, gamma, beta, mean, variance, EPSILON),
        ops.batch_norm_inference_backward,
    )


def test_batch_norm_values(ops, rng):
    x = rng.normal(size=(4, 3, 2, 5))
    gamma, beta = rng.normal(size=5), rng.normal(size=5)
    y, mean, variance, _ = ops.batch_norm(x, gamma, beta, EPSILON, (0, 1, 2))
    assert mean.shape == variance.shape == (5,)
    for c in range(5):
        column = x[..., c].ravel()
        mu = sum(column) / 24
        var = sum((column - mu) ** 2) / 24
        assert abs(mean[c] - mu) < 1e-12
        assert abs(variance[c] - var) < 1e-12
        expected = gamma[c] * (x[..., c] - mu) / (var + EPSILON) ** 0.5 + beta[c]
        assert np.abs(y[..., c] - expected).max() < 1e-12


def test_training_and_inference_agree_on_the_same_statistics(ops, rng):
    x = rng.normal(size=(4, 3, 2, 5))
    gamma, beta = rng.normal(size=5), rng.normal(size=5)
    y, mean, variance, _ = ops.batch_norm(x, gamma, beta, EPSILON, (0, 1, 2))
    again, _ = ops.batch_norm_inference(x, gamma, beta, mean, variance, EPSILON)
    assert np.abs(y - again).max() < 1e-12


def test_layer_norm_values(ops, rng):
    x = rng.normal(size=(2, 3, 4))
    gamma, beta = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    y, _ = ops.layer_norm(x, gamma, beta, EPSILON, (1, 2))
    for i in range(2):
        mu = x[i].sum() / 12
        var = ((x[i] - mu) ** 2).sum() / 12
        expected = gamma * (x[i] - mu) / (var + EPSILON) ** 0.5 + beta
        assert np.abs(y[i] - expected).max() < 1e-12


def test_float32_stays(ops, rng):
    x, dy = (rng.normal(size=(4, 3, 2, 5)).astype(np.float32) for _ in range(2))
    gamma, beta = (rng.normal(size=5).astype(np.float32) for _ in range(2))
    y, mean, variance, saved = ops.batch_norm(x, gamma, beta, EPSILON, (0, 1, 2))
    arrays = [y, mean, variance, *ops.batch_norm_backward(dy, saved)]
    y, saved = ops.batch_norm_inference(x, gamma, beta, mean, variance, EPSILON)
    arrays += [y, *ops.batch_norm_inference_backward(dy, saved)]
    y, saved = ops.layer_norm(x, gamma, beta, EPSILON, (-1,))
    arrays += [y, *ops.layer_norm_backward(dy, saved)]
    assert {a.dtype for a in arrays} == {np.dtype(np.float32)}


def test_float32_is_precise(ops, rng):
    """Far from zero, mean(x^2) - mean(x)^2 would leave nothing; over 40,000 numbers a plain float32
    sum would lose two digits."""
    x = (1000 + rng.normal(size=(40, 32, 32, 2))).astype(np.float32)
    _, mean, variance, _ = ops.batch_norm(x, None, None, EPSILON, (0, 1, 2))
    wide = x.astype(np.float64)
    assert relative_error(mean, wide.mean(axis=(0, 1, 2))) < 1e-7
    assert relative_error(variance, wide.var(axis=(0, 1, 2))) < 1e-6


def test_gradient_is_free_of_what_the_normalization_takes_away(ops, rng):
    """A constant added to x, or a factor on x - mean, changes (almost) nothing in y; so dx is
    orthogonal to both, whatever dy is."""
    x, dy = rng.normal(size=(50, 3)), rng.normal(size=(50, 3))
    _, _, _, saved = ops.batch_norm(x, None, None, 1e-12, (0,))
    dx, _, _ = ops.batch_norm_backward(dy, saved)
    assert np.abs(dx).max() > 0.1
    assert np.abs(dx.sum(axis=0)).max() < 1e-10
    assert np.abs((dx * (x - x.mean(axis=0))).sum(axis=0)).max() < 1e-8
