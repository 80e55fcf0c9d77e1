"""An array that stands in for CuPy's, with its numbers in a NumPy array.

It computes what NumPy would. But like CuPy's it does not become a NumPy array by itself, nor takes
one into its arithmetic. And while its door records, nothing is computed: what is asked for is noted
down, its result filled with NaN, and whoever asks for a number gets an error. So host code that
would fail on a GPU fails here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

NUMBERS = (bool, int, float, np.generic)
# Methods of an array that return another one, or a view.
METHODS = {
    *("all", "any", "argmax", "argmin", "astype", "copy", "cumsum", "max", "mean", "min", "ravel"),
    *("repeat", "reshape", "squeeze", "std", "sum", "swapaxes", "take", "transpose", "var"),
}
# What CuPy has cuBLAS do, in a way that cannot be recorded.
PRODUCTS = {"dot", "einsum", "inner", "matmul", "tensordot", "vdot"}
# What was asked of NumPy's dispatch so far, to be compared with what CuPy has.
used: set[str] = set()


class Memory:
    """A piece of device memory: it is freed when no array uses it any more.

    Args:
        private: whether it belongs to a recorded step, which keeps it.
    """

    def __init__(self, private: bool):
        self.private = private


class Array(NDArrayOperatorsMixin):
    """An array of the device that ``door`` stands in for.

    Args:
        host: the numbers; they are not copied.
        memory: whose piece of memory it is; by default a new one.
    """

    __hash__ = None  # type: ignore[assignment]
    # By this, arrays of a GPU are known; what CuPy's holds is of no interest here.
    __cuda_array_interface__ = property(lambda self: {})

    def __init__(self, door: Any, host: np.ndarray, memory: Memory | None = None):
        self.door, self.host = door, host
        self.memory = memory or door.new_memory()

    # -- what it is ---------------------------------------------------------------------------

    shape = property(lambda self: self.host.shape)
    dtype = property(lambda self: self.host.dtype)
    ndim = property(lambda self: self.host.ndim)
    size = property(lambda self: self.host.size)
    itemsize = property(lambda self: self.host.itemsize)
    nbytes = property(lambda self: self.host.nbytes)
    strides = property(lambda self: self.host.strides)
    flags = property(lambda self: self.host.flags)
    T = property(lambda self: self.transpose())

    def __len__(self) -> int:
        return len(self.host)

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    # -- what leaves the device ---------------------------------------------------------------

    def get(self, **options: Any) -> np.ndarray:
        self.door.forbid_while_recording("a number was asked of the device")
        return self.host.copy()

    def item(self, *index: int) -> Any:
        return self.get().item(*index)

    def __float__(self) -> float:
        return float(self.get())

    def __int__(self) -> int:
        return int(self.get())

    def __bool__(self) -> bool:
        return bool(self.get())

    def __index__(self) -> int:
        return self.get().__index__()

    def __repr__(self) -> str:
        return f"Array({self.host!r})"

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise TypeError("an array of the GPU does not become a NumPy array by itself; use get()")

    # -- what computes ------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or not all(isinstance(x, (Array, *NUMBERS)) for x in inputs):
            return NotImplemented
        self._not_a_product(ufunc.__name__)
        used.add(f"numpy.{ufunc.__name__}")
        (out,) = options.pop("out", (None,))
        return self.door.compute(ufunc, inputs, options, out)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        name = f"{function.__module__}.{function.__name__}"
        if name in ("numpy.shape", "numpy.ndim", "numpy.size"):
            return function(self.host)
        if name in ("numpy.asarray", "numpy.array"):
            return self.door.asarray(args[0], options.get("dtype"))
        self._not_a_product(function.__name__)
        if name.endswith("_like") and not options.get("shape"):
            options = {**options, "shape": None}  # as CuPy does, which overlooks the shape ()
        used.add(name)
        return self.door.compute(function, args, options, options.pop("out", None))

    def _not_a_product(self, name: str) -> None:
        if name in PRODUCTS:
            self.door.forbid_while_recording(f"cuBLAS was given a {name} by CuPy")

    def __getattr__(self, name: str) -> Any:
        if name not in METHODS:
            raise AttributeError(f"an array of the GPU has no attribute {name!r}")

        def method(*args: Any, **options: Any) -> Any:
            return self.door.compute(getattr(np.ndarray, name), (self, *args), options, None)

        return method

    def fill(self, value: Any) -> None:
        self[...] = value

    def __getitem__(self, key: Any) -> Array:
        return self.door.compute(lambda host, key: host[key], (self, self._checked(key)), {}, None)

    def __setitem__(self, key: Any, value: Any) -> None:
        key = self._checked(key)
        if not isinstance(value, (Array, *NUMBERS)):
            raise TypeError(f"{type(value).__name__} is not taken into an array of the GPU")

        def put(host: np.ndarray, key: Any, value: Any) -> None:
            host[key] = value

        self.door.run(put, (self, key, value))

    def _checked(self, key: Any) -> Any:
        for part in key if isinstance(key, tuple) else (key,):
            if isinstance(part, np.ndarray):
                self.door.forbid_while_recording("an index was brought to the device")
            if isinstance(part, Array) and part.dtype == bool:
                self.door.forbid_while_recording("a mask was counted")
        return key


def host_of(x: Any) -> Any:
    """``x`` with the NumPy array of every array in it."""
    if isinstance(x, Array):
        return x.host
    if type(x) in (tuple, list):
        return type(x)(host_of(part) for part in x)
    return x


def arrays_in(x: Any) -> list[Array]:
    """All arrays in nested lists and tuples."""
    if isinstance(x, Array):
        return [x]
    return [a for part in x for a in arrays_in(part)] if type(x) in (tuple, list) else []
