"""Files that earlier versions of Keras have written open. ``make_keras_files.py`` has made them."""

from pathlib import Path

import make_keras_files
import numpy as np
import pytest

import minicnn
from minicnn.models import load_model

FOLDER = Path(__file__).parent / "keras_files"
VERSIONS = ("3.0.5", "3.5.0", "3.10.0")


def all_files(ending):
    return [
        FOLDER / f"{kind}-{v}.{ending}" for kind in ("sequential", "functional") for v in VERSIONS
    ]


@pytest.mark.parametrize("path", all_files("keras"), ids=lambda path: path.stem)
def test_predictions_and_the_next_step_are_the_same(path):
    model, numbers = load_model(path), np.load(path.with_suffix(".npz"))
    x, y = numbers["x"], numbers["y"]
    assert np.abs(model.predict(x, verbose=0) - numbers["predictions"]).max() < 1e-6
    assert model.optimizer.iterations == 1
    model.train_on_batch(x, y)
    weights = model.get_weights()
    assert len(weights) == len(numbers.files) - 3
    for number, weight in enumerate(weights):
        assert np.abs(weight - numbers[f"later{number}"]).max() < 1e-5


@pytest.mark.parametrize("version", VERSIONS)
def test_the_whole_is_there(version):
    model = load_model(FOLDER / f"sequential-{version}.keras")
    conv, norm, _, depthwise, _, _, dense = model.layers
    assert model.name == "chain"
    assert conv.kernel_regularizer.l2 == pytest.approx(1e-7)
    assert norm.momentum == 0.99
    assert depthwise.activation.layer.negative_slope == 0.3
    assert dense.kernel_constraint.max_value == 2
    assert type(model.optimizer).__name__ == "Adam"
    model = load_model(FOLDER / f"functional-{version}.keras")
    assert [model.get_layer(name).count_params() for name in ("block", "tail")] == [24, 20]
    assert model.optimizer.schedule.initial_learning_rate == pytest.approx(0.05)
    assert model.get_layer("shared").nodes[1].inputs[0].name.startswith("global_max_pooling2d")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("by_name", [False, True])
def test_weights_of_h5_files(version, by_name):
    path, numbers = (
        FOLDER / f"sequential-{version}.h5",
        np.load(FOLDER / f"sequential-{version}.npz"),
    )
    expected = load_model(path.with_suffix(".keras"))
    model = make_keras_files.sequential(minicnn)
    if by_name:
        model = type(model).from_config(expected.get_config())
    model.load_weights(path, by_name=by_name)
    assert all(map(np.array_equal, model.get_weights(), expected.get_weights()))
    y = model.predict(numbers["x"], verbose=0)
    assert np.abs(y - numbers["predictions"]).max() < 1e-6
    with pytest.raises(ValueError, match=r"HDF5.*model.load_weights\(path\)"):
        load_model(path)


def test_h5_weights_that_do_not_fit():
    path = FOLDER / "sequential-3.5.0.h5"
    model = minicnn.Sequential([minicnn.Input((3,)), minicnn.layers.Dense(2)])
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"weights for 4 layers, model .* has 1"):
        model.load_weights(path)
    with pytest.raises(ValueError, match="no layer of model"):
        minicnn.Sequential([minicnn.Input((3,)), minicnn.layers.Dense(2, name="z")]).load_weights(
            path, by_name=True
        )
    assert all(map(np.array_equal, before, model.get_weights()))
