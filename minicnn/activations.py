"""Activation functions as objects that a layer can run forward and backward.

``minicnn.activations.relu`` is such an object, and a function, too:

>>> import numpy as np
>>> from minicnn import activations
>>> activations.relu(np.array([-1.0, 2.0]))
array([0., 2.])
>>> activations.relu(np.array([-1.0, 2.0]), negative_slope=0.5)
array([-0.5,  2. ])

The mathematics stands in ``minicnn/backends/numpy/activation.py``.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from minicnn import backend
from minicnn.configurable import Configurable, deserialize, plain, serialize_object
from minicnn.registry import lookup
from minicnn.validation import number


class Activation(Configurable):
    """y = f(z), with its derivative. Write your own in two methods:

    >>> class Square(Activation):
    ...     name = "square"
    ...     def forward(self, ops, z):
    ...         return z * z, z
    ...     def backward(self, ops, dy, saved):
    ...         z = saved
    ...         return 2 * z * dy
    >>> Square()(np.array([1.0, 3.0]))
    array([1., 9.])

    The ones below are pairs of operations of the floor, ``f`` and ``f_backward``.

    Attributes:
        name: the name of the operation, and of the function in Keras.
        saves_output: whether the backward reads the output y, which the next layer keeps anyway,
            or the pre-activation z.
        parameters: the keyword arguments of the operation.
    """

    keras_module = "keras.activations"
    name = "activation"
    saves_output = False

    def __init__(self) -> None:
        self.parameters: dict[str, Any] = {}

    def argument_value(self, name: str) -> Any:
        return self.parameters[name] if name in self.parameters else super().argument_value(name)

    def serialized(self) -> Any:
        """What stands for it in a file: its name; with other parameters than the usual ones, the
        layer that has them.

        Raises:
            TypeError: if Keras has no such layer.
        """
        usual = _TABLE.get(self.name)
        if type(self) is not type(usual):
            return serialize_object(self)
        if self.parameters == usual.parameters:
            return self.name
        if self.name not in _LAYERS:
            raise TypeError(f"{self!r} cannot be saved: Keras has no layer of that kind")
        return {
            "module": "keras.layers",
            "class_name": _LAYERS[self.name],
            "config": plain(self.parameters),
            "registered_name": None,
        }

    @property
    def __name__(self) -> str:
        return self.name

    def forward(self, ops: ModuleType, z: Any) -> tuple[Any, Any]:
        """``(y, saved)``: f(z) on the floor ``ops``, and what :meth:`backward` will need."""
        y = getattr(ops, self.name)(z, **self.parameters)
        return y, (y if self.saves_output else z)

    def backward(self, ops: ModuleType, dy: Any, saved: Any) -> Any:
        """dz, from dy and what the forward saved."""
        z, y = (None, saved) if self.saves_output else (saved, None)
        return getattr(ops, f"{self.name}_backward")(dy, z, y, **self.parameters)

    def __call__(self, x: Any, **parameters: Any) -> np.ndarray:
        """f(x) of an array, as a NumPy array; of a symbolic tensor, the layer that does it.

        Args:
            x: numbers. Floats keep their dtype, integers become float32.
            parameters: those of the class, to use once: ``relu(x, max_value=6)``.

        Raises:
            TypeError: if ``x`` does not hold numbers.
        """
        if parameters:
            return type(self)(**{**self.parameters, **parameters})(x)
        # Imported here, because layers are built on this module.
        from minicnn import layers
        from minicnn.symbolic import SymbolicTensor

        if isinstance(x, SymbolicTensor):
            return layers.Activation(self, dtype=x.dtype)(x)
        array = backend.floor_of(x).to_numpy(x)
        if array.dtype.kind not in "fiub":
            raise TypeError(
                f"x of activation {self.name!r}: expected an array of real numbers, got {x!r}. "
                f"Inside a model write layers.Activation({self.name!r})(x)"
            )
        ops = backend.current()
        dtype = array.dtype if array.dtype.kind == "f" else backend.floatx()
        y, _ = self.forward(ops, ops.asarray(array, dtype))
        return ops.to_numpy(y)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.parameters.items())
        return f"<activation {self.name}({arguments})>"


class Linear(Activation):
    """y = z."""

    name = "linear"

    def forward(self, ops: ModuleType, z: Any) -> tuple[Any, Any]:
        return z, None

    def backward(self, ops: ModuleType, dy: Any, saved: Any) -> Any:
        return dy


class ReLU(Activation):
    """y = min(z, max_value) where z > threshold, else negative_slope (z - threshold).

    Args:
        negative_slope: below the threshold, 0 by default.
        max_value: where the function saturates; ``None`` for nowhere.
        threshold: where it begins to pass its input on.

    Raises:
        ValueError: if one of them is negative.
    """

    name = "relu"
    saves_output = True

    def __init__(
        self,
        negative_slope: float = 0.0,
        max_value: float | None = None,
        threshold: float = 0.0,
    ):
        self.parameters = {
            "negative_slope": number(negative_slope, "negative_slope", "[0, inf)"),
            "max_value": None if max_value is None else number(max_value, "max_value", "[0, inf)"),
            "threshold": number(threshold, "threshold", "[0, inf)"),
        }


class LeakyReLU(Activation):
    """y = z where z > 0, else negative_slope z."""

    name = "leaky_relu"
    saves_output = True

    def __init__(self, negative_slope: float = 0.2):
        self.parameters = {"negative_slope": number(negative_slope, "negative_slope", "[0, inf)")}


class ReLU6(Activation):
    """y = min(max(z, 0), 6)."""

    name = "relu6"
    saves_output = True


class ELU(Activation):
    """y = z where z > 0, else alpha (e^z - 1)."""

    name = "elu"
    saves_output = True

    def __init__(self, alpha: float = 1.0):
        self.parameters = {"alpha": number(alpha, "alpha", "[0, inf)")}


class SELU(Activation):
    """y = scale z where z > 0, else scale alpha (e^z - 1), for self-normalizing networks."""

    name = "selu"
    saves_output = True


class GELU(Activation):
    """y = z P(z), with the normal distribution function P, or its approximation by a tanh."""

    name = "gelu"

    def __init__(self, approximate: bool = False):
        self.parameters = {"approximate": bool(approximate)}


class Sigmoid(Activation):
    """y = 1 / (1 + e^-z)."""

    name = "sigmoid"
    saves_output = True


class Tanh(Activation):
    """y = tanh(z)."""

    name = "tanh"
    saves_output = True


class Softplus(Activation):
    """y = log(1 + e^z)."""

    name = "softplus"
    saves_output = True


class Softsign(Activation):
    """y = z / (1 + |z|)."""

    name = "softsign"


class SiLU(Activation):
    """y = z sigmoid(z), also called swish."""

    name = "silu"


class Mish(Activation):
    """y = z tanh(softplus(z))."""

    name = "mish"


class Exponential(Activation):
    """y = e^z."""

    name = "exponential"
    saves_output = True


class HardSigmoid(Activation):
    """y = z / 6 + 1/2, cut off at 0 and 1."""

    name = "hard_sigmoid"
    saves_output = True


class HardSiLU(Activation):
    """y = z hard_sigmoid(z), also called hard swish."""

    name = "hard_silu"


class Softmax(Activation):
    """y_i = e^z_i / sum_j e^z_j along ``axis``: probabilities."""

    name = "softmax"
    saves_output = True

    def __init__(self, axis: int | tuple[int, ...] = -1):
        self.parameters = {"axis": _axis(axis)}


class LogSoftmax(Activation):
    """y = log softmax(z) along ``axis``."""

    name = "log_softmax"
    saves_output = True

    def __init__(self, axis: int | tuple[int, ...] = -1):
        self.parameters = {"axis": _axis(axis)}


class LayerActivation(Activation):
    """A layer without weights in the place of an activation: ``activation=layers.LeakyReLU()``."""

    def __init__(self, layer: Any):
        super().__init__()
        self.layer = layer
        self.name = layer.name

    def forward(self, ops: ModuleType, z: Any) -> tuple[Any, Any]:
        if self.layer.ops is None:
            self.layer.ops = ops
        self.layer.ensure_built(tuple(z.shape))
        if self.layer.weights:
            raise ValueError(
                f"activation: layer {self.name!r} has weights, which nobody would train there; "
                "make it a layer of its own, after this one"
            )
        return self.layer.forward(z, training=False)

    def backward(self, ops: ModuleType, dy: Any, saved: Any) -> Any:
        return self.layer.backward(dy, saved)

    def serialized(self) -> Any:
        return serialize_object(self.layer)


def _axis(axis: Any) -> Any:
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    if not axes or not all(isinstance(a, (int, np.integer)) for a in axes):
        raise TypeError(f"axis: expected an integer or a tuple of integers, got {axis!r}")
    return tuple(axes) if isinstance(axis, (tuple, list)) else int(axis)


linear = Linear()
relu = ReLU()
leaky_relu = LeakyReLU()
relu6 = ReLU6()
elu = ELU()
selu = SELU()
gelu = GELU()
sigmoid = Sigmoid()
tanh = Tanh()
softplus = Softplus()
softsign = Softsign()
silu = swish = SiLU()
mish = Mish()
exponential = Exponential()
hard_sigmoid = HardSigmoid()
hard_silu = hard_swish = HardSiLU()
softmax = Softmax()
log_softmax = LogSoftmax()

_TABLE: dict[str, Activation] = {
    name: value for name, value in list(globals().items()) if isinstance(value, Activation)
}
# Keras writes activations by their names; parameters need the layer that takes them.
_LAYERS = {"relu": "ReLU", "leaky_relu": "LeakyReLU", "elu": "ELU", "softmax": "Softmax"}


def get(identifier: Any) -> Activation:
    """The activation that ``identifier`` names.

    Args:
        identifier: ``None`` for the identity, a name in any case, an activation (or its class, or
            any object with ``forward(ops, z)`` and ``backward(ops, dy, saved)``), a layer that
            has no weights, or Keras's dict form of an activation (see ``minicnn.configurable``).

    Raises:
        ValueError: if there is no activation of that name.
        TypeError: if ``identifier`` is nothing of the kind, for instance a plain function.

    >>> get("ReLU") is relu, get(None) is linear
    (True, True)
    """
    if identifier is None:
        return linear
    if isinstance(identifier, str):
        return lookup(_TABLE, identifier, "activation")
    if isinstance(identifier, dict):
        return get(
            deserialize(
                identifier, _TABLE, "keras.activations", "activation", Activation, functions=True
            )
        )
    is_class = isinstance(identifier, type)
    if is_class and issubclass(identifier, Activation):
        return identifier()
    if hasattr(identifier, "ensure_built") and not is_class:
        return LayerActivation(identifier)
    if hasattr(identifier, "forward") and hasattr(identifier, "backward") and not is_class:
        return identifier
    hint = ""
    if callable(identifier):
        hint = (
            ". A plain function has no derivative: write a class with forward(ops, z) and "
            "backward(ops, dy, saved), see minicnn.activations.Activation"
        )
    raise TypeError(
        f"activation: expected None, a name or an activation object, got {identifier!r}{hint}"
    )
