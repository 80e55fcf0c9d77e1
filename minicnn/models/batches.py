"""Batches (inputs, targets, sample weights) out of arrays or streams, one epoch after the other."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import count, islice
from typing import Any

import numpy as np

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
        if hasattr(ops, "Resident") and ops.Resident.fits(self.parts):
            self.resident = ops.Resident(self.parts, dtype)
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
                yield self.resident.batch(start, min(rows.stop, self.samples))
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
        self._seen: list[Any] = []  # of a running iterator, and not yet used
        try:
            self.steps = len(stream)  # type: ignore[arg-type]
        except TypeError:
            self.steps = None  # known when the stream has ended

    @property
    def generators(self) -> list[SeedGenerator]:
        """What the order of the elements comes from, where the stream tells (a ``Dataset``)."""
        return list(getattr(self.stream, "generators", []))

    def look(self) -> None:
        """Unpack the first batch, which builds a model that does not know yet what comes, before
        the training begins. It will come again.

        Raises:
            ValueError: if there is none.
        """
        with self._elements() as elements:
            first = next(elements, None)
        if first is None:
            raise ValueError("x: expected at least one batch, got an empty data set")
        if elements is self.stream:
            self._seen.append(first)
        self._unpacked(first)

    def __iter__(self) -> Iterator[Batch]:
        with self._elements() as elements:
            while self._seen:
                yield self._unpacked(self._seen.pop())
            for element in elements:
                yield self._unpacked(element)

    @contextmanager
    def _elements(self) -> Iterator[Iterator[Any]]:
        elements = iter(self.stream)
        try:
            yield elements
        finally:
            # Leaving early ends the data set's threads; a running generator is the caller's.
            if elements is not self.stream and hasattr(elements, "close"):
                elements.close()

    def _unpacked(self, element: Any) -> Batch:
        parts = element if isinstance(element, tuple) else (element,)
        if not 1 <= len(parts) <= 3:
            raise ValueError(
                "x: each element of a data set must be x, (x, y) or (x, y, sample_weight), got a "
                f"tuple of {len(parts)}"
            )
        return self.unpack(*parts, *(None,) * (3 - len(parts)))


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
