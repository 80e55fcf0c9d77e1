"""Work done ahead of time in background threads: what ``prefetch`` and a threaded ``map`` rest on.

Both are one thing: a row of calls whose results are wanted in their order, a few of them computed
ahead. ``map`` calls its function on one element after another, with many threads; ``prefetch``
calls ``next`` on the dataset again and again, with one.

The consumer hands out the calls and waits for the oldest result. So order is kept by itself, an
exception arrives where its result would have, and there is no queue that could fill up while
nobody empties it: no thread ever waits for the consumer.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from itertools import repeat
from queue import Empty, SimpleQueue
from typing import Any

# How long leaving a loop waits for calls that are still running. They cannot be interrupted, and
# waiting for ever could deadlock: the garbage collector may close a loop while its thread holds a
# lock that such a call needs. A thread that takes longer ends by itself, right after its call.
PATIENCE = 1.0  # seconds

_END = object()


def threaded_map(
    fn: Callable[[Any], Any], elements: Iterator[Any], threads: int
) -> Generator[Any, None, None]:
    """``fn(element)`` of each element, in order, computed by ``threads`` threads."""
    # A long row of waiting calls keeps the threads busy where a call is short.
    return ahead(_calls(fn, elements), threads, window=8 * threads)


def prefetched(open_elements: Callable[[], Iterator[Any]], n: int) -> Generator[Any, None, None]:
    """The elements, up to ``n`` of them fetched ahead by a background thread."""
    # The thread that runs the generator also closes it: nobody else may while it is running.
    elements = open_elements()
    results = ahead(repeat(partial(next, elements, _END)), 1, window=n, at_end=elements.close)
    with contextlib.closing(results):
        for element in results:
            if element is _END:
                return
            yield element


def ahead(
    calls: Iterable[Callable[[], Any]],
    threads: int,
    window: int,
    at_end: Callable[[], None] | None = None,
) -> Generator[Any, None, None]:
    """The results of ``calls`` in their order, up to ``window`` computed ahead by ``threads``.

    Args:
        at_end: called once in a background thread, after the last call that was started.
    """
    tasks: SimpleQueue[tuple[Future, Callable[[], Any]] | None] = SimpleQueue()
    crew: list[threading.Thread] = []
    pending: deque[Future] = deque()
    try:
        for _ in range(threads):
            thread = threading.Thread(target=_work, args=(tasks,), name="minicnn-data", daemon=True)
            thread.start()
            crew.append(thread)
        for call in calls:
            pending.append(Future())
            tasks.put((pending[-1], call))
            if len(pending) > window:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        _dismiss(crew, tasks, at_end)


def _work(tasks: SimpleQueue) -> None:
    """What a background thread does: call after call, until it finds None."""
    while (task := tasks.get()) is not None:
        future, call = task
        try:
            future.set_result(call())
        except BaseException as error:  # the consumer raises it
            future.set_exception(error)
        del task, future, call  # nothing is kept alive while waiting for the next


def _dismiss(
    crew: list[threading.Thread], tasks: SimpleQueue, at_end: Callable[[], None] | None
) -> None:
    with contextlib.suppress(Empty):
        while True:
            tasks.get_nowait()
    if at_end is not None:
        tasks.put((Future(), at_end))
    for _ in crew:
        tasks.put(None)
    deadline = time.monotonic() + PATIENCE
    for thread in crew:
        # The garbage collector may run this in any thread, even in one of the crew; and at
        # the interpreter's end daemon threads have stopped for good.
        if thread is not threading.current_thread() and not sys.is_finalizing():
            thread.join(max(0.0, deadline - time.monotonic()))


def _calls(fn: Callable[[Any], Any], elements: Iterator[Any]) -> Iterator[Callable[[], Any]]:
    """``fn`` on each element, as calls; an error of ``elements`` waits for its turn as well."""
    failed = None
    while failed is None:
        try:
            element = next(elements, _END)
        except Exception as error:
            failed = error
        else:
            if element is _END:
                return
            yield partial(fn, element)
    yield partial(_raise, failed)


def _raise(error: Exception) -> None:
    raise error
