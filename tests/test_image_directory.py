"""Folders of pictures as data sets."""

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn import layers, preprocessing, utils
from minicnn.preprocessing.image import img_to_array, load_img
from minicnn.utils import image_dataset_from_directory

FILES = {  # of each class; the last two are no pictures
    "cats": ["a.png", "b.jpg", "C.PNG", "more/d.bmp", "notes.txt", ".hidden"],
    "dogs": ["e.jpeg", "f.gif", "g.png"],
    "eels": ["h.png", "i.png"],
    ".trash": ["j.png"],
}
IN_ORDER = ["cats/C.PNG", "cats/a.png", "cats/b.jpg", "cats/more/d.bmp", "dogs/e.jpeg",
            "dogs/f.gif", "dogs/g.png", "eels/h.png", "eels/i.png"]  # fmt: skip
LABELS = [0, 0, 0, 0, 1, 1, 1, 2, 2]


@pytest.fixture
def folder(tmp_path, rng):
    for name, files in FILES.items():
        for number, file in enumerate(files):
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix.lower() in (".txt", ""):
                path.write_text("no picture")
                continue
            pixels = rng.integers(0, 256, (6 + number, 9, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(path)
    return tmp_path


def read(folder, **options):
    options = {"verbose": False, "shuffle": False, "image_size": (8, 5), **options}
    return image_dataset_from_directory(folder, **options)


def test_order_labels_and_pixels(folder):
    dataset = read(folder, batch_size=4)
    assert dataset.class_names == ["cats", "dogs", "eels"]
    assert dataset.file_paths == [str(folder / name) for name in IN_ORDER]
    assert len(dataset) == 3
    batches = list(dataset)
    assert [x.shape for x, _ in batches] == [(4, 8, 5, 3), (4, 8, 5, 3), (1, 8, 5, 3)]
    x, y = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    assert (x.dtype, y.dtype) == (np.float32, np.int32)
    assert y.tolist() == LABELS
    for path, picture in zip(dataset.file_paths, x, strict=True):
        expected = img_to_array(load_img(path, target_size=(8, 5), interpolation="bilinear"))
        np.testing.assert_array_equal(picture, expected)
    assert not np.array_equal(x[0], x[1])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"label_mode": "categorical"}, np.eye(3, dtype=np.float32)[LABELS]),
        (
            {"label_mode": "binary", "class_names": ["eels", "cats"]},
            np.array([[0], [0], [1], [1], [1], [1]], np.float32),
        ),
        ({"class_names": ["eels", "cats"]}, np.array([0, 0, 1, 1, 1, 1], np.int32)),
        ({"labels": [1, 5, 1, 0, 0, 0, 1, 5, 5]}, np.array([1, 5, 1, 0, 0, 0, 1, 5, 5], np.int32)),
    ],
    ids=["one-hot", "binary", "some folders", "given"],
)
def test_labels(folder, options, expected):
    if "labels" in options:  # then the hidden folder counts as well
        (folder / ".trash" / "j.png").unlink()
    ((_, y),) = read(folder, **options)
    assert y.dtype == expected.dtype
    np.testing.assert_array_equal(y, expected)


def test_pictures_alone(folder):
    dataset = read(folder, labels=None)
    assert dataset.class_names is None
    assert dataset.file_paths == [str(folder / name) for name in (".trash/j.png", *IN_ORDER)]
    (x,) = dataset
    assert x.shape == (10, 8, 5, 3)
    np.testing.assert_array_equal(next(iter(read(folder, label_mode=None))), x)


@pytest.mark.parametrize(("color_mode", "channels"), [("rgb", 3), ("rgba", 4), ("grayscale", 1)])
def test_colors(folder, color_mode, channels):
    ((x, _),) = read(folder, color_mode=color_mode, image_size=7)
    assert x.shape == (9, 7, 7, channels)


@pytest.mark.parametrize(
    ("interpolation", "pillows"),
    [("nearest", "nearest"), ("bicubic", "bicubic"), ("area", "box"), ("lanczos3", "lanczos")],
)
def test_interpolations(folder, interpolation, pillows):
    options = {"interpolation": interpolation, "crop_to_aspect_ratio": True, "batch_size": None}
    x, y = next(iter(read(folder, **options)))
    image = load_img(folder / IN_ORDER[0], "rgb", (8, 5), pillows, keep_aspect_ratio=True)
    np.testing.assert_array_equal(x, img_to_array(image))
    assert y == 0


def test_each_epoch_has_an_order_of_its_own(folder):
    dataset = read(folder, shuffle=True, seed=3, batch_size=9)
    first, second = ([y.tolist() for _, y in dataset] for _ in range(2))
    assert first != second
    assert sorted(first[0]) == sorted(second[0]) == LABELS
    assert [y.tolist() for _, y in read(folder, shuffle=True, seed=3, batch_size=9)] == first
    # A picture and its label stay together.
    where = {x.tobytes(): y for x, y in read(folder, batch_size=None)}
    assert all(where[x.tobytes()] == y for x, y in dataset.unbatch())


