"""The loops of pooling: every window is visited once, all its channels side by side."""

from __future__ import annotations

import numpy as np

from minicnn.backends.numba.compiling import compiled, kernel
from minicnn.backends.numba.turns_kernels import turns
from minicnn.backends.numba.vector_kernels import (
    CHUNK,
    fits,
    maximum_of_four,
    maximum_of_taps,
    place_maximum,
    place_positive_maximum,
    zero_run,
)
from minicnn.backends.numba.windows_kernels import as_windows, taps_inside


@kernel
def max_pool(worker, workers, x, y, argmax, windows):
    """The maximum of each window, and the index of the tap where it was first.

    Args:
        x: (n, h, w, c).
        y, argmax: (n, oh, ow, c).
        windows: see ``as_windows``, as an array.
    """
    _, h, w, c = x.shape
    oh, ow, kh, kw, sh, sw, dh, dw, top, left = as_windows(windows)
    for line in turns(len(y) * oh, worker, workers):
        image = line // oh
        r = line - image * oh
        i, i_end = taps_inside(r * sh - top, kh, dh, h)
        for q in range(ow):
            j, j_end = taps_inside(q * sw - left, kw, dw, w)
            best, where = y[image, r, q], argmax[image, r, q]
            for row in range(i, i_end):
                for column in range(j, j_end):
                    pixel = x[image, r * sh - top + row * dh, q * sw - left + column * dw]
                    tap = argmax.dtype.type(row * kw + column)
                    if row == i and column == j:
                        for k in range(c):
                            best[k] = pixel[k]
                            where[k] = tap
                    else:
                        for k in range(c):
                            value, its_tap = first_of_two(best[k], where[k], pixel[k], tap)
                            best[k] = value
                            where[k] = its_tap


@kernel
def max_pool_backward(worker, workers, dy, argmax, dx, windows):
    """dx = dy at the maximum of each window, summed where windows overlap, 0 elsewhere."""
    n, h, w, c = dx.shape
    oh, ow, kh, kw, sh, sw, dh, dw, top, left = as_windows(windows)
    zero = dy.dtype.type(0)
    for image in turns(n, worker, workers):
        dx[image] = 0
        for r in range(oh):
            i, i_end = taps_inside(r * sh - top, kh, dh, h)
            for q in range(ow):
                j, j_end = taps_inside(q * sw - left, kw, dw, w)
                given, where = dy[image, r, q], argmax[image, r, q]
                for row in range(i, i_end):
                    for column in range(j, j_end):
                        pixel = dx[image, r * sh - top + row * dh, q * sw - left + column * dw]
                        tap = row * kw + column
                        for k in range(c):
                            pixel[k] += given[k] if where[k] == tap else zero


