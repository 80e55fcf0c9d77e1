"""Arrays of this floor are NumPy's, in memory that is used again.

Fresh memory is slow: the system hands it out in pages of 4 KiB, and the first touch of each page
costs about as much as computing what goes into it. So results live in buffers from a pool. A buffer
is free again as soon as nobody holds an array in it, which Python's reference count tells: every
view of a buffer, and every view of a view, holds the buffer itself.
"""

from __future__ import annotations

import math
import sys
import threading
from typing import Any

import numpy as np

from minicnn.backends import numpy as textbook
from minicnn.backends.numba.threads import Kernels, crew, launch
from minicnn.backends.numpy.arrays import to_numpy as to_numpy

kernels = Kernels("arrays_kernels")

# Below this size NumPy's own allocation is quicker, and the system is not asked.
SMALL = 2**14
# Wide loads and stores like to start at a multiple of so many bytes.
ALIGNMENT = 64
# So many bytes a core copies in a nanosecond, from anywhere in memory.
BYTES = 8
# A free buffer that was not wanted for so many requests goes back to the system when the next new
# one is made: a loop whose shapes never change makes none, and keeps what it has.
PATIENCE = 2000


class _Buffer:
    """Raw memory, where in it the first aligned byte is, and the request that last got it."""

    __slots__ = ("last_request", "memory", "offset")

    def __init__(self, size: int):
        self.memory = np.empty(size + ALIGNMENT, np.uint8)
        self.offset = -self.memory.ctypes.data % ALIGNMENT
        self.last_request = 0

    def references(self) -> int:
        return sys.getrefcount(self.memory)


# What the count is when nobody but the buffer itself holds the memory; it depends on the Python.
_UNUSED = _Buffer(0).references()


class Pool:
    """Buffers by size.

    >>> pool, shape = Pool(), (100, 1000)
    >>> x = pool.empty(shape, "float32")
    >>> address, y = x.ctypes.data, x[::2]
    >>> del x
    >>> pool.empty(shape, "float32").ctypes.data == address  # y is still there
    False
    >>> del y
    >>> pool.empty(shape, "float32").ctypes.data == address
    True
    """

    def __init__(self) -> None:
        self._buffers: dict[int, list[_Buffer]] = {}
        self._requests = 0
        self._lock = threading.Lock()

    def empty(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """An array with anything in it."""
        dtype = np.dtype(dtype)
        size = math.prod(shape) * dtype.itemsize
        if size < SMALL:
            return np.empty(shape, dtype)
        size = _rounded(size)
        with self._lock:
            self._requests += 1
            for buffer in self._buffers.get(size, ()):
                if buffer.references() == _UNUSED:
                    break
            else:
                self._release(self._requests - PATIENCE)
                buffer = _Buffer(size)
                self._buffers.setdefault(size, []).append(buffer)
            buffer.last_request = self._requests
            return np.ndarray(shape, dtype, buffer.memory, buffer.offset)

    def clear(self) -> None:
        """Give all memory that nobody uses back to the system."""
        with self._lock:
            self._release(self._requests)

    @property
    def size(self) -> int:
        """The bytes in all buffers, used and free ones."""
        with self._lock:
            return sum(size * len(buffers) for size, buffers in self._buffers.items())

    def _release(self, last_request: int) -> None:
        """Forget the free buffers that no request after this one got."""
        for size, buffers in list(self._buffers.items()):
            buffers[:] = [
                buffer
                for buffer in buffers
                if buffer.last_request > last_request or buffer.references() != _UNUSED
            ]
            if not buffers:
                del self._buffers[size]


def _rounded(size: int) -> int:
    """``size``, rounded up by at most an eighth, so that similar sizes can share buffers.

    >>> _rounded(2**20), _rounded(2**20 + 1) - 2**20
    (1048576, 131072)
    """
    step = 2 ** max(0, size.bit_length() - 4)
    return -(-size // step) * step


pool = Pool()
empty = pool.empty


def asarray(x: Any, dtype: Any = None) -> np.ndarray:
    """``x`` as an array of this floor; a copy only where the dtype (or the kind) must change.

    >>> asarray([1, 2], "float32")
    array([1., 2.], dtype=float32)
    """
    x = np.asarray(x)
    if dtype is None or x.dtype == dtype:
        return x
    y = empty(x.shape, dtype)
    np.copyto(y, x, casting="unsafe")
    return y


def take(x: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """The textbook's ``take``, on all cores.

    In the order of an epoch the samples lie anywhere in memory. Two cores wait for them little more
    than half as long as one.
    """
    flags, size = x.flags, x.itemsize * math.prod(x.shape[1:])
    if len(samples) * size < SMALL or not (flags.c_contiguous and flags.writeable):
        return textbook.take(x, samples)
    y = empty((len(samples), *x.shape[1:]), x.dtype)
    source, target = (a.reshape(len(a), -1).view(np.uint8) for a in (x, y))
    launch(kernels.take, crew(target.size // BYTES), source, samples, target)
    return y


def contiguous(x: np.ndarray) -> np.ndarray:
    """``x`` in one run of memory, as the kernels want it: itself if it is, else a copy.

    Numba would compile its kernels a second time for arrays that must not be written to.
    """
    flags = x.flags
    if flags.c_contiguous and flags.writeable:
        return x
    y = empty(x.shape, x.dtype)
    np.copyto(y, x)
    return y


def rows(x: np.ndarray) -> np.ndarray:
    """All axes but the last in one, in one run of memory."""
    x = contiguous(x)
    return x if x.ndim == 2 else x.reshape(-1, x.shape[-1])


def alike(*arrays: np.ndarray | None) -> bool:
    """Whether the kernels can take these arrays: all float32 or all float64, and not empty.

    For anything else, and for what gains nothing, the operations of this floor are the textbook's.
    """
    dtype = arrays[0].dtype
    for array in arrays:
        if array is not None and (array.dtype != dtype or not array.size):
            return False
    return dtype.char in "fd"
