"""The loop that calls a kernel on all cores.

It is one loop for all kernels: they are called by their address. Called by its name, a kernel would
become part of the loop, and be compiled again, twice, which takes longer than compiling the kernel.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange, types
from numba.extending import intrinsic

from minicnn.backends.numba.compiling import loop


@loop
def on_all_workers(workers, address, arguments):
    """kernel(worker, workers, *arguments) for each worker.

    Args:
        address: of the kernel's machine code, for arguments of these types.
        arguments: a tuple of arrays and numbers, with no tuple in it.
    """
    for worker in prange(workers):
        _call(address, np.int64(worker), workers, arguments)


@intrinsic
def _call(typing_context: Any, address, worker, workers, arguments):
    """The function at an address, called as Numba's compiled functions call each other."""
    signature = types.void(types.intp, types.int64, types.int64, arguments)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        address, worker, workers, packed = values
        of_tuple = signature.args[3].types
        kinds = [types.int64, types.int64, *of_tuple]
        unpacked = [builder.extract_value(packed, i) for i in range(len(of_tuple))]
        convention = context.call_conv
        kind = convention.get_function_type(types.none, kinds)
        function = builder.inttoptr(address, kind.as_pointer())
        values = [worker, workers, *unpacked]
        convention.call_function(builder, function, types.none, kinds, values)
        return context.get_dummy_value()

    return signature, generate
