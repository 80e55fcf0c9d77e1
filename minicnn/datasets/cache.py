"""Where a data set's files lie on this machine, and how they get there.

A file that is in the cache folder and has the right SHA-256 is used; any other is fetched. It comes
into a folder of its own beside the place where it belongs, is checked there and is then moved into
place in one step. So a transfer that breaks off leaves nothing that could be taken for a data set,
and two processes that fetch the same file at once do not meet.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from minicnn.datasets.sources import RemoteFile, Source

CHUNK = 1 << 20
TIMEOUT = 30.0  # seconds without a byte from the server


def cache_folder() -> Path:
    """``MINICNN_DATA`` if it is set, otherwise the folder that this platform keeps caches in.

    Raises:
        ImportError: if ``MINICNN_DATA`` is not set and pooch is missing, which knows the platforms.
    """
    folder = os.environ.get("MINICNN_DATA")
    if folder:
        return Path(folder).expanduser()
    return Path(_pooch().os_cache("minicnn"))


def fetch(source: Source, folder: Path) -> list[Path]:
    """The official files of ``source`` below ``folder``; those that are not there are downloaded.

    Returns:
        the paths, in the order of ``source.files``, each with the right SHA-256.

    Raises:
        OSError: if a file cannot be had. The message says which file to put where by hand.
        ImportError: if a download is needed and pooch is missing.
    """
    paths = [folder / source.name / file.name for file in source.files]
    for file, path in zip(source.files, paths, strict=True):
        if not _is_intact(file, path):
            try:
                _download(source, file, path)
            except ImportError as error:
                raise ImportError(f"{error}\n{_by_hand(source, folder)}") from error
            except ConnectionError as error:
                raise OSError(
                    f"{source.name}: {file.name} could not be downloaded. {error}\n"
                    f"{_by_hand(source, folder)}"
                ) from error
    return paths


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _is_intact(file: RemoteFile, path: Path) -> bool:
    return path.is_file() and path.stat().st_size == file.size and sha256(path) == file.sha256


def _download(source: Source, file: RemoteFile, path: Path) -> None:
    """Fetch one file, check it and move it to ``path``; a ConnectionError says what went wrong."""
    pooch = _pooch()
    import requests  # pooch needs it, so it is there

    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix=".incoming-", dir=path.parent) as folder,
        _ProgressBar(f"{source.name}: {file.name}", file.size) as bar,
    ):
        arrived = Path(folder) / file.name
        download = pooch.HTTPDownloader(
            progressbar=bar,
            chunk_size=CHUNK,
            timeout=TIMEOUT,
            headers={"Accept-Encoding": "identity"},  # the bytes of the file, and not unzipped ones
        )
        try:
            download(file.url, str(arrived), None)
        except requests.RequestException as error:
            raise ConnectionError(str(error)) from error
        if not _is_intact(file, arrived):
            raise ConnectionError(
                f"What came is not the file that was expected: {arrived.stat().st_size} bytes with "
                f"SHA-256 {sha256(arrived)}, and not {file.size} bytes with SHA-256 {file.sha256}. "
                f"It was thrown away."
            )
        try:
            os.replace(arrived, path)
        except PermissionError:
            # Windows: another process has fetched it meanwhile and is reading it.
            if not _is_intact(file, path):
                raise


def _by_hand(source: Source, folder: Path) -> str:
    """What to do on a machine that does not get through."""
    lines = ["To do without a download, get"]
    for file in source.files:
        lines += [f"  {file.url}", f"    and put it at {folder / source.name / file.name}"]
    if source.layout == "table":
        lines.append("or give path= that file.")
    else:
        lines.append(
            f"or give path= a folder with such files, or an .npz file with x_train, y_train, "
            f"x_test and y_test (in the cache folder: {folder / (source.name + '.npz')})."
        )
    return "\n".join(lines)


def _pooch() -> ModuleType:
    try:
        import pooch
    except ImportError as error:
        raise ImportError(
            "downloads need pooch: pip install 'minicnn[datasets]'. Without it, give path= a local "
            "copy, or set the environment variable MINICNN_DATA to a folder that holds the files."
        ) from error
    return pooch


def _in_notebook() -> bool:
    return type(sys.stderr).__module__.startswith("ipykernel")


class _ProgressBar:
    """What pooch asks of a progress bar, drawn by rich (terminal, notebook, log file)."""

    def __init__(self, description: str, size: int):
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self.total = size
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
            # In a notebook rich would need ipywidgets. A line that is written anew does as well.
            console=Console(
                stderr=True, force_terminal=_in_notebook() or None, force_jupyter=False
            ),
        )
        self._task = self._progress.add_task(description, total=size)

    def __enter__(self) -> _ProgressBar:
        self._progress.start()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._progress.stop()

    def update(self, count: int) -> None:
        self._progress.update(self._task, advance=count)

    def reset(self) -> None:
        """Back to nothing: pooch then states the whole size at once, to end at exactly 100 %."""
        self._progress.reset(self._task, total=self.total or None)

    def close(self) -> None:
        """The bar ends with its ``with`` block."""
