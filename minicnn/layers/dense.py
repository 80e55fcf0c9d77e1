"""The fully connected layer.

Here stand the shapes, the weights, and the pair z = x W + b with its way back, at the end of the
file. ``forward`` and ``backward`` put the activation y = f(z) around that pair; all layers with an
activation share them (``activated.py``).
"""

from __future__ import annotations

from typing import Any

from minicnn.layers.checks import check_size
from minicnn.layers.kernel import KernelLayer
from minicnn.shapes import positive_int


class Dense(KernelLayer):
    """y = f(x W + b): every output sees every input.

    Input (batch, ..., in), output (batch, ..., units); W is (in, units), b is (units,).

    Args:
        units: how many outputs.
        activation: f, the identity by default.
        kwargs: the options of every kernel layer (``use_bias``, ``kernel_initializer``, ...) and
            of every layer (``name``, ``input_shape``, ...).

    >>> import numpy as np
    >>> Dense(3, kernel_initializer="ones")(np.ones((2, 4)))
    array([[4., 4., 4.],
           [4., 4., 4.]], dtype=float32)
    """

    # In Keras's files only; see configurable.py.
    keras_only = {"quantization_config": (None,), "lora_rank": (None,), "lora_alpha": (None,)}

    def __init__(self, units: int, activation: Any = None, **kwargs: Any):
        super().__init__(activation, **kwargs)
        self.units = positive_int(units, "units")

    def check_input_shape(self, input_shape: Any) -> None:
        if not isinstance(input_shape, tuple) or len(input_shape) < 2:
            raise ValueError(
                f"input of layer {self.name!r} (Dense): expected (batch, ..., features), "
                f"got shape {input_shape}"
            )
        units_in = self.kernel.shape[0] if self.built else None
        check_size(self, input_shape, -1, "features", units_in)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], self.units)

    def build(self, input_shape: Any) -> None:
        self.add_kernel_and_bias((input_shape[-1], self.units), self.units)

    def preactivation(self, x: Any, training: bool) -> tuple[Any, Any]:
        W, b = self.kernel_and_bias()
        return self.ops.dense(x, W, b), x  # z, and what dW = x^T dz will need

    def preactivation_backward(self, dz: Any, saved: Any, input_gradient: bool = True) -> Any:
        x = saved
        W, places = self.kernel.value, self.places_for_gradients
        dx, dW, db = self.ops.dense_backward(dz, x, W, input_gradient, places)
        self.add_gradients(dW, db)
        return dx
