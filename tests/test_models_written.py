"""Models and blocks written as a class, with ``call``."""

import copy

import numpy as np
import pytest

import minicnn
from minicnn import Input, Model, Sequential, activations, gradient_check, layers, models


class Classifier(Model):
    def __init__(self, classes, **kwargs):
        super().__init__(**kwargs)
        self.hidden = [layers.Dense(6, activation="relu"), layers.Dense(5, activation="tanh")]
        self.dropout = layers.Dropout(0.5, seed=3)
        self.scores = layers.Dense(classes, activation="softmax")

    def call(self, x, training=False):
        for layer in self.hidden:
            x = layer(x)
        return self.scores(self.dropout(x, training=training))


class Residual(layers.Layer):
    """What only calls layers needs neither forward nor backward."""

    def __init__(self, filters, strides=1, **kwargs):
        super().__init__(**kwargs)
        self.activation = activations.get("relu")
        self.conv = layers.Conv2D(filters, 3, strides=strides, padding="same")
        self.norm = layers.BatchNormalization()
        self.skip = layers.Conv2D(filters, 1, strides=strides)

    def call(self, x):
        return self.activation(self.norm(self.conv(x)) + self.skip(x))


def test_a_written_model_is_the_drawn_one(rng):
    x, y = rng.normal(size=(64, 4)), rng.integers(0, 3, 64)
    written = Classifier(3)
    assert not written.built
    assert len(written.layers) == 4
    written.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    written.build((None, 4))
    drawn = Sequential(
        [
            Input((4,)),
            layers.Dense(6, activation="relu"),
            layers.Dense(5, activation="tanh"),
            layers.Dropout(0.5, seed=3),
            layers.Dense(3, activation="softmax"),
        ]
    )
    drawn.set_weights(written.get_weights())
    drawn.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    histories = [m.fit(x, y, epochs=2, shuffle=False, verbose=0).history for m in (written, drawn)]
    assert histories[0] == histories[1]
    np.testing.assert_array_equal(written.predict(x, verbose=0), drawn.predict(x, verbose=0))


def test_fit_draws_a_model_that_was_never_called(rng):
    model = Classifier(3)
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(rng.normal(size=(8, 4)), rng.integers(0, 3, 8), verbose=0)
    assert model.output_shape == (None, 3)
    assert [w.shape for w in model.weights] == [(4, 6), (6,), (6, 5), (5,), (5, 3), (3,)]


def test_a_written_block_stands_in_other_models(rng):
    x = rng.normal(size=(3, 6, 6, 2)).astype(np.float32)
    model = Sequential([Residual(4, name="first"), Residual(3, 2), layers.Flatten()])
    assert model(x).shape == (3, 27)
    first = model.get_layer("first")
    assert isinstance(first, layers.Layer)
    assert len(first.trainable_weights) == 6
    first.trainable = False
    assert len(model.trainable_weights) == 6
    assert not first.conv.trainable
    inputs = Input((6, 6, 2))
    assert Model(inputs, first(inputs)).predict(x, verbose=0).shape == (3, 6, 6, 4)


def test_gradients_of_a_written_block(rng):
    block = Residual(3, 2, dtype="float64")
    for layer in (block.conv, block.norm, block.skip):
        layer.dtype = "float64"
    report = gradient_check(block, rng.normal(size=(2, 5, 5, 2)), training=True)
    assert report.passed, report


def test_several_inputs_and_outputs_keep_their_form(rng):
    class Wide(Model):
        def __init__(self):
            super().__init__()
            self.left, self.right = layers.Dense(2), layers.Dense(1)

        def call(self, inputs):
            a, b = inputs["a"], inputs["b"]
            return self.left(layers.concatenate([a, b])), self.right(b)

    a, b = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    model = Wide()
    left, right = model({"a": a, "b": b})
    assert left.shape == (5, 2)
    assert right.shape == (5, 1)
    model.compile("sgd", ["mse", "mse"])
    model.fit({"b": b, "a": a}, [left, right], verbose=0)
    assert [y.shape for y in model.predict({"a": a, "b": b}, verbose=0)] == [(5, 2), (5, 1)]

    class Pair(Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1)

        def call(self, inputs):
            a, b = inputs
            return {"sum": self.dense(a) + self.dense(a), "b": b / 2}

    pair = Pair()
    assert set(pair((a, b))) == {"sum", "b"}
    assert pair.count_params() == 4
    built = Pair()
    built.build([(None, 3), (None, 2)])
    assert [t.shape for t in built.inputs] == [(None, 3), (None, 2)]


