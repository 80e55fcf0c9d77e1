"""Whole models in ``.h5`` files. (That training goes on as before, test_saving_models.py tells.)"""

import json

import h5py
import numpy as np
import pytest

import minicnn
from minicnn import Input, Model, Sequential, layers, losses, optimizers
from minicnn.models import load_model
from minicnn.saving import hdf5

pytestmark = pytest.mark.filterwarnings("ignore:.*HDF5 is a legacy format")


class Shifted(layers.Layer):
    """Two weights of one name, the first of which is not trained."""

    def __init__(self, by=1.0, **kwargs):
        super().__init__(**kwargs)
        self.by = by

    def build(self, input_shape):
        self.fixed = self.add_weight((input_shape[-1],), "ones", "w", trainable=False)
        self.free = self.add_weight((input_shape[-1],), "zeros", "w")

    def forward(self, x, training):
        return x + self.by * self.fixed.value + self.free.value, x

    def backward(self, dy, saved):
        self.free.add_gradient(dy.sum(axis=0))
        return dy


class Doubled(losses.MeanSquaredError):
    def call(self, y_true, y_pred):
        return 2 * super().call(y_true, y_pred)

    def gradient(self, y_true, y_pred):
        return 2 * super().gradient(y_true, y_pred)


def largest_error(y_true, y_pred):
    return np.abs(y_true - y_pred).max(axis=-1)


def dense(optimizer="adam", loss="mse", metrics=("mae",), name="d"):
    model = Sequential([Input((3,)), layers.Dense(2, name=name)], name="m")
    model.compile(optimizer, loss, metrics=list(metrics))
    return model


@pytest.fixture
def x(rng):
    return rng.normal(size=(8, 3)).astype(np.float32)


@pytest.fixture
def y(rng):
    return rng.normal(size=(8, 2)).astype(np.float32)


# -- what is in the file ----------------------------------------------------------------------


def test_the_file_is_keras_s(x, y, tmp_path):
    model = dense(optimizers.SGD(0.1, momentum=0.9))
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5") as file:
        assert set(file) == {"minicnn", "model_weights", "optimizer_weights"}
        assert set(file.attrs) == {"backend", "keras_version", "model_config", "training_config"}
        assert json.loads(file.attrs["model_config"])["class_name"] == "Sequential"
        told = json.loads(file.attrs["training_config"])
        assert told["optimizer_config"]["class_name"] == "SGD"
        assert told["metrics"][0]["config"]["name"] == "mae"
        group = file["model_weights"]
        assert list(group.attrs["layer_names"]) == ["d"]
        assert list(group["d"].attrs["weight_names"]) == ["d/kernel", "d/bias"]
        assert np.array_equal(group["d/d/kernel"], model.layers[0].kernel)
        assert list(group["top_level_model_weights"].attrs["weight_names"]) == []
        names = ["iteration", "learning_rate", "momentum_0", "momentum_1"]
        names = [f"{model.optimizer.name}/{name}" for name in names]
        assert list(file["optimizer_weights"].attrs["weight_names"]) == names
    first = (tmp_path / "m.h5").read_bytes()
    model.save(tmp_path / "m.h5")
    assert (tmp_path / "m.h5").read_bytes() == first


@pytest.mark.parametrize("frozen", [False, True])
def test_a_model_inside_lists_first_what_is_trained(frozen, tmp_path):
    norms = [layers.BatchNormalization(name=name) for name in "ab"]
    inner = Sequential([Input((3,)), *norms], name="inner")
    inner.trainable = not frozen
    model = Sequential([Input((3,)), inner, layers.Dense(2)])
    model.set_weights([np.full(w.shape, i, np.float32) for i, w in enumerate(model.weights)])
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5") as file:
        names = [name.split("/")[1:] for name in file["model_weights/inner"].attrs["weight_names"]]
    of_two = [["gamma", "beta"], ["moving_mean", "moving_variance"]]
    if frozen:
        expected = [[layer, name] for layer in "ab" for part in of_two for name in part]
    else:
        expected = [[layer, name] for part in of_two for layer in "ab" for name in part]
    assert names == expected
    loaded = load_model(tmp_path / "m.h5")
    assert all(map(np.array_equal, loaded.get_weights(), model.get_weights()))
    assert bool(loaded.get_layer("inner").trainable_weights) is not frozen


def test_long_lists_and_long_texts():
    names = [f"layer_{i}" for i in range(9000)]
    data = hdf5.to_bytes({}, {"": {"text": "ä" * 3_000_000}, "g": {"names": names, "none": []}})
    with hdf5.reading_bytes(data) as tree:
        assert tree.text("", "text") == "ä" * 3_000_000
        assert tree.texts("g", "names") == names
        assert tree.texts("g", "none") == []
        assert tree.text("g", "names") is tree.text("g", "nothing") is tree.text("h", "x") is None


def test_a_layer_that_two_models_share(x, tmp_path):
    shared = layers.Dense(3, name="both")
    a, b, t = Input((3,)), Input((3,)), Input((3,))
    first = Model(a, shared(a), name="first")
    second = Model(b, layers.ReLU()(shared(b)), name="second")
    model = Model(t, second(first(t)))
    model.save(tmp_path / "m.h5")
    loaded = load_model(tmp_path / "m.h5")
    assert len(loaded.weights) == 2
    assert np.array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


# -- saving -----------------------------------------------------------------------------------


