"""Pictures changed at random while they are loaded, as ImageDataGenerator does."""

from itertools import islice

import numpy as np
import pytest

import minicnn
from minicnn import Sequential, layers
from minicnn.preprocessing.image import ImageDataGenerator, save_img


@pytest.fixture
def data(rng):
    return (rng.random((10, 6, 8, 1)) * 255).astype(np.float32), np.arange(10) % 2


def test_without_changes_the_pictures_are_the_pictures(data):
    x, y = data
    flow = ImageDataGenerator(rescale=1 / 255).flow(x, y, batch_size=4, shuffle=False)
    batches = [flow[i] for i in range(len(flow))]
    assert [len(one) for one, _ in batches] == [4, 4, 2]
    np.testing.assert_allclose(np.concatenate([one for one, _ in batches]), x / 255, rtol=1e-6)
    assert np.concatenate([one for _, one in batches]).tolist() == y.tolist()


def test_each_kind_of_change_where_it_can_be_seen():
    x = np.arange(12.0, dtype=np.float32).reshape(3, 4, 1)
    change = ImageDataGenerator().apply_transform
    np.testing.assert_array_equal(change(x, {"tx": 1})[..., 0], x[:, [1, 2, 3, 3], 0])
    np.testing.assert_array_equal(change(x, {"ty": 1})[..., 0], x[[1, 2, 2], :, 0])
    np.testing.assert_array_equal(change(x, {"flip_horizontal": True}), x[:, ::-1])
    np.testing.assert_array_equal(change(x, {"flip_vertical": True}), x[::-1])
    np.testing.assert_allclose(change(x, {"theta": 180}), x[::-1, ::-1], atol=1e-5)
    shifted = change(x, {"channel_shift_intensity": 3.0})
    np.testing.assert_array_equal(shifted, np.minimum(x + 3, 11))
    np.testing.assert_array_equal(change(x, {"brightness": 2.0}), 2 * x)
    np.testing.assert_array_equal(change(x, {}), x)
    square = np.arange(9.0, dtype=np.float32).reshape(3, 3, 1)
    np.testing.assert_allclose(change(square, {"theta": 90}), np.rot90(square), atol=1e-5)
    zoomed = change(square, {"zx": 0.5, "zy": 0.5})
    np.testing.assert_allclose(zoomed[..., 0], [[2, 2.5, 3], [3.5, 4, 4.5], [5, 5.5, 6]])


@pytest.mark.parametrize(
    ("argument", "moved"), [("height_shift_range", "ty"), ("width_shift_range", "tx")]
)
def test_a_shift_goes_where_its_name_says(argument, moved):
    generator = ImageDataGenerator(**{argument: 0.5})
    drawn = [generator.get_random_transform((6, 8, 1), seed) for seed in range(50)]
    sizes = [abs(one[moved]) for one in drawn]
    half = {"ty": 3, "tx": 4}[moved]
    assert 0.8 * half < max(sizes) <= half
    assert all(one[{"ty": "tx", "tx": "ty"}[moved]] == 0 for one in drawn)


def test_the_same_seed_changes_pictures_and_masks_alike(data):
    x, _ = data
    generator = ImageDataGenerator(rotation_range=40, zoom_range=0.3, horizontal_flip=True)
    pictures, masks = (generator.flow(part, batch_size=4, seed=7) for part in (x, x / 2))
    for _ in range(5):
        np.testing.assert_allclose(next(pictures), 2 * next(masks), rtol=1e-5, atol=1e-3)
    minicnn.utils.set_random_seed(3)
    first = next(ImageDataGenerator(rotation_range=40).flow(x))
    minicnn.utils.set_random_seed(3)
    np.testing.assert_array_equal(next(ImageDataGenerator(rotation_range=40).flow(x)), first)


