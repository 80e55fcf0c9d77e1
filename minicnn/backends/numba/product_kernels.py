"""The matrix product by hand: a tile of the result stays in registers while its sums grow.

A core multiplies and adds two vectors of numbers at a time, but fetches only about as many. So each
number that was fetched has to serve several products. For a tile of 12 rows and 2 vectors of
columns, one step of the sum over k takes 12 numbers of A and 2 vectors of B, and makes 24 products
of vectors: C_tile += a_k b_k^T, the outer product of a column of A and a row of B. That is the
"micro-kernel" of Goto and van de Geijn, Anatomy of High-Performance Matrix Multiplication, ACM
TOMS 34(3), 2008.

BLAS is made of the same, for large matrices. What a convolution multiplies at a time is small, and
lies in the image as windows that overlap, which BLAS cannot read. Here A may have any strides, so
that neither windows nor a transpose need a copy; rows of B are contiguous.
Every number of C is the same sum in the same order, however C is divided among cores.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic

from minicnn.backends.numba.compiling import call, compiled

_features = numba.config.CPU_FEATURES or get_host_cpu_features()
# The bytes of a vector, and how many vectors the registers of a core hold.
if "+avx512f" in _features:
    VECTOR, REGISTERS = 64, 32
elif "+avx" in _features:
    VECTOR, REGISTERS = 32, 16
else:
    VECTOR, REGISTERS = 16, 32 if platform.machine().lower() in ("arm64", "aarch64") else 16
# Of a tile, which has 2 vectors of columns. A few registers are left for A and B.
ROWS = 12 if REGISTERS == 32 else 6
# What is left of A is dealt with in tiles of 9 rows if they fit, 4, 3, 2 and 1. A row of a 3x3
# window on 3 colours has 9 numbers.
NINE = min(9, ROWS)
# So many terms of the sums at a time: what they take of B stays in the core's first cache.
TERMS = 256
# If A has so many rows, the first tile leaves a copy of its columns of B to the others. Rows that
# lie far apart share few places in the cache; side by side, they fit.
MANY = 60


@compiled
def matmul_add(product, A, B, C, keep):
    """C = A B + keep C.

    Args:
        product: the address of :func:`product`, compiled for the dtype of the matrices.
        A: (m, k), with any strides.
        B, C: (k, n), (m, n), whose rows are contiguous.
        keep: 0 to overwrite C, 1 to add to it.
    """
    down, along = A.strides[0] // A.itemsize, A.strides[1] // A.itemsize
    _multiply(product, _pointer(A), down, along, 0, 1, B, C, keep)


@compiled
def windows_add(product, x, start, down, along, over, times, B, C, keep):
    """C = A B + keep C, where A are windows on an array.

    Args:
        product, B, C, keep: as for :func:`matmul_add`.
        x: a flat array. A[i, o * k + t] is x[start + i * down + o * over + t * along].
        times: o is smaller than this.
    """
    _multiply(product, _at(_pointer(x), start), down, along, over, times, B, C, keep)


@compiled
def _multiply(product, a, down, along, over, times, B, C, keep):
    b, row_of_B = _pointer(B), B.strides[0] // B.itemsize
    c, row_of_C = _pointer(C), C.strides[0] // C.itemsize
    m, n = C.shape
    terms = len(B) // times
    call(product, (a, down, along, over, b, row_of_B, c, row_of_C, m, n, terms, times, keep))


@compiled
def product(A, down, along, over, B, row_of_B, C, row_of_C, m, n, k, times, keep):
    """C = A B + keep C, for matrices given by where they begin.

    Args:
        A: (m, times * k): number (i, o * k + t) is at i * down + o * over + t * along.
        B, C: (times * k, n), (m, n), with the strides of their rows.
    """
    lanes, first = lanes_of(C), 0
    space = _space(C)
    while first < k or (k == 0 and keep == 0):
        terms = min(TERMS, k - first)
        sums = terms, times, k * row_of_B, keep, space
        a, b = _at(A, first * along), _at(B, first * row_of_B)
        for j in range(0, n, 2 * lanes):
            columns, b_, c_ = n - j, _at(b, j), _at(C, j)
            if columns >= 2 * lanes:
                copies = m >= MANY and times == 1 and n > 2 * lanes
                _whole(a, down, along, over, b_, row_of_B, c_, row_of_C, m, columns, *sums, copies)
            elif columns > lanes:
                _last(a, down, along, over, b_, row_of_B, c_, row_of_C, m, columns, *sums, False)
            else:
                _few(a, down, along, over, b_, row_of_B, c_, row_of_C, m, columns, *sums, False)
        first, keep = first + max(terms, 1), 1


def _columns_of_tiles(vectors: int, whole: bool) -> Callable:
    """A function for as many columns of C as so many vectors hold, or not ``whole``, for less."""
    all_rows, nine, four, three, two, one = (
        _tile(rows, vectors, whole) for rows in (ROWS, NINE, 4, 3, 2, 1)
    )
    copying = _tile(ROWS, vectors, whole, copies=whole)

    @compiled
    def columns_of_tiles(
        A, down, along, over, B, row_of_B, C, row_of_C, m, columns, terms, times, next_B, keep,
        space, copies,
    ):  # fmt: skip
        i = 0
        sums = columns, terms, times, next_B, keep, space
        if copies:
            copying(A, down, along, over, B, row_of_B, C, row_of_C, *sums)
            i, B, row_of_B = ROWS, space, vectors * lanes_of(C)
        while i < m:
            a, c, left = _at(A, i * down), _at(C, i * row_of_C), m - i
            if left >= ROWS:
                all_rows(a, down, along, over, B, row_of_B, c, row_of_C, *sums)
                i += ROWS
            elif left >= NINE:
                nine(a, down, along, over, B, row_of_B, c, row_of_C, *sums)
                i += NINE
            elif left >= 4:
                four(a, down, along, over, B, row_of_B, c, row_of_C, *sums)
                i += 4
            elif left == 3:
                three(a, down, along, over, B, row_of_B, c, row_of_C, *sums)
                i += 3
            elif left == 2:
                two(a, down, along, over, B, row_of_B, c, row_of_C, *sums)
                i += 2
            else:
                one(a, down, along, over, B, row_of_B, c, row_of_C, *sums)
                i += 1

    return columns_of_tiles


def _tile(rows: int, vectors: int, whole: bool, copies: bool = False) -> Callable:
    """C = A B + keep C for one tile: what LLVM is to make of it, as it would not find it out.

    With ``copies``, B is left in ``space``, its rows side by side.
    """

    @intrinsic
    def tile(
        typing_context, A, down, along, over, B, row_of_B, C, row_of_C,
        columns, terms, times, next_B, keep, space,
    ):  # fmt: skip
        size = types.intp
        signature = types.void(A, size, size, size, B, size, C, *(size,) * 6, space)

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            A, down, along, over, B, row_of_B, C, row_of_C = values[:8]
            columns, terms, times, next_B, keep, space = values[8:]
            lanes = VECTOR * 8 // signature.args[6].dtype.bitwidth
            vector = Registers(builder, context.get_data_type(signature.args[6].dtype), lanes)
            n = range(vectors)
            inside = [None if whole else vector.before_end(columns, j) for j in n]
            sums = [[cgutils.alloca_once(builder, vector.type) for _ in n] for _ in range(rows)]
            starts = [builder.mul(row_of_C, row_of_C.type(i)) for i in range(rows)]
            for i in range(rows):
                for j in n:
                    builder.store(vector.zero, sums[i][j])
            downs = [builder.mul(down, down.type(i)) for i in range(rows)]
            count = cgutils.for_range
            with count(builder, times) as outer, count(builder, terms) as inner:
                of_B = builder.mul(outer.index, next_B), builder.mul(inner.index, row_of_B)
                row = builder.gep(B, [builder.add(*of_B)])
                of_A = builder.mul(outer.index, over), builder.mul(inner.index, along)
                column = builder.gep(A, [builder.add(*of_A)])
                b = [vector.load(row, j, inside[j]) for j in n]
                if copies:
                    start = builder.mul(inner.index, inner.index.type(vectors * lanes))
                    for j in n:
                        vector.store(b[j], builder.gep(space, [start]), j, None)
                for i in range(rows):
                    a = vector.filled(builder.load(builder.gep(column, [downs[i]])))
                    for j in n:
                        total = vector.multiply_add(a, b[j], builder.load(sums[i][j]))
                        builder.store(total, sums[i][j])
            # C comes last: of a sum of many terms, blocks are summed up first, which rounds less.
            with builder.if_then(cgutils.is_not_null(builder, keep)):
                for i in range(rows):
                    for j in n:
                        c = vector.load(builder.gep(C, [starts[i]]), j, inside[j])
                        builder.store(builder.fadd(c, builder.load(sums[i][j])), sums[i][j])
            for i in range(rows):
                for j in n:
                    total = builder.load(sums[i][j])
                    vector.store(total, builder.gep(C, [starts[i]]), j, inside[j])
            return context.get_dummy_value()

        return signature, generate

    return tile


class Registers:
    """Instructions on vectors of numbers, each as long as a register.

    Args:
        number: the type of a number.
        lanes: how many a vector has.
    """

    def __init__(self, builder: Any, number: Any, lanes: int):
        self.builder, self.number, self.lanes = builder, number, lanes
        self.type = ir.VectorType(number, lanes)
        self.zero = self.type([0.0] * lanes)
        self.suffix = f"v{lanes}f{32 if isinstance(number, ir.FloatType) else 64}"

    def filled(self, value: Any) -> Any:
        """A vector of the same number everywhere."""
        kind = ir.VectorType(value.type, self.lanes)
        index = ir.IntType(32)
        first = self.builder.insert_element(kind(ir.Undefined), value, index(0))
        everywhere = ir.VectorType(index, self.lanes)([0] * self.lanes)
        return self.builder.shuffle_vector(first, kind(ir.Undefined), everywhere)

    def before_end(self, columns: Any, j: int) -> Any:
        """Which numbers of vector ``j`` of a row come before the end of the row."""
        size = columns.type
        places = [size(j * self.lanes + i) for i in range(self.lanes)]
        places = ir.VectorType(size, self.lanes)(places)
        return self.builder.icmp_signed("<", places, self.filled(columns))

    def load(self, row: Any, j: int, inside: Any) -> Any:
        """Vector ``j`` of a row; zeros outside."""
        if inside is None:
            return self.builder.load(self._place(row, j), align=self._alignment)
        kinds = [self.type.as_pointer(), ir.IntType(32), inside.type, self.type]
        load = self._instruction("llvm.masked.load.{}.p0", self.type, kinds)
        alignment = ir.IntType(32)(self._alignment)
        return self.builder.call(load, [self._place(row, j), alignment, inside, self.zero])

    def store(self, value: Any, row: Any, j: int, inside: Any) -> None:
        """Put it to vector ``j`` of a row, leaving alone what is outside."""
        if inside is None:
            self.builder.store(value, self._place(row, j), align=self._alignment)
            return
        kinds = [self.type, self.type.as_pointer(), ir.IntType(32), inside.type]
        store = self._instruction("llvm.masked.store.{}.p0", ir.VoidType(), kinds)
        alignment = ir.IntType(32)(self._alignment)
        self.builder.call(store, [value, self._place(row, j), alignment, inside])

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """a b + c, rounded once where the core can."""
        instruction = self._instruction("llvm.fmuladd.{}", self.type, [self.type] * 3)
        return self.builder.call(instruction, [a, b, c])

    def _place(self, row: Any, j: int) -> Any:
        start = self.builder.gep(row, [ir.IntType(64)(j * self.lanes)])
        return self.builder.bitcast(start, self.type.as_pointer())

    @property
    def _alignment(self) -> int:
        return 4 if isinstance(self.number, ir.FloatType) else 8

    def _instruction(self, name: str, result: Any, arguments: list[Any]) -> Any:
        kind = ir.FunctionType(result, arguments)
        name = name.format(self.suffix)
        return cgutils.get_or_insert_function(self.builder.module, kind, name)


@intrinsic
def _pointer(typing_context: Any, array):
    """Where an array begins."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return context.make_array(signature.args[0])(context, builder, values[0]).data

    return types.CPointer(array.dtype)(array), generate


@intrinsic
def _at(typing_context: Any, pointer, distance):
    """So many numbers further on."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.gep(values[0], [values[1]])

    return pointer(pointer, types.intp), generate


@intrinsic
def _space(typing_context: Any, pointer):
    """Room for TERMS rows of two vectors, on the stack."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        number = context.get_data_type(signature.args[0].dtype)
        size = TERMS * 2 * VECTOR * 8 // signature.args[0].dtype.bitwidth
        return cgutils.alloca_once(builder, number, size=size)

    return pointer(pointer), generate


@intrinsic
def lanes_of(typing_context: Any, numbers):
    """How many of these numbers, an array or a pointer to it, a vector holds."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return context.get_constant(types.intp, VECTOR * 8 // numbers.dtype.bitwidth)

    return types.intp(numbers), generate


_whole = _columns_of_tiles(2, whole=True)
_last = _columns_of_tiles(2, whole=False)
_few = _columns_of_tiles(1, whole=False)
