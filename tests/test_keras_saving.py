"""Files that minicnn writes open in Keras, and the other way round."""

import contextlib
import inspect
import json

import numpy as np
import pytest

keras = pytest.importorskip("keras")
pytest.importorskip("h5py")

from hypothesis import given, settings, strategies as st  # noqa: E402
from layer_cases import CASES, RANDOM_CASES  # noqa: E402

import minicnn  # noqa: E402
from minicnn.utils import set_random_seed  # noqa: E402

pytestmark = pytest.mark.keras

OPTIMIZERS = {
    "sgd": lambda k: k.optimizers.SGD(0.05),
    "sgd momentum": lambda k: k.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "rmsprop": lambda k: k.optimizers.RMSprop(0.01),
    "rmsprop all": lambda k: k.optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    "adam": lambda k: k.optimizers.Adam(0.01),
    "amsgrad": lambda k: k.optimizers.Adam(0.01, amsgrad=True, clipnorm=0.5),
    "adamw": lambda k: k.optimizers.AdamW(0.01, weight_decay=0.1),
    "adagrad": lambda k: k.optimizers.Adagrad(0.05),
    "adadelta": lambda k: k.optimizers.Adadelta(0.5),
    "adamax": lambda k: k.optimizers.Adamax(0.01),
    "nadam": lambda k: k.optimizers.Nadam(0.01),
    "lion": lambda k: k.optimizers.Lion(0.001),
    "schedule": lambda k: k.optimizers.Adam(
        k.optimizers.schedules.ExponentialDecay(0.02, 1, 0.5, staircase=True)
    ),
}
SCHEDULES = {
    "cosine": lambda s: s.CosineDecay(0.1, 10, alpha=0.1, warmup_target=0.2, warmup_steps=3),
    "restarts": lambda s: s.CosineDecayRestarts(0.1, 3),
    "exponential": lambda s: s.ExponentialDecay(0.1, 4, 0.5),
    "inverse": lambda s: s.InverseTimeDecay(0.1, 4, 0.5),
    "piecewise": lambda s: s.PiecewiseConstantDecay([2, 4], [0.1, 0.05, 0.01]),
    "polynomial": lambda s: s.PolynomialDecay(0.1, 6, power=2.0),
}


def sequential(kit, case):
    layers = kit.layers
    return kit.Sequential(
        [layers.Input(case.shape[1:]), case.make(kit), layers.Flatten(), layers.Dense(3)]
    )


def functional(kit, case):
    layers = kit.layers
    inputs = [kit.Input(shape[1:]) for shape in case.shapes]
    given = [layers.Rescaling(1.5)(x) for x in inputs]
    h = case.make(kit)(given if isinstance(case.shape, list) else given[0])
    h = layers.Flatten()(h)
    return kit.Model(inputs if len(inputs) > 1 else inputs[0], layers.Dense(3)(h))


def data_for(case, rng):
    x = [(0.3 * rng.normal(size=shape)).astype(np.float32) for shape in case.shapes]
    return x if len(x) > 1 else x[0], rng.normal(size=(case.shapes[0][0], 3)).astype(np.float32)


NOTHING = {"height_factor": 0.0, "width_factor": 0.0}
OF_KERAS = {"height_lower": 0.0, "height_upper": 0.0, "width_lower": 0.0, "width_upper": 0.0}
QUIET = {"rate": 0.0, "stddev": 0.0, "mode": "neither", "factor": (0.0, 0.0), **NOTHING, **OF_KERAS}


@contextlib.contextmanager
def quiet(model):
    """Without what the two draw each in its own way: dropout of rate 0."""
    noisy = [
        (layer, name, getattr(layer, name))
        for layer in model.layers
        for name in QUIET
        if getattr(layer, name, None) is not None
    ]
    try:
        for layer, name, _ in noisy:
            setattr(layer, name, QUIET[name])
        yield
    finally:
        for layer, name, value in noisy:
            setattr(layer, name, value)


def step(model, x, y):
    with quiet(model):
        model.train_on_batch(x, y)
    return model.get_weights()


