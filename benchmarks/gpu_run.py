"""What ``python -m benchmarks gpu`` measures, part by part, in the time that there is."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.course import MODELS
from benchmarks.kernels import cases
from benchmarks.peers import PEERS
from benchmarks.peers.process import ROOT, PeerError, PeerLate, PeerProcess
from benchmarks.report import OURS, outliers
from benchmarks.sketch import step_flops
from benchmarks.stages import Plan, Results, Run

BATCHES = (64, 256, 1024, 4096)
BATCH_MODELS = ("model3", "mini-alexnet")
BATCH_PEERS = (OURS, "torch", "torch-channels-last")


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
    """

    minutes: float = 7.25
    batches: list[int] = field(default_factory=lambda: list(BATCHES))
    kernel_seconds: float = 0.5
    least: float = 5.0
    device: str = "gpu"
    pause: float = 0.05

    def steps_at(self, batch_size: int) -> int:
        """Steps of an epoch: fewer where a batch is large, so that the data fit anywhere."""
        return self.steps or max(6, 60 * 64 // batch_size)


class GpuRun(Run):
    """The parts, over one plan. Each peer has one process for all models.

    Attributes:
        left_out: what was not measured, and why.
        names: the peers that see a GPU.
        processes: those that run, by peer.
    """

    plan: GpuPlan

    def __init__(self, plan: GpuPlan, say: Callable[[str], None] = print):
        super().__init__(plan, say)
        self.left_out: list[str] = []
        self.names: list[str] = []
        self.processes: dict[str, PeerProcess] = {}

    def __enter__(self) -> GpuRun:
        return self

    def __exit__(self, *exception: Any) -> None:
        with ThreadPoolExecutor(len(PEERS)) as pool:
            list(pool.map(self._end, list(self.processes)))

    def gpu(self, budget: Budget) -> Results:
        """Which GPU it is."""
        return self._ask("gpu", budget) or {}

    # -- is it right? --------------------------------------------------------------------------

    def tests(self, budget: Budget) -> Results:
        """Run the tests that need a GPU: ``{"status": ..., "summary": pytest's last line}``."""
        if not importlib.util.find_spec("pytest") or not (ROOT / "tests").is_dir():
            return self._leave_out("the tests: pytest or the folder tests is not there")
        self.say("the tests that need a GPU")
        command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider"]
        command += ["--ignore-glob=*test_keras_*", "tests"]
        try:
            done = subprocess.run(
                command, cwd=ROOT, capture_output=True, text=True, timeout=max(budget.left, 1.0)
            )
        except subprocess.TimeoutExpired as error:
            return self._leave_out(f"the tests: they did not end within {error.timeout:.0f} s")
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        failed = [line for line in lines if re.match("(FAILED|ERROR) ", line)]
        summary = lines[-1].strip("= ") if lines else done.stderr[-500:]
        return {"status": done.returncode, "summary": summary, "failed": failed}

    def agreement(self, budget: Budget) -> Results:
        """By model, what ``benchmarks.agreement`` finds, and under ``"masks"``, dropout's."""
        results: Results = {}
        masks = self._ask("masks", budget)
        if masks is not None:
            results["masks"] = masks["same"]
        for model in self.plan.models:
            if budget.left < self.plan.least:
                self._leave_out(f"the agreement of {model}: no time")
                continue
            self.say(f"agreement with the textbook floor: {model}")
            answer = self._ask("agreement", budget, model=model)
            if answer is not None:
                results[model] = answer
        return results

    # -- how fast is it? -----------------------------------------------------------------------

    def kernels(self, budget: Budget) -> Results:
        """Bytes a second: ``{"copy": ..., kernel: ...}``."""
        results: Results = {}
        for name in ("copy", *cases(1)):
            if budget.left < self.plan.least:
                self._leave_out(f"the kernel {name}: no time")
                continue
            self.say(f"memory: {name}")
            answer = self._ask("kernel", budget, name=name, seconds=self.plan.kernel_seconds)
            if answer is not None:
                results[name] = answer["rate"]
        return results

    def start(self, names: Iterable[str], budget: Budget) -> None:
        """Start all processes at once. A peer that sees no GPU takes no part."""
        names = list(names)
        self.say(f"starting {', '.join(names)}")

        def begin(name: str) -> None:
            if self._try(name, "", self._running, name, lambda: budget.left) is not None:
                self.names.append(name)

        with ThreadPoolExecutor(len(PEERS)) as pool:
            list(pool.map(begin, names))
        said = {failure["peer"]: failure["message"].splitlines()[-1] for failure in self.failures}
        for name in names:
            if name not in self.names:
                self._leave_out(f"{name}: {said.get(name, 'it does not start in time')}")

    def models(self, weights: dict[str, Path], budget: Budget) -> tuple[Results, Results]:
        """``(train, check)``: every model at its own batch size, with all peers."""
        train: Results = {}
        check: Results = {}
        for number, model in enumerate(self.plan.models):
            count = len(self.plan.models) - number
            names = [name for name in self.plan.peers_of(model) if name in self.names]
            part = self._one(model, weights, names, budget, count, check)
            if part is not None:
                train[model] = part
        return train, check

    def batches(self, weights: dict[str, Path], budget: Budget) -> Results:
        """The large models at other batch sizes, against PyTorch: ``{"model at size": part}``."""
        results: Results = {}
        models = [model for model in BATCH_MODELS if model in self.plan.models]
        wanted = [(model, size) for size in self.plan.batches for model in models]
        for number, (model, size) in enumerate(wanted):
            count = len(wanted) - number
            names = [name for name in BATCH_PEERS if name in self.names]
            part = self._one(model, weights, names, budget, count, None, size)
            if part is not None:
                results[f"{model} at {size}"] = part
        return results

    def _one(
        self,
        model: str,
        weights: dict[str, Path],
        names: list[str],
        budget: Budget,
        count: int,
        check: Results | None,
        size: int | None = None,
    ) -> Results | None:
        """The steps of one model: all peers get ready at once, and are timed in turn.

        Args:
            count: for how many, this one included, the time must do.
            check: where the losses go of those whose computation is compared first.
            size: of the batches, if not the lesson's.
        """
        what = f"the training step of {model}" + (f" at batch size {size}" if size else "")
        rest = self.plan.least * (count - 1)
        if OURS not in names or budget.left - rest < self.plan.least:
            missing = "no time" if OURS in names else "minicnn takes no part"
            self._leave_out(f"{what}: {missing}")
            return None
        self.say(what)
        losses: Results = {}
        figures: Results = {}
        wrong: list[str] = []
        failures = len(self.failures)
        # Who takes too long to get ready must not take the others' time.
        ready = Budget(min(budget.left - rest, 2 * budget.left / count), budget.clock)

        def get_ready(name: str) -> None:
            process, file = self._running(name, lambda: ready.left), weights[model]
            if check is not None:
                answer = process.ask("check", model=model, weights=str(file), steps=5)
                losses[name] = answer["losses"]
            steps = self.plan.steps_at(size) if size else None
            figures[name] = self._warm_up(process, model, file, size, steps)

        with ThreadPoolExecutor(len(PEERS)) as pool:
            list(pool.map(lambda name: self._try(name, what, get_ready, name), names))
        if check is not None:
            check[model] = {name: losses[name] for name in names if name in losses}
            wrong = outliers({model: check[model]})[model]
            for name in wrong:
                self._leave_out(f"{name}, {what}: it computes something else")
                figures.pop(name, None)
        alive = {name: self.processes[name] for name in names if name in figures}
        rounds, took = 0, 0.0
        # A round is not begun that would not end in time; two may use what is kept for others.
        while rounds < self.plan.rounds and budget.left - (rest if rounds > 1 else 0) > took:
            begun = budget.left
            for process in alive.values():
                process.patience = lambda: budget.left
            for name, answer in self._round(alive, rounds, model, "epoch"):
                figures[name]["epochs"].append(answer["seconds"])
            rounds, took = rounds + 1, begun - budget.left
        if rounds < self.plan.rounds:
            self._leave_out(f"{what}: {self.plan.rounds - rounds} of {self.plan.rounds} rounds")
        failed = {failure["peer"] for failure in self.failures[failures:]}
        for name in names:
            if name not in alive and name not in wrong:
                why = "it failed" if name in failed else "it took too long"
                self._leave_out(f"{name}, {what}: {why}")
            self._end_if_dead(name)
        course = MODELS[model]
        return {
            "flops": step_flops(course) * (size or course.batch_size) / course.batch_size,
            "peers": {name: own for name, own in figures.items() if own["epochs"]},
        }

    # -- the processes -------------------------------------------------------------------------

    def _running(self, name: str, patience: Callable[[], float]) -> PeerProcess:
        """The process of a peer, started if there is none.

        Args:
            patience: seconds that are left for its answers, whenever it is asked.

        Raises:
            PeerError: if it sees no GPU.
        """
        if name not in self.processes:
            self.processes[name] = self.process(name)
            self.processes[name].patience = patience
            try:
                self._load(self.processes[name])
            except PeerError:
                self._end(name)
                raise
        self.processes[name].patience = patience
        return self.processes[name]

    def _ask(self, command: str, budget: Budget, **arguments: Any) -> Results | None:
        """The answer of minicnn's process; ``None`` if it fails, which is noted."""

        def ask() -> Results:
            return self._running(OURS, lambda: budget.left).ask(command, **arguments)

        what = " ".join(map(str, (command, *arguments.values())))
        answer = self._try(OURS, what, ask)
        if answer is None:
            self._leave_out(f"{what}: it failed")
        self._end_if_dead(OURS)
        return answer

    def _try(
        self, peer: str, model: str, action: Callable[..., Any], /, *args: Any, **options: Any
    ) -> Any:
        """As ever; but to take too long here is no failure."""

        def in_time() -> Any:
            try:
                return action(*args, **options)
            except PeerLate as late:
                self.say(str(late))
                return None

        return super()._try(peer, model, in_time)

    def _end_if_dead(self, name: str) -> None:
        """A process that was ended because it took too long is replaced when it is next needed."""
        if name in self.processes and not self.processes[name].alive:
            self._end(name)

    def _end(self, name: str) -> None:
        self.processes.pop(name).close()

    def _leave_out(self, what: str) -> Results:
        self.left_out.append(what)
        self.say(f"LEFT OUT: {what}")
        return {}
