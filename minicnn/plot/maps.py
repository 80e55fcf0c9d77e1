"""Feature maps: what comes out of a convolution, channel by channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minicnn.plot.arrays import as_numpy, best_columns, check_finite
from minicnn.shapes import positive_int

if TYPE_CHECKING:
    from minicnn.plot.display import Figure

# Of the numbers above the maps, in points.
NUMBER_SIZE = 8


def feature_maps(
    maps: Any, columns: int | None = None, cmap: str = "viridis", same_scale: bool = False
) -> Figure:
    """Draw what a layer makes of one picture, channel by channel.

    Args:
        maps: one picture's output of a convolution or pooling, (h, w, c) or (1, h, w, c):
            ``Model(model.inputs, layer.output)(pictures)[0]``.
        columns: how many maps stand in a row; by default the number that fills the rows best.
        cmap: the name of a matplotlib colour map.
        same_scale: whether a colour stands for the same number in all maps. By default each map
            goes through all colours, which shows weak ones, too.

    Returns:
        The matplotlib figure, with the channel's number above each map.

    Raises:
        ValueError: if the shape is another one, or nothing is in it.
    """
    from minicnn.plot.display import (
        COLOUR_BAR,
        TITLE_PADDING,
        add_colour_bar,
        picture_grid,
        title_height,
    )

    maps = as_numpy(maps, "maps")
    if maps.ndim == 4 and maps.shape[0] == 1:
        maps = maps[0]
    if maps.ndim != 3:
        hint = "; take one picture's maps: maps[0]" if maps.ndim == 4 else ""
        raise ValueError(
            f"maps: expected one picture's maps, (h, w, c) or (1, h, w, c), got shape "
            f"{maps.shape}{hint}"
        )
    if maps.size == 0:
        raise ValueError(f"maps: there is nothing to draw in an array of shape {maps.shape}")
    check_finite(maps, "maps")
    h, w, c = maps.shape
    columns = best_columns(c) if columns is None else min(positive_int(columns, "columns"), c)
    limits = {"vmin": maps.min(), "vmax": maps.max()} if same_scale else {}
    width = min(max(10 / columns, 0.9), 2.2)
    height = width * min(max(h / w, 0.25), 4)
    right = COLOUR_BAR if same_scale else 0.0
    room = title_height(1, NUMBER_SIZE)
    figure, places = picture_grid(c, columns, width, height, room, right)
    for k, place in enumerate(places):
        drawn = place.imshow(maps[..., k], cmap=cmap, **limits)
        place.set_title(k, fontsize=NUMBER_SIZE, pad=TITLE_PADDING)
        place.spines[:].set_visible(False)
    if same_scale:
        add_colour_bar(figure, drawn)
    return figure
