"""The loop that calls a kernel on all cores.

It is one loop for all kernels: they are called by their address. Called by its name, a kernel would
become part of the loop, and be compiled again, twice, which takes longer than compiling the kernel.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from minicnn.backends.numba.compiling import call, loop


@loop
def on_all_workers(workers, address, arguments):
    """kernel(worker, workers, *arguments) for each worker.

    Args:
        address: of the kernel's machine code, for arguments of these types.
        arguments: a tuple of arrays and numbers, with no tuple in it.
    """
    for worker in prange(workers):
        call(address, (np.int64(worker), workers) + arguments)  # noqa: RUF005 (Numba has no other)
