"""The data sets as input pipelines, by name."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from minicnn.data import Dataset
from minicnn.datasets import digits, splits
from minicnn.datasets.access import load_arrays
from minicnn.datasets.info import ClassLabel, DatasetInfo, Image, SplitInfo
from minicnn.datasets.sources import SOURCES
from minicnn.registry import lookup


def load(
    name: str,
    *,
    split: str | list[str] | tuple[str, ...] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    shuffle_files: bool = False,
    as_supervised: bool = False,
    with_info: bool = False,
) -> Any:
    """A data set as :class:`minicnn.data.Dataset` pipelines.

    An element is a dict: ``"image"``, uint8 of shape (height, width, channels), and ``"label"``, an
    int64 number (for CIFAR-100 the fine one).

    Args:
        name: "digits", "mnist", "fashion_mnist", "cifar10" or "cifar100".
        split: which part: "train", "test", "all", a slice ("train[:80%]", "test[100:]"), parts
            joined by "+", or a list of such strings. None is a dict of all parts by name.
        data_dir: a folder to use in place of the cache folder: one that holds ``<name>.npz``, or
            the official files in a folder ``<name>``. What is not there is downloaded into it.
        shuffle_files: whether to bring the examples in a new order every time they are read.
        as_supervised: whether elements are pairs ``(image, label)`` instead of dicts.
        with_info: whether to return a :class:`~minicnn.datasets.info.DatasetInfo` as well.

    Returns:
        One dataset, a list of them as ``split`` is, or a dict; with ``with_info`` a pair of that
        and the information.

    Raises:
        ValueError: if there is no such data set or part. Errors of reading and downloading are as
            in ``load_data``.

    >>> (train, test), info = load("digits", split=["train", "test"], with_info=True)
    >>> len(train), len(test), info.features["label"].num_classes
    (1497, 300, 10)
    >>> next(iter(train))["image"].shape
    (8, 8, 1)
    """
    source = lookup(SOURCES, name, "data set")
    if source.files:
        train, test = load_arrays(source.name, folder=data_dir)
    else:
        train, test = digits.load_data()
    parts = {"train": _elements(*train), "test": _elements(*test)}
    sizes = {part: len(labels) for part, (_, labels) in parts.items()}

    def pipeline(which: str) -> Dataset:
        pieces = [
            (parts[part][0][piece], parts[part][1][piece])
            for part, piece in splits.parse(which, sizes)
        ]
        # One piece stays a view of the whole; only a sum has to be copied.
        image, label = (
            pieces[0] if len(pieces) == 1 else map(np.concatenate, zip(*pieces, strict=True))
        )
        elements = (image, label) if as_supervised else {"image": image, "label": label}
        dataset = Dataset.from_tensor_slices(elements)
        return dataset.shuffle(len(label)) if shuffle_files and len(label) else dataset

    if split is None:
        result: Any = {part: pipeline(part) for part in parts}
    elif isinstance(split, (list, tuple)):
        result = [pipeline(which) for which in split]
    else:
        result = pipeline(split)
    if not with_info:
        return result
    info = DatasetInfo(
        name=source.name,
        description=source.description,
        homepage=source.homepage,
        features={
            "image": Image(parts["train"][0].shape[1:]),
            "label": ClassLabel(source.class_names),
        },
        splits={part: SplitInfo(part, size) for part, size in sizes.items()},
    )
    return result, info


def _elements(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pictures with a channel axis, labels without any."""
    images = x if x.ndim == 4 else x[..., np.newaxis]
    return images, y.reshape(len(y)).astype(np.int64)
