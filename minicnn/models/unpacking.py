"""Data for training: whatever the caller has is unpacked into inputs, targets and sample weights.

Everything that can be checked is checked here, before the first step changes a weight.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn.backend import floor_of
from minicnn.data.pydataset import Epochs, PyDataset
from minicnn.models.batches import ArrayBatches, Batch, Batches, StreamBatches
from minicnn.models.drawing import shapes_of
from minicnn.random import SeedGenerator


def make_batches(
    model: Any,
    x: Any,
    y: Any,
    sample_weight: Any,
    batch_size: int | None,
    steps: int | None,
    steps_argument: str,
    *,
    class_weight: dict[int, float] | None = None,
    shuffle: SeedGenerator | None = None,
    predicting: bool = False,
    goes_on: bool = False,
) -> Batches:
    """Batches from whatever a user handed to ``fit``, ``evaluate`` or ``predict``.

    Raises:
        ValueError, TypeError: if the data do not fit each other or the model.
    """
    batch_size = _count(32 if batch_size is None else batch_size, "batch_size")
    steps = None if steps is None else _count(steps, steps_argument)

    def unpack(x: Any, y: Any, w: Any) -> Batch:
        inputs = _inputs(model, x)
        if predicting:
            return inputs, [], []
        targets, weights = _targets(model, inputs, y, w, class_weight)
        return inputs, targets, weights

    if not is_stream(x):
        parts = unpack(x, y, sample_weight)
        arrays = ArrayBatches(*parts, batch_size, shuffle, model.ops, model.dtype)
        return Batches(arrays, steps, goes_on)
    for argument, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            raise ValueError(f"{argument}: must not be given when x is a data set that yields it")
    stream = Epochs(x, shuffle) if isinstance(x, PyDataset) else x
    return Batches(StreamBatches(stream, unpack), steps, goes_on)


def is_stream(x: Any) -> bool:
    """Whether ``x`` yields batches, rather than being an array or a collection of arrays."""
    is_array = hasattr(x, "__array__") or isinstance(x, (list, tuple, dict, str, bytes))
    return hasattr(x, "__iter__") and not is_array


def validation_parts(validation_data: Any) -> tuple[Any, Any, Any]:
    """``(x, y, sample_weight)``, from a tuple or list of two or three, or from a data set.

    Raises:
        ValueError: if it is a tuple or list of another length.
    """
    if not isinstance(validation_data, (tuple, list)):
        return validation_data, None, None
    if len(validation_data) not in (2, 3):
        raise ValueError(
            "validation_data: expected (x, y), (x, y, sample_weight) or a data set, got "
            f"{len(validation_data)} parts"
        )
    return (*validation_data, None)[:3]


def split_validation(
    x: Any, y: Any, sample_weight: Any, fraction: float, validation_data: Any
) -> tuple[Any, Any, Any, Any]:
    """Take the last part of the samples for validation, unless validation data are given.

    Returns:
        ``(x, y, sample_weight, validation_data)``.
    """
    if not isinstance(fraction, (int, float)) or not 0 <= fraction < 1:
        raise ValueError(f"validation_split: expected a number in [0, 1), got {fraction!r}")
    if validation_data is not None or not fraction:
        return x, y, sample_weight, validation_data
    if is_stream(x):
        raise ValueError("validation_split: needs arrays; got a data set, so pass validation_data")
    samples = len(_leaves(x)[0])
    at = math.floor(samples * (1 - fraction))
    if at == 0:
        raise ValueError(
            f"validation_split: {fraction} of {samples} samples leaves none to train on"
        )

    def cut(part: Any, rows: slice) -> Any:
        if isinstance(part, dict):
            return {key: np.asarray(value)[rows] for key, value in part.items()}
        if isinstance(part, (list, tuple)) and part and hasattr(part[0], "shape"):
            return [np.asarray(value)[rows] for value in part]
        return None if part is None else np.asarray(part)[rows]

    train, rest = slice(0, at), slice(at, None)
    validation = tuple(cut(part, rest) for part in (x, y, sample_weight))
    return cut(x, train), cut(y, train), cut(sample_weight, train), validation


def _inputs(model: Any, x: Any) -> list[np.ndarray]:
    """An array for every input of the model, which is built now if it was not yet."""
    if x is None:
        raise ValueError("x: expected an array or a data set, got None")
    if model.graph is None:
        model.ensure_drawn(shapes_of(x))
    names = ["x"] if model.graph is None else model.input_names
    arrays = _by_name(x, names, "x")
    samples = len(arrays[0])
    if not samples:
        raise ValueError("x: expected at least one sample, got an empty array")
    if any(len(array) != samples for array in arrays):
        raise ValueError(f"x: the inputs have {[len(array) for array in arrays]} samples")
    if model.graph is None:
        model.build((None, *arrays[0].shape[1:]))
    arrays = [
        _fit_rank(array, tensor.shape) for array, tensor in zip(arrays, model.inputs, strict=True)
    ]
    shapes = [array.shape for array in arrays]
    model.check_input_shape(shapes if len(shapes) > 1 else shapes[0])
    return arrays


def _targets(
    model: Any, inputs: list[np.ndarray], y: Any, sample_weight: Any, class_weight: Any
) -> tuple[list[Any], list[Any]]:
    """Targets and sample weights for every output, in the form in which the losses want them."""
    if y is None:
        raise ValueError(f"y: model {model.name!r} needs targets, got None")
    names = model.output_names
    targets = _by_name(y, names, "y")
    weights: list[Any] = [None] * len(names)
    if sample_weight is not None:
        several = isinstance(sample_weight, (dict, list, tuple)) and len(names) > 1
        weights = (
            _by_name(sample_weight, names, "sample_weight")
            if several
            else ([_array(sample_weight, "sample_weight")] * len(names))
        )
    for argument, arrays in (("y", targets), ("sample_weight", weights)):
        for array in arrays:
            if array is not None and len(array) != len(inputs[0]):
                raise ValueError(
                    f"{argument}: has {len(array)} samples, but x has {len(inputs[0])}"
                )
    shapes = model.graph.output_shapes([array.shape for array in inputs])
    targets = model.objective.prepare(targets, shapes)
    if class_weight is not None:
        if len(names) > 1:
            raise ValueError("class_weight: works for models with one output only")
        factor = _weights_of_classes(targets[0], shapes[0], class_weight)
        weights = [factor if weights[0] is None else weights[0] * factor]
    return targets, weights


def _weights_of_classes(
    target: np.ndarray, shape: tuple[int, ...], class_weight: dict[int, float]
) -> np.ndarray:
    if not isinstance(class_weight, dict):
        raise TypeError(f"class_weight: expected a dict of class to factor, got {class_weight!r}")
    one_hot = target.ndim == len(shape) and target.shape[-1] > 1
    classes = target.argmax(axis=-1) if one_hot else target
    if classes.ndim == len(shape):
        classes = classes[..., 0]
    factor = np.ones(classes.shape, np.float32)
    for label, weight in class_weight.items():
        factor[classes == int(label)] = weight
    return factor


def _by_name(given: Any, names: list[str], argument: str) -> list[np.ndarray]:
    """One array for every name, from an array, a list of arrays or a dict."""
    if isinstance(given, dict):
        if set(given) != set(names) and len(given) != 1:
            raise ValueError(f"{argument}: expected the keys {names}, got {list(given)}")
        parts = list(given.values()) if len(given) == 1 else [given[name] for name in names]
    elif len(names) == 1:
        # A list of one array is that array; any other list is an array in the making.
        wrapped = isinstance(given, (list, tuple)) and len(given) == 1 and np.ndim(given[0]) > 1
        parts = [given[0] if wrapped else given]
    else:
        if not isinstance(given, (list, tuple)) or len(given) != len(names):
            came = f"{len(given)}" if isinstance(given, (list, tuple)) else type(given).__name__
            raise ValueError(
                f"{argument}: expected a list of {len(names)} arrays, for {names}, got {came}"
            )
        parts = list(given)
    return [_array(part, argument) for part in parts]


def _array(part: Any, argument: str) -> np.ndarray:
    try:
        array = floor_of(part).to_numpy(part)
    except ValueError:
        raise ValueError(
            f"{argument}: cannot be made an array: its rows differ in length"
        ) from None
    if array.ndim == 0 or array.dtype.kind not in "biuf":
        raise TypeError(
            f"{argument}: expected an array of numbers with the samples first, got "
            f"{type(part).__name__} with shape {array.shape} and dtype {array.dtype}"
        )
    return array


def _fit_rank(array: np.ndarray, shape: tuple[int | None, ...]) -> np.ndarray:
    """Add or drop a last axis of size 1 where only that is amiss, as Keras does."""
    if array.ndim == len(shape) - 1 and shape[-1] == 1:
        return array[..., None]
    if array.ndim == len(shape) + 1 and array.shape[-1] == 1:
        return array[..., 0]
    return array


def _leaves(x: Any) -> list[Any]:
    if isinstance(x, dict):
        return list(x.values())
    return list(x) if isinstance(x, (list, tuple)) and hasattr(x[0], "shape") else [x]


def _count(value: Any, argument: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{argument}: expected a positive integer, got {value!r}")
    return int(value)
