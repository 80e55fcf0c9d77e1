"""Models and weights in files."""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from minicnn.configurable import serialize
from minicnn.custom_objects import CustomObjectScope
from minicnn.models import Model
from minicnn.saving import (
    archive,
    compile_config,
    hdf5,
    legacy,
    optimizer_state,
    random_state,
    strict_json,
    weights,
)
from minicnn.saving.atomic import replacing
from minicnn.saving.budget import Budget
from minicnn.saving.hdf5 import Tree
from minicnn.saving.read_config import Reader

Path = str | os.PathLike[str]

# The version of Keras whose files these are like; nobody reads it.
_KERAS_VERSION = "3.15.1"


# -- whole models -----------------------------------------------------------------------------


def save_model(model: Model, filepath: Path, overwrite: bool = True) -> None:
    """See :meth:`minicnn.Model.save`."""
    _check_target(filepath, ".keras", overwrite, "a model")
    config = serialize(model)
    compiled = compile_config.to_config(model)
    if compiled is not None:
        config["compile_config"] = compiled
    metadata = {"keras_version": _KERAS_VERSION, "date_saved": time.strftime("%Y-%m-%d@%H:%M:%S")}
    archive.write_archive(
        filepath,
        json.dumps(metadata).encode(),
        json.dumps(config, allow_nan=False).encode(),
        hdf5.to_bytes(*state(model, random_state.collect(model))),
    )


def load_model(
    filepath: Path, custom_objects: Mapping[str, Any] | None = None, compile: bool = True
) -> Any:
    """The model in a ``.keras`` file, written by minicnn or by Keras 3.

    A file is data: nothing in it is run, and no code is looked up by a name that it gives. What is
    not one of the library's own classes must be named by you.

    Args:
        filepath: the file.
        custom_objects: classes and functions of your own that the file names, by their names. See
            also ``minicnn.saving.register_keras_serializable``.
        compile: whether the model gets its optimizer, with its memory, its loss and its metrics
            back, so that training can go on.

    Raises:
        ValueError: if the file is broken, or describes something that minicnn does not have or
            that cannot be; the message says what and where.
        FileNotFoundError: if there is no such file.
    """
    config, data = archive.read_archive(filepath)
    with CustomObjectScope(custom_objects or {}), hdf5.reading_bytes(data) as tree:
        model = Reader(Budget(tree.elements)).layer(config)
        if not isinstance(model, Model):
            raise ValueError(f"{archive.CONFIG}: expected a model, got a {type(model).__name__}")
        weights.restore(model, tree)
        compiled = config.get("compile_config")
        if compile and compiled:
            compile_config.compile_from_config(model, compiled)
            optimizer_state.restore(model, tree)
        random_state.restore(model, tree)
    return model


# -- weights alone ----------------------------------------------------------------------------


def save_weights(model: Model, filepath: Path, overwrite: bool = True) -> None:
    """See :meth:`minicnn.Model.save_weights`."""
    _check_target(filepath, ".weights.h5", overwrite, "weights")
    data = hdf5.to_bytes(*state(model, {}))
    with replacing(filepath) as file:
        file.write(data)


def load_weights(
    model: Model, filepath: Path, skip_mismatch: bool = False, by_name: bool = False
) -> None:
    """See :meth:`minicnn.Model.load_weights`."""
    name = os.fspath(filepath)
    if name.endswith(".keras"):
        _, data = archive.read_archive(filepath)
        with hdf5.reading_bytes(data) as tree:
            _restore(model, tree, skip_mismatch, by_name)
    elif name.endswith((".h5", ".hdf5")):
        with archive.regular_file(filepath) as file, hdf5.reading(file) as tree:
            if legacy.is_legacy(tree):
                legacy.restore(model, tree, skip_mismatch, by_name)
            else:
                _restore(model, tree, skip_mismatch, by_name)
    else:
        raise ValueError(
            f"filepath: expected the name of a .weights.h5, .keras or .h5 file, got {name!r}"
        )


def _restore(model: Model, tree: Tree, skip_mismatch: bool, by_name: bool) -> None:
    restore = weights.restore_by_name if by_name else weights.restore
    restore(model, tree, skip_mismatch)
    if model.compile_arguments is not None and not by_name:
        try:
            optimizer_state.restore(model, tree)
        except optimizer_state.OptimizerMismatch as error:
            warnings.warn(f"the optimizer starts anew: {error}", stacklevel=4)


def state(
    model: Model, more: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """``(arrays, names)`` of a file with a model's weights and, if it is compiled, its optimizer's
    state."""
    arrays, names = weights.collect(model)
    if model.compile_arguments is not None:
        state, more_names = optimizer_state.collect(model)
        arrays |= state
        names |= more_names
    return arrays | dict(more), names


# -- without weights --------------------------------------------------------------------------


def to_json(model: Model, **kwargs: Any) -> str:
    """See :meth:`minicnn.Model.to_json`."""
    return json.dumps(serialize(model), **kwargs)


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The model that :meth:`minicnn.Model.to_json` has written, with new weights.

    Raises:
        ValueError: if the text describes none.
    """
    config = strict_json.parse(json_string.encode("utf-8", "surrogatepass"), "json_string")
    with CustomObjectScope(custom_objects or {}):
        model = Reader().layer(config)
    if not isinstance(model, Model):
        raise ValueError(f"json_string: expected a model, got a {type(model).__name__}")
    return model


def _check_target(filepath: Path, ending: str, overwrite: bool, what: str) -> None:
    name = os.fspath(filepath)
    if not isinstance(name, str) or not name.endswith(ending):
        raise ValueError(f"filepath: the name of a file for {what} ends in {ending}, got {name!r}")
    if not overwrite and os.path.exists(name):
        raise FileExistsError(f"filepath: there is a file {name!r}, and overwrite is off")
