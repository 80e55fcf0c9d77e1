"""What the compiled floor adds to the textbook: the same results, threads, memory, cache.

The cases of test_ops_*.py run over it, too. Here are shapes large enough to be cut up.
"""

import importlib
import inspect
import itertools
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")

from minicnn import backend
from minicnn.backends import numba as fast, numpy as textbook
from minicnn.backends.numba import arrays, compiling, correlation, threads, winograd
from minicnn.checking import numerical_gradient, relative_error

ROOT = Path(importlib.import_module("minicnn").__file__).parents[1]
PAIR = (1, 1)


@pytest.fixture(autouse=True)
def restored_threads():
    before = threads.workers
    yield
    threads.workers = before


def run(program, **environment):
    """What a program prints, in a process of its own: ``(stdout, stderr)``."""
    outcome = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout, outcome.stderr


# -- the same rooms -----------------------------------------------------------------------------


def operations(floor):
    return {
        name: value
        for name, value in vars(floor).items()
        if callable(value) and not name.startswith("_") and not inspect.isclass(value)
    }


def test_every_operation_has_the_textbooks_signature():
    assert operations(textbook).keys() <= operations(fast).keys()
    for name, operation in operations(textbook).items():
        ours, theirs = (
            [(p.name, p.kind, p.default) for p in inspect.signature(f).parameters.values()]
            for f in (operations(fast)[name], operation)
        )
        assert ours == theirs, name


def test_the_files_have_the_textbooks_names():
    here, there = (Path(floor.__file__).parent for floor in (fast, textbook))
    own = {"compiling", "conv_relu", "correlation", "loop", "threads", "transform"}
    own |= {"update_in_backward", "winograd"}
    for path in here.glob("*.py"):
        stem = path.stem.removesuffix("_kernels")
        of_kernels = {"exponential", "product", "sums", "turns", "vector", "windows"}
        assert stem in own | of_kernels or (there / f"{stem}.py").exists(), path


# -- the same results ---------------------------------------------------------------------------


def normal(rng, *shapes, dtype=np.float32):
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def assert_close(ours, exact, tolerance=1e-5):
    """Against float64, relative to the largest number; 1e-5 is what float32 leaves of a sum."""
    assert len(ours) == len(exact)
    for got, expected in zip(ours, exact, strict=True):
        assert got.dtype == np.float32
        assert got.shape == expected.shape
        assert relative_error(got, expected) < tolerance


# (images, kernel with channels of a group, strides, padding, dilation, groups)
CONVOLUTIONS = [
    ((7, 16, 15, 32), (3, 3, 32, 32), PAIR, "same", PAIR, 1),
    ((33, 9, 9, 3), (5, 4, 3, 64), PAIR, "valid", PAIR, 1),
    ((18, 28, 28, 1), (3, 3, 1, 6), PAIR, "same", PAIR, 1),
    ((5, 11, 10, 96), (3, 3, 96, 128), (2, 1), "same", PAIR, 1),
    ((40, 3, 3, 192), (3, 3, 192, 192), PAIR, "same", PAIR, 1),
    ((9, 12, 13, 24), (3, 2, 8, 30), PAIR, "same", (2, 3), 3),
    ((3, 40, 300, 2), (1, 1, 2, 5), PAIR, "valid", PAIR, 1),
    ((1, 20, 20, 17), (4, 4, 17, 9), (3, 4), "valid", PAIR, 1),
    ((90, 7, 6, 2), (3, 3, 2, 1), PAIR, "valid", PAIR, 1),  # rows of less than one vector
    ((9, 13, 12, 32), (3, 3, 32, 48), PAIR, "valid", PAIR, 1),
    ((70, 5, 6, 64), (3, 3, 64, 32), PAIR, "valid", PAIR, 1),
    ((2, 21, 17, 48), (3, 3, 48, 32), PAIR, "same", PAIR, 1),
]
convolutions = pytest.mark.parametrize(
    ("image", "kernel", "strides", "padding", "dilation", "groups"), CONVOLUTIONS
)


@convolutions
def test_conv2d(rng, image, kernel, strides, padding, dilation, groups):
    x, W, b = normal(rng, image, kernel, kernel[-1:])
    options = {"strides": strides, "padding": padding, "dilation": dilation, "groups": groups}
    y = fast.conv2d(x, W, b, **options)
    (dy,) = normal(rng, y.shape)
    gradients = fast.conv2d_backward(dy, x, W, **options)
    x, W, b, dy = (array.astype(float) for array in (x, W, b, dy))
    exact = textbook.conv2d(x, W, b, **options), *textbook.conv2d_backward(dy, x, W, **options)
    assert_close([y, *gradients], exact)


