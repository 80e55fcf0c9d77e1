"""The pieces of an ONNX graph while it is being made."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

# ONNX convolves images (batch, channels, height, width), minicnn (batch, height, width, channels).
TO_NCHW, TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]
OPSET = 18


@dataclass(frozen=True)
class Value:
    """A value in the graph.

    Attributes:
        name: in the graph.
        shape: as minicnn sees it, batch first and channels last; ``None`` for a size not known.
        channels_first: whether it lies in memory as (batch, channels, height, width).
    """

    name: str
    shape: tuple[int | None, ...]
    channels_first: bool = False


class Builder:
    """Collects nodes and constants.

    Args:
        dtype: of all numbers in the graph.

    Attributes:
        nodes, constants: what has been collected.
    """

    def __init__(self, dtype: np.dtype):
        self.dtype = dtype
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._names: dict[Any, str] = {}
        self._turned: dict[tuple[str, bool], Value] = {}
        self._scope = ""
        self._count = 0

    def enter(self, scope: str) -> None:
        """Name what comes now after this layer."""
        self._scope = scope

    def constant(self, numbers: Any, dtype: Any = None) -> str:
        """The name of a constant; equal ones are kept once."""
        from onnx import numpy_helper

        array = np.ascontiguousarray(numbers, dtype or self.dtype).reshape(np.shape(numbers))
        key = (array.dtype.str, array.shape, hashlib.sha256(array.tobytes()).digest())
        if key not in self._names:
            self._names[key] = self._new_name("constant")
            self.constants.append(numpy_helper.from_array(array, self._names[key]))
        return self._names[key]

    def whole(self, *numbers: int) -> str:
        """The name of a constant list of whole numbers, such as axes."""
        return self.constant(np.array(numbers), np.int64)

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Put an operation into the graph; the name of its output."""
        from onnx import helper

        output = self._new_name(kind)
        self.nodes.append(helper.make_node(kind, list(inputs), [output], output, **attributes))
        return output

    def name_output(self, value: Value, name: str) -> None:
        """Make a value an output of the graph, with the channels last."""
        from onnx import helper

        self.nodes.append(helper.make_node("Identity", [self.nhwc(value).name], [name]))

    def nchw(self, value: Value) -> Value:
        """An image with the channels first."""
        return self._turn(value, True)

    def nhwc(self, value: Value) -> Value:
        """The value with the channels last, as minicnn has it."""
        return self._turn(value, False)

    def _turn(self, value: Value, channels_first: bool) -> Value:
        if len(value.shape) != 4 or value.channels_first == channels_first:
            return value
        key = (value.name, channels_first)
        if key not in self._turned:
            axes = TO_NCHW if channels_first else TO_NHWC
            name = self.op("Transpose", value.name, perm=axes)
            self._turned[key] = Value(name, value.shape, channels_first)
            self._turned[name, value.channels_first] = value  # and back, at no cost
        return self._turned[key]

    def _new_name(self, kind: str) -> str:
        self._count += 1
        return f"{self._scope}/{kind.lower()}_{self._count}"
