"""Which floor does the arithmetic, and the state that Keras keeps in its own ``backend``.

A floor is a module of pure functions (see ``minicnn.backends.numpy``). It is handed to a model when
the model is built and stays with it: :func:`use` decides about models that are built afterwards.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import warnings
from collections import Counter
from functools import cache
from types import ModuleType
from typing import Any

from minicnn.registry import absent, lookup, snake_case
from minicnn.shapes import positive_int

FLOORS = {
    "numpy": "minicnn.backends.numpy",
    "numba": "minicnn.backends.numba",
    "cupy": "minicnn.backends.cupy",
}

NEEDED = {"numba": ("numba",), "cupy": ("cupy",)}

_current: ModuleType | None = None
_names: Counter[str] = Counter()
_floatx = "float32"


def use(name: str) -> None:
    """Choose the floor for all that is built from now on.

    Args:
        name: ``"numpy"``, the textbook; ``"numba"``, the same compiled for the cores of a CPU;
            ``"cupy"``, on an NVIDIA GPU, or ``"cupy:1"`` on the second one.

    Raises:
        ValueError: if there is no floor of that name.
        ImportError: if a package that it needs is missing.
        RuntimeError: if there is no GPU that can be used; it says what is missing.
    """
    global _current
    if not isinstance(name, str):
        raise TypeError(f"name: expected a str such as 'numpy', got {name!r}")
    floor, colon, index = name.partition(":")
    module = lookup(FLOORS, floor, "backend")
    floor = module.rpartition(".")[2]
    if colon and not (floor == "cupy" and index.isdecimal()):
        raise ValueError(f"name: expected 'cupy:' and the number of a GPU, got {name!r}")
    missing = _missing(floor)
    if missing:
        remedy = '; pip install "minicnn[gpu]"' if floor == "cupy" else ""
        packages = " and ".join(missing)
        raise ImportError(f"backend {name!r} needs {packages}, which is not installed{remedy}")
    chosen = importlib.import_module(module)
    if floor == "cupy":
        chosen.prepare(int(index) if colon else None)
    _current = chosen


def current() -> ModuleType:
    """The floor in use, as a module of operations.

    The first one is what ``MINICNN_BACKEND`` names; otherwise a GPU, if there is one and CuPy is
    installed; otherwise the cores of the CPU.
    """
    if _current is None:
        use(os.environ.get("MINICNN_BACKEND") or _best())
    return _current


def floor_of(array: Any) -> ModuleType:
    """The floor whose arrays are of this kind: for one that lies on a GPU its floor, for anything
    else the textbook.

    >>> import numpy
    >>> floor_of(numpy.zeros(3)).__name__
    'minicnn.backends.numpy'
    """
    return _module("cupy" if hasattr(array, "__cuda_array_interface__") else "numpy")


@cache
def _module(floor: str) -> ModuleType:
    return importlib.import_module(FLOORS[floor])


def _best() -> str:
    if not _missing("cupy"):
        from minicnn.backends.cupy.status import gpu_status

        with warnings.catch_warnings():  # nobody has asked for a GPU
            warnings.simplefilter("ignore")
            if gpu_status().usable:
                return "cupy"
    missing = _missing("numba")
    if not missing:
        return "numba"
    packages = " and ".join(missing)
    warnings.warn(
        f"minicnn computes with NumPy alone, which is slow: {packages} cannot be found",
        stacklevel=2,
    )
    return "numpy"


def _missing(floor: str) -> list[str]:
    """The packages that a floor needs and that are not installed; nothing is imported."""
    return [package for package in NEEDED.get(floor, ()) if not _found(package)]


def _found(package: str) -> bool:
    try:
        spec = importlib.util.find_spec(package)
    except ModuleNotFoundError:  # from a finder that forbids it
        return False
    return spec is not None and spec.origin is not None  # a mere folder of that name has no origin


def name() -> str:
    """The name of the floor in use.

    >>> import minicnn
    >>> minicnn.backend.use("numpy")
    >>> minicnn.backend.name()
    'numpy'
    """
    return current().__name__.rpartition(".")[2]


def set_threads(n: int | None = None) -> None:
    """Choose how many cores the ``"numba"`` floor computes on.

    What it computes does not depend on their number, to the last bit.

    Args:
        n: how many; by default all that this process may use (its affinity, and the limit of the
            container that it runs in).

    Raises:
        TypeError, ValueError: if ``n`` is not a positive int.

    >>> import minicnn
    >>> minicnn.backend.set_threads(2)
    >>> minicnn.backend.threads()
    2
    >>> minicnn.backend.set_threads()
    """
    from minicnn.backends.numba import threads

    threads.workers = threads.usable_cores() if n is None else positive_int(n, "n")


def threads() -> int:
    """On how many cores the ``"numba"`` floor computes."""
    from minicnn.backends.numba import threads

    return threads.workers


def floatx() -> str:
    """The dtype of weights and activations where none is asked for: ``"float32"`` by default."""
    return _floatx


def set_floatx(dtype: str) -> None:
    """Choose that dtype for all layers and models that are made from now on.

    Args:
        dtype: ``"float32"`` or ``"float64"``.

    Raises:
        ValueError: if it is another one.
    """
    global _floatx
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype: expected 'float32' or 'float64', got {dtype!r}")
    _floatx = dtype


def epsilon() -> float:
    """The small constant of Keras that keeps logarithms and quotients finite: 1e-7."""
    return 1e-7


def image_data_format() -> str:
    """Where an image has its channels: ``"channels_last"``, (height, width, channels), always."""
    return "channels_last"


def backend() -> str:
    """Keras's other name for :func:`name`."""
    return name()


def auto_name(class_name: str) -> str:
    """The next automatic name: ``conv2d``, ``conv2d_1``, ... as Keras counts them."""
    stem = snake_case(class_name)
    count = _names[stem]
    _names[stem] += 1
    return f"{stem}_{count}" if count else stem


def clear_session() -> None:
    """Start the automatic names from the beginning. Models that exist go on working."""
    _names.clear()


# What Keras 2 had, and what to write instead.
_INSTEAD = {
    "get_value": "a variable has .numpy(), and float(optimizer.learning_rate) is the rate",
    "set_image_data_format": "it is always 'channels_last'",
    "set_value": "write optimizer.learning_rate = 0.001, or variable.assign(value)",
}


def __getattr__(name: str) -> Any:
    raise absent(__name__, name, _INSTEAD)
