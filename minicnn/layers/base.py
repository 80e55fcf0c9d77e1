"""What every layer is: a forward beside its backward.

The idea is in the docstring of :class:`Layer` and in ``forward``, ``backward`` and ``add_weight``.
The rest is what Keras's users expect a layer to have.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

import numpy as np

from minicnn import backend, initializers, regularizers
from minicnn.configurable import Configurable
from minicnn.layers.checks import kept_dtype, sizes
from minicnn.symbolic import Node, Shape, SymbolicTensor
from minicnn.variables import Variable

# What some arguments of older versions of Keras are called today.
_RENAMED = {
    "activity_regulariser": "activity_regularizer",
    "batch_input_shape": "input_shape, without the batch, or start the model with Input",
    "bias": "use_bias",
    "border_mode": "padding",
    "init": "kernel_initializer",
    "input": "inputs",
    "nb_filter": "filters",
    "output": "outputs",
    "output_dim": "units",
    "p": "rate",
    "subsample": "strides",
    "W_regularizer": "kernel_regularizer",
}


class Layer(Configurable):
    """One step of a network. Write your own in two methods:

    ``forward(x, training)`` returns the output *and what the backward will need*;
    ``backward(dy, saved)`` takes the gradient of the loss with respect to that output and what the
    forward saved, adds to the gradients of the layer's weights, and returns the gradient with
    respect to the input. Nothing is kept on the layer between the two, so a layer may stand in a
    network twice. Weights are made in ``build(input_shape)`` with :meth:`add_weight`, and
    ``compute_output_shape`` is needed where the output's shape is not the input's.

    >>> import minicnn, numpy as np
    >>> class Scale(minicnn.Layer):
    ...     def build(self, input_shape):
    ...         self.s = self.add_weight((input_shape[-1],), "ones", "s")
    ...     def forward(self, x, training):
    ...         return x * self.s.value, x
    ...     def backward(self, dy, saved):
    ...         x = saved
    ...         self.s.add_gradient((dy * x).sum(axis=0))
    ...         return dy * self.s.value
    >>> Scale()(np.ones((2, 3)))
    array([[1., 1., 1.],
           [1., 1., 1.]], dtype=float32)
    >>> minicnn.gradient_check(Scale(), np.random.default_rng(0).normal(size=(4, 3))).passed
    True

    What only calls other layers needs no way back of its own. Written in one method, ``call(x)``,
    it is a :class:`minicnn.Model`.

    Args:
        name: how the layer is called; by default the class's name, numbered as Keras does.
        trainable: whether an optimizer may change the layer's weights. Can be switched later.
        dtype: of the weights and of what the layer computes; ``"float32"`` by default.
        input_shape: the shape of one input without the batch, on the first layer of a Sequential.
        input_dim: the same for inputs of one axis, as a number.
        activity_regularizer: a penalty on the layer's output, added to the loss at each call of a
            layer that is called several times (of which Keras loses some when it runs on JAX).

    Attributes:
        ops: the floor that does the arithmetic, given when the layer is built: the module
            ``minicnn.backends.numpy``, or one of its faster twins with the same functions.
        built: whether the weights exist.
        input_rank: the rank that an input must have, batch included; ``None`` for any.
        can_skip_input_gradient: whether ``backward`` takes a third argument ``input_gradient``,
            ``False`` where nobody asks for the gradient of the input (a network's first layer).
        trains_by_default: whether a call that does not say ``training`` is one in training.
    """

    keras_module = "keras.layers"
    not_in_config = frozenset({"input_shape", "input_dim"})
    input_rank: int | None = None
    can_skip_input_gradient = False
    trains_by_default = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "call" in vars(cls) and "forward" not in vars(cls):
            _make_model(cls)
        if "build" in vars(cls):
            cls.build = _built_by(cls.build)

    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: str | None = None,
        input_shape: Any = None,
        input_dim: int | None = None,
        activity_regularizer: Any = None,
        **unknown: Any,
    ):
        for argument in unknown:
            hint = f"; write {_RENAMED[argument]}" if argument in _RENAMED else ""
            raise TypeError(f"{type(self).__name__}: unknown argument {argument!r}{hint}")
        if name is not None and not isinstance(name, str):
            raise TypeError(f"name: expected a str, got {name!r}")
        self.name = name or backend.auto_name(type(self).__name__)
        if input_dim is not None:
            if input_shape is not None:
                raise ValueError(
                    f"input_dim: expected input_shape or input_dim, got both: {input_shape!r} and "
                    f"{input_dim!r}"
                )
            if isinstance(input_dim, bool) or not isinstance(input_dim, (int, np.integer)):
                raise TypeError(f"input_dim: expected an int, got {input_dim!r}")
            input_shape = sizes((input_dim,), "input_dim")
        self.trainable = bool(trainable)
        self.dtype = np.dtype(dtype or backend.floatx()).name
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.given_input_shape: Shape | None = (
            None if input_shape is None else (None, *sizes(input_shape, "input_shape"))
        )
        self.ops: ModuleType | None = None
        self.built = False
        self.nodes: list[Node] = []
        self._variables: list[Variable] = []

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor, as plain data, from which ``from_config`` makes a
        layer like this one (with weights of its own)."""
        config = super().get_config()
        if config.get("activity_regularizer", "") is None:
            del config["activity_regularizer"]
        return config

    @classmethod
    def from_config(cls, config: Any) -> Layer:
        if isinstance(config, dict) and "dtype" in config:
            config = {**config, "dtype": kept_dtype(config["dtype"])}
        return super().from_config(config)

    # -- what a layer defines -----------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Make the weights for inputs of this shape (batch first; a merger gets a list)."""

    def forward(self, x: Any, training: bool | None) -> tuple[Any, Any]:
        """``(output, saved)``: the output, and whatever :meth:`backward` will need.

        ``training`` is ``None`` where a layer or a model is called and nobody said.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define forward(x, training)")

    def backward(self, dy: Any, saved: Any) -> Any:
        """dx, the gradient for the input, from ``dy``, the gradient for the output. Adds to the
        gradients of the weights, with ``add_gradient``."""
        raise NotImplementedError(f"{type(self).__name__} does not define backward(dy, saved)")

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the output (batch first), from that of the input."""
        return input_shape

    def flops(self, input_shape: Any, output_shape: Any) -> int:
        """Floating-point operations of one forward pass; an addition counts one, a multiplication
        another. By default one for each element of the output."""
        return math.prod(output_shape)

    # -- weights ------------------------------------------------------------------------------

    def add_weight(
        self,
        shape: tuple[int, ...] = (),
        initializer: Any = "glorot_uniform",
        name: str = "weight",
        trainable: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        dtype: Any = None,
    ) -> Variable:
        """A new weight of the layer, with its gradient: ``.value`` and ``.gradient``. Without
        ``dtype`` it has the layer's."""
        dtype = np.dtype(dtype or self.dtype).name
        value = initializers.get("glorot_uniform" if initializer is None else initializer)(
            tuple(shape), dtype=dtype
        )
        variable = Variable(
            self._bind_ops().asarray(value, dtype), name, trainable, regularizer, constraint
        )
        self._variables.append(variable)
        return variable

    @property
    def weights(self) -> list[Variable]:
        return list(self._variables)

    @property
    def trainable_weights(self) -> list[Variable]:
        return [w for w in self.weights if w.trainable] if self.trainable else []

    @property
    def non_trainable_weights(self) -> list[Variable]:
        trainable = {id(w) for w in self.trainable_weights}
        return [w for w in self.weights if id(w) not in trainable]

    @property
    def variables(self) -> list[Variable]:
        """Keras's other name for :attr:`weights`."""
        return self.weights

    @property
    def trainable_variables(self) -> list[Variable]:
        """Keras's other name for :attr:`trainable_weights`."""
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """Keras's other name for :attr:`non_trainable_weights`."""
        return self.non_trainable_weights

    @property
    def losses(self) -> list[Any]:
        """The penalties that the regularizers put on the weights as they are. What an activity
        regularizer adds depends on a batch, and stands in the loss alone."""
        return [w.regularizer(w.value) for w in self.trainable_weights if w.regularizer]

    def get_weights(self) -> list[np.ndarray]:
        """Copies of all weights, as NumPy arrays, in the order of ``weights``."""
        return [w.numpy() for w in self.weights]

    def set_weights(self, weights: list[Any]) -> None:
        """Overwrite all weights, in the order of ``weights``.

        Raises:
            ValueError: if their number or a shape differs; then no weight has changed.
        """
        mine, given = self.weights, [np.asarray(w) for w in weights]
        if len(given) != len(mine):
            raise ValueError(
                f"weights: {self.name!r} has {len(mine)} weights, got {len(given)}"
                + ("" if self.built else " (it is not built yet: its input shape is unknown)")
            )
        for variable, value in zip(mine, given, strict=True):
            if value.shape != variable.shape:
                raise ValueError(
                    f"weights: weight {variable.name!r} of {self.name!r} has shape "
                    f"{variable.shape}, got {value.shape}"
                )
        for variable, value in zip(mine, given, strict=True):
            variable.assign(value)

    def count_params(self) -> int:
        """The number of weights, trainable or not.

        Raises:
            ValueError: if the layer is not built.
        """
        if not self.built:
            raise ValueError(
                f"{self.name!r} is not built, so its weights cannot be counted: "
                "give it an input_shape or call it on data first"
            )
        return sum(w.size for w in self.weights)

    # -- calling ------------------------------------------------------------------------------

    def __call__(self, inputs: Any, training: bool | None = None) -> Any:
        """Call the layer on an array, or on the symbolic output of another layer.

        Args:
            inputs: an array, or a list of arrays for a layer that merges; or symbolic tensors.
            training: whether Dropout drops and BatchNormalization uses the batch's statistics. Not
                given, they do not, but the layers that change pictures at random do, as in Keras.

        Returns:
            A NumPy array; or a symbolic tensor, if ``inputs`` is one.
        """
        takes_list = isinstance(inputs, (list, tuple))
        parts = list(inputs) if takes_list else [inputs]
        if any(isinstance(part, SymbolicTensor) for part in parts):
            return self._call_symbolically(parts, takes_list)
        self.ensure_built([np.shape(p) for p in parts] if takes_list else np.shape(inputs))
        arrays = [self.ops.asarray(part, self.dtype) for part in parts]
        y, _ = self.forward(arrays if takes_list else arrays[0], training)
        return [self.ops.to_numpy(v) for v in y] if isinstance(y, list) else self.ops.to_numpy(y)

    def _call_symbolically(self, parts: list[Any], takes_list: bool) -> Any:
        for part in parts:
            if not isinstance(part, SymbolicTensor):
                raise TypeError(
                    f"inputs of {self.name!r}: expected symbolic tensors alone, got {part!r} too"
                )
        shapes = [part.shape for part in parts]
        output = self.ensure_built(shapes if takes_list else shapes[0])
        gives_list = isinstance(output, list)
        node = Node(
            self, parts, takes_list, output if gives_list else [output], gives_list, self.dtype
        )
        self.nodes.append(node)
        return node.outputs if gives_list else node.outputs[0]

    def ensure_built(self, input_shape: Any) -> Any:
        """Check an input's shape, make the weights if there are none, return the output's shape."""
        self._bind_ops()
        self.check_input_shape(input_shape)
        output_shape = self.compute_output_shape(input_shape)
        if not self.built:
            self.build(input_shape)
            self.built = True
        return output_shape

    def check_input_shape(self, input_shape: Any) -> None:
        """Raise a ValueError if the layer cannot take inputs of this shape."""
        if self.input_rank is None:
            return
        if not isinstance(input_shape, tuple) or len(input_shape) != self.input_rank:
            axes = ["batch", "height", "width", "channels"]
            layout = f" ({', '.join(axes)})" if self.input_rank == 4 else ""
            raise ValueError(
                f"input of layer {self.name!r} ({type(self).__name__}): expected rank "
                f"{self.input_rank}{layout}, got shape {input_shape}"
            )

    def _bind_ops(self) -> ModuleType:
        if self.ops is None:
            self.ops = backend.current()
        return self.ops

    # -- places in a graph --------------------------------------------------------------------

    @property
    def input(self) -> Any:
        """The symbolic input of the layer's first call."""
        node = self._first_node()
        return node.inputs if node.takes_list else node.inputs[0]

    @property
    def output(self) -> Any:
        """The symbolic output of the layer's first call."""
        node = self._first_node()
        return node.outputs if node.gives_list else node.outputs[0]

    def _first_node(self) -> Node:
        if not self.nodes:
            raise ValueError(
                f"layer {self.name!r} stands in no network yet, so it has no symbolic input or "
                "output: give the model's first layer an input_shape, or call it on data first"
            )
        return self.nodes[0]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}{'' if self.built else ' (not built)'}>"


def _make_model(cls: type[Layer]) -> None:
    """Let a class that says with ``call`` which layers it calls be a model, which can do that.

    Raises:
        TypeError: if it inherits a ``forward``, which would be carried out instead.
    """
    from minicnn.models.model import Model  # here, because models are built on this module

    if cls.forward not in (Layer.forward, Model.forward) or hasattr(cls, "add"):
        raise TypeError(
            f"{cls.__name__}: call() would not be used here, since {cls.__base__.__name__} has a "
            "forward. Define forward(x, training), such as: return super().forward(x, True)"
        )
    if not issubclass(cls, Model):
        cls.__bases__ = (*(base for base in cls.__bases__ if base is not Layer), Model)


def _built_by(build: Callable[..., None]) -> Callable[..., None]:
    """``build``, which also notes that it was done: somebody may call it by hand."""

    @wraps(build)
    def build_and_note(self: Layer, *args: Any, **kwargs: Any) -> None:
        build(self, *args, **kwargs)
        self.built = True

    return build_and_note
