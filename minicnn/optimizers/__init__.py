"""Optimizers: what a training step does with the gradients.

The formulas stand in ``minicnn/backends/numpy/updates.py``, each as a function over the one vector
that holds all weights. Here are their hyperparameters, under Keras's names and with its defaults.
"""

from __future__ import annotations

from typing import Any

from minicnn.configurable import deserialize
from minicnn.optimizers import schedules
from minicnn.optimizers.adam import Adam, Adamax, AdamW, Lion, Nadam
from minicnn.optimizers.adaptive import Adadelta, Adagrad, RMSprop
from minicnn.optimizers.base import Optimizer
from minicnn.optimizers.sgd import SGD
from minicnn.registry import lookup

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "get",
    "schedules",
]

_TABLE: dict[str, type[Optimizer]] = {
    kind.__name__: kind
    for kind in (SGD, RMSprop, Adam, AdamW, Adagrad, Adadelta, Adamax, Nadam, Lion)
}


def get(identifier: Any) -> Optimizer:
    """The optimizer that ``identifier`` names.

    Args:
        identifier: a name in any case, an optimizer, its class, or Keras's dict form of one (see
            ``minicnn.configurable``).

    Raises:
        ValueError: if there is no optimizer of that name.
        TypeError: if ``identifier`` is nothing of the kind.

    >>> get("ADAM").learning_rate
    0.001
    """
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, str):
        return lookup(_TABLE, identifier, "optimizer")()
    if isinstance(identifier, dict):
        return deserialize(identifier, _TABLE, "keras.optimizers", "optimizer", Optimizer)
    if isinstance(identifier, type) and issubclass(identifier, Optimizer):
        return identifier()
    raise TypeError(f"optimizer: expected a name or an optimizer, got {identifier!r}")
