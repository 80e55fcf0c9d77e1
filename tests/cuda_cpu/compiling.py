"""Build a ``.cu`` file for the CPU, and call its kernels on NumPy arrays."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
HEADER = HERE / "cuda_cpu.h"
# Built libraries are kept: a test run that finds its sources unchanged compiles nothing.
CACHE = HERE / "__pycache__" / "libraries"

FLAGS = (
    *("-std=c++17", "-O1", "-shared", "-fPIC", "-fvisibility=hidden", "-Wl,-Bsymbolic"),
    *("-fno-strict-aliasing", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror"),
    *("-Wno-unknown-pragmas", "-Wno-unused-function"),
)
# They report a fault and go on, so that one run shows all.
SANITIZERS = ("-g1", "-O0", "-fsanitize=address,undefined", "-fsanitize-recover=address")

KERNEL = r'extern "C"\s+__global__\s+void\s+(?:__launch_bounds__\([\w, ]+\)\s+)?(\w+)\s*\('
ORDERS = {"forwards": 0, "backwards": 1, "shuffled": 2}


def reason_to_skip() -> str | None:
    """Why kernels cannot be run on this machine's CPU; ``None`` if they can."""
    if not sys.platform.startswith("linux"):
        return f"kernels are run on the CPU on Linux only, this is {sys.platform}"
    return None if shutil.which("g++") else "kernels are run on the CPU with g++, which is missing"


@functools.cache
def compiler() -> str:
    return gpp(["--version"], "")


def gpp(arguments: list[str], text: str) -> str:
    """Run g++ on a text.

    Raises:
        RuntimeError: with what it says, if it fails.
    """
    done = subprocess.run(["g++", *arguments], input=text, text=True, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"g++ failed:\n{done.stderr}")
    return done.stdout


def build(text: str, flags: tuple[str, ...] = ()) -> Path:
    """Make a library from C++ text, or from CUDA text with its kernels exported.

    Returns:
        Its path; that of an earlier one, if there is one from the same text.
    """
    parts = [text, HEADER.read_text(encoding="utf-8"), *FLAGS, *flags, compiler()]
    name = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]
    library = CACHE / f"{name}.so"
    if not library.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        # The preprocessor makes the kernels visible that macros define.
        kernels = re.findall(KERNEL, gpp(["-E", "-P", "-x", "c++", "-"], text))
        if kernels:
            # In a namespace without a name, a kernel may be called like a function of C's library.
            exports = "".join(f"CPU_EXPORT({kernel})\n" for kernel in kernels)
            text = f'#include "{HEADER.name}"\nnamespace {{\n{text}\n}}\n{exports}'
        unfinished = CACHE / f"{name}.{os.getpid()}.tmp"
        gpp([*FLAGS, *flags, f"-I{HERE}", "-x", "c++", "-", "-o", str(unfinished)], text)
        os.replace(unfinished, library)
    return library


class Kernel:
    """One kernel: ``kernel(grid, block, args)`` with NumPy arrays, NumPy numbers or ``None``.

    Raises:
        TypeError: if the arguments are not those that the kernel takes; a GPU would not notice.
        RuntimeError: if threads wait for each other in vain.
    """

    def __init__(self, library: ctypes.CDLL, name: str):
        self.name = name
        describe = getattr(library, f"signature_of_{name}")
        describe.restype = ctypes.c_char_p
        self.signature = describe().decode().split(",")[:-1]
        self.launch = getattr(library, f"launch_{name}")
        self.launch.restype = ctypes.c_char_p

    def __call__(self, grid: tuple[int, ...], block: tuple[int, ...], args: tuple, order: int = 0):
        if len(args) != len(self.signature):
            raise TypeError(f"{self.name}: takes {len(self.signature)} arguments, got {len(args)}")
        values = []
        for place, (given, wanted) in enumerate(zip(args, self.signature, strict=True)):
            is_array = isinstance(given, np.ndarray)
            if given is None and wanted[0] == "*":
                values.append(ctypes.c_void_p(0))
                continue
            got = "*" * is_array + f"{given.dtype.kind}{given.dtype.itemsize}"
            if got != wanted:
                raise TypeError(
                    f"{self.name}: argument {place} is {got}, the kernel takes {wanted}"
                )
            values.append(ctypes.c_void_p(given.ctypes.data) if is_array else np.array(given))
        pointers = (ctypes.c_void_p * len(values))(
            *(v.ctypes.data if isinstance(v, np.ndarray) else ctypes.addressof(v) for v in values)
        )
        sizes = [(ctypes.c_uint * 3)(*(*size, 1, 1)[:3]) for size in (grid, block)]
        failure = self.launch(*sizes, pointers, order)
        if failure:
            raise RuntimeError(f"{self.name}: {failure.decode()}")