def largest_difference(a, b):
    return max((np.abs(p - q).max() for p, q in zip(a, b, strict=True) if p.size), default=0.0)


def there_and_back(ours, x, y, folder):
    """Ours to Keras and back: the same predictions, and the same training step after each."""
    step(ours, x, y)
    ours.save(folder / "ours.keras")
    theirs = keras.models.load_model(folder / "ours.keras")
    theirs.run_eagerly = True  # one step is not worth compiling
    y_pred = ours.predict_on_batch(x)
    difference = np.abs(np.asarray(theirs(x, training=False)) - y_pred).max()
    assert difference < 1e-6 * max(1, np.abs(y_pred).max())
    assert largest_difference(step(ours, x, y), step(theirs, x, y)) < 1e-5
    theirs.save(folder / "theirs.keras")
    again = minicnn.models.load_model(folder / "theirs.keras")
    assert type(again) is type(ours)
    y_pred = np.asarray(theirs(x, training=False))
    difference = np.abs(again.predict_on_batch(x) - y_pred).max()
    assert difference < 1e-6 * max(1, np.abs(y_pred).max())
    assert largest_difference(step(again, x, y), step(theirs, x, y)) < 1e-5


ALL = {**CASES, **RANDOM_CASES}
del ALL["random crop"]  # in inference, Keras 3.15 lets the pictures pass as they are, in any size


def matrix():
    """Every case in a Sequential and in a network; a layer that takes several inputs has no place
    in a chain. The first case of each class of layers is tried in every run of the tests, the
    others where there is time."""
    seen = set()
    for name, case in ALL.items():
        kind = type(case.make(minicnn))
        marks = [pytest.mark.slow] if kind in seen else []
        seen.add(kind)
        for build in (functional,) if isinstance(case.shape, list) else (sequential, functional):
            yield pytest.param(build, name, marks=marks)


@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")
@pytest.mark.parametrize(("build", "name"), list(matrix()))
def test_every_layer_with_every_optimizer(build, name, rng, tmp_path):
    x, y = data_for(ALL[name], rng)
    failures = []
    for number, (kind, optimizer) in enumerate(OPTIMIZERS.items()):
        set_random_seed(number)
        ours = build(minicnn, ALL[name])
        ours.compile(optimizer(minicnn), "mse", metrics=["mae"])
        try:
            there_and_back(ours, x, y, tmp_path)
        except AssertionError as error:
            failures.append(f"{kind}: {error}")
    assert not failures, "\n".join(failures)


def test_every_optimizer_is_among_them():
    tried = {type(make(minicnn)) for make in OPTIMIZERS.values()}
    assert tried == set(minicnn.optimizers._TABLE.values())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_goes_on(name, rng, tmp_path):
    x, y = rng.normal(size=(8, 6)).astype(np.float32), rng.integers(0, 3, 8)
    set_random_seed(1)
    ours = minicnn.Sequential(
        [
            minicnn.Input((6,)),
            minicnn.layers.Dense(5, activation="tanh", kernel_regularizer="l2"),
            minicnn.layers.Dense(4, activation="relu", trainable=False),
            minicnn.layers.Dense(3, activation="softmax"),
        ]
    )
    ours.compile(OPTIMIZERS[name](minicnn), "sparse_categorical_crossentropy", metrics=["accuracy"])
    there_and_back(ours, x, y, tmp_path)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_travel(name, tmp_path):
    ours = minicnn.Sequential([minicnn.Input((2,)), minicnn.layers.Dense(1)])
    ours.compile(minicnn.optimizers.SGD(SCHEDULES[name](minicnn.schedules)), "mean_squared_error")
    ours.save(tmp_path / "m.keras")
    theirs = keras.models.load_model(tmp_path / "m.keras")
    theirs.save(tmp_path / "k.keras")
    again = minicnn.models.load_model(tmp_path / "k.keras").optimizer.schedule
    original = ours.optimizer.schedule
    for t in range(8):
        assert again(t) == pytest.approx(original(t), rel=1e-6)
        assert float(theirs.optimizer._learning_rate(t)) == pytest.approx(original(t), rel=1e-5)


