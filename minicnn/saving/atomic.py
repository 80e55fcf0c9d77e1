"""Writing a file so that it is there as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows, where nobody can delete a file that another process has open
    fcntl = None  # type: ignore[assignment]

_SUFFIX = ".tmp"


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A new file that takes the place of ``path`` when the block ends well.

    It is written beside ``path`` and brought to the disk before it gets the name. So whatever
    happens, a full disk, an exception, a kill at any moment: under the name there is the old file
    or the new one, and each is whole. What a killed process has left beside it, the next one
    clears away.

    Args:
        path: the file. Its folder must exist.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.txt")
    ...     with replacing(path) as file:
    ...         _ = file.write(b"whole")
    ...     path.read_bytes(), os.listdir(folder)
    (b'whole', ['a.txt'])
    """
    path = Path(os.path.realpath(path))  # a link stays one: what it points to is replaced
    clear_leftovers(path)
    file = _new_file_beside(path)
    try:
        yield file
        file.flush()
        os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            shutil.copymode(path, file.name)
        if fcntl is None:
            file.close()  # Windows does not rename a file that is open
        os.replace(file.name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            file.close()  # which tries to write what is left
        with contextlib.suppress(OSError):
            os.unlink(file.name)
        raise
    file.close()
    _bring_to_disk(path.parent)


def clear_leftovers(path: str | os.PathLike[str]) -> None:
    """Delete what killed processes have left beside ``path``, and nothing that one is writing."""
    path = Path(os.path.realpath(path))
    for name in os.listdir(path.parent):
        if name.startswith(f".{path.name}.") and name.endswith(_SUFFIX):
            with contextlib.suppress(OSError), open(path.parent / name, "rb") as file:
                if fcntl is not None:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises if it is in use
                    os.unlink(file.name)
            if fcntl is None:
                with contextlib.suppress(OSError):
                    os.unlink(path.parent / name)


def _new_file_beside(path: Path) -> IO[bytes]:
    """An empty file that is locked, which says that somebody is at work here."""
    while True:
        file = open(path.parent / f".{path.name}.{secrets.token_hex(4)}{_SUFFIX}", "xb")  # noqa: SIM115
        if fcntl is None:
            return file
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # another process has cleared it away before the lock was there


def _bring_to_disk(folder: Path) -> None:
    """The new name, too, where a folder can be flushed."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
