"""Callbacks with a made-up model: which hooks are called, what is decided, shown and written."""

import contextlib
import io
import re
import subprocess
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from minicnn import callbacks as cb
from minicnn.callbacks import display, progbar
from minicnn.callbacks.base import HOOKS


class FakeModel:
    """Has what callbacks may touch, and nothing else."""

    def __init__(self, learning_rate=0.5):
        self.optimizer = SimpleNamespace(learning_rate=learning_rate)
        self.stop_training = False
        self.weights = [np.zeros(2)]

    def get_weights(self):
        return [w.copy() for w in self.weights]

    def set_weights(self, weights):
        self.weights = weights


def run(callbacks, epochs, out=None, **kwargs):
    """What fit does, with these logs at the ends of the epochs; prints into ``out``."""
    with contextlib.redirect_stdout(out) if out else contextlib.nullcontext():
        return fit(callbacks, epochs, **kwargs)


def fit(callbacks, epochs, steps=2, model=None, verbose=0, batch_logs=None, **kwargs):
    model = model or FakeModel()
    params = {"epochs": len(epochs), "steps": steps, "verbose": verbose}
    hooks = cb.CallbackList(callbacks, model=model, params=params, **kwargs)
    hooks.on_train_begin()
    logs = None
    for epoch, logs in enumerate(epochs):
        hooks.on_epoch_begin(epoch)
        for batch in range(steps or 3):
            hooks.on_train_batch_begin(batch)
            model.weights = [np.array([epoch, batch])]
            hooks.on_train_batch_end(batch, batch_logs or {"loss": 1.0})
        if any(name.startswith("val_") for name in logs):
            hooks.on_test_begin()
            hooks.on_test_batch_begin(0)
            hooks.on_test_batch_end(0, {"loss": 2.0})
            hooks.on_test_end({"loss": 2.0})
        hooks.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    hooks.on_train_end(logs)
    return hooks, model


def losses(*values):
    return [{"loss": value} for value in values]


# -- hooks ------------------------------------------------------------------------------------


class Recorder(cb.Callback):
    def __init__(self, calls, name):
        self.calls, self.name = calls, name

    def on_epoch_begin(self, epoch, logs=None):
        self.calls.append((self.name, "epoch begins", epoch))

    def on_train_batch_end(self, batch, logs=None):
        self.calls.append((self.name, "batch", batch, logs))

    def on_test_end(self, logs=None):
        self.calls.append((self.name, "test", logs))

    def on_epoch_end(self, epoch, logs=None):
        self.calls.append((self.name, "epoch", epoch, dict(logs)))
        logs[self.name] = epoch

    def on_train_end(self, logs=None):
        self.calls.append((self.name, "end", logs))


def test_hooks_are_called_in_order_and_with_floats():
    calls = []
    batch_logs = {"loss": np.float32(0.5), "accuracy": np.array(0.25)}
    epoch_logs = {"val_loss": np.array(3.0, np.float32), "loss": 1}
    run(
        [Recorder(calls, "a"), Recorder(calls, "b")],
        [epoch_logs],
        steps=1,
        batch_logs=batch_logs,
    )
    batch, epoch = {"accuracy": 0.25, "loss": 0.5}, {"loss": 1.0, "val_loss": 3.0}
    assert calls == [
        ("a", "epoch begins", 0),
        ("b", "epoch begins", 0),
        ("a", "batch", 0, batch),
        ("b", "batch", 0, batch),
        ("a", "test", {"loss": 2.0}),
        ("b", "test", {"loss": 2.0}),
        ("a", "epoch", 0, epoch),
        ("b", "epoch", 0, {**epoch, "a": 0}),  # sees what the one before has added
        ("a", "end", epoch),
        ("b", "end", epoch),
    ]
    assert all(type(value) is float for value in calls[2][3].values())
    assert list(calls[2][3]) == ["accuracy", "loss"]
    assert epoch_logs == {"val_loss": 3.0, "loss": 1}  # training's own dict is not written to


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_passed_on(hook):
    calls = []
    callback = cb.LambdaCallback(**{hook: lambda *arguments: calls.append(arguments)})
    hooks = cb.CallbackList(callback)
    fired = hook.replace("on_batch", "on_train_batch")
    place = (7,) if "batch" in hook or "epoch" in hook else ()
    getattr(hooks, fired)(*place, {"loss": 1.0})
    assert calls == [(*place, {"loss": 1.0})]


