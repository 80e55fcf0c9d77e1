"""The table that ``model.summary()`` prints."""

from __future__ import annotations

from typing import Any

from minicnn.variables import Variable


def print_summary(model: Any, line_length: int | None = None, print_fn: Any = None) -> None:
    """Print the layers of a model with their output shapes and numbers of weights.

    Args:
        model: built or not.
        line_length: the width of the table in characters; the terminal's by default.
        print_fn: called with the text, if given.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    branches = model.graph is not None and not _is_chain(model)
    table = Table()
    for heading in ("Layer (type)", "Output Shape", "Param #"):
        table.add_column(heading, justify="right" if heading == "Param #" else "left")
    if branches:
        table.add_column("Connected to")
    for layer in model.layers:
        row = [
            f"{layer.name} ({type(layer).__name__})",
            _output_shape(layer, model),
            f"{layer.count_params():,}" if layer.built else "0 (unbuilt)",
        ]
        if branches:
            row.append(_connections(layer, model) or "-")
        table.add_row(*(Text(cell) for cell in row))  # Text: a name in brackets is no markup
    console = Console(width=line_length, highlight=False)
    with console.capture() as captured:
        console.print(f'Model: "{model.name}"', markup=False)
        console.print(table)
        for title, weights in (
            ("Total params", model.weights),
            ("Trainable params", model.trainable_weights),
            ("Non-trainable params", model.non_trainable_weights),
        ):
            console.print(f" {title}: {_total(weights)}", markup=False)
    (print_fn or print)(captured.get())


def _is_chain(model: Any) -> bool:
    return all(
        len(node.inputs) <= 1 and len(node.outputs) == 1 for node in model.graph.nodes
    ) and len(model.graph.nodes) == len(model.layers) + (
        0 if model.graph.nodes[0].layer in model.layers else 1
    )


def _output_shape(layer: Any, model: Any) -> str:
    if model.graph is None:
        return "?"
    outputs = next(node.outputs for node in model.graph.nodes if node.layer is layer)
    shapes = ", ".join(str(tensor.shape) for tensor in outputs)
    return f"[{shapes}]" if len(outputs) > 1 else shapes


def _connections(layer: Any, model: Any) -> str:
    sources = [
        f"{tensor.name}[{tensor.node.layer.nodes.index(tensor.node)}][{tensor.index}]"
        for node in model.graph.nodes
        if node.layer is layer
        for tensor in node.inputs
    ]
    return "\n".join(sources)


def _total(weights: list[Variable]) -> str:
    count = sum(weight.size for weight in weights)
    size = float(sum(weight.size * weight.dtype.itemsize for weight in weights))
    unit = "B"
    for larger in ("KB", "MB", "GB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{count:,} ({size:.2f} {unit})"
