"""A floor that computes everything twice, in float64 and in float32, and holds the two together."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

# float32 rounds to 6e-8, and sums add that up: relative to the largest number of a result, and of
# what was given, where a small result is the difference of large numbers (a loss close to 0).
TOLERANCE = 1e-5
TOLERANCE_OF_ARGUMENTS = 1e-6
# They compute nothing, and give the dtype that they are asked for.
TRANSFERS = ("asarray", "to_numpy")


class Float32Twin:
    """The operations of a floor, for tests that give float64 and look at what comes back.

    What is given and what comes back is that of the run in float64, also where an operation changes
    an array in place. The second run gets copies in float32, must answer in float32, and must come
    to the same numbers as far as float32 goes. Calls without float64 are passed on as they are.

    Args:
        floor: a module of operations, such as ``minicnn.backends.numba``.
    """

    def __init__(self, floor: ModuleType):
        self._floor = floor

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._floor, name)
        if isinstance(operation, (type, ModuleType)) or not callable(operation):
            return operation
        if name in TRANSFERS:
            return operation

        @functools.wraps(operation)
        def twice(*args: Any, **options: Any) -> Any:
            given = (args, tuple(options.values()))
            if not any(array.dtype == np.float64 for array in arrays(given)):
                return operation(*args, **options)
            args32, values32 = in_float32(given)
            slack = TOLERANCE_OF_ARGUMENTS * max(map(largest, arrays(given)))
            result = operation(*args, **options)
            result32 = operation(*args32, **dict(zip(options, values32, strict=True)))
            assert_close(f"{name}: result", result32, result, slack)
            assert_close(f"{name}: argument", (args32, values32), given, slack)
            return result

        setattr(self, name, twice)
        return twice


def arrays(x: Any) -> Iterator[np.ndarray]:
    """The arrays in a nesting of tuples and lists, and the single numbers of NumPy's kinds."""
    if isinstance(x, (np.ndarray, np.generic)):
        yield np.asarray(x)
    elif isinstance(x, (tuple, list)):
        for part in x:
            yield from arrays(part)


def in_float32(x: Any) -> Any:
    """A copy with float32 in the place of float64."""
    if isinstance(x, (np.ndarray, np.generic)):
        return x.astype(np.float32 if x.dtype == np.float64 else x.dtype)
    if isinstance(x, (tuple, list)):
        parts = map(in_float32, x)
        return type(x)(*parts) if hasattr(x, "_fields") else type(x)(parts)
    return x


def largest(x: np.ndarray) -> float:
    """The largest finite absolute value; 0 where there is none."""
    return np.abs(x, where=np.isfinite(x), out=np.zeros(x.shape)).max(initial=0)


def assert_close(what: str, results32: Any, results: Any, slack: float) -> None:
    """Every float32 array is the float64 array in its place, and every other array equal."""
    for y32, y in zip(arrays(results32), arrays(results), strict=True):
        if y.dtype != np.float64:
            np.testing.assert_array_equal(y32, y, err_msg=what)
            continue
        assert y32.dtype == np.float32, f"{what} is {y32.dtype} where float32 went in"
        with np.errstate(over="ignore"):
            expected = y.astype(np.float32)  # infinite where float32 does not reach
        finite = np.isfinite(expected)
        np.testing.assert_array_equal(y32[~finite], expected[~finite], err_msg=what)
        error = np.abs(y32[finite] - expected[finite]).max(initial=0)
        allowed = TOLERANCE * largest(expected) + slack
        assert error <= allowed, f"{what}: off by {error}, where {allowed} would do"
