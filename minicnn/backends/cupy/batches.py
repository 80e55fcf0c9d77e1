"""Batches out of a data set that lies on the GPU, in any order."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn.backends.cupy import device

KERNELS = device.Kernels("batches")
SHARE = 0.5
"""How much of the free memory a data set may take."""

PIECE = 2**23
"""So many bytes are brought there at a time: they go through memory that is never given back."""


class Resident:
    """Arrays with the samples along their first axis, brought to the GPU once.

    Bytes stay bytes there and become real numbers when a batch is made of them: a data set of
    images takes a quarter of the room.

    Args:
        arrays: NumPy arrays, or ``None``. Whole numbers that are no bytes are kept as int32, which
            labels are.
        dtype: what bytes and other real numbers become.
    """

    def __init__(self, arrays: list[Any], dtype: Any):
        self.dtype = np.dtype(dtype)
        self.arrays = [None if array is None else self._brought(array) for array in arrays]
        self.samples = next(len(array) for array in arrays if array is not None)
        self.shuffle(None)

    def _brought(self, array: np.ndarray) -> Any:
        if array.dtype == np.uint8:
            kept = array.dtype
        else:
            kept = np.dtype(np.int32) if array.dtype.kind in "iu" else self.dtype
        there = device.empty(array.shape, kept)
        for rows in device.slices(len(array), there[:1].nbytes, PIECE):
            device.door().upload(np.ascontiguousarray(array[rows], kept), there[rows])
        return there

    @staticmethod
    def fits(arrays: list[Any]) -> bool:
        """Whether there is room for them."""
        size = sum(array.nbytes for array in arrays if array is not None)
        return size <= SHARE * device.door().free_bytes()

    def shuffle(self, order: np.ndarray | None) -> None:
        """Take the samples in this order from now on; ``None`` for the one they have."""
        order = np.arange(self.samples) if order is None else order
        self._order = device.door().asarray(order.astype(np.int32))

    def batch(self, start: int, stop: int) -> list[Any]:
        """The samples from ``start`` to ``stop`` of the order: :class:`Rows`, or ``None``."""
        return [
            None if array is None else Rows(array, self._order, start, stop, self.dtype)
            for array in self.arrays
        ]


class Rows:
    """Some samples of an array on the GPU, not yet gathered.

    Attributes:
        shape, dtype: of what :meth:`write` writes.
    """

    def __init__(self, source: Any, order: Any, start: int, stop: int, dtype: np.dtype):
        self._source, self._order, self._start = source, order, start
        self.shape = (stop - start, *source.shape[1:])
        self.dtype = np.dtype(np.int32) if source.dtype == np.int32 else dtype

    def write(self, array: Any) -> None:
        """Gather the samples into ``array``."""
        size = math.prod(self.shape[1:])
        kinds = {np.dtype(np.uint8): "bytes", np.dtype(np.int32): "labels"}
        real = array.dtype if array.dtype.kind == "f" else np.dtype(np.float32)
        name = f"gather_{kinds.get(self._source.dtype, 'reals')}"
        for rows in device.slices(self.shape[0], size):
            samples, first = rows.stop - rows.start, self._start + rows.start
            part = array[rows]
            KERNELS.each(
                name, real, samples * size, self._source, self._order, part, first, samples, size
            )
