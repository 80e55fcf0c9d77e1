"""Means of losses, matches, running means: by their definitions."""

import numpy as np
import pytest

from minicnn.backends import numba as fast, numpy as textbook

each_floor = pytest.mark.parametrize("ops", [textbook, fast], ids=["numpy", "numba"])


@each_floor
@pytest.mark.parametrize("shape", [(1, 3), (7, 4), (2, 5, 3)])
def test_the_gradient_of_a_mean_loss(rng, ops, shape):
    """Of L = 1/n sum_i w_i . y_i along any direction, by central differences."""
    w, y, direction = rng.normal(size=(3, *shape))
    count, h = y[..., 0].size, 1e-4

    def value(y):
        return ops.mean_loss((w * y).sum(axis=-1), w, count)[0]

    total, dy = ops.mean_loss((w * y).sum(axis=-1), w, count)
    assert total == pytest.approx((w * y).sum() / count)
    slope = (value(y + h * direction) - value(y - h * direction)) / (2 * h)
    assert (dy * direction).sum() == pytest.approx(slope, rel=1e-9)


@each_floor
def test_matches(ops):
    p = np.array([[0.1, 0.7, 0.2], [0.5, 0.5, 0.0], [0.2, np.nan, 0.8], [0.0, 0.0, 0.0]])
    t = np.array([[0, 1, 0], [0, 1, 0], [0, 1, 0], [1, 0, 0]])
    found = ops.categorical_matches(t, p)
    assert found.dtype == np.float32
    assert found.tolist() == [1, 0, 1, 1]
    assert ops.sparse_matches(t.argmax(axis=-1), p).tolist() == [1, 0, 1, 1]
    assert ops.sparse_matches(np.array([[1, -1], [9, 0]]), p.reshape(2, 2, 3)).tolist() == [
        [1, 0],
        [0, 1],
    ]


@each_floor
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_running_mean(rng, ops, dtype):
    """From the values of some batches, and from the means of others."""
    total, count, all_values = np.zeros((), dtype), np.zeros((), dtype), []
    for n in (1, 5, 12):
        values = rng.normal(size=n).astype(dtype)
        ops.add_to_mean(total, count, values, 1)
        all_values.append(values)
        values = rng.normal(size=n).astype(dtype)
        ops.add_to_mean(total, count, values.mean(), n)
        all_values.append(values)
    assert total.dtype == count.dtype == dtype
    assert count == 36
    expected = np.concatenate(all_values).mean(dtype=np.float64)
    assert total / count == pytest.approx(expected, abs=1e-6)
