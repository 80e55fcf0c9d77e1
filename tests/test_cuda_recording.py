"""A training step recorded and replayed, over the stand-in: equal to the step, to the bit."""

import gc
import warnings
import weakref

import cuda_cpu
import numpy as np
import pytest

from minicnn.backends import cupy as ops
from minicnn.backends.cupy import batches, device
from minicnn.backends.cupy.recording import Changing, Count, Recorder, real_number, whole_number
from minicnn.random import SeedGenerator

pytestmark = pytest.mark.skipif(
    cuda_cpu.reason_to_skip() is not None, reason=str(cuda_cpu.reason_to_skip())
)

SAMPLES, BATCH, CLASSES = 22, 4, 3


@pytest.fixture(autouse=True)
def door():
    from cuda_cpu.door import Door
    from cuda_cpu.floor import opened

    with opened(Door()) as door:
        yield door


class Adam:
    """As much of an optimizer as the floor needs to know."""

    def __init__(self, rate):
        self.iterations, self.rate, self.rate_cell = 0, rate, None
        self.beta_1 = 0.9

    @property
    def learning_rate(self):
        return self.rate(self.iterations)

    def apply(self, w, g, m, v):
        lr = self.learning_rate if self.rate_cell is None else self.rate_cell
        ops.adam(w, g, m, v, None, lr, self.beta_1, 0.999, 1e-7, self.iterations + 1)
        self.iterations += 1


class Net:
    """A convolution, batch normalization, pooling, dropout and a classifier, on flat vectors."""

    def __init__(self, rate=lambda step: 0.01 / (1 + step)):
        rng = np.random.default_rng(1)
        shapes = {"W": (3, 3, 1, 4), "gamma": (4,), "beta": (4,), "V": (36, CLASSES)}
        size = sum(int(np.prod(shape)) for shape in shapes.values())
        start = (rng.normal(size=size) / 3).astype(np.float32)
        self.w, self.g, self.m, self.v = (ops.asarray(start * f) for f in (1, 0, 0, 0))
        self.weights, self.gradients, end = {}, {}, 0
        for name, shape in shapes.items():
            place = slice(end, end + int(np.prod(shape)))
            self.weights[name] = self.w[place].reshape(shape)
            self.gradients[name] = self.g[place].reshape(shape)
            end = place.stop
        self.moving, self.totals = ops.asarray(np.ones(4, "f4")), ops.asarray(np.zeros(2, "f4"))
        self.optimizer, self.noise = Adam(rate), SeedGenerator(5)
        self.calls = []  # one entry for each time that the step itself runs

    def step(self, x, targets, weights):
        self.calls.append(len(x[0]))
        (x,), (labels,), (sample_weight,) = x, targets, weights
        W, gamma, beta, V = self.weights.values()
        z, of_conv = ops.conv2d_relu(x, W)
        n, _, variance, of_norm = ops.batch_norm(z, gamma, beta, 1e-3, (0, 1, 2))
        self.moving[...] = 0.9 * self.moving + 0.1 * variance
        p, argmax = ops.max_pool2d(n, (2, 2), (2, 2))
        d, mask = ops.dropout(p, 0.4, *self.noise.next())
        rows = d.reshape(len(d), -1)
        values, probabilities = ops.sparse_softmax_cross_entropy(ops.dense(rows, V), labels)
        self.totals += np.stack([np.sum(values * sample_weight), np.sum(sample_weight)])

        self.g.fill(0)
        dz = ops.sparse_softmax_cross_entropy_backward(probabilities, labels)
        drows, dV, _ = ops.dense_backward(dz * sample_weight[:, None], rows, V)
        dp = ops.dropout_backward(drows.reshape(d.shape), mask, 0.4)
        dn = ops.max_pool2d_backward(dp, argmax, n.shape, (2, 2), (2, 2))
        dn, dgamma, dbeta = ops.batch_norm_backward(dn, of_norm)
        _, dW, _ = ops.conv2d_relu_backward(dn, of_conv, W, input_gradient=False)
        for name, gradient in zip(self.gradients, (dW, dgamma, dbeta, dV), strict=True):
            self.gradients[name][...] = gradient
        self.optimizer.apply(self.w, self.g, self.m, self.v)

    def changing(self):
        settings = (self.w is not None, self.optimizer.beta_1)
        return Changing(self.optimizer, [self.noise], settings, watched=lambda: [self])

    def state(self):
        arrays = (self.w, self.m, self.v, self.moving, self.totals)
        return [array.get() for array in arrays], self.optimizer.iterations, self.noise.step


