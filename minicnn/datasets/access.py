"""What every ``load_data`` does: a local copy if there is one, the cache, then a download."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from minicnn.datasets import cache, readers
from minicnn.datasets.sources import SOURCES, Source

Split = tuple[np.ndarray, np.ndarray]


def load_arrays(
    name: str,
    path: str | os.PathLike[str] | None = None,
    folder: str | os.PathLike[str] | None = None,
    label_mode: str = "fine",
) -> tuple[Split, Split]:
    """The arrays of a data set.

    Args:
        name: of the data set, as in ``sources.py``.
        path: a local copy: an ``.npz`` file, an official archive, or a folder that holds either
            (or, for MNIST's kin, the four ``.gz`` files), itself or in a folder with the data set's
            name.
        folder: the cache folder to use when there is no ``path``; the usual one if None.
        label_mode: "fine" or "coarse", for CIFAR-100.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``.
    """
    source = SOURCES[name]
    if str(path) == f"{name}.npz" and not os.path.exists(path):
        path = None  # what Keras calls the file in its own cache folder
    if path is not None:
        files = _local_copy(source, _as_path(path, "path"))
    else:
        place = cache.cache_folder() if folder is None else _as_path(folder, "data_dir")
        npz = place / f"{name}.npz"
        files = [npz] if npz.is_file() else cache.fetch(source, place)
    if files[0].suffix == ".npz":
        arrays = readers.read_npz(files[0])
    else:
        arrays = readers.read_official(source, files, label_mode)
    classes = readers.COARSE_CLASSES if label_mode == "coarse" else len(source.class_names)
    arrays = readers.check_arrays(source, arrays, str(files[0]), classes)
    return arrays[:2], arrays[2:]


def _local_copy(source: Source, path: Path) -> list[Path]:
    """The file or files that ``path`` stands for."""
    names = [file.name for file in source.files]
    if path.is_file():
        if path.suffix == ".npz" or len(names) == 1:
            return [path]
    else:
        candidates = [
            [path / f"{source.name}.npz"],
            [path / name for name in names],
            [path / source.name / name for name in names],
        ]
        for files in candidates:
            if all(file.is_file() for file in files):
                return files
    found = "is another file" if path.is_file() else "holds none" if path.is_dir() else "is missing"
    raise FileNotFoundError(
        f"path: expected a local copy of {source.name}, which is an .npz file with "
        f"{', '.join(readers.KEYS)}, or a folder with {source.name}.npz or with "
        f"{', '.join(names)}; {str(path)!r} {found}"
    )


def _as_path(path: str | os.PathLike[str], argument: str) -> Path:
    try:
        return Path(path).expanduser()
    except TypeError:
        raise TypeError(f"{argument}: expected a path or None, got {path!r}") from None
