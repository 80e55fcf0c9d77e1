"""The picture of ``compare``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from benchmarks.measure import significant
from benchmarks.peers import PEERS
from benchmarks.report import step_time
from benchmarks.stages import Results

COLORS = {
    "minicnn": "#c2410c",
    "keras": "#64748b",
    "jax": "#8796a8",
    "torch": "#a8b3c2",
    "torch-fused": "#d5dbe3",
}


def draw_steps(train: Results, path: str | Path) -> Path:
    """Draw the time of a training step: a panel for each model, a bar for each peer, with a line
    from the lowest to the highest round. Every axis begins at 0 and has its own scale.

    Args:
        train: the part of the results of that name.
        path: of the PNG file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(len(train), 4)
    rows = math.ceil(len(train) / columns)
    figure = Figure(figsize=(4.2 * columns, 3.1 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat[len(train) :]:
        axis.set_axis_off()
    for axis, (model, part) in zip(axes.flat, train.items(), strict=False):
        _panel(axis, model, part["peers"])
    figure.suptitle("Training step in milliseconds: shorter is better", fontsize=13)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return path


def _panel(axis: Any, model: str, peers: Results) -> None:
    """One model: of the peers that share a column of the tables, the faster one."""
    times = {name: step_time(figures) for name, figures in peers.items()}
    fastest: dict[str, str] = {}
    for name in sorted(times, key=lambda name: times[name].median):
        fastest.setdefault(PEERS[name].column, name)
    names = [name for name in times if fastest[PEERS[name].column] == name]
    longest = max((times[name].high for name in names), default=1.0)
    for place, name in enumerate(names):
        time = times[name]
        axis.barh(place, 1e3 * time.median, color=COLORS[PEERS[name].family])
        axis.plot([1e3 * time.low, 1e3 * time.high], [place, place], color="#111827", linewidth=1)
        axis.text(
            1e3 * (time.high + 0.02 * longest),
            place,
            significant(1e3 * time.median),
            va="center",
            fontsize=8,
        )
    labels = [
        PEERS[name].column + (f"\n({PEERS[name].mark})" if PEERS[name].mark else "")
        for name in names
    ]
    axis.set_yticks(range(len(names)), labels, fontsize=8)
    axis.invert_yaxis()
    axis.set_xlim(0, 1e3 * longest * 1.2)
    axis.tick_params(axis="x", labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_title(model, fontsize=10)
