"""What an optimizer remembers, in the order in which Keras keeps it.

``optimizer/vars/0`` is the number of steps, ``1`` the learning rate (unless it follows a schedule),
and then come the slots, each cut into one array for every weight.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minicnn import optimizers
from minicnn.models import Model
from minicnn.saving.hdf5 import Tree

GROUP = "optimizer/vars"
# The learning rate as minicnn has it, a float64; Keras keeps a float32.
EXACT_RATE = "minicnn/learning_rate"

# Groups of slots that take turns from weight to weight; a group comes after the other.
_ORDER: dict[type[optimizers.Optimizer], list[list[str]]] = {
    optimizers.SGD: [["momentum"]],
    optimizers.RMSprop: [["velocity"], ["momentum"], ["average"]],
    optimizers.Adam: [["momentum", "velocity"], ["velocity_hat"]],
    optimizers.Adamax: [["momentum", "norm"]],
    optimizers.Nadam: [["momentum", "velocity"]],
    optimizers.Adagrad: [["accumulator"]],
    optimizers.Adadelta: [["accumulated_grad", "accumulated_delta_var"]],
    optimizers.Lion: [["momentum"]],
}


def collect(model: Model) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """``(arrays, names)``: the state of the model's optimizer, by path."""
    optimizer = model.optimizer
    arrays = [np.array(optimizer.iterations, np.int64)]
    exact = {}
    if optimizer.schedule is None:
        arrays.append(np.array(optimizer.learning_rate, np.float32))
        exact[EXACT_RATE] = np.array(optimizer.learning_rate, np.float64)
    if optimizer.iterations and model.built and model.loss is not None:
        parameters = model.prepare_training()
        for slot, variable, place in _slots(optimizer, parameters):
            arrays.append(parameters.ops.to_numpy(slot[place]).reshape(variable.shape))
        if isinstance(optimizer, optimizers.Nadam):
            product = optimizer.momentum_product(optimizer.iterations)
            arrays.append(np.array(product, np.float32))
    numbered = {f"{GROUP}/{number}": array for number, array in enumerate(arrays)}
    return numbered | exact, {GROUP: optimizer.name}


class OptimizerMismatch(ValueError):
    """The state in the file belongs to another optimizer."""


def restore(model: Model, tree: Tree) -> None:
    """Put what stands in a file into the model's optimizer; nothing, if nothing is there.

    Raises:
        OptimizerMismatch: if it is the state of another optimizer, or of one with other weights.
        ValueError: if it is broken.
    """
    paths = tree.numbered(GROUP)
    if not paths:
        return
    optimizer = model.optimizer
    iterations = _scalar(tree, paths[0], "iu")
    if iterations < 0:
        raise ValueError(f"{paths[0]}: expected a number of steps, got {iterations}")
    rest = paths[1:]
    rate = None
    if optimizer.schedule is None and rest:
        rate = _scalar(tree, rest.pop(0), "f")
        if EXACT_RATE in tree:
            rate = _scalar(tree, EXACT_RATE, "f")
    slots = _read_slots(model, tree, rest) if rest else []
    if rate is not None and optimizer.has_fixed_rate:
        optimizer.learning_rate = float(rate)  # raises if it is none
    optimizer.iterations = int(iterations)
    if slots:
        parameters = model.prepare_training()
        for (slot, _, place), value in zip(_slots(optimizer, parameters), slots, strict=True):
            slot[place] = parameters.ops.asarray(value.reshape(-1), slot.dtype)


def _slots(optimizer: Any, parameters: Any) -> Iterator[tuple[Any, Any, slice]]:
    """``(slot, variable, place)`` in the order of the file."""
    places = list(zip(parameters.variables, parameters.slices, strict=True))
    for group in _groups(optimizer):
        for variable, place in places:
            for name in group:
                yield optimizer.slots[name], variable, place


def _groups(optimizer: Any) -> list[list[str]]:
    """The slots that this optimizer has, those of a class of one's own one after the other."""
    there = optimizer.slot_values()
    for cls in type(optimizer).__mro__:
        if cls in _ORDER:
            groups = [[name for name in group if name in there] for group in _ORDER[cls]]
            known = {name for group in groups for name in group}
            return [group for group in groups if group] + [[n] for n in there if n not in known]
    return [[name] for name in there]


def _read_slots(model: Model, tree: Tree, paths: list[str]) -> list[np.ndarray]:
    optimizer, weights = model.optimizer, model.trainable_weights
    shapes = [w.shape for group in _groups(optimizer) for w in weights for _ in group]
    extra = [()] if isinstance(optimizer, optimizers.Nadam) else []
    found = [tree.shape(path) for path in paths]
    if found != shapes + extra:
        raise OptimizerMismatch(
            f"{GROUP}: expected {len(shapes + extra)} arrays for {type(optimizer).__name__} and "
            f"{len(weights)} trainable weights, in the shapes of the weights; got {len(found)}"
            + (" in other shapes" if len(found) == len(shapes + extra) else "")
        )
    return [tree.read(path) for path in paths[: len(shapes)]]


def _scalar(tree: Tree, path: str, kinds: str) -> Any:
    if tree.shape(path) != ():
        raise ValueError(f"{path}: expected a number, got an array of shape {tree.shape(path)}")
    return tree.read(path, kinds)[()]
