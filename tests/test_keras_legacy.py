"""Whole models in ``.h5`` files, from minicnn to Keras and the other way round."""

import json
from functools import partial

import h5py
import numpy as np
import pytest

keras = pytest.importorskip("keras")

from test_keras_saving import (  # noqa: E402
    OPTIMIZERS,
    largest_difference,
    nested,
    rounded,
    with_dicts,
)

import minicnn  # noqa: E402
from minicnn.utils import set_random_seed  # noqa: E402

pytestmark = [
    pytest.mark.keras,
    pytest.mark.filterwarnings("ignore:.*HDF5 is a legacy format"),
]


def chain(kit):
    """Weights that are not trained, between such that are; some are frozen."""
    layers = kit.layers
    base = kit.Sequential(
        [
            layers.Input((6, 6, 2)),
            # Without a bias: its gradient is zero before a normalization, but for noise.
            layers.Conv2D(3, 3, use_bias=False, kernel_regularizer="l2"),
            layers.BatchNormalization(name="norm"),
            layers.DepthwiseConv2D(2, activation="tanh", name="frozen", trainable=False),
            layers.BatchNormalization(),
        ],
        name="base",
    )
    last = layers.Dense(4, activation="softmax", kernel_constraint="max_norm")
    return kit.Sequential(
        [layers.Input((6, 6, 2)), base, layers.Flatten(), layers.LeakyReLU(), last], name="chain"
    )


@pytest.fixture
def x(rng):
    return rng.normal(size=(8, 6, 6, 2)).astype(np.float32)


@pytest.fixture
def y(rng):
    return rng.integers(0, 4, 8)


def open_in_keras(path):
    """The model with the optimizer's memory, put into place by Keras's own functions.

    Keras 3.15 gives the optimizer of such a model no slots when it loads it (it asks the model for
    weights of its own, and not for its layers'), and cannot go on then, whoever wrote the file.
    """
    from keras.src.legacy.saving import legacy_h5_format

    model = keras.models.load_model(path)
    model.run_eagerly = True  # one step is not worth compiling
    optimizer = type(model.optimizer).from_config(model.optimizer.get_config())
    optimizer.build(model.trainable_variables)
    with h5py.File(path) as file:
        state = legacy_h5_format.load_optimizer_weights_from_hdf5_group(file)
        assert len(state) == len(optimizer.variables)
        optimizer.set_weights([np.asarray(array) for array in state])
    model.optimizer = optimizer
    return model


def as_lists(outputs):
    outputs = outputs.values() if isinstance(outputs, dict) else outputs
    return list(outputs) if not hasattr(outputs, "shape") else [outputs]


def there_and_back(ours, x, y, folder):
    """The same predictions, and the same step after each way."""
    ours.train_on_batch(x, y)
    ours.save(folder / "ours.h5")
    theirs = open_in_keras(folder / "ours.h5")
    assert int(theirs.optimizer.iterations) == 1
    for p, q in zip(as_lists(ours.predict_on_batch(x)), as_lists(theirs(x)), strict=True):
        assert np.abs(p - np.asarray(q)).max() < 2e-6
    theirs.save(folder / "theirs.h5")
    again = minicnn.models.load_model(folder / "theirs.h5")
    assert type(again) is type(ours)
    assert again.optimizer.iterations == 1
    for model in (ours, theirs, again):
        model.train_on_batch(x, y)
    assert largest_difference(ours.get_weights(), theirs.get_weights()) < 1e-5
    assert largest_difference(again.get_weights(), theirs.get_weights()) < 1e-5


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_on(name, x, y, tmp_path):
    set_random_seed(1)
    ours = chain(minicnn)
    ours.compile(OPTIMIZERS[name](minicnn), "sparse_categorical_crossentropy", metrics=["accuracy"])
    there_and_back(ours, x, y, tmp_path)


def test_networks_of_networks(rng, tmp_path):
    """Two inputs, three outputs, a shared layer, and models inside, one of them called twice."""
    set_random_seed(3)
    ours = nested(minicnn)
    sgd = minicnn.optimizers.SGD(0.01, momentum=0.9)
    ours.compile(sgd, ["mse", "mae", "mse"], [1.0, 2.0, 0.5])
    x = [rng.normal(size=(8, 6)).astype(np.float32) for _ in "ab"]
    y = [rng.normal(size=(8, n)).astype(np.float32) for n in (3, 1, 6)]
    there_and_back(ours, x, y, tmp_path)


def test_dicts_of_inputs_and_outputs(rng, tmp_path):
    set_random_seed(5)
    ours = with_dicts(minicnn)
    ours.compile("rmsprop", {"p": "mse", "n": "mae", "m": "mse"}, metrics={"n": ["mse"]})
    x = {name: rng.normal(size=(8, 4)).astype(np.float32) for name in ("one", "two")}
    y = {
        name: rng.normal(size=(8, n)).astype(np.float32)
        for name, n in {"m": 4, "n": 2, "p": 1}.items()
    }
    there_and_back(ours, x, y, tmp_path)


