"""Cross-entropies; ``minicnn/backends/numpy/cross_entropy.py`` has them all, and the mathematics.

A classifier's last batch is small: 64 samples of 10 classes. The textbook's dozen NumPy calls take
longer to begin than to compute. Here softmax and cross-entropy are one call, and their gradient
another. The other losses are the textbook's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.backends import numpy as textbook
from minicnn.backends.numba.arrays import contiguous, empty, rows
from minicnn.backends.numba.threads import Kernels

kernels = Kernels("cross_entropy_kernels")

# NumPy computes exponentials many at a time, so it is quicker with more numbers than these.
LARGE = 2**14


def softmax_cross_entropy(z: Any, t: Any) -> tuple[Any, Any]:
    """The textbook's ``softmax_cross_entropy``."""
    if not _small(z) or t.shape != z.shape or t.dtype != z.dtype:
        return textbook.softmax_cross_entropy(z, t)
    values, p = empty(z.shape[:-1], z.dtype), empty(z.shape, z.dtype)
    kernels.softmax_cross_entropy(rows(z), rows(t), values.reshape(-1), rows(p))
    return values, p


def softmax_cross_entropy_backward(p: Any, t: Any) -> Any:
    """The textbook's ``softmax_cross_entropy_backward``."""
    if not _small(p) or t.shape != p.shape or t.dtype != p.dtype:
        return textbook.softmax_cross_entropy_backward(p, t)
    dz = empty(p.shape, p.dtype)
    kernels.softmax_cross_entropy_backward(rows(p), rows(t), rows(dz))
    return dz


def sparse_softmax_cross_entropy(z: Any, labels: Any) -> tuple[Any, Any]:
    """The textbook's ``sparse_softmax_cross_entropy``."""
    if not _small(z) or labels.shape != z.shape[:-1]:
        return textbook.sparse_softmax_cross_entropy(z, labels)
    values, p = empty(z.shape[:-1], z.dtype), empty(z.shape, z.dtype)
    kernels.sparse_softmax_cross_entropy(
        rows(z), contiguous(labels).reshape(-1), values.reshape(-1), rows(p)
    )
    return values, p


def sparse_softmax_cross_entropy_backward(p: Any, labels: Any) -> Any:
    """The textbook's ``sparse_softmax_cross_entropy_backward``."""
    if not _small(p) or labels.shape != p.shape[:-1]:
        return textbook.sparse_softmax_cross_entropy_backward(p, labels)
    dz = empty(p.shape, p.dtype)
    kernels.sparse_softmax_cross_entropy_backward(rows(p), contiguous(labels).reshape(-1), rows(dz))
    return dz


def _small(z: np.ndarray) -> bool:
    return z.dtype.char in "fd" and 0 < z.size <= LARGE