@pytest.mark.parametrize(
    ("loss", "metrics", "last"),
    [
        ("crossentropy objects", None, "softmax"),
        ("functions", None, "softmax"),
        ("huber", ["mae", "mse"], None),
    ],
)
def test_compile_settings_travel(loss, metrics, last, rng, tmp_path):
    kit = minicnn
    if loss == "crossentropy objects":
        loss = kit.losses.SparseCategoricalCrossentropy()
        metrics = [kit.metrics.SparseTopKCategoricalAccuracy(2), "acc"]
    elif loss == "functions":
        loss = kit.losses.sparse_categorical_crossentropy
        metrics = [kit.metrics.sparse_categorical_accuracy]
    x = rng.normal(size=(8, 6)).astype(np.float32)
    y = rng.integers(0, 3, 8) if last else rng.normal(size=(8, 3)).astype(np.float32)
    ours = kit.Sequential([kit.Input((6,)), kit.layers.Dense(3, activation=last)])
    ours.compile("sgd", loss, metrics=metrics)
    if metrics:
        wrapped = kit.metrics.MeanMetricWrapper(kit.losses.mean_squared_error, name="wrapped")
        ours.compile("sgd", loss, metrics=metrics + ([] if last else [wrapped]))
    expected = ours.evaluate(x, y, return_dict=True, verbose=0)
    ours.save(tmp_path / "m.keras")
    theirs = keras.models.load_model(tmp_path / "m.keras")
    assert theirs.evaluate(x, y, return_dict=True, verbose=0) == pytest.approx(expected, rel=1e-5)
    theirs.save(tmp_path / "k.keras")
    again = kit.models.load_model(tmp_path / "k.keras")
    assert again.evaluate(x, y, return_dict=True, verbose=0) == pytest.approx(expected, rel=1e-5)


def test_keras_reads_the_delta_of_huber_which_it_does_not_write(tmp_path):
    model = minicnn.Sequential([minicnn.Input((3,)), minicnn.layers.Dense(2)])
    model.compile("sgd", minicnn.losses.Huber(0.3))
    model.save(tmp_path / "m.keras")
    theirs = keras.models.load_model(tmp_path / "m.keras")
    theirs.save(tmp_path / "k.keras")
    x, y = np.ones((4, 3), np.float32), np.full((4, 2), 9, np.float32)
    loss = model.evaluate(x, y, verbose=0)
    assert theirs.evaluate(x, y, verbose=0) == pytest.approx(loss, rel=1e-5)
    for load_model in (keras.models.load_model, minicnn.models.load_model):
        assert load_model(tmp_path / "k.keras").evaluate(x, y, verbose=0) > 2 * loss


def rounded(config):
    """Keras keeps some numbers as float32."""
    return json.loads(json.dumps(config), parse_float=lambda digits: f"{float(digits):.5g}")


@pytest.mark.parametrize(
    "kind", ["constraints", "initializers", "losses", "metrics", "optimizers", "regularizers"]
)
def test_configs_are_those_of_keras(kind):
    """What get_config gives, Keras takes, and what Keras gives, minicnn takes."""
    ours, theirs = getattr(minicnn, kind), getattr(keras, kind)
    classes = set(ours._TABLE.values())
    assert len(classes) > 3
    for cls in classes:
        needed = {
            name: {"num_classes": 2, "target_class_ids": [0]}[name]
            for name, parameter in inspect.signature(cls).parameters.items()
            if parameter.default is parameter.empty and parameter.kind < parameter.VAR_POSITIONAL
        }
        config = cls(**needed).get_config()
        keras_config = getattr(theirs, cls.__name__).from_config(config).get_config()
        again = cls.from_config(keras_config).get_config()
        again.pop("dtype", None)  # Keras says "float32" where minicnn says nothing
        assert rounded(again) == rounded(config)


