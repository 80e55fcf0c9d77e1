"""The narrow door to the GPU: everything that this floor asks of a device goes through this file.

A *door* is an object that can

- run a kernel: ``kernel(file, name, dtype)`` gives a function of ``(grid, block, arguments)``;
- multiply matrices: ``gemm``, with ``tf32`` or without;
- keep arrays: ``empty``, ``asarray``, ``to_numpy``, ``address``;
- record: between ``begin_capture`` and ``end_capture`` nothing is carried out but noted down, and
  ``replay`` carries out what was noted; ``private_memory`` is where recorded steps have their
  arrays.

There are two. :class:`minicnn.backends.cupy.cuda.Cuda` is the one to a GPU, opened when an
operation first needs it. The tests put a stand-in into its place (:func:`install`), which runs the
same kernels on a CPU. The operations beside this file know neither; they call the functions below.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

BLOCK = 256
"""How many threads a block has."""

MAX_BLOCKS = 2**16
"""How many blocks a launch has at most; beyond that, a thread does several elements."""

INT_LIMIT = 2**31 - 1
"""Kernels that divide places into rows and columns count them in 32 bits."""

_door: Any = None


def door() -> Any:
    """The door in use; the first call opens the one to the GPU.

    Raises:
        RuntimeError: if there is no usable GPU; it says what is missing and what to install.
    """
    if _door is None:
        prepare()
    return _door


def install(new: Any) -> Any:
    """Put a door in place (``None``: the next call opens the GPU's); returns the one before."""
    global _door
    before, _door = _door, new
    return before


def prepare(index: int | None = None) -> None:
    """Open the door to a GPU now, as ``minicnn.backend.use("cupy")`` and ``use("cupy:1")`` do.

    Args:
        index: which GPU; by default the first.

    Raises:
        RuntimeError: if it cannot be used, or another one is in use already: arrays of two GPUs
            cannot be mixed, so that a process has one.
    """
    if _door is None:
        from minicnn.backends.cupy.cuda import Cuda

        install(Cuda(index))
    elif index is not None and index != _door.index:
        raise RuntimeError(
            f'the backend "cupy:{index}" cannot be used: this process computes on '
            f'"cupy:{_door.index}", and has one GPU; start another process for the other one'
        )


def set_tf32(enabled: bool) -> None:
    """Choose whether float32 matrix products are computed in TensorFloat-32, which is off at first.

    The tensor cores of GPUs since 2020 do that several times as fast, with 10 bits of mantissa for
    the factors instead of 23: results differ in the third or fourth digit.
    """
    door().tf32 = bool(enabled)


# -- arrays -----------------------------------------------------------------------------------


def empty(shape: Any, dtype: Any) -> Any:
    """A new array in C order; what is in it is not known."""
    return door().empty(shape, dtype)


def is_array(x: Any) -> bool:
    """Whether ``x`` lies on the device."""
    return hasattr(x, "__array_function__") and not isinstance(x, (np.ndarray, np.generic))


def ready(*arrays: Any) -> list[Any]:
    """Arrays as kernels want them: of one dtype, in C order. ``None`` stays ``None``.

    Raises:
        TypeError: if one does not lie on the device, or the common dtype is not floating-point.
    """
    given = [array for array in arrays if array is not None]
    for array in given:
        if not is_array(array):
            raise TypeError(
                f"expected an array of the GPU, got {type(array).__name__}; "
                "minicnn.backends.cupy.asarray brings it there"
            )
    dtype = given[0].dtype
    if any(array.dtype != dtype for array in given):
        dtype = np.result_type(*(array.dtype for array in given))
    return [None if array is None else contiguous(array, dtype) for array in arrays]


def contiguous(x: Any, dtype: Any = None) -> Any:
    """``x`` in C order and of ``dtype``; a copy only where it is not."""
    if dtype is not None and x.dtype != dtype:
        x = x.astype(dtype)
    return x if x.flags.c_contiguous else x.copy(order="C")


def packed(size: int, *arrays: Any) -> bool:
    """Whether kernels may move four numbers at once: ``size``, the length of the runs, is a
    multiple of 4, and all arrays start at a multiple of 16 bytes."""
    address = door().address
    return size % 4 == 0 and all(a is None or address(a) % 16 == 0 for a in arrays)


def slices(images: int, per_image: int, limit: int | None = None) -> Iterator[slice]:
    """A batch in slices of so many images that none has more than ``limit`` elements (one image
    may have more); by default as many as 32 bits can count.

    >>> list(slices(5, 10, 25))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    size = max(1, (limit or INT_LIMIT) // max(1, per_image))
    for start in range(0, images, size):
        yield slice(start, min(start + size, images))


# -- kernels ----------------------------------------------------------------------------------


class Kernels:
    """The kernels of one file.

    Args:
        file: its name without ``.cu``.
    """

    def __init__(self, file: str):
        self.file = file

    def launch(
        self, name: str, dtype: Any, grid: tuple[int, ...], block: tuple[int, ...], *args: Any
    ) -> None:
        """Run a kernel, compiled for ``dtype``.

        Args:
            grid, block: how many blocks there are, and threads in each; no blocks is no launch.
            args: arrays; ``None`` for a null pointer; Python's int, bool and float for the kernel's
                int, int and real; numbers of NumPy for its other types.

        Raises:
            ValueError: if an array is not in C order; a kernel would read past its end.
            OverflowError: if an int does not fit into 32 bits.
        """
        if 0 in grid:
            return
        dtype = np.dtype(dtype)
        run = door().kernel(self.file, name, dtype)
        run(grid, block, tuple([_argument(arg, dtype.type, name) for arg in args]))

    def each(self, name: str, dtype: Any, count: int, *args: Any) -> None:
        """Run a kernel with a thread for each of ``count`` elements (``EACH``)."""
        self.launch(name, dtype, (min(-(-count // BLOCK), MAX_BLOCKS),), (BLOCK,), *args)

    def rows(self, name: str, dtype: Any, rows: int, columns: int, *args: Any) -> None:
        """Run a kernel over a matrix (``EACH_ROW``) of ``columns`` elements a row."""
        across = min(32, power_of_two(columns))
        down = BLOCK // across
        self.launch(name, dtype, (min(-(-rows // down), MAX_BLOCKS),), (across, down), *args)

    def warps(self, name: str, dtype: Any, rows: int, *args: Any) -> None:
        """Run a kernel with a warp for each row of a matrix."""
        self.launch(name, dtype, (min(-(-rows // 4), MAX_BLOCKS),), (32, 4), *args)


def _argument(arg: Any, real: type, kernel: str) -> Any:
    if arg is None or isinstance(arg, np.generic):
        return arg
    if isinstance(arg, float):
        return real(arg)
    if isinstance(arg, int):  # or bool
        return np.int32(arg)
    if not is_array(arg):
        raise TypeError(f"kernel {kernel}: expected an array of the GPU, got {type(arg).__name__}")
    if not arg.flags.c_contiguous:
        raise ValueError(f"kernel {kernel}: an array of shape {arg.shape} is not in C order")
    return arg


def power_of_two(n: int) -> int:
    """The smallest power of two that is not less than ``n``.

    >>> [power_of_two(n) for n in (1, 3, 8, 9)]
    [1, 4, 8, 16]
    """
    return 1 << max(n - 1, 0).bit_length()


def down_columns(rows: int, columns: int) -> tuple[tuple[int, int], tuple[int, int], int]:
    """How the columns of a matrix are summed: ``(grid, block, slabs)``.

    A function of the shape alone, so that the order of the sum is the same on every GPU. A thread
    has at least 16 rows before another slab is opened, and 512 blocks are enough.
    """
    across = min(32, power_of_two(columns))
    down = min(BLOCK // across, power_of_two(rows))
    tiles = -(-columns // across)
    slabs = max(1, min(rows // (16 * down), 512 // tiles))
    return (tiles, slabs), (across, down), slabs


def merging(slabs: int, columns: int) -> tuple[tuple[int], tuple[int, int]]:
    """How what the slabs leave is summed, (slabs, columns) -> (columns,): ``(grid, block)``.

    Many slabs are summed by many threads a column; few, by a few, for more columns.
    """
    across = min(8 if slabs > 32 else 32, power_of_two(columns))
    return (-(-columns // across),), (across, min(BLOCK // across, power_of_two(slabs)))


# -- matrix products --------------------------------------------------------------------------


def gemm(
    a: Any,
    b: Any,
    out: Any,
    transpose_a: bool = False,
    transpose_b: bool = False,
    accumulate: bool = False,
) -> None:
    """out = op(a) op(b), or out += op(a) op(b), with op(x) = x or its transpose.

    Args:
        a, b, out: matrices of one dtype, float32 or float64. Rows may lie apart, as in a slice of
            columns; the numbers of a row lie side by side.
        accumulate: add to ``out``.

    Raises:
        ValueError: if the shapes do not fit together, or a matrix is laid out in another way.
    """
    m, inner = a.shape[::-1] if transpose_a else a.shape
    also_inner, n = b.shape[::-1] if transpose_b else b.shape
    if inner != also_inner or out.shape != (m, n):
        raise ValueError(
            f"gemm: ({m}, {inner}) times ({also_inner}, {n}) does not make {tuple(out.shape)}"
        )
    if m == 0 or n == 0:
        return
    if inner == 0:
        if not accumulate:
            out.fill(0)
        return
    if not a.dtype == b.dtype == out.dtype:
        raise ValueError(f"gemm: expected one dtype, got {a.dtype}, {b.dtype} and {out.dtype}")
    door().gemm(a, b, out, (transpose_a, transpose_b, accumulate))
