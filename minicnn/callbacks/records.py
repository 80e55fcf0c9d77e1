"""Callbacks that write down how a training went."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from typing import Any

from minicnn.callbacks.base import Callback, Logs


class History(Callback):
    """What ``fit`` returns: every figure of every epoch.

    Attributes:
        history: maps each name to the list of its values, one an epoch.
        epoch: the numbers of these epochs, from 0.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Logs = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        self.model.history = self


class CSVLogger(Callback):
    """Writes the figures of each epoch into a file, as a table with one line an epoch.

    The columns are those of the first epoch, and where that had no validation, a column for each
    figure's validation as well; what is missing is ``NA``. The file is complete after each epoch.

    Args:
        filename: the file.
        separator: what stands between two columns.
        append: go on with a file that exists, instead of writing it anew.
    """

    def __init__(self, filename: str | os.PathLike, separator: str = ",", append: bool = False):
        self.filename = os.fspath(filename)
        self.separator = separator
        self.append = append
        self._columns: list[str] | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        self._columns = None
        with open(self.filename, "a" if self.append else "w"):
            pass  # a file that cannot be written stops the training before it starts

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        logs = logs or {}
        rows: list[list[Any]] = []
        if self._columns is None:
            self._columns = sorted(logs)
            if not any(name.startswith("val_") for name in logs):
                self._columns += [f"val_{name}" for name in self._columns]
            if not os.path.getsize(self.filename):
                rows.append(["epoch", *self._columns])
        rows.append([epoch, *(_cell(logs.get(name, "NA")) for name in self._columns)])
        with open(self.filename, "a", newline="", encoding="utf-8") as file:
            csv.writer(file, delimiter=self.separator).writerows(rows)


def _cell(value: Any) -> Any:
    """A list, or an array with axes, in one cell."""
    if isinstance(value, str) or not isinstance(value, Iterable) or getattr(value, "ndim", 1) == 0:
        return value
    return f'"[{", ".join(map(str, value))}]"'