def test_subsets(folder, capsys):
    options = {"shuffle": True, "seed": 1, "validation_split": 0.25, "verbose": True}
    training = read(folder, subset="training", **options)
    validation = read(folder, subset="validation", **options)
    assert capsys.readouterr().out.splitlines() == [
        "Found 9 files belonging to 3 classes.",
        "Using 7 files for training.",
        "Found 9 files belonging to 3 classes.",
        "Using 2 files for validation.",
    ]
    everything = {str(folder / name) for name in IN_ORDER}
    assert set(training.file_paths) | set(validation.file_paths) == everything
    assert len(training.file_paths) + len(validation.file_paths) == 9
    both = read(folder, subset="both", **options)
    assert [one.file_paths for one in both] == [training.file_paths, validation.file_paths]
    assert [y.tolist() for _, y in both[1]] == [y.tolist() for _, y in both[1]]


def test_nothing_is_read_before_it_is_wanted(folder):
    dataset = read(folder, batch_size=None)
    (folder / IN_ORDER[-1]).write_text("broken")
    it = iter(dataset)
    next(it)
    with pytest.raises(OSError, match="cannot identify image file"):
        list(it)


def test_a_model_trains_on_it(folder):
    training, validation = read(
        folder, shuffle=True, seed=0, validation_split=0.3, subset="both", batch_size=2
    )
    normalization = layers.Normalization()
    normalization.adapt(training.map(lambda x, y: x))
    model = minicnn.Sequential(
        [layers.Input((8, 5, 3)), normalization, layers.Flatten(), layers.Dense(3, "softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(training, validation_data=validation, epochs=2, verbose=0).history
    assert len(history["val_accuracy"]) == 2
    assert np.isfinite(history["loss"]).all()


def test_where_keras_has_it():
    assert preprocessing.image_dataset_from_directory is image_dataset_from_directory
    assert utils.image_dataset_from_directory is image_dataset_from_directory


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"label_mode": "one-hot"}, ValueError, "label_mode: .*got 'one-hot'"),
        ({"label_mode": "binary"}, ValueError, r"label_mode: .*two classes.*\['cats'"),
        ({"labels": "given"}, TypeError, "labels: .*got 'given'"),
        ({"labels": [1, 2]}, ValueError, "labels: .*10 pictures in .*, got 2"),
        ({"labels": [0.5] * 10}, TypeError, r"labels: .*got \[0.5, "),
        (
            {"labels": [0, 5] * 5, "label_mode": "categorical"},
            ValueError,
            r"labels: .*from 0 to 1 .*got \[0, 5\]",
        ),
        ({"labels": None, "class_names": ["cats"]}, ValueError, "class_names: .*labels=None"),
        ({"class_names": ["cows"]}, ValueError, r"class_names: .*\['cats', .*got \['cows'\]"),
        ({"color_mode": "bgr"}, ValueError, "color_mode: .*got 'bgr'"),
        ({"batch_size": 0}, ValueError, "batch_size: .*got 0"),
        ({"image_size": (8, 8, 3)}, ValueError, "image_size: .*got 3"),
        ({"interpolation": "gaussian"}, ValueError, "interpolation: .*got 'gaussian'"),
        ({"pad_to_aspect_ratio": True}, ValueError, "pad_to_aspect_ratio: .*got True"),
        ({"data_format": "channels_first"}, ValueError, "data_format: .*got 'channels_first'"),
        ({"validation_split": 0, "subset": "both"}, ValueError, "split, subset: .*None and 'both'"),
        ({"subset": "training"}, ValueError, "validation_split, subset: .*None and 'training'"),
        ({"validation_split": 0.2}, ValueError, "validation_split, subset: .*0.2 and None"),
        ({"validation_split": 0.2, "subset": "test"}, ValueError, "subset: .*got 'test'"),
        ({"validation_split": 2, "subset": "both"}, ValueError, "validation_split: .*got 2"),
        (
            {"validation_split": 0.2, "subset": "both", "shuffle": True},
            ValueError,
            "seed: .*got None",
        ),
        (
            {"validation_split": 0.01, "subset": "validation"},
            ValueError,
            "directory: no pictures for validation in ",
        ),
    ],
)
def test_errors(folder, options, error, message):
    with pytest.raises(error, match=message):
        read(folder, **options)


def test_folders_without_pictures(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"directory: there is no folder .*nowhere"):
        read(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"directory: no pictures in .*\.bmp, \.gif"):
        read(tmp_path)
