"""Pooling: against loops, finite differences and its own rule for ties."""

from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings, strategies as st

from minicnn.checking import numerical_gradient, relative_error

# (image, pool_size, strides, padding): overlapping, strided, non-square, not dividing the input.
CASES = [
    ((2, 5, 7, 3), pool_size, strides, padding)
    for pool_size, strides, padding in product(
        [(1, 1), (2, 2), (3, 2), (2, 4)], [(1, 1), (2, 2), (3, 2)], ["valid", "same"]
    )
] + [
    ((1, 1, 1, 1), (1, 1), (1, 1), "valid"),
    ((1, 4, 6, 2), (4, 6), (4, 6), "valid"),
    ((1, 2, 2, 1), (3, 3), (1, 1), "same"),
    ((3, 6, 6, 1), (2, 2), (3, 3), "valid"),
    ((1, 3, 9, 2), (1, 3), (2, 4), "same"),
]
every_case = pytest.mark.parametrize(("image", "pool_size", "strides", "padding"), CASES)


def windows_of(x, pool_size, strides, padding):
    """From the definition: ``(n, r, q, c)`` and the (tap, row, column) that are on the image."""
    starts = []
    for n, k, s in zip(x.shape[1:3], pool_size, strides, strict=True):
        if padding == "valid":
            starts.append(list(range(0, n - k + 1, s)))
        else:
            count = int(np.ceil(n / s))
            before = max((count - 1) * s + k - n, 0) // 2
            starts.append([r * s - before for r in range(count)])
    for (r, top), (q, left) in product(enumerate(starts[0]), enumerate(starts[1])):
        places = [
            (i * pool_size[1] + j, top + i, left + j)
            for i, j in np.ndindex(*pool_size)
            if 0 <= top + i < x.shape[1] and 0 <= left + j < x.shape[2]
        ]
        for n, c in np.ndindex(x.shape[0], x.shape[3]):
            yield (n, r, q, c), places


def naive_max(x, *geometry):
    """``{(n, r, q, c): (maximum, tap, row, column)}``; ``max`` returns the first one."""
    return {
        (n, r, q, c): max(
            ((x[n, row, col, c], tap, row, col) for tap, row, col in places), key=lambda p: p[0]
        )
        for (n, r, q, c), places in windows_of(x, *geometry)
    }


def naive_average(x, *geometry):
    return {
        (n, r, q, c): np.mean([x[n, row, col, c] for _, row, col in places])
        for (n, r, q, c), places in windows_of(x, *geometry)
    }


def as_array(values, shape, entry=None):
    assert len(values) == np.prod(shape)
    array = np.empty(shape)
    for index, value in values.items():
        array[index] = value if entry is None else value[entry]
    return array


def distinct(rng, shape):
    """Numbers so far apart that a finite difference moves no maximum."""
    return rng.permutation(np.prod(shape)).reshape(shape) / 10 - 3


def assert_gradients(ops, rng, image, *geometry):
    x = distinct(rng, image)
    y, argmax = ops.max_pool2d(x, *geometry)
    dy = rng.normal(size=y.shape)
    dx = ops.max_pool2d_backward(dy, argmax, x.shape, *geometry)
    numerical = numerical_gradient(lambda x: (ops.max_pool2d(x, *geometry)[0] * dy).sum(), x)
    assert np.abs(dx).max() > 0
    assert relative_error(dx, numerical) < 1e-6

    dx = ops.average_pool2d_backward(dy, x.shape, *geometry)
    numerical = numerical_gradient(lambda x: (ops.average_pool2d(x, *geometry) * dy).sum(), x)
    assert np.abs(dx).max() > 0
    assert relative_error(dx, numerical) < 1e-6


# -- windows ------------------------------------------------------------------------------------


