"""One function of cuBLAS, called directly.

CuPy's own matrix products cannot be recorded in a CUDA graph: each call sets cuBLAS's stream anew,
which CuPy refuses while a stream is being captured (github.com/cupy/cupy/issues/6290). Here the
stream is set once, and so is the workspace, without which each recorded product would allocate its
own (the library's documentation, "CUDA Graphs Support").

cuBLAS stores matrices by columns. A matrix stored by rows is, read by columns, its transpose; so
for out = a b by rows it is asked for out^T = b^T a^T by columns: the factors change places, and
nothing has to be transposed.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

# cublasOperation_t, cudaDataType_t, cublasComputeType_t, cublasGemmAlgo_t of library_types.h and
# cublas_api.h.
FLOAT, DOUBLE = 0, 1
COMPUTE_FLOAT, COMPUTE_DOUBLE, COMPUTE_TF32 = 68, 70, 77
DEFAULT_ALGORITHM = -1

WORKSPACE_BYTES = 32 * 2**20  # what the documentation recommends for Hopper


class Cublas:
    """A handle of cuBLAS.

    Args:
        library: cuBLAS, loaded.
        stream: the address of the stream that all products run on.
        workspace: the address of ``WORKSPACE_BYTES`` bytes on the device.

    Attributes:
        tf32: whether float32 products are computed in TensorFloat-32 on the tensor cores: several
            times as fast, with 10 bits of mantissa instead of 23. Off unless switched on.

    Raises:
        RuntimeError: if the library refuses.
    """

    def __init__(self, library: Any, stream: int, workspace: int):
        self.library, self.tf32 = library, False
        self.handle = ctypes.c_void_p()
        pointer, number = ctypes.c_void_p, ctypes.c_int
        library.cublasGemmEx.argtypes = [
            pointer, number, number, number, number, number, pointer,
            pointer, number, number, pointer, number, number,
            pointer, pointer, number, number, number, number,
        ]  # fmt: skip
        self._call("cublasCreate_v2", ctypes.byref(self.handle))
        self._call("cublasSetStream_v2", self.handle, pointer(stream))
        # Setting the stream takes the workspace away, so that comes second.
        self._call(
            "cublasSetWorkspace_v2",
            self.handle,
            pointer(workspace),
            ctypes.c_size_t(WORKSPACE_BYTES),
        )

    def gemm(
        self,
        a: Any,
        b: Any,
        out: Any,
        flags: tuple[bool, bool, bool],
        address: Callable[[Any], int],
    ) -> None:
        """out = op(a) op(b), or out += op(a) op(b); matrices of one dtype, stored by rows.

        Args:
            a, b, out: arrays whose shapes fit together, none of them empty.
            flags: whether a and b are transposed, and whether to add to ``out``.
            address: where an array's numbers start.
        """
        transpose_a, transpose_b, accumulate = flags
        (m, n), inner = out.shape, a.shape[0 if transpose_a else 1]
        if out.dtype == np.float32:
            kind, compute = FLOAT, COMPUTE_TF32 if self.tf32 else COMPUTE_FLOAT
            one, rest = ctypes.c_float(1), ctypes.c_float(accumulate)
        else:
            kind, compute = DOUBLE, COMPUTE_DOUBLE
            one, rest = ctypes.c_double(1), ctypes.c_double(accumulate)
        self._call(
            "cublasGemmEx", self.handle, int(transpose_b), int(transpose_a), n, m, inner,
            ctypes.addressof(one), address(b), kind, row_length(b), address(a), kind, row_length(a),
            ctypes.addressof(rest), address(out), kind, row_length(out), compute, DEFAULT_ALGORITHM,
        )  # fmt: skip

    def _call(self, name: str, *args: Any) -> None:
        status = getattr(self.library, name)(*args)
        if status:
            raise RuntimeError(f"{name} failed with status {status} (cublasStatus_t)")


def row_length(x: Any) -> int:
    """How many numbers lie from the start of one row of a matrix to that of the next.

    >>> row_length(np.zeros((4, 6))[:, 2:4])
    6

    Raises:
        ValueError: if the numbers of a row do not lie side by side.
    """
    (rows, columns), (down, across) = x.shape, x.strides
    step = down // x.itemsize if rows > 1 else columns
    if (columns > 1 and across != x.itemsize) or step < columns:
        raise ValueError(
            f"gemm: a matrix {tuple(x.shape)} with strides {tuple(x.strides)} is not stored by rows"
        )
    return step
