"""Callbacks that change the learning rate from epoch to epoch."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable

from minicnn.callbacks.base import Callback, Logs
from minicnn.callbacks.display import say
from minicnn.callbacks.monitor import MonitorCallback
from minicnn.validation import number


class LearningRateScheduler(Callback):
    """Sets the learning rate of each epoch by a function.

    >>> halve_every_ten = LearningRateScheduler(lambda epoch, lr: lr / 2 if epoch % 10 == 9 else lr)

    Args:
        schedule: gives the learning rate from the epoch (from 0) and the present learning rate, or
            from the epoch alone.
        verbose: 1 tells each new learning rate.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0):
        if not callable(schedule):
            raise TypeError(f"schedule: expected a function, got {schedule!r}")
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        lr = float(self.model.optimizer.learning_rate)
        both = _takes_two(self.schedule)
        lr = self.schedule(epoch, lr) if both else self.schedule(epoch)
        self.model.optimizer.learning_rate = number(lr, "what schedule returned", "[0, inf)")
        if self.verbose:
            say(f"Epoch {epoch + 1}: LearningRateScheduler setting learning rate to {lr}.")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


class ReduceLROnPlateau(MonitorCallback):
    """Lowers the learning rate when a figure has not become better for some epochs.

    Args:
        monitor: the figure's name in the logs.
        factor: what the learning rate is multiplied by, less than 1.
        patience: after so many epochs without an improvement the learning rate is lowered.
        verbose: 1 says so when it happens.
        mode: ``"min"``: smaller is better, ``"max"``: larger is better; ``"auto"``: the name tells.
        min_delta: a change must be larger than this to count.
        cooldown: so many epochs after that do not count.
        min_lr: the learning rate gets no lower than this.
        epsilon: what ``min_delta`` was called once. It changes nothing, as in Keras, but is warned
            about.
    """

    state = ("best", "wait", "cooldown_counter")

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        epsilon: float | None = None,
    ):
        if epsilon is not None:
            warnings.warn(
                f"epsilon of ReduceLROnPlateau: {epsilon!r} is ignored, as in Keras 3; write "
                "min_delta instead",
                stacklevel=2,
            )
        super().__init__(monitor, mode, min_delta)
        self.factor = number(factor, "factor", "(0, 1)")
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.min_lr = number(min_lr, "min_lr", "[0, inf)")
        self._start()

    def _start(self) -> None:
        self.best = None
        self.wait = 0
        self.cooldown_counter = 0

    def on_train_begin(self, logs: Logs = None) -> None:
        self._start()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        logs = {} if logs is None else logs
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        value = self.watched(logs)
        if value is None:
            return
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
        if self.is_improvement(value, self.best):
            self.best = value
            self.wait = 0
        elif self.cooldown_counter == 0:
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        old = float(self.model.optimizer.learning_rate)
        lr = max(old * self.factor, self.min_lr)
        if lr >= old:
            return
        self.model.optimizer.learning_rate = lr
        self.cooldown_counter = self.cooldown
        self.wait = 0
        if self.verbose:
            say(f"Epoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {lr}.")


def _takes_two(schedule: Callable[..., float]) -> bool:
    try:
        inspect.signature(schedule).bind(0, 0.0)
    except TypeError:
        return False
    except ValueError:  # some built-in functions do not tell
        return True
    return True
