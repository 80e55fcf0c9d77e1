"""ModelCheckpoint and TensorBoard: which files there are, and what is in them."""

import builtins
import sys

import numpy as np
import pytest

from minicnn import Input, Sequential, callbacks, layers
from minicnn.models import load_model
from minicnn.optimizers import SGD


def model_and_data(rng):
    x = rng.normal(size=(20, 4)).astype(np.float32)
    y = x @ rng.normal(size=(4, 1)).astype(np.float32)
    model = Sequential([Input((4,)), layers.Dense(1)])
    model.compile(SGD(0.05), "mse", metrics=["mae"])
    return model, x, y


class Scores(callbacks.Callback):
    """Puts made-up figures into the logs of the epochs."""

    def __init__(self, *values):
        self.values = values

    def on_epoch_end(self, epoch, logs=None):
        logs["score"] = self.values[epoch]


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))


# -- ModelCheckpoint --------------------------------------------------------------------------


def test_each_epoch_gets_a_file_of_its_own(rng, tmp_path):
    model, x, y = model_and_data(rng)
    after = []
    keep = callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: after.append(model.get_weights())
    )
    save = callbacks.ModelCheckpoint(tmp_path / "deep" / "{epoch:02d}-{val_mae:.1f}.keras")
    history = model.fit(
        x, y, epochs=3, verbose=0, validation_split=0.25, callbacks=[keep, save]
    ).history
    expected = [f"deep/{e:02d}-{mae:.1f}.keras" for e, mae in enumerate(history["val_mae"], 1)]
    assert names(tmp_path) == expected
    for name, weights in zip(expected, after, strict=True):
        loaded = load_model(tmp_path / name)
        assert all(map(np.array_equal, loaded.get_weights(), weights))


def test_the_best_is_kept(rng, tmp_path, capsys):
    model, x, y = model_and_data(rng)
    path = tmp_path / "best.keras"
    saved_after = []
    note = callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: saved_after.append(
            load_model(path).optimizer.iterations if path.exists() else None
        )
    )
    best = callbacks.ModelCheckpoint(
        path, monitor="score", mode="max", save_best_only=True, verbose=1,
        initial_value_threshold=0.5,
    )  # fmt: skip
    model.fit(
        x, y, epochs=5, batch_size=20, verbose=0,
        callbacks=[Scores(0.4, 0.6, 0.6, 0.7, 0.1), best, note],
    )  # fmt: skip
    assert saved_after == [None, 2, 2, 4, 4]
    assert best.best == 0.7
    printed = capsys.readouterr().out.splitlines()
    assert printed == [
        "Epoch 1: score did not improve from 0.50000",
        f"Epoch 2: score improved from 0.50000 to 0.60000, saving model to {path}",
        "Epoch 3: score did not improve from 0.60000",
        f"Epoch 4: score improved from 0.60000 to 0.70000, saving model to {path}",
        "Epoch 5: score did not improve from 0.70000",
    ]


def test_without_the_figure_it_warns_and_saves(rng, tmp_path):
    model, x, y = model_and_data(rng)
    best = callbacks.ModelCheckpoint(tmp_path / "m.keras", save_best_only=True)
    with pytest.warns(UserWarning, match="'val_loss' is not among"):
        model.fit(x, y, epochs=1, verbose=0, callbacks=[best])
    assert names(tmp_path) == ["m.keras"]


def test_every_so_many_batches(rng, tmp_path):
    model, x, y = model_and_data(rng)
    save = callbacks.ModelCheckpoint(
        tmp_path / "{epoch}-{batch}-{loss:.0f}.weights.h5", save_weights_only=True, save_freq=3
    )
    model.fit(x, 0 * y, epochs=2, batch_size=5, verbose=0, callbacks=[save])  # 4 batches an epoch
    assert [name[:4] for name in names(tmp_path)] == ["1-3-", "2-2-"]
    other, _, _ = model_and_data(rng)
    for name, steps in zip(names(tmp_path), (3, 6), strict=True):
        other.load_weights(tmp_path / name)
        assert other.optimizer.iterations == steps


