"""Boston Housing: prices of houses in 1970 (D. Harrison, D. Rubinfeld), for regression.

One of its columns counts Black people, as if that set a price; the authors' data say more about
1970 than about houses. :mod:`minicnn.datasets.california_housing` does as well.
"""

from __future__ import annotations

import os

from minicnn.datasets.access import Split
from minicnn.datasets.tables import load_table


def load_data(
    path: str | os.PathLike[str] | None = None, test_split: float = 0.2, seed: int = 113
) -> tuple[Split, Split]:
    """The Boston districts: from ``path``, or from the cache, or from the network.

    Args:
        path: a local copy, ``boston_housing.npz``. None looks in the cache folder
            (``MINICNN_DATA``, or the platform's own) and then downloads into it.
        test_split: the part of the rows for the test.
        seed: of the order of the rows; the same as in Keras gives the same rows.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: 13 figures of each district, float64 of shape
        (404, 13) and (102, 13); the median price of a house there in 1,000 dollars, (404,) and
        (102,).

    Raises:
        ValueError: if an argument is wrong, or the file holds something else.
        OSError: if the download fails; the message says which file to put where by hand.
        ImportError: if a download is needed and pooch is not installed.
    """
    return load_table("boston_housing", path, test_split, seed)
