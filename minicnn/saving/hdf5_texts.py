"""Texts in HDF5 files, looked up by hand.

A text of any length lies in a heap; the attribute itself holds the text's length and its place. The
HDF5 library trusts both, so that a broken heap sends it round in circles for ever, and a broken
length makes it take gigabytes. A stranger's file could do that. So these few bytes are looked up
here, each place checked before it is gone to.

The names of things are those of the HDF5 File Format Specification 3.0: version 1 data object
headers (IV.A.1.a), the attribute message (IV.A.2.m) and the global heap (III.E). Headers of version
2, which neither Keras nor minicnn writes, are not read.
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Iterator
from typing import IO

_CONTINUATION, _ATTRIBUTE = 0x10, 0x0C
_MAX_BLOCKS, _MAX_BLOCK = 1000, 2**20  # of a header; an attribute has at most 64 KB
_MAX_TEXTS = 100_000
_VARIABLE_STRING = (9, 1)  # class and type
_REFERENCE = struct.Struct("<IQI")  # length of the text, address of its heap, number in the heap


class Texts:
    """The texts of any length in an HDF5 file.

    Args:
        file: the file.
        base: the address at which the HDF5 data begin in it.
    """

    def __init__(self, file: IO[bytes], base: int = 0):
        self._file, self._base = file, base
        self._heaps: dict[int, dict[int, bytes]] = {}
        self._objects = 0
        self._left = file.seek(0, io.SEEK_END)  # for heaps, of which none lies in another

    def of(self, address: int, name: str) -> list[str] | None:
        """The texts of an attribute.

        Args:
            address: where the header of the group or array lies.
            name: of the attribute.

        Returns:
            ``None`` if there is no such attribute, or it holds other things.

        Raises:
            ValueError: if the file is broken here.
        """
        try:
            for kind, body in self._messages(address):
                if kind == _ATTRIBUTE:
                    data = _data_of(body, name)
                    if data is not None:
                        return [self._text(*one) for one in _REFERENCE.iter_unpack(data)]
        except (struct.error, UnicodeDecodeError) as error:
            raise ValueError(f"the attribute {name} is broken: {error}") from error
        return None

    def _messages(self, address: int) -> Iterator[tuple[int, bytes]]:
        """The messages of a header, ``(kind, body)``; they may go on in other blocks."""
        version, _, _, size = struct.unpack("<BxHII", self._bytes(address, 12))
        if version != 1:
            return
        blocks = [(address + 16, size)]
        for start, length in blocks:
            block, place = self._bytes(start, length), 0
            while place + 8 <= len(block):
                kind, size = struct.unpack_from("<HH", block, place)
                body = block[place + 8 : place + 8 + size]
                place += 8 + size
                if kind == _CONTINUATION:
                    blocks.append(struct.unpack_from("<QQ", body))
                    if len(blocks) > _MAX_BLOCKS:
                        raise ValueError(f"a header of more than {_MAX_BLOCKS} blocks")
                yield kind, body

    def _text(self, length: int, address: int, number: int) -> str:
        if not length:
            return ""
        if address not in self._heaps:
            self._heaps[address] = dict(self._objects_in(address))
        data = self._heaps[address].get(number, b"")
        if length > len(data):
            raise ValueError(f"a text of {length} bytes is not in its heap")
        return data[:length].decode()

    def _objects_in(self, address: int) -> Iterator[tuple[int, bytes]]:
        """The objects of a heap, ``(number, data)``."""
        signature, version, size = struct.unpack("<4sB3xQ", self._bytes(address, 16))
        if signature != b"GCOL" or version != 1:
            raise ValueError("a heap is broken")
        self._left -= size
        heap, place = self._bytes(address, size, self._left + size), 16
        while place + 16 <= len(heap):
            number, length = struct.unpack_from("<H6xQ", heap, place)
            if number == 0:
                return  # what is left is free
            self._objects += 1
            if self._objects > _MAX_TEXTS or length > len(heap) - place - 16:
                raise ValueError("a heap is broken, or there are too many texts")
            yield number, heap[place + 16 : place + 16 + length]
            place += 16 + _padded(length)

    def _bytes(self, address: int, length: int, most: int = _MAX_BLOCK) -> bytes:
        if length > most or address + self._base >= 2**63:
            raise ValueError(f"{length} bytes at {address}: expected at most {most}")
        self._file.seek(address + self._base)
        data = self._file.read(length)
        if len(data) < length:
            raise ValueError(f"{length} bytes at {address}: the file ends before that")
        return data


def _data_of(body: bytes, name: str) -> bytes | None:
    """What an attribute message holds, if it is the attribute of this name and holds texts."""
    version, flags, *sizes = struct.unpack_from("<BBHHH", body)
    place = 9 if version == 3 else 8
    parts = []
    for size in sizes:
        parts.append(body[place : place + size])
        place += _padded(size) if version == 1 else size
    found, datatype, dataspace = parts
    # A type or a shape that lies elsewhere (flags) is nothing that Keras or minicnn writes.
    if found.rstrip(b"\0") != name.encode() or not 1 <= version <= 3 or (flags and version > 1):
        return None
    kind, of, size = struct.unpack_from("<BB2xI", datatype)
    if (kind & 15, of & 15) != _VARIABLE_STRING or size != _REFERENCE.size:
        return None
    count = _elements(dataspace)
    data = body[place : place + count * size]
    if count > _MAX_TEXTS or len(data) < count * size:
        raise ValueError(f"the attribute {name} is said to have {count} texts")
    return data


def _elements(dataspace: bytes) -> int:
    version, rank, _, kind = struct.unpack_from("<4B", dataspace)
    if version not in (1, 2) or (version == 2 and kind > 1):
        raise ValueError("an attribute without a shape")
    return math.prod(struct.unpack_from(f"<{rank}Q", dataspace, 8 if version == 1 else 4))


def _padded(size: int) -> int:
    """The next multiple of 8."""
    return -(-size // 8) * 8