@pytest.mark.filterwarnings("ignore:.*HDF5 is a legacy format")
def test_whole_models_in_the_older_format(rng, tmp_path):
    model, x, y = model_and_data(rng)
    best = callbacks.ModelCheckpoint(tmp_path / "best.h5", "loss", save_best_only=True)
    model.fit(x, y, epochs=2, verbose=0, callbacks=[best])
    loaded = load_model(tmp_path / "best.h5")
    assert loaded.optimizer.iterations == model.optimizer.iterations
    assert np.array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_weights_alone_restore_a_training(rng, tmp_path):
    model, x, y = model_and_data(rng)
    save = callbacks.ModelCheckpoint(tmp_path / "w.weights.h5", save_weights_only=True)
    model.fit(x, y, epochs=2, verbose=0, callbacks=[save])
    other, _, _ = model_and_data(rng)
    other.load_weights(tmp_path / "w.weights.h5")
    assert np.array_equal(other.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filepath": "m.hdf5"}, r"ends in \.keras or \.h5"),
        ({"filepath": "m.keras", "save_weights_only": True}, "ends in .weights.h5"),
        ({"filepath": "m.keras", "save_freq": "batch"}, "save_freq"),
        ({"filepath": "m.keras", "save_freq": 0}, "save_freq"),
        ({"filepath": "m.keras", "save_freq": True}, "save_freq"),
        ({"filepath": "m.keras", "monitor": "thing"}, "monitor"),
        ({"filepath": "m.keras", "mode": "least"}, "mode"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        callbacks.ModelCheckpoint(**arguments)


def test_a_name_that_wants_what_there_is_not(rng, tmp_path):
    model, x, y = model_and_data(rng)
    save = callbacks.ModelCheckpoint(tmp_path / "{val_accuracy:.2f}.keras")
    with pytest.raises(ValueError, match=r"'val_accuracy'.*epoch, loss, mae"):
        model.fit(x, y, epochs=1, verbose=0, callbacks=[save])
    assert names(tmp_path) == []


# -- TensorBoard ------------------------------------------------------------------------------


def events(folder):
    """{tag: [(step, value), ...]} of the event files in a folder, as TensorBoard reads them."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(folder), size_guidance={"histograms": 0})
    accumulator.Reload()
    tags = accumulator.Tags()
    scalars = {t: [(e.step, e.value) for e in accumulator.Scalars(t)] for t in tags["scalars"]}
    return scalars, {t: accumulator.Histograms(t) for t in tags["histograms"]}


def test_figures_lie_where_keras_puts_them(rng, tmp_path):
    pytest.importorskip("tensorboardX")
    model, x, y = model_and_data(rng)
    board = callbacks.TensorBoard(tmp_path, histogram_freq=2)
    history = model.fit(
        x, y, epochs=3, batch_size=4, verbose=0, validation_split=0.2, callbacks=[board]
    ).history
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train", "validation"]
    train, histograms = events(tmp_path / "train")
    assert set(train) == {"epoch_loss", "epoch_mae", "epoch_learning_rate"}
    for name in ("loss", "mae"):
        assert [step for step, _ in train[f"epoch_{name}"]] == [0, 1, 2]
        assert [v for _, v in train[f"epoch_{name}"]] == pytest.approx(history[name], rel=1e-6)
    assert [v for _, v in train["epoch_learning_rate"]] == pytest.approx([0.05] * 3)
    validation, _ = events(tmp_path / "validation")
    assert set(validation) == {
        "epoch_loss",
        "epoch_mae",
        "evaluation_loss_vs_iterations",
        "evaluation_mae_vs_iterations",
    }
    assert [step for step, _ in validation["evaluation_loss_vs_iterations"]] == [4, 8, 12]
    values = [v for _, v in validation["epoch_mae"]]
    assert values == pytest.approx(history["val_mae"], rel=1e-6)
    dense = model.layers[0].name
    assert set(histograms) == {f"{dense}/kernel/histogram", f"{dense}/bias/histogram"}
    kernels = histograms[f"{dense}/kernel/histogram"]
    assert [event.step for event in kernels] == [0, 2]
    assert kernels[-1].histogram_value.num == 4
    assert kernels[-1].histogram_value.sum == pytest.approx(model.get_weights()[0].sum(), rel=1e-5)


def test_figures_of_batches(rng, tmp_path):
    pytest.importorskip("tensorboardX")
    model, x, y = model_and_data(rng)
    board = callbacks.TensorBoard(tmp_path, update_freq=2, write_steps_per_second=True)
    model.fit(x, y, epochs=2, batch_size=4, verbose=0, callbacks=[board])  # 5 batches an epoch
    train, _ = events(tmp_path / "train")
    for name in ("loss", "mae", "steps_per_second"):
        assert [step for step, _ in train[f"batch_{name}"]] == [2, 4, 6, 8, 10]
    assert all(value > 0 for _, value in train["epoch_steps_per_second"])


def test_tensorboard_says_what_is_missing(monkeypatch):
    original = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("tensorboardX"):
            raise ModuleNotFoundError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    for name in [name for name in sys.modules if name.startswith("tensorboardX")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ImportError, match=r"tensorboardX.*pip install"):
        callbacks.TensorBoard()


@pytest.mark.parametrize(
    "arguments",
    [{"update_freq": "step"}, {"update_freq": 0}, {"profile_batch": 2}, {"embeddings_freq": 1}],
)
def test_tensorboard_wrong_arguments(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        callbacks.TensorBoard(**arguments)
