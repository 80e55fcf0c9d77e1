"""Names for classes and functions that are not the library's own, so that files can name them.

A file with a model is data: it names a class, and never brings its code. Which class of a program
is meant by such a name is said by the program, once and for all with
:func:`register_keras_serializable`, or for a while with :class:`CustomObjectScope`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar("T")

_registered: dict[str, Any] = {}
_names: dict[Any, str] = {}
_in_scope: ContextVar[dict[str, Any]] = ContextVar("custom_objects", default={})  # noqa: B039


def register_keras_serializable(
    package: str = "Custom", name: str | None = None
) -> Callable[[T], T]:
    """A decorator: files that hold an object of this class can be read from now on.

    Args:
        package: says whose class it is, so that two classes may have one name.
        name: what files call it; by default the name of the class (or function).

    >>> from minicnn import layers
    >>> @register_keras_serializable("lesson")
    ... class Scale(layers.Rescaling):
    ...     pass
    >>> get_registered_name(Scale), get_registered_object("lesson>Scale") is Scale
    ('lesson>Scale', True)
    """
    for argument, value in (("package", package), ("name", name)):
        if not isinstance(value, str) and not (argument == "name" and value is None):
            raise TypeError(f"{argument}: expected a str, got {value!r}")

    def decorator(thing: T) -> T:
        if not callable(thing):
            raise TypeError(f"expected a class or a function to register, got {thing!r}")
        registered_name = f"{package}>{name or thing.__name__}"
        _registered[registered_name] = thing
        _names[thing] = registered_name
        return thing

    return decorator


class CustomObjectScope:
    """A ``with`` block in which files may name these classes and functions.

    Args:
        objects: what the names in the files stand for.

    >>> class Scale: ...
    >>> with CustomObjectScope({"Scale": Scale}):
    ...     find("Scale") is Scale
    True
    """

    def __init__(self, objects: Mapping[str, Any]):
        self.objects = dict(objects)
        if not all(isinstance(name, str) for name in self.objects):
            raise TypeError(f"custom_objects: expected names to be str, got {list(self.objects)}")

    def __enter__(self) -> CustomObjectScope:
        self._token = _in_scope.set({**_in_scope.get(), **self.objects})
        return self

    def __exit__(self, *exception: Any) -> None:
        _in_scope.reset(self._token)


custom_object_scope = CustomObjectScope


def get_custom_objects() -> dict[str, Any]:
    """What is registered, by name: the dictionary itself, which may be changed."""
    return _registered


def get_registered_name(thing: Any) -> str:
    """The name under which a class or function stands in files."""
    return _names.get(thing) or thing.__name__


def get_registered_object(name: str) -> Any:
    """The class or function of that name, or ``None``."""
    return find(name)


def find(*names: Any) -> Any:
    """What the first known one of these names stands for; ``None`` if none is known."""
    scope = _in_scope.get()
    for name in names:
        if isinstance(name, str):
            for table in (scope, _registered):
                if name in table:
                    return table[name]
    return None
