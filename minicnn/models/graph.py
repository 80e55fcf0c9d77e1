"""The graph of a model: forward in order, backward in reverse order.

This is all of backpropagation that is not inside a layer. Every tensor that passes between layers
has a *place*, a number: in the list ``values`` on the way forward, and in the list ``gradients`` on
the way back. A layer that maps place a to place b makes two lines,

    forward:    values[b], saved = layer.forward(values[a])
    backward:   gradients[a] += layer.backward(gradients[b], saved)

the first for every layer in order, the second in reverse order: so gradients[b] is complete before
anyone needs it. It is +=, because a tensor that feeds several layers reaches the loss through each
of them, and the chain rule sums over all these ways. For the same reason a layer that is called
several times adds to the gradients of its weights at each call.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from minicnn.layers.input import InputLayer
from minicnn.models.fusion import neighbours
from minicnn.models.order import sort_calls
from minicnn.symbolic import SymbolicTensor


@dataclass
class Step:
    """One call of a layer, with the places of its inputs and outputs."""

    layer: Any
    inputs: list[int]
    takes_list: bool
    outputs: list[int]
    gives_list: bool
    dead: list[int] = field(default_factory=list)  # places that nobody reads after this step


@dataclass
class Tape:
    """What a forward pass leaves for the backward pass.

    Attributes:
        saved: by the number of each step what its layer saved; for a step with an activity
            regularizer a pair of that and the layer's output.
        without_activation: the steps whose activation was left out (see :meth:`Graph.forward`).
        penalties: those of the activity regularizers, each a number.
    """

    saved: dict[int, Any]
    without_activation: frozenset[int]
    penalties: list[Any] = field(default_factory=list)


class Graph:
    """Which layer feeds which, between given inputs and outputs.

    Args:
        inputs, outputs: symbolic tensors.

    Attributes:
        nodes: the calls, each after those that feed it, one branch after the other. Keras goes
            through them by their depth, which shows in one thing only: the order in which the
            several calls of one BatchNormalization move its statistics on.
        layers: the layers, each once, in the order in which Keras lists them.
        steps: the calls to be carried out (those of input layers need not be).
        joined: the same, by their numbers, with neighbours carried out together where the floor
            can do that (see ``fusion.py``).
        one_by_one: whether ``steps`` are to be carried out instead, because someone is watching.

    Raises:
        ValueError: if an output depends on an input that is not among ``inputs``.
    """

    def __init__(self, inputs: list[SymbolicTensor], outputs: list[SymbolicTensor]):
        self.inputs, self.outputs = inputs, outputs
        self.nodes, self.layers = sort_calls(inputs, outputs)
        places = {id(tensor): place for place, tensor in enumerate(inputs)}
        self.steps: list[Step] = []
        for node in self.nodes:
            if isinstance(node.layer, InputLayer):
                continue
            for tensor in node.outputs:
                places.setdefault(id(tensor), len(places))
            self.steps.append(
                Step(
                    node.layer,
                    [places[id(tensor)] for tensor in node.inputs],
                    node.takes_list,
                    [places[id(tensor)] for tensor in node.outputs],
                    node.gives_list,
                )
            )
        self.size = len(places)
        self.output_places = [places[id(tensor)] for tensor in outputs]
        self.joined = self._joined()
        self.one_by_one = False
        for steps in (self.steps, self.joined.values()):
            read_later = set(self.output_places)
            for step in reversed(steps):
                step.dead = [p for p in {*step.inputs, *step.outputs} if p not in read_later]
                read_later.update(step.inputs)

    def _joined(self) -> dict[int, Step]:
        steps = dict(enumerate(self.steps))
        for number, (layer, numbers) in neighbours(self.steps, self.output_places).items():
            last = self.steps[numbers[-1]]
            steps[number] = Step(layer, steps[number].inputs, False, last.outputs, False)
            for other in numbers[1:]:
                del steps[other]
        return steps

    def _to_carry_out(self) -> dict[int, Step]:
        return dict(enumerate(self.steps)) if self.one_by_one else self.joined

    def forward(
        self,
        xs: list[Any],
        training: bool,
        without_activation: frozenset[int] = frozenset(),
        keep: bool = True,
    ) -> tuple[list[Any], Tape]:
        """Carry out the steps in order.

        Args:
            xs: an array for every input.
            training: handed to the layers.
            without_activation: steps (by number) that are to give their pre-activation z instead of
                their output, because the loss is differentiated together with the activation.
            keep: whether to keep what the layers saved; without it there is no way back.

        Returns:
            The outputs, and a :class:`Tape` for :meth:`backward`.
        """
        values: list[Any] = xs + [None] * (self.size - len(xs))
        tape = Tape({}, without_activation)
        for number, step in self._to_carry_out().items():
            layer = step.layer
            x = [values[p] for p in step.inputs] if step.takes_list else values[step.inputs[0]]
            if number in without_activation:
                y, saved = layer.preactivation(x, training)
            else:
                y, saved = layer.forward(x, training)
            if isinstance(saved, Tape):  # the layer is a model
                tape.penalties += saved.penalties
            if layer.activity_regularizer is not None:
                # Divided by the batch's size, as in Keras, so that it does not grow with it.
                tape.penalties.append(layer.activity_regularizer(y) / len(y))
                saved = (saved, y)
            if keep:
                tape.saved[number] = saved
            for place, value in zip(step.outputs, y if step.gives_list else [y], strict=True):
                values[place] = value
            for place in step.dead:
                values[place] = None
        return [values[place] for place in self.output_places], tape

    def backward(self, dys: list[Any], tape: Tape, needed: list[bool] | None = None) -> list[Any]:
        """Carry out the steps in reverse order, adding to the gradients of the weights.

        Args:
            dys: the gradient of the loss for every output (``None`` where there is none).
            tape: from :meth:`forward`.
            needed: for every place whether its gradient is of use; all are, by default.

        Returns:
            The gradient for every input, ``None`` where it is zero or not needed.
        """
        needed = [True] * self.size if needed is None else needed
        gradients: list[Any] = [None] * self.size
        for place, dy in zip(self.output_places, dys, strict=True):
            _add(gradients, place, dy)
        for number, step in reversed(self._to_carry_out().items()):
            layer, saved = step.layer, tape.saved.pop(number)
            dy = [gradients[p] for p in step.outputs]
            if all(d is None for d in dy) or not needed[step.outputs[0]]:
                continue  # the loss does not depend on it, or no weight lies before it
            wanted = any(needed[p] for p in step.inputs)
            dy = dy if step.gives_list else dy[0]
            if layer.activity_regularizer is not None:
                saved, y = saved
                dy = dy + layer.activity_regularizer.gradient(y) / len(y)
            bare = number in tape.without_activation
            backward = layer.preactivation_backward if bare else layer.backward
            if wanted or not layer.can_skip_input_gradient:
                dx = backward(dy, saved)
            else:
                dx = backward(dy, saved, input_gradient=False)
            for place in step.outputs:
                gradients[place] = None  # used up
            if wanted:
                for place, d in zip(step.inputs, dx if step.takes_list else [dx], strict=True):
                    _add(gradients, place, d)
        return gradients[: len(self.inputs)]

    def needed_for_weights(self) -> list[bool]:
        """For every place, whether a trainable weight lies before it: only then does training need
        the gradient there."""
        needed = [False] * self.size
        for step in self.steps:
            if any(needed[p] for p in step.inputs) or step.layer.trainable_weights:
                for place in step.outputs:
                    needed[place] = True
        return needed

    def step_of_output(self, index: int) -> int | None:
        """The number of the step that makes an output which no other step reads; ``None`` if there
        is no such step."""
        place = self.output_places[index]
        if self.output_places.count(place) > 1 or any(place in s.inputs for s in self.steps):
            return None
        for number, step in enumerate(self.steps):
            if step.outputs == [place]:
                return number
        return None

    def output_shapes(self, input_shapes: list[Any]) -> list[Any]:
        """The shapes of the outputs for inputs of other shapes than those it was drawn with."""
        shapes: list[Any] = list(input_shapes) + [None] * (self.size - len(input_shapes))
        for step in self.steps:
            given = [shapes[p] for p in step.inputs]
            given = given if step.takes_list else given[0]
            step.layer.check_input_shape(given)
            result = step.layer.compute_output_shape(given)
            for place, shape in zip(
                step.outputs, result if step.gives_list else [result], strict=True
            ):
                shapes[place] = shape
        return [shapes[place] for place in self.output_places]


def _add(gradients: list[Any], place: int, gradient: Any) -> None:
    """gradients[place] += gradient, but in a new array: a layer such as Add returns one array for
    all its inputs."""
    if gradient is not None:
        known = gradients[place]
        gradients[place] = gradient if known is None else known + gradient


def common_ops(layers: list[Any]) -> ModuleType | None:
    """The floor that the layers live on.

    Raises:
        ValueError: if they live on different ones.
    """
    floors = {layer.ops for layer in layers if layer.ops is not None}
    if len(floors) > 1:
        names = sorted(floor.__name__.rpartition(".")[2] for floor in floors)
        raise ValueError(f"layers: one model cannot mix layers of the backends {names}")
    return floors.pop() if floors else None
