"""What training minimises: the losses of a model's outputs, as one number with its gradient.

The heart is :meth:`Objective.value_and_gradients`, where the way back begins. The rest keeps the
running means that are reported.
"""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from minicnn import losses
from minicnn.layers.activated import ActivatedLayer
from minicnn.metrics import Mean, Metric
from minicnn.models.graph import Graph
from minicnn.models.scores import Scores, go_on_from


class Objective:
    """The loss of every output of a model, and its metrics.

    Args:
        graph: the model's graph.
        output_names: the names of its outputs.
        loss: as given to ``compile``: one loss, or a list or dict with one for every output.
        metrics, weighted_metrics: as given to ``compile``.
        loss_weights: a number for every output, as a list or dict; all 1 by default.
        ops: the floor that computes.

    Attributes:
        heads: for each output the number of the step that makes it, if its activation is
            differentiated together with the loss, else ``None``. Where a softmax meets a
            categorical cross-entropy (or a sigmoid a binary one), dL/dz is p - t, which neither
            overflows nor vanishes, however wrong the prediction p of the target t is.
        without_activation: the set of these steps: the graph is asked for their z, not for p.
    """

    def __init__(
        self,
        graph: Graph,
        output_names: list[str],
        loss: Any,
        loss_weights: Any,
        metrics: Any,
        weighted_metrics: Any,
        ops: Any,
    ):
        self.graph, self.names, self.ops = graph, output_names, ops
        self.requested = _per_output(loss, output_names, "loss")
        self.losses = [
            losses.resolve(one, (None, 1), tensor.shape)
            for one, tensor in zip(self.requested, graph.outputs, strict=True)
        ]
        if all(one is None for one in self.losses):
            raise ValueError("loss: expected a loss for at least one output, got None")
        for one in self.losses:
            if one is not None:
                one.ops = ops
        weights = _per_output(loss_weights, output_names, "loss_weights")
        self.loss_weights = [1.0 if weight is None else _factor(weight) for weight in weights]
        self.plain = Scores(_metric_lists(metrics, output_names), output_names, ops)
        self.weighted = Scores(_metric_lists(weighted_metrics, output_names), output_names, ops)
        self.total = Mean(name="loss")
        self.parts = [Mean(name=f"{name}_loss") for name in output_names]
        self.several = sum(one is not None for one in self.losses) > 1
        self.heads = [self._head(index) for index in range(len(output_names))]
        self.without_activation = frozenset(head for head in self.heads if head is not None)

    def _head(self, index: int) -> int | None:
        """The step that makes an output, if its activation and the loss belong together."""
        loss, step = self.losses[index], self.graph.step_of_output(index)
        if loss is None or step is None:
            return None
        layer = self.graph.steps[step].layer
        fits = (
            isinstance(layer, ActivatedLayer)
            and layer.activity_regularizer is None
            and not loss.from_logits
            and loss.fused_activation == layer.activation.name
            and layer.activation.parameters.get("axis", -1) == -1
        )
        return step if fits else None

    # -- losses -------------------------------------------------------------------------------

    def prepare(self, y: list[Any], shapes: list[Any]) -> list[Any]:
        """The targets in the form in which the losses want them; raises if one cannot be used."""
        for index, (one, target, shape) in enumerate(zip(self.requested, y, shapes, strict=True)):
            if losses.is_resolved_by_shape(one):
                loss = losses.resolve(one, np.shape(target), shape)
                if type(loss) is not type(self.losses[index]):
                    loss.ops, self.losses[index] = self.ops, loss
        return [
            target if loss is None else loss.prepare(target, shape)
            for loss, target, shape in zip(self.losses, y, shapes, strict=True)
        ]

    def value_and_gradients(
        self, targets: list[Any], zs: list[Any], sample_weights: list[Any]
    ) -> tuple[Any, list[Any], list[Any], list[Any]]:
        """L = the sum of the outputs' losses, each times its loss weight, and its gradients.

        Args:
            targets, sample_weights: one array for each output, or ``None``.
            zs: what the graph computed: the outputs y, but z for the steps ``without_activation``.

        Returns:
            ``(total, parts, dzs, ys)``: L, each output's own loss, the gradients dL/dz, and the
            model's outputs.
        """
        weighted, parts, dzs, ys = [], [], [], []
        for loss, factor, target, z, weight, head in zip(
            self.losses, self.loss_weights, targets, zs, sample_weights, self.heads, strict=True
        ):
            value, dz, y = None, None, z
            if loss is not None:
                if head is None:
                    value, dz = loss.value_and_gradient(target, z, weight)
                else:
                    value, dz, y = loss.value_and_gradient_from_logits(target, z, weight)
                weighted.append(value if factor == 1.0 else value * factor)
                dz = dz if factor == 1.0 else dz * factor
            parts.append(value)
            dzs.append(dz)
            ys.append(y)
        return sum(weighted[1:], start=weighted[0]), parts, dzs, ys

    # -- what is reported ---------------------------------------------------------------------

    def trackers(self) -> list[Metric]:
        """All running means and metrics that are in use."""
        return [self.total, *self._losses_of_outputs(), *self.plain, *self.weighted]

    def _losses_of_outputs(self) -> list[Mean]:
        """The running mean of each output's own loss, if there are several outputs."""
        return [
            tracker
            for tracker, loss in zip(self.parts, self.losses, strict=True)
            if self.several and loss is not None
        ]

    def reset(self) -> None:
        for one in self.trackers():
            one.reset_state()

    def totals(self) -> list[dict[str, Any]]:
        """The running totals of everything that is reported."""
        return [one.totals for one in (self.total, *self.parts, *self.plain, *self.weighted)]

    def set_totals(self, totals: list[dict[str, Any]]) -> None:
        """Go on from these, in the order of :meth:`totals`."""
        fixed, plain = [self.total, *self.parts], sum(map(len, self.plain.requested))
        for one, values in zip(fixed, totals, strict=False):
            go_on_from(one, values)
        rest = totals[len(fixed) :]
        self.plain.set_totals(rest[:plain])
        self.weighted.set_totals(rest[plain:])

    def update(
        self,
        total: Any,
        parts: list[Any],
        targets: list[Any],
        ys: list[Any],
        sample_weights: list[Any],
    ) -> None:
        """Take one batch into the running means and the metrics."""
        samples = len(ys[0])
        self.total.add_mean(total, samples)
        if self.several:
            for tracker, value in zip(self.parts, parts, strict=True):
                if value is not None:
                    tracker.add_mean(value, samples)
        self.plain.update(self.losses, targets, ys, [None] * len(ys))
        self.weighted.update(self.losses, targets, ys, sample_weights)

    def results(self) -> dict[str, Any]:
        """The current values by name, in the order of ``evaluate``: the loss, the losses of several
        outputs, the metrics; those of several outputs in alphabetical order, as in Keras."""
        fixed = [self.total, *self._losses_of_outputs()]
        result = {tracker.name: tracker.result() for tracker in fixed}
        metrics: dict[str, Any] = {}
        for output, name, value in self.plain.results():
            metrics[_numbered(output + name, metrics)] = value
        for output, name, value in self.weighted.results():
            prefix = "weighted_" if output + name in metrics else ""
            metrics[_numbered(output + prefix + name, metrics)] = value
        return result | (dict(sorted(metrics.items())) if len(self.names) > 1 else metrics)


