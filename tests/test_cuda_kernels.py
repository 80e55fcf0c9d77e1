"""The CUDA kernels, run on the CPU: against the textbook, in any order of threads, in slices."""

import re

import cuda_cpu
import numpy as np
import pytest
from cuda_cpu.calls import CALLS

from minicnn.backends import cupy as floor, numpy as textbook
from minicnn.backends.cupy import device, kernels, pooling, windows
from minicnn.checking import relative_error

pytestmark = pytest.mark.skipif(
    cuda_cpu.reason_to_skip() is not None, reason=str(cuda_cpu.reason_to_skip())
)
each_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
# These have tests of their own, in test_cuda_recording.py.
ELSEWHERE = {"gather_bytes", "gather_reals", "gather_labels", "move_on"}


class Textbook:
    """The textbook floor, with the operations that only fast floors have."""

    def __getattr__(self, name):
        return getattr(textbook, name)

    def conv2d_relu(self, x, W, b, pool_size=None, **options):
        y = z = textbook.relu(textbook.conv2d(x, W, b, **options))
        argmax = None
        if pool_size:
            y, argmax = textbook.max_pool2d(z, pool_size, pool_size)
        return y, (x, z, argmax)

    def conv2d_relu_backward(self, dy, saved, W, pool_size=None, **options):
        x, z, argmax = saved
        if pool_size:
            dy = textbook.max_pool2d_backward(dy, argmax, z.shape, pool_size, pool_size)
        return textbook.conv2d_backward(textbook.relu_backward(dy, None, z), x, W, **options)


def results(call, dtype=np.float32, **options):
    """What a call gives on the floor, and the names of the kernels that it ran."""
    from cuda_cpu.door import Door
    from cuda_cpu.floor import NumpyFloor, opened

    with opened(Door(**options)) as door:
        return call(NumpyFloor(door), np.random.default_rng(0), dtype), door.launched


@each_call
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-4)])
def test_like_the_textbook(call, dtype, tolerance):
    expected = call(Textbook(), np.random.default_rng(0), dtype)
    found, _ = results(call, dtype)
    assert len(found) == len(expected)
    for array, exact in zip(found, expected, strict=True):
        assert array.shape == exact.shape
        assert array.dtype == exact.dtype or exact.dtype.kind in "iu"
        scale = np.abs(exact).max(initial=0)
        error = np.abs(array.astype(float) - exact.astype(float)).max(initial=0)
        assert error <= tolerance * scale


@each_call
def test_the_order_of_threads_does_not_matter(call):
    """Forwards, backwards, shuffled: equal to the bit, so nothing races and every run repeats."""
    (expected, _), *others = [results(call, order=order) for order in range(3)]
    for found, _ in others:
        for array, other in zip(found, expected, strict=True):
            assert np.array_equal(array, other)


# The sizes for which kernels have loops with constants; more numbers in a row than a block has
# threads.
# The shape of x, and kernel, strides, padding, dilation.
WINDOWS = {
    "four at once": ((2, 7, 5, 8), (3, 3), (1, 1), "same", (1, 1)),
    "one at a time": ((2, 6, 7, 3), (3, 3), (1, 1), "valid", (1, 1)),
    "strides": ((2, 7, 8, 4), (3, 3), (2, 1), "same", (1, 1)),
    "dilation": ((2, 9, 8, 2), (3, 2), (1, 1), "same", (2, 3)),
    "long rows of the matrix": ((1, 4, 3, 120), (3, 3), (1, 1), "same", (1, 1)),
    "long rows of pixels": ((1, 2, 300, 4), (3, 3), (1, 1), "same", (1, 1)),
}
USUAL_POOLS = {
    "2x2": ((2, 6, 8, 8), 2, "valid"),
    "2x2, a rest": ((2, 7, 5, 4), 2, "valid"),
    "2x2, over the border": ((2, 7, 5, 4), 2, "same"),
    "2x2, one at a time": ((2, 7, 5, 3), 2, "same"),
    "3x3": ((2, 9, 6, 4), 3, "valid"),
    "3x3, a rest": ((2, 10, 11, 8), 3, "valid"),
    "3x3, over the border": ((2, 10, 11, 8), 3, "same"),
    "3x3, one at a time": ((2, 10, 11, 2), 3, "same"),
    "many channels": ((1, 2, 2, 1100), 2, "valid"),
    "a long row": ((1, 2, 700, 4), 2, "valid"),
}
DTYPES = pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])