@kernel
def max_pool_side_by_side(worker, workers, x, y, argmax, pools):
    """``max_pool`` for few channels, where windows neither overlap nor reach over the border.

    Args:
        x, y, argmax: as there.
        pools: ``(ph, pw, height, width)``, how many there are and their size, as an array.
    """
    _, h, w, c = x.shape
    ph, pw, height, width = pools[0], pools[1], pools[2], pools[3]
    of_pools, line, under = (ph, pw, height, width), pw * c, height * w * c
    best, where = np.empty(line + CHUNK, y.dtype), np.empty(line + CHUNK, argmax.dtype)
    end = np.zeros(under + CHUNK, x.dtype)
    all_x, all_y, all_argmax = x.reshape(x.size), y.reshape(y.size), argmax.reshape(argmax.size)
    for row in turns(len(x) * ph, worker, workers):
        start = (row // ph * h + row % ph * height) * w * c
        if fits(all_x, start, under):
            maximum_of_pools(all_x[start:], w, c, of_pools, best, where, 0)
        else:
            end[:under] = all_x[start : start + under]
            maximum_of_pools(end, w, c, of_pools, best, where, 0)
        all_y[row * line : (row + 1) * line] = best[:line]
        all_argmax[row * line : (row + 1) * line] = where[:line]


@kernel
def max_pool_side_by_side_backward(worker, workers, dy, argmax, dx, pools):
    """``max_pool_backward`` for the same pools as ``max_pool_side_by_side``."""
    n, h, w, c = dx.shape
    of_pools = pools[0], pools[1], pools[2], pools[3]
    size = pools[0] * pools[1] * c
    dz, nothing = np.empty(h * w * c + CHUNK, dx.dtype), np.empty(0, dx.dtype)
    all_dx, all_dy, all_argmax = dx.reshape(dx.size), dy.reshape(dy.size), argmax.reshape(dy.size)
    for image in turns(n, worker, workers):
        to_maxima(all_dy, nothing, all_argmax, image * size, c, (h, w), of_pools, dz)
        all_dx[image * h * w * c : (image + 1) * h * w * c] = dz[: h * w * c]


@compiled
def maximum_of_pools(z, ow, c, pools, best, argmax, to):
    """The maxima of one row of pools that do not overlap, and where they were.

    Args:
        z: the rows of images under them, (height, ow, c), flat, with CHUNK numbers after the end.
        pools: ``(rows of pools, pw, height, width)``.
        best, argmax: flat; (pw, c) numbers of them, from ``to`` on, and up to CHUNK more.
    """
    _, pw, height, width = pools
    for q in range(pw):
        at = q * width * c
        if height == 2 and width == 2:
            to = maximum_of_four(best, argmax, to, z, at, ow * c, c, c)
        else:
            to = maximum_of_taps(best, argmax, to, z, at, height, ow * c, width, c, c)


@compiled
def to_maxima(dy, y, argmax, start, c, count, pools, dz):
    """dz = dy at the maximum of each pool of an image, if that is above 0; 0 elsewhere.

    Args:
        dy, y, argmax: (ph, pw, c), flat, from ``start`` on; without a y it need not be above 0.
        count: ``(oh, ow)``, the size of what was pooled.
        pools: ``(ph, pw, height, width)``.
        dz: (oh, ow, c), flat, with room for CHUNK numbers after the end.
    """
    (oh, ow), (ph, pw, height, width) = count, pools
    to = 0
    for row in range(oh):
        if row >= ph * height:
            to = zero_run(dz, to, ow * c)
            continue
        for q in range(pw):
            pool = start + (row // height * pw + q) * c
            for column in range(width):
                tap = row % height * width + column
                if fits(dy, pool, c) and y.size:
                    to = place_positive_maximum(dz, to, dy, argmax, y, pool, tap, c)
                elif fits(dy, pool, c):
                    to = place_maximum(dz, to, dy, argmax, pool, tap, c)
                else:
                    for k in range(pool, pool + c):
                        here = argmax[k] == tap and (y.size == 0 or y[k] > 0)
                        dz[to] = dy[k] if here else 0
                        to += 1
        to = zero_run(dz, to, (ow - pw * width) * c)


@compiled
def first_of_two(known, tap, value, its_tap):
    """The greater of two numbers, the first if they are equal, and its tap.

    A NaN takes over, as it is not equal to itself, and stays, as nothing is greater.
    """
    greater = value > known
    return (value if greater or value != value else known), (its_tap if greater else tap)


@kernel
def average_pool(worker, workers, x, y, windows):
    """The mean of what each window has on the image."""
    _, h, w, c = x.shape
    oh, ow, kh, kw, sh, sw, dh, dw, top, left = as_windows(windows)
    one = x.dtype.type(1)
    for line in turns(len(y) * oh, worker, workers):
        image = line // oh
        r = line - image * oh
        i, i_end = taps_inside(r * sh - top, kh, dh, h)
        for q in range(ow):
            j, j_end = taps_inside(q * sw - left, kw, dw, w)
            total = y[image, r, q]
            for k in range(c):
                total[k] = 0
            for row in range(i, i_end):
                for column in range(j, j_end):
                    pixel = x[image, r * sh - top + row * dh, q * sw - left + column * dw]
                    for k in range(c):
                        total[k] += pixel[k]
            share = one / ((i_end - i) * (j_end - j))
            for k in range(c):
                total[k] *= x.dtype.type(share)


@kernel
def average_pool_backward(worker, workers, dy, dx, windows):
    """dx = the sum of the pixel's shares of dy, over the windows that it is in."""
    n, h, w, c = dx.shape
    oh, ow, kh, kw, sh, sw, dh, dw, top, left = as_windows(windows)
    for image in turns(n, worker, workers):
        dx[image] = 0
        for r in range(oh):
            i, i_end = taps_inside(r * sh - top, kh, dh, h)
            for q in range(ow):
                j, j_end = taps_inside(q * sw - left, kw, dw, w)
                given = dy[image, r, q]
                share = dy.dtype.type(1 / ((i_end - i) * (j_end - j)))
                for row in range(i, i_end):
                    for column in range(j, j_end):
                        pixel = dx[image, r * sh - top + row * dh, q * sw - left + column * dw]
                        for k in range(c):
                            pixel[k] += given[k] * share
