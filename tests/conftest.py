"""Choices that every test shares."""

import importlib
import importlib.util
import os

import cuda_cpu
import numpy as np
import pytest
from float32_twin import Float32Twin

from minicnn import backend
from minicnn.backends.numba import threads

# Keras reads its backend when it is first imported; all of them compute the same.
for name in ("jax", "torch", "tensorflow"):
    if importlib.util.find_spec(name):
        os.environ.setdefault("KERAS_BACKEND", name)
        break
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# On a machine with a GPU the default would be another floor, whose arrays are not NumPy's.
os.environ.setdefault("MINICNN_BACKEND", "numba")
os.environ.setdefault("MPLBACKEND", "Agg")

FLOORS = ["numpy", "numba", "numba in two parts", "numba in float32", "cupy"]
if importlib.util.find_spec("cupy"):
    FLOORS.append(pytest.param("gpu", marks=pytest.mark.gpu))


@pytest.fixture(params=FLOORS)
def ops(request, monkeypatch):
    """The operations of each floor in turn: one set of cases runs over all of them.

    The compiled floor comes twice more: with its work split between two workers, however little it
    is, and with every operation done in float32 as well (``tests/float32_twin.py``). "cupy" is that
    floor with its kernels built for the CPU (``tests/cuda_cpu``), "gpu" on a GPU.
    """
    if request.param == "gpu":
        yield request.getfixturevalue("gpu_floor")
    elif request.param == "numba in float32":
        yield Float32Twin(importlib.import_module("minicnn.backends.numba"))
    elif request.param == "numba in two parts":
        monkeypatch.setattr(threads, "workers", 2)
        monkeypatch.setattr(threads, "WORTH_WAKING", 0)
        # One thread does both parts: to wake another for so little costs minutes on a busy machine.
        *functions, _ = threads._numba_threads()
        monkeypatch.setattr(threads, "_numba_threads", lambda: (*functions, 1))
        yield importlib.import_module("minicnn.backends.numba")
    elif request.param != "cupy":
        yield importlib.import_module(f"minicnn.backends.{request.param}")
    elif cuda_cpu.reason_to_skip():
        pytest.skip(cuda_cpu.reason_to_skip())
    else:
        from cuda_cpu.door import Door
        from cuda_cpu.floor import NumpyFloor, opened

        with opened(Door()) as door:
            yield NumpyFloor(door)


@pytest.fixture(scope="module", params=["numpy", "numba"])
def floor(request):
    """Layers and models are built on each floor of the CPU in turn."""
    before = backend.name()
    backend.use(request.param)
    yield request.param
    backend.use(before)


@pytest.fixture
def gpu_floor():
    """The cupy floor on a GPU, with NumPy arrays in and out."""
    from minicnn.backends.cupy import gpu_status

    if not gpu_status().usable:
        pytest.skip(gpu_status().reason)
    from cuda_cpu.floor import GpuFloor

    return GpuFloor()


@pytest.fixture
def rng():
    return np.random.default_rng(0)
