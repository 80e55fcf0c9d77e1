"""The filters of a convolution, in colour or channel by channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.plot.arrays import as_numpy, best_columns, check_finite
from minicnn.shapes import positive_int

if TYPE_CHECKING:
    from minicnn.plot.display import Figure

# Of the numbers above and beside the filters, in points.
NUMBER_SIZE = 8
# Blue below 0, white at 0, red above. An image filter would smear the gaps between tiles.
SIGNED = {"cmap": "RdBu_r", "interpolation": "nearest"}
GREY = "#bbbbbb"
# How many pixels a weight has in a tile, and how many are left free between two tiles.
ENLARGED, BETWEEN = 8, 4


def filters(
    kernel: Any, columns: int | None = None, most_filters: int = 64, most_channels: int = 16
) -> Figure:
    """Draw the filters of a convolution.

    Filters over three channels are drawn in colour (grey is 0), where a pixel is as red, green and
    blue as the filter likes the picture there. Others are drawn channel by channel, blue below 0
    and red above, a row a filter (filters over one channel fill the rows).

    Args:
        kernel: (kh, kw, in, out), or a layer that has such a weight:
            ``model.get_layer("conv1")``.
        columns: how many filters stand in a row, where a filter is one picture; by default the
            number that fills the rows best.
        most_filters, most_channels: where there are more, the first so many are drawn.

    Returns:
        The matplotlib figure; its title says which layer it is and what is left out.

    Raises:
        ValueError: if the shape is another one, or the layer has no kernel (yet).
    """
    name, kernel = _kernel_of(kernel)
    n = kernel.shape[3]
    drawn = kernel[..., : positive_int(most_filters, "most_filters")]
    title = f"{name}: " if name else ""
    if drawn.shape[3] < n:
        title += f"the first {drawn.shape[3]} of "
    title += "1 filter" if n == 1 else f"{n} filters"
    if kernel.shape[2] in (1, 3):
        return _draw_one_picture_each(drawn, columns, title)
    return _draw_channels(drawn, positive_int(most_channels, "most_channels"), title)


def _draw_one_picture_each(kernel: np.ndarray, columns: int | None, title: str) -> Figure:
    """Filters over one channel, or over the three of a colour picture."""
    from minicnn.plot.display import (
        COLOUR_BAR,
        TITLE_PADDING,
        add_colour_bar,
        picture_grid,
        title_height,
    )

    kh, kw, channels, n = kernel.shape
    largest = _largest(kernel)
    pictures = np.moveaxis(kernel, -1, 0)
    if channels == 3:
        pictures = 0.5 + 0.5 * pictures / largest
    columns = best_columns(n) if columns is None else positive_int(columns, "columns")
    columns = min(columns, n)
    width = min(max(9 / columns, 0.5), 1.4 if columns > 2 else 2.0)
    room = title_height(1, NUMBER_SIZE)
    right = 0.0 if channels == 3 else COLOUR_BAR
    figure, places = picture_grid(n, columns, width, width * kh / kw, room, right, heading=title)
    for k, (place, picture) in enumerate(zip(places, pictures, strict=True)):
        drawn = place.imshow(picture, **SIGNED, vmin=-largest, vmax=largest)
        place.set_title(k, fontsize=NUMBER_SIZE, pad=TITLE_PADDING)
        place.spines[:].set(color=GREY)
    if channels != 3:
        add_colour_bar(figure, drawn)
    return figure


def _draw_channels(kernel: np.ndarray, most_channels: int, title: str) -> Figure:
    """Filters over any number of channels as one picture: a row each, a column for each channel."""
    from minicnn.plot.display import COLOUR_BAR, add_colour_bar, picture_grid, title_height

    channels = kernel.shape[2]
    kernel = kernel[:, :, :most_channels]
    kh, kw, shown, n = kernel.shape
    high, wide = kh * ENLARGED + BETWEEN, kw * ENLARGED + BETWEEN
    tiles = np.full((n, high, shown, wide), np.nan)
    enlarged = kernel.transpose(3, 0, 2, 1).repeat(ENLARGED, axis=1).repeat(ENLARGED, axis=3)
    tiles[:, :-BETWEEN, :, :-BETWEEN] = enlarged
    mosaic = tiles.reshape(n * high, shown * wide)[:-BETWEEN, :-BETWEEN]

    width = min(max(9 / shown, 0.5), 1.0)
    size = (shown * width, n * width * kh / kw)
    title += " (rows), " + (f"the first {shown} of " if shown < channels else "")
    title += f"{channels} channels (columns)"
    room = title_height(1, NUMBER_SIZE)
    figure, (axes,) = picture_grid(1, 1, *size, room, COLOUR_BAR, left=0.2, heading=title)
    largest = _largest(kernel)
    add_colour_bar(figure, axes.imshow(mosaic, **SIGNED, vmin=-largest, vmax=largest))
    x, y = (kw * ENLARGED - 1) / 2, (kh * ENLARGED - 1) / 2  # the middle of the first tile
    axes.set_xticks(x + wide * np.arange(shown), range(shown), fontsize=NUMBER_SIZE)
    axes.set_yticks(y + high * np.arange(n), range(n), fontsize=NUMBER_SIZE)
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)
    return figure


def _largest(kernel: np.ndarray) -> float:
    return float(np.abs(kernel).max()) or 1.0


def _kernel_of(kernel: Any) -> tuple[str | None, np.ndarray]:
    """The layer's name, if it is a layer, and the kernel."""
    name = None
    if hasattr(kernel, "get_weights"):
        name, kernel = kernel.name, _kernel_of_layer(kernel)
    array = as_numpy(kernel, "kernel")
    if array.ndim != 4 or array.size == 0:
        raise ValueError(
            f"kernel: expected a layer, or a kernel (kh, kw, in, out), got shape {array.shape}"
        )
    check_finite(array, "kernel")
    return name, array


def _kernel_of_layer(layer: Any) -> np.ndarray:
    from minicnn.layers import Conv2DTranspose, DepthwiseConv2D, SeparableConv2D

    if hasattr(layer, "layers"):
        raise ValueError(
            f"kernel: {layer.name!r} is a model; give one of its layers: model.get_layer(name)"
        )
    weights = layer.get_weights()
    kernels = [w for w in weights if w.ndim == 4]
    if not kernels:
        why = "it has no weights, or none yet"
        if weights:
            why = f"its weights have the shapes {[w.shape for w in weights]}"
        raise ValueError(f"kernel: layer {layer.name!r} has no kernel (kh, kw, in, out): {why}")
    kernel = kernels[0]
    if isinstance(layer, Conv2DTranspose):  # (kh, kw, out, in)
        return kernel.swapaxes(2, 3)
    if isinstance(layer, (DepthwiseConv2D, SeparableConv2D)):  # each filter over one channel
        return kernel.reshape(*kernel.shape[:2], 1, -1)
    return kernel
