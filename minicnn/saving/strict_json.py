"""JSON from a stranger: parsed within bounds of size, depth and number."""

from __future__ import annotations

import json
from typing import Any

MAX_BYTES = 16 * 2**20
MAX_CONTAINERS = 400_000
MAX_ITEMS = 1_000_000
MAX_DEPTH = 400
MAX_DIGITS = 45


def parse(data: bytes, name: str) -> Any:
    """The object that JSON text describes.

    Args:
        data: the text, in UTF-8.
        name: of the file, for messages.

    Raises:
        ValueError: if it is not JSON, names a key twice, holds NaN or an infinite number, or goes
            beyond the bounds of this module.

    >>> parse(b'{"a": [1, 2.5, null]}', "config.json")
    {'a': [1, 2.5, None]}
    >>> parse(b'{"a": 1, "a": 2}', "config.json")
    Traceback (most recent call last):
    ValueError: config.json: the key 'a' stands twice in one object
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"{name}: expected at most {MAX_BYTES} bytes, got {len(data)}")
    # Counted before anything is made of them; those inside of texts count, too.
    if data.count(b"{") + data.count(b"[") > MAX_CONTAINERS or data.count(b",") > MAX_ITEMS:
        raise ValueError(
            f"{name}: more than {MAX_CONTAINERS} objects and lists or {MAX_ITEMS} items in them"
        )

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(items)
        if len(result) < len(items):
            keys = [key for key, _ in items]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ValueError(f"the key {twice!a} stands twice in one object")
        return result

    try:
        text = data.decode("utf-8")
        value = json.loads(
            text,
            object_pairs_hook=pairs,
            parse_int=_whole,
            parse_float=_finite,
            parse_constant=_no_constant,
        )
    except RecursionError:
        raise ValueError(f"{name}: nested deeper than {MAX_DEPTH} levels") from None
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    _check_depth([value], name)
    return value


def _whole(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"the number {digits[:MAX_DIGITS]} is too large")
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number in JSON")


def _check_depth(value: Any, name: str) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise ValueError(f"{name}: nested deeper than {MAX_DEPTH} levels")
        inner = (part.values() if isinstance(part, dict) else part for part in level)
        level = [item for items in inner for item in items if isinstance(item, (dict, list))]
