"""What happens to a stream of elements on its way: plain generators, one after another."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from itertools import chain, count, islice
from typing import Any

import numpy as np

from minicnn.data.nest import describe, leaves, map_structure

OpenStream = Callable[[], Generator[Any, None, None]]


def closing_after(
    open_stream: OpenStream,
    change: Callable[[Iterator[Any]], Iterator[Any]],
) -> Generator[Any, None, None]:
    """``change`` of a stream. Leaving the result early closes the stream at once.

    That is what ends the threads in a pipeline, without waiting for the garbage collector.
    """
    with closing(open_stream()) as stream:
        yield from change(stream)


def shuffled(elements: Iterator[Any], buffer_size: int, page: tuple[int, int]) -> Iterator[Any]:
    """The elements in another order, through a buffer.

    Each output is drawn from the next ``buffer_size`` elements that are still waiting; its place is
    taken by the element that comes in. With a buffer as large as the data every order is equally
    likely, with a smaller one an element cannot come more than ``buffer_size`` places early.

    Args:
        page: (seed, step), from which everything that is drawn follows.
    """
    rng = np.random.default_rng(page)
    buffer = list(islice(elements, buffer_size))
    draws = chain.from_iterable(rng.integers(buffer_size, size=1024).tolist() for _ in count())
    for newcomer, place in zip(elements, draws):  # noqa: B905 (draws never end)
        yield buffer[place]
        buffer[place] = newcomer
    for place in rng.permutation(len(buffer)).tolist():
        yield buffer[place]


def grouped(elements: Iterator[Any], size: int, drop_remainder: bool) -> Iterator[list[Any]]:
    """Lists of ``size`` elements each; the last one may be shorter, unless it is dropped."""
    while group := list(islice(elements, size)):
        if len(group) == size or not drop_remainder:
            yield group


def stacked(group: list[Any]) -> Any:
    """Elements to a batch: each leaf gets a new first axis.

    Raises:
        ValueError: if the elements differ in structure or in shape.
    """
    return map_structure(_stacked_leaves, *group)


def _stacked_leaves(*group: Any) -> np.ndarray:
    try:
        return np.stack(group)
    except ValueError:
        shapes = sorted({np.shape(leaf) for leaf in group})
        raise ValueError(
            f"batch: elements must have the same shape to be stacked, got {shapes}; "
            "bring them to one shape with map, or use batch_size=1"
        ) from None


def unstacked(batches: Iterator[Any]) -> Iterator[Any]:
    """The elements of each batch, one by one: the inverse of :func:`stacked`."""
    for batch in batches:
        n = common_length(batch, "unbatch")
        for i in range(n):
            yield map_structure(lambda leaf, i=i: leaf[i], batch)


def side_by_side(opened: Any) -> Iterator[Any]:
    """An element of each stream in a nesting of streams, until one of them ends."""
    while True:
        try:
            element = map_structure(next, opened)
        except StopIteration:
            return
        yield element


def one_after_another(openers: Iterable[OpenStream]) -> Iterator[Any]:
    """All elements of the first stream, then all of the second, ..."""
    for open_stream in openers:
        with closing(open_stream()) as elements:
            yield from elements


def repeated(open_stream: OpenStream, times: float) -> Iterator[Any]:
    """All elements ``times`` over; ends, too, where there are none."""
    done = 0
    while done < times:
        empty = True
        with closing(open_stream()) as elements:
            for element in elements:
                empty = False
                yield element
        if empty:
            return
        done += 1


def counted(elements: Iterable[Any], length: int | None) -> Iterator[Any]:
    """The elements, which must be ``length`` many, if that is given.

    Raises:
        ValueError: when they turn out to be more or fewer.
    """
    seen = 0
    for element in elements:
        if seen == length:
            raise ValueError(f"from_generator: more than length={length} elements came")
        seen += 1
        yield element
    if length is not None and seen != length:
        raise ValueError(f"from_generator: {seen} elements came, expected length={length}")


def common_length(structure: Any, caller: str) -> int:
    """The length of the first axis, which all leaves must share.

    Raises:
        ValueError: if a leaf is a scalar, or lengths differ, or there is no leaf.
    """
    shapes = [np.shape(leaf) for leaf in leaves(structure)]
    if not shapes:
        raise ValueError(f"{caller}: expected at least one array, got {describe(structure)}")
    if () in shapes:
        raise ValueError(
            f"{caller}: a scalar cannot be cut into elements, got shapes {shapes} "
            f"in {describe(structure)}"
        )
    lengths = {shape[0] for shape in shapes}
    if len(lengths) > 1:
        raise ValueError(
            f"{caller}: arrays must be equally long, got shapes {shapes} in {describe(structure)}"
        )
    return lengths.pop()


class NumpyIterator:
    """Elements one after another, by ``next(iterator)``, ``iterator.next()`` or a loop."""

    def __init__(self, elements: Iterator[Any]):
        self._elements = elements

    def __iter__(self) -> NumpyIterator:
        return self

    def __next__(self) -> Any:
        # [()] turns an array without axes into a number.
        return map_structure(lambda leaf: np.asarray(leaf)[()], next(self._elements))

    next = __next__
