"""Weights that fit updates during the backward pass: nobody can tell, but by the gradients."""

import numpy as np
import pytest

pytest.importorskip("numba")

import minicnn
from minicnn import layers, optimizers, regularizers
from minicnn.backends import numba as fast, numpy as textbook
from minicnn.backends.numba import threads
from minicnn.backends.numba.update_in_backward import Piece, awaited_gradient
from minicnn.callbacks import Callback, EarlyStopping, LambdaCallback
from minicnn.checking import relative_error
from minicnn.variables import ParameterVector, Variable

UNITS = 300  # 300 inputs and 300 units are more than update_in_backward.LARGE


class Watcher(Callback):
    """Somebody's own callback, which looks at the gradients."""

    def on_train_batch_end(self, batch, logs=None):
        self.gradients = [w.gradient.copy() for w in self.model.trainable_weights]


class OwnDense(layers.Dense):
    pass


class OwnSGD(optimizers.SGD):
    pass


@pytest.fixture
def data():
    rng = np.random.default_rng(3)
    return rng.standard_normal((70, UNITS)).astype(np.float32), rng.integers(0, 4, 70)


def dense_layers():
    return [
        layers.Dense(UNITS, activation="relu"),
        layers.Dense(7, activation="tanh"),
        layers.Dense(UNITS),
        layers.Dense(UNITS, activation="relu"),
        layers.Dense(4, activation="softmax"),
    ]


def net(optimizer="sgd", drawn=dense_layers):
    minicnn.utils.set_random_seed(5)
    x = y = minicnn.Input((UNITS,))
    for layer in drawn():
        y = layer(y)
    model = minicnn.Model(x, y)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model


def fit(model, data, callbacks=None, epochs=2):
    model.fit(*data, batch_size=16, epochs=epochs, verbose=0, callbacks=callbacks)
    return [model.optimizer.iterations, *model.get_weights(), *model.optimizer.slots.values()]


def without_gradient(model):
    return [weight for weight in model.trainable_weights if weight.gradient is None]


OPTIMIZERS = [
    optimizers.SGD(optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)),
    optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    optimizers.RMSprop(),
    optimizers.Adam(),
    optimizers.Adam(amsgrad=True),
    optimizers.Adamax(),
    optimizers.Nadam(),
    optimizers.Adagrad(),
    optimizers.Adadelta(),
    optimizers.Lion(),
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: o.name)
def test_the_weights_are_the_same_to_the_bit(data, optimizer):
    """The last of five batches has fewer samples than the others."""
    both = []
    for callbacks in (None, [Watcher()]):
        model = net(type(optimizer).from_config(optimizer.get_config()))
        both.append(fit(model, data, callbacks))
        assert len(without_gradient(model)) == (0 if callbacks else 2)
    for ours, theirs in zip(*both, strict=True):
        assert np.array_equal(ours, theirs)


def test_float64_and_a_branch(data):
    def branched():
        minicnn.utils.set_random_seed(5)
        x = minicnn.Input((UNITS,))
        h = layers.Dense(UNITS, activation="relu")(x)
        y = layers.Dense(4)(layers.Add()([h, layers.Dense(UNITS)(h), layers.Dense(UNITS)(x)]))
        return minicnn.Model(x, y)

    both = []
    for callbacks in (None, [Watcher()]):
        try:
            minicnn.backend.set_floatx("float64")
            model = branched()
        finally:
            minicnn.backend.set_floatx("float32")
        model.compile("adam", minicnn.losses.SparseCategoricalCrossentropy(from_logits=True))
        both.append(fit(model, data, callbacks))
        assert both[-1][1].dtype == np.float64
        assert len(without_gradient(model)) == (0 if callbacks else 3)
    for ours, theirs in zip(*both, strict=True):
        assert np.array_equal(ours, theirs)


def test_the_same_with_any_number_of_threads(data, monkeypatch):
    results = []
    for workers in (1, 2, 4):
        monkeypatch.setattr(threads, "workers", workers)
        monkeypatch.setattr(threads, "WORTH_WAKING", 0)
        results.append(fit(net("adam"), data))
    for ours, *theirs in zip(*results, strict=True):
        assert all(np.array_equal(ours, one) for one in theirs)


def test_the_textbook_comes_to_the_same(data):
    both, before = [], minicnn.backend.name()
    try:
        for floor in ("numba", "numpy"):
            minicnn.backend.use(floor)
            both.append(fit(net(optimizers.SGD(0.1)), data, epochs=1))
    finally:
        minicnn.backend.use(before)
    for ours, theirs in zip(*both, strict=True):
        assert relative_error(np.asarray(ours, float), np.asarray(theirs, float)) < 1e-4


def test_who_looks_sees_gradients(data):
    """Own callbacks during the training; afterwards whoever makes a step or asks for gradients."""
    watcher = Watcher()
    model = net("adam")
    fit(model, data, [EarlyStopping("loss", patience=5), watcher])
    assert all(gradient.any() for gradient in watcher.gradients)

    fit(model, data, [EarlyStopping("loss", patience=5)])
    assert without_gradient(model)
    _, gradients = model.compute_gradients(*data)
    assert not without_gradient(model)
    for gradient, weight in zip(gradients, model.trainable_weights, strict=True):
        assert np.array_equal(gradient, weight.gradient)

    fit(model, data)
    before = model.get_weights()
    model.train_on_batch(*data)
    assert not without_gradient(model)
    model.compute_gradients(*data)
    assert not any(np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True))

    seen = []
    look = LambdaCallback(on_train_batch_end=lambda *_: seen.extend(without_gradient(model)))
    fit(model, data, [look])
    assert not seen


