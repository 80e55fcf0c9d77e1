"""What is said about a batch, on the GPU: a kernel for each where NumPy's way takes three to five.

A step of a small network is as long as its kernels are many. The formulas stand in the textbook's
file of this name.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.backends.cupy import device
from minicnn.backends.cupy.cross_entropy import whole
from minicnn.backends.numpy import reporting as textbook

KERNELS = device.Kernels("reporting")


def mean_loss(values: Any, gradients: Any, count: int) -> tuple[Any, Any]:
    """``(L, dL)``: L = sum_i values_i / count, and dL = gradients / count."""
    values, gradients = device.ready(values, gradients)
    total = device.empty((), values.dtype)
    scaled = device.empty(gradients.shape, gradients.dtype)
    n = gradients.size
    blocks = min(-(-n // device.BLOCK), device.MAX_BLOCKS)
    KERNELS.launch(
        "mean_loss", values.dtype, (max(1, blocks),), (1, device.BLOCK), values, gradients, total,
        scaled, np.int64(values.size), np.int64(n), np.float64(count),
    )  # fmt: skip
    return total, scaled


def categorical_matches(t: Any, p: Any) -> Any:
    """1 where the largest of t stands where the largest of p does, else 0: (..., c) -> (...)."""
    t, p = device.ready(t, p)
    return _matches("categorical_matches", t, p)


def sparse_matches(labels: Any, p: Any) -> Any:
    """The same for labels (...)."""
    (p,) = device.ready(p)
    return _matches("sparse_matches", whole(labels), p)


def _matches(kernel: str, targets: Any, p: Any) -> Any:
    matches = device.empty(p.shape[:-1], "float32")
    rows = matches.size
    KERNELS.each(kernel, p.dtype, rows, targets, p, matches, np.int64(rows), p.shape[-1])
    return matches


def add_to_mean(total: Any, count: Any, values: Any, each: int) -> None:
    """total += each sum_i values_i and count += each size(values), in place."""
    alike = total.dtype == count.dtype == values.dtype and values.dtype.kind == "f"
    if not (alike and device.is_array(values) and values.flags.c_contiguous):
        textbook.add_to_mean(total, count, values, each)
        return
    KERNELS.launch(
        "add_to_mean", values.dtype, (1,), (1, device.BLOCK),
        total, count, values, np.int64(values.size), np.float64(each),
    )  # fmt: skip
