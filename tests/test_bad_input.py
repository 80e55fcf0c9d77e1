"""Bad input raises an error that names the argument, what came and what was expected, and a failed
call leaves the weights as they were."""

import numpy as np
import pytest

import minicnn
from minicnn import Sequential, layers, optimizers


def make_model(loss="sparse_categorical_crossentropy"):
    model = Sequential(
        [
            layers.Conv2D(2, 3, activation="relu", input_shape=(6, 6, 1), name="conv"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax", name="out"),
        ],
        name="net",
    )
    model.compile("sgd", loss)
    return model


X = np.random.default_rng(0).normal(size=(8, 6, 6, 1))
Y = np.array([0, 1, 2, 0, 1, 2, 0, 1])


@pytest.mark.parametrize(
    ("x", "y", "options", "error", "message"),
    [
        (X[0, 0, 0], Y[:1], {}, ValueError, r"expected shape \(None, 6, 6, 1\).*got \(1,\)"),
        (X[..., 0][..., 0], Y, {}, ValueError, r"expected shape \(None, 6, 6, 1\).*got \(8, 6\)"),
        (np.repeat(X, 3, -1), Y, {}, ValueError, r"\(None, 6, 6, 1\).*got \(8, 6, 6, 3\)"),
        (X[:, :5], Y, {}, ValueError, r"got \(8, 5, 6, 1\)"),
        (X, Y + 1, {}, ValueError, r"3"),
        (X, Y - 1, {}, ValueError, r"-1"),
        (X, Y + 0.5, {}, ValueError, r"0\.5"),
        (X, Y[:7], {}, ValueError, r"y: has 7 samples, but x has 8"),
        (X, None, {}, ValueError, r"y: .*needs targets, got None"),
        (None, Y, {}, ValueError, r"x: expected an array or a data set, got None"),
        (X[:0], Y[:0], {}, ValueError, r"x: expected at least one sample"),
        (X, np.eye(3)[Y], {}, ValueError, r"categorical_crossentropy|one-hot"),
        (X, np.array(["a"] * 8), {}, TypeError, r"y: expected an array of numbers"),
        (np.array([["a"]]), Y, {}, TypeError, r"x: expected an array of numbers"),
        ([[1, 2], [3]], Y, {}, ValueError, r"x: .*rows differ in length"),
        (X, Y, {"batch_size": 0}, ValueError, r"batch_size: expected a positive integer, got 0"),
        (X, Y, {"batch_size": 2.5}, ValueError, r"batch_size: .*got 2\.5"),
        (X, Y, {"validation_split": 1.5}, ValueError, r"validation_split: .*got 1\.5"),
        (X, Y, {"validation_split": 0.95}, ValueError, r"validation_split: .*leaves none"),
        (X, Y, {"sample_weight": np.ones(3)}, ValueError, r"sample_weight: has 3 samples"),
        (X, Y, {"class_weight": [1, 2, 3]}, TypeError, r"class_weight: expected a dict"),
        (X, Y, {"verbose": 7}, ValueError, r"verbose: expected 0, 1, 2 or 'auto', got 7"),
        (X, Y, {"validation_data": (X, Y + 9)}, ValueError, r"9|10|11"),
        (X, Y, {"validation_data": (X[:, :5], Y)}, ValueError, r"got \(8, 5, 6, 1\)"),
        (X, Y, {"validation_data": [X]}, ValueError, r"validation_data: .*got 1 parts"),
        (X, Y, {"validation_data": (X, Y, Y, Y)}, ValueError, r"validation_data: .*got 4 parts"),
    ],
)
def test_fit_refuses_and_changes_nothing(x, y, options, error, message):
    model = make_model()
    before = model.get_weights()
    with pytest.raises(error, match=message):
        model.fit(x, y, **{"verbose": 0, **options})
    for now, kept in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, kept)
    model.fit(X, Y, verbose=0)  # and the model still works


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: layers.Dropout(1.5), ValueError, r"rate.*1\.5"),
        (lambda: layers.Conv2D(0, 3), ValueError, r"filters.*0"),
        (lambda: layers.Conv2D(4.0, 3), TypeError, r"filters.*4\.0"),
        (lambda: layers.Conv2D(4, (3, -1)), ValueError, r"kernel_size.*-1"),
        (lambda: layers.Conv2D(4, 3, strides=0), ValueError, r"strides.*0"),
        (lambda: layers.Conv2D(4, 3, padding="full"), ValueError, r"padding.*'full'"),
        (lambda: layers.Conv2D(4, 3, activation="rellu"), ValueError, r"'rellu'.*relu"),
        (lambda: layers.Dense(3, kernel_initializer="glorot"), ValueError, r"'glorot'"),
        (lambda: layers.Dense(3, kernel_regularizer="l3"), ValueError, r"'l3'"),
        (lambda: layers.MaxPooling2D(0), ValueError, r"pool_size.*0"),
        (lambda: layers.Conv2D(2, 9)(X), ValueError, r"conv2d.*6.*9|9.*6"),
        (lambda: layers.Conv2D(2, 3)(X[0]), ValueError, r"rank 4"),
        (lambda: layers.MaxPooling2D(7)(X), ValueError, r"max_pooling2d"),
        (lambda: layers.Dense(0), ValueError, r"units.*0"),
        (lambda: layers.Dense(2, input_shape=(-3,)), ValueError, r"input_shape"),
        (lambda: layers.Dense(2, input_shape=3), TypeError, r"input_shape"),
        (lambda: layers.Dense(2, input_dim=-3), ValueError, r"input_dim: .*-3"),
        (lambda: layers.Dense(2, input_dim="3"), TypeError, r"input_dim: expected an int, got '3'"),
        (lambda: layers.Dense(2, input_dim=3, input_shape=(3,)), ValueError, r"input_dim.*both"),
        (lambda: layers.Dense(2, name=3), TypeError, r"name.*3"),
        (lambda: layers.Dense(2, bogus=1), TypeError, r"bogus"),
        (lambda: layers.BatchNormalization(momentum=2), ValueError, r"momentum.*2"),
        (lambda: optimizers.Adam(-1), ValueError, r"learning_rate.*-1"),
        (lambda: optimizers.Adam(beta_1=1.5), ValueError, r"beta_1.*1\.5"),
        (lambda: optimizers.SGD(lr=0.1), TypeError, r"SGD: .*'lr'; write learning_rate$"),
        (lambda: optimizers.Adam(decay=1e-6), TypeError, r"Adam: .*'decay'; .*InverseTimeDecay"),
        (lambda: optimizers.Nadam(bogus=1), TypeError, r"Nadam: unknown argument 'bogus'$"),
        (lambda: make_model().compile("adamm", "mse"), ValueError, r"'adamm'.*[Aa]dam"),
        (lambda: make_model().compile("adam", "cross"), ValueError, r"unknown loss 'cross'"),
        (
            lambda: make_model().compile("adam", "mse", steps_per_execution=4),
            ValueError,
            r"steps_per_execution: expected 1 or None, got 4",
        ),
        (
            lambda: make_model().compile("adam", "mse", jit_compile="gpu"),
            ValueError,
            r"jit_compile: expected 'auto' or False or True or None, got 'gpu'",
        ),
        (
            lambda: make_model().compile("adam", "mse", run_eagerly="yes"),
            ValueError,
            r"run_eagerly: .*got 'yes'",
        ),
        (lambda: make_model(lambda y, p: p), TypeError, r"gradient"),
        (lambda: minicnn.backend.use("cuda"), ValueError, r"'cuda'.*numpy"),
        (lambda: minicnn.utils.set_random_seed(-1), ValueError, r"-1"),
    ],
)
def test_wrong_arguments_are_named(build, error, message):
    with pytest.raises(error, match=message):
        build()