@convolutions
@pytest.mark.parametrize("pool_size", [None, (2, 2), (3, 2)])
@pytest.mark.parametrize("bias", [True, False])
def test_conv2d_relu(rng, image, kernel, strides, padding, dilation, groups, pool_size, bias):
    x, W, b = normal(rng, image, kernel, kernel[-1:])
    b = b if bias else None
    options = (strides, padding, dilation, groups)
    z = textbook.conv2d(x, W, b, *options).astype(float)
    if pool_size and (z.shape[1] < pool_size[0] or z.shape[2] < pool_size[1]):
        pytest.skip("no room for a pool")
    y, saved = fast.conv2d_relu(x, W, b, *options, pool_size)
    expected = activated = textbook.relu(z)
    if pool_size:
        expected, argmax = textbook.max_pool2d(activated, pool_size, pool_size)
    (dy,) = normal(rng, y.shape)
    got = fast.conv2d_relu_backward(dy, saved, W, *options, pool_size)
    dz = dy.astype(float)
    if pool_size:
        dz = textbook.max_pool2d_backward(dz, argmax, activated.shape, pool_size, pool_size)
    dz = textbook.relu_backward(dz, None, activated)
    exact = textbook.conv2d_backward(dz, x.astype(float), W.astype(float), *options)
    assert_close([y, *got], [expected, *exact])
    none, dW, db = fast.conv2d_relu_backward(dy, saved, W, *options, pool_size, False)
    assert none is None
    assert np.array_equal(dW, got[1])
    assert np.array_equal(db, got[2])


# (images, kernel, padding): as in the course's models, and the side of the tiles for each.
WINOGRAD = [
    ((64, 16, 16, 32), (3, 3, 32, 32), "same", 4),
    ((64, 13, 13, 64), (3, 3, 64, 64), "valid", 4),
    ((64, 5, 5, 64), (3, 3, 64, 64), "valid", 3),
    ((128, 3, 3, 128), (3, 3, 128, 192), "same", 3),
    ((64, 32, 32, 3), (3, 3, 3, 32), "same", None),  # the way there and back costs more
    ((2, 5, 5, 64), (3, 3, 64, 64), "same", None),  # the kernel's own transform does
    ((64, 16, 16, 40), (3, 3, 40, 40), "same", None),  # no multiple of 16 channels
    ((64, 16, 16, 32), (5, 5, 32, 32), "same", None),
    ((1, 600, 600, 64), (3, 3, 64, 64), "same", None),  # one image is more than a cache holds
]


@pytest.mark.parametrize(("image", "kernel", "padding", "expected"), WINOGRAD)
def test_who_takes_winograds_way(image, kernel, padding, expected):
    windows = correlation.windows_on(image, kernel, PAIR, padding, PAIR)
    assert winograd.side_of_tiles(image[0], kernel, windows) == expected


@pytest.mark.parametrize("m", winograd.SIDES)
@pytest.mark.parametrize("size", [(3, 3), (4, 9), (7, 5), (13, 8)])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("workers", [1, 3])
def test_winograd_is_the_textbooks(rng, m, size, padding, workers):
    """In float64 both agree to the last digits, whatever part of a tile lies on the image."""
    threads.workers = workers
    x, W, b = normal(rng, (19, *size, 32), (3, 3, 32, 48), (48,), dtype=np.float64)
    windows = correlation.windows_on(x.shape, W.shape, PAIR, padding, PAIR)
    y = winograd.forward(x, W, b, windows, m)
    (dy,) = normal(rng, y.shape, dtype=np.float64)
    ours = y, *winograd.backward(dy, x, W, windows, m)
    exact = (
        textbook.conv2d(x, W, b, padding=padding),
        *textbook.conv2d_backward(dy, x, W, padding=padding),
    )
    for got, expected in zip(ours, exact, strict=True):
        assert got.shape == expected.shape
        assert relative_error(got, expected) < 1e-13
    positive = winograd.forward(x, W, None, windows, m, relu=True)
    assert relative_error(positive, textbook.relu(exact[0] - b)) < 1e-13
    none, dW, db = winograd.backward(dy, x, W, windows, m, input_gradient=False)
    assert none is None
    assert np.array_equal(dW, ours[2])
    assert np.array_equal(db, ours[3])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("shape", "pool_size", "padding"),
    [
        ((3, 5, 7, 6), (2, 2), "valid"),
        ((1, 4, 4, 1), (2, 2), "same"),
        ((2, 9, 8, 3), (3, 2), "valid"),
        ((4, 6, 6, 15), (2, 3), "same"),
        ((1, 2, 2, 1), (2, 2), "valid"),
        ((3, 34, 34, 2), (17, 17), "valid"),
        ((2, 6, 5, 5), (1, 1), "valid"),
        ((0, 4, 4, 3), (2, 2), "valid"),
        ((2, 5, 5, 3), (2, 2), "same"),
        ((40, 12, 14, 6), (2, 2), "valid"),
    ],
)
def test_pools_of_few_channels(rng, shape, pool_size, padding, dtype):
    """Side by side; equal maxima, and a NaN, are among the pixels."""
    x = rng.integers(-2, 3, shape).astype(dtype)
    x[:1, 0, 0, 0] = np.nan
    where = pool_size, pool_size, padding
    y, argmax = fast.max_pool2d(x, *where)
    expected_y, expected_argmax = textbook.max_pool2d(x, *where)
    assert np.array_equal(y, expected_y, equal_nan=True)
    assert np.array_equal(argmax, expected_argmax)
    assert argmax.dtype == expected_argmax.dtype
    dy = rng.normal(size=y.shape).astype(dtype)
    dx = fast.max_pool2d_backward(dy, argmax, shape, *where)
    assert np.array_equal(dx, textbook.max_pool2d_backward(dy, expected_argmax, shape, *where))


