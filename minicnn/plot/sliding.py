"""A kernel that slides over a picture: convolution as an animation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn import shapes
from minicnn.plot.arrays import as_numpy, check_finite

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from minicnn.plot.display import Animation

# Up to that many pixels a side, the numbers are written into them.
MOST_PIXELS_WITH_NUMBERS = 12
# The panels' sides in inches, and the smallest and the largest letters in points.
SIDE, KERNEL_SIDE = 2.8, 1.6
SMALLEST, LARGEST = 5.5, 12
PADDING_COLOUR = "#c9dcef"
EMPTY_COLOUR = "#e4e4e4"
WINDOW_COLOUR = "#d55e00"


def convolution(
    image: Any,
    kernel: Any,
    strides: int | tuple[int, int] = 1,
    padding: str = "valid",
    interval: int = 200,
    most_frames: int = 60,
) -> Animation:
    """Show how a kernel slides over a picture and what comes out.

    On the left the window moves over the picture, whose padding is light blue; in the middle is
    the kernel; on the right the output fills up. As in :class:`minicnn.layers.Conv2D`, the kernel
    is not flipped::

        y[i, j] = sum over p, q of x[i sh + p, j sw + q] W[p, q]     (x padded, strides sh, sw)

    Args:
        image: a picture of one channel, (h, w) or (h, w, 1).
        kernel: (kh, kw), or as a layer holds it, (kh, kw, 1, 1).
        strides: how many pixels the kernel moves on, one number or (down, to the right).
        padding: ``"valid"`` (none) or ``"same"``.
        interval: milliseconds from frame to frame.
        most_frames: where the output has more pixels, several of them come with each frame.

    Returns:
        The matplotlib animation. A notebook plays it; ``save("convolution.gif", writer="pillow")``
        saves it. Keep it in a variable: an animation that nobody holds stops.

    Raises:
        ValueError: for other shapes, and if the kernel does not fit into the picture.
    """
    from minicnn.plot.display import Animation, Figure

    x = _one_channel(image, "image", "(h, w) or (h, w, 1)")
    W = _one_channel(kernel, "kernel", "(kh, kw) or (kh, kw, 1, 1)")
    strides = shapes.pair(strides, "strides")
    padding = shapes.padding_mode(padding)
    y = _convolve(x, W, strides, padding)
    borders = _borders(x.shape, W.shape, strides, padding)
    interval = shapes.positive_int(interval, "interval")
    most_frames = shapes.positive_int(most_frames, "most_frames")
    frames = [*range(0, y.size - 1, -(-y.size // most_frames)), y.size - 1]

    figure = Figure(10, 4)
    left, middle, right = figure.subplots(1, 3, width_ratios=(3, 1.3, 3))
    padded = np.pad(x, borders)
    _draw_image(left, padded, borders)
    _draw_signed(middle, W, KERNEL_SIDE)
    drawn, numbers = _draw_signed(right, y, SIDE, hidden=True)
    h, w = x.shape
    kh, kw = W.shape
    oh, ow = y.shape
    left.set_title(f"picture, {h} × {w}")
    middle.set_title(f"kernel, {kh} × {kw}")
    right.set_title(f"output, {oh} × {ow}")
    figure.suptitle(f"strides {strides}, padding {padding!r}")
    caption = figure.supxlabel(" ", fontsize=10)
    window, mark = _frame(left, kh, kw), _frame(right, 1, 1)

    def show(position: int) -> list[Any]:
        i, j = divmod(position, ow)
        top, start = i * strides[0], j * strides[1]
        window.set_xy((start - 0.5, top - 0.5))
        mark.set_xy((j - 0.5, i - 0.5))
        seen = np.arange(y.size).reshape(y.shape) <= position
        drawn.set_data(np.ma.masked_array(y, ~seen))
        for text, visible in zip(numbers, seen.flat, strict=False):
            text.set_visible(visible)
        caption.set_text(f"output[{i}, {j}] = sum of window × kernel = {y[i, j]:.4g}")
        return [window, mark, drawn, *numbers, caption]

    show(0)
    figure.draw_without_rendering()  # lays the three panels out,
    figure.set_layout_engine("none")  # once and not for each frame
    return Animation(figure, show, frames=frames, interval=interval)


def _convolve(x: np.ndarray, W: np.ndarray, strides: shapes.Pair, padding: str) -> np.ndarray:
    from minicnn.backends.numpy import conv2d

    for n, k, s in zip(x.shape, W.shape, strides, strict=True):
        shapes.output_size(n, k, s, padding)  # explains itself if the kernel does not fit
    x4, W4 = x[np.newaxis, ..., np.newaxis], W[..., np.newaxis, np.newaxis]
    return conv2d(x4, W4, None, strides=strides, padding=padding)[0, ..., 0]


def _borders(
    size: tuple[int, ...], kernel: tuple[int, ...], strides: shapes.Pair, padding: str
) -> list[shapes.Pair]:
    """The zeros around the picture: ((top, bottom), (left, right))."""
    if padding == "valid":
        return [(0, 0), (0, 0)]
    return [shapes.same_padding(n, k, s) for n, k, s in zip(size, kernel, strides, strict=True)]


def _one_channel(values: Any, name: str, expected: str) -> np.ndarray:
    array = as_numpy(values, name)
    shape = array.shape
    if array.ndim in (3, 4) and all(size == 1 for size in shape[2:]):
        array = array.reshape(shape[:2])
    if array.ndim != 2 or array.size == 0:
        hint = ""
        if array.ndim == 3 and shape[-1] == 3:
            hint = f"; for a grey picture take the mean of its colours: {name}.mean(axis=-1)"
        raise ValueError(f"{name}: expected one channel, {expected}, got shape {shape}{hint}")
    check_finite(array, name)
    return array.astype(np.float64)


def _draw_image(axes: Axes, padded: np.ndarray, borders: list[shapes.Pair]) -> None:
    from matplotlib.colors import to_rgb

    from minicnn.plot.display import text_colour

    (top, bottom), (left, right) = borders
    h, w = padded.shape
    inside = (slice(top, h - bottom), slice(left, w - right))
    low, high = padded[inside].min(), padded[inside].max()
    grey = (padded - low) / (high - low if high > low else 1)
    colours = np.full((h, w, 3), to_rgb(PADDING_COLOUR))
    colours[inside] = grey[inside][..., np.newaxis]
    axes.imshow(colours)
    if max(h, w) <= MOST_PIXELS_WITH_NUMBERS:
        _write_numbers(axes, padded, SIDE, lambda i, j: text_colour(colours[i, j]))
    _lines_between_pixels(axes, h, w)


def _draw_signed(
    axes: Axes, values: np.ndarray, side: float, hidden: bool = False
) -> tuple[Any, list[Any]]:
    """Numbers as colours, blue below 0 and red above, and in writing where there are few."""
    from minicnn.plot.display import text_colour

    h, w = values.shape
    largest = np.abs(values).max() or 1.0
    drawn = axes.imshow(values, cmap="RdBu_r", vmin=-largest, vmax=largest)
    axes.set_facecolor(EMPTY_COLOUR)  # seen where a number is masked
    texts = []
    if max(h, w) <= MOST_PIXELS_WITH_NUMBERS:
        colours = drawn.to_rgba(values)[..., :3]
        texts = _write_numbers(axes, values, side, lambda i, j: text_colour(colours[i, j]))
    _lines_between_pixels(axes, h, w)
    for text in texts:
        text.set_visible(not hidden)
    return drawn, texts


def _write_numbers(axes: Axes, values: np.ndarray, side: float, colour: Any) -> list[Any]:
    """The numbers in their pixels; none where there is no room for them.

    Args:
        side: of the panel, in inches.
        colour: of the number in row i and column j.
    """
    room = 72 * side / max(values.shape)  # points across a pixel
    numbers = values.ravel()
    for written in ([f"{x:.3g}" for x in numbers], rounded(numbers, 3), rounded(numbers, 2)):
        # A digit is 0.64 as wide as the letters are high, and there is some air beside them.
        size = min(LARGEST, 0.5 * room, room / (0.64 * max(map(len, written)) + 0.3))
        if size >= SMALLEST:
            break
    else:
        return []
    style = {"ha": "center", "va": "center", "fontsize": size}
    return [
        axes.text(j, i, text, color=colour(i, j), **style)
        for (i, j), text in zip(np.ndindex(values.shape), written, strict=True)
    ]


def rounded(values: np.ndarray, digits: int) -> list[str]:
    """Numbers rounded where the largest one has its last digit.

    >>> rounded(np.array([-2.345, 0.0678, 3.0]), 2), rounded(np.array([12345.6, 7.8]), 2)
    (['-2.3', '0.1', '3'], ['12346', '8'])
    """
    largest = np.abs(values).max()
    decimals = max(digits - 1 - int(np.floor(np.log10(largest or 1))), 0)
    return [f"{round(x, decimals) + 0.0:.15g}" for x in values.tolist()]  # -0.0 + 0.0 is 0.0


def _lines_between_pixels(axes: Axes, h: int, w: int) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color("lightgray")
    if max(h, w) <= MOST_PIXELS_WITH_NUMBERS:
        axes.set_xticks(np.arange(w - 1) + 0.5, minor=True)
        axes.set_yticks(np.arange(h - 1) + 0.5, minor=True)
        axes.grid(which="minor", color="lightgray", linewidth=0.5)
        axes.tick_params(which="minor", length=0)


def _frame(axes: Axes, kh: int, kw: int) -> Any:
    """A border around kh x kw pixels, to be moved."""
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import withStroke

    frame = Rectangle((-0.5, -0.5), kw, kh, fill=False, edgecolor=WINDOW_COLOUR, linewidth=2)
    frame.set(clip_on=False, path_effects=[withStroke(linewidth=4, foreground="white")])
    return axes.add_patch(frame)
