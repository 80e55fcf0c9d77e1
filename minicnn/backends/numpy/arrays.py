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
