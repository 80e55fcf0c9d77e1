"""Metrics of one's own, written as for Keras: weights that are assigned to."""

import numpy as np
import pytest

import minicnn
from minicnn import layers, metrics
from minicnn.metrics.variable import MetricVariable


class SmoothedRate(metrics.Metric):
    """How often the largest p is above a threshold, as a notebook would write it."""

    def __init__(self, threshold=0.5, name="smoothed_rate", **kwargs):
        super().__init__(name=name, **kwargs)
        self.threshold = threshold
        self.total = self.add_weight(name="total", initializer="zeros")
        self.count = self.add_variable(shape=(), initializer="zeros", name="count")

    def update_state(self, y_true, y_pred, sample_weight=None):
        values = (y_pred.max(axis=-1) > self.threshold).astype("float32")
        if sample_weight is not None:
            values = values * sample_weight
        self.total.assign_add(values.sum())
        self.count.assign(self.count + len(values))

    def result(self):
        return self.total / (self.count + 1e-7)


class ByClass(metrics.Metric):
    """A total of several numbers; what is reported is the largest."""

    def __init__(self, classes, **kwargs):
        super().__init__(**kwargs)
        self.classes = classes
        self.seen = self.add_weight(shape=(classes,), initializer="zeros", name="seen")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.seen.assign_add(y_pred.sum(axis=0))

    def result(self):
        return np.max(self.seen) / np.sum(self.seen)


class Seen(metrics.Metric):
    """What is reported is the weight itself."""

    def __init__(self, name="seen", **kwargs):
        super().__init__(name=name, **kwargs)
        self.count = self.add_weight(name="count", dtype="int32")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.count.assign_add(len(y_pred))

    def result(self):
        return self.count


def network(metrics, loss="sparse_categorical_crossentropy", **options):
    model = minicnn.Sequential([layers.Input((4,)), layers.Dense(3, activation="softmax")])
    model.compile("sgd", loss, metrics=metrics, **options)
    return model


@pytest.fixture
def data(rng):
    return rng.normal(size=(18, 4)).astype(np.float32), rng.integers(0, 3, 18)


def test_by_hand():
    metric = SmoothedRate()
    assert metric.result() == 0
    metric.update_state(None, np.array([[0.2], [0.7], [0.9]]))
    metric.update_state(None, np.array([[0.1]]))
    assert abs(metric.result() - 2 / 4) < 1e-6
    assert abs(metric(None, np.array([[1.0]])) - 3 / 5) < 1e-6
    assert [v.name for v in metric.variables] == ["total", "count"]
    metric.reset_state()
    assert metric.result() == 0
    metric.update_state(None, np.array([[1.0]]))
    assert abs(metric.result() - 1) < 1e-6


def test_what_a_reset_fills_with_zeros_had_begun_elsewhere():
    metric = metrics.Metric()
    ones = metric.add_weight(shape=(2,), initializer="ones")
    np.testing.assert_array_equal(ones, [1, 1])
    metric.reset_state()
    np.testing.assert_array_equal(ones, [0, 0])


def test_names_and_dtypes():
    metric = metrics.Metric(dtype="float64")
    named = [metric.add_weight(name="a"), metric.add_weight(name="a"), metric.add_weight()]
    assert [v.name for v in named] == ["a", "a_1", "variable"]
    assert all(v.dtype == np.float64 for v in named)
    assert metrics.Metric().add_weight(dtype="int32").dtype == np.int32
    assert metrics.Metric().add_weight().dtype == np.float32


