"""What layers are in ONNX that move numbers to other places, and compute little or nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from minicnn.exporting.builder import Builder, Value

Shape = tuple[int | None, ...]


def flatten(b: Builder, layer: Any, x: Value, shape: Shape) -> Value:
    """Each sample as one row of numbers."""
    return Value(b.op("Flatten", b.nhwc(x).name), shape)


def reshape(b: Builder, layer: Any, x: Value, shape: Shape) -> Value:
    """Each sample in another shape."""
    # 0 stands for the size that is there: the batch.
    return Value(b.op("Reshape", b.nhwc(x).name, b.whole(0, *layer.target_shape)), shape)


def permute(b: Builder, layer: Any, x: Value, shape: Shape) -> Value:
    """The axes in another order."""
    return Value(b.op("Transpose", b.nhwc(x).name, perm=[0, *layer.dims]), shape)


def repeat_vector(b: Builder, layer: Any, x: Value, shape: Shape) -> Value:
    """Each row several times."""
    rows = b.op("Unsqueeze", x.name, b.whole(1))
    return Value(b.op("Tile", rows, b.whole(1, layer.n, 1)), shape)


def zero_padding(b: Builder, layer: Any, x: Value, shape: Shape) -> Value:
    """A border of zeros."""
    (top, bottom), (left, right) = layer.padding
    before, after = [0, top, left, 0], [0, bottom, right, 0]
    if x.channels_first:
        before, after = [0, 0, top, left], [0, 0, bottom, right]
    y = b.op("Pad", x.name, b.whole(*before, *after), b.constant(0.0))
    return replace(x, name=y, shape=shape)


def cropping(b: Builder, layer: Any, x: Value, shape: Shape) -> Value:
    """Rows and columns cut off."""
    (top, bottom), (left, right) = layer.cropping
    # An end that is counted from the back; the largest number for the very end.
    ends = [-cut if cut else 2**31 - 1 for cut in (bottom, right)]
    axes = b.whole(2, 3) if x.channels_first else b.whole(1, 2)
    y = b.op("Slice", x.name, b.whole(top, left), b.whole(*ends), axes)
    return replace(x, name=y, shape=shape)


def upsampling(b: Builder, layer: Any, x: Value, shape: Shape) -> Value:
    """Images made larger by whole factors."""
    factors = b.constant(np.array([1, 1, *layer.size]), np.float32)
    if layer.interpolation == "nearest":
        how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    else:
        how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    return Value(b.op("Resize", b.nchw(x).name, "", factors, **how), shape, True)


def framing(b: Builder, layer: Any, x: Value, shape: Shape) -> Value:
    """A box of each image, resized.

    Raises:
        ValueError: if the size of the images is not known.
    """
    h, w = x.shape[1:3]
    if h is None or w is None:
        raise ValueError(
            f"layer {layer.name!r} ({type(layer).__name__}): to write it in ONNX the size of its "
            f"input must be known, got shape {x.shape}"
        )
    x = b.nchw(x)
    top, left, height, width = layer.box(h, w)
    y, borders = x.name, (-top, -left, top + height - h, left + width - w)
    if any(borders):  # a negative border cuts off
        before, after = [0, 0, *borders[:2]], [0, 0, *borders[2:]]
        y = b.op("Pad", y, b.whole(*before, *after), b.constant(layer.fill_value))
    if (height, width) != shape[1:3]:
        how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        if layer.interpolation == "nearest":
            how |= {"mode": "nearest", "nearest_mode": "round_prefer_ceil"}
        batch_and_channels = b.op("Shape", y, end=2)
        sizes = b.op("Concat", batch_and_channels, b.whole(*shape[1:3]), axis=0)
        y = b.op("Resize", y, "", "", sizes, **how)
    return Value(y, shape, True)
