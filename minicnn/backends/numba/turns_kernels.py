"""Which turns of a loop are whose."""

from __future__ import annotations

from minicnn.backends.numba.compiling import compiled


@compiled
def turns(n, worker, workers):
    """Those of n turns that a worker takes: a run of them.

    So a core meets the same images again in the next operation, and they lie in its own cache.
    """
    return range(n * worker // workers, n * (worker + 1) // workers)
