"""How near the kernels that move numbers come to what the GPU's memory can do.

Pooling, the optimizers' updates and im2col compute next to nothing: their time is that of the
bytes that must be read and written, once each. The yardstick is the GPU's own copy of an array.
Everything here runs in the process of a worker, on the GPU that minicnn uses.
"""

from __future__ import annotations

import math
import subprocess
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.ops_cases import Case, adam, batch_norm, dropout, max_pool, normal, relu

LARGE = 2**26
"""How many numbers the largest array has: 256 MiB, several times what the caches hold."""


# -- the cases --------------------------------------------------------------------------------


def cases(numbers: int = LARGE) -> dict[str, tuple[Case, str]]:
    """The kernels by name: a case, and which of its calls.

    Args:
        numbers: how many the largest array has, about.
    """
    images = max(1, numbers // (32 * 32 * 32))
    pooling = max_pool(images, 32, 32, 2)
    average = average_pool(images, 32, 32, 2)
    rectified = relu(images, 32, 32)
    windows = im2col(max(1, images // 9), 32, 32)
    return {
        "max-pool": (pooling, "forward"),
        "max-pool backward": (pooling, "backward"),
        "average-pool": (average, "forward"),
        "average-pool backward": (average, "backward"),
        "im2col": (windows, "forward"),
        "col2im": (windows, "backward"),
        "sgd": (sgd(numbers), "forward"),
        "adam": (adam(numbers), "forward"),
        "relu": (rectified, "forward"),
        "relu backward": (rectified, "backward"),
        "dropout": (dropout(images, 32 * 32 * 32), "forward"),
        "batch norm": (batch_norm(images, 32, 32), "forward"),
    }


# Those for which there is a goal; the others are shown beside them.
WITH_GOAL = (
    "max-pool", "max-pool backward", "average-pool", "average-pool backward", "im2col", "col2im",
    "sgd", "adam",
)  # fmt: skip


def average_pool(n: int, size: int, c: int, k: int) -> Case:
    """Means of k x k pixels, k apart."""
    shapes = (n, size, size, c), (n, size // k, size // k, c)

    def ours(ops: Any, arrays: list[Any]) -> dict[str, Callable[[], Any]]:
        x, dy = arrays
        where = (k, k), (k, k), "valid"
        return {
            "forward": lambda: ops.average_pool2d(x, *where),
            "backward": lambda: ops.average_pool2d_backward(dy, x.shape, *where),
        }

    moved = sum(4 * math.prod(shape) for shape in shapes)
    return _ours_alone("average-pool", shapes, ours, {"forward": moved, "backward": moved})


def im2col(n: int, size: int, c: int) -> Case:
    """The windows of a 3x3 convolution as a matrix, and back (forward and backward)."""
    shapes = (n, size, size, c), (n * size * size, 9 * c)

    def ours(ops: Any, arrays: list[Any]) -> dict[str, Callable[[], Any]]:
        from minicnn.backends.cupy import windows

        x, cols = arrays
        on = windows.Windows.on((size, size), (3, 3), (1, 1), "same")
        return {
            "forward": lambda: windows.im2col(x, on, 0, c),
            "backward": lambda: windows.col2im(cols, x, on, 0, c),
        }

    moved = sum(4 * math.prod(shape) for shape in shapes)
    return _ours_alone("im2col", shapes, ours, {"forward": moved, "backward": moved})


def sgd(weights: int) -> Case:
    """One step of plain gradient descent."""

    def ours(ops: Any, arrays: list[Any]) -> dict[str, Callable[[], Any]]:
        return {"forward": lambda: ops.sgd(*arrays, 1e-3)}

    shapes = (weights,), (weights,)
    return _ours_alone("sgd", shapes, ours, {"forward": 3 * 4 * weights})


def _ours_alone(name: str, shapes: Any, ours: Any, moved: dict[str, int]) -> Case:
    """A case that only the cupy floor can run."""

    def nobody(torch: Any, arrays: list[Any]) -> dict[str, Callable[[], Any]]:
        raise NotImplementedError(f"{name}: no twin in PyTorch")

    return Case(name, normal(*shapes), ours, nobody, {}, moved)


# -- measuring --------------------------------------------------------------------------------


def memory_rate(name: str, seconds: float) -> float:
    """Bytes a second of a kernel of :func:`cases`, or of a ``"copy"`` of an array: the best of five
    turns that take ``seconds`` together."""
    from minicnn.backends import cupy as ops
    from minicnn.backends.cupy import device

    door = device.door()
    numbers = LARGE if door.free_bytes() > 24 * LARGE else LARGE // 16
    if name == "copy":
        # Random numbers as for the kernels; zeros may be quicker.
        (host,) = normal((numbers,))(np.random.default_rng(0))
        source, target = ops.asarray(host), device.empty(numbers, np.float32)
        action, moved = lambda: np.copyto(target, source), 2 * source.nbytes
    else:
        case, call = cases(numbers)[name]
        arrays = [ops.asarray(array) for array in case.arrays(np.random.default_rng(0))]
        action, moved = case.ours(ops, arrays)[call], case.bytes[call]
    return moved / min(turn(action, door.synchronize, seconds / 5) for _ in range(5))


def turn(action: Callable[[], Any], synchronize: Callable[[], Any], seconds: float) -> float:
    """Seconds that ``action`` takes on a GPU when it is asked for again and again.

    Calls return before the GPU has done what they ask for. So the clock runs from a moment at which
    the GPU has nothing to do to the next such moment, over so many calls that they take ``seconds``
    together.
    """
    action()  # compiles, and fetches memory
    synchronize()
    count = 1
    while True:
        begun = time.perf_counter()
        for _ in range(count):
            action()
        synchronize()
        taken = time.perf_counter() - begun
        if taken >= seconds / 2 or count >= 2**20:
            return taken / count
        count = max(2 * count, min(2**20, int(count * seconds / max(taken, 1e-6))))


def matmul_rate(size: int, seconds: float) -> float:
    """FLOP/s of cuBLAS's float32 product of two square matrices, without TensorFloat-32."""
    from minicnn.backends.cupy import device

    a, b, out = (device.empty((size, size), np.float32) for _ in range(3))
    a.fill(0.5)
    b.fill(0.5)
    product = turn(lambda: device.gemm(a, b, out), device.door().synchronize, seconds)
    return 2 * size**3 / product


# -- the GPU ----------------------------------------------------------------------------------


def gpu_facts() -> dict[str, Any]:
    """Name and memory of the GPU, and the versions of its software."""
    import cupy

    from minicnn.backends.cupy.device import door
    from minicnn.backends.cupy.status import version_text

    runtime, number = cupy.cuda.runtime, door().index
    properties = runtime.getDeviceProperties(number)
    return {
        "name": properties["name"].decode(),
        "memory": properties["totalGlobalMem"],
        "compute_capability": f"{properties['major']}.{properties['minor']}",
        "driver": driver_version(),
        "driver_cuda": version_text(runtime.driverGetVersion()),
        "cuda": version_text(runtime.runtimeGetVersion()),
        "nvrtc": ".".join(map(str, cupy.cuda.nvrtc.getVersion())),
        "cupy": cupy.__version__,
    }


def driver_version() -> str | None:
    """What ``nvidia-smi`` says; ``None`` where it cannot be run."""
    question = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(question, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.split()[0] if done.stdout.split() else None
