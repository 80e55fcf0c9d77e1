"""From the results of ``python -m benchmarks gpu`` to its one table. Nothing is measured here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.kernels import WITH_GOAL
from benchmarks.measure import Table, significant
from benchmarks.peers import PEERS
from benchmarks.report import OURS, outliers, step_time
from benchmarks.stages import Results

# How far a gradient may be from the textbook floor's, relative to its largest element.
TOLERANCES = {"float32": 1e-4, "float64": 1e-9}


@dataclass(frozen=True)
class Against:
    """A figure that divides the fastest of some peers' time by minicnn's.

    Attributes:
        figure: what the table calls it.
        columns: the peers, by the column that they have in the tables of ``compare``.
        goal, least: what it should be and must be; ``None`` where it is only shown.
    """

    figure: str
    columns: tuple[str, ...]
    goal: float | None
    least: float | None

    def best(self, peers: Results) -> str | None:
        """The fastest of its peers."""
        names = [name for name in peers if PEERS[name].column in self.columns]
        return min(names, key=lambda name: step_time(peers[name]).median, default=None)


STEPS = (
    Against("step, against PyTorch eager", ("PyTorch",), 4, 2),
    Against("step, against torch.compile, reduce-overhead", ("torch.compile",), 1.5, 1),
    Against(
        "step, against the fastest Keras",
        ("Keras/TensorFlow", "Keras/JAX", "Keras/torch"), 5, 2,
    ),
    Against("step, against JAX", ("JAX",), None, None),
    Against("step, against PyTorch with a fused optimizer", ("PyTorch, fused",), None, None),
)  # fmt: skip
LARGE = Against("large batch, against PyTorch eager", ("PyTorch",), 1, 0.6)
SMALL = Against("small batch, against PyTorch eager", ("PyTorch",), None, None)
LARGE_FROM = 1024


def gpu_table(results: Results) -> Table:
    """Every figure with its goal; what was left out stands below."""
    rows = [row for make in ROWS for row in make(results)]
    headings = ["figure", "of", "minicnn", "the other", "value", "goal", "least", ""]
    notes = (
        "A step in milliseconds: the median of the rounds. The value is the other's time divided "
        "by minicnn's, or the share of the bytes a second of a copy. float32 without "
        "TensorFloat-32 everywhere; of PyTorch's two layouts the faster one (* channels last)."
    )
    left_out = results.get("left_out", [])
    if left_out:
        notes += "\nLeft out: " + "; ".join(left_out) + "."
    return Table("On the GPU", headings, rows, notes)


def wrong(results: Results) -> list[str]:
    """What is not as it must be, speed apart: a line each."""
    lines = []
    tests = results.get("tests")
    if tests and tests["status"]:
        lines += [f"the tests: {tests['summary']}", *tests["failed"]]
    for model, found in _models(results):
        for dtype, tolerance in TOLERANCES.items():
            if not found[dtype] < tolerance:
                lines.append(f"{model}: gradients in {dtype} are off by {found[dtype]:.1e}")
        if not found["same"]:
            lines.append(f"{model}: two trainings differ")
    if results.get("agreement", {}).get("masks") is False:
        lines.append("dropout drops other units than on a CPU")
    for model, names in outliers(results.get("check", {})).items():
        if OURS in names:
            lines.append(f"{model}: another loss than the others': {results['check'][model]}")
    lines += [
        f"minicnn failed: {failure['model']}: {failure['message']}"
        for failure in results.get("failures", [])
        if failure["peer"] == OURS
    ]
    return lines


# -- rows -------------------------------------------------------------------------------------


def _test_rows(results: Results) -> Iterator[list[str]]:
    tests = results.get("tests")
    if tests:
        verdict = "WRONG" if tests["status"] else "right"
        yield ["tests that need a GPU", "pytest -m gpu", "", "", tests["summary"], "", "", verdict]


def _agreement_rows(results: Results) -> Iterator[list[str]]:
    models = dict(_models(results))
    for dtype, tolerance in TOLERANCES.items():
        if models:
            model = max(models, key=lambda name: _nan_last(models[name][dtype]))
            error = models[model][dtype]
            row = [f"gradients, {dtype}: relative error", f"{model}, the worst of {len(models)}"]
            row += ["", "", f"{error:.1e}", f"{tolerance:.0e}", f"{tolerance:.0e}"]
            yield [*row, "right" if error < tolerance else "WRONG"]
    if models:
        differ = [model for model, found in models.items() if not found["same"]]
        row = ["two trainings, equal to the bit", f"{len(models)} models", "", ""]
        yield [*row, ", ".join(differ) or "equal", "", "", "WRONG" if differ else "right"]
    if "masks" in results.get("agreement", {}):
        same = results["agreement"]["masks"]
        row = ["dropout: the units of a CPU", "", "", "", "the same" if same else "others"]
        yield [*row, "", "", "right" if same else "WRONG"]


def _step_rows(results: Results) -> Iterator[list[str]]:
    for against in STEPS:
        for model, part in results.get("train", {}).items():
            yield from _ratio(against, model, part["peers"])


def _batch_rows(results: Results) -> Iterator[list[str]]:
    for label, part in results.get("batches", {}).items():
        against = LARGE if int(label.split()[-1]) >= LARGE_FROM else SMALL
        yield from _ratio(against, label, part["peers"])


def _ratio(against: Against, label: str, peers: Results) -> Iterator[list[str]]:
    name = against.best(peers)
    if name is None or OURS not in peers:
        return
    ours, theirs = step_time(peers[OURS]).median, step_time(peers[name]).median
    column = PEERS[name].column if len(against.columns) > 1 else ""
    mark = "*" if PEERS[name].mark else ""
    yield [
        against.figure,
        label,
        significant(1e3 * ours),
        f"{significant(1e3 * theirs)}{mark} {column}".strip(),
        *_judged(theirs / ours, against.goal, against.least, "{:.2f}"),
    ]


def _kernel_rows(results: Results) -> Iterator[list[str]]:
    rates = results.get("kernels", {})
    for name, rate in rates.items():
        if name == "copy" or "copy" not in rates:
            continue
        goals = (0.8, 0.6) if name in WITH_GOAL else (None, None)
        speeds = [f"{value / 1e9:.0f} GB/s" for value in (rate, rates["copy"])]
        yield ["memory, against a copy", name, *speeds, *_judged(rate / rates["copy"], *goals)]


def _convolution_rows(results: Results) -> Iterator[list[str]]:
    for name, calls in results.get("convolutions", {}).items():
        for call, found in calls.items():
            times = [significant(1e3 * found[way]) for way in ("implicit", "columns")]
            speed = f"{significant(found['flops'] / found['implicit'] / 1e12)} TFLOP/s"
            ratio = f"{found['columns'] / found['implicit']:.2f}"
            row = ["implicit GEMM, against im2col and cuBLAS", f"{name}: {call}, {speed}"]
            yield [*row, *times, ratio, "", "", ""]


def _judged(
    value: float, goal: float | None, least: float | None, form: str = "{:.0%}"
) -> list[str]:
    """The last four cells of a row: value, goal, least, and what to say about it."""
    if goal is None or least is None:
        return [form.format(value), "", "", ""]
    verdict = "goal" if value >= goal else "enough" if value >= least else "BELOW"
    return [form.format(value), f"{goal:g}", f"{least:g}", verdict]


def _models(results: Results) -> Iterator[tuple[str, Results]]:
    """What was found about the agreement, by model."""
    for model, found in results.get("agreement", {}).items():
        if model != "masks":
            yield model, found


def _nan_last(error: float) -> float:
    return math.inf if math.isnan(error) else error


ROWS: tuple[Callable[[Results], Iterator[list[str]]], ...] = (
    _test_rows,
    _agreement_rows,
    _step_rows,
    _batch_rows,
    _kernel_rows,
    _convolution_rows,
)