def test_logs_are_made_only_if_somebody_looks():
    made = []

    def logs():
        made.append(1)
        return {"loss": 1}

    class AtTheEnd(cb.Callback):
        def on_epoch_end(self, epoch, logs=None):
            assert logs == {"loss": 1.0}

    hooks = cb.CallbackList([AtTheEnd(), AtTheEnd(), cb.ProgbarLogger()], params=_params(verbose=0))
    hooks.on_train_batch_end(0, logs)
    assert not made
    hooks.on_epoch_end(0, logs)
    assert made == [1]


def _params(**changed):
    return {"epochs": 1, "steps": 4, "verbose": 1, **changed}


def test_callback_list_adds_what_is_missing():
    hooks = cb.CallbackList(None, add_history=True, add_progbar=True, params=_params())
    assert [type(c) for c in hooks.callbacks] == [cb.History, cb.ProgbarLogger]
    mine = cb.History(), cb.ProgbarLogger()
    hooks = cb.CallbackList([mine], add_history=True, add_progbar=True, params=_params())
    assert hooks.callbacks == list(mine)
    assert hooks.history is mine[0]
    assert cb.CallbackList(hooks).callbacks == list(mine)


def test_callbacks_see_model_and_params():
    model, callback = FakeModel(), cb.Callback()
    cb.CallbackList(callback, model=model, params={"epochs": 3})
    assert callback.model is model
    assert callback.params == {"epochs": 3}


@pytest.mark.parametrize("wrong", [cb.History, "EarlyStopping", [cb.History(), 3]])
def test_what_is_no_callback_is_refused(wrong):
    with pytest.raises(TypeError, match="callbacks: expected Callback objects, got"):
        cb.CallbackList(wrong)


def test_lambda_callback_refuses_unknown_hooks():
    with pytest.raises(TypeError, match="no hook 'on_epoch_ends'; there are on_train_begin, "):
        cb.LambdaCallback(on_epoch_ends=print)
    with pytest.raises(TypeError, match="on_epoch_end: expected a function, got 3"):
        cb.LambdaCallback(on_epoch_end=3)
    assert cb.CallbackList(cb.LambdaCallback(on_epoch_end=None)).callbacks


# -- decisions --------------------------------------------------------------------------------


def test_early_stopping_gives_back_the_best_weights(capsys):
    callback = cb.EarlyStopping("loss", patience=2, restore_best_weights=True, verbose=1)
    _, model = run(callback, losses(5, 3, 4, 3.5, 1))
    assert callback.stopped_epoch == 3
    assert model.weights[0].tolist() == [1, 1]
    assert capsys.readouterr().out.splitlines() == [
        "Epoch 4: early stopping",
        "Restoring model weights from the end of the best epoch: 2.",
    ]
    # Also where the training came to its end; and anew in another training.
    _, model = run(callback, losses(5, 3, 4))
    assert not model.stop_training
    assert model.weights[0].tolist() == [1, 1]
    assert callback.stopped_epoch == 0


def test_monitoring_what_is_not_there_warns():
    with pytest.warns(UserWarning, match="'val_loss' is not among .* which are loss"):
        run(cb.EarlyStopping(), losses(1.0))


@pytest.mark.parametrize(
    ("monitor", "mode"),
    [
        ("loss", "min"),
        ("val_loss", "min"),
        ("out_loss", "min"),
        ("val_acc", "max"),
        ("top_k_categorical_accuracy", "max"),
        ("auc_1", "max"),
        ("mean_io_u", "max"),
        ("kl_divergence", "min"),
        ("val_mean_squared_error", "min"),
    ],
)
def test_auto_mode_goes_by_the_name(monitor, mode):
    assert cb.EarlyStopping(monitor).mode == mode


@pytest.mark.parametrize("monitor", ["val_speed", "accuracy_loss"])
def test_auto_mode_says_when_it_cannot_tell(monitor):
    with pytest.raises(ValueError, match=f"'{monitor}' does not tell .* pass mode="):
        cb.ReduceLROnPlateau(monitor)
    assert cb.ReduceLROnPlateau(monitor, mode="max").mode == "max"


def test_wrong_arguments():
    with pytest.raises(ValueError, match="mode: expected 'auto', 'min' or 'max', got 'up'"):
        cb.EarlyStopping(mode="up")
    for factor in (1.0, 0, -1):
        with pytest.raises(ValueError, match=r"factor: expected a number in \(0, 1\)"):
            cb.ReduceLROnPlateau(factor=factor)
    with pytest.raises(TypeError, match="schedule: expected a function"):
        cb.LearningRateScheduler(0.1)
    with pytest.raises(ValueError, match="what schedule returned: expected a number in"):
        run(cb.LearningRateScheduler(lambda epoch: -1.0), losses(1))
    with pytest.raises(TypeError, match="what schedule returned: expected a number, got None"):
        run(cb.LearningRateScheduler(lambda epoch, lr: None), losses(1))


