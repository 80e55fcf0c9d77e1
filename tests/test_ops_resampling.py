"""Borders, cropping and upsampling: against loops, finite differences and their adjoints."""

from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from minicnn.checking import numerical_gradient, relative_error

BORDERS = [((0, 0), (0, 0)), ((1, 1), (1, 1)), ((1, 2), (0, 3)), ((0, 1), (2, 0))]
IMAGES = [(2, 4, 5, 3), (1, 4, 4, 1)]
SIZES = [(1, 1), (2, 2), (3, 1), (2, 5)]
INTERPOLATIONS = ["nearest", "bilinear"]
UPSAMPLINGS = list(product([*IMAGES, (2, 1, 1, 2), (1, 1, 3, 1)], SIZES, INTERPOLATIONS))


def naive_upsample2d(x, size, interpolation):
    """Each new pixel asks the old ones at the place where its middle lies."""
    n, h, w, c = x.shape
    y = np.zeros((n, h * size[0], w * size[1], c))
    for r, q in np.ndindex(*y.shape[1:3]):
        if interpolation == "nearest":
            y[:, r, q] = x[:, r // size[0], q // size[1]]
            continue
        for row, row_part in between(r, size[0], h):
            for col, col_part in between(q, size[1], w):
                y[:, r, q] += row_part * col_part * x[:, row, col]
    return y


def between(r, factor, n):
    """The two pixels between whose middles new pixel r has its own, and the part of each."""
    place = (r + 0.5) / factor - 0.5
    low = int(np.floor(place))
    part = place - low
    return [(min(max(low, 0), n - 1), 1 - part), (min(max(low + 1, 0), n - 1), part)]


def assert_adjoint_and_gradient(forward, backward, x, rng):
    y = forward(x)
    dy = rng.normal(size=y.shape)
    dx = backward(dy)
    assert dx.shape == x.shape
    assert np.abs(dx).max() > 0
    assert abs((dy * y).sum() - (dx * x).sum()) < 1e-12 * np.linalg.norm(dy) * np.linalg.norm(x)
    assert relative_error(dx, numerical_gradient(lambda x: (forward(x) * dy).sum(), x)) < 1e-6


@pytest.mark.parametrize(("image", "padding"), list(product(IMAGES, BORDERS)))
def test_zero_padding(ops, rng, image, padding):
    x = rng.normal(size=image)
    (top, bottom), (left, right) = padding
    n, h, w, c = image
    expected = np.zeros((n, top + h + bottom, left + w + right, c))
    for row, col in np.ndindex(h, w):
        expected[:, top + row, left + col] = x[:, row, col]
    assert np.array_equal(ops.zero_pad2d(x, padding), expected)
    assert_adjoint_and_gradient(
        lambda x: ops.zero_pad2d(x, padding),
        lambda dy: ops.zero_pad2d_backward(dy, padding),
        x,
        rng,
    )


@pytest.mark.parametrize(("image", "cropping"), list(product(IMAGES, BORDERS)))
def test_cropping(ops, rng, image, cropping):
    x = rng.normal(size=image)
    (top, bottom), (left, right) = cropping
    y = ops.crop2d(x, cropping)
    assert y.shape == (image[0], image[1] - top - bottom, image[2] - left - right, image[3])
    for row, col in np.ndindex(*y.shape[1:3]):
        assert np.array_equal(y[:, row, col], x[:, top + row, left + col])
    assert_adjoint_and_gradient(
        lambda x: ops.crop2d(x, cropping),
        lambda dy: ops.crop2d_backward(dy, image, cropping),
        x,
        rng,
    )


def test_cropping_everything(ops):
    with pytest.raises(ValueError, match=r"3 - 2 - 1 = 0"):
        ops.crop2d(np.zeros((1, 3, 3, 1)), ((2, 1), (0, 0)))


@pytest.mark.parametrize(("image", "size", "interpolation"), UPSAMPLINGS)
def test_upsampling(ops, rng, image, size, interpolation):
    x = rng.normal(size=image)
    y = ops.upsample2d(x, size, interpolation)
    assert y.shape == (image[0], image[1] * size[0], image[2] * size[1], image[3])
    assert relative_error(y, naive_upsample2d(x, size, interpolation)) < 1e-12
    assert_adjoint_and_gradient(
        lambda x: ops.upsample2d(x, size, interpolation),
        lambda dy: ops.upsample2d_backward(dy, image, size, interpolation),
        x,
        rng,
    )


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    image=st.tuples(st.integers(1, 2), st.integers(1, 5), st.integers(1, 5), st.integers(1, 3)),
    size=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    interpolation=st.sampled_from(INTERPOLATIONS),
    seed=st.integers(0, 2**32 - 1),
)
def test_upsampling_of_any_shape(ops, image, size, interpolation, seed):
    x = np.random.default_rng(seed).normal(size=image)
    y = ops.upsample2d(x, size, interpolation)
    assert relative_error(y, naive_upsample2d(x, size, interpolation)) < 1e-12
    dy = np.random.default_rng(seed + 1).normal(size=y.shape)
    dx = ops.upsample2d_backward(dy, image, size, interpolation)
    assert abs((dy * y).sum() - (dx * x).sum()) < 1e-12 * np.linalg.norm(dy) * np.linalg.norm(x)


def test_interpolating_a_plane_keeps_it_between_the_outermost_middles(ops):
    rows, cols = np.mgrid[0:4, 0:5]
    y = ops.upsample2d((2.0 * rows + 3 * cols)[None, :, :, None], (3, 3), "bilinear")
    new_rows, new_cols = (np.mgrid[0:12, 0:15] + 0.5) / 3 - 0.5
    expected = 2 * new_rows + 3 * new_cols
    assert relative_error(y[0, 1:-1, 1:-1, 0], expected[1:-1, 1:-1]) < 1e-12


def test_float32_stays_float32(ops, rng):
    x = rng.normal(size=(2, 4, 5, 3)).astype(np.float32)
    border = ((1, 0), (2, 1))
    pairs = [
        (ops.zero_pad2d(x, border), lambda dy: ops.zero_pad2d_backward(dy, border)),
        (ops.crop2d(x, border), lambda dy: ops.crop2d_backward(dy, x.shape, border)),
    ] + [
        (
            ops.upsample2d(x, (2, 3), interpolation),
            lambda dy, how=interpolation: ops.upsample2d_backward(dy, x.shape, (2, 3), how),
        )
        for interpolation in INTERPOLATIONS
    ]
    for y, backward in pairs:
        assert y.dtype == np.float32
        assert backward(np.ones_like(y)).dtype == np.float32


def test_unknown_interpolation(ops):
    x = np.zeros((1, 2, 2, 1))
    message = 'interpolation: expected "nearest" or "bilinear", got \'cubic\''
    with pytest.raises(ValueError, match=message):
        ops.upsample2d(x, (2, 2), "cubic")
    with pytest.raises(ValueError, match=message):
        ops.upsample2d_backward(x, (1, 1, 1, 1), (2, 2), "cubic")
