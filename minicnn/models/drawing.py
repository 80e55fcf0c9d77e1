"""Models that are written as a class: what ``call`` does with symbolic tensors is the network."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from minicnn.layers.base import Layer
from minicnn.layers.input import Input


class Unknown:
    """Stands for ``training`` (or another argument of the kind) while ``call`` draws: whoever runs
    the network will say."""

    def __init__(self, argument: str):
        self.argument = argument

    def __bool__(self) -> bool:
        raise TypeError(
            f"{self.argument} is neither true nor false while the network is drawn: hand it on, as "
            f"in self.dropout(x, {self.argument}={self.argument}), and ask for it with no if"
        )


def is_written(cls: type) -> bool:
    """Whether the class says with ``call`` what its network is."""
    return hasattr(cls, "call")


def draw(model: Any, shapes: Any) -> tuple[Any, Any]:
    """Carry out ``model.call`` on symbolic tensors.

    Args:
        model: its ``call`` takes the inputs and, perhaps, ``training``.
        shapes: of the inputs, batch first: one shape, or a list or dict of them.

    Returns:
        ``(inputs, outputs)``, as ``Model`` takes them.

    Raises:
        TypeError: if ``call`` does something that is no layer, so that nobody could differentiate
            it.
    """
    if isinstance(shapes, dict):
        inputs: Any = {name: _input(shape, name) for name, shape in shapes.items()}
    elif isinstance(shapes[0], (list, tuple)):
        inputs = [_input(shape) for shape in shapes]
    else:
        inputs = _input(shapes)
    named = {"training", "mask"} & set(inspect.signature(model.call).parameters)
    try:
        outputs = model.call(inputs, **{name: Unknown(name) for name in named})
    except (AttributeError, TypeError) as error:
        raise TypeError(
            f"{type(model).__name__}.call() cannot be drawn: {error}. It is carried out once, on "
            "symbolic tensors, and may call layers and activations, and add, subtract and multiply "
            "what they return. For all else write a layer with forward(x, training), which returns "
            "(y, saved), and backward(dy, saved), which returns dx"
        ) from error
    return inputs, list(outputs) if isinstance(outputs, tuple) else outputs


def _input(shape: Any, name: str | None = None) -> Any:
    return Input(batch_shape=(None, *tuple(shape)[1:]), name=name)


def shapes_of(x: Any) -> Any:
    """The shapes of arrays or symbolic tensors, in the form in which they come."""
    if isinstance(x, dict):
        return {name: shapes_of(part) for name, part in x.items()}
    if isinstance(x, (list, tuple)) and x and getattr(x[0], "shape", ()):
        return [shapes_of(part) for part in x]
    return tuple(x.shape) if hasattr(x, "shape") else np.shape(x)


def parts(model: Any) -> list[Layer]:
    """The layers that a model keeps as attributes, also in lists, in the order in which it got
    them."""
    found: dict[int, Layer] = {}

    def look(thing: Any) -> None:
        if isinstance(thing, Layer):
            found[id(thing)] = thing
        elif isinstance(thing, dict):
            look(list(thing.values()))
        elif isinstance(thing, (list, tuple)):
            for part in thing:
                look(part)

    look([value for name, value in vars(model).items() if not name.startswith("_")])
    return list(found.values())
