"""Choices that every test shares."""

import importlib
import importlib.util
import os

import numpy as np
import pytest

# Keras reads its backend when it is first imported; all of them compute the same.
for name in ("jax", "torch", "tensorflow"):
    if importlib.util.find_spec(name):
        os.environ.setdefault("KERAS_BACKEND", name)
        break
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "Agg")

FLOORS = ("numpy",)


@pytest.fixture(params=FLOORS)
def ops(request):
    """The operations of each floor in turn: one set of cases runs over all of them."""
    return importlib.import_module(f"minicnn.backends.{request.param}")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def gpu_floor():
    """The operations on a GPU; skips, with the reason, where none can be used."""
    from minicnn.backends import cupy
    from minicnn.backends.cupy.status import gpu_status

    if not gpu_status().usable:
        pytest.skip(gpu_status().reason)
    return cupy
