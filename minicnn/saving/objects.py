"""Any one object as plain data and back, for ``get_config`` and ``from_config`` of one's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from minicnn import (
    activations,
    constraints,
    initializers,
    losses,
    metrics,
    optimizers,
    regularizers,
    schedules,
)
from minicnn.configurable import form, plain, unknown
from minicnn.custom_objects import CustomObjectScope, find
from minicnn.saving.read_config import Reader

_READERS: dict[str, Callable[[Any], Any]] = {
    "keras": lambda data: Reader().layer(data),
    "keras.activations": activations.get,
    "keras.constraints": constraints.get,
    "keras.initializers": initializers.get,
    "keras.layers": lambda data: Reader().layer(data),
    "keras.losses": losses.get,
    "keras.metrics": metrics.get,
    "keras.models": lambda data: Reader().layer(data),
    "keras.optimizers": optimizers.get,
    "keras.optimizers.schedules": schedules.from_dict,
    "keras.regularizers": regularizers.get,
    "keras.src.models.functional": lambda data: Reader().layer(data),
}


def serialize_keras_object(obj: Any) -> Any:
    """An object as plain data, in Keras's form.

    >>> from minicnn import layers
    >>> data = serialize_keras_object(layers.ReLU(6, name="r"))
    >>> data["module"], data["class_name"], data["config"]["max_value"]
    ('keras.layers', 'ReLU', 6)
    >>> deserialize_keras_object(data).name
    'r'

    Raises:
        TypeError: if it cannot be written down.
    """
    return plain(obj)


def deserialize_keras_object(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The object that :func:`serialize_keras_object` has written.

    Numbers, texts and ``None`` are what they are; lists and dicts are looked into.

    Raises:
        ValueError: if it names something that there is not.
    """
    with CustomObjectScope(custom_objects or {}):
        return _read(config)


def _read(config: Any) -> Any:
    if isinstance(config, list):
        return [_read(part) for part in config]
    if not isinstance(config, Mapping):
        return config
    if "class_name" not in config:
        return {key: _read(part) for key, part in config.items()}
    name, inner, registered = form(config, "object")
    custom = find(registered, inner if name == "function" else name)
    if custom is not None:
        is_class = isinstance(custom, type) and hasattr(custom, "from_config")
        return custom.from_config(inner) if is_class else custom
    read = _READERS.get(str(config.get("module")))
    if read is None:
        raise ValueError(unknown(config, "object"))
    return read(config)
