"""The optimizers' formulas against the same formulas, one number at a time."""

import math

import numpy as np
import pytest

STEPS = 6
LR, RHO, MU, EPS, B1, B2 = 0.07, 0.8, 0.6, 1e-3, 0.7, 0.9


# Each of these follows one weight w through a list of gradients, as the papers write it down.


def sgd(w, gradients):
    for g in gradients:
        w = w - LR * g
    return w


def heavy_ball(w, gradients):
    v = 0.0
    for g in gradients:
        v = MU * v - LR * g
        w = w + v
    return w


def nesterov(w, gradients):
    """In Sutskever's own variables: the gradient belongs to the point ahead of w."""
    v, ahead = 0.0, w
    for g in gradients:
        w = ahead - MU * v
        v = MU * v - LR * g
        w = w + v
        ahead = w + MU * v
    return ahead


def rmsprop(w, gradients, momentum=0.0, centered=False):
    v = a = s = 0.0
    for g in gradients:
        v = RHO * v + (1 - RHO) * g**2
        a = RHO * a + (1 - RHO) * g
        variance = v - a**2 if centered else v
        s = momentum * s + LR * g / math.sqrt(variance + EPS)
        w = w - s
    return w


def adam(w, gradients, amsgrad=False):
    m = v = v_max = 0.0
    for t, g in enumerate(gradients, start=1):
        m = B1 * m + (1 - B1) * g
        v = B2 * v + (1 - B2) * g**2
        v_max = max(v_max, v)
        m_hat = m / (1 - B1**t)
        # epsilon-hat is added before the correction: sqrt(v^) + epsilon-hat / sqrt(1 - B2^t).
        correction = math.sqrt(1 - B2**t)
        root = math.sqrt(v_max if amsgrad else v) / correction
        w = w - LR * m_hat / (root + EPS / correction)
    return w


def adamax(w, gradients):
    m = u = 0.0
    for t, g in enumerate(gradients, start=1):
        m = B1 * m + (1 - B1) * g
        u = max(B2 * u, abs(g))
        w = w - LR / (1 - B1**t) * m / (u + EPS)
    return w


def momenta(n):
    return [B1 * (1 - 0.5 * 0.96**t) for t in range(1, n + 1)]


def nadam(w, gradients):
    m = v = 0.0
    mu = momenta(len(gradients) + 1)
    for t, g in enumerate(gradients, start=1):
        m = B1 * m + (1 - B1) * g
        v = B2 * v + (1 - B2) * g**2
        g_hat = g / (1 - math.prod(mu[:t]))
        m_hat = m / (1 - math.prod(mu[: t + 1]))
        w = w - LR * ((1 - mu[t - 1]) * g_hat + mu[t] * m_hat) / (math.sqrt(v / (1 - B2**t)) + EPS)
    return w


def adagrad(w, gradients):
    total = 0.1
    for g in gradients:
        total += g**2
        w = w - LR * g / math.sqrt(total + EPS)
    return w


def adadelta(w, gradients):
    a = b = 0.0
    for g in gradients:
        a = RHO * a + (1 - RHO) * g**2
        step = math.sqrt(b + EPS) / math.sqrt(a + EPS) * g
        b = RHO * b + (1 - RHO) * step**2
        w = w - LR * step
    return w


def lion(w, gradients):
    m = 0.0
    for g in gradients:
        w = w - LR * math.copysign(1, B1 * m + (1 - B1) * g)
        m = B2 * m + (1 - B2) * g
    return w


