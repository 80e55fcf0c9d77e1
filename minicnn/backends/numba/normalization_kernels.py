"""The loops of batch normalization: rows (all pixels of all images) of channels side by side."""

from __future__ import annotations

import numpy as np

from minicnn.backends.numba.compiling import kernel
from minicnn.backends.numba.turns_kernels import turns

# So many rows are gone over twice while they are in the cache: for their mean, then for how far
# they are from it.
BLOCK = 32


@kernel
def statistics(worker, workers, x, means, squares):
    """Mean, and sum of squared distances from it, of each channel in each part of the rows.

    Args:
        x: (m, c).
        means, squares: (parts, c), float64.
    """
    parts, c = means.shape
    mean_of_block, squares_of_block = np.empty(c), np.empty(c)
    for part in turns(parts, worker, workers):
        first, last = len(x) * part // parts, len(x) * (part + 1) // parts
        mean, square = means[part], squares[part]
        mean[:] = 0
        square[:] = 0
        for start in range(first, last, BLOCK):
            end = min(start + BLOCK, last)
            mean_of_block[:] = 0
            squares_of_block[:] = 0
            for i in range(start, end):
                row = x[i]
                for k in range(c):
                    mean_of_block[k] += row[k]
            for k in range(c):
                mean_of_block[k] /= end - start
            for i in range(start, end):
                row = x[i]
                for k in range(c):
                    distance = row[k] - mean_of_block[k]
                    squares_of_block[k] += distance * distance
            join(start - first, mean, square, end - start, mean_of_block, squares_of_block)


@kernel
def join(n, mean, squares, m, other_mean, other_squares):
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
    """y = gamma (x - mean) inverse_deviation + beta, for each channel."""
    for i in turns(len(x), worker, workers):
        row, result = x[i], y[i]
        for k in range(len(row)):
            result[k] = (row[k] - mean[k]) * inverse_deviation[k] * gamma[k] + beta[k]


@kernel
def gradient_sums(worker, workers, dy, x, mean, inverse_deviation, dgammas, dbetas):
    """The sums of dy x^ and of dy, in each part of the rows: (parts, c), float64."""
    parts, c = dgammas.shape
    # Sums of its own: two cores that write to one cache line take it from each other at each row.
    dgamma, dbeta = np.empty(c), np.empty(c)
    for part in turns(parts, worker, workers):
        dgamma[:] = 0
        dbeta[:] = 0
        for i in range(len(x) * part // parts, len(x) * (part + 1) // parts):
            given, row = dy[i], x[i]
            for k in range(c):
                dbeta[k] += given[k]
                dgamma[k] += given[k] * ((row[k] - mean[k]) * inverse_deviation[k])
        dgammas[part] = dgamma
        dbetas[part] = dbeta


@kernel
def input_gradient(
    worker, workers, dy, x, dx, mean, inverse_deviation, scale, mean_dy, mean_dy_x_hat
):
    """dx = scale (dy - mean_dy - x^ mean_dy_x_hat), for each channel."""
    for i in turns(len(x), worker, workers):
        given, row, result = dy[i], x[i], dx[i]
        for k in range(len(row)):
            x_hat = (row[k] - mean[k]) * inverse_deviation[k]
            result[k] = scale[k] * (given[k] - mean_dy[k] - x_hat * mean_dy_x_hat[k])