def assert_like_the_textbook(call, dtype, tolerance):
    expected = call(Textbook(), np.random.default_rng(0), dtype)
    for array, exact in zip(results(call, dtype)[0], expected, strict=True):
        assert array.shape == exact.shape
        error = np.abs(array.astype(float) - exact.astype(float)).max()
        assert error <= tolerance * np.abs(exact).max()


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", WINDOWS.values(), ids=WINDOWS)
def test_windows_become_a_matrix_and_back(case, dtype, groups):
    """Whichever convolutions go that way: against sums of shifted images."""
    from cuda_cpu.door import Door
    from cuda_cpu.floor import opened

    shape, *geometry = case
    shape = (*shape[:3], shape[3] * groups)
    on, rng = windows.Windows.on(shape[1:3], *geometry), np.random.default_rng(0)
    (kh, kw), (sh, sw), (dh, dw), (oh, ow) = on.kernel_size, on.strides, on.dilation, on.count
    c, first = shape[3] // groups, shape[3] - shape[3] // groups
    x = rng.integers(-9, 9, shape).astype(dtype)
    cols = rng.integers(-9, 9, (shape[0], oh, ow, kh, kw, c)).astype(dtype)
    padded = np.pad(x, ((0, 0), *on.borders, (0, 0)))
    expected, back = np.empty_like(cols), np.zeros_like(padded)
    for i in range(kh):
        for j in range(kw):
            p, o = i * dh, j * dw
            rows, columns = slice(p, p + (oh - 1) * sh + 1, sh), slice(o, o + (ow - 1) * sw + 1, sw)
            expected[:, :, :, i, j] = padded[:, rows, columns, first:]
            back[:, rows, columns, first:] += cols[:, :, :, i, j]
    (top, bottom), (left, right) = on.borders
    back = back[:, top : back.shape[1] - bottom, left : back.shape[2] - right, first:]
    for order in range(3):
        with opened(Door(order)) as door:
            found = windows.im2col(door.asarray(x), on, first, c)
            assert np.array_equal(door.to_numpy(found).reshape(expected.shape), expected)
            dx = device.empty(shape, dtype)
            windows.col2im(door.asarray(cols.reshape(-1, kh * kw * c)), dx, on, first, c)
            assert np.array_equal(door.to_numpy(dx)[..., first:], back)
            assert np.isnan(door.to_numpy(dx)[..., :first]).all()  # not written to
            assert door.launched == {"im2col", "col2im"}


@DTYPES
@pytest.mark.parametrize("case", USUAL_POOLS.values(), ids=USUAL_POOLS)
def test_usual_pools(case, dtype, tolerance):
    shape, k, padding = case
    geometry = (k, k), (k, k), padding

    def call(ops, rng, dtype):
        x = rng.integers(-3, 3, shape).astype(dtype)  # with equal maxima
        y, argmax = ops.max_pool2d(x, *geometry)
        average, dy = ops.average_pool2d(x, *geometry), rng.normal(size=y.shape).astype(dtype)
        return [
            y, argmax, ops.max_pool2d_backward(dy, argmax, shape, *geometry),
            average, ops.average_pool2d_backward(dy, shape, *geometry),
        ]  # fmt: skip

    assert_like_the_textbook(call, dtype, tolerance)


@pytest.mark.parametrize(("k", "channels"), [(2, 4), (2, 3), (3, 4), (3, 1), (4, 4)])
def test_maxima_of_what_is_no_number(k, channels):
    """NaN and infinities anywhere in a window, and zeros of both signs, which are equal."""
    odd = np.array([np.nan, -np.inf, np.inf, -0.0, 0.0, 1.0], np.float32)
    x = np.random.default_rng(0).choice(odd, (3, 5 * k, 4 * k, channels))
    x[0] = -np.inf

    def call(ops, rng, dtype):
        return ops.max_pool2d(x, (k, k), (k, k))

    for array, exact in zip(results(call)[0], call(textbook, None, None), strict=True):
        assert np.array_equal(array, exact, equal_nan=True)


