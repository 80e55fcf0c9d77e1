"""CIFAR-100: small colour photographs of a hundred kinds of things (A. Krizhevsky, 2009)."""

from __future__ import annotations

import os

import numpy as np

from minicnn.datasets.access import load_arrays


def load_data(
    label_mode: str = "fine", path: str | os.PathLike[str] | None = None
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """CIFAR-100: from ``path``, or from the cache, or from the network.

    Args:
        label_mode: "fine" for the 100 classes (apple, ..., worm), "coarse" for their 20 groups
            (aquatic mammals, ..., vehicles). An ``.npz`` file holds one kind of labels and is taken
            to hold the kind that is asked for.
        path: a local copy: an ``.npz`` file with ``x_train``, ``y_train``, ``x_test`` and
            ``y_test``, the official *binary* archive ``cifar-100-binary.tar.gz``, or a folder with
            ``cifar100.npz`` or that archive. None looks in the cache folder (``MINICNN_DATA``, or
            the platform's own) and then downloads into it.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``, in the shapes and types of
        :func:`minicnn.datasets.cifar10.load_data`; errors are as there.

    Raises:
        ValueError: also if ``label_mode`` is neither "fine" nor "coarse".
    """
    if label_mode not in ("fine", "coarse"):
        raise ValueError(f"label_mode: expected 'fine' or 'coarse', got {label_mode!r}")
    return load_arrays("cifar100", path, label_mode=label_mode)
