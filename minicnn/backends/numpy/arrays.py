"""Into this floor's arrays and out of them."""

from __future__ import annotations

from typing import Any

import numpy as np


def asarray(x: Any, dtype: Any = None) -> np.ndarray:
    """``x`` as an array of this floor; a copy only where the dtype (or the kind) must change.

    >>> asarray([1, 2], "float32")
    array([1., 2.], dtype=float32)
    """
    return np.asarray(x, dtype=dtype)


def to_numpy(x: Any) -> np.ndarray:
    """An array of this floor as a NumPy array: here it is one.

    >>> to_numpy(asarray([1, 2], "float32")).dtype
    dtype('float32')
    """
    return np.asarray(x)


def take(x: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Some samples of an array that lies in the memory of the host, as a new array there.

    Args:
        x: (n, ...).
        samples: their numbers (m,), from 0 to n - 1.

    Returns:
        (m, ...), of the dtype of x.

    >>> take(np.array([[1, 2], [3, 4], [5, 6]]), np.array([2, 0]))
    array([[5, 6],
           [1, 2]])
    """
    return x.take(samples, axis=0)
