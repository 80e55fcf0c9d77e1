"""The ``.keras`` file: a ZIP archive of a configuration and of weights."""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from minicnn.saving import strict_json
from minicnn.saving.atomic import replacing

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
# The same bytes for the same model: an archive holds no time of its own.
_DATE = (1980, 1, 1, 0, 0, 0)
_MAX_MEMBERS = 1000
# Weights hardly shrink when they are compressed; what grows more than this is a bomb.
_MAX_RATIO, _ALWAYS_ALLOWED = 100, 2**20

# Everything that zipfile raises for a broken archive.
_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, struct.error),
    *(UnicodeError, OverflowError),
)


def write_archive(
    path: str | os.PathLike[str], metadata: bytes, config: bytes, weights: bytes
) -> None:
    """Write the three members that Keras writes, uncompressed as Keras does."""
    with replacing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, data in ((METADATA, metadata), (CONFIG, config), (WEIGHTS, weights)):
            archive.writestr(zipfile.ZipInfo(name, _DATE), data)


def read_archive(path: str | os.PathLike[str]) -> tuple[Any, bytes]:
    """``(config, weights)`` of a ``.keras`` file: the parsed JSON, and the bytes of the HDF5 file.

    Members with other names are left alone; nothing is unpacked to the disk.

    Raises:
        ValueError: if it is no such file, or a broken or a hostile one.
        FileNotFoundError: if there is none.
    """
    with regular_file(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                members = _members(archive)
                if METADATA in members:
                    _check_version(_read(archive, members[METADATA], 2**20))
                config = _read(archive, members[CONFIG], strict_json.MAX_BYTES)
                weights = _read(archive, members[WEIGHTS], None)
        except _BROKEN as error:
            raise ValueError(f"not a readable .keras file: {error}") from error
    return strict_json.parse(config, CONFIG), weights


@contextmanager
def regular_file(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A file opened for reading, if it is a plain file with something in it.

    Raises:
        ValueError: if it is a folder, a device, a pipe, or empty.
        FileNotFoundError: if there is none.
    """
    path = Path(path)
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{os.fspath(path)}: expected a file, got a folder or a device")
    if not status.st_size:
        raise ValueError(f"{os.fspath(path)}: the file is empty")
    with open(path, "rb") as file:
        yield file


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    entries = archive.infolist()
    if len(entries) > _MAX_MEMBERS:
        raise ValueError(f"the archive has {len(entries)} members, at most {_MAX_MEMBERS} are read")
    found: dict[str, zipfile.ZipInfo] = {}
    for entry in entries:
        if entry.filename not in (CONFIG, METADATA, WEIGHTS):
            continue
        if entry.filename in found:
            raise ValueError(f"the archive has {entry.filename} twice")
        found[entry.filename] = entry
    for name in (CONFIG, WEIGHTS):
        if name not in found:
            there = sorted(ascii(entry.filename)[1:-1][:40] for entry in entries)[:8]
            raise ValueError(f"the archive has no {name}; it has {', '.join(there) or 'nothing'}")
    return found


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limit: int | None) -> bytes:
    if entry.flag_bits & 1:
        raise ValueError(f"{entry.filename} is encrypted")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{entry.filename} is compressed in a way that Keras does not use")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise ValueError(f"{entry.filename} is a link")
    if entry.compress_size > os.fstat(archive.fp.fileno()).st_size:
        raise ValueError(f"{entry.filename} is said to be longer than the archive")
    if limit is None:
        limit = max(_ALWAYS_ALLOWED, _MAX_RATIO * entry.compress_size)
    if entry.file_size > limit:
        raise ValueError(
            f"{entry.filename} unpacks {entry.compress_size} bytes to {entry.file_size}, which is "
            f"more than the {limit} that are taken for sane"
        )
    with archive.open(entry) as member:
        data = member.read(entry.file_size)
        rest = member.read(1)  # reading to the end checks the sum over all bytes
    if rest or len(data) != entry.file_size:
        raise ValueError(f"{entry.filename} is not as long as the archive says")
    return data


def _check_version(data: bytes) -> None:
    metadata = strict_json.parse(data, METADATA)
    version = metadata.get("keras_version") if isinstance(metadata, dict) else None
    if isinstance(version, str) and version.startswith(("1.", "2.")):
        raise ValueError(
            f"the file was written by Keras {version[:20]}; minicnn reads those of Keras 3. Load "
            "and save it again there"
        )


def begins_like_hdf5(path: str | os.PathLike[str]) -> bool:
    """Whether a file is an HDF5 file, whatever its name: so were the ``.keras`` files of Keras 2.

    Raises:
        ValueError, FileNotFoundError: as :func:`regular_file`.
    """
    with regular_file(path) as file:
        return file.read(8) == b"\x89HDF\r\n\x1a\n"
