"""A whole model as an ONNX file."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from minicnn.activations import linear
from minicnn.exporting.builder import OPSET, Builder, Value
from minicnn.exporting.layers import CAN_FOLD, emit, scale_and_shift
from minicnn.layers import BatchNormalization
from minicnn.models import Model
from minicnn.models.graph import Graph
from minicnn.saving.atomic import replacing

_IR_VERSION = 8  # of the file format: the oldest that knows this set of operations


def export_onnx(
    model: Model, filepath: str | os.PathLike[str], fold_batch_norm: bool = True
) -> None:
    """See :meth:`minicnn.Model.export`."""
    name = os.fspath(filepath)
    if not isinstance(name, str) or not name.endswith(".onnx"):
        raise ValueError(f"filepath: the name of an ONNX file ends in .onnx, got {name!r}")
    if not model.built:
        raise ValueError(f"model {model.name!r} is not built: its input shape is not known")
    data = _to_onnx(model, fold_batch_norm).SerializeToString()
    with replacing(filepath) as file:
        file.write(data)


def _to_onnx(model: Model, fold_batch_norm: bool) -> Any:
    try:
        import onnx
        from onnx import helper
    except ImportError as error:
        raise ImportError("export takes the package onnx: pip install 'minicnn[onnx]'") from error
    dtype = np.dtype(model.dtype)
    kind = helper.np_dtype_to_tensor_dtype(dtype)
    b = Builder(dtype)
    inputs = [
        Value(name, tensor.shape)
        for name, tensor in zip(model.input_names, model.inputs, strict=True)
    ]
    outputs = _walk(b, model.graph, inputs, fold_batch_norm, "")
    names = _distinct(model.output_names, {x.name for x in inputs})
    for value, name in zip(outputs, names, strict=True):
        b.name_output(value, name)
    graph = helper.make_graph(
        b.nodes,
        model.name,
        [helper.make_tensor_value_info(x.name, kind, _dimensions(x.shape, x.name)) for x in inputs],
        [
            helper.make_tensor_value_info(name, kind, _dimensions(tensor.shape, name))
            for name, tensor in zip(names, model.outputs, strict=True)
        ],
        b.constants,
    )
    made = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=_IR_VERSION,
        producer_name="minicnn",
    )
    onnx.checker.check_model(made, full_check=True)
    return made


def _walk(b: Builder, graph: Graph, inputs: list[Value], fold: bool, scope: str) -> list[Value]:
    """Put the steps of a graph, and of those inside, into the ONNX graph; its outputs."""
    values: list[Any] = inputs + [None] * (graph.size - len(inputs))
    partners = _partners(graph) if fold else {}
    folded = {after: before for before, after in partners.items()}
    shapes = {}
    for node in graph.nodes:
        shapes[id(node)] = [tensor.shape for tensor in node.outputs]
    steps = iter([node for node in graph.nodes if node.inputs])
    for number, (step, node) in enumerate(zip(graph.steps, steps, strict=True)):
        layer, xs = step.layer, [values[place] for place in step.inputs]
        made: list[Value]
        if number in folded:
            made = xs  # it is in the weights of the layer before
        elif isinstance(layer, Model):
            made = _walk(b, layer.graph, xs, fold, f"{scope}{layer.name}/")
        else:
            b.enter(f"{scope}{layer.name}")
            after = partners.get(number)
            extra = None if after is None else scale_and_shift(graph.steps[after].layer)
            made = [emit(b, layer, xs, node.outputs[0].shape, extra)]
        for place, value in zip(step.outputs, made, strict=True):
            values[place] = value
    return [values[place] for place in graph.output_places]


def _partners(graph: Graph) -> dict[int, int]:
    """The steps after which, and only there, a batch normalization of the channels comes."""
    readers: dict[int, list[int]] = {}
    for number, step in enumerate(graph.steps):
        for place in step.inputs:
            readers.setdefault(place, []).append(number)
    found = {}
    for number, step in enumerate(graph.steps):
        if type(step.layer) not in CAN_FOLD or step.layer.activation is not linear:
            continue
        (place,) = step.outputs
        after = readers.get(place, [])
        if len(after) != 1 or place in graph.output_places:
            continue
        layer = graph.steps[after[0]].layer
        if type(layer) is BatchNormalization and layer.axis in (-1, layer.rank - 1):
            found[number] = after[0]
    return found


def _dimensions(shape: tuple[int | None, ...], name: str) -> list[int | str]:
    """Sizes that are not known get names; that of the batch is the same everywhere."""
    batch, *sizes = shape
    unknown = [f"{name}_{axis}" if n is None else n for axis, n in enumerate(sizes, start=1)]
    return ["batch" if batch is None else batch, *unknown]


def _distinct(names: list[str], taken: set[str]) -> list[str]:
    result: list[str] = []
    for name in names:
        new, number = name, 1
        while new in taken or new in result:
            new, number = f"{name}_{number}", number + 1
        result.append(new)
    return result
