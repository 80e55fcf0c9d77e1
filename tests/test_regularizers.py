"""Regularizers: penalties and their gradients."""

import numpy as np
import pytest

from minicnn import regularizers
from minicnn.checking import numerical_gradient, relative_error

CASES = [
    regularizers.L1(0.3),
    regularizers.L2(0.3),
    regularizers.L1L2(0.2, 0.3),
    regularizers.OrthogonalRegularizer(0.5),
    regularizers.OrthogonalRegularizer(0.5, "columns"),
]
each_case = pytest.mark.parametrize("regularizer", CASES, ids=lambda r: type(r).__name__)


def test_values():
    w = np.array([[1.0, -2.0], [0.0, 3.0]])
    assert abs(regularizers.L1(0.1)(w) - 0.6) < 1e-12
    assert abs(regularizers.L2(0.1)(w) - 1.4) < 1e-12
    assert abs(regularizers.L1L2(0.1, 0.01)(w) - 0.74) < 1e-12
    # The rows (1, -2) and (0, 3) have the cosine -2 / sqrt 5; there is one pair.
    assert abs(regularizers.OrthogonalRegularizer(0.5)(w) - 0.5 * 2 / np.sqrt(5)) < 1e-12
    columns = regularizers.OrthogonalRegularizer(0.5, "columns")
    assert abs(columns(w) - regularizers.OrthogonalRegularizer(0.5)(w.T)) < 1e-12
    assert regularizers.OrthogonalRegularizer()(np.eye(4)) == 0


@each_case
@pytest.mark.parametrize("shape", [(4, 3), (2, 5)])
def test_gradient(rng, regularizer, shape):
    w = rng.normal(size=shape)
    numeric = numerical_gradient(regularizer, w)
    assert np.abs(numeric).max() > 1e-3
    assert relative_error(regularizer.gradient(w), numeric) < 1e-6


@pytest.mark.parametrize("regularizer", CASES[:3], ids=lambda r: type(r).__name__)
def test_gradient_of_a_kernel(rng, regularizer):
    w = rng.normal(size=(3, 2, 2, 4))
    assert relative_error(regularizer.gradient(w), numerical_gradient(regularizer, w)) < 1e-6


@each_case
def test_float32_stays_float32(rng, regularizer):
    w = rng.normal(size=(4, 3)).astype(np.float32)
    assert regularizer(w).dtype == regularizer.gradient(w).dtype == np.float32
    assert np.ndim(regularizer(w)) == 0


def test_kinks_and_corners():
    assert regularizers.L1(0.5).gradient(np.array([0.0, 2.0])).tolist() == [0, 0.5]
    orthogonal = regularizers.OrthogonalRegularizer()
    with np.errstate(all="raise"):
        assert orthogonal(np.ones((1, 3))) == 0
        assert not orthogonal.gradient(np.ones((1, 3))).any()
        w = np.array([[0.0, 0.0], [1.0, 2.0]])
        assert orthogonal(w) == 0
        assert np.isfinite(orthogonal.gradient(w)).all()


def test_get():
    assert regularizers.get(None) is None
    assert type(regularizers.get("l1")) is regularizers.L1
    assert type(regularizers.get("L2")) is regularizers.L2
    assert type(regularizers.get("l1_l2")) is type(regularizers.get("L1L2")) is regularizers.L1L2
    assert regularizers.get("l2").l2 == 0.01
    assert type(regularizers.get(regularizers.L1)) is regularizers.L1
    regularizer = regularizers.l2(0.3)
    assert regularizers.get(regularizer) is regularizer
    orthogonal = regularizers.get("OrthogonalRegularizer")
    assert type(orthogonal) is regularizers.OrthogonalRegularizer


def test_a_regularizer_of_ones_own():
    class Cubes(regularizers.Regularizer):
        def __call__(self, w):
            return (w**3).sum()

        def gradient(self, w):
            return 3 * w**2

    assert regularizers.get(Cubes)(np.array([2.0])) == 8
    with pytest.raises(TypeError, match="a function has no gradient: subclass Regularizer"):
        regularizers.get(lambda w: w.sum())


def test_errors():
    with pytest.raises(ValueError, match="unknown regularizer 'l3'"):
        regularizers.get("l3")
    with pytest.raises(TypeError, match=r"did you mean L2\(0.01\)"):
        regularizers.get(0.01)
    for bad in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match=r"^l1: "):
            regularizers.L1(bad)
        with pytest.raises(ValueError, match=r"^l2: "):
            regularizers.L1L2(l2=bad)
        with pytest.raises(ValueError, match=r"^factor: "):
            regularizers.OrthogonalRegularizer(bad)
    with pytest.raises(TypeError, match=r"^l2: "):
        regularizers.L2("strong")
    with pytest.raises(ValueError, match=r"^mode: .*'both'"):
        regularizers.OrthogonalRegularizer(mode="both")
    with pytest.raises(ValueError, match=r"needs a matrix \(rank 2\), got shape \(2, 2, 2\)"):
        regularizers.OrthogonalRegularizer()(np.ones((2, 2, 2)))