def nested(kit):
    """Two inputs, two outputs, a shared layer, nested models of both kinds, one called twice."""
    layers = kit.layers
    a, b = kit.Input((6,), name="a"), kit.Input((6,), name="b")
    shared = layers.Dense(6, activation="relu", name="shared")
    t = kit.Input((6,))
    u = layers.Dense(6)(t)
    block = kit.Model(t, layers.Add()([t, layers.BatchNormalization()(u)]), name="block")
    tail = kit.Sequential([layers.Input((6,)), layers.ReLU(), layers.Dense(3)], name="tail")
    h = layers.Concatenate()([shared(a), shared(shared(b))])
    h = layers.Dense(6, name="joined")(h)
    first = block(h)
    second = block(first)
    return kit.Model([a, b], [tail(second), layers.Dense(1, name="out")(second), block(second)])


def test_networks_of_networks(rng, tmp_path):
    set_random_seed(3)
    ours = nested(minicnn)
    ours.compile(minicnn.optimizers.SGD(0.01, momentum=0.9), "mse")
    x = [rng.normal(size=(8, 6)).astype(np.float32) for _ in "ab"]
    y = [rng.normal(size=(8, n)).astype(np.float32) for n in (3, 1, 6)]
    ours.train_on_batch(x, y)
    ours.save(tmp_path / "m.keras")
    theirs = keras.models.load_model(tmp_path / "m.keras")
    for p, q in zip(ours.predict_on_batch(x), theirs(x), strict=True):
        assert np.abs(p - np.asarray(q)).max() < 2e-6
    theirs.save(tmp_path / "k.keras")
    again = minicnn.models.load_model(tmp_path / "k.keras")
    for model in (ours, theirs, again):
        model.train_on_batch(x, y)
    assert largest_difference(again.get_weights(), theirs.get_weights()) < 1e-5
    assert largest_difference(ours.get_weights(), theirs.get_weights()) < 1e-5
    names = [layer.name for layer in theirs.layers]
    assert [layer.name for layer in again.layers] == names
    assert [layer.name for layer in ours.layers] == names


def test_a_layer_that_two_models_share_travels(rng, tmp_path):
    def build(kit):
        dense = kit.layers.Dense(3, name="both")
        a, b, x = kit.Input((3,)), kit.Input((3,)), kit.Input((3,))
        first = kit.Model(a, dense(a), name="first")
        second = kit.Model(b, kit.layers.ReLU()(dense(b)), name="second")
        return kit.Model(x, second(first(x)))

    x = rng.normal(size=(4, 3)).astype(np.float32)
    ours = build(minicnn)
    ours.save(tmp_path / "m.keras")
    theirs = keras.models.load_model(tmp_path / "m.keras")
    assert len(ours.weights) == 2
    assert len(theirs.weights) == 4  # Keras makes copies
    assert np.abs(np.asarray(theirs(x)) - ours.predict_on_batch(x)).max() < 1e-6


def test_weights_alone_travel(rng, tmp_path):
    set_random_seed(4)
    ours, theirs = nested(minicnn), nested(keras)
    x = [rng.normal(size=(8, 6)).astype(np.float32) for _ in "ab"]
    ours.save_weights(tmp_path / "ours.weights.h5")
    theirs.load_weights(tmp_path / "ours.weights.h5")
    for p, q in zip(ours.predict_on_batch(x), theirs(x), strict=True):
        assert np.abs(p - np.asarray(q)).max() < 2e-6
    fresh = nested(minicnn)
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    fresh.load_weights(tmp_path / "theirs.weights.h5")
    assert largest_difference(fresh.get_weights(), ours.get_weights()) == 0


