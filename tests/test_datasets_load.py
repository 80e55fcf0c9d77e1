"""The data that is on board, and every data set as a pipeline."""

import hashlib

import numpy as np
import pytest

from minicnn import datasets
from minicnn.datasets import digits
from minicnn.datasets.info import ClassLabel
from minicnn.datasets.sources import SOURCES
from minicnn.datasets.splits import parse

DIGITS_SHA256 = "85682c3410322c36b1b99f59337233069c69618a486bc7dac39ada2174c198f4"


def test_digits_are_there():
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    assert x_train.shape == (1497, 8, 8)
    assert x_test.shape == (300, 8, 8)
    assert y_train.shape == (1497,)
    assert {a.dtype for a in (x_train, y_train, x_test, y_test)} == {np.dtype(np.uint8)}
    assert (x_train.min(), x_train.max()) == (0, 16)
    assert np.bincount(y_test).tolist() == [30] * 10
    content = b"".join(array.tobytes() for array in (x_train, y_train, x_test, y_test))
    assert hashlib.sha256(content).hexdigest() == DIGITS_SHA256


def test_digits_are_those_of_scikit_learn():
    """The recipe in DIGITS-LICENSE.txt, followed again."""
    original = pytest.importorskip("sklearn.datasets").load_digits()
    order = np.random.default_rng(0).permutation(1797)
    x, y = original.images[order], original.target[order]
    earlier = np.array([np.count_nonzero(y[:i] == y[i]) for i in range(len(y))])
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    np.testing.assert_array_equal(x_train, x[earlier >= 30])
    np.testing.assert_array_equal(y_train, y[earlier >= 30])
    np.testing.assert_array_equal(x_test, x[earlier < 30])
    np.testing.assert_array_equal(y_test, y[earlier < 30])


def test_load_gives_dicts_of_the_arrays():
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    train, test = datasets.load("digits", split=["train", "test"])
    for dataset, x, y in ((train, x_train, y_train), (test, x_test, y_test)):
        elements = list(dataset)
        assert len(dataset) == len(elements) == len(x)
        assert elements[0].keys() == {"image", "label"}
        np.testing.assert_array_equal(np.stack([e["image"] for e in elements]), x[..., None])
        np.testing.assert_array_equal(np.stack([e["label"] for e in elements]), y)
        assert elements[0]["image"].dtype == np.uint8
        assert elements[0]["label"].dtype == np.int64
        assert elements[0]["label"].shape == ()


def test_load_without_split_is_a_dict():
    parts = datasets.load("digits")
    assert {name: len(part) for name, part in parts.items()} == {"train": 1497, "test": 300}


def test_load_as_supervised():
    image, label = next(iter(datasets.load("digits", split="test", as_supervised=True)))
    (_, _), (x_test, y_test) = digits.load_data()
    np.testing.assert_array_equal(image[..., 0], x_test[0])
    assert label == y_test[0]


def test_load_slices_and_sums():
    train, _ = digits.load_data()
    labels = [
        e["label"] for e in datasets.load("digits", split="train[1000:]+test[:50%]+train[:1]")
    ]
    _, (_, y_test) = digits.load_data()
    expected = [*train[1][1000:], *y_test[:150], train[1][0]]
    np.testing.assert_array_equal(labels, expected)


def test_load_shuffles_when_asked():
    plain = [int(e["label"]) for e in datasets.load("digits", split="test")]
    mixed = [int(e["label"]) for e in datasets.load("digits", split="test", shuffle_files=True)]
    assert sorted(plain) == sorted(mixed)
    assert plain != mixed


def test_load_info():
    train, info = datasets.load("Digits", split="train", with_info=True)
    label = info.features["label"]
    assert len(train) == info.splits["train"].num_examples == 1497
    assert info.splits["test"].num_examples == 300
    assert info.features["image"].shape == (8, 8, 1)
    assert label.names == list("0123456789")
    assert label.num_classes == 10
    assert label.int2str(np.uint8(7)) == "7"
    assert label.str2int("3") == 3
    assert info.name == "digits"


def test_load_from_a_folder(tmp_path, rng):
    x_train, x_test = (rng.integers(0, 256, (n, 32, 32, 3), np.uint8) for n in (6, 4))
    y_train, y_test = (rng.integers(0, 10, (n, 1), np.uint8) for n in (6, 4))
    np.savez(
        tmp_path / "cifar10.npz", x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test
    )
    test, info = datasets.load("cifar10", split="test", data_dir=tmp_path, with_info=True)
    first = next(iter(test))
    np.testing.assert_array_equal(first["image"], x_test[0])
    assert first["label"] == y_test[0, 0]
    assert first["label"].shape == ()
    assert info.splits["train"].num_examples == 6
    assert info.features["label"].int2str(3) == "cat"


def test_load_rejects():
    with pytest.raises(ValueError, match=r"unknown data set 'cifar'.*Known are: cifar10, cifar100"):
        datasets.load("cifar")
    with pytest.raises(TypeError, match="split: expected a string"):
        datasets.load("digits", split=3)
    with pytest.raises(TypeError, match="data_dir: expected a path or None, got 3"):
        datasets.load("mnist", data_dir=3)


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ("train", [("train", 0, 10)]),
        ("all", [("train", 0, 10), ("test", 0, 5)]),
        (" train [2:] + test[:-1]", [("train", 2, 10), ("test", 0, 4)]),
        ("train[25%:75%]", [("train", 2, 8)]),  # 2.5 and 7.5 go to the even neighbour
        ("train[-30%:]", [("train", 7, 10)]),
        ("train[:99]", [("train", 0, 10)]),
        ("train[:]", [("train", 0, 10)]),
        ("all[:1]", [("train", 0, 1), ("test", 0, 1)]),
    ],
)
def test_split_strings(split, expected):
    pieces = parse(split, {"train": 10, "test": 5})
    assert [(name, piece.start, piece.stop) for name, piece in pieces] == expected


@pytest.mark.parametrize("split", ["", "val", "train[3]", "train[a:b]", "train+", "train[:5%%]"])
def test_bad_split_strings(split):
    with pytest.raises(ValueError, match="split: expected 'train', 'test' or 'all'"):
        parse(split, {"train": 10, "test": 5})


def test_class_label_rejects():
    label = ClassLabel(("cat", "dog"))
    with pytest.raises(ValueError, match="expected 0 to 1, got 2"):
        label.int2str(2)
    with pytest.raises(ValueError, match="got -1"):
        label.int2str(-1)
    with pytest.raises(TypeError, match=r"expected an integer, got 0\.5"):
        label.int2str(0.5)
    with pytest.raises(ValueError, match="expected one of cat, dog; got 'cow'"):
        label.str2int("cow")


def test_sources_are_complete():
    """What a typing slip in the table would break."""
    sums = []
    for name, source in SOURCES.items():
        assert name == source.name
        assert len(set(source.class_names)) == len(source.class_names)
        for file in source.files:
            assert file.url.startswith("https://")
            assert file.url.endswith("/" + file.name)
            assert len(bytes.fromhex(file.sha256)) == 32
            sums.append(file.sha256)
    assert len(set(sums)) == len(sums) == 10
    classes = {name: len(source.class_names) for name, source in SOURCES.items()}
    assert classes == {
        "digits": 10,
        "mnist": 10,
        "fashion_mnist": 10,
        "cifar10": 10,
        "cifar100": 100,
    }
    hundred = SOURCES["cifar100"].class_names
    assert list(hundred) == sorted(hundred)
