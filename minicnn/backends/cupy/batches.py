"""Batches out of a data set that lies on the GPU, in any order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

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
        parts: lists of NumPy arrays, or of ``None``: inputs, targets, sample weights. Whole numbers
            that are no bytes are kept as int32, which labels are.
        dtype: what bytes and other real numbers become.
    """

    def __init__(self, parts: Sequence[list[Any]], dtype: Any):
        self.dtype = np.dtype(dtype)
        self.sources = [
            [None if array is None else self._brought(array) for array in part] for part in parts
        ]
        self.samples = len(parts[0][0])
        self.shuffle(None)

    def _brought(self, array: np.ndarray) -> tuple[Form, Any]:
        kernel, kept, becomes = "gather_reals", self.dtype, self.dtype
        if array.dtype == np.uint8:
            kernel, kept = "gather_bytes", array.dtype
        elif array.dtype.kind in "iu":
            kernel, kept, becomes = "gather_labels", np.dtype(np.int32), np.dtype(np.int32)
        there = device.empty(array.shape, kept)
        for rows in device.slices(len(array), there[:1].nbytes, PIECE):
            device.door().upload(np.ascontiguousarray(array[rows], kept), there[rows])
        return Form(kernel, array.shape[1:], becomes), there

    @staticmethod
    def fits(parts: Sequence[list[Any]]) -> bool:
        """Whether there is room for them."""
        size = sum(array.nbytes for part in parts for array in part if array is not None)
        return size <= SHARE * device.door().free_bytes()

    def shuffle(self, order: np.ndarray | None) -> None:
        """Take the samples in this order from now on; ``None`` for the one they have."""
        order = np.arange(self.samples) if order is None else order
        self._order = device.door().asarray(order.astype(np.int32))

    def batch(self, start: int, stop: int) -> list[list[Rows | None]]:
        """The samples from ``start`` to ``stop`` of the order, not yet gathered."""
        place = (self._order, start, stop - start)
        return [
            [None if source is None else Rows(*source, *place) for source in part]
            for part in self.sources
        ]


class Form(NamedTuple):
    """How samples are gathered: the kernel that does it, the shape of one, the dtype they get."""

    kernel: str
    sample: tuple[int, ...]
    dtype: np.dtype


class Rows:
    """Some samples of an array on the GPU, not yet gathered.

    Args:
        form: how they are gathered.
        source, order, start: out of which array, in which order, and where in it the first stands.
        samples: how many.
        cells: an array on the device with the :attr:`numbers` of those that are gathered instead.
    """

    def __init__(
        self, form: Form, source: Any, order: Any, start: int, samples: int, cells: Any = None
    ):
        self.form, self.source, self.order = form, source, order
        self.start, self.samples, self.cells = start, samples, cells

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what :meth:`write` writes."""
        return (self.samples, *self.form.sample)

    @property
    def dtype(self) -> np.dtype:
        """Of what :meth:`write` writes."""
        return self.form.dtype

    @property
    def numbers(self) -> list[int]:
        """Where they are: the addresses of source and order, and the start."""
        address = device.door().address
        return [address(self.source), address(self.order), self.start]

    @property
    def moves(self) -> list[int]:
        """By how much the numbers of the next batch are greater."""
        return [0, 0, self.samples]

    def at(self, cells: Any) -> Rows:
        """As many of the same form: those whose numbers stand in ``cells`` when they are gathered.
        No data set is kept alive by that."""
        return Rows(self.form, None, None, 0, self.samples, cells)

    def write(self, array: Any) -> None:
        """Gather the samples into ``array``."""
        size = math.prod(self.form.sample)
        real = array.dtype if array.dtype.kind == "f" else np.dtype(np.float32)
        for rows in device.slices(self.samples, size):
            samples = rows.stop - rows.start
            KERNELS.each(
                self.form.kernel, real, samples * size, self.source, self.order,
                self.start + rows.start, self.cells, array[rows], samples, size,
            )  # fmt: skip
