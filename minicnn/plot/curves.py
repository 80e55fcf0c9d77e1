"""Training curves: what ``fit`` returned, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.plot.arrays import as_numpy

if TYPE_CHECKING:
    from minicnn.plot.display import Figure

# Blue and vermilion of Okabe and Ito's palette, which stay apart for the colour-blind, too.
TRAINING = {"color": "#0072b2", "label": "training"}
VALIDATION = {"color": "#d55e00", "label": "validation", "linestyle": "--"}
PANELS_A_ROW = 3
# What callbacks write into the history is measured on no data.
SETTINGS = ("learning_rate", "lr")


def history(history: Any, metrics: Sequence[str] | None = None) -> Figure:
    """Draw loss and metrics over the epochs, on the training and on the validation data.

    Several runs are drawn as one, as when ``fit`` trained for 10 epochs and went on to 30 with
    ``initial_epoch=10``; a dotted line marks where a run ended. Epochs are counted from 1.

    Args:
        history: what ``fit`` returned, or its ``.history`` dictionary; or a list of these.
        metrics: the names of what to draw, ``["loss", "accuracy"]``; by default all there is, the
            loss first.

    Returns:
        The matplotlib figure.

    Raises:
        ValueError: if there are no epochs, a name is unknown, or the lists within a run differ in
            length.

    >>> figure = history({"loss": [1.0, 0.5], "accuracy": [0.6, 0.8], "val_loss": [1.1, 0.7]})
    >>> [axes.get_title() for axes in figure.axes]
    ['loss', 'accuracy']
    """
    from matplotlib.ticker import MaxNLocator

    from minicnn.plot.display import Figure

    runs = [_Run(run) for run in (history if isinstance(history, (list, tuple)) else [history])]
    if not runs:
        raise ValueError("history: expected what fit returned, or a list of it, got an empty list")
    names = _choose(runs, metrics)
    ends = np.cumsum([run.length for run in runs])
    epochs = runs[0].first_epoch + np.arange(ends[-1])

    columns = min(len(names), PANELS_A_ROW)
    rows = -(-len(names) // columns)
    figure = Figure(4.5 * columns, 3.4 * rows)
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, name in zip(panels, names, strict=False):
        for key, style in ((name, TRAINING), (f"val_{name}", VALIDATION)):
            if any(key in run.values for run in runs):
                values = np.concatenate([run.curve(key) for run in runs])
                marker = "o" if len(epochs) <= 30 else None
                axes.plot(epochs, values, marker=marker, markersize=3, **style)
        for end in ends[:-1]:
            axes.axvline(epochs[end - 1] + 0.5, color="gray", linestyle=":", linewidth=1)
        axes.set_title(name.replace("_", " "))
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(steps=(1, 2, 5, 10), integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        if name not in SETTINGS:
            axes.legend(frameon=False)
    for axes in panels[len(names) :]:
        axes.remove()
    return figure


class _Run:
    """The numbers of one call of fit: lists of equal length, by name."""

    def __init__(self, run: Any):
        values = getattr(run, "history", run)
        if not isinstance(values, dict):
            raise ValueError(
                "history: expected what fit returned, its .history dictionary, or a list of these, "
                f"got {type(run).__name__}"
            )
        self.values = {key: as_numpy(values[key], f"history[{key!r}]") for key in values}
        lengths = {key: value.size for key, value in self.values.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"history: expected as many values in each list, got {lengths}")
        self.length = max(lengths.values(), default=0)
        if self.length == 0:
            raise ValueError(f"history: there are no epochs to draw in {values!r}")
        # History.epoch counts from 0; after initial_epoch=10 it begins with 10.
        self.first_epoch = 1 + next(iter(getattr(run, "epoch", None) or [0]))

    def curve(self, key: str) -> np.ndarray:
        """The values of every epoch; a gap where this run did not measure it."""
        return self.values.get(key, np.full(self.length, np.nan)).reshape(-1)


def _choose(runs: list[_Run], metrics: Sequence[str] | None) -> list[str]:
    """What gets a panel: every name once, without "val_", the loss first."""
    known = list(dict.fromkeys(key.removeprefix("val_") for run in runs for key in run.values))
    known.sort(key=lambda name: name != "loss")
    if metrics is None:
        return known
    metrics = [metrics] if isinstance(metrics, str) else list(metrics)
    unknown = [name for name in metrics if name not in known]
    if unknown or not metrics:
        raise ValueError(f"metrics: expected some of {known}, got {metrics}")
    return metrics
