"""Random numbers that are counted, not consumed: a function of (seed, step, position).

An ordinary generator has a state that every draw changes, so what it gives depends on all that was
drawn before. Philox4x32-10 (Salmon et al., 2011, Parallel random numbers: as easy as 1, 2, 3) has
none: it encrypts a counter of four 32-bit words with a key of two, in ten rounds of multiplying,
swapping and xor, and counters that differ in one bit give numbers without visible relation. Element
i of an array is the encryption of i. So any element can be computed by itself, in any order, on
thousands of threads of a GPU, and is the same on every floor.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

ROUNDS = 10
# Salmon et al., table 2 and section 3.3: the multipliers, and the odd constants (from the golden
# ratio and from the root of 3) that make each round's key from the one before.
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
WORD = 0xFFFFFFFF
# How many counters are encrypted at a time: their words stay in a core's cache.
BLOCK = 8192


def philox4x32(counter: Any, key: tuple[int, int]) -> np.ndarray:
    """Encrypt counters: (4, n) words -> (4, n) words, all below 2^32, as uint64.

    One round turns the words (c0, c1, c2, c3), under the round's key (k0, k1), into

        (high(M1 c2) ^ c1 ^ k0,  low(M1 c2),  high(M0 c0) ^ c3 ^ k1,  low(M0 c0)),

    where high and low are the two halves of the 64-bit product.

    >>> [hex(word) for word in philox4x32(np.zeros((4, 1), np.uint64), (0, 0))[:, 0]]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    counter = np.asarray(counter, dtype=np.uint64)
    multipliers = np.array(MULTIPLIERS, dtype=np.uint64)[:, np.newaxis]
    even, odd = counter[0::2], counter[1::2]  # (c0, c2) and (c1, c3)
    for i in range(ROUNDS):
        round_key = [[(k + i * step) & WORD] for k, step in zip(key, KEY_STEPS, strict=True)]
        product = even * multipliers  # (M0 c0, M1 c2)
        odd = odd ^ np.array(round_key, dtype=np.uint64)
        odd ^= (product >> 32)[::-1]
        product &= WORD
        even, odd = odd, product[::-1]
    return np.stack([even[0], odd[0], even[1], odd[1]])


def random_bits(n: int, seed: int, step: int) -> np.ndarray:
    """n words of 32 random bits, uint32.

    A counter gives four words at a time. So word i is the one at i % 4 of the counter (low(j),
    high(j), low(step), high(step)) with j = i // 4, under the key (low(seed), high(seed)).

    Args:
        n: how many.
        seed: which stream of numbers, below 2^64.
        step: which page of the stream, below 2^64.
    """
    key = (seed & WORD, seed >> 32 & WORD)
    counters = -(-n // 4)
    bits = np.empty((counters, 4), dtype=np.uint32)
    for start in range(0, counters, BLOCK):
        j = np.arange(start, min(start + BLOCK, counters), dtype=np.uint64)
        counter = np.empty((4, j.size), dtype=np.uint64)
        counter[0], counter[1] = j & WORD, j >> 32
        counter[2], counter[3] = step & WORD, step >> 32 & WORD
        bits[start : start + BLOCK] = philox4x32(counter, key).T
    return bits.reshape(-1)[:n]


def random_uniform(
    shape: tuple[int, ...], seed: int, step: int, dtype: Any = np.float32
) -> np.ndarray:
    """Numbers from [0, 1), multiples of 2^-24: every one of them is a float32.

    >>> random_uniform((2,), seed=0, step=0)
    array([0.39904642, 0.88052016], dtype=float32)
    """
    bits = random_bits(math.prod(shape), seed, step)
    return ((bits >> 8).astype(dtype) * 2.0**-24).reshape(shape)


def random_normal(
    shape: tuple[int, ...], seed: int, step: int, dtype: Any = np.float32
) -> np.ndarray:
    """Numbers of the normal distribution of mean 0 and variance 1 (Box and Muller, 1958).

    Two uniform numbers u, v make a random radius and a random angle, and so two normal numbers:

        r = sqrt(-2 log(1 - u)),    r cos(2 pi v),    r sin(2 pi v).

    1 - u is at least 2^-24, so that no number exceeds sqrt(48 log 2) = 5.77.
    """
    n = math.prod(shape)
    pairs = random_uniform((-(-n // 2), 2), seed, step, dtype)
    radius = np.sqrt(-2 * np.log(1 - pairs[:, 0]))
    angle = 2 * math.pi * pairs[:, 1]
    normal = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return normal.reshape(-1)[:n].reshape(shape)


def dropout(
    x: Any,
    rate: float,
    seed: int,
    step: int,
    noise_shape: tuple[int | None, ...] | None = None,
) -> tuple[Any, Any]:
    """``(y, mask)``: each element is dropped with probability ``rate`` (Srivastava et al., 2014).

    y = x / (1 - rate) where the mask is true, 0 elsewhere: the mean stays what it was. Element i is
    kept if its uniform random number is at least ``rate``; so rate 0 keeps everything as it is, and
    rate 1 drops everything.

    Args:
        x: any array of floats.
        rate: from 0 to 1.
        seed, step: which random numbers.
        noise_shape: the shape of the mask, which broadcasts to that of x: (n, 1, 1, c) drops whole
            channels. ``None`` in it stands for the size of x, and by itself for the shape of x.
    """
    sizes = x.shape if noise_shape is None else noise_shape
    shape = tuple(full if size is None else size for size, full in zip(sizes, x.shape, strict=True))
    # u >= rate, with u = k 2^-24, in whole numbers: no floor can round it another way.
    threshold = math.ceil(rate * 2**24)
    mask = (random_bits(math.prod(shape), seed, step) >> 8 >= threshold).reshape(shape)
    return x * mask * _scale(rate), mask


def dropout_backward(dy: Any, mask: Any, rate: float) -> Any:
    """dx = dy / (1 - rate) where the mask is true, 0 elsewhere."""
    return dy * mask * _scale(rate)


def _scale(rate: float) -> float:
    return 1 / (1 - rate) if rate < 1 else 0.0
