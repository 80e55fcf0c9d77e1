"""How many cores work, and how a compiled loop is started on them.

Every kernel splits its work among ``workers``, and hands parts out in an order that does not depend
on how many there are; sums are made from a fixed number of partial sums. So results are equal to
the bit whatever the number of workers.

While a loop runs, the BLAS that it calls is held at one thread, as the loop itself is what keeps
the cores busy. Before and after, its number of threads is what the user set. (NumPy has another
BLAS of its own, which this floor does not use.)
"""

from __future__ import annotations

import ctypes
import importlib
import math
import os
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

CONTROL_GROUP = Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """How many cores this process may use: the machine's, its affinity's, its container's."""
    cores = [os.cpu_count() or 1]
    if hasattr(os, "sched_getaffinity"):
        cores.append(len(os.sched_getaffinity(0)))
    if hasattr(os, "process_cpu_count"):  # it knows PYTHON_CPU_COUNT, too
        cores.append(os.process_cpu_count() or 1)
    quota = _quota()
    if quota:
        cores.append(max(1, math.ceil(quota)))
    return min(cores)


def _quota() -> float | None:
    """The time that a container's processes may take, in cores; ``None`` if there is no limit.

    Linux writes it into ``cpu.max`` ("QUOTA PERIOD" or "max PERIOD"), or into two files where it
    manages containers in the old way.
    """
    for files in (["cpu.max"], ["cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"]):
        try:
            quota, period = " ".join((CONTROL_GROUP / file).read_text() for file in files).split()
        except (OSError, ValueError):
            continue
        if quota not in ("max", "-1"):
            return int(quota) / int(period)
    return None


workers = usable_cores()
"""How many workers a loop has; :func:`minicnn.backend.set_threads` sets it."""

# To wake another core takes a few microseconds, and a thousand where others use it, too.
WORTH_WAKING = 20_000

# The simplest of Numba's threading layers breaks if two threads start a loop at once. Besides, two
# loops at once would share the cores, and gain nothing.
_one_at_a_time = threading.RLock()


class Kernels:
    """A module of kernels which is imported, and Numba with it, when one of them is first used.

    Args:
        name: of the module beside this one.
    """

    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, kernel: str) -> Any:
        module = importlib.import_module(f"minicnn.backends.numba.{self._name}")
        value = getattr(module, kernel)
        setattr(self, kernel, value)  # the next access does not come here
        return value


def crew(work: int) -> int:
    """How many workers are worth waking for work that takes one of them so many nanoseconds."""
    return workers if work >= WORTH_WAKING else 1


of_loops = Kernels("loop_kernels")


def launch(kernel: Any, workers: int, *arguments: Any) -> None:
    """Run ``kernel(worker, workers, *arguments)`` for every worker, on as many cores.

    Args:
        kernel: see ``compiling.kernel``.
        arguments: arrays and numbers.
    """
    if workers == 1:
        kernel(0, 1, *arguments)
    else:
        address = _address(kernel, arguments)
        launch_loop(of_loops.on_all_workers, workers, workers, address, arguments)


def launch_loop(loop: Callable, workers: int, *arguments: Any) -> None:
    """Run ``loop(*arguments)`` on so many cores.

    Args:
        loop: see ``compiling.loop``.
    """
    get_threads, set_threads, most = _numba_threads()
    with _one_at_a_time:
        threads, wanted = get_threads(), min(workers, most)
        if threads == wanted:
            loop(*arguments)
            return
        set_threads(wanted)
        try:
            loop(*arguments)
        finally:
            set_threads(threads)


def launch_with_blas(kernel: Any, workers: int, *arguments: Any) -> None:
    """:func:`launch` a kernel that calls BLAS, which is held at one thread meanwhile."""
    get_threads, set_threads = _blas_threads()
    with _one_at_a_time:
        threads = get_threads()
        if threads == 1:
            launch(kernel, workers, *arguments)
            return
        set_threads(1)
        try:
            launch(kernel, workers, *arguments)
        finally:
            set_threads(threads)


