"""Helpers as in ``keras.utils``."""

import inspect
import random

import numpy as np
import pytest

from minicnn import Sequential, initializers, layers, utils


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "bool"])
@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_to_categorical(dtype, shape):
    x = np.array([1, 0, 1, 1]).astype(dtype).reshape(shape)
    one_hot = utils.to_categorical(x)
    assert one_hot.dtype == np.float64
    assert one_hot.tolist() == [[0, 1], [1, 0], [0, 1], [0, 1]]
    assert utils.to_categorical(x, 5).shape == (4, 5)


def test_to_categorical_of_several_axes():
    x = np.array([[[0], [2]], [[1], [1]]])
    one_hot = utils.to_categorical(x, 3)
    assert one_hot.shape == (2, 2, 3)
    assert np.array_equal(one_hot.argmax(axis=-1), x[..., 0])
    assert (one_hot.sum(axis=-1) == 1).all()
    assert utils.to_categorical(2).tolist() == [0, 0, 1]
    assert utils.to_categorical([[0, 1]]).shape == (1, 2, 2)
    assert utils.to_categorical([], 4).shape == (0, 4)


@pytest.mark.parametrize(
    ("x", "num_classes", "error", "message"),
    [
        ([0, 3], 3, ValueError, r"classes from 0 to 2 \(num_classes=3\), got 3"),
        ([0, -1], None, ValueError, "got -1"),
        ([0.5], None, ValueError, "whole numbers, got 0.5"),
        ([np.nan], None, ValueError, "whole numbers, got nan"),
        (["cat"], None, TypeError, "class numbers"),
        ([], None, ValueError, "num_classes: must be given"),
        ([1], "three", TypeError, "num_classes: expected an int"),
        ([1], 3.0, TypeError, "num_classes: expected an int"),
    ],
)
def test_to_categorical_refuses(x, num_classes, error, message):
    with pytest.raises(error, match=message):
        utils.to_categorical(x, num_classes)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("order", [1, 2, np.inf])
def test_normalize(rng, axis, order):
    x = rng.normal(size=(4, 3))
    y = utils.normalize(x, axis, order)
    assert np.abs(np.linalg.norm(y, order, axis) - 1).max() < 1e-12
    assert np.abs(np.linalg.norm(x, order, axis, keepdims=True) * y - x).max() < 1e-12


def test_normalize_keeps_zeros_and_dtype():
    x = np.array([[3, 4], [0, 0]], np.float32)
    y = utils.normalize(x)
    assert y.dtype == np.float32
    assert np.abs(y - [[0.6, 0.8], [0, 0]]).max() < 1e-6


def test_set_random_seed():
    def draw():
        return random.random(), np.random.rand(), initializers.HeNormal()((2, 2)).tolist()  # noqa: NPY002

    utils.set_random_seed(5)
    first = draw()
    assert draw() != first
    utils.set_random_seed(5)
    assert draw() == first
    utils.set_random_seed(6)
    assert draw() != first
    utils.set_random_seed(np.int64(5))
    assert draw() == first


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_out_of_range(seed):
    with pytest.raises(ValueError, match=r"^seed: "):
        utils.set_random_seed(seed)


@pytest.mark.parametrize("seed", [1.5, "one", None, True])
def test_seeds_that_are_none(seed):
    with pytest.raises(TypeError, match=r"^seed: "):
        utils.set_random_seed(seed)


@pytest.mark.keras
def test_against_keras(rng):
    keras = pytest.importorskip("keras")
    x = rng.integers(0, 5, (6, 1))
    for num_classes in (None, 7):
        expected = keras.utils.to_categorical(x, num_classes)
        assert expected.dtype == utils.to_categorical(x, num_classes).dtype
        assert np.array_equal(utils.to_categorical(x, num_classes), expected)
    x = rng.normal(size=(4, 3))
    for order in (1, 2):
        expected = keras.utils.normalize(x, axis=-1, order=order)
        assert np.abs(utils.normalize(x, axis=-1, order=order) - expected).max() < 1e-12


