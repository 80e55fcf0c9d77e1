"""From the results of ``compare`` to tables. Nothing is measured here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from benchmarks.course import MODELS
from benchmarks.measure import Summary, Table, significant
from benchmarks.peers import PEERS
from benchmarks.stages import LESSON, STARTUP, Results

# How far peers may lie apart, relative. Float32 and another order of summation make some 2e-7 of
# the loss, and, as the loss of some models falls by a thousandth only, some 1e-3 of its fall.
LOSS_TOLERANCE, FALL_TOLERANCE = 1e-5, 1e-2

OURS = "minicnn"
KERAS, TORCH = ("keras",), ("torch",)
Measure = Callable[[Results], Summary]


# -- what a peer's figures say ----------------------------------------------------------------


def step_time(figures: Results) -> Summary:
    """Seconds a step in the steady state."""
    return Summary.of(epoch / figures["steps"] for epoch in figures["epochs"])


def predict_time(figures: Results) -> Summary:
    """Seconds for all pictures."""
    return Summary.of(figures["predict"])


def best(peers: Results, families: Sequence[str], measure: Measure) -> str | None:
    """The peer of these families with the lowest median."""
    names = [name for name in peers if PEERS[name].family in families]
    return min(names, key=lambda name: measure(peers[name]).median, default=None)


def advantage(peers: Results, families: Sequence[str], measure: Measure) -> tuple[float, float]:
    """How many times the best peer of these families needs what minicnn needs.

    Returns:
        The ratio of the medians and the ratio of the minima; NaN if one side is missing.
    """
    name = best(peers, families, measure)
    if name is None or OURS not in peers:
        return float("nan"), float("nan")
    theirs, ours = measure(peers[name]), measure(peers[OURS])
    lowest = min(measure(peers[n]).low for n in peers if PEERS[n].family in families)
    return theirs.median / ours.median, lowest / ours.low


def share_of_roof(part: Results, name: str) -> float:
    """The rate of a peer's training step, as a part of the rate of matrix products."""
    rate = part["flops"] / step_time(part["peers"][name]).median
    return rate / Summary.of(part["matmul"]).median


def deviations(losses: dict[str, list[float]]) -> dict[str, tuple[float, float]]:
    """How far each peer lies from the median of all.

    Args:
        losses: by peer, the loss before each step of the check.

    Returns:
        By peer, the relative deviation of the first loss (that is, of the forward pass) and of the
        fall from the first to the last one (of the gradients).
    """
    first = _finite_median(own[0] for own in losses.values())
    fall = _finite_median(own[0] - own[-1] for own in losses.values())
    return {
        name: (abs(own[0] / first - 1), abs((own[0] - own[-1]) / fall - 1))
        for name, own in losses.items()
    }


def _finite_median(values: Iterable[float]) -> float:
    """The median of those that are numbers; NaN if none is."""
    finite = [value for value in values if math.isfinite(value)]
    return Summary.of(finite).median if finite else math.nan


def outliers(check: Results) -> dict[str, list[str]]:
    """By model, the peers that do not compute what the others compute."""
    return {
        model: [
            name
            for name, (loss, fall) in deviations(losses).items()
            if not (loss < LOSS_TOLERANCE and fall < FALL_TOLERANCE)  # so that NaN is out, too
        ]
        for model, losses in check.items()
    }


# -- tables -----------------------------------------------------------------------------------


def tables(results: Results) -> list[Table]:
    """All tables that the results have figures for."""
    made = []
    if results.get("check"):
        made.append(_check_table(results["check"]))
    if results.get("train"):
        train, on_gpu = results["train"], results["plan"].get("device") == "gpu"
        product = "cuBLAS" if on_gpu else "NumPy"
        made += [_step_table(train), _rate_table(train, product), _predict_table(results)]
        if not on_gpu:  # the memory of the process is not where the arrays lie
            made += [_memory_table(train), _faults_table(train)]
        made.append(_before_table(train))
    if results.get("startup"):
        made.append(_startup_table(results["startup"]))
    if results.get("lesson"):
        made.append(_lesson_table(results))
    return made


