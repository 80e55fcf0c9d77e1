"""Weights that are to be read from a file take no more memory than the file has numbers for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from minicnn.layers import Layer


class Budget:
    """Counts the weights that layers make while they are built.

    Args:
        elements: how many numbers there may be; ``None`` for any number.
    """

    def __init__(self, elements: int | None):
        self.left = elements

    @contextmanager
    def watching(self, layers: Iterable[Layer]) -> Iterator[None]:
        """While the block lasts, these layers get weights within the budget, and zeros for values:
        the values will come from the file, so nothing is drawn at random."""
        watched = [layer for layer in layers if self.left is not None]
        for layer in watched:
            layer.add_weight = self._paying(layer)  # type: ignore[method-assign]
        try:
            yield
        finally:
            for layer in watched:
                vars(layer).pop("add_weight", None)

    def _paying(self, layer: Layer) -> Any:
        add_weight = layer.add_weight

        def paid(
            shape: tuple[int, ...] = (),
            initializer: Any = "zeros",
            name: str = "weight",
            *args: Any,
            **kwargs: Any,
        ) -> Any:
            size = math.prod(shape)
            if size > self.left:
                raise ValueError(
                    f"layer {layer.name!a} needs a weight {name!r} of shape {tuple(shape)}, for "
                    "which the file has not enough numbers"
                )
            self.left -= size
            return add_weight(shape, "zeros", name, *args, **kwargs)

        return paid
