"""One step of training: forward, loss, backward, update.

Read first ``_train_step`` and ``_loss_and_gradients``. What stands under "faster" serves the floors
that can do a step in another order, or record it.
"""

from __future__ import annotations

from typing import Any

from minicnn.layers.table import LAYERS
from minicnn.models.objective import Objective
from minicnn.variables import ParameterVector


class Stepper:
    """What a compiled model does with one batch. The loops over batches are in ``training.py``."""

    def _begin_anew(self) -> None:
        """Forget what was made for the loss and the optimizer that were compiled before."""
        self._objective: Objective | None = None
        self._parameters: ParameterVector | None = None
        self._needed: list[bool] = []
        self._recorder: Any = None
        self._at_work: tuple[list[Any], list[Any]] = ([], [])

    def _train_step(self, x: list[Any], targets: list[Any], sample_weights: list[Any]) -> None:
        """Forward, loss, backward, update.

        Args:
            x, targets, sample_weights: a batch: lists with one array for each input (x) or output
                of the model, ``None`` for an output without sample weights.
        """
        targets, sample_weights = self._on_floor(targets), self._on_floor(sample_weights)
        self.optimizer.prepare(self._parameters)
        total, parts, ys = self._loss_and_gradients(x, targets, sample_weights, training=True)
        self.optimizer.apply(self._parameters)
        for variable in self._parameters.constrained:
            variable.value[...] = variable.constraint(variable.value)
        self.objective.update(total, parts, targets, ys, sample_weights)

    def _loss_and_gradients(
        self, x: list[Any], targets: list[Any], sample_weights: list[Any], training: bool
    ) -> tuple[Any, list[Any], list[Any]]:
        """Forward, loss, backward; the gradients are left in the weights' ``gradient``.

        An output that a softmax makes comes as z, before the softmax: the objective applies it,
        together with the loss (see ``Objective.heads``).

        Returns:
            ``(total, parts, ys)``: the loss with all penalties, each output's own, the outputs.
        """
        objective, parameters = self.objective, self._parameters
        xs = [self.ops.asarray(part, self.dtype) for part in x]
        zs, tape = self.graph.forward(xs, training, objective.without_activation)
        total, parts, dzs, ys = objective.value_and_gradients(targets, zs, sample_weights)
        parameters.begin_gradient()
        try:
            self.graph.backward(dzs, tape, self._needed)
        finally:
            parameters.end_gradient()
        penalties = tape.penalties
        for variable in parameters.regularized:
            variable.gradient += variable.regularizer.gradient(variable.value)
            penalties.append(variable.regularizer(variable.value))
        return sum(penalties, start=total), parts, ys

    def _test_step(self, x: list[Any], targets: list[Any], sample_weights: list[Any]) -> None:
        """Forward and loss."""
        targets, sample_weights = self._on_floor(targets), self._on_floor(sample_weights)
        xs = [self.ops.asarray(part, self.dtype) for part in x]
        zs, tape = self.graph.forward(xs, False, self.objective.without_activation, keep=False)
        total, parts, _, ys = self.objective.value_and_gradients(targets, zs, sample_weights)
        # The penalties of weights count here, too, as in Keras.
        total = sum(tape.penalties + self.losses, start=total)
        self.objective.update(total, parts, targets, ys, sample_weights)

    def _on_floor(self, arrays: list[Any]) -> list[Any]:
        """The arrays where the floor computes: for a GPU in its own memory."""
        return [None if array is None else self.ops.asarray(array) for array in arrays]

    @property
    def objective(self) -> Objective:
        """What ``compile`` asked for, once the model is built."""
        if self._objective is None:
            self._objective = Objective(
                self.graph, self.output_names, ops=self.ops, **self._compiled
            )
        return self._objective

    def _prepare_training(self, watched: bool = True) -> None:
        """Bring all trainable weights into one vector, unless they are there already: another model
        that shares layers may have taken some away, and ``trainable`` may have been switched.

        Args:
            watched: whether somebody may want to see the gradients after a step.
        """
        trainable = self.trainable_weights
        if self._parameters is None or not self._parameters.holds(trainable):
            self._parameters = ParameterVector(trainable, self.ops)
            self._needed = self.graph.needed_for_weights()
            self.optimizer.build(self._parameters)
        for variable in self.weights:
            variable.wanted = variable.home is self._parameters
        wait = not watched and self._can_update_in_backward()
        self._parameters.awaited = self.ops.awaited_gradient(self._parameters) if wait else None

    # -- faster -------------------------------------------------------------------------------

    def _can_update_in_backward(self) -> bool:
        """Whether the floor may update a weight as soon as a gradient comes back to it: it must be
        certain that this is all of its gradient, and that nothing else needs it."""
        layers = [step.layer for step in self.graph.steps]
        return (
            hasattr(self.ops, "awaited_gradient")
            and self.optimizer.takes_pieces
            and not self._parameters.regularized
            and all(type(layer) in LAYERS.values() for layer in layers)
            and len(set(layers)) == len(layers)
        )

    def _fastest_train_step(self) -> Any:
        """The training step, or what the floor makes of it: a GPU records it, then replays it."""
        if not hasattr(self.ops, "Recorder"):
            return self._train_step
        if self._recorder is None:
            self._recorder = self.ops.Recorder(self._train_step, self._changing, self.dtype)
        layers = list(dict.fromkeys(self.all_layers()))
        generators = [g for layer in layers if (g := getattr(layer, "seed_generator", None))]
        self._at_work = layers, generators  # looked for once, and not at every step
        return self._recorder

    def _changing(self) -> Any:
        """What a recorded step reads and changes, apart from arrays."""
        layers, generators = self._at_work
        trainable = tuple([layer.trainable for layer in layers])
        seeds = tuple([generator.seed for generator in generators])
        settings = (self._parameters, self.objective, trainable, seeds, self.optimizer.settings())
        return self.ops.Changing(
            self.optimizer, generators, settings, lambda: [*layers, *self.objective.trackers()]
        )
