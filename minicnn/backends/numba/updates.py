"""The optimizers' formulas; ``minicnn/backends/numpy/updates.py`` says where they come from.

An update does a few operations with each number, so what it costs is the way through memory. The
textbook goes that way once for every operation. Here one loop does all of them with each number:
what an optimizer keeps is read once and written once. Large weights need not even be read for it;
see ``update_in_backward.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import numpy as np

from minicnn.backends import numpy as textbook
from minicnn.backends.numba.threads import Kernels
from minicnn.backends.numba.update_in_backward import AwaitedGradient, Update, carry_out
from minicnn.backends.numpy.updates import (
    clip_by_norm as clip_by_norm,
    clip_by_value as clip_by_value,
)

kernels = Kernels("updates_kernels")


def by_kernel(description: Callable[..., tuple[Any, ...] | None]) -> Callable[..., None]:
    """The textbook's function of that name, carried out by a kernel.

    Args:
        description: given what the function is given, it returns the kernel and what this is called
            with, after w and g; or ``None`` where no kernel does it.
    """
    by_textbook = getattr(textbook, description.__name__)

    @wraps(description)
    def update(w: Any, g: Any, *rest: Any, **named: Any) -> None:
        awaited = isinstance(g, AwaitedGradient)
        vector = g.vector if awaited else g
        kernel, *arguments = description(w, vector, *rest, **named) or (None,)
        taken = _taken(kernel, w, vector, *arguments)
        if awaited:
            at_once = partial(by_textbook, w, vector, *rest, **named)
            g.postpone(at_once if taken is None else Update(kernel, *taken))
        elif taken is None:
            by_textbook(w, g, *rest, **named)
        else:
            carry_out(kernel, *taken)

    return update


@by_kernel
def sgd(w: Any, g: Any, lr: float) -> Any:
    """w <- w - lr g."""
    return kernels.sgd, lr


@by_kernel
def sgd_momentum(
    w: Any, g: Any, velocity: Any, lr: float, momentum: float, nesterov: bool = False
) -> Any:
    """v <- momentum v - lr g,  w <- w + v."""
    return kernels.sgd_momentum, velocity, lr, momentum, bool(nesterov)


@by_kernel
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
) -> Any:
    """v <- rho v + (1 - rho) g^2,  w <- w - lr g / sqrt(v + epsilon)."""
    if average is not None or step is not None:
        return None
    return kernels.rmsprop, velocity, lr, rho, 1 - rho, epsilon


@by_kernel
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
) -> Any:
    """Running means of the gradient and of its square."""
    alpha = lr * math.sqrt(1 - beta_2**t) / (1 - beta_1**t)
    numbers = (alpha, 1 - beta_1, 1 - beta_2, epsilon)
    if v_max is None:
        return kernels.adam, m, v, *numbers
    return kernels.amsgrad, m, v, v_max, *numbers


@by_kernel
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
) -> Any:
    """Adam with the largest gradient for the mean square."""
    return kernels.adamax, m, u, lr / (1 - beta_1**t), 1 - beta_1, beta_2, epsilon


@by_kernel
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
) -> Any:
    """Adam with Nesterov's look ahead."""
    of_m = mu_next / (1 - mu_product * mu_next)
    of_g = (1 - mu) / (1 - mu_product)
    correction = 1 - beta_2**t
    return kernels.nadam, m, v, lr, 1 - beta_1, 1 - beta_2, epsilon, of_m, of_g, correction


@by_kernel
def adagrad(w: Any, g: Any, accumulator: Any, lr: float, epsilon: float) -> Any:
    """a <- a + g^2,  w <- w - lr g / sqrt(a + epsilon)."""
    return kernels.adagrad, accumulator, lr, epsilon


@by_kernel
def adadelta(
    w: Any,
    g: Any,
    squared_gradients: Any,
    squared_steps: Any,
    lr: float,
    rho: float,
    epsilon: float,
) -> Any:
    """Steps in the units of the weights."""
    return kernels.adadelta, squared_gradients, squared_steps, lr, rho, 1 - rho, epsilon


@by_kernel
def lion(w: Any, g: Any, m: Any, lr: float, beta_1: float, beta_2: float) -> Any:
    """The sign alone."""
    return kernels.lion, m, lr, beta_1, 1 - beta_1, beta_2, 1 - beta_2


def weight_decay(w: Any, lr: float, rate: float) -> None:
    """w <- w - lr rate w."""
    taken = _taken(kernels.weight_decay, w, lr * rate)
    if taken is None:
        textbook.weight_decay(w, lr, rate)
    else:
        carry_out(kernels.weight_decay, *taken)


def _taken(kernel: Any, w: Any, *arguments: Any) -> list[Any] | None:
    """The arguments as a kernel takes them; ``None`` if it cannot.

    The kernels take vectors that are contiguous and of one dtype, float32 or float64. Their numbers
    are in that dtype, too, as NumPy computes with them.
    """
    dtype, taken = w.dtype, []
    if kernel is None or dtype.char not in "fd":
        return None
    for a in (w, *arguments):
        if isinstance(a, float):
            a = dtype.type(a)
        elif isinstance(a, np.ndarray) and not (
            a.dtype == dtype and a.ndim == 1 and a.flags.c_contiguous
        ):
            return None
        taken.append(a)
    return taken
