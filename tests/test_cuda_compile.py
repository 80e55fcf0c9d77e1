"""Every CUDA file compiles for the GPUs of 2018 to today, without warnings and register spills.

NVIDIA's compiler NVRTC comes as a wheel and needs no GPU: pip install -e '.[nvrtc]'.
"""

import ctypes
import importlib.util
import re
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from minicnn.backends.cupy import kernels

# Turing (RTX 20), Ampere (A100), Hopper (H100, H200).
ARCHITECTURES = ("sm_75", "sm_80", "sm_90")


@pytest.fixture(scope="module")
def nvrtc():
    """The library, out of its wheel."""
    package = importlib.util.find_spec("nvidia")
    folders = [Path(p) for p in package.submodule_search_locations] if package else []
    for folder in folders:
        for path in sorted(folder.glob("**/libnvrtc.so.*"), reverse=True):
            for builtins in path.parent.glob("libnvrtc-builtins.so.*"):
                ctypes.CDLL(str(builtins), ctypes.RTLD_GLOBAL)
            return ctypes.CDLL(str(path))
    if sys.platform == "linux" and installed("nvidia-cuda-nvrtc"):
        pytest.fail(f"nvidia-cuda-nvrtc is installed, but its library is not in {folders}")
    pytest.skip(f"NVRTC is not installed for {sys.platform}: pip install -e '.[nvrtc]'")


def installed(distribution):
    try:
        return bool(metadata.version(distribution))
    except metadata.PackageNotFoundError:
        return False


def compiled(nvrtc, text, options):
    """``(succeeded, log)``."""
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    arguments = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    assert not nvrtc.nvrtcCreateProgram(
        ctypes.byref(program), text.encode(), b"kernels.cu", 0, None, None
    )
    status = nvrtc.nvrtcCompileProgram(program, len(options), arguments)
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return status == 0, log.value.decode()


def spilled(log):
    return sum(map(int, re.findall(r"(\d+) bytes spill", log)))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", kernels.names())
def test_compiles_cleanly(nvrtc, name, architecture):
    for dtype in kernels.REALS:
        text = kernels.source(name, dtype)
        options = [*kernels.OPTIONS, f"-arch={architecture}", "--ptxas-options=-v"]
        succeeded, log = compiled(nvrtc, text, options)
        assert succeeded, log
        assert "warning" not in log, log
        assert re.search(r"Used \d+ registers", log), log
        assert spilled(log) == 0, log


def test_faults_are_seen(nvrtc):
    options = ["-arch=sm_90", "--ptxas-options=-v"]
    head = 'extern "C" __global__ void k(float* y, int n) {'
    succeeded, log = compiled(nvrtc, f"{head} y[0] = z; }}", options)
    assert not succeeded
    assert 'identifier "z" is undefined' in log
    succeeded, log = compiled(nvrtc, f"{head} int unused = 3; y[0] = 1; }}", options)
    assert succeeded
    assert "warning" in log
    body = "float a[64]; for (int i = 0; i < 64; i++) a[i] = y[i * n]; __syncthreads();"
    body += "for (int i = 0; i < 64; i++) y[(i * n) ^ 1] = a[i] * a[63 - i] + a[i / 2];"
    succeeded, log = compiled(nvrtc, f"{head} {body} }}", [*options, "--maxrregcount=24"])
    assert succeeded
    assert spilled(log) > 0


def test_texts():
    assert kernels.source("conv", np.dtype(np.float64)).startswith("#define REAL double\n")
    with pytest.raises(TypeError, match="float32 and float64, got int32"):
        kernels.source("conv", np.dtype(np.int32))
    for path in kernels.FOLDER.glob("*.cu"):
        text = path.read_text(encoding="utf-8")
        head = text[: text.index("\n\n")]
        assert all(line.startswith("//") for line in head.splitlines()), path
        assert "Threads." in head, path