def data(rng):
    x = rng.integers(0, 256, (SAMPLES, 8, 8, 1)).astype(np.uint8)
    weights = rng.uniform(0.5, 1.5, SAMPLES).astype(np.float32)
    return [x], [rng.integers(0, CLASSES, SAMPLES)], [weights]


def on_device(*batch):
    return [[ops.asarray(part[0])] for part in batch]


def train(net, run, resident, epochs=3):
    for epoch in range(epochs):
        resident.shuffle(np.random.default_rng(epoch).permutation(SAMPLES))
        for start in range(0, SAMPLES, BATCH):
            run(*resident.batch(start, min(start + BATCH, SAMPLES)))


def assert_same(one, other):
    for array, expected in zip(one[0], other[0], strict=True):
        assert np.isfinite(expected).all()
        assert np.array_equal(array, expected)
    assert one[1:] == other[1:]


def test_replay_equals_the_step(rng):
    """Three epochs in changing order, with a partial last batch, dropout and a learning rate that
    changes at every step."""
    resident = batches.Resident(data(rng), np.float32)
    plain, recorded = Net(), Net()

    def run(x, targets, weights):
        plain.step(*on_device(x, targets, weights))

    recorder = Recorder(recorded.step, recorded.changing, np.float32)
    before = plain.state()[0][0]
    train(plain, run, resident)
    train(recorded, recorder, resident)
    assert_same(recorded.state(), plain.state())
    assert np.abs(plain.state()[0][0] - before).max() > 0.01
    assert len(plain.calls) == 18
    # Two before the recording, one for it, and the partial batch of each epoch.
    assert recorded.calls == [4, 4, 4, 2, 2, 2]
    assert len(recorder.recordings) == 1
    assert recorded.optimizer.iterations == recorded.noise.step == 18


def test_a_second_run_is_equal_to_the_bit(rng):
    resident = batches.Resident(data(rng), np.float32)
    states = []
    for _ in range(2):
        net = Net()
        train(net, Recorder(net.step, net.changing, np.float32), resident)
        states.append(net.state())
    assert_same(*states)


def batch_of(rng):
    x, labels, weights = (part[0][:BATCH] for part in data(rng))
    return [x.astype(np.float32)], [labels.astype(np.int32)], [weights]


def test_nothing_is_copied_that_did_not_change(rng, door):
    """With a constant learning rate, a replay brings the batch to the device and nothing else."""
    net = Net(rate=lambda step: 0.01)
    recorder = Recorder(net.step, net.changing, np.float32)
    batch = batch_of(rng)
    for _ in range(3):
        recorder(*batch)
    before = door.uploads
    for _ in range(5):
        recorder(*batch)
    assert door.uploads - before == 5 * 3
    assert len(net.calls) == 3


def test_a_resident_data_set_is_gathered_by_the_recorded_step(rng, door):
    """Python says once an epoch where the samples lie, and launches nothing but the graph."""
    net = Net(rate=lambda step: 0.01)
    recorder = Recorder(net.step, net.changing, np.float32)
    resident = batches.Resident([[part[0][:20]] for part in data(rng)], np.float32)
    for epoch in range(3):
        resident.shuffle(np.random.default_rng(epoch).permutation(20))
        before, door.launched = door.uploads, set()
        for start in range(0, 20, BATCH):
            recorder(*resident.batch(start, start + BATCH))
        if epoch:
            assert door.uploads - before == 1
            assert not door.launched
    assert len(net.calls) == 3


def test_a_large_batch_is_gathered_in_slices(rng, monkeypatch):
    """A kernel counts no further than 32 bits allow; here it is 2 of the 4 images."""
    monkeypatch.setattr(device, "INT_LIMIT", 2 * 8 * 8)
    net, expected = Net(), Net()
    resident = batches.Resident(data(rng), np.float32)
    train(expected, lambda *batch: expected.step(*on_device(*batch)), resident)
    train(net, Recorder(net.step, net.changing, np.float32), resident)
    assert_same(net.state(), expected.state())


