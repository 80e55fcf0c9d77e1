"""One training step under the microscope: what every layer makes of it, forward and backward."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np


@dataclass
class TracedCall:
    """One call of a layer within the step.

    Attributes:
        layer: the layer's name and class.
        formula: what it computes.
        input_shape, output_shape: of the arrays (lists of shapes where there are several).
        parameters: how many weights it has.
        flops: floating-point operations of the forward pass.
        bytes: of the output.
        output, gradient: the array that came out, and dL/doutput that came back (``None`` where
            none did). At a last layer whose activation is differentiated together with the loss,
            the output is the pre-activation.
        forward_seconds, backward_seconds: how long it took.
    """

    layer: str
    formula: str
    input_shape: Any
    output_shape: Any
    parameters: int
    flops: int
    bytes: int
    output: Any
    gradient: Any = None
    forward_seconds: float = 0.0
    backward_seconds: float = 0.0


class Trace:
    """What :func:`trace` returns: a table when printed, in a terminal and in a notebook.

    Attributes:
        calls: a :class:`TracedCall` for every call of a layer, in forward order.
        loss: the value of what ``fit`` minimises.
    """

    HEADER = (
        "layer",
        "output",
        "weights",
        "MFLOP",
        "KiB",
        "output: mean ± deviation",
        "gradient: norm",
        "forward ms",
        "backward ms",
        "formula",
    )

    def __init__(self, calls: list[TracedCall], loss: float):
        self.calls, self.loss = calls, loss

    def rows(self) -> list[tuple[str, ...]]:
        """The cells of the table."""
        return [
            (
                call.layer,
                str(call.output_shape),
                f"{call.parameters:,}",
                f"{call.flops / 1e6:.3f}",
                f"{call.bytes / 1024:,.1f}",
                " ".join(f"{a.mean():.3g} ± {a.std():.3g}" for a in _arrays(call.output)),
                " ".join(f"{np.linalg.norm(a):.3g}" for a in _arrays(call.gradient)) or "-",
                f"{call.forward_seconds * 1e3:.2f}",
                f"{call.backward_seconds * 1e3:.2f}",
                call.formula,
            )
            for call in self.calls
        ]

    def __str__(self) -> str:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(title=f"loss {self.loss:.6g}")
        for heading in self.HEADER:
            right = heading in ("weights", "MFLOP", "KiB") or heading.endswith(" ms")
            table.add_column(heading, justify="right" if right else "left")
        for row in self.rows():
            table.add_row(*(Text(cell) for cell in row))
        console = Console(width=180, force_jupyter=False)  # else an empty box in a notebook
        with console.capture() as captured:
            console.print(table)
        return captured.get()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        def line(cells: tuple[str, ...], tag: str) -> str:
            return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

        body = "".join(line(row, "td") for row in self.rows())
        return (
            f"<table><caption>loss {self.loss:.6g}</caption>"
            f"<thead>{line(self.HEADER, 'th')}</thead><tbody>{body}</tbody></table>"
        )


def trace(model: Any, x: Any, y: Any, sample_weight: Any = None, training: bool = True) -> Trace:
    """Carry out one step of a compiled model on a batch, and keep what every layer did.

    Neither weights nor moving statistics nor random masks move on.

    Args:
        model: compiled.
        x, y, sample_weight: a batch, as for ``compute_gradients``.
        training: whether dropout drops and batch normalization uses the batch's statistics.

    Raises:
        ValueError, TypeError: as ``compute_gradients`` does.

    >>> import numpy as np
    >>> from minicnn import Sequential, layers
    >>> model = Sequential([layers.Dense(3, input_shape=(4,), activation="softmax", name="out")])
    >>> model.compile("sgd", "sparse_categorical_crossentropy")
    >>> step = trace(model, np.ones((2, 4)), np.array([0, 2]))
    >>> [(call.layer, call.output_shape, call.flops) for call in step.calls]
    [('out (Dense)', (2, 3), 48)]
    """
    calls: list[TracedCall] = []
    pending: dict[int, list[TracedCall]] = {}  # by layer; backward meets its calls in reverse
    model.compute_gradients(x, y, sample_weight, training)  # builds what there is to build
    layers = list(model.all_layers())
    graphs = [part.graph for part in (model, *layers) if hasattr(part, "graph")]
    with _one_by_one(graphs), _watched(layers, calls, pending):
        loss, _ = model.compute_gradients(x, y, sample_weight, training)
    return Trace(calls, loss)


@contextmanager
def _one_by_one(graphs: list[Any]) -> Iterator[None]:
    """Let these graphs carry out their layers one after the other."""
    for graph in graphs:
        graph.one_by_one = True
    try:
        yield
    finally:
        for graph in graphs:
            graph.one_by_one = False


@contextmanager
def _watched(
    layers: list[Any], calls: list[TracedCall], pending: dict[int, list[TracedCall]]
) -> Iterator[None]:
    """Put a note-taker before the methods of these layers, and take it away at the end."""
    watched: list[tuple[Any, str]] = []
    busy: set[int] = set()  # layers within forward() or backward(): inner methods are part of it
    try:
        for layer in {id(layer): layer for layer in layers}.values():
            for name in ("forward", "preactivation"):
                if hasattr(layer, name):
                    setattr(
                        layer, name, _forward(layer, getattr(layer, name), calls, pending, busy)
                    )
                    watched.append((layer, name))
            for name in ("backward", "preactivation_backward"):
                if hasattr(layer, name):
                    setattr(layer, name, _backward(layer, getattr(layer, name), pending, busy))
                    watched.append((layer, name))
        yield
    finally:
        for layer, name in watched:
            delattr(layer, name)


def _forward(
    layer: Any,
    run: Callable[..., Any],
    calls: list[TracedCall],
    pending: dict[int, list[TracedCall]],
    busy: set[int],
) -> Callable[..., Any]:
    def forward(x: Any, training: bool) -> Any:
        if id(layer) in busy:
            return run(x, training)
        busy.add(id(layer))
        start = time.perf_counter()
        y, saved = run(x, training)
        seconds = time.perf_counter() - start
        busy.discard(id(layer))
        output = (
            [layer.ops.to_numpy(part) for part in y]
            if isinstance(y, list)
            else (layer.ops.to_numpy(y))
        )
        shape = _shapes(y)
        call = TracedCall(
            layer=f"{layer.name} ({type(layer).__name__})",
            formula=(inspect.getdoc(type(layer)) or "").split("\n")[0],
            input_shape=_shapes(x),
            output_shape=shape,
            parameters=sum(weight.size for weight in layer.weights),
            flops=0 if hasattr(layer, "graph") else layer.flops(_shapes(x), shape),
            bytes=sum(part.nbytes for part in _arrays(output)),
            output=output,
            forward_seconds=seconds,
        )
        calls.append(call)
        pending.setdefault(id(layer), []).append(call)
        return y, saved

    return forward


def _backward(
    layer: Any, run: Callable[..., Any], pending: dict[int, list[TracedCall]], busy: set[int]
) -> Callable[..., Any]:
    def backward(dy: Any, saved: Any, *options: Any, **named: Any) -> Any:
        if id(layer) in busy:
            return run(dy, saved, *options, **named)
        busy.add(id(layer))
        start = time.perf_counter()
        dx = run(dy, saved, *options, **named)
        call = pending[id(layer)].pop()
        call.backward_seconds = time.perf_counter() - start
        busy.discard(id(layer))
        parts = dy if isinstance(dy, list) else [dy]
        numbers = [None if part is None else layer.ops.to_numpy(part) for part in parts]
        call.gradient = numbers if isinstance(dy, list) else numbers[0]
        return dx

    return backward


def _shapes(value: Any) -> Any:
    if isinstance(value, list):
        return [tuple(part.shape) for part in value]
    return tuple(value.shape)


def _arrays(value: Any) -> list[np.ndarray]:
    parts = value if isinstance(value, list) else [value]
    return [part for part in parts if part is not None]
