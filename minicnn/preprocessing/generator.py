"""Pictures changed at random while they are loaded.

Today one writes ``RandomFlip``, ``RandomRotation`` and their like in front of a model. But many a
course has ``ImageDataGenerator``, and so it is here.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn import backend, random
from minicnn.preprocessing.changes import changed
from minicnn.preprocessing.iterators import DirectoryIterator, NumpyArrayIterator
from minicnn.validation import choice, number

_TINY = 1e-6  # added to a standard deviation that one divides by


class ImageDataGenerator:
    """Batches of pictures, each turned, shifted, sheared, zoomed, mirrored, brightened at random,
    and brought to a common range.

    >>> x, y = np.random.default_rng(0).random((10, 8, 8, 1)), np.arange(10)
    >>> generator = ImageDataGenerator(rotation_range=20, horizontal_flip=True, rescale=1 / 255)
    >>> batches = generator.flow(x, y, batch_size=4, seed=1)
    >>> len(batches), next(batches)[0].shape
    (3, (4, 8, 8, 1))

    The names are Keras's, and so are the random numbers that come of a seed. Unlike there, a
    ``height_shift_range`` moves a picture up and down (in Keras 3.15 sideways), pictures that are
    no squares turn about their middle, too, and what is beyond the border is a matter of
    :func:`minicnn.backends.numpy.affine.affine2d`.

    Args:
        featurewise_center, featurewise_std_normalization: subtract the mean of each channel, and
            divide by its standard deviation, as :meth:`fit` found them.
        samplewise_center, samplewise_std_normalization: the same for each picture, by its own.
        zca_whitening: make the pixels of the data for :meth:`fit` uncorrelated.
        zca_epsilon: added to the standard deviations of the principal components.
        rotation_range: up to so many degrees, to either side.
        width_shift_range, height_shift_range: below 1, up to this part of the picture; from 1 on,
            up to so many pixels, whole ones if it is an int; or a list of shifts to choose from.
        brightness_range: the factor of the brightness, from a to b.
        shear_range: up to so many degrees.
        zoom_range: the factor from a to b, or from 1 - r to 1 + r; below 1 things grow.
        channel_shift_range: add up to this to all numbers.
        fill_mode: what is beyond the border: "nearest", "constant", "reflect" or "wrap".
        cval: what is there if that is "constant".
        horizontal_flip, vertical_flip: mirror one picture of two.
        rescale: a factor for all numbers, 1/255 as a rule.
        preprocessing_function: what happens to a changed picture before that.
        data_format: "channels_last".
        validation_split: the part of the pictures that ``subset="validation"`` takes.
        interpolation_order: 1 between pixels in straight lines, or 0 for the nearest.
        dtype: of the batches; ``"float32"`` by default.

    Raises:
        ValueError, TypeError: if an argument is wrong.
    """

    def __init__(
        self,
        featurewise_center: bool = False,
        samplewise_center: bool = False,
        featurewise_std_normalization: bool = False,
        samplewise_std_normalization: bool = False,
        zca_whitening: bool = False,
        zca_epsilon: float = 1e-6,
        rotation_range: float = 0,
        width_shift_range: Any = 0.0,
        height_shift_range: Any = 0.0,
        brightness_range: Sequence[float] | None = None,
        shear_range: float = 0.0,
        zoom_range: float | Sequence[float] = 0.0,
        channel_shift_range: float = 0.0,
        fill_mode: str = "nearest",
        cval: float = 0.0,
        horizontal_flip: bool = False,
        vertical_flip: bool = False,
        rescale: float | None = None,
        preprocessing_function: Callable[[np.ndarray], np.ndarray] | None = None,
        data_format: str | None = None,
        validation_split: float = 0.0,
        interpolation_order: int = 1,
        dtype: str | None = None,
    ):
        choice(fill_mode, "fill_mode", ("nearest", "constant", "reflect", "wrap"))
        choice(data_format, "data_format", (None, "channels_last"))
        choice(interpolation_order, "interpolation_order", (0, 1))
        number(validation_split, "validation_split", "[0, 1)")
        # What divides by a deviation takes the mean away first.
        self.featurewise_center = (
            featurewise_center or featurewise_std_normalization or zca_whitening
        )
        self.samplewise_center = samplewise_center or samplewise_std_normalization
        self.featurewise_std_normalization = featurewise_std_normalization and not zca_whitening
        self.samplewise_std_normalization = samplewise_std_normalization
        self.zca_whitening, self.zca_epsilon = zca_whitening, zca_epsilon
        self.rotation_range = rotation_range
        self.width_shift_range, self.height_shift_range = width_shift_range, height_shift_range
        self.brightness_range = brightness_range
        if brightness_range is not None:
            self.brightness_range = _two_numbers(brightness_range, "brightness_range")
        self.shear_range = shear_range
        if not isinstance(zoom_range, (list, tuple)):
            zoom_range = number(zoom_range, "zoom_range", "[0, inf)")
            zoom_range = [1 - zoom_range, 1 + zoom_range]
        self.zoom_range = _two_numbers(zoom_range, "zoom_range")
        self.channel_shift_range = channel_shift_range
        self.fill_mode, self.cval = fill_mode, cval
        self.horizontal_flip, self.vertical_flip = horizontal_flip, vertical_flip
        self.rescale = rescale
        self.preprocessing_function = preprocessing_function
        self.data_format = "channels_last"
        self.validation_split = validation_split
        self.interpolation_order = interpolation_order
        self.dtype = dtype or backend.floatx()
        self.mean: np.ndarray | None = None
        self.std: np.ndarray | None = None
        self.zca_whitening_matrix: np.ndarray | None = None
        self._rng = np.random.RandomState(random.fresh_seed() % 2**32)

    # -- where pictures come from -------------------------------------------------------------

    def flow(
        self,
        x: Any,
        y: Any = None,
        batch_size: int = 32,
        shuffle: bool = True,
        sample_weight: Any = None,
        seed: int | None = None,
        save_to_dir: str | os.PathLike[str] | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        ignore_class_split: bool = False,
        subset: str | None = None,
    ) -> NumpyArrayIterator:
        """Batches (x, y), or (x, y, sample_weight), of pictures in an array (n, h, w, c).

        Args:
            x, y, sample_weight: the data; without ``y`` the batches are pictures alone.
            batch_size: pictures a batch.
            shuffle: whether they come in a random order, another one in each epoch.
            seed: of that order and of the changes.
            save_to_dir: a folder that what comes out is written to, as pictures.
            save_prefix, save_format: how their names begin and end.
            ignore_class_split: let the two subsets have different classes.
            subset: ``"validation"``, the first pictures, as many as ``validation_split`` says; or
                ``"training"``, the others.
        """
        return NumpyArrayIterator(
            self, x, y, sample_weight, batch_size, shuffle, seed,
            save_to_dir, save_prefix, save_format, ignore_class_split, subset,
        )  # fmt: skip

    def flow_from_directory(
        self,
        directory: str | os.PathLike[str],
        target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: str | os.PathLike[str] | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
    ) -> DirectoryIterator:
        """Batches of the pictures in a folder, with a folder in it for each class.

        Args:
            directory: the folder.
            target_size: (height, width) to bring them to.
            color_mode: ``"rgb"``, ``"rgba"`` or ``"grayscale"``.
            classes: the folders that are wanted, in the order of the classes; all by default.
            class_mode: ``"categorical"``: one-hot; ``"binary"`` or ``"sparse"``: numbers;
                ``"input"``: the pictures themselves; ``None``: pictures alone.
            follow_links: whether folders that are links are entered.
            interpolation, keep_aspect_ratio: see ``load_img``.
            batch_size, shuffle, seed, save_to_dir, save_prefix, save_format, subset: see
                :meth:`flow`; a subset takes its part of each class.

        Raises:
            FileNotFoundError: if there is no such folder.
        """
        return DirectoryIterator(
            self, directory, target_size, color_mode, classes, class_mode, batch_size, shuffle,
            seed, save_to_dir, save_prefix, save_format, follow_links, subset, interpolation,
            keep_aspect_ratio,
        )  # fmt: skip

    # -- change at random ---------------------------------------------------------------------

    def get_random_transform(
        self, img_shape: tuple[int, ...], seed: int | None = None
    ) -> dict[str, Any]:
        """What may happen to a picture of this shape (height, width, channels), drawn anew."""
        return self.draw(img_shape, self._rng if seed is None else np.random.RandomState(seed))

    def draw(self, img_shape: tuple[int, ...], rng: np.random.RandomState) -> dict[str, Any]:
        """The same, from given random numbers."""

        def up_to(limit: float) -> float:
            return rng.uniform(-limit, limit) if limit else 0.0

        theta = up_to(self.rotation_range)
        ty = _shift(self.height_shift_range, img_shape[0], rng)
        tx = _shift(self.width_shift_range, img_shape[1], rng)
        shear = up_to(self.shear_range)
        zx, zy = (1, 1) if self.zoom_range == [1, 1] else rng.uniform(*self.zoom_range, 2)
        flips = rng.random_sample(2) < 0.5
        shift = up_to(self.channel_shift_range) if self.channel_shift_range else None
        brightness = rng.uniform(*self.brightness_range) if self.brightness_range else None
        return {
            "theta": theta,
            "tx": tx,
            "ty": ty,
            "shear": shear,
            "zx": zx,
            "zy": zy,
            "flip_horizontal": bool(flips[0] and self.horizontal_flip),
            "flip_vertical": bool(flips[1] and self.vertical_flip),
            "channel_shift_intensity": shift,
            "brightness": brightness,
        }

    def apply_transform(self, x: np.ndarray, transform_parameters: dict[str, Any]) -> np.ndarray:
        """A picture (h, w, c), changed as :meth:`get_random_transform` says.

        Args:
            transform_parameters: ``theta`` and ``shear``, degrees; ``tx`` and ``ty``, pixels to the
                left and up; ``zx`` and ``zy``; ``flip_horizontal`` and ``flip_vertical``;
                ``channel_shift_intensity``; ``brightness``. What is not there does not happen.
        """
        return self.apply_to_batch(np.asarray(x)[np.newaxis], [transform_parameters])[0]

    def apply_to_batch(self, x: np.ndarray, changes: list[dict[str, Any]]) -> np.ndarray:
        """Pictures (n, h, w, c), each changed in its own way."""
        method = "bilinear" if self.interpolation_order else "nearest"
        return changed(x.astype(self.dtype), changes, method, self.fill_mode, self.cval)

    def random_transform(self, x: np.ndarray, seed: int | None = None) -> np.ndarray:
        """A picture (h, w, c), changed at random."""
        return self.apply_transform(x, self.get_random_transform(np.shape(x), seed))

    # -- bring to a common range --------------------------------------------------------------

    def fit(self, x: Any, augment: bool = False, rounds: int = 1, seed: int | None = None) -> None:
        """Find the mean, the deviation and the whitening matrix of pictures like these.

        Whitening multiplies a picture, as a vector x of all its numbers, by U diag(1 / s) U^T,
        where the columns of U are the principal components of the data and s the standard
        deviations along them (Krizhevsky, 2009, Learning multiple layers of features from tiny
        images, appendix A).

        Args:
            x: pictures (n, h, w, c).
            augment: whether to change them at random first, each ``rounds`` times.
            seed: of those changes.

        Raises:
            ValueError: if ``x`` has not four axes.
        """
        x = np.array(x, self.dtype)
        if x.ndim != 4:
            raise ValueError(f"x: expected pictures (n, h, w, c), got shape {x.shape}")
        if self.rescale:
            x *= self.rescale
        if augment:
            rng = self._rng if seed is None else np.random.RandomState(seed)
            x = np.concatenate([x] * rounds)
            x = self.apply_to_batch(x, [self.draw(one.shape, rng) for one in x])
        if self.featurewise_center:
            self.mean = x.mean(axis=(0, 1, 2))
            x -= self.mean
        if self.featurewise_std_normalization:
            self.std = x.std(axis=(0, 1, 2))
        if self.zca_whitening:
            U, s, _ = np.linalg.svd(x.reshape(len(x), -1).T, full_matrices=False)
            self.zca_whitening_matrix = (U * (np.sqrt(len(x)) / (s + self.zca_epsilon))) @ U.T

    def standardize(self, x: np.ndarray) -> np.ndarray:
        """A picture (h, w, c) in the range that the arguments ask for."""
        if self.preprocessing_function:
            x = self.preprocessing_function(x)
        if self.rescale:
            x = x * np.asarray(self.rescale, x.dtype)
        if self.samplewise_center:
            x = x - x.mean()
        if self.samplewise_std_normalization:
            x = x / (x.std() + _TINY)
        wanted = (self.featurewise_center, self.featurewise_std_normalization, self.zca_whitening)
        found = (self.mean, self.std, self.zca_whitening_matrix)
        if any(want and value is None for want, value in zip(wanted, found, strict=True)):
            warnings.warn(
                "featurewise_center, featurewise_std_normalization and zca_whitening do nothing "
                "before fit(x) has seen the data",
                stacklevel=2,
            )
        if self.mean is not None:
            x = x - self.mean
        if self.std is not None:
            x = x / (self.std + _TINY)
        if self.zca_whitening_matrix is not None:
            x = (x.reshape(-1) @ self.zca_whitening_matrix).reshape(x.shape)
        return x


def _shift(limit: Any, size: int, rng: np.random.RandomState) -> float:
    """A random shift in pixels, along an axis of this size."""
    if not np.any(limit):
        return 0.0
    if isinstance(limit, float):
        shift = rng.uniform(-limit, limit)
    else:  # an int, for range(limit), or a list
        shift = rng.choice(limit) * rng.choice([-1, 1])
    return shift * size if np.max(limit) < 1 else shift


def _two_numbers(given: Any, argument: str) -> list[float]:
    if not isinstance(given, (list, tuple)) or len(given) != 2:
        raise ValueError(f"{argument}: expected two numbers (from, to), got {given!r}")
    return [number(one, argument, "[0, inf)") for one in given]