def test_layers_made_in_build_are_drawn_too(rng):
    class Late(layers.Layer):
        def build(self, input_shape):
            self.dense = layers.Dense(input_shape[-1])

        def call(self, x):
            return x - self.dense(x)

    late = Late()
    assert late(np.ones((2, 3))).shape == (2, 3)
    assert late.count_params() == 12


def test_a_written_model_is_saved_as_the_network_it_draws(rng, tmp_path):
    x = rng.normal(size=(4, 6, 6, 2)).astype(np.float32)
    model = Sequential([Input((6, 6, 2)), Residual(3), layers.Flatten(), Classifier(2)])
    expected = model.predict(x, verbose=0)
    model.save(tmp_path / "model.keras")
    opened = models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(opened.predict(x, verbose=0), expected)
    for other in (copy.deepcopy(model), models.clone_model(model)):
        other.set_weights(model.get_weights())
        np.testing.assert_array_equal(other.predict(x, verbose=0), expected)
    top = Classifier(3)
    top.build((None, 4))
    assert models.clone_model(top).count_params() == top.count_params()
    top.save_weights(tmp_path / "top.weights.h5")
    again = Classifier(3)
    again.build((None, 4))
    again.load_weights(tmp_path / "top.weights.h5")
    np.testing.assert_array_equal(
        again(x[..., 0, 0, :1] * np.ones(4)), top(x[..., 0, 0, :1] * np.ones(4))
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda self, x: np.exp(x), r"Mine.call\(\) cannot be drawn.*backward"),
        (lambda self, x, training: self.d(x) if training else x, "hand it on"),
        (lambda self, x: x[0], "not subscriptable"),
        (lambda self, x: self.w * x, "no attribute 'w'"),
    ],
)
def test_what_call_cannot_do_is_said(call, message):
    Mine = type("Mine", (Model,), {"call": call})
    with pytest.raises(TypeError, match=message):
        Mine()(np.ones((2, 3)))


def test_a_weight_of_its_own_needs_a_backward():
    class Scale(layers.Layer):
        def build(self, input_shape):
            self.s = self.add_weight((input_shape[-1],), "ones", "s")

        def call(self, x):
            return x * self.s

    with pytest.raises(TypeError, match=r"Scale: its weight 's' .*backward"):
        Scale()(np.ones((2, 3)))


def test_a_step_of_ones_own_and_a_forgotten_init_are_refused():
    with pytest.raises(TypeError, match=r"Own: train_step\(\) would not be called"):

        class Own(Model):
            def train_step(self, data):
                return {}

    class Forgetful(Model):
        def __init__(self):
            self.dense = layers.Dense(1)

        def call(self, x):
            return self.dense(x)

    with pytest.raises(AttributeError, match=r"super\(\).__init__"):
        Forgetful()(np.ones((2, 3)))
    with pytest.raises(ValueError, match="has no inputs yet"):
        _ = Classifier(2).inputs
    with pytest.raises(TypeError, match="inputs: expected symbolic tensors"):
        minicnn.Model()
    with pytest.raises(TypeError, match="unknown argument 'input'; write inputs"):
        minicnn.Model(input=Input((2,)), output=Input((2,)))


def test_an_activation_of_a_symbolic_tensor_is_a_layer(rng):
    x = Input((4,))
    model = Model(x, activations.relu(x, max_value=1.0))
    data = rng.normal(size=(5, 4)).astype(np.float32)
    np.testing.assert_array_equal(model.predict(data, verbose=0), data.clip(0, 1))
    assert isinstance(model.layers[-1], layers.Activation)
