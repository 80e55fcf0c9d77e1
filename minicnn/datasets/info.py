"""What a data set is: the sizes of its parts, the shapes of its elements, the names of its classes.

Names and fields are those that notebooks know from TensorFlow Datasets.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Image:
    """A picture: (height, width, channels), uint8."""

    shape: tuple[int, int, int]
    dtype: type = np.uint8


@dataclass(frozen=True)
class ClassLabel:
    """A class, as a number with a name.

    >>> label = ClassLabel(("cat", "dog"))
    >>> label.num_classes, label.int2str(1), label.str2int("cat")
    (2, 'dog', 0)
    """

    class_names: tuple[str, ...]
    shape: tuple[()] = ()
    dtype: type = np.int64

    @property
    def names(self) -> list[str]:
        return list(self.class_names)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    def int2str(self, label: int) -> str:
        """The name of a class.

        Raises:
            TypeError: if ``label`` is no integer.
            ValueError: if there is no such class.
        """
        try:
            number = operator.index(label)
        except TypeError:
            raise TypeError(f"label: expected an integer, got {label!r}") from None
        if not 0 <= number < self.num_classes:
            raise ValueError(f"label: expected 0 to {self.num_classes - 1}, got {number}")
        return self.class_names[number]

    def str2int(self, name: str) -> int:
        """The number of a class.

        Raises:
            ValueError: if no class has that name.
        """
        if name not in self.class_names:
            raise ValueError(f"name: expected one of {', '.join(self.class_names)}; got {name!r}")
        return self.class_names.index(name)


@dataclass(frozen=True)
class SplitInfo:
    """One part of a data set."""

    name: str
    num_examples: int


@dataclass(frozen=True)
class DatasetInfo:
    """What ``minicnn.datasets.load(..., with_info=True)`` returns beside the data.

    Attributes:
        name, description, homepage: which data set this is.
        features: ``features["image"].shape``, ``features["label"].names``.
        splits: ``splits["train"].num_examples``.
    """

    name: str
    description: str
    homepage: str
    features: Mapping[str, Image | ClassLabel]
    splits: Mapping[str, SplitInfo]