@pytest.mark.parametrize("pool_size", [None, (2, 2), (2, 3)])
def test_conv2d_relu_against_finite_differences(rng, pool_size):
    x, W, b = normal(rng, (2, 5, 6, 2), (2, 3, 2, 3), (3,), dtype=np.float64)
    b -= 3
    y, saved = fast.conv2d_relu(x, W, b, padding="same", pool_size=pool_size)
    assert 0 < (y > 0).mean() < 1
    (dy,) = normal(rng, y.shape, dtype=np.float64)
    gradients = fast.conv2d_relu_backward(dy, saved, W, padding="same", pool_size=pool_size)

    def loss(_):
        return (fast.conv2d_relu(x, W, b, padding="same", pool_size=pool_size)[0] * dy).sum()

    for array, gradient in zip((x, W, b), gradients, strict=True):
        assert np.abs(gradient).max() > 0
        assert relative_error(gradient, numerical_gradient(loss, array)) < 1e-6


def test_conv2d_relu_with_nan(rng):
    """A NaN reaches y through convolution, ReLU and pooling, and passes no gradient back."""
    x, W = normal(rng, (1, 4, 4, 1), (1, 1, 1, 2))
    x[0, 0, 1] = np.nan
    for pool_size in (None, (2, 2)):
        y, saved = fast.conv2d_relu(x, W, pool_size=pool_size)
        assert np.isnan(y).sum() == 2
        dx, _, _ = fast.conv2d_relu_backward(np.ones_like(y), saved, W, pool_size=pool_size)
        assert not np.isnan(dx).any()


@pytest.mark.parametrize("pool_size", [None, (2, 2)])
def test_conv2d_relu_of_other_dtypes(rng, pool_size):
    x, W, dy = normal(rng, (1, 4, 4, 1), (1, 1, 1, 2), (1, 4, 4, 2))
    y, saved = fast.conv2d_relu(x.astype(float), W, pool_size=pool_size)
    assert y.dtype == float
    expected, kept = fast.conv2d_relu(x, W, pool_size=pool_size)
    assert relative_error(y, expected) < 1e-6
    dy = dy[:, : y.shape[1], : y.shape[2]]
    for one, other in zip(
        fast.conv2d_relu_backward(dy.astype(float), saved, W, pool_size=pool_size),
        fast.conv2d_relu_backward(dy, kept, W, pool_size=pool_size),
        strict=True,
    ):
        assert relative_error(one, other) < 1e-6
    with pytest.raises(ValueError, match="does not fit"):
        fast.conv2d_relu(x, np.zeros((5, 5, 1, 2), np.float32))


@pytest.mark.parametrize(
    ("n", "inputs", "units"),
    [(64, 784, 30), (64, 3072, 256), (33, 8192, 100), (700, 96, 64), (1, 5000, 3), (3, 1, 1)],
)
def test_dense(rng, n, inputs, units):
    x, W, b, dy = normal(rng, (n, inputs), (inputs, units), (units,), (n, units))
    y, gradients = fast.dense(x, W, b), fast.dense_backward(dy, x, W)
    none, dW, db = fast.dense_backward(dy, x, W, input_gradient=False)
    assert none is None
    assert np.array_equal(dW, gradients[1])
    assert np.array_equal(db, gradients[2])
    x, W, b, dy = (array.astype(float) for array in (x, W, b, dy))
    assert_close([y, *gradients], [x @ W + b, *textbook.dense_backward(dy, x, W)])


