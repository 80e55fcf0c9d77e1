"""What the dense and the convolutional layers share: a kernel, a bias, and their options."""

from __future__ import annotations

import math
from typing import Any

from minicnn import constraints, initializers, regularizers
from minicnn.layers.activated import ActivatedLayer
from minicnn.variables import Variable


class KernelLayer(ActivatedLayer):
    """y = f(g(x; W) + b), with W the kernel and b the bias.

    Args:
        activation: f, the identity by default.
        use_bias: whether there is a b.
        kernel_initializer, bias_initializer: where W and b start.
        kernel_regularizer, bias_regularizer: penalties on them, added to the loss.
        kernel_constraint, bias_constraint: applied to them after each update.
        kwargs: what every layer takes (``name``, ``input_shape``, ``activity_regularizer``, ...).
    """

    can_skip_input_gradient = True

    def __init__(
        self,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(activation, **kwargs)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.kernel: Variable | None = None
        self.bias: Variable | None = None

    def add_kernel_and_bias(
        self, kernel_shape: tuple[int, ...], outputs: int, kernel_name: str = "kernel"
    ) -> None:
        """Make W of the given shape and, unless ``use_bias`` is off, b of shape (outputs,)."""
        self.kernel = self.add_weight(
            kernel_shape,
            self.kernel_initializer,
            kernel_name,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                (outputs,),
                self.bias_initializer,
                "bias",
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def flops(self, input_shape: Any, output_shape: Any) -> int:
        """Each weight of a kernel is multiplied and added once at each place of the output."""
        kernels = sum(w.size for w in self.weights if w is not self.bias)
        return 2 * math.prod(output_shape[:-1]) * kernels

    def kernel_and_bias(self) -> tuple[Any, Any]:
        """The arrays (W, b), with ``None`` for b where there is none."""
        return self.kernel.value, None if self.bias is None else self.bias.value

    @property
    def places_for_gradients(self) -> tuple[Any, Any]:
        """Arrays that an operation may write dW and db into, to save a copy, or ``None``: see
        ``Variable.place_for_gradient``."""
        place_for_db = None if self.bias is None else self.bias.place_for_gradient
        return self.kernel.place_for_gradient, place_for_db

    def add_gradients(self, dW: Any, db: Any) -> None:
        """Add to the gradients of W and b, as every backward does: the layer may stand in a network
        more than once."""
        self.kernel.add_gradient(dW)
        if self.bias is not None:
            self.bias.add_gradient(db)
