"""Neighbours that a floor computes in one go: the same numbers, layer by layer or joined."""

import numpy as np
import pytest

from minicnn import Input, Model, Sequential, backend, gradient_check, layers, trace
from minicnn.models.fusion import ConvReLUPool

pytest.importorskip("numba")


@pytest.fixture(autouse=True)
def compiled_floor():
    before = backend.name()
    backend.use("numba")
    yield
    backend.use(before)


def joined(model):
    """The number of layers in each joined step."""
    return [
        1 if step.layer.pool is None else 2
        for step in model.graph.joined.values()
        if isinstance(step.layer, ConvReLUPool)
    ]


def conv(**options):
    return layers.Conv2D(4, 3, activation="relu", bias_initializer="random_normal", **options)


def chain(*middle, shape=(9, 10, 3)):
    return Sequential([Input(shape), *middle, layers.Flatten(), layers.Dense(3)])


def branches():
    x = Input((9, 10, 3))
    y = conv(padding="same")(x)
    pooled, other = layers.MaxPooling2D(2)(y), layers.AveragePooling2D(2)(y)
    return Model(x, layers.Dense(3)(layers.Flatten()(layers.Add()([pooled, other]))))


def shared():
    x, layer = Input((9, 10, 3)), conv(padding="same")
    ways = [layers.MaxPooling2D(3)(layer(part)) for part in (x, layers.Rescaling(-1.0)(x))]
    return Model(x, layers.Dense(3)(layers.Flatten()(layers.Concatenate()(ways))))


def nested():
    inner = Sequential([Input((9, 10, 3)), conv(), layers.MaxPooling2D((2, 3))])
    x = Input((9, 10, 3))
    return Model(x, layers.Dense(3)(layers.Flatten()(inner(x))))


class MyConv(layers.Conv2D):
    pass


MODELS = {
    "a ReLU": (lambda: chain(conv()), [1]),
    "no bias": (lambda: chain(conv(use_bias=False, strides=2)), [1]),
    "a pool": (lambda: chain(conv(), layers.MaxPooling2D(2)), [2]),
    "pools": (
        lambda: chain(conv(), layers.MaxPooling2D((1, 2)), conv(), layers.MaxPooling2D(2)),
        [2, 2],
    ),
    "overlapping pools": (lambda: chain(conv(), layers.MaxPooling2D(3, strides=2)), [1]),
    "pools over the border": (lambda: chain(conv(), layers.MaxPooling2D(3, padding="same")), [1]),
    "means": (lambda: chain(conv(), layers.AveragePooling2D(2)), [1]),
    "dropout between": (
        lambda: chain(conv(), layers.Dropout(0.5, seed=1), layers.MaxPooling2D(2)),
        [1],
    ),
    "two readers": (branches, [1]),
    "a shared layer": (shared, [2, 2]),
    "another activation": (lambda: chain(layers.Conv2D(4, 3, activation="tanh")), []),
    "a leaking ReLU": (lambda: chain(layers.Conv2D(4, 3, activation="leaky_relu")), []),
    "a penalty": (lambda: chain(conv(activity_regularizer="l2"), layers.MaxPooling2D(2)), []),
    "a class of one's own": (lambda: chain(MyConv(4, 3, activation="relu")), []),
    "many channels": (
        lambda: chain(
            layers.Conv2D(32, 3, activation="relu", padding="same"),
            layers.Conv2D(48, 3, activation="relu", padding="same"),
            layers.MaxPooling2D(2),
        ),
        [1, 2],
    ),
}
each = pytest.mark.parametrize(("make", "expected"), MODELS.values(), ids=MODELS)


@each
def test_what_is_joined(make, expected):
    assert joined(make()) == expected


@each
def test_the_same_numbers(rng, make, expected):
    model = make()
    model.compile("sgd", "mse")
    x, y = rng.normal(size=(6, 9, 10, 3)), rng.normal(size=(6, 3))
    results = []
    for one_by_one in (False, True):
        model.graph.one_by_one = one_by_one
        loss, gradients = model.compute_gradients(x, y, training=True)
        results.append([np.float32(loss), model.predict(x, verbose=0), *gradients])
    for ours, theirs in zip(*results, strict=True):
        assert np.abs(ours - theirs).max() <= 1e-5 * np.abs(theirs).max()
        assert np.abs(theirs).max() > 0


@pytest.mark.parametrize("make", [shared, branches, nested])
def test_gradients(rng, make):
    model = make()
    model.compile("sgd", "mse")
    report = gradient_check(model, rng.normal(size=(2, 9, 10, 3)), rng.normal(size=(2, 3)))
    assert report.passed, report


def test_a_frozen_convolution_gets_no_gradient_but_passes_one_on(rng):
    model = chain(conv(), conv(), layers.MaxPooling2D(2))
    model.layers[1].trainable = False
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.fit(rng.normal(size=(4, 9, 10, 3)), rng.normal(size=(4, 3)), verbose=0)
    changed = [bool((a != b).any()) for a, b in zip(before, model.get_weights(), strict=True)]
    assert changed == [True, True, False, False, True, True]


def test_what_lies_between_can_be_looked_at(rng):
    """What somebody wants is there: the output of a layer in between, a trace of all layers."""
    model = nested()
    inner = model.layers[1]
    maps = Model(inner.inputs, [inner.layers[0].output, *inner.outputs])
    assert joined(maps) == [1]
    full, pooled = maps.predict(rng.normal(size=(2, 9, 10, 3)), verbose=0)
    assert np.array_equal(pooled, full[:, :6, :6].reshape(2, 3, 2, 2, 3, 4).max(axis=(2, 4)))
    model.compile("sgd", "mse")
    step = trace(model, rng.normal(size=(2, 9, 10, 3)), rng.normal(size=(2, 3)))
    kinds = [call.layer.split("(")[1] for call in step.calls]
    assert {"Conv2D)", "MaxPooling2D)"} <= set(kinds)
    assert joined(inner) == [2]
    assert not inner.graph.one_by_one
