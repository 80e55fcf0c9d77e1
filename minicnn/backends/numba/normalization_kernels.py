"""The loops of batch normalization: rows (all pixels of all images) of channels side by side."""

from __future__ import annotations

import numpy as np

from minicnn.backends.numba.compiling import compiled, kernel
from minicnn.backends.numba.turns_kernels import turns

# Sums are made in blocks of so many numbers, which stay in the cache, and these are added up in
# float64.
BLOCK = 4096
# Within a block so many rows are added up side by side that they make a run of this many numbers.
WIDTH = 256


@kernel
def statistics(worker, workers, x, means, squares):
    """Mean, and sum of squared distances from it, of each channel in each part of the rows.

    For a center a near the mean m of n numbers, whose distances from it are d = x - a,

        m = a + sum(d) / n        sum (x - m)^2 = sum(d^2) - sum(d)^2 / n

    so that one pass does for both, and nothing large cancels.

    Args:
        x: (m, c).
        means, squares: (parts, c), float64.
    """
    parts, c = means.shape
    width, block = _sizes(c)
    numbers, centers = x.reshape(x.size), np.empty(width, x.dtype)
    sums, sums_of_squares = np.empty(width, x.dtype), np.empty(width, x.dtype)
    mean, square, mean_of_block, square_of_block = np.empty((4, c))
    for part in turns(parts, worker, workers):
        first, last = len(x) * part // parts * c, len(x) * (part + 1) // parts * c
        mean[:] = x[first // c]
        square[:] = 0
        for start in range(first, last, block):
            end = min(start + block, last)
            rows = (end - start) // c
            _repeat(mean, centers)  # of the rows so far: near to the mean of these
            sums[:] = 0
            sums_of_squares[:] = 0
            for at in range(start, end, width):
                some = numbers[at : min(at + width, end)]
                for k in range(len(some)):
                    distance = some[k] - centers[k]
                    sums[k] += distance
                    sums_of_squares[k] += distance * distance
            _fold(sums, mean_of_block)
            _fold(sums_of_squares, square_of_block)
            for k in range(c):
                distance = mean_of_block[k] / rows
                square_of_block[k] = max(0.0, square_of_block[k] - rows * distance * distance)
                mean_of_block[k] = centers[k] + distance
            _join((start - first) // c, mean, square, rows, mean_of_block, square_of_block)
        means[part], squares[part] = mean, square


@compiled
def _sizes(c):
    """How many numbers are added up side by side, and how many make a block: whole rows."""
    width = max(1, WIDTH // c) * c
    return width, max(1, BLOCK // width) * width


@compiled
def _fold(sums, total):
    """The sum of rows that stand side by side."""
    c = len(total)
    for k in range(c):
        total[k] = sums[k]
    for start in range(c, len(sums), c):
        for k in range(c):
            total[k] += sums[start + k]


@compiled
def _repeated(row, width):
    """The same row again and again."""
    rows = np.empty(width, row.dtype)
    _repeat(row, rows)
    return rows


@compiled
def _repeat(row, rows):
    for start in range(0, len(rows), len(row)):
        for k in range(len(row)):
            rows[start + k] = row[k]


@kernel
def join_parts(means, squares, rows):
    """Those of all ``rows`` together, in place of those of the first part."""
    n, parts = rows // len(means), len(means)
    for part in range(1, parts):
        m = rows * (part + 1) // parts - n
        _join(n, means[0], squares[0], m, means[part], squares[part])
        n += m


@compiled
def _join(n, mean, squares, m, other_mean, other_squares):
    """Mean and squared distances of n rows and of m others become those of all.

    Source: Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing
    sample variances" (1979).
    """
    for k in range(len(mean)):
        apart = other_mean[k] - mean[k]
        mean[k] += apart * (m / (n + m))
        squares[k] += other_squares[k] + apart * apart * (n * (m / (n + m)))


@kernel
def normalize(worker, workers, x, y, mean, inverse_deviation, gamma, beta):
    """y = gamma (x - mean) inverse_deviation + beta, for each channel; x and y are flat."""
    width, _ = _sizes(len(mean))
    mean, inverse_deviation = _repeated(mean, width), _repeated(inverse_deviation, width)
    gamma, beta = _repeated(gamma, width), _repeated(beta, width)
    for some in turns(-(-len(x) // width), worker, workers):
        given, result = x[some * width : (some + 1) * width], y[some * width : (some + 1) * width]
        for k in range(len(given)):
            result[k] = (given[k] - mean[k]) * inverse_deviation[k] * gamma[k] + beta[k]


@kernel
def gradient_sums(worker, workers, dy, x, mean, inverse_deviation, dgammas, dbetas):
    """The sums of dy x^ and of dy, in each part of the rows (m, c): (parts, c), float64."""
    parts, c = dgammas.shape
    width, block = _sizes(c)
    xs, dys, centers = x.reshape(x.size), dy.reshape(dy.size), _repeated(mean, width)
    dgamma, dbeta = np.empty(width, x.dtype), np.empty(width, x.dtype)
    # Sums of its own: two cores that write to one cache line take it from each other each time.
    of_block, dgamma_of_part, dbeta_of_part = np.empty((3, c))
    for part in turns(parts, worker, workers):
        first, last = len(x) * part // parts * c, len(x) * (part + 1) // parts * c
        dgamma_of_part[:] = 0
        dbeta_of_part[:] = 0
        for start in range(first, last, block):
            end = min(start + block, last)
            dgamma[:] = 0
            dbeta[:] = 0
            for at in range(start, end, width):
                some, given = xs[at : min(at + width, end)], dys[at : min(at + width, end)]
                for k in range(len(some)):
                    dbeta[k] += given[k]
                    dgamma[k] += given[k] * (some[k] - centers[k])
            _fold(dgamma, of_block)
            for k in range(c):
                dgamma_of_part[k] += of_block[k] * inverse_deviation[k]
            _fold(dbeta, of_block)
            for k in range(c):
                dbeta_of_part[k] += of_block[k]
        dgammas[part], dbetas[part] = dgamma_of_part, dbeta_of_part


@kernel
def input_gradient(
    worker, workers, dy, x, dx, mean, inverse_deviation, scale, mean_dy, mean_dy_x_hat
):
    """dx = scale (dy - mean_dy - x^ mean_dy_x_hat), for each channel; dy, x and dx are flat."""
    width, _ = _sizes(len(mean))
    mean, inverse_deviation = _repeated(mean, width), _repeated(inverse_deviation, width)
    scale, mean_dy = _repeated(scale, width), _repeated(mean_dy, width)
    mean_dy_x_hat = _repeated(mean_dy_x_hat, width)
    for some in turns(-(-len(x) // width), worker, workers):
        start, end = some * width, (some + 1) * width
        given, row, result = dy[start:end], x[start:end], dx[start:end]
        for k in range(len(row)):
            x_hat = (row[k] - mean[k]) * inverse_deviation[k]
            result[k] = scale[k] * (given[k] - mean_dy[k] - x_hat * mean_dy_x_hat[k])
