"""The loop that calls a kernel on all cores.

It is one loop for all kernels, and compiled once: a parallel loop takes Numba as long as the kernel
in it. So it knows the kernel by its address, and the arguments as a place in memory. What stands
between, for arguments of certain types, is a function that puts them there and another that takes
them out again. In the same way a kernel is handed to another one that shall call it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from minicnn.backends.numba.compiling import call, kernel, loop

# The bytes in which the arguments of an update are kept.
SPACE = 1024


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


@kernel
def start_elementwise(all_workers, workers, address, arguments):
    """kernel(*arguments) on all workers, each with its part of all vectors.

    Args:
        all_workers: the address of :func:`on_all_workers`.
        address: of the kernel's machine code, for arguments of these types.
        arguments: a tuple of vectors of one length, of which there is at least one, and numbers.
    """
    function, place = _put_elementwise(address, arguments)
    call(all_workers, (workers, function, place))


@kernel
def keep_elementwise(memory, address, arguments):
    """Keep what an elementwise kernel is to be called with, for parts of all vectors.

    Args:
        memory: (SPACE,) bytes that last until then, as must the vectors.
        address, arguments: as for :func:`start_elementwise`.

    Returns:
        The address of a function of ``(first, last, start, where the memory is)``. It calls the
        kernel with the numbers from ``first`` to ``last`` of all vectors, but with those from
        ``start`` on of the second.
    """
    return _put_at(memory, address, arguments)


@intrinsic
def _put(typing_context: Any, address, arguments):
    """The address of a function that calls the kernel, and where its arguments are."""

    def hand(context: Any, builder: Any, kinds: Any, numbers: Any, arguments: Any) -> Any:
        return [types.int64, types.int64, *kinds], [*numbers, *arguments]

    return types.UniTuple(types.int64, 2)(types.int64, arguments), _putting(hand)


@intrinsic
def _put_elementwise(typing_context: Any, address, arguments):
    """The same for an elementwise kernel."""

    def hand(context: Any, builder: Any, kinds: Any, numbers: Any, arguments: Any) -> Any:
        worker, workers = numbers
        size = next(
            context.make_array(kind)(context, builder, vector).nitems
            for kind, vector in zip(kinds, arguments, strict=True)
            if isinstance(kind, types.Array)
        )
        following = builder.add(worker, worker.type(1))
        first, last = (
            builder.sdiv(builder.mul(size, number), workers) for number in (worker, following)
        )
        return kinds, _parts(context, builder, kinds, arguments, first, last, first)

    return types.UniTuple(types.int64, 2)(types.int64, arguments), _putting(hand)


@intrinsic
def _put_at(typing_context: Any, memory, address, arguments):
    """The address of a function that calls the kernel; its arguments are in the memory then."""

    def hand(context: Any, builder: Any, kinds: Any, numbers: Any, arguments: Any) -> Any:
        return kinds, _parts(context, builder, kinds, arguments, *numbers)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kinds = signature.args[2].types
        both = _lent(context, builder, kinds, *values[1:])
        size = context.get_abi_sizeof(both.type)
        if size > SPACE:
            raise ValueError(f"arguments: expected at most {SPACE} bytes of them, got {size}")
        place = context.make_array(signature.args[0])(context, builder, values[0]).data
        place = builder.bitcast(place, both.type.as_pointer())
        builder.store(both, place)
        function = _taker(context, builder.module, kinds, place.type, 3, hand)
        return builder.ptrtoint(function, ir.IntType(64))

    return types.int64(memory, types.int64, arguments), generate


def _putting(hand: Callable) -> Callable:
    """What LLVM is to do in order to put an address and arguments on the stack."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kinds = signature.args[1].types
        place = cgutils.alloca_once_value(builder, _lent(context, builder, kinds, *values))
        function = _taker(context, builder.module, kinds, place.type, 2, hand)
        addresses = [builder.ptrtoint(pointer, ir.IntType(64)) for pointer in (function, place)]
        return context.make_tuple(builder, signature.return_type, addresses)

    return generate


def _lent(context: Any, builder: Any, kinds: Any, address: Any, packed: Any) -> Any:
    """An address and the arguments for what is there, in the form in which they are put away."""
    given = [builder.extract_value(packed, i) for i in range(len(kinds))]
    lent = [_borrowed(context, builder, *pair) for pair in zip(kinds, given, strict=True)]
    return cgutils.pack_struct(builder, [address, cgutils.pack_struct(builder, lent)])


def _taker(context: Any, module: Any, kinds: Any, pointer: Any, count: int, hand: Callable) -> Any:
    """A function that calls what is at a place with the arguments that are there.

    Args:
        kinds: the types of these arguments.
        pointer: the type of a pointer to the place.
        count: how many numbers the function is given before the place.
        hand: makes of these numbers and of the arguments what is handed over, with its types.
    """
    convention = context.call_conv
    of_taker = [types.int64] * (count + 1)
    kind = convention.get_function_type(types.none, of_taker)
    function = ir.Function(module, kind, module.get_unique_name("taker"))
    function.linkage = "internal"
    builder = ir.IRBuilder(function.append_basic_block())
    *numbers, place = convention.get_arguments(function)
    both = builder.load(builder.inttoptr(place, pointer))
    address, packed = (builder.extract_value(both, i) for i in (0, 1))
    arguments = [builder.extract_value(packed, i) for i in range(len(kinds))]
    kinds, arguments = hand(context, builder, kinds, numbers, arguments)
    kind = convention.get_function_type(types.none, kinds)
    called = builder.inttoptr(address, kind.as_pointer())
    status, _ = convention.call_function(builder, called, types.none, kinds, arguments)
    builder.ret(status.code)
    return function


def _parts(
    context: Any, builder: Any, kinds: Any, arguments: Any, first: Any, last: Any, start: Any
) -> list[Any]:
    """The arguments, with the numbers from ``first`` to ``last`` of all vectors; but of the second,
    as many from ``start`` on."""
    begins, parts = iter((first, start)), []
    for kind, argument in zip(kinds, arguments, strict=True):
        part = argument
        if isinstance(kind, types.Array):
            array = context.make_array(kind)(context, builder, argument)
            array.data = builder.gep(array.data, [next(begins, first)])
            array.nitems = builder.sub(last, first)
            array.shape = cgutils.pack_array(builder, [array.nitems])
            part = array._getvalue()
        parts.append(part)
    return parts


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
