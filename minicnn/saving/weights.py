"""Where the weights of a model lie in an HDF5 file.

As in Keras: a layer's weights are ``layers/<kind>/vars/0``, ``1``, ..., where <kind> is the name of
its class (``conv2d``, and ``conv2d_1`` for the second one in a model), and those of a model that
stands in another are deeper in the same way: ``layers/sequential/layers/conv2d/vars/0``.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from minicnn.models import Model
from minicnn.registry import snake_case
from minicnn.saving.hdf5 import Attributes, Tree
from minicnn.variables import Variable


def places(model: Model, above: str = "") -> Iterator[tuple[str, Any]]:
    """``(path, layer)`` of all layers, and of the models among them what they consist of."""
    counts: Counter[str] = Counter()
    for layer in model.layers:
        kind = snake_case(type(layer).keras_class or type(layer).__name__)
        number = counts[kind]
        counts[kind] += 1
        path = f"{above}layers/{kind}{f'_{number}' if number else ''}"
        yield path, layer
        if isinstance(layer, Model):
            yield from places(layer, f"{path}/")


def collect(model: Model) -> tuple[dict[str, np.ndarray], Attributes]:
    """``(arrays, attributes)``: all weights by path, and the names of the layers by path."""
    arrays: dict[str, np.ndarray] = {}
    attributes: Attributes = {"vars": {"name": model.name}}
    for path, layer in places(model):
        attributes[f"{path}/vars"] = {"name": layer.name}
        if not isinstance(layer, Model):
            for number, weight in enumerate(layer.weights):
                arrays[f"{path}/vars/{number}"] = weight.numpy()
    return arrays, attributes


def restore(model: Model, tree: Tree, skip_mismatch: bool = False) -> None:
    """Put the arrays of a file into the weights of a model.

    Args:
        skip_mismatch: leave layers alone, with a warning, whose weights have other shapes.

    Raises:
        ValueError: if they do not fit; the model is unchanged then.
    """
    found = [
        (layer, layer.weights, tree.numbered(f"{path}/vars"))
        for path, layer in places(model)
        if not isinstance(layer, Model)
    ]
    assign(found, tree, skip_mismatch)


def restore_by_name(model: Model, tree: Tree, skip_mismatch: bool = False) -> None:
    """As :func:`restore`, for the layers whose names stand in the file, wherever they are."""
    paths = {name: path for path, name in sorted(tree.names.items(), reverse=True)}
    found, missing = [], []
    for _, layer in places(model):
        if isinstance(layer, Model) or not layer.weights:
            continue
        if layer.name in paths:
            found.append((layer, layer.weights, tree.numbered(paths[layer.name])))
        else:
            missing.append(layer.name)
    if not found:
        raise ValueError(
            f"by_name: no layer of model {model.name!r} has a name that stands in the file; there "
            f"are {', '.join(sorted(paths)[:20]) or 'none'}"
        )
    assign(found, tree, skip_mismatch)
    if missing:
        warnings.warn(f"the file has no weights for the layers {', '.join(missing)}", stacklevel=4)


def assign(
    found: list[tuple[Any, list[Variable], list[str]]], tree: Tree, skip_mismatch: bool
) -> None:
    """Compare all shapes, read everything, and only then change weights.

    Args:
        found: a layer, its weights, and the paths of the arrays for them.
        skip_mismatch: as for :func:`restore`.
    """
    fitting, wrong = [], []
    for layer, variables, paths in found:
        shapes, expected = [tree.shape(path) for path in paths], [v.shape for v in variables]
        if shapes == expected:
            fitting += zip(variables, paths, strict=True)
        else:
            wrong.append(
                f"layer {layer.name!r} ({type(layer).__name__}) has weights of the shapes "
                f"{expected}{'' if layer.built else ' (it is not built yet)'}, the file {shapes}"
            )
    if wrong and not skip_mismatch:
        raise ValueError("the weights do not fit the model: " + "; ".join(wrong[:10]))
    values = [(variable, tree.read(path, variable.dtype.kind)) for variable, path in fitting]
    for variable, value in values:
        variable.assign(value)
    for line in wrong:
        warnings.warn(f"skipped: {line}", stacklevel=5)
