"""Windows, borders and resampling beside Keras's own operations, in float32."""

from itertools import product

import numpy as np
import pytest

from minicnn.checking import relative_error
from minicnn.shapes import same_padding

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.keras

IMAGE = (2, 7, 8, 4)
KERNELS = [(1, 1), (3, 3), (2, 4)]
PADDINGS = ["valid", "same"]
# Keras refuses strides and dilation together on some of its backends.
STEPS = [((1, 1), (1, 1)), ((2, 2), (1, 1)), ((3, 3), (1, 1)), ((1, 1), (2, 2))]


def draw(rng, *shape):
    return rng.normal(size=shape).astype(np.float32)


def assert_same(y, expected):
    expected = keras.ops.convert_to_numpy(expected)
    assert y.shape == expected.shape
    assert y.dtype == expected.dtype == np.float32
    assert relative_error(y, expected) < 1e-5


@pytest.mark.parametrize(
    ("kernel", "step", "padding", "groups"), list(product(KERNELS, STEPS, PADDINGS, [1, 2]))
)
def test_conv(ops, rng, kernel, step, padding, groups):
    strides, dilation = step
    x, W = draw(rng, *IMAGE), draw(rng, *kernel, 4 // groups, 6)
    y = ops.conv2d(x, W, None, strides, padding, dilation, groups)
    assert_same(y, keras.ops.conv(x, W, strides, padding, dilation_rate=dilation))


@pytest.mark.parametrize(
    ("kernel", "step", "padding", "multiplier"), list(product(KERNELS, STEPS, PADDINGS, [1, 3]))
)
def test_depthwise_conv(ops, rng, kernel, step, padding, multiplier):
    strides, dilation = step
    x, W = draw(rng, *IMAGE), draw(rng, *kernel, 4, multiplier)
    y = ops.depthwise_conv2d(x, W, None, strides, padding, dilation)
    assert_same(y, keras.ops.depthwise_conv(x, W, strides, padding, dilation_rate=dilation))


@pytest.mark.parametrize(
    ("kernel", "step", "padding"), list(product([*KERNELS, (4, 4), (5, 2)], STEPS, PADDINGS))
)
def test_conv_transpose(ops, rng, kernel, step, padding):
    strides, dilation = step
    x, W = draw(rng, *IMAGE), draw(rng, *kernel, 3, 4)
    y = ops.conv2d_transpose(x, W, None, strides, padding, dilation)
    assert_same(y, keras.ops.conv_transpose(x, W, strides, padding, dilation_rate=dilation))


@pytest.mark.parametrize(
    ("kernel", "extra", "padding"),
    list(product([(3, 3), (2, 4), (1, 5)], [(0, 0), (1, 2), (2, 1)], PADDINGS)),
)
def test_conv_transpose_with_output_padding(ops, rng, kernel, extra, padding):
    x, W = draw(rng, *IMAGE), draw(rng, *kernel, 3, 4)
    y = ops.conv2d_transpose(x, W, None, (3, 3), padding, (1, 1), extra)
    assert_same(y, keras.ops.conv_transpose(x, W, (3, 3), padding, output_padding=extra))


@pytest.mark.parametrize(
    ("pool_size", "strides", "padding"),
    list(product([(2, 2), (3, 3), (1, 4)], [(1, 1), (2, 2), (3, 1)], PADDINGS)),
)
def test_pooling(ops, rng, pool_size, strides, padding):
    x = draw(rng, *IMAGE) - 10  # all negative: padding must not win
    y, _ = ops.max_pool2d(x, pool_size, strides, padding)
    assert_same(y, keras.ops.max_pool(x, pool_size, strides, padding))
    borders = [same_padding(*sizes) for sizes in zip(IMAGE[1:3], pool_size, strides, strict=True)]
    uneven = padding == "same" and any(before != after for before, after in borders)
    if uneven and keras.backend.backend() == "torch":
        return  # there Keras pads with repeated pixels, and counts them
    y = ops.average_pool2d(x, pool_size, strides, padding)
    assert_same(y, keras.ops.average_pool(x, pool_size, strides, padding))


def test_global_pooling(ops, rng):
    x = draw(rng, *IMAGE)
    assert_same(ops.global_max_pool2d(x)[0], keras.layers.GlobalMaxPooling2D()(x))
    assert_same(ops.global_average_pool2d(x), keras.layers.GlobalAveragePooling2D()(x))


@pytest.mark.parametrize(
    ("size", "interpolation"), list(product([(2, 2), (1, 3), (4, 5)], ["nearest", "bilinear"]))
)
def test_upsampling(ops, rng, size, interpolation):
    x = draw(rng, *IMAGE)
    expected = keras.layers.UpSampling2D(size, interpolation=interpolation)(x)
    assert_same(ops.upsample2d(x, size, interpolation), expected)


def test_borders(ops, rng):
    x, border = draw(rng, *IMAGE), ((1, 2), (3, 0))
    assert_same(ops.zero_pad2d(x, border), keras.layers.ZeroPadding2D(border)(x))
    assert_same(ops.crop2d(x, border), keras.layers.Cropping2D(border)(x))