@pytest.mark.parametrize("c", [1, 6, 32, 100])
@pytest.mark.parametrize("pool", [((2, 2), (2, 2)), ((3, 2), (2, 3))])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_max_pool2d(rng, c, pool, padding):
    x = rng.integers(0, 9, (5, 13, 12, c)).astype(np.float32)  # many are equal
    x[rng.random(x.shape) < 0.05] = np.nan
    y, argmax = fast.max_pool2d(x, *pool, padding)
    expected, where = textbook.max_pool2d(x, *pool, padding)
    assert np.array_equal(y, expected, equal_nan=True)
    whole = ~np.isnan(y)  # where the padding came first, the textbook's index for a NaN is 0
    assert np.array_equal(argmax[whole], where[whole])
    assert argmax.dtype == where.dtype
    dy = rng.integers(-9, 9, y.shape).astype(np.float32)  # sums are exact in any order
    argmax = textbook.max_pool2d(np.nan_to_num(x), *pool, padding)[1]
    dx = fast.max_pool2d_backward(dy, argmax, x.shape, *pool, padding)
    assert np.array_equal(dx, textbook.max_pool2d_backward(dy, argmax, x.shape, *pool, padding))


def test_dropout_is_the_textbooks_to_the_bit(rng):
    for shape in [(1,), (255,), (257, 3), (64, 1000)]:
        (x,) = normal(rng, shape)
        for rate, seed, step in [(0.3, 2**63 + 5, 2**33), (0.0, 1, 0), (1.0, 0, 7)]:
            y, mask = fast.dropout(x, rate, seed, step)
            expected, kept = textbook.dropout(x, rate, seed, step)
            assert np.array_equal(mask, kept)
            assert np.array_equal(y, expected)
            assert np.array_equal(
                fast.dropout_backward(x, mask, rate), textbook.dropout_backward(x, kept, rate)
            )


def test_exponential():
    import numba

    from minicnn.backends.numba.exponential_kernels import exponential

    @numba.njit(error_model="numpy")
    def each(x, y):
        for i in range(x.size):
            y[i] = exponential(x[i])

    x = np.concatenate([np.linspace(-87.3, 0, 100_001), -np.logspace(-30, 0, 100)])
    x = x.astype(np.float32)
    y = np.empty_like(x)
    each(x, y)
    exact = np.exp(x.astype(float))
    assert np.abs(y / exact - 1).max() < 2e-7
    x = np.float32([-87.4, -100, -1e30, -np.inf, -0.0, 0.0, np.nan])
    y = np.empty_like(x)
    each(x, y)
    np.testing.assert_array_equal(y, [0, 0, 0, 0, 1, 1, np.nan])
    doubles = np.array([-800.0, -700.0, -1.5, 0.0])
    y = np.empty_like(doubles)
    each(doubles, y)
    np.testing.assert_allclose(y, np.exp(doubles), rtol=1e-15)


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sigmoid_of_many_numbers(rng, dtype, workers, monkeypatch):
    monkeypatch.setattr(threads, "workers", workers)
    monkeypatch.setattr(threads, "WORTH_WAKING", 0)
    z, dy = normal(rng, (131, 251), (131, 251), dtype=dtype)
    z = 9 * z
    z[0, :9] = 0, -0.0, np.inf, -np.inf, 90, -90, 500, -500, np.nan
    y = fast.sigmoid(z)
    exact = textbook.sigmoid(z.astype(float))
    assert y.dtype == dtype
    np.testing.assert_allclose(y, exact, rtol=4e-7, atol=1e-37)
    dz = fast.sigmoid_backward(dy, z, y)
    np.testing.assert_allclose(
        dz, textbook.sigmoid_backward(dy, z, y), rtol=1e-6 if dtype == "float32" else 1e-15
    )
    half = slice(None, None, 2)
    assert np.array_equal(fast.sigmoid(z[:, half]), y[:, half], equal_nan=True)


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("shape", [(50, 7, 11, 3), (90, 301), (1, 5000), (40_000,), (30, 1, 0)])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
def test_take(rng, dtype, shape, workers, monkeypatch):
    monkeypatch.setattr(threads, "workers", workers)
    monkeypatch.setattr(threads, "WORTH_WAKING", 0)
    x = rng.integers(0, 256, shape).astype(dtype)
    samples = rng.integers(0, len(x), 4 * len(x) + 1)
    taken = fast.take(x, samples)
    assert taken.dtype == dtype
    assert np.array_equal(taken, x[samples])
    assert np.array_equal(fast.take(x[::-1], samples), x[::-1][samples])
    x.flags.writeable = False
    assert np.array_equal(fast.take(x, samples), x[samples])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("classes", [1, 10, 50])
def test_softmax_of_any_numbers(rng, classes, dtype):
    z = 50 * normal(rng, (2, 7, classes), dtype=dtype)[0]
    z[0, 1, 0], z[0, 2, -1], z[1, 3, 0], z[1, 4] = np.nan, np.inf, -np.inf, -np.inf
    with np.errstate(invalid="ignore"):
        got, expected = fast.softmax(z), textbook.softmax(z)
    unknown = np.isnan(expected)
    assert got.dtype == dtype
    assert np.array_equal(np.isnan(got), unknown)
    assert relative_error(got[~unknown], expected[~unknown]) < 4 * np.finfo(dtype).eps