def test_another_data_set_is_gathered_by_the_same_recording(rng, door):
    """And the one before is not kept for it."""
    net, expected = Net(), Net()
    recorder = Recorder(net.step, net.changing, np.float32)
    for _ in range(3):
        resident = batches.Resident(data(rng), np.float32)
        memory = weakref.ref(resident.sources[0][0][1].memory)
        train(net, recorder, resident, epochs=1)
        train(expected, lambda *batch: expected.step(*on_device(*batch)), resident, epochs=1)
        del resident
        gc.collect()
        assert memory() is None
    assert len(recorder.recordings) == 1
    assert_same(net.state(), expected.state())


def test_a_data_set_of_another_kind_makes_another_recording(rng):
    """Bytes and real numbers are gathered by different kernels; arrays by none."""
    net, expected = Net(), Net()
    recorder = Recorder(net.step, net.changing, np.float32)
    (x,), labels, weights = data(rng)
    for kind in (np.uint8, np.float32):
        resident = batches.Resident([[x.astype(kind)], labels, weights], np.float32)
        train(net, recorder, resident, epochs=1)
        train(expected, lambda *batch: expected.step(*on_device(*batch)), resident, epochs=1)
    batch = batch_of(rng)
    for _ in range(4):
        recorder(*batch)
        expected.step(*on_device(*batch))
    assert_same(net.state(), expected.state())
    forms = [key[0][0] for key in recorder.recordings]
    assert [form[0] for form in forms] == [resident.sources[0][0][0], (BATCH, 8, 8, 1)]


def test_arrays_on_the_device_are_taken_as_they_are(rng, door):
    net, expected = Net(), Net()
    recorder = Recorder(net.step, net.changing, np.float32)
    batch = [[ops.asarray(part[0])] for part in batch_of(rng)]
    for _ in range(6):
        recorder(*batch)
        expected.step(*batch)
    assert_same(net.state(), expected.state())


def test_other_settings_make_another_recording(rng, door):
    net, expected = Net(), Net()
    recorder = Recorder(net.step, net.changing, np.float32)
    batch = batch_of(rng)
    for beta_1 in (0.9, 0.5, 0.9, 0.7):
        net.optimizer.beta_1 = expected.optimizer.beta_1 = beta_1
        for _ in range(4):
            recorder(*batch)
            expected.step(*on_device(*batch))
    assert_same(net.state(), expected.state())
    assert len(recorder.recordings) == 2  # the third is the first again, the fourth takes a place
    assert len(net.calls) == 3 + 3 + 0 + 3


def test_tf32_makes_another_recording(rng):
    net = Net()
    recorder = Recorder(net.step, net.changing, np.float32)
    batch = batch_of(rng)
    for tf32 in (True, False):
        ops.set_tf32(tf32)
        for _ in range(4):
            recorder(*batch)
    assert len(recorder.recordings) == 2


def test_one_odd_batch_among_equal_ones_is_not_recorded(rng):
    net = Net()
    recorder = Recorder(net.step, net.changing, np.float32)
    batch = batch_of(rng)
    for _ in range(4):
        recorder(*batch)
        recorder(*([part[0][:2]] for part in batch))
    assert not recorder.recordings
    assert len(net.calls) == 8


# -- what cannot be recorded ----------------------------------------------------------------------


def refused(net, step, batch, message):
    """Run a step that cannot be recorded: it warns once, and does what it does all the same."""
    recorder = Recorder(step, net.changing, np.float32)
    for _ in range(2):
        recorder(*batch)
    with pytest.warns(UserWarning, match=message):
        recorder(*batch)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(4):
            recorder(*batch)
    assert not recorder.recordings


def test_a_step_that_asks_for_a_number(rng):
    net, expected, batch = Net(), Net(), batch_of(rng)

    def step(x, targets, weights):
        net.step(x, targets, weights)
        float(net.totals[0])

    refused(net, step, batch, "cannot be recorded .* a number was asked of the device")
    for _ in range(7):
        expected.step(*on_device(*batch))
    assert_same(net.state(), expected.state())


def test_a_step_that_replaces_an_attribute(rng):
    """A replay would start from the array that was there at the recording, again and again."""
    net, expected, batch = Net(), Net(), batch_of(rng)

    def step(x, targets, weights):
        before = net.totals.copy()
        net.step(x, targets, weights)
        net.totals = net.totals * 1.0
        net.last = before

    refused(net, step, batch, "it replaces the attribute '(totals|last)' of .*Net")
    for _ in range(7):
        expected.step(*on_device(*batch))
    assert_same(net.state(), expected.state())


