"""im2col and col2im, one tile of windows at a time.

A tile is what one worker holds of the large matrix of the textbook's ``im2col``: the rows for some
of the windows, few enough to stay in the core's cache between being written here and being read by
the matrix product. The matrix of the whole batch never exists.

In NHWC the pixels under one row of a window lie side by side, kw * c numbers in one run, which is
copied in vectors. What part of a window is on the image is found out once for a row of windows, and
inside of it once for a window.
"""

from __future__ import annotations

from minicnn.backends.numba.compiling import compiled
from minicnn.backends.numba.vector_kernels import copy_run, fits, zero_run


@compiled
def as_windows(numbers):
    """``(oh, ow, kh, kw, sh, sw, dh, dw, top, left)`` from an array of them."""
    a = numbers
    return a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9]


@compiled
def gather(x, shape, first_channel, c, windows, start, end, tile):
    """Fill a tile with windows: the rows from ``start`` to ``end`` of im2col's matrix.

    Args:
        x: the images (n, h, w, all channels), flat.
        shape: ``(h, w, all channels)``.
        first_channel, c: which of the channels.
        windows: ``(oh, ow, kh, kw, sh, sw, dh, dw, top, left)``.
        start, end: which windows; those of all images are counted one after the other.
        tile: flat, of at least (end - start) * kh * kw * c + CHUNK.
    """
    h, w, channels = shape
    oh, ow, kh, kw, sh, sw, dh, dw, top, left = windows
    one_run = c == channels and dw == 1
    run, down, right = kw * c, dh * w * channels, dw * channels
    to = 0
    while start < end:
        line = start // ow  # of windows, over all images
        q_start, q_end = start - line * ow, min(ow, end - line * ow)
        start += q_end - q_start
        image = line // oh
        row = (line - image * oh) * sh - top
        i, i_end = taps_inside(row, kh, dh, h)
        # Where tap (i, 0) of a window at column 0 would be, and the end of all that is read.
        corner = ((image * h + row + i * dh) * w - left) * channels + first_channel
        reach = corner + (i_end - i) * down + (q_end * sw + kw * dw) * channels
        if not fits(x, reach, run):
            to = _gather_exactly(
                x, shape, first_channel, c, windows, line, q_start, q_end, tile, to
            )
            continue
        for q in range(q_start, q_end):
            column = q * sw - left
            j, j_end = 0, kw
            if column < 0 or column + (kw - 1) * dw >= w:
                j, j_end = taps_inside(column, kw, dw, w)
            if i > 0:
                to = zero_run(tile, to, i * run)
            at = corner + (q * sw + j * dw) * channels
            if one_run and j_end - j == kw:  # as nearly everywhere
                for _ in range(i, i_end):
                    to = copy_run(tile, to, x, at, run)
                    at += down
            else:
                for _ in range(i, i_end):
                    if j > 0:
                        to = zero_run(tile, to, j * c)
                    for tap in range(j_end - j):
                        to = copy_run(tile, to, x, at + tap * right, c)
                    if j_end < kw:
                        to = zero_run(tile, to, (kw - j_end) * c)
                    at += down
            if i_end < kh:
                to = zero_run(tile, to, (kh - i_end) * run)


@compiled
def _gather_exactly(x, shape, first_channel, c, windows, line, q_start, q_end, tile, to):
    """A line of windows without reading past the end of x: the last ones of the last image."""
    h, w, channels = shape
    oh, _, kh, kw, sh, sw, dh, dw, top, left = windows
    image = line // oh
    row = (line - image * oh) * sh - top
    for q in range(q_start, q_end):
        for i in range(kh):
            for j in range(kw):
                p, column = row + i * dh, q * sw + j * dw - left
                if 0 <= p < h and 0 <= column < w:
                    at = ((image * h + p) * w + column) * channels + first_channel
                    for k in range(c):
                        tile[to + k] = x[at + k]
                else:
                    for k in range(c):
                        tile[to + k] = 0
                to += c
    return to


@compiled
def scatter(x, shape, first_channel, c, windows, start, end, tile):
    """Add what is in a tile to the pixels that :func:`gather` would have taken it from."""
    h, w, channels = shape
    oh, ow, kh, kw, sh, sw, dh, dw, top, left = windows
    one_run = c == channels and dw == 1
    origin = 0
    while start < end:
        line = start // ow
        q_start, q_end = start - line * ow, min(ow, end - line * ow)
        start += q_end - q_start
        image = line // oh
        row = (line - image * oh) * sh - top
        i, i_end = taps_inside(row, kh, dh, h)
        for q in range(q_start, q_end):
            column = q * sw - left
            j, j_end = taps_inside(column, kw, dw, w)
            # Taps that lie side by side in the image as they do in the tile are one run.
            runs, length = (1, (j_end - j) * c) if one_run else (j_end - j, c)
            for tap_row in range(i, i_end):
                at = ((image * h + row + tap_row * dh) * w + column + j * dw) * channels
                of = origin + (tap_row * kw + j) * c
                for _ in range(runs):
                    pixels = x[at + first_channel : at + first_channel + length]
                    parts = tile[of : of + length]
                    for k in range(length):
                        pixels[k] += parts[k]
                    at += dw * channels
                    of += c
            origin += kh * kw * c


@compiled
def taps_inside(first, taps, distance, size):
    """Which taps lie on an axis of ``size`` pixels, if tap 0 is at ``first``: from, and up to."""
    begin = min(taps, max(0, (distance - 1 - first) // distance))
    return begin, max(begin, min(taps, (size - 1 - first) // distance + 1))
