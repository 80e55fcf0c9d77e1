"""Models that go into a file and come back: nothing is lost, and training goes on to the bit."""

import json
import pickle
import zipfile
from copy import deepcopy

import numpy as np
import pytest

import minicnn
from minicnn import Input, Model, Sequential, layers, models, optimizers
from minicnn.utils import set_random_seed


def chain():
    return Sequential(
        [
            Input((6, 6, 2), name="pixels"),
            layers.Conv2D(3, 3, activation="relu", name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.Dropout(0.3, name="drop"),
            layers.Flatten(),
            layers.Dense(4, activation="softmax", name="classes"),
        ],
        name="chain",
    )


def network():
    """Shared layers, nested models of both kinds, one of them called twice, several outputs."""
    x = Input((6, 6, 2), name="pixels")
    t = Input((6, 6, 2))
    h = layers.Conv2D(2, 3, padding="same")(t)
    block = Model(t, layers.Add()([t, layers.SpatialDropout2D(0.2)(h)]), name="block")
    tail = Sequential([Input((4,)), layers.Dense(4, activation="softmax")], name="tail")
    h = block(block(x))
    shared = layers.Dense(2, activation="tanh", name="shared")
    a, b = layers.GlobalAveragePooling2D()(h), layers.GlobalMaxPooling2D()(h)
    joined = layers.Concatenate()([shared(a), shared(b)])
    return Model(x, [tail(joined), layers.Dense(1, name="size")(joined)], name="network")


@pytest.fixture
def x(rng):
    return rng.normal(size=(12, 6, 6, 2)).astype(np.float32)


@pytest.fixture
def y(rng):
    return rng.integers(0, 4, 12)


def compiled(model, optimizer="adam"):
    two = len(model.outputs) == 2
    loss = "sparse_categorical_crossentropy"
    model.compile(optimizer, [loss, "mse"] if two else loss, metrics=None if two else ["accuracy"])
    return model


def same(a, b):
    return len(a) == len(b) and all(map(np.array_equal, a, b))


def as_lists(outputs):
    return outputs if isinstance(outputs, list) else [outputs]


LEGACY = pytest.mark.filterwarnings("ignore:.*HDF5 is a legacy format")


@LEGACY
@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
@pytest.mark.parametrize("build", [chain, network])
def test_training_goes_on_to_the_bit(build, name, x, y, tmp_path):
    """Dropout and shuffling are on: masks and orders continue as well."""
    targets = [y, x[:, 0, 0, :1]] if build is network else y
    set_random_seed(1)
    model = compiled(build())
    model.fit(x, targets, epochs=2, batch_size=5, verbose=0)
    model.save(tmp_path / name)
    loaded = models.load_model(tmp_path / name)
    assert type(loaded) is type(model)
    assert loaded.get_config() == model.get_config()
    assert same(as_lists(loaded.predict(x, verbose=0)), as_lists(model.predict(x, verbose=0)))
    for one in (model, loaded):
        one.fit(x, targets, epochs=2, batch_size=5, verbose=0)
    assert same(loaded.get_weights(), model.get_weights())
    assert loaded.optimizer.iterations == model.optimizer.iterations == 12


@LEGACY
@pytest.mark.parametrize(
    "optimizer",
    [
        optimizers.SGD(0.1, momentum=0.9),
        optimizers.RMSprop(0.0123, momentum=0.1, centered=True),
        optimizers.Adam(optimizers.schedules.CosineDecay(0.1, 9), amsgrad=True),
        optimizers.Nadam(0.003),
        optimizers.Adadelta(),
    ],
    ids=lambda optimizer: type(optimizer).__name__,
)
def test_every_memory_is_kept_to_the_bit(optimizer, x, y, tmp_path):
    model = compiled(chain(), optimizer)
    model.layers[0].trainable = False
    model.fit(x, y, epochs=2, verbose=0)
    model.save(tmp_path / "m.keras")
    model.save(tmp_path / "m.hdf5")
    model.save_weights(tmp_path / "m.weights.h5")
    loaded, older = (models.load_model(tmp_path / name) for name in ("m.keras", "m.hdf5"))
    again = compiled(models.clone_model(model), type(optimizer).from_config(optimizer.get_config()))
    again.load_weights(tmp_path / "m.weights.h5")
    assert [layer.trainable for layer in loaded.layers] == [False, True, True, True, True]
    for other in (loaded, older, again):
        assert other.optimizer.iterations == 2
        assert other.optimizer.learning_rate == model.optimizer.learning_rate
        assert other.prepare_training().value.tobytes() == model.prepare_training().value.tobytes()
        for name, slot in model.optimizer.slots.items():
            assert other.optimizer.slots[name].tobytes() == slot.tobytes()


def test_the_file_is_keras_s(x, y, tmp_path):
    model = compiled(chain())
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        assert archive.namelist() == ["metadata.json", "config.json", "model.weights.h5"]
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
        config = json.loads(archive.read("config.json"))
    assert (config["module"], config["class_name"]) == ("keras", "Sequential")
    assert [entry["class_name"] for entry in config["config"]["layers"]] == [
        "InputLayer", "Conv2D", "BatchNormalization", "Dropout", "Flatten", "Dense",
    ]  # fmt: skip
    assert config["compile_config"]["loss"] == "sparse_categorical_crossentropy"
    first = (tmp_path / "m.keras").read_bytes()
    model.save(tmp_path / "m.keras")
    second = (tmp_path / "m.keras").read_bytes()
    assert len(first) == len(second)
    assert sum(a != b for a, b in zip(first, second, strict=True)) < 40  # but for the date


def test_a_model_that_is_not_compiled(x, tmp_path):
    model = chain()
    model.save(tmp_path / "m.keras")
    loaded = models.load_model(tmp_path / "m.keras")
    assert loaded.optimizer is None
    assert np.array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    compiled(model).save(tmp_path / "m.keras")
    assert models.load_model(tmp_path / "m.keras", compile=False).optimizer is None
    assert models.load_model(tmp_path / "m.keras").optimizer.iterations == 0


def test_a_model_that_is_not_built(tmp_path):
    model = Sequential([layers.Dense(3), layers.ReLU()])
    model.save(tmp_path / "m.keras")
    loaded = models.load_model(tmp_path / "m.keras")
    assert not loaded.built
    assert loaded(np.ones((2, 5))).shape == (2, 3)


def test_layers_that_two_models_share_stay_shared(rng, tmp_path):
    dense = layers.Dense(3, name="both")
    a, b, x = Input((3,)), Input((3,)), Input((3,))
    first, second = (
        Model(a, dense(a), name="first"),
        Model(b, layers.ReLU()(dense(b)), name="second"),
    )
    model = Model(x, second(first(x)))
    model.save(tmp_path / "m.keras")
    loaded = models.load_model(tmp_path / "m.keras")
    assert len(loaded.weights) == 2
    assert loaded.get_layer("first").layers[1] is loaded.get_layer("second").layers[1]
    data = rng.normal(size=(4, 3))
    assert np.array_equal(loaded.predict(data, verbose=0), model.predict(data, verbose=0))


def test_a_model_cut_out_of_another(x, tmp_path):
    whole = chain()
    part = Model(whole.get_layer("norm").output, whole.output)
    inner = whole.get_layer("conv")(x)
    part.save(tmp_path / "m.keras")
    loaded = models.load_model(tmp_path / "m.keras")
    expected = part.predict(inner, verbose=0)
    assert np.array_equal(loaded.predict(inner, verbose=0), expected)


def test_a_chain_of_many_layers(tmp_path):
    """As deep as no network is; nothing in it calls itself."""
    model = Sequential([layers.ReLU(name=f"r{i}") for i in range(3000)])
    model.build((None, 2))
    x = Input((2,))
    h = x
    for layer in model.layers:
        h = layer(h)
    for one in (model, Model(x, h)):
        loaded = type(one).from_config(one.get_config())
        assert len(loaded.layers) == len(one.layers)


@pytest.mark.parametrize("build", [chain, network])
def test_json_and_clone(build, x):
    model = build()
    expected = as_lists(model.predict(x, verbose=0))
    for copy in (
        models.model_from_json(model.to_json(indent=1)),
        type(model).from_config(model.get_config()),
        models.clone_model(model),
    ):
        assert type(copy) is type(model)
        assert copy.get_config() == model.get_config()
        assert not same(copy.get_weights(), model.get_weights())
        copy.set_weights(model.get_weights())
        assert same(as_lists(copy.predict(x, verbose=0)), expected)


def test_clone_with_other_layers(x):
    model = chain()

    def without_dropout(layer):
        config = layer.get_config()
        if isinstance(layer, layers.Dropout):
            config["rate"] = 0.0
        return type(layer).from_config(config)

    clone = models.clone_model(model, clone_function=without_dropout)
    assert clone.get_layer("drop").rate == 0
    shared = models.clone_model(model, Input((6, 6, 2)), clone_function=lambda layer: layer)
    assert shared.layers == model.layers
    assert np.array_equal(shared.predict(x, verbose=0), model.predict(x, verbose=0))
    with pytest.raises(TypeError, match="clone_function"):
        models.clone_model(model, clone_function=lambda layer: None)


# -- weights ----------------------------------------------------------------------------------


def test_weights_by_name(tmp_path):
    model = chain()
    model.save_weights(tmp_path / "w.weights.h5")
    other = Sequential(
        [
            Input((6, 6, 2)),
            layers.Conv2D(2, 1, name="new"),
            layers.Conv2D(3, 3, name="conv"),
            layers.Flatten(),
            layers.Dense(4, name="classes"),
        ]
    )
    before = other.get_weights()
    with pytest.warns(UserWarning, match="no weights for the layers new"):
        other.load_weights(tmp_path / "w.weights.h5", by_name=True)
    assert same(other.get_layer("conv").get_weights(), model.get_layer("conv").get_weights())
    assert same(other.get_layer("classes").get_weights(), model.get_layer("classes").get_weights())
    assert same(other.get_layer("new").get_weights(), before[:2])


def test_weights_that_do_not_fit(x, y, tmp_path):
    model = compiled(chain())
    model.fit(x, y, verbose=0)
    model.save_weights(tmp_path / "w.weights.h5")
    other = Sequential(
        [
            Input((6, 6, 2)),
            layers.Conv2D(3, 3, name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.Flatten(),
            layers.Dense(7, name="classes"),
        ]
    )
    before = other.get_weights()
    with pytest.raises(ValueError, match=r"'classes' \(Dense\).*\(48, 7\).*\(48, 4\)"):
        other.load_weights(tmp_path / "w.weights.h5")
    assert same(other.get_weights(), before)
    with pytest.warns(UserWarning, match="skipped: layer 'classes'"):
        other.load_weights(tmp_path / "w.weights.h5", skip_mismatch=True)
    assert same(other.layers[0].get_weights(), model.layers[0].get_weights())
    assert same(other.layers[-1].get_weights(), before[-2:])
    unbuilt = Sequential([layers.Dense(2)])
    unbuilt.save_weights(tmp_path / "e.weights.h5")
    with pytest.raises(ValueError, match="not built yet"):
        Sequential([layers.Conv2D(3, 3)]).load_weights(tmp_path / "w.weights.h5")


def test_another_optimizer_starts_anew(x, y, tmp_path):
    model = compiled(chain())
    model.fit(x, y, verbose=0)
    model.save_weights(tmp_path / "w.weights.h5")
    other = compiled(chain(), optimizers.SGD(0.5, momentum=0.5))
    with pytest.warns(UserWarning, match="optimizer starts anew"):
        other.load_weights(tmp_path / "w.weights.h5")
    assert same(other.get_weights(), model.get_weights())
    assert other.optimizer.iterations == 0
    assert other.optimizer.learning_rate == 0.5


def test_weights_of_a_whole_model(x, tmp_path):
    model, other = chain(), chain()
    model.save(tmp_path / "m.keras")
    other.load_weights(tmp_path / "m.keras")
    assert same(model.get_weights(), other.get_weights())


def test_weights_alone_leave_random_numbers_alone(x, y, tmp_path):
    """Whoever starts several trainings from one file wants them to differ."""
    model = compiled(chain())
    model.fit(x, y, epochs=2, verbose=0)
    model.save_weights(tmp_path / "w.weights.h5")
    generator = model.get_layer("drop").seed_generator
    other = chain()
    mine = other.get_layer("drop").seed_generator.seed
    other.load_weights(tmp_path / "w.weights.h5")
    assert other.get_layer("drop").seed_generator.seed == mine != generator.seed


# -- what cannot be ---------------------------------------------------------------------------


def test_names_of_files(tmp_path):
    model = chain()
    for name in ("m.txt", "m", "m.h5.gz"):
        with pytest.raises(ValueError, match=r"ends in \.keras or \.h5 or \.hdf5"):
            model.save(tmp_path / name)
    for name in ("m.keras", "m.h5"):
        with pytest.raises(ValueError, match=r"ends in \.weights\.h5"):
            model.save_weights(tmp_path / name)
    with pytest.raises(ValueError, match=r"\.weights\.h5, \.keras or \.h5"):
        model.load_weights(tmp_path / "m.npz")
    model.save(tmp_path / "m.keras")
    with pytest.raises(FileExistsError, match="overwrite"):
        model.save(tmp_path / "m.keras", overwrite=False)
    with pytest.raises(FileNotFoundError):
        models.load_model(tmp_path / "n.keras")
    assert [path.name for path in tmp_path.iterdir()] == ["m.keras"]


def test_what_cannot_be_written_down_is_named(tmp_path):
    model = Sequential(
        [
            Input((3,)),
            layers.Dense(2, kernel_initializer=lambda shape, dtype: np.ones(shape), name="d"),
        ]
    )
    with pytest.raises(TypeError, match=r"layer 'd'.*lambda.*cannot be saved"):
        model.save(tmp_path / "m.keras")
    model = Sequential([Input((3,)), layers.Dense(2)])
    model.compile(optimizers.SGD(lambda: 0.1), "mse")
    model.save(tmp_path / "m.keras")  # the present learning rate
    assert models.load_model(tmp_path / "m.keras").optimizer.learning_rate == 0.1


def test_initial_values_from_an_array_are_weights_like_all_others(tmp_path):
    edges = np.array([[1.0, -1.0]], np.float32).reshape(1, 2, 1, 1)
    model = Sequential([Input((4, 4, 1)), layers.Conv2D(1, (1, 2), kernel_initializer=edges)])
    model.save(tmp_path / "m.keras")
    loaded = models.load_model(tmp_path / "m.keras")
    assert np.array_equal(loaded.get_weights()[0], edges)


def test_h5py_is_asked_for(monkeypatch, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match="pip install h5py"):
        chain().save(tmp_path / "m.keras")
    assert not list(tmp_path.iterdir())


def test_they_stand_where_keras_has_them():
    assert minicnn.saving.load_model is models.load_model
    assert minicnn.models.clone_model is minicnn.saving.clone_model
    with pytest.raises(AttributeError):
        models.load_modell  # noqa: B018


@pytest.mark.parametrize("copied", [deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
@pytest.mark.parametrize("build", [chain, network])
def test_models_can_be_copied_and_pickled(build, copied):
    model = build()
    model.compile("adam", "mse")
    other = copied(model)
    for mine, its in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, its)
    other.weights[0].assign(other.weights[0].numpy() + 1)
    assert np.abs(other.get_weights()[0] - model.get_weights()[0]).min() > 0.5
    assert type(other.optimizer) is optimizers.Adam