UPDATES = {
    "sgd": (0, (0.1,)),
    "sgd_momentum": (1, (0.1, 0.9, True)),
    "rmsprop": (3, (0.1, 0.9, 0.5, 1e-7)),
    "adam": (3, (0.1, 0.9, 0.999, 1e-7, 3)),
    "adamax": (2, (0.1, 0.9, 0.999, 1e-7, 3)),
    "nadam": (2, (0.1, 0.9, 0.999, 1e-7, 3, 0.5, 0.6, 0.2)),
    "adagrad": (1, (0.1, 1e-7)),
    "adadelta": (2, (0.1, 0.9, 1e-7)),
    "lion": (1, (0.1, 0.9, 0.99)),
}


@pytest.mark.parametrize("name", UPDATES)
def test_updates_of_any_part_of_a_vector(name):
    """Views that begin anywhere and have any length: only their own weights change."""
    slots, parameters = UPDATES[name]

    def call(ops, start, stop):
        vectors = list(np.random.default_rng(0).uniform(0.1, 1, (slots + 2, 32)).astype(np.float32))
        w, g, *others = [vector[start:stop] for vector in vectors]
        getattr(ops, name)(w, g, *others, *parameters)
        return vectors

    for start in (0, 1, 4):
        for stop in range(start, start + 10):
            found, _ = results(lambda ops, rng, dtype, s=start, e=stop: call(ops, s, e))
            for array, exact in zip(found, call(textbook, start, stop), strict=True):
                assert np.array_equal(array[stop:], exact[stop:])
                assert np.array_equal(array[:start], exact[:start])
                assert np.abs(array - exact).max() < 2e-6


