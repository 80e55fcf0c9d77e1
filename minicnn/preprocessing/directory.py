"""Folders of pictures as a data set."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minicnn import random
from minicnn.data import AUTOTUNE, Dataset
from minicnn.preprocessing.pictures import img_to_array, load_img
from minicnn.shapes import pair, positive_int
from minicnn.validation import choice, number

FORMATS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
# Keras's names of interpolations, and what load_img calls the same.
_METHODS = {
    "bilinear": "bilinear",
    "nearest": "nearest",
    "bicubic": "bicubic",
    "area": "box",
    "lanczos3": "lanczos",
}


def image_dataset_from_directory(
    directory: str | os.PathLike[str],
    labels: str | Sequence[int] | None = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: int | tuple[int, int] = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """The pictures in a folder, with a folder in it for each class, as a ``Dataset``.

    A picture is read, by Pillow, when its batch is wanted, and one batch ahead of that. Which
    files are in a subset is what Keras makes of the same seed.

    Args:
        directory: the folder. Pictures are ``.bmp``, ``.gif`` (the first of its frames), ``.jpeg``,
            ``.jpg`` and ``.png`` files, in folders within folders, too; others are left out.
        labels: ``"inferred"``: the folders, in alphabetical order, are the classes; or a label for
            each file, in alphabetical order; or ``None``: pictures alone, wherever they lie.
        label_mode: ``"int"``: (n,) int32; ``"categorical"``: one-hot (n, classes) float32;
            ``"binary"``: (n, 1) float32, for two classes; ``None``: as ``labels=None``.
        class_names: the folders that are wanted, in the order of the classes.
        color_mode: ``"rgb"``, ``"rgba"`` or ``"grayscale"``.
        batch_size: pictures a batch; ``None`` for single ones.
        image_size: (height, width) to bring them to, or one number for both.
        shuffle: whether they come in random order, another one in each epoch.
        seed: of the order, and of the choice of the subset.
        validation_split: the part that is kept for validation.
        subset: ``"training"``, ``"validation"``, or ``"both"`` for a list of the two.
        interpolation: ``"bilinear"``, ``"nearest"``, ``"bicubic"``, ``"area"`` or ``"lanczos3"``.
            Where it shrinks a picture Pillow looks at all pixels; Keras would skip some.
        follow_links: whether folders that are links are entered.
        crop_to_aspect_ratio: cut off what does not fit, instead of squeezing the picture.
        pad_to_aspect_ratio: ``False``.
        data_format: ``None`` or ``"channels_last"``.
        format: what kind of data set Keras makes. Changes nothing.
        verbose: whether to print how many files were found.

    Returns:
        Batches (x, y) with x (n, height, width, channels) float32 from 0 to 255. The attributes
        ``class_names`` and ``file_paths`` say what is in it.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError, TypeError: if an argument is wrong, or there are no pictures.
    """
    choice(label_mode, "label_mode", ("int", "categorical", "binary", None))
    choice(color_mode, "color_mode", ("rgb", "rgba", "grayscale"))
    choice(subset, "subset", (None, "training", "validation", "both"))
    choice(interpolation, "interpolation", tuple(_METHODS))
    choice(pad_to_aspect_ratio, "pad_to_aspect_ratio", (False,))
    choice(data_format, "data_format", (None, "channels_last"))
    choice(format, "format", ("tf", "grain"))
    size = pair(image_size, "image_size")
    validation_split = validation_split or None
    if (validation_split is None) != (subset is None):
        raise ValueError(
            f"validation_split, subset: expected both or neither, got {validation_split!r} and "
            f"{subset!r}"
        )
    if subset is not None:
        number(validation_split, "validation_split", "(0, 1)")
        if shuffle and seed is None:
            raise ValueError("seed: expected an int with subset and shuffle, got None; without it "
                             "the same pictures could be in both subsets")  # fmt: skip
    seed = random.fresh_seed() % 2**32 if seed is None else seed

    labels = None if label_mode is None else labels
    paths, numbers, names = _index(Path(directory), labels, class_names, follow_links)
    if label_mode == "binary" and names is not None and len(names) != 2:
        raise ValueError(f"label_mode: 'binary' needs two classes, got {names}")
    if verbose:
        classes = "" if names is None else f" belonging to {len(names)} classes"
        print(f"Found {len(paths)} files{classes}.")
    if shuffle:
        # The generator that Keras takes, so that the subsets are the same files.
        order = np.random.RandomState(seed).permutation(len(paths))
        paths = [paths[i] for i in order]
        numbers = None if numbers is None else numbers[order]

    def load(path: str) -> np.ndarray:
        method = _METHODS[interpolation]
        return img_to_array(load_img(path, color_mode, size, method, crop_to_aspect_ratio))

    def dataset(part: slice, shuffled: bool, purpose: str) -> Dataset:
        chosen = paths[part]
        if not chosen:
            raise ValueError(
                f"directory: no pictures{purpose} in {os.fspath(directory)}; expected files that "
                f"end in {', '.join(FORMATS)}"
            )
        if purpose and verbose:
            print(f"Using {len(chosen)} files{purpose}.")
        if numbers is None:
            result = Dataset.from_tensor_slices(np.array(chosen))
        else:
            encoded = _encoded(numbers[part], label_mode, len(names))
            result = Dataset.from_tensor_slices((np.array(chosen), encoded))
        if shuffled:
            result = result.shuffle(len(chosen), seed)
        result = result.map(lambda path, *y: (load(path), *y) if y else load(path), AUTOTUNE)
        if batch_size is not None:
            result = result.batch(positive_int(batch_size, "batch_size"))
        result = result.prefetch(1)
        result.class_names, result.file_paths = names, chosen
        return result

    if subset is None:
        return dataset(slice(None), shuffle, "")
    at = len(paths) - int(validation_split * len(paths))
    if subset == "training":
        return dataset(slice(at), shuffle, " for training")
    if subset == "validation":
        return dataset(slice(at, None), shuffle, " for validation")
    return [
        dataset(slice(at), shuffle, " for training"),
        dataset(slice(at, None), False, " for validation"),
    ]


def _index(
    directory: Path, labels: Any, class_names: Sequence[str] | None, follow_links: bool
) -> tuple[list[str], np.ndarray | None, list[str] | None]:
    """``(paths, label of each, names of the classes)``."""
    if not directory.is_dir():
        raise FileNotFoundError(f"directory: there is no folder {os.fspath(directory)}")
    if isinstance(labels, str) and labels == "inferred":
        folders = sorted(
            one.name for one in directory.iterdir() if one.is_dir() and one.name[0] != "."
        )
        names = folders if class_names is None else list(class_names)
        if not set(names) <= set(folders):
            raise ValueError(f"class_names: expected some of {folders}, got {names}")
        found = [picture_files(directory / name, follow_links) for name in names]
        numbers = np.repeat(np.arange(len(names), dtype=np.int32), [len(one) for one in found])
        return [path for one in found for path in one], numbers, names
    if class_names is not None:
        raise ValueError(f"class_names: go with labels='inferred' only, got labels={labels!r}")
    paths = picture_files(directory, follow_links)
    if labels is None:
        return paths, None, None
    if not isinstance(labels, (list, tuple)):
        raise TypeError(f"labels: expected 'inferred', None or a list of ints, got {labels!r}")
    if len(labels) != len(paths):
        raise ValueError(
            f"labels: expected one for each of the {len(paths)} pictures in "
            f"{os.fspath(directory)}, got {len(labels)}"
        )
    if not all(isinstance(label, (int, np.integer)) for label in labels):
        raise TypeError(f"labels: expected ints, got {labels!r}")
    return paths, np.array(labels, np.int32), [str(label) for label in sorted(set(labels))]


def picture_files(
    folder: Path, follow_links: bool, formats: tuple[str, ...] = FORMATS
) -> list[str]:
    """The paths of all pictures, folder by folder, in alphabetical order."""
    walk = sorted(os.walk(folder, followlinks=follow_links), key=lambda found: found[0])
    return [
        os.path.join(root, file)
        for root, _, files in walk
        for file in sorted(files)
        if file.lower().endswith(formats)
    ]


def _encoded(numbers: np.ndarray, label_mode: str, classes: int) -> np.ndarray:
    if label_mode == "categorical":
        if np.any((numbers < 0) | (numbers >= classes)):
            raise ValueError(
                f"labels: expected numbers from 0 to {classes - 1} for {classes} classes, got "
                f"{sorted(set(numbers.tolist()))}"
            )
        return np.eye(classes, dtype=np.float32)[numbers]
    return numbers if label_mode == "int" else numbers.astype(np.float32)[:, np.newaxis]
