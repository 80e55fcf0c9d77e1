"""A model like another one, with weights of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minicnn.layers import Layer
from minicnn.layers.input import Input, InputLayer
from minicnn.models import Model, Sequential
from minicnn.symbolic import SymbolicTensor


def clone_model(
    model: Model,
    input_tensors: Any = None,
    clone_function: Callable[[Layer], Layer] | None = None,
) -> Model:
    """A model of the same layers, connected in the same way, with new weights.

    Args:
        model: what is copied.
        input_tensors: symbolic tensors to build it on, one for each input (or a dict of them, if
            the model was drawn with one); new ones by default.
        clone_function: makes the layer that takes the place of a layer; by default one with the
            same configuration. Returning the layer itself shares it.

    Raises:
        TypeError: if ``model`` is no model, or ``clone_function`` does not return a layer.
    """
    if not isinstance(model, Model):
        raise TypeError(f"model: expected a Model, got {model!r}")
    clone = clone_function or (lambda layer: type(layer).from_config(layer.get_config()))
    copies: dict[int, Layer] = {}

    def copy_of(layer: Layer) -> Layer:
        if id(layer) not in copies:
            copies[id(layer)] = clone(layer)
            if not isinstance(copies[id(layer)], Layer):
                raise TypeError(
                    f"clone_function: expected it to return a layer, got {copies[id(layer)]!r}"
                )
        return copies[id(layer)]

    if isinstance(model, Sequential):
        return _sequential(model, input_tensors, copy_of)
    inputs = _inputs(model, input_tensors)
    tensors = {id(old): new for old, new in zip(model.inputs, inputs, strict=True)}
    for node in model.graph.nodes:
        if isinstance(node.layer, InputLayer):
            continue
        given = [tensors[id(tensor)] for tensor in node.inputs]
        made = copy_of(node.layer)(given if node.takes_list else given[0])
        made = made.values() if isinstance(made, dict) else made if node.gives_list else [made]
        for old, new in zip(node.outputs, made, strict=True):
            tensors[id(old)] = new
    outputs: Any = [tensors[id(tensor)] for tensor in model.outputs]
    given: Any = inputs
    if model.input_keys is not None:
        given = dict(zip(model.input_keys, inputs, strict=True))
    if model.output_keys is not None:
        outputs = dict(zip(model.output_keys, outputs, strict=True))
    return model.class_when_drawn()(given, outputs, name=model.name)


def _sequential(
    model: Sequential, input_tensors: Any, copy_of: Callable[[Layer], Layer]
) -> Sequential:
    first: list[Any] = []
    if model.graph is not None:
        first = [tensor.node.layer for tensor in _inputs(model, input_tensors)]
    return type(model)([*first, *map(copy_of, model.layers)], name=model.name)


def _inputs(model: Model, given: Any) -> list[SymbolicTensor]:
    if given is None:
        return [Input(batch_shape=t.shape, name=t.name, dtype=t.dtype) for t in model.inputs]
    if isinstance(given, dict):
        return [given[name] for name in model.input_names]
    return list(given) if isinstance(given, (list, tuple)) else [given]
