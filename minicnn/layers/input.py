"""Where a network begins."""

from __future__ import annotations

from typing import Any

from minicnn.layers.base import Layer
from minicnn.layers.checks import sizes
from minicnn.symbolic import Node, Shape, SymbolicTensor


class InputLayer(Layer):
    """The place of an array that somebody will put in. Passes it on as it is.

    Args:
        shape: of one sample, with ``None`` for sizes that are not known.
        batch_size: the number of samples, if it is fixed.
        dtype: of the array.
        batch_shape: the shape with the batch first, in place of ``shape`` and ``batch_size``.
        name: how the input is called, ``input_layer`` (and a number) by default.
        older: ``input_shape``, an older name of ``shape``.

    Raises:
        ValueError, TypeError: if the shape is missing, given twice, or no shape.

    >>> InputLayer((28, 28, 1)).output.shape
    (None, 28, 28, 1)
    """

    not_in_config = frozenset({"shape", "batch_size"})
    keras_only = {"sparse": (False,), "ragged": (False,), "optional": (False,)}

    def __init__(
        self,
        shape: Any = None,
        batch_size: int | None = None,
        dtype: str | None = None,
        batch_shape: Any = None,
        name: str | None = None,
        **older: Any,
    ):
        shape = older.pop("input_shape", None) if shape is None else shape
        super().__init__(name=name, dtype=dtype, **older)
        if (shape is None) == (batch_shape is None):
            raise ValueError(f"shape: give shape or batch_shape, got {shape=}, {batch_shape=}")
        if batch_shape is None:
            self.batch_shape: Shape = (
                *sizes((batch_size,), "batch_size"),
                *sizes(shape, "shape"),
            )
        else:
            if batch_size is not None:
                raise ValueError("batch_size: give it or batch_shape, got both")
            self.batch_shape = sizes(batch_shape, "batch_shape")
        self.given_input_shape = self.batch_shape
        self.built = True
        self.nodes.append(Node(self, [], False, [self.batch_shape], dtype=self.dtype))

    @classmethod
    def from_config(cls, config: Any) -> InputLayer:
        # Whole numbers may be put in, too; the layers after the input make floats of them.
        if isinstance(config, dict) and config.get("dtype") in ("uint8", "int32", "int64", "bool"):
            config = {**config, "dtype": None}
        return super().from_config(config)

    def forward(self, x: Any, training: bool) -> tuple[Any, Any]:
        return x, None

    def backward(self, dy: Any, saved: Any) -> Any:
        return dy


def Input(
    shape: Any = None,
    batch_size: int | None = None,
    dtype: str | None = None,
    batch_shape: Any = None,
    name: str | None = None,
) -> SymbolicTensor:
    """The symbolic input of a network, on which layers can be called.

    Args, raises: see :class:`InputLayer`.

    >>> Input((None, None, 3))
    <SymbolicTensor shape=(None, None, None, 3) dtype=float32 from 'input_layer...'>
    """
    return InputLayer(shape, batch_size, dtype, batch_shape, name).output
