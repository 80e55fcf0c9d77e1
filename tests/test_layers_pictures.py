"""Layers that change pictures at random and bring them to one size: what they draw, and refuse."""

import math

import numpy as np
import pytest

import minicnn
from minicnn import Sequential, layers
from minicnn.layers.resizing import scaling

pytestmark = pytest.mark.usefixtures("floor")

MANY = 4000


def maps(layer, n=MANY, h=8, w=11):
    """The matrices that a layer draws for n pictures of h x w pixels."""
    layer.ensure_built((n, h, w, 1))
    A = layer.matrices(n, h, w)
    assert A.shape == (n, 2, 3)
    assert A.dtype == np.float64
    return A


def assert_uniform(values, low, high):
    """Between the two ends, spread evenly: mean, deviation and both ends are reached."""
    width = high - low
    assert low <= values.min() < low + 0.01 * width
    assert high - 0.01 * width < values.max() <= high
    assert abs(values.mean() - (low + high) / 2) < 0.02 * width
    assert abs(values.std() - width / math.sqrt(12)) < 0.02 * width


def about_the_middle(A, h, w):
    """The middle of the picture stays where it is."""
    m = np.array([(h - 1) / 2, (w - 1) / 2])
    np.testing.assert_allclose(A @ [*m, 1], np.broadcast_to(m, (len(A), 2)), atol=1e-12)


def test_angles():
    A = maps(layers.RandomRotation((-0.2, 0.1), seed=1))
    turns = np.arctan2(A[:, 0, 1], A[:, 0, 0]) / (2 * math.pi)
    assert_uniform(turns, -0.2, 0.1)
    np.testing.assert_allclose(np.linalg.det(A[:, :, :2]), 1, rtol=1e-12)
    about_the_middle(A, 8, 11)


def test_shifts():
    A = maps(layers.RandomTranslation((-0.5, 0.25), 0.2, seed=1))
    np.testing.assert_array_equal(A[:, :, :2], np.broadcast_to(np.eye(2), (MANY, 2, 2)))
    down, across = -A[:, 0, 2] / 8, -A[:, 1, 2] / 11
    assert_uniform(down, -0.5, 0.25)
    assert_uniform(across, -0.2, 0.2)
    assert abs(np.corrcoef(down, across)[0, 1]) < 0.05


def test_zooms():
    A = maps(layers.RandomZoom((-0.5, 0.5), (0.1, 0.3), seed=1))
    assert (A[:, [0, 1], [1, 0]] == 0).all()
    assert_uniform(A[:, 0, 0], 0.5, 1.5)
    assert_uniform(A[:, 1, 1], 1.1, 1.3)
    assert abs(np.corrcoef(A[:, 0, 0], A[:, 1, 1])[0, 1]) < 0.05
    about_the_middle(A, 8, 11)
    A = maps(layers.RandomZoom(0.3, seed=1))
    assert_uniform(A[:, 0, 0], 0.7, 1.3)
    np.testing.assert_array_equal(A[:, 0, 0], A[:, 1, 1])
    about_the_middle(A, 8, 11)


@pytest.mark.parametrize(
    ("mode", "mirrored"),
    [
        ("horizontal", lambda x: x[:, :, ::-1]),
        ("vertical", lambda x: x[:, ::-1]),
        ("horizontal_and_vertical", lambda x: x[:, ::-1, ::-1]),
    ],
)
def test_half_of_the_pictures_are_flipped(mode, mirrored):
    x = np.random.default_rng(0).normal(size=(MANY, 3, 2, 1)).astype(np.float32)
    y = layers.RandomFlip(mode, seed=1)(x, training=True)
    same, flipped = ((y == z).all(axis=(1, 2, 3)) for z in (x, mirrored(x)))
    assert (same ^ flipped).all()
    assert abs(flipped.mean() - 0.5) < 0.03


