"""The graph of a model: forward in order, backward in reverse order.

This is all of backpropagation that is not inside a layer. A tensor that feeds several layers gets
the sum of the gradients that come back from them; a layer that is called several times adds to the
gradients of its weights at each call.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from minicnn.layers.input import InputLayer
from minicnn.models.fusion import neighbours
from minicnn.symbolic import Node, SymbolicTensor


@dataclass
class Step:
    """One call of a layer, with the places of its inputs and outputs in the list of values."""

    layer: Any
    inputs: list[int]
    takes_list: bool
    outputs: list[int]
    gives_list: bool
    dead: list[int] = field(default_factory=list)  # values nobody reads after this step


@dataclass
class Tape:
    """What a forward pass leaves for the backward pass.

    Attributes:
        saved: for the number of every step what its layer saved; for a step with an activity
            regularizer a pair of that and the layer's output.
        opened: the steps whose activation was left out (see :meth:`Graph.forward`).
        penalties: the activity regularizers, each a number.
    """

    saved: dict[int, Any]
    opened: frozenset[int]
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
        one_by_one: whether ``steps`` shall be carried out instead, as someone wants to watch.

    Raises:
        ValueError: if an output depends on an input that is not among ``inputs``.
    """

    def __init__(self, inputs: list[SymbolicTensor], outputs: list[SymbolicTensor]):
        self.inputs, self.outputs = inputs, outputs
        self.nodes, self.layers = _sort(inputs, outputs)
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
        opened: frozenset[int] = frozenset(),
        keep: bool = True,
    ) -> tuple[list[Any], Tape]:
        """Carry out the steps in order.

        Args:
            xs: an array for every input.
            training: handed to the layers.
            opened: steps (by number) of which the pre-activation z is wanted instead of the output,
                because the loss is differentiated together with the activation.
            keep: whether to keep what the layers saved; without it there is no way back.

        Returns:
            The outputs, and a :class:`Tape` for :meth:`backward`.
        """
        values: list[Any] = xs + [None] * (self.size - len(xs))
        tape = Tape({}, opened)
        for number, step in self._to_carry_out().items():
            layer = step.layer
            x = [values[p] for p in step.inputs] if step.takes_list else values[step.inputs[0]]
            if number in opened:
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
            needed: for every value whether its gradient is of use; all are, by default.

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
                continue
            wanted = any(needed[p] for p in step.inputs)
            dy = dy if step.gives_list else dy[0]
            if layer.activity_regularizer is not None:
                saved, y = saved
                dy = dy + layer.activity_regularizer.gradient(y) / len(y)
            backward = layer.preactivation_backward if number in tape.opened else layer.backward
            if wanted or not layer.can_skip_input_gradient:
                dx = backward(dy, saved)
            else:
                dx = backward(dy, saved, input_gradient=False)
            for place in step.outputs:
                gradients[place] = None
            if wanted:
                for place, d in zip(step.inputs, dx if step.takes_list else [dx], strict=True):
                    _add(gradients, place, d)
        return gradients[: len(self.inputs)]

    def needed_for_weights(self) -> list[bool]:
        """For every value, whether a trainable weight lies before it: only then does a training
        step need the value's gradient."""
        needed = [False] * self.size
        for step in self.steps:
            if any(needed[p] for p in step.inputs) or step.layer.trainable_weights:
                for place in step.outputs:
                    needed[place] = True
        return needed

    def step_of_output(self, index: int) -> int | None:
        """The number of the step that makes an output and nothing else reads; ``None`` if there is
        no such step."""
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
    """Sum the gradients that come back to one tensor. Not in place: a layer such as Add returns
    one and the same array for all its inputs."""
    if gradient is not None:
        known = gradients[place]
        gradients[place] = gradient if known is None else known + gradient


def _sort(
    inputs: list[SymbolicTensor], outputs: list[SymbolicTensor]
) -> tuple[list[Node], list[Any]]:
    """The calls in an order that can be carried out, and the layers in Keras's order.

    Keras lists layers by their depth, the longest way to an output, and among equals by the order
    in which a search from the outputs first meets them. Weights follow that order.
    """
    given = {id(tensor) for tensor in inputs}
    order: list[Node] = []
    index: dict[int, int] = {}
    finished: set[int] = set()
    for output in outputs:
        stack = [(output.node, False)] if id(output) not in given else []
        while stack:
            node, descended = stack.pop()
            if descended:
                order.append(node)
                continue
            if id(node) in finished:
                continue
            finished.add(id(node))
            index.setdefault(id(node.layer), len(index))
            stack.append((node, True))
            if isinstance(node.layer, InputLayer) and id(node.outputs[0]) not in given:
                raise ValueError(
                    f"outputs: {output!r} depends on the input {node.layer.name!r}, which is not "
                    f"among inputs {[tensor.name for tensor in inputs]}"
                )
            stack.extend(
                (tensor.node, False)
                for tensor in reversed(node.inputs)
                if id(tensor) not in given or isinstance(tensor.node.layer, InputLayer)
            )
    depth: dict[int, int] = {}
    layer_depth: dict[int, int] = {}
    layers: dict[int, Any] = {}
    for tensor in inputs:
        if isinstance(tensor.node.layer, InputLayer) and id(tensor.node) not in finished:
            order.insert(0, tensor.node)
            index[id(tensor.node.layer)] = -1
    for node in reversed(order):
        key = id(node.layer)
        depth[id(node)] = max(depth.get(id(node), 0), layer_depth.get(key, 0))
        layer_depth[key] = depth[id(node)]
        layers[key] = node.layer
        for tensor in node.inputs:
            parent = id(tensor.node)
            depth[parent] = max(depth.get(parent, 0), depth[id(node)] + 1)
    keys = sorted(layers, key=lambda key: (-layer_depth[key], index[key]))
    names = Counter(layer.name for layer in layers.values())
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise ValueError(f"layers: names in a model must differ, got several layers named {twice}")
    return order, [layers[key] for key in keys]


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
