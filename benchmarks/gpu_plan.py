"""How much ``python -m benchmarks gpu`` measures, in which time, and who gets ready beside whom."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.peers import PEERS
from benchmarks.stages import Plan

BATCHES = (64, 256, 1024, 4096)


class Budget:
    """Time that may be used up, and no more.

    Args:
        seconds: how much.
        clock: tells the time.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.perf_counter):
        self.clock = clock
        self.end = clock() + seconds

    @property
    def left(self) -> float:
        """Seconds; less than 0 when it is used up."""
        return self.end - self.clock()

    def part(self, share: float) -> Budget:
        """A part of what is left."""
        return Budget(share * max(self.left, 0.0), self.clock)


@dataclass
class GpuPlan(Plan):
    """How much is measured, at most; what does not fit into the time is left out.

    Attributes:
        minutes: the time for everything.
        batches: the batch sizes at which the large models are compared with PyTorch.
        kernel_seconds: how long a kernel is run.
        least: seconds without which a part of the measurements is not begun.
        absent: peers that would take part if they were installed.
    """

    minutes: float = 7.25
    batches: list[int] = field(default_factory=lambda: list(BATCHES))
    kernel_seconds: float = 0.5
    least: float = 5.0
    device: str = "gpu"
    pause: float = 0.05
    absent: list[str] = field(default_factory=list)

    def steps_of(self, model: str) -> int:
        """Twice as many steps as on a CPU: they are so short that what an epoch begins and ends
        with would count."""
        return self.steps or 2 * super().steps_of(model)

    def steps_at(self, batch_size: int) -> int:
        """Steps of an epoch: fewer where a batch is large, so that the data fit anywhere."""
        return self.steps or max(8, min(120, 24 * 1024 // batch_size))


def lanes(names: list[str]) -> list[list[str]]:
    """Who gets ready one after another, and who beside them.

    PyTorch's cuDNN tries out its algorithms when it first sees a convolution, and keeps the one
    that was fastest then: nobody else should use the GPU at that time. Compilers, which take
    longest, work on the CPU most of the time.

    >>> lanes(["minicnn", "torch", "torch-compiled", "jax"])
    [['minicnn', 'torch'], ['torch-compiled'], ['jax']]
    """

    def compiles(name: str) -> bool:
        return PEERS[name].family in ("keras", "jax") or "compiled" in PEERS[name].options

    quick = [name for name in names if not compiles(name)]
    return [lane for lane in (quick, *([name] for name in names if compiles(name))) if lane]
