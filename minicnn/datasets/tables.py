"""Tables to learn regression from: what houses cost, as many a course begins."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np

from minicnn.datasets import cache
from minicnn.datasets.access import Split
from minicnn.datasets.readers import BROKEN
from minicnn.datasets.sources import RemoteFile, Source
from minicnn.validation import number

_FOLDER = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"


def _table(name: str, description: str, homepage: str, columns: int, sha256: str, size: int):
    file = RemoteFile(f"{name}.npz", f"{_FOLDER}{name}.npz", sha256, size)
    return Source(name, description, homepage, (columns,), (), (), "table", (file,))


# The sums and sizes are those of the files that Keras downloads.
TABLES = {
    table.name: table
    for table in (
        _table(
            "boston_housing",
            "13 figures of each of 506 districts of Boston in 1970, and the median price there.",
            "http://lib.stat.cmu.edu/datasets/boston",
            13,
            "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5",
            57_026,
        ),
        _table(
            "california_housing",
            "8 figures of each of 20,640 districts of California in 1990, and the median price.",
            "https://www.dcc.fc.up.pt/~ltorgo/Regression/cal_housing.html",
            8,
            "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f",
            743_530,
        ),
    )
}


def load_table(
    name: str,
    path: str | os.PathLike[str] | None,
    test_split: float,
    seed: int,
    rows: int | None = None,
) -> tuple[Split, Split]:
    """The rows of a table in the order that Keras makes of ``seed``, cut into two parts.

    Args:
        name: of the table.
        path: a local copy, an ``.npz`` file with ``x`` and ``y``; None looks in the cache folder
            and then downloads into it, and so does the file's own name, as in Keras.
        test_split: the part of the rows that comes last.
        seed: of the order.
        rows: take the first ones only.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``.
    """
    test_split = number(test_split, "test_split", "[0, 1)")
    source = TABLES[name]
    if path is None or str(path) == source.files[0].name:
        path = cache.fetch(source, cache.cache_folder())[0]
    x, y = (part[:rows] for part in _read(source, Path(path)))
    order = np.random.RandomState(seed).permutation(len(x))
    train, test = np.split(order, [int(len(x) * (1 - test_split))])
    return (x[train], y[train]), (x[test], y[test])


def _read(source: Source, path: Path) -> tuple[np.ndarray, np.ndarray]:
    (columns,) = source.image_shape
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("it is no zip archive" if path.is_file() else "there is no such file")
        with np.load(path, allow_pickle=False) as file:
            x, y = file["x"], file["y"]
        if x.ndim != 2 or x.shape[1] != columns or y.shape != (len(x),):
            raise ValueError(f"x has shape {x.shape}, y {y.shape}")
    except (*BROKEN, KeyError) as error:
        raise ValueError(
            f"path: expected a copy of {source.name}, an .npz file with x (n, {columns}) and y "
            f"(n,); {path}: {error}"
        ) from error
    return x, y