UPDATES = {
    "sgd": (0, (0.1,)),
    "sgd_momentum": (1, (0.1, 0.9, True)),
    "rmsprop": (1, (None, None, 0.1, 0.9, 0.0, 1e-7)),
    "adam": (2, (None, 0.1, 0.9, 0.999, 1e-7, 3)),
    "adamax": (2, (0.1, 0.9, 0.999, 1e-7, 3)),
    "nadam": (2, (0.1, 0.9, 0.999, 1e-7, 3, 0.8, 0.85, 0.5)),
    "adagrad": (1, (0.1, 1e-7)),
    "adadelta": (2, (0.1, 0.95, 1e-7)),
    "lion": (1, (0.1, 0.9, 0.99)),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", UPDATES)
def test_updates(rng, name, dtype):
    """One loop over all does what the textbook does in many, in the same order of operations."""
    slots, numbers = UPDATES[name]
    w, g, *memory = np.abs(normal(rng, *[(50_001,)] * (2 + slots), dtype=dtype))
    ours, theirs = ([a.copy() for a in (w, g, *memory)] for _ in range(2))
    for _ in range(3):
        getattr(fast, name)(*ours, *numbers)
        getattr(textbook, name)(*theirs, *numbers)
    for got, expected in zip(ours, theirs, strict=True):
        assert got.dtype == dtype
        assert relative_error(got, expected) < 4 * np.finfo(dtype).eps
    assert np.array_equal(ours[1], g)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", [n for n in UPDATES if n not in ("sgd", "adagrad", "lion")])
def test_what_is_remembered_of_a_dead_weight_becomes_zero(name, dtype):
    """Not denormal, where each number would take a CPU a hundred times as long."""
    slots, numbers = UPDATES[name]
    w, g = np.ones(50, dtype), np.zeros(50, dtype)
    memory = [np.full(50, np.finfo(dtype).tiny) for _ in range(slots)]
    getattr(fast, name)(w, g, *memory, *numbers)
    assert np.array_equal(w, np.ones(50))
    assert not any(array.any() for array in memory)


def test_amsgrad_and_weight_decay(rng):
    w, g, m, v, v_max = np.abs(normal(rng, *[(3001,)] * 5))
    ours, theirs = ([a.copy() for a in (w, g, m, v, v_max)] for _ in range(2))
    for floor, arrays_ in ((fast, ours), (textbook, theirs)):
        floor.adam(*arrays_, 0.1, 0.9, 0.999, 1e-7, 3)
        floor.weight_decay(arrays_[0], 0.1, 0.01)
    for got, expected in zip(ours, theirs, strict=True):
        assert relative_error(got, expected) < 1e-6


def test_batch_norm_far_from_zero(rng):
    """Mean and variance in one pass through memory lose no digits where the mean is large."""
    x = (1000 + rng.standard_normal((37, 9, 7, 5))).astype(np.float32)
    gamma, beta, dy = normal(rng, (5,), (5,), x.shape)
    y, mean, variance, saved = fast.batch_norm(x, gamma, beta, 1e-3, (0, 1, 2))
    wide = x.astype(float)
    assert relative_error(mean, wide.mean(axis=(0, 1, 2))) < 1e-6
    assert relative_error(variance, wide.var(axis=(0, 1, 2))) < 1e-5
    got = y, *fast.batch_norm_backward(dy, saved)
    expected, _, _, kept = textbook.batch_norm(x, gamma, beta, 1e-3, (0, 1, 2))
    for ours, theirs in zip(got, (expected, *textbook.batch_norm_backward(dy, kept)), strict=True):
        assert relative_error(ours, theirs) < 1e-3  # x - mean has three digits less than x


def test_frozen_batch_norm_saves_what_it_used(rng):
    x, gamma, beta, mean, dy = normal(rng, (4, 6), (6,), (6,), (6,), (4, 6))
    variance = np.abs(mean) + 1
    _, saved = fast.batch_norm_inference(x, gamma, beta, mean, variance, 1e-3)
    before = fast.batch_norm_inference_backward(dy, saved)
    mean += 1  # moving means change in place
    for one, other in zip(fast.batch_norm_inference_backward(dy, saved), before, strict=True):
        assert np.array_equal(one, other)


def test_arrays_that_must_not_be_written_to(rng):
    x, W, dy = normal(rng, (2, 6, 6, 3), (3, 3, 3, 4), (2, 4, 4, 4))
    expected = fast.conv2d(x, W), *fast.conv2d_backward(dy, x, W)
    compiled = len(fast.correlation.kernels.forward.signatures)
    for array in (x, W, dy):
        array.flags.writeable = False
    for one, other in zip(
        (fast.conv2d(x, W), *fast.conv2d_backward(dy, x, W)), expected, strict=True
    ):
        assert np.array_equal(one, other)
    assert len(fast.correlation.kernels.forward.signatures) == compiled


def test_other_dtypes_are_the_textbooks(rng):
    x, W = normal(rng, (2, 6, 6, 3), (3, 3, 3, 4), dtype=np.float16)
    assert fast.conv2d(x, W).dtype == np.float16
    assert fast.conv2d(x.astype(np.float32), W.astype(np.float64)).dtype == np.float64
    assert fast.dense(x, W[0, 0]).dtype == np.float16
    assert fast.max_pool2d(x, (2, 2), (2, 2))[0].dtype == np.float16
    assert fast.conv2d(x[:0].astype(np.float32), W.astype(np.float32)).shape == (0, 4, 4, 4)


# -- threads ------------------------------------------------------------------------------------

TRAINING = """
import hashlib, numpy as np, minicnn
from minicnn import layers
minicnn.backend.use("numba")
minicnn.utils.set_random_seed(3)
digest = hashlib.sha256()
model = minicnn.Sequential([
    layers.Conv2D(12, 3, padding="same", activation="relu", input_shape=(14, 14, 3)),
    layers.MaxPooling2D(2), layers.Conv2D(40, 3, strides=2), layers.BatchNormalization(),
    layers.ReLU(), layers.DepthwiseConv2D(3, padding="same"), layers.AveragePooling2D(2),
    layers.Dropout(0.3), layers.Flatten(), layers.Dense(500, activation="relu"), layers.Dense(10),
])
model.compile("adam", minicnn.losses.SparseCategoricalCrossentropy(from_logits=True))
rng = np.random.default_rng(0)
x, y = rng.random((320, 14, 14, 3), np.float32), rng.integers(0, 10, 320)
start = model.get_weights()
for n in (1, 2, 4, None, 1):
    minicnn.backend.set_threads(n)
    model.set_weights(start)
    model.compile("adam", minicnn.losses.SparseCategoricalCrossentropy(from_logits=True))
    for layer in model.layers:
        if hasattr(layer, "seed_generator"):
            layer.seed_generator = minicnn.random.SeedGenerator(5)
    model.fit(x, y, batch_size=64, epochs=10, shuffle=False, verbose=0)
    arrays = [*model.get_weights(), model.predict(x, verbose=0)]
    print(hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest())
"""


def test_weights_do_not_depend_on_the_number_of_threads():
    """After 50 steps, to the bit: with 1, 2 and 4 threads, and in another process."""
    first, _ = run(TRAINING, NUMBA_NUM_THREADS="4")
    again, _ = run(TRAINING, NUMBA_NUM_THREADS="2", OPENBLAS_NUM_THREADS="1")
    assert len(first.split()) == 5
    assert len({*first.split(), *again.split()}) == 1


def test_set_threads():
    backend.set_threads(3)
    assert backend.threads() == threads.workers == 3
    backend.set_threads()
    assert backend.threads() == threads.usable_cores()
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="n: expected a positive int"):
            backend.set_threads(wrong)
    with pytest.raises(TypeError, match="n: expected a positive int"):
        backend.set_threads(1.5)


