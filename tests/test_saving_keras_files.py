"""Files that earlier versions of Keras have written open. ``make_keras_files.py`` has made them."""

from pathlib import Path

import h5py
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
    predictions = model.predict(x, verbose=0)
    assert predictions.shape == numbers["predictions"].shape
    assert np.abs(predictions - numbers["predictions"]).max() < 1e-6
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


H5 = sorted(FOLDER.glob("*.h5"))


def model_for(path, by_name):
    """Drawn anew; with the names of the layers in the file, if they matter. (In the network, those
    with weights have names of their own.)"""
    kind = path.stem.split("-")[0]
    model = getattr(make_keras_files, kind)(minicnn)
    if kind == "functional" or not by_name:
        return model
    with h5py.File(path) as file:
        names = [str(name) for name in file["model_weights"].attrs["layer_names"]]
    new = iter(name for name in names if not name.startswith("input"))

    def renamed(layer):
        config = layer.get_config()
        if not isinstance(layer, minicnn.layers.InputLayer):
            config["name"] = next(new)
        return type(layer).from_config(config)

    return minicnn.models.clone_model(model, clone_function=renamed)


@pytest.mark.parametrize("path", H5, ids=lambda path: path.stem)
@pytest.mark.parametrize("by_name", [False, True])
def test_weights_of_h5_files(path, by_name):
    numbers, model = np.load(path.with_suffix(".npz")), model_for(path, by_name)
    model.load_weights(path, by_name=by_name)
    y = model.predict(numbers["x"], verbose=0)
    assert np.abs(y - numbers["predictions"]).max() < 1e-6


@pytest.mark.parametrize("path", H5, ids=lambda path: path.stem)
def test_whole_models_in_h5_files(path, recwarn):
    """Those of Keras 2 have a model that is called twice, one that is the first layer of another,
    the optimizer's memory in both of its orders, a schedule, and a decay of the learning rate."""
    model, numbers = load_model(path), np.load(path.with_suffix(".npz"))
    x, y = numbers["x"], numbers["y"]
    names = {"sequential": "chain", "functional": "net", "older": "older"}
    assert model.name == names[path.stem.split("-")[0]]
    assert np.abs(model.predict(x, verbose=0) - numbers["predictions"]).max() < 1e-6
    assert model.optimizer.iterations == 1
    scores = model.train_on_batch(x, y, return_dict=True)
    assert sorted(scores) == ["accuracy", "loss"]
    later = [numbers[f"later{number}"] for number in range(len(numbers.files) - 3)]
    for weight, expected in zip(model.weights, later, strict=True):
        # TensorFlow takes the batch's variance times n / (n - 1) for it, which Keras 3 does not.
        if weight.name != "moving_variance" or "2.15" not in path.stem:
            assert np.abs(weight.numpy() - expected).max() < 1e-6
    assert not recwarn


def test_there_are_files_of_keras_2():
    versions = [path.stem.rpartition("-")[2] for path in H5]
    assert sorted(versions) == [*["2.15.0"] * 3, "3.0.5", "3.10.0", "3.5.0"]


def test_h5_files_with_weights_alone(tmp_path, recwarn):
    """``save_weights`` of Keras 2 puts at the top what a whole model has one level deeper."""
    path = FOLDER / "sequential-2.15.0.h5"
    with h5py.File(path) as whole, h5py.File(tmp_path / "w.h5", "w") as alone:
        alone.attrs.update(whole["model_weights"].attrs)
        for name, group in whole["model_weights"].items():
            whole.copy(group, alone, name)
    model, numbers = model_for(path, False), np.load(path.with_suffix(".npz"))
    model.load_weights(tmp_path / "w.h5")
    assert not recwarn
    y = model.predict(numbers["x"], verbose=0)
    assert np.abs(y - numbers["predictions"]).max() < 1e-6


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
