"""What changes and resizes pictures, against Keras: geometry, colors, sizes, defaults."""

from functools import cache

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from keras_reference import keras_gradient  # noqa: E402
from test_ops_affine import MODES, random_maps  # noqa: E402

import minicnn  # noqa: E402

pytestmark = pytest.mark.keras
jax_only = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="Keras's backends differ beyond the border"
)

# Nothing is left to chance where both bounds are the same.
FIXED = {
    "rotation": lambda k, **how: k.layers.RandomRotation((0.07, 0.07), **how),
    "half a turn": lambda k, **how: k.layers.RandomRotation((-0.45, -0.45), **how),
    "translation": lambda k, **how: k.layers.RandomTranslation((0.22, 0.22), (-0.4, -0.4), **how),
    "far translation": lambda k, **how: k.layers.RandomTranslation((1, 1), (-0.9, -0.9), **how),
    "zoom out": lambda k, **how: k.layers.RandomZoom((0.7, 0.7), (0.4, 0.4), **how),
    "zoom in": lambda k, **how: k.layers.RandomZoom((-0.35, -0.35), **how),
}
IMAGE = (2, 7, 6, 3)


def draw(rng, *shape):
    return rng.normal(size=shape).astype(np.float32)


def compared(mine, theirs, x):
    """Outputs and gradients in training are the same."""
    compare(mine, x, *of_keras(theirs, x))


def of_keras(layer, x):
    """What a layer of Keras makes of x, an upstream gradient, and what it makes of that."""
    y = keras.ops.convert_to_numpy(layer(x, training=True))
    dy = draw(np.random.default_rng(1), *y.shape)

    def loss(x):
        copy = keras.ops.multiply(x, 1)  # RandomBrightness writes into what it is given
        return keras.ops.sum(keras.ops.multiply(layer(copy, training=True), dy))

    return y, dy, keras_gradient(loss, x)[1][0]


def compare(layer, x, expected, dy, gradient):
    layer.ensure_built(x.shape)
    y, saved = layer.forward(x, True)
    assert y.shape == expected.shape
    assert y.dtype == expected.dtype == np.float32
    assert np.abs(y - expected).max() < 1e-5 * max(1, np.abs(expected).max())
    assert np.abs(layer.backward(dy, saved) - gradient).max() < 2e-5 * max(1, np.abs(dy).max())


@cache  # asked again for every floor
def map_of_keras(shape, interpolation, fill_mode):
    """Pictures, matrices, and what Keras makes of them."""
    rng = np.random.default_rng(0)
    x, A = draw(rng, *shape), random_maps(rng, shape[0]).astype(np.float32)
    (a, b, s), (d, e, t) = (A[:, i].T for i in range(2))
    nothing = np.zeros_like(a)
    # Keras counts the column before the row.
    eight = np.stack([e, d, t, b, a, s, nothing, nothing], axis=1)
    y = keras.ops.image.affine_transform(x, eight, interpolation, fill_mode, 0.6)
    return x, A, np.asarray(y)


@jax_only
@pytest.mark.parametrize(("interpolation", "fill_mode"), MODES)
@pytest.mark.parametrize("shape", [(3, 7, 6, 2), (1, 1, 5, 1)])
def test_the_map_itself(ops, shape, interpolation, fill_mode):
    x, A, expected = map_of_keras(shape, interpolation, fill_mode)
    y = ops.affine2d(x, A, shape[1:3], interpolation, fill_mode, 0.6)
    assert np.abs(y - expected).max() < 1e-5


@cache
def geometry_of_keras(name, interpolation, fill_mode):
    how = {"interpolation": interpolation, "fill_mode": fill_mode, "fill_value": 0.3}
    x = draw(np.random.default_rng(0), *IMAGE)
    return how, x, of_keras(FIXED[name](keras, **how), x)


@jax_only
@pytest.mark.usefixtures("floor")
@pytest.mark.parametrize("name", FIXED)
@pytest.mark.parametrize(("interpolation", "fill_mode"), MODES)
def test_geometry(name, interpolation, fill_mode):
    how, x, expected = geometry_of_keras(name, interpolation, fill_mode)
    compare(FIXED[name](minicnn, **how), x, *expected)


@pytest.mark.usefixtures("floor")
@pytest.mark.parametrize("factor", [0.0, (0.3, 0.3), (-0.4, -0.4)])
def test_brightness(rng, factor):
    x = draw(rng, *IMAGE)
    compared(*(k.layers.RandomBrightness(factor, (-2, 1.5)) for k in (minicnn, keras)), x)


@pytest.mark.usefixtures("floor")
@pytest.mark.parametrize("f", [0.2, 1.0, 1.7])
def test_contrast(rng, monkeypatch, f):
    """Whose factor lies between 1 - a and 1 + b: with a = -b it would be certain."""
    layers = [k.layers.RandomContrast(0.5, (-2, 1.5)) for k in (minicnn, keras)]
    for layer in layers:
        layer.factor = (1 - f, f - 1)
    compared(*layers, draw(rng, *IMAGE))


