"""Small helpers, as in ``keras.utils``."""

from __future__ import annotations

import random as python_random
from typing import Any

import numpy as np

from minicnn import random
from minicnn.backend import clear_session
from minicnn.custom_objects import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from minicnn.data.pydataset import PyDataset
from minicnn.preprocessing.directory import image_dataset_from_directory
from minicnn.preprocessing.image import array_to_img, img_to_array, load_img, save_img
from minicnn.registry import absent

# What Keras has and this library lacks, and what to write instead.
_INSTEAD = {
    "get_file": "fetch the file yourself, or with pooch.retrieve(url, known_hash)",
}
__all__ = [
    "CustomObjectScope",
    "PyDataset",
    "Sequence",
    "array_to_img",
    "clear_session",
    "custom_object_scope",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "image_dataset_from_directory",
    "img_to_array",
    "load_img",
    "normalize",
    "plot_model",
    "register_keras_serializable",
    "save_img",
    "set_random_seed",
    "to_categorical",
]

Sequence = PyDataset  # its name in Keras 2


def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray:
    """Class numbers as one-hot rows: 1 in the column of the class, 0 elsewhere.

    Args:
        x: whole numbers from 0 to ``num_classes - 1``, of any shape; a last axis of size 1 is
            dropped, so (n,) and (n, 1) both give (n, num_classes).
        num_classes: how many columns; by default ``max(x) + 1``.

    Returns:
        float64, of the shape of ``x`` with ``num_classes`` appended.

    Raises:
        TypeError: if ``x`` does not hold numbers.
        ValueError: if a number is no class.

    >>> to_categorical([0, 2, 1])
    array([[1., 0., 0.],
           [0., 0., 1.],
           [0., 1., 0.]])
    """
    labels = np.asarray(x)
    if labels.size == 0 and num_classes is None:
        raise ValueError("num_classes: must be given where x is empty")
    if labels.size and not (labels.dtype == bool or np.issubdtype(labels.dtype, np.number)):
        raise TypeError(f"x: expected class numbers, got an array of {labels.dtype}")
    with np.errstate(invalid="ignore"):  # NaN is reported below
        classes = labels.astype(np.int64)
    if np.any(classes != labels):
        raise ValueError(f"x: expected whole numbers, got {labels[classes != labels].flat[0]}")
    if labels.ndim > 1 and labels.shape[-1] == 1:
        classes = classes[..., 0]
    if num_classes is None:
        num_classes = int(classes.max()) + 1
    if isinstance(num_classes, bool) or not isinstance(num_classes, (int, np.integer)):
        raise TypeError(f"num_classes: expected an int, got {num_classes!r}")
    outside = (classes < 0) | (classes >= num_classes)
    if outside.any():
        raise ValueError(
            f"x: expected classes from 0 to {num_classes - 1} (num_classes={num_classes}), "
            f"got {classes[outside].flat[0]}"
        )
    one_hot = np.zeros((*classes.shape, num_classes))
    np.put_along_axis(one_hot, classes[..., np.newaxis], 1, axis=-1)
    return one_hot


def normalize(x: Any, axis: int = -1, order: float = 2) -> np.ndarray:
    """``x`` divided by its norm along an axis; a vector of zeros stays as it is.

    Args:
        x: an array of any shape.
        axis: along which the norm is taken.
        order: 2 for sqrt(sum x^2), 1 for sum |x|, ``np.inf`` for max |x|, ...

    >>> normalize(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    x = np.asarray(x)
    norm = np.linalg.norm(x, order, axis, keepdims=True)
    return x / np.where(norm == 0, 1, norm)


def set_random_seed(seed: int) -> None:
    """Start Python's, NumPy's and the library's random numbers from ``seed``.

    After it, the same program gives the same weights, masks and orders.

    Raises:
        TypeError: if ``seed`` is not an integer.
        ValueError: if it does not lie between 0 and 2**32 - 1 (NumPy's range).
    """
    if not isinstance(seed, bool) and isinstance(seed, (int, np.integer)) and seed >= 2**32:
        raise ValueError(f"seed: expected an integer between 0 and 2**32 - 1, got {seed}")
    random.set_seed(seed)
    python_random.seed(int(seed))
    # For the user's own np.random.shuffle and the like; the library itself does not use it.
    np.random.seed(int(seed))  # noqa: NPY002


def plot_model(
    model: Any,
    to_file: str | None = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
) -> Any:
    """Draw a model's flow diagram, as :func:`minicnn.plot.model` does, and save it.

    Args:
        model: as there.
        to_file: where to; the ending says whether it is a PNG, an SVG or a PDF. ``None``: nowhere.
        dpi: pixels per inch of a PNG.
        show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, show_layer_activations,
            show_trainable, splines: Keras's switches. They change nothing: the diagram always has
            names, shapes and numbers of weights, and runs from top to bottom.

    Returns:
        The matplotlib figure, which a notebook shows.
    """
    from minicnn import plot

    figure = plot.model(model)
    if to_file is not None:
        figure.savefig(to_file, dpi=dpi)
    return figure


def __getattr__(name: str) -> Any:
    raise absent(__name__, name, _INSTEAD)
