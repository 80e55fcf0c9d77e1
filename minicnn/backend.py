"""Which floor does the arithmetic, and the state that Keras keeps in its own ``backend``.

A floor is a module of pure functions (see ``minicnn.backends.numpy``). It is handed to a model when
the model is built and stays with it: :func:`use` decides about models that are built afterwards.
"""

from __future__ import annotations

import importlib
import os
from collections import Counter
from types import ModuleType

from minicnn.registry import lookup, snake_case

FLOORS = {"numpy": "minicnn.backends.numpy"}

_current: ModuleType | None = None
_names: Counter[str] = Counter()
_floatx = "float32"


def use(name: str) -> None:
    """Choose the floor for all that is built from now on.

    Args:
        name: ``"numpy"``.

    Raises:
        ValueError: if there is no floor of that name.
    """
    global _current
    if not isinstance(name, str):
        raise TypeError(f"name: expected a str such as 'numpy', got {name!r}")
    _current = importlib.import_module(lookup(FLOORS, name, "backend"))


def current() -> ModuleType:
    """The floor in use, as a module of operations; ``MINICNN_BACKEND`` names the first one."""
    if _current is None:
        use(os.environ.get("MINICNN_BACKEND") or "numpy")
    return _current


def name() -> str:
    """The name of the floor in use.

    >>> import minicnn
    >>> minicnn.backend.use("numpy")
    >>> minicnn.backend.name()
    'numpy'
    """
    return current().__name__.rpartition(".")[2]


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


def auto_name(class_name: str) -> str:
    """The next automatic name: ``conv2d``, ``conv2d_1``, ... as Keras counts them."""
    stem = snake_case(class_name)
    count = _names[stem]
    _names[stem] += 1
    return f"{stem}_{count}" if count else stem


def clear_session() -> None:
    """Start the automatic names from the beginning. Models that exist go on working."""
    _names.clear()
