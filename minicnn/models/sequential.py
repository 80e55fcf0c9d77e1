"""The sequential model: one layer after the other."""

from __future__ import annotations

from typing import Any

from minicnn.layers.base import Layer
from minicnn.layers.input import Input, InputLayer
from minicnn.models.model import Model
from minicnn.symbolic import SymbolicTensor


class Sequential(Model):
    """A chain of layers: a model whose graph has no branches.

    Args:
        layers: the layers, in order. The first may be an ``Input``, or have an ``input_shape``;
            otherwise the weights are made when the first batch comes.
        name: how the model is called.

    Raises:
        TypeError: if something else than a layer is added.
        ValueError: if two layers have one name, or a layer cannot take the output before it.

    >>> from minicnn import Sequential, layers
    >>> model = Sequential()
    >>> model.add(layers.Flatten(input_shape=(28, 28)))
    >>> model.add(layers.Dense(30, activation="relu", name="hidden"))
    >>> model.add(layers.Dense(10, activation="softmax", name="output"))
    >>> model.count_params()
    23860
    """

    keras_module = "keras"
    keras_class = "Sequential"

    def __init__(self, layers: Any = None, *, name: str | None = None, trainable: bool = True):
        Layer.__init__(self, name=name, trainable=trainable)
        self._init_training()
        self.graph = None
        self.gives_list = False
        self._chain: list[Layer] = []
        for layer in [] if layers is None else layers:
            self.add(layer)
        if not trainable:
            self.trainable = False

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the input layer, as in Keras."""
        return [layer for layer in self._chain if not isinstance(layer, InputLayer)]

    @property
    def input(self) -> Any:
        """The symbolic input: within another model, as in Keras, that of the first call there."""
        return Layer.input.fget(self) if self.nodes else super().input

    @property
    def output(self) -> Any:
        """The symbolic output, likewise: ``Model(outer.input, block.output)`` looks at a block."""
        return Layer.output.fget(self) if self.nodes else super().output

    @property
    def chain(self) -> list[Layer]:
        """The layers, with the input layer."""
        return list(self._chain)

    def adopt(self, chain: list[Layer], output: SymbolicTensor | None) -> None:
        """Take layers that stand in a chain already, all at once.

        Args:
            chain: the layers; the first is an input layer if they have been called on each other.
            output: that of the last layer then, else ``None``.
        """
        self._chain = chain
        if output is not None and self.layers:
            self._connect([chain[0].output], [output])

    def add(self, layer: Any) -> None:
        """Put a layer at the end."""
        if isinstance(layer, SymbolicTensor) and isinstance(layer.node.layer, InputLayer):
            layer = layer.node.layer
        if not isinstance(layer, Layer):
            raise TypeError(f"layer: expected a layer, got {layer!r}")
        if any(layer.name == other.name for other in self._chain):
            raise ValueError(
                f"layer: model {self.name!r} has a layer named {layer.name!r} already; "
                "names in a model must differ"
            )
        if isinstance(layer, InputLayer):
            if self._chain:
                raise ValueError(f"layer: the input layer {layer.name!r} must come first")
            self._chain.append(layer)
            return
        chain = self._chain or _input_for(layer)
        if chain and isinstance(chain[0], InputLayer):
            output = layer(self.outputs[0] if self.graph else chain[0].output)
            self._connect([chain[0].output], [output])
        self._chain = [*chain, layer]

    def pop(self) -> Layer:
        """Take the last layer away and return it.

        Raises:
            ValueError: if there is none.
        """
        if not self.layers:
            raise ValueError(f"model {self.name!r} has no layer to take away")
        layer = self._chain.pop()
        if self.graph is not None:
            (node,) = [n for n in self.graph.nodes if n.layer is layer]
            layer.nodes.remove(node)
            self.graph, self.built = None, False
            if self.layers:
                self._connect([self._chain[0].output], [node.inputs[0]])
        return layer

    def build(self, input_shape: Any = None) -> None:
        """Make the weights, for inputs of this shape (batch first)."""
        if self.graph is not None:
            return
        if not self.layers:
            raise ValueError(f"model {self.name!r} has no layers")
        shape = (None, *tuple(input_shape)[1:])
        for layer in self.layers:  # a chain that does not fit leaves no layer half built
            layer.check_input_shape(shape)
            shape = layer.compute_output_shape(shape)
        first = Input(batch_shape=(None, *tuple(input_shape)[1:])).node.layer
        end = first.output
        for layer in self.layers:
            end = layer(end)
        self._chain.insert(0, first)
        self._connect([first.output], [end])

    def check_input_shape(self, input_shape: Any) -> None:
        if self.graph is not None:
            super().check_input_shape(input_shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self.graph is not None:
            return super().compute_output_shape(input_shape)
        for layer in self.layers:
            layer.check_input_shape(input_shape)
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape


def _input_for(layer: Layer) -> list[Layer]:
    """The input layer that a first layer implies, if it says what it wants."""
    shape = layer.given_input_shape
    if isinstance(layer, Model) and layer.graph is not None:
        shape = layer.input_shape
    return [] if shape is None else [Input(batch_shape=shape).node.layer]