def _factor(weight: Any) -> float:
    if not isinstance(weight, Real):
        raise TypeError(
            f"loss_weights: expected a number for each output, got {weight!r} (metrics are the "
            "fourth argument of compile: write metrics=[...])"
        )
    return float(weight)


def _numbered(name: str, taken: dict[str, Any]) -> str:
    """``name``, or ``name_1``, ``name_2``, ... where two metrics have one name."""
    number = 0
    while (f"{name}_{number}" if number else name) in taken:
        number += 1
    return f"{name}_{number}" if number else name


def _per_output(given: Any, names: list[str], argument: str) -> list[Any]:
    """One entry for every output, from a list, a dict by output name, or one for all."""
    if isinstance(given, dict):
        unknown = set(given) - set(names)
        if unknown:
            raise ValueError(
                f"{argument}: the outputs are {names}, got an entry for {sorted(unknown)}"
            )
        return [given.get(name) for name in names]
    if isinstance(given, (list, tuple)):
        if len(given) != len(names):
            raise ValueError(
                f"{argument}: expected {len(names)} entries, one for each of the outputs {names}, "
                f"got {len(given)}"
            )
        return list(given)
    return [given] * len(names)


def _metric_lists(given: Any, names: list[str]) -> list[list[Any]]:
    """A list of metrics for every output."""
    if given is None:
        return [[] for _ in names]
    if isinstance(given, (list, tuple)) and len(names) == 1:
        nested = len(given) == 1 and isinstance(given[0], (list, tuple))
        return [list(given[0] if nested else given)]
    return [
        [] if one is None else list(one) if isinstance(one, (list, tuple)) else [one]
        for one in _per_output(given, names, "metrics")
    ]
