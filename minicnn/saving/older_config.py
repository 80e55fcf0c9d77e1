"""Configurations as older versions of Keras wrote them, in today's form.

``.h5`` files name a class alone, where ``.keras`` files say in which module it is. Keras 2 called
some arguments differently besides, and wrote the calls of layers as ``[[layer, call, output,
kwargs], ...]``. Here data are turned into data, and what is not understood stays as it is: whether
the outcome describes anything, ``read_config.py`` finds out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minicnn import custom_objects
from minicnn.layers.table import LAYERS
from minicnn.models import Model
from minicnn.saving.read_config import histories, in_form_of, is_history

Data = dict[str, Any]

_MODELS = {
    "Functional": "keras.src.models.functional",
    "Model": "keras.models",
    "Sequential": "keras.models",
}
_MODULES = {
    "_initializer": "keras.initializers",
    "_regularizer": "keras.regularizers",
    "_constraint": "keras.constraints",
}


# -- layers -----------------------------------------------------------------------------------


def layer(data: Any) -> Any:
    """A layer, or a model with its layers.

    >>> layer({"class_name": "LeakyReLU", "config": {"alpha": 0.2}})
    {'module': 'keras.layers', 'class_name': 'LeakyReLU', 'config': {'negative_slope': 0.2}}
    """
    if not _is_object(data):
        return data
    name, config = data["class_name"], data.get("config")
    custom = custom_objects.find(data.get("registered_name"), name)
    is_model = isinstance(custom, type) and issubclass(custom, Model)
    if custom is None:
        is_model = name in _MODELS
        data = {"module": _MODELS.get(name, "keras.layers" if name in LAYERS else None), **data}
    if is_model and isinstance(config, list):  # a Sequential of Keras 2.2
        config = {"layers": config}
    if isinstance(config, dict):
        config = _arguments(name, config)
        if is_model and isinstance(config.get("layers"), list):
            config = (_functional if "input_layers" in config else _sequential)(config)
    return {**data, "config": config}


def _arguments(name: str, config: Data) -> Data:
    """The arguments of a layer by today's names, and objects among them with their modules."""
    config = dict(config)
    shape = config.pop("batch_input_shape", None)
    if name == "InputLayer" and shape is not None:
        config["batch_shape"] = shape
    if name == "LeakyReLU" and "alpha" in config:
        config["negative_slope"] = config.pop("alpha")
    axis = config.get("axis")
    if name in LAYERS and isinstance(axis, list) and len(axis) == 1:
        config["axis"] = axis[0]
    for key, value in config.items():
        if key == "activation":
            config[key] = layer(value)
        elif key == "dtype" and _is_object(value) and value["class_name"] == "Policy":
            config[key] = {**value, "class_name": "DTypePolicy"}
        elif _is_object(value):
            module = next((m for end, m in _MODULES.items() if key.endswith(end)), None)
            config[key] = _part(value, module) if module else value
    return config


def _part(data: Data, module: str) -> Data:
    """An initializer, a regularizer or a constraint."""
    data = {"module": module, **data}
    if module != "keras.initializers" or not _has_config(data):
        return data
    config = {key: value for key, value in data["config"].items() if key != "dtype"}
    if data["class_name"] == "VarianceScaling" and config.get("distribution") == "normal":
        config["distribution"] = "truncated_normal"
    return {**data, "config": config}


# -- models -----------------------------------------------------------------------------------


def _sequential(config: Data) -> Data:
    """A chain; the first layer may say the shape of the input."""
    layers = config["layers"]
    shape = _input_shape(layers[0]) if layers else None
    if shape is not None:
        config = {"build_input_shape": shape, **config}
    return {**config, "layers": [layer(entry) for entry in layers]}


def _input_shape(entry: Any) -> Any:
    while isinstance(entry, dict):
        config = entry.get("config")
        if isinstance(config, dict) and "batch_input_shape" in config:
            return config["batch_input_shape"]
        layers = config.get("layers") if isinstance(config, dict) else config
        entry = layers[0] if isinstance(layers, list) and layers else None
    return None


def _functional(config: Data) -> Data:
    """A network. Until Keras 3, the calls of a model inside counted from 1, since drawing it was
    counted, too: nothing then refers to its call 0."""
    layers = [layer(entry) for entry in config["layers"]]
    config = {**config, "layers": layers}
    calls = [one for entry in layers for node in _old_nodes(entry) for one in node]
    if not calls:
        return config
    ends = histories(config.get("output_layers"), "output_layers")
    models = {entry["name"]: entry["config"] for entry in layers if _is_model(entry)}
    first = dict.fromkeys(models, 1)
    for name, call, *_ in [*calls, *ends.values()]:
        if call == 0 and name in first:
            first[name] = 0

    def history(of: list[Any]) -> list[Any]:
        return [of[0], of[1] - first.get(of[0], 0), of[2]]

    def end(of: list[Any]) -> list[Any]:
        name, call, output = history(of)  # which Keras 3 counts in the old way, but for chains
        return [name, call + ("input_layers" in models.get(name, ())), output]

    def node(old: list[list[Any]]) -> Data:
        tensors = [
            {"class_name": "__keras_tensor__", "config": {"keras_history": history(one)}}
            for one in old
        ]
        kwargs = {key: value for one in old for more in one[3:] for key, value in more.items()}
        return {"args": tensors if len(tensors) == 1 else [tensors], "kwargs": kwargs}

    for entry in layers:
        if _old_nodes(entry):
            entry["inbound_nodes"] = [node(old) for old in entry["inbound_nodes"]]
    ends = {i: end(one) for i, one in ends.items()}
    return {**config, "output_layers": in_form_of(config["output_layers"], ends)}