@pytest.mark.filterwarnings("default")
def test_keras_s_warnings(tmp_path):
    model = dense()
    with pytest.warns(UserWarning, match=r"m.h5': HDF5 is a legacy format.*use \.keras"):
        model.save(tmp_path / "m.h5")
    with pytest.warns(UserWarning, match="save_format: ignored"):
        model.save(tmp_path / "m.keras", save_format="keras")
    minicnn.saving.save_model(model, tmp_path / "n.keras")


def test_missing_folders_are_made_as_in_keras(tmp_path):
    dense().save(tmp_path / "a" / "b" / "m.h5")
    assert load_model(tmp_path / "a" / "b" / "m.h5").name == "m"
    with pytest.raises(FileNotFoundError):
        dense().save(tmp_path / "c" / "m.keras")


def test_without_the_optimizer(tmp_path):
    model = dense()
    model.save(tmp_path / "m.h5", include_optimizer=False)
    assert load_model(tmp_path / "m.h5").optimizer is None
    model.save(tmp_path / "m.keras", include_optimizer=False)
    assert load_model(tmp_path / "m.keras").optimizer is not None
    model.save(tmp_path / "m.h5")
    assert load_model(tmp_path / "m.h5", compile=False).optimizer is None


def test_what_cannot_be_saved_leaves_the_old_file_alone(tmp_path):
    dense().save(tmp_path / "m.h5")
    before = (tmp_path / "m.h5").read_bytes()
    bad = Sequential([Input((3,)), layers.Dense(2, kernel_initializer=lambda s, dtype: np.ones(s))])
    with pytest.raises(TypeError, match="lambda"):
        bad.save(tmp_path / "m.h5")
    with pytest.raises(FileExistsError):
        dense().save(tmp_path / "m.h5", overwrite=False)
    assert (tmp_path / "m.h5").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["m.h5"]


@pytest.mark.parametrize("name", [".", "a/", "/a", "a//b", "top_level_model_weights"])
def test_names_that_mean_something_else_in_hdf5(name, tmp_path):
    with pytest.raises(ValueError, match=r"cannot stand in an \.h5 file"):
        dense(name=name).save(tmp_path / "m.h5")
    assert not list(tmp_path.iterdir())
    model = dense(name="..")
    model.save(tmp_path / "m.h5")
    assert load_model(tmp_path / "m.h5").layers[0].name == ".."


def test_before_the_first_step_and_before_the_first_batch(x, y, tmp_path):
    model = dense("sgd")
    model.save(tmp_path / "m.h5")
    loaded = load_model(tmp_path / "m.h5")
    for one in (model, loaded):
        one.train_on_batch(x, y)
    assert all(map(np.array_equal, loaded.get_weights(), model.get_weights()))
    Sequential([layers.Dense(2, name="d")]).save(tmp_path / "m.h5")
    loaded = load_model(tmp_path / "m.h5")
    assert not loaded.built
    assert loaded.layers[0].units == 2


# -- loading ----------------------------------------------------------------------------------


def test_layers_losses_and_metrics_of_one_s_own(x, y, tmp_path):
    model = Sequential([Input((3,)), Shifted(0.5, name="s"), layers.Dense(2)])
    model.compile(optimizers.RMSprop(0.01), Doubled(), metrics=[largest_error, "mse"])
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "m.h5")
    mine = {"Shifted": Shifted, "Doubled": Doubled, "largest_error": largest_error}
    loaded = load_model(tmp_path / "m.h5", custom_objects=mine)
    scores = [m.evaluate(x, y, verbose=0, return_dict=True) for m in (model, loaded)]
    assert scores[0] == scores[1]
    assert sorted(scores[0]) == ["largest_error", "loss", "mse"]
    for one in (model, loaded):
        one.fit(x, y, verbose=0, shuffle=False)
    assert all(map(np.array_equal, loaded.get_weights(), model.get_weights()))
    with pytest.raises(ValueError, match=r"'s'.*'Shifted'.*custom_objects.*load_weights\(path\)"):
        load_model(tmp_path / "m.h5")
    with pytest.raises(ValueError, match=r"'Doubled'.*compile=False"):
        load_model(tmp_path / "m.h5", custom_objects={"Shifted": Shifted})


def test_only_weights_are_asked_for(x, tmp_path, recwarn):
    model, other = dense(), dense(name="e")
    model.save(tmp_path / "m.h5")
    recwarn.clear()
    other.load_weights(tmp_path / "m.h5")
    assert np.array_equal(other.predict(x, verbose=0), model.predict(x, verbose=0))
    assert not recwarn


def test_a_file_with_weights_alone_is_no_model(tmp_path):
    dense().save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(ValueError, match=r"no model_config.*model.load_weights\(path\)"):
        load_model(tmp_path / "m.weights.h5")
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "n.h5")


def test_the_bytes_tell_what_a_file_is(x, tmp_path):
    """What Keras 2 wrote under the name .keras was an HDF5 file, too."""
    model = dense()
    model.save(tmp_path / "m.h5")
    (tmp_path / "m.h5").rename(tmp_path / "m.keras")
    loaded = load_model(tmp_path / "m.keras")
    assert np.array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_the_memory_of_another_optimizer(x, y, tmp_path):
    model = dense()
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "a") as file:
        told = json.loads(file.attrs["training_config"])
        told["optimizer_config"]["config"]["amsgrad"] = True
        file.attrs["training_config"] = json.dumps(told)
    with pytest.warns(UserWarning, match="optimizer starts anew: .* expected 6 arrays .* got 4"):
        loaded = load_model(tmp_path / "m.h5")
    assert loaded.optimizer.iterations == 0
