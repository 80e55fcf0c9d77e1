"""In which order the calls of a graph are carried out, and in which Keras lists its layers."""

from __future__ import annotations

from collections import Counter
from typing import Any

from minicnn.layers.input import InputLayer
from minicnn.symbolic import Node, SymbolicTensor


def sort_calls(
    inputs: list[SymbolicTensor], outputs: list[SymbolicTensor]
) -> tuple[list[Node], list[Any]]:
    """The calls between some inputs and outputs, each after those that feed it, and their layers in
    Keras's order, in which weights are listed, too.

    Raises:
        ValueError: if an output depends on an input that is not given, or two layers have one name.
    """
    calls, met = _search(inputs, outputs)
    return calls, _by_depth(calls, met)


def _search(
    inputs: list[SymbolicTensor], outputs: list[SymbolicTensor]
) -> tuple[list[Node], dict[int, int]]:
    """The calls in order, and for (the id of) each layer as which one the search first met it.

    The search goes from the outputs backward, depth first. It meets a call twice: on the way down,
    when all calls that feed it are put on the stack above it, and again when these are done.
    """
    given = {id(tensor) for tensor in inputs}
    order: list[Node] = []
    met: dict[int, int] = {}
    seen: set[int] = set()
    for output in outputs:
        stack = [(output.node, False)] if id(output) not in given else []
        while stack:
            node, fed = stack.pop()
            if fed:
                order.append(node)
                continue
            if id(node) in seen:
                continue
            seen.add(id(node))
            met.setdefault(id(node.layer), len(met))
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
    for tensor in inputs:  # those that no output depends on
        if isinstance(tensor.node.layer, InputLayer) and id(tensor.node) not in seen:
            order.insert(0, tensor.node)
            met[id(tensor.node.layer)] = -1
    return order, met


def _by_depth(calls: list[Node], met: dict[int, int]) -> list[Any]:
    """The layers by depth, the longest way to an output, and among equals in the order met."""
    depth: dict[int, int] = {}
    layer_depth: dict[int, int] = {}
    layers: dict[int, Any] = {}
    for node in reversed(calls):
        key = id(node.layer)
        depth[id(node)] = max(depth.get(id(node), 0), layer_depth.get(key, 0))
        layer_depth[key] = depth[id(node)]
        layers[key] = node.layer
        for tensor in node.inputs:
            parent = id(tensor.node)
            depth[parent] = max(depth.get(parent, 0), depth[id(node)] + 1)
    names = Counter(layer.name for layer in layers.values())
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise ValueError(f"layers: names in a model must differ, got several layers named {twice}")
    keys = sorted(layers, key=lambda key: (-layer_depth[key], met[key]))
    return [layers[key] for key in keys]
