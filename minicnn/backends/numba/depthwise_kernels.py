"""The loops of depthwise convolution: no matrix product, every channel has its own kernel.

All channels of a pixel lie side by side, and so do those of a tap, so both are runs of numbers.
"""

from __future__ import annotations

import numpy as np

from minicnn.backends.numba.compiling import kernel
from minicnn.backends.numba.turns_kernels import turns
from minicnn.backends.numba.vector_kernels import add_multiples, sum_of_products
from minicnn.backends.numba.windows_kernels import as_windows, taps_inside


@kernel
def forward(worker, workers, x, W, b, y, windows):
    """y[..., k] = b[k] + the sum over the taps of x[..., k] W[tap, k].

    Args:
        x: (n, h, w, c).
        W: (kh, kw, c).
        b: (c,).
        y: (n, oh, ow, c).
        windows: see ``as_windows``, as an array.
    """
    _, h, w, c = x.shape
    oh, ow, kh, kw, sh, sw, dh, dw, top, left = as_windows(windows)
    x, W, y, lines = x.reshape(x.size), W.reshape(W.size), y.reshape(y.size), len(y) * oh
    for line in turns(lines, worker, workers):
        p = line % oh * sh - top
        i, i_end = taps_inside(p, kh, dh, h)
        for q in range(ow):
            s = q * sw - left
            j, j_end = taps_inside(s, kw, dw, w)
            pixel = ((line // oh * h + p + i * dh) * w + s + j * dw) * c
            sum_of_products(
                y, (line * ow + q) * c, b, 0, x, pixel, W, (i * kw + j) * c,
                i_end - i, dh * w * c, kw * c, j_end - j, dw * c, c, c,
            )  # fmt: skip


@kernel
def backward(worker, workers, dy, x, W, dx, sums, windows):
    """dx (unless it is empty), and the sums for dW and db of so many parts of the batch.

    Args:
        dy, x, W: as in :func:`forward`.
        sums: (parts, kh * kw * c + c).
    """
    n, h, w, c = x.shape
    oh, ow, kh, kw, sh, sw, dh, dw, top, left = as_windows(windows)
    dy, x, W, all_dx = (
        dy.reshape(dy.size),
        x.reshape(x.size),
        W.reshape(W.size),
        dx.reshape(dx.size),
    )
    ones = np.ones(c, dy.dtype)
    for part in turns(len(sums), worker, workers):
        total = sums[part]
        total[:] = 0
        for image in range(n * part // len(sums), n * (part + 1) // len(sums)):
            if dx.size:
                dx[image] = 0
            for r in range(oh):
                line, p = (image * oh + r) * ow * c, r * sh - top
                db = kh * kw * c
                sum_of_products(total, db, total, db, dy, line, ones, 0, 1, 0, 0, ow, c, 0, c)
                for i in range(*taps_inside(p, kh, dh, h)):
                    for j in range(kw):
                        # Which windows of the line have this tap on the image.
                        q, q_end = taps_inside(j * dw - left, ow, sw, w)
                        pixel = ((image * h + p + i * dh) * w + q * sw + j * dw - left) * c
                        tap, given, times = (i * kw + j) * c, line + q * c, q_end - q
                        sum_of_products(
                            total, tap, total, tap, x, pixel, dy, given,
                            1, 0, 0, times, sw * c, c, c,
                        )  # fmt: skip
                        if dx.size:
                            add_multiples(all_dx, pixel, sw * c, dy, given, c, W, tap, times, c)
