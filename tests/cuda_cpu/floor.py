"""The cupy floor on the CPU, taking and giving NumPy arrays: for the tests of all floors."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

from cuda_cpu.arrays import Array
from cuda_cpu.door import Door
from minicnn.backends import cupy as floor
from minicnn.backends.cupy import device


@contextlib.contextmanager
def opened(door: Door) -> Iterator[Door]:
    """While this lasts, the cupy floor computes behind ``door``."""
    before = device.install(door)
    try:
        yield door
    finally:
        device.install(before)


class NumpyFloor:
    """The floor's operations, with NumPy arrays in and out.

    An array shares its memory with the one on the "device": what an operation changes in place is
    changed.
    """

    def __init__(self, door: Door):
        self._door = door

    def __getattr__(self, name: str) -> Any:
        operation = getattr(floor, name)
        if isinstance(operation, (type, ModuleType)) or not callable(operation):
            return operation

        @functools.wraps(operation)
        def with_numpy_arrays(*args: Any, **options: Any) -> Any:
            given = [*args, *options.values()]
            there = [self.inward(x) if isinstance(x, np.ndarray) else x for x in given]
            named = dict(zip(options, there[len(args) :], strict=True))
            result = self._outward(operation(*there[: len(args)], **named))
            self.afterwards(given, there)
            return result

        setattr(self, name, with_numpy_arrays)
        return with_numpy_arrays

    def inward(self, host: np.ndarray) -> Any:
        return Array(self._door, host)

    def outward(self, array: Any) -> np.ndarray:
        return array.host

    def afterwards(self, given: list[Any], there: list[Any]) -> None:
        """Nothing has to be brought back: there is one memory."""

    def _outward(self, x: Any) -> Any:
        if device.is_array(x):
            return self.outward(x)
        return tuple(map(self._outward, x)) if type(x) is tuple else x


class GpuFloor(NumpyFloor):
    """The same on a GPU: arrays are copied there, and back, as operations may have changed them."""

    def __init__(self) -> None:
        super().__init__(door=None)

    def inward(self, host: np.ndarray) -> Any:
        return floor.asarray(host)

    def outward(self, array: Any) -> np.ndarray:
        return floor.to_numpy(array)

    def afterwards(self, given: list[Any], there: list[Any]) -> None:
        for host, array in zip(given, there, strict=True):
            if isinstance(host, np.ndarray) and host.size:
                host[...] = floor.to_numpy(array)
