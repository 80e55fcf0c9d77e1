"""ReLU and sigmoid on all cores, and softmax of one row after the other."""

from __future__ import annotations

from minicnn.backends.numba.compiling import compiled, elementwise, kernel
from minicnn.backends.numba.exponential_kernels import exponential


@elementwise
def relu(z, y):
    """y = z where z is not below 0, else 0: a NaN stays."""
    zero = z.dtype.type(0)
    for i in range(z.size):
        y[i] = zero if z[i] < zero else z[i]


@elementwise
def relu_backward(dy, y, dz):
    """dz = dy where y > 0, else 0."""
    zero = dy.dtype.type(0)
    for i in range(dy.size):
        dz[i] = dy[i] if y[i] > zero else zero


@elementwise
def sigmoid(z, y):
    """y = 1 / (1 + e^-z), which is e^z / (1 + e^z): the one or the other, by the sign of z."""
    one = y.dtype.type(1)
    for i in range(z.size):
        e = exponential(-abs(z[i]))
        y[i] = (one if z[i] > 0 else e) / (one + e)


@elementwise
def sigmoid_backward(dy, y, dz):
    """dz = y (1 - y) dy."""
    one = dy.dtype.type(1)
    for i in range(dy.size):
        dz[i] = dy[i] * y[i] * (one - y[i])


@kernel
def softmax(z, y):
    """y = softmax(z), for every row."""
    for i in range(len(z)):
        softmax_of_row(i, z, y)


@compiled
def softmax_of_row(i, z, y):
    """y_ik = exp(z_ik - m) / s for row i; returns m, its largest z, and s, their sum."""
    n = z.shape[1]
    largest = z[i, 0]
    for k in range(1, n):
        # A NaN is not equal to itself; the textbook's maximum is NaN then, and so are all y.
        if z[i, k] > largest or z[i, k] != z[i, k]:
            largest = z[i, k]
    total = y.dtype.type(0)
    for k in range(n):
        y[i, k] = exponential(z[i, k] - largest)
        total += y[i, k]
    for k in range(n):
        y[i, k] /= total
    return largest, total
