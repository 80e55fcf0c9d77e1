"""Galleries: pictures in rows and columns, with what they are and what a model takes them for."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.plot.arrays import (
    as_labels,
    as_pictures,
    as_predictions,
    as_unit,
    check_same_length,
    label_names,
)
from minicnn.shapes import positive_int

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from minicnn.plot.display import Figure

# Green and red of different lightness; a wrong picture has a frame and bold letters as well, for
# whoever sees no difference between the two colours.
RIGHT = "#1b7f3b"
WRONG = "#c8102e"
# In inches and in points, and how many letters fit above a picture, also where they are bold.
PICTURE_WIDTH, FONT_SIZE, LINE, BOLD_LINE = 1.85, 9, 29, 25


def images(
    x: Any,
    labels: Any = None,
    class_names: Sequence[str] | None = None,
    rows: int = 5,
    columns: int = 5,
    cmap: str = "gray",
    value_range: tuple[float, float] | None = None,
) -> Figure:
    """Draw pictures, the first ``rows * columns`` of them.

    Args:
        x: (n, h, w), (n, h, w, 1) or (n, h, w, 3), or a single picture without n. Whole numbers or
            floats.
        labels: one a picture, drawn above it: numbers (n,) or (n, 1), one-hot rows (n, classes), or
            words.
        class_names: the words for labels 0, 1, 2, ...
        rows, columns: of the gallery, at most.
        cmap: the name of a matplotlib colour map, for pictures of one channel.
        value_range: the values of black and white. By default black is 0 and white is the first of
            1, 16 and 255 that no value exceeds; other values (negative ones) are stretched from
            their smallest to their largest.

    Returns:
        The matplotlib figure. A notebook shows it; ``figure.savefig("images.png")`` saves it.

    Raises:
        ValueError: for shapes that are no pictures, and if ``x`` and ``labels`` differ in length.

    >>> import numpy as np
    >>> figure = images(np.zeros((2, 8, 8)), labels=[0, 1], class_names=["cat", "dog"])
    >>> [axes.get_title() for axes in figure.axes]
    ['cat', 'dog']
    """
    x, value_range = as_pictures(x, value_range=value_range)
    titles = [""] * len(x)
    if labels is not None:
        titles = _words(labels) or label_names(as_labels(labels, "labels"), class_names, "labels")
        check_same_length(x=len(x), labels=len(titles))
    count = min(len(x), positive_int(rows, "rows") * positive_int(columns, "columns"))
    titles = [fill(title, LINE) for title in titles[:count]]
    return _gallery(x[:count], titles, columns, cmap, value_range)[0]


def predictions(
    x: Any,
    y_true: Any,
    y_pred: Any,
    class_names: Sequence[str] | None = None,
    rows: int = 5,
    columns: int = 5,
    seed: int | None = None,
    cmap: str = "gray",
    value_range: tuple[float, float] | None = None,
) -> Figure:
    """Draw pictures with the predicted and the actual label: "P: cat (A: dog)".

    Right predictions are green; wrong ones are red, bold and framed. Under the labels stands the
    probability that the model gave to its prediction, where ``y_pred`` tells it.

    Args:
        x, class_names, rows, columns, cmap, value_range: as for :func:`images`.
        y_true: the actual labels: (n,), (n, 1) or one-hot (n, classes).
        y_pred: what ``model.predict(x)`` returned: probabilities or logits (n, classes), the
            probability of label 1 (n, 1); or predicted labels (n,) as whole numbers.
        seed: draws the pictures at random, the same ones for the same seed. By default the first
            ones are taken.

    Returns:
        The matplotlib figure.

    Raises:
        ValueError: for shapes that are no pictures or labels, and where lengths differ.

    >>> import numpy as np
    >>> figure = predictions(np.zeros((2, 8, 8)), [1, 0], [[0.9, 0.1], [0.8, 0.2]], ["cat", "dog"])
    >>> [axes.get_title() for axes in figure.axes]
    ['P: cat (A: dog)\\n90 %', 'P: cat (A: cat)\\n80 %']
    """
    given = _Given(x, y_true, y_pred, class_names, value_range)
    count = min(len(given.x), positive_int(rows, "rows") * positive_int(columns, "columns"))
    shown = np.arange(count)
    if seed is not None:
        shown = np.random.default_rng(seed).choice(len(given.x), count, replace=False)
    return _draw_predictions(given, shown, columns, cmap)


def misclassified(
    x: Any,
    y_true: Any,
    y_pred: Any,
    class_names: Sequence[str] | None = None,
    rows: int = 5,
    columns: int = 5,
    seed: int | None = None,
    cmap: str = "gray",
    value_range: tuple[float, float] | None = None,
) -> Figure:
    """Draw pictures that the model took for something else, chosen at random.

    The title says how many there are in all; where there is none, it says so.

    Args:
        x, y_true, y_pred, class_names, rows, columns, cmap, value_range: as for
            :func:`predictions`.
        seed: for the same choice every time; by default it is another one at each call.

    Returns:
        The matplotlib figure.

    Raises:
        ValueError: for shapes that are no pictures or labels, and where lengths differ.

    >>> import numpy as np
    >>> figure = misclassified(np.zeros((3, 8, 8)), y_true=[0, 1, 2], y_pred=[0, 1, 1])
    >>> figure.get_suptitle(), [axes.get_title() for axes in figure.axes]
    ('1 of 3 misclassified (33.3 %)', ['P: 1 (A: 2)'])
    """
    given = _Given(x, y_true, y_pred, class_names, value_range)
    most = positive_int(rows, "rows") * positive_int(columns, "columns")
    wrong = np.flatnonzero(given.true != given.predicted)
    n = len(given.x)
    if len(wrong) == 0:
        return _message(f"None of {n:,} pictures is misclassified")
    count = min(len(wrong), most)
    shown = np.random.default_rng(seed).choice(wrong, count, replace=False)
    title = f"{len(wrong):,} of {n:,} misclassified ({100 * len(wrong) / n:.1f} %)"
    if count < len(wrong):
        title += f"; {count} of them are shown"
    return _draw_predictions(given, shown, columns, cmap, title)


class _Given:
    """The arguments that predictions and misclassified share, checked."""

    def __init__(
        self,
        x: Any,
        y_true: Any,
        y_pred: Any,
        class_names: Sequence[str] | None,
        value_range: tuple[float, float] | None,
    ):
        self.x, self.value_range = as_pictures(x, value_range=value_range)
        self.true = as_labels(y_true, "y_true")
        self.predicted, self.confidence = as_predictions(y_pred)
        check_same_length(x=len(self.x), y_true=len(self.true), y_pred=len(self.predicted))
        self.true_names = label_names(self.true, class_names, "y_true")
        self.predicted_names = label_names(self.predicted, class_names, "y_pred")

    def title(self, i: int) -> str:
        """What stands above picture i."""
        predicted, actual = f"P: {self.predicted_names[i]}", f"(A: {self.true_names[i]})"
        title = f"{predicted} {actual}"
        line = LINE if self.predicted[i] == self.true[i] else BOLD_LINE
        if len(title) > line:
            title = f"{fill(predicted, line)}\n{fill(actual, line)}"
        return title if self.confidence is None else f"{title}\n{100 * self.confidence[i]:.0f} %"


def _draw_predictions(
    given: _Given, shown: np.ndarray, columns: int, cmap: str, heading: str = ""
) -> Figure:
    titles = [given.title(i) for i in shown]
    figure, axes = _gallery(given.x[shown], titles, columns, cmap, given.value_range, heading)
    for place, i in zip(axes, shown, strict=True):
        if given.predicted[i] == given.true[i]:
            place.title.set(color=RIGHT)
        else:
            place.title.set(color=WRONG, weight="bold")
            place.spines[:].set(visible=True, color=WRONG, linewidth=2.5)
    return figure


def _gallery(
    x: np.ndarray,
    titles: list[str],
    columns: int,
    cmap: str,
    value_range: tuple[float, float],
    heading: str = "",
) -> tuple[Figure, list[Axes]]:
    """A figure with these pictures in it, row by row, and the axes that hold them."""
    from minicnn.plot.display import TITLE_PADDING, picture_grid, title_height

    h, w = x.shape[1:3]
    width = PICTURE_WIDTH if len(x) > 1 else 1.6 * PICTURE_WIDTH
    height = width * min(max(h / w, 0.25), 4)
    lines = max(title.count("\n") + 1 if title else 0 for title in titles)
    room = title_height(lines, FONT_SIZE)
    columns = min(columns, len(x))
    figure, places = picture_grid(len(x), columns, width, height, room, heading=heading)
    for place, picture, title in zip(places, as_unit(x, value_range), titles, strict=True):
        place.imshow(picture, cmap=cmap, vmin=0, vmax=1)
        place.set_title(title, fontsize=FONT_SIZE, pad=TITLE_PADDING, parse_math=False)
        place.spines[:].set_visible(False)
    return figure, places


def _message(text: str) -> Figure:
    from minicnn.plot.display import Figure

    figure = Figure(6, 1)
    figure.suptitle(text, y=0.5, va="center")
    return figure


def _words(labels: Any) -> list[str] | None:
    """Labels that are words already; ``None`` if they are numbers."""
    if isinstance(labels, np.ndarray):
        labels = labels.tolist()
    if isinstance(labels, (list, tuple)) and labels and all(isinstance(v, str) for v in labels):
        return list(labels)
    return None
