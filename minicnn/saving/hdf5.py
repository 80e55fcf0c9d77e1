"""Reading and writing HDF5 files: a tree of arrays, and nothing else.

HDF5 can do much that a file with weights has no use for: links into other files, data that lie in
other files, arrays of terabytes that take no room, compression. Here a file is looked through
before anything of it is read, and only plain arrays that are as large as the bytes that hold them
are let through.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import IO, Any

import numpy as np

from minicnn.saving.atomic import replacing
from minicnn.saving.hdf5_texts import Texts

_MAX_OBJECTS = 100_000
_MAX_DEPTH = 200
# An attribute has at most 64 KB, and a text in it takes 16 bytes (its characters lie elsewhere).
_MAX_TEXTS = 4000
# What compressed arrays may hold together: weights hardly shrink, so this is plenty.
_MAX_RATIO, _ALWAYS_ALLOWED = 20, 64 * 2**20

# Texts and lists of texts that groups have as attributes, by the group's path (``""`` is the file
# itself) and by their names.
Attributes = dict[str, dict[str, str | list[str]]]

# Everything that h5py raises for a broken file, as 12,000 broken files have shown.
_BROKEN = (OSError, RuntimeError, KeyError, OverflowError, TypeError, AttributeError, MemoryError)


def h5py() -> Any:
    """The package h5py.

    Raises:
        ImportError: if it is not installed, with what to do.
    """
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            "models and weights are kept in HDF5 files, which takes the package h5py: "
            "pip install h5py"
        ) from error
    return h5py


# -- writing ----------------------------------------------------------------------------------


def write(
    path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], attributes: Attributes
) -> None:
    """Write an HDF5 file, which is there as a whole or not at all. Args: see :func:`to_bytes`."""
    data = to_bytes(arrays, attributes)
    with replacing(path) as file:
        file.write(data)


def to_bytes(arrays: Mapping[str, np.ndarray], attributes: Attributes) -> bytes:
    """An HDF5 file in memory. The same arrays give the same bytes.

    Args:
        arrays: the arrays, by path: ``"layers/dense/vars/0"``.
        attributes: those of groups. A list that is too long for one of them becomes several:
            ``name0``, ``name1``, ...
    """
    memory = io.BytesIO()
    with h5py().File(memory, "w") as file:
        for path, texts in attributes.items():
            group = file.require_group(path or "/")
            for name, text in texts.items():
                if isinstance(text, list) and len(text) > _MAX_TEXTS:
                    for i, start in enumerate(range(0, len(text), _MAX_TEXTS)):
                        group.attrs[f"{name}{i}"] = text[start : start + _MAX_TEXTS]
                else:
                    group.attrs[name] = text
        for path, array in arrays.items():
            # Not ascontiguousarray, which makes an array of shape (1,) of a number.
            file.create_dataset(path, data=np.asarray(array, order="C"))
    return memory.getvalue()


# -- reading ----------------------------------------------------------------------------------


class Tree:
    """The arrays of an HDF5 file, by path; each is read when it is asked for.

    Attributes:
        elements: how many numbers all the arrays have together.
        names: the attribute ``name`` of groups, by path.
    """

    def __init__(self, file: Any, texts: Texts):
        self._texts = texts
        self._datasets: dict[str, Any] = {}
        self._groups: dict[str, Any] = {}
        self.names: dict[str, str] = {}
        self._walk(file)
        self.elements = sum(int(dataset.size) for dataset in self._datasets.values())

    def __contains__(self, path: str) -> bool:
        return path in self._datasets

    def __iter__(self) -> Iterator[str]:
        return iter(self._datasets)

    def numbered(self, group: str) -> list[str]:
        """The paths of the arrays ``group/0``, ``group/1``, ... in this order.

        Raises:
            ValueError: if one is missing, or there are others.
        """
        keys = [path.rpartition("/")[2] for path in self.below(group)]
        if set(keys) != {str(i) for i in range(len(keys))}:
            raise ValueError(
                f"{group}: expected arrays 0, 1, ... without a gap, got {', '.join(sorted(keys))}"
            )
        return [f"{group}/{i}" for i in range(len(keys))]

    def below(self, group: str) -> list[str]:
        """The paths of the arrays that lie directly in a group."""
        return self._children.get(group, [])

    def shape(self, path: str) -> tuple[int, ...]:
        return tuple(self._datasets[path].shape)

    def read(self, path: str, kinds: str = "f") -> np.ndarray:
        """The array, with its numbers in the order of bytes of this machine.

        Args:
            kinds: NumPy's letters for the kinds of numbers that will do: ``"f"`` for weights.

        Raises:
            ValueError: if it holds other things, or cannot be read.
        """
        dataset = self._datasets[path]
        dtype = dataset.dtype
        try:
            if dtype == "V2" and self.texts_of(dataset, "dtype") == ["bfloat16"]:
                return _from_bfloat16(dataset[()])
            if dtype.kind not in kinds or dtype.itemsize > 8:
                raise ValueError(f"{path}: expected numbers of kind {kinds!r}, got dtype {dtype}")
            return np.asarray(dataset[()], dtype.newbyteorder("="))
        except _BROKEN as error:
            raise ValueError(f"{path}: the file is broken here: {error}") from error

    def texts(self, group: str, name: str) -> list[str] | None:
        """An attribute of a group that is a list of texts; ``None`` if there is none such.

        A list that is too long for one attribute stands in ``name0``, ``name1``, ...
        """
        attributes = self._groups[group].attrs if group in self._groups else {}
        parts = [name] if name in attributes else []
        while f"{name}{len(parts)}" in attributes and name not in attributes:
            parts.append(f"{name}{len(parts)}")
        if not parts:
            return None
        if sum(math.prod(attributes.get_id(part).shape or ()) for part in parts) > _MAX_OBJECTS:
            raise ValueError(f"{group!a}: the attribute {name} is too long")
        found = [self.texts_of(self._groups[group], part) for part in parts]
        if None in found:
            raise ValueError(f"{group!a}: the attribute {name} is no list of texts")
        return [text for part in found for text in part]

    def text(self, group: str, name: str) -> str | None:
        """An attribute of a group that is one text; ``None`` if there is none such."""
        found = self.texts_of(self._groups[group], name) if group in self._groups else None
        return found[0] if found is not None and len(found) == 1 else None

    def texts_of(self, item: Any, name: str) -> list[str] | None:
        """An attribute of a group or an array, if it is a text or a list of texts."""
        if name not in item.attrs:
            return None
        attribute = item.attrs.get_id(name)
        if attribute.shape is not None and 0 in attribute.shape:
            return []  # whatever an empty list is a list of
        try:
            if attribute.dtype.kind == "S" and attribute.shape is not None:
                return [bytes(text).decode() for text in np.ravel(item.attrs[name])]
            if attribute.dtype.kind == "O":
                return self._texts.of(h5py().h5o.get_info(item.id).addr, name)
        except (*_BROKEN, ValueError) as error:
            raise ValueError(f"the attribute {name} is broken: {error}") from error
        return None

    def _walk(self, file: Any) -> None:
        library = h5py()
        self._children: dict[str, list[str]] = {}
        unpacked = stored = 0
        seen = set()
        todo = [("", file["/"], 0)]
        while todo:
            path, item, depth = todo.pop()
            address = library.h5o.get_info(item.id).addr
            if address in seen:
                raise ValueError(f"{path!a}: stands in the file under two names")
            seen.add(address)
            if isinstance(item, library.Dataset):
                _check_storage(item, path)
                unpacked += item.nbytes
                stored += item.id.get_storage_size()
                self._datasets[path] = item
                self._children.setdefault(path.rpartition("/")[0], []).append(path)
                continue
            if not isinstance(item, library.Group):
                raise ValueError(f"{path!a}: neither a group nor an array")
            if len(seen) + len(todo) + len(item) > _MAX_OBJECTS or depth > _MAX_DEPTH:
                raise ValueError(f"more than {_MAX_OBJECTS} objects or {_MAX_DEPTH} levels")
            self._groups[path] = item
            name = self.text(path, "name")
            if name is not None:
                self.names[path] = name
            for key in item:
                if not isinstance(key, str):
                    raise ValueError(f"{path!a}: a name that is no text")
                below = f"{path}/{key}" if path else key
                if type(item.get(key, getlink=True)) is not library.HardLink:
                    raise ValueError(f"{below!a}: a link to elsewhere; nothing is followed")
                todo.append((below, item[key], depth + 1))
        if unpacked > max(_ALWAYS_ALLOWED, _MAX_RATIO * stored):
            raise ValueError(f"{stored} bytes unpack to {unpacked}, which is too much to be true")


def _check_storage(dataset: Any, path: str) -> None:
    """Raise a ValueError unless the numbers lie in this file, as many bytes as there should be."""
    if dataset.is_virtual or dataset.external:
        raise ValueError(f"{path!a}: its numbers lie in another file")
    if dataset.shape is None:
        raise ValueError(f"{path!a}: an array without a shape")
    filters = h5py().h5z
    properties = dataset.id.get_create_plist()
    used = {properties.get_filter(i)[0] for i in range(properties.get_nfilters())}
    if used - {filters.FILTER_DEFLATE, filters.FILTER_SHUFFLE, filters.FILTER_FLETCHER32}:
        raise ValueError(f"{path!a}: packed in a way that is not known here")
    stored = dataset.id.get_storage_size()
    if stored < (min(dataset.nbytes, 1) if filters.FILTER_DEFLATE in used else dataset.nbytes):
        raise ValueError(
            f"{path!a}: {stored} bytes are there for an array of shape {dataset.shape}, which "
            f"takes {dataset.nbytes}"
        )


@contextmanager
def reading(file: IO[bytes]) -> Iterator[Tree]:
    """The arrays of an HDF5 file, as long as the block lasts.

    Raises:
        ValueError: if it is broken, or holds what weights have no use for.
    """
    library = h5py()
    try:
        opened = library.File(file, "r")
    except _BROKEN as error:
        raise ValueError(f"not a readable HDF5 file: {error}") from error
    with opened:
        try:
            sizes = opened.id.get_create_plist().get_sizes()
            if sizes != (8, 8):
                raise ValueError(f"addresses of {sizes} bytes, expected (8, 8)")
            tree = Tree(opened, Texts(file, opened.userblock_size))
        except _BROKEN as error:
            raise ValueError(f"not a readable HDF5 file: {error}") from error
        yield tree


def _from_bfloat16(raw: np.ndarray) -> np.ndarray:
    """bfloat16 is the upper half of a float32."""
    return (raw.view("<u2").astype(np.uint32) << 16).view(np.float32)


def reading_bytes(data: bytes) -> AbstractContextManager[Tree]:
    """As :func:`reading`, of a file that lies in memory."""
    return reading(io.BytesIO(data))
