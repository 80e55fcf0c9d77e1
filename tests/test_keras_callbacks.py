"""Callbacks beside Keras's own, on made-up figures: the same decisions, records and lines."""

import contextlib
import io
import re
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from minicnn import callbacks as ours

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.keras

# Sums and differences of these are exact in float32 as well.
exact = st.integers(0, 16).map(lambda i: i / 16)
figures = st.lists(
    st.fixed_dictionaries(
        {"loss": exact, "accuracy": exact}, optional={"val_loss": exact, "val_accuracy": exact}
    ),
    min_size=1,
    max_size=12,
)
several = settings(max_examples=25, deadline=None)


class FakeModel:
    def __init__(self):
        self.optimizer = SimpleNamespace(learning_rate=0.5)
        self.stop_training = False
        self.history = None
        self.weights = None

    def get_weights(self):
        return self.weights

    def set_weights(self, weights):
        self.weights = weights


def train(callback, epochs):
    """Run the hooks; what could be seen from outside after each of them."""
    model = FakeModel()
    callback.set_params({"epochs": len(epochs), "steps": 1, "verbose": 0})
    callback.set_model(model)
    seen = []
    callback.on_train_begin()
    for epoch, logs in enumerate(epochs):
        logs = dict(logs)
        callback.on_epoch_begin(epoch)
        seen.append((epoch, model.optimizer.learning_rate))
        model.weights = [epoch]
        callback.on_train_batch_end(0, dict(logs))
        callback.on_epoch_end(epoch, logs)
        seen.append((model.stop_training, model.optimizer.learning_rate, logs))
        if model.stop_training:
            break
    callback.on_train_end(logs)
    return seen, model.weights


def agree(name, epochs, *args, **kwargs):
    printed = []
    results = []
    for module in (ours, keras.callbacks):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            results.append(train(getattr(module, name)(*args, **kwargs), epochs))
        printed.append(out.getvalue().split("\n"))
    assert results[0] == results[1]
    assert [line for line in printed[0] if line] == [line for line in printed[1] if line]
    return results[0]


@given(
    epochs=figures,
    monitor=st.sampled_from(["loss", "val_loss"]),
    min_delta=exact,
    patience=st.integers(0, 3),
    mode=st.sampled_from(["auto", "min", "max"]),
    baseline=st.none() | exact,
    restore_best_weights=st.booleans(),
    start_from_epoch=st.integers(0, 4),
)
@several
@pytest.mark.filterwarnings("ignore:.*(not available|not among)")
def test_early_stopping(epochs, **kwargs):
    agree("EarlyStopping", epochs, verbose=1, **kwargs)


@given(
    epochs=figures,
    monitor=st.sampled_from(["loss", "val_loss"]),
    factor=st.sampled_from([0.5, 0.25]),
    min_delta=exact,
    patience=st.integers(0, 3),
    mode=st.sampled_from(["auto", "min", "max"]),
    cooldown=st.integers(0, 3),
    min_lr=st.sampled_from([0.0, 0.1875, 0.5, 0.75]),
)
@several
@pytest.mark.filterwarnings("ignore:.*(not available|not among)")
def test_reduce_lr_on_plateau(epochs, **kwargs):
    agree("ReduceLROnPlateau", epochs, verbose=1, **kwargs)


@pytest.mark.parametrize("name", ["EarlyStopping", "ReduceLROnPlateau"])
def test_decisions_where_something_happens(name):
    # Drawn figures may miss it; these stop a training, and lower the rate twice.
    values = [5, 3, 4, 3.5, 2, 2.5, 2.5, 2.5, 2.5, 2.5]
    epochs = [{"loss": value} for value in values]
    seen, _ = agree(name, epochs, monitor="loss", patience=2, verbose=1)
    stopped, rate, _ = seen[-1]
    if name == "EarlyStopping":
        assert stopped
        assert len(seen) == 2 * 4
    else:
        assert rate == pytest.approx(0.5 * 0.1**3)


@pytest.mark.parametrize("cooldown", [0, 1, 3])
@pytest.mark.parametrize("patience", [0, 1, 2])
def test_reduce_lr_on_a_long_plateau(patience, cooldown):
    epochs = [{"loss": 1.0}] * 10
    seen, _ = agree(
        "ReduceLROnPlateau", epochs, "loss", factor=0.5, patience=patience, cooldown=cooldown
    )
    rates = [logs["learning_rate"] for _, _, logs in seen[1::2]]
    assert len(set(rates)) > 2


@pytest.mark.parametrize("loss", [1.0, np.nan, np.inf])
def test_terminate_on_nan(loss):
    (_, (stopped, _, _), *_), _ = agree("TerminateOnNaN", [{"loss": loss, "x": 1.0}][:1])
    assert stopped == (not np.isfinite(loss))


@pytest.mark.parametrize("schedule", [lambda epoch, lr: lr / 2, lambda epoch: 0.5 ** (epoch + 3)])
def test_learning_rate_scheduler(schedule):
    agree("LearningRateScheduler", [{"loss": 1.0}] * 3, schedule, verbose=1)


@given(epochs=figures)
@several
def test_history(epochs):
    histories = ours.History(), keras.callbacks.History()
    for history in histories:
        train(history, epochs)
    assert histories[0].history == histories[1].history
    assert list(histories[0].history) == list(histories[1].history)
    assert histories[0].epoch == histories[1].epoch


@given(epochs=figures, separator=st.sampled_from([",", ";"]), append=st.booleans())
@several
def test_csv_logger_writes_the_same_bytes(tmp_path_factory, epochs, separator, append):
    folder = tmp_path_factory.mktemp("csv")
    for module, path in ((ours, folder / "ours.csv"), (keras.callbacks, folder / "keras.csv")):
        logger = module.CSVLogger(str(path), separator=separator, append=append)
        train(logger, epochs)
        train(logger, epochs[:2])
    assert (folder / "ours.csv").read_bytes() == (folder / "keras.csv").read_bytes()


@pytest.mark.parametrize("verbose", [1, 2])
@pytest.mark.parametrize("steps", [3, 120, None])
@pytest.mark.parametrize("epochs", [1, 2])
def test_progress_lines(verbose, steps, epochs):
    """Keras writes its bar into files as well: what it leaves on the line is compared."""
    finals = []
    for module in (ours, keras.callbacks):
        bar = module.ProgbarLogger()
        bar.set_params({"epochs": epochs, "steps": steps, "verbose": verbose})
        with contextlib.redirect_stdout(io.StringIO()) as out:
            bar.on_train_begin()
            for epoch in range(epochs):
                bar.on_epoch_begin(epoch)
                for batch in range(steps or 7):
                    bar.on_train_batch_end(batch, {"accuracy": 0.5, "loss": 1e-5 * batch})
                bar.on_epoch_end(
                    epoch, {"accuracy": 0.5, "loss": 2e-5, "val_loss": 1.5, "learning_rate": 0.0}
                )
            bar.on_train_end()
        text = re.sub(r"\x1b\[\d*m|\x08", "", out.getvalue())
        lines = [line.split("\r")[-1].rstrip() for line in text.split("\n")]
        finals.append(
            [
                re.sub(r"\d+(ms|us|s)/step", "T/step", line)
                for line in lines
                if line.startswith("Epoch") or "val_loss" in line
            ]
        )
    assert len(finals[0]) == epochs * (1 + (epochs > 1))
    assert finals[0] == finals[1]