def shared():
    again = layers.Dense(UNITS, activation="relu")
    return [again, again, layers.Dense(4, activation="softmax")]


def nested():
    inner = minicnn.Sequential([layers.Input((UNITS,)), layers.Dense(UNITS)])
    return [inner, layers.Dense(4, activation="softmax")]


@pytest.mark.parametrize(
    ("drawn", "optimizer"),
    [
        (lambda: [layers.Dense(UNITS, kernel_regularizer=regularizers.L2(0.1))], "sgd"),
        (lambda: [OwnDense(UNITS)], "sgd"),
        (shared, "sgd"),
        (nested, "sgd"),
        (lambda: [layers.Dense(UNITS)], optimizers.SGD(clipnorm=0.01)),
        (lambda: [layers.Dense(UNITS)], optimizers.SGD(clipvalue=0.01)),
        (lambda: [layers.Dense(UNITS)], optimizers.Adam(global_clipnorm=0.01)),
        (lambda: [layers.Dense(UNITS)], optimizers.AdamW()),
        (lambda: [layers.Dense(UNITS)], OwnSGD()),
        (lambda: [layers.Dense(UNITS)], optimizers.RMSprop(centered=True)),
        (lambda: [layers.Dense(UNITS)], optimizers.RMSprop(momentum=0.5)),
    ],
)
def test_where_the_whole_gradient_is_needed(data, drawn, optimizer):
    """As where somebody looks at it, and the weights are the same."""
    both = []
    for callbacks in (None, [Watcher()]):
        if not isinstance(optimizer, str):
            optimizer = type(optimizer).from_config(optimizer.get_config())
        model = net(optimizer, drawn)
        both.append(fit(model, data, callbacks))
        assert not without_gradient(model)
    for ours, theirs in zip(*both, strict=True):
        assert np.array_equal(ours, theirs)


def test_frozen_weights_stay(data):
    model = net()
    frozen = model.layers[3]
    frozen.trainable = False
    before = frozen.kernel.numpy()
    fit(model, data)
    assert np.array_equal(frozen.kernel.numpy(), before)
    frozen.trainable = True
    fit(model, data)
    assert not np.array_equal(frozen.kernel.numpy(), before)


def test_constraints_hold(data):
    model = net(drawn=lambda: [layers.Dense(UNITS, kernel_constraint="non_neg"), layers.Dense(4)])
    fit(model, data)
    kernel = model.layers[1].kernel
    assert without_gradient(model) == [kernel]
    assert kernel.numpy().min() == 0


def test_an_interrupted_step_leaves_nothing_behind(data, monkeypatch):
    model = net()
    fit(model, data)
    first = model.layers[1]

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(first, "backward", interrupted)
        with pytest.raises(KeyboardInterrupt):
            model.train_on_batch(*data)
        with pytest.raises(KeyboardInterrupt):
            fit(model, data)
    before = model.get_weights()
    y, saved = first.forward(data[0], training=True)
    first.backward(np.ones_like(y), saved)
    model.compute_gradients(*data)
    assert all(np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("input_gradient", [True, False])
@pytest.mark.parametrize("shape", [(1, 257, 257), (5, 1301, 61), (64, 3072, 32), (130, 300, 301)])
def test_the_operation_updates_its_weights(rng, shape, input_gradient, dtype):
    """Those of one matrix in the middle of a vector, and no others."""
    n, inputs, units = shape
    x, W, dy = (rng.standard_normal(s).astype(dtype) for s in ((n, inputs), shape[1:], (n, units)))
    sides = [Variable(rng.standard_normal(13).astype(dtype)) for _ in range(2)]
    weights = ParameterVector([sides[0], Variable(W.copy()), sides[1]], fast)
    before = weights.value.copy()
    awaited = awaited_gradient(weights)
    fast.sgd(weights.value, awaited, 0.1)
    _, piece, _ = awaited.pieces
    assert isinstance(piece, Piece)
    out = piece, None
    dx, taken, db = fast.dense_backward(dy, x, weights.variables[1].value, input_gradient, out)
    assert taken is piece
    expected_dx, dW, expected_db = textbook.dense_backward(*(a.astype(float) for a in (dy, x, W)))
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    if input_gradient:
        assert relative_error(dx, expected_dx) < tolerance
    assert relative_error(db, expected_db) < tolerance
    assert relative_error(weights.variables[1].value, W - 0.1 * dW) < tolerance
    for variable, place in zip(sides, (weights.slices[0], weights.slices[2]), strict=True):
        assert np.array_equal(variable.value, before[place])
        variable.gradient[...] = 2
    awaited.finish()
    for variable, place in zip(sides, (weights.slices[0], weights.slices[2]), strict=True):
        assert relative_error(variable.value, before[place] - 0.2) < 1e-6
    assert relative_error(weights.variables[1].value, W - 0.1 * dW) < tolerance


def test_few_weights_are_not_worth_it():
    weights = ParameterVector([Variable(np.ones((255, 256), np.float32))], fast)
    assert awaited_gradient(weights) is None
    weights = ParameterVector([Variable(np.ones((256, 256), np.float32))], fast)
    assert awaited_gradient(weights) is not None