def test_a_step_that_counts_with_python_numbers(rng):
    """The number of the step would stay what it was at the recording."""
    net, batch = Net(), batch_of(rng)
    apply = net.optimizer.apply

    def with_a_factor(*vectors):
        net.g *= 0.9**net.optimizer.iterations
        apply(*vectors)

    net.optimizer.apply = with_a_factor
    refused(net, net.step, batch, "TypeError.*Count")
    assert net.optimizer.iterations == 7
    assert isinstance(net.noise.step, int)


def test_memory_that_was_freed_is_not_used(rng, door):
    """The stand-in sees what a GPU would not tell: a recording that outlives an array it reads."""
    x, scale = ops.asarray(np.ones(3, "f4")), ops.asarray(np.full(3, 2, "f4"))
    x *= scale
    with door.allocating_from(door.private_memory()):
        door.begin_capture()
        x *= scale
        graph = door.end_capture()
    door.replay(graph)
    assert x.get().tolist() == [4, 4, 4]
    del scale
    gc.collect()
    with pytest.raises(RuntimeError, match="memory that has been freed"):
        door.replay(graph)


def test_while_recording_nothing_is_computed(door):
    x = ops.asarray(np.ones(3, "f4"))
    np.exp(x) + 1  # kernels are loaded
    with pytest.raises(RuntimeError, match="outside of its own memory"):
        door.begin_capture()
        x + 1
    door.abandon_capture()
    with door.allocating_from(door.private_memory()):
        door.begin_capture()
        y = np.exp(x) + 1
        x += 5
        with pytest.raises(RuntimeError, match="an array was brought to the device"):
            ops.asarray(np.ones(3))
        graph = door.end_capture()
    assert x.get().tolist() == [1, 1, 1]
    assert np.isnan(y.get()).all()
    door.replay(graph)
    assert np.abs(y.get() - (np.e + 1)).max() < 1e-6
    assert x.get().tolist() == [6, 6, 6]


def test_no_kernel_is_loaded_while_a_step_is_recorded(door):
    x = ops.asarray(np.ones(3, "f4"))
    with door.allocating_from(door.private_memory()):
        door.begin_capture()
        for work in (lambda: ops.relu(x), lambda: np.tanh(x)):
            with pytest.raises(RuntimeError, match=r"kernel \w+ was loaded while a step"):
                work()
        door.abandon_capture()
    ops.relu(x)
    with door.allocating_from(door.private_memory()):
        door.begin_capture()
        ops.relu(x)
        door.end_capture()


def test_a_product_of_cupys_own_is_not_recorded(door):
    x = ops.asarray(np.ones((2, 2), "f4"))
    assert (x @ x).get().tolist() == np.tensordot(x, x, axes=1).get().tolist() == [[2, 2], [2, 2]]
    with door.allocating_from(door.private_memory()):
        door.begin_capture()
        for work in (lambda: x @ x, lambda: np.tensordot(x, x, axes=1)):
            with pytest.raises(RuntimeError, match=r"cuBLAS was given a (matmul|tensordot)"):
                work()
        door.abandon_capture()


def test_a_recording_keeps_what_it_writes_to(rng):
    """Even if somebody puts another array in its place, in between."""
    net, batch = Net(), batch_of(rng)
    recorder = Recorder(net.step, net.changing, np.float32)
    for _ in range(4):
        recorder(*batch)
    net.totals, before = ops.asarray(np.zeros(2, "f4")), net.w.get()
    gc.collect()
    recorder(*batch)
    assert len(net.calls) == 3
    assert not np.array_equal(net.w.get(), before)


def test_a_recording_that_cannot_begin(rng, door, monkeypatch):
    """The step runs as it is, and everything is as before."""
    net, expected, batch = Net(), Net(), batch_of(rng)
    ended = []

    def begin():
        raise RuntimeError("busy")

    monkeypatch.setattr(door, "begin_capture", begin)
    monkeypatch.setattr(door, "abandon_capture", lambda: ended.append(True))
    refused(net, net.step, batch, "cannot be recorded .* busy")
    assert ended == [True]
    for _ in range(7):
        expected.step(*on_device(*batch))
    assert_same(net.state(), expected.state())


