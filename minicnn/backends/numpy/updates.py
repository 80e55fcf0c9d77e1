"""The optimizers' formulas, each over one flat vector of weights.

The gradient g = dL/dw points where the loss grows fastest, so every step goes against it. What is
remembered from step to step (a velocity, a running mean) is a *slot*: a vector as long as w.

Every function changes the weights ``w`` and its slots in place and leaves the gradient ``g`` as it
is. All vectors have one length and one dtype; the numbers are Python floats, so that float32 stays
float32. ``lr`` is the learning rate, ``t`` the number of the step, counted from 1. A slot that an
option does not need is ``None``.

Where a paper's text and Keras differ, the formula is Keras's: its ``epsilon`` is the one that
Kingma and Ba (2015) call epsilon-hat, and a velocity contains the learning rate.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def sgd(w: Any, g: Any, lr: float) -> None:
    """Gradient descent: w <- w - lr g."""
    w -= lr * g


def sgd_momentum(
    w: Any, g: Any, velocity: Any, lr: float, momentum: float, nesterov: bool = False
) -> None:
    """The heavy ball (Polyak, 1964): v <- momentum v - lr g,  w <- w + v.

    The velocity grows where the gradients of many steps agree, and stays small where they cancel.
    With ``nesterov`` the weights go on to where that velocity would carry them next,
    w <- w + momentum v - lr g, as in Sutskever et al. (2013), in the variables of Bengio et al.
    (2013, Advances in optimizing recurrent networks, section 3.5).
    """
    velocity *= momentum
    velocity -= lr * g
    w += momentum * velocity - lr * g if nesterov else velocity


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
    """Divide the gradient by the root of its mean square (Tieleman and Hinton, 2012, lecture 6.5).

        v <- rho v + (1 - rho) g^2,    d = lr g / sqrt(v + epsilon),    w <- w - d

    So every weight moves by about lr, however large or small its gradients are.

    Args:
        average: the mean gradient a <- rho a + (1 - rho) g. If given, the variance v - a^2 takes
            the place of v (Graves, 2013, Generating sequences with recurrent neural networks,
            eq. 38-45). What rounding leaves below zero counts as zero.
        step: the step with momentum, s <- momentum s + d. If given, w <- w - s.
    """
    velocity *= rho
    velocity += (1 - rho) * g * g
    spread = velocity
    if average is not None:
        average *= rho
        average += (1 - rho) * g
        spread = np.maximum(velocity - average * average, 0)
    d = lr * g / np.sqrt(spread + epsilon)
    if step is not None:
        step *= momentum
        step += d
        d = step
    w -= d


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
    """Running means of the gradient and of its square (Kingma and Ba, 2015, end of section 2).

        m <- beta_1 m + (1 - beta_1) g,      v <- beta_2 v + (1 - beta_2) g^2,
        w <- w - lr sqrt(1 - beta_2^t) / (1 - beta_1^t)  m / (sqrt(v) + epsilon)

    The factors 1 - beta^t make up for means that start at zero: were g the same at every step, m
    would be (1 - beta_1) (1 + beta_1 + ... + beta_1^(t-1)) g = (1 - beta_1^t) g after t steps, too
    small at first. So m / (1 - beta_1^t) is the mean without that bias, v / (1 - beta_2^t) the mean
    square, and the step is lr times the first over the root of the second.

    Args:
        v_max: the largest v so far. If given, it takes the place of v (AMSGrad: Reddi et al., 2018,
            algorithm 2).
    """
    alpha = lr * math.sqrt(1 - beta_2**t) / (1 - beta_1**t)
    m += (1 - beta_1) * (g - m)
    v += (1 - beta_2) * (g * g - v)
    if v_max is not None:
        np.maximum(v_max, v, out=v_max)
        v = v_max
    w -= alpha * m / (np.sqrt(v) + epsilon)


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
    """Adam with the largest gradient for the mean square (Kingma and Ba, 2015, algorithm 2).

    m <- beta_1 m + (1 - beta_1) g,    u <- max(beta_2 u, |g|),
    w <- w - lr / (1 - beta_1^t)  m / (u + epsilon)
    """
    m += (1 - beta_1) * (g - m)
    np.maximum(beta_2 * u, np.abs(g), out=u)
    w -= lr / (1 - beta_1**t) * m / (u + epsilon)


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
    """Adam with Nesterov's look ahead (Dozat, 2016, Incorporating Nesterov momentum into Adam).

    m and v as in :func:`adam`, then with mu and mu_next, the momenta of this step and of the next,
    and with mu_product, the product of all momenta up to this step,

        m^ = mu_next m / (1 - mu_product mu_next) + (1 - mu) g / (1 - mu_product),
        v^ = v / (1 - beta_2^t),    w <- w - lr m^ / (sqrt(v^) + epsilon).
    """
    m += (1 - beta_1) * (g - m)
    v += (1 - beta_2) * (g * g - v)
    m_hat = mu_next / (1 - mu_product * mu_next) * m + (1 - mu) / (1 - mu_product) * g
    v_hat = v / (1 - beta_2**t)
    w -= lr * m_hat / (np.sqrt(v_hat) + epsilon)


def adagrad(w: Any, g: Any, accumulator: Any, lr: float, epsilon: float) -> None:
    """Divide by the root of the sum of all squares so far (Duchi et al., 2011, diagonal form).

    a <- a + g^2,    w <- w - lr g / sqrt(a + epsilon)
    """
    accumulator += g * g
    w -= lr * g / np.sqrt(accumulator + epsilon)


def adadelta(
    w: Any,
    g: Any,
    squared_gradients: Any,
    squared_steps: Any,
    lr: float,
    rho: float,
    epsilon: float,
) -> None:
    """Steps in the units of the weights (Zeiler, 2012, algorithm 1, times a learning rate).

    a <- rho a + (1 - rho) g^2,    d = g sqrt(b + epsilon) / sqrt(a + epsilon),
    b <- rho b + (1 - rho) d^2,    w <- w - lr d
    """
    squared_gradients *= rho
    squared_gradients += (1 - rho) * g * g
    d = g * np.sqrt(squared_steps + epsilon) / np.sqrt(squared_gradients + epsilon)
    squared_steps *= rho
    squared_steps += (1 - rho) * d * d
    w -= lr * d


def lion(w: Any, g: Any, m: Any, lr: float, beta_1: float, beta_2: float) -> None:
    """The sign alone (Chen et al., 2023, Symbolic discovery of optimization algorithms, alg. 2).

    w <- w - lr sign(beta_1 m + (1 - beta_1) g),    m <- beta_2 m + (1 - beta_2) g
    """
    w -= lr * np.sign(beta_1 * m + (1 - beta_1) * g)
    m *= beta_2
    m += (1 - beta_2) * g


# -- before the update ----------------------------------------------------------------------------


def weight_decay(w: Any, lr: float, rate: float) -> None:
    """w <- w - lr rate w, apart from the gradient, so that no optimizer rescales it (Loshchilov and
    Hutter, 2019)."""
    w -= lr * rate * w


def clip_by_value(g: Any, limit: float) -> None:
    """Cut every element off at -limit and limit, in place."""
    np.clip(g, -limit, limit, out=g)


def clip_by_norm(g: Any, limit: float) -> None:
    """Shorten g to the length ``limit`` if it is longer (Pascanu et al., 2013, algorithm 1)."""
    norm = np.sqrt((g * g).sum())
    g *= limit / np.maximum(norm, limit)
