"""What the callbacks share that watch one figure of the training."""

from __future__ import annotations

import re
import warnings
from typing import Any

from minicnn.callbacks.base import Callback, Logs

# Words in the names of losses and metrics that tell which way is better.
SMALLER = {
    "cosh", "crossentropy", "divergence", "error", "hinge", "loss", "mae", "mape", "mse", "msle",
    "poisson", "rmse",
}  # fmt: skip
LARGER = {
    "acc", "accuracy", "auc", "correlation", "io", "iou", "precision", "recall", "score",
    "sensitivity", "similarity", "specificity",
}  # fmt: skip


class MonitorCallback(Callback):
    """Watches whether a figure gets better from epoch to epoch.

    Args:
        monitor: the figure's name in the logs.
        mode: ``"min"``: smaller is better, ``"max"``: larger is better; ``"auto"``: the name tells.
        min_delta: a change must be larger than this to count.

    Attributes:
        best: the best value so far.

    Raises:
        ValueError: if ``mode`` is unknown, or is ``"auto"`` and the name does not tell.
    """

    def __init__(self, monitor: str, mode: str, min_delta: float):
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"mode: expected 'auto', 'min' or 'max', got {mode!r}")
        self.monitor = monitor
        self.mode = direction(monitor) if mode == "auto" else mode
        self.min_delta = abs(min_delta)
        self.best: float | None = None

    def is_improvement(self, value: float, reference: float | None) -> bool:
        """Whether ``value`` is better than ``reference`` by more than ``min_delta``."""
        if reference is None:
            return True
        if self.mode == "min":
            return value + self.min_delta < reference
        return value - self.min_delta > reference

    def watched(self, logs: Logs) -> Any:
        """The figure; ``None``, with a warning, if it is not in the logs."""
        logs = logs or {}
        if self.monitor not in logs:
            warnings.warn(
                f"{type(self).__name__}: {self.monitor!r} is not among the figures of this epoch, "
                f"which are {', '.join(logs) or 'none'}",
                stacklevel=2,
            )
        return logs.get(self.monitor)


def direction(monitor: str) -> str:
    """``"min"`` or ``"max"``: which way the figure of that name gets better.

    >>> direction("val_loss"), direction("val_sparse_categorical_accuracy"), direction("auc_1")
    ('min', 'max', 'max')
    """
    words = set(re.split(r"[_\d\W]+", monitor.lower()))
    smaller, larger = bool(words & SMALLER), bool(words & LARGER)
    if smaller == larger:
        raise ValueError(
            f"monitor: {monitor!r} does not tell whether it gets better by growing or by "
            "shrinking; pass mode='max' or mode='min'"
        )
    return "min" if smaller else "max"
