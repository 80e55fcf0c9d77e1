"""Whole models on the cupy floor, over the stand-in: fit, recorded and not, evaluate, predict."""

import warnings

import cuda_cpu
import numpy as np
import pytest

from minicnn import backend, layers, losses, metrics, optimizers, schedules
from minicnn.backends import cupy, numpy as textbook
from minicnn.backends.cupy import recording
from minicnn.models import Sequential

pytestmark = pytest.mark.skipif(
    cuda_cpu.reason_to_skip() is not None, reason=str(cuda_cpu.reason_to_skip())
)

SAMPLES, BATCH = 18, 4


@pytest.fixture(autouse=True)
def door(monkeypatch):
    from cuda_cpu.door import Door
    from cuda_cpu.floor import opened

    monkeypatch.setattr(backend, "_current", cupy)
    with opened(Door()) as door:
        yield door


def data():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (SAMPLES, 8, 8, 1), dtype=np.uint8), rng.integers(0, 3, SAMPLES)


def model(optimizer, monkeypatch, floor=cupy, first=(), **compiled):
    monkeypatch.setattr(backend, "_current", floor)
    network = Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Rescaling(1 / 255),
            *first,
            layers.Conv2D(4, 3, padding="same", activation="relu", kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Dropout(0.3, seed=1),
            layers.Conv2D(4, 2, activation="gelu", kernel_constraint="max_norm"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    rng = np.random.default_rng(3)
    lowest = {1: 0.1}  # of the vectors, among which there are variances
    network.set_weights(
        [rng.uniform(lowest.get(w.ndim, -0.5), 0.5, w.shape) for w in network.get_weights()]
    )
    compiled = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"], **compiled}
    network.compile(optimizer, **compiled)
    network._shuffle = None
    return network


def trained(network, epochs=3, **options):
    from minicnn.random import SeedGenerator

    network._shuffle = SeedGenerator(9)
    x, y = data()
    history = network.fit(x, y, BATCH, epochs, verbose=0, **options)
    return network.get_weights(), {k: [float(v) for v in vs] for k, vs in history.history.items()}


OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.05),
    "momentum, a schedule": lambda: optimizers.SGD(
        schedules.ExponentialDecay(0.1, 3, 0.5), momentum=0.9, nesterov=True
    ),
    "rmsprop, clipnorm": lambda: optimizers.RMSprop(0.01, clipnorm=0.5, momentum=0.3),
    "adam, clipvalue": lambda: optimizers.Adam(0.01, clipvalue=0.1, amsgrad=True),
    "adamw": lambda: optimizers.AdamW(0.01, global_clipnorm=1.0),
    "adamax": lambda: optimizers.Adamax(0.01),
    "adagrad": lambda: optimizers.Adagrad(0.1),
    "adadelta": lambda: optimizers.Adadelta(1.0),
    "lion": lambda: optimizers.Lion(0.01),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_recorded_training_is_the_same(name, monkeypatch):
    recorded = model(OPTIMIZERS[name](), monkeypatch)
    weights, history = trained(recorded, validation_split=0.1)
    assert len(recorded._recorder.recordings) == 1
    assert not recorded._recorder.refused

    monkeypatch.setattr(recording, "WARM_UP", 10**6)
    plain = model(OPTIMIZERS[name](), monkeypatch)
    expected_weights, expected_history = trained(plain, validation_split=0.1)
    assert not plain._recorder.recordings
    assert history == expected_history
    for weight, expected in zip(weights, expected_weights, strict=True):
        assert np.array_equal(weight, expected)
    assert recorded.optimizer.iterations == plain.optimizer.iterations == 12

    textbooks_weights, _ = trained(
        model(OPTIMIZERS[name](), monkeypatch, textbook), validation_split=0.1
    )
    for weight, expected in zip(weights, textbooks_weights, strict=True):
        assert np.abs(weight - expected).max() < 1e-3


def augmentation():
    return [
        layers.RandomFlip(seed=1),
        layers.RandomTranslation(0.1, 0.2, seed=2),
        layers.RandomRotation(0.1, seed=3),
        layers.RandomZoom(0.2, seed=4),
        layers.RandomCrop(6, 5, seed=5),
        layers.RandomContrast(0.3, (0, 1), seed=6),
        layers.RandomBrightness(0.1, (0, 1), seed=7),
        layers.Resizing(9, 9),
        layers.CenterCrop(8, 8),
    ]


def test_recorded_augmentation_is_the_same(monkeypatch):
    """Each replay draws anew: the same pictures as step by step, and as on the textbook floor."""
    found = []
    for warm_up, floor in ((2, cupy), (10**6, cupy), (2, textbook)):
        monkeypatch.setattr(recording, "WARM_UP", warm_up)
        network = model(optimizers.SGD(0.05), monkeypatch, floor, augmentation())
        found.append(trained(network))
        if floor is cupy:
            assert len(network._recorder.recordings) == (warm_up == 2)
            assert not network._recorder.refused
        assert network.layers[1].seed_generator.step == 15
    (weights, losses), (plain, its_losses), (textbooks, _) = found
    assert losses == its_losses
    for weight, expected, exact in zip(weights, plain, textbooks, strict=True):
        assert np.array_equal(weight, expected)
        assert np.abs(weight - exact).max() < 1e-3


def test_a_learning_rate_that_is_set_in_between(monkeypatch):
    weights = []
    for warm_up in (2, 10**6):
        monkeypatch.setattr(recording, "WARM_UP", warm_up)
        network = model(optimizers.SGD(0.1), monkeypatch)
        trained(network)
        network.optimizer.learning_rate = 0.01
        weights.append(trained(network)[0])
    assert all(np.array_equal(a, b) for a, b in zip(*weights, strict=True))


def test_a_seed_that_is_set_in_between(monkeypatch):
    """Dropout's seed is written into a recording."""
    weights = []
    for warm_up in (2, 10**6):
        monkeypatch.setattr(recording, "WARM_UP", warm_up)
        network = model(optimizers.SGD(0.1), monkeypatch)
        trained(network)
        (dropout,) = (layer for layer in network.layers if isinstance(layer, layers.Dropout))
        dropout.seed_generator.seed = 7
        weights.append(trained(network)[0])
    assert all(np.array_equal(a, b) for a, b in zip(*weights, strict=True))


def test_freezing_a_layer_in_between(monkeypatch):
    weights = []
    for warm_up in (2, 10**6):
        monkeypatch.setattr(recording, "WARM_UP", warm_up)
        network = model(optimizers.Adam(0.01), monkeypatch)
        trained(network)
        network.layers[1].trainable = network.layers[2].trainable = False
        before = network.get_weights()
        weights.append(trained(network)[0])
        assert np.array_equal(weights[-1][0], before[0])
        assert not np.array_equal(weights[-1][-1], before[-1])
    assert all(np.array_equal(a, b) for a, b in zip(*weights, strict=True))


@pytest.mark.parametrize("optimizer", [optimizers.Adagrad(), optimizers.SGD(global_clipnorm=1.0)])
def test_a_model_of_which_all_is_frozen(optimizer, monkeypatch):
    figures = []
    for floor in (cupy, textbook):
        network = model("sgd", monkeypatch, floor)
        network.trainable = False
        network.compile(optimizer.from_config(optimizer.get_config()), network.loss)
        before = network.get_weights()
        after, history = trained(network, 2)
        assert all((a == b).all() for a, b in zip(before, after, strict=True))
        figures.append(history["loss"])
    np.testing.assert_allclose(*figures, rtol=1e-5)


def test_nadam_runs_unrecorded(monkeypatch):
    """It computes its momenta with Python's numbers."""
    network = model(optimizers.Nadam(0.01), monkeypatch)
    with pytest.warns(UserWarning, match="cannot be recorded"):
        weights, _ = trained(network)
    expected, _ = trained(model(optimizers.Nadam(0.01), monkeypatch, textbook))
    for weight, other in zip(weights, expected, strict=True):
        assert np.abs(weight - other).max() < 1e-3


def test_a_metric_that_is_kept_in_python(monkeypatch):
    class Largest(metrics.Metric):
        largest = 0.0

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.largest = np.maximum(self.largest, y_pred.max())

        def result(self):
            return self.largest

        def reset_state(self):
            self.largest = 0.0

    histories = []
    for floor in (cupy, textbook):
        network = model("sgd", monkeypatch, floor, metrics=[Largest(name="largest")])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            histories.append(trained(network)[1])
        assert ["largest" in str(w.message) for w in caught] == [True] * (floor is cupy)
    assert np.abs(np.subtract(histories[0]["largest"], histories[1]["largest"])).max() < 1e-4


def test_a_metric_with_weights_is_recorded(monkeypatch):
    class Rate(metrics.Metric):
        def __init__(self, name="rate", **kwargs):
            super().__init__(name=name, **kwargs)
            self.total = self.add_weight(name="total", initializer="zeros")
            self.count = self.add_weight(name="count", initializer="zeros")
            self.largest = self.add_weight(shape=(3,), name="largest")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.total.assign_add((y_pred > 0.34).sum())
            self.count.assign_add(len(y_pred))
            self.largest.assign(np.maximum(self.largest, y_pred.max(axis=0)))

        def result(self):
            return self.total / (self.count + 1e-7) + self.largest.value.sum()

    histories = []
    monkeypatch.setattr(backend, "_current", textbook)
    made_elsewhere = Rate()  # a metric may be older than the model's floor
    for floor, metric in ((cupy, made_elsewhere), (textbook, Rate())):
        network = model("sgd", monkeypatch, floor, metrics=[metric])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            histories.append(trained(network, validation_split=0.2)[1])
        if floor is cupy:
            assert network._recorder.recordings
            assert not isinstance(metric.totals["total"], np.ndarray)
            metric.largest.assign(np.array([1, 2, 3]))  # from the host
            assert metric.largest.numpy().tolist() == [1, 2, 3]
    for key in ("rate", "val_rate"):
        assert np.abs(np.subtract(histories[0][key], histories[1][key])).max() < 1e-4


CHOICES = {
    "one-hot": lambda: ("categorical_crossentropy", ["accuracy", "categorical_crossentropy"]),
    "smoothed": lambda: (losses.CategoricalCrossentropy(label_smoothing=0.1), ["accuracy"]),
    "distances": lambda: ("mse", ["mae", "root_mean_squared_error"]),
    "weighted": lambda: ("huber", ["mse"]),
    "confusion": lambda: (
        "binary_crossentropy",
        [metrics.Precision(name="precision"), metrics.AUC(name="auc"), "binary_accuracy"],
    ),
    "scores": lambda: (
        "mse",
        [metrics.F1Score("macro"), metrics.OneHotMeanIoU(3, name="iou"), metrics.R2Score()],
    ),
}


@pytest.mark.parametrize("name", CHOICES)
@pytest.mark.filterwarnings(
    "ignore:this training step cannot be recorded"
)  # thresholds: from Python
def test_losses_and_metrics_on_the_device(name, monkeypatch):
    histories = []
    x, y = data()
    one_hot = np.eye(3, dtype=np.float32)[y]
    weight = np.linspace(0.5, 1.5, SAMPLES) if name == "weighted" else None
    for floor in (cupy, textbook):
        monkeypatch.setattr(backend, "_current", floor)
        loss, chosen = CHOICES[name]()
        network = model("sgd", monkeypatch, floor, loss=loss, metrics=chosen)
        history = network.fit(x, one_hot, BATCH, 2, verbose=0, sample_weight=weight, shuffle=False)
        histories.append({k: [float(v) for v in vs] for k, vs in history.history.items()})
    assert histories[0].keys() == histories[1].keys()
    for key, values in histories[0].items():
        assert np.abs(np.subtract(values, histories[1][key])).max() < 1e-4


def test_what_leaves_is_numpy(monkeypatch):
    x, y = data()
    network, expected = model("sgd", monkeypatch), model("sgd", monkeypatch, textbook)
    prediction = network.predict(x, verbose=0)
    assert type(prediction) is np.ndarray
    assert np.abs(prediction - expected.predict(x, verbose=0)).max() < 1e-5
    found = network.evaluate(x, y, verbose=0)
    assert np.abs(np.subtract(found, expected.evaluate(x, y, verbose=0))).max() < 1e-5
    loss, gradients = network.compute_gradients(x, y)
    expected_loss, expected_gradients = expected.compute_gradients(x, y)
    assert abs(loss - expected_loss) < 1e-5
    for gradient, other in zip(gradients, expected_gradients, strict=True):
        assert type(gradient) is np.ndarray
        assert np.abs(gradient - other).max() < 1e-4 * max(1, np.abs(other).max())
    assert network.train_on_batch(x, y)[0] > 0
