"""The progress bar."""

from __future__ import annotations

import time
from typing import Any

from minicnn.callbacks import display
from minicnn.callbacks.base import Callback, Logs, RawLogs, as_floats

BAR_WIDTH = 20
INTERVAL = 0.1  # seconds between two drawings


class ProgbarLogger(Callback):
    """Shows how far an epoch is, how long it takes, and the figures::

        Epoch 1/5
        704/704 ━━━━━━━━━━━━━━━━━━━━ 3s 4ms/step - accuracy: 0.4521 - loss: 1.5312

    With ``verbose=1`` the line grows while the epoch runs, in a terminal and in a notebook, and
    shows the time that is left until it shows the time that was needed; a file gets the final line
    only. With ``verbose=2`` that is so everywhere, and the line has no bar.
    """

    takes_raw_logs = True

    def __init__(self) -> None:
        self.verbose = 1
        self.epochs = 1
        self.total: int | None = None
        self._training = False
        self._start()

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params
        self.verbose = 1 if params["verbose"] == "auto" else params["verbose"]
        self.epochs = params["epochs"]
        self.total = params["steps"]

    # -- training: a line an epoch, and none for its validation -------------------------------

    def on_train_begin(self, logs: Logs = None) -> None:
        self._training = True

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        if self.verbose and self.epochs > 1:
            display.say(f"Epoch {epoch + 1}/{self.epochs}")
        self._start()

    def on_train_batch_end(self, batch: int, logs: RawLogs = None) -> None:
        self._advance(batch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._finish(logs)

    def on_train_end(self, logs: Logs = None) -> None:
        self._training = False

    # -- evaluation and prediction ------------------------------------------------------------

    def on_test_begin(self, logs: Logs = None) -> None:
        if not self._training:
            self._start()

    def on_test_batch_end(self, batch: int, logs: RawLogs = None) -> None:
        if not self._training:
            self._advance(batch, logs)

    def on_test_end(self, logs: Logs = None) -> None:
        if not self._training:
            self._finish(logs)

    def on_predict_begin(self, logs: Logs = None) -> None:
        self._start()

    def on_predict_batch_end(self, batch: int, logs: RawLogs = None) -> None:
        self._advance(batch, None)

    def on_predict_end(self, logs: Logs = None) -> None:
        self._finish(None)

    # -- the line -----------------------------------------------------------------------------

    def _start(self) -> None:
        self._seen = 0
        self._begun = time.perf_counter()
        self._after_first: tuple[float, int] | None = None  # the time, and the steps done
        self._next_drawing = 0.0
        self._live = self.verbose == 1 and display.is_live()

    def _advance(self, batch: int, logs: RawLogs) -> None:
        self._seen = batch + 1
        if self._live and time.perf_counter() >= self._next_drawing:
            display.draw(self._parts(as_floats(logs), final=False))
            self._next_drawing = time.perf_counter() + INTERVAL
        if self._after_first is None:
            self._after_first = time.perf_counter(), self._seen

    def _finish(self, logs: Logs) -> None:
        if self.total is None:
            self.total = self._seen  # the next epoch will be as long
        if self.verbose:
            display.finish(self._parts(logs or {}, final=True))

    def _parts(self, figures: dict[str, Any], final: bool) -> list[tuple[str, str]]:
        """The line in pieces, each with its style."""
        elapsed = time.perf_counter() - self._begun
        a_step = self._seconds_a_step()
        figures_text = "".join(f" - {name}: {_figure(value)}" for name, value in figures.items())
        if self.total is None:
            steps = f"{self._seen:7d}/Unknown"
        else:
            steps = f"{self._seen:{len(str(self.total))}d}/{self.total}"
        if self.verbose == 2:
            line = f"{steps} - {elapsed:.0f}s - {_duration(a_step)}/step{figures_text}"
            return [(line, "")]
        left = None if final or self.total is None else a_step * (self.total - self._seen)
        return [
            (steps, "bold"),
            *self._bar(),
            (f" {elapsed:.0f}s" if left is None else f" {_clock(left)}", "bold"),
            (f" {_duration(a_step)}/step{figures_text}", ""),
        ]

    def _bar(self) -> list[tuple[str, str]]:
        if not self.total:
            return []
        done = int(BAR_WIDTH * min(self._seen / self.total, 1))
        full, empty = "━─" if display.can_show("━─") else "=-"
        return [(" ", ""), (full * done, "green"), (empty * (BAR_WIDTH - done), "bright_black")]

    def _seconds_a_step(self) -> float:
        """The mean, without the first step, which often has things to prepare."""
        if self._seen == 0:
            return 0.0
        since, done = self._after_first or (self._begun, 0)
        if self._seen == done:
            since, done = self._begun, 0
        return (time.perf_counter() - since) / (self._seen - done)


def _figure(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.4f}" if abs(value) > 1e-3 else f"{value:.4e}"


def _duration(seconds: float) -> str:
    if seconds >= 1 or seconds == 0:
        return f"{seconds:.0f}s"
    return f"{seconds * 1e3:.0f}ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us"


def _clock(seconds: float) -> str:
    minutes, s = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02d}:{s:02d}"
    return f"{minutes}:{s:02d}" if minutes else f"{s}s"
