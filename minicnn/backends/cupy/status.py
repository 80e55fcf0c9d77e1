"""Is there a GPU that can be used, and if not, what is missing?"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

INSTALL = 'pip install "minicnn[gpu]"'


class Status(NamedTuple):
    """Whether the GPU can be used, and the reason: what is missing, and what to do about it."""

    usable: bool
    reason: str


class _Missing(Exception):
    """Something that a GPU needs is not there."""


@cache
def gpu_status() -> Status:
    """Try out everything that this floor needs, once; the answer is kept. Never raises.

    It starts CUDA, after which a process should not be forked: not to be called on import.
    """
    try:
        return Status(True, _try_out())
    except _Missing as problem:
        return Status(False, str(problem))
    except Exception as error:
        return Status(False, f"CUDA cannot be used: {type(error).__name__}: {error}")


def require_gpu() -> None:
    """Raise a RuntimeError that says what is missing, unless there is a usable GPU."""
    status = gpu_status()
    if not status.usable:
        raise RuntimeError(
            f'the backend "cupy" cannot be used: {status.reason}. '
            'minicnn.backend.use("numba") computes on the CPU'
        )


def _try_out() -> str:
    try:
        import cupy
    except ModuleNotFoundError as error:
        if error.name != "cupy":
            raise
        raise _Missing(f"CuPy is not installed; {INSTALL}") from None
    _check_driver(cupy.cuda.runtime)
    _check_libraries(cupy.cuda.nvrtc)
    kernel = cupy.RawKernel('extern "C" __global__ void probe(int* x) { *x = 42; }', "probe")
    x = cupy.zeros(1, cupy.int32)
    kernel((1,), (1,), (x,))
    if int(x[0]) != 42:
        raise _Missing("a first small kernel did not do what it should; look at nvidia-smi")
    return "ready"


def _check_driver(runtime: Any) -> None:
    driver, built_for = runtime.driverGetVersion(), runtime.runtimeGetVersion()
    if driver == 0:
        raise _Missing("this machine has no NVIDIA driver; install one from nvidia.com/drivers")
    if driver // 1000 < built_for // 1000:
        raise _Missing(
            f"the NVIDIA driver is for CUDA {_version(driver)}, but this CuPy for CUDA "
            f"{_version(built_for)}; install a newer driver, or the CuPy for this one: "
            f"pip uninstall cupy-cuda{built_for // 1000}x; "
            f'pip install "cupy-cuda{driver // 1000}x[ctk]"'
        )
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        raise _Missing(f"the NVIDIA driver finds no GPU ({error}); look at nvidia-smi") from None
    if count == 0:
        raise _Missing("the NVIDIA driver finds no GPU; look at nvidia-smi")


def _check_libraries(nvrtc: Any) -> None:
    try:
        nvrtc.getVersion()
    except RuntimeError as error:
        raise _Missing(f"NVIDIA's compiler NVRTC is missing ({error}); {INSTALL}") from None
    try:
        load_cublas()
    except (ImportError, RuntimeError, OSError) as error:
        raise _Missing(f"NVIDIA's library cuBLAS is missing ({error}); {INSTALL}") from None


def load_cublas() -> Any:
    """The library cuBLAS, wherever it is installed."""
    import ctypes

    from cuda.pathfinder import load_nvidia_dynamic_lib

    return ctypes.CDLL(load_nvidia_dynamic_lib("cublas").abs_path)


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"
