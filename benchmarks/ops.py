"""Times single operations, forward and backward, on each floor of minicnn and in PyTorch, in turn
and in one process, on the shapes of the course's models. On a GPU, the floor is "cupy", and calls
are timed from one moment at which the GPU has nothing to do to the next."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import kernels
from benchmarks.measure import (
    Summary,
    Table,
    describe,
    load,
    machine,
    matmul_rate,
    missing_gpu,
    put_on_page,
    repeat,
    significant,
    write_json,
)
from benchmarks.ops_cases import CASES, Calls, Case
from benchmarks.peers import DEVICES
from benchmarks.peers.torch_peer import use_gpu

PAGE = Path(__file__).parent / "README.md"
# Threads of the side before wait for more work for a while, and keep the cores busy with that.
PAUSE = 0.1
FLOORS = {"cpu": ("numpy", "numba"), "gpu": ("cupy",)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m benchmarks ops``."""
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="WORD",
        help="only operations in whose name one of these words occurs",
    )  # fmt: skip
    parser.add_argument(
        "--sides", nargs="+", choices=(*FLOORS["cpu"], *FLOORS["gpu"], "torch"), metavar="SIDE",
        help="who takes part, of numpy, numba and torch, or on a GPU of cupy and torch; by default "
        "all that are installed",
    )  # fmt: skip
    parser.add_argument(
        "--device", choices=DEVICES, default="cpu", help="what everybody computes on (cpu)"
    )
    parser.add_argument("--rounds", type=_positive, default=9, help="turns of each side (9)")
    parser.add_argument(
        "--seconds", type=float, default=0.05, help="how long a turn lasts at least (0.05)"
    )
    parser.add_argument("--quick", action="store_true", help="one short turn, to see that it works")
    parser.add_argument(
        "--out", type=Path, default=Path("build/benchmarks"), metavar="FOLDER",
        help="where ops.json and ops.md go (build/benchmarks)",
    )  # fmt: skip
    parser.add_argument("--page", action="store_true", help="put the table on the benchmarks' page")


def run(options: argparse.Namespace) -> int:
    """Measure, and show what came out.

    Returns:
        0; 1 if nothing was measured; 2 if there should be a GPU and none can be used.
    """
    cases = [
        case
        for case in CASES
        if not options.only or any(word in case.name for word in options.only)
    ]
    if not cases:
        print(f"--only: no operation is called anything with {' or '.join(options.only)}")
        return 1
    device = options.device
    if device == "gpu" and (missing := missing_gpu()):
        print(missing)
        return 2
    sides = options.sides or [s for s in (*FLOORS[device], "torch") if _installed(s)]
    strangers = set(sides) - {*FLOORS[device], "torch"}
    if strangers:
        print(f"--sides: {', '.join(sorted(strangers))} does not compute on the {device}")
        return 1
    rounds, seconds = (1, 0.0) if options.quick else (options.rounds, options.seconds)
    results: dict[str, Any] = {"machine": machine(), "sides": sides, "rounds": rounds}
    results |= {"roof": [], "cases": [], "device": device}
    if device == "gpu":
        results["machine"]["gpu"] = kernels.gpu_facts()
    roof = kernels.matmul_rate if device == "gpu" else matmul_rate
    for case in cases:
        results["roof"].append(roof(*((256, 0.0) if options.quick else (2048, 0.2))))
        results["cases"].append(measure(case, sides, rounds, seconds, device))
    results["machine"]["load after"] = load()
    table = table_of(results)
    table.show()
    text = f"{table.markdown()}\n{describe(results['machine'])}"
    write_json(options.out / "ops.json", results)
    (options.out / "ops.md").write_text(text + "\n", encoding="utf-8")
    if options.page:
        put_on_page(PAGE, "ops", text)
    return 0