@every_case
def test_maximum_is_the_definition(ops, rng, image, pool_size, strides, padding):
    x = rng.normal(size=image)
    y, argmax = ops.max_pool2d(x, pool_size, strides, padding)
    expected = naive_max(x, pool_size, strides, padding)
    assert np.array_equal(y, as_array(expected, y.shape, 0))
    assert np.array_equal(argmax, as_array(expected, y.shape, 1))


@every_case
def test_the_first_of_equal_maxima(ops, rng, image, pool_size, strides, padding):
    x = rng.integers(-2, 1, size=image).astype(float)
    y, argmax = ops.max_pool2d(x, pool_size, strides, padding)
    expected = naive_max(x, pool_size, strides, padding)
    assert np.array_equal(argmax, as_array(expected, y.shape, 1))
    dy = rng.normal(size=y.shape)
    dx = np.zeros_like(x)
    for (n, r, q, c), (_, _, row, col) in expected.items():
        dx[n, row, col, c] += dy[n, r, q, c]
    got = ops.max_pool2d_backward(dy, argmax, x.shape, pool_size, strides, padding)
    assert relative_error(got, dx) < 1e-12


@every_case
def test_average_is_the_definition(ops, rng, image, pool_size, strides, padding):
    x = rng.normal(size=image)
    y = ops.average_pool2d(x, pool_size, strides, padding)
    expected = as_array(naive_average(x, pool_size, strides, padding), y.shape)
    assert relative_error(y, expected) < 1e-12


@every_case
def test_gradients(ops, rng, image, pool_size, strides, padding):
    assert_gradients(ops, rng, image, pool_size, strides, padding)


@every_case
def test_average_backward_is_the_adjoint(ops, rng, image, pool_size, strides, padding):
    x = rng.normal(size=image)
    y = ops.average_pool2d(x, pool_size, strides, padding)
    dy = rng.normal(size=y.shape)
    dx = ops.average_pool2d_backward(dy, x.shape, pool_size, strides, padding)
    assert abs((dy * y).sum() - (dx * x).sum()) < 1e-12 * np.linalg.norm(dy) * np.linalg.norm(x)


