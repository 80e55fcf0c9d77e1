"""The door of the cupy floor, opened to the CPU: its kernels, a stand-in for cuBLAS, recording."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import weakref
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from cuda_cpu.arrays import Array, Memory, arrays_in, host_of
from cuda_cpu.compiling import HERE, Kernel, build
from minicnn.backends.cupy.cublas import WORKSPACE_BYTES, Cublas
from minicnn.backends.cupy.kernels import source


class Note(NamedTuple):
    """One thing to be done when a recorded step is replayed.

    Attributes:
        work: does it.
        needs: the memory that must not have been freed by then.
    """

    work: Callable[[], Any]
    needs: list[weakref.ref[Memory]]


@functools.cache
def library(file: str, dtype: np.dtype, flags: tuple[str, ...]) -> ctypes.CDLL:
    return ctypes.CDLL(str(build(source(file, dtype), flags)))


@functools.cache
def kernel_of(file: str, name: str, dtype: np.dtype, flags: tuple[str, ...]) -> Kernel:
    return Kernel(library(file, dtype, flags), name)


@functools.cache
def cublas() -> Cublas:
    stand_in = build((HERE / "cublas.cpp").read_text(encoding="utf-8"))
    return Cublas(ctypes.CDLL(str(stand_in)), stream=0x77, workspace=WORKSPACE_BYTES)


class Door:
    """What the floor asks of a device, on the CPU.

    Args:
        order: in which order the threads of a block run (0 forwards, 1 backwards, 2 shuffled).
        flags: more options for g++, such as those of the sanitizers.

    Attributes:
        launched: the names of all kernels that were run.
    """

    index = 0

    def __init__(self, order: int = 0, flags: tuple[str, ...] = ()):
        self.order, self.flags = order, flags
        self.launched: set[str] = set()
        self.loaded: set[Any] = set()
        self.notes: list[Note] | None = None
        self._private = False
        self.uploads = 0

    # -- arrays -------------------------------------------------------------------------------

    def empty(self, shape: Any, dtype: Any) -> Array:
        host = np.empty(shape, dtype)
        fill_with_nan(host)  # what nobody wrote shows
        return Array(self, host)

    def asarray(self, x: Any, dtype: Any = None) -> Array:
        if isinstance(x, Array):
            return x if dtype is None or x.dtype == dtype else x.astype(dtype)
        self.forbid_while_recording("an array was brought to the device")
        return Array(self, np.array(x, dtype=dtype))

    def to_numpy(self, x: Any) -> np.ndarray:
        return x.get() if isinstance(x, Array) else np.asarray(x)

    def address(self, x: Array) -> int:
        return x.host.ctypes.data

    def upload(self, host: np.ndarray, out: Array) -> None:
        self.forbid_while_recording("an array was brought to the device")
        if host.shape != out.shape or host.dtype != out.dtype or not out.flags.c_contiguous:
            raise ValueError(f"upload: {host.dtype}{host.shape} does not fit {out!r}")
        out.host[...] = host
        self.uploads += 1

    def free_bytes(self) -> int:
        return 2**30

    def synchronize(self) -> None:
        self.forbid_while_recording("somebody waited for the device")

    # -- kernels and products -----------------------------------------------------------------

    def kernel(self, file: str, name: str, dtype: np.dtype) -> Callable[..., None]:
        self.load(name, (file, dtype))
        kernel = kernel_of(file, name, dtype, self.flags)

        def run(grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...]) -> None:
            self.launched.add(name)
            self.run(lambda *hosts: kernel(grid, block, hosts, self.order), args)

        return run

    @property
    def tf32(self) -> bool:
        return cublas().tf32

    @tf32.setter
    def tf32(self, enabled: bool) -> None:
        cublas().tf32 = enabled

    def gemm(self, a: Array, b: Array, out: Array, flags: tuple[bool, bool, bool]) -> None:
        self.run(lambda *hosts: cublas().gemm(*hosts, flags, lambda x: x.ctypes.data), (a, b, out))

    def load(self, name: str, variant: Any) -> None:
        """A kernel is compiled, and loaded, when it is launched for the first time."""
        if (name, variant) not in self.loaded:
            self.forbid_while_recording(f"the kernel {name} was loaded")
            self.loaded.add((name, variant))

    # -- what arrays ask for ------------------------------------------------------------------

    def run(self, work: Callable[..., Any], args: Any) -> None:
        """Do something to arrays, now or, while recording, at each replay."""
        hosts = [host_of(arg) for arg in args]
        if self.notes is None:
            work(*hosts)
        else:
            memory = {array.memory for array in arrays_in([*args])}
            needs = [weakref.ref(piece) for piece in memory if not piece.private]
            self.notes.append(Note(lambda: work(*hosts), needs))

    def compute(self, function: Callable[..., Any], args: Any, options: Any, out: Any) -> Any:
        """What a function of NumPy gives, as an array; a view where it gives one."""
        self.load(function.__name__, tuple([str(x.dtype) for x in arrays_in([*args])]))
        given = [*args, *options.values()]
        count, names = len(args), list(options)

        def work(*hosts: Any) -> Any:  # keeps no array alive
            return function(*hosts[:count], **dict(zip(names, hosts[count:], strict=True)))

        if out is not None:
            self.run(lambda into, *hosts: np.copyto(into, work(*hosts), "same_kind"), (out, *given))
            return out
        with np.errstate(all="ignore") if self.notes is not None else contextlib.nullcontext():
            result = work(*map(host_of, given))
        if isinstance(result, (list, tuple)):
            return [self._new(part, given) for part in result]
        array = self._new(result, given)
        if self.notes is not None and all(array.memory is not a.memory for a in arrays_in(given)):
            fill_with_nan(array.host)
            self.run(lambda into, *hosts: np.copyto(into, work(*hosts)), (array, *given))
        return array

    def _new(self, result: Any, given: list[Any]) -> Array:
        host = np.asarray(result)
        for array in arrays_in(given):
            if np.may_share_memory(host, array.host):
                return Array(self, host, array.memory)
        return Array(self, host)

    def new_memory(self) -> Memory:
        if self.notes is not None and not self._private:
            raise RuntimeError("a recorded step makes an array outside of its own memory")
        return Memory(self._private)

    # -- recording ----------------------------------------------------------------------------

    def forbid_while_recording(self, what: str) -> None:
        if self.notes is not None:
            raise RuntimeError(f"{what} while a step is recorded")

    def private_memory(self) -> None:
        return None

    @contextlib.contextmanager
    def allocating_from(self, memory: Any) -> Iterator[None]:
        before, self._private = self._private, True
        try:
            yield
        finally:
            self._private = before

    def begin_capture(self) -> None:
        self.forbid_while_recording("a recording began")
        self.notes = []

    def end_capture(self) -> list[Note]:
        notes, self.notes = self.notes, None
        return notes

    def abandon_capture(self) -> None:
        self.notes = None

    def replay(self, graph: list[Note]) -> None:
        for note in graph:
            if any(memory() is None for memory in note.needs):
                raise RuntimeError("a recorded step uses memory that has been freed")
            note.work()


def fill_with_nan(host: np.ndarray) -> None:
    """All bits set: NaN in floating-point numbers, far out in others."""
    host.reshape(-1).view(np.uint8).fill(0xFF)
