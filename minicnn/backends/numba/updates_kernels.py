"""The optimizers' formulas as loops: every number is read once, used for all, and written once.

The formulas are those of ``minicnn/backends/numpy/updates.py``, in the same order of operations,
for a piece of the weights, of their gradient, and of what is remembered of them.

There is one thing more. What an optimizer remembers of a weight shrinks at each step at which the
weight has no gradient, as behind a unit that is dead, until the numbers are so small that a CPU
takes a hundred times as long for them. Such numbers are :func:`settled`; but not in lion, which
takes a whole step for the smallest of them.
"""

from __future__ import annotations

import numpy as np

from minicnn.backends.numba.compiling import compiled, elementwise


@compiled
def settled(x):
    """x, but 0 for denormal numbers, those below 1e-38 (in float64: 2e-308)."""
    return x - x if abs(x) < np.finfo(x).tiny else x


@elementwise
def sgd(w, g, lr):
    for i in range(w.size):
        w[i] -= lr * g[i]


@elementwise
def sgd_momentum(w, g, velocity, lr, momentum, nesterov):
    for i in range(w.size):
        v = settled(momentum * velocity[i] - lr * g[i])
        velocity[i] = v
        w[i] += momentum * v - lr * g[i] if nesterov else v


@elementwise
def rmsprop(w, g, velocity, lr, rho, rest, epsilon):
    for i in range(w.size):
        v = settled(rho * velocity[i] + rest * g[i] * g[i])
        velocity[i] = v
        w[i] -= lr * g[i] / np.sqrt(v + epsilon)


@elementwise
def adam(w, g, m, v, alpha, rest_1, rest_2, epsilon):
    for i in range(w.size):
        m[i] = settled(m[i] + rest_1 * (g[i] - m[i]))
        v[i] = settled(v[i] + rest_2 * (g[i] * g[i] - v[i]))
        w[i] -= alpha * m[i] / (np.sqrt(v[i]) + epsilon)


@elementwise
def amsgrad(w, g, m, v, v_max, alpha, rest_1, rest_2, epsilon):
    for i in range(w.size):
        m[i] = settled(m[i] + rest_1 * (g[i] - m[i]))
        v[i] = settled(v[i] + rest_2 * (g[i] * g[i] - v[i]))
        v_max[i] = v[i] if v[i] > v_max[i] else v_max[i]
        w[i] -= alpha * m[i] / (np.sqrt(v_max[i]) + epsilon)


@elementwise
def adamax(w, g, m, u, rate, rest_1, beta_2, epsilon):
    for i in range(w.size):
        m[i] = settled(m[i] + rest_1 * (g[i] - m[i]))
        u[i] = settled(max(beta_2 * u[i], abs(g[i])))
        w[i] -= rate * m[i] / (u[i] + epsilon)


@elementwise
def nadam(w, g, m, v, lr, rest_1, rest_2, epsilon, of_m, of_g, correction):
    for i in range(w.size):
        m[i] = settled(m[i] + rest_1 * (g[i] - m[i]))
        v[i] = settled(v[i] + rest_2 * (g[i] * g[i] - v[i]))
        w[i] -= lr * (of_m * m[i] + of_g * g[i]) / (np.sqrt(v[i] / correction) + epsilon)


@elementwise
def adagrad(w, g, accumulator, lr, epsilon):
    for i in range(w.size):
        a = accumulator[i] + g[i] * g[i]
        accumulator[i] = a
        w[i] -= lr * g[i] / np.sqrt(a + epsilon)


@elementwise
def adadelta(w, g, gradients, steps, lr, rho, rest, epsilon):
    for i in range(w.size):
        a = settled(rho * gradients[i] + rest * g[i] * g[i])
        b = steps[i]
        d = g[i] * np.sqrt(b + epsilon) / np.sqrt(a + epsilon)
        gradients[i] = a
        steps[i] = settled(rho * b + rest * d * d)
        w[i] -= lr * d


@elementwise
def lion(w, g, m, lr, beta_1, rest_1, beta_2, rest_2):
    for i in range(w.size):
        w[i] -= lr * np.sign(beta_1 * m[i] + rest_1 * g[i])
        m[i] = beta_2 * m[i] + rest_2 * g[i]


@elementwise
def weight_decay(w, rate):
    for i in range(w.size):
        w[i] -= rate * w[i]
