"""What ``ImageDataGenerator`` hands out: batches of pictures that it has changed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minicnn import random
from minicnn.data.pydataset import PyDataset
from minicnn.preprocessing.directory import picture_files
from minicnn.preprocessing.pictures import array_to_img, img_to_array, load_img
from minicnn.shapes import pair, positive_int
from minicnn.validation import choice

FORMATS = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".tif", ".tiff")


class Iterator(PyDataset):
    """Batches of pictures that a generator changes. ``fit`` asks for them by their place; a loop
    gets them one after the other, without end, so it needs a ``break``.

    A subclass has ``pictures(index)``, which loads some, and ``targets(index)``.

    Args:
        generator: an ``ImageDataGenerator``.
        n: how many pictures there are.
        batch_size, shuffle, seed, save_to_dir, save_prefix, save_format: see its ``flow``.
    """

    def __init__(
        self,
        generator: Any,
        n: int,
        batch_size: int,
        shuffle: bool,
        seed: int | None,
        save_to_dir: str | os.PathLike[str] | None,
        save_prefix: str,
        save_format: str,
    ):
        super().__init__()
        self.image_data_generator = generator
        self.n, self.batch_size = n, positive_int(batch_size, "batch_size")
        self.shuffle, self.seed = shuffle, seed
        self.save_to_dir, self.save_prefix, self.save_format = save_to_dir, save_prefix, save_format
        self.batch_index = self.total_batches_seen = 0
        self.index_array: np.ndarray | None = None
        self._rng = np.random.RandomState(random.fresh_seed() % 2**32)

    def __len__(self) -> int:
        return -(-self.n // self.batch_size)

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(f"index: there are {len(self)} batches, got {index}")
        self._next_rng()
        if self.index_array is None:
            self.on_epoch_end()
        return self._batch(index)

    def __iter__(self) -> Iterator:
        return self

    def __next__(self) -> Any:
        if not self.n:
            raise StopIteration
        self._next_rng()
        if self.batch_index == 0 or self.index_array is None:
            self.on_epoch_end()
        index, self.batch_index = self.batch_index, (self.batch_index + 1) % len(self)
        return self._batch(index)

    def reset(self) -> None:
        """Let a loop begin with the first batch again."""
        self.batch_index = 0

    def on_epoch_end(self) -> None:
        """Draw a new order."""
        self.index_array = self._rng.permutation(self.n) if self.shuffle else np.arange(self.n)

    def _next_rng(self) -> None:
        """With a seed each batch has random numbers of its own, as in Keras: two iterators of one
        seed, over pictures and over masks, change both in the same way."""
        if self.seed is not None:
            self._rng = np.random.RandomState((self.seed + self.total_batches_seen) % 2**32)
        self.total_batches_seen += 1

    def _batch(self, number: int) -> Any:
        index = self.index_array[number * self.batch_size : (number + 1) * self.batch_size]
        generator, x = self.image_data_generator, self.pictures(index)
        changes = [generator.draw(picture.shape, self._rng) for picture in x]
        x = np.stack([generator.standardize(one) for one in generator.apply_to_batch(x, changes)])
        x = x.astype(generator.dtype)
        if self.save_to_dir is not None:
            for place, picture in zip(index, x, strict=True):
                name = f"{self.save_prefix}_{place}_{self._rng.randint(10**7)}.{self.save_format}"
                array_to_img(picture).save(os.path.join(self.save_to_dir, name))
        rest = self.targets(index, x)
        return (x, *rest) if rest else x

    def pictures(self, index: np.ndarray) -> np.ndarray:
        """The pictures at these places, (n, h, w, c)."""
        raise NotImplementedError

    def targets(self, index: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, ...]:
        """What goes with them: (y,) or (y, sample_weight) or (). ``x``: as they are now."""
        raise NotImplementedError


class NumpyArrayIterator(Iterator):
    """Batches of an array of pictures; see ``ImageDataGenerator.flow``."""

    def __init__(
        self,
        generator: Any,
        x: Any,
        y: Any,
        sample_weight: Any,
        batch_size: int,
        shuffle: bool,
        seed: int | None,
        save_to_dir: str | os.PathLike[str] | None,
        save_prefix: str,
        save_format: str,
        ignore_class_split: bool,
        subset: str | None,
    ):
        x = np.asarray(x)
        if x.ndim != 4 or x.dtype.kind not in "biuf":
            raise ValueError(
                f"x: expected pictures (n, height, width, channels), got {x.dtype} of shape "
                f"{x.shape}"
            )
        others = {"y": y, "sample_weight": sample_weight}
        others = {name: None if v is None else np.asarray(v) for name, v in others.items()}
        for name, value in others.items():
            if value is not None and len(value) != len(x):
                raise ValueError(f"{name}: has {len(value)} samples, but x has {len(x)}")
        part = _part(subset, generator.validation_split, len(x))
        rest = np.r_[: part.start, part.stop : len(x)]
        y = others["y"]
        if y is not None and subset is not None and not ignore_class_split:
            mine, theirs = np.unique(y[part]), np.unique(y[rest])
            if not np.array_equal(mine, theirs):
                raise ValueError(
                    f"y: the subset {subset!r} has the classes {mine}, the other one {theirs}: "
                    "shuffle the data, or say ignore_class_split=True"
                )
        self.x = x[part]
        self.y, self.sample_weight = (None if v is None else v[part] for v in others.values())
        super().__init__(
            generator, len(self.x), batch_size, shuffle, seed, save_to_dir, save_prefix, save_format
        )

    def pictures(self, index: np.ndarray) -> np.ndarray:
        return self.x[index]

    def targets(self, index: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, ...]:
        if self.y is None:
            return ()
        parts = (self.y, self.sample_weight)
        return tuple(part[index] for part in parts if part is not None)


class DirectoryIterator(Iterator):
    """Batches of the pictures in folders; see ``ImageDataGenerator.flow_from_directory``.

    Attributes:
        class_indices: the number of each class, by its name.
        classes: the number of the class of each picture.
        filenames, filepaths: where each picture is, within the folder and from here.
        samples: how many there are.
        num_classes: how many classes there are.
        image_shape: (height, width, channels).
    """

    def __init__(
        self,
        generator: Any,
        directory: str | os.PathLike[str],
        target_size: tuple[int, int],
        color_mode: str,
        classes: Sequence[str] | None,
        class_mode: str | None,
        batch_size: int,
        shuffle: bool,
        seed: int | None,
        save_to_dir: str | os.PathLike[str] | None,
        save_prefix: str,
        save_format: str,
        follow_links: bool,
        subset: str | None,
        interpolation: str,
        keep_aspect_ratio: bool,
    ):
        channels = {"rgb": 3, "rgba": 4, "grayscale": 1}
        choice(color_mode, "color_mode", tuple(channels))
        choice(class_mode, "class_mode", ("categorical", "binary", "sparse", "input", None))
        self.directory, self.color_mode, self.class_mode = directory, color_mode, class_mode
        self.target_size = pair(target_size, "target_size")
        self.interpolation, self.keep_aspect_ratio = interpolation, keep_aspect_ratio
        self.image_shape = (*self.target_size, channels[color_mode])
        folder = Path(directory)
        if not folder.is_dir():
            raise FileNotFoundError(f"directory: there is no folder {os.fspath(directory)}")
        folders = sorted(one.name for one in folder.iterdir() if one.is_dir())
        names = list(classes) if classes else folders
        if not set(names) <= set(folders):
            raise ValueError(f"classes: expected some of {folders}, got {names}")
        found = [picture_files(folder / name, follow_links, FORMATS) for name in names]
        found = [one[_part(subset, generator.validation_split, len(one))] for one in found]
        self.filepaths = [path for one in found for path in one]
        self.filenames = [os.path.relpath(path, directory) for path in self.filepaths]
        self.classes = np.repeat(np.arange(len(names), dtype=np.int32), [len(one) for one in found])
        self.class_indices = {name: number for number, name in enumerate(names)}
        self.samples, self.num_classes = len(self.filepaths), len(names)
        print(f"Found {self.samples} images belonging to {self.num_classes} classes.")
        super().__init__(
            generator, self.samples, batch_size, shuffle, seed,
            save_to_dir, save_prefix, save_format,
        )  # fmt: skip

    @property
    def labels(self) -> np.ndarray:
        """Another name of :attr:`classes`."""
        return self.classes

    def pictures(self, index: np.ndarray) -> np.ndarray:
        images = [
            load_img(
                self.filepaths[place],
                self.color_mode,
                self.target_size,
                self.interpolation,
                self.keep_aspect_ratio,
            )
            for place in index
        ]
        return np.stack([img_to_array(image) for image in images])

    def targets(self, index: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, ...]:
        if self.class_mode is None:
            return ()
        if self.class_mode == "input":
            return (x.copy(),)
        numbers = self.classes[index]
        if self.class_mode == "categorical":
            return (np.eye(self.num_classes, dtype=x.dtype)[numbers],)
        return (numbers.astype(x.dtype),)


def _part(subset: str | None, validation_split: float, n: int) -> slice:
    """Which of n pictures are in a subset: the first ones are for validation."""
    choice(subset, "subset", (None, "training", "validation"))
    at = int(validation_split * n)
    return {None: slice(0, n), "validation": slice(0, at), "training": slice(at, n)}[subset]
