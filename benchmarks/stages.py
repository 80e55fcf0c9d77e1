"""What ``compare`` measures, stage by stage. Each stage fills its part of the results, which are
plain lists and dicts, in seconds and bytes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.course import MODELS
from benchmarks.peers import ENVIRONMENTS, PEERS
from benchmarks.peers.process import ROOT, PeerError, PeerProcess
from benchmarks.sketch import step_flops

Results = dict[str, Any]

LESSON = "convnet"  # lesson 1's, for the time to the end of the first epoch
STARTUP = "model3"  # the model that is built for the start-up time


@dataclass
class Plan:
    """How much is measured.

    Attributes:
        models, peers: names.
        rounds: how often each peer has its turn.
        steps: steps of an epoch; by default 60, or 240 where a step is short.
        predictions: how many pictures are predicted.
        lesson_images: how many pictures the first epoch of the lesson has.
        matmul_size: of the matrices whose product is the yardstick.
        pause: seconds before each turn, until the threads of the one before have gone to sleep.
        device: ``"cpu"`` or ``"gpu"``.
    """

    models: list[str]
    peers: list[str]
    rounds: int = 5
    steps: int | None = None
    predictions: int = 10_000
    lesson_images: int = 60_000
    matmul_size: int = 2048
    pause: float = 0.3
    device: str = "cpu"

    def steps_of(self, model: str) -> int:
        return self.steps or (240 if step_flops(MODELS[model]) < 5e8 else 60)

    def peers_of(self, model: str) -> list[str]:
        return [name for name in self.peers if PEERS[name].suits(MODELS[model])]

    def of_family(self, family: str) -> list[str]:
        return [name for name in self.peers if PEERS[name].family == family]


class Run:
    """The stages, over one plan.

    Args:
        plan: what to measure.
        say: is handed a line on what happens now.
    """

    def __init__(self, plan: Plan, say: Callable[[str], None] = print):
        self.plan, self.say = plan, say
        self.failures: list[dict[str, str]] = []

    def process(self, name: str, environment: dict[str, str] | None = None) -> PeerProcess:
        """A new process of a peer, on the plan's device."""
        return PeerProcess(name, environment, device=self.plan.device)

    def _matmul_rate(self, yardstick: PeerProcess) -> float:
        size, device = self.plan.matmul_size, self.plan.device
        return yardstick.ask("matmul", size=size, seconds=0.5, device=device)["rate"]

    # -- the same loss from the same weights ---------------------------------------------------

    def check(self, weights: dict[str, Path]) -> Results:
        """The losses before each of five steps of plain gradient descent:
        ``{model: {peer: losses}}``."""
        results: Results = {model: {} for model in self.plan.models}
        for name in self.plan.peers:
            self.say(f"check: {name}")
            with self.process(name) as peer:
                if self._try(name, "", self._load, peer) is None:
                    continue
                for model in self.plan.models:
                    if name in self.plan.peers_of(model):
                        arguments = {"model": model, "weights": str(weights[model]), "steps": 5}
                        answer = self._try(name, model, peer.ask, "check", **arguments)
                        if answer is not None:
                            results[model][name] = answer["losses"]
        return results

    # -- training and prediction ---------------------------------------------------------------

    def train(self, model: str, weights: Path, left_out: Sequence[str] = ()) -> Results:
        """Everything about one model, with all peers in turn but those that are left out.

        Returns:
            ``{"flops": ..., "matmul": rates, "peers": {peer: figures}}``, where figures are
            ``import``, ``build``, ``first_step``, ``steps``, ``epochs`` (seconds), ``faults`` (an
            epoch), ``peak`` (bytes, training alone), ``predict`` (seconds) and ``backend``.
        """
        plan, figures = self.plan, {}
        rates: list[float] = []
        with ExitStack() as stack:
            yardstick = stack.enter_context(self.process("none"))
            alive: dict[str, PeerProcess] = {}
            for name in plan.peers_of(model):
                if name in left_out:
                    continue
                self.say(f"{model}: {name} gets ready")
                peer = stack.enter_context(self.process(name))
                ready = self._try(name, model, self._get_ready, peer, model, weights)
                if ready is not None:
                    alive[name], figures[name] = peer, ready
            for number in range(plan.rounds):
                self.say(f"{model}: training, round {number + 1} of {plan.rounds}")
                time.sleep(plan.pause)
                rates.append(self._matmul_rate(yardstick))
                for name, answer in self._round(alive, number, model, "epoch"):
                    figures[name]["epochs"].append(answer["seconds"])
                    figures[name]["faults"].append(answer["faults"])
                    figures[name]["loss"] = answer["loss"]
            for name, peer in alive.items():
                figures[name]["peak"] = peer.ask("memory")["peak"]
            self._round(alive, 0, model, "images", images=plan.predictions)
            for number in range(plan.rounds):
                self.say(f"{model}: predicting, round {number + 1} of {plan.rounds}")
                for name, answer in self._round(alive, number, model, "predict"):
                    figures[name]["predict"].append(answer["seconds"])
        return {
            "flops": step_flops(MODELS[model]),
            "matmul": rates,
            "peers": {name: figures[name] for name in alive},
        }

    def _get_ready(self, peer: PeerProcess, model: str, weights: Path) -> Results:
        """All that comes before the steady state, and one epoch to reach it."""
        loaded = self._load(peer)
        return {"import": loaded["seconds"], **self._warm_up(peer, model, weights)}

    def _load(self, peer: PeerProcess) -> Results:
        return peer.ask("load", device=self.plan.device)

    def _warm_up(
        self,
        peer: PeerProcess,
        model: str,
        weights: Path,
        batch_size: int | None = None,
        steps: int | None = None,
    ) -> Results:
        """The same after the import; with the lesson's batch size and the plan's steps, unless
        others are given."""
        built = peer.ask("build", model=model, weights=str(weights), batch_size=batch_size)
        steps = peer.ask("data", steps=steps or self.plan.steps_of(model))["steps"]
        first = peer.ask("step")
        peer.ask("epoch")
        return {
            "backend": built["backend"],
            "build": built["seconds"],
            "first_step": first["seconds"],
            "steps": steps,
            "epochs": [],
            "faults": [],
            "predict": [],
        }

    def _round(
        self, alive: dict[str, PeerProcess], number: int, model: str, command: str, **arguments: Any
    ) -> list[tuple[str, Results]]:
        """Ask every peer once, in another order each round. One that fails is out."""
        names = list(alive)
        first = number % len(names) if names else 0
        answers = []
        for name in names[first:] + names[:first]:
            time.sleep(self.plan.pause)
            answer = self._try(name, model, alive[name].ask, command, **arguments)
            if answer is None:
                del alive[name]
            else:
                answers.append((name, answer))
        return answers

    # -- starting up ---------------------------------------------------------------------------

    def startup(self) -> Results:
        """Seconds for ``import minicnn`` and building a model, and for ``import keras`` alone, each
        in new processes: ``{peer: seconds}``."""
        scripts = {name: f"import {PEERS[name].needs[0]}" for name in self.plan.of_family("keras")}
        for name in self.plan.of_family("minicnn"):
            scripts[name] = (
                "import minicnn\n"
                "from benchmarks.course import MODELS\n"
                f"MODELS[{STARTUP!r}].build(minicnn)"
            )
        results: Results = {name: [] for name in scripts}
        for number in range(self.plan.rounds + 1):
            self.say(f"start-up: round {number} of {self.plan.rounds}")
            for name, script in scripts.items():
                seconds = self._try(name, STARTUP, _time_script, name, script, self.plan.device)
                if seconds is not None and number:  # round 0 brings the files into memory
                    results[name].append(seconds)
        return results

    def lesson(self) -> Results:
        """Seconds from the start of a process to the end of a lesson's first epoch.

        minicnn starts with an empty cache of compiled kernels, and then with the one that this
        filled. Of Keras, the backend that was fastest in the first round goes on alone.

        Returns:
            ``{peer: seconds}``, with ``"minicnn, empty cache"`` for the former.
        """
        results: Results = {}
        keras = self.plan.of_family("keras")
        for number in range(min(self.plan.rounds, 3)):
            for name in self.plan.of_family("minicnn"):
                with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                    for label in (f"{name}, empty cache", name):
                        self._first_epoch(results, label, name, number, {"NUMBA_CACHE_DIR": folder})
            for name in keras:
                self._first_epoch(results, name, name, number, {})
            keras = sorted((n for n in keras if n in results), key=lambda n: results[n][0])[:1]
        return results

    def _first_epoch(
        self, results: Results, label: str, name: str, number: int, environment: dict[str, str]
    ) -> None:
        self.say(f"first epoch: {label}, round {number + 1}")
        time.sleep(self.plan.pause)
        with self.process(name, environment) as peer:
            arguments = {"model": LESSON, "images": self.plan.lesson_images}
            arguments["device"] = self.plan.device
            answer = self._try(name, LESSON, peer.ask, "lesson", **arguments)
            if answer is not None:
                results.setdefault(label, []).append(time.perf_counter() - peer.begun)

    def _try(
        self, peer: str, model: str, action: Callable[..., Any], /, *args: Any, **options: Any
    ) -> Any:
        """What ``action(*args, **options)`` returns; ``None`` if the peer fails, which is noted."""
        try:
            return action(*args, **options)
        except PeerError as error:
            self.failures.append({"peer": peer, "model": model, "message": str(error)})
            self.say(f"LEFT OUT: {error}")
            return None


def save_weights(models: list[str], folder: Path, seed: int = 0) -> dict[str, Path]:
    """Draw the weights that all peers start from, with minicnn, in Keras's order and layout.

    Returns:
        The file of each model.
    """
    import numpy as np

    import minicnn

    paths = {}
    for name in models:
        minicnn.utils.set_random_seed(seed)
        paths[name] = folder / f"{name}.npz"
        np.savez(paths[name], *MODELS[name].build(minicnn).get_weights())
    return paths


def _time_script(name: str, script: str, device: str) -> float:
    """Seconds that a Python script takes in a new process, from its first line to its last.

    Raises:
        PeerError: if it fails.
    """
    timed = (
        f"import time\nbegun = time.perf_counter()\n{script}\nprint(time.perf_counter() - begun)"
    )
    done = subprocess.run(
        [sys.executable, "-c", timed],
        cwd=ROOT,
        env={**os.environ, **ENVIRONMENTS[device], **PEERS[name].environment},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise PeerError(f"{name} failed:\n{done.stderr.strip()[-2000:]}")
    return float(done.stdout.split()[-1])