def test_statistics_are_those_of_the_data(rng):
    x = rng.normal(5, 3, (200, 4, 4, 2)).astype(np.float32)
    generator = ImageDataGenerator(featurewise_std_normalization=True)
    with pytest.warns(UserWarning, match="before fit"):
        generator.standardize(x[0])
    generator.fit(x)
    y = np.stack([generator.standardize(one) for one in x])
    np.testing.assert_allclose(y.mean(axis=(0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(y.std(axis=(0, 1, 2)), 1, rtol=1e-4)
    generator = ImageDataGenerator(zca_whitening=True)
    generator.fit(x)
    white = np.stack([generator.standardize(one) for one in x]).reshape(200, -1)
    np.testing.assert_allclose(white.T @ white / 200, np.eye(32), atol=1e-3)
    generator = ImageDataGenerator(featurewise_center=True, rotation_range=10)
    generator.fit(x, augment=True, rounds=2, seed=1)
    assert generator.mean.shape == (2,)


def test_a_model_trains_evaluates_and_predicts_on_it(rng, tmp_path, capsys):
    for name, level in (("dark", 40), ("light", 200)):
        (tmp_path / name).mkdir()
        for i in range(6):
            picture = rng.integers(level - 30, level + 30, (5, 5, 3)).astype(np.uint8)
            save_img(tmp_path / name / f"{i}.png", picture, scale=False)
    generator = ImageDataGenerator(rescale=1 / 255, horizontal_flip=True, validation_split=0.34)
    options = {"target_size": (4, 4), "class_mode": "binary", "batch_size": 4, "seed": 1}
    train = generator.flow_from_directory(tmp_path, subset="training", **options)
    validation = generator.flow_from_directory(tmp_path, subset="validation", **options)
    assert capsys.readouterr().out.count("images belonging to 2 classes") == 2
    assert (train.samples, validation.samples, train.class_indices) == (
        8,
        4,
        {"dark": 0, "light": 1},
    )
    model = Sequential([layers.Flatten(), layers.Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    minicnn.utils.set_random_seed(0)
    model.compile(minicnn.optimizers.Adam(0.1), "binary_crossentropy", metrics=["accuracy"])
    history = model.fit(
        train, steps_per_epoch=train.samples // 4, epochs=15, verbose=0, validation_data=validation
    )
    assert history.history["val_accuracy"][-1] == 1
    assert model.evaluate(validation, verbose=0)[1] == 1
    whole = generator.flow_from_directory(tmp_path, shuffle=False, **options)
    guess = model.predict(whole, verbose=0)[:, 0] > 0.5
    assert guess.tolist() == (whole.classes == 1).tolist()


def test_what_comes_out_can_be_written_to_files(data, tmp_path):
    x, y = data
    flow = ImageDataGenerator(vertical_flip=True).flow(
        x, y, batch_size=6, save_to_dir=tmp_path, save_prefix="aug", save_format="png"
    )
    next(flow)
    assert len(list(tmp_path.glob("aug_*.png"))) == 6


def test_loops_begin_again_and_end_where_there_is_nothing(data):
    x, _ = data
    flow = ImageDataGenerator().flow(x, batch_size=4, shuffle=False)
    assert [len(batch) for batch in islice(flow, 5)] == [4, 4, 2, 4, 4]
    flow.reset()
    np.testing.assert_array_equal(next(flow), x[:4])
    assert list(ImageDataGenerator().flow(x[:0])) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fill_mode": "mirror"}, "fill_mode: expected 'nearest'"),
        ({"zoom_range": [0.5]}, "zoom_range: expected two numbers"),
        ({"brightness_range": 0.5}, "brightness_range: expected two numbers"),
        ({"interpolation_order": 3}, "interpolation_order: expected 0 or 1"),
        ({"validation_split": 1.5}, "validation_split: expected a number in"),
        ({"data_format": "channels_first"}, "data_format: expected None"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ImageDataGenerator(**options)


def test_wrong_data_are_refused(data, tmp_path):
    x, y = data
    generator = ImageDataGenerator(validation_split=0.5)
    for arguments, message in (
        ({"x": x[0]}, r"x: expected pictures .*shape \(6, 8, 1\)"),
        ({"x": x, "y": y[:3]}, "y: has 3 samples, but x has 10"),
        ({"x": x, "y": np.sort(y), "subset": "training"}, "ignore_class_split"),
        ({"x": x, "subset": "test"}, "subset: expected None or 'training'"),
    ):
        with pytest.raises(ValueError, match=message):
            generator.flow(**arguments)
    with pytest.raises(ValueError, match="x: expected pictures"):
        generator.fit(x[0])
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        generator.flow_from_directory(tmp_path / "nowhere")
    (tmp_path / "cats").mkdir()
    with pytest.raises(ValueError, match=r"classes: expected some of \['cats'\]"):
        generator.flow_from_directory(tmp_path, classes=["dogs"])
    with pytest.raises(IndexError, match="there are 1 batches, got 1"):
        generator.flow(x)[1]