def test_plot_model_saves_the_diagram(tmp_path):
    Text = pytest.importorskip("matplotlib.text").Text
    model = Sequential([layers.Dense(2, input_shape=(3,), name="only")])
    sizes = []
    for dpi in (50, 100):
        file = tmp_path / f"{dpi}.png"
        figure = utils.plot_model(model, file, show_shapes=True, rankdir="LR", dpi=dpi)
        data = file.read_bytes()
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        sizes.append(int.from_bytes(data[16:20], "big"))
    assert abs(sizes[1] - 2 * sizes[0]) <= 1
    assert any("only" in text.get_text() for text in figure.findobj(Text))
    utils.plot_model(model, str(tmp_path / "model.svg"))
    assert "<svg" in (tmp_path / "model.svg").read_text()
    before = set(tmp_path.iterdir())
    assert utils.plot_model(model, to_file=None) is not None
    assert set(tmp_path.iterdir()) == before
    with pytest.raises(TypeError, match="show_shape"):
        utils.plot_model(model, show_shape=True)


def test_clear_session_starts_the_names_anew():
    layers.Dense(1)
    utils.clear_session()
    assert [layers.Dense(1).name, layers.Dense(1).name] == ["dense", "dense_1"]


@pytest.mark.keras
def test_names_and_arguments_of_keras():
    keras = pytest.importorskip("keras")
    assert all(hasattr(keras.utils, name) for name in utils.__all__)
    ours, theirs = (inspect.signature(kit.plot_model).parameters for kit in (utils, keras.utils))
    for name, parameter in ours.items():
        assert parameter.default == theirs[name].default
    assert list(ours) == [name for name in theirs if name != "kwargs"]


def test_pictures_go_into_files_and_come_back(tmp_path, rng):
    for channels, mode in ((1, "grayscale"), (3, "rgb"), (4, "rgba")):
        x = rng.integers(0, 256, (5, 7, channels))
        utils.save_img(tmp_path / "x.png", x, scale=False)
        image = utils.load_img(tmp_path / "x.png", color_mode=mode)
        back = utils.img_to_array(image)
        assert back.dtype == np.float32
        assert np.array_equal(back, x)
    assert utils.img_to_array(utils.load_img(tmp_path / "x.png")).shape == (5, 7, 3)
    utils.save_img(tmp_path / "x", np.zeros((4, 4, 3)), file_format="jpg")
    assert (tmp_path / "x").read_bytes()[:2] == b"\xff\xd8"


def test_bad_pictures(tmp_path):
    for make, error, message in (
        (lambda: utils.array_to_img(np.zeros((4, 4, 2))), ValueError, "channels of x: .*got 2"),
        (lambda: utils.array_to_img(np.full((4, 4, 1), 256.0), scale=False), ValueError, "to 256"),
        (lambda: utils.array_to_img(np.full((4, 4, 1), np.nan)), ValueError, "nan"),
        (lambda: utils.img_to_array(np.zeros(4)), ValueError, r"img: .*got shape \(4,\)"),
        (lambda: utils.load_img("x.png", color_mode="red"), ValueError, "color_mode: .*'red'"),
        (lambda: utils.load_img("x.png", interpolation="x"), ValueError, "interpolation: .*'x'"),
        (lambda: utils.load_img(tmp_path / "none.png"), FileNotFoundError, "none.png"),
    ):
        with pytest.raises(error, match=message):
            make()


@pytest.mark.keras
def test_pictures_against_keras(tmp_path, rng):
    keras = pytest.importorskip("keras")
    x = rng.normal(size=(9, 14, 3))
    file = str(tmp_path / "x.png")
    keras.utils.save_img(file, x)
    for options in (
        {},
        {"color_mode": "grayscale"},
        {"target_size": (6, 5)},
        {"target_size": (6, 5), "interpolation": "bilinear"},
        {"target_size": (4, 20), "interpolation": "lanczos", "keep_aspect_ratio": True},
        {"target_size": (9, 3), "keep_aspect_ratio": True},
    ):
        ours, theirs = (
            kit.img_to_array(kit.load_img(file, **options)) for kit in (utils, keras.utils)
        )
        assert ours.dtype == theirs.dtype
        assert np.array_equal(ours, theirs), options
    for picture in (x, x[..., :1], np.zeros((3, 3, 1))):
        ours, theirs = (np.array(kit.array_to_img(picture)) for kit in (utils, keras.utils))
        assert np.array_equal(ours, theirs)
    from minicnn.preprocessing import image

    assert all(hasattr(keras._tf_keras.keras.preprocessing.image, n) for n in image.__all__)
