"""A callback that saves the model while it trains."""

from __future__ import annotations

import os
from pathlib import Path

from minicnn.callbacks.base import Logs, RawLogs, as_floats
from minicnn.callbacks.display import say
from minicnn.callbacks.monitor import MonitorCallback


class ModelCheckpoint(MonitorCallback):
    """Saves the model, or its weights, after each epoch or every so many batches.

    A file is there as a whole or not at all, also if the training is killed meanwhile. A whole
    model that was saved after an epoch goes on from there to the same bits: ``load_model``, and
    ``fit`` with ``initial_epoch`` and the same data. ``BackupAndRestore`` does that by itself, from
    any step, and brings what the callbacks remember.

    >>> best = ModelCheckpoint("best.keras", monitor="val_accuracy", save_best_only=True)
    >>> every = ModelCheckpoint("{epoch:02d}-{val_loss:.2f}.weights.h5", save_weights_only=True)

    Args:
        filepath: the file, ``*.keras`` (or ``*.h5``) for whole models, ``*.weights.h5`` for
            weights. It may name ``{epoch}`` (from 1), ``{batch}`` (from 1, where ``save_freq`` is a
            number) and every figure of the logs, ``{val_loss:.3f}``, which makes a file of its own
            each time. Folders are made where they are missing.
        monitor: the figure that says what is best.
        verbose: 1 tells each time what is saved.
        save_best_only: save only when the figure is better than ever before.
        save_weights_only: only the weights (and the optimizer's memory), not the layers.
        mode: ``"min"``: smaller is better, ``"max"``: larger is better; ``"auto"``: the name tells.
        save_freq: ``"epoch"``, or after how many batches to save.
        initial_value_threshold: what the first one must be better than.

    Raises:
        ValueError: if the file's ending does not fit, ``save_freq`` is wrong, or, while training,
            if the name wants a figure that there is not.
    """

    state = ("best", "batches_since_saving")
    takes_raw_logs = True  # figures are looked at when a file is due, and not at every batch

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ):
        super().__init__(monitor, mode, min_delta=0)
        self.filepath = os.fspath(filepath)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        self.best = initial_value_threshold
        self.batches_since_saving = 0
        self._epoch = 0
        is_count = isinstance(save_freq, int) and not isinstance(save_freq, bool) and save_freq > 0
        if save_freq != "epoch" and not is_count:
            raise ValueError(
                f"save_freq: expected 'epoch' or a positive number of batches, got {save_freq!r}"
            )
        endings = (".weights.h5",) if save_weights_only else (".keras", ".h5")
        if not self.filepath.endswith(endings):
            raise ValueError(
                f"filepath: expected a name that ends in {' or '.join(endings)} with "
                f"{save_weights_only=}, got {self.filepath!r}"
            )

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: RawLogs = None) -> None:
        if self.save_freq == "epoch":
            return
        self.batches_since_saving += 1
        if self.batches_since_saving >= self.save_freq:
            self.batches_since_saving = 0
            self._save(self._epoch, {"batch": batch + 1, **as_floats(logs)})

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch, logs or {})

    def _save(self, epoch: int, logs: dict) -> None:
        path = self._path(epoch, logs)
        if self.save_best_only and not self._is_best(epoch, logs):
            return
        if self.verbose and not self.save_best_only:
            say(f"Epoch {epoch + 1}: saving model to {path}")
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)

    def _is_best(self, epoch: int, logs: dict) -> bool:
        """Whether to save; without the figure, as Keras does, one warns and saves."""
        value = self.watched(logs)
        if value is None:
            return True
        better, before = self.is_improvement(value, self.best), self.best
        if better:
            self.best = value
        if self.verbose:
            known = "None" if before is None else f"{before:.5f}"
            said = (
                f"improved from {known} to {value:.5f}, saving model to {self._path(epoch, logs)}"
            )
            say(
                f"Epoch {epoch + 1}: {self.monitor} "
                + (said if better else f"did not improve from {known}")
            )
        return better

    def _path(self, epoch: int, logs: dict) -> Path:
        try:
            return Path(self.filepath.format(epoch=epoch + 1, **logs))
        except (KeyError, IndexError) as error:
            raise ValueError(
                f"filepath: {self.filepath!r} wants {error}, which is not among the figures of "
                f"this moment: epoch, {', '.join(logs)}"
            ) from None
