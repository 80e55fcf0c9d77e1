"""Where the windows of a convolution or a pooling lie on an image."""

from __future__ import annotations

from minicnn.backends.numba.compiling import compiled


@compiled
def as_windows(numbers):
    """``(oh, ow, kh, kw, sh, sw, dh, dw, top, left)`` from an array of them."""
    a = numbers
    return a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9]


@compiled
def taps_inside(first, taps, distance, size):
    """Which taps lie on an axis of ``size`` pixels, if tap 0 is at ``first``: from, and up to."""
    begin = min(taps, max(0, (distance - 1 - first) // distance))
    return begin, max(begin, min(taps, (size - 1 - first) // distance + 1))
