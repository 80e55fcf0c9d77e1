"""Models and weights in files."""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
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
from minicnn.saving.budget import Budget
from minicnn.saving.hdf5 import Attributes, Tree
from minicnn.saving.read_config import Reader

Path = str | os.PathLike[str]

# The version of Keras whose files these are like; nobody reads it.
_KERAS_VERSION = "3.15.1"
_LEGACY = (".h5", ".hdf5")


# -- whole models -----------------------------------------------------------------------------


def save_model(
    model: Model,
    filepath: Path,
    overwrite: bool = True,
    include_optimizer: bool = True,
    save_format: str | None = None,
) -> None:
    """See :meth:`minicnn.Model.save`."""
    name = _check_target(filepath, (".keras", *_LEGACY), overwrite, "a model")
    if save_format is not None:
        warnings.warn("save_format: ignored, the name of the file says it", stacklevel=3)
    is_legacy = name.endswith(_LEGACY)
    config = serialize(model)
    compiled = compile_config.to_config(model, by_name=not is_legacy)
    if compiled is not None and (include_optimizer or not is_legacy):
        config["compile_config"] = compiled
    if is_legacy:
        warnings.warn(f"{name!r}: HDF5 is a legacy format of models, use .keras", stacklevel=3)
        about = {"keras_version": _KERAS_VERSION, "backend": "tensorflow"}  # kernels lie as there
        arrays, attributes = legacy.collect(model, config, about)
        os.makedirs(os.path.dirname(name) or ".", exist_ok=True)  # as Keras does for these alone
        hdf5.write(filepath, arrays | random_state.collect(model), attributes)
        return
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
    """The model in a ``.keras`` file, written by minicnn or by Keras 3, or in an ``.h5`` file,
    written by Keras 2, too.

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
    is_legacy = os.fspath(filepath).endswith(_LEGACY) or archive.begins_like_hdf5(filepath)
    reading = _reading_legacy if is_legacy else _reading_archive
    with CustomObjectScope(custom_objects or {}), reading(filepath) as (config, tree):
        try:
            model = _model(Reader(Budget(tree.elements)), config, "the file")
        except ValueError as error:
            if not is_legacy:
                raise
            raise ValueError(
                f"{error} (model.load_weights(path) takes the weights alone, for a model that you "
                "draw)"
            ) from error
        if is_legacy:
            legacy.restore(model, tree)
            told = legacy.read_compile_config(tree, config) if compile else None
        else:
            weights.restore(model, tree)
            told = config.get("compile_config") if compile else None
        if told:
            compile_config.compile_from_config(model, told)
            if is_legacy:
                _or_anew(legacy.restore_optimizer, model, tree, stacklevel=3)
            else:
                optimizer_state.restore(model, tree)
        random_state.restore(model, tree)
    return model


@contextmanager
def _reading_archive(filepath: Path) -> Iterator[tuple[Any, Tree]]:
    """``(configuration, weights)``, as long as the block lasts."""
    config, data = archive.read_archive(filepath)
    with hdf5.reading_bytes(data) as tree:
        yield config, tree


@contextmanager
def _reading_legacy(filepath: Path) -> Iterator[tuple[Any, Tree]]:
    with archive.regular_file(filepath) as file, hdf5.reading(file) as tree:
        yield legacy.read_config(tree), tree


def _model(reader: Reader, config: Any, where: str) -> Model:
    model = reader.layer(config)
    if not isinstance(model, Model):
        raise ValueError(f"{where}: expected a model, got a {type(model).__name__}")
    return model


# -- weights alone ----------------------------------------------------------------------------


def save_weights(model: Model, filepath: Path, overwrite: bool = True) -> None:
    """See :meth:`minicnn.Model.save_weights`."""
    _check_target(filepath, (".weights.h5",), overwrite, "weights")
    hdf5.write(filepath, *state(model, {}))


def load_weights(
    model: Model, filepath: Path, skip_mismatch: bool = False, by_name: bool = False
) -> None:
    """See :meth:`minicnn.Model.load_weights`."""
    name = os.fspath(filepath)
    if name.endswith(".keras"):
        _, data = archive.read_archive(filepath)
        with hdf5.reading_bytes(data) as tree:
            _restore(model, tree, skip_mismatch, by_name)
    elif name.endswith(_LEGACY):
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
        _or_anew(optimizer_state.restore, model, tree, stacklevel=5)


def _or_anew(
    restore: Callable[[Model, Tree], None], model: Model, tree: Tree, stacklevel: int
) -> None:
    try:
        restore(model, tree)
    except optimizer_state.OptimizerMismatch as error:
        warnings.warn(f"the optimizer starts anew: {error}", stacklevel=stacklevel)


def state(model: Model, more: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], Attributes]:
    """``(arrays, attributes)`` of a file with a model's weights and, if it is compiled, with the
    state of its optimizer."""
    arrays, attributes = weights.collect(model)
    if model.compile_arguments is not None:
        state, of_the_optimizer = optimizer_state.collect(model)
        arrays |= state
        attributes |= of_the_optimizer
    return arrays | dict(more), attributes


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
        return _model(Reader(), config, "json_string")


def _check_target(filepath: Path, endings: tuple[str, ...], overwrite: bool, what: str) -> str:
    name = os.fspath(filepath)
    if not isinstance(name, str) or not name.endswith(endings):
        raise ValueError(
            f"filepath: the name of a file for {what} ends in {' or '.join(endings)}, got {name!r}"
        )
    if not overwrite and os.path.exists(name):
        raise FileExistsError(f"filepath: there is a file {name!r}, and overwrite is off")
    return name
