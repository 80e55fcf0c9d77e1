"""A model from plain data, which may come from a stranger: every step is checked."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from operator import itemgetter
from typing import Any

from minicnn import custom_objects
from minicnn.configurable import form, is_builtin, short
from minicnn.layers import Layer
from minicnn.layers.input import InputLayer
from minicnn.layers.table import from_dict
from minicnn.models import Model, Sequential
from minicnn.saving.budget import Budget
from minicnn.symbolic import SymbolicTensor

_MAX_LAYERS = 20_000
_MAX_CALLS = 100_000  # of layers in one model, those in models inside each time they are called
_MAX_ELEMENTS = 2**40  # no array is larger: 4 TB of float32
_MAX_NAME = 500

_MODELS: dict[tuple[Any, str], type[Model]] = {
    ("keras", "Sequential"): Sequential,
    ("keras.models", "Sequential"): Sequential,
    ("keras", "Model"): Model,
    ("keras.models", "Model"): Model,
    ("keras.models", "Functional"): Model,
    ("keras.src.models.functional", "Functional"): Model,
    ("keras.src.engine.functional", "Functional"): Model,
}

Call = tuple[str, int]


class Reader:
    """Makes models from their configurations.

    Args:
        budget: how many weights there may be; any number, by default.
    """

    def __init__(self, budget: Budget | None = None):
        self.budget = Budget(None) if budget is None else budget
        self._layers = 0
        self._shared: dict[int, Layer] = {}
        self._calls: dict[int, int] = {}  # how many calls it takes to go through a model

    # -- one object ---------------------------------------------------------------------------

    def layer(self, data: Any) -> Layer:
        """The layer (or the model as a layer) that data in Keras's form describes."""
        self._layers += 1
        if self._layers > _MAX_LAYERS:
            raise ValueError(f"more than {_MAX_LAYERS} layers")
        name, config, registered = form(data, "layer")
        shared = data.get("shared_layer")
        if isinstance(shared, int) and shared in self._shared:
            return self._shared[shared]
        cls = custom_objects.find(registered, name) or self._model_class(data)
        try:
            if isinstance(cls, type) and issubclass(cls, Model) and is_builtin(cls.from_config):
                layer = self.model(cls, config)
            else:
                layer = from_dict(data)
            _check_name(layer.name)
        except ValueError as error:
            called = config.get("name") if isinstance(config, dict) else None
            raise ValueError(f"layer {short(called)} ({short(name)}): {error}") from error
        if isinstance(shared, int):
            self._shared[shared] = layer
        return layer

    def model(self, cls: type[Model], config: Any) -> Model:
        """A model of class ``cls``, with the graph that ``config`` describes."""
        if not isinstance(config, dict):
            raise ValueError(f"config of {cls.__name__}: expected a dict")
        known = {
            "name",
            "trainable",
            "dtype",
            "layers",
            *_OF_THE_GRAPH[issubclass(cls, Sequential)],
        }
        unknown = set(config) - known
        if unknown or not isinstance(config.get("layers"), list):
            raise ValueError(
                f"config of {cls.__name__}: expected a list of layers, and {sorted(known)}; got "
                f"{ascii(sorted(unknown)[:5]) if unknown else 'no list of layers'}"
            )
        name, trainable = config.get("name"), config.get("trainable", True)
        if not isinstance(trainable, (bool, type(None))):
            raise ValueError(f"trainable of model {name!a}: expected true or false")
        if name is not None:
            _check_name(name)
        make = self._sequential if issubclass(cls, Sequential) else self._functional
        model = make(cls, config)
        if trainable is False:
            model.freeze_flag()
        return model

    def _model_class(self, data: Any) -> type[Model] | None:
        module, name = data.get("module"), data["class_name"]
        if not isinstance(module, (str, type(None))):
            return None
        return _MODELS.get((module, name))

    # -- the two kinds of models --------------------------------------------------------------

    def _sequential(self, cls: type[Model], config: dict[str, Any]) -> Model:
        layers = [self.layer(data) for data in config["layers"]]
        twice = [name for name, n in Counter(layer.name for layer in layers).items() if n > 1]
        if twice:
            raise ValueError(f"two layers are named {twice[0]!a}")
        if any(isinstance(layer, InputLayer) for layer in layers[1:]):
            raise ValueError("an input layer must come first")
        shape = config.get("build_input_shape")
        first: InputLayer | None = None
        if layers and isinstance(layers[0], InputLayer):
            first = layers.pop(0)
        elif layers and shape is not None:
            first = InputLayer(batch_shape=_shape(shape))
        calls = self._count_calls(layers)
        model = cls(name=config.get("name"))
        self._calls[id(model)] = calls
        end = None if first is None else first.output
        with self.budget.watching(layers):
            for layer in layers if first is not None else []:
                end = _called(layer, end)[0]
        model.adopt(layers if first is None else [first, *layers], end)
        return model

    def _functional(self, cls: type[Model], config: dict[str, Any]) -> Model:
        layers: dict[str, Layer] = {}
        calls: dict[Call, Any] = {}
        for data in config["layers"]:
            layer = self.layer(data)
            if layer.name in layers:
                raise ValueError(f"two layers are named {layer.name!a}")
            if data.get("name", layer.name) != layer.name:
                raise ValueError(f"layer {layer.name!a} is called {data['name']!a} beside it")
            layers[layer.name] = layer
            nodes = data.get("inbound_nodes")
            if not isinstance(nodes, list):
                raise ValueError(f"layer {layer.name!a}: expected a list of inbound_nodes")
            for number, node in enumerate(nodes):
                calls[layer.name, number] = _call_arguments(node, layer)
        tensors: dict[Call, list[SymbolicTensor]] = {}
        for name, layer in layers.items():
            if isinstance(layer, InputLayer):
                _check_size(layer.output)
                tensors[name, 0] = [layer.output]
        total = self._count_calls(layers[name] for name, _ in calls)
        with self.budget.watching(layers.values()):
            _carry_out(layers, calls, tensors)

        def ends_at(key: str) -> Any:
            """The tensors, in the form in which the model was drawn: one, a list or a dict."""
            is_output = key == "output_layers"
            ends = histories(config.get(key), key)
            found = {i: _tensor(one, tensors, layers, is_output) for i, one in ends.items()}
            return in_form_of(config[key], found)

        model = cls(ends_at("input_layers"), ends_at("output_layers"), name=config.get("name"))
        self._calls[id(model)] = total
        return model

    def _count_calls(self, called: Iterable[Layer]) -> int:
        """How many calls it takes to call all these; models in models may be called by the billion.

        Raises:
            ValueError: if it takes too many.
        """
        total = sum(self._calls.get(id(layer), 1) for layer in called)
        if total > _MAX_CALLS:
            raise ValueError(f"{total} calls of layers, at most {_MAX_CALLS} are carried out")
        return total


