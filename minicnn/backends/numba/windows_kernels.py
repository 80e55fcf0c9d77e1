"""Where the windows of a convolution or a pooling lie on an image."""

from __future__ import annotations

import numpy as np

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


@compiled
def taps_over(size, before, taps, distance, stride, windows):
    """Under which taps of which windows each pixel of an axis lies: the other way round.

    Tap t of window q lies on pixel stride q + distance t - before.

    Returns:
        (size, 5): for each pixel the first tap and its window; how many taps there are; from each
        to the next, how many taps on and how many windows back.
    """
    found = np.empty((size, 5), np.int64)
    apart = 1
    while apart * distance % stride:
        apart += 1
    for pixel in range(size):
        place = pixel + before
        tap = max(0, -(-(place - (windows - 1) * stride) // distance))
        last = min(taps - 1, place // distance)
        while tap <= last and (place - tap * distance) % stride:
            tap += 1
        found[pixel, 0], found[pixel, 1] = tap, (place - tap * distance) // stride
        found[pixel, 2] = max(0, (last - tap) // apart + 1)
        found[pixel, 3], found[pixel, 4] = apart, apart * distance // stride
    return found
