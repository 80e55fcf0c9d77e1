"""What passes between layers while a network is drawn and no number is there yet."""

from __future__ import annotations

from typing import Any

import numpy as np

Shape = tuple[int | None, ...]


class SymbolicTensor:
    """The promise of an array: a shape, and which call of which layer will make it.

    ``a + b``, ``a - b`` and ``a * b`` are the layers Add, Subtract and Multiply, called on the two.
    With a number, or an array of them, as in ``a / 255``, it is the layer Rescaling.

    Attributes:
        shape: with the batch first, ``None`` where a size is not known: ``(None, 28, 28, 1)``.
        dtype: of the array to come.
        node: the call that makes it.
        index: which of that call's outputs it is.
    """

    def __init__(self, shape: Shape, dtype: str, node: Node, index: int = 0):
        self.shape = tuple(shape)
        self.dtype = dtype
        self.node = node
        self.index = index

    @property
    def name(self) -> str:
        return self.node.layer.name

    @property
    def ndim(self) -> int:
        return len(self.shape)

    __array_ufunc__ = None  # so that NumPy leaves ``array * tensor`` to the methods below

    def __add__(self, other: Any) -> Any:
        return _merged("add", self, other) if _is_tensor(other) else _rescaled(self, 1, other)

    def __sub__(self, other: Any) -> Any:
        return _merged("subtract", self, other) if _is_tensor(other) else self + np.negative(other)

    def __mul__(self, other: Any) -> Any:
        return _merged("multiply", self, other) if _is_tensor(other) else _rescaled(self, other)

    def __truediv__(self, other: Any) -> Any:
        return NotImplemented if _is_tensor(other) else self * np.divide(1, other)

    def __rsub__(self, other: Any) -> Any:
        return _rescaled(self, -1, other)

    def __neg__(self) -> Any:
        return _rescaled(self, -1)

    __radd__, __rmul__ = __add__, __mul__

    def __repr__(self) -> str:
        return f"<SymbolicTensor shape={self.shape} dtype={self.dtype} from {self.name!r}>"

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r} has no value yet: it stands for an array to come")

    def __array__(self, *args: Any, **kwargs: Any):
        raise TypeError(f"{self!r} has no value yet: build a Model and call it on an array")


def _is_tensor(thing: Any) -> bool:
    return isinstance(thing, SymbolicTensor)


def _merged(kind: str, x: SymbolicTensor, y: SymbolicTensor) -> Any:
    """``x + y`` is the merging layer ``Add()([x, y])``, and so on."""
    from minicnn import layers  # here, because layers are built on this module

    return getattr(layers, kind)([x, y], dtype=x.dtype)


def _rescaled(x: SymbolicTensor, scale: Any, offset: Any = 0) -> Any:
    """``scale x + offset`` is the layer ``Rescaling(scale, offset)``.

    Raises:
        TypeError: if one of them is neither a number nor an array.
        ValueError: if an array does not broadcast against ``x``.
    """
    from minicnn import layers

    return layers.Rescaling(scale, offset, dtype=x.dtype)(x)


class Node:
    """One call of a layer: which tensors go in, which come out.

    Attributes:
        layer: the layer that is called.
        inputs: the tensors that go in, in order.
        takes_list: whether the layer gets them as a list (a merging layer) or as one array.
        outputs: the tensors that come out, in order.
        gives_list: whether the layer returns a list of arrays or one array.
    """

    def __init__(
        self,
        layer: Any,
        inputs: list[SymbolicTensor],
        takes_list: bool,
        output_shapes: list[Shape],
        gives_list: bool = False,
        dtype: str = "float32",
    ):
        self.layer = layer
        self.inputs = inputs
        self.takes_list = takes_list
        self.gives_list = gives_list
        self.outputs = [
            SymbolicTensor(shape, dtype, self, index) for index, shape in enumerate(output_shapes)
        ]
