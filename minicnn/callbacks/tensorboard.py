"""A callback that writes what TensorBoard shows."""

from __future__ import annotations

import os
import time
from typing import Any

from minicnn.callbacks.base import Callback, Logs, RawLogs, as_floats


class TensorBoard(Callback):
    """Writes the figures of a training for TensorBoard: ``tensorboard --logdir logs``.

    They lie where Keras puts them: those of the training in ``log_dir/train``, those of the
    validation in ``log_dir/validation``, as ``epoch_loss``, ``epoch_accuracy`` and so on by epoch
    (with ``epoch_learning_rate``), as ``batch_loss`` ... by training step, and those of an
    evaluation as ``evaluation_loss_vs_iterations`` ... by the optimizer's steps.

    Takes the package tensorboardX (the extra ``tensorboard``).

    Args:
        log_dir: the folder.
        histogram_freq: every how many epochs the distribution of every weight is written; 0 for
            never.
        write_graph: takes Keras's default and does nothing, as in Keras 3 without TensorFlow.
        write_images: no more than ``False``; ``minicnn.plot.filters`` draws weights.
        write_steps_per_second: whether to write how fast it goes.
        update_freq: ``"epoch"``, or after how many batches to write the figures of the batches;
            ``"batch"`` for each.
        profile_batch, embeddings_freq, embeddings_metadata: no more than the defaults.

    Raises:
        ImportError: if tensorboardX is not installed.
        ValueError: if an argument asks for what there is not.
    """

    state = ("batches",)
    takes_raw_logs = True  # figures are looked at when they are due, and not at every batch

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: int = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
    ):
        asked = {
            "write_images": write_images,
            "profile_batch": profile_batch,
            "embeddings_freq": embeddings_freq,
            "embeddings_metadata": embeddings_metadata,
        }
        for name, value in asked.items():
            if value:
                raise ValueError(f"{name}: not in minicnn, got {value!r}")
        every = 1 if update_freq == "batch" else update_freq
        if every != "epoch" and (not isinstance(every, int) or every < 1):
            raise ValueError(
                "update_freq: expected 'epoch', 'batch' or a positive number of batches, got "
                f"{update_freq!r}"
            )
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq = histogram_freq
        self.write_graph = write_graph
        self.write_steps_per_second = write_steps_per_second
        self.update_freq = every
        self.batches = 0
        self._writers: dict[str, Any] = {}
        self._epoch_start = self._batch_start = (0.0, 0)
        _summary_writer()  # raises now, and not after the first epoch

    def on_train_begin(self, logs: Logs = None) -> None:
        self.batches = 0

    def on_train_end(self, logs: Logs = None) -> None:
        self._close()

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch_start = (time.perf_counter(), self.batches)

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        self._batch_start = (time.perf_counter(), self.batches)

    def on_train_batch_end(self, batch: int, logs: RawLogs = None) -> None:
        self.batches += 1
        if self.update_freq == "epoch" or self.batches % self.update_freq:
            return
        figures = as_floats(logs)
        if self.write_steps_per_second:
            figures["steps_per_second"] = self._speed(self._batch_start)
        self._write("train", "batch_{}", figures, self.batches)

    def on_test_end(self, logs: Logs = None) -> None:
        steps = getattr(self.model.optimizer, "iterations", None)
        if steps is not None:
            self._write("validation", "evaluation_{}_vs_iterations", logs or {}, steps)
            self._flush()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        logs = logs or {}
        train = {name: value for name, value in logs.items() if not name.startswith("val_")}
        train["learning_rate"] = float(self.model.optimizer.learning_rate)
        if self.write_steps_per_second:
            train["steps_per_second"] = self._speed(self._epoch_start)
        self._write("train", "epoch_{}", train, epoch)
        rest = {name[4:]: value for name, value in logs.items() if name.startswith("val_")}
        self._write("validation", "epoch_{}", rest, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            for layer in self.model.layers:
                for weight in layer.weights:
                    tag = f"{layer.name}/{weight.name}/histogram"
                    self._writer("train").add_histogram(tag, weight.numpy(), epoch)
        self._flush()

    def _write(self, part: str, tag: str, figures: dict[str, Any], step: int) -> None:
        for name, value in figures.items():
            self._writer(part).add_scalar(tag.format(name), value, step)

    def _writer(self, part: str) -> Any:
        """The writer for a folder, which is made when there is something to write."""
        if part not in self._writers:
            self._writers[part] = _summary_writer()(os.path.join(self.log_dir, part))
        return self._writers[part]

    def _speed(self, start: tuple[float, int]) -> float:
        seconds, batches = start
        return (self.batches - batches) / max(time.perf_counter() - seconds, 1e-9)

    def _flush(self) -> None:
        for writer in self._writers.values():
            writer.flush()

    def _close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}


def _summary_writer() -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise ImportError(
            "the callback TensorBoard takes the package tensorboardX: "
            "pip install 'minicnn[tensorboard]'"
        ) from error
    return SummaryWriter
