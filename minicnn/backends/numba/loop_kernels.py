"""The loop that calls a kernel on all cores.

It is one loop for all kernels, and compiled once: a parallel loop takes Numba as long as the kernel
in it. So it knows the kernel by its address, and the arguments as a place in memory. What stands
between, for arguments of certain types, is a function that puts them there and another that takes
them out again.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from minicnn.backends.numba.compiling import call, kernel, loop


@loop
def on_all_workers(workers, function, place):
    """function(worker, workers, place) for each worker; a function by its address."""
    for worker in prange(workers):
        call(function, (worker, workers, place))


@kernel
def start(all_workers, workers, address, arguments):
    """kernel(worker, workers, *arguments) for each worker.

    Args:
        all_workers: the address of :func:`on_all_workers`.
        address: of the kernel's machine code, for arguments of these types.
        arguments: a tuple of arrays and numbers, with no tuple in it.
    """
    function, place = _put(address, arguments)
    call(all_workers, (workers, function, place))


@intrinsic
def _put(typing_context: Any, address, arguments):
    """The address of a function that calls the kernel, and where its arguments are."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        address, packed = values
        kinds = signature.args[1].types
        given = [builder.extract_value(packed, i) for i in range(len(kinds))]
        lent = [_borrowed(context, builder, *pair) for pair in zip(kinds, given, strict=True)]
        lent = context.make_tuple(builder, signature.args[1], lent)
        both = cgutils.pack_struct(builder, [address, lent])
        place = cgutils.alloca_once_value(builder, both)
        function = _taker(context, builder.module, kinds, place.type)
        addresses = [builder.ptrtoint(pointer, ir.IntType(64)) for pointer in (function, place)]
        return context.make_tuple(builder, signature.return_type, addresses)

    return types.UniTuple(types.int64, 2)(types.int64, arguments), generate


def _taker(context: Any, module: Any, kinds: Any, pointer: Any) -> Any:
    """A function of (worker, workers, place) that calls the kernel with what is at that place.

    Args:
        kinds: the types of the kernel's other arguments.
        pointer: the type of a pointer to the place.
    """
    convention = context.call_conv
    of_taker, of_kernel = [types.int64] * 3, [types.int64, types.int64, *kinds]
    kind = convention.get_function_type(types.none, of_taker)
    function = ir.Function(module, kind, module.get_unique_name("taker"))
    function.linkage = "internal"
    builder = ir.IRBuilder(function.append_basic_block())
    worker, workers, place = convention.get_arguments(function)
    both = builder.load(builder.inttoptr(place, pointer))
    address, packed = (builder.extract_value(both, i) for i in (0, 1))
    arguments = [worker, workers, *(builder.extract_value(packed, i) for i in range(len(kinds)))]
    kind = convention.get_function_type(types.none, of_kernel)
    called = builder.inttoptr(address, kind.as_pointer())
    status, _ = convention.call_function(builder, called, types.none, of_kernel, arguments)
    builder.ret(status.code)
    return function


def _borrowed(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    """An argument whose references are not counted: the cores would wait for each other's counts.

    The caller holds the array meanwhile.
    """
    if not isinstance(kind, types.Array):
        return value
    array = context.make_array(kind)(context, builder, value)
    for owner in ("meminfo", "parent"):
        setattr(array, owner, cgutils.get_null_value(getattr(array, owner).type))
    return array._getvalue()