@pytest.mark.usefixtures("floor")
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_resizing_to_any_size(interpolation):
    for n, m in ((1, 3), (6, 9), (10, 4), (5, 5), (13, 1), (4, 2), (7, 12)):
        x = np.arange(n * 4.0, dtype=np.float32).reshape(1, n, 4, 1)
        made, expected = (
            np.asarray(kit.layers.Resizing(m, 3, interpolation)(x)) for kit in (minicnn, keras)
        )
        assert np.abs(made - expected).max() < 1e-5 * n, (n, m)


@pytest.mark.usefixtures("floor")
@pytest.mark.parametrize("ratio", ["crop_to_aspect_ratio", "pad_to_aspect_ratio"])
@pytest.mark.parametrize("size", [(3, 8), (8, 3), (12, 20)])
@pytest.mark.parametrize("image", [(2, 7, 6, 3), (1, 4, 13, 1)])
def test_resizing_keeps_proportions(rng, image, size, ratio):
    how = {ratio: True, "fill_value": -0.4}
    compared(*(k.layers.Resizing(*size, **how) for k in (minicnn, keras)), draw(rng, *image))


@pytest.mark.usefixtures("floor")
@pytest.mark.parametrize("size", [(7, 6), (4, 3), (3, 4), (7, 2), (8, 3), (3, 9), (20, 15)])
def test_center_crop(rng, size):
    compared(*(k.layers.CenterCrop(*size) for k in (minicnn, keras)), draw(rng, *IMAGE))


@pytest.mark.usefixtures("floor")
def test_random_crop_where_there_is_nothing_to_draw(rng):
    x = draw(rng, *IMAGE)
    compared(*(k.layers.RandomCrop(7, 3) for k in (minicnn, keras)), x)
    mine = minicnn.layers.RandomCrop(4, 5)
    expected = keras.preprocessing.image.smart_resize(x, (4, 5))
    assert np.abs(mine(x, training=False) - expected).max() < 1e-6


def test_calls_that_do_not_say_whether_they_train(rng):
    """Layers for pictures do, also in models; others do not; predict never does."""
    x = np.repeat(draw(rng, 1, 3, 4, 2), 16, axis=0)
    for kit in (minicnn, keras):
        flip = kit.layers.RandomFlip(seed=1)
        model = kit.Sequential([kit.layers.RandomFlip(seed=1), kit.layers.Dropout(0.9)])
        inputs = kit.Input((3, 4, 2))
        drawn = kit.Model(inputs, kit.layers.RandomFlip(seed=1)(inputs))
        for one in (flip, model, drawn):
            y = np.asarray(one(x))
            assert (y != x).any()
            np.testing.assert_array_equal(np.sort(y, axis=None), np.sort(x, axis=None))
            np.testing.assert_array_equal(np.asarray(one(x, training=False)), x)
        for one in (model, drawn):
            np.testing.assert_array_equal(one.predict(x, verbose=0), x)


@pytest.mark.usefixtures("floor")
@pytest.mark.parametrize(
    "make",
    [
        *(lambda k, name=name: FIXED[name](k, fill_mode="nearest") for name in FIXED),
        lambda k: k.layers.RandomBrightness((0.1, 0.1)),
        lambda k: k.layers.Resizing(4, 9, crop_to_aspect_ratio=True),
        lambda k: k.layers.CenterCrop(5, 3),
    ],
)
def test_a_single_picture(rng, make):
    picture = draw(rng, *IMAGE[1:])
    compared(make(minicnn), make(keras), picture)


CONFIGS = [
    lambda k: k.layers.RandomFlip("vertical", seed=3, name="a"),
    lambda k: k.layers.RandomTranslation(0.2, (-0.1, 0.3), "wrap", "nearest", name="a"),
    lambda k: k.layers.RandomRotation(0.2, fill_value=0.5, name="a"),
    lambda k: k.layers.RandomRotation((0.3, -0.1), "constant", name="a"),
    lambda k: k.layers.RandomZoom(0.2, name="a"),
    lambda k: k.layers.RandomZoom((-0.2, 0.1), 0.3, name="a"),
    lambda k: k.layers.RandomCrop(3, 4, seed=2, name="a"),
    lambda k: k.layers.RandomContrast(0.2, name="a"),
    lambda k: k.layers.RandomContrast((0.2, 0.1), (0, 1), name="a"),
    lambda k: k.layers.RandomBrightness(0.2, name="a"),
    lambda k: k.layers.RandomBrightness([-0.2, 0.1], (1, 0), seed=1, name="a"),
    lambda k: k.layers.Resizing(3, 4, "nearest", True, name="a"),
    lambda k: k.layers.Resizing(3, 4, pad_to_aspect_ratio=True, fill_value=0.5, name="a"),
    lambda k: k.layers.CenterCrop(3, 4, name="a"),
]


@pytest.mark.parametrize("make", CONFIGS)
def test_configs(make):
    mine, theirs = make(minicnn).get_config(), make(keras).get_config()
    theirs["dtype"] = "float32"
    assert mine.keys() == theirs.keys()
    for key, value in mine.items():
        expected = theirs[key]
        assert value == (list(expected) if isinstance(expected, tuple) else expected), key
    assert type(make(minicnn)).from_config(theirs).get_config() == mine
    assert type(make(keras)).from_config(mine).get_config()["name"] == "a"
