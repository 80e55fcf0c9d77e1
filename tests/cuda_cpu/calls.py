"""Calls that between them run every kernel of the floor, each on every path through it.

A call takes a floor (of NumPy arrays), a generator of random numbers and a dtype, and returns
arrays. Channels are a multiple of 4 (four at once) and not; sums have one slab of rows and several.
"""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np

from minicnn.backends.cupy import implicit_gemm

CONVOLUTIONS = {
    "plain": ((2, 5, 6, 4), (3, 2, 4, 8), {"padding": "same"}),
    "odd": ((2, 6, 5, 3), (2, 3, 3, 5), {"strides": (2, 1), "dilation": (1, 2)}),
    "wide": ((1, 4, 3, 8), (2, 2, 8, 4), {}),
    "groups": ((1, 4, 5, 8), (2, 2, 4, 8), {"groups": 2}),
    "odd groups": ((1, 4, 5, 6), (2, 2, 3, 4), {"groups": 2, "padding": "same"}),
    "pixels": ((2, 3, 4, 4), (1, 1, 4, 5), {}),
    "many rows": ((3, 12, 12, 2), (2, 2, 2, 40), {}),
    "many of both": ((3, 13, 11, 8), (3, 3, 8, 72), {"padding": "same", "dilation": (2, 1)}),
    "color": ((2, 9, 8, 3), (3, 3, 3, 36), {"padding": "same"}),
}
ACTIVATIONS = (
    *("relu", "relu6", "leaky_relu", "elu", "selu", "sigmoid", "tanh", "softplus", "softsign"),
    *("silu", "mish", "gelu", "exponential", "hard_sigmoid", "hard_silu"),
    *("softmax", "log_softmax"),
)
POOLS = {
    "plain": ((2, 4, 6, 8), (2, 2), (2, 2), "valid"),
    "odd": ((2, 5, 7, 3), (3, 2), (2, 1), "same"),
    "large": ((1, 20, 18, 1), (17, 17), (3, 1), "valid"),
    "large, four at once": ((1, 18, 17, 4), (17, 16), (1, 1), "valid"),
}


def normal(rng: Any, shape: Any, dtype: Any) -> np.ndarray:
    return rng.normal(size=shape).astype(dtype)


def dense(ops: Any, rng: Any, dtype: Any) -> list[np.ndarray]:
    found = []
    for x_shape, units in (((5, 3), 4), ((2, 3, 8), 40), ((700, 2), 33)):
        x, W = normal(rng, x_shape, dtype), normal(rng, (x_shape[-1], units), dtype)
        y = ops.dense(x, W, normal(rng, units, dtype))
        found += [y, *ops.dense_backward(normal(rng, y.shape, dtype), x, W)]
    return found


def convolution(ops: Any, rng: Any, dtype: Any) -> list[np.ndarray]:
    """With the matrix of windows, however few the filters are."""
    with mock.patch.object(implicit_gemm, "FILTERS", 0):
        return convolutions(ops, rng, dtype)


def implicit_convolution(ops: Any, rng: Any, dtype: Any) -> list[np.ndarray]:
    """Without, in small tiles, and in large ones, of which a real batch has many."""
    with mock.patch.object(implicit_gemm, "RESULTS", 0):
        found = convolutions(ops, rng, dtype)
        with mock.patch.object(implicit_gemm, "MANY", 2):
            return found + convolutions(ops, rng, dtype)


def convolutions(ops: Any, rng: Any, dtype: Any) -> list[np.ndarray]:
    found = []
    for x_shape, W_shape, options in CONVOLUTIONS.values():
        x, W = normal(rng, x_shape, dtype), normal(rng, W_shape, dtype)
        b = normal(rng, W_shape[3], dtype)
        y = ops.conv2d(x, W, b, **options)
        dy = normal(rng, y.shape, dtype)
        found += [y, *ops.conv2d_backward(dy, x, W, **options)]
        found.append(ops.conv2d_relu(x, W, None, **options)[0])
        for pool_size in (None, (min(2, y.shape[1]), 1)):
            y, saved = ops.conv2d_relu(x, W, b, pool_size=pool_size, **options)
            dy = normal(rng, y.shape, dtype)
            found += [
                y,
                *ops.conv2d_relu_backward(dy, saved, W, pool_size=pool_size, **options),
            ]
    return found


def transposed(ops: Any, rng: Any, dtype: Any) -> list[np.ndarray]:
    x, W = normal(rng, (2, 3, 4, 5), dtype), normal(rng, (3, 2, 4, 5), dtype)
    y = ops.conv2d_transpose(x, W, normal(rng, 4, dtype), strides=(2, 2), padding="same")
    dy = normal(rng, y.shape, dtype)
    return [y, *ops.conv2d_transpose_backward(dy, x, W, strides=(2, 2), padding="same")]


