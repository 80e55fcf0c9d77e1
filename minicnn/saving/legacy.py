"""The ``.h5`` files of Keras 2: their weights.

Such a file keeps the weights of each layer in a group of the layer's name, and lists the names of
the layers and of their weights in attributes. What else is in it, the layers themselves and the
state of a training, is in another form than that of Keras 3 and stays there.
"""

from __future__ import annotations

import warnings
from typing import Any

from minicnn.models import Model
from minicnn.saving.hdf5 import Tree
from minicnn.saving.weights import assign

_WHOLE_MODEL = "model_weights"  # where such a file keeps the weights


def is_legacy(tree: Tree) -> bool:
    """Whether these are weights as Keras 2 keeps them."""
    return _root(tree) is not None


def restore(model: Model, tree: Tree, skip_mismatch: bool, by_name: bool) -> None:
    """Put the weights into those layers of a model that have some: one after the other, or by the
    names of the layers. A warning says what is left in the file of a whole model.

    Raises:
        ValueError: if they do not fit; the model is unchanged then.
    """
    root = _root(tree)
    stored = {}
    for name in tree.texts(root, "layer_names") or []:
        group = f"{root}/{name}" if root else name
        paths = [f"{group}/{weight}" for weight in tree.texts(group, "weight_names") or []]
        missing = [path for path in paths if path not in tree]
        if missing:
            raise ValueError(f"{missing[0]!a}: named in the file, and not there")
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
    if root == _WHOLE_MODEL:
        warnings.warn(
            "the file holds a whole model as Keras 2 kept it: only its weights were read. Its "
            "layers, its compile settings and the optimizer's memory stay there; training starts "
            "anew from these weights",
            stacklevel=4,
        )


def _weights(layer: Any) -> list[Any]:
    """In Keras 2's order: a model inside lists what is trained first."""
    if isinstance(layer, Model):
        return layer.trainable_weights + layer.non_trainable_weights
    return layer.weights


def _root(tree: Tree) -> str | None:
    for group in ("", _WHOLE_MODEL):
        if tree.texts(group, "layer_names") is not None:
            return group
    return None
