"""What ``compile`` was told, as plain data."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from minicnn import losses, metrics, optimizers
from minicnn.configurable import is_builtin, serialize
from minicnn.models import Model

# Of Keras's own, and without a meaning here.
_IGNORED = {"run_eagerly", "steps_per_execution", "jit_compile", "auto_scale_loss"}
# What these names mean is told by the shapes of targets and predictions.
_BY_SHAPE = {"accuracy", "acc", "crossentropy", "ce"}
_KNOWN = {"optimizer", "loss", "loss_weights", "metrics", "weighted_metrics"}


def to_config(model: Model, by_name: bool = True) -> dict[str, Any] | None:
    """The arguments of ``compile``; ``None`` for a model that is not compiled.

    Args:
        by_name: whether names of losses and metrics stay names. (Keras 3 does not know "mse" in an
            ``.h5`` file.)
    """
    arguments = model.compile_arguments
    if arguments is None:
        return None
    return {
        "optimizer": serialize(model.optimizer),
        "loss": _written(arguments["loss"], losses.get, by_name),
        "loss_weights": arguments["loss_weights"],
        "metrics": _written(arguments["metrics"], metrics.get, by_name),
        "weighted_metrics": _written(arguments["weighted_metrics"], metrics.get, by_name),
    }


def compile_from_config(model: Model, config: Any) -> None:
    """Compile a model as ``config`` says.

    Raises:
        ValueError: if it says something that there is not.
    """
    if not isinstance(config, dict) or set(config) - _KNOWN - _IGNORED:
        raise ValueError(f"compile_config: expected a dict of {', '.join(sorted(_KNOWN))}")
    try:
        model.compile(
            optimizer=optimizers.get(config.get("optimizer") or "rmsprop"),
            loss=_read(config.get("loss"), losses.get),
            loss_weights=config.get("loss_weights"),
            metrics=_read(config.get("metrics"), metrics.get),
            weighted_metrics=_read(config.get("weighted_metrics"), metrics.get),
        )
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"compile_config: {error} (load_model(path, compile=False) leaves the settings of "
            "training out)"
        ) from error


def _written(given: Any, get: Callable[[Any], Any], by_name: bool) -> Any:
    """Objects and functions become data; lists and dicts are looked into."""
    if given is None or (isinstance(given, str) and (by_name or given.lower() in _BY_SHAPE)):
        return given
    if isinstance(given, str):
        data = serialize(get(given))
        return {**data, "config": {**data["config"], "name": given}}
    if isinstance(given, (list, tuple)):
        return [_written(one, get, by_name) for one in given]
    if isinstance(given, dict):
        return {name: _written(one, get, by_name) for name, one in given.items()}
    if inspect.isfunction(given):
        return given.__name__ if is_builtin(given) else serialize(given)
    return serialize(get(given))


def _read(config: Any, get: Callable[[Any], Any]) -> Any:
    if isinstance(config, list):
        return [_read(one, get) for one in config]
    if isinstance(config, dict) and "class_name" not in config:
        return {name: _read(one, get) for name, one in config.items()}
    if isinstance(config, dict) and config.get("module") == "builtins":
        get(config)  # raises if it is no name of a function that there is
        return config["config"]
    return get(config) if isinstance(config, dict) else config
