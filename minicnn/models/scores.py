"""The metrics of a model's outputs: what is reported besides the loss."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minicnn.metrics import Metric, resolve


class Scores:
    """The metrics of every output. They are made when the first batch comes: which one "accuracy"
    is depends on its shapes.

    Args:
        requested: for every output the list of its metrics, as given to ``compile``.
        names: the names of the outputs.
        ops: the floor that computes.
    """

    def __init__(self, requested: list[list[Any]], names: list[str], ops: Any):
        self.requested, self.names, self.ops = requested, names, ops
        for one in (one for metrics in requested for one in metrics):
            resolve(one, None, (None, 1), (None, 1))  # raises if there is no such metric
        self.metrics: list[list[Metric]] = []
        self._waiting: list[dict[str, Any]] = []

    def __iter__(self) -> Iterator[Metric]:
        return (metric for metrics in self.metrics for metric in metrics)

    def set_totals(self, totals: list[dict[str, Any]]) -> None:
        """Go on from these running totals, one dict for each metric."""
        self._waiting = [] if self.metrics else totals
        for metric, values in zip(self, totals, strict=False):
            go_on_from(metric, values)

    def update(
        self, losses: list[Any], targets: list[Any], ys: list[Any], weights: list[Any]
    ) -> None:
        if not self.metrics:
            self.metrics = [
                [resolve(one, loss, np.shape(target), np.shape(y)) for one in requested]
                for requested, loss, target, y in zip(
                    self.requested, losses, targets, ys, strict=True
                )
            ]
            for metric in self:
                metric.move_to(self.ops)
            self.set_totals(self._waiting)
        for metrics, target, y, weight in zip(self.metrics, targets, ys, weights, strict=True):
            for metric in metrics:
                metric.update_state(target, y, weight)

    def results(self) -> list[tuple[str, str, Any]]:
        """For each metric, in order: the prefix of its name (if there are several outputs), its
        name and its value."""
        return [
            (
                f"{output}_" if len(self.names) > 1 else "",
                metric.name,
                _as_it_is_now(metric.result()),
            )
            for output, metrics in zip(self.names, self.metrics, strict=False)
            for metric in metrics
        ]


def _as_it_is_now(result: Any) -> Any:
    """A copy of what may be a running total itself, which later batches change."""
    return result.copy() if hasattr(result, "copy") else result


def go_on_from(metric: Metric, totals: dict[str, Any]) -> None:
    """Let a metric go on from these running totals. They are written into the arrays that it has: a
    step that a floor has recorded adds to those."""
    for name, total in totals.items():
        if name in metric.totals:
            metric.totals[name][...] = total
        else:
            metric.totals[name] = total
