"""How many cores work, and how a compiled loop is started on them.

Every kernel splits its work among ``workers``, and hands parts out in an order that does not depend
on how many there are; sums are made from a fixed number of partial sums. So results are equal to
the bit whatever the number of workers.

No kernel calls BLAS: its threads and these would take the cores away from each other.
"""

from __future__ import annotations

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
of_products = Kernels("product_kernels")


def launch(kernel: Any, workers: int, *arguments: Any) -> None:
    """Run ``kernel(worker, workers, *arguments)`` for every worker, on as many cores.

    Args:
        kernel: see ``compiling.kernel``.
        arguments: arrays and numbers.
    """
    if workers == 1:
        kernel(0, 1, *arguments)
    else:
        address = _address(kernel, 0, 1, *arguments)
        _on_cores(of_loops.start, workers, _all_workers(), workers, address, arguments)


def launch_elementwise(kernel: Any, workers: int, *arguments: Any) -> None:
    """Run ``kernel(*arguments)`` on as many cores, each with its part of all vectors.

    Args:
        kernel: see ``compiling.elementwise``.
        arguments: vectors of one length, and numbers.
    """
    if workers == 1:
        kernel(*arguments)
    else:
        address = _address(kernel, *arguments)
        _on_cores(of_loops.start_elementwise, workers, _all_workers(), workers, address, arguments)


def keep_elementwise(kernel: Any, *arguments: Any) -> tuple[np.ndarray, int]:
    """Have ``kernel(*arguments)`` ready for other kernels to call it, with parts of all vectors.

    Args:
        kernel, arguments: as for :func:`launch_elementwise`. The vectors must stay alive.

    Returns:
        The memory in which the arguments are, and the address of the function to be called; see
        ``loop_kernels.keep_elementwise``.
    """
    memory = np.empty(of_loops.SPACE, np.uint8)
    return memory, of_loops.keep_elementwise(memory, _address(kernel, *arguments), arguments)


def _on_cores(loop: Callable, workers: int, *arguments: Any) -> None:
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


_addresses: dict[tuple[Any, tuple[np.dtype, ...]], int] = {}


def _address(kernel: Any, *arguments: Any) -> int:
    """Where the machine code of a kernel lies, for arguments of these types.

    The number of axes of each argument is always the same, and so is the type of each number, given
    those of the arrays.
    """
    key = kernel, tuple([a.dtype for a in arguments if isinstance(a, np.ndarray)])
    if key not in _addresses:
        from numba import typeof

        signature = tuple(typeof(argument) for argument in arguments)
        _addresses[key] = _compiled(kernel, signature)
    return _addresses[key]


def _compiled(function: Any, signature: tuple[Any, ...]) -> int:
    """The address of a function's machine code, for arguments of these types."""
    function.compile(signature)
    compiled = function.overloads[signature]
    return compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)


@cache
def _all_workers() -> int:
    """The address of the loop over the workers."""
    from numba import types

    return _compiled(of_loops.on_all_workers, (types.int64,) * 3)


@cache
def product(dtype: Any) -> int:
    """The address of the matrix product for ``dtype``, float32 or float64."""
    from numba import from_dtype, types

    matrix, size = types.CPointer(from_dtype(dtype)), types.intp
    sizes = (size,) * 5
    signature = (matrix, size, size, size, matrix, size, matrix, size, *sizes)
    return _compiled(of_products.product, signature)


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
