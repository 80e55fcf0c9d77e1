"""A sum of sums, which does not depend on how many workers there are."""

from __future__ import annotations

from minicnn.backends.numba.compiling import kernel


@kernel
def add_parts(worker, workers, parts, total):
    """total = the sum of the rows of ``parts``, always in the same order."""
    first, last = total.size * worker // workers, total.size * (worker + 1) // workers
    total = total[first:last]
    for part in range(len(parts)):
        more = parts[part, first:last]
        for k in range(len(total)):
            total[k] = more[k] if part == 0 else total[k] + more[k]
