"""The one function of cuBLAS that the floor calls, over a stand-in library with its interface."""

import ctypes
from itertools import product

import cuda_cpu
import numpy as np
import pytest

from minicnn.backends.cupy import cublas, device
from minicnn.checking import relative_error

needs_compiler = pytest.mark.skipif(
    cuda_cpu.reason_to_skip() is not None, reason=str(cuda_cpu.reason_to_skip())
)


@pytest.fixture
def door():
    from cuda_cpu.door import Door
    from cuda_cpu.floor import opened

    with opened(Door()) as door:
        yield door


def product_of(door, a, b, out, **options):
    """device.gemm on NumPy arrays, which it shares its memory with."""
    from cuda_cpu.arrays import Array

    device.gemm(*(Array(door, x) for x in (a, b, out)), **options)
    return out


@needs_compiler
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("transpose_a", "transpose_b", "accumulate"), list(product([False, True], repeat=3))
)
@pytest.mark.parametrize(("m", "n", "k"), [(3, 4, 5), (1, 7, 2), (6, 1, 3), (2, 2, 1), (1, 1, 1)])
def test_products(door, rng, m, n, k, transpose_a, transpose_b, accumulate, dtype):
    a = rng.normal(size=(k, m) if transpose_a else (m, k)).astype(dtype)
    b = rng.normal(size=(n, k) if transpose_b else (k, n)).astype(dtype)
    # The result lies among other columns, which must stay as they are.
    whole = rng.normal(size=(m, n + 3)).astype(dtype)
    before, out = whole.copy(), whole[:, 2 : n + 2]
    expected = (a.T if transpose_a else a).astype(float) @ (b.T if transpose_b else b)
    expected = expected + out if accumulate else expected
    options = {"transpose_a": transpose_a, "transpose_b": transpose_b, "accumulate": accumulate}
    product_of(door, a, b, out, **options)
    assert relative_error(out, expected) < (1e-6 if dtype == np.float32 else 1e-14)
    assert np.array_equal(whole[:, :2], before[:, :2])
    assert np.array_equal(whole[:, n + 2 :], before[:, n + 2 :])


@needs_compiler
def test_factors_that_are_slices_of_columns(door, rng):
    a, b = rng.normal(size=(4, 9)), rng.normal(size=(5, 8))
    expected = a[:, 2:7] @ b[:, 1:4]
    assert (
        relative_error(product_of(door, a[:, 2:7], b[:, 1:4], np.zeros((4, 3))), expected) < 1e-14
    )
    column = product_of(door, a[:, 2:7], b[:, 3:4], np.zeros((4, 1)))
    assert relative_error(column, a[:, 2:7] @ b[:, 3:4]) < 1e-14


@needs_compiler
def test_nothing_overwrites_what_is_not_a_number(door):
    out = np.full((2, 2), np.nan)
    product_of(door, np.eye(2), np.eye(2), out)
    assert np.array_equal(out, np.eye(2))


@needs_compiler
def test_empty_products(door):
    out = np.ones((2, 3))
    product_of(door, np.zeros((2, 0)), np.zeros((0, 3)), out, accumulate=True)
    assert (out == 1).all()
    product_of(door, np.zeros((2, 0)), np.zeros((0, 3)), out)
    assert not out.any()
    product_of(door, np.zeros((0, 4)), np.zeros((4, 3)), np.zeros((0, 3)))


@needs_compiler
def test_what_does_not_fit(door):
    with pytest.raises(ValueError, match=r"\(2, 3\) times \(4, 5\) does not make \(2, 5\)"):
        product_of(door, np.zeros((2, 3)), np.zeros((4, 5)), np.zeros((2, 5)))
    with pytest.raises(ValueError, match=r"does not make \(5, 2\)"):
        product_of(door, np.zeros((2, 3)), np.zeros((3, 5)), np.zeros((5, 2)))
    with pytest.raises(ValueError, match="one dtype, got float64, float32 and float64"):
        product_of(door, np.zeros((2, 3)), np.zeros((3, 5), np.float32), np.zeros((2, 5)))
    with pytest.raises(ValueError, match="not stored by rows"):
        product_of(door, np.zeros((3, 2)).T, np.zeros((3, 5)), np.zeros((2, 5)))
    with pytest.raises(ValueError, match="not stored by rows"):
        product_of(door, np.zeros((2, 6))[:, ::2], np.zeros((3, 5)), np.zeros((2, 5)))


class Library:
    """Notes what it is called with, and answers with a status."""

    def __init__(self, status=0):
        self.status, self.calls = status, []

    def __getattr__(self, name):
        def function(*args):
            self.calls.append((name, args))
            return self.status

        setattr(self, name, function)
        return function


def test_stream_and_workspace():
    """The workspace comes second: setting the stream takes it away."""
    library = Library()
    cublas.Cublas(library, stream=11, workspace=22)
    (_, _), (second, stream), (third, workspace) = library.calls
    assert (second, stream[1].value) == ("cublasSetStream_v2", 11)
    assert third == "cublasSetWorkspace_v2"
    assert (workspace[1].value, workspace[2].value) == (22, cublas.WORKSPACE_BYTES)


@pytest.mark.parametrize(
    ("dtype", "tf32", "kind", "compute"),
    [(np.float32, False, 0, 68), (np.float32, True, 0, 77), (np.float64, True, 1, 70)],
)
def test_precision(dtype, tf32, kind, compute):
    library = Library()
    handle = cublas.Cublas(library, stream=1, workspace=2)
    assert handle.tf32 is False
    handle.tf32 = tf32
    x = np.zeros((2, 2), dtype)
    handle.gemm(x, x, x, (False, False, True), lambda array: array.ctypes.data)
    name, args = library.calls[-1]
    assert name == "cublasGemmEx"
    assert (args[8], args[11], args[15], args[17]) == (kind, kind, kind, compute)
    assert len(args) == len(library.cublasGemmEx.argtypes)


def test_a_refusal():
    with pytest.raises(RuntimeError, match="cublasCreate_v2 failed with status 1"):
        cublas.Cublas(Library(status=1), stream=1, workspace=2)


def test_the_arguments_are_those_of_the_header():
    """cublasGemmEx(handle, transa, transb, m, n, k, *alpha, *A, Atype, lda, *B, Btype, ldb, *beta,
    *C, Ctype, ldc, computeType, algo)"""
    library = Library()
    cublas.Cublas(library, stream=1, workspace=2)
    pointers = [0, 6, 7, 10, 13, 14]
    for place, kind in enumerate(library.cublasGemmEx.argtypes):
        assert kind is (ctypes.c_void_p if place in pointers else ctypes.c_int)