def test_four_at_once_or_one_by_one_makes_no_difference():
    """To the bit: how a vector lies in memory must not change a training."""
    aligned = np.zeros(64, np.float32)
    shift = -aligned.ctypes.data % 16 // 4
    rng = np.random.default_rng(0)
    values = rng.uniform(0.1, 1, (4, 37)).astype(np.float32)
    found = []
    for start in (shift, shift + 1):
        memory = np.zeros((4, 64), np.float32)
        vectors = [row[start : start + 37] for row in memory]
        for vector, value in zip(vectors, values, strict=True):
            vector[...] = value

        def call(ops, rng, dtype, vectors=vectors):
            ops.adam(*vectors, None, 0.1, 0.9, 0.999, 1e-7, 3)
            return vectors

        found.append([vector.copy() for vector in results(call)[0]])
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("columns", [1, 3, 32, 300])
@pytest.mark.parametrize("across", [0, 1, 8, 27, 72, 257, 432])
def test_how_rows_of_pixels_are_dealt_out(across, columns):
    for each in (1, 4):
        (rows, parts), (x, y) = windows.along_rows(5, columns, across, each)
        assert rows == 5
        assert 1 <= x * y <= device.BLOCK
        assert y * parts * each >= columns
        assert (y * parts - y) * each < columns
        passes = -(-across // x)
        assert passes * x - across < max(1, passes)  # all passes but for one thread each are full


@pytest.mark.parametrize("shape", [(0, 4, 4, 4), (2, 4, 4, 0)])
def test_nothing_to_do(shape):
    def call(ops, rng, dtype):
        x = np.zeros(shape, dtype)
        y, argmax = ops.max_pool2d(x, (2, 2), (2, 2))
        return [
            y,
            ops.max_pool2d_backward(y, argmax, shape, (2, 2), (2, 2)),
            ops.average_pool2d(x, (2, 2), (2, 2)),
            ops.average_pool2d_backward(y, shape, (2, 2), (2, 2)),
        ]

    for array, exact in zip(results(call)[0], call(textbook, None, np.float32), strict=True):
        assert array.shape == exact.shape


def test_every_kernel_is_called():
    from cuda_cpu.compiling import KERNEL, gpp

    texts = [kernels.source(name, np.dtype(np.float32)) for name in kernels.names()]
    known = {
        name for text in texts for name in re.findall(KERNEL, gpp(["-E", "-x", "c++", "-"], text))
    }
    called = set().union(*(results(call)[1] for call in CALLS.values()))
    assert called == known - ELSEWHERE
    assert len(known) > 50


@each_call
def test_few_blocks_do_the_work_of_many(call, monkeypatch):
    expected, _ = results(call)
    monkeypatch.setattr(device, "MAX_BLOCKS", 1)
    for array, other in zip(results(call)[0], expected, strict=True):
        assert np.array_equal(array, other)


@each_call
def test_a_large_batch_goes_in_slices(call, monkeypatch):
    """As it would if it had more than 2^31 elements, or a column matrix without end."""
    expected, _ = results(call, np.float64)
    monkeypatch.setattr(device, "INT_LIMIT", 1)
    monkeypatch.setattr(windows, "COLUMN_BYTES", 1)
    monkeypatch.setattr(pooling, "MAX_GRID_Y", 1)
    for array, other in zip(results(call, np.float64)[0], expected, strict=True):
        assert relative_error(array.astype(float), other.astype(float)) < 1e-12


def test_the_column_matrix_stays_within_its_limit(monkeypatch):
    on = windows.Windows.on((5, 5), (3, 3), (1, 1), "valid")
    one = 9 * 9 * 2 * 4
    monkeypatch.setattr(windows, "COLUMN_BYTES", 3 * one)
    assert [b.stop - b.start for b in windows.blocks(on, 7, 2, 4)] == [3, 3, 1]


def test_dropout_compares_whole_numbers():
    """A number k 2^-24 is kept at the rate k 2^-24, and dropped at any larger one."""
    from cuda_cpu.door import Door
    from cuda_cpu.floor import NumpyFloor, opened

    with opened(Door()) as door:
        ops = NumpyFloor(door)
        numbers = ops.random_bits(24, 3, 4) >> 8
        for i, k in enumerate(numbers.tolist()):
            for rate, kept in ((k * 2**-24, True), (k * 2**-24 + 2**-26, False)):
                for noise_shape in (None, (1, 24)):
                    _, mask = ops.dropout(np.ones((2, 24)), rate, 3, 4, noise_shape)
                    assert mask[0, i] == kept


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 40), (700, 3), (1, 600), (40_000, 33)])
def test_how_columns_are_summed(rows, columns):
    (tiles, many), (across, down), slabs = device.down_columns(rows, columns)
    assert many == slabs >= 1
    assert tiles * across >= columns
    assert across * down <= device.BLOCK
    assert down & (down - 1) == across & (across - 1) == 0
    assert slabs == 1 or rows // slabs >= 16 * down


def test_a_view_that_is_not_in_order_is_refused():
    from cuda_cpu.door import Door
    from cuda_cpu.floor import opened

    with opened(Door()) as door:
        x = door.asarray(np.zeros((4, 6), np.float32))
        with pytest.raises(ValueError, match=r"kernel add_bias: an array of shape \(6, 4\)"):
            device.Kernels("dense").rows("add_bias", x.dtype, 6, 4, x.T, x[0], np.int64(6), 4, 0, 0)
        with pytest.raises(OverflowError):
            device.Kernels("dense").each("add_slabs", x.dtype, 1, x, 2**31, 1, x)


def test_dtypes_that_have_no_kernels():
    from cuda_cpu.door import Door
    from cuda_cpu.floor import NumpyFloor, opened

    with opened(Door()) as door:
        ops = NumpyFloor(door)
        with pytest.raises(TypeError, match="take float32 and float64, got int64"):
            ops.relu(np.arange(3))
        with pytest.raises(TypeError, match="one dtype, float32 as the weights"):
            ops.sgd(np.zeros(3, np.float32), np.zeros(3), 0.1)
        mixed = ops.dense(np.ones((1, 2), np.float32), np.ones((2, 1)))
        assert mixed.dtype == np.float64
        with pytest.raises(TypeError, match="expected an array of the GPU, got ndarray"):
            floor.relu(np.zeros(3))