axis_of_windows = st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(1, 4))


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    height=axis_of_windows,
    width=axis_of_windows,
    batch=st.integers(1, 2),
    channels=st.integers(1, 3),
    padding=st.sampled_from(["valid", "same"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_shape(ops, height, width, batch, channels, padding, seed):
    (h, kh, sh), (w, kw, sw) = height, width
    if padding == "valid":
        assume(kh <= h and kw <= w)
    rng = np.random.default_rng(seed)
    image, geometry = (batch, h, w, channels), ((kh, kw), (sh, sw), padding)
    x = rng.integers(-3, 3, size=image).astype(float)
    y, argmax = ops.max_pool2d(x, *geometry)
    expected = naive_max(x, *geometry)
    assert np.array_equal(y, as_array(expected, y.shape, 0))
    assert np.array_equal(argmax, as_array(expected, y.shape, 1))
    average = as_array(naive_average(x, *geometry), y.shape)
    assert relative_error(ops.average_pool2d(x, *geometry), average) < 1e-12
    assert_gradients(ops, rng, image, *geometry)


def test_padding_is_never_the_maximum(ops, rng):
    x = -1 - rng.random(size=(1, 5, 5, 2))
    y, argmax = ops.max_pool2d(x, (3, 3), (1, 1), "same")
    assert (y < -1).all()
    dx = ops.max_pool2d_backward(np.ones_like(y), argmax, x.shape, (3, 3), (1, 1), "same")
    assert dx.sum() == y.size  # nothing went to the padding


def test_padding_is_not_counted(ops):
    x = np.ones((1, 5, 5, 1))
    assert np.array_equal(ops.average_pool2d(x, (3, 4), (1, 1), "same"), x)


def test_nan_makes_its_windows_nan_and_no_others(ops, rng):
    x = rng.normal(size=(1, 4, 6, 1))
    for row, col in np.ndindex(2, 2):  # each place within a window
        spoilt = x.copy()
        spoilt[0, row, 2 + col] = np.nan
        y, _ = ops.max_pool2d(spoilt, (2, 2), (2, 2))
        clean, _ = ops.max_pool2d(x, (2, 2), (2, 2))
        assert np.isnan(y[0, 0, 1, 0])
        y[0, 0, 1, 0] = clean[0, 0, 1, 0]
        assert np.array_equal(y, clean)


def test_a_window_of_more_than_256_pixels(ops):
    x = np.zeros((1, 20, 20, 1))
    x[0, 19, 18] = 1
    _, argmax = ops.max_pool2d(x, (20, 20), (20, 20))
    assert argmax.ravel().tolist() == [19 * 20 + 18]
    dx = ops.max_pool2d_backward(np.full((1, 1, 1, 1), 7.0), argmax, x.shape, (20, 20), (20, 20))
    assert np.array_equal(dx, 7 * x)


def test_float32_stays_float32(ops, rng):
    x = rng.normal(size=(2, 5, 7, 3)).astype(np.float32)
    geometry = ((3, 2), (2, 1), "same")
    y, argmax = ops.max_pool2d(x, *geometry)
    average = ops.average_pool2d(x, *geometry)
    dy = rng.normal(size=y.shape).astype(np.float32)
    everything = [
        y,
        average,
        ops.max_pool2d_backward(dy, argmax, x.shape, *geometry),
        ops.average_pool2d_backward(dy, x.shape, *geometry),
        ops.global_average_pool2d(x),
        ops.global_max_pool2d(x)[0],
        ops.global_average_pool2d_backward(dy[:, 0, 0], x.shape),
        ops.global_max_pool2d_backward(dy[:, 0, 0], ops.global_max_pool2d(x)[1], x.shape),
    ]
    assert [array.dtype for array in everything] == [np.float32] * 8
    expected = as_array(naive_average(x.astype(float), *geometry), y.shape)
    assert relative_error(average, expected) < 1e-5


def test_a_window_larger_than_its_input(ops):
    x = np.zeros((1, 3, 3, 1))
    for pool in (ops.max_pool2d, ops.average_pool2d):
        with pytest.raises(ValueError, match=r"window of 4 .*floor\(\(3 - 4\) / 1\)"):
            pool(x, (2, 4), (1, 1))


# -- whole images ---------------------------------------------------------------------------------


@pytest.mark.parametrize("image", [(2, 3, 4, 2), (1, 1, 1, 1), (3, 5, 1, 2)])
def test_global_pooling(ops, rng, image):
    x = distinct(rng, image)
    y, argmax = ops.global_max_pool2d(x)
    average = ops.global_average_pool2d(x)
    for n, c in np.ndindex(image[0], image[3]):
        pixels = [x[n, row, col, c] for row, col in np.ndindex(*image[1:3])]
        assert y[n, c] == max(pixels)
        assert argmax[n, c] == pixels.index(max(pixels))
        assert abs(average[n, c] - sum(pixels) / len(pixels)) < 1e-12

    dy = rng.normal(size=y.shape)
    dx = ops.global_max_pool2d_backward(dy, argmax, image)
    numerical = numerical_gradient(lambda x: (ops.global_max_pool2d(x)[0] * dy).sum(), x)
    assert relative_error(dx, numerical) < 1e-6
    dx = ops.global_average_pool2d_backward(dy, image)
    numerical = numerical_gradient(lambda x: (ops.global_average_pool2d(x) * dy).sum(), x)
    assert relative_error(dx, numerical) < 1e-6
    assert np.abs(dx).max() > 0


def test_global_maximum_takes_the_first_of_equals(ops):
    x = np.array([[3.0, 7], [7, 7]]).reshape(1, 2, 2, 1)
    y, argmax = ops.global_max_pool2d(x)
    assert (y.item(), argmax.item()) == (7, 1)
    dx = ops.global_max_pool2d_backward(np.array([[2.0]]), argmax, x.shape)
    assert dx.ravel().tolist() == [0, 2, 0, 0]
