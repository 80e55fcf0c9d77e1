"""Windows on images: what convolution and pooling have in common.

An operation on windows has two sides. On the one lies an *image* of h x w pixels, on the other
stand oh x ow *windows*. A window is kh x kw *taps*, the places through which it looks at the image:
window (r, q) has its tap (i, j) on the pixel

    row  r * stride + i * dilation - top
    col  q * stride + j * dilation - left

where (top, left) is the padding; if that is outside the image, the tap sees nothing.

There are two ways through all these (r, q, i, j). :func:`im2col` ("image to columns") copies every
window into a row of one large matrix, so that a convolution becomes a product of matrices.
:meth:`Windows.taps` takes one tap at a time: what *all* windows have under it is a regular, strided
slice of the image. That is a loop of kh * kw turns whatever the image's size, needs no padded copy,
and adds up safely where windows overlap.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from minicnn.shapes import Pair, output_size, padding_for, span, transposed_output_size

COLUMN_BYTES = 2**25
"""How much memory the matrix of :func:`im2col` may take at a time (one image may take more)."""

Slices = tuple[slice, slice, slice]


class Windows(NamedTuple):
    """Where the windows of one operation stand. Each field is a pair: down, and across.

    Attributes:
        image: ``(h, w)``.
        count: ``(oh, ow)``, how many windows there are.
        kernel_size: ``(kh, kw)``.
        strides, dilation: the distance between two windows, and between two taps, in pixels.
    """

    image: Pair
    count: Pair
    kernel_size: Pair
    strides: Pair
    dilation: Pair

    @classmethod
    def on(
        cls, image: Pair, kernel_size: Pair, strides: Pair, padding: str, dilation: Pair = (1, 1)
    ) -> Windows:
        """As many windows as the image takes: convolution and pooling.

        Raises:
            ValueError: if there is no room for a single one.
        """
        count = tuple(map(output_size, image, kernel_size, strides, (padding,) * 2, dilation))
        return cls(tuple(image), count, tuple(kernel_size), tuple(strides), tuple(dilation))

    @classmethod
    def under(
        cls,
        count: Pair,
        kernel_size: Pair,
        strides: Pair,
        padding: str,
        dilation: Pair = (1, 1),
        output_padding: Pair | None = None,
    ) -> Windows:
        """The image that a given number of windows is laid down on: transposed convolution."""
        image = tuple(
            map(
                transposed_output_size,
                count,
                kernel_size,
                strides,
                (padding,) * 2,
                dilation,
                output_padding or (None, None),
            )
        )
        return cls(image, tuple(count), tuple(kernel_size), tuple(strides), tuple(dilation))

    @property
    def borders(self) -> tuple[Pair, Pair]:
        """The padding ``((top, bottom), (left, right))``."""
        rows, columns = map(padding_for, *self)  # once with all the first numbers, once the second
        return rows, columns

    def taps(self) -> list[tuple[tuple[int, int], Slices, Slices]]:
        """For every tap of the kernel, row by row: ``((i, j), inside, pixels)``.

        ``inside`` indexes the windows, in an array (n, oh, ow, ...), whose tap (i, j) is inside the
        image; ``pixels`` the pixels under it, in an array (n, h, w, ...), in the same order.

        >>> (i, j), inside, pixels = Windows.on((5, 5), (3, 3), (2, 2), "same").taps()[0]
        >>> inside[1], pixels[1]  # tap 0 of window 0 is on the padding; of 1 and 2, on rows 1 and 3
        (slice(1, 3, None), slice(1, 5, 2))
        """
        rows, columns = map(_taps_on_axis, *self, (border[0] for border in self.borders))
        everything = slice(None)
        return [
            ((i, j), (everything, window_rows, window_cols), (everything, pixel_rows, pixel_cols))
            for i, (window_rows, pixel_rows) in enumerate(rows)
            for j, (window_cols, pixel_cols) in enumerate(columns)
        ]


def _taps_on_axis(
    n: int, count: int, k: int, s: int, dilation: int, before: int
) -> list[tuple[slice, slice]]:
    """For every tap: which of the windows have it inside the image, and on which pixels."""
    taps = []
    for i in range(k):
        shift = i * dilation - before  # window r has the tap on pixel r * s + shift
        first = max(0, -(shift // s))  # the first r whose pixel is at least 0
        end = max(first, min(count, (n - 1 - shift) // s + 1))  # one past the last: pixel < n
        start = first * s + shift
        taps.append((slice(first, end), slice(start, start + (end - first) * s, s)))
    return taps


def im2col(x: np.ndarray, windows: Windows) -> np.ndarray:
    """Every window of ``x`` as a row of a matrix: all windows of an image, and so image by image.

    Args:
        x: (n, h, w, c).

    Returns:
        (n * oh * ow, kh * kw * c). Within a row the taps run in the order of a kernel (kh, kw, c),
        so that ``W.reshape(-1, f)`` is the matrix to multiply with. Taps outside the image are 0.

    Source: Chellapilla, Puri and Simard, "High performance convolutional neural networks for
    document processing" (2006).

    >>> x = np.arange(9.0).reshape(1, 3, 3, 1)
    >>> im2col(x, Windows.on((3, 3), (2, 2), (1, 1), "valid"))
    array([[0., 1., 3., 4.],
           [1., 2., 4., 5.],
           [3., 4., 6., 7.],
           [4., 5., 7., 8.]])
    """
    if any(map(any, windows.borders)):
        x = np.pad(x, ((0, 0), *windows.borders, (0, 0)))
    (kh, kw), (sh, sw), (dh, dw) = windows.kernel_size, windows.strides, windows.dilation
    # Every window at every pixel, as a view (n, rows, columns, c, span, span): nothing is copied
    # before the reshape below. Of these, strides and dilation pick the windows and taps that count.
    view = np.lib.stride_tricks.sliding_window_view(x, (span(kh, dh), span(kw, dw)), axis=(1, 2))
    view = view[:, ::sh, ::sw, :, ::dh, ::dw].transpose(0, 1, 2, 4, 5, 3)
    return view.reshape(-1, kh * kw * x.shape[3])


def blocks(x: np.ndarray, windows: Windows) -> Iterator[slice]:
    """The batch in blocks of images whose :func:`im2col` takes at most ``COLUMN_BYTES``.

    Written out, the windows of a 3x3 kernel hold every pixel nine times. Taken block by block, a
    large batch needs no more memory than a small one.
    """
    (oh, ow), (kh, kw) = windows.count, windows.kernel_size
    per_image = oh * ow * kh * kw * x.shape[3] * x.itemsize
    size = max(1, COLUMN_BYTES // per_image)
    for start in range(0, len(x), size):
        yield slice(start, start + size)
