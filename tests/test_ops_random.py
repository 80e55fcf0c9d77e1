"""Counted randomness: Philox, uniform and normal numbers, dropout."""

import math
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

# Counter, key and result of the reference implementation (Random123, kat_vectors, philox4x32 10).
KNOWN_ANSWERS = [
    (
        (0, 0, 0, 0),
        (0, 0),
        (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8),
    ),
    (
        (0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF),
        (0xFFFFFFFF, 0xFFFFFFFF),
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_known_answers(ops, counter, key, expected):
    words = ops.philox4x32(np.array(counter, dtype=np.uint64)[:, np.newaxis], key)
    assert words[:, 0].tolist() == list(expected)


def test_known_answers_side_by_side(ops):
    """Many counters at once, under one key."""
    key = KNOWN_ANSWERS[2][1]
    counters = np.array([counter for counter, _, _ in KNOWN_ANSWERS], dtype=np.uint64).T
    words = ops.philox4x32(counters, key)
    for i in range(3):
        alone = ops.philox4x32(counters[:, i : i + 1], key)
        assert np.array_equal(words[:, i], alone[:, 0])
    assert words[:, 2].tolist() == list(KNOWN_ANSWERS[2][2])


def philox_of_integers(counter, key):
    """The same cipher on Python's integers, word by word."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        left, right = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (
            right >> 32 ^ c1 ^ k0,
            right & 0xFFFFFFFF,
            left >> 32 ^ c3 ^ k1,
            left & 0xFFFFFFFF,
        )
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return c0, c1, c2, c3


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**64 - 1), step=st.integers(0, 2**64 - 1), n=st.integers(0, 9))
def test_bits_are_the_cipher_of_their_position(ops, seed, step, n):
    bits = ops.random_bits(n, seed, step)
    assert bits.dtype == np.uint32
    assert bits.shape == (n,)
    key = (seed % 2**32, seed // 2**32)
    for i in range(n):
        words = philox_of_integers((i // 4, 0, step % 2**32, step // 2**32), key)
        assert bits[i] == words[i % 4]


def test_bits_do_not_depend_on_how_many_are_asked_for(ops):
    """Whatever blocks the work is done in."""
    many = ops.random_bits(100_003, 5, 6)
    for n in (1, 4, 32_767, 32_768, 32_769, 65_537):
        assert np.array_equal(ops.random_bits(n, 5, 6), many[:n])
    i = 98_765
    assert many[i] == philox_of_integers((i // 4, 0, 6, 0), (5, 0))[i % 4]


def test_seed_and_step_make_other_numbers(ops):
    pages = [ops.random_bits(64, seed, step) for seed in (0, 1, 2**32) for step in (0, 1, 2**32)]
    for i, page in enumerate(pages):
        for other in pages[:i]:
            assert (page == other).mean() < 0.05


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_uniform(ops, dtype):
    u = ops.random_uniform((100, 10, 40), seed=3, step=4, dtype=dtype)
    assert u.shape == (100, 10, 40)
    assert u.dtype == dtype
    assert u.min() >= 0
    assert u.max() < 1
    assert np.array_equal(u * 2**24, np.floor(u * 2**24))
    assert np.array_equal(u.ravel()[:5], ops.random_uniform((5,), 3, 4, dtype))
    counts = np.histogram(u, bins=16, range=(0, 1))[0]
    chi_square = ((counts - 2500) ** 2 / 2500).sum()
    assert chi_square < 37.7  # 15 degrees of freedom: exceeded once in 1,000 seeds
    flat = u.ravel() - u.mean()
    for lag in (1, 2, 3, 4, 8):
        assert abs((flat[lag:] * flat[:-lag]).mean() / flat.var()) < 4 / math.sqrt(u.size)


def test_uniform_is_the_same_in_both_precisions(ops):
    assert np.array_equal(
        ops.random_uniform((50,), 1, 2, np.float32), ops.random_uniform((50,), 1, 2, np.float64)
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(50_001,), (5, 3), (0,), ()])
def test_normal_shape_and_dtype(ops, dtype, shape):
    normal = ops.random_normal(shape, seed=3, step=4, dtype=dtype)
    assert normal.shape == shape
    assert normal.dtype == dtype


def test_normal_distribution(ops):
    n = 100_000
    normal = ops.random_normal((n,), seed=3, step=4, dtype=np.float64)
    assert abs(normal.mean()) < 4 / math.sqrt(n)
    assert abs(normal.var() - 1) < 4 * math.sqrt(2 / n)
    assert abs((normal**3).mean()) < 4 * math.sqrt(15 / n)
    assert abs((normal**4).mean() - 3) < 4 * math.sqrt(96 / n)
    for z in (-2, -1, 0, 1, 2):
        below = 0.5 * math.erfc(-z / math.sqrt(2))
        assert abs((normal < z).mean() - below) < 4 * math.sqrt(below * (1 - below) / n)
    # The two of a pair share a radius; they must be independent all the same.
    assert abs((normal[::2] * normal[1::2]).mean()) < 4 / math.sqrt(n / 2)
    assert abs(np.corrcoef(normal[::2] ** 2, normal[1::2] ** 2)[0, 1]) < 4 / math.sqrt(n / 2)
    assert np.abs(normal).max() < 5.78


def test_normal_is_finite_where_a_uniform_number_is_zero(ops, monkeypatch):
    """log(1 - u), not log(u)."""
    zeros = np.zeros(8, dtype=np.uint32)
    for module in (ops, sys.modules[ops.random_normal.__module__]):
        monkeypatch.setattr(module, "random_bits", lambda n, seed, step: zeros[:n])
    assert np.isfinite(ops.random_normal((7,), 1, 2)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout(ops, rng, rate, dtype):
    x = rng.normal(size=(40, 50, 10)).astype(dtype)
    dy = rng.normal(size=x.shape).astype(dtype)
    y, mask = ops.dropout(x, rate, seed=7, step=8)
    assert mask.dtype == bool
    assert np.array_equal(mask, ops.random_uniform(x.shape, 7, 8, np.float64) >= rate)
    assert abs(mask.mean() - (1 - rate)) < 4 * math.sqrt(rate * (1 - rate) / x.size)
    dx = ops.dropout_backward(dy, mask, rate)
    assert y.dtype == dx.dtype == dtype
    for result, source in ((y, x), (dx, dy)):
        assert (result[~mask] == 0).all()
        assert np.abs(result[mask] - source[mask] / (1 - rate)).max() < 1e-5
    assert not np.array_equal(mask, ops.dropout(x, rate, seed=7, step=9)[1])


def test_dropout_compares_whole_numbers(ops):
    """A number k 2^-24 is kept at the rate k 2^-24, and dropped at any larger one."""
    for i, k in enumerate((ops.random_bits(24, 3, 4) >> 8).tolist()):
        for rate, kept in ((k * 2**-24, True), (k * 2**-24 + 2**-26, False)):
            _, mask = ops.dropout(np.ones(24), rate, 3, 4)
            assert mask[i] == kept


def test_dropout_at_the_ends(ops, rng):
    x = rng.normal(size=(20, 30)).astype(np.float32)
    y, mask = ops.dropout(x, 0.0, seed=1, step=2)
    assert mask.all()
    assert np.array_equal(y, x)
    assert np.array_equal(ops.dropout_backward(x, mask, 0.0), x)
    y, mask = ops.dropout(x, 1.0, seed=1, step=2)
    assert not mask.any()
    assert not y.any()
    assert not ops.dropout_backward(x, mask, 1.0).any()


@pytest.mark.parametrize(
    ("noise_shape", "mask_shape"),
    [
        ((6, 1, 1, 5), (6, 1, 1, 5)),
        ((None, 1, 1, None), (6, 1, 1, 5)),
        ((1, 4, None, 1), (1, 4, 3, 1)),
        (None, (6, 4, 3, 5)),
    ],
)
def test_dropout_noise_shape(ops, rng, noise_shape, mask_shape):
    x = 1 + rng.uniform(size=(6, 4, 3, 5))
    y, mask = ops.dropout(x, 0.5, seed=1, step=2, noise_shape=noise_shape)
    assert mask.shape == mask_shape
    assert 0 < mask.mean() < 1
    assert np.array_equal(y != 0, np.broadcast_to(mask, x.shape))
    assert np.array_equal(ops.dropout_backward(x, mask, 0.5), y)
