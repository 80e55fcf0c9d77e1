"""Philox4x32-10 and dropout, as many counters at a time as fit into a vector."""

from __future__ import annotations

import numpy as np

from minicnn.backends.numba.compiling import compiled, elementwise, kernel
from minicnn.backends.numpy.random import KEY_STEPS, MULTIPLIERS, ROUNDS

COUNTERS = 64
"""So many counters are encrypted at a time, into four times as many words."""

M0, M1 = (np.uint64(multiplier) for multiplier in MULTIPLIERS)
STEP_0, STEP_1 = (np.uint64(step) for step in KEY_STEPS)
WORD, HALF, LOW_BITS = np.uint64(0xFFFFFFFF), np.uint64(32), np.uint32(8)


@kernel
def dropout(worker, workers, x, y, mask, seed, step, threshold, scale):
    """mask = (the word's upper 24 bits >= threshold), y = x scale where it is true, else 0.

    Args:
        x, y: flat.
        mask: bool, flat.
        seed, step: uint64.
        threshold: uint32.
    """
    words = np.empty(4 * COUNTERS, np.uint32)
    zero = x.dtype.type(0)
    for start in range(worker * 4 * COUNTERS, x.size, workers * 4 * COUNTERS):
        _encrypt(np.uint64(start // 4), seed, step, words)
        end = min(start + 4 * COUNTERS, x.size)
        here, there, kept = x[start:end], y[start:end], mask[start:end]
        for i in range(end - start):
            keep = (words[i] >> LOW_BITS) >= threshold
            kept[i] = keep
            there[i] = here[i] * scale if keep else zero


@compiled
def _encrypt(first, seed, step, words):
    """The words of the counters from ``first`` on; see ``philox4x32``."""
    for i in range(COUNTERS):
        c0, c1 = (first + np.uint64(i)) & WORD, (first + np.uint64(i)) >> HALF
        c2, c3 = step & WORD, step >> HALF
        k0, k1 = seed & WORD, seed >> HALF
        for _ in range(ROUNDS):
            product_0, product_1 = M0 * c0, M1 * c2
            c0, c1 = (product_1 >> HALF) ^ c1 ^ k0, product_1 & WORD
            c2, c3 = (product_0 >> HALF) ^ c3 ^ k1, product_0 & WORD
            k0, k1 = (k0 + STEP_0) & WORD, (k1 + STEP_1) & WORD
        words[4 * i] = c0
        words[4 * i + 1] = c1
        words[4 * i + 2] = c2
        words[4 * i + 3] = c3


@elementwise
def dropout_backward(dy, mask, dx, scale):
    """dx = dy scale where the mask is true, else 0."""
    zero = dy.dtype.type(0)
    for i in range(dy.size):
        dx[i] = dy[i] * scale if mask[i] else zero
