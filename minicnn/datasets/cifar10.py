"""CIFAR-10: small colour photographs of ten kinds of things (A. Krizhevsky, 2009)."""

from __future__ import annotations

import os

import numpy as np

from minicnn.datasets.access import load_arrays


def load_data(
    path: str | os.PathLike[str] | None = None,
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """CIFAR-10: from ``path``, or from the cache, or from the network.

    The labels mean: 0 airplane, 1 automobile, 2 bird, 3 cat, 4 deer, 5 dog, 6 frog, 7 horse, 8
    ship, 9 truck.

    Args:
        path: a local copy: an ``.npz`` file with ``x_train``, ``y_train``, ``x_test`` and
            ``y_test``, the official *binary* archive ``cifar-10-binary.tar.gz``, or a folder with
            ``cifar10.npz`` or that archive. None looks in the cache folder (``MINICNN_DATA``, or
            the platform's own) and then downloads into it. The archive is read in memory; the
            "python version", which would have to be unpickled, is not accepted.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: pictures as uint8 of shape (50000, 32, 32, 3) and
        (10000, 32, 32, 3), red, green, blue; labels as uint8 of shape (50000, 1) and (10000, 1).
        Errors are as in :func:`minicnn.datasets.mnist.load_data`.
    """
    return load_arrays("cifar10", path)
