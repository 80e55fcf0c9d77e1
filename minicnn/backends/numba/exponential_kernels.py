"""The exponential function by hand: of float32, a compiled loop then computes several at a time.

The one that the system has is called for one number after the other. With n the whole number that
is nearest to x / log 2,

    e^x = 2^n e^r,    r = x - n log 2,    |r| <= log 2 / 2.

To write n where a floating-point number has its exponent makes 2^n. To add 1.5 * 2^23 rounds a
float32 to a whole number, and leaves that in its last bits. log 2 is taken away in two parts, of
which the first has so few bits that its product with n is exact (Cody and Waite, "Software Manual
for the Elementary Functions", 1980). And

    e^r = 1 + r + r^2 (a_0 + a_1 r + ... + a_4 r^4)

to 3e-9 of its value; a_k is near 1 / (k + 2)!, and was moved so that the largest error is smallest.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic, overload

A0, A1, A2, A3, A4 = np.float32(
    [0.499999934, 0.166665206, 0.0416683881, 0.0083687169, 0.00138145984]
)
ONE_OVER_LOG_2, LOG_2, LOG_2_REST = np.float32([1 / math.log(2), 0.693359375, -2.12194440e-4])
TO_WHOLE = np.float32(1.5 * 2**23)
# Of less than this, e^x is too small to be written with all digits; it is taken for 0.
LEAST = np.float32(-87.3)


def exponential(x):
    """e^x for an x that is not above 0, to 2e-7 of its value; for float64 the system's."""
    return math.exp(x)


def _by_hand(x):
    shifted = x * ONE_OVER_LOG_2 + TO_WHOLE
    n = shifted - TO_WHOLE
    r = x - n * LOG_2 - n * LOG_2_REST
    polynomial = A0 + r * (A1 + r * (A2 + r * (A3 + r * A4)))
    y = (np.float32(1) + r + r * r * polynomial) * _two_to_the(shifted)
    return np.float32(0) if x < LEAST else y


@overload(exponential)
def _for_type(x):
    return _by_hand if x is types.float32 else exponential


@intrinsic
def _two_to_the(typing_context: Any, shifted):
    """2^n, from n + 1.5 * 2^23."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        whole, real = (context.get_value_type(kind) for kind in (types.int32, types.float32))
        n = builder.shl(builder.bitcast(values[0], whole), whole(23))
        one = builder.bitcast(real(1.0), whole)
        return builder.bitcast(builder.add(n, one), real)

    return types.float32(types.float32), generate