def test_crops_come_from_everywhere_and_are_one_for_a_batch():
    layer = layers.RandomCrop(3, 2, seed=1)
    x = np.arange(5.0 * 4).reshape(1, 5, 4, 1) + 100 * np.arange(3).reshape(3, 1, 1, 1)
    corners = []
    for _ in range(300):
        y = layer(x, training=True)
        top, left = divmod(int(y[0, 0, 0, 0]), 4)
        np.testing.assert_array_equal(y, x[:, top : top + 3, left : left + 2])
        corners.append((top, left))
    often = [corners.count((top, left)) for top in range(3) for left in range(3)]
    assert sum(often) == 300
    assert min(often) > 15


def test_contrast_and_brightness():
    x = np.zeros((MANY, 1, 2, 1), np.float32)
    x[:, :, 1] = 2
    y = layers.RandomContrast((0.2, 0.5), (-9, 9), seed=1)(x, training=True)
    assert_uniform((y[:, 0, 1, 0] - y[:, 0, 0, 0]) / 2, 0.8, 1.5)
    np.testing.assert_allclose(y.mean(axis=(1, 2, 3)), 1, rtol=1e-6)
    y = layers.RandomBrightness((-0.1, 0.3), (-10, 10), seed=1)(x, training=True)
    assert_uniform(y[:, 0, 0, 0], -2, 6)
    np.testing.assert_allclose(y[:, 0, 1, 0] - y[:, 0, 0, 0], 2, rtol=1e-6)
    for kind in (layers.RandomContrast, layers.RandomBrightness):
        y = kind(1.0, (0.5, 1.5), seed=1)(x, training=True)
        assert (y.min(), y.max()) == (0.5, 1.5)


def test_both_dtypes_draw_the_same():
    x = np.random.default_rng(0).normal(size=(5, 6, 7, 2))
    for make in (
        lambda **how: layers.RandomRotation(0.3, seed=1, **how),
        lambda **how: layers.RandomZoom(0.3, 0.2, seed=1, **how),
        lambda **how: layers.RandomFlip(seed=1, **how),
        lambda **how: layers.RandomContrast(0.5, (-1, 1), seed=1, **how),
    ):
        exact, y = make(dtype="float64")(x), make()(x)
        assert (exact.dtype, y.dtype) == (np.float64, np.float32)
        assert np.abs(exact - y).max() < 1e-5