def test_compile_settings_travel(x, y, tmp_path):
    ours = chain(minicnn)
    loss = minicnn.losses.SparseCategoricalCrossentropy()
    names = ["acc", "sparse_categorical_crossentropy"]
    ours.compile("sgd", loss, metrics=[*names, minicnn.metrics.SparseTopKCategoricalAccuracy(2)])
    expected = ours.evaluate(x, y, return_dict=True, verbose=0)
    assert set(names) < set(expected)
    ours.save(tmp_path / "m.h5")
    theirs = keras.models.load_model(tmp_path / "m.h5")
    assert theirs.evaluate(x, y, return_dict=True, verbose=0) == pytest.approx(expected, rel=1e-5)
    theirs.save(tmp_path / "k.h5")
    again = minicnn.models.load_model(tmp_path / "k.h5")
    assert again.evaluate(x, y, return_dict=True, verbose=0) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("names", [["mse", ["mae", "MSE", "mape"]], ["MeanSquaredError", None]])
def test_short_names_of_losses_and_metrics(names, rng, tmp_path):
    """Keras writes them as they are, and then cannot read them: minicnn reads Keras's, too, and
    what it writes, Keras can read."""
    loss, metrics = names
    x, y = rng.normal(size=(8, 3)).astype(np.float32), rng.normal(size=(8, 2)).astype(np.float32)
    scores = []
    for kit in (minicnn, keras):
        model = kit.Sequential(
            [kit.layers.Input((3,)), kit.layers.Dense(2, activation="relu", use_bias=False)]
        )
        model.set_weights([np.ones((3, 2), np.float32)])
        model.compile("sgd", loss, metrics=metrics)
        model.save(tmp_path / "m.h5")
        again = minicnn.models.load_model(tmp_path / "m.h5")
        scores += [one.evaluate(x, y, return_dict=True, verbose=0) for one in (model, again)]
        if kit is minicnn:
            theirs = keras.models.load_model(tmp_path / "m.h5")
            scores.append(theirs.evaluate(x, y, return_dict=True, verbose=0))
    for score in scores[1:]:
        assert score == pytest.approx(scores[0], rel=1e-5)


def test_the_two_write_the_same(x, y, tmp_path):
    """The same groups and lists, and the same settings; arrays of the same shapes."""
    found = []
    for kit, name in ((minicnn, "ours.h5"), (keras, "theirs.h5")):
        model = chain(kit)
        model.compile(kit.optimizers.Adam(0.01), kit.losses.SparseCategoricalCrossentropy())
        model.train_on_batch(x, y)
        model.save(tmp_path / name)
        with h5py.File(tmp_path / name) as file:
            group = file["model_weights"]
            layers = [
                [name, *(group[name][weight].shape for weight in group[name].attrs["weight_names"])]
                for name in [*group.attrs["layer_names"], "top_level_model_weights"]
            ]
            paths = [str(path) for path in group["base"].attrs["weight_names"]]
            state = file["optimizer_weights"]
            shapes = [state[path].shape for path in state.attrs["weight_names"]]
            told = json.loads(file.attrs["training_config"])
            config = json.loads(file.attrs["model_config"])["config"]
            found.append(
                (
                    [[str(one[0]).split("_")[0], *one[1:]] for one in layers],
                    [path.rpartition("/")[2] for path in paths],
                    shapes,
                    rounded(told["loss"]["config"]),
                    told["optimizer_config"]["class_name"],
                    [layer["class_name"] for layer in config["layers"]],
                    set(file.attrs),
                )
            )
    assert found[0] == found[1]


def test_custom_layers(tmp_path):
    class Twice(minicnn.layers.Layer):
        def forward(self, x, training):
            return 2 * x, None

        def backward(self, dy, saved):
            return 2 * dy

    class TwiceInKeras(keras.layers.Layer):
        def call(self, x):
            return 2 * x

    ours = minicnn.Sequential(
        [minicnn.layers.Input((3,)), Twice(name="t"), minicnn.layers.Dense(2)]
    )
    ours.save(tmp_path / "m.h5")
    theirs = keras.models.load_model(tmp_path / "m.h5", custom_objects={"Twice": TwiceInKeras})
    x = np.ones((4, 3), np.float32)
    assert np.abs(np.asarray(theirs(x)) - ours.predict(x, verbose=0)).max() < 1e-6


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        ({"filepath": "m.keras"}, True),
        ({"filepath": "m.h5"}, True),
        ({"filepath": "m.hdf5"}, False),
        ({"filepath": "m.weights.h5"}, True),
        ({"filepath": "m.weights.h5", "save_weights_only": True}, True),
        ({"filepath": "m.h5", "save_weights_only": True}, False),
    ],
)
def test_checkpoints_take_the_names_that_keras_takes(arguments, allowed):
    for kit in (minicnn, keras):
        if allowed:
            kit.callbacks.ModelCheckpoint(**arguments)
        else:
            with pytest.raises(ValueError, match="filepath"):
                kit.callbacks.ModelCheckpoint(**arguments)


@pytest.mark.parametrize("name", ["m.h5", "m.hdf5", "m.weights.h5", "m.txt", "m"])
def test_models_and_weights_take_the_names_that_keras_takes(name, tmp_path):
    outcomes = []
    for kit in (minicnn, keras):
        model = kit.Sequential([kit.layers.Input((3,)), kit.layers.Dense(2)])
        for save in (model.save, model.save_weights, partial(kit.saving.save_model, model)):
            try:
                save(tmp_path / name)
                outcomes.append("saved")
            except ValueError:
                outcomes.append("refused")
    assert outcomes[:3] == outcomes[3:]
