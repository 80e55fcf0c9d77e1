"""Winograd's convolution, compiled: see winograd.py.

The *positions* of a tile are the (m + 2)^2 numbers of a channel in the world where a convolution is
a multiplication. There, position p of all tiles and channels is a matrix, and so is position p of
the kernel: V_p (tiles, c), U_p (c, f). All arrays here are flat; (m + 2)^2 such matrices lie one
after the other.
"""

from __future__ import annotations

import numpy as np

from minicnn.backends.numba.compiling import compiled, kernel
from minicnn.backends.numba.conv_kernels import finish
from minicnn.backends.numba.product_kernels import matmul_add, windows_add
from minicnn.backends.numba.transform_kernels import both_sides, matrices
from minicnn.backends.numba.turns_kernels import turns
from minicnn.backends.numba.vector_kernels import CHUNK, copy_run, zero_run

A3, B3, G3 = matrices(3)
A4, B4, G4 = matrices(4)
input_to_positions_3, input_to_positions_4 = both_sides(B3.T), both_sides(B4.T)
positions_to_output_3, positions_to_output_4 = both_sides(A3.T), both_sides(A4.T)
kernel_to_positions_3, kernel_to_positions_4 = both_sides(G3), both_sides(G4)
# The adjoints, for the way back.
output_to_positions_3, output_to_positions_4 = both_sides(A3), both_sides(A4)
positions_to_input_3, positions_to_input_4 = both_sides(B3, add=True), both_sides(B4, add=True)
positions_to_kernel_3, positions_to_kernel_4 = both_sides(G3.T), both_sides(G4.T)


@kernel
def transform_kernel(worker, workers, W, U, m):
    """U = G W G^T for every channel and filter. W is 9 matrices, U (m + 2)^2."""
    size = W.size // 9
    start, n = _share(size, worker, workers)
    if m == 3:
        kernel_to_positions_3(U, start, 5 * size, size, W, start, 3 * size, size, n)
    else:
        kernel_to_positions_4(U, start, 6 * size, size, W, start, 3 * size, size, n)


@compiled
def _share(size, worker, workers):
    """A worker's part of a run: where it begins, and its length, both multiples of CHUNK."""
    chunks = size // CHUNK
    first, last = chunks * worker // workers, chunks * (worker + 1) // workers
    return first * CHUNK, (last - first) * CHUNK


