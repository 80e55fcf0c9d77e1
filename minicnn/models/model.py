"""The functional model: any network of layers between given inputs and outputs.

Here is what a model consists of, and that it is a layer itself. How it learns, predicts and is
saved is mixed in from ``training.py``, ``predicting.py`` and ``saved.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from minicnn import backend
from minicnn.layers.base import Layer
from minicnn.models.drawing import draw, is_written, parts, shapes_of
from minicnn.models.graph import Graph, Tape, common_ops
from minicnn.models.predicting import Predictor
from minicnn.models.saved import Saved
from minicnn.models.summary import print_summary
from minicnn.models.training import Trainer
from minicnn.symbolic import SymbolicTensor
from minicnn.variables import Variable

# What older versions of Keras had, and what to write today.
_RENAMED = {
    "evaluate_generator": "evaluate takes generators, too",
    "fit_generator": "fit takes generators, too",
    "predict_classes": "write np.argmax(model.predict(x), axis=-1)",
    "predict_generator": "predict takes generators, too",
    "predict_proba": "write predict",
}


class Model(Saved, Trainer, Predictor, Layer):
    """A network drawn by calling layers on symbolic tensors. A model is a layer, too: it can be
    called on tensors and stand inside another model.

    Or write it as a class: make layers in ``__init__``, and call them in ``call``. When the shape
    of the inputs is known, ``call`` is carried out once, on symbolic tensors, and what it draws is
    the network: so ``call`` may do with them what is done between ``Input`` and ``Model``, and
    nothing else. Such a model is saved as the network that it is, and opens without its class.

    Args:
        inputs: a tensor made by ``Input``, or a list or dict of them; a tensor from inside another
            model will do as well.
        outputs: a tensor, or a list or dict of them. A list of several makes ``predict`` return a
            list; a dict makes it return a dict, and its keys are the names of the outputs then.
            Tensors in a dict are taken in the alphabetical order of the keys, as in Keras.
        name: how the model is called.

    Raises:
        TypeError: if inputs or outputs are not symbolic tensors.
        ValueError: if an output cannot be computed from the inputs.

    >>> from minicnn import Input, Model, layers
    >>> x = Input((8, 8, 1))
    >>> h = layers.Conv2D(4, 3, padding="same")(x)
    >>> y = layers.Dense(10)(layers.Flatten()(layers.Add()([h, layers.ReLU()(h)])))
    >>> Model(x, y).count_params()
    2610
    >>> class Classifier(Model):
    ...     def __init__(self, classes):
    ...         super().__init__()
    ...         self.hidden = layers.Dense(30, activation="relu")
    ...         self.dropout = layers.Dropout(0.5)
    ...         self.scores = layers.Dense(classes, activation="softmax")
    ...     def call(self, x, training=None):
    ...         return self.scores(self.dropout(self.hidden(x), training=training))
    >>> model = Classifier(10)
    >>> model.build((None, 784))
    >>> model.count_params()
    23860
    """

    keras_module = "keras.src.models.functional"
    keras_class = "Functional"
    can_skip_input_gradient = True
    graph: Graph | None
    # The keys, if the model was drawn with a dict of inputs or outputs.
    input_keys: list[str] | None = None
    output_keys: list[str] | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for method in ("train_step", "test_step", "predict_step", "compute_loss"):
            if method in vars(cls):
                raise TypeError(
                    f"{cls.__name__}: {method}() would not be called here. Subclass Loss, "
                    "Optimizer or Callback, or write the loop yourself: compute_gradients(x, y) "
                    "gives the loss and its gradients"
                )

    def __init__(
        self,
        inputs: Any = None,
        outputs: Any = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        **options: Any,
    ):
        name = name or _functional_name(type(self))
        super().__init__(name=name, trainable=trainable, **options)
        self._init_training()
        self.graph = None
        if inputs is not None or outputs is not None or not is_written(type(self)):
            self._draw(inputs, outputs)

    def _draw(self, inputs: Any, outputs: Any) -> None:
        self.input_keys, inputs = _in_order(inputs, "inputs")
        self.output_keys, outputs = _in_order(outputs, "outputs")
        self._connect(_tensors(inputs, "inputs"), _tensors(outputs, "outputs"))
        self.gives_list = len(self.outputs) > 1 or self.output_keys is not None
        if not self.trainable:
            self.trainable = False

    def _connect(self, inputs: list[SymbolicTensor], outputs: list[SymbolicTensor]) -> None:
        self.graph = Graph(inputs, outputs)
        self.ops = common_ops(self.graph.layers) or backend.current()
        self.built = True
        self._objective = None  # what was made for another graph is of no use for this one
        self._parameters = None

    def __getattr__(self, name: str) -> Any:
        """Asked for what is not there. Only the message is better than Python's own."""
        if name in _RENAMED:
            raise AttributeError(f"model {self.name!r} has no {name}; {_RENAMED[name]}")
        if "nodes" not in vars(self):
            raise AttributeError(
                f"{type(self).__name__} has no {name} yet: its __init__ must begin with "
                "super().__init__()"
            )
        return super().__getattribute__(name)

    # -- a model written as a class -----------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Draw the network of a model that is written as a class, for inputs of this shape (batch
        first), or of these, in a list or dict.

        Raises:
            TypeError: if ``call`` does something else than calling layers.
        """
        if self.graph is not None:
            return
        if self._variables:
            raise TypeError(
                f"{type(self).__name__}: its weight {self._variables[0].name!r} can take no part "
                "in what call() draws: write a layer with forward and backward"
            )
        self._draw(*draw(self, input_shape))

    def ensure_drawn(self, input_shape: Any) -> None:
        """Draw the network for inputs of this shape, or of these, if that has not been done."""
        if self.graph is None and is_written(type(self)):
            self.build(input_shape)
            Model.build(self, input_shape)  # somebody's own build may only make the layers

    @classmethod
    def class_when_drawn(cls) -> type[Model]:
        """What a model of this class is without its ``call``, as files and copies keep it."""
        return Model if is_written(cls) else cls

    # -- what it consists of ------------------------------------------------------------------

    @property
    def layers(self) -> list[Layer]:
        """The layers, in Keras's order."""
        return parts(self) if self.graph is None else list(self.graph.layers)

    @property
    def inputs(self) -> list[SymbolicTensor]:
        return list(self._graph_with("inputs").inputs)

    @property
    def outputs(self) -> list[SymbolicTensor]:
        return list(self._graph_with("outputs").outputs)

    def _graph_with(self, wanted: str) -> Graph:
        if self.graph is None:
            raise ValueError(
                f"model {self.name!r} has no {wanted} yet: give its first layer an input_shape, "
                "or call it on data first"
            )
        return self.graph

    @property
    def input(self) -> Any:
        inputs = self.inputs
        if self.input_keys is not None:
            return dict(zip(self.input_keys, inputs, strict=True))
        return inputs[0] if len(inputs) == 1 else inputs

    @property
    def output(self) -> Any:
        outputs = self.outputs
        return self._as_drawn(outputs) if self.gives_list else outputs[0]

    @property
    def input_shape(self) -> Any:
        shapes = [tensor.shape for tensor in self.inputs]
        return shapes[0] if len(shapes) == 1 else shapes

    @property
    def output_shape(self) -> Any:
        shapes = [tensor.shape for tensor in self.outputs]
        return shapes if self.gives_list else shapes[0]

    @property
    def input_names(self) -> list[str]:
        """The names of the input layers, or the keys of the dict of inputs."""
        return self.input_keys or [tensor.name for tensor in self.inputs]

    @property
    def output_names(self) -> list[str]:
        """The names of the layers that make the outputs, or the keys of the dict of outputs."""
        return self.output_keys or [tensor.name for tensor in self.outputs]

    @property
    def weights(self) -> list[Variable]:
        """The weights of all layers, each once, in the order of the layers."""
        return _unique(weight for layer in self.layers for weight in layer.weights)

    @property
    def trainable_weights(self) -> list[Variable]:
        return _unique(weight for layer in self.layers for weight in layer.trainable_weights)

    @property
    def trainable(self) -> bool:
        """Whether the weights may be trained. Setting it sets it for all layers."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        if getattr(self, "graph", None) is not None:
            for layer in self.layers:
                layer.trainable = self._trainable

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by its name, or by its place in ``layers``.

        Raises:
            ValueError: if there is none, or if both or neither are given.
        """
        if (name is None) == (index is None):
            raise ValueError(f"get_layer: give a name or an index, got {name=}, {index=}")
        layers = self.layers
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ValueError(f"index: {self.name!r} has {len(layers)} layers, got {index}")
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        known = ", ".join(layer.name for layer in layers)
        raise ValueError(f"name: {self.name!r} has no layer {name!r}; it has: {known}")

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Any = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
    ) -> None:
        """Print the layers with their output shapes and numbers of weights.

        Args:
            line_length: the width of the table in characters; the terminal's by default.
            positions: where Keras's columns end. Changes nothing: they are as wide as they need.
            print_fn: called with the text instead of ``print``.
            expand_nested: whether the layers of a model within the model get rows of their own.
            show_trainable: whether a column says which layers learn, "Y" or "N".
        """
        print_summary(self, line_length, print_fn, expand_nested, show_trainable)

    # -- a model is a layer -------------------------------------------------------------------

    def __call__(self, inputs: Any, training: bool | None = None) -> Any:
        if self.graph is None:
            self.ensure_drawn(shapes_of(inputs))
        if isinstance(inputs, dict):
            inputs = self._from_dict(inputs)
        if isinstance(inputs, (list, tuple)) and len(inputs) == 1:
            inputs = inputs[0]
        return self._as_drawn(super().__call__(inputs, training))

    def _as_drawn(self, outputs: Any) -> Any:
        """A list of outputs as a dict, if the model was drawn with a dict."""
        if self.output_keys is None:
            return outputs
        return dict(zip(self.output_keys, outputs, strict=True))

    def forward(self, x: Any, training: bool) -> tuple[Any, Tape]:
        ys, tape = self.graph.forward(x if isinstance(x, list) else [x], training)
        return (ys if self.gives_list else ys[0]), tape

    def backward(self, dy: Any, saved: Tape, input_gradient: bool = True) -> Any:
        needed = None if input_gradient else self.graph.needed_for_weights()
        dxs = self.graph.backward(dy if self.gives_list else [dy], saved, needed)
        return dxs if len(dxs) > 1 else dxs[0]

    def check_input_shape(self, input_shape: Any) -> None:
        self.ensure_drawn(input_shape)
        shapes = input_shape if isinstance(input_shape, list) else [input_shape]
        if len(shapes) != len(self.inputs):
            raise ValueError(
                f"input of model {self.name!r}: expected {len(self.inputs)} arrays, "
                f"got {len(shapes)}"
            )
        for tensor, shape in zip(self.inputs, shapes, strict=True):
            matches = len(shape) == len(tensor.shape) and all(
                want is None or got is None or want == got
                for want, got in zip(tensor.shape[1:], shape[1:], strict=True)
            )
            if not matches:
                raise ValueError(
                    f"input {tensor.name!r} of model {self.name!r}: expected shape "
                    f"{tensor.shape} (batch first), got {tuple(shape)}"
                )

    def compute_output_shape(self, input_shape: Any) -> Any:
        shapes = self.graph.output_shapes(
            input_shape if isinstance(input_shape, list) else [input_shape]
        )
        return shapes if self.gives_list else shapes[0]

    def _from_dict(self, inputs: dict[str, Any]) -> Any:
        names = self.input_names
        if set(inputs) != set(names):
            raise ValueError(f"inputs: expected a dict with the keys {names}, got {list(inputs)}")
        return [inputs[name] for name in names]

    def all_layers(self) -> Iterator[Layer]:
        """The layers, and those of models inside, depth first."""
        for layer in self.layers:
            yield layer
            if isinstance(layer, Model):
                yield from layer.all_layers()

    @contextmanager
    def unchanged_state(self) -> Iterator[None]:
        """Put back, at the end, what a forward pass in training mode changes: moving statistics
        and the counters of random masks. The same pass can then be made again."""
        kept = [(w, w.numpy()) for w in self.weights if not w.trainable]
        generators = [g for layer in self.all_layers() if (g := _generator(layer)) is not None]
        steps = [generator.step for generator in generators]
        try:
            yield
        finally:
            for weight, value in kept:
                weight.assign(value)
            for generator, step in zip(generators, steps, strict=True):
                generator.step = step


