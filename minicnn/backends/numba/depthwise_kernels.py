"""The loops of depthwise convolution: no matrix product, every channel has its own kernel.

All channels of a pixel lie side by side, and so do those of a tap, so both are runs of numbers.
Pixels that lie beside each other and have the same taps are computed SUMS at a time.
"""

from __future__ import annotations

import numpy as np

from minicnn.backends.numba.compiling import compiled, kernel
from minicnn.backends.numba.turns_kernels import turns
from minicnn.backends.numba.vector_kernels import SUMS, sum_of_products, sums_of_products
from minicnn.backends.numba.windows_kernels import as_windows, taps_inside, taps_over


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
        q = 0
        while q < ow:
            s = q * sw - left
            j, j_end = taps_inside(s, kw, dw, w)
            pixel, to = ((line // oh * h + p + i * dh) * w + s + j * dw) * c, (line * ow + q) * c
            tap, rows, columns = (i * kw + j) * c, i_end - i, j_end - j
            far = s + (SUMS - 1) * sw
            if q + SUMS <= ow and taps_inside(far, kw, dw, w) == (j, j_end):
                sums_of_products(
                    y, to, c, b, 0, x, pixel, sw * c, W, tap,
                    rows, dh * w * c, kw * c, columns, dw * c, c, c,
                )  # fmt: skip
                q += SUMS
            else:
                sum_of_products(
                    y, to, 0, b, 0, x, pixel, 0, W, tap,
                    rows, dh * w * c, kw * c, columns, dw * c, c, c,
                )  # fmt: skip
                q += 1


@kernel
def backward(worker, workers, dy, x, W, dx, sums, windows):
    """dx (unless it is empty), and the sums for dW and db of so many parts of the batch.

    Args:
        dy, x, W: as in :func:`forward`.
        sums: (parts, kh * kw * c + c).
    """
    n, h, w, c = x.shape
    oh, ow, kh, kw, sh, sw, dh, dw, top, left = as_windows(windows)
    dy, x, W = dy.reshape(dy.size), x.reshape(x.size), W.reshape(W.size)
    ones = np.ones(c, dy.dtype)
    down, across = taps_over(h, top, kh, dh, sh, oh), taps_over(w, left, kw, dw, sw, ow)
    for part in turns(len(sums), worker, workers):
        total = sums[part]
        total[:] = 0
        for image in range(n * part // len(sums), n * (part + 1) // len(sums)):
            if dx.size:
                _input_gradient(dy, W, dx, image, down, across, oh, ow, kw)
            for r in range(oh):
                line, p = (image * oh + r) * ow * c, r * sh - top
                db = kh * kw * c
                sum_of_products(total, db, 0, total, db, dy, line, 0, ones, 0, 1, 0, 0, ow, c, 0, c)
                for i in range(*taps_inside(p, kh, dh, h)):
                    for j in range(kw):
                        # Which windows of the line have this tap on the image.
                        q, q_end = taps_inside(j * dw - left, ow, sw, w)
                        pixel = ((image * h + p + i * dh) * w + q * sw + j * dw - left) * c
                        tap = (i * kw + j) * c
                        sum_of_products(
                            total, tap, 0, total, tap, x, pixel, 0, dy, line + q * c,
                            1, 0, 0, q_end - q, sw * c, c, c,
                        )  # fmt: skip


@compiled
def _input_gradient(dy, W, dx, image, down, across, oh, ow, kw):
    """dx of an image: for each pixel the sum, over the windows that it lies under, of dy W.

    Args:
        dy, W: flat.
        down, across: from ``taps_over``, for the rows and columns of pixels.
    """
    _, h, w, c = dx.shape
    dx, nothing = dx.reshape(dx.size), np.zeros(c, dy.dtype)
    for r in range(h):
        i, p, rows, i_on, p_back = down[r]
        s = 0
        while s < w:
            j, q, columns, j_on, q_back = across[s]
            given, tap = ((image * oh + p) * ow + q) * c, (i * kw + j) * c
            to = ((image * h + r) * w + s) * c
            far = across[min(s + SUMS, w) - 1]
            if far[0] == j and far[1] == q + SUMS - 1 and far[2] == columns:
                sums_of_products(
                    dx, to, c, nothing, 0, dy, given, c, W, tap,
                    rows, -p_back * ow * c, i_on * kw * c, columns, -q_back * c, j_on * c, c,
                )  # fmt: skip
                s += SUMS
            else:
                sum_of_products(
                    dx, to, 0, nothing, 0, dy, given, 0, W, tap,
                    rows, -p_back * ow * c, i_on * kw * c, columns, -q_back * c, j_on * c, c,
                )  # fmt: skip
                s += 1
