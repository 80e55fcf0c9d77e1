"""Kernels on the CPU: what is right runs as on a GPU, and what is wrong is told."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import cuda_cpu
import numpy as np
import pytest

pytestmark = pytest.mark.skipif(
    cuda_cpu.reason_to_skip() is not None, reason=str(cuda_cpu.reason_to_skip())
)

TESTS = Path(__file__).parent
FLOAT = np.float32


def planted():
    """The kernels with faults, as text."""
    from cuda_cpu.compiling import HERE

    return f'#line 1 "planted.cu"\n{(HERE / "planted.cu").read_text(encoding="utf-8")}'


@pytest.fixture(scope="module")
def kernel():
    from cuda_cpu.compiling import Kernel, build

    library = ctypes.CDLL(str(build(planted())))
    return lambda name: Kernel(library, name)


def by_order(kernel, *args, grid=(1,), block=(64,)):
    """What a kernel writes to its last argument, for each order of the threads."""
    from cuda_cpu.compiling import ORDERS

    results = []
    for order in ORDERS.values():
        args[-1][...] = 0
        kernel(grid, block, args, order)
        results.append(args[-1].copy())
    return results


def test_a_race_gives_another_result_in_another_order(kernel, rng):
    x, y = rng.normal(size=64).astype(FLOAT), np.empty(64, FLOAT)
    forwards, backwards, shuffled = by_order(kernel("race"), x, y)
    assert not np.array_equal(forwards, backwards)
    assert not np.array_equal(forwards, shuffled)
    for result in by_order(kernel("no_race"), x, y):
        assert np.array_equal(result, np.roll(x, -1))


def test_a_race_of_blocks(kernel):
    forwards, backwards, _ = by_order(
        kernel("race_of_blocks"), np.empty(1, FLOAT), grid=(3,), block=(1,)
    )
    assert forwards != backwards


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("divergent", "threads of a block wait at different __syncthreads"),
        ("left_early", "threads which have returned never reach"),
        ("half_a_warp", "not all lanes of its mask reach"),
    ],
)
def test_a_barrier_that_not_all_reach(kernel, name, message):
    for order in range(3):
        with pytest.raises(RuntimeError, match=f"{name}: .*{message}"):
            kernel(name)((1,), (32,), (np.zeros(32, FLOAT),), order)
    x, y = np.arange(64, dtype=FLOAT), np.empty(64, FLOAT)
    kernel("no_race")((1,), (64,), (x, y))  # the next launch is not disturbed
    assert np.array_equal(y, np.roll(x, -1))


def test_shared_memory_that_nobody_wrote_is_nan(kernel):
    y = np.zeros(32, FLOAT)
    kernel("unwritten")((1,), (32,), (y,))
    assert (y[:16] == 1).all()
    assert np.isnan(y[16:]).all()


def test_warps(kernel, rng):
    x = rng.normal(size=96).astype(FLOAT)
    everything, halves, votes = np.empty((2, 96), FLOAT)[0], np.empty(96, FLOAT), np.empty(96, "u4")
    for order in range(3):
        kernel("warp_sums")((1,), (96,), (x, everything, halves, votes), order)
        assert (
            np.abs(everything.reshape(3, 32) - x.reshape(3, 32).sum(axis=1)[:, None]).max() < 1e-5
        )
        assert np.abs(halves.reshape(6, 16) - x.reshape(6, 16).sum(axis=1)[:, None]).max() < 1e-5
        expected = (x.reshape(3, 32) > 0) @ (1 << np.arange(32, dtype=np.int64))
        assert np.array_equal(votes.reshape(3, 32), np.repeat(expected[:, None], 32, axis=1))


def test_every_thread_of_every_block_runs_once(kernel):
    for order in range(3):
        block, thread = np.full((2, 24 * 30), -1, np.int32)
        kernel("where")((2, 3, 4), (5, 3, 2), (block, thread), order)
        assert np.array_equal(block, np.repeat(np.arange(24), 30))
        assert np.array_equal(thread, np.tile(np.arange(30), 24))


def test_arguments_that_a_gpu_would_not_notice(kernel):
    x, y = np.zeros(64, FLOAT), np.zeros(64, FLOAT)
    with pytest.raises(TypeError, match="takes 2 arguments, got 1"):
        kernel("race")((1,), (64,), (x,))
    with pytest.raises(TypeError, match=r"argument 1 is \*f8, the kernel takes \*f4"):
        kernel("race")((1,), (64,), (x, y.astype(np.float64)))
    with pytest.raises(TypeError, match="argument 1 is i8, the kernel takes i4"):
        kernel("overflow")((1,), (1,), (x, np.int64(3)))
    for grid, block, what in (
        ((0,), (1,), "grid"),
        ((1, 70_000), (1,), "grid"),
        ((1,), (2000,), "block"),
    ):
        with pytest.raises(RuntimeError, match=f"a {what} of impossible size"):
            kernel("race")(grid, block, (x, y))


# -- sanitizers -----------------------------------------------------------------------------------


def sanitized(program):
    """Run a Python program with the runtimes of the sanitizers; returns what it wrote."""
    runtimes = [
        subprocess.run(
            ["g++", f"-print-file-name=lib{name}.so"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in ("asan", "ubsan")
    ]
    if not all(Path(runtime).is_file() for runtime in runtimes):
        pytest.skip("g++ is there, but not the libraries of its sanitizers")
    environment = {
        **os.environ,
        "LD_PRELOAD": " ".join(runtimes),
        # Fibres have stacks of their own; a fault is reported, and the program goes on.
        "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0:halt_on_error=0",
        "UBSAN_OPTIONS": "print_stacktrace=0",
        "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)]),
        "PYTHONMALLOC": "malloc",
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert "finished" in done.stdout, done.stderr
    return done.stderr


PLANTED = """
import ctypes
import numpy as np
from cuda_cpu.compiling import SANITIZERS, Kernel, build
from test_cuda_emulator import planted
library = ctypes.CDLL(str(build(planted(), SANITIZERS)))
x, y = np.zeros(2000, np.float32), np.zeros(2000, np.float32)
Kernel(library, "past_the_end")((1,), (64,), (x[:8], y, np.int32(7)))
print("sound so far", file=__import__("sys").stderr)
Kernel(library, "past_the_end")((8,), (256,), (x, y, np.int32(2000)))
Kernel(library, "past_shared")((1,), (32,), (y,))
Kernel(library, "overflow")((1,), (1,), (y, np.int32(2**30)))
Kernel(library, "misaligned")((1,), (1,), (x, y))
print("finished")
"""


def test_sanitizers_see_planted_faults():
    found = sanitized(PLANTED)
    before, _, after = found.partition("sound so far")
    assert not before
    assert "heap-buffer-overflow" in after
    assert "index 32 out of bounds for type 'float [32]'" in after
    assert "signed integer overflow" in after
    assert "misaligned address" in after
    assert "planted.cu" in after


CALLS = """
import numpy as np
from cuda_cpu.calls import CALLS
from cuda_cpu.compiling import SANITIZERS
from cuda_cpu.door import Door
from cuda_cpu.floor import NumpyFloor, opened
with opened(Door(flags=SANITIZERS)) as door:
    for call in CALLS.values():
        call(NumpyFloor(door), np.random.default_rng(0), np.float32)
print("finished")
"""


def test_sanitizers_find_nothing_in_the_kernels():
    assert sanitized(CALLS) == ""
