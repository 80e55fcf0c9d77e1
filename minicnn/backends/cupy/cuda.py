"""The door to a GPU: CuPy for memory, streams and kernels, cuBLAS for matrix products."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import os
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.backends.cupy.cublas import WORKSPACE_BYTES, Cublas
from minicnn.backends.cupy.kernels import OPTIONS, names, source
from minicnn.backends.cupy.status import load_cublas, require_gpu

NULL = np.uintp(0)


class Cuda:
    """One GPU, with one stream that everything runs on in order; copies are fetched on another.

    Args:
        index: which GPU; by default CuPy's current one, usually the first.

    Raises:
        RuntimeError: if it cannot be used; it says what is missing.
    """

    def __init__(self, index: int | None = None):
        require_gpu(index)
        import cupy

        self.cupy = cupy
        self.device = cupy.cuda.Device(index)
        self.index = self.device.id
        self._thread = threading.local()
        with self.device:
            # The default stream cannot be captured, and while another one is that waits for it, it
            # may not be used; so ours does not wait for it.
            self.stream = cupy.cuda.Stream(non_blocking=True)
        self._enter()
        self._workspace = cupy.empty(WORKSPACE_BYTES, np.uint8)
        self.cublas = Cublas(load_cublas(), self.stream.ptr, self._workspace.data.ptr)
        self._functions: dict[tuple[str, str, np.dtype], Callable[..., None]] = {}
        self._modules: dict[tuple[str, np.dtype], Any] = {}
        self._staging = Staging(cupy, self.stream)
        self._recording = self._collecting = False

    def _enter(self) -> None:
        """Let the calling thread use this GPU and this stream: CuPy keeps both by thread.

        The stream is entered and never left. After a mere ``use()``, the next ``with`` that ends,
        of whatever stream, would put the thread back on the default one; there is such a ``with``
        in CuPy's own ``get()`` of an array that is not in C order.
        """
        if not hasattr(self._thread, "entered"):
            self.device.use()
            self.stream.__enter__()
            self._thread.entered = True

    # -- arrays -------------------------------------------------------------------------------

    def empty(self, shape: Any, dtype: Any) -> Any:
        self._enter()
        return self.cupy.empty(shape, dtype)

    def asarray(self, x: Any, dtype: Any = None) -> Any:
        self._enter()
        if self._recording and not isinstance(x, self.cupy.ndarray):
            # A graph would copy from that place in the host's memory again and again.
            raise RuntimeError("an array was brought to the device while a step is recorded")
        return self.cupy.asarray(x, dtype=dtype)

    def to_numpy(self, x: Any) -> np.ndarray:
        self._enter()
        return x.get(stream=self.stream) if isinstance(x, self.cupy.ndarray) else np.asarray(x)

    def address(self, x: Any) -> int:
        return x.data.ptr

    def upload(self, host: np.ndarray, out: Any) -> None:
        """Copy a NumPy array into an array of the device, without waiting until it is there."""
        self._enter()
        self._staging.copy(host, out)

    def free_bytes(self) -> int:
        """How much of the GPU's memory is free, or kept by CuPy for new arrays."""
        self._enter()
        free, _ = self.cupy.cuda.runtime.memGetInfo()
        return free + self.cupy.get_default_memory_pool().free_bytes()

    # -- kernels ------------------------------------------------------------------------------

    def kernel(self, file: str, name: str, dtype: np.dtype) -> Callable[..., None]:
        self._enter()
        key = (file, name, dtype)
        if key not in self._functions:
            function = self._module(file, dtype).get_function(name)

            def run(grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...]) -> None:
                function(grid, block, tuple([NULL if arg is None else arg for arg in args]))

            self._functions[key] = run
        return self._functions[key]

    def _module(self, file: str, dtype: np.dtype) -> Any:
        if (file, dtype) not in self._modules:
            if not self._modules:
                self._announce()
            module = self.cupy.RawModule(code=source(file, dtype), options=OPTIONS)
            module.compile()  # CuPy keeps what comes of it on disk
            self._modules[file, dtype] = module
        return self._modules[file, dtype]

    def _announce(self) -> None:
        """Say that kernels are going to be compiled, the first time on this machine."""
        kept = os.environ.get("CUPY_CACHE_DIR", "~/.cupy/kernel_cache")
        folder = Path(kept).expanduser()
        texts = "".join(source(name, np.dtype(np.float32)) for name in names())
        text = f"{texts}{self.device.compute_capability}{self.cupy.__version__}"
        mark = folder / f"minicnn-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        if mark.exists():
            return
        print(
            "minicnn: compiling the GPU's kernels, once, as they are needed; it takes some seconds "
            f"(they are kept in {folder})",
            file=sys.stderr,
        )
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            mark.touch()

    def gemm(self, a: Any, b: Any, out: Any, flags: tuple[bool, bool, bool]) -> None:
        self.cublas.gemm(a, b, out, flags, self.address)

    @property
    def tf32(self) -> bool:
        return self.cublas.tf32

    @tf32.setter
    def tf32(self, enabled: bool) -> None:
        self.cublas.tf32 = enabled

    # -- recording ----------------------------------------------------------------------------

    def private_memory(self) -> Any:
        """Memory for the arrays of a recorded step alone. A CUDA graph remembers addresses: what
        it writes to must not be given to anybody else as long as it may be replayed. It is free
        again when nobody refers to what is returned any more."""
        self._enter()
        return PrivateMemory(self.cupy.cuda.MemoryPool(), self.device)

    def allocating_from(self, memory: Any) -> contextlib.AbstractContextManager[None]:
        """While this lasts, new arrays of the calling thread lie in ``memory``."""
        return self.cupy.cuda.using_allocator(memory.pool.malloc)

    def begin_capture(self) -> None:
        self.stream.synchronize()
        # Collecting garbage may free arrays and graphs, which is not allowed in between.
        gc.collect()
        self._collecting = gc.isenabled()
        gc.disable()
        self._recording = True
        self.stream.begin_capture(self.cupy.cuda.runtime.streamCaptureModeRelaxed)

    def end_capture(self) -> Any:
        try:
            graph = self.stream.end_capture()
        finally:
            self._recording = False
            if self._collecting:
                gc.enable()
        graph.upload(self.stream)
        return graph

    def abandon_capture(self) -> None:
        """End a recording that failed in the middle, if it has not ended."""
        if self._recording:
            with contextlib.suppress(self.cupy.cuda.runtime.CUDARuntimeError):
                self.end_capture()

    def replay(self, graph: Any) -> None:
        graph.launch(self.stream)

    def synchronize(self) -> None:
        """Wait until everything is done."""
        self.stream.synchronize()


