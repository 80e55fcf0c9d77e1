"""The optimizers' formulas as loops: every number is read once, used for all, and written once.

The formulas are those of ``minicnn/backends/numpy/updates.py``, in the same order of operations.
There is one thing more. What an optimizer remembers of a weight shrinks at each step at which the
weight has no gradient, as behind a unit that is dead, until the numbers are so small that a CPU
takes a hundred times as long for them. Such numbers are :func:`settled`; but not in lion, which
takes a whole step for the smallest of them.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from minicnn.backends.numba.compiling import compiled, loop


@compiled
def settled(x):
    """x, but 0 for denormal numbers, those below 1e-38 (in float64: 2e-308)."""
    return x - x if abs(x) < np.finfo(x).tiny else x


@loop
def sgd(w, g, lr):
    for i in prange(w.size):
        w[i] -= lr * g[i]


@loop
def sgd_momentum(w, g, velocity, lr, momentum, nesterov):
    for i in prange(w.size):
        v = settled(momentum * velocity[i] - lr * g[i])
        velocity[i] = v
        w[i] += momentum * v - lr * g[i] if nesterov else v


@loop
def rmsprop(w, g, velocity, lr, rho, rest, epsilon):
    for i in prange(w.size):
        v = settled(rho * velocity[i] + rest * g[i] * g[i])
        velocity[i] = v
        w[i] -= lr * g[i] / np.sqrt(v + epsilon)


@loop
def adam(w, g, m, v, alpha, rest_1, rest_2, epsilon):
    for i in prange(w.size):
        m[i] = settled(m[i] + rest_1 * (g[i] - m[i]))
        v[i] = settled(v[i] + rest_2 * (g[i] * g[i] - v[i]))
        w[i] -= alpha * m[i] / (np.sqrt(v[i]) + epsilon)


@loop
def amsgrad(w, g, m, v, v_max, alpha, rest_1, rest_2, epsilon):
    for i in prange(w.size):
        m[i] = settled(m[i] + rest_1 * (g[i] - m[i]))
        v[i] = settled(v[i] + rest_2 * (g[i] * g[i] - v[i]))
        v_max[i] = v[i] if v[i] > v_max[i] else v_max[i]
        w[i] -= alpha * m[i] / (np.sqrt(v_max[i]) + epsilon)


@loop
def adamax(w, g, m, u, rate, rest_1, beta_2, epsilon):
    for i in prange(w.size):
        m[i] = settled(m[i] + rest_1 * (g[i] - m[i]))
        u[i] = settled(max(beta_2 * u[i], abs(g[i])))
        w[i] -= rate * m[i] / (u[i] + epsilon)


@loop
def nadam(w, g, m, v, lr, rest_1, rest_2, epsilon, of_m, of_g, correction):
    for i in prange(w.size):
        m[i] = settled(m[i] + rest_1 * (g[i] - m[i]))
        v[i] = settled(v[i] + rest_2 * (g[i] * g[i] - v[i]))
        w[i] -= lr * (of_m * m[i] + of_g * g[i]) / (np.sqrt(v[i] / correction) + epsilon)


@loop
def adagrad(w, g, accumulator, lr, epsilon):
    for i in prange(w.size):
        a = accumulator[i] + g[i] * g[i]
        accumulator[i] = a
        w[i] -= lr * g[i] / np.sqrt(a + epsilon)


@loop
def adadelta(w, g, squared_gradients, squared_steps, lr, rho, rest, epsilon):
    for i in prange(w.size):
        a = settled(rho * squared_gradients[i] + rest * g[i] * g[i])
        b = squared_steps[i]
        d = g[i] * np.sqrt(b + epsilon) / np.sqrt(a + epsilon)
        squared_gradients[i] = a
        squared_steps[i] = settled(rho * b + rest * d * d)
        w[i] -= lr * d


@loop
def lion(w, g, m, lr, beta_1, rest_1, beta_2, rest_2):
    for i in prange(w.size):
        w[i] -= lr * np.sign(beta_1 * m[i] + rest_1 * g[i])
        m[i] = beta_2 * m[i] + rest_2 * g[i]


@loop
def weight_decay(w, rate):
    for i in prange(w.size):
        w[i] -= rate * w[i]
