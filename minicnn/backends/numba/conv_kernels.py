"""The loops of convolution: a tile of windows is gathered, multiplied, finished, and forgotten."""

from __future__ import annotations

import numpy as np

from minicnn.backends.numba.blas_kernels import matmul_add
from minicnn.backends.numba.compiling import compiled, kernel
from minicnn.backends.numba.pooling_kernels import maximum_of_pools, to_maxima
from minicnn.backends.numba.vector_kernels import CHUNK
from minicnn.backends.numba.windows_kernels import as_windows, gather, scatter


@kernel
def forward(worker, workers, gemm, x, W, biases, y, windows, groups, rows, relu, scratch):
    """y = x correlated with W, plus b; max(y, 0) if ``relu``.

    Args:
        x: (n, h, w, c).
        W: (kh * kw * c / groups, f).
        biases: b, once or several times over; or empty.
        y: (n * oh * ow, f).
        windows: see ``gather``, as an array.
        rows: windows of a tile.
        scratch: (workers, rows * kh * kw * c / groups + CHUNK, or more).
    """
    windows, tile = as_windows(windows), scratch[worker]
    k, f = len(W), W.shape[1] // groups
    c, pixels = x.shape[3] // groups, x.reshape(x.size)
    for start in range(worker * rows, len(y), workers * rows):
        end = min(start + rows, len(y))
        z, cols = y[start:end], tile[: (end - start) * k].reshape(end - start, k)
        for group in range(groups):
            gather(pixels, x.shape[1:], group * c, c, windows, start, end, tile)
            of_group = slice(group * f, (group + 1) * f)
            matmul_add(gemm, cols, False, W[:, of_group], False, z[:, of_group], 0)
        finish(z.reshape(z.size), biases, relu)


@kernel
def forward_to_pools(
    worker, workers, gemm, x, W, biases, y, argmax, windows, pools, groups, rows, relu, scratch
):
    """The maximum of each pool of what :func:`forward` computes, and where it was.

    Args:
        y, argmax: (n * ph * pw, f).
        pools: ``(ph, pw, height, width)``, how many there are and their size, as an array.
        rows: rows of pools of a tile.
        scratch: (workers, windows of a tile * (kh * kw * c / groups + f) + 2 * CHUNK).
    """
    windows, pools, scratch = as_windows(windows), _as_pools(pools), scratch[worker]
    k, filters = W.shape
    f = filters // groups
    c, pixels = x.shape[3] // groups, x.reshape(x.size)
    oh, ow = windows[:2]
    ph, pw, height, _ = pools
    lines, per_line = len(y) // pw, height * ow  # rows of pools, and the windows under one
    results = scratch[rows * per_line * k + CHUNK :]
    best = np.empty(pw * filters + CHUNK, y.dtype)
    where = np.empty(pw * filters + CHUNK, argmax.dtype)
    all_y, all_argmax = y.reshape(y.size), argmax.reshape(argmax.size)
    for first in range(worker * rows, lines, workers * rows):
        last = min(first + rows, lines)
        m = (last - first) * per_line
        z, cols = results[: m * filters].reshape(m, filters), scratch[: m * k].reshape(m, k)
        for group in range(groups):
            for line in range(first, last):
                image = line // ph
                start = (image * oh + (line - image * ph) * height) * ow
                tile, end = scratch[(line - first) * per_line * k :], start + per_line
                gather(pixels, x.shape[1:], group * c, c, windows, start, end, tile)
            of_group = slice(group * f, (group + 1) * f)
            matmul_add(gemm, cols, False, W[:, of_group], False, z[:, of_group], 0)
        for line in range(first, last):
            under, to = results[(line - first) * per_line * filters :], line * pw * filters
            if (last - line - 1) * pw * filters >= CHUNK:
                maximum_of_pools(under, ow, filters, pools, all_y, all_argmax, to)
            else:  # what comes after the last line may be another worker's
                maximum_of_pools(under, ow, filters, pools, best, where, 0)
                for i in range(pw * filters):
                    all_y[to + i] = best[i]
                    all_argmax[to + i] = where[i]
        # What a bias adds to all numbers of a pool changes none of its maxima, nor does the ReLU.
        finished = y[first * pw : last * pw]
        finish(finished.reshape(finished.size), biases, relu)


@compiled
def _as_pools(numbers):
    return numbers[0], numbers[1], numbers[2], numbers[3]


@compiled
def finish(z, biases, relu):
    """Add the bias and cut off below zero, while the tile is in the cache.

    The tile is taken as one row of numbers: the loops are then long enough to be quick.
    """
    zero = z.dtype.type(0)
    if biases.size:
        for start in range(0, len(z), biases.size):
            some = z[start : start + biases.size]
            for i in range(len(some)):
                some[i] += biases[i]
    if relu:
        for i in range(len(z)):
            z[i] = zero if z[i] < zero else z[i]


