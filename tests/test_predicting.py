"""Model.predict: how batches go through the network, and who notices."""

import numpy as np
import pytest

import minicnn
from minicnn import activations, layers
from minicnn.callbacks import Callback


class Watcher(layers.Layer):
    """A layer that lets everything pass and remembers how many samples came."""

    seen = ()

    def forward(self, x, training):
        self.seen += (len(x),)
        return x, None


class MinusMean:
    """An activation of one's own, which looks at the whole batch."""

    name = "minus_mean"

    def forward(self, ops, z):
        return z - z.mean(axis=0), None

    def backward(self, ops, dy, saved):
        return dy - dy.mean(axis=0)


class OwnDense(layers.Dense):
    def forward(self, x, training):
        return super().forward(x - x.mean(axis=0), training)


def passes(model, monkeypatch, x, **kwargs):
    """What predict returns, and how many samples went through the network each time."""
    sizes, forward = [], model.graph.forward

    def watched(xs, *args, **kwargs):
        sizes.append(len(xs[0]))
        return forward(xs, *args, **kwargs)

    monkeypatch.setattr(model.graph, "forward", watched)
    return model.predict(x, verbose=0, **kwargs), sizes


def small_net():
    return minicnn.Sequential(
        [
            layers.Input((6, 6, 1)),
            layers.Conv2D(3, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(2),
            layers.Dropout(0.5),
            layers.Flatten(),
            layers.Dense(4, activation="sigmoid"),
            layers.Dense(3, activation="softmax"),
        ]
    )


@pytest.mark.parametrize("batch_size", [1, 7, 32, 100, 255, 256, 300])
def test_small_batches_are_computed_together_where_the_floor_gains_by_it(
    floor, batch_size, monkeypatch, rng
):
    model, x = small_net(), rng.normal(size=(600, 6, 6, 1)).astype(np.float32)
    y, sizes = passes(model, monkeypatch, x, batch_size=batch_size)
    together = floor == "numba" and batch_size < 256
    at_once = 256 // batch_size * batch_size if together else batch_size
    assert sizes == [min(at_once, 600 - start) for start in range(0, 600, at_once)]
    parts = [x[start : start + batch_size] for start in range(0, 600, batch_size)]
    one_by_one = np.concatenate([model.predict_on_batch(part) for part in parts])
    np.testing.assert_allclose(y, one_by_one, rtol=1e-5)


def test_several_inputs_and_outputs_are_computed_together(monkeypatch, rng):
    a, b = minicnn.Input((3,)), minicnn.Input((3,))
    joined = layers.Concatenate()([a, layers.LayerNormalization()(b)])
    model = minicnn.Model([a, b], {"sum": layers.Add()([a, b]), "all": layers.Dense(2)(joined)})
    xs = list(rng.normal(size=(2, 100, 3)).astype(np.float32))
    ys, sizes = passes(model, monkeypatch, xs, batch_size=10)
    assert sizes == [100]
    assert list(ys) == ["all", "sum"]
    np.testing.assert_allclose(ys["sum"], xs[0] + xs[1], rtol=1e-6)


UNKNOWN = {
    "a layer of one's own": lambda: Watcher(),
    "an heir of a layer": lambda: OwnDense(4),
    "an activation of one's own": lambda: layers.Dense(4, activation=MinusMean()),
    "an heir of an activation": lambda: layers.Dense(
        4, activation=type("Own", (activations.ReLU,), {})()
    ),
    "a layer as activation": lambda: layers.Dense(4, activation=layers.Softmax(axis=0)),
    "softmax over the batch": lambda: layers.Softmax(axis=0),
    "softmax over the batch, from behind": lambda: layers.Softmax(axis=-2),
    "softmax over the batch, as activation": lambda: layers.Activation(activations.Softmax(axis=0)),
}


@pytest.mark.parametrize("kind", UNKNOWN)
def test_what_may_look_at_the_batch_sees_the_batches_that_were_asked_for(kind, monkeypatch, rng):
    model = minicnn.Sequential([layers.Input((4,)), UNKNOWN[kind]()])
    x = rng.normal(size=(20, 4)).astype(np.float32)
    y, sizes = passes(model, monkeypatch, x, batch_size=8)
    assert sizes == [8, 8, 4]
    parts = [model.predict_on_batch(part) for part in (x[:8], x[8:16], x[16:])]
    np.testing.assert_array_equal(y, np.concatenate(parts))


def test_softmax_of_plain_numbers_is_one_over_the_batch(monkeypatch, rng):
    numbers = minicnn.Input((1,))
    model = minicnn.Model(numbers, layers.Softmax()(layers.Reshape(())(numbers)))
    y, sizes = passes(model, monkeypatch, np.ones((6, 1), np.float32), batch_size=2)
    assert sizes == [2, 2, 2]
    np.testing.assert_allclose(y, 0.5)


def test_callbacks_get_a_call_for_every_batch(monkeypatch, rng):
    class Notes(Callback):
        def __init__(self):
            self.calls = []

        def on_predict_batch_begin(self, batch, logs=None):
            self.calls.append(batch)

        def on_predict_batch_end(self, batch, logs=None):
            self.calls.append((batch, len(logs["outputs"][0])))

    model, notes = small_net(), Notes()
    x = rng.normal(size=(20, 6, 6, 1)).astype(np.float32)
    _, sizes = passes(model, monkeypatch, x, batch_size=8, callbacks=[notes])
    assert sizes == [8, 8, 4]
    assert notes.calls == [0, (0, 8), 1, (1, 8), 2, (2, 4)]


def test_the_progress_bar_counts_the_batches_that_were_asked_for(capsys, rng):
    x = rng.normal(size=(1000, 6, 6, 1)).astype(np.float32)
    small_net().predict(x, batch_size=32, verbose=1)
    assert capsys.readouterr().out.startswith("32/32 ")


def test_steps_are_batches(monkeypatch, rng):
    x = rng.normal(size=(100, 6, 6, 1)).astype(np.float32)
    y, sizes = passes(small_net(), monkeypatch, x, batch_size=8, steps=2)
    assert sizes == [8, 8]
    assert len(y) == 16


def test_nothing_is_kept_for_a_way_back(rng):
    model = small_net()
    x = rng.normal(size=(2, 6, 6, 1)).astype(np.float32)
    y, tape = model.graph.forward([x], False, keep=False)
    assert tape.saved == {}
    np.testing.assert_array_equal(y[0], model.graph.forward([x], False)[0][0])
