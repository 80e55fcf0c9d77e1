"""What ``python -m benchmarks gpu`` measures, part by part, in the time that there is."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks import convolutions
from benchmarks.course import MODELS
from benchmarks.gpu_plan import Budget, GpuPlan, lanes
from benchmarks.kernels import cases
from benchmarks.peers import PEERS
from benchmarks.peers.process import ROOT, PeerError, PeerLate, PeerProcess
from benchmarks.report import OURS, outliers
from benchmarks.sketch import step_flops
from benchmarks.stages import Results, Run

BATCH_MODELS = ("model3", "mini-alexnet")
BATCH_PEERS = (OURS, "torch", "torch-channels-last")
WORKERS = 4  # how many processes share the tests, which are bound by Python and by compiling
PRINTED = 20_000  # how many characters of what failing tests print are kept


class GpuRun(Run):
    """The parts, over one plan. Each peer has one process for all models.

    Args:
        plan: what to measure.
        say: is handed a line on what happens now.
        keep: is handed :attr:`results` whenever something has come to them.

    Attributes:
        results: everything so far, as the table wants it.
        left_out: what was not measured, and why.
        names: the peers that see a GPU.
        processes: those that run, by peer.
        broken: peers whose processes should not be asked again.
    """

    plan: GpuPlan

    def __init__(
        self,
        plan: GpuPlan,
        say: Callable[[str], None] = print,
        keep: Callable[[Results], Any] = lambda results: None,
    ):
        super().__init__(plan, say)
        self.keep = keep
        self.left_out = [f"{name}: it is not installed" for name in plan.absent]
        self.results: Results = {"failures": self.failures, "left_out": self.left_out}
        self.names: list[str] = []
        self.processes: dict[str, PeerProcess] = {}
        self.broken: set[str] = set()

    def __enter__(self) -> GpuRun:
        return self

    def __exit__(self, *exception: Any) -> None:
        with ThreadPoolExecutor(len(PEERS)) as pool:
            list(pool.map(self._end, list(self.processes)))

    def carry_out(self, part: str, budget: Budget, weights: dict[str, Path]) -> None:
        """One part of the measurements, into :attr:`results`; if it breaks down, the others go on.

        Args:
            part: ``"agreement"``, ``"kernels"``, ``"convolutions"``, ``"tests"``, ``"train"`` or
                ``"batches"``.
            budget: the time for it.
            weights: what the models start from, by name.
        """
        try:
            if part in ("train", "batches"):
                if not self.names:
                    self.start(self.plan.peers, budget)
                {"train": self.models, "batches": self.batches}[part](weights, budget)
            else:
                getattr(self, part)(budget)
        except Exception:
            message = traceback.format_exc()
            self.failures.append({"peer": OURS, "model": part, "message": message})
            self.say(message)
            self._leave_out(f"the rest of {part}: it failed")
        self.keep(self.results)

    def _enter(self, part: str, name: str, found: Any) -> None:
        """One more result of a part."""
        self.results[part][name] = found
        self.keep(self.results)

    def gpu(self, budget: Budget) -> Results:
        """Which GPU it is."""
        return self._ask("gpu", budget) or {}

    # -- is it right? --------------------------------------------------------------------------

    def tests(self, budget: Budget) -> Results:
        """Run the tests that need a GPU: ``{"status": ..., "summary": pytest's last line,
        "failed": ..., "printed": the end of what they printed, if one failed}``."""
        self.results["tests"] = {}
        if not importlib.util.find_spec("pytest") or not (ROOT / "tests").is_dir():
            return self._leave_out("the tests: pytest or the folder tests is not there")
        self.say("the tests that need a GPU")
        command = [sys.executable, "-m", "pytest", "-m", "gpu", "-v", "-p", "no:cacheprovider"]
        command += ["--ignore-glob=*test_keras_*", "tests"]
        if importlib.util.find_spec("xdist"):
            command += ["-n", str(min(WORKERS, os.cpu_count() or 1))]
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as printed:
            options = {"stdout": printed, "stderr": subprocess.STDOUT, "cwd": ROOT}
            try:
                done = subprocess.run(command, timeout=max(budget.left, 1.0), **options)
                status = done.returncode
            except subprocess.TimeoutExpired as error:
                status = None
                self._leave_out(f"the rest of the tests: {error.timeout:.0f} s were over")
            printed.seek(0)
            text = printed.read()
        found = _told_by_pytest(text)
        if status is None:
            passed, failed = text.count(" PASSED "), len(found["failed"])
            if passed + failed == 0:
                return {}
            status, found["summary"] = int(failed > 0), f"{passed} passed, {failed} failed"
        found["status"] = status
        if status:
            found["printed"] = text[-PRINTED:]
        self.results["tests"] = found
        return found

    def agreement(self, budget: Budget) -> Results:
        """By model, what ``benchmarks.agreement`` finds, and under ``"masks"``, dropout's."""
        results = self.results["agreement"] = {}
        masks = self._ask("masks", budget)
        if masks is not None:
            self._enter("agreement", "masks", masks["same"])
        for model in self.plan.models:
            if budget.left < self.plan.least:
                self._leave_out(f"the agreement of {model}: no time")
                continue
            self.say(f"agreement with the textbook floor: {model}")
            answer = self._ask("agreement", budget, model=model)
            if answer is not None:
                self._enter("agreement", model, answer)
        return results

    # -- how fast is it? -----------------------------------------------------------------------

    def kernels(self, budget: Budget) -> Results:
        """Bytes a second: ``{"copy": ..., kernel: ...}``."""
        results = self.results["kernels"] = {}
        for name in ("copy", *cases(1)):
            if budget.left < self.plan.least:
                self._leave_out(f"the kernel {name}: no time")
                continue
            self.say(f"memory: {name}")
            answer = self._ask("kernel", budget, name=name, seconds=self.plan.kernel_seconds)
            if answer is not None:
                self._enter("kernels", name, answer["rate"])
        return results

    def convolutions(self, budget: Budget) -> Results:
        """Seconds of a convolution: ``{name: {call: {"flops": ..., way: ...}}}``."""
        results = self.results["convolutions"] = {}
        for name in convolutions.cases():
            if budget.left < self.plan.least:
                self._leave_out(f"{name}: no time")
                continue
            self.say(name)
            answer = self._ask("convolution", budget, name=name, seconds=self.plan.kernel_seconds)
            if answer is not None:
                self._enter("convolutions", name, answer)
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
        said = {failure["peer"]: _last_line(failure["message"]) for failure in self.failures}
        for name in names:
            if name not in self.names:
                self._leave_out(f"{name}: {said.get(name, 'it does not start in time')}")

    def models(self, weights: dict[str, Path], budget: Budget) -> tuple[Results, Results]:
        """``(train, check)``: every model at its own batch size, with all peers."""
        train, check = self.results["train"], self.results["check"] = {}, {}
        for number, model in enumerate(self.plan.models):
            count = len(self.plan.models) - number
            names = [name for name in self.plan.peers_of(model) if name in self.names]
            part = self._one(model, weights, names, budget, count, check)
            if part is not None:
                self._enter("train", model, part)
        return train, check

    def batches(self, weights: dict[str, Path], budget: Budget) -> Results:
        """The large models at other batch sizes, against PyTorch: ``{"model at size": part}``. The
        largest first: for these there is a goal."""
        results = self.results["batches"] = {}
        models = [model for model in BATCH_MODELS if model in self.plan.models]
        wanted = [(model, size) for size in sorted(self.plan.batches)[::-1] for model in models]
        for number, (model, size) in enumerate(wanted):
            count = len(wanted) - number
            names = [name for name in BATCH_PEERS if name in self.names]
            part = self._one(model, weights, names, budget, count, None, size)
            if part is not None:
                self._enter("batches", f"{model} at {size}", part)
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
        """The steps of one model: the peers get ready (see :func:`lanes`), and are timed in turn.

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

        def get_ready_in_turn(lane: list[str]) -> None:
            for name in lane:
                self._try(name, what, get_ready, name)

        with ThreadPoolExecutor(len(PEERS)) as pool:
            list(pool.map(get_ready_in_turn, lanes(names)))
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
        failed = {f["peer"]: _last_line(f["message"]) for f in self.failures[failures:]}
        for name in names:
            if name not in alive and name not in wrong:
                why = f"it failed ({failed[name]})" if name in failed else "it took too long"
                self._leave_out(f"{name}, {what}: {why}")
            self._end_if_broken(name)
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
        self._end_if_broken(OURS)
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
            except PeerError:
                self.broken.add(peer)
                raise

        return super()._try(peer, model, in_time)

    def _end_if_broken(self, name: str) -> None:
        """A process that was ended because it took too long, or that failed, is replaced when it is
        next needed: after an error on the GPU, CUDA answers all that a process asks for with it."""
        if name in self.processes and (name in self.broken or not self.processes[name].alive):
            self._end(name)
        self.broken.discard(name)

    def _end(self, name: str) -> None:
        self.processes.pop(name).close()

    def _leave_out(self, what: str) -> Results:
        self.left_out.append(what)
        self.say(f"LEFT OUT: {what}")
        return {}


def _told_by_pytest(text: str) -> Results:
    """The last line of ``pytest -v``, and which tests failed; a test that was running when it was
    ended is not among them."""
    lines = [line for line in text.splitlines() if line.strip()]
    failed = [line for line in lines if re.match("(FAILED|ERROR) ", line)]
    if not failed:  # it did not come to its summary
        failed = [line for line in lines if re.search(r"(\] |::.* )(FAILED|ERROR) ", line)]
    return {"summary": lines[-1].strip("= ") if lines else "nothing printed", "failed": failed}


def _last_line(message: str) -> str:
    lines = message.strip().splitlines()
    return lines[-1] if lines else "nothing said"