_addresses: dict[tuple[Any, str], int] = {}


def _address(kernel: Any, arguments: tuple[Any, ...]) -> int:
    """Where the machine code of a kernel lies, for arguments of these types.

    The number of axes of each argument is always the same, and so is the type of each number, given
    those of the arrays.
    """
    key = kernel, "".join([a.dtype.char for a in arguments if isinstance(a, np.ndarray)])
    if key not in _addresses:
        from numba import typeof

        signature = tuple(typeof(argument) for argument in (0, 1, *arguments))
        kernel.compile(signature)
        compiled = kernel.overloads[signature]
        name = compiled.fndesc.llvm_func_name
        _addresses[key] = compiled.library.get_pointer_to_function(name)
    return _addresses[key]


@cache
def gemm(dtype: Any) -> int:
    """The address of the matrix product for ``dtype``, float32 or float64, in SciPy's BLAS."""
    from numba.extending import get_cython_function_address

    name = {"f": "sgemm", "d": "dgemm"}[dtype.char]
    return get_cython_function_address("scipy.linalg.cython_blas", name)


@cache
def small_product() -> int:
    """Up to which m n k SciPy's BLAS multiplies matrices without packing them first.

    OpenBLAS has kernels for that on CPUs with AVX-512. For matrices with less than a hundred
    columns they are half as fast again as the others, so there it pays to cut products small.
    """
    for library in _blas_libraries():
        for name in ("scipy_openblas_get_corename", "openblas_get_corename"):
            if hasattr(library, name):
                core = getattr(library, name)
                core.restype = ctypes.c_char_p
                packs_not = core() in (b"SkylakeX", b"Cooperlake", b"Sapphirerapids")
                return 100**3 if packs_not else 0
    return 0


@cache
def _numba_threads() -> tuple[Callable[[], int], Callable[[int], None], int]:
    """The functions that read and set Numba's number of threads, and the most there can be.

    Numba's public functions check each time whether its threads run: as long as a small kernel
    takes. What they call when they have checked is enough.
    """
    import numba
    from numba.np.ufunc import parallel

    get_threads, set_threads = numba.get_num_threads, numba.set_num_threads
    get_threads()  # starts the threads
    get_threads = getattr(parallel, "_get_num_threads", get_threads)
    set_threads = getattr(parallel, "_set_num_threads", set_threads)
    return get_threads, set_threads, numba.config.NUMBA_NUM_THREADS


@cache
def _blas_threads() -> tuple[Callable[[], int], Callable[[int], None]]:
    """The functions of SciPy's BLAS that read and set its number of threads.

    A BLAS that has neither of the known names (Apple's has none) decides for itself.
    """
    for library in _blas_libraries():
        for read, write in (
            ("scipy_openblas_get_num_threads", "scipy_openblas_set_num_threads"),
            ("openblas_get_num_threads", "openblas_set_num_threads"),
            ("MKL_Get_Max_Threads", "MKL_Set_Num_Threads"),
            ("bli_thread_get_num_threads", "bli_thread_set_num_threads"),
        ):
            if hasattr(library, read) and hasattr(library, write):
                return getattr(library, read), getattr(library, write)
    return lambda: 1, lambda n: None


@cache
def _blas_libraries() -> list[ctypes.CDLL]:
    """Where to look for the functions of SciPy's BLAS.

    A name is looked up in SciPy's wrapper and in the libraries that it needs; on Windows, which
    does not look further, in the libraries that lie beside the package.
    """
    from scipy.linalg import cython_blas

    wrapper = Path(cython_blas.__file__)
    beside = sorted(wrapper.parents[2].glob("scipy.libs/*openblas*.dll"))
    return [ctypes.CDLL(str(path)) for path in (wrapper, *beside)]
