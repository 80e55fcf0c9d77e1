"""The table that ``model.summary()`` prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def print_summary(
    model: Any,
    line_length: int | None = None,
    print_fn: Any = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
) -> None:
    """Print the layers of a model with their output shapes and numbers of weights.

    Args:
        model: built or not.
        line_length: the width of the table in characters; the terminal's by default.
        print_fn: called with the text, if given.
        expand_nested: whether the layers of a model within the model get rows of their own.
        show_trainable: whether a column says which layers learn, "Y" or "N".
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rows = list(_rows(model, expand_nested))
    branches = any(owner.graph is not None and not _is_chain(owner) for _, _, owner in rows)
    table = Table()
    for heading in ("Layer (type)", "Output Shape", "Param #"):
        table.add_column(heading, justify="right" if heading == "Param #" else "left")
    if branches:
        table.add_column("Connected to")
    if show_trainable:
        table.add_column("Trainable", justify="center")
    for depth, layer, owner in rows:
        indent = "    " * (depth - 1) + "  └ " if depth else ""
        row = [
            f"{indent}{layer.name} ({_kind(layer)})",
            _output_shape(layer, owner),
            f"{layer.count_params():,}" if layer.built else "0 (unbuilt)",
        ]
        if branches:
            row.append(_connections(layer, owner) or "-")
        if show_trainable:
            row.append("-" if not layer.weights else "Y" if layer.trainable else "N")
        table.add_row(*(Text(cell) for cell in row))  # Text: a name in brackets is no markup
    # In a notebook rich would show an empty box besides.
    console = Console(width=line_length, highlight=False, force_jupyter=False)
    with console.capture() as captured:
        console.print(f'Model: "{model.name}"', markup=False)
        console.print(table)
        memory = _of_optimizer(model)
        for title, arrays in (
            ("Total params", model.weights + memory),
            ("Trainable params", model.trainable_weights),
            ("Non-trainable params", model.non_trainable_weights),
            ("Optimizer params", memory),
        ):
            if arrays is not memory or memory:
                console.print(f" {title}: {_total(arrays)}", markup=False)
    (print_fn or print)(captured.get())


def _rows(model: Any, expand_nested: bool, depth: int = 0) -> Iterator[tuple[int, Any, Any]]:
    """(depth, layer, the model that it stands in) of each row."""
    for layer in model.layers:
        yield depth, layer, model
        if expand_nested and hasattr(layer, "layers"):
            yield from _rows(layer, expand_nested, depth + 1)


def _kind(layer: Any) -> str:
    """The name of the class, as Keras has it: a model drawn with ``Model`` is a "Functional"."""
    return vars(type(layer)).get("keras_class", type(layer).__name__)


def _of_optimizer(model: Any) -> list[Any]:
    """What the optimizer remembers, once training has begun, as arrays. Keras counts it, too."""
    from minicnn.saving import optimizer_state

    if model.optimizer is None or not model.optimizer.iterations:
        return []
    arrays, _ = optimizer_state.collect(model)
    return [array for path, array in arrays.items() if path != optimizer_state.EXACT_RATE]


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


def _total(weights: list[Any]) -> str:
    count = sum(weight.size for weight in weights)
    size = float(sum(weight.size * weight.dtype.itemsize for weight in weights))
    unit = "B"
    for larger in ("KB", "MB", "GB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{count:,} ({size:.2f} {unit})"
