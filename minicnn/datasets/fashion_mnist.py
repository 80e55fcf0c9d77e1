"""Fashion-MNIST: ten kinds of clothes, 28x28 (H. Xiao, K. Rasul, R. Vollgraf, 2017)."""

from __future__ import annotations

import os

import numpy as np

from minicnn.datasets.access import load_arrays


def load_data(
    path: str | os.PathLike[str] | None = None,
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Fashion-MNIST: from ``path``, or from the cache, or from the network.

    The labels mean: 0 T-shirt/top, 1 trouser, 2 pullover, 3 dress, 4 coat, 5 sandal, 6 shirt,
    7 sneaker, 8 bag, 9 ankle boot.

    Args:
        path: a local copy: an ``.npz`` file with ``x_train``, ``y_train``, ``x_test`` and
            ``y_test``, or a folder with ``fashion_mnist.npz`` or with the four official ``.gz``
            files. None looks in the cache folder (``MINICNN_DATA``, or the platform's own) and then
            downloads into it.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``, in the shapes and types of
        :func:`minicnn.datasets.mnist.load_data`; errors are as there.
    """
    return load_arrays("fashion_mnist", path)
