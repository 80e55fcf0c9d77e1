"""Figures that show themselves in a notebook, and of which nothing stays behind in pyplot.

pyplot keeps a list of all figures it has made, and holds them until they are closed. A figure of
ours is in no such list: it goes when nobody holds it any more. This is the one file that imports
matplotlib when it is imported itself, so the others import it inside their functions.
"""

from __future__ import annotations

import io
from math import ceil
from textwrap import fill
from typing import Any

import matplotlib.figure
import numpy as np
from matplotlib.animation import FuncAnimation
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb

# In inches: between pictures and at the borders, and for a colour bar.
GAP, COLOUR_BAR = 0.1, 0.9
# In points: between a title and its picture, and the letters of a heading.
TITLE_PADDING, HEADING_SIZE = 4, 11


class Figure(matplotlib.figure.Figure):
    """A matplotlib figure that a notebook shows when it is the value of a cell.

    It works as any other: ``figure.savefig("curves.png")``, ``figure.axes``.

    Args:
        width, height: in inches.
    """

    def __init__(self, width: float, height: float):
        super().__init__(figsize=(width, height))
        self.set_layout_engine("constrained", w_pad=GAP, h_pad=GAP)
        FigureCanvasAgg(self)

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()

    def show(self) -> None:
        """Show the figure now: in the middle of a notebook's cell, or in a window.

        In a script the call returns when the window is closed. Without a display nothing is shown.
        """
        if _in_notebook():
            from IPython.display import display

            display(self)
            return
        from matplotlib import pyplot

        # pyplot opens windows for figures of its own making only, so it is handed this one.
        pyplot.figure(FigureClass=lambda **settings: self)
        pyplot.show()
        if self.canvas.required_interactive_framework is None:
            pyplot.close(self)


class Animation(FuncAnimation):
    """A matplotlib animation that a notebook plays when it is the value of a cell.

    ``animation.save("convolution.gif", writer="pillow")`` makes a GIF of it.
    """

    def _repr_html_(self) -> str:
        return self.to_jshtml()


def picture_grid(
    n: int,
    columns: int,
    width: float,
    height: float,
    room: float = 0.0,
    right: float = 0.0,
    left: float = 0.0,
    heading: str = "",
) -> tuple[Figure, list[Axes]]:
    """A figure that is just large enough for n pictures, and the axes for them, row by row.

    All lengths are in inches. Everything has its place, which is much faster for many pictures than
    to have matplotlib find one.

    Args:
        n, columns: how many pictures there are, and how many stand in a row.
        width, height: of a picture.
        room: what is left free above each picture for its title.
        right, left: the room beside all pictures.
        heading: a text above all pictures, which gets as many lines as it needs.
    """
    rows = ceil(n / columns)
    across, down = width + GAP, height + room + GAP
    w = left + columns * across + GAP + right
    heading = fitting(heading, w)
    h = rows * down + GAP + title_height(heading.count("\n") + bool(heading), HEADING_SIZE)
    figure = Figure(w, h)
    figure.set_layout_engine("none")
    if heading:
        figure.suptitle(heading, fontsize=HEADING_SIZE, y=1 - GAP / h, parse_math=False)
    places = []
    for k in range(n):
        row, column = divmod(k, columns)
        x, y = left + GAP + column * across, GAP + (rows - 1 - row) * down
        places.append(figure.add_axes((x / w, y / h, width / w, height / h)))
        places[-1].set_xticks([])
        places[-1].set_yticks([])
    return figure, places


def add_colour_bar(figure: Figure, drawn: Any) -> None:
    """A bar in the room that :func:`picture_grid` left on the right, COLOUR_BAR inches wide."""
    w, h = figure.get_size_inches()
    height = min(0.8 * h, 4)
    place = ((w - COLOUR_BAR + 0.1) / w, 0.5 - height / h / 2, 0.12 / w, height / h)
    figure.colorbar(drawn, cax=figure.add_axes(place))


def fitting(heading: str, width: float) -> str:
    """A heading broken into lines that fit into so many inches."""
    return fill(heading, int(width * 72 / (0.58 * HEADING_SIZE)))


def title_height(lines: int, size: float) -> float:
    """The room in inches for a title of so many lines in letters of so many points."""
    return (1.2 * size * lines + TITLE_PADDING) / 72 if lines else 0.0


def _in_notebook() -> bool:
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return getattr(get_ipython(), "kernel", None) is not None


def text_colour(background: Any) -> str:
    """Black or white, whichever is read more easily on a background colour."""
    # The relative luminance of WCAG 2, and where its contrast to black and to white is the same.
    linear = ((np.array(to_rgb(background)) + 0.055) / 1.055) ** 2.4
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    return "black" if luminance > 0.179 else "white"
