"""The random numbers to come: where each generator of a model stands.

minicnn keeps them in a group of its own, which Keras does not look at.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from minicnn.models import Model
from minicnn.random import SeedGenerator
from minicnn.saving.hdf5 import Tree

_LAYERS, _SHUFFLE = "minicnn/generators", "minicnn/shuffle"


def collect(model: Model) -> dict[str, np.ndarray]:
    """(seed, step) of the layers' generators, and of the one that shuffles, by path."""
    arrays = of_layers(model)
    if model.shuffle_generator is not None:
        page = (model.shuffle_generator.seed, model.shuffle_generator.step)
        arrays[_SHUFFLE] = np.array(page, np.uint64)
    return arrays


def of_layers(model: Model) -> dict[str, np.ndarray]:
    """(seed, step) of the layers' generators, by path."""
    pages = [(generator.seed, generator.step) for generator in _generators(model)]
    return {_LAYERS: np.array(pages, np.uint64)} if pages else {}


def restore(model: Model, tree: Tree) -> None:
    """Set the generators back to where they stood; nothing, if the file says nothing of them."""
    if _LAYERS in tree:
        generators = _generators(model)
        if tree.shape(_LAYERS) != (len(generators), 2):
            warnings.warn("the file has random states for other layers", stacklevel=4)
        else:
            for generator, page in zip(generators, tree.read(_LAYERS, "u"), strict=True):
                generator.seed, generator.step = map(int, page)
    if _SHUFFLE in tree and tree.shape(_SHUFFLE) == (2,):
        seed, step = map(int, tree.read(_SHUFFLE, "u"))
        model.shuffle_generator = SeedGenerator(seed)
        model.shuffle_generator.step = step


def _generators(model: Model) -> list[Any]:
    found = (getattr(layer, "seed_generator", None) for layer in model.all_layers())
    return list({id(one): one for one in found if isinstance(one, SeedGenerator)}.values())
