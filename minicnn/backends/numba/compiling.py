"""How the loops of this floor are compiled, and where what was compiled is kept.

Numba compiles a function when it is first called with arguments of new types, which takes about
half a second a kernel. The machine code is kept in the user's cache folder, so that the next
process only loads it. ``NUMBA_CACHE_DIR``, if set, names another folder; where neither can be
written, each process compiles for itself.

Only the ``*_kernels`` modules import this one, and they are imported when they are first used:
``import minicnn`` needs no Numba.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numba
from numba import types
from numba.core.caching import FunctionCache, NullCache
from numba.extending import intrinsic

_announced = False


def compiled(function: Callable) -> Any:
    """A function for kernels to call. It divides like NumPy (x / 0 is inf)."""
    return _jit(function, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def kernel(function: Callable) -> Any:
    """What one of several workers does: ``function(worker, workers, ...)``.

    ``threads.launch`` calls it on as many cores. Python's lock is free meanwhile.
    """
    return _jit(function)


def elementwise(function: Callable) -> Any:
    """What is done with every number of some vectors, and for each alone: ``function(...)``.

    ``threads.launch_elementwise`` calls it on as many cores, each with its part of the vectors.
    """
    return _jit(function)


def loop(function: Callable) -> Any:
    """A loop by ``numba.prange``, which deals out its turns to the cores."""
    return _jit(function, parallel=True)


@intrinsic
def call(typing_context: Any, address, arguments):
    """The function at an address, called with a tuple of arguments.

    What is called by its name becomes part of the caller, and is compiled again with it.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        address, packed = values
        kinds = list(signature.args[1].types)
        unpacked = [builder.extract_value(packed, i) for i in range(len(kinds))]
        convention = context.call_conv
        kind = convention.get_function_type(types.none, kinds)
        function = builder.inttoptr(address, kind.as_pointer())
        convention.call_function(builder, function, types.none, kinds, unpacked)
        return context.get_dummy_value()

    return types.void(types.intp, arguments), generate


def _jit(function: Callable, **options: bool) -> Any:
    """Compiled when called, and then kept on disk, if there is a place for it."""
    dispatcher = numba.njit(nogil=True, error_model="numpy", **options)(function)
    dispatcher._cache = _cache_of(function)
    return dispatcher


def _cache_of(function: Callable) -> Any:
    users_choice = numba.config.CACHE_DIR
    folder = users_choice or str(_folder)
    try:
        # Read by Numba at this moment, and no longer: the user's own functions go where they went.
        numba.config.CACHE_DIR = folder
        cache = _KernelCache(function)
        # Where that folder cannot be written Numba takes another one, which may hold what was
        # compiled from other versions of the kernels that this one calls.
        if Path(folder) in Path(cache.cache_path).parents:
            return cache
    except (OSError, RuntimeError):  # RuntimeError: no folder can be written
        pass
    finally:
        numba.config.CACHE_DIR = users_choice
    return _NoCache()


def cache_folder() -> Path:
    """Where compiled kernels are kept: in the user's cache folder, a folder for this very code.

    Numba notices when a function changes, but not when a function that it calls does. The name
    contains a hash of all kernels, so that a change anywhere starts a new folder.
    """
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    code = hashlib.sha256(Path(__file__).read_bytes())
    for path in sorted(Path(__file__).parent.glob("*_kernels.py")):
        code.update(path.read_bytes())
    return Path(base) / "minicnn" / f"kernels-{code.hexdigest()[:12]}"


class _KernelCache(FunctionCache):
    """Numba's cache, for which no state of the disk is an error, and which tells when it misses."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        found = None
        # A file that was cut short raises whatever unpickling it raises.
        with suppress(Exception):
            found = super().load_overload(sig, target_context)
        if found is None:
            _announce(self.cache_path)
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(OSError):
            super().save_overload(sig, data)


class _NoCache(NullCache):
    """No cache at all, but the same announcement."""

    def load_overload(self, sig: Any, target_context: Any) -> None:
        _announce(None)


def _announce(folder: str | None) -> None:
    """Say, in one line and once, why the first step takes so long."""
    global _announced
    if not _announced:
        _announced = True
        kept = f"kept in {Path(folder).parent}" if folder else "no cache folder can be written"
        print(f"minicnn: compiling kernels, once ({kept})", file=sys.stderr, flush=True)


try:
    _folder: Path | None = cache_folder()
except (OSError, RuntimeError):  # no home folder
    _folder = None
