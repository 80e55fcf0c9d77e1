"""Objects as plain data and back: what a layer, an optimizer or a loss was made of.

``get_config()`` gives the arguments of the constructor as plain data (numbers, texts, lists, dicts)
and ``from_config()`` makes an object like it. Both follow from the constructor itself: its
arguments, and the attributes of the same names. The names are Keras's, so the data is, too; where
Keras writes something else, the class says so.

The data may come from a file, and the file from a stranger. So nothing is looked up by its name but
in tables of what there is, no argument is passed on that the constructor does not have, and
everything that does not fit is a ValueError.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar, TypeVar

import numpy as np

from minicnn import custom_objects
from minicnn.registry import lookup

Self = TypeVar("Self", bound="Configurable")


class Configurable:
    """An object that can be written down as the arguments that make it.

    >>> class Point(Configurable):
    ...     def __init__(self, x: float, y: float = 0.0):
    ...         self.x, self.y = x, y
    >>> Point(1.5).get_config()
    {'x': 1.5, 'y': 0.0}
    >>> Point.from_config({"x": 2.0}).x
    2.0

    Attributes:
        keras_module: the module of the class in Keras; ``keras_class`` its name there.
        not_in_config: arguments that are not written down, for instance because a base class has
            them and this one does not.
        keras_only: what Keras writes besides and minicnn has not, each with the values that mean
            the same as not being there, or ``None`` where every value does.
    """

    keras_module: ClassVar[str | None] = None
    keras_class: ClassVar[str | None] = None
    not_in_config: ClassVar[frozenset[str]] = frozenset()
    keras_only: ClassVar[dict[str, tuple[Any, ...] | None]] = {}

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor, as plain data."""
        config = {}
        for name in arguments(type(self)):
            try:
                value = self.argument_value(name)
            except AttributeError:
                if _writes_its_own_config(type(self)):
                    continue  # get_config of the subclass will add it
                raise TypeError(
                    f"get_config of {type(self).__name__}: there is no attribute {name!r} with the "
                    "value of the constructor's argument; keep it on the object, or define "
                    "get_config()"
                ) from None
            config[name] = plain(value)
        return config

    def argument_value(self, name: str) -> Any:
        """What the constructor's argument ``name`` was: the attribute of that name."""
        return getattr(self, name)

    @classmethod
    def from_config(cls: type[Self], config: Mapping[str, Any]) -> Self:
        """An object with these arguments.

        Raises:
            ValueError: if an argument is unknown, of a wrong type or out of range.
        """
        config = checked_config(cls, config)
        try:
            return cls(**config)
        except TypeError as error:
            raise ValueError(f"config of {cls.__name__}: {error}") from error