def test_usable_cores_of_a_container(monkeypatch, tmp_path):
    monkeypatch.setattr(threads, "CONTROL_GROUP", tmp_path)
    monkeypatch.setattr(threads.os, "cpu_count", lambda: 64)
    for name in ("sched_getaffinity", "process_cpu_count"):
        monkeypatch.delattr(threads.os, name, raising=False)
    assert threads.usable_cores() == 64
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert threads.usable_cores() == 64
    (tmp_path / "cpu.max").write_text("250000 100000\n")
    assert threads.usable_cores() == 3
    (tmp_path / "cpu.max").write_text("5000 100000\n")
    assert threads.usable_cores() == 1
    (tmp_path / "cpu.max").unlink()
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert threads.usable_cores() == 64
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("200000\n")
    assert threads.usable_cores() == 2


def test_the_callers_threads_are_restored(rng):
    import numba

    x, W = normal(rng, (16, 16, 16, 8), (3, 3, 8, 8))
    own = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        threads.workers = 2
        fast.conv2d(x, W)
        assert numba.get_num_threads() == 1
        with pytest.raises(TypeError):
            threads.launch(fast.correlation.kernels.forward, 2, "not what it takes")
        assert numba.get_num_threads() == 1
    finally:
        numba.set_num_threads(own)


