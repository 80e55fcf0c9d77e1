"""A layer in float64 for a while, and then as it was before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


def with_inner_layers(layer: Any) -> Iterator[Any]:
    yield layer
    for inner in getattr(layer, "layers", ()):
        yield from with_inner_layers(inner)


class _Idle:
    """Stands in for a model's optimizer, which must not start anew because of a check."""

    def build(self, parameters: Any) -> None:
        pass


@contextmanager
def in_float64(layer: Any) -> Iterator[Callable[[Callable[[], Any]], Any]]:
    """Weights and layers in float64, and at the end everything as it was before.

    Yields:
        A function that calls another one, and puts back what a forward pass moves on: moving
        statistics and the steps of random generators.
    """
    layers = list({id(one): one for one in with_inner_layers(layer)}.values())
    generators = [one.seed_generator for one in layers if hasattr(one, "seed_generator")]
    kept = [(thing, dict(vars(thing))) for thing in (*layers, *layer.weights, *generators)]
    try:
        for one in layers:
            one.dtype = "float64"
        for weight in layer.weights:
            weight.value = weight.value.astype(np.float64)
            weight.gradient = np.zeros_like(weight.value)
            weight.home, weight.wanted = None, True
        if hasattr(layer, "optimizer"):
            layer.optimizer = _Idle()

        def frozen(evaluate: Callable[[], Any]) -> Any:
            steps = [generator.step for generator in generators]
            fixed = [(w, w.value.copy()) for w in layer.weights if not w.trainable]
            try:
                return evaluate()
            finally:
                for generator, step in zip(generators, steps, strict=True):
                    generator.step = step
                for weight, value in fixed:
                    weight.value[...] = value

        yield frozen
    finally:
        for thing, attributes in kept:
            vars(thing).clear()
            vars(thing).update(attributes)
