"""Batches that somebody's own class makes, each when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minicnn.random import SeedGenerator


class PyDataset:
    """A data set of one's own: ``__len__`` says how many batches there are, ``__getitem__`` makes
    one, ``(x, y)`` or ``(x, y, sample_weight)``. Made for pictures that do not fit into memory.

    ``fit`` calls ``on_epoch_begin`` and ``on_epoch_end``, where the order can be changed; it asks
    for the batches in another order each epoch, unless it is told ``shuffle=False``.

    >>> import numpy as np
    >>> class Squares(PyDataset):
    ...     def __len__(self):
    ...         return 2
    ...     def __getitem__(self, index):
    ...         x = np.arange(3.0) + 3 * index
    ...         return x, x**2
    >>> [y.tolist() for x, y in Squares()]
    [[0.0, 1.0, 4.0], [9.0, 16.0, 25.0]]

    Args:
        workers, use_multiprocessing, max_queue_size: how Keras fetches batches ahead. They change
            nothing here: a batch is made when it is its turn.
    """

    def __init__(
        self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10
    ):
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    def __getitem__(self, index: int) -> Any:
        """The batch at this place, counted from 0."""
        raise NotImplementedError(f"{type(self).__name__} does not define __getitem__(index)")

    def __len__(self) -> int:
        """The number of batches."""
        raise NotImplementedError(f"{type(self).__name__} does not define __len__()")

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self)))

    def on_epoch_begin(self) -> None:
        """Before the batches of an epoch are asked for."""

    def on_epoch_end(self) -> None:
        """After the batches of an epoch."""


class Epochs:
    """A ``PyDataset`` as training goes through it: once each epoch, and every time in an order of
    its own if there is a generator that orders come from."""

    def __init__(self, source: PyDataset, shuffle: SeedGenerator | None):
        self.source = source
        self.generators = [] if shuffle is None else [shuffle]

    def __len__(self) -> int:
        return len(self.source)

    def __iter__(self) -> Iterator[Any]:
        self.source.on_epoch_begin()
        order = range(len(self))
        for generator in self.generators:
            order = generator.permutation(len(self)).tolist()
        try:
            for index in order:
                yield self.source[index]
        finally:  # also where an epoch ends earlier
            self.source.on_epoch_end()