def measure(
    case: Case, sides: list[str], rounds: int, seconds: float, device: str = "cpu"
) -> dict[str, Any]:
    """All calls of a case, each side having its turn in every round.

    Returns:
        the case's name, and for each call its ``"flops"``, its ``"bytes"``, and in ``"times"`` the
        seconds of each round by side. A round's time is that of its quickest call, and on a GPU
        that of its calls divided by their number.
    """
    calls = {side: _calls(case, side, device) for side in sides}
    outcome: dict[str, Any] = {"name": case.name, "calls": {}}
    for call in calls[sides[0]]:
        times: dict[str, list[float]] = {side: [] for side in sides}
        for side in sides:
            calls[side][call]()  # compiles, and fetches memory
        for turn in range(rounds):
            for side in sides[turn % len(sides) :] + sides[: turn % len(sides)]:
                if device == "gpu":
                    wait = _synchronize(side)
                    times[side].append(kernels.turn(calls[side][call], wait, seconds))
                else:
                    time.sleep(PAUSE if seconds else 0)
                    calls[side][call]()
                    times[side].append(min(repeat(calls[side][call], seconds)))
        outcome["calls"][call] = {
            "times": times,
            "flops": case.flops.get(call, 0),
            "bytes": case.bytes[call],
        }
    return outcome


def table_of(results: dict[str, Any]) -> Table:
    """A row for each call: times, what the fast floor gains, and how near it is to the limit."""
    sides, roof = results["sides"], Summary.of(results["roof"])
    ours = next((side for side in ("cupy", "numba") if side in sides), sides[0])
    product = "cuBLAS's" if results.get("device") == "gpu" else "NumPy's"
    others = [side for side in sides if side != ours]
    headings = ["operation", *(f"{side}, ms" for side in sides)]
    headings += [*(f"{other} / {ours}" for other in others), "GFLOP/s", "% of roof", "GB/s"]
    rows = []
    for case in results["cases"]:
        for call, measured in case["calls"].items():
            times = {side: Summary.of(values) for side, values in measured["times"].items()}
            label = f"{case['name']}: {call}" if len(case["calls"]) > 1 else case["name"]
            row = [label, *(_milliseconds(times[side]) for side in sides)]
            row += [significant(times[other].median / times[ours].median) for other in others]
            rate = measured["flops"] / times[ours].median
            row += [f"{rate / 1e9:.0f}", f"{100 * rate / roof.median:.0f}"] if rate else ["", ""]
            rows.append([*row, f"{measured['bytes'] / times[ours].median / 1e9:.1f}"])
    notes = (
        f"Each time: the median of {results['rounds']} rounds, and the lowest and highest. GFLOP/s "
        "and GB/s (bytes that must be read or written) are those of "
        f"{ours}. The roof is {product} float32 product of 2048 x 2048: "
        f"{roof.text('{:.0f}', 1e-9)} GFLOP/s."
    )
    return Table("Single operations", headings, rows, notes)


def _milliseconds(time: Summary) -> str:
    low, median, high = (significant(1e3 * t) for t in (time.low, time.median, time.high))
    return f"{median} ({low}-{high})"


def _calls(case: Case, side: str, device: str) -> Calls:
    """What to time: each side gets the same numbers, in arrays of its own."""
    arrays = case.arrays(np.random.default_rng(0))
    if side == "torch":
        torch = importlib.import_module("torch")
        if device == "gpu":
            use_gpu(torch)
        torch.set_default_device("cuda" if device == "gpu" else "cpu")
        return case.torch(torch, arrays)
    floor = importlib.import_module(f"minicnn.backends.{side}")
    return case.ours(floor, [floor.asarray(array) for array in arrays])


def _synchronize(side: str) -> Callable[[], Any]:
    """What waits until the GPU has done all that this side asked for."""
    if side == "torch":
        return importlib.import_module("torch").cuda.synchronize
    from minicnn.backends.cupy.device import door

    return door().synchronize


def _installed(side: str) -> bool:
    return side == "numpy" or importlib.util.find_spec(side) is not None


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a positive whole number, got {text}")
    return value