@cache
def arguments(cls: type) -> dict[str, inspect.Parameter]:
    """The arguments of a class's constructor, including those that ``**kwargs`` passes on.

    >>> from minicnn.layers import LeakyReLU
    >>> list(arguments(LeakyReLU))
    ['name', 'trainable', 'dtype', 'activity_regularizer', 'negative_slope']
    """
    own: list[dict[str, inspect.Parameter]] = []
    hidden: set[str] = set()
    for base in cls.__mro__[:-1]:
        hidden |= vars(base).get("not_in_config", frozenset())
    for base in cls.__mro__[:-1]:
        if "__init__" not in vars(base):
            continue
        _, *parameters = inspect.signature(base.__init__).parameters.values()
        own.append(
            {p.name: p for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
        )
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    # What all have comes first, as in Keras; where both have an argument, the subclass's counts.
    found: dict[str, inspect.Parameter] = {}
    for parameters in reversed(own):
        found |= parameters
    return {name: p for name, p in found.items() if name not in hidden}


def checked_config(cls: type[Configurable], config: Any) -> dict[str, Any]:
    """``config`` as keyword arguments for ``cls``, without what only Keras knows.

    Raises:
        ValueError: if it is no dict of arguments of ``cls``, or a value is of the wrong type.
    """
    if not isinstance(config, Mapping):
        raise ValueError(f"config of {cls.__name__}: expected a dict, got {short(config)}")
    known = arguments(cls)
    ignored: dict[str, tuple[Any, ...] | None] = {}
    for base in reversed(cls.__mro__):
        ignored |= vars(base).get("keras_only", {})
    result = {}
    for name, value in config.items():
        if name in known:
            check_type(value, known[name].annotation, f"{name} of {cls.__name__}")
            result[name] = value
        elif name not in ignored:
            raise ValueError(
                f"config of {cls.__name__}: unknown argument {short(name)}; there are "
                f"{', '.join(known) or 'none'}"
            )
        elif ignored[name] is not None and not any(value is v or value == v for v in ignored[name]):
            raise ValueError(
                f"{name} of {cls.__name__}: minicnn has no such option; expected "
                f"{' or '.join(map(repr, ignored[name]))}, got {short(value)}"
            )
    missing = [
        name
        for name, parameter in known.items()
        if parameter.default is parameter.empty and name not in result
    ]
    if missing:
        raise ValueError(f"config of {cls.__name__}: {', '.join(missing)} must be given")
    return result


_TYPES: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "None": (type(None),),
}


def check_type(value: Any, annotation: Any, name: str) -> None:
    """Raise a ValueError if a value does not fit an annotation such as ``"int | None"``.

    >>> check_type(True, "int | None", "seed")
    Traceback (most recent call last):
    ValueError: seed: expected int | None, got True
    """
    parts = [part.strip() for part in str(annotation).split("|")]
    if not all(part in _TYPES for part in parts):
        return  # the constructor checks it
    fits = any(
        isinstance(value, _TYPES[part]) and (part == "bool" or not isinstance(value, bool))
        for part in parts
    )
    if not fits:
        raise ValueError(f"{name}: expected {annotation}, got {short(value)}")


# -- nested objects ---------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """A value of an argument as plain data.

    Raises:
        TypeError: if it cannot be written down.

    >>> plain((np.float32(0.5), None, "same"))
    [0.5, None, 'same']
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, np.dtype):
        return value.name
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    return serialize(value)


def serialize(thing: Any) -> Any:
    """An object in Keras's form: ``{"module", "class_name", "config", "registered_name"}``.

    >>> from minicnn.regularizers import L2
    >>> serialize(L2(0.5))["class_name"], serialize(L2(0.5))["config"]
    ('L2', {'l2': 0.5})
    """
    if hasattr(thing, "serialized"):  # it knows a shorter way
        return thing.serialized()
    return _serialized_function(thing) if inspect.isfunction(thing) else serialize_object(thing)


def serialize_object(thing: Any) -> dict[str, Any]:
    """The long form of an object, with its arguments."""
    if not hasattr(thing, "get_config"):
        raise TypeError(
            f"{thing!r} cannot be saved: its class {type(thing).__name__} has no get_config()"
        )
    cls = type(thing)
    if is_builtin(cls):
        module, name, registered = cls.keras_module, cls.keras_class or cls.__name__, None
    else:
        module = None if cls.__module__ == "__main__" else cls.__module__
        name, registered = cls.__name__, custom_objects.get_registered_name(cls)
    return {
        "module": module,
        "class_name": name,
        "config": thing.get_config(),
        "registered_name": registered,
    }


def _serialized_function(function: Any) -> dict[str, Any]:
    if function.__name__ == "<lambda>" or "<locals>" in function.__qualname__:
        raise TypeError(
            f"{function.__qualname__} cannot be saved: a file can only name a function that stands "
            "at the top of a module; define it there with def"
        )
    name = custom_objects.get_registered_name(function)
    builtin = is_builtin(function)
    return {
        "module": "builtins" if builtin else function.__module__,
        "class_name": "function",
        "config": name,
        "registered_name": "function" if builtin else name,
    }