class PrivateMemory:
    """A pool of memory that ends with this object. What lies free in a pool of CuPy 14.2 stays
    taken for ever if nobody frees it before the pool itself goes.

    Args:
        pool: of CuPy.
        device: the GPU that it is of.
    """

    def __init__(self, pool: Any, device: Any):
        self.pool = pool
        weakref.finalize(self, self._free, pool, device).atexit = False

    @staticmethod
    def _free(pool: Any, device: Any) -> None:
        with device:
            pool.free_all_blocks()  # waits for the GPU


class Staging:
    """Copies to the GPU that nobody waits for, ahead of need.

    An array is copied into host memory that the GPU can fetch from by itself (pinned), fetched into
    a buffer on a stream of its own, while the GPU is still busy with earlier steps, and moved from
    there to its place when its turn comes.

    Args:
        cupy: the module.
        stream: where everything else takes its turn.
        depth: how many copies may be under way; the next one waits for the oldest.
    """

    def __init__(self, cupy: Any, stream: Any, depth: int = 4):
        self.cupy, self.stream = cupy, stream
        self.fetching = cupy.cuda.Stream(non_blocking=True)
        self.slots: list[Slot | None] = [None] * depth
        self.turn = 0

    def copy(self, host: np.ndarray, out: Any) -> None:
        size = host.nbytes
        if size == 0:
            return
        slot = self.slots[self.turn]
        if slot is not None:
            slot.fetched.synchronize()  # its pinned memory may be written to
        if slot is None or slot.pinned.size() < size:
            slot = self.slots[self.turn] = Slot(self.cupy, size)
            slot.moved.record(self.stream)  # the buffer may be memory that the stream still uses
        staged = np.frombuffer(slot.pinned, host.dtype, host.size).reshape(host.shape)
        staged[...] = host
        self.fetching.wait_event(slot.moved)
        slot.buffer.copy_from_host_async(slot.pinned.ptr, size, self.fetching)
        slot.fetched.record(self.fetching)
        self.stream.wait_event(slot.fetched)
        out.data.copy_from_device_async(slot.buffer, size, self.stream)
        slot.moved.record(self.stream)
        self.turn = (self.turn + 1) % len(self.slots)


class Slot:
    """What one copy uses: pinned memory, a buffer on the device, and the events that the former has
    been fetched and the latter moved."""

    def __init__(self, cupy: Any, size: int):
        self.pinned = cupy.cuda.alloc_pinned_memory(size)
        # CuPy gives out pinned memory in powers of two; the buffer must hold as much.
        self.buffer = cupy.cuda.alloc(self.pinned.size())
        self.fetched, self.moved = (cupy.cuda.Event(disable_timing=True) for _ in range(2))