# Keyword arguments that Keras writes down where nobody gave any.
_WITHOUT_EFFECT: dict[str, tuple[Any, ...]] = {"mask": (None,), "training": (None, False)}
_OF_THE_GRAPH = {True: ["build_input_shape"], False: ["input_layers", "output_layers"]}


def _carry_out(
    layers: dict[str, Layer], calls: dict[Call, Any], tensors: dict[Call, list[SymbolicTensor]]
) -> None:
    """Make the calls, each when its inputs are there, and those of one layer in their order."""
    waiting: dict[Call, list[Call]] = {}
    missing: dict[Call, int] = {}
    ready: list[Call] = []
    for call, (arguments, _) in calls.items():
        name, number = call
        needed = {(source, of) for source, of, _, _ in arguments}
        if number:
            needed.add((name, number - 1))
        for one in needed:
            if one not in calls and one not in tensors:
                raise ValueError(
                    f"layer {name!a}: its input is call {one[1]} of layer {one[0]!a}, and there is "
                    "none"
                )
        needed -= tensors.keys()
        missing[call] = len(needed)
        for one in needed:
            waiting.setdefault(one, []).append(call)
        if not needed:
            ready.append(call)
    ready.reverse()
    while ready:
        call = ready.pop()
        del missing[call]
        arguments, pack = calls[call]
        layer = layers[call[0]]
        inputs = [_input(argument, tensors, call[0]) for argument in arguments]
        tensors[call] = _called(layer, pack(inputs))
        for other in waiting.get(call, []):
            missing[other] -= 1
            if not missing[other]:
                ready.append(other)
    if missing:
        names = sorted({name for name, _ in missing})[:10]
        raise ValueError(f"the layers {names!a} wait for each other: the graph has a circle")


def _called(layer: Layer, inputs: Any) -> list[SymbolicTensor]:
    """The outputs of a call, if an array of each could exist."""
    if isinstance(inputs, dict) and not isinstance(layer, Model):
        raise ValueError(f"layer {layer.name!a}: expected a tensor or a list of them, got a dict")
    try:
        output = layer(inputs)
    except (TypeError, OverflowError) as error:
        raise ValueError(f"layer {layer.name!a}: {error}") from error
    output = list(output.values()) if isinstance(output, dict) else output
    outputs = output if isinstance(output, list) else [output]
    for tensor in outputs:
        _check_size(tensor)
    return outputs


def _check_size(tensor: SymbolicTensor) -> None:
    if math.prod(size or 1 for size in tensor.shape) > _MAX_ELEMENTS:
        raise ValueError(f"layer {tensor.name!a}: no array can have the shape {tensor.shape}")


# -- the parts of a call ----------------------------------------------------------------------


