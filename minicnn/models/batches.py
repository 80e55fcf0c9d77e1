"""Data for training: whatever the caller has becomes batches (inputs, targets, sample weights).

Everything that can be checked is checked here, before the first step changes a weight.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator
from itertools import count, islice
from typing import Any

import numpy as np

from minicnn.backend import floor_of
from minicnn.data.pydataset import Epochs, PyDataset
from minicnn.random import SeedGenerator

# Small batches are gathered together, up to so many bytes.
TOGETHER = 2**19

# Lists with one array (or None) for every input or output of the model.
Batch = tuple[list[np.ndarray], list[Any], list[Any]]


class ArrayBatches:
    """Batches cut out of arrays that lie in memory.

    Args:
        inputs, targets, weights: lists of arrays with the samples along the first axis; entries of
            the last two may be ``None``.
        batch_size: how many samples a batch has (the last one may have fewer).
        shuffle: where the order of each epoch comes from; ``None`` leaves the samples in order.
        ops, dtype: the floor that computes, and in what; a floor with memory of its own takes the
            arrays there at once, if there is room. Others gather small batches several at a time.
    """

    def __init__(
        self,
        inputs: list[np.ndarray],
        targets: list[Any],
        weights: list[Any],
        batch_size: int,
        shuffle: SeedGenerator | None,
        ops: Any,
        dtype: Any,
    ):
        self.parts, self.ops = (inputs, targets, weights), ops
        self.resident = None
        if hasattr(ops, "Resident"):
            everything = [*inputs, *targets, *weights]
            if ops.Resident.fits(everything):
                self.resident = ops.Resident(everything, dtype)
        self.samples = len(inputs[0])
        self.batch_size, self.shuffle = min(batch_size, self.samples), shuffle
        self.steps = math.ceil(self.samples / self.batch_size)
        sizes = [a[:1].nbytes for part in self.parts for a in part if a is not None]
        several = TOGETHER // max(1, sum(sizes) * self.batch_size)
        self.together = max(1, several) * self.batch_size

    @property
    def generators(self) -> list[SeedGenerator]:
        """What the order of the samples comes from."""
        return [] if self.shuffle is None else [self.shuffle]

    def join(self, several: int) -> None:
        """Make one batch of so many."""
        self.batch_size = min(several * self.batch_size, self.samples)
        self.steps = math.ceil(self.samples / self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        order = None
        if self.shuffle is not None:
            order = self.shuffle.permutation(self.samples)
        if self.resident is not None:
            self.resident.shuffle(order)
        for start in range(0, self.steps * self.batch_size, self.batch_size):
            rows = slice(start, start + self.batch_size)
            if self.resident is not None:
                batch = iter(self.resident.batch(start, min(rows.stop, self.samples)))
                yield tuple([next(batch) for _ in part] for part in self.parts)
                continue
            if order is None:
                arrays = self.parts
            else:
                rows = slice(start % self.together, start % self.together + self.batch_size)
                if rows.start == 0:
                    arrays = self._gathered(order[start : start + self.together])
            yield tuple([None if a is None else a[rows] for a in part] for part in arrays)

    def _gathered(self, samples: np.ndarray) -> list[list[Any]]:
        """These samples, one after the other."""
        take = self.ops.take
        return [[None if a is None else take(a, samples) for a in part] for part in self.parts]


class StreamBatches:
    """Batches from a ``Dataset``, a generator, or anything else that can be iterated over.

    Args:
        stream: yields x, (x, y) or (x, y, sample_weight). What can be iterated over again starts
            anew each time; an iterator (such as a running generator) goes on where it stands.
        unpack: turns (x, y, sample_weight) as they come into a batch.
    """

    def __init__(self, stream: Iterable[Any], unpack: Any):
        self.stream, self.unpack = stream, unpack
        try:
            self.steps = len(stream)  # type: ignore[arg-type]
        except TypeError:
            self.steps = None  # known when the stream has ended

    @property
    def generators(self) -> list[SeedGenerator]:
        """What the order of the elements comes from, where the stream tells (a ``Dataset``)."""
        return list(getattr(self.stream, "generators", []))

    def __iter__(self) -> Iterator[Batch]:
        source = iter(self.stream)
        try:
            for element in source:
                parts = element if isinstance(element, tuple) else (element,)
                if not 1 <= len(parts) <= 3:
                    raise ValueError(
                        "x: each element of a data set must be x, (x, y) or "
                        f"(x, y, sample_weight), got a tuple of {len(parts)}"
                    )
                yield self.unpack(*parts, *(None,) * (3 - len(parts)))
        finally:
            # Leaving early ends the data set's threads; a running generator is the caller's.
            if source is not self.stream and hasattr(source, "close"):
                source.close()


class Round:
    """How far one has come in a round through the data.

    Args:
        generators: what the order of the data comes from.

    Attributes:
        used: how many batches of the round are done.
    """

    def __init__(self, generators: list[SeedGenerator]):
        self.generators = generators
        self.begin(0)

    def begin(self, used: int) -> None:
        """A new one, after so many batches."""
        self.used, self._begun = used, [generator.step for generator in self.generators]

    @property
    def order_steps(self) -> list[int]:
        """Where the generators stood when the round began."""
        return self._begun if self.used else [generator.step for generator in self.generators]


class Batches:
    """The batches of one epoch after the other.

    Args:
        source: goes through the data once, each time it is iterated over.
        limit: how many batches make an epoch; all there are, by default.
        goes_on: whether an epoch goes on where a limit ended the one before, as Keras trains. It
            starts anew, and is over, where the data end.

    Attributes:
        round: how far it has come.
    """

    def __init__(self, source: ArrayBatches | StreamBatches, limit: int | None, goes_on: bool):
        self.source, self.limit, self.goes_on = source, limit, goes_on and limit is not None
        self.round = Round(source.generators)
        self.begin()

    @property
    def steps(self) -> int | None:
        """The number of batches an epoch, if it is known."""
        return self.source.steps if self.limit is None else self.limit

    def begin(self, used: int = 0) -> None:
        """Begin a round through the data, with the batch after so many."""
        self.round.begin(used)
        self._rest = islice(iter(self.source), used, None)

    def __iter__(self) -> Iterator[Batch]:
        if not self.goes_on:
            self.begin()
        for step in count() if self.limit is None else range(self.limit):
            batch = next(self._rest, None)
            if batch is None and self.round.used and step == 0:  # the epoch before took the last
                self.begin()
                batch = next(self._rest, None)
            if batch is None:
                least = self.limit or 1
                if step < least:
                    warnings.warn(
                        f"the data ran out: {step} batches came where at least {least} were "
                        "expected; a generator must yield enough for all epochs, a Dataset can "
                        "repeat()",
                        stacklevel=3,  # the loop over the batches, then who called fit
                    )
                self.begin()
                return
            self.round.used += 1
            yield batch
        if not self.goes_on or self.round.used == self.source.steps:
            self.begin()


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
    names = model.input_names if model.built else ["x"]
    arrays = _by_name(x, names, "x")
    samples = len(arrays[0])
    if not samples:
        raise ValueError("x: expected at least one sample, got an empty array")
    if any(len(array) != samples for array in arrays):
        raise ValueError(f"x: the inputs have {[len(array) for array in arrays]} samples")
    if not model.built:
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