MANY_AT_ONCE = """
import threading, numpy as np
from minicnn.backends import numba as ops, numpy as textbook
rng = np.random.default_rng(0)
x = rng.standard_normal((32, 12, 12, 8), np.float32)
W = rng.standard_normal((3, 3, 8, 16), np.float32)
expected = textbook.conv2d(x, W)
wrong = []
def work():
    for _ in range(20):
        if abs(ops.conv2d(x, W) - expected).max() > 1e-3:
            wrong.append(1)
crowd = [threading.Thread(target=work) for _ in range(4)]
for one in crowd: one.start()
for one in crowd: one.join()
print("wrong", len(wrong))
"""


@pytest.mark.parametrize("layer", ["workqueue", "default"])
def test_many_python_threads_at_once(layer):
    """The simplest of Numba's threading layers ends the process if two loops start at once."""
    assert run(MANY_AT_ONCE, NUMBA_THREADING_LAYER=layer)[0] == "wrong 0\n"


# -- memory -------------------------------------------------------------------------------------


def test_buffers_are_used_again_when_nobody_sees_them():
    pool = arrays.Pool()
    first = pool.empty((1000, 100), "float32")
    assert first.ctypes.data % arrays.ALIGNMENT == 0
    view = first.reshape(-1)[5:].view("int32")
    address, size = first.ctypes.data, pool.size
    del first
    assert pool.empty((1000, 100), "float32").ctypes.data != address
    assert pool.size == 2 * size
    del view
    other = pool.empty((500, 99, 2), "float32")  # nearly as large
    assert other.ctypes.data == address
    assert pool.size == 2 * size
    del other
    pool.clear()
    assert pool.size == 0


def test_buffers_of_shapes_that_are_gone_are_given_back(monkeypatch):
    monkeypatch.setattr(arrays, "PATIENCE", 10)
    pool = arrays.Pool()
    for size in range(20_000, 20_000 * 40, 20_000):
        pool.empty((size,), "float64")
    assert pool.size < 20_000 * 8 * 40 * 12


def test_the_pool_serves_many_threads():
    pool, clashes = arrays.Pool(), []

    def work(mark):
        for _ in range(300):
            mine = pool.empty((4096,), "int64")
            mine[:] = mark
            if (mine != mark).any():
                clashes.append(mark)

    crowd = [threading.Thread(target=work, args=(mark,)) for mark in range(4)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    assert not clashes


FAULTS = """
import resource, numpy as np, minicnn
from minicnn import layers
minicnn.backend.use("numba")
for batch in (64, 256):
    model = minicnn.Sequential([
        layers.Conv2D(32, 3, padding="same", activation="relu", input_shape=(32, 32, 3)),
        layers.MaxPooling2D(2), layers.Conv2D(32, 3, padding="same"), layers.BatchNormalization(),
        layers.ReLU(), layers.Dropout(0.5), layers.Flatten(), layers.Dense(64, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    rng = np.random.default_rng(0)
    x, y = rng.random((batch, 32, 32, 3), np.float32), rng.integers(0, 10, batch)
    for _ in range(6):
        model.train_on_batch(x, y)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        model.train_on_batch(x, y)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts the page faults of Linux")
def test_a_warm_step_asks_for_no_fresh_memory():
    """Ten steps at each of two batch sizes; the larger batch alone would be 100,000 pages."""
    assert max(map(int, run(FAULTS)[0].split())) < 100


# -- the cache of compiled kernels --------------------------------------------------------------

SMALL = """
import numpy as np
from minicnn.backends import numba as ops
z = np.zeros((2, 3), np.float32)
print(ops.softmax_cross_entropy(z, z)[1].sum())
"""


def test_kernels_are_compiled_once(tmp_path):
    where = {"XDG_CACHE_HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path), "HOME": str(tmp_path)}
    where["NUMBA_CACHE_DIR"] = ""
    (out, first), (again, second) = run(SMALL, **where), run(SMALL, **where)
    assert out == again == "2.0\n"
    assert first.count("compiling kernels, once") == 1
    assert str(tmp_path) in first
    assert "compiling" not in second
    for path in tmp_path.rglob("*.nbc"):  # a file that was cut short is no error
        path.write_bytes(path.read_bytes()[:100])
    out, third = run(SMALL, **where)
    assert out == "2.0\n"
    assert "compiling kernels, once" in third


def test_numbas_own_setting_names_the_folder(tmp_path):
    program = f"{SMALL}\nimport numba\nprint(numba.config.CACHE_DIR)"
    out, _ = run(
        program, NUMBA_CACHE_DIR=str(tmp_path / "own"), XDG_CACHE_HOME=str(tmp_path / "no")
    )
    assert out.split() == ["2.0", str(tmp_path / "own")]
    assert list((tmp_path / "own").rglob("*.nbc"))
    assert not (tmp_path / "no").exists()


def test_the_users_own_functions_stay_where_they_were(tmp_path):
    program = f"{SMALL}\nimport numba\nprint(repr(numba.config.CACHE_DIR))"
    out, _ = run(program, NUMBA_CACHE_DIR="", XDG_CACHE_HOME=str(tmp_path))
    assert out.split() == ["2.0", "''"]


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path):
    """A file stands where the folder should be, and above the folder of the package, too."""
    (tmp_path / "file").write_text("")
    blocked = str(tmp_path / "file" / "cache")
    for setting in (
        {"NUMBA_CACHE_DIR": blocked},
        {"NUMBA_CACHE_DIR": "", "XDG_CACHE_HOME": blocked},
    ):
        out, error = run(SMALL, HOME=blocked, LOCALAPPDATA=blocked, **setting)
        assert out == "2.0\n"
        assert "compiling kernels, once" in error


def test_a_full_disk_is_no_error(monkeypatch, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(compiling.FunctionCache, "save_overload", full)

    @compiling.kernel
    def double(x):
        return 2 * x

    assert double(21) == 42


def test_every_change_of_a_kernel_has_a_folder_of_its_own(monkeypatch, tmp_path):
    folder = compiling.cache_folder()
    assert folder.name.startswith("kernels-")
    source = tmp_path / "compiling.py"
    source.write_text("")
    (tmp_path / "some_kernels.py").write_text("one")
    monkeypatch.setattr(compiling, "__file__", str(source))
    one = compiling.cache_folder()
    (tmp_path / "some_kernels.py").write_text("two")
    assert len({folder, one, compiling.cache_folder()}) == 3


# -- what is imported when ----------------------------------------------------------------------


def test_nothing_is_imported_before_it_is_used():
    program = """
import sys, minicnn
minicnn.backend.use("numba")
model = minicnn.Sequential([minicnn.layers.Conv2D(3, 3, input_shape=(8, 8, 1)),
                            minicnn.layers.Flatten(), minicnn.layers.Dense(2)])
print({"numba", "llvmlite"} & set(sys.modules))
"""
    assert run(program)[0] == "set()\n"


def without(package):
    return f"""
import sys, warnings
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}")
sys.meta_path.insert(0, Blocked())
import minicnn
"""


def test_without_numba_the_textbook_serves():
    program = f"""{without("numba")}
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for _ in range(2):
        minicnn.layers.Dense(2)
        print(minicnn.backend.name())
