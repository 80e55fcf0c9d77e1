"""Constraints: what they guarantee."""

import numpy as np
import pytest

from minicnn import constraints


def norms(w, axis):
    return np.sqrt((w**2).sum(axis=axis))


@pytest.mark.parametrize("axis", [0, 1, (0, 1, 2), [0, 1], -1])
@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_norms(rng, axis, scale):
    w = scale * rng.normal(size=(3, 2, 4, 5))
    along = tuple(axis) if isinstance(axis, list) else axis
    before = norms(w, along)
    assert (norms(constraints.MaxNorm(1.5, axis)(w), along) <= 1.5).all()
    unit = norms(constraints.UnitNorm(axis)(w), along)
    assert np.abs(unit - before / (before + 1e-7)).max() < 1e-12
    between = norms(constraints.MinMaxNorm(0.5, 2, axis=axis)(w), along)
    assert (between <= 2).all()
    assert (between >= 0.5 * (1 - 1e-4)).all()


def test_what_fulfils_a_constraint_stays(rng):
    w = rng.uniform(0.1, 0.2, size=(4, 3))
    for constraint in (constraints.MaxNorm(2), constraints.MinMaxNorm(0, 2)):
        assert np.abs(constraint(w) - w).max() < 1e-7
    assert np.array_equal(constraints.NonNeg()(w), w)


def test_rate():
    """With a rate of 0.25, a quarter of the way from norm 5 to norm 1."""
    w = np.array([[3.0], [4.0]])
    assert abs(norms(constraints.MinMaxNorm(0, 1, rate=0.25)(w), 0)[0] - 4) < 1e-6


def test_non_neg():
    assert constraints.NonNeg()(np.array([-1.0, 0.0, 2.0])).tolist() == [0, 0, 2]


def test_zeros_stay_zeros():
    w = np.zeros((3, 2))
    for constraint in (constraints.MaxNorm(), constraints.UnitNorm(), constraints.MinMaxNorm(1, 2)):
        with np.errstate(all="raise"):
            assert not constraint(w).any()


@pytest.mark.parametrize("name", ["max_norm", "non_neg", "unit_norm", "min_max_norm"])
def test_float32_stays_float32(rng, name):
    w = rng.normal(size=(4, 3)).astype(np.float32)
    constraint = constraints.get(name)
    assert constraint(w).dtype == np.float32
    assert constraint(w).shape == w.shape
    assert type(constraint) is getattr(constraints, name)


def test_get():
    assert constraints.get(None) is None
    assert type(constraints.get("MaxNorm")) is constraints.MaxNorm
    assert type(constraints.get(constraints.NonNeg)) is constraints.NonNeg
    constraint = constraints.UnitNorm()
    assert constraints.get(constraint) is constraint
    assert constraints.get(np.abs) is np.abs
    with pytest.raises(ValueError, match=r"unknown constraint 'maxnrom'.*Did you mean"):
        constraints.get("maxnrom")
    with pytest.raises(TypeError, match=r"constraint: .*got 2"):
        constraints.get(2)


def test_errors():
    with pytest.raises(ValueError, match=r"^max_value: "):
        constraints.MaxNorm(-1)
    with pytest.raises(ValueError, match=r"^max_value: "):
        constraints.MinMaxNorm(2, 1)
    with pytest.raises(ValueError, match=r"^rate: "):
        constraints.MinMaxNorm(rate=1.5)
    with pytest.raises(TypeError, match=r"^axis: "):
        constraints.UnitNorm(axis="rows")
    with pytest.raises(TypeError, match=r"^axis: "):
        constraints.UnitNorm(axis=[0, 1.5])
    with pytest.raises(ValueError, match=r"axis: weights of shape \(3, 2\) have no axes"):
        constraints.UnitNorm(axis=[0, 1, 2])(np.ones((3, 2)))
