"""The CUDA texts of this floor, as they are compiled."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
REALS = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}
OPTIONS = ("-std=c++17",)


def names() -> list[str]:
    """The files of kernels, without their ``.cu``.

    >>> names()[:3]
    ['activation', 'affine', 'batches']
    """
    return sorted(path.stem for path in FOLDER.glob("*.cu"))


@cache
def source(name: str, dtype: np.dtype) -> str:
    """A file of kernels for arrays of one dtype, with all that it needs before it.

    >>> source("conv", np.dtype("float32")).splitlines()[0]
    '#define REAL float'

    Raises:
        TypeError: unless ``dtype`` is float32 or float64.
    """
    if dtype not in REALS:
        raise TypeError(f"the kernels of the GPU take float32 and float64, got {dtype}")
    parts = [f"#define REAL {REALS[dtype]}\n"]
    for path in (FOLDER / "common.cuh", FOLDER / f"{name}.cu"):
        parts.append(f'#line 1 "{path.name}"\n{path.read_text(encoding="utf-8")}')
    return "".join(parts)