def depthwise(ops: Any, rng: Any, dtype: Any) -> list[np.ndarray]:
    found = []
    for c, m in ((8, 1), (3, 2), (40, 1)):
        x, W = normal(rng, (2, 6, 5, c), dtype), normal(rng, (3, 2, c, m), dtype)
        options = {"strides": (1, 2), "padding": "same", "dilation": (1, 1)}
        y = ops.depthwise_conv2d(x, W, normal(rng, c * m, dtype), **options)
        dy = normal(rng, y.shape, dtype)
        found += [y, *ops.depthwise_conv2d_backward(dy, x, W, **options)]
    return found


def pooling(ops: Any, rng: Any, dtype: Any) -> list[np.ndarray]:
    found = []
    for x_shape, *geometry in POOLS.values():
        x = normal(rng, x_shape, dtype)
        y, argmax = ops.max_pool2d(x, *geometry)
        average, dy = ops.average_pool2d(x, *geometry), normal(rng, y.shape, dtype)
        found += [
            y, argmax, ops.max_pool2d_backward(dy, argmax, x_shape, *geometry),
            average, ops.average_pool2d_backward(dy, x_shape, *geometry),
        ]  # fmt: skip
    return found


def global_pooling(ops: Any, rng: Any, dtype: Any) -> list[np.ndarray]:
    found = []
    for x_shape in ((2, 3, 5, 3), (2, 9, 9, 40)):
        x, dy = normal(rng, x_shape, dtype), normal(rng, (x_shape[0], x_shape[3]), dtype)
        y, argmax = ops.global_max_pool2d(x)
        found += [
            y, argmax, ops.global_max_pool2d_backward(dy, argmax, x_shape),
            ops.global_average_pool2d(x), ops.global_average_pool2d_backward(dy, x_shape),
        ]  # fmt: skip
    return found


def batch_norm(ops: Any, rng: Any, dtype: Any) -> list[np.ndarray]:
    found = []
    for shape in ((4, 3, 2, 8), (5, 3), (20, 5, 6, 36)):
        x, dy = 3 + normal(rng, shape, dtype), normal(rng, shape, dtype)
        gamma, beta = normal(rng, (2, shape[-1]), dtype)
        axes = tuple(range(len(shape) - 1))
        for scale, shift in ((gamma, beta), (None, None)):
            y, mean, variance, saved = ops.batch_norm(x, scale, shift, 1e-3, axes)
            found += [y, mean, variance, *ops.batch_norm_backward(dy, saved)]
            y, saved = ops.batch_norm_inference(x, scale, shift, mean, variance, 1e-3)
            found += [y, *ops.batch_norm_inference_backward(dy, saved)]
    return [array for array in found if array is not None]


def layer_norm(ops: Any, rng: Any, dtype: Any) -> list[np.ndarray]:
    found = []
    for shape, axes in (((4, 3, 5), (-1,)), ((300, 2, 20), (1, 2))):
        x, dy = normal(rng, shape, dtype), normal(rng, shape, dtype)
        gamma, beta = normal(rng, (2, *shape[axes[0] :]), dtype)
        y, saved = ops.layer_norm(x, gamma, beta, 1e-3, axes)
        found += [y, *ops.layer_norm_backward(dy, saved)]
    return found


def activations(ops: Any, rng: Any, dtype: Any) -> list[np.ndarray]:
    found = []
    for shape in ((3, 5, 7), (2, 36)):
        z, dy = 2 * normal(rng, shape, dtype), normal(rng, shape, dtype)
        for name in ACTIVATIONS:
            y = getattr(ops, name)(z)
            found += [y, getattr(ops, f"{name}_backward")(dy, z, y)]
        y = ops.gelu(z, approximate=True)
        found += [y, ops.gelu_backward(dy, z, y, approximate=True)]
    return found


def cross_entropy(ops: Any, rng: Any, dtype: Any) -> list[np.ndarray]:
    found = []
    for shape in ((5, 3), (2, 3, 40)):
        z, labels = normal(rng, shape, dtype), rng.integers(-1, shape[-1], shape[:-1])
        t = np.eye(shape[-1], dtype=dtype)[labels]
        values, p = ops.softmax_cross_entropy(z, t)
        found += [values, p, ops.softmax_cross_entropy_backward(p, t)]
        values, p = ops.sparse_softmax_cross_entropy(z, labels)
        found += [values, p, ops.sparse_softmax_cross_entropy_backward(p, labels)]
    return found


def reporting(ops: Any, rng: Any, dtype: Any) -> list[np.ndarray]:
    found = []
    for shape in ((5, 3), (2, 3, 40), (300, 2)):
        p, t = normal(rng, shape, dtype), normal(rng, shape, dtype)
        p[1, ..., 1], t[1, ..., 1:] = np.nan, t[1, ..., :1]
        found += [ops.categorical_matches(t, p)]
        found += [ops.sparse_matches(rng.integers(-1, shape[-1], shape[:-1]), p)]
        values = normal(rng, shape[:-1], dtype)
        found += ops.mean_loss(values, t, values.size)
        total, count = normal(rng, (2, 1), dtype)
        total, count = total.reshape(()), count.reshape(())
        for each in (1, 64):
            ops.add_to_mean(total, count, values, each)
        found += [total, count]
    return found