OPERATIONS = {
    "expression": lambda v, x: (2 * v + x / v - v**2) @ np.ones(3),
    "array first": lambda v, x: x - v,
    "comparison": lambda v, x: (v >= x) & (v != 3),
    "ufunc": lambda v, x: np.maximum(np.sqrt(v), x),
    "reduction": lambda v, x: np.add.reduce(v) + np.mean(v),
    "functions": lambda v, x: np.where(v > 2, v, np.stack([x, x])[0]),
    "index": lambda v, x: v[1:] + v[0],
    "two of them": lambda v, x: v / (v + v),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_computes_as_its_array_does(name):
    v = metrics.Metric().add_weight(shape=(3,))
    v.assign([1.0, 2.0, 4.0])
    x = np.array([0.5, 2.0, 3.0], np.float32)
    result = OPERATIONS[name](v, x)
    assert not isinstance(result, MetricVariable)
    np.testing.assert_array_equal(result, OPERATIONS[name](v.value, x))


def test_numbers():
    metric = metrics.Metric()
    v = metric.add_weight(name="v")
    assert not v
    v.assign(2.5)
    v.assign_sub(np.float64(0.5))
    assert (float(v), int(v), bool(v), v.ndim, v.shape) == (2.0, 2, True, 0, ())
    v += 1
    assert isinstance(v, MetricVariable)
    assert metric.totals["v"] == v.numpy() == 3
    assert "v" in repr(v)


def test_shapes_must_agree():
    v = metrics.Metric().add_weight(shape=(2,), name="v")
    for wrong in (0.0, [1.0, 2.0, 3.0], np.zeros((1, 2))):
        with pytest.raises(ValueError, match=r"'v' of a metric: expected shape \(2,\), got \("):
            v.assign(wrong)
    v.assign_add(1)  # as Keras: the sum has the shape
    np.testing.assert_array_equal(v, [1, 1])
    with pytest.raises(ValueError, match=r"expected shape \(2,\), got \(3, 2\)"):
        v.assign_add(np.zeros((3, 1)))


@pytest.mark.usefixtures("floor")
def test_in_a_training(data):
    x, y = data
    counts = metrics.FalseNegatives(thresholds=[0.0, 1.0], name="counts")  # a total, too
    own = [SmoothedRate(0.4), ByClass(3, name="by_class"), Seen()]
    model = network([*own, counts], "categorical_crossentropy")
    y = np.eye(3, dtype=np.float32)[y]
    history = model.fit(x, y, 5, epochs=2, verbose=0, validation_data=(x[:7], y[:7])).history
    assert history["seen"] == [18, 18]
    assert history["val_seen"] == [7, 7]
    assert [one.tolist() for one in history["counts"]] == [[0, 18]] * 2
    assert [one.tolist() for one in history["val_counts"]] == [[0, 7]] * 2
    x, y = x[:7], y[:7]
    p = model.predict(x, verbose=0)
    assert abs(history["val_smoothed_rate"][-1] - (p.max(axis=-1) > 0.4).mean()) < 1e-5
    assert abs(history["val_by_class"][-1] - p.sum(axis=0).max() / 7) < 1e-5
    found = model.evaluate(x, y, verbose=0, return_dict=True)
    assert found["smoothed_rate"] == history["val_smoothed_rate"][-1]
    assert found["counts"].tolist() == model.evaluate(x, y, verbose=0)[-1].tolist() == [0, 7]


def test_metrics_of_a_model(data):
    x, y = data
    own = SmoothedRate()
    model = network(["accuracy", own])
    assert model.metrics == []
    found = model.evaluate(x, y, verbose=0)
    assert [one.name for one in model.metrics] == model.metrics_names
    assert model.metrics[2] is own
    assert [float(one.result()) for one in model.metrics] == found
    for one in model.metrics:
        one.reset_state()
    assert all(one.result() == 0 for one in model.metrics)


def test_metrics_of_a_model_of_several_outputs(data):
    x, _ = data
    inputs = layers.Input((4,))
    outputs = [layers.Dense(2, name=name)(inputs) for name in "abc"]
    model = minicnn.Model(inputs, outputs)
    model.compile("sgd", {"a": "mse", "c": "mse"}, metrics={"b": ["mae"]})
    y = [np.zeros((18, 2))] * 3
    found = model.evaluate(x, y, verbose=0)
    assert [one.name for one in model.metrics] == ["loss", "a_loss", "c_loss", "mae"]
    assert [float(one.result()) for one in model.metrics] == found


def test_a_weighted_metric(data):
    x, y = data
    weight = np.linspace(0, 2, 18, dtype=np.float32)
    model = network(None, weighted_metrics=[SmoothedRate(0.4)])
    found = model.evaluate(x, y, sample_weight=weight, verbose=0, return_dict=True)
    expected = (weight * (model.predict(x, verbose=0).max(axis=-1) > 0.4)).mean()
    assert abs(found["smoothed_rate"] - expected) < 1e-5


def test_travels_in_a_file(data, tmp_path):
    x, y = data
    model = network([SmoothedRate(0.4)])
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "m.keras")
    with pytest.raises(ValueError, match="SmoothedRate"):
        minicnn.models.load_model(tmp_path / "m.keras")
    objects = {"SmoothedRate": SmoothedRate}
    again = minicnn.models.load_model(tmp_path / "m.keras", custom_objects=objects)
    assert again.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)
    assert again.compile_arguments["metrics"][0].threshold == 0.4


def test_in_a_subclass_of_one_of_the_librarys():
    class Both(metrics.Mean):
        def __init__(self, name="both", **kwargs):
            super().__init__(name=name, **kwargs)
            self.largest = self.add_weight(name="largest")

        def update_state(self, values, sample_weight=None):
            super().update_state(values, sample_weight)
            self.largest.assign(np.maximum(self.largest, np.max(values)))

        def result(self):
            return super().result() + 10 * self.largest

    metric = Both()
    assert metric.result() == 0
    assert abs(metric([1.0, 3.0]) - 32) < 1e-5
