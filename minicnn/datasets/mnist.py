"""MNIST: handwritten digits, 28x28 (Y. LeCun, C. Cortes, C. J. C. Burges)."""

from __future__ import annotations

import os

import numpy as np

from minicnn.datasets.access import load_arrays


def load_data(
    path: str | os.PathLike[str] | None = None,
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """The MNIST digits: from ``path``, or from the cache, or from the network.

    Args:
        path: a local copy: an ``.npz`` file with ``x_train``, ``y_train``, ``x_test`` and
            ``y_test``, or a folder with ``mnist.npz`` or with the four official ``.gz`` files. None
            looks in the cache folder (``MINICNN_DATA``, or the platform's own) and then downloads
            into it.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: pictures as uint8 of shape (60000, 28, 28) and
        (10000, 28, 28), from 0 (paper) to 255 (ink); digits as uint8 of shape (60000,) and
        (10000,).

    Raises:
        FileNotFoundError: if ``path`` holds no copy.
        ValueError: if a file is broken or holds something else.
        OSError: if the download fails; the message says which files to put where by hand.
        ImportError: if a download is needed and pooch is not installed.
    """
    return load_arrays("mnist", path)
