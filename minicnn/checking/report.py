"""What a gradient check found out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class Row:
    """What a gradient check found out about one array, an input or a weight.

    Attributes:
        name: "input", or layer and weight: "conv2d/kernel".
        shape: of the array.
        checked: how many of its entries were compared.
        left_out: how many more were looked at, but lie on a kink, where there is no gradient.
        max_relative_error: |analytic - numeric| / the largest entry of the array's gradient, at
            the worst entry; NaN if there was none to compare.
        worst, analytic, numeric: that entry's index, and both gradients there.
        zero: whether both gradients are zero everywhere: nothing was learned from this array.
    """

    name: str
    shape: tuple[int, ...]
    checked: int
    left_out: int
    max_relative_error: float
    worst: tuple[int, ...]
    analytic: float
    numeric: float
    zero: bool


@dataclass(repr=False)
class GradientCheck:
    """The result of :func:`gradient_check`: true if it passed, and a table when printed.

    Attributes:
        rows: a :class:`Row` for every input and every weight.
        tolerance: how large a relative error may be.
    """

    rows: list[Row]
    tolerance: float

    @property
    def max_relative_error(self) -> float:
        """The largest of all rows; NaN if one of them is."""
        return float(np.max([row.max_relative_error for row in self.rows], initial=0.0))

    @property
    def passed(self) -> bool:
        """Whether every error is below the tolerance, at most half of the entries of each array
        had to be left out, and not everything was zero."""
        return (
            self.max_relative_error < self.tolerance
            and all(row.left_out <= row.checked for row in self.rows)
            and not all(row.zero for row in self.rows)
        )

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        header = ("array", "shape", "checked", "error", "worst at", "analytic", "numeric", "")
        lines = [header] + [
            (
                row.name,
                str(row.shape),
                str(row.checked),
                f"{row.max_relative_error:.1e}",
                str(row.worst),
                f"{row.analytic:.6g}",
                f"{row.numeric:.6g}",
                self._remark(row),
            )
            for row in self.rows
        ]
        widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
        table = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        ]
        verdict = "passed" if self.passed else "FAILED"
        end = f"{verdict}: relative error {self.max_relative_error:.1e}"
        return "\n".join([*table, f"{end}, tolerance {self.tolerance:.0e}"])

    __repr__ = __str__

    def _remark(self, row: Row) -> str:
        remarks = []
        if not row.max_relative_error < self.tolerance:
            remarks.append("FAILED")
        if row.left_out:
            remarks.append(f"{row.left_out} left out on a kink")
        if row.left_out > row.checked:
            remarks.append("FAILED: too few checked")
        if row.zero:
            remarks.append("zero on both sides")
        return ", ".join(remarks)
