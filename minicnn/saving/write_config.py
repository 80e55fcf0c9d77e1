"""A model as plain data: its layers, and which call of which layer feeds which."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from minicnn.configurable import serialize
from minicnn.layers.input import InputLayer
from minicnn.models import Model, Sequential
from minicnn.symbolic import Node, SymbolicTensor

# The entries of the layers that the outermost model has written so far, by their ids.
_written: ContextVar[dict[int, dict[str, Any]] | None] = ContextVar("written", default=None)


def model_config(model: Model) -> dict[str, Any]:
    """What ``get_config`` of a model returns.

    A layer that stands in several models inside gets a number, ``shared_layer``, by which minicnn
    knows that it is one and the same. (Keras makes a copy for every model.)

    Raises:
        TypeError: if something in it cannot be written down.
    """
    write = _sequential if isinstance(model, Sequential) else _functional
    if _written.get() is not None:
        return write(model)
    token = _written.set({})
    try:
        return write(model)
    finally:
        _written.reset(token)


def _sequential(model: Sequential) -> dict[str, Any]:
    config = {
        "name": model.name,
        "trainable": model.trainable,
        "dtype": model.dtype,
        "layers": [_layer(layer, model) for layer in model.chain],
    }
    if model.graph is not None:
        config["build_input_shape"] = list(model.input_shape)
    return config


def _functional(model: Model) -> dict[str, Any]:
    calls = _calls(model)
    strangers = [t for t in model.inputs if not isinstance(t.node.layer, InputLayer)]
    names = {id(t): name for t, name in zip(strangers, _new_names(model, strangers), strict=True)}

    def history(tensor: SymbolicTensor) -> list[Any]:
        """[layer, which of its calls, which output of that]."""
        if id(tensor) in names:
            return [names[id(tensor)], 0, 0]
        layer = tensor.node.layer
        return [layer.name, calls[id(layer)].index(tensor.node), tensor.index]

    def argument(tensor: SymbolicTensor) -> dict[str, Any]:
        shape = list(tensor.shape)
        config = {"shape": shape, "dtype": tensor.dtype, "keras_history": history(tensor)}
        return {"class_name": "__keras_tensor__", "config": config}

    def inbound(node: Node) -> dict[str, Any]:
        given: Any = [argument(tensor) for tensor in node.inputs]
        if isinstance(node.layer, Model) and node.layer.input_keys is not None:
            # What was drawn with a dict of inputs, Keras calls with a dict.
            return {"args": [dict(zip(node.layer.input_keys, given, strict=True))], "kwargs": {}}
        return {"args": [given] if node.takes_list else given, "kwargs": {}}

    def output(tensor: SymbolicTensor) -> list[Any]:
        name, call, index = history(tensor)
        layer = tensor.node.layer
        # Here, and only here, Keras counts the calls of a functional model inside from 1.
        is_functional = isinstance(layer, Model) and not isinstance(layer, Sequential)
        return [name, call + (is_functional and id(tensor) not in names), index]

    layers = []
    for tensor in strangers:  # inputs from inside another network become inputs like all others
        entry = serialize(InputLayer(batch_shape=tensor.shape, name=names[id(tensor)]))
        layers.append(entry | {"name": names[id(tensor)], "inbound_nodes": []})
    for layer in model.layers:
        nodes = [] if isinstance(layer, InputLayer) else calls[id(layer)]
        entry = _layer(layer, model)
        entry |= {"name": layer.name, "inbound_nodes": [inbound(node) for node in nodes]}
        layers.append(entry)
    inputs: Any = [history(tensor) for tensor in model.inputs]
    outputs: Any = [output(tensor) for tensor in model.outputs]
    if model.input_keys is not None:
        inputs = dict(zip(model.input_keys, inputs, strict=True))
    elif len(inputs) == 1:
        inputs = inputs[0]
    if model.output_keys is not None:
        outputs = dict(zip(model.output_keys, outputs, strict=True))
    elif not model.gives_list:
        outputs = outputs[0]
    return {
        "name": model.name,
        "trainable": model.trainable,
        "layers": layers,
        "input_layers": inputs,
        "output_layers": outputs,
    }


def _calls(model: Model) -> dict[int, list[Node]]:
    """The calls of every layer in this model, in the order in which they were made."""
    inside = {id(node) for node in model.graph.nodes}
    return {id(layer): [n for n in layer.nodes if id(n) in inside] for layer in model.layers}


def _new_names(model: Model, tensors: list[SymbolicTensor]) -> list[str]:
    taken = {layer.name for layer in model.layers}
    candidates = (f"input{f'_{i}' if i else ''}" for i in range(len(taken) + len(tensors)))
    free = [name for name in candidates if name not in taken]
    return free[: len(tensors)]


def _layer(layer: Any, model: Model) -> dict[str, Any]:
    try:
        entry = serialize(layer)
    except TypeError as error:
        raise TypeError(f"layer {layer.name!r} of model {model.name!r}: {error}") from error
    written = _written.get()
    if id(layer) in written:
        number = list(written).index(id(layer)) + 1
        entry["shared_layer"] = written[id(layer)]["shared_layer"] = number
    else:
        written[id(layer)] = entry
    return entry
