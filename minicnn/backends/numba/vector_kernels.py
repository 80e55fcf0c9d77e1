"""Short runs of numbers, 16 at a time: what a compiled loop makes of them is too slow.

The pixels of NHWC images are runs of 3, 6 or 32 channels. Numba's compiler makes good code for long
loops; before a short one it spends more time on finding out whether arrays overlap, and the numbers
that do not fill a vector it takes one by one. Most of these functions take whole vectors of 16 to
the end of a run *and past it*. So

- whatever is written too much must be written again afterwards (fill arrays from front to back),
- arrays that are written need room for CHUNK numbers after their end, and
- arrays that are read must go on for CHUNK numbers after the run; :func:`fits` tells.

The two that multiply stay within their runs. All arrays are flat.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from minicnn.backends.numba.compiling import compiled
from minicnn.backends.numba.product_kernels import Registers

CHUNK = 16


@compiled
def fits(array, i, n):
    """Whether the run of n numbers at i can be read by the functions here."""
    return i + n + CHUNK <= array.size


@intrinsic
def copy_run(typing_context: Any, target, i, source, j, n):
    """target[i : i + n] = source[j : j + n]; returns i + n."""

    def body(vector: Vectors) -> None:
        vector.store(0, 1, vector.load(2, 3))

    return over_runs(body, (target, i, source, j, n))


@intrinsic
def zero_run(typing_context: Any, target, i, n):
    """target[i : i + n] = 0; returns i + n."""

    def body(vector: Vectors) -> None:
        vector.store(0, 1, vector.kind(0)(None))

    return over_runs(body, (target, i, n))


@intrinsic
def maximum_of_taps(typing_context: Any, best, where, i, values, j, rows, down, columns, right, n):
    """The greatest of several runs, number by number, and which one it was; returns i + n.

    The runs begin at j + row * down + column * right in ``values`` and are counted row by row. Of
    equal numbers the first is taken. A NaN is taken, too, and stays: nothing is greater.

    ``best`` and ``where`` are n numbers from i on.
    """

    def body(vector: Vectors) -> None:
        builder = vector.builder
        start, height, down, width, right = vector.values[4:9]
        greatest = _Greatest(vector, start)
        with cgutils.for_range(builder, height) as row, cgutils.for_range(builder, width) as column:
            place = builder.add(start, builder.mul(row.index, down))
            place = builder.add(place, builder.mul(column.index, right))
            greatest.take(place, builder.add(builder.mul(row.index, width), column.index))
        greatest.store()

    return over_runs(body, (best, where, i, values, j, rows, down, columns, right, n))


@intrinsic
def maximum_of_four(typing_context: Any, best, where, i, values, j, down, right, n):
    """:func:`maximum_of_taps` of two rows and two columns, without a loop over them."""

    def body(vector: Vectors) -> None:
        builder = vector.builder
        start, down, right = vector.values[4:7]
        greatest = _Greatest(vector, start)
        for tap in (1, 2, 3):
            place = builder.add(start, right) if tap % 2 else start
            place = builder.add(place, down) if tap >= 2 else place
            greatest.take(place, down.type(tap))
        greatest.store()

    return over_runs(body, (best, where, i, values, j, down, right, n))


class _Greatest:
    """The greatest of some vectors of argument 3, for arguments 0 and 1 from argument 2 on."""

    def __init__(self, vector: Vectors, start: Any):
        self.vector = vector
        self.value = cgutils.alloca_once(vector.builder, vector.kind(0))
        self.tap = cgutils.alloca_once(vector.builder, vector.kind(1))
        vector.builder.store(vector.load_at(3, start), self.value)
        vector.builder.store(vector.kind(1)(None), self.tap)

    def take(self, place: Any, tap: Any) -> None:
        """Take the numbers at a place where they are greater."""
        builder = self.vector.builder
        value, known = self.vector.load_at(3, place), builder.load(self.value)
        greater = builder.fcmp_ordered(">", value, known)
        taken = builder.or_(greater, builder.fcmp_unordered("uno", value, value))
        builder.store(builder.select(taken, value, known), self.value)
        tap = builder.select(greater, self.vector.spread(1, tap), builder.load(self.tap))
        builder.store(tap, self.tap)

    def store(self) -> None:
        self.vector.store(0, 2, self.vector.builder.load(self.value))
        self.vector.store(1, 2, self.vector.builder.load(self.tap))


@intrinsic
def place_maximum(typing_context: Any, target, i, given, where, j, tap, n):
    """target = given where the maximum was at this tap, else 0; returns i + n.

    ``given`` and ``where`` are n numbers from j on, ``target`` from i on.
    """

    def body(vector: Vectors) -> None:
        builder, tap = vector.builder, vector.values[5]
        here = builder.icmp_unsigned("==", vector.load(3, 4), vector.spread(3, tap))
        vector.store(0, 1, builder.select(here, vector.load(2, 4), vector.kind(0)(None)))

    return over_runs(body, (target, i, given, where, j, tap, n))


@intrinsic
def place_positive_maximum(typing_context: Any, target, i, given, where, output, j, tap, n):
    """The same, and 0 where the maximum, n numbers of ``output`` from j on, is not above 0."""

    def body(vector: Vectors) -> None:
        builder, nothing, tap = vector.builder, vector.kind(0)(None), vector.values[6]
        here = builder.icmp_unsigned("==", vector.load(3, 5), vector.spread(3, tap))
        above = builder.fcmp_ordered(">", vector.load(4, 5), nothing)
        vector.store(0, 1, builder.select(builder.and_(here, above), vector.load(2, 5), nothing))

    return over_runs(body, (target, i, given, where, output, j, tap, n))


def _products(sums: int) -> Any:
    """A function that makes so many sums of products beside each other."""

    @intrinsic
    def sums_of_products(
        typing_context, total, i, i_beside, first, f, a, j, j_beside, b, k,
        outer, a_outer, b_outer, inner, a_inner, b_inner, n,
    ):  # fmt: skip
        """total = first + the sum of a b over outer times inner places; returns i + n.

        ``total`` and ``first`` are n numbers from i and from f on. Place (o, t) is n numbers from
        j + o * a_outer + t * a_inner on in ``a``, and likewise from k on in ``b``. Each further sum
        begins i_beside later in ``total`` and j_beside later in ``a``; ``first`` and ``b`` are the
        same for all.
        """

        def body(vector: Vectors) -> None:
            builder = vector.builder
            i, i_beside, f, j, j_beside, k = (vector.values[at] for at in (1, 2, 4, 6, 7, 9))
            outer, a_outer, b_outer, inner, a_inner, b_inner = vector.values[10:16]
            numbers = [i.type(number) for number in range(sums)]
            inside = vector.before_end()
            first = vector.load_inside(3, f, inside)
            totals = [cgutils.alloca_once_value(builder, first) for _ in numbers]
            with cgutils.for_range(builder, outer) as o, cgutils.for_range(builder, inner) as t:
                of_a = vector.place(j, (o.index, a_outer), (t.index, a_inner))
                of_b = vector.place(k, (o.index, b_outer), (t.index, b_inner))
                b = vector.load_inside(8, of_b, inside)
                for number, total in zip(numbers, totals, strict=True):
                    a = vector.load_inside(5, vector.place(of_a, (number, j_beside)), inside)
                    builder.store(vector.multiply_add(a, b, builder.load(total)), total)
            for number, total in zip(numbers, totals, strict=True):
                place = vector.place(i, (number, i_beside))
                vector.store_inside(0, place, builder.load(total), inside)

        steps = (outer, a_outer, b_outer, inner, a_inner, b_inner)
        return over_runs(body, (total, i, i_beside, first, f, a, j, j_beside, b, k, *steps, n))

    return sums_of_products


# A processor can work on one sum while it waits for the others.
SUMS = 4
sum_of_products, sums_of_products = _products(1), _products(SUMS)


class Vectors:
    """Vectors of CHUNK numbers, ``offset`` after where a run begins, in the arguments' arrays."""

    def __init__(self, context: Any, builder: Any, kinds: Any, values: Any, offset: Any):
        self.context, self.builder = context, builder
        self.kinds, self.values, self.offset = kinds, values, offset

    def kind(self, array: int) -> Any:
        """The vector type for an array, which is given by its place among the arguments."""
        return ir.VectorType(self.context.get_data_type(self.kinds[array].dtype), CHUNK)

    def load(self, array: int, start: int) -> Any:
        """The vector in an array at a start (both given by their places)."""
        return self.load_at(array, self.values[start])

    def load_at(self, array: int, start: Any) -> Any:
        return self.builder.load(self._at(array, start), align=self._alignment(array))

    def store(self, array: int, start: int, vector: Any) -> None:
        self.store_at(array, self.values[start], vector)

    def store_at(self, array: int, start: Any, vector: Any) -> None:
        self.builder.store(vector, self._at(array, start), align=self._alignment(array))

    def before_end(self) -> Any:
        """Which numbers of the vector belong to the run."""
        return self._registers(0).before_end(self.builder.sub(self.values[-1], self.offset), 0)

    def load_inside(self, array: int, start: Any, inside: Any) -> Any:
        """The vector at a start; zeros where it goes on after the run."""
        return self._registers(array).load(self._number(array, start), 0, inside)

    def store_inside(self, array: int, start: Any, vector: Any, inside: Any) -> None:
        self._registers(array).store(vector, self._number(array, start), 0, inside)

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """a b + c."""
        return self._registers(0).multiply_add(a, b, c)

    def place(self, start: Any, *steps: tuple[Any, Any]) -> Any:
        """``start`` plus the product of each pair."""
        for index, step in steps:
            start = self.builder.add(start, self.builder.mul(index, step))
        return start

    def _registers(self, array: int) -> Registers:
        return Registers(self.builder, self.kind(array).element, CHUNK)

    def spread(self, array: int, number: Any) -> Any:
        """A whole number, 16 times, in the type of an array."""
        kind = self.kind(array)
        value = self.builder.trunc(number, kind.element)
        vector = self.builder.insert_element(kind(ir.Undefined), value, ir.IntType(32)(0))
        zeros = ir.VectorType(ir.IntType(32), CHUNK)(None)
        return self.builder.shuffle_vector(vector, kind(ir.Undefined), zeros)

    def _alignment(self, array: int) -> int:
        return self.context.get_abi_sizeof(self.kind(array).element)

    def _at(self, array: int, start: Any) -> Any:
        return self.builder.bitcast(self._number(array, start), self.kind(array).as_pointer())

    def _number(self, array: int, start: Any) -> Any:
        data = self.context.make_array(self.kinds[array])(
            self.context, self.builder, self.values[array]
        ).data
        return self.builder.gep(data, [self.builder.add(start, self.offset)])


def over_runs(body: Callable[[Vectors], None], arguments: tuple[Any, ...]) -> Any:
    """Signature and code of a loop over the chunks of runs, whose length is the last argument.

    Returns the end of the run in the first array: the first whole number among the arguments, plus
    the length.
    """
    kinds = [types.intp if isinstance(a, types.Integer) else a for a in arguments]

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        zero, step = (context.get_constant(types.intp, number) for number in (0, CHUNK))
        with cgutils.for_range_slice(builder, zero, values[-1], step) as (offset, _):
            body(Vectors(context, builder, signature.args, values, offset))
        return builder.add(values[kinds.index(types.intp)], values[-1])

    return types.intp(*kinds), generate