def test_a_recording_that_is_interrupted(rng, door):
    """Nothing is left of it, and the next step is recorded."""
    net, expected, batch = Net(), Net(), batch_of(rng)

    def step(x, targets, weights):
        net.step(x, targets, weights)
        if len(net.calls) == 3:
            raise KeyboardInterrupt

    recorder = Recorder(step, net.changing, np.float32)
    for _ in range(2):
        recorder(*batch)
    with pytest.raises(KeyboardInterrupt):
        recorder(*batch)
    assert door.notes is None
    for _ in range(3):
        recorder(*batch)
    assert len(recorder.recordings) == 1
    assert len(net.calls) == 4
    for _ in range(5):
        expected.step(*on_device(*batch))
    assert_same(net.state(), expected.state())


def test_memory_of_recordings_is_given_back(rng, door, monkeypatch):
    """Each has its own; it goes with the recording, or when none was made."""

    class Memory:
        pass

    made = []

    def private_memory():
        memory = Memory()
        made.append(weakref.ref(memory))
        return memory

    monkeypatch.setattr(door, "private_memory", private_memory)
    net, batch = Net(), batch_of(rng)
    recorder = Recorder(net.step, net.changing, np.float32)
    for beta_1 in (0.9, 0.5, 0.7):
        net.optimizer.beta_1 = beta_1
        for _ in range(4):
            recorder(*batch)
    gc.collect()
    assert [memory() is None for memory in made] == [True, False, False]
    net.optimizer.beta_1 = 0.3
    recorder.step = lambda *batch: (net.step(*batch), float(net.totals[0]))
    for _ in range(2):
        recorder(*batch)
    with pytest.warns(UserWarning, match="cannot be recorded"):
        recorder(*batch)
    gc.collect()
    assert [memory() is None for memory in made] == [True, False, False, True]


# -- the parts ------------------------------------------------------------------------------------


def test_counts_and_numbers():
    cell = device.empty(1, "uint64")
    count = Count(cell) + 1 + 2
    assert whole_number(count) == (3, cell)
    assert whole_number(count)[0].dtype == np.uint64
    assert whole_number(5) == (5, None)
    assert real_number(0.25) == (0.25, None)
    value, kept = real_number(cell)
    assert value == 0.0
    assert kept is cell


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_resident_data_set(rng, dtype):
    arrays = [
        rng.integers(0, 256, (9, 2, 3), dtype=np.uint8), rng.normal(size=(9, 4)),
        rng.integers(0, 7, 9), None, rng.normal(size=9).astype(np.float32),
    ]  # fmt: skip
    resident = batches.Resident([arrays], dtype)
    order = rng.permutation(9)
    for given in (order, None):
        resident.shuffle(given)
        for start, stop in ((0, 4), (4, 9), (8, 9)):
            rows = np.arange(9)[start:stop] if given is None else given[start:stop]
            (batch,) = resident.batch(start, stop)
            for part, array in zip(batch, arrays, strict=True):
                if array is None:
                    assert part is None
                    continue
                found = ops.to_numpy(ops.asarray(part))
                assert found.shape == part.shape == array[rows].shape
                expected = np.int32 if array is arrays[2] else dtype
                assert found.dtype == part.dtype == expected
                assert np.array_equal(found, array[rows].astype(expected))


def test_a_data_set_that_does_not_fit(door, monkeypatch):
    monkeypatch.setattr(door, "free_bytes", lambda: 1000)
    assert batches.Resident.fits([[np.zeros(400, np.uint8)], [None]])
    assert not batches.Resident.fits([[np.zeros(300, np.uint8)], [np.zeros(300, np.uint8)]])


def test_an_array_of_the_device_does_not_mix_with_others():
    x = ops.asarray(np.ones(3, "f4"))
    with pytest.raises(TypeError, match="by itself"):
        np.asarray(x)
    with pytest.raises(TypeError):
        x + np.ones(3)
    with pytest.raises(TypeError, match="ndarray is not taken"):
        x[...] = np.ones(3)
    assert ops.to_numpy(x + np.float32(1)).tolist() == [2, 2, 2]
    assert (x * 2.0).dtype == np.float32
