"""ImageDataGenerator against Keras's: the same seed, the same pictures."""

import numpy as np
import pytest

from minicnn.preprocessing import image as ours

pytest.importorskip("keras")
pytest.importorskip("scipy")  # Keras's needs it
pytest.importorskip("PIL")
theirs = pytest.importorskip("keras.src.legacy.preprocessing.image")

pytestmark = pytest.mark.keras

CASES = {
    "nothing": {},
    "rotation": {"rotation_range": 30},
    "shear and zoom": {"shear_range": 20, "zoom_range": 0.2, "rescale": 1 / 255},
    "flips": {"horizontal_flip": True, "vertical_flip": True, "fill_mode": "reflect"},
    "zoom and colours": {"zoom_range": [0.5, 1.5], "channel_shift_range": 20.0},
    "nearest": {"rotation_range": 20, "interpolation_order": 0},
    "brightness": {"brightness_range": (0.2, 1.5)},
    "by feature": {"featurewise_center": True, "featurewise_std_normalization": True},
    "by sample": {"samplewise_center": True, "samplewise_std_normalization": True},
    "whitening": {"featurewise_center": True, "zca_whitening": True},
    "function": {"preprocessing_function": lambda x: x[::-1], "rotation_range": 5},
}


@pytest.fixture
def data(rng):
    x = (rng.random((11, 9, 9, 3)) * 255).astype(np.float32)
    return x, np.arange(11) % 3


def same(a, b):
    assert len(a) == len(b)
    for one, other in zip(a, b, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_batches_agree(case, data):
    x, y = data
    iterators = []
    for kit in (ours, theirs):
        generator = kit.ImageDataGenerator(**CASES[case])
        generator.fit(x)
        iterators.append(generator.flow(x, y, batch_size=4, seed=3, sample_weight=y / 2))
    for _ in range(4):  # beyond the end of the first epoch
        same(*map(next, iterators))
    for number in (2, 0):
        same(*(one[number] for one in iterators))
    for one in iterators:
        one.on_epoch_end()
    same(*(one[1] for one in iterators))


@pytest.mark.parametrize("shift", [0.3, 3, 2.0, [-2, 1]])
def test_shifts_agree_across(shift, data):
    """What Keras calls the height is, in its pictures, the width."""
    x, y = data
    mine = ours.ImageDataGenerator(width_shift_range=shift).flow(x, y, seed=1)
    keras_ = theirs.ImageDataGenerator(height_shift_range=shift).flow(x, y, seed=1)
    same(next(mine), next(keras_))


@pytest.mark.parametrize("subset", ["training", "validation"])
def test_subsets_of_arrays_agree(subset, data):
    x, y = data
    flows = [
        kit.ImageDataGenerator(validation_split=0.4).flow(x, y, seed=1, subset=subset)
        for kit in (ours, theirs)
    ]
    assert flows[0].n == flows[1].n
    same(*map(next, flows))


def test_folders_agree(rng, tmp_path, capsys):
    for name, count in (("cats", 7), ("dogs", 5), ("apes", 3)):
        folder = tmp_path / name / "more"
        folder.mkdir(parents=True)
        for i in range(count):
            picture = rng.integers(0, 256, (6, 8, 3)).astype(np.uint8)
            ours.save_img((folder if i % 2 else folder.parent) / f"{i}.png", picture, scale=False)
    for options in (
        {"class_mode": "sparse", "target_size": (5, 5)},
        {"class_mode": "binary", "classes": ["dogs", "cats"], "subset": "training"},
        {"class_mode": "categorical", "subset": "validation", "color_mode": "grayscale"},
        {"class_mode": "input", "shuffle": False, "interpolation": "bilinear"},
    ):
        both = [
            kit.ImageDataGenerator(rescale=1 / 255, zoom_range=0.1, validation_split=0.4)
            .flow_from_directory(tmp_path, **{"target_size": (9, 9), "seed": 4, **options})
            for kit in (ours, theirs)
        ]  # fmt: skip
        for name in ("class_indices", "filenames", "samples", "n", "num_classes", "image_shape"):
            assert getattr(both[0], name) == getattr(both[1], name)
        assert both[0].classes.tolist() == both[1].classes.tolist()
        same(*map(next, both))
    printed = [line for line in capsys.readouterr().out.splitlines() if line]
    assert printed[0::2] == printed[1::2]


def test_names_and_defaults_agree():
    import inspect

    for method in ("__init__", "flow", "flow_from_directory", "fit", "get_random_transform"):
        mine, others = (
            {
                name: parameter.default
                for name, parameter in inspect.signature(
                    getattr(kit.ImageDataGenerator, method)
                ).parameters.items()
            }
            for kit in (ours, theirs)
        )
        assert mine == others
