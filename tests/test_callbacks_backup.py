"""A training that was interrupted goes on, and ends with the same bits as one that was not."""

import os
import random
import subprocess
import sys

import numpy as np
import pytest

from minicnn import Input, Sequential, backend, callbacks, layers
from minicnn.data import Dataset
from minicnn.models import load_model
from minicnn.utils import set_random_seed

SHAPE, SAMPLES, BATCH = (6, 6, 1), 30, 4  # 8 steps an epoch


def arrays():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(SAMPLES, *SHAPE)).astype(np.float32)
    return x, rng.integers(0, 3, SAMPLES)


def model():
    result = Sequential(
        [
            Input(SHAPE),
            layers.Conv2D(3, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.3),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    result.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return result


class Interrupt(callbacks.Callback):
    """Raises at a certain step, counted over all epochs of this run."""

    def __init__(self, at):
        self.left = at

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def train(folder, stop_at=None, epochs=4, save_freq="epoch", data="arrays", more=None, make=None):
    """A training from the beginning of a program. Returns the model, or None if interrupted."""
    set_random_seed(7)
    net = (make or model)()
    x, y = arrays()
    given, options = (x, y), {"batch_size": BATCH, "validation_split": 0.2}
    if data.startswith("dataset"):
        pipeline = Dataset.from_tensor_slices((x, y)).cache().shuffle(20).batch(BATCH).prefetch(2)
        given, options = (pipeline.repeat() if "repeated" in data else pipeline,), {}
    if data.endswith("three steps"):
        options["steps_per_epoch"], epochs = 3, 2 * epochs  # some begin in the middle of the data
    hooks = more() if more else []
    if folder is not None:
        hooks.append(callbacks.BackupAndRestore(folder, save_freq))
    if stop_at is not None:
        hooks.append(Interrupt(stop_at))
    try:
        history = net.fit(*given, epochs=epochs, verbose=0, callbacks=hooks, **options)
    except KeyboardInterrupt:
        return None
    net.seen = history.history
    return net


def everything(net):
    """All that the training has made, as bytes."""
    slots = [net.optimizer.slots[name] for name in sorted(net.optimizer.slots)]
    steps = [layer.seed_generator.step for layer in net.layers if hasattr(layer, "seed_generator")]
    numbers = [*net.get_weights(), *slots]
    return [n.tobytes() for n in numbers], net.optimizer.iterations, steps


@pytest.fixture(params=["numpy", "numba"])
def floor(request):
    """The textbook, and the compiled floor."""
    if request.param == "numba":
        pytest.importorskip("numba")
    before = backend.name()
    backend.use(request.param)
    yield request.param
    backend.use(before)


@pytest.mark.parametrize(
    "data", ["arrays", "dataset", "arrays, three steps", "dataset repeated, three steps"]
)
@pytest.mark.parametrize("save_freq", ["epoch", 1, 3])
@pytest.mark.parametrize("stop_at", [1, 8, 9, 15])
def test_interrupted_and_taken_up(floor, data, save_freq, stop_at, tmp_path):
    whole = train(None, data=data)
    assert whole.ops.__name__.endswith(floor)
    assert train(tmp_path / "b", stop_at, save_freq=save_freq, data=data) is None
    resumed = train(tmp_path / "b", save_freq=save_freq, data=data)
    assert everything(resumed) == everything(whole)
    # The figures of the last epoch, too: its running means went on where they stood.
    for name, values in whole.seen.items():
        assert resumed.seen[name][-1] == values[-1]
    assert not list(tmp_path.iterdir())


def test_interrupted_again_and_again(tmp_path):
    whole = train(None)
    rounds = 0
    while (resumed := train(tmp_path, stop_at=3, save_freq=2)) is None:
        rounds += 1
        assert [path.name for path in tmp_path.iterdir()] == ["latest.weights.h5"]
    assert rounds >= 8
    assert everything(resumed) == everything(whole)


def test_the_same_model_in_the_same_process(tmp_path):
    whole, made = train(None), []

    def make():
        if not made:
            made.append(model())
        return made[0]

    assert train(tmp_path, 13, save_freq=2, make=make) is None
    assert everything(train(tmp_path, save_freq=2, make=make)) == everything(whole)


def test_what_callbacks_remember(tmp_path):
    """Patience, the best weights and a learning rate that changes in every epoch."""

    def more():
        return [
            callbacks.EarlyStopping("loss", patience=2, min_delta=0.05, restore_best_weights=True),
            callbacks.ReduceLROnPlateau("loss", patience=1, factor=0.7, min_delta=0.05),
            callbacks.LearningRateScheduler(lambda epoch, lr: lr * 0.9),
        ]

    whole = train(None, epochs=12, more=more)
    assert len(whole.seen["loss"]) < 12
    for save_freq in ("epoch", 3):
        folder = tmp_path / str(save_freq)
        while (resumed := train(folder, 11, 12, save_freq, more=more)) is None:
            pass
        assert everything(resumed) == everything(whole)
        assert resumed.seen["learning_rate"][-1] == whole.seen["learning_rate"][-1]


def test_a_training_that_had_stopped_early_stays_stopped(tmp_path):
    class StopThenFail(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

        def on_train_end(self, logs=None):
            raise KeyboardInterrupt

    assert train(tmp_path, more=lambda: [StopThenFail()]) is None
    resumed = train(tmp_path)
    assert resumed.optimizer.iterations == 12
    assert resumed.seen == {}


def test_random_numbers_of_the_program_go_on(tmp_path):
    drawn = []

    class Draw(callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            numbers = np.random.rand()  # noqa: NPY002
            drawn.append((random.random(), numbers, layers.Dropout(0.5).seed_generator.seed))

    train(None, more=lambda: [Draw()])
    expected = drawn[:]
    drawn.clear()
    assert train(tmp_path, 15, more=lambda: [Draw()]) is None
    train(tmp_path, more=lambda: [Draw()])
    # The third epoch was begun twice, with the same numbers each time.
    assert drawn == [*expected[:3], *expected[2:]]


def test_what_is_left_at_the_end(tmp_path):
    folder = tmp_path / "b"
    train(folder)
    assert not folder.exists()
    folder.mkdir()
    (folder / "mine.txt").write_text("stays")
    train(folder)
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]
    keep = callbacks.BackupAndRestore(folder, delete_checkpoint=False)
    train(None, epochs=2, more=lambda: [keep])
    longer = train(None, epochs=4, more=lambda: [keep])
    assert everything(longer) == everything(train(None))
    assert len(longer.seen["loss"]) == 2  # as in Keras, of this run alone


def test_the_one_before_the_last(tmp_path):
    def more():
        return [callbacks.BackupAndRestore(tmp_path, 2, double_checkpoint=True)]

    whole = train(None)
    assert train(None, 15, more=more) is None
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "latest.weights.h5",
        "latest.weights.h5.bkp",
    ]
    (tmp_path / "latest.weights.h5").write_bytes(b"broken")
    with pytest.warns(UserWarning, match="the one before is"):
        resumed = train(None, more=more)
    assert everything(resumed) == everything(whole)


def test_other_models_and_other_callbacks(tmp_path):
    assert train(tmp_path, 9) is None
    other = Sequential([Input(SHAPE), layers.Flatten(), layers.Dense(3, activation="softmax")])
    other.compile("adam", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="do not fit"):
        train(tmp_path, make=lambda: other)
    with pytest.warns(UserWarning, match="they start anew"):
        train(tmp_path, more=lambda: [callbacks.EarlyStopping("loss")])


@pytest.mark.parametrize("arguments", [{"backup_dir": ""}, {"backup_dir": "b", "save_freq": 0}])
def test_wrong_arguments(arguments):
    with pytest.raises(ValueError, match=list(arguments)[-1]):
        callbacks.BackupAndRestore(**arguments)


def test_a_model_that_the_data_build(tmp_path):
    assert train(tmp_path, 9) is None
    unbuilt = Sequential([layers.Flatten(), layers.Dense(3, activation="softmax")])
    unbuilt.compile("adam", "sparse_categorical_crossentropy")
    x, y = arrays()
    with pytest.raises(ValueError, match="do not fit"):
        unbuilt.fit(x, y, verbose=0, callbacks=[callbacks.BackupAndRestore(tmp_path)])


def test_a_checkpoint_of_a_whole_model(floor, tmp_path):
    """Without a backup: the last ``.keras`` file, and the epoch from its name."""
    whole = train(None)
    save = callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")
    assert train(None, stop_at=15, more=lambda: [save]) is None  # in the middle of the third epoch
    path = max(tmp_path.iterdir())
    assert path.name == "2.keras"
    resumed = load_model(path)
    x, y = arrays()
    resumed.fit(x, y, batch_size=BATCH, epochs=4, initial_epoch=2, validation_split=0.2, verbose=0)
    assert everything(resumed) == everything(whole)


PROGRAM = """
import hashlib, os, random, signal, sys, time
sys.path.insert(0, {tests!r})
import test_callbacks_backup as t
from minicnn import callbacks

class Tell(callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        os.write(writer, b".")

def digest(net):
    assert net.ops.__name__.endswith(os.environ["MINICNN_BACKEND"])
    return hashlib.sha256(repr(t.everything(net)).encode()).hexdigest()

rng, kills = random.Random({seed}), 0
while True:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        net = t.train({folder!r}, save_freq=1, more=lambda: [Tell()])
        # In one write, whole or not at all: it may be killed after it, too.
        os.write(1, (digest(net) + "\\n").encode())
        os._exit(0)
    os.close(writer)
    steps = rng.randint(2, 8)
    while steps > 0 and (done := os.read(reader, steps)):
        steps -= len(done)
    time.sleep(rng.uniform(0, 0.02))  # in a step, in the writing of the file, or between the two
    os.kill(child, signal.SIGKILL)
    os.close(reader)
    if os.waitpid(child, 0)[1] != signal.SIGKILL:
        break
    kills += 1
print(kills)
print(digest(t.train(None)))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_process_that_is_killed_at_random_moments(backend, seed, tmp_path):
    """Again and again, and each time a new process takes it up: the same bits in the end."""
    pytest.importorskip(backend)
    program = PROGRAM.format(tests=os.path.dirname(__file__), seed=seed, folder=str(tmp_path / "b"))
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "MINICNN_BACKEND": backend},
    )
    assert done.returncode == 0, done.stderr
    *resumed, kills, whole = done.stdout.split()
    assert int(kills) >= 2
    assert resumed
    assert set(resumed) == {whole}
    assert not list(tmp_path.iterdir())
