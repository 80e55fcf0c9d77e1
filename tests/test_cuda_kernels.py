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
