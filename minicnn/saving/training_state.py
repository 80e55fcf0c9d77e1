"""Everything that decides how a training goes on, in one file.

It is a ``.weights.h5`` file with more in it, which Keras does not look at: epoch and step, the
random numbers to come (of the layers, of the order of the data, of the library, of Python and of
NumPy), the running totals of what is reported, and what the callbacks remember.
"""

from __future__ import annotations

import json
import math
import os
import random
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn import random as minicnn_random
from minicnn.models import Model
from minicnn.saving import archive, files, hdf5, optimizer_state, random_state, strict_json, weights
from minicnn.saving.hdf5 import Tree

_FACTS, _ORDERS = "minicnn/training", "minicnn/orders"
_TOTALS, _CALLBACKS = "minicnn/totals", "minicnn/callbacks"


class TrainingState:
    """What was read from a file, to be put where it belongs when the time has come.

    Attributes:
        start_at: the epoch and the step that come next, and after how many batches of the data that
            epoch begins.
        stopped: whether the training had come to its end.
    """

    def __init__(self, model: Model, facts: dict[str, Any], tree: Tree):
        self.start_at: tuple[int, int, int] = (facts["epoch"], facts["step"], facts["used"])
        self.stopped: bool = facts["stopped"]
        if not all(type(number) is int and number >= 0 for number in self.start_at):
            raise ValueError(
                f"expected the epoch and the step that come next, and the batches before, got "
                f"{self.start_at}"
            )
        self._callbacks = [
            (kind, {name: _revived(value, tree) for name, value in state.items()})
            for kind, state in facts["callbacks"]
        ]
        self._learning_rate = model.optimizer.learning_rate
        self._totals = _read_totals(tree, model)

    def restore_callbacks(self, callbacks: Sequence[Any]) -> None:
        """Give the callbacks back what they remembered."""
        callbacks = [callback for callback in callbacks if callback.state]
        kinds = [type(callback).__name__ for callback in callbacks]
        if kinds != [kind for kind, _ in self._callbacks]:
            warnings.warn(
                f"callbacks: the training that is taken up had {[k for k, _ in self._callbacks]}, "
                f"this one has {kinds}; they start anew",
                stacklevel=3,
            )
            return
        for callback, (_, state) in zip(callbacks, self._callbacks, strict=True):
            for name in callback.state:
                if name in state:
                    setattr(callback, name, state[name])

    def restore_learning_rate(self, model: Model) -> None:
        """Undo what callbacks do at the beginning of an epoch, which they had done before."""
        if model.optimizer.has_fixed_rate:
            model.optimizer.learning_rate = self._learning_rate

    def restore_totals(self, model: Model) -> None:
        """Go on with the running means of an epoch that had begun."""
        model.objective.set_totals(self._totals)


def save(
    path: str | os.PathLike[str],
    model: Model,
    callbacks: Sequence[Any],
    start_at: tuple[int, int, int],
    order_steps: Sequence[int],
) -> None:
    """Write the state of a training, atomically.

    Args:
        start_at: as in :class:`TrainingState`.
        order_steps: where the generators of the data's order stood when the round through the data
            began with which that epoch begins.
    """
    arrays, attributes = files.state(model, random_state.of_layers(model))
    callbacks = [callback for callback in callbacks if callback.state]
    orders = [(g.seed, step) for g, step in zip(model.order_generators, order_steps, strict=True)]
    arrays[_ORDERS] = np.array(orders, np.uint64).reshape(-1, 2)
    if start_at[1]:
        for number, totals in enumerate(model.objective.totals()):
            for name, total in totals.items():
                arrays[f"{_TOTALS}/{number}/{name}"] = model.ops.to_numpy(total)
    facts = {
        "epoch": start_at[0],
        "step": start_at[1],
        "used": start_at[2],
        "stopped": model.stop_training,
        "callbacks": [
            [
                type(callback).__name__,
                {
                    name: _kept(getattr(callback, name), arrays, f"{_CALLBACKS}/{number}/{name}")
                    for name in callback.state
                },
            ]
            for number, callback in enumerate(callbacks)
        ],
        "random": _random_states(),
    }
    arrays[_FACTS] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    hdf5.write(path, arrays, attributes)


def load(path: str | os.PathLike[str], model: Model) -> TrainingState:
    """Put weights, the optimizer's memory and all random states of a file into place; the rest is
    returned.

    Raises:
        ValueError: if the file is broken, or belongs to another model.
    """
    with archive.regular_file(path) as file, hdf5.reading(file) as tree:
        if _FACTS not in tree or _ORDERS not in tree:
            raise ValueError(f"{os.fspath(path)}: the file does not say where a training stands")
        facts = strict_json.parse(tree.read(_FACTS, "u").tobytes(), _FACTS)
        generators = model.order_generators
        if tree.shape(_ORDERS) != (len(generators), 2):
            raise ValueError(
                f"{os.fspath(path)}: the data of the training that is taken up had "
                f"{tree.shape(_ORDERS)[0]} random orders, those of this one have {len(generators)}"
            )
        weights.restore(model, tree)
        optimizer_state.restore(model, tree)
        random_state.restore(model, tree)
        try:
            for generator, page in zip(generators, tree.read(_ORDERS, "u"), strict=True):
                generator.seed, generator.step = map(int, page)
            _set_random_states(facts["random"])
            return TrainingState(model, facts, tree)
        except (KeyError, IndexError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"{os.fspath(path)}: the file is broken: {error!r}") from error


# -- random numbers of the program ------------------------------------------------------------


def _random_states() -> dict[str, Any]:
    version, numbers, gauss = random.getstate()
    _, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002
    return {
        "minicnn": list(minicnn_random.get_state()),
        "python": [version, list(numbers), gauss],
        "numpy": [keys.tolist(), position, has_gauss, cached],
    }


def _set_random_states(states: dict[str, Any]) -> None:
    seed, taken = states["minicnn"]
    if not all(type(number) is int and number >= 0 for number in (seed, taken)):
        raise ValueError(f"expected a seed and how many were taken from it, got {[seed, taken]}")
    minicnn_random.set_state((seed, taken))
    version, numbers, gauss = states["python"]
    random.setstate((version, tuple(numbers), gauss))
    keys, *rest = states["numpy"]
    np.random.set_state(("MT19937", np.array(keys, np.uint32), *rest))  # noqa: NPY002


# -- values of callbacks, and totals ----------------------------------------------------------


def _kept(value: Any, arrays: dict[str, np.ndarray], path: str) -> Any:
    """A value as JSON; lists of arrays go into ``arrays``."""
    if isinstance(value, list) and value and all(isinstance(one, np.ndarray) for one in value):
        for number, array in enumerate(value):
            arrays[f"{path}/{number}"] = array
        return {"arrays": path}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    return value


def _revived(value: Any, tree: Tree) -> Any:
    if isinstance(value, dict) and "arrays" in value:
        return [tree.read(path, "fiub") for path in tree.numbered(value["arrays"])]
    return float(value["float"]) if isinstance(value, dict) else value


def _read_totals(tree: Tree, model: Model) -> list[dict[str, Any]]:
    totals: dict[int, dict[str, Any]] = {}
    for path in tree:
        if path.startswith(f"{_TOTALS}/"):
            number, name = path[len(_TOTALS) + 1 :].split("/")
            value = tree.read(path, "fiu")
            totals.setdefault(int(number), {})[name] = model.ops.asarray(value)
    return [totals.get(number, {}) for number in range(max(totals, default=-1) + 1)]
