"""A training step that is recorded once, and then replayed with one launch.

A step of a small network is some fifty kernels of a few microseconds each; asking for them one by
one from Python takes longer than computing them. A CUDA graph remembers the kernels with all their
arguments, and is launched as one. What it cannot do is ask Python anything. So whatever changes
from step to step lies on the device, in the same place each time:

- whole numbers that count on, the number of the step and the pages of random numbers: a
  :class:`Count` says "as many as in this cell, and so many more", and at the end the recorded step
  moves the cell on;
- the batch: if the data set lies on the device, the recorded step gathers its samples itself, and
  their place counts on like the number of the step; else it is copied into arrays that the step
  reads;
- the learning rate: a cell that is written to when it changes.

Everything else is as it was when the step was recorded; if that changes, another recording is made.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import cached_property
from operator import add
from typing import Any

import numpy as np

from minicnn.backends.cupy import device
from minicnn.backends.cupy.arrays import asarray
from minicnn.backends.cupy.batches import Rows

WARM_UP = 2
"""How often in a row a step runs as it is before it is recorded; the first run compiles kernels."""

KEPT = 2
"""How many recordings are kept; each has memory of its own."""

KERNELS = device.Kernels("recording")

# The lists of inputs, targets and sample weights, with None where there is nothing.
Batch = tuple[list[Any], list[Any], list[Any]]


class Count:
    """A whole number that lives on the device: what is in ``cell``, plus ``ahead``.

    Args:
        cell: an array with one uint64.
        ahead: known when the step is recorded.
    """

    def __init__(self, cell: Any, ahead: int = 0):
        self.cell, self.ahead = cell, ahead

    def __add__(self, more: int) -> Count:
        return Count(self.cell, self.ahead + more)


def whole_number(value: Any) -> tuple[np.uint64, Any]:
    """A number, or a :class:`Count`, as kernels take it: ``(ahead, cell)``.

    >>> whole_number(7)
    (np.uint64(7), None)
    """
    if isinstance(value, Count):
        return np.uint64(value.ahead), value.cell
    return np.uint64(value % 2**64), None


def real_number(value: Any) -> tuple[float, Any]:
    """A number, or an array on the device that holds one: ``(number, cell)``.

    >>> real_number(0.5)
    (0.5, None)
    """
    return (0.0, value) if device.is_array(value) else (float(value), None)


class Changing:
    """What a training step reads and changes, apart from arrays.

    Args:
        optimizer: has ``iterations``, the number of steps done; ``learning_rate``, a number; and
            ``rate_cell``, where it reads its learning rate if that is not ``None``.
        generators: have ``step``, the number of pages of random numbers drawn.
        settings: anything that can be hashed; a recording is of use as long as this is equal to
            what it was. It should hold the objects whose arrays the step uses: as long as there is
            a recording, they must not be freed.
        watched: gives the objects that the step may change, such as layers and metrics. A recorded
            step changes arrays in place; what replaces an attribute instead would do so only once.
    """

    def __init__(
        self,
        optimizer: Any,
        generators: Sequence[Any],
        settings: Hashable,
        watched: Callable[[], Sequence[Any]] = tuple,
    ):
        self.optimizer, self.generators, self.settings = optimizer, generators, settings
        self._watched = watched

    @cached_property
    def watched(self) -> list[Any]:
        """The objects that the step may change; asked for only when it is recorded."""
        return [*self._watched(), self.optimizer]

    @property
    def counts(self) -> list[Any]:
        """The optimizer's count of steps, and each generator's of pages."""
        return [self.optimizer.iterations, *(generator.step for generator in self.generators)]

    @counts.setter
    def counts(self, counts: list[Any]) -> None:
        self.optimizer.iterations = counts[0]
        for generator, count in zip(self.generators, counts[1:], strict=True):
            generator.step = count

    def attributes(self) -> list[dict[str, Any]]:
        """The attributes of all watched objects, and what is in those that are dicts."""
        return [
            {
                name: dict(value) if isinstance(value, dict) else value
                for name, value in vars(one).items()
            }
            for one in self.watched
        ]

    def put_back(self, attributes: list[dict[str, Any]]) -> str | None:
        """Give all watched objects the attributes that they had; returns which one was new."""
        replaced = None
        for one, before in zip(self.watched, attributes, strict=True):
            for name in [*before, *(vars(one).keys() - before.keys())]:
                old, new = before.get(name), vars(one).get(name)
                if not _same(old, new):
                    replaced = f"the attribute {name!r} of {one!r}"
                if isinstance(new, dict) and isinstance(old, dict):
                    new.clear()
                    new.update(old)
                elif name in before:
                    setattr(one, name, old)
                else:
                    delattr(one, name)
        return replaced


def _same(old: Any, new: Any) -> bool:
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(_same(old[key], new[key]) for key in old)
    plain = (int, float, str, tuple)
    return old is new or (isinstance(old, plain) and isinstance(new, plain) and old == new)


class Recorder:
    """Carries out a training step: the first times as it is, then recorded.

    Args:
        step: ``step(x, targets, weights)``, each a list of arrays on the device, or of ``None``. It
            changes arrays in place, and returns nothing.
        changing: called before each step; gives what besides arrays it reads and changes.
        dtype: of the weights.
    """

    def __init__(
        self,
        step: Callable[[list[Any], list[Any], list[Any]], Any],
        changing: Callable[[], Changing],
        dtype: Any,
    ):
        self.step, self.changing, self.dtype = step, changing, np.dtype(dtype)
        self.recordings: dict[Any, Recording] = {}
        self.refused: set[Any] = set()
        self._last: Any = None
        self._in_a_row = 0
        self._memory: Any = None

    def __call__(self, x: list[Any], targets: list[Any], weights: list[Any]) -> None:
        """One step. The parts of the batch may lie anywhere, or be
        :class:`~minicnn.backends.cupy.batches.Rows`, which are not gathered yet."""
        batch, changing = (x, targets, weights), self.changing()
        key = (tuple(map(_form, _parts(batch))), changing.settings, device.door().tf32)
        self._in_a_row = self._in_a_row + 1 if key == self._last else 1
        self._last = key
        recording = self.recordings.get(key)
        if recording is None and key not in self.refused:
            if self._in_a_row == WARM_UP:
                # Once in the memory of the recording to come, so that it grows now and not then.
                self._memory = device.door().private_memory()
                with device.door().allocating_from(self._memory):
                    self.step(*_on_device(batch))
                return
            if self._in_a_row > WARM_UP:
                recording = self._record(key, batch, changing)
        if recording is None:
            self.step(*_on_device(batch))
        else:
            recording.replay(batch, changing)

    def _record(self, key: Any, batch: Batch, changing: Changing) -> Recording | None:
        try:
            recording = Recording(self.step, batch, changing, self.dtype, self._memory)
        except Exception as error:
            self._memory = None
            self.refused.add(key)
            warnings.warn(
                "this training step cannot be recorded as a CUDA graph and runs kernel by kernel: "
                f"{type(error).__name__}: {error}",
                stacklevel=3,
            )
            return None
        while len(self.recordings) >= KEPT:
            del self.recordings[next(iter(self.recordings))]
        self.recordings[key], self._memory = recording, None
        return recording


class Recording:
    """A recorded step, and all that its replays read and write.

    Args:
        step, dtype: as for :class:`Recorder`.
        batch: one of the form that the recording is for.
        changing: what besides arrays the step reads and changes.
        memory: where all arrays lie that the step makes.
    """

    def __init__(
        self,
        step: Callable[..., Any],
        batch: Batch,
        changing: Changing,
        dtype: np.dtype,
        memory: Any,
    ):
        door = device.door()
        self.memory = memory
        counts = changing.counts
        moves_of_rows = [n for part in _parts(batch) if isinstance(part, Rows) for n in part.moves]
        # None: the host does not know what stands in the cells.
        self.there, self.rate_there = None, None
        self.counted = len(counts)
        self.cells = door.empty(self.counted + len(moves_of_rows), np.uint64)
        counted = [Count(self.cells[i : i + 1]) for i in range(self.counted)]
        free = (self.cells[i : i + 3] for i in range(self.counted, self.cells.size, 3))
        self.inputs = [[_place(part, free) for part in parts] for parts in batch]
        self.rate = door.empty((), dtype)
        self.moves_there = door.asarray(np.zeros(self.cells.size, np.uint64))
        # Once beforehand, by 0: the first launch of a kernel loads it; a recording should not.
        self._move_on(dtype)
        # Kept, so that no array that the step uses is freed when somebody replaces it.
        self.attributes = attributes = changing.attributes()
        replaced = None
        with door.allocating_from(memory):
            try:
                door.begin_capture()
                changing.counts = counted
                changing.optimizer.rate_cell = self.rate
                step(*_on_device(self.inputs))
                self.moves = [count.ahead for count in changing.counts] + moves_of_rows
                self._move_on(dtype)
                self.graph = door.end_capture()
            except BaseException:
                door.abandon_capture()
                raise
            finally:
                changing.counts, changing.optimizer.rate_cell = counts, None
                replaced = changing.put_back(attributes)
        if replaced:
            raise RuntimeError(f"it replaces {replaced} instead of changing it in place")
        door.upload(np.array(self.moves, np.uint64), self.moves_there)

    def _move_on(self, dtype: np.dtype) -> None:
        n = self.cells.size
        KERNELS.each("move_on", dtype, n, self.cells, self.moves_there, n)

    def replay(self, batch: Batch, changing: Changing) -> None:
        """The step, with another batch of the same form."""
        door = device.door()
        numbers = changing.counts
        for part, place in zip(_parts(batch), _parts(self.inputs), strict=True):
            if isinstance(part, Rows):
                numbers += part.numbers
            elif part is not None:
                _write(part, place)
        if numbers != self.there:
            door.upload(np.array(numbers, np.uint64), self.cells)
        rate = float(changing.optimizer.learning_rate)
        if rate != self.rate_there:
            door.upload(np.array(rate, self.rate.dtype), self.rate)
        door.replay(self.graph)
        self.there, self.rate_there = list(map(add, numbers, self.moves)), rate
        changing.counts = self.there[: self.counted]


def _parts(batch: Batch) -> list[Any]:
    """One after the other."""
    return [part for parts in batch for part in parts]


def _form(part: Any) -> Any:
    """What a recording must know of a part of a batch."""
    if isinstance(part, Rows):
        return part.form, part.samples
    return None if part is None else (tuple(part.shape), part.dtype.str)


def _place(part: Any, free: Iterator[Any]) -> Any:
    """Where a recorded step finds such a part of a batch: ``free`` gives cells for Rows."""
    if isinstance(part, Rows):
        return part.at(next(free))
    return None if part is None else device.empty(part.shape, part.dtype)


def _on_device(batch: Batch) -> list[list[Any]]:
    """A batch as arrays on the device."""
    return [[None if part is None else asarray(part) for part in parts] for parts in batch]


def _write(part: Any, array: Any) -> None:
    """A part of a batch into an array that exists."""
    if device.is_array(part):
        array[...] = part
    else:
        device.door().upload(np.ascontiguousarray(part), array)
