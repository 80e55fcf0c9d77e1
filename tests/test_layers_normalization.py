"""Normalization: what it learns from data of any kind, and that a model keeps it."""

import numpy as np
import pytest

import minicnn
from minicnn import gradient_check, layers, utils
from minicnn.data import Dataset

pytestmark = pytest.mark.usefixtures("floor")


@pytest.fixture
def x(rng):
    return rng.normal([1.0, -20.0, 3.0], [2.0, 0.5, 30.0], size=(2100, 2, 3)).astype(np.float32)


class Batches(utils.PyDataset):
    def __init__(self, x, size):
        super().__init__()
        self.x, self.size = x, size

    def __len__(self):
        return -(-len(self.x) // self.size)

    def __getitem__(self, index):
        part = self.x[index * self.size : (index + 1) * self.size]
        return part, np.zeros(len(part))


KINDS = {
    "array": lambda x: x,
    "integers": lambda x: x.astype(np.int16),
    "list of batches": lambda x: np.split(x, [3, 1000]),
    "pairs": lambda x: [(x[:7], None), (x[7:], None)],
    "generator": lambda x: (x[i : i + 900] for i in range(0, len(x), 900)),
    "dataset": lambda x: Dataset.from_tensor_slices((x, np.arange(len(x)))).batch(300),
    "single samples": lambda x: Dataset.from_tensor_slices(x),
    "own batches": lambda x: Batches(x, 1024),
}


@pytest.mark.parametrize("kind", KINDS)
def test_adapts_to_data_of_any_kind(kind, x):
    layer = layers.Normalization()
    layer.adapt(KINDS[kind](x))
    seen = x.astype(np.int16) if kind == "integers" else x
    assert layer.adapt_mean.shape == layer.adapt_variance.shape == (3,)
    np.testing.assert_allclose(layer.adapt_mean, seen.mean((0, 1), np.float64), rtol=1e-5)
    np.testing.assert_allclose(layer.adapt_variance, seen.var((0, 1), np.float64), rtol=1e-5)
    y = layer(seen)
    assert y.dtype == np.float32
    assert np.abs(y.mean((0, 1))).max() < 1e-4
    assert np.abs(y.std((0, 1)) - 1).max() < 1e-4


@pytest.mark.parametrize("axis", [-1, 1, (1, 2), (-1, 1), None, (), 0])
def test_every_axis(axis, x):
    layer, back = layers.Normalization(axis), layers.Normalization(axis, invert=True)
    kept = {one % 3 for one in (() if axis is None else np.atleast_1d(axis).astype(int).tolist())}
    others = tuple(i for i in range(3) if i not in kept)
    x = x[:1030]
    for one in (layer, back):
        one.adapt(x)
        np.testing.assert_allclose(one.mean, x.mean(others, np.float64, keepdims=True), rtol=1e-5)
        np.testing.assert_allclose(one.variance, x.var(others, np.float64, keepdims=True), 1e-5)
    assert np.abs(back(layer(x)) - x).max() < 1e-4
    check = gradient_check(layer, x[:4] if 0 not in kept else x)
    assert check.passed, check


def test_a_large_mean_does_not_swallow_the_variance(rng):
    x = 1e4 + rng.normal(size=(3000, 2))
    layer = layers.Normalization(dtype="float64")
    layer.adapt(x)
    np.testing.assert_allclose(layer.adapt_variance, x.var(axis=0), rtol=1e-9)


def test_a_constant_feature_is_divided_by_epsilon():
    layer = layers.Normalization()
    layer.adapt(np.ones((5, 2)))
    np.testing.assert_allclose(layer(np.full((1, 2), 2.0)), [[1e7, 1e7]], rtol=1e-6)


def test_adapting_again_starts_anew(x):
    layer = layers.Normalization()
    layer.adapt(10 * x)
    layer.adapt(x)
    np.testing.assert_allclose(layer.adapt_mean, x.mean((0, 1), np.float64), rtol=1e-5)


def test_before_the_adaptation_nothing_changes(x):
    layer = layers.Normalization()
    assert layer.mean is layer.variance is None
    np.testing.assert_array_equal(layer(x), x)
    assert [(w.name, w.shape, w.dtype) for w in layer.non_trainable_weights] == [
        ("mean", (3,), np.float32),
        ("variance", (3,), np.float32),
        ("count", (), np.int32),
    ]
    assert layer.trainable_weights == []


def test_a_model_trains_behind_it_and_is_saved_with_it(rng, tmp_path):
    x = rng.normal(7, 3, (40, 5)).astype(np.float32)
    y = (x[:, :1] > 7).astype(np.float32)
    layer = layers.Normalization()
    layer.adapt(x)
    model = minicnn.Sequential([layers.Input((5,)), layer, layers.Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy")
    before = [w.numpy() for w in layer.weights]
    losses = model.fit(x, y, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    for weight, value in zip(layer.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)
    model.save(tmp_path / "m.keras")
    again = minicnn.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again.predict_on_batch(x), model.predict_on_batch(x))
    again.layers[0].adapt(2 * x)  # the layer of a model that is there
    np.testing.assert_allclose(again.layers[0].adapt_mean, 2 * x.mean(0), rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: layers.Normalization("last"), TypeError, "axis: .*got 'last'"),
        (lambda: layers.Normalization(mean=1.0), ValueError, "mean, variance: .*got 1.0 and None"),
        (lambda: layers.Normalization(mean="x", variance=1), TypeError, "mean: .*got 'x'"),
        (
            lambda: layers.Normalization(mean=[1, 2], variance=1.0),
            ValueError,
            r"mean, variance: .*got \(2,\) and \(\)",
        ),
        (lambda: layers.Normalization(mean=0, variance=-1), ValueError, "variance: .*got -1"),
        (
            lambda: layers.Normalization(mean=[1, 2], variance=[1, 2], name="a")(np.ones((2, 3))),
            ValueError,
            r"mean of layer 'a' \(Normalization\): .*\(2,\).*\(3,\).*\(2, 3\)",
        ),
        (
            lambda: layers.Normalization(3, name="a")(np.ones((2, 3))),
            ValueError,
            r"axis of layer 'a' \(Normalization\): .*got 3",
        ),
        (
            lambda: layers.Normalization((1, -1), name="a")(np.ones((2, 3))),
            ValueError,
            r"axis of layer 'a' \(Normalization\): \(1, -1\) names an axis twice",
        ),
        (lambda: layers.Normalization().adapt(7), TypeError, "data: .*got int"),
        (lambda: layers.Normalization().adapt(np.array([["a"]])), TypeError, "data: .*got .*<U1"),
        (
            lambda: layers.Normalization().adapt([[1.0, 2.0]]),
            TypeError,
            r"data: .*a list of list; write np.array\(data\)",
        ),
        (lambda: layers.Normalization(name="a").adapt([]), ValueError, "data: layer 'a' .*none"),
        (lambda: layers.Normalization().adapt(np.ones((0, 3))), ValueError, "data: .*none"),
        (
            lambda: layers.Normalization().adapt([np.ones((2, 3)), np.ones((2, 4))]),
            ValueError,
            r"expected 3 elements on axis 1, got 4 in shape \(2, 4\)",
        ),
        (
            lambda: layers.Normalization(mean=0, variance=1, name="a").adapt(np.ones((2, 3))),
            ValueError,
            "adapt of layer 'a': mean and variance were given",
        ),
    ],
)
def test_errors(make, error, message):
    with pytest.raises(error, match=message):
        make()