@kernel
def forward(worker, workers, product, x, U, biases, y, numbers, relu, scratch):
    """y = x correlated with W, plus b; max(y, 0) if ``relu``.

    Args:
        product: the address of the matrix product.
        x, y: (n, h, w, c), (n, oh, ow, f).
        U: from :func:`transform_kernel`.
        biases: b, once or several times over; or empty.
        numbers: ``(m, top, left, images of a block)``.
        scratch: (workers, space for V, M and one tile).
    """
    m, top, left, images = numbers[0], numbers[1], numbers[2], numbers[3]
    (n, oh, ow, f), c = y.shape, x.shape[3]
    per_image = -(-oh // m) * -(-ow // m)
    p = (m + 2) ** 2
    for block in turns(-(-n // images), worker, workers):
        first, last = block * images, min((block + 1) * images, n)
        tiles = (last - first) * per_image
        V, rest = scratch[worker, : p * tiles * c], scratch[worker, p * tiles * c :]
        M, tile = rest[: p * tiles * f], rest[p * tiles * f :]
        _gather_inputs(x, first, last, oh, ow, top, left, m, V, tile)
        for k in range(p):
            matmul_add(
                product, _matrix(V, k, tiles, c), _matrix(U, k, c, f),
                _matrix(M, k, tiles, f), 0,
            )  # fmt: skip
        _scatter_outputs(y, first, last, m, M, tile)
        finish(y[first:last].reshape((last - first) * oh * ow * f), biases, relu)


@compiled
def _matrix(matrices, k, rows, columns):
    return matrices[k * rows * columns : (k + 1) * rows * columns].reshape(rows, columns)


@kernel
def backward(worker, workers, product, dy, x, U_T, dx, sums, numbers, scratch):
    """dx, and partial sums of dU and db.

    Args:
        product: the address of the matrix product.
        dy, x: (n, oh, ow, f), (n, h, w, c).
        U_T: the transposes of the matrices U.
        dx: (n, h, w, c), or empty.
        sums: (parts, (m + 2)^2 * c * f + f).
        numbers: as in :func:`forward`.
        scratch: as in :func:`forward`.
    """
    m, top, left, images = numbers[0], numbers[1], numbers[2], numbers[3]
    (n, oh, ow, f), c = dy.shape, x.shape[3]
    per_image = -(-oh // m) * -(-ow // m)
    p = (m + 2) ** 2
    one = np.ones(1, dy.dtype)
    for part in turns(len(sums), worker, workers):
        begin, end = n * part // len(sums), n * (part + 1) // len(sums)
        dU, db = sums[part, : p * c * f], sums[part, p * c * f :]
        for first in range(begin, end, images):
            last = min(first + images, end)
            tiles = (last - first) * per_image
            V, rest = scratch[worker, : p * tiles * c], scratch[worker, p * tiles * c :]
            dM, tile = rest[: p * tiles * f], rest[p * tiles * f :]
            _gather_gradients(dy, first, last, m, dM, tile)
            if dx.size:
                dx[first:last] = 0
                for k in range(p):  # dV, where V will be
                    matmul_add(
                        product, _matrix(dM, k, tiles, f), _matrix(U_T, k, f, c),
                        _matrix(V, k, tiles, c), 0,
                    )  # fmt: skip
                _scatter_gradients(dx, first, last, oh, ow, top, left, m, V, tile)
            _gather_inputs(x, first, last, oh, ow, top, left, m, V, tile)
            for k in range(p):
                matmul_add(
                    product, _matrix(V, k, tiles, c).T, _matrix(dM, k, tiles, f),
                    _matrix(dU, k, c, f), 0 if first == begin else 1,
                )  # fmt: skip
            pixels = dy[first:last].reshape((last - first) * oh * ow, f)
            windows_add(
                product, one, 0, 0, 0, 0, 1, pixels, db.reshape(1, f), 0 if first == begin else 1
            )


@kernel
def transform_gradient(worker, workers, sums, dW, m):
    """dW = G^T dU G for every channel and filter, where dU is the sum of the rows of ``sums``."""
    size, p = dW.size // 9, (m + 2) ** 2
    start, share = _share(size, worker, workers)
    dU = sums[0]
    for first in range(start, start + share, SOME):
        n = min(SOME, start + share - first)
        for part in range(1, len(sums)):
            for k in range(p):
                total = dU[k * size + first : k * size + first + n]
                more = sums[part, k * size + first : k * size + first + n]
                for i in range(n):
                    total[i] += more[i]
        if m == 3:
            positions_to_kernel_3(dW, first, 3 * size, size, dU, first, 5 * size, size, n)
        else:
            positions_to_kernel_4(dW, first, 3 * size, size, dU, first, 6 * size, size, n)


# So many channels times filters are summed up and brought back at a time, within a core's cache.
SOME = 1024


# -- between images and positions. A tile that reaches over a border goes through a copy. --------


@compiled
def _gather_inputs(x, first, last, oh, ow, top, left, m, V, tile):
    """V = B^T d B for each tile d of (m + 2)^2 pixels; zeros lie around the image."""
    _, h, w, c = x.shape
    pixels, side = x.reshape(x.size), m + 2
    step, at = V.size // (side * side), 0
    for image in range(first, last):
        for i in range(-top, oh - top, m):
            for j in range(-left, ow - left, m):
                inside = i >= 0 and j >= 0 and i + side <= h and j + side <= w
                source, start, down = pixels, ((image * h + i) * w + j) * c, w * c
                if not inside:
                    zero_run(tile, 0, side * side * c)
                    _copy_inside(tile, pixels, image, h, w, c, i, j, side, False)
                    source, start, down = tile, 0, side * c
                if m == 3:
                    input_to_positions_3(V, at, 5 * step, step, source, start, down, c, c)
                else:
                    input_to_positions_4(V, at, 6 * step, step, source, start, down, c, c)
                at += c


@compiled
def _scatter_outputs(y, first, last, m, M, tile):
    """Y = A^T M A for each tile of m^2 pixels."""
    _, oh, ow, f = y.shape
    pixels = y.reshape(y.size)
    step, at = M.size // ((m + 2) * (m + 2)), 0
    for image in range(first, last):
        for i in range(0, oh, m):
            for j in range(0, ow, m):
                inside = i + m <= oh and j + m <= ow
                target, start, down = pixels, ((image * oh + i) * ow + j) * f, ow * f
                if not inside:
                    target, start, down = tile, 0, m * f
                if m == 3:
                    positions_to_output_3(target, start, down, f, M, at, 5 * step, step, f)
                else:
                    positions_to_output_4(target, start, down, f, M, at, 6 * step, step, f)
                if not inside:
                    _copy_inside(tile, pixels, image, oh, ow, f, i, j, m, True)
                at += f


@compiled
def _gather_gradients(dy, first, last, m, dM, tile):
    """dM = A dY A^T: the adjoint of :func:`_scatter_outputs`."""
    _, oh, ow, f = dy.shape
    pixels = dy.reshape(dy.size)
    step, at = dM.size // ((m + 2) * (m + 2)), 0
    for image in range(first, last):
        for i in range(0, oh, m):
            for j in range(0, ow, m):
                inside = i + m <= oh and j + m <= ow
                source, start, down = pixels, ((image * oh + i) * ow + j) * f, ow * f
                if not inside:
                    zero_run(tile, 0, m * m * f)
                    _copy_inside(tile, pixels, image, oh, ow, f, i, j, m, False)
                    source, start, down = tile, 0, m * f
                if m == 3:
                    output_to_positions_3(dM, at, 5 * step, step, source, start, down, f, f)
                else:
                    output_to_positions_4(dM, at, 6 * step, step, source, start, down, f, f)
                at += f


@compiled
def _scatter_gradients(dx, first, last, oh, ow, top, left, m, dV, tile):
    """dx += B dV B^T: the adjoint of :func:`_gather_inputs`."""
    _, h, w, c = dx.shape
    pixels, side = dx.reshape(dx.size), m + 2
    step, at = dV.size // (side * side), 0
    for image in range(first, last):
        for i in range(-top, oh - top, m):
            for j in range(-left, ow - left, m):
                inside = i >= 0 and j >= 0 and i + side <= h and j + side <= w
                target, start, down = pixels, ((image * h + i) * w + j) * c, w * c
                if not inside:
                    zero_run(tile, 0, side * side * c)
                    _copy_inside(tile, pixels, image, h, w, c, i, j, side, False)
                    target, start, down = tile, 0, side * c
                if m == 3:
                    positions_to_input_3(target, start, down, c, dV, at, 5 * step, step, c)
                else:
                    positions_to_input_4(target, start, down, c, dV, at, 6 * step, step, c)
                if not inside:
                    _copy_inside(tile, pixels, image, h, w, c, i, j, side, True)
                at += c


@compiled
def _copy_inside(tile, pixels, image, h, w, c, i, j, side, back):
    """Copy the part of a tile at (i, j) that lies on the image, from the image or back to it."""
    left, right = max(0, -j), min(side, w - j)
    for row in range(max(0, -i), min(side, h - i)):
        of_tile, of_image = (row * side + left) * c, ((image * h + i + row) * w + j + left) * c
        if back:
            copy_run(pixels, of_image, tile, of_tile, (right - left) * c)
        else:
            copy_run(tile, of_tile, pixels, of_image, (right - left) * c)
