"""Activation functions as layers of their own."""

from __future__ import annotations

import warnings
from typing import Any

from minicnn import activations, constraints, initializers, regularizers
from minicnn.layers.activated import ActivatedLayer
from minicnn.layers.base import Layer
from minicnn.layers.checks import axis_number, axis_of, check_size
from minicnn.variables import Variable


class Activation(ActivatedLayer):
    """y = f(x).

    Args:
        activation: f, a name, or a member of ``minicnn.activations``.
        kwargs: what every layer takes (``name``, ``input_shape``, ...).

    >>> import numpy as np
    >>> Activation("relu")(np.array([-1.0, 2.0]))
    array([0., 2.], dtype=float32)
    """

    def __init__(self, activation: Any, **kwargs: Any):
        super().__init__(activation, **kwargs)

    def preactivation(self, x: Any, training: bool) -> tuple[Any, Any]:
        return x, None

    def preactivation_backward(self, dz: Any, saved: Any, input_gradient: bool = True) -> Any:
        return dz


class ReLU(Activation):
    """y = min(x, max_value) where x > threshold, else negative_slope (x - threshold).

    Args:
        max_value: where the function saturates; ``None`` for nowhere.
        negative_slope: below the threshold, 0 by default.
        threshold: where it begins to pass its input on.
        kwargs: what every layer takes (``name``, ``input_shape``, ...).

    Raises:
        ValueError, TypeError: if an argument is negative or no number.

    >>> import numpy as np
    >>> ReLU(max_value=6)(np.array([-1.0, 2.0, 9.0]))
    array([0., 2., 6.], dtype=float32)
    """

    not_in_config = frozenset({"activation"})

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(activations.ReLU(negative_slope, max_value, threshold), **kwargs)
        self.max_value = max_value
        self.negative_slope = negative_slope
        self.threshold = threshold


class LeakyReLU(Activation):
    """y = x where x > 0, else negative_slope x (Maas et al., 2013).

    Args:
        negative_slope: 0.3 by default, as in Keras. Its old name ``alpha`` is taken with a warning.
        kwargs: what every layer takes (``name``, ``input_shape``, ...).

    >>> import numpy as np
    >>> LeakyReLU()(np.array([-1.0, 2.0]))
    array([-0.3,  2. ], dtype=float32)
    """

    not_in_config = frozenset({"activation"})

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any):
        if "alpha" in kwargs:  # its name in Keras 2
            warnings.warn("alpha of LeakyReLU: write negative_slope instead", stacklevel=2)
            negative_slope = kwargs.pop("alpha")
        super().__init__(activations.LeakyReLU(negative_slope), **kwargs)
        self.negative_slope = negative_slope


class ELU(Activation):
    """y = x where x > 0, else alpha (e^x - 1) (Clevert et al., 2016).

    Args:
        alpha: minus the value that y approaches on the far left; not negative.
        kwargs: what every layer takes (``name``, ``input_shape``, ...).

    >>> import numpy as np
    >>> ELU()(np.array([-1.0, 2.0])).round(3)
    array([-0.632,  2.   ], dtype=float32)
    """

    not_in_config = frozenset({"activation"})

    def __init__(self, alpha: float = 1.0, **kwargs: Any):
        super().__init__(activations.ELU(alpha), **kwargs)
        self.alpha = alpha


class Softmax(Activation):
    """y_i = e^x_i / sum_j e^x_j along ``axis``: probabilities.

    As the last layer it is differentiated together with a cross-entropy loss.

    Args:
        axis: an int, or several.
        kwargs: what every layer takes (``name``, ``input_shape``, ...).

    >>> import numpy as np
    >>> Softmax()(np.array([[1.0, 1.0, 1.0, 1.0]]))
    array([[0.25, 0.25, 0.25, 0.25]], dtype=float32)
    """

    not_in_config = frozenset({"activation"})

    def __init__(self, axis: Any = -1, **kwargs: Any):
        super().__init__(activations.Softmax(axis), **kwargs)
        self.axis = axis

    def check_input_shape(self, input_shape: Any) -> None:
        for axis in self.axis if isinstance(self.axis, (tuple, list)) else [self.axis]:
            axis_of(self, input_shape, axis)


class PReLU(Layer):
    """y = x where x > 0, else alpha x, with a learned slope alpha (He et al., 2015).

    Args:
        alpha_initializer, alpha_regularizer, alpha_constraint: those of alpha.
        shared_axes: the axes along which one alpha serves all (the batch is axis 0): ``[1, 2]``
            gives each channel of an image one slope. By default every element has its own.
        kwargs: what every layer takes (``name``, ``input_shape``, ...).

    Raises:
        ValueError, TypeError: if an axis is wrong, or a size of the input is not known where alpha
            needs it.

    >>> import numpy as np
    >>> PReLU("ones", shared_axes=[1, 2])(np.full((1, 2, 2, 1), -3))[0, :, :, 0]
    array([[-3., -3.],
           [-3., -3.]], dtype=float32)
    """

    def __init__(
        self,
        alpha_initializer: Any = "zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        if shared_axes is not None:
            given = shared_axes if isinstance(shared_axes, (tuple, list)) else [shared_axes]
            shared_axes = [axis_number(axis, "shared_axes") for axis in given]
            if any(axis < 1 for axis in shared_axes):
                raise ValueError(
                    f"shared_axes: expected axes from 1 on (0 is the batch), got {shared_axes}"
                )
        self.shared_axes = shared_axes
        self.alpha: Variable | None = None

    def check_input_shape(self, input_shape: Any) -> None:
        shared = [axis_of(self, input_shape, axis) for axis in self.shared_axes or []]
        if self.built and len(input_shape) != len(self.alpha.shape) + 1:
            raise ValueError(
                f"input of layer {self.name!r} (PReLU): expected rank {len(self.alpha.shape) + 1}, "
                f"got shape {input_shape}"
            )
        for axis in range(1, len(input_shape)):
            if axis not in shared:
                size = self.alpha.shape[axis - 1] if self.built else None
                check_size(self, input_shape, axis, f"elements on axis {axis}", size)

    def build(self, input_shape: Any) -> None:
        shared = self.shared_axes or []
        self.alpha = self.add_weight(
            tuple(1 if i in shared else size for i, size in enumerate(input_shape) if i > 0),
            self.alpha_initializer,
            "alpha",
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )

    def forward(self, x: Any, training: bool) -> tuple[Any, Any]:
        return self.ops.prelu(x, self.alpha.value), x

    def backward(self, dy: Any, saved: Any) -> Any:
        x = saved
        dx, dalpha = self.ops.prelu_backward(dy, x, self.alpha.value)
        self.alpha.add_gradient(dalpha)
        return dx
