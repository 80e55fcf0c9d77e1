"""Are these targets usable? Checks with messages that say which number is wrong.

Everything here looks at whole arrays before training starts, so that a wrong label is found at once
and named, and not after an epoch as a loss of NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Shape = tuple[int | None, ...]


def as_array(x: Any) -> Any:
    """``x`` as an array; arrays of any floor stay what they are.

    >>> as_array([1, 2])
    array([1, 2])
    """
    return x if hasattr(x, "__array_function__") else np.asarray(x)


def as_floating(x: Any) -> Any:
    """``x`` as an array of floating-point numbers: float32, unless it is an array of them already.

    >>> as_floating([1.0, 2.0]).dtype, as_floating(np.zeros(2)).dtype
    (dtype('float32'), dtype('float64'))
    """
    has_dtype, x = hasattr(x, "dtype"), as_array(x)
    return x if has_dtype and x.dtype.kind == "f" else x.astype(np.float32)


def as_numbers(x: Any, argument: str) -> Any:
    """``x`` as an array of finite numbers (or truth values), and at least one.

    Raises:
        TypeError: if it holds anything else, such as strings.
        ValueError: if it is empty, or a number is NaN or infinite.
    """
    x = as_array(x)
    if x.size == 0:
        raise ValueError(
            f"{argument}: expected at least one number, got an array of shape {x.shape}"
        )
    if x.dtype.kind not in "buif":
        hint = ""
        if x.dtype.kind in "UST":
            hint = "; number the classes first: np.unique(labels, return_inverse=True)[1]"
        raise TypeError(
            f"{argument}: expected numbers, got dtype {x.dtype} such as {x.flat[0]!r}{hint}"
        )
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        label, place = first(x, ~np.isfinite(x))
        raise ValueError(f"{argument}: expected finite numbers, got {label} at index {place}")
    return x


def first(x: Any, wrong: Any) -> tuple[Any, Any]:
    """The first number of ``x`` that is wrong, and its index.

    >>> first(np.array([3, 12, 15]), np.array([False, True, True]))
    (12, 1)
    """
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    return x[place].item(), place[0] if len(place) == 1 else place


def match_rank(y_true: Any, shape: Shape) -> Any:
    """Targets (n,) for an output (n, 1), and the reverse: the last axis of size 1 is put or taken.

    >>> match_rank(np.zeros(5), (None, 1)).shape, match_rank(np.zeros((5, 1)), (5,)).shape
    ((5, 1), (5,))
    """
    if y_true.ndim == len(shape) - 1 and shape[-1] == 1:
        return y_true[..., np.newaxis]
    if y_true.ndim == len(shape) + 1 and y_true.shape[-1] == 1:
        return y_true[..., 0]
    return y_true


def fits(shape: Shape, expected: Shape) -> bool:
    """Whether a shape is the expected one, where ``None`` stands for any size.

    >>> fits((32, 10), (None, 10)), fits((32, 10), (31, 10))
    (True, False)
    """
    return len(shape) == len(expected) and all(
        e is None or s == e for s, e in zip(shape, expected, strict=True)
    )


def check_length(y_true: Any, output_shape: Shape) -> None:
    """Raise a ValueError if there is not one target for each sample."""
    if y_true.ndim == 0:
        raise ValueError(f"y_true: expected one target for each sample, got the number {y_true}")
    if output_shape[0] is not None and y_true.shape[0] != output_shape[0]:
        raise ValueError(
            f"y_true: expected one target for each of the {output_shape[0]} predictions "
            f"(output shape {output_shape}), got {y_true.shape[0]} (shape {y_true.shape})"
        )


def check_same_shape(y_true: Any, output_shape: Shape, loss: str, hint: str = "") -> None:
    """Raise a ValueError if there is not one target for each number of the output."""
    check_length(y_true, output_shape)
    if not fits(y_true.shape, output_shape):
        raise ValueError(
            f"y_true: {loss} compares number by number and needs the output's shape "
            f"{output_shape}, got {y_true.shape}{hint}"
        )


def check_labels(labels: Any, classes: int, ignored: int | None, loss: str) -> None:
    """Raise a ValueError if not all labels are whole numbers from 0 to ``classes - 1``."""
    if labels.dtype.kind == "f" and np.any(labels != np.trunc(labels)):
        label, place = first(labels, labels != np.trunc(labels))
        raise ValueError(
            f"y_true: {loss} needs whole numbers as labels, got {label} at index {place}"
        )
    wrong = (labels < 0) | (labels >= classes)
    if ignored is not None:
        wrong &= labels != ignored
    if np.any(wrong):
        label, place = first(labels, wrong)
        hint = "" if classes > 1 else "; for a single output unit use BinaryCrossentropy"
        raise ValueError(
            f"y_true: expected labels from 0 to {classes - 1} for an output of {classes} classes, "
            f"got {label} at index {place}{hint}"
        )


def check_probabilities(y_true: Any, loss: str) -> None:
    """Raise a ValueError if a target is not between 0 and 1."""
    wrong = (y_true < 0) | (y_true > 1)
    if y_true.dtype.kind != "b" and np.any(wrong):
        label, place = first(y_true, wrong)
        raise ValueError(f"y_true: {loss} needs targets from 0 to 1, got {label} at index {place}")


def align_sample_weight(sample_weight: Any, shape: tuple[int, ...]) -> Any:
    """Weights with as many axes as the values that they weigh, whose shape is given.

    Weights (n,) for values (n, h, w) become (n, 1, 1): they are aligned at the batch. A last axis
    of size 1 too many is dropped.

    Raises:
        ValueError: if the shapes do not fit together.

    >>> align_sample_weight(np.ones(5), (5, 3, 2)).shape
    (5, 1, 1)
    """
    aligned = sample_weight
    if aligned.ndim == len(shape) + 1 and aligned.shape[-1] == 1:
        aligned = aligned[..., 0]
    aligned = aligned.reshape(aligned.shape + (1,) * (len(shape) - aligned.ndim))
    if len(shape) != aligned.ndim or any(
        w not in (1, n) for w, n in zip(aligned.shape, shape, strict=True)
    ):
        raise ValueError(
            f"sample_weight: expected one weight for each sample, shape {shape[:1]}, or a shape "
            f"that broadcasts to that of the loss values, {shape}; got {sample_weight.shape}"
        )
    return aligned
