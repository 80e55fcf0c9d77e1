"""One peer in a process of its own: ``python -m benchmarks.peers.worker PEER``.

It reads commands from its standard input and answers each, one JSON object a line:

    {"command": "build", "model": "lenet"}   ->   {"seconds": 0.12}

The commands are the methods of :class:`Worker`. An error is answered with ``{"error": ...}``, and
the process goes on. Nothing heavy is imported before ``load``, which is timed.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from benchmarks.course import MODELS
from benchmarks.peers import PEERS

CLASSES = {
    "minicnn": ("benchmarks.peers.like_keras", "LikeKeras"),
    "keras": ("benchmarks.peers.like_keras", "LikeKeras"),
    "torch": ("benchmarks.peers.torch_peer", "Torch"),
    "torch-fused": ("benchmarks.peers.torch_peer", "Torch"),
    "jax": ("benchmarks.peers.jax_peer", "Jax"),
}


# So many training steps wake a GPU up.
WAKING = 64


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """``(seconds, result)``."""
    begun = time.perf_counter()
    result = action()
    return time.perf_counter() - begun, result


class Worker:
    """Answers the commands for one peer, in the order: load, build, data, step, epoch ...

    Args:
        name: of the peer, or ``"none"``: such a worker can only measure matrix products.
    """

    def __init__(self, name: str):
        self.name, self.device = name, "cpu"

    def load(self, device: str = "cpu") -> dict[str, Any]:
        """Import the library, for ``"cpu"`` or ``"gpu"``; without a GPU, the latter fails."""
        wanted = PEERS[self.name]
        module, kind = CLASSES[wanted.family]
        peer_class = getattr(importlib.import_module(module), kind)
        seconds, self.peer = timed(lambda: peer_class(device=device, **wanted.options))
        self.device = device
        return {"seconds": seconds}

    def build(self, model: str, weights: str, batch_size: int | None = None) -> dict[str, Any]:
        """Draw and compile a model as its lesson does; then take the weights from a file.

        Args:
            batch_size: for the training; by default the lesson's.
        """
        self.course = MODELS[model]
        if batch_size:
            self.course = replace(self.course, batch_size=batch_size)
        seconds, _ = timed(lambda: self.peer.build(self.course))
        self.peer.set_weights(_read(weights))
        return {"seconds": seconds, "backend": self.peer.backend}

    def data(self, steps: int) -> dict[str, Any]:
        """Make the data for epochs of so many steps."""
        self.x, self.y = self._samples(steps * self.course.batch_size)
        return {"steps": steps}

    def step(self) -> dict[str, Any]:
        """One training step on the first batch. The first one includes all that is compiled or
        traced when it is first needed."""
        n = self.course.batch_size
        seconds, loss = timed(lambda: self.peer.fit(self.x[:n], self.y[:n]))
        return {"seconds": seconds, "loss": loss}

    def epoch(self) -> dict[str, Any]:
        """Train on all data once. On a GPU, the time begins when the data are there, and the GPU,
        which is slow when it has been idle, has been woken up."""
        if self.device == "gpu":
            n = WAKING * self.course.batch_size
            self.peer.fit(self.x[:n], self.y[:n])
        before = _minor_faults()
        seconds, loss = timed(lambda: self.peer.fit(self.x, self.y))
        seconds = getattr(self.peer, "epoch_seconds", None) or seconds
        faults = None if before is None else _minor_faults() - before
        return {"seconds": seconds, "faults": faults, "loss": loss}

    def memory(self) -> dict[str, Any]:
        """The most memory that the process has had, in bytes."""
        return {"peak": _peak_memory()}

    def images(self, images: int) -> dict[str, Any]:
        """Make pictures to predict, and predict a batch of them, so that all is compiled."""
        self.pictures, _ = self._samples(images, seed=1)
        # Two batches, the second shorter if the last one will be.
        size = self.course.batch_size
        self.peer.predict(self.pictures[: size + images % size])
        return {"images": images}

    def predict(self) -> dict[str, Any]:
        """Predict all pictures."""
        seconds, p = timed(lambda: self.peer.predict(self.pictures))
        return {"seconds": seconds, "shape": list(p.shape)}

    def check(self, model: str, weights: str, steps: int) -> dict[str, Any]:
        """The loss of one batch before each of so many steps of gradient descent on it, without
        dropout: the first tells whether forward is the same, the others whether backward is."""
        self.course = MODELS[model]
        self.peer.build(self.course, dropout=False, optimizer="sgd")
        self.peer.set_weights(_read(weights))
        x, y = self._samples(self.course.batch_size)
        return {"losses": [self.peer.fit(x, y) for _ in range(steps)]}

    def lesson(self, model: str, images: int, device: str = "cpu") -> dict[str, Any]:
        """All that comes before the end of a lesson's first epoch: import, data, build, train."""
        self.load(device)
        self.course = MODELS[model]
        self.peer.build(self.course)
        x, y = self._samples(images)
        return {"loss": self.peer.fit(x, y)}

    def matmul(self, size: int, seconds: float, device: str = "cpu") -> dict[str, Any]:
        """The rate of float32 matrix products."""
        if device == "gpu":
            from benchmarks.kernels import matmul_rate
        else:
            from benchmarks.measure import matmul_rate

        return {"rate": matmul_rate(size, seconds)}

    def gpu(self) -> dict[str, Any]:
        """Which GPU this is, and its software."""
        from benchmarks.kernels import gpu_facts

        return gpu_facts()

    def agreement(self, model: str) -> dict[str, Any]:
        """Whether the GPU computes what the textbook floor does (see ``benchmarks.agreement``)."""
        from benchmarks.agreement import of_model

        return of_model(MODELS[model], "cupy")

    def masks(self) -> dict[str, Any]:
        """Whether the GPU drops the units that a CPU drops."""
        from benchmarks.agreement import same_masks

        return {"same": same_masks("cupy")}

    def kernel(self, name: str, seconds: float) -> dict[str, Any]:
        """The rate of memory of one kernel of ``benchmarks.kernels``, or of a copy."""
        from benchmarks.kernels import memory_rate

        return {"rate": memory_rate(name, seconds)}

    def convolution(self, name: str, seconds: float) -> dict[str, Any]:
        """Both ways of computing a convolution: see ``benchmarks.convolutions.measured``."""
        from benchmarks.convolutions import measured

        return measured(name, seconds)

    def _samples(self, count: int, seed: int = 0) -> tuple[Any, Any]:
        from benchmarks.peers.samples import samples

        return self.peer.prepare(*samples(self.course, count, seed))


def _read(weights: str) -> list[Any]:
    import numpy as np

    with np.load(weights) as file:
        return [file[name] for name in file.files]


def _peak_memory() -> int | None:
    """In bytes. Linux knows it for the program that runs now; its ``ru_maxrss`` would include what
    the parent had when it started this process."""
    try:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return 1024 * int(line.split()[1])
    except OSError:
        pass
    usage = _usage()
    return None if usage is None else usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _minor_faults() -> int | None:
    """How often the process was given a page of memory without a disk being read."""
    usage = _usage()
    return None if usage is None else usage.ru_minflt


def _usage() -> Any:
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF)


def main(name: str) -> None:
    """Answer commands until the input ends."""
    # What libraries print must not get between the answers: it goes to standard error.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    worker = Worker(name)
    for line in sys.stdin:
        arguments = json.loads(line)
        try:
            answer = getattr(worker, arguments.pop("command"))(**arguments)
        except Exception:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
