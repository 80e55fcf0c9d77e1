"""The matrix product inside a compiled loop: SciPy's BLAS, called by its address.

``np.dot`` inside a Numba function calls the same routine, but takes whole contiguous arrays only
and always overwrites its result. Here matrices may be parts of larger ones, and a product may be
added to what is there: so groups need no copies, and sums over many tiles no second pass.

The address is an argument of every kernel, not a constant in it: it differs from process to
process, while the kernel's machine code is kept on disk.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from minicnn.backends.numba.compiling import compiled


@compiled
def matmul_add(gemm, A, transpose_A, B, transpose_B, C, keep):
    """C = A' B' + keep C, with A' = A or its transpose, and B' likewise.

    Args:
        gemm: the address of ``sgemm`` or ``dgemm``, for the dtype of the matrices.
        A, B, C: matrices whose rows are contiguous.
        keep: 0 to overwrite C, 1 to add to it.

    BLAS counts matrices in columns: what is C here is C^T there, and C^T = B'^T A'^T.
    """
    m, n = C.shape
    k = A.shape[0] if transpose_A else A.shape[1]
    _call(
        gemm,
        transpose_B,
        transpose_A,
        n,
        m,
        k,
        B,
        _row_length(B),
        A,
        _row_length(A),
        keep,
        C,
        _row_length(C),
    )


@compiled
def _row_length(A):
    """From one row to the next. The stride of a single row may be anything."""
    return max(A.strides[0] // A.itemsize, A.shape[1])


@intrinsic
def _call(
    typing_context: Any, gemm, transpose_a, transpose_b, m, n, k, a, lda, b, ldb, beta, c, ldc
):
    """Fortran's gemm: every argument by reference; no checks; the leading 1 for alpha is ours."""
    size, flag = types.intp, types.boolean
    signature = types.void(
        size, flag, flag, size, size, size, a, size, b, size, types.intp, c, size
    )

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        real = context.get_data_type(c.dtype)
        letter, number = ir.IntType(8), ir.IntType(32)

        def by_reference(value: Any) -> Any:
            return cgutils.alloca_once_value(builder, value)

        def transposition(value: Any) -> Any:
            chosen = builder.select(value, letter(ord("T")), letter(ord("N")))
            return by_reference(chosen)

        def integer(value: Any) -> Any:
            return by_reference(builder.trunc(value, number))

        def matrix(kind: Any, value: Any) -> Any:
            return context.make_array(kind)(context, builder, value).data

        address, ta, tb, m, n, k, a, lda, b, ldb, beta, c_, ldc = values
        types_of = signature.args
        arguments = [
            transposition(ta),
            transposition(tb),
            integer(m),
            integer(n),
            integer(k),
            by_reference(real(1.0)),
            matrix(types_of[6], a),
            integer(lda),
            matrix(types_of[8], b),
            integer(ldb),
            by_reference(builder.sitofp(beta, real)),
            matrix(types_of[11], c_),
            integer(ldc),
        ]
        kind = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
        builder.call(builder.inttoptr(address, kind.as_pointer()), arguments)
        return context.get_dummy_value()

    return signature, generate