print(len(caught), caught[0].message)
"""
    lines = run(program, MINICNN_BACKEND="")[0].splitlines()
    assert lines[:2] == ["numpy", "numpy"]
    assert lines[2].startswith("1 minicnn computes with NumPy alone, which is slow: numba cannot")


def test_asking_for_what_cannot_be_had():
    program = f"""{without("numba")}
try:
    minicnn.backend.use("numba")
except ImportError as error:
    print(error)
warnings.simplefilter("error")
minicnn.backend.use("numpy")
print(minicnn.backend.name())
"""
    out, _ = run(program, MINICNN_BACKEND="")
    assert out == "backend 'numba' needs numba, which is not installed\nnumpy\n"


@pytest.mark.parametrize(
    ("asked", "given"), [("", "numba"), ("numpy", "numpy"), ("Numba", "numba")]
)
def test_the_first_floor(asked, given):
    out, _ = run("import minicnn; print(minicnn.backend.name())", MINICNN_BACKEND=asked)
    assert out == f"{given}\n"


def test_shapes_are_cut_up_without_remainder(rng):
    """Every window is computed once, whatever the sizes: sums of ones are counts."""
    for n, size, f in itertools.product((1, 3, 17), (5, 8), (1, 33)):
        x = np.ones((n, size, size, 2), np.float32)
        W = np.ones((3, 3, 2, f), np.float32)
        y = fast.conv2d(x, W)
        assert (y == 18).all()
        _, dW, db = fast.conv2d_backward(np.ones_like(y), x, W)
        assert (dW == n * (size - 2) ** 2).all()
        assert (db == n * (size - 2) ** 2).all()


def test_zero_stays_zero_over_empty_regions_in_float64(rng):
    """Or else a ReLU would pass on the gradient there, and Keras would get another db."""
    x, W = normal(rng, (8, 13, 13, 16), (3, 3, 16, 32), dtype=np.float64)
    x[:, :7] = 0
    b = np.zeros(32)
    y, saved = fast.conv2d_relu(x, W, b)
    assert (y[:, :5] == 0).all()
    (dy,) = normal(rng, y.shape, dtype=np.float64)
    z = textbook.conv2d(x, W, b)
    dz = textbook.relu_backward(dy, None, textbook.relu(z))
    for value, expected in zip(
        fast.conv2d_relu_backward(dy, saved, W), textbook.conv2d_backward(dz, x, W), strict=True
    ):
        assert np.abs(value - expected).max() < 1e-12 * np.abs(expected).max()
