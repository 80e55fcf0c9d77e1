"""The loops of the affine map: every new pixel once, its channels side by side."""

from __future__ import annotations

import numpy as np

from minicnn.backends.numba.compiling import compiled, kernel
from minicnn.backends.numba.turns_kernels import turns
from minicnn.backends.numpy.affine import FILL_MODES

CONSTANT, NEAREST, REFLECT, WRAP = range(len(FILL_MODES))


@kernel
def affine(worker, workers, x, A, y, bilinear, fill_mode, fill_value):
    """y[r, q] = x(A (r, q, 1)).

    Args:
        x: (n, h, w, c).
        A: (n, 2, 3), float64.
        y: (n, oh, ow, c).
        bilinear: or else the nearest pixel.
        fill_mode: its place in FILL_MODES.
        fill_value: of the dtype of x.
    """
    _, h, w, c = x.shape
    _, oh, ow, _ = y.shape
    kind = y.dtype.type
    for line in turns(len(y) * oh, worker, workers):
        image = line // oh
        r = line - image * oh
        picture = x[image]
        for q in range(ow):
            u, v = place(A[image], r, q)
            p, p_next, f = along_axis(u, h, bilinear, fill_mode)
            o, o_next, g = along_axis(v, w, bilinear, fill_mode)
            new = y[image, r, q]
            if not bilinear:
                for k in range(c):
                    new[k] = at(picture, p, o, k, fill_value)
                continue
            a, b = kind((1 - f) * (1 - g)), kind((1 - f) * g)
            d, e = kind(f * (1 - g)), kind(f * g)
            if min(p, p_next, o, o_next) >= 0:
                for k in range(c):
                    above = a * picture[p, o, k] + b * picture[p, o_next, k]
                    new[k] = above + d * picture[p_next, o, k] + e * picture[p_next, o_next, k]
            else:
                for k in range(c):
                    above = a * at(picture, p, o, k, fill_value)
                    above += b * at(picture, p, o_next, k, fill_value)
                    below = d * at(picture, p_next, o, k, fill_value)
                    new[k] = above + below + e * at(picture, p_next, o_next, k, fill_value)


@kernel
def affine_backward(worker, workers, dy, A, dx, bilinear, fill_mode):
    """dx = the sum of what the pixel gave to each new pixel, times the gradient there."""
    n, h, w, _ = dx.shape
    _, oh, ow, _ = dy.shape
    for image in turns(n, worker, workers):
        dx[image] = 0
        for r in range(oh):
            for q in range(ow):
                u, v = place(A[image], r, q)
                p, p_next, f = along_axis(u, h, bilinear, fill_mode)
                o, o_next, g = along_axis(v, w, bilinear, fill_mode)
                given, picture = dy[image, r, q], dx[image]
                add_to(picture, p, o, (1 - f) * (1 - g), given)
                if bilinear:
                    add_to(picture, p, o_next, (1 - f) * g, given)
                    add_to(picture, p_next, o, f * (1 - g), given)
                    add_to(picture, p_next, o_next, f * g, given)


@compiled
def place(A, r, q):
    """A (r, q, 1)."""
    return A[0, 0] * r + A[0, 1] * q + A[0, 2], A[1, 0] * r + A[1, 1] * q + A[1, 2]


@compiled
def along_axis(u, n, bilinear, fill_mode):
    """The two pixels of an axis of n around u, and the second one's weight.

    A pixel that is not there is -1.
    """
    if not bilinear:
        p = filled(int(np.trunc(u + np.copysign(0.5, u))), n, fill_mode)
        return p, p, 0.0
    below = np.floor(u)
    p = int(below)
    return filled(p, n, fill_mode), filled(p + 1, n, fill_mode), u - below


@compiled
def filled(p, n, fill_mode):
    """The pixel of an axis of n that stands at p, which may lie beyond the border; -1 for none."""
    if 0 <= p < n:
        return p
    if fill_mode == WRAP:
        return p % n
    if fill_mode == REFLECT:
        return min(p % (2 * n), 2 * n - 1 - p % (2 * n))
    if fill_mode == NEAREST:
        return min(max(p, 0), n - 1)
    return -1


@compiled
def at(picture, row, column, k, fill_value):
    """A number of the picture, or ``fill_value`` where it does not reach."""
    return picture[row, column, k] if row >= 0 and column >= 0 else fill_value


@compiled
def add_to(picture, row, column, weight, given):
    """picture[row, column] += weight given, where there is such a pixel."""
    if row >= 0 and column >= 0:
        part = picture.dtype.type(weight)
        for k in range(given.size):
            picture[row, column, k] += part * given[k]
