"""The ``.h5`` files of Keras 2, which Keras 3 still writes and reads.

Such a file keeps the weights of each layer in a group of the layer's name, and lists the names of
the layers and of their weights in attributes. In the file of a whole model, this stands in the
group ``model_weights``; the attributes ``model_config`` and ``training_config`` say what the layers
are and what ``compile`` was told, and ``optimizer_weights`` is what the optimizer remembers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from minicnn.models import Model
from minicnn.saving import older_config, optimizer_state, strict_json
from minicnn.saving.hdf5 import Attributes, Tree
from minicnn.saving.weights import assign
from minicnn.variables import Variable

_WEIGHTS, _OPTIMIZER = "model_weights", "optimizer_weights"
_MODEL_CONFIG, _TRAINING_CONFIG = "model_config", "training_config"


# -- writing ----------------------------------------------------------------------------------


def collect(
    model: Model, config: dict[str, Any], about: dict[str, str]
) -> tuple[dict[str, np.ndarray], Attributes]:
    """``(arrays, attributes)`` of the file of a whole model.

    Args:
        config: the model as plain data. If it says what ``compile`` was told, the optimizer's state
            belongs to the file.
        about: what else stands beside it.
    """
    # Keras 3 takes a configuration in today's form, too.
    model_config = {key: value for key, value in config.items() if key != "compile_config"}
    top: dict[str, str | list[str]] = {**about, _MODEL_CONFIG: _json(model_config)}
    names: list[str] = [layer.name for layer in model.layers]
    attributes: Attributes = {"": top, _WEIGHTS: {**about, "layer_names": names}}
    arrays: dict[str, np.ndarray] = {}

    def put(group: str, members: dict[str, np.ndarray]) -> None:
        for path in (group, *members):
            if group in attributes or {"", "."} & set(path.split("/")):
                raise ValueError(f"{path!r}: a name that cannot stand in an .h5 file")
        attributes[group] = {"weight_names": list(members)}
        arrays.update({f"{group}/{name}": array for name, array in members.items()})

    put(f"{_WEIGHTS}/top_level_model_weights", {})  # a model has no other weights than its layers'
    for layer in model.layers:
        put(f"{_WEIGHTS}/{layer.name}", _named_weights(layer))
    compiled = config.get("compile_config")
    if compiled is not None:
        told = {key: value for key, value in compiled.items() if key != "optimizer"}
        top[_TRAINING_CONFIG] = _json({**told, "optimizer_config": compiled["optimizer"]})
        state = optimizer_state.named(model)
        put(_OPTIMIZER, {f"{model.optimizer.name}/{name}": a for name, a in state.items()})
        arrays |= optimizer_state.exact_rate(model)
    return arrays, attributes


def _json(config: dict[str, Any]) -> str:
    return json.dumps(config, allow_nan=False)


def _named_weights(layer: Any) -> dict[str, np.ndarray]:
    """The weights of a layer in Keras's order, by names such as ``"block/dense/kernel"``."""
    paths, found = dict(_paths(layer)), {}
    for weight in _weights(layer):
        path = paths[id(weight)]
        while path in found:  # a layer may give two of its weights one name
            path += "_"
        found[path] = weight.numpy()
    return found


def _paths(layer: Any) -> Iterator[tuple[int, str]]:
    """The weights of a layer by their ids, and a path for each."""
    if isinstance(layer, Model):
        below = (pair for inner in layer.layers for pair in _paths(inner))
    else:
        below = ((id(weight), weight.name) for weight in layer.weights)
    return ((weight, f"{layer.name}/{path}") for weight, path in below)


# -- reading ----------------------------------------------------------------------------------


def is_legacy(tree: Tree) -> bool:
    """Whether these are weights as Keras 2 keeps them."""
    return _root(tree) is not None


def read_config(tree: Tree) -> Any:
    """The model as plain data, as in a ``.keras`` file.

    Raises:
        ValueError: if the file does not say what the layers are.
    """
    config = _parsed(tree, _MODEL_CONFIG)
    if config is None:
        raise ValueError(
            f"the file has no {_MODEL_CONFIG}: it holds weights alone. Draw the model and call "
            "model.load_weights(path)"
        )
    return older_config.layer(config)


def read_compile_config(tree: Tree, config: dict[str, Any]) -> Any:
    """What ``compile`` was told, as in a ``.keras`` file; ``None`` if there is nothing about it.

    Args:
        config: what :func:`read_config` has returned.
    """
    outputs = older_config.outputs(config)
    is_old = (tree.text("", "keras_version") or "2.").startswith("2.")
    begins_so = is_old and len(outputs) > 1
    return older_config.compile_config(
        _parsed(tree, _TRAINING_CONFIG), outputs if begins_so else ()
    )


def _parsed(tree: Tree, name: str) -> Any:
    text = tree.text("", name)
    return None if text is None else strict_json.parse(text.encode(), name)


def restore(model: Model, tree: Tree, skip_mismatch: bool = False, by_name: bool = False) -> None:
    """Put the weights into those layers of a model that have some: one after the other, or by the
    names of the layers.

    Raises:
        ValueError: if they do not fit; the model is unchanged then.
    """
    root = _root(tree)
    stored = {}
    for name in tree.texts(root, "layer_names") or []:
        paths = _listed(tree, f"{root}/{name}" if root else name)
        if paths:
            stored[name] = paths
    layers = [layer for layer in model.layers if layer.weights]
    if by_name:
        found = [
            (layer, _weights(layer), stored[layer.name]) for layer in layers if layer.name in stored
        ]
        if not found:
            raise ValueError(
                f"by_name: no layer of model {model.name!r} has a name that stands in the file; "
                f"there are {', '.join(map(ascii, list(stored)[:20])) or 'none'}"
            )
    elif len(stored) != len(layers):
        raise ValueError(
            f"the file has weights for {len(stored)} layers, model {model.name!r} has "
            f"{len(layers)} layers with weights"
        )
    else:
        found = [(a, _weights(a), b) for a, b in zip(layers, stored.values(), strict=True)]
    assign(found, tree, skip_mismatch)


def restore_optimizer(model: Model, tree: Tree) -> None:
    """Put what the optimizer remembers into place.

    Raises:
        OptimizerMismatch, ValueError: as :func:`minicnn.saving.optimizer_state.restore`.
    """
    paths = _listed(tree, _OPTIMIZER)
    if not model.optimizer.slot_values():  # Keras 2.11 kept slots of SGD without momentum, too
        paths = [path for path in paths if tree.shape(path) == ()]
    # Until Keras 2.10, ``Adam/iter:0`` begins the list, and one slot comes after the other.
    first = paths[0].rpartition("/")[2].partition(":")[0] if paths else ""
    optimizer_state.restore(model, tree, paths, slot_by_slot=first != "iteration")


def _listed(tree: Tree, group: str) -> list[str]:
    """The paths of the arrays of a group, in the order in which it names them."""
    paths = [f"{group}/{name}" for name in tree.texts(group, "weight_names") or []]
    missing = [path for path in paths if path not in tree]
    if missing:
        raise ValueError(f"{missing[0]!a}: named in the file, and not there")
    return paths


def _weights(layer: Any) -> list[Variable]:
    """In Keras 2's order, which matters for a model inside: first what is trained."""
    return layer.trainable_weights + layer.non_trainable_weights


def _root(tree: Tree) -> str | None:
    for group in ("", _WEIGHTS):
        if tree.texts(group, "layer_names") is not None:
            return group
    return None