def _call_arguments(node: Any, layer: Layer) -> tuple[list[tuple[str, int, int, Any]], Any]:
    """``([(layer, call, output, shape), ...], pack)`` of an entry of ``inbound_nodes``; ``pack``
    makes of a list of tensors what the layer is called on: one tensor, a list or a dict."""
    where = f"layer {layer.name!a}: inbound_nodes"
    if not isinstance(node, dict) or set(node) != {"args", "kwargs"}:
        raise ValueError(f"{where}: expected objects of args and kwargs")
    args, kwargs = node["args"], node["kwargs"]
    if not isinstance(kwargs, dict):
        raise ValueError(f"{where}: expected kwargs to be an object")
    for key, value in kwargs.items():
        if key == "mask" and isinstance(value, (dict, list)):  # one for each input
            masks = value.values() if isinstance(value, dict) else value
            value = next((mask for mask in masks if mask is not None), None)
        default = key == "training" and value is layer.trains_by_default
        if not default and value not in _WITHOUT_EFFECT.get(key, ()):
            raise ValueError(f"{where}: minicnn calls layers without the argument {short(key)}")
    if not isinstance(args, list) or len(args) != 1:
        raise ValueError(f"{where}: expected one argument, a tensor or a list or dict of tensors")
    given: Any = args
    pack: Any = itemgetter(0)
    if isinstance(args[0], list):
        given, pack = args[0], list
    elif isinstance(args[0], dict) and "class_name" not in args[0]:
        given = args[0].values()

        def pack(tensors: list[Any]) -> dict[str, Any]:
            return dict(zip(args[0], tensors, strict=True))

    return [_keras_tensor(one, where) for one in given], pack


def _keras_tensor(data: Any, where: str) -> tuple[str, int, int, Any]:
    if not isinstance(data, dict) or data.get("class_name") != "__keras_tensor__":
        raise ValueError(f"{where}: expected tensors only, the outputs of other layers")
    config = data.get("config")
    if not isinstance(config, dict) or not is_history(config.get("keras_history")):
        raise ValueError(f"{where}: a tensor without keras_history [layer, call, output]")
    # What an older version wrote does not say the shape.
    return (*config["keras_history"], _shape(config["shape"]) if "shape" in config else None)


def _input(argument: Any, tensors: dict[Call, list[SymbolicTensor]], name: str) -> SymbolicTensor:
    source, call, index, shape = argument
    outputs = tensors[source, call]
    if not 0 <= index < len(outputs):
        raise ValueError(f"layer {name!a}: layer {source!a} has no output {index}")
    tensor = outputs[index]
    if shape is None:
        return tensor
    fits = len(shape) == len(tensor.shape) and all(
        None in pair or pair[0] == pair[1] for pair in zip(shape, tensor.shape, strict=True)
    )
    if not fits:
        raise ValueError(
            f"layer {name!a}: its input is said to have shape {shape}, but layer {source!a} makes "
            f"{tensor.shape}"
        )
    return tensor


def _tensor(
    history: list[Any], tensors: Any, layers: dict[str, Layer], counts_from_one: bool
) -> SymbolicTensor:
    name, call, index = history
    layer = layers.get(name)
    is_functional = isinstance(layer, Model) and not isinstance(layer, Sequential)
    outputs = tensors.get((name, call - (counts_from_one and is_functional)), [])
    if not 0 <= index < len(outputs):
        raise ValueError(f"there is no output {index} of call {call} of a layer {name!a}")
    return outputs[index]


def histories(data: Any, key: str) -> dict[Any, list[Any]]:
    """The tensors that ``input_layers`` or ``output_layers`` names, in any of Keras's forms."""
    if is_history(data):
        return {0: data}
    parts = dict(enumerate(data)) if isinstance(data, list) else data
    if not isinstance(parts, dict) or not parts or not all(map(is_history, parts.values())):
        raise ValueError(f"{key}: expected [layer, call, output], or a list or dict of such")
    for name in data if isinstance(data, dict) else []:
        _check_name(name)
    return parts


def in_form_of(data: Any, parts: dict[Any, Any]) -> Any:
    """What was made of :func:`histories` of ``data``: one, a list or a dict, as they are."""
    if isinstance(data, dict):
        return parts
    return parts[0] if is_history(data) else list(parts.values())


def is_history(data: Any) -> bool:
    return (
        isinstance(data, list)
        and [type(part) for part in data] == [str, int, int]
        and data[1] >= 0
        and data[2] >= 0
    )


def _shape(data: Any) -> tuple[int | None, ...]:
    if not isinstance(data, list) or not all(type(size) in (int, type(None)) for size in data):
        raise ValueError("expected a shape, a list of sizes")
    return tuple(data)


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME or not name.isprintable():
        raise ValueError(f"expected a name of printable characters, got {ascii(name)[:80]}")
