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

from minicnn.backends.numpy.arrays import to_numpy as to_numpy

# Below this size NumPy's own allocation is quicker, and the system is not asked.
SMALL = 2**14
# Wide loads and stores like to start at a multiple of so many bytes.
ALIGNMENT = 64
# A free buffer that was not wanted for so many requests goes back to the system when the next new
# one is made: a loop whose shapes never change makes none, and keeps what it has.
PATIENCE = 2000


class Pool:
    """Buffers by size.

    >>> pool = Pool()
    >>> x = pool.empty((100, 1000), np.dtype("float32"))
    >>> address = x.ctypes.data
    >>> y = x[::2]
    >>> del x
    >>> pool.empty((100, 1000), np.dtype("float32")).ctypes.data == address  # y is still there
    False
    >>> del y
    >>> pool.empty((100, 1000), np.dtype("float32")).ctypes.data == address
    True
    """

    def __init__(self) -> None:
        self._buffers: dict[int, list[np.ndarray]] = {}
        self._last_use: dict[int, int] = {}  # by the buffer's id
        self._requests = 0
        self._lock = threading.Lock()
        # What the count is when only the pool holds a buffer depends on the Python version.
        self._free = self._references([np.empty(0, np.uint8)])

    def empty(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """An array with anything in it."""
        size = math.prod(shape) * dtype.itemsize
        if size < SMALL:
            return np.empty(shape, dtype)
        size = _rounded(size) + ALIGNMENT
        with self._lock:
            self._requests += 1
            buffers = self._buffers.setdefault(size, [])
            i = self._first_free(buffers)
            if i is None:
                self._drop_unused()
                i = len(buffers)
                buffers.append(np.empty(size, np.uint8))
            buffer = buffers[i]
            self._last_use[id(buffer)] = self._requests
            offset = -buffer.ctypes.data % ALIGNMENT
            return np.ndarray(shape, dtype, buffer, offset)

    def clear(self) -> None:
        """Give all free memory back to the system."""
        with self._lock:
            self._drop_unused(patience=0)

    @property
    def bytes(self) -> int:
        """How much memory the buffers take, used and free ones."""
        return sum(size * len(buffers) for size, buffers in self._buffers.items())
