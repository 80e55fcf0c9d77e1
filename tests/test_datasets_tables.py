"""Tables: read, ordered and cut as in Keras, and fetched like the pictures."""

import dataclasses
import hashlib

import numpy as np
import pytest

from minicnn.datasets import boston_housing, california_housing, mnist
from minicnn.datasets.tables import TABLES

MODULES = {"boston_housing": boston_housing, "california_housing": california_housing}


@pytest.fixture
def table(rng, tmp_path):
    """Writes a table of so many columns and gives its path and its arrays."""

    def write(columns, n=700, name="table.npz"):
        x, y = rng.normal(size=(n, columns)), rng.normal(size=n)
        np.savez(tmp_path / name, x=x, y=y)
        return tmp_path / name, x, y

    return write


@pytest.mark.parametrize(("name", "columns"), [("boston_housing", 13), ("california_housing", 8)])
def test_rows_stay_together_and_are_cut(name, columns, table):
    path, x, y = table(columns)
    (x_train, y_train), (x_test, y_test) = MODULES[name].load_data(path=path, test_split=0.25)
    assert (len(x_train), len(x_test)) == (525, 175)
    row = {tuple(one): value for one, value in zip(x, y, strict=True)}
    for one, value in zip([*x_train, *x_test], [*y_train, *y_test], strict=True):
        assert row.pop(tuple(one)) == value
    assert not row
    assert not np.array_equal(x_train, x[:525])


def test_the_small_version_is_the_beginning(table):
    path, x, _ = table(8)
    (x_train, _), (x_test, _) = california_housing.load_data("small", path)
    assert {*map(tuple, x_train), *map(tuple, x_test)} == {*map(tuple, x[:600])}
    with pytest.raises(ValueError, match="version: expected 'large' or 'small'"):
        california_housing.load_data("medium", path)


def test_a_file_in_the_cache_is_taken(table, tmp_path, monkeypatch):
    path, _, _ = table(13, name="boston_housing.npz")
    content = path.read_bytes()
    (tmp_path / "boston_housing").mkdir()
    path.rename(tmp_path / "boston_housing" / "boston_housing.npz")
    monkeypatch.setenv("MINICNN_DATA", str(tmp_path))
    source = TABLES["boston_housing"]
    sha256 = hashlib.sha256(content).hexdigest()
    file = dataclasses.replace(source.files[0], sha256=sha256, size=len(content))
    monkeypatch.setitem(TABLES, "boston_housing", dataclasses.replace(source, files=(file,)))
    for arguments in ((), ("boston_housing.npz",)):
        (x_train, _), _ = boston_housing.load_data(*arguments)
        assert x_train.shape == (560, 13)


def test_what_is_no_table_is_said(table, tmp_path):
    path, _, _ = table(8)
    (tmp_path / "text.npz").write_text("no archive")
    np.savez(tmp_path / "other.npz", z=np.ones(3))
    for wrong, message in (
        (path, r"x has shape \(700, 8\)"),
        (tmp_path / "text.npz", "it is no zip archive"),
        (tmp_path / "other.npz", "boston_housing.*'x"),
        (tmp_path / "none.npz", "there is no such file"),
    ):
        with pytest.raises(ValueError, match=message):
            boston_housing.load_data(wrong)
    with pytest.raises(ValueError, match="test_split: expected a number in"):
        boston_housing.load_data(path, test_split=1)


@pytest.mark.keras
@pytest.mark.parametrize("name", MODULES)
def test_rows_and_files_are_those_of_keras(name, table, monkeypatch):
    keras = pytest.importorskip("keras")
    (columns,) = TABLES[name].image_shape
    path, _, _ = table(columns)
    theirs = getattr(keras.datasets, name)
    asked = {}

    def get_file(fname, origin, file_hash):
        asked.update(origin=origin, file_hash=file_hash)
        return path

    monkeypatch.setitem(theirs.load_data.__globals__, "get_file", get_file)
    expected = theirs.load_data(test_split=0.25, seed=5)
    ours = MODULES[name].load_data(path=path, test_split=0.25, seed=5)
    for mine, other in zip([*ours[0], *ours[1]], [*expected[0], *expected[1]], strict=True):
        np.testing.assert_array_equal(mine, other)
    (file,) = TABLES[name].files
    assert asked == {"origin": file.url, "file_hash": file.sha256}


def test_the_name_that_keras_gives_its_file_means_the_cache(rng, tmp_path, monkeypatch):
    x, y = rng.integers(0, 256, (3, 28, 28), np.uint8), np.arange(3, dtype=np.uint8)
    np.savez(tmp_path / "mnist.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    monkeypatch.setenv("MINICNN_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path.parent)
    assert mnist.load_data(path="mnist.npz")[0][0].shape == (3, 28, 28)
