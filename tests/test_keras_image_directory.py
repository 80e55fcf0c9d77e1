"""Which files, in which order and with which labels: as Keras lists a folder.

Keras makes its data sets with TensorFlow; what it lists them with needs none.
"""

import numpy as np
import pytest

keras = pytest.importorskip("keras")

import inspect  # noqa: E402

from minicnn.preprocessing import directory as mine  # noqa: E402

pytestmark = pytest.mark.keras


@pytest.fixture
def folder(tmp_path):
    for number in range(40):
        path = tmp_path / "cab"[number % 3] / ("deep" if number % 4 == 0 else "") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "b" / "text.txt").touch()
    return tmp_path


@pytest.mark.parametrize("labels", ["inferred", None, list(range(40))], ids=str)
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("subset", [None, "training", "validation"])
def test_files_labels_and_subsets(labels, shuffle, subset, folder, monkeypatch):
    from keras.src.utils import dataset_utils

    seed, split = 7, None if subset is None else 0.3
    given = labels and labels[:]  # Keras shuffles the list that it is given
    paths, numbers, names = dataset_utils.index_directory(
        str(folder), labels and labels[:], mine.FORMATS, None, shuffle, seed, verbose=False
    )
    paths, numbers = dataset_utils.get_training_or_validation_split(paths, numbers, split, subset)
    dataset = mine.image_dataset_from_directory(
        folder, given, "int", seed=seed, shuffle=shuffle, validation_split=split, subset=subset,
        batch_size=40, verbose=False,
    )  # fmt: skip
    assert dataset.file_paths == [path.replace("//", "/") for path in paths]
    assert dataset.class_names == names
    if labels is not None:
        # No picture is read here: the number of a file is what it shows.
        monkeypatch.setattr(mine, "load_img", lambda path, *rest: np.full((1, 1), _number(path)))
        ((x, y),) = dataset
        expected = dict(zip(map(_number, paths), numbers, strict=True))
        assert [expected[int(one)] for one in x[:, 0, 0, 0]] == y.tolist()


def _number(path):
    return int(path.rpartition("/")[2].partition(".")[0])


def test_arguments():
    theirs = inspect.signature(keras.utils.image_dataset_from_directory).parameters
    ours = inspect.signature(mine.image_dataset_from_directory).parameters
    assert [(name, one.default) for name, one in ours.items()] == [
        (name, one.default) for name, one in theirs.items()
    ]
