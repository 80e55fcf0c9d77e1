"""Trains the eight models of the course with minicnn and with every peer that is installed (Keras
on TensorFlow, JAX and PyTorch; PyTorch eager and compiled), each in its own process, in turn."""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks.course import MODELS
from benchmarks.figures import draw_steps
from benchmarks.goals import goal_table
from benchmarks.gpu_report import gpu_table
from benchmarks.measure import describe, load, machine, missing_gpu, put_on_page, write_json
from benchmarks.peers import DEVICES, PEERS
from benchmarks.report import OURS, outliers, tables
from benchmarks.stages import Plan, Results, Run, save_weights

PAGE = Path(__file__).parent / "README.md"
STAGES = ("check", "startup", "train", "lesson")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m benchmarks compare``."""
    standard = {
        device: ", ".join(name for name, peer in PEERS.items() if device in peer.standard)
        for device in DEVICES
    }
    parser.add_argument(
        "--models", nargs="+", choices=MODELS, default=list(MODELS), metavar="MODEL",
        help=f"which models: {', '.join(MODELS)}",
    )  # fmt: skip
    parser.add_argument(
        "--peers", nargs="+", choices=PEERS, metavar="PEER",
        help=f"who takes part, of {', '.join(PEERS)}; "
        f"by default, of those that are installed, on a CPU {standard['cpu']}, "
        f"on a GPU {standard['gpu']}",
    )  # fmt: skip
    parser.add_argument(
        "--stages", nargs="+", choices=STAGES, default=list(STAGES), metavar="STAGE",
        help=f"which parts: {', '.join(STAGES)} (the first epoch); train includes the check",
    )  # fmt: skip
    parser.add_argument(
        "--device", choices=DEVICES, default="cpu", help="what everybody computes on (cpu)"
    )
    parser.add_argument("--rounds", type=_positive, help="turns of each peer (5)")
    parser.add_argument("--steps", type=_positive, help="steps of a turn (60; short ones 240)")
    parser.add_argument("--quick", action="store_true", help="tiny numbers, to see that it works")
    parser.add_argument(
        "--out", type=Path, default=Path("build/benchmarks"), metavar="FOLDER",
        help="where compare.json, compare.md and compare.png go (build/benchmarks)",
    )  # fmt: skip
    parser.add_argument(
        "--results", type=Path, metavar="FILE",
        help="measure nothing: make the tables and the picture of this compare.json",
    )  # fmt: skip
    parser.add_argument(
        "--page", action="store_true",
        help="put tables, picture and JSON into the folder of the benchmarks, as the last full run",
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Measure, and show what came out.

    Returns:
        0; 1 if minicnn failed or computed another loss than the others; 2 if there should be a
        GPU and none can be used.
    """
    if options.results:
        results = json.loads(options.results.read_text(encoding="utf-8"))
    else:
        plan = plan_of(options)
        missing = missing_gpu() if plan.device == "gpu" else None
        if missing:
            print(missing)
            return 2
        results = measure(plan, options.stages, options.out / "compare.json")
    show(results, options.out, options.page)
    wrong = outliers(results.get("check", {}))
    for model, names in wrong.items():
        for name in names:
            print(f"NOT THE SAME: {name}, {model}: losses {results['check'][model][name]}")
    for failure in results["failures"]:
        print(f"FAILED: {failure['peer']}, {failure['model']}: {failure['message']}")
    failed = {failure["peer"] for failure in results["failures"]}
    return 1 if OURS in failed.union(*wrong.values()) else 0


def plan_of(options: argparse.Namespace) -> Plan:
    """How much to measure, from the command line.

    Raises:
        SystemExit: if a peer is asked for that is not installed.
    """
    if options.peers:
        absent = [name for name in options.peers if not PEERS[name].installed]
        if absent:
            needed = sorted({package for name in absent for package in PEERS[name].needs})
            raise SystemExit(f"--peers: {', '.join(absent)} needs {', '.join(needed)}")
    peers = options.peers or standard_peers(options.device)
    plan = Plan(options.models, [name for name in PEERS if name in peers])
    plan.device = options.device
    if options.quick:
        plan.rounds, plan.steps, plan.pause = 2, 4, 0.0
        plan.predictions, plan.lesson_images, plan.matmul_size = 300, 640, 512
    plan.rounds = options.rounds or plan.rounds
    plan.steps = options.steps or plan.steps
    return plan


def standard_peers(device: str) -> list[str]:
    """Who takes part on a device if nobody is named, and is installed."""
    return [name for name, peer in PEERS.items() if device in peer.standard and peer.installed]


def measure(plan: Plan, stages: list[str], file: Path) -> Results:
    """Carry out the plan. The results so far are in ``file`` after each stage and each model.

    Training is checked before it is timed. A peer that does not compute the same is left out; if it
    is minicnn, nothing is timed.
    """
    begun = time.perf_counter()
    stage = Run(plan, lambda line: print(f"[{time.perf_counter() - begun:5.0f} s] {line}"))
    results: Results = {"plan": asdict(plan), "machine": machine(), "failures": stage.failures}
    if plan.device == "gpu":
        with stage.process("none") as process:
            results["machine"]["gpu"] = process.ask("gpu")

    with tempfile.TemporaryDirectory() as folder:
        weights = save_weights(plan.models, Path(folder))
        wrong: dict[str, list[str]] = {}
        if "check" in stages or "train" in stages:
            results["check"] = stage.check(weights)
            write_json(file, results)
            wrong = outliers(results["check"])
            if any(OURS in names for names in wrong.values()):
                return results
        if "startup" in stages:
            results["startup"] = stage.startup()
            write_json(file, results)
        if "train" in stages:
            results["train"] = {}
            for model in plan.models:
                left_out = wrong.get(model, [])
                results["train"][model] = stage.train(model, weights[model], left_out)
                write_json(file, results)
        if "lesson" in stages:
            results["lesson"] = stage.lesson()
    results["minutes"] = round((time.perf_counter() - begun) / 60, 1)
    results["load_after"] = load()
    write_json(file, results)
    return results


def show(results: Results, out: Path, page: bool) -> None:
    """Print the tables, and write them and the picture to ``out``; with ``page``, to the page."""
    on_gpu = results["plan"].get("device") == "gpu"
    made = [gpu_table(results) if on_gpu else goal_table(results), *tables(results)]
    for table in made:
        table.show()
    text = f"{summary(results)}\n\n" + "\n".join(table.markdown() for table in made)
    out.mkdir(parents=True, exist_ok=True)
    (out / "compare.md").write_text(text, encoding="utf-8")
    picture = out / "compare.png"
    if results.get("train"):
        draw_steps(results["train"], picture)
    print(f"written: {out / 'compare.md'}, {picture}")
    if page:
        if picture.exists():
            shutil.copy(picture, PAGE.parent / "compare.png")
            text += "\n![Training step in milliseconds, by model and peer](compare.png)\n"
        write_json(PAGE.parent / "compare.json", results)
        put_on_page(PAGE, "compare", text)
        print(f"written: {PAGE}")


def summary(results: Results) -> str:
    """Date, machine, versions and how much was measured, in a paragraph."""
    facts, plan = results["machine"], results["plan"]
    text = f"{describe(facts)} {plan['rounds']} rounds."
    if "minutes" in results:
        text += f" The run took {results['minutes']} minutes."
    if facts["load"] is not None:
        text += f" Load before it began: {facts['load']}."
    return text


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a positive number, got {text}")
    return number
