"""Samples of an array, gathered."""

from __future__ import annotations

from minicnn.backends.numba.compiling import kernel


@kernel
def take(worker, workers, x, samples, y):
    """y_i = x_j where j is samples[i]: bytes (n, size) -> (m, size)."""
    m = len(samples)
    for i in range(m * worker // workers, m * (worker + 1) // workers):
        source, target = x[samples[i]], y[i]
        for j in range(len(target)):
            target[j] = source[j]