def test_a_layer_as_activation_travels(rng, tmp_path):
    x = rng.normal(size=(4, 5)).astype(np.float32)
    theirs = keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(4, activation=keras.layers.LeakyReLU(negative_slope=0.4)),
            keras.layers.Dense(4, activation=keras.activations.swish),
        ]
    )
    theirs.save(tmp_path / "k.keras")
    ours = minicnn.models.load_model(tmp_path / "k.keras")
    assert np.abs(ours.predict_on_batch(x) - np.asarray(theirs(x))).max() < 1e-6
    ours.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    assert np.abs(np.asarray(again(x)) - np.asarray(theirs(x))).max() < 1e-6
    mine = minicnn.Sequential(
        [minicnn.Input((5,)), minicnn.layers.Dense(4, activation=minicnn.activations.ELU(0.3))]
    )
    mine.save(tmp_path / "e.keras")
    again = keras.models.load_model(tmp_path / "e.keras")
    assert np.abs(np.asarray(again(x)) - mine.predict_on_batch(x)).max() < 1e-6


@pytest.mark.parametrize("form", ["unbuilt", "without input layer"])
def test_sequential_without_input(form, rng, tmp_path):
    x = rng.normal(size=(4, 5)).astype(np.float32)
    theirs = keras.Sequential([keras.layers.Dense(4, name="d"), keras.layers.ReLU()])
    if form != "unbuilt":
        theirs(x)
    theirs.save(tmp_path / "k.keras")
    ours = minicnn.models.load_model(tmp_path / "k.keras")
    assert ours.built is (form != "unbuilt")
    if ours.built:
        assert np.abs(ours.predict_on_batch(x) - np.asarray(theirs(x))).max() < 1e-6
    mine = minicnn.Sequential([minicnn.layers.Dense(4), minicnn.layers.ReLU()])
    mine.save(tmp_path / "m.keras")
    assert len(keras.models.load_model(tmp_path / "m.keras").layers) == 2


def with_dicts(kit):
    """A dict goes in, a dict comes out; and so it is with a model inside. The keys are neither the
    names of layers nor in the order of the alphabet."""
    layers = kit.layers
    t, u = kit.Input((4,), name="t"), kit.Input((4,), name="u")
    h = layers.Subtract()([t, layers.Dense(4, name="d")(u)])
    block = kit.Model({"z": t, "y": u}, {"same": h, "less": layers.Dense(2)(h)}, name="block")
    a, b = kit.Input((4,), name="a"), kit.Input((4,), name="b")
    made = block({"y": layers.Dense(4, activation="tanh")(a), "z": b})
    shape = layers.Dense(1, name="last")(layers.Concatenate()([made["same"], made["less"]]))
    return kit.Model({"two": b, "one": a}, {"p": shape, "n": made["less"], "m": made["same"]})


def test_dicts_of_inputs_and_outputs_travel(rng, tmp_path):
    set_random_seed(5)
    ours = with_dicts(minicnn)
    losses, weights = {"p": "mse", "n": "mae", "m": "mse"}, {"p": 1.0, "n": 2.0, "m": 0.5}
    ours.compile("adam", losses, weights, metrics={"n": ["mse"]})
    x = {name: rng.normal(size=(8, 4)).astype(np.float32) for name in ("one", "two")}
    sizes = {"m": 4, "n": 2, "p": 1}
    y = {name: rng.normal(size=(8, n)).astype(np.float32) for name, n in sizes.items()}
    ours.train_on_batch(x, y)
    ours.save(tmp_path / "m.keras")
    theirs = keras.models.load_model(tmp_path / "m.keras")
    theirs.save(tmp_path / "k.keras")
    again = minicnn.models.load_model(tmp_path / "k.keras")
    expected = theirs.predict(x, verbose=0)
    assert list(expected) == ["m", "n", "p"]
    for model in (ours, again):
        made = model.predict(x, verbose=0)
        assert list(made) == list(expected)
        assert list(model(x)) == list(expected)
        for name, value in expected.items():
            assert np.abs(made[name] - value).max() < 1e-6
            assert made[name].shape == value.shape
    scores = [m.evaluate(x, y, return_dict=True, verbose=0) for m in (ours, theirs, again)]
    assert scores[0] == pytest.approx(scores[1], rel=1e-5)
    assert scores[2] == pytest.approx(scores[1], rel=1e-5)
    for model in (ours, theirs, again):
        model.train_on_batch(x, y)
    assert largest_difference(again.get_weights(), theirs.get_weights()) < 1e-5
    assert largest_difference(ours.get_weights(), theirs.get_weights()) < 1e-5