def _check_table(check: Results) -> Table:
    rows = []
    left_out = outliers(check)
    for model, losses in check.items():
        off = deviations(losses)
        kept = [name for name in losses if name not in left_out[model]]
        if not kept:
            continue
        row = [model, f"{losses[kept[0]][0]:.6f}", f"{losses[kept[0]][-1]:.6f}", str(len(kept))]
        row += [f"{max(off[name][part] for name in kept):.0e}" for part in (0, 1)]
        row.append(", ".join(f"{name} ({off[name][1]:.0%})" for name in left_out[model]) or "-")
        rows.append(row)
    steps = max((len(own) for losses in check.values() for own in losses.values()), default=1) - 1
    headings = ["model", "loss", f"{steps} steps later", "peers"]
    headings += ["largest deviation of the loss", "of its fall", "left out (deviation of the fall)"]
    notes = (
        f"The same weights and the same batch, plain gradient descent, no dropout. A peer whose "
        f"loss is off by more than {LOSS_TOLERANCE:.0e}, or whose loss falls by more than "
        f"{FALL_TOLERANCE:.0%} more or less than that of the others, computes something else; its "
        "time for that model would mean nothing."
    )
    return Table("The same loss from the same weights", headings, rows, notes)


def _step_table(train: Results) -> Table:
    table = _table("Training step, ms", train, step_time, 1e3)
    floors = {part["peers"][OURS]["backend"] for part in train.values() if OURS in part["peers"]}
    table.notes = f"In the steady state: {table.notes}"
    if floors:
        table.notes += f" minicnn's floor: {', '.join(sorted(floors))}."
    return table


def _predict_table(results: Results) -> Table:
    count = results["plan"]["predictions"]
    return _table(f"predict on {count:,} images, ms", results["train"], predict_time, 1e3)


def _table(title: str, train: Results, measure: Measure, factor: float) -> Table:
    """Medians and spread by model and column, and minicnn's advantage."""
    columns = _columns(train)
    rows = []
    for model, part in train.items():
        peers = part["peers"]
        row = [f"{model} ({MODELS[model].batch_size})"]
        row += [_cell(peers, column, measure, factor) for column in columns]
        for families in (KERAS, TORCH):
            row.append("{:.2f} ({:.2f})".format(*advantage(peers, families, measure)))
        rows.append(row)
    headings = ["model (batch)", *columns, "x best Keras", "x best PyTorch"]
    notes = (
        "median (lowest-highest) of the rounds. The last two columns: what the best Keras backend "
        "and the best of PyTorch and torch.compile need, divided by what minicnn needs: of the "
        "medians (of the minima)."
    )
    text = "\n".join("\n".join(row) for row in rows)
    if "*" in text:
        notes += " *: channels last was the faster layout."
    return Table(title, headings, rows, notes)


def _columns(train: Results) -> list[str]:
    """The columns that some peer has figures for, in the order of ``PEERS``."""
    present = {name for part in train.values() for name in part["peers"]}
    return list(dict.fromkeys(peer.column for peer in PEERS.values() if peer.name in present))


def _in_column(peers: Results, column: str, measure: Measure) -> str | None:
    """The fastest peer of a column."""
    names = [name for name in peers if PEERS[name].column == column]
    return min(names, key=lambda name: measure(peers[name]).median, default=None)


def _cell(peers: Results, column: str, measure: Measure, factor: float) -> str:
    name = _in_column(peers, column, measure)
    if name is None:
        return "-"
    summary = measure(peers[name])
    median, low, high = (
        significant(factor * value) for value in (summary.median, summary.low, summary.high)
    )
    return f"{median} ({low}-{high})" + ("*" if PEERS[name].mark else "")


