"""The two ways in which minicnn computes a convolution on a GPU, against each other.

Either way has its place (``minicnn/backends/cupy/implicit_gemm.py``): with a matrix of windows and
cuBLAS, or without one. Which of them takes a convolution is decided by the number of its filters;
this shows whether that is right on the GPU at hand.
"""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np

from benchmarks.kernels import turn
from benchmarks.ops_cases import Case, conv

WAYS = {"implicit": 2**31, "columns": 0}
"""Up to how many filters a convolution is computed without the matrix of windows."""


def cases() -> dict[str, Case]:
    """Convolutions of model3, convnet and mini-alexnet, at their own batch and at large ones."""
    shapes = [
        (64, 32, 3, 32), (4096, 32, 3, 32), (64, 16, 32, 32), (4096, 16, 32, 32),
        (64, 8, 32, 64), (4096, 8, 32, 64), (128, 10, 48, 128), (4096, 10, 48, 128),
        (128, 3, 192, 192), (4096, 3, 192, 192), (128, 3, 192, 128), (64, 3, 64, 64),
    ]  # fmt: skip
    made = [conv(n, size, c, f, "same", first=c == 3) for n, size, c, f in shapes]
    return {case.name: case for case in made}


def measured(name: str, seconds: float) -> dict[str, Any]:
    """The best of three turns of one of :func:`cases`, both ways: ``{call: {"flops": ..., way:
    seconds}}``.

    Args:
        seconds: for all turns of a call together.
    """
    from minicnn.backends import cupy as ops
    from minicnn.backends.cupy import device, implicit_gemm

    case, synchronize = cases()[name], device.door().synchronize
    arrays = [ops.asarray(array) for array in case.arrays(np.random.default_rng(0))]
    found: dict[str, Any] = {}
    for call, action in case.ours(ops, arrays).items():
        found[call] = {"flops": case.flops[call]}
        for way, filters in WAYS.items():
            with mock.patch.multiple(implicit_gemm, FILTERS=filters, RESULTS=0):
                turns = [turn(action, synchronize, seconds / 6) for _ in range(3)]
            found[call][way] = min(turns)
    return found
