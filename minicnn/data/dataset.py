"""The input pipeline: where batches come from."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import islice
from typing import Any

import numpy as np

from minicnn.data import streams
from minicnn.data.arguments import autotuned, cores, on_elements, whole
from minicnn.data.nest import leaves, map_structure, read_only
from minicnn.data.threads import prefetched, threaded_map
from minicnn.random import SeedGenerator

INFINITE_CARDINALITY = -1
UNKNOWN_CARDINALITY = -2

_PREFETCHED = 4  # how many elements prefetch(AUTOTUNE) keeps ready


class Dataset:
    """A sequence of elements that is read again in every epoch, one element at a time.

    An element is an array or a number, or any nesting of tuples and dicts of them. Every method
    returns a new dataset and leaves the old one as it is; nothing is computed before somebody
    iterates. A training takes pairs ``(x, y)`` in batches:

    >>> from minicnn.data import AUTOTUNE
    >>> x, y = np.arange(10.0), np.arange(10)
    >>> dataset = Dataset.from_tensor_slices((x, y)).map(lambda x, y: (x / 10, y))
    >>> dataset = dataset.cache().shuffle(10, seed=1).batch(4).prefetch(AUTOTUNE)
    >>> len(dataset), [y.shape for x, y in dataset]
    (3, [(4,), (4,), (2,)])

    Names and meanings are those of ``tf.data``; elements are NumPy arrays and Python objects.
    Arrays that a dataset goes on holding (those it was made from, those in a cache) are handed out
    read-only: write ``x = x / 255``, not ``x /= 255``.

    Args:
        open_stream: returns, each time it is called, a new generator of all elements.
        length: how many elements there are; ``math.inf``; or ``None`` where nobody knows.
        rows: arrays to pick from. Then the stream consists of positions, and an element is what
            the arrays hold there. Whatever only rearranges (shuffle, shard, take, ...) moves
            positions about without touching the arrays, and ``batch`` fetches all of its
            elements with one indexing.
        parents: the datasets that it is made from.
        generator: what its random order comes from, if it has one.

    Attributes:
        generators: those of the dataset and of all that it is made from. What they will draw
            follows from their seeds and steps, so these are what there is to be kept of a
            pipeline in order to go on with it later.
    """

    def __init__(
        self,
        open_stream: Callable[[], Generator[Any, None, None]],
        length: float | None = None,
        rows: Any = None,
        parents: Sequence[Dataset] = (),
        generator: SeedGenerator | None = None,
    ):
        self._open_stream = open_stream
        self._length = length
        self._rows = rows
        found = [one for parent in parents for one in parent.generators]
        found += [] if generator is None else [generator]
        self.generators = list({id(one): one for one in found}.values())

    # -- sources ------------------------------------------------------------------------------

    @staticmethod
    def from_tensor_slices(tensors: Any) -> Dataset:
        """The slices of arrays along their first axis.

        Args:
            tensors: an array, or a nesting of tuples and dicts of equally long arrays.

        Raises:
            ValueError: if lengths differ, or something has no first axis.

        >>> dataset = Dataset.from_tensor_slices({"image": [[1, 2], [3, 4]], "label": [7, 8]})
        >>> next(iter(dataset))
        {'image': array([1, 2]), 'label': np.int64(7)}
        """
        rows = map_structure(lambda leaf: read_only(np.asarray(leaf)), tensors)
        length = streams.common_length(rows, "from_tensor_slices")
        return Dataset(lambda: (i for i in range(length)), length, rows)

    @staticmethod
    def from_generator(
        generator: Callable[[], Iterable[Any]], length: int | None = None
    ) -> Dataset:
        """What a generator yields; its function is called anew in every epoch.

        Args:
            generator: a function without arguments that returns an iterable.
            length: how many elements that will be, where it is known. It is checked.

        Raises:
            TypeError: if ``generator`` is no function.
            ValueError: while iterating, if ``length`` was wrong.

        >>> def squares():
        ...     for i in range(4):
        ...         yield i**2
        >>> list(Dataset.from_generator(squares).batch(2))
        [array([0, 1]), array([4, 9])]
        """
        if not callable(generator):
            raise TypeError(
                "generator: expected a function that returns an iterable, got "
                f"{type(generator).__name__} (a generator can be read only once: pass the "
                "function that makes it, without calling it)"
            )
        if length is not None:
            length = whole("length", length, 0)
        return Dataset(lambda: streams.counted(generator(), length), length)

    @staticmethod
    def range(*args: int) -> Dataset:
        """The numbers of Python's ``range(*args)``."""
        numbers = range(*args)
        return Dataset(lambda: (i for i in numbers), len(numbers))

    @staticmethod
    def zip(*datasets: Any) -> Dataset:
        """Datasets side by side, as long as the shortest of them.

        Args:
            datasets: the datasets; or, as one argument, tuples and dicts of datasets.

        >>> list(Dataset.zip(Dataset.range(2), Dataset.range(5, 9)))
        [(0, 5), (1, 6)]
        """
        structure = datasets[0] if len(datasets) == 1 else datasets
        parts = leaves(structure)
        if not parts or not all(isinstance(part, Dataset) for part in parts):
            raise TypeError(f"datasets: expected datasets, got {structure!r}")

        def open_stream():
            with ExitStack() as stack:
                opened = map_structure(
                    lambda part: stack.enter_context(closing(iter(part))), structure
                )
                yield from streams.side_by_side(opened)

        lengths = [part._length for part in parts]
        return Dataset(open_stream, None if None in lengths else min(lengths), parents=parts)

    # -- one element at a time ----------------------------------------------------------------

    def map(self, map_func: Callable[..., Any], num_parallel_calls: int | None = None) -> Dataset:
        """``map_func`` of each element, in order.

        Args:
            map_func: called as ``map_func(*element)`` where the element is a tuple, else as
                ``map_func(element)``.
            num_parallel_calls: how many threads call it; ``AUTOTUNE`` takes one per CPU core.
                That pays where it waits for a file or has NumPy work on much data; the Python
                code of several threads takes turns. ``None``: the thread that iterates does it.

        >>> list(Dataset.range(3).map(lambda i: i * 10, num_parallel_calls=2))
        [0, 10, 20]
        """
        call = on_elements("map_func", map_func)
        if num_parallel_calls is None:
            return self._then(lambda elements: (call(e) for e in elements), self._length)
        threads = autotuned("num_parallel_calls", num_parallel_calls, cores())
        return self._then(lambda elements: threaded_map(call, elements, threads), self._length)

    def filter(self, predicate: Callable[..., Any]) -> Dataset:
        """The elements for which ``predicate`` holds. A tuple becomes its arguments, as in map."""
        holds = on_elements("predicate", predicate)
        return self._then(lambda elements: (e for e in elements if holds(e)), None)

    def enumerate(self, start: int = 0) -> Dataset:
        """``(number, element)`` of each element."""
        return self._then(lambda elements: enumerate(elements, start), self._length)

    def cache(self) -> Dataset:
        """Keeps all elements in memory from the first complete iteration on."""
        kept: list[Any] | None = None

        def open_stream():
            nonlocal kept
            if kept is not None:
                yield from kept
                return
            seen = []
            with closing(iter(self)) as elements:
                for element in elements:
                    seen.append(map_structure(read_only, element))
                    yield seen[-1]
            kept = seen

        return Dataset(open_stream, self._length, parents=[self])

    def prefetch(self, buffer_size: int) -> Dataset:
        """Fetches up to ``buffer_size`` elements ahead, in a background thread.

        Last in a pipeline, it prepares the next batches while the present one is trained on. The
        thread ends with the loop over the dataset, however that is left.
        """
        n = autotuned("buffer_size", buffer_size, _PREFETCHED)
        return Dataset(lambda: prefetched(self.__iter__, n), self._length, parents=[self])

    # -- in another order ---------------------------------------------------------------------

    def shuffle(
        self, buffer_size: int, seed: int | None = None, reshuffle_each_iteration: bool = True
    ) -> Dataset:
        """The elements in random order.

        Args:
            buffer_size: from how many waiting elements each one is drawn. Where it is at least the
                length, every order is equally likely; with less, elements stay near their place.
            seed: for the same orders in every run; by default ``minicnn.random`` gives one.
            reshuffle_each_iteration: whether each iteration has an order of its own.
        """
        buffer_size = whole("buffer_size", buffer_size, 1)
        pages = SeedGenerator(seed)
        only_page = None if reshuffle_each_iteration else pages.next()
        return self._rearranged(
            lambda items: streams.shuffled(items, buffer_size, only_page or pages.next()),
            self._length,
            pages,
        )

    def take(self, count: int) -> Dataset:
        """The first ``count`` elements, or all where there are fewer."""
        count = whole("count", count, 0)
        length = None if self._length is None else min(self._length, count)
        return self._rearranged(lambda items: islice(items, count), length)

    def skip(self, count: int) -> Dataset:
        """All but the first ``count`` elements."""
        count = whole("count", count, 0)
        length = None if self._length is None else max(self._length - count, 0)
        return self._rearranged(lambda items: islice(items, count, None), length)

    def shard(self, num_shards: int, index: int) -> Dataset:
        """Every ``num_shards``-th element, from number ``index`` on.

        >>> list(Dataset.range(10).shard(4, 1))
        [1, 5, 9]
        """
        num_shards = whole("num_shards", num_shards, 1)
        index = whole("index", index, 0)
        if index >= num_shards:
            raise ValueError(f"index: expected 0 to num_shards - 1 = {num_shards - 1}, got {index}")
        return self._rearranged(
            lambda items: islice(items, index, None, num_shards),
            self._known(lambda n: math.ceil(max(n - index, 0) / num_shards)),
        )

    def concatenate(self, dataset: Dataset) -> Dataset:
        """This dataset's elements, then those of another."""
        if not isinstance(dataset, Dataset):
            raise TypeError(f"dataset: expected a Dataset, got {dataset!r}")
        same_rows = self._rows is not None and self._rows is dataset._rows
        parts = [part._open_stream if same_rows else part.__iter__ for part in (self, dataset)]
        lengths = (self._length, dataset._length)
        return Dataset(
            lambda: streams.one_after_another(parts),
            None if None in lengths else sum(lengths),
            self._rows if same_rows else None,
            [self, dataset],
        )

    def repeat(self, count: int | None = None) -> Dataset:
        """All elements ``count`` times over; without end if it is ``None`` or -1."""
        times = math.inf if count in (None, -1) else whole("count", count, 0)
        if times == math.inf:
            length = 0 if self._length == 0 else math.inf
        else:
            length = self._known(lambda n: n * times)
        open_stream = self._open_stream
        return Dataset(lambda: streams.repeated(open_stream, times), length, self._rows, [self])

    # -- batches ------------------------------------------------------------------------------

    def batch(self, batch_size: int, drop_remainder: bool = False) -> Dataset:
        """``batch_size`` elements at a time, stacked along a new first axis.

        Args:
            drop_remainder: whether to leave out a last batch that is smaller.

        Raises:
            ValueError: while iterating, if elements differ in structure or shape.
        """
        size = whole("batch_size", batch_size, 1)
        length = self._known(lambda n: n // size if drop_remainder else -(-n // size))
        make = streams.stacked if self._rows is None else self._rows_at
        return Dataset(
            lambda: streams.closing_after(
                self._open_stream,
                lambda items: map(make, streams.grouped(items, size, drop_remainder)),
            ),
            length,
            parents=[self],
        )

    def unbatch(self) -> Dataset:
        """The elements of each batch, one by one."""
        return self._then(streams.unstacked, None)

    # -- reading ------------------------------------------------------------------------------

    def __iter__(self) -> Generator[Any, None, None]:
        if self._rows is None:
            return self._open_stream()
        return streams.closing_after(
            self._open_stream, lambda positions: map(self._rows_at, positions)
        )

    def as_numpy_iterator(self) -> streams.NumpyIterator:
        """An iterator over the elements, with their leaves as NumPy arrays and numbers."""
        return streams.NumpyIterator(iter(self))

    def cardinality(self) -> int:
        """The number of elements, or ``INFINITE_CARDINALITY``, or ``UNKNOWN_CARDINALITY``."""
        if self._length is None:
            return UNKNOWN_CARDINALITY
        return INFINITE_CARDINALITY if self._length == math.inf else int(self._length)

    def __len__(self) -> int:
        if self._length is None:
            raise TypeError(
                "the length of this dataset is unknown: filter, unbatch or from_generator "
                "without length= came before. sum(1 for _ in dataset) counts the elements"
            )
        if self._length == math.inf:
            raise TypeError("this dataset is infinite: repeat() without a count came before")
        return int(self._length)

    def __bool__(self) -> bool:
        return True  # also where the length is unknown

    def __repr__(self) -> str:
        known = {INFINITE_CARDINALITY: "infinite", UNKNOWN_CARDINALITY: "length unknown"}
        n = self.cardinality()
        return f"<Dataset: {known.get(n, f'{n} elements')}>"

    # -- how a dataset comes from another one -------------------------------------------------

    def _then(
        self, change: Callable[[Iterator[Any]], Iterator[Any]], length: float | None
    ) -> Dataset:
        """The dataset of ``change(elements)``."""
        return Dataset(lambda: streams.closing_after(self.__iter__, change), length, parents=[self])

    def _rearranged(
        self,
        change: Callable[[Iterator[Any]], Iterator[Any]],
        length: float | None,
        generator: SeedGenerator | None = None,
    ) -> Dataset:
        """The same, where ``change`` does not look at the elements: positions serve as well."""
        return Dataset(
            lambda: streams.closing_after(self._open_stream, change),
            length,
            self._rows,
            [self],
            generator,
        )

    def _rows_at(self, place: Any) -> Any:
        return map_structure(lambda leaf: leaf[place], self._rows)

    def _known(self, length: Callable[[int], float]) -> float | None:
        """``length`` of the present one, where that is a number."""
        return self._length if self._length in (None, math.inf) else length(self._length)