def _generator(layer: Layer) -> Any:
    return getattr(layer, "seed_generator", None)


def _functional_name(cls: type) -> str | None:
    """Keras calls a plain Model "functional"; a subclass is called after itself."""
    return backend.auto_name("functional") if cls is Model else None


def _in_order(given: Any, argument: str) -> tuple[list[str] | None, Any]:
    """The keys of a dict and, in the same order, what it holds; other things as they are."""
    if not isinstance(given, dict):
        return None, given
    if not all(isinstance(key, str) for key in given):
        raise TypeError(f"{argument}: the keys of a dict must be str, got {list(given)}")
    keys = sorted(given)
    return keys, [given[key] for key in keys]


def _tensors(given: Any, argument: str) -> list[SymbolicTensor]:
    tensors = list(given) if isinstance(given, (list, tuple)) else [given]
    for tensor in tensors:
        if not isinstance(tensor, SymbolicTensor):
            raise TypeError(
                f"{argument}: expected symbolic tensors (from Input, layer.output or a layer "
                f"called on one), got {type(tensor).__name__}"
            )
    if not tensors:
        raise ValueError(f"{argument}: expected at least one symbolic tensor, got none")
    return tensors


def _unique(weights: Iterator[Variable]) -> list[Variable]:
    return list({id(weight): weight for weight in weights}.values())
