"""ReLU as a loop over all cores."""

from __future__ import annotations

from numba import prange

from minicnn.backends.numba.compiling import loop


@loop
def relu(z, y):
    """y = z where z is not below 0, else 0: a NaN stays."""
    zero = z.dtype.type(0)
    for i in prange(z.size):
        y[i] = zero if z[i] < zero else z[i]


@loop
def relu_backward(dy, y, dz):
    """dz = dy where y > 0, else 0."""
    zero = dy.dtype.type(0)
    for i in prange(dy.size):
        dz[i] = dy[i] if y[i] > zero else zero