def test_training_before_compile_is_refused():
    model = Sequential([layers.Dense(1, input_shape=(2,))], name="raw")
    for call in (model.fit, model.evaluate, model.train_on_batch, model.compute_gradients):
        with pytest.raises(ValueError, match="'raw' is not compiled"):
            call(np.ones((2, 2)), np.ones((2, 1)))
    assert model.predict(np.ones((2, 2)), verbose=0).shape == (2, 1)
    model.compile("sgd")
    with pytest.raises(ValueError, match="without a loss"):
        model.fit(np.ones((2, 2)), np.ones((2, 1)))


def test_a_failed_compile_leaves_the_earlier_one_in_force():
    model = make_model()
    optimizer = model.optimizer
    with pytest.raises(ValueError, match="mysterious"):
        model.compile("adam", "mysterious")
    with pytest.raises(TypeError, match=r"loss_weights: .*'accuracy'.*metrics="):
        model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    with pytest.raises(ValueError, match="acuracy"):
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["acuracy"])
    assert model.optimizer is optimizer
    model.fit(X, Y, verbose=0)


def test_an_unknown_module_attribute_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'minicnn' has no attribute 'kayers'"):
        _ = minicnn.kayers


def test_a_call_that_would_not_be_carried_out_is_refused():
    """Where a forward is inherited, it is what runs."""
    with pytest.raises(TypeError, match=r"Always: call\(\) .*Dropout .*super\(\).forward"):

        class Always(layers.Dropout):
            def call(self, x):
                return super().forward(x, True)

    with pytest.raises(TypeError, match=r"Chain: call\(\) .*Sequential"):

        class Chain(minicnn.Sequential):
            def call(self, x):
                return x

    class Both(layers.Layer):
        def call(self, x):
            return 2 * x

        def forward(self, x, training):
            return self.call(x), None

    assert Both()(np.ones((1, 1))) == 2
