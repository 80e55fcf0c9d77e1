"""Checks and measures everything on a GPU in a few minutes: the tests that need one, agreement
with the textbook floor, the training step of the eight models against every peer that sees a GPU,
large batches against PyTorch, and kernels against the speed of the memory. One table at the end.
What does not fit into the time is named as left out."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks.compare import standard_peers
from benchmarks.course import MODELS
from benchmarks.gpu_plan import Budget, GpuPlan
from benchmarks.gpu_report import gpu_table, wrong
from benchmarks.gpu_run import GpuRun
from benchmarks.measure import describe, machine, missing_gpu, put_on_page, write_json
from benchmarks.peers import PEERS
from benchmarks.report import OURS
from benchmarks.stages import Results, save_weights
from minicnn import backend

PAGE = Path(__file__).parent / "README.md"
PARTS = ("agreement", "kernels", "convolutions", "tests", "train", "batches")
# Which share of the time that is then left a part may take; the last one takes what there is.
SHARES = {
    "agreement": 0.2, "kernels": 0.2, "convolutions": 0.1, "tests": 0.35, "train": 0.7,
    "batches": 1.0,
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m benchmarks gpu``."""
    parser.add_argument(
        "--minutes", type=_minutes, default=GpuPlan.minutes, help="for everything (7.25)"
    )
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART",
        help=f"which parts: {', '.join(PARTS)}",
    )  # fmt: skip
    parser.add_argument(
        "--models", nargs="+", choices=MODELS, default=list(MODELS), metavar="MODEL",
        help=f"which models: {', '.join(MODELS)}",
    )  # fmt: skip
    parser.add_argument(
        "--peers", nargs="+", choices=PEERS, metavar="PEER",
        help="who takes part besides minicnn; by default all that are installed and see a GPU",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, default=Path("build/benchmarks"), metavar="FOLDER",
        help="where gpu.json and gpu.md go (build/benchmarks)",
    )  # fmt: skip
    parser.add_argument(
        "--results", type=Path, metavar="FILE",
        help="measure nothing: make the table of this gpu.json",
    )  # fmt: skip
    parser.add_argument("--page", action="store_true", help="put the table on the benchmarks' page")


def run(options: argparse.Namespace) -> int:
    """Measure, and show what came out.

    Returns:
        0; 1 if something is computed wrongly; 2 if no GPU can be used.
    """
    if options.results:
        results = json.loads(options.results.read_text(encoding="utf-8"))
    else:
        missing = missing_gpu()
        if missing:
            print(missing)
            return 2
        results = measure(plan_of(options), options.parts, options.out / "gpu.json")
    show(results, options.out, options.page)
    lines = wrong(results)
    if "printed" in results.get("tests", {}):
        print(results["tests"]["printed"])
    for line in lines:
        print(f"WRONG: {line}")
    return 1 if lines else 0


def plan_of(options: argparse.Namespace) -> GpuPlan:
    """How much to measure, from the command line."""
    peers = options.peers or standard_peers("gpu")
    names = [name for name in PEERS if name in peers or name == OURS]
    usual = [name for name, peer in PEERS.items() if "gpu" in peer.standard]
    absent = [] if options.peers else [name for name in usual if name not in names]
    return GpuPlan(options.models, names, minutes=options.minutes, absent=absent)


def measure(plan: GpuPlan, parts: list[str], file: Path) -> Results:
    """Carry out the plan. What has been found so far is in ``file`` at any time: of a run that was
    ended ``--results`` still makes a table."""
    begun = time.perf_counter()
    budget = Budget(60 * plan.minutes)

    def say(line: str) -> None:
        print(f"[{time.perf_counter() - begun:5.0f} s] {line}", flush=True)

    with (
        GpuRun(plan, say, lambda results: write_json(file, results)) as stage,
        tempfile.TemporaryDirectory() as folder,
    ):
        results = stage.results
        results |= {"plan": asdict(plan), "machine": machine()}
        if plan.device == "gpu":
            results["machine"]["gpu"] = stage.gpu(budget)
        backend.use("numpy")  # weights need no GPU, and a kernel that fails must not end it all
        weights = save_weights(plan.models, Path(folder))
        for part in PARTS:
            if part in parts:
                stage.carry_out(part, budget.part(SHARES[part]), weights)
    results["minutes"] = round((time.perf_counter() - begun) / 60, 1)
    write_json(file, results)
    return results


def show(results: Results, out: Path, page: bool) -> None:
    """Print the table, and write it to ``out``; with ``page``, to the page."""
    table = gpu_table(results)
    table.show()
    text = describe(results["machine"])
    if "minutes" in results:
        text += f" The run took {results['minutes']} minutes."
    print(text)
    text = f"{text}\n\n{table.markdown()}"
    out.mkdir(parents=True, exist_ok=True)
    (out / "gpu.md").write_text(text, encoding="utf-8")
    print(f"written: {out / 'gpu.json'}, {out / 'gpu.md'}")
    if page:
        write_json(PAGE.parent / "gpu.json", results)
        put_on_page(PAGE, "gpu", text)
        print(f"written: {PAGE}")


def _minutes(text: str) -> float:
    value = float(text)
    if not 0 < value < 24 * 60:
        raise argparse.ArgumentTypeError(f"expected a positive number of minutes, got {text}")
    return value