@kernel
def backward(
    worker, workers, gemm, dy, y, argmax, x, W, W_T, dx, sums, windows, pools, groups, images,
    rows, relu, scratch,
):  # fmt: skip
    """dx, and partial sums of dW and db.

    Args:
        dy: (n * oh * ow, f); with pools (n * ph * pw, f).
        y: what the forward returned; read only if ``relu``.
        argmax: with pools, as the forward returned it; else empty.
        x: (n, h, w, c); empty if only dx is wanted.
        W: (kh * kw * c / groups, f).
        W_T: its transpose, contiguous, or empty where the product takes W as it is.
        dx: (n, h, w, c), or empty.
        sums: (parts, kh * kw * c / groups * f + f), for the dW and db of so many parts of the
            batch; with no columns if only dx is wanted.
        windows, pools: see :func:`forward`.
        images: so many at a time are brought back through their pools.
        rows: of a tile.
        scratch: (workers, rows * kh * kw * c / groups + rows of dz * f + 2 * CHUNK); there are as
            many rows of dz as in a tile, or, with pools, in so many images.
    """
    windows, pools = as_windows(windows), _as_pools(pools)
    k, f = W.shape
    n = max(len(x), len(dx))
    per_image, maxima_per_image = windows[0] * windows[1], pools[0] * pools[1]
    tile, space = scratch[worker, : rows * k + CHUNK], scratch[worker, rows * k + CHUNK :]
    for part in range(worker, len(sums), workers):
        first, last = n * part // len(sums), n * (part + 1) // len(sums)
        sums[part] = 0
        if dx.size:
            dx[first:last] = 0
        for image in range(first, last, images):
            image_end = min(image + images, last)
            begin = image * per_image
            if argmax.size:
                for i in range(image, image_end):
                    at = i * maxima_per_image * f
                    dz_of_image = space[(i - image) * per_image * f :]
                    to_maxima(
                        dy.reshape(dy.size), y.reshape(y.size), argmax.reshape(argmax.size), at, f,
                        windows[:2], pools, dz_of_image,
                    )  # fmt: skip
            for start in range(begin, image_end * per_image, rows):
                end = min(start + rows, image_end * per_image)
                if argmax.size:
                    dz = space[(start - begin) * f : (end - begin) * f].reshape(end - start, f)
                elif relu:
                    dz = space[: (end - start) * f].reshape(end - start, f)
                    _through_relu(dy[start:end], y[start:end], dz)
                else:
                    dz = dy[start:end]
                _of_tile(gemm, dz, x, W, W_T, dx, sums[part], windows, groups, start, end, tile)


@compiled
def _of_tile(gemm, dz, x, W, W_T, dx, total, windows, groups, start, end, tile):
    """What the windows of a tile add to dW and db (in ``total``) and to dx."""
    k, filters = W.shape
    channels = max(x.shape[3], dx.shape[3])
    c, f = channels // groups, filters // groups
    cols = tile[: (end - start) * k].reshape(end - start, k)
    for group in range(groups):
        of_group = slice(group * f, (group + 1) * f)
        if x.size:
            dW = total[: k * filters].reshape(k, filters)
            gather(x.reshape(x.size), x.shape[1:], group * c, c, windows, start, end, tile)
            matmul_add(gemm, cols, True, dz[:, of_group], False, dW[:, of_group], 1)
        if dx.size:
            if W_T.size:
                matmul_add(gemm, dz[:, of_group], False, W_T[of_group], False, cols, 0)
            else:
                matmul_add(gemm, dz[:, of_group], False, W[:, of_group], True, cols, 0)
            scatter(dx.reshape(dx.size), dx.shape[1:], group * c, c, windows, start, end, tile)
    if x.size:
        db = total[k * filters :]
        for m in range(len(dz)):
            row = dz[m]
            for i in range(len(row)):
                db[i] += row[i]


@compiled
def _through_relu(dy, y, dz):
    """dz = dy where y > 0, else 0."""
    given, output, passed = dy.reshape(dy.size), y.reshape(y.size), dz.reshape(dz.size)
    zero = dy.dtype.type(0)
    for i in range(len(given)):
        passed[i] = given[i] if output[i] > zero else zero


@kernel
def add_parts(worker, workers, parts, total):
    """total = the sum of the rows of ``parts``, always in the same order."""
    first, last = total.size * worker // workers, total.size * (worker + 1) // workers
    for k in range(first, last):
        total[k] = parts[0, k]
    for part in range(1, len(parts)):
        for k in range(first, last):
            total[k] += parts[part, k]
