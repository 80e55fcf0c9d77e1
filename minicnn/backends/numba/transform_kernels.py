"""The matrices of Winograd's convolution, and vectors that they are multiplied with.

To find m outputs of a correlation with three taps takes m + 2 multiplications instead of 3 m, if
polynomials are multiplied by their values: at m + 1 points, and at infinity. The three taps g and
the m + 2 inputs d each go to that world by a matrix, are multiplied there number by number, and the
result comes back by a third one: y = A^T (G g * B^T d). In two dimensions each matrix stands on
both sides: Y = A^T (G g G^T * B^T d B) A.

Source: S. Winograd, Arithmetic Complexity of Computations (1980); A. Lavin and S. Gray, Fast
Algorithms for Convolutional Neural Networks (2016).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba.extending import intrinsic
from numpy.polynomial import polynomial

from minicnn.backends.numba.vector_kernels import Vectors, over_runs

# Points near to each other, or far from 1, cost digits; with these float32 keeps five to six.
POINTS = {3: (0.0, 1.0, -1.0, 2.0), 4: (0.0, 1.0, -1.0, 2.0, -0.5)}


class Matrices(NamedTuple):
    """A (m + 2, m), B (m + 2, m + 2) and G (m + 2, 3)."""

    A: np.ndarray
    B: np.ndarray
    G: np.ndarray


def matrices(m: int) -> Matrices:
    """The matrices for m outputs at a time.

    At a point p, a polynomial's value is the product of its coefficients with 1, p, p^2, ...; at
    infinity, its last coefficient. The way back is Lagrange's: B^T has the coefficients of the
    polynomials that are zero at all other points, and G is divided by what these are at the point.

    >>> A, B, G = matrices(4)
    >>> d, g = np.arange(6.0), np.array([1.0, 10.0, 100.0])
    >>> (A.T @ (G @ g * (B.T @ d))).round(9)
    array([210., 321., 432., 543.])
    """
    points = POINTS[m]
    A, B, G = np.zeros((m + 2, m)), np.zeros((m + 2, m + 2)), np.zeros((m + 2, 3))
    for row, point in enumerate(points):
        others = [other for other in points if other != point]
        A[row] = point ** np.arange(m)
        B[:-1, row] = polynomial.polyfromroots(others)
        G[row] = point ** np.arange(3) / np.prod(point - np.array(others))
    A[-1, -1] = G[-1, -1] = 1
    B[:, -1] = polynomial.polyfromroots(points)
    return Matrices(A, B, G)


def both_sides(L: np.ndarray, add: bool = False) -> Any:
    """An intrinsic for target = L source L^T, or target += L source L^T.

    Source and target are small matrices of runs of n numbers, n a multiple of CHUNK. Element (r, q)
    of the source begins at j + r * down + q * right in a flat array; of the target likewise.
    """
    rows, columns = L.shape

    @intrinsic
    def product(
        typing_context: Any, target, i, target_down, target_right, source, j, down, right, n
    ):
        def body(vector: Vectors) -> None:
            builder, values = vector.builder, vector.values

            def place(start: int, r: int, q: int) -> Any:
                of_row = builder.mul(values[start + 1], values[start + 1].type(r))
                of_column = builder.mul(values[start + 2], values[start + 2].type(q))
                return builder.add(values[start], builder.add(of_row, of_column))

            left = []  # L source, column by column
            for q in range(columns):
                column = [vector.load_at(4, place(5, r, q)) for r in range(columns)]
                left.append([_combined(builder, coefficients, column) for coefficients in L])
            for r in range(rows):
                row = [left[q][r] for q in range(columns)]
                for q in range(rows):
                    result = _combined(builder, L[q], row)
                    to = place(1, r, q)
                    if add:
                        result = builder.fadd(vector.load_at(0, to), result)
                    vector.store_at(0, to, result)

        arguments = (target, i, target_down, target_right, source, j, down, right, n)
        return over_runs(body, arguments)

    return product


def _combined(builder: Any, coefficients: np.ndarray, vectors: list[Any]) -> Any:
    """The sum of the vectors, each times a number that is known when the code is made."""
    total = None
    for number, vector in zip(coefficients, vectors, strict=True):
        if number == 0:
            continue
        kind, size = vector.type, abs(number)
        term = vector if size == 1 else builder.fmul(vector, kind([float(size)] * kind.count), FUSE)
        if total is None:
            total = term if number > 0 else builder.fsub(kind(None), term, FUSE)
        else:
            total = (builder.fadd if number > 0 else builder.fsub)(total, term, flags=FUSE)
    return total


FUSE = ("contract",)  # a multiplication and an addition may become one instruction