def test_reduce_lr_on_plateau_tells_and_notes_the_rate(capsys):
    callback = cb.ReduceLROnPlateau("loss", factor=0.5, patience=1, verbose=1, min_lr=0.2)
    hooks, model = run(callback, losses(1, 1, 1, 1), add_history=True)
    assert model.optimizer.learning_rate == 0.2
    assert hooks.history.history["learning_rate"] == [0.5, 0.5, 0.25, 0.2]
    assert capsys.readouterr().out.splitlines() == [
        "Epoch 2: ReduceLROnPlateau reducing learning rate to 0.25.",
        "Epoch 3: ReduceLROnPlateau reducing learning rate to 0.2.",
    ]


def test_the_old_name_of_min_delta_is_ignored_with_a_warning():
    with pytest.warns(UserWarning, match="epsilon of ReduceLROnPlateau: 0.01 .* min_delta"):
        callback = cb.ReduceLROnPlateau("loss", epsilon=0.01)
    assert callback.min_delta == cb.ReduceLROnPlateau("loss").min_delta == 1e-4


@pytest.mark.parametrize(
    "schedule",
    [lambda epoch, lr: lr / 2, lambda epoch: 0.5**epoch / 4, lambda *place: place[1] / 2],
)
def test_learning_rate_scheduler(schedule, capsys):
    callback = cb.LearningRateScheduler(schedule, verbose=1)
    hooks, model = run(callback, losses(1, 1), add_history=True)
    assert hooks.history.history["learning_rate"] == [0.25, 0.125]
    assert model.optimizer.learning_rate == 0.125
    assert capsys.readouterr().out.splitlines() == [
        "Epoch 1: LearningRateScheduler setting learning rate to 0.25.",
        "Epoch 2: LearningRateScheduler setting learning rate to 0.125.",
    ]


def test_an_error_inside_a_schedule_is_passed_on():
    def schedule(epoch, lr):
        raise TypeError("inside")

    with pytest.raises(TypeError, match="inside"):
        run(cb.LearningRateScheduler(schedule), losses(1))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_terminate_on_nan(bad, capsys):
    _, model = run(cb.TerminateOnNaN(), losses(1), batch_logs={"loss": 1e30})
    assert not model.stop_training
    _, model = run(cb.TerminateOnNaN(), losses(1), batch_logs={"loss": np.float32(bad)})
    assert model.stop_training
    assert "Batch 0: Invalid loss, terminating training\n" in capsys.readouterr().out
    with pytest.raises(RuntimeError, match="after batch 0"):
        run(cb.TerminateOnNaN(raise_error=True), losses(1), batch_logs={"loss": bad})


# -- records ----------------------------------------------------------------------------------


def test_history_holds_floats_by_name():
    epochs = [{"loss": np.float32(0.5), "accuracy": np.array(1)}, {"loss": 0.25, "accuracy": 0}]
    hooks, model = run(None, epochs, add_history=True)
    assert model.history is hooks.history
    assert hooks.history.history == {"accuracy": [1.0, 0.0], "loss": [0.5, 0.25]}
    assert list(hooks.history.history) == ["accuracy", "loss"]
    assert all(type(v) is float for values in hooks.history.history.values() for v in values)
    assert hooks.history.epoch == [0, 1]


def test_csv_logger_is_complete_after_each_epoch_and_appends(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("old")
    seen = []
    look = cb.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(path.read_text()))
    run([cb.CSVLogger(path), look], [{"loss": 1, "val_loss": 2}, {"loss": 3}])
    first = "epoch,loss,val_loss\n0,1.0,2.0\n"
    assert seen == [first, first + "1,3.0,NA\n"]
    run(cb.CSVLogger(path, append=True), [{"loss": 5, "val_loss": [1, 2]}])
    assert path.read_text() == first + '1,3.0,NA\n0,5.0,"""[1, 2]"""\n'


def test_csv_logger_says_at_the_start_that_it_cannot_write(tmp_path):
    reached = []
    with pytest.raises(FileNotFoundError):
        run(
            [
                cb.CSVLogger(tmp_path / "missing" / "log.csv"),
                cb.LambdaCallback(on_epoch_begin=lambda epoch, logs: reached.append(epoch)),
            ],
            losses(1),
        )
    assert not reached


