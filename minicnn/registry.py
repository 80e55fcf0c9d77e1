"""Turning a name such as ``"relu"`` or ``"CategoricalCrossentropy"`` into the thing it names."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


def snake_case(name: str) -> str:
    """``"MaxPooling2D"`` -> ``"max_pooling2d"``: how Keras derives automatic names.

    >>> snake_case("MaxPooling2D"), snake_case("Conv2DTranspose"), snake_case("ReLU")
    ('max_pooling2d', 'conv2d_transpose', 're_lu')
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def lookup(table: Mapping[str, T], identifier: str, kind: str) -> T:
    """The entry of ``table`` that ``identifier`` names, in any case, with or without underscores.

    Args:
        table: what there is, by name.
        identifier: the name that a user gave.
        kind: what is looked for, for the error message ("optimizer", "loss", ...).

    Raises:
        ValueError: if there is no such entry; the message lists what there is.

    >>> lookup({"mean_squared_error": 1}, "MeanSquaredError", "loss")
    1
    """
    plain = {re.sub(r"[\W_]+", "", name).lower(): name for name in table}
    wanted = re.sub(r"[\W_]+", "", identifier).lower()
    if wanted in plain:
        return table[plain[wanted]]
    close = difflib.get_close_matches(wanted, plain, n=1)
    hint = f" Did you mean {plain[close[0]]!r}?" if close else ""
    raise ValueError(f"unknown {kind} {identifier!r}.{hint} Known are: {', '.join(sorted(table))}")


def absent(module: str, name: str, instead: Mapping[str, str]) -> Exception:
    """The error for a name that a module does not have, for its ``__getattr__`` to raise.

    Args:
        module: the module's name.
        name: what somebody wants from it.
        instead: for names that Keras has, what to write in their place.
    """
    hint = f"; {instead[name]}" if name in instead else ""
    # ``from module import name`` drops the text of an AttributeError, but not of an ImportError.
    asking = sys._getframe(2).f_code.co_name
    kind = ImportError if hint and asking == "_handle_fromlist" else AttributeError
    return kind(f"module {module!r} has no attribute {name!r}{hint}")
