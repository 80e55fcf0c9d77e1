"""The matrix product of the numba floor: all shapes, strides and kinds of registers."""

import os
import platform
import subprocess
import sys

import numpy as np
import pytest

numba = pytest.importorskip("numba")

from minicnn.backends.numba import threads  # noqa: E402
from minicnn.backends.numba.product_kernels import TERMS, matmul_add, windows_add  # noqa: E402

# Around the sizes of tiles and vectors, in both dtypes.
SIZES = [1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 13, 15, 16, 17, 23, 24, 25, 31, 32, 33, 48, 65]
TERM_COUNTS = [0, 1, 2, 9, 27, TERMS - 1, TERMS, TERMS + 1, 2 * TERMS + 3]


@numba.njit
def multiply(product, A, B, C, keep):
    matmul_add(product, A, B, C, keep)


@numba.njit
def multiply_windows(product, x, start, down, along, over, times, B, C, keep):
    windows_add(product, x, start, down, along, over, times, B, C, keep)


def close(value, expected, dtype, terms):
    return np.abs(value - expected).max(initial=0) <= np.finfo(dtype).eps * 4 * (terms + 4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("keep", [0, 1])
def test_any_matrices(rng, dtype, keep):
    """C = A B + keep C within a larger array, of which nothing else changes."""
    product = threads.product(np.dtype(dtype))
    for _ in range(150):
        m, n, k = rng.choice(SIZES), rng.choice(SIZES), rng.choice(TERM_COUNTS)
        A = rng.uniform(-1, 1, (k + 1, m + 2)).astype(dtype).T[1 : m + 1, 1:]
        if rng.random() < 0.5:
            A = rng.uniform(-1, 1, (2 * m, k + 3)).astype(dtype)[::2, 2 : k + 2]
        B = rng.uniform(-1, 1, (k, n + 5)).astype(dtype)[:, 3 : n + 3]
        C = rng.uniform(-1, 1, (m + 2, n + 7)).astype(dtype)
        expected = C.astype(np.float64)
        part = np.s_[1 : m + 1, 4 : n + 4]
        expected[part] = A.astype(np.float64) @ B + keep * expected[part]
        multiply(product, A, B, C[part], keep)
        assert close(C, expected, dtype, k), (m, n, k)
        outside = np.ones(C.shape, bool)
        outside[part] = False
        assert (C[outside] == expected[outside].astype(dtype)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_windows_that_overlap(rng, dtype):
    product = threads.product(np.dtype(dtype))
    x = rng.uniform(-1, 1, 5000).astype(dtype)
    for m, n, times, terms, down, along, over in (
        (32, 32, 3, 9, 3, 1, 102),
        (13, 6, 5, 5, 2, 1, 40),
        (9, 33, 7, 11, 1, 3, 64),
        (1, 17, 4, TERMS + 5, 0, 0, 0),
    ):
        i, o, t = np.ogrid[:m, :times, :terms]
        A = x[7 + i * down + o * over + t * along].reshape(m, times * terms)
        B = rng.uniform(-1, 1, (times * terms, n)).astype(dtype)
        C = np.full((m, n), np.nan, dtype)
        multiply_windows(product, x, 7, down, along, over, times, B, C, 0)
        expected = A.astype(np.float64) @ B
        assert close(C, expected, dtype, times * terms)


def test_what_is_not_read_does_not_matter(rng):
    """Beyond the end of the rows of B lies a NaN, and C is overwritten without being read."""
    product = threads.product(np.dtype(np.float32))
    for n in SIZES:
        B = np.full((20, 80), np.nan, np.float32)
        B[:, :n] = 1
        C = np.full((6, n), np.nan, np.float32)
        multiply(product, np.ones((6, 20), np.float32), B[:, :n], C, 0)
        assert (C == 20).all()


OTHER_CORES = """
import numpy as np
from minicnn.backends import numba as fast, numpy as textbook
from minicnn.backends.numba import product_kernels
print(product_kernels.VECTOR, product_kernels.ROWS)
rng = np.random.default_rng(0)
for dtype in (np.float32, np.float64):
    for n, c, f in ((2, 3, 32), (5, 6, 17), (3, 1, 5)):
        x = rng.standard_normal((n, 9, 11, c)).astype(dtype)
        W, b = rng.standard_normal((3, 3, c, f)).astype(dtype), rng.standard_normal(f).astype(dtype)
        y = textbook.conv2d(x, W, b, padding="same")
        dy = rng.standard_normal(y.shape).astype(dtype)
        expected = y, *textbook.conv2d_backward(dy, x, W, padding="same")
        grads = fast.conv2d_backward(dy, x, W, padding="same")
        values = fast.conv2d(x, W, b, padding="same"), *grads
        for value, wanted in zip(values, expected, strict=True):
            error = np.abs(value - wanted).max() / np.abs(wanted).max()
            assert error < 20 * np.finfo(dtype).eps, (dtype, n, c, f, error)
"""


@pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"), reason="names features of x86 CPUs"
)
@pytest.mark.parametrize(
    ("features", "expected"),
    [("+avx,+avx2,+fma", "32 6"), ("+sse2", "16 6")],
    ids=["avx2", "sse2"],
)
def test_cores_with_other_registers(features, expected, tmp_path):
    """The same numbers, as far as rounding goes, from what is compiled for older CPUs."""
    environment = os.environ | {
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": features,
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", OTHER_CORES], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == expected