# -- the progress bar -------------------------------------------------------------------------

LINE = r"2/2 ━{20} 0s \d+[mu]s/step - accuracy: 0.5000 - loss: 1.2346e-04 - val_loss: 20.0000"
FIGURES = {"accuracy": 0.5, "loss": 1.23456e-4, "val_loss": 20}


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True

    def screen(self):
        """What is to be seen: lines, after carriage returns and erasures."""
        lines, column = [""], 0
        text = re.sub(r"\x1b\[[\d;]*m", "", self.getvalue())
        for piece in re.findall(r"\x1b\[2K|\r|\n|[^\x1b\r\n]+", text):
            if piece == "\n":
                lines.append("")
                column = 0
            elif piece == "\r":
                column = 0
            elif piece == "\x1b[2K":
                lines[-1] = " " * column
            else:
                line = lines[-1].ljust(column)
                lines[-1] = line[:column] + piece + line[column + len(piece) :]
                column += len(piece)
        assert "\x1b" not in "".join(lines)
        return lines


Notebook = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})


@pytest.fixture
def out(request, monkeypatch):
    """A made-up standard output; every step is drawn."""
    monkeypatch.setattr(progbar, "INTERVAL", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return getattr(request, "param", io.StringIO)()


@pytest.mark.parametrize("verbose", [1, "auto"])
def test_a_file_gets_a_line_an_epoch_and_no_control_characters(out, verbose):
    run(None, [FIGURES, FIGURES], out, verbose=verbose, add_progbar=True)
    lines = out.getvalue().split("\n")
    assert [lines[0], lines[2], lines[4]] == ["Epoch 1/2", "Epoch 2/2", ""]
    assert len(lines) == 5
    assert re.fullmatch(LINE, lines[1])
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", out.getvalue())


def test_verbose_2_has_no_bar(out):
    run(None, [FIGURES], out, verbose=2, add_progbar=True)
    line = LINE.replace("━{20} ", "- ").replace("0s ", "0s - ")
    assert re.fullmatch(line + "\n", out.getvalue())


def test_verbose_0_is_silent(out):
    run(None, [FIGURES, FIGURES], out, verbose=0, add_progbar=True)
    assert out.getvalue() == ""


@pytest.mark.parametrize("out", [Terminal, Notebook], indirect=True)
def test_the_line_grows_in_place(out):
    run(None, [FIGURES, FIGURES], out, verbose=1, add_progbar=True)
    text = out.getvalue()
    assert "1/2" in text
    assert "loss: 1.0000" in text  # of a batch
    lines = Terminal.screen(out)
    assert len(lines) == 5
    assert [lines[0].strip(), lines[2].strip(), lines[4]] == ["Epoch 1/2", "Epoch 2/2", ""]
    assert all(re.fullmatch(LINE, line.strip()) for line in (lines[1], lines[3]))


@pytest.mark.parametrize("out", [Terminal, Notebook], indirect=True)
def test_messages_get_a_line_of_their_own(out):
    callback = cb.ReduceLROnPlateau("loss", patience=0, factor=0.5, verbose=1)
    run(callback, losses(1, 1), out, verbose=1, add_progbar=True)
    lines = [line.rstrip() for line in Terminal.screen(out)]
    assert len(lines) == 6
    assert lines[3] == "Epoch 2: ReduceLROnPlateau reducing learning rate to 0.25."
    assert lines[4].startswith("2/2 ━")
    assert lines[4].endswith(" - loss: 1.0000 - learning_rate: 0.5000")


@pytest.mark.parametrize("out", [Terminal], indirect=True)
def test_a_line_longer_than_the_terminal_is_cut_while_it_changes(out, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    run(None, [FIGURES], out, verbose=1, add_progbar=True)
    drawn = [re.sub(r"\x1b\[[\d;]*[mK]", "", part) for part in out.getvalue().split("\r")]
    assert len(drawn) == 3
    assert all(len(line) == 29 for line in drawn[:2])
    assert re.fullmatch(LINE + "\n", drawn[2])


@pytest.mark.parametrize("out", [Terminal], indirect=True)
def test_drawing_is_rare(out, monkeypatch):
    monkeypatch.setattr(progbar, "INTERVAL", 3600.0)
    made = []

    def logs():
        made.append(1)
        return {"loss": 0.5}

    run(None, [{"loss": 0.5}], out, steps=1000, verbose=1, add_progbar=True, batch_logs=logs)
    assert len(made) == 1
    assert out.getvalue().count("\r") == 1


@pytest.mark.parametrize("out", [Terminal], indirect=True)
def test_an_unknown_number_of_steps(out):
    run(None, losses(1, 1), out, steps=None, verbose=1, add_progbar=True)
    text = out.getvalue()
    assert "2/Unknown" in text
    lines = out.screen()
    assert lines[1].startswith("3/3 ━━━━━━━━━━━━━━━━━━━━ 0s")
    assert lines[3].startswith("3/3 ━━━━━━━━━━━━━━━━━━━━ 0s")


@pytest.mark.parametrize("kind", ["test", "predict"])
def test_evaluation_and_prediction_have_a_bar(out, kind):
    hooks = cb.CallbackList(None, add_progbar=True, params=_params())
    with contextlib.redirect_stdout(out):
        getattr(hooks, f"on_{kind}_begin")()
        for batch in range(4):
            logs = {"loss": 0.5} if kind == "test" else {"outputs": np.zeros(3)}
            getattr(hooks, f"on_{kind}_batch_end")(batch, logs)
        getattr(hooks, f"on_{kind}_end")({"loss": 0.5} if kind == "test" else None)
    figures = " - loss: 0.5000" if kind == "test" else ""
    assert re.fullmatch(rf"4/4 ━{{20}} 0s \d+us/step{figures}\n", out.getvalue())


def test_a_progress_bar_of_ones_own_serves_training_and_evaluation(out):
    bar = cb.ProgbarLogger()
    run(bar, [{"loss": 1, "val_loss": 1}], out, verbose=1)
    assert out.getvalue().count("\n") == 1
    hooks = cb.CallbackList(bar, params=_params())
    with contextlib.redirect_stdout(out):
        hooks.on_test_begin()
        hooks.on_test_batch_end(0, {"loss": 1})
        hooks.on_test_end({"loss": 1})
    assert out.getvalue().count("\n") == 2


def test_an_output_without_the_bar_s_characters_gets_others():
    out = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    run(None, losses(1), out, verbose=1, add_progbar=True)
    out.seek(0)
    assert out.read().startswith("2/2 ==================== 0s")


@pytest.mark.parametrize("out", [Terminal], indirect=True)
def test_an_epoch_that_ends_early_shows_how_far_it_came(out):
    hooks = cb.CallbackList(None, add_progbar=True, params=_params())
    with contextlib.redirect_stdout(out):
        hooks.on_epoch_begin(0)
        hooks.on_train_batch_end(0, {"loss": 1})
        hooks.on_epoch_end(0, {"loss": 1})
    assert out.screen()[0].startswith("1/4 ━━━━━─────────────── 0s")


@pytest.mark.parametrize(
    ("seconds", "clock", "duration"),
    [
        (0, "0s", "0s"),
        (3e-5, "0s", "30us"),
        (0.004, "0s", "4ms"),
        (59.6, "59s", "60s"),
        (61, "1:01", "61s"),
        (3725, "1:02:05", "3725s"),
    ],
)
def test_times(seconds, clock, duration):
    assert progbar._clock(seconds) == clock
    assert progbar._duration(seconds) == duration


def test_time_left_and_time_needed(out, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progbar.time, "perf_counter", lambda: now[0])
    terminal = Terminal()
    for stream in (terminal, out):
        hooks = cb.CallbackList(None, add_progbar=True, params=_params())
        with contextlib.redirect_stdout(stream):
            hooks.on_epoch_begin(0)
            for batch, seconds in enumerate([10, 2, 4]):  # the first step prepares things
                now[0] += seconds
                hooks.on_train_batch_end(batch, {})
            drawn = terminal.screen()[0]
            hooks.on_epoch_end(0, {})
        if stream is terminal:
            assert drawn == "3/4 ━━━━━━━━━━━━━━━───── 3s 3s/step"
        last = Terminal.screen(stream)[-2]
        assert last == "3/4 ━━━━━━━━━━━━━━━───── 16s 3s/step"


def test_rich_is_imported_only_where_a_line_changes():
    script = (
        "import sys\n"
        "from minicnn import callbacks\n"
        "hooks = callbacks.CallbackList(None, add_progbar=True,\n"
        "    params={'epochs': 1, 'steps': 1, 'verbose': 1})\n"
        "hooks.on_epoch_begin(0)\n"
        "hooks.on_train_batch_end(0, {'loss': 1.0})\n"
        "hooks.on_epoch_end(0, {'loss': 1.0})\n"
        "assert 'rich' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"1/1 ")


def test_no_output_at_all(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert not display.is_live()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(None, losses(1), verbose=1, add_progbar=True)
