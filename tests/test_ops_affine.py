"""Affine maps of pictures: against a loop, finite differences and their adjoints."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from minicnn.backends import numba as fast
from minicnn.backends.numba import threads
from minicnn.backends.numpy.affine import FILL_MODES, INTERPOLATIONS
from minicnn.checking import numerical_gradient, relative_error

MODES = list(product(INTERPOLATIONS, FILL_MODES))
each_mode = pytest.mark.parametrize(("interpolation", "fill_mode"), MODES)
# The shape of x and the size of y: odd, one image, one row, one pixel; larger, smaller.
SHAPES = [
    ((2, 4, 5, 3), (4, 5)),
    ((1, 3, 3, 1), (7, 8)),
    ((3, 6, 5, 2), (2, 3)),
    ((2, 1, 4, 1), (3, 4)),
    ((1, 1, 1, 2), (2, 2)),
]


def random_maps(rng, n):
    """Maps that point well beyond the picture on all sides, too; none at a border of pixels."""
    return np.eye(2, 3) + rng.normal(size=(n, 2, 3)) * [0.7, 0.7, 3.0]


def naive_affine2d(x, A, size, interpolation, fill_mode, fill_value):
    """Each new pixel asks for the value at its place, on a picture without end."""
    y = np.zeros((len(x), *size, x.shape[3]))
    for image, r, q in np.ndindex(y.shape[:3]):
        u, v = A[image % len(A)] @ [r, q, 1]
        endless = Endless(x[image], fill_mode, fill_value)
        if interpolation == "nearest":
            y[image, r, q] = endless[away_from_zero(u), away_from_zero(v)]
            continue
        p, o = math.floor(u), math.floor(v)
        above = (1 - v + o) * endless[p, o] + (v - o) * endless[p, o + 1]
        below = (1 - v + o) * endless[p + 1, o] + (v - o) * endless[p + 1, o + 1]
        y[image, r, q] = (1 - u + p) * above + (u - p) * below
    return y


def away_from_zero(u):
    return int(math.copysign(math.floor(abs(u) + 0.5), u))


class Endless:
    """A picture that goes on beyond its border: laid out several times, or with a wide border."""

    PAD = {"constant": "constant", "nearest": "edge", "reflect": "symmetric", "wrap": "wrap"}

    def __init__(self, picture, fill_mode, fill_value):
        values = {"constant_values": fill_value} if fill_mode == "constant" else {}
        self.far = 60
        border = ((self.far, self.far), (self.far, self.far), (0, 0))
        self.picture = np.pad(picture, border, self.PAD[fill_mode], **values)

    def __getitem__(self, place):
        row, column = place
        assert min(row, column) > -self.far
        return self.picture[row + self.far, column + self.far]


@each_mode
@pytest.mark.parametrize(("shape", "size"), SHAPES)
@pytest.mark.parametrize("shared", [False, True])
def test_against_the_loop_and_finite_differences(
    ops, rng, shape, size, interpolation, fill_mode, shared
):
    x, A = rng.normal(size=shape), random_maps(rng, 1 if shared else shape[0])
    fill_value = 0.8

    def forward(x):
        return ops.affine2d(x, A, size, interpolation, fill_mode, fill_value)

    y = forward(x)
    expected = naive_affine2d(x, A, size, interpolation, fill_mode, fill_value)
    assert y.shape == expected.shape
    assert np.abs(y - expected).max() < 1e-12
    dy = rng.normal(size=y.shape)
    dx = ops.affine2d_backward(dy, A, shape, interpolation, fill_mode)
    assert dx.shape == shape
    linear = y - forward(np.zeros_like(x))  # what does not come from fill_value
    assert abs((dy * linear).sum() - (dx * x).sum()) < 1e-11
    numerical = numerical_gradient(lambda x: (forward(x) * dy).sum(), x)
    assert np.abs(dx - numerical).max() < 1e-6 * max(1, np.abs(dx).max())


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    image=st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5), st.integers(1, 4)),
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    modes=st.sampled_from(MODES),
    seed=st.integers(0, 2**32 - 1),
)
def test_pictures_of_any_shape(ops, image, size, modes, seed):
    rng = np.random.default_rng(seed)
    x, A = rng.normal(size=image), random_maps(rng, image[0])
    y = ops.affine2d(x, A, size, *modes, -1.5)
    assert np.abs(y - naive_affine2d(x, A, size, *modes, -1.5)).max() < 1e-12
    dy = rng.normal(size=y.shape)
    dx = ops.affine2d_backward(dy, A, image, *modes)
    linear = y - ops.affine2d(np.zeros_like(x), A, size, *modes, -1.5)
    assert abs((dy * linear).sum() - (dx * x).sum()) < 1e-11


@each_mode
def test_whole_pixels_are_moved_as_they_are(ops, rng, interpolation, fill_mode):
    """Exact to the bit: turned by a quarter, mirrored, and the identity."""
    x = rng.normal(size=(2, 4, 4, 3)).astype(np.float32)
    quarter = np.array([[[0.0, 1.0, 0.0], [-1.0, 0.0, 3.0]]])
    mirror = np.array([[[1.0, 0.0, 0.0], [0.0, -1.0, 3.0]]])
    for A, expected in (
        (quarter, np.rot90(x, 1, (1, 2))),
        (mirror, x[:, :, ::-1]),
        (np.eye(2, 3)[np.newaxis], x),
    ):
        y = ops.affine2d(x, A, (4, 4), interpolation, fill_mode)
        np.testing.assert_array_equal(y, expected)
        dx = ops.affine2d_backward(y, A, x.shape, interpolation, fill_mode)
        np.testing.assert_array_equal(dx, x)


def test_halves_go_away_from_zero(ops):
    x = np.arange(1.0, 4.0).reshape(1, 1, 3, 1)
    shift = np.array([[[1.0, 0.0, 0.0], [0.0, 1.0, -0.5]]])
    y = ops.affine2d(x, shift, (1, 4), "nearest", "constant", 9.0)
    assert y.ravel().tolist() == [9, 2, 3, 9]


@each_mode
def test_float32_stays_float32(ops, rng, interpolation, fill_mode):
    x, A = rng.normal(size=(2, 4, 5, 3)), random_maps(rng, 2).astype(np.float32)
    y = ops.affine2d(x.astype(np.float32), A, (3, 3), interpolation, fill_mode, 0.25)
    assert y.dtype == np.float32
    exact = ops.affine2d(x, A.astype(np.float64), (3, 3), interpolation, fill_mode, 0.25)
    assert relative_error(y, exact) < 1e-6
    dx = ops.affine2d_backward(y, A, x.shape, interpolation, fill_mode)
    assert dx.dtype == np.float32


def test_no_image_at_all(ops):
    nothing, A = np.zeros((0, 4, 5, 3)), np.zeros((1, 2, 3))
    assert ops.affine2d(nothing, A, (2, 3)).shape == (0, 2, 3, 3)
    assert ops.affine2d_backward(np.zeros((0, 2, 3, 3)), A, (0, 4, 5, 3)).shape == (0, 4, 5, 3)


def test_unknown_modes(ops):
    x, A = np.zeros((1, 2, 2, 1)), np.zeros((1, 2, 3))
    with pytest.raises(ValueError, match=r"interpolation: expected 'nearest' or .*got 'bicubic'"):
        ops.affine2d(x, A, (2, 2), "bicubic")
    with pytest.raises(ValueError, match=r"interpolation: .*got 'bicubic'"):
        ops.affine2d_backward(x, A, (1, 2, 2, 1), "bicubic")
    with pytest.raises(ValueError, match=r"fill_mode: expected 'constant' or .*got 'mirror'"):
        ops.affine2d(x, A, (2, 2), "nearest", "mirror")
    with pytest.raises(ValueError, match=r"fill_mode: .*got 'mirror'"):
        ops.affine2d_backward(x, A, (1, 2, 2, 1), "nearest", "mirror")


@each_mode
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_to_the_bit_whatever_the_number_of_workers(
    rng, monkeypatch, dtype, interpolation, fill_mode
):
    x, A = rng.normal(size=(5, 7, 6, 3)).astype(dtype), random_maps(rng, 5)
    dy, results = rng.normal(size=(5, 6, 9, 3)).astype(dtype), []
    *functions, _ = threads._numba_threads()
    monkeypatch.setattr(threads, "_numba_threads", lambda: (*functions, 1))
    monkeypatch.setattr(threads, "WORTH_WAKING", 0)
    for workers in (1, 2, 3, 7):
        monkeypatch.setattr(threads, "workers", workers)
        y = fast.affine2d(x, A, (6, 9), interpolation, fill_mode, 0.5)
        results.append((y, fast.affine2d_backward(dy, A, x.shape, interpolation, fill_mode)))
    for y, dx in results[1:]:
        np.testing.assert_array_equal(y, results[0][0])
        np.testing.assert_array_equal(dx, results[0][1])
