"""A line that changes in place, in a terminal and in a notebook. A file gets finished lines only.

Nothing is switched on or off here (the cursor, the lines that others print), so a training that is
interrupted leaves nothing behind.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TypeAlias

Parts: TypeAlias = Sequence[tuple[str, str]]  # texts, each with its style as rich writes it

_open_width = 0  # of the line that is going to change; 0 if there is none


def is_live() -> bool:
    """Whether a line can change in place."""
    return _medium() != "file"


def draw(parts: Parts) -> None:
    """Show a line for the moment."""
    _replace_line(parts, stays=False)


def finish(parts: Parts) -> None:
    """Put a line that stays in the place of the one that is shown."""
    _replace_line(parts, stays=True)


def say(text: str) -> None:
    """Print a message on a line of its own."""
    finish([(text, "")])


def can_show(text: str) -> bool:
    """Whether the characters exist where the output goes."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _medium() -> str:
    kind = type(sys.stdout).__module__
    if kind.startswith("ipykernel"):
        return "notebook"
    # IDLE says that it is a terminal, but it does not know how to erase a line.
    can_erase = not kind.startswith("idlelib") and os.environ.get("TERM") not in ("dumb", "unknown")
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    return "terminal" if is_terminal and can_erase else "file"


def _replace_line(parts: Parts, stays: bool) -> None:
    global _open_width
    medium = _medium()
    text = "".join(part for part, _ in parts)
    if medium == "terminal":
        _print_in_terminal(parts, stays)
    elif medium == "notebook":
        # Spaces wipe out what the line before had more.
        start = "\r" if _open_width else ""
        print(start + text.ljust(_open_width), end="\n" if stays else "", flush=True)
    elif stays:
        print(text, flush=True)
    _open_width = 0 if stays or medium == "file" else len(text)


def _print_in_terminal(parts: Parts, stays: bool) -> None:
    from rich.console import Console
    from rich.control import Control
    from rich.segment import ControlType
    from rich.text import Text

    console = Console(force_terminal=True, highlight=False)
    text = Text.assemble(*parts)
    if _open_width:
        console.control(Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2)))
    if not stays:
        # A line that wraps could not be drawn over.
        text.truncate(console.width - 1, overflow="ellipsis")
    console.print(text, end="\n" if stays else "", soft_wrap=True)
