"""Callbacks that end a training early."""

from __future__ import annotations

import math
from typing import Any

from minicnn.callbacks.base import Callback, Logs
from minicnn.callbacks.display import say
from minicnn.callbacks.monitor import MonitorCallback


class EarlyStopping(MonitorCallback):
    """Stops when a figure has not become better for some epochs.

    Args:
        monitor: the figure's name in the logs.
        min_delta: a change must be larger than this to count.
        patience: after so many epochs without an improvement the training stops.
        verbose: 1 says so when it happens.
        mode: ``"min"``: smaller is better, ``"max"``: larger is better; ``"auto"``: the name tells.
        baseline: only an epoch that is better than this, too, counts as an improvement.
        restore_best_weights: whether the model gets back the weights of its best epoch at the end,
            whichever way the training ended; otherwise it keeps those of the last.
        start_from_epoch: the epochs before this one (from 0) do not count.
    """

    state = ("wait", "stopped_epoch", "best", "best_epoch", "best_weights")

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ):
        super().__init__(monitor, mode, min_delta)
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self._start()

    def _start(self) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best = None
        self.best_epoch = 0
        self.best_weights: list[Any] | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        self._start()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        value = self.watched(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        self.wait += 1
        if self.is_improvement(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self.is_improvement(value, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs = None) -> None:
        if self.stopped_epoch and self.verbose:
            say(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose:
                best = self.best_epoch + 1
                say(f"Restoring model weights from the end of the best epoch: {best}.")
            self.model.set_weights(self.best_weights)


class TerminateOnNaN(Callback):
    """Stops at once when the loss is NaN or infinite.

    Args:
        raise_error: raise an error, instead of ending the training as usual.

    Raises:
        RuntimeError: then, from ``fit``.
    """

    def __init__(self, raise_error: bool = False):
        self.raise_error = raise_error

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(f"the loss is {loss} after batch {batch}")
        say(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True
