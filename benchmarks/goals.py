"""What minicnn sets out to reach on a CPU, and whether it did."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.measure import Summary, Table
from benchmarks.report import (
    KERAS,
    OURS,
    TORCH,
    advantage,
    predict_time,
    share_of_roof,
    step_time,
)
from benchmarks.stages import LESSON, STARTUP, Results


@dataclass(frozen=True)
class Goal:
    """A figure of which more is better.

    Attributes:
        figure: what it is.
        goal: what it should be.
        least: what it must be.
        measured: its value by model, from the results.
    """

    figure: str
    goal: float
    least: float
    measured: Callable[[Results], dict[str, float]]


def _steps(families: tuple[str, ...]) -> Callable[[Results], dict[str, float]]:
    return lambda results: {
        model: advantage(part["peers"], families, step_time)[0]
        for model, part in results.get("train", {}).items()
    }


def _predictions(results: Results) -> dict[str, float]:
    return {
        model: advantage(part["peers"], KERAS + TORCH, predict_time)[0]
        for model, part in results.get("train", {}).items()
    }


def _shares(results: Results) -> dict[str, float]:
    return {
        model: share_of_roof(part, OURS)
        for model, part in results.get("train", {}).items()
        if model in ("model3", "mini-alexnet", "convnet") and OURS in part["peers"]
    }


def _memory(results: Results) -> dict[str, float]:
    values = {}
    for model, part in results.get("train", {}).items():
        peaks = [part["peers"].get(name, {}).get("peak") for name in ("keras-tensorflow", OURS)]
        if all(peaks):
            values[model] = peaks[0] / peaks[1]
    return values


def _smallest(results: Results) -> dict[str, float]:
    peers = results.get("train", {}).get("dense-mnist", {}).get("peers", {})
    return {"dense-mnist": 0.2e-3 / step_time(peers[OURS]).median} if OURS in peers else {}


def _startup(results: Results) -> dict[str, float]:
    return _against_keras(results.get("startup", {}), OURS, STARTUP)


def _lesson(label: str) -> Callable[[Results], dict[str, float]]:
    return lambda results: _against_keras(results.get("lesson", {}), label, LESSON)


def _against_keras(seconds: dict[str, list[float]], ours: str, model: str) -> dict[str, float]:
    """The quickest Keras backend's seconds, divided by ours."""
    keras = [Summary.of(s).median for name, s in seconds.items() if "keras" in name and s]
    if not keras or not seconds.get(ours):
        return {}
    return {model: min(keras) / Summary.of(seconds[ours]).median}


GOALS = (
    Goal("training step: times faster than the fastest Keras", 2, 1.3, _steps(KERAS)),
    Goal("training step: times faster than the fastest PyTorch", 1.5, 1.05, _steps(TORCH)),
    Goal("training step: share of the matrix-product rate", 0.65, 0.5, _shares),
    Goal("training step: times within 0.2 ms", 1, 1, _smallest),
    Goal("predict: times faster than the fastest peer", 1.5, 1, _predictions),
    Goal("peak memory: times less than Keras/TensorFlow", 4, 2, _memory),
    Goal("import and build: times quicker than importing the quickest Keras", 10, 5, _startup),
    Goal("first epoch: times quicker than the fastest Keras", 2, 1.3, _lesson(OURS)),
    Goal(
        "the same with an empty kernel cache", 1, 1 / 1.3, _lesson(f"{OURS}, empty cache")
    ),
)  # fmt: skip


def goal_table(results: Results) -> Table:
    """For each goal, which models reach it, which stay above the least, and which below."""
    rows = []
    for goal in GOALS:
        cells: list[list[str]] = [[], [], []]
        for model, value in goal.measured(results).items():
            if math.isnan(value):
                continue
            place = 0 if value >= goal.goal else 1 if value >= goal.least else 2
            cells[place].append(f"{model} {value:.2f}")
        if any(cells):
            wanted = [f"{goal.goal:g}", f"{goal.least:.3g}"]
            rows.append([goal.figure, *wanted, *(", ".join(cell) or "-" for cell in cells)])
    headings = ["figure", "goal", "least", "goal reached", "above the least", "below the least"]
    return Table("Goals", headings, rows)