def _rate_table(train: Results, product: str) -> Table:
    """GFLOP/s of the whole step beside the roof, which ``product`` has measured."""
    columns = _columns(train)
    rows = []
    for model, part in train.items():
        peers, roof = part["peers"], Summary.of(part["matmul"])
        row = [model, significant(part["flops"] / 1e9), roof.text("{:.0f}", 1e-9)]
        for column in columns:
            name = _in_column(peers, column, step_time)
            if name is None:
                row.append("-")
                continue
            rate = part["flops"] / step_time(peers[name]).median
            row.append(f"{rate / 1e9:.0f} ({share_of_roof(part, name):.0%})")
        rows.append(row)
    headings = ["model", "GFLOP a step", "matrix product", *columns]
    notes = (
        "The products of forward and backward, divided by the time of the whole step, loss and "
        f"optimizer included; in brackets the share of the rate at which {product} multiplied two "
        "float32 matrices between the same rounds."
    )
    return Table("Training step, GFLOP/s", headings, rows, notes)


def _memory_table(train: Results) -> Table:
    columns = _columns(train)
    rows = []
    for model, part in train.items():
        row = [model]
        for column in columns:
            name = _in_column(part["peers"], column, step_time)
            peak = name and part["peers"][name]["peak"]
            row.append(f"{peak / 2**20:.0f}" if peak else "-")
        rows.append(row)
    notes = "The most that the process had at once while it trained: library, data and all."
    return Table("Peak memory of training, MiB", ["model", *columns], rows, notes)


def _faults_table(train: Results) -> Table:
    columns = _columns(train)
    rows = []
    for model, part in train.items():
        row = [model]
        for column in columns:
            name = _in_column(part["peers"], column, step_time)
            faults = part["peers"][name]["faults"] if name else [None]
            if None in faults:
                row.append("-")
                continue
            steps = part["peers"][name]["steps"]
            row.append(Summary.of(count / steps for count in faults).text("{:.1f}"))
        rows.append(row)
    notes = "How often a warm step is given a fresh page of memory: median (lowest-highest)."
    return Table("Minor page faults a step", ["model", *columns], rows, notes)


def _before_table(train: Results) -> Table:
    columns = _columns(train)
    rows = []
    for model, part in train.items():
        row = [model]
        for column in columns:
            name = _in_column(part["peers"], column, step_time)
            figures = part["peers"].get(name)
            seconds = [figures[key] for key in ("import", "build", "first_step")] if name else []
            row.append(" + ".join(f"{s:.2f}" for s in seconds) or "-")
        rows.append(row)
    notes = (
        "import + build and compile() + first step. minicnn imports its parts when they are first "
        "needed, and finds its compiled kernels in the cache; the others have no such cache, or "
        "an empty one."
    )
    return Table("Before the steady state, s", ["model", *columns], rows, notes)


def _startup_table(startup: Results) -> Table:
    rows = []
    for name, seconds in startup.items():
        if seconds:
            does = f"import and build {STARTUP}" if PEERS[name].family == OURS else "import alone"
            rows.append([f"{PEERS[name].column}: {does}", Summary.of(seconds).text("{:.2f}")])
    return Table("Starting up, s", ["", "median (lowest-highest)"], rows)


def _lesson_table(results: Results) -> Table:
    rows = []
    for label, seconds in results["lesson"].items():
        name, _, rest = label.partition(", ")
        text = PEERS[name].column
        if PEERS[name].family == OURS:
            text += f", {rest or 'filled cache'}"
        rows.append([text, Summary.of(seconds).text("{:.1f}"), str(len(seconds))])
    count = results["plan"]["lesson_images"]
    notes = (
        f"Lesson 1's {LESSON} on {count:,} images, everything included. The cache is that of the "
        "compiled kernels. Only the fastest Keras backend runs more than once."
    )
    title = "From the start of the process to the end of the first epoch, s"
    return Table(title, ["", "median (lowest-highest)", "runs"], rows, notes)
