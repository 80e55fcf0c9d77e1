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
from minicnn.saving.hdf5 import Attributes, Tree

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


def collect(model: Model) -> tuple[dict[str, np.ndarray], Attributes]:
    """``(arrays, attributes)``: the state of the model's optimizer, by path."""
    arrays = {f"{GROUP}/{i}": array for i, array in enumerate(named(model).values())}
    return arrays | exact_rate(model), {GROUP: {"name": model.optimizer.name}}


def named(model: Model) -> dict[str, np.ndarray]:
    """The state of the model's optimizer in Keras's order, each array with a name."""
    optimizer = model.optimizer
    arrays = {"iteration": np.array(optimizer.iterations, np.int64)}
    if optimizer.schedule is None:
        arrays["learning_rate"] = np.array(optimizer.learning_rate, np.float32)
    if optimizer.iterations and model.built and model.loss is not None:
        parameters = model.prepare_training()
        for name, number in _order(_groups(optimizer), len(parameters.variables)):
            part = parameters.ops.to_numpy(optimizer.slots[name][parameters.slices[number]])
            arrays[f"{name}_{number}"] = part.reshape(parameters.variables[number].shape)
        if isinstance(optimizer, optimizers.Nadam):
            product = optimizer.momentum_product(optimizer.iterations)
            arrays["product"] = np.array(product, np.float32)
    return arrays


def exact_rate(model: Model) -> dict[str, np.ndarray]:
    """The learning rate as minicnn has it, by path; nothing, if it follows a schedule."""
    if model.optimizer.schedule is not None:
        return {}
    return {EXACT_RATE: np.array(model.optimizer.learning_rate, np.float64)}


class OptimizerMismatch(ValueError):
    """The state in the file belongs to another optimizer."""


def restore(
    model: Model, tree: Tree, paths: list[str] | None = None, slot_by_slot: bool = False
) -> None:
    """Put what stands in a file into the model's optimizer; nothing, if nothing is there.

    Args:
        paths: where it stands; by default where :func:`collect` puts it.
        slot_by_slot: whether each slot is there for all weights before the next one comes.

    Raises:
        OptimizerMismatch: if it is the state of another optimizer, or of one with other weights.
        ValueError: if it is broken.
    """
    paths = tree.numbered(GROUP) if paths is None else paths
    if not paths:
        return
    optimizer = model.optimizer
    iterations = _scalar(tree, paths[0], "iu")
    if iterations < 0:
        raise ValueError(f"{paths[0]}: expected a number of steps, got {iterations}")
    rest = paths[1:]
    rate = None
    if optimizer.schedule is None and rest and tree.shape(rest[0]) == ():  # Keras 2 has it not here
        rate = _scalar(tree, rest.pop(0), "f")
        if EXACT_RATE in tree:
            rate = _scalar(tree, EXACT_RATE, "f")
    groups = _groups(optimizer)
    if slot_by_slot:
        groups = [[name] for group in groups for name in group]
    order = list(_order(groups, len(model.trainable_weights)))
    slots = _read_slots(model, tree, rest, order) if rest else []
    if rate is not None and optimizer.has_fixed_rate:
        optimizer.learning_rate = float(rate)  # raises if it is none
    optimizer.iterations = int(iterations)
    if slots:
        parameters = model.prepare_training()
        for (name, number), value in zip(order, slots, strict=True):
            slot = optimizer.slots[name]
            slot[parameters.slices[number]] = parameters.ops.asarray(value.reshape(-1), slot.dtype)


def _order(groups: list[list[str]], weights: int) -> Iterator[tuple[str, int]]:
    """``(slot, number of the weight)`` in the order of the file."""
    return ((name, i) for group in groups for i in range(weights) for name in group)


def _groups(optimizer: Any) -> list[list[str]]:
    """The slots that this optimizer has, those of a class of one's own one after the other."""
    there = optimizer.slot_values()
    for cls in type(optimizer).__mro__:
        if cls in _ORDER:
            groups = [[name for name in group if name in there] for group in _ORDER[cls]]
            known = {name for group in groups for name in group}
            return [group for group in groups if group] + [[n] for n in there if n not in known]
    return [[name] for name in there]


def _read_slots(
    model: Model, tree: Tree, paths: list[str], order: list[tuple[str, int]]
) -> list[np.ndarray]:
    optimizer, weights = model.optimizer, model.trainable_weights
    shapes = [weights[number].shape for _, number in order]
    extra = [()] if isinstance(optimizer, optimizers.Nadam) else []
    found = [tree.shape(path) for path in paths]
    if found != shapes + extra:
        raise OptimizerMismatch(
            f"optimizer: expected {len(shapes + extra)} arrays for {type(optimizer).__name__} and "
            f"{len(weights)} trainable weights, in the shapes of the weights; got {len(found)}"
            + (" in other shapes" if len(found) == len(shapes + extra) else "")
        )
    return [tree.read(path) for path in paths[: len(shapes)]]


def _scalar(tree: Tree, path: str, kinds: str) -> Any:
    if tree.shape(path) != ():
        raise ValueError(f"{path}: expected a number, got an array of shape {tree.shape(path)}")
    return tree.read(path, kinds)[()]
