"""Starts a peer's process and asks it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.peers import ENVIRONMENTS, PEERS

ROOT = Path(__file__).parents[2]


class PeerError(RuntimeError):
    """A peer did not answer, or answered with an error; the message says why."""


class PeerLate(PeerError):
    """A peer did not answer in time, and was ended."""


class PeerProcess:
    """A worker (see ``worker.py``), to be used in a ``with`` statement, which ends the process.

    Args:
        name: of the peer, or ``"none"``.
        environment: variables for the process, besides the peer's own.
        patience: seconds that an answer may take, or a function that says how many.
        device: ``"cpu"`` or ``"gpu"``: what the process may compute on.

    Attributes:
        begun: the time (``time.perf_counter``) at which the process was started.
        alive: whether it has answered every time.
    """

    def __init__(
        self,
        name: str,
        environment: dict[str, str] | None = None,
        patience: float | Callable[[], float] = 1800.0,
        device: str = "cpu",
    ):
        self.name, self.patience, self.device = name, patience, device
        self.alive = True
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._printed = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self.begun = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.peers.worker", name],
            cwd=ROOT,
            env=self._environment(environment or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._printed,
            text=True,
            encoding="utf-8",
        )

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        own = PEERS[self.name].environment if self.name in PEERS else {}
        temporary = os.path.join(self._folder.name, "cache")
        own = {key: value.format(temporary=temporary) for key, value in own.items()}
        return {**os.environ, **ENVIRONMENTS[self.device], **own, **more}

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Send a command and wait for the answer.

        Raises:
            PeerError: if the answer is an error, or there is none.
            PeerLate: if it takes too long.
        """
        patience = self.patience() if callable(self.patience) else self.patience
        if patience <= 0:
            raise PeerLate(f"{self.name}: no time is left for {command!r}")
        clock = threading.Timer(patience, self._process.kill)
        begun = time.perf_counter()
        clock.start()
        try:
            self._process.stdin.write(json.dumps({"command": command, **arguments}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError:  # the process is gone
            line = ""
        finally:
            clock.cancel()
        if not line:
            self.alive = False
            ended = f"{self.name} ended during {command!r}"
            if time.perf_counter() - begun >= patience:
                raise PeerLate(f"{ended}: it took longer than {patience:.0f} s")
            raise PeerError(f"{ended}:\n{self._last_words()}")
        answer = json.loads(line)
        if "error" in answer:
            raise PeerError(f"{self.name} failed in {command!r}:\n{answer['error'].strip()}")
        return answer

    def _last_words(self) -> str:
        self._printed.seek(0)
        return "\n".join(self._printed.read().splitlines()[-15:])

    def close(self) -> None:
        """End the process and remove its temporary files."""
        with contextlib.suppress(OSError):  # it may be gone already, with a command unread
            self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._printed.close()
        self._folder.cleanup()

    def __enter__(self) -> PeerProcess:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()