def test_a_list_of_one_is_one(rng, tmp_path):
    """Also in the form ``[["d", 0, 0]]`` that versions up to 3.10 wrote for a single tensor."""
    x = keras.Input((4,))
    keras.Model([x], [keras.layers.Dense(2)(x)]).save(tmp_path / "k.keras")
    data = rng.normal(size=(3, 4)).astype(np.float32)
    expected = keras.models.load_model(tmp_path / "k.keras").predict(data, verbose=0)
    made = minicnn.models.load_model(tmp_path / "k.keras").predict(data, verbose=0)
    assert made.shape == expected.shape == (3, 2)
    assert np.abs(made - expected).max() < 1e-6


def test_what_minicnn_has_not_is_named(tmp_path):
    theirs = keras.Sequential(
        [keras.Input((4,)), keras.layers.Lambda(lambda x: x, name="strange")], name="outer"
    )
    inner = keras.Sequential([keras.Input((4,)), theirs, keras.layers.Dense(2)], name="whole")
    inner.save(tmp_path / "k.keras")
    with pytest.raises(ValueError, match=r"'outer'.*'strange' \('Lambda'\).*no 'Lambda'"):
        minicnn.models.load_model(tmp_path / "k.keras")
    x = keras.Input((4,))
    keras.Model(x, x + x).save(tmp_path / "k.keras")
    with pytest.raises(ValueError, match="no 'Add'"):
        minicnn.models.load_model(tmp_path / "k.keras")


class Recorder:
    """A model that only notes what it is asked to save."""

    def __init__(self):
        self.saved = []

    def save(self, path, overwrite=True):
        self.saved.append(str(path))

    def save_weights(self, path, overwrite=True):
        self.saved.append(str(path))


@settings(max_examples=25, deadline=None)
@given(
    scores=st.lists(st.integers(0, 8), min_size=1, max_size=8),
    best_only=st.booleans(),
    mode=st.sampled_from(["min", "max"]),
    freq=st.sampled_from(["epoch", 1, 2, 5]),
    threshold=st.sampled_from([None, 4.0]),
)
def test_checkpoints_are_made_when_keras_makes_them(scores, best_only, mode, freq, threshold):
    best_only = best_only and freq == "epoch"  # else Keras fails in the first epoch
    saved = []
    for kit in (minicnn, keras):
        # A folder that exists: both make missing ones.
        callback = kit.callbacks.ModelCheckpoint(
            "tests/{epoch}-{score}.keras", "score", 0, best_only, False, mode, freq, threshold
        )
        model = Recorder()
        callback.set_model(model)
        callback.on_train_begin()
        for epoch, score in enumerate(scores):
            callback.on_epoch_begin(epoch)
            for batch in range(3):
                callback.on_train_batch_end(batch, {"score": float(score + batch)})
            callback.on_epoch_end(epoch, {"score": float(score)})
        saved.append([path.replace("\\", "/") for path in model.saved])
    assert saved[0] == saved[1]


def test_keras_opens_a_model_that_was_written_as_a_class(rng, tmp_path):
    """It is saved as the network that it draws, so that Keras needs no class."""

    class Block(minicnn.layers.Layer):
        def __init__(self):
            super().__init__()
            self.a, self.b = minicnn.layers.Dense(3), minicnn.layers.Dense(4)

        def call(self, x):
            return self.b(minicnn.activations.tanh(self.a(x))) + x

    x = rng.normal(size=(5, 4)).astype(np.float32)
    model = minicnn.Sequential([minicnn.Input((4,)), Block(), Block()])
    model.save(tmp_path / "block.keras")
    theirs = keras.saving.load_model(tmp_path / "block.keras")
    expected = model.predict(x, verbose=0)
    assert np.abs(np.array(theirs.predict(x, verbose=0)) - expected).max() < 1e-6
