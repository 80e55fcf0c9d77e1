"""Which part of a data set: ``"train"``, ``"test[:20%]"``, ``"train[1000:]+test"``."""

from __future__ import annotations

import re
from collections.abc import Mapping

_BOUND = r"(-?\d+%?)?"
_PART = re.compile(rf"\s*(\w+)\s*(?:\[{_BOUND}:{_BOUND}\])?\s*")


def parse(split: str, sizes: Mapping[str, int]) -> list[tuple[str, slice]]:
    """What ``split`` asks for, piece by piece.

    Args:
        split: names with optional slices, joined by ``+``. A bound is a number of examples or a
            percentage (which is rounded to the nearest example); a negative one counts from the
            end. ``"all"`` is every part, one after the other.
        sizes: how many examples each part has.

    Raises:
        TypeError: if ``split`` is no string.
        ValueError: if ``split`` is not of that form or names a part that is not there.

    >>> parse("train[:80%]+test[-10:]", {"train": 1000, "test": 100})
    [('train', slice(0, 800, None)), ('test', slice(90, 100, None))]
    """
    if not isinstance(split, str):
        raise TypeError(f"split: expected a string, a list of strings or None, got {split!r}")
    pieces = []
    for part in split.split("+"):
        match = _PART.fullmatch(part)
        if match is None or match[1] not in (*sizes, "all"):
            raise ValueError(
                f"split: expected {', '.join(map(repr, sizes))} or 'all', with a slice if you like "
                f"('train[:80%]', 'train[1000:]'), joined by +; got {split!r}"
            )
        for name in sizes if match[1] == "all" else [match[1]]:
            start, stop = _bound(match[2], sizes[name]), _bound(match[3], sizes[name])
            first, end, _ = slice(start, stop).indices(sizes[name])
            pieces.append((name, slice(first, end)))
    return pieces


def _bound(text: str | None, size: int) -> int | None:
    if text is None:
        return None
    if text.endswith("%"):
        return round(int(text[:-1]) * size / 100)
    return int(text)
