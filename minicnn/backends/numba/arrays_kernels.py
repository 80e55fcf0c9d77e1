"""Samples of an array, gathered."""

from __future__ import annotations

from minicnn.backends.numba.compiling import kernel
from minicnn.backends.numba.turns_kernels import turns


@kernel
def take(worker, workers, x, samples, y):
    """y_i = x_j where j is samples[i]: bytes (n, size) -> (m, size)."""
    for i in turns(len(samples), worker, workers):
        source, target = x[samples[i]], y[i]
        for j in range(len(target)):
            target[j] = source[j]
