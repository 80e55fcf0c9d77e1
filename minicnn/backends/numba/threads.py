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
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

workers = 1
"""How many workers a loop has; :func:`minicnn.backend.set_threads` sets it."""

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


def launch(kernel: Callable, *arguments: Any) -> None:
    """Run ``kernel(workers, *arguments)`` on the cores that are to be used."""
    numba = _numba()
    with _one_at_a_time:
        threads = numba.get_num_threads()
        wanted = min(workers, numba.config.NUMBA_NUM_THREADS)
        if threads == wanted:
            kernel(workers, *arguments)
            return
        numba.set_num_threads(wanted)
        try:
            kernel(workers, *arguments)
        finally:
            numba.set_num_threads(threads)


def launch_with_blas(kernel: Callable, *arguments: Any) -> None:
    """:func:`launch` a kernel that calls BLAS, which is held at one thread meanwhile."""
    get_threads, set_threads = _blas_threads()
    with _one_at_a_time:
        threads = get_threads()
        if threads == 1:
            launch(kernel, *arguments)
            return
        set_threads(1)
        try:
            launch(kernel, *arguments)
        finally:
            set_threads(threads)


@cache
def gemm(dtype: Any) -> int:
    """The address of the matrix product for ``dtype``, float32 or float64, in SciPy's BLAS."""
    from numba.extending import get_cython_function_address

    name = {"f": "sgemm", "d": "dgemm"}[dtype.char]
    return get_cython_function_address("scipy.linalg.cython_blas", name)


@cache
def _numba() -> ModuleType:
    return importlib.import_module("numba")


@cache
def _blas_threads() -> tuple[Callable[[], int], Callable[[int], None]]:
    """The functions of SciPy's BLAS that read and set its number of threads.

    A BLAS that has neither of the known names (Apple's has none) decides for itself.
    """
    from scipy.linalg import cython_blas

    wrapper = Path(cython_blas.__file__)
    # Asked of the wrapper, a name is looked for in the libraries that it uses, too; not so on
    # Windows, where they lie beside the package.
    beside = sorted(wrapper.parents[2].glob("scipy.libs/*openblas*.dll"))
    for path in [wrapper, *beside]:
        library = ctypes.CDLL(str(path))
        for read, write in (
            ("scipy_openblas_get_num_threads", "scipy_openblas_set_num_threads"),
            ("openblas_get_num_threads", "openblas_set_num_threads"),
            ("MKL_Get_Max_Threads", "MKL_Set_Num_Threads"),
            ("bli_thread_get_num_threads", "bli_thread_set_num_threads"),
        ):
            if hasattr(library, read) and hasattr(library, write):
                return getattr(library, read), getattr(library, write)
    return lambda: 1, lambda n: None
