"""What every benchmark shares: the machine, the matrix-product rate, statistics, tables, files."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "numpy", "numba", "keras", "tensorflow", "tensorflow-cpu", "jax", "jaxlib", "torch",
    "cupy-cuda13x", "cupy-cuda12x",
)  # fmt: skip
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "MINICNN_BACKEND",
)


# -- the machine ------------------------------------------------------------------------------


def machine() -> dict[str, Any]:
    """What the figures depend on: date, processor, cores, memory, system, versions, load.

    Nothing is imported to find the versions. ``load`` is the number of processes that wanted to
    run in the last minute: well above 0, and somebody else was using the machine.
    """
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": processor(),
        "cores": cores(),
        "memory": memory(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "environment": {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
        "load": load(),
    }


def describe(facts: dict[str, Any]) -> str:
    """:func:`machine`'s facts in two sentences."""
    size = f", {facts['memory'] / 2**30:.0f} GiB" if facts["memory"] else ""
    packages = ", ".join(f"{name} {version}" for name, version in facts["packages"].items())
    text = (
        f"{facts['date']}; {facts['processor']}, {facts['cores']} cores{size}; {facts['system']}. "
        f"Python {facts['python']}, {packages}."
    )
    if facts.get("gpu"):
        text += " " + describe_gpu(facts["gpu"])
    if facts["environment"]:
        text += " Set: " + ", ".join(f"{k}={v}" for k, v in facts["environment"].items()) + "."
    return text


def describe_gpu(gpu: dict[str, Any]) -> str:
    """What ``benchmarks.kernels.gpu_facts`` found, in a sentence."""
    driver = f"driver {gpu['driver']} for" if gpu["driver"] else "driver for"
    return (
        f"{gpu['name']}, {gpu['memory'] / 2**30:.0f} GiB, compute capability "
        f"{gpu['compute_capability']}; {driver} CUDA {gpu['driver_cuda']}; CUDA {gpu['cuda']}, "
        f"NVRTC {gpu['nvrtc']}, CuPy {gpu['cupy']}."
    )


def missing_gpu() -> str | None:
    """What is missing for computing on a GPU, in a line; ``None`` if nothing is."""
    from minicnn.backends.cupy.status import gpu_status

    status = gpu_status()
    return None if status.usable else f"no GPU can be used: {status.reason}"


def processor() -> str:
    """The processor's name, as well as the system knows it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def cores() -> int:
    """The cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # only Linux has it
        return os.cpu_count() or 1


def memory() -> int | None:
    """The machine's memory in bytes; ``None`` where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def load() -> float | None:
    """The load average of the last minute; ``None`` on Windows."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def matmul_rate(size: int = 2048, seconds: float = 0.5) -> float:
    """FLOP/s of NumPy's float32 product of two square matrices: the best of those that fit in.

    The roof for everything that consists of products: nothing here can be much faster.
    """
    import numpy as np

    rng = np.random.default_rng(0)
    a, b = (rng.random((size, size), np.float32) for _ in range(2))
    c = a @ b
    return 2 * size**3 / min(repeat(lambda: np.matmul(a, b, out=c), seconds))


# -- time -------------------------------------------------------------------------------------


def repeat(action: Callable[[], Any], seconds: float, least: int = 3) -> list[float]:
    """Call ``action`` until ``seconds`` are over, and ``least`` times at least.

    Returns:
        How many seconds each call took.
    """
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < end:
        begun = time.perf_counter()
        action()
        times.append(time.perf_counter() - begun)
    return times


@dataclass(frozen=True)
class Summary:
    """Several measurements of one thing.

    >>> Summary.of([3.0, 1.0, 2.0])
    Summary(median=2.0, low=1.0, high=3.0, count=3)
    >>> Summary.of([3.0, 1.0, 2.0]).text("{:.1f}")
    '2.0 (1.0-3.0)'
    """

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Summary:
        """Of at least one value.

        Raises:
            ValueError: if there is none.
        """
        values = list(values)
        if not values:
            raise ValueError("values: expected at least one measurement, got none")
        return cls(statistics.median(values), min(values), max(values), len(values))

    def text(self, form: str, factor: float = 1.0) -> str:
        """``median (low-high)``, each times ``factor`` and formatted by ``form``."""
        median, low, high = (
            form.format(factor * value) for value in (self.median, self.low, self.high)
        )
        return f"{median} ({low}-{high})"


def significant(value: float, digits: int = 3) -> str:
    """A number with so many digits, without an exponent.

    >>> [significant(v) for v in (0.04321, 4.321, 43.21, 4321.0)]
    ['0.0432', '4.32', '43.2', '4321']
    """
    if value == 0:
        return "0"
    decimals = digits - 1 - int(f"{value:.{digits - 1}e}".partition("e")[2])
    return f"{value:.{max(decimals, 0)}f}"


# -- what comes out ---------------------------------------------------------------------------


@dataclass
class Table:
    """A table, for the terminal and for the page. The first column is text, the others numbers."""

    title: str
    headings: Sequence[str]
    rows: list[Sequence[str]]
    notes: str = ""

    def show(self) -> None:
        """Print it."""
        from rich.console import Console
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(title=self.title, title_justify="left")
        for index, heading in enumerate(self.headings):
            table.add_column(heading, justify="right" if index else "left", overflow="fold")
        for row in self.rows:
            table.add_row(*(Text(cell) for cell in row))
        console = Console(highlight=False)
        if not console.is_terminal:  # a file is as wide as it needs to be
            console = Console(highlight=False, width=240)
        console.print(table)
        if self.notes:
            console.print(self.notes, markup=False)

    def markdown(self) -> str:
        """The same for a page.

        >>> print(Table("Speed", ["model", "ms"], [["lenet", "2.0"]], "Less is better.").markdown())
        ### Speed
        <BLANKLINE>
        | model | ms |
        |---|--:|
        | lenet | 2.0 |
        <BLANKLINE>
        Less is better.
        <BLANKLINE>
        """

        def line(cells: Iterable[str]) -> str:
            return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

        rule = "|" + "|".join(["---"] + ["--:"] * (len(self.headings) - 1)) + "|"
        text = [f"### {self.title}", "", line(self.headings), rule, *map(line, self.rows), ""]
        return "\n".join(text + ([self.notes, ""] if self.notes else []))


def write_json(path: str | Path, results: Any) -> Path:
    """Write ``results`` where ``path`` says, folders included. The file is whole or not there."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".tmp")
    unfinished.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    unfinished.replace(path)
    return path


def put_on_page(page: str | Path, mark: str, text: str) -> None:
    """Replace what stands on a page between ``<!-- MARK: begin -->`` and ``<!-- MARK: end -->``.

    Raises:
        ValueError: if the page has no such place.
    """
    page = Path(page)
    old = page.read_text(encoding="utf-8")
    begin, end = f"<!-- {mark}: begin -->", f"<!-- {mark}: end -->"
    head, found, rest = old.partition(begin)
    _, closed, tail = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"{page}: expected the lines {begin!r} and {end!r}")
    page.write_text(f"{head}{begin}\n\n{text.strip()}\n\n{end}{tail}", encoding="utf-8")
