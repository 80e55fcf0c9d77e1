"""Choices that every test shares."""

import importlib
import importlib.util
import os

import cuda_cpu
import numpy as np
import pytest

# Keras reads its backend when it is first imported; all of them compute the same.
for name in ("jax", "torch", "tensorflow"):
    if importlib.util.find_spec(name):
        os.environ.setdefault("KERAS_BACKEND", name)
        break
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "Agg")

FLOORS = ["numpy", "cupy"]
if importlib.util.find_spec("cupy"):
    FLOORS.append(pytest.param("gpu", marks=pytest.mark.gpu))


@pytest.fixture(params=FLOORS)
def ops(request):
    """The operations of each floor in turn: one set of cases runs over all of them.

    "cupy" is that floor with its kernels built for the CPU (``tests/cuda_cpu``), "gpu" on a GPU.
    """
    if request.param == "gpu":
        yield request.getfixturevalue("gpu_floor")
    elif request.param != "cupy":
        yield importlib.import_module(f"minicnn.backends.{request.param}")
    elif cuda_cpu.reason_to_skip():
        pytest.skip(cuda_cpu.reason_to_skip())
    else:
        from cuda_cpu.door import Door
        from cuda_cpu.floor import NumpyFloor, opened

        with opened(Door()) as door:
            yield NumpyFloor(door)


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