@pytest.mark.parametrize("n", range(1, 20))
def test_the_nearest_pixel_is_the_one_on_which_the_middle_lies(n):
    """By whole numbers: floor((r + 1/2) n / m) = floor((2 r + 1) n / 2 m)."""
    x = np.arange(float(n)).reshape(1, n, 1, 1)
    for m in range(1, 40):
        expected = [(2 * r + 1) * n // (2 * m) for r in range(m)]
        assert layers.Resizing(m, 1, "nearest")(x).ravel().tolist() == expected
        a, s = scaling(n, m, "nearest")
        assert np.round(np.float32(a) * np.arange(m) + np.float32(s)).tolist() == expected


def test_a_slope_stays_one_when_it_is_resized():
    x = np.arange(10.0).reshape(1, 10, 1, 1)
    y = layers.Resizing(25, 1, dtype="float64")(x).ravel()
    places = (np.arange(25) + 0.5) * 10 / 25 - 0.5
    np.testing.assert_allclose(y, np.clip(places, 0, 9), rtol=1e-12)


def test_augmentation_in_a_model():
    """Random while fitting, at rest while evaluating, and nothing before the weights is asked for
    its gradient."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(24, 6, 5, 2)).astype(np.float32), rng.integers(0, 3, 24)

    def fitted():
        minicnn.utils.set_random_seed(1)
        model = Sequential(
            [
                layers.Input((6, 5, 2)),
                layers.RandomFlip(),
                layers.RandomRotation(0.1),
                layers.RandomCrop(5, 4),
                layers.RandomContrast(0.3, (-3, 3)),
                layers.Resizing(4, 4),
                layers.Flatten(),
                layers.Dense(3, activation="softmax"),
            ]
        )
        model.compile("adam", "sparse_categorical_crossentropy")
        for layer in model.layers[:5]:
            layer.backward = None
        losses = model.fit(x, y, batch_size=8, epochs=3, verbose=0).history["loss"]
        for layer in model.layers[:5]:
            del layer.backward
        return model, losses

    (first, losses), (second, again) = fitted(), fitted()
    assert losses == again
    np.testing.assert_array_equal(first.predict(x, verbose=0), second.predict(x, verbose=0))
    np.testing.assert_array_equal(first.predict(x, verbose=0), first.predict(x, verbose=0))
    assert first.layers[0].seed_generator.step == 9
    check = minicnn.gradient_check(second, x[:4].astype(np.float64), y[:4], training=True)
    assert check.passed, check
    first.summary(print_fn=lambda line: None)
    assert "random_rotation" in str(minicnn.trace(second, x, y))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: layers.RandomFlip("sideways"), ValueError, "mode: .*got 'sideways'"),
        (lambda: layers.RandomRotation(2), ValueError, r"factor: .*\[-1, 1\], got 2"),
        (lambda: layers.RandomRotation(10**400), ValueError, "factor: .*got 1000"),
        (lambda: layers.RandomRotation("a"), TypeError, "factor: .*got 'a'"),
        (lambda: layers.RandomRotation((0.1,)), ValueError, r"factor: .*two numbers, got 1"),
        (lambda: layers.RandomRotation((0.1, 3)), ValueError, r"factor: .*got 3"),
        (lambda: layers.RandomRotation(0.1, "mirror"), ValueError, "fill_mode: .*got 'mirror'"),
        (
            lambda: layers.RandomRotation(0.1, interpolation="bicubic"),
            ValueError,
            "interpolation: .*got 'bicubic'",
        ),
        (lambda: layers.RandomRotation(0.1, fill_value="a"), TypeError, "fill_value: .*got 'a'"),
        (lambda: layers.RandomRotation(0.1, seed=-1), ValueError, "seed: .*got -1"),
        (
            lambda: layers.RandomRotation(0.1, data_format="channels_first"),
            ValueError,
            "data_format: .*got 'channels_first'",
        ),
        (lambda: layers.RandomTranslation(1.5, 0), ValueError, "height_factor: .*got 1.5"),
        (lambda: layers.RandomTranslation(0, (0, -2)), ValueError, "width_factor: .*got -2"),
        (lambda: layers.RandomZoom(-1), ValueError, r"height_factor: .*\(-1, 1\], got -1"),
        (lambda: layers.RandomZoom(0, None, "x"), ValueError, "fill_mode: .*got 'x'"),
        (lambda: layers.RandomZoom(0, 1.1), ValueError, "width_factor: .*got 1.1"),
        (lambda: layers.RandomContrast(-0.1), ValueError, r"factor: .*\[0, 1\], got -0.1"),
        (lambda: layers.RandomContrast((-0.5, 1)), ValueError, "factor: .*got -0.5"),
        (lambda: layers.RandomContrast(0, 3), TypeError, "value_range: .*two numbers, got 3"),
        (lambda: layers.RandomBrightness(2), ValueError, "factor: .*got 2"),
        (lambda: layers.RandomBrightness(0, (1, 2, 3)), ValueError, "value_range: .*got 3"),
        (lambda: layers.RandomCrop(0, 1), ValueError, "height: .*got 0"),
        (lambda: layers.CenterCrop(1, 2.5), TypeError, "width: .*got 2.5"),
        (lambda: layers.Resizing(2, -1), ValueError, "width: .*got -1"),
        (lambda: layers.Resizing(2, 2, "area"), ValueError, "interpolation: .*got 'area'"),
        (lambda: layers.Resizing(2, 2, antialias=True), ValueError, "antialias: .*got True"),
        (lambda: layers.Resizing(2, 2, fill_mode="wrap"), ValueError, "fill_mode: .*got 'wrap'"),
        (lambda: layers.Resizing(2, 2, "nearest", True, True), ValueError, "at most one of them"),
        (
            lambda: layers.Resizing(2, 2, name="r")(np.zeros((2, 2))),
            ValueError,
            r"layer 'r' \(Resizing\): expected rank 4 .*got shape \(2, 2\)",
        ),
    ],
)
def test_errors_name_the_argument(make, error, message):
    with pytest.raises(error, match=message):
        make()
