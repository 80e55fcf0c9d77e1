"""What a picture is drawn from: arrays of any backend, brought into one form and checked."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from math import ceil, sqrt
from typing import Any

import numpy as np

# Pictures come as 0..1, as the 0..16 of the small digits, or as bytes.
PIXEL_RANGES = (1, 16, 255)


def as_numpy(values: Any, name: str) -> np.ndarray:
    """``values`` as a NumPy array of numbers, wherever they were computed.

    Raises:
        ValueError: if they are no numbers, or no array at all.
    """
    if isinstance(values, (list, tuple)):
        values = [as_numpy(value, name) for value in values]
    elif callable(getattr(values, "get", None)):
        with suppress(TypeError):  # not a GPU's array after all, but a dictionary or a table
            values = values.get()
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(
            f"{name}: expected an array, got one that NumPy refuses: {error}"
        ) from None
    if array.dtype == bool:
        return array.astype(np.uint8)
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name}: expected an array of numbers, got {_describe(values, array)}")
    return array


def as_pictures(
    x: Any, name: str = "x", value_range: tuple[float, float] | None = None
) -> tuple[np.ndarray, tuple[float, float]]:
    """Pictures as (n, h, w) or (n, h, w, 3), with the values that are black and white.

    Args:
        x: one picture (h, w), (h, w, 1) or (h, w, 3), or a batch (n, h, w), (n, h, w, 1) or
            (n, h, w, 3). Rank 3 is one picture where the last axis has 1 or 3 elements.
        name: of the argument, for errors.
        value_range: the values of black and white. By default 0 and the first of 1, 16 and 255 that
            no value exceeds; the smallest and the largest value where there are others.

    Raises:
        ValueError: for another rank or number of channels, and where nothing is to be drawn.
    """
    x = as_numpy(x, name)
    if x.ndim == 2 or (x.ndim == 3 and x.shape[-1] in (1, 3)):
        x = x[np.newaxis]
    if x.ndim not in (3, 4):
        raise ValueError(
            f"{name}: expected pictures as (h, w), (h, w, c), (n, h, w) or (n, h, w, c), "
            f"got shape {x.shape}"
        )
    if x.size == 0:
        raise ValueError(f"{name}: there is nothing to draw in an array of shape {x.shape}")
    if x.ndim == 4 and x.shape[-1] not in (1, 3):
        raise ValueError(
            f"{name}: expected 1 channel (grey) or 3 (red, green, blue), got shape {x.shape}"
        )
    if x.ndim == 4 and x.shape[-1] == 1:
        x = x[..., 0]
    return x, pixel_range(x, name) if value_range is None else value_range


def pixel_range(x: np.ndarray, name: str = "x") -> tuple[float, float]:
    """The values that are black and white in pictures of which nothing else is known.

    >>> [pixel_range(np.array(x)) for x in ([0.0, 0.7], [3, 200], [-1, 1])]
    [(0, 1), (0, 255), (-1.0, 1.0)]
    """
    low, high = float(x.min()), float(x.max())
    if not np.isfinite([low, high]).all():
        check_finite(x, name)
    if low >= 0:
        for white in PIXEL_RANGES:
            if high <= white:
                return 0, white
    return low, high if high > low else low + 1


def as_unit(x: np.ndarray, value_range: tuple[float, float]) -> np.ndarray:
    """Pixels from 0 (black) to 1 (white), as matplotlib wants its colours."""
    low, high = value_range
    if not low < high:
        raise ValueError(
            f"value_range: expected (black, white) with black < white, got {value_range}"
        )
    return np.clip((x.astype(np.float64) - low) / (high - low), 0, 1)


def as_labels(y: Any, name: str) -> np.ndarray:
    """Labels as integers (n,), from (n,), (n, 1), whole floats, one-hot rows or probabilities."""
    y = as_numpy(y, name)
    check_finite(y, name)
    if y.ndim == 2 and y.shape[1] > 1:
        _check_not_empty(y, name)
        return y.argmax(axis=1)
    if y.ndim not in (1, 2) or 0 in y.shape[1:]:
        raise ValueError(
            f"{name}: expected labels (n,) or (n, 1), or one-hot rows (n, classes), "
            f"got shape {y.shape}"
        )
    _check_not_empty(y, name)
    labels = y.reshape(-1).astype(np.int64)
    if not np.array_equal(labels, y.reshape(-1)):
        odd = y.reshape(-1)[labels != y.reshape(-1)][0]
        raise ValueError(f"{name}: expected whole numbers as labels, got {odd}")
    if labels.min() < 0:
        raise ValueError(f"{name}: expected labels from 0 on, got {labels.min()}")
    return labels


def as_predictions(y_pred: Any, name: str = "y_pred") -> tuple[np.ndarray, np.ndarray | None]:
    """Predicted labels (n,) and, where they can be told, how sure the model is of each (n,).

    ``y_pred`` is what ``predict`` returned: probabilities (n, classes), the single probability of a
    sigmoid (n, 1) or (n,), logits (n, classes), which tell no confidence; or labels already.
    """
    y = as_numpy(y_pred, name)
    check_finite(y, name)
    within_unit = y.dtype.kind == "f" and bool(np.all((y >= 0) & (y <= 1.001)))
    if y.ndim == 2 and y.shape[1] > 1:
        return as_labels(y, name), y.max(axis=1).clip(0, 1) if within_unit and len(y) else None
    if y.ndim in (1, 2) and within_unit and np.any((y > 0) & (y < 1)):
        p = y.reshape(-1).clip(0, 1)
        return (p > 0.5).astype(np.int64), np.maximum(p, 1 - p)
    return as_labels(y, name), None


def label_names(labels: np.ndarray, class_names: Sequence[str] | None, name: str) -> list[str]:
    """Each label in words, or as a number where ``class_names`` is ``None``."""
    if class_names is None:
        return [str(label) for label in labels]
    if labels.size and labels.max() >= len(class_names):
        raise ValueError(
            f"class_names: there are {len(class_names)} names, "
            f"so {name} goes from 0 to {len(class_names) - 1}, got label {labels.max()}"
        )
    return [str(class_names[label]) for label in labels]


def check_same_length(**lengths: int) -> None:
    """Raise a ValueError unless all are equal: ``check_same_length(x=5, labels=4)`` does."""
    if len(set(lengths.values())) > 1:
        got = ", ".join(f"{length} in {name}" for name, length in lengths.items())
        raise ValueError(f"{' and '.join(lengths)}: expected equally many, got {got}")


def check_finite(array: np.ndarray, name: str) -> None:
    """Raise a ValueError if something is not a number, or infinite."""
    finite = np.isfinite(array)
    if not finite.all():
        raise ValueError(
            f"{name}: expected finite values, got {array[~finite][0]} "
            f"({array.size - finite.sum():,} of {array.size:,} values are not finite)"
        )


def best_columns(n: int) -> int:
    """Columns for n pictures: as high as wide or up to four times as wide, with few gaps.

    >>> [best_columns(n) for n in (1, 6, 10, 32, 48, 64, 128)]
    [1, 3, 5, 8, 8, 8, 16]
    """
    least = ceil(sqrt(n))
    return min(range(least, 2 * least + 1), key=lambda columns: -n % columns)


def _check_not_empty(y: np.ndarray, name: str) -> None:
    if len(y) == 0:
        raise ValueError(f"{name}: there is nothing to draw in an array of shape {y.shape}")


def _describe(values: Any, array: np.ndarray) -> str:
    if array.ndim == 0:
        return f"{type(values).__name__} {str(values)[:60]!r}"
    return f"dtype {array.dtype}"
