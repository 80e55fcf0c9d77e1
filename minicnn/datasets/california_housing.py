"""California Housing: prices of houses in 1990 (R. K. Pace, R. Barry), for regression."""

from __future__ import annotations

import os

from minicnn.datasets.access import Split
from minicnn.datasets.tables import load_table
from minicnn.validation import choice


def load_data(
    version: str = "large",
    path: str | os.PathLike[str] | None = None,
    test_split: float = 0.2,
    seed: int = 113,
) -> tuple[Split, Split]:
    """The Californian districts: from ``path``, or from the cache, or from the network.

    Args:
        version: ``"large"``, or ``"small"`` for the first 600 rows.
        path: a local copy, ``california_housing.npz``. None looks in the cache folder
            (``MINICNN_DATA``, or the platform's own) and then downloads into it.
        test_split: the part of the rows for the test.
        seed: of the order of the rows; the same as in Keras gives the same rows.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: 8 figures of each district, of shape (n, 8); the
        median price of a house there in dollars, (n,).

    Raises:
        ValueError: if an argument is wrong, or the file holds something else.
        OSError: if the download fails; the message says which file to put where by hand.
        ImportError: if a download is needed and pooch is not installed.
    """
    choice(version, "version", ("large", "small"))
    rows = 600 if version == "small" else None
    return load_table("california_housing", path, test_split, seed, rows)