# The same by the operations of the floor: the slots' first values, and one step.
CASES = {
    "sgd": (sgd, [], lambda ops, w, g, slots, t: ops.sgd(w, g, LR)),
    "heavy_ball": (
        heavy_ball,
        [0],
        lambda ops, w, g, slots, t: ops.sgd_momentum(w, g, *slots, LR, MU, False),
    ),
    "nesterov": (
        nesterov,
        [0],
        lambda ops, w, g, slots, t: ops.sgd_momentum(w, g, *slots, LR, MU, True),
    ),
    "rmsprop": (
        rmsprop,
        [0],
        lambda ops, w, g, slots, t: ops.rmsprop(w, g, *slots, None, None, LR, RHO, 0.0, EPS),
    ),
    "rmsprop_momentum": (
        lambda w, gradients: rmsprop(w, gradients, momentum=MU),
        [0, 0],
        lambda ops, w, g, slots, t: ops.rmsprop(w, g, slots[0], None, slots[1], LR, RHO, MU, EPS),
    ),
    "rmsprop_centered": (
        lambda w, gradients: rmsprop(w, gradients, centered=True),
        [0, 0],
        lambda ops, w, g, slots, t: ops.rmsprop(w, g, *slots, None, LR, RHO, 0.0, EPS),
    ),
    "rmsprop_both": (
        lambda w, gradients: rmsprop(w, gradients, momentum=MU, centered=True),
        [0, 0, 0],
        lambda ops, w, g, slots, t: ops.rmsprop(w, g, *slots, LR, RHO, MU, EPS),
    ),
    "adam": (
        adam,
        [0, 0],
        lambda ops, w, g, slots, t: ops.adam(w, g, *slots, None, LR, B1, B2, EPS, t),
    ),
    "amsgrad": (
        lambda w, gradients: adam(w, gradients, amsgrad=True),
        [0, 0, 0],
        lambda ops, w, g, slots, t: ops.adam(w, g, *slots, LR, B1, B2, EPS, t),
    ),
    "adamax": (
        adamax,
        [0, 0],
        lambda ops, w, g, slots, t: ops.adamax(w, g, *slots, LR, B1, B2, EPS, t),
    ),
    "nadam": (
        nadam,
        [0, 0],
        lambda ops, w, g, slots, t: ops.nadam(
            w,
            g,
            *slots,
            LR,
            B1,
            B2,
            EPS,
            t,
            mu=momenta(t)[-1],
            mu_next=momenta(t + 1)[-1],
            mu_product=math.prod(momenta(t)),
        ),
    ),
    "adagrad": (adagrad, [0.1], lambda ops, w, g, slots, t: ops.adagrad(w, g, *slots, LR, EPS)),
    "adadelta": (
        adadelta,
        [0, 0],
        lambda ops, w, g, slots, t: ops.adadelta(w, g, *slots, LR, RHO, EPS),
    ),
    "lion": (lion, [0], lambda ops, w, g, slots, t: ops.lion(w, g, *slots, LR, B1, B2)),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_formula(ops, rng, name, dtype):
    scalar, first_values, step = CASES[name]
    w = rng.normal(size=7).astype(dtype)
    # The sizes fall, so that a largest value so far is not just the last one.
    gradients = [(rng.normal(size=7) * 2.0**-t).astype(dtype) for t in range(STEPS)]
    expected = [scalar(float(w[i]), [float(g[i]) for g in gradients]) for i in range(7)]
    slots = [np.full_like(w, value) for value in first_values]
    before = w.copy(), [g.copy() for g in gradients]
    for t, g in enumerate(gradients, start=1):
        assert step(ops, w, g, slots, t) is None
    assert np.abs(w - expected).max() < (1e-12 if dtype == np.float64 else 2e-6)
    assert np.abs(w - before[0]).min() > 1e-3  # in place
    assert all(np.array_equal(g, kept) for g, kept in zip(gradients, before[1], strict=True))
    assert {a.dtype for a in [w, *slots]} == {np.dtype(dtype)}


@pytest.mark.parametrize("name", CASES)
def test_nothing_stays_nothing(ops, name):
    """Where weight and gradient are zero, as in the gaps between weights, all stays finite and
    the weight stays zero."""
    _, first_values, step = CASES[name]
    w, g = np.zeros(4, np.float32), np.zeros(4, np.float32)
    slots = [np.full_like(w, value) for value in first_values]
    for t in range(1, 4):
        step(ops, w, g, slots, t)
    assert not w.any()
    assert all(np.isfinite(slot).all() for slot in slots)


def test_centered_rmsprop_survives_rounding(ops):
    """With a constant gradient v - a^2 tends to 0, and rounding makes it negative."""
    w, g = np.zeros(100, np.float32), np.linspace(1000, 2000, 100, dtype=np.float32)
    v, a = np.zeros_like(w), np.zeros_like(w)
    lowest = 0.0
    for _ in range(300):
        ops.rmsprop(w, g, v, a, None, 1e-3, 0.9, 0.0, 1e-7)
        lowest = min(lowest, float((v - a * a).min()))
    assert lowest < -1e-7  # more than epsilon makes up for
    assert np.isfinite(w).all()


def test_weight_decay(ops, rng):
    w = rng.normal(size=5).astype(np.float32)
    expected = w.astype(np.float64) * (1 - 0.1 * 0.3)
    ops.weight_decay(w, 0.1, 0.3)
    assert w.dtype == np.float32
    assert np.abs(w - expected).max() < 1e-6


def test_clip_by_value(ops):
    g = np.array([-3, -0.5, 0.2, 7], dtype=np.float32)
    ops.clip_by_value(g, 0.5)
    assert np.array_equal(g, np.array([-0.5, -0.5, 0.2, 0.5], np.float32))
    assert g.dtype == np.float32


def test_clip_by_norm(ops):
    g = np.array([3, 4], dtype=np.float32)
    ops.clip_by_norm(g, 10.0)
    assert np.array_equal(g, [3, 4])
    ops.clip_by_norm(g, 1.0)
    assert np.abs(g - [0.6, 0.8]).max() < 1e-7
    assert g.dtype == np.float32
    zero = np.zeros(3)
    ops.clip_by_norm(zero, 1.0)
    assert np.array_equal(zero, np.zeros(3))
    part = np.array([3.0, 4.0, 12.0])
    ops.clip_by_norm(part[:2], 1.0)  # a view is changed in place, and nothing beside it
    assert np.abs(part - [0.6, 0.8, 12]).max() < 1e-15
