"""The optimizers' formulas; ``minicnn/backends/numpy/updates.py`` says where they come from.

An update does a few operations with each number, so what it costs is the way through memory. The
textbook goes that way once for every operation. Here one loop does all of them with each number:
what an optimizer keeps is read once and written once.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn.backends import numpy as textbook
from minicnn.backends.numba.threads import Kernels, crew, launch_loop
from minicnn.backends.numpy.updates import (
    clip_by_norm as clip_by_norm,
    clip_by_value as clip_by_value,
)

kernels = Kernels("updates_kernels")


def sgd(w: Any, g: Any, lr: float) -> None:
    """w <- w - lr g."""
    if not _fast(w, g):
        textbook.sgd(w, g, lr)
        return
    _run(kernels.sgd, w, g, lr)


def sgd_momentum(
    w: Any, g: Any, velocity: Any, lr: float, momentum: float, nesterov: bool = False
) -> None:
    """v <- momentum v - lr g,  w <- w + v."""
    if not _fast(w, g, velocity):
        textbook.sgd_momentum(w, g, velocity, lr, momentum, nesterov)
        return
    _run(kernels.sgd_momentum, w, g, velocity, lr, momentum, bool(nesterov))


def rmsprop(
    w: Any,
    g: Any,
    velocity: Any,
    average: Any | None,
    step: Any | None,
    lr: float,
    rho: float,
    momentum: float,
    epsilon: float,
) -> None:
    """v <- rho v + (1 - rho) g^2,  w <- w - lr g / sqrt(v + epsilon)."""
    if average is not None or step is not None or not _fast(w, g, velocity):
        textbook.rmsprop(w, g, velocity, average, step, lr, rho, momentum, epsilon)
        return
    _run(kernels.rmsprop, w, g, velocity, lr, rho, 1 - rho, epsilon)


def adam(
    w: Any,
    g: Any,
    m: Any,
    v: Any,
    v_max: Any | None,
    lr: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    t: int,
) -> None:
    """Running means of the gradient and of its square."""
    if not _fast(w, g, m, v, v_max):
        textbook.adam(w, g, m, v, v_max, lr, beta_1, beta_2, epsilon, t)
        return
    alpha = lr * math.sqrt(1 - beta_2**t) / (1 - beta_1**t)
    numbers = (alpha, 1 - beta_1, 1 - beta_2, epsilon)
    if v_max is None:
        _run(kernels.adam, w, g, m, v, *numbers)
    else:
        _run(kernels.amsgrad, w, g, m, v, v_max, *numbers)


def adamax(
    w: Any,
    g: Any,
    m: Any,
    u: Any,
    lr: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    t: int,
) -> None:
    """Adam with the largest gradient for the mean square."""
    if not _fast(w, g, m, u):
        textbook.adamax(w, g, m, u, lr, beta_1, beta_2, epsilon, t)
        return
    _run(kernels.adamax, w, g, m, u, lr / (1 - beta_1**t), 1 - beta_1, beta_2, epsilon)


def nadam(
    w: Any,
    g: Any,
    m: Any,
    v: Any,
    lr: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    t: int,
    mu: float,
    mu_next: float,
    mu_product: float,
) -> None:
    """Adam with Nesterov's look ahead."""
    if not _fast(w, g, m, v):
        textbook.nadam(w, g, m, v, lr, beta_1, beta_2, epsilon, t, mu, mu_next, mu_product)
        return
    of_m = mu_next / (1 - mu_product * mu_next)
    of_g = (1 - mu) / (1 - mu_product)
    correction = 1 - beta_2**t
    _run(kernels.nadam, w, g, m, v, lr, 1 - beta_1, 1 - beta_2, epsilon, of_m, of_g, correction)


def adagrad(w: Any, g: Any, accumulator: Any, lr: float, epsilon: float) -> None:
    """a <- a + g^2,  w <- w - lr g / sqrt(a + epsilon)."""
    if not _fast(w, g, accumulator):
        textbook.adagrad(w, g, accumulator, lr, epsilon)
        return
    _run(kernels.adagrad, w, g, accumulator, lr, epsilon)


def adadelta(
    w: Any,
    g: Any,
    squared_gradients: Any,
    squared_steps: Any,
    lr: float,
    rho: float,
    epsilon: float,
) -> None:
    """Steps in the units of the weights."""
    if not _fast(w, g, squared_gradients, squared_steps):
        textbook.adadelta(w, g, squared_gradients, squared_steps, lr, rho, epsilon)
        return
    numbers = (lr, rho, 1 - rho, epsilon)
    _run(kernels.adadelta, w, g, squared_gradients, squared_steps, *numbers)


def lion(w: Any, g: Any, m: Any, lr: float, beta_1: float, beta_2: float) -> None:
    """The sign alone."""
    if not _fast(w, g, m):
        textbook.lion(w, g, m, lr, beta_1, beta_2)
        return
    _run(kernels.lion, w, g, m, lr, beta_1, 1 - beta_1, beta_2, 1 - beta_2)


def weight_decay(w: Any, lr: float, rate: float) -> None:
    """w <- w - lr rate w."""
    if not _fast(w):
        textbook.weight_decay(w, lr, rate)
        return
    _run(kernels.weight_decay, w, lr * rate)


def _fast(*vectors: np.ndarray | None) -> bool:
    """Whether the kernels can take them: flat, contiguous, of one dtype, float32 or float64."""
    dtype = vectors[0].dtype
    for v in vectors:
        if v is not None and (v.dtype != dtype or v.ndim != 1 or not v.flags.c_contiguous):
            return False
    return dtype.char in "fd"


def _run(kernel: Any, w: np.ndarray, *arguments: Any) -> None:
    """Run a kernel with its numbers in the dtype of the weights, as NumPy computes with them."""
    number = w.dtype.type
    arguments = [number(a) if isinstance(a, float) else a for a in arguments]
    launch_loop(kernel, crew(w.size), w, *arguments)
