"""The loops of convolution: some rows of an image's windows are multiplied and finished."""

from __future__ import annotations

import numpy as np

from minicnn.backends.numba.compiling import compiled, kernel
from minicnn.backends.numba.pooling_kernels import maximum_of_pools, to_maxima
from minicnn.backends.numba.product_kernels import matmul_add, windows_add
from minicnn.backends.numba.sums_kernels import add_parts as add_parts
from minicnn.backends.numba.turns_kernels import turns
from minicnn.backends.numba.vector_kernels import CHUNK
from minicnn.backends.numba.windows_kernels import as_windows, taps_inside


@kernel
def forward(
    worker, workers, product, x, W, biases, y, argmax, windows, pools, groups, lines, relu, scratch
):
    """y = x correlated with W, plus b; max(y, 0) if ``relu``. With pools, the maxima of that.

    Args:
        product: the address of the matrix product.
        x: (n, h, w, c).
        W: (kh * kw * c / groups, f).
        biases: see ``correlation.repeated``.
        y: (n, oh, ow, f); with pools (n, ph, pw, f).
        argmax: (n, ph, pw, f), where in its pool each maximum was; or empty.
        windows: see ``as_windows``, as an array.
        pools: ``(ph, pw, height, width)``, how many there are and their size, as an array; the size
            is (1, 1) if there are none.
        lines: so many rows of y at a time.
        scratch: (workers, space for the pixels and, with pools, for the windows under so many
            rows, + 2 * CHUNK).
    """
    windows, pools, scratch = as_windows(windows), _as_pools(pools), scratch[worker]
    ow, f = windows[1], W.shape[1]
    ph, pw, height, _ = pools
    line = pw * f
    best, where = np.empty(line + CHUNK, y.dtype), np.empty(line + CHUNK, argmax.dtype)
    all_y, all_argmax = y.reshape(y.size), argmax.reshape(argmax.size)
    under = lines * height * ow * f + CHUNK if argmax.size else 0
    results, space = scratch[:under], scratch[under:]
    blocks = -(-ph // lines)  # of an image
    for block in turns(len(x) * blocks, worker, workers):
        image, first = block // blocks, block % blocks * lines
        last = min(first + lines, ph)
        to = (image * ph + first) * line
        z = results if argmax.size else all_y[to:]
        _correlate(product, x, image, W, z, first * height, last * height, windows, groups, space)
        for q in range(last - first if argmax.size else 0):
            of_pools = z[q * height * ow * f :]
            if (last - first - q - 1) * line >= CHUNK:
                maximum_of_pools(of_pools, ow, f, pools, all_y, all_argmax, to + q * line)
            else:  # what comes after the last line may be another worker's
                maximum_of_pools(of_pools, ow, f, pools, best, where, 0)
                for i in range(line):
                    all_y[to + q * line + i] = best[i]
                    all_argmax[to + q * line + i] = where[i]
        # What a bias adds to all numbers of a pool changes none of its maxima, nor does the ReLU.
        finish(all_y[to : to + (last - first) * line], biases, relu)


@compiled
def _correlate(product, x, image, W, z, first, last, windows, groups, space):
    """Some rows of an image's windows times W; z is flat."""
    _, ow, kh, kw, sh, sw, dh, dw, _, _ = windows
    channels, f = x.shape[3], W.shape[1]
    c, filters = channels // groups, f // groups
    pixels, start, line = _pixels_under(x, image, first, last, windows, space)
    for row in range(last - first):
        of_row = z[row * ow * f : (row + 1) * ow * f].reshape(ow, f)
        corner = start + row * sh * line
        if groups == 1 and dw == 1:  # a row of the window is one run of pixels
            windows_add(product, pixels, corner, sw * c, 1, dh * line, kh, W, of_row, 0)
            continue
        for group in range(groups):
            some = slice(group * filters, (group + 1) * filters)
            for i in range(kh):
                at = corner + i * dh * line + group * c
                windows_add(
                    product, pixels, at, sw * channels, 1, dw * channels, kw,
                    W[i * kw * c : (i + 1) * kw * c, some], of_row[:, some], min(i, 1),
                )  # fmt: skip


@compiled
def _pixels_under(x, image, first, last, windows, space):
    """The pixels under some rows of an image's windows, with zeros around the image.

    Returns:
        ``(pixels, start, line)``: a flat array, where the first window begins in it, and how far it
        is to the next row of pixels.
    """
    _, h, w, c = x.shape
    _, ow, kh, kw, sh, sw, dh, dw, top, left = windows
    begin, rows = first * sh - top, (last - 1 - first) * sh + (kh - 1) * dh + 1
    columns = (ow - 1) * sw + (kw - 1) * dw + 1
    pixels = x.reshape(x.size)
    if left == 0 and columns <= w and begin >= 0 and begin + rows <= h:
        return pixels, (image * h + begin) * w * c, w * c
    from_column, to_column = max(0, left), min(columns, left + w)
    for row in range(rows):
        target = space[row * columns * c : (row + 1) * columns * c]
        if 0 <= begin + row < h:
            of_row = ((image * h + begin + row) * w - left + from_column) * c
            target[: from_column * c] = 0
            inside, source = target[from_column * c : to_column * c], pixels[of_row:]
            for k in range(len(inside)):
                inside[k] = source[k]
            target[to_column * c :] = 0
        else:
            target[:] = 0
    return space, 0, columns * c


@compiled
def _as_pools(numbers):
    return numbers[0], numbers[1], numbers[2], numbers[3]


@compiled
def finish(z, biases, relu):
    """Add the bias and cut off below zero, while z is in the cache.

    It is taken as one row of numbers: the loops are then long enough to be quick.
    """
    lowest = z.dtype.type(0 if relu else -np.inf)
    for start in range(0, len(z) if biases.size else 0, max(1, biases.size)):
        some = z[start : start + biases.size]
        for i in range(len(some)):
            total = some[i] + biases[i]
            some[i] = lowest if total < lowest else total


@kernel
def backward(
    worker, workers, product, dy, y, argmax, x, W_T, dx, sums, windows, pools, groups, lines, relu,
    scratch,
):  # fmt: skip
    """dx, and partial sums of dW and db.

    Args:
        product: the address of the matrix product.
        dy: (n, oh, ow, f); with pools (n, ph, pw, f).
        y: what the forward returned; read only if ``relu``.
        argmax: with pools, as the forward returned it; else empty.
        x: (n, h, w, c); empty if only dx is wanted.
        W_T: (f, kh * kw * c / groups).
        dx: (n, h, w, c), or empty.
        sums: (parts, kh * kw * c / groups * f + f), for the dW and db of so many parts of the
            batch; with no columns if only dx is wanted.
        windows, pools, lines: see :func:`forward`.
        scratch: (workers, space for the pixels and for the gradients of the windows under so many
            rows, + 2 * CHUNK).
    """
    windows, pools, scratch = as_windows(windows), _as_pools(pools), scratch[worker]
    n, ph, pw, f = dy.shape
    ow, height, line = windows[1], pools[2], pw * f
    all_dy, all_y, all_argmax = dy.reshape(dy.size), y.reshape(y.size), argmax.reshape(argmax.size)
    under = lines * height * ow * f + CHUNK if relu else 0
    passed, space = scratch[:under], scratch[under:]
    for part in turns(len(sums), worker, workers):
        sums[part] = 0
        for image in range(n * part // len(sums), n * (part + 1) // len(sums)):
            if dx.size:
                dx[image] = 0
            for first in range(0, ph, lines):
                last = min(first + lines, ph)
                start, end = (image * ph + first) * line, (image * ph + last) * line
                dz = all_dy[start:end]
                if argmax.size:
                    of_lines = last - first, pw, height, pools[3]
                    count = (last - first) * height, ow
                    to_maxima(all_dy, all_y, all_argmax, start, f, count, of_lines, passed)
                    dz = passed
                elif relu:
                    _through_relu(dz, all_y[start:end], passed)
                    dz = passed
                rows = first * height, last * height
                dz = dz[: (rows[1] - rows[0]) * ow * f].reshape((rows[1] - rows[0]) * ow, f)
                if x.size:
                    _add_to_sums(product, dz, x, image, sums[part], *rows, windows, groups, space)
                if dx.size:
                    _add_to_pixels(product, dz, W_T, dx[image], rows[0], windows, groups)


@compiled
def _add_to_sums(product, dz, x, image, total, first, last, windows, groups, space):
    """What some rows of an image's windows add to dW and db: dW += windows^T dz."""
    _, _, kh, kw, sh, sw, dh, dw, _, _ = windows
    channels, f = x.shape[3], dz.shape[1]
    c, filters = channels // groups, f // groups
    dW, db = total[: kh * kw * c * f].reshape(kh * kw * c, f), total[kh * kw * c * f :]
    pixels, start, line = _pixels_under(x, image, first, last, windows, space)
    runs, run = (1, kw * c) if groups == 1 and dw == 1 else (kw, c)
    for group in range(groups):
        some = slice(group * filters, (group + 1) * filters)
        for i in range(kh):
            for j in range(runs):
                at, to = start + i * dh * line + j * dw * channels + group * c, (i * runs + j) * run
                windows_add(
                    product, pixels, at, 1, sw * channels, sh * line, last - first,
                    dz[:, some], dW[to : to + run, some], 1,
                )  # fmt: skip
    one = np.ones(1, dz.dtype)
    windows_add(product, one, 0, 0, 0, 0, 1, dz, db.reshape(1, f), 1)


@compiled
def _add_to_pixels(product, dz, W_T, dx, first, windows, groups):
    """What some rows of an image's windows add to its gradient: for every tap, dx += dz W^T."""
    _, ow, kh, kw, sh, sw, dh, dw, top, left = windows
    h, w, channels = dx.shape
    c, filters = channels // groups, dz.shape[1] // groups
    for row in range(len(dz) // ow):
        of_row, begin = dz[row * ow : (row + 1) * ow], (first + row) * sh - top
        for i in range(*taps_inside(begin, kh, dh, h)):
            for j in range(kw):
                # Which windows of the row have this tap on the image.
                q, q_end = taps_inside(j * dw - left, ow, sw, w)
                column = q * sw + j * dw - left
                pixels = dx[begin + i * dh, column : column + (q_end - q - 1) * sw + 1 : sw]
                for group in range(groups if q < q_end else 0):
                    some, tap = slice(group * filters, (group + 1) * filters), (i * kw + j) * c
                    matmul_add(
                        product, of_row[q:q_end, some], W_T[some, tap : tap + c],
                        pixels[:, group * c : (group + 1) * c], 1,
                    )  # fmt: skip


@compiled
def _through_relu(dy, y, dz):
    """dz = dy where y > 0, else 0."""
    zero = dy.dtype.type(0)
    for i in range(len(dy)):
        dz[i] = dy[i] if y[i] > zero else zero
