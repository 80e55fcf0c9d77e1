"""Pictures from files and back. ``minicnn.utils`` has the same functions, as Keras does."""

from __future__ import annotations

import io
import os
from typing import Any

import numpy as np

from minicnn.backend import floatx
from minicnn.validation import choice

__all__ = ["array_to_img", "img_to_array", "load_img", "save_img"]


def load_img(
    path: str | os.PathLike[str] | io.BytesIO,
    color_mode: str = "rgb",
    target_size: tuple[int, int] | None = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """A picture from a file, as an image of the package Pillow.

    Args:
        path: the file, or an open one in memory.
        color_mode: what it is turned into: ``"rgb"``, ``"rgba"`` or ``"grayscale"``.
        target_size: (height, width) to bring it to.
        interpolation: how: ``"nearest"``, ``"bilinear"``, ``"bicubic"``, ``"lanczos"``, ``"box"``
            or ``"hamming"``.
        keep_aspect_ratio: cut off what does not fit the target, instead of squeezing the picture.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no picture, or an argument is not one of those above.
    """
    from PIL import Image

    modes = {"rgb": "RGB", "rgba": "RGBA", "grayscale": "L"}
    methods = ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")
    choice(color_mode, "color_mode", tuple(modes))
    choice(interpolation, "interpolation", methods)
    with Image.open(path) as file:
        is_gray = file.mode in ("L", "I;16", "I")  # whatever its depth
        keep = is_gray if color_mode == "grayscale" else file.mode == modes[color_mode]
        image = file.copy() if keep else file.convert(modes[color_mode])
    if target_size is None or image.size == tuple(target_size)[::-1]:
        return image
    height, width = target_size
    box = None
    if keep_aspect_ratio:
        whole_width, whole_height = image.size
        box_height = min(whole_height, whole_width * height // width)
        box_width = min(whole_width, whole_height * width // height)
        top, left = (whole_height - box_height) // 2, (whole_width - box_width) // 2
        box = (left, top, left + box_width, top + box_height)
    return image.resize((width, height), getattr(Image.Resampling, interpolation.upper()), box)


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> np.ndarray:
    """A picture as an array (height, width, channels), float32; a gray one has one channel.

    >>> img_to_array(np.zeros((4, 5), np.uint8)).shape
    (4, 5, 1)
    """
    choice(data_format, "data_format", (None, "channels_last"))
    x = np.array(img, dtype or floatx())
    if x.ndim not in (2, 3):
        raise ValueError(f"img: expected a picture of 2 or 3 axes, got shape {x.shape}")
    return x[..., np.newaxis] if x.ndim == 2 else x


def array_to_img(
    x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None
) -> Any:
    """An array (height, width, channels) as an image of the package Pillow.

    Args:
        x: the array, with 1, 3 or 4 channels.
        data_format: ``"channels_last"``.
        scale: whether its smallest number becomes 0 and its largest 255; otherwise they lie
            between those already.
        dtype: what is computed in.
    """
    from PIL import Image

    x = img_to_array(x, data_format, dtype)
    modes = {1: "L", 3: "RGB", 4: "RGBA"}
    choice(x.shape[2], "number of channels of x", tuple(modes))
    if scale:
        x = x - x.min()
        x = 255 * (x / (x.max() or 1))
    if x.min() < 0 or x.max() > 255 or np.isnan(x).any():
        raise ValueError(
            f"x: expected numbers from 0 to 255 without scale, got {x.min()} to {x.max()}"
        )
    x = x.astype(np.uint8)
    return Image.fromarray(x[..., 0] if x.shape[2] == 1 else x)


def save_img(
    path: str | os.PathLike[str],
    x: Any,
    data_format: str | None = None,
    file_format: str | None = None,
    scale: bool = True,
    **kwargs: Any,
) -> None:
    """Write an array (height, width, channels) as a picture.

    Args:
        path: where to; the ending says the format, unless ``file_format`` does.
        x, data_format, scale: see :func:`array_to_img`.
        kwargs: what Pillow's ``save`` takes for the format, such as ``quality=90``.
    """
    image = array_to_img(x, data_format, scale)
    image.save(path, {"jpg": "jpeg"}.get(file_format, file_format), **kwargs)