def _is_model(entry: Any) -> bool:
    config = entry.get("config") if isinstance(entry, dict) else None
    return isinstance(config, dict) and "layers" in config and isinstance(entry.get("name"), str)


def _old_nodes(entry: Any) -> list[list[Any]]:
    """The calls of a layer, if all of them are written in the old way."""
    nodes = entry.get("inbound_nodes") if isinstance(entry, dict) else None
    is_old = isinstance(nodes, list) and all(
        isinstance(node, list) and node and all(map(_is_old_history, node)) for node in nodes
    )
    return nodes if is_old else []


def _is_old_history(data: Any) -> bool:
    return (
        isinstance(data, list)
        and is_history(data[:3])
        and len(data) <= 4
        and all(isinstance(kwargs, dict) for kwargs in data[3:])
    )


def outputs(data: Any) -> list[str]:
    """The names of a network's outputs, as Keras 2 calls them."""
    if not _has_config(data) or "output_layers" not in data["config"]:
        return []
    ends = histories(data["config"]["output_layers"], "output_layers")
    return [name for name, *_ in ends.values()]


# -- what compile was told --------------------------------------------------------------------


def compile_config(data: Any, outputs: Sequence[str] = ()) -> Any:
    """The ``training_config`` of an ``.h5`` file as the ``compile_config`` of a ``.keras`` file.

    Args:
        outputs: of a model with several outputs their names, if those of its metrics begin so.
    """
    if not isinstance(data, dict):
        return data
    config = {key: value for key, value in data.items() if key != "optimizer_config"}
    if config.get("sample_weight_mode", 0) is None:
        del config["sample_weight_mode"]
    config["optimizer"] = _optimizer(data.get("optimizer_config"))
    config["loss"] = _scores(data.get("loss"), "keras.losses")
    for key in ("metrics", "weighted_metrics"):
        config[key] = _scores(data.get(key), "keras.metrics")
        if outputs and isinstance(config[key], list):
            pairs = zip(config[key], outputs, strict=False)
            config[key] = [_without(f"{output}_", metrics) for metrics, output in pairs]
    return config


def _without(beginning: str, metrics: Any) -> Any:
    """The metrics of one output, whose names begin so."""
    if isinstance(metrics, list):
        return [_without(beginning, metric) for metric in metrics]
    if not _has_config(metrics) or not isinstance(metrics["config"].get("name"), str):
        return metrics
    name = metrics["config"]["name"].removeprefix(beginning)
    return {**metrics, "config": {**metrics["config"], "name": name}}


def _optimizer(data: Any) -> Any:
    if not _has_config(data):
        return data
    name, config = data["class_name"], dict(data["config"])
    if custom_objects.find(data.get("registered_name"), name) is None:
        name = name.removeprefix("Custom>")  # as Keras 2.11 to 2.15 call their own
    for key in ("is_legacy_optimizer", "jit_compile"):
        config.pop(key, None)
    if "lr" in config:
        config["learning_rate"] = config.pop("lr")
    if config.get("epsilon", 0) is None:
        del config["epsilon"]
    schedule = {"module": "keras.optimizers.schedules"}
    rate = config.get("learning_rate")
    if _has_config(rate):
        told = {
            key: value for key, value in rate["config"].items() if (key, value) != ("name", None)
        }
        config["learning_rate"] = {**schedule, **rate, "config": told}
    decay = config.pop("decay", 0)
    if decay and name != "Nadam":  # there it is about the momentum, and always the same
        rate = {"initial_learning_rate": config.get("learning_rate"), "decay_rate": decay}
        schedule |= {"class_name": "InverseTimeDecay", "config": {**rate, "decay_steps": 1}}
        config["learning_rate"] = schedule
    return {"module": "keras.optimizers", **data, "class_name": name, "config": config}


def _scores(data: Any, module: str) -> Any:
    """Losses or metrics, alone or in lists and dicts."""
    if isinstance(data, list):
        return [_scores(one, module) for one in data]
    if isinstance(data, str) and custom_objects.find(data) is not None:
        return {"class_name": "function", "config": data, "registered_name": data}
    if isinstance(data, dict) and "class_name" not in data:
        return {name: _scores(one, module) for name, one in data.items()}
    if not _has_config(data):
        return data
    config = dict(data["config"])
    if config.get("reduction") == "auto":
        config["reduction"] = "sum_over_batch_size"
    if isinstance(config.get("fn"), str):
        function = {"module": "builtins", "class_name": "function", "config": config.pop("fn")}
        if data["class_name"] == "MeanMetricWrapper":  # other classes know their functions
            config["fn"] = function
    return {"module": module, **data, "config": config}


def _is_object(data: Any) -> bool:
    return isinstance(data, dict) and isinstance(data.get("class_name"), str)


def _has_config(data: Any) -> bool:
    return _is_object(data) and isinstance(data.get("config"), dict)
