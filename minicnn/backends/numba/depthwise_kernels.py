"""The loops of depthwise convolution: no matrix product, every channel has its own kernels."""

from __future__ import annotations

from minicnn.backends.numba.compiling import compiled, kernel
from minicnn.backends.numba.windows_kernels import as_windows, taps_inside


@kernel
def forward(worker, workers, x, W, b, y, windows):
    """y[..., c m + k] = sum over the taps of x[..., c] W[tap, c, k], plus b.

    Args:
        x: (n, h, w, c).
        W: (kh, kw, c, m).
        b: (c * m,), or empty.
        y: (n, oh, ow, c * m).
        windows: see ``as_windows``, as an array.
    """
    _, h, w, c = x.shape
    m = W.shape[3]
    oh, ow, kh, kw, sh, sw, dh, dw, top, left = as_windows(windows)
    zero = y.dtype.type(0)
    for line in range(worker, len(y) * oh, workers):
        image = line // oh
        r = line - image * oh
        i, i_end = taps_inside(r * sh - top, kh, dh, h)
        for q in range(ow):
            j, j_end = taps_inside(q * sw - left, kw, dw, w)
            result = y[image, r, q]
            for k in range(c * m):
                result[k] = b[k] if b.size else zero
            for row in range(i, i_end):
                for column in range(j, j_end):
                    pixel = x[image, r * sh - top + row * dh, q * sw - left + column * dw]
                    if m == 1:
                        weights = W[row, column].reshape(c)
                        for k in range(c):
                            result[k] += pixel[k] * weights[k]
                    else:
                        for k in range(c):
                            for copy in range(m):
                                result[k * m + copy] += pixel[k] * W[row, column, k, copy]


@kernel
def backward(worker, workers, dy, x, W, dx, dWs, dbs, windows):
    """dx (unless it is empty), and the sums for dW and db of so many parts of the batch.

    Args:
        dWs: (parts, kh, kw, c, m).
        dbs: (parts, c * m).
    """
    n, h, w, c = x.shape
    m, parts = W.shape[3], len(dWs)
    oh, ow, kh, kw, sh, sw, dh, dw, top, left = as_windows(windows)
    for part in range(worker, parts, workers):
        dW, db = dWs[part], dbs[part]
        dW[:] = 0
        db[:] = 0
        for image in range(n * part // parts, n * (part + 1) // parts):
            if dx.size:
                dx[image] = 0
            for r in range(oh):
                i, i_end = taps_inside(r * sh - top, kh, dh, h)
                for q in range(ow):
                    j, j_end = taps_inside(q * sw - left, kw, dw, w)
                    given = dy[image, r, q]
                    for k in range(c * m):
                        db[k] += given[k]
                    for row in range(i, i_end):
                        for column in range(j, j_end):
                            p, s = r * sh - top + row * dh, q * sw - left + column * dw
                            pixel, weights, dweights = (
                                x[image, p, s],
                                W[row, column],
                                dW[row, column],
                            )
                            if m == 1:
                                _tap(given, pixel, dweights.reshape(c))
                            else:
                                for k in range(c):
                                    for copy in range(m):
                                        dweights[k, copy] += pixel[k] * given[k * m + copy]
                            if dx.size and m == 1:
                                _tap(given, weights.reshape(c), dx[image, p, s])
                            elif dx.size:
                                dpixel = dx[image, p, s]
                                for k in range(c):
                                    for copy in range(m):
                                        dpixel[k] += given[k * m + copy] * weights[k, copy]


@compiled
def _tap(a, b, total):
    """total += a b, number by number."""
    for k in range(len(total)):
        total[k] += a[k] * b[k]
