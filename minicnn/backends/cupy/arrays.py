"""Onto the GPU and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.backends.cupy import device
from minicnn.backends.numpy.arrays import take as take


def asarray(x: Any, dtype: Any = None) -> Any:
    """``x`` as an array on the GPU; a copy only where it is not there, or the dtype must change.

    Args:
        x: an array of either kind, numbers, or :class:`~minicnn.backends.cupy.batches.Rows`.
        dtype: of the result; by default that of ``x``.
    """
    if hasattr(x, "write"):
        rows, x = x, device.empty(x.shape, x.dtype)
        rows.write(x)
    return device.door().asarray(x, dtype)


def to_numpy(x: Any) -> np.ndarray:
    """An array of the GPU as a NumPy array. Waits until it is computed."""
    return device.door().to_numpy(x)
