"""The confusion matrix: which label is taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.plot.arrays import as_labels, as_predictions, check_same_length, label_names

if TYPE_CHECKING:
    from minicnn.plot.display import Figure

# Beyond that many classes the numbers in the cells would be too small to read.
MOST_CLASSES_WITH_NUMBERS = 30
TITLES = {
    None: "number of samples",
    False: "number of samples",
    True: "percent of each actual label",
    "true": "percent of each actual label",
    "pred": "percent of each predicted label",
    "all": "percent of all samples",
}


def confusion_matrix(
    y_true: Any,
    y_pred: Any,
    class_names: Sequence[str] | None = None,
    normalize: bool | str | None = None,
    cmap: str = "Blues",
) -> Figure:
    """Draw how often label i (a row) was predicted as label j (a column).

    Colours follow the square root of the numbers, so that a few mistakes show beside the many that
    are right.

    Args:
        y_true: the actual labels: (n,), (n, 1) or one-hot (n, classes).
        y_pred: the predicted ones, or what ``model.predict`` returned.
        class_names: the words for labels 0, 1, 2, ...
        normalize: for shares in percent in place of counts: ``True`` or ``"true"`` of each actual
            label (rows add up to 100), ``"pred"`` of each predicted one (columns do), ``"all"`` of
            all.
        cmap: the name of a matplotlib colour map.

    Returns:
        The matplotlib figure.

    Raises:
        ValueError: for labels that have no name, for shapes that are no labels, and where the
            lengths differ.

    >>> figure = confusion_matrix([0, 0, 1], [0, 1, 1], class_names=["cat", "dog"])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['1', '1', '0', '1']
    """
    from matplotlib.colors import PowerNorm

    from minicnn.plot.display import COLOUR_BAR, Figure, text_colour

    true = as_labels(y_true, "y_true")
    predicted, _ = as_predictions(y_pred)
    check_same_length(y_true=len(true), y_pred=len(predicted))
    if normalize not in TITLES:
        raise ValueError(
            f"normalize: expected None, True, 'true', 'pred' or 'all', got {normalize!r}"
        )
    n = max(true.max(), predicted.max()) + 1
    if class_names is not None:
        label_names(true, class_names, "y_true")
        label_names(predicted, class_names, "y_pred")
        n = len(class_names)
    names = label_names(np.arange(n), class_names, "class_names")
    counts = count_pairs(true, predicted, n)
    values = counts if not normalize else 100 * shares(counts, normalize)

    with_numbers = n <= MOST_CLASSES_WITH_NUMBERS
    side = max(0.55 * n, 2) if with_numbers else max(0.1 * n, 8)
    longest = 0.08 * max(map(len, names))
    bar = 0.0 if with_numbers else COLOUR_BAR
    figure = Figure(side + longest + 0.6 + bar, side + longest + 0.8)
    axes = figure.subplots()
    picture = axes.imshow(values, cmap=cmap, norm=PowerNorm(0.5, 0, max(values.max(), 1e-9)))
    if with_numbers:
        for (i, j), value in np.ndenumerate(values):
            axes.text(
                j,
                i,
                _number(value),
                ha="center",
                va="center",
                fontsize=9,
                color=text_colour(picture.to_rgba(value)[:3]),
            )
    else:
        figure.colorbar(picture, ax=axes, shrink=0.8)
    if with_numbers or class_names is not None:
        style = {"fontsize": 10 if with_numbers else 5, "parse_math": False}
        axes.set_xticks(range(n), names, rotation=_rotation(names), **style)
        axes.set_yticks(range(n), names, **style)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("actual")
    axes.set_title(TITLES[normalize], fontsize=10)
    return figure


def count_pairs(true: np.ndarray, predicted: np.ndarray, n: int) -> np.ndarray:
    """How often each (actual, predicted) pair occurs, (n, n).

    >>> count_pairs(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
    array([[1, 1],
           [0, 1]])
    """
    return np.bincount(true * n + predicted, minlength=n * n).reshape(n, n)


def shares(counts: np.ndarray, of: bool | str) -> np.ndarray:
    """Counts as shares of their row ("true"), their column ("pred") or all; 0 of nothing is 0."""
    axis = {True: 1, "true": 1, "pred": 0, "all": None}[of]
    totals = counts.sum(axis=axis, keepdims=True)
    return counts / np.maximum(totals, 1)


def _number(value: float) -> str:
    """Counts as they are; shares with one decimal, but for a plain 0 and 100."""
    return f"{value:.1f}" if value % 100 and isinstance(value, np.floating) else f"{value:.0f}"


def _rotation(names: list[str]) -> int:
    return 0 if max(map(len, names)) <= 3 else 90
