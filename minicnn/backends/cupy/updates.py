"""The optimizers' formulas on the GPU, each one kernel over flat vectors.

The formulas and their sources stand in the textbook's file of this name. Where a step is recorded,
``lr`` is an array with one number on the device, and ``t`` a
:class:`~minicnn.backends.cupy.recording.Count`: so both can change from replay to replay.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.backends.cupy import device
from minicnn.backends.cupy.recording import real_number, whole_number

KERNELS = device.Kernels("updates")
PARTS = 256
"""Into how many partial sums the square of a norm is split at most."""

FEW_BLOCKS = 512
"""How many blocks a kernel has at most that begins with powers: all of them run at once on a large
GPU, so that none begins late."""


def _update(
    kernel: str, vectors: tuple[Any, ...], *parameters: Any, blocks: int | None = None
) -> None:
    """A thread for the weights that take 16 bytes, or for each weight where a vector does not lie
    so that they may be moved at once; in at most so many blocks.

    Raises:
        TypeError: if the vectors differ in dtype.
    """
    w = _of_one_dtype(kernel, vectors)
    packed = device.packed(0, *vectors)
    a_block = device.BLOCK * (16 // w.itemsize if packed else 1)
    grid = (min(-(-w.size // a_block), blocks or device.MAX_BLOCKS, device.MAX_BLOCKS),)
    KERNELS.launch(
        kernel, w.dtype, grid, (device.BLOCK,), *vectors, np.int64(w.size), *parameters, packed
    )


def _of_one_dtype(kernel: str, vectors: tuple[Any, ...]) -> Any:
    w = vectors[0]
    if any(vector is not None and vector.dtype != w.dtype for vector in vectors):
        raise TypeError(f"{kernel}: expected vectors of one dtype, {w.dtype} as the weights")
    return w


def sgd(w: Any, g: Any, lr: float) -> None:
    """w <- w - lr g."""
    _update("sgd", (w, g), *real_number(lr))


def sgd_momentum(
    w: Any, g: Any, velocity: Any, lr: float, momentum: float, nesterov: bool = False
) -> None:
    """v <- momentum v - lr g,  w <- w + v, or with ``nesterov`` w + momentum v - lr g."""
    _update("sgd_momentum", (w, g, velocity), *real_number(lr), float(momentum), bool(nesterov))


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
    """v <- rho v + (1 - rho) g^2,  w <- w - lr g / sqrt(v + epsilon); centred, with momentum."""
    _update(
        "rmsprop", (w, g, velocity, average, step),
        *real_number(lr), float(rho), float(momentum), float(epsilon),
    )  # fmt: skip


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
    """w <- w - lr sqrt(1 - beta_2^t) / (1 - beta_1^t)  m / (sqrt(v) + epsilon)."""
    _update(
        "adam", (w, g, m, v, v_max),
        *real_number(lr), np.float64(beta_1), np.float64(beta_2), float(epsilon), *whole_number(t),
        blocks=FEW_BLOCKS,
    )  # fmt: skip


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
    """u <- max(beta_2 u, |g|),  w <- w - lr / (1 - beta_1^t)  m / (u + epsilon)."""
    _update(
        "adamax", (w, g, m, u),
        *real_number(lr), np.float64(beta_1), np.float64(beta_2), float(epsilon), *whole_number(t),
        blocks=FEW_BLOCKS,
    )  # fmt: skip


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
    """Adam with Nesterov's look ahead; mu and its fellows are the momenta of this step."""
    _update(
        "nadam", (w, g, m, v),
        *real_number(lr), np.float64(beta_1), np.float64(beta_2), float(epsilon), *whole_number(t),
        *map(np.float64, (mu, mu_next, mu_product)), blocks=FEW_BLOCKS,
    )  # fmt: skip


def adagrad(w: Any, g: Any, accumulator: Any, lr: float, epsilon: float) -> None:
    """a <- a + g^2,  w <- w - lr g / sqrt(a + epsilon)."""
    _update("adagrad", (w, g, accumulator), *real_number(lr), float(epsilon))


def adadelta(
    w: Any,
    g: Any,
    squared_gradients: Any,
    squared_steps: Any,
    lr: float,
    rho: float,
    epsilon: float,
) -> None:
    """d = g sqrt(b + epsilon) / sqrt(a + epsilon),  w <- w - lr d."""
    _update(
        "adadelta", (w, g, squared_gradients, squared_steps),
        *real_number(lr), float(rho), float(epsilon),
    )  # fmt: skip


def lion(w: Any, g: Any, m: Any, lr: float, beta_1: float, beta_2: float) -> None:
    """w <- w - lr sign(beta_1 m + (1 - beta_1) g),  m <- beta_2 m + (1 - beta_2) g."""
    _update("lion", (w, g, m), *real_number(lr), float(beta_1), float(beta_2))


# -- before the update ----------------------------------------------------------------------------


def weight_decay(w: Any, lr: float, rate: float) -> None:
    """w <- w - lr rate w."""
    KERNELS.each(
        "weight_decay", w.dtype, w.size, w, np.int64(w.size), *real_number(lr), float(rate)
    )


def clip_by_value(g: Any, limit: float) -> None:
    """Cut every element off at -limit and limit, in place."""
    KERNELS.each("clip_by_value", g.dtype, g.size, g, np.int64(g.size), float(limit))


def clip_by_norm(g: Any, limit: float) -> None:
    """Shorten g to the length ``limit`` if it is longer."""
    parts = max(1, min(PARTS, g.size // (16 * device.BLOCK)))
    partial = device.empty(parts, "float64")
    KERNELS.launch(
        "sum_of_squares", g.dtype, (1, parts), (1, device.BLOCK), g, np.int64(g.size), partial
    )
    KERNELS.each("shorten", g.dtype, g.size, g, np.int64(g.size), partial, parts, float(limit))
