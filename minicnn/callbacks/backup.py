"""A callback that lets a training which was interrupted go on where it stood."""

from __future__ import annotations

import contextlib
import os
import warnings
from pathlib import Path
from typing import Any

from minicnn.callbacks.base import Callback, Logs, RawLogs


class BackupAndRestore(Callback):
    """Keeps the state of the training in a file, and takes it up again from there.

    If the training is interrupted, by an error or because the process was killed, start the same
    program again: ``fit`` finds the file and goes on with the epoch (and the step) that was next.
    With the same data the result is the same to the bit as if nothing had happened: with the
    weights and the optimizer's memory the file keeps the orders of the data, the random numbers to
    come and what the other callbacks remember (see ``Callback.state``). When the training has come
    to its end, the file is deleted.

    What cannot be kept: random numbers that your own functions draw in threads, what a cache of a
    ``Dataset`` holds, and how far a running generator has been read.

    Args:
        backup_dir: the folder for the file.
        save_freq: ``"epoch"``, or after how many batches to write the file.
        double_checkpoint: whether the file before the last is kept, too, for the case that the
            last one cannot be read.
        delete_checkpoint: whether the file is deleted at the end.

    Raises:
        ValueError: if an argument is wrong, or the file belongs to another model.
    """

    runs_last = True
    state = ("batches_since_saving",)

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ):
        is_count = isinstance(save_freq, int) and not isinstance(save_freq, bool) and save_freq > 0
        if save_freq != "epoch" and not is_count:
            raise ValueError(
                f"save_freq: expected 'epoch' or a positive number of batches, got {save_freq!r}"
            )
        if not os.fspath(backup_dir):
            raise ValueError("backup_dir: expected a folder, got an empty name")
        self.path = Path(backup_dir, "latest.weights.h5")
        self.previous = Path(f"{self.path}.bkp")
        self.save_freq = save_freq
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self.batches_since_saving = 0
        self._epoch = 0
        self._data_at: tuple[int, list[int]] = (0, [])
        self._resumed: Any = None

    def on_train_begin(self, logs: Logs = None) -> None:
        self._resumed = None
        for path in (self.path, self.previous):
            if path.exists():
                self._resumed = self._load(path)
            if self._resumed is not None:
                break
        if self._resumed is None:
            return
        self._resumed.restore_callbacks(self.companions)
        epochs = self.params["epochs"]
        self.model.start_at = (epochs, 0, 0) if self._resumed.stopped else self._resumed.start_at

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = epoch
        self._data_at = self._where_data_stand()
        if self._in_the_middle():
            # The callbacks have begun this epoch for a second time.
            self._resumed.restore_callbacks(self.companions)
            self._resumed.restore_learning_rate(self.model)
            self._resumed.restore_totals(self.model)
        self._resumed = None

    def on_train_batch_end(self, batch: int, logs: RawLogs = None) -> None:
        if self.save_freq == "epoch":
            return
        self.batches_since_saving += 1
        if self.batches_since_saving >= self.save_freq:
            self.batches_since_saving = 0
            if batch + 1 != self.params["steps"]:  # else the end of the epoch will do it
                self._save(self._epoch, batch + 1, *self._data_at)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.save_freq == "epoch" or self.batches_since_saving == 0:
            self._save(epoch + 1, 0, *self._where_data_stand())

    def on_train_end(self, logs: Logs = None) -> None:
        if self.delete_checkpoint:
            for path in (self.path, self.previous):
                path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                self.path.parent.rmdir()  # if nothing else is in it

    def _in_the_middle(self) -> bool:
        """Whether the present epoch had begun before the interruption."""
        return self._resumed is not None and self._resumed.start_at[1] > 0

    def _where_data_stand(self) -> tuple[int, list[int]]:
        """How many batches of the present round are done, and what the orders come from."""
        return self.model.rounds[0].used, self.model.order_steps

    def _save(self, epoch: int, step: int, used: int, order_steps: list[int]) -> None:
        from minicnn.saving import training_state

        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.double_checkpoint and self.path.exists():
            os.replace(self.path, self.previous)
        start_at = (epoch, step, used)
        training_state.save(self.path, self.model, self.companions, start_at, order_steps)

    def _load(self, path: Path) -> Any:
        from minicnn.saving import training_state

        try:
            return training_state.load(path, self.model)
        except ValueError as error:
            if path == self.previous or not self.previous.exists():
                raise
            warnings.warn(f"{path} cannot be used, the one before is: {error}", stacklevel=2)
            return None