def random_numbers(ops: Any, rng: Any, dtype: Any) -> list[np.ndarray]:
    x, counters = normal(rng, (5, 3, 3, 2), dtype), np.arange(12, dtype=np.uint64).reshape(4, 3)
    y, mask = ops.dropout(x, 0.3, seed=2**40 + 1, step=2**33)
    fours = normal(rng, (3, 2, 4), dtype)
    some, of_fours = ops.dropout(fours, 0.5, seed=5, step=6)
    spread, channels = ops.dropout(x, 0.3, seed=1, step=2, noise_shape=(None, 1, 1, None))
    return [
        ops.philox4x32(counters, (1, 2)), ops.random_bits(7, 3, 4),
        ops.random_uniform((3, 5), 1, 2, dtype), ops.random_normal((11,), 1, 2, dtype),
        y, mask, ops.dropout_backward(x, mask, 0.3), spread, channels,
        some, of_fours, ops.dropout_backward(fours, of_fours, 0.5),
    ]  # fmt: skip


def resampling(ops: Any, rng: Any, dtype: Any) -> list[np.ndarray]:
    x, border, size = normal(rng, (2, 4, 3, 5), dtype), ((1, 0), (2, 1)), (2, 3)
    found = [ops.zero_pad2d(x, border), ops.crop2d(x, ((1, 1), (0, 2)))]
    found += [ops.zero_pad2d_backward(found[0], border)]
    for how in ("nearest", "bilinear"):
        y = ops.upsample2d(x, size, how)
        found += [y, ops.upsample2d_backward(normal(rng, y.shape, dtype), x.shape, size, how)]
    return found


def affine(ops: Any, rng: Any, dtype: Any) -> list[np.ndarray]:
    x, found = normal(rng, (3, 4, 5, 3), dtype), []
    # A little more or less than the identity, so that places lie on both sides of every border.
    for A in (
        np.eye(2, 3) + rng.normal(size=(3, 2, 3)),
        np.array([[[0.5, 0.2, -3], [0.4, -1, 6]]]),
    ):
        for how in ("nearest", "bilinear"):
            for mode in ("constant", "nearest", "reflect", "wrap"):
                y = ops.affine2d(x, A, (6, 2), how, mode, 0.7)
                dy = normal(rng, y.shape, dtype)
                found += [y, ops.affine2d_backward(dy, A, x.shape, how, mode)]
    return found


def updates(ops: Any, rng: Any, dtype: Any) -> list[np.ndarray]:
    found = []
    for n in (37, 600):
        g = normal(rng, n, dtype)

        def vectors(count: int, n: int = n) -> list[np.ndarray]:
            found.extend(np.abs(normal(rng, (count, n), dtype)))
            return found[-count:]

        ops.sgd(*vectors(1), g, 0.1)
        for nesterov in (False, True):
            w, velocity = vectors(2)
            ops.sgd_momentum(w, g, velocity, 0.1, 0.9, nesterov)
        w, velocity = vectors(2)
        ops.rmsprop(w, g, velocity, None, None, 0.1, 0.9, 0.0, 1e-7)
        w, velocity, average, step = vectors(4)
        ops.rmsprop(w, g, velocity, average, step, 0.1, 0.9, 0.5, 1e-7)
        w, m, v, v_max = vectors(4)
        ops.adam(w, g, m, v, v_max, 0.1, 0.9, 0.999, 1e-7, 3)
        ops.adam(w, g, m, v, None, 0.1, 0.9, 0.999, 1e-7, 4)
        w, m, u = vectors(3)
        ops.adamax(w, g, m, u, 0.1, 0.9, 0.999, 1e-7, 3)
        w, m, v = vectors(3)
        ops.nadam(w, g, m, v, 0.1, 0.9, 0.999, 1e-7, 3, mu=0.5, mu_next=0.6, mu_product=0.2)
        w, accumulator = vectors(2)
        ops.adagrad(w, g, accumulator, 0.1, 1e-7)
        w, a, b = vectors(3)
        ops.adadelta(w, g, a, b, 0.1, 0.9, 1e-7)
        w, m = vectors(2)
        ops.lion(w, g, m, 0.1, 0.9, 0.99)
        ops.weight_decay(*vectors(1), lr=0.1, rate=0.01)
        ops.clip_by_value(*vectors(1), 0.5)
        ops.clip_by_norm(*vectors(1), 0.5)
    long = normal(rng, 9000, dtype)  # its square is summed in parts
    ops.clip_by_norm(long, 2.0)
    return [*found, long]


CALLS = {
    call.__name__: call
    for call in (
        *(dense, convolution, implicit_convolution, transposed, depthwise, pooling, global_pooling),
        *(batch_norm, layer_norm, activations, cross_entropy, reporting, random_numbers),
        *(resampling, affine, updates),
    )
}
