"""Is there a GPU that can be used, and if not, what is missing?"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any, NamedTuple

INSTALL = 'pip install "minicnn[gpu]"'

LEAST_BYTES = 2**28
"""How much of a GPU's memory must be free: for cuBLAS and its workspace, the kernels, and a small
model."""

NO_GPU = 100  # CUDA_ERROR_NO_DEVICE of cuda.h
OUT_OF_MEMORY = 2  # cudaErrorMemoryAllocation of driver_types.h


class Status(NamedTuple):
    """Whether the GPU can be used, and the reason: what is missing, and what to do about it."""

    usable: bool
    reason: str


class _Missing(Exception):
    """Something that a GPU needs is not there."""


@cache
def gpu_status(index: int | None = None) -> Status:
    """Try out everything that this floor needs, once; the answer is kept. Never raises.

    It starts CUDA, after which a process should not be forked: not to be called on import. Without
    a driver it says so at once, and CuPy is not imported.

    Args:
        index: which GPU; by default CuPy's current one, usually the first.
    """
    try:
        _check_driver_starts()
        return Status(True, _try_out(index))
    except _Missing as problem:
        return Status(False, str(problem))
    except Exception as error:
        return Status(False, f"CUDA cannot be used: {type(error).__name__}: {error}")


def require_gpu(index: int | None = None) -> None:
    """Raise a RuntimeError that says what is missing, unless that GPU can be used."""
    status = gpu_status(index)
    if not status.usable:
        name = "cupy" if index is None else f"cupy:{index}"
        raise RuntimeError(
            f'the backend "{name}" cannot be used: {status.reason}. '
            'minicnn.backend.use("numba") computes on the CPU'
        )


def load_driver() -> Any:
    """The library that comes with NVIDIA's driver, ``None`` where there is no driver."""
    try:
        return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None


def _check_driver_starts() -> None:
    driver = load_driver()
    if driver is None:
        raise _Missing("this machine has no NVIDIA driver; install one from nvidia.com/drivers")
    error = driver.cuInit(0)
    if error == NO_GPU:
        raise _Missing(
            "the NVIDIA driver finds no GPU; look at nvidia-smi, and at the environment variable "
            "CUDA_VISIBLE_DEVICES, which may hide it"
        )
    if error:
        raise _Missing(f"the NVIDIA driver does not start (error {error}); look at nvidia-smi")


def _try_out(index: int | None) -> str:
    try:
        import cupy
    except ModuleNotFoundError as error:
        if error.name != "cupy":
            raise
        raise _Missing(f"CuPy is not installed; {INSTALL}") from None
    runtime = cupy.cuda.runtime
    _check_driver_version(runtime)
    _check_libraries(cupy.cuda.nvrtc)
    count = runtime.getDeviceCount()
    if index is not None and index >= count:
        gpus = "1 GPU" if count == 1 else f"{count} GPUs"
        raise _Missing(f"this machine has {gpus}, numbered from 0")
    with cupy.cuda.Device(index):
        _check_memory(runtime)
        kernel = cupy.RawKernel('extern "C" __global__ void probe(int* x) { *x = 42; }', "probe")
        x = cupy.zeros(1, cupy.int32)
        kernel((1,), (1,), (x,))
        if int(x[0]) != 42:
            raise _Missing("a first small kernel did not do what it should; look at nvidia-smi")
    return "ready"


def _check_driver_version(runtime: Any) -> None:
    driver, built_for = runtime.driverGetVersion(), runtime.runtimeGetVersion()
    if driver // 1000 < built_for // 1000:
        raise _Missing(
            f"the NVIDIA driver is for CUDA {version_text(driver)}, but this CuPy for CUDA "
            f"{version_text(built_for)}; install a newer driver, or the CuPy for this one: "
            f"pip uninstall cupy-cuda{built_for // 1000}x; "
            f'pip install "cupy-cuda{driver // 1000}x[ctk]"'
        )


def _check_libraries(nvrtc: Any) -> None:
    try:
        nvrtc.getVersion()
    except RuntimeError as error:
        raise _Missing(f"NVIDIA's compiler NVRTC is missing ({error}); {INSTALL}") from None
    try:
        load_cublas()
    except (ImportError, RuntimeError, OSError) as error:
        raise _Missing(f"NVIDIA's library cuBLAS is missing ({error}); {INSTALL}") from None


def _check_memory(runtime: Any) -> None:
    try:
        free, size = runtime.memGetInfo()
    except runtime.CUDARuntimeError as error:  # there is no room even for CUDA itself
        if error.status != OUT_OF_MEMORY:
            raise
        free, size = 0, None
    if free < LEAST_BYTES:
        of = "" if size is None else f" of {size // 2**20} MiB"
        raise _Missing(
            f"the GPU has too little memory: {free // 2**20} MiB{of} are free, and at least "
            f"{LEAST_BYTES // 2**20} MiB are needed; end other programs that use it (nvidia-smi "
            "lists them)"
        )


def load_cublas() -> Any:
    """The library cuBLAS, wherever it is installed."""
    from cuda.pathfinder import load_nvidia_dynamic_lib

    return ctypes.CDLL(load_nvidia_dynamic_lib("cublas").abs_path)


def version_text(number: int) -> str:
    """A version as CUDA counts it.

    >>> version_text(13020)
    '13.2'
    """
    return f"{number // 1000}.{number % 1000 // 10}"