def dtype_name(value: Any) -> str | None:
    """The name of a dtype, which Keras also writes as an object.

    >>> dtype_name({"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}})
    'float32'
    """
    if isinstance(value, Mapping):
        name, config, _ = form(value, "dtype")
        if name not in ("DTypePolicy", "FloatDTypePolicy") or not isinstance(config, Mapping):
            raise ValueError(f"dtype: minicnn has no {short(name)}")
        value = config.get("name")
    if not isinstance(value, (str, type(None))):
        raise ValueError(f"dtype: expected a name such as 'float32', got {short(value)}")
    return value


def is_builtin(thing: Any) -> bool:
    """Whether a class or function is one of the library's, which every file may name."""
    return thing.__module__.partition(".")[0] == __name__.partition(".")[0]


def deserialize(
    data: Mapping[str, Any],
    table: Mapping[str, Any],
    module: str | tuple[str, ...],
    kind: str,
    base: type,
    functions: bool = False,
) -> Any:
    """The object that data in Keras's form describes.

    Args:
        data: ``{"module", "class_name", "config", "registered_name"}``.
        table: the classes that may be named, by their names or by other ones.
        module: in which Keras has them; several are allowed.
        kind: what is looked for, for messages ("initializer", "loss", ...).
        base: what a custom class must be derived from.
        functions: whether ``table`` may be asked for a function, too, by the function's name.

    Raises:
        ValueError: if it describes nothing of the kind.
    """
    name, config, registered = form(data, kind)
    custom = custom_objects.find(registered, config if name == "function" else name)
    if custom is not None:
        if not inspect.isclass(custom):
            return custom
        if not issubclass(custom, base):
            raise ValueError(f"{kind}: {custom.__name__} is no {base.__name__}")
        return custom.from_config(config)
    modules = (module,) if isinstance(module, str) else module
    if name == "function":
        known = functions and data.get("module") in ("builtins", *modules)
        if not known or not isinstance(config, str):
            raise ValueError(unknown(data, kind))
        return lookup(table, config, kind)
    classes = {
        cls.keras_class or cls.__name__: cls for cls in table.values() if isinstance(cls, type)
    }
    if data.get("module") not in modules or name not in classes or registered not in (None, name):
        raise ValueError(unknown(data, kind))
    return classes[name].from_config(config)


def form(data: Any, kind: str) -> tuple[str, Any, str | None]:
    """``(class_name, config, registered_name)`` of data in Keras's form.

    Raises:
        ValueError: if it is not in that form.
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"{kind}: expected an object, got {short(data)}")
    name, registered = data.get("class_name"), data.get("registered_name")
    if not isinstance(name, str) or not isinstance(registered, (str, type(None))):
        raise ValueError(f"{kind}: expected an object with a class_name, got {short(data)}")
    config = data.get("config")
    return name, {} if config is None else config, registered


def unknown(data: Mapping[str, Any], kind: str) -> str:
    """What to say about an object that minicnn does not have."""
    name, config, registered = form(data, kind)
    name = short(config if name == "function" else name)
    where = f" of {short(data.get('module'))}"
    hint = ""
    if not str(data.get("module")).startswith("keras"):
        hint = (
            "; for one of your own pass custom_objects={name: class} or register the class with "
            "minicnn.saving.register_keras_serializable"
        )
    if registered not in (None, name):
        where += f" (registered as {short(registered)})"
    return f"{kind}: minicnn has no {name}{where}{hint}"


def _writes_its_own_config(cls: type) -> bool:
    return not is_builtin(cls.get_config)


def short(value: Any) -> str:
    """A value for a message, which may come from a file with anything in it."""
    text = (
        ascii(value) if isinstance(value, (str, int, float, type(None))) else type(value).__name__
    )
    return text if len(text) <= 80 else f"{text[:80]}..."
