"""compile, fit, evaluate, predict."""

import warnings

import numpy as np
import pytest

from minicnn import Input, Sequential, callbacks, gradient_check, layers, losses, optimizers
from minicnn.backends import numpy as textbook
from minicnn.data import Dataset
from minicnn.models import batches
from minicnn.random import SeedGenerator
from minicnn.utils import PyDataset, set_random_seed, to_categorical


def small_model(**options):
    return Sequential(
        [
            layers.Conv2D(4, 3, activation="relu", input_shape=(6, 6, 1)),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(3, activation="softmax", **options),
        ]
    )


@pytest.fixture
def data(rng):
    """Three kinds of pictures: bright on top, in the middle, at the bottom."""
    labels = rng.integers(0, 3, 96)
    pictures = rng.normal(scale=0.3, size=(96, 6, 6, 1))
    for picture, label in zip(pictures, labels, strict=True):
        picture[2 * label : 2 * label + 2] += 1
    return pictures.astype(np.float32), labels


def test_a_small_network_learns(data):
    x, y = data
    set_random_seed(0)
    model = small_model()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, epochs=30, batch_size=16, verbose=0)
    assert list(history.history) == ["accuracy", "loss"]
    assert history.epoch == list(range(30))
    loss, accuracy = model.evaluate(x, y, verbose=0)
    assert accuracy > 0.95
    assert loss < history.history["loss"][0] / 2
    assert (model.predict(x, verbose=0).argmax(axis=1) == y).mean() == pytest.approx(accuracy)


@pytest.mark.parametrize(
    ("loss", "convert"),
    [
        ("sparse_categorical_crossentropy", lambda y: y),
        ("SparseCategoricalCrossentropy", lambda y: y[:, None].astype(np.float64)),
        (losses.sparse_categorical_crossentropy, lambda y: y.astype(np.uint8)),
        ("CATEGORICAL_CROSSENTROPY", lambda y: to_categorical(y, 3)),
        (losses.CategoricalCrossentropy(), lambda y: to_categorical(y, 3).astype(int)),
    ],
)
def test_losses_and_labels_in_every_form_give_the_same_training(data, loss, convert):
    x, y = data
    set_random_seed(3)
    reference, model = small_model(), small_model()
    model.set_weights(reference.get_weights())
    reference.compile("sgd", "sparse_categorical_crossentropy")
    model.compile("SGD", loss, metrics=["accuracy"])
    reference.fit(x, y, shuffle=False, verbose=0)
    model.fit(x, convert(y), shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), reference.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_inputs_of_every_dtype_and_layout_give_the_same_answer(data):
    model = small_model()
    x = (data[0] * 50 + 100).clip(0, 255).astype(np.uint8)
    want = model.predict(x, verbose=0)
    assert want.dtype == np.float32
    wide = np.zeros((96, 12, 6, 1))
    wide[:, ::2] = x
    for same in (x.astype(np.float64), x.astype(np.int64), wide[:, ::2], np.asfortranarray(x)):
        np.testing.assert_array_equal(model.predict(same, verbose=0), want)
    np.testing.assert_array_equal(model.predict(x[..., 0], verbose=0), want)  # the axis is added
    np.testing.assert_allclose(model.predict(x, batch_size=7, verbose=0), want, rtol=1e-5)
    np.testing.assert_allclose(model.predict_on_batch(x), want, rtol=1e-5)


class Frame:
    """A table as pandas has it: it becomes an array, and its ``get`` wants a column's name. Like
    PyTorch's tensors, it might lie on a GPU, but does not."""

    def __init__(self, array):
        self.array, self.shape = array, array.shape

    def __len__(self):
        return len(self.array)

    def __iter__(self):
        return iter("abc")

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.array, dtype)

    def get(self, key):
        raise KeyError(key)

    @property
    def __cuda_array_interface__(self):
        raise AttributeError("it is not on a GPU")


def test_tables_are_arrays():
    x, y = np.random.default_rng(0).random((20, 4)), np.arange(20) % 3
    histories, predictions = [], []
    for kind in (np.asarray, Frame):
        model = Sequential(
            [layers.Input((4,)), layers.Dense(3, "softmax", kernel_initializer="ones")]
        )
        model.compile("sgd", "sparse_categorical_crossentropy")
        data = {"validation_data": (kind(x), kind(y)), "sample_weight": kind(x[:, 0])}
        fitted = model.fit(kind(x), kind(y), verbose=0, shuffle=False, **data)
        histories.append(fitted.history)
        predictions.append(model.predict(kind(x), verbose=0))
    assert histories[0] == histories[1]
    assert np.array_equal(*predictions)


def test_nothing_is_promoted_in_a_float32_step(data, monkeypatch):
    seen = []
    model = Sequential(
        [
            layers.Input((6, 6, 1)),
            layers.Rescaling(1 / 2, 0.1),
            layers.Conv2D(4, 3, padding="same", kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.DepthwiseConv2D(3, activation="gelu"),
            layers.GaussianNoise(0.1),
            layers.SpatialDropout2D(0.2),
            layers.AveragePooling2D(2),
            layers.UpSampling2D(),
            layers.Conv2DTranspose(2, 3, activity_regularizer="l1"),
            layers.PReLU(),
            layers.LayerNormalization(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(3, activation="softmax"),
        ]
    )
    for layer in model.layers:
        for method in ("forward", "backward"):
            original = getattr(layer, method)

            def watched(*args, run=original, who=f"{layer.name}.{method}", **kwargs):
                result = run(*args, **kwargs)
                value = result[0] if who.endswith("forward") else result
                if value is not None:
                    seen.append((who, value.dtype))
                return result

            monkeypatch.setattr(layer, method, watched)
    for optimizer in ("sgd", "rmsprop", "adam", "adamw", "nadam", "lion", "adagrad"):
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(*data, verbose=0)
        slots = model.optimizer.slots.values()
        assert all(slot.dtype == np.float32 for slot in slots)
    assert len(seen) > 100
    assert [entry for entry in seen if entry[1] != np.float32] == []
    assert all(w.value.dtype == w.gradient.dtype == np.float32 for w in model.trainable_weights)


def test_validation_split_takes_the_last_part_before_shuffling(data):
    x, y = data
    model = small_model()
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    seen = []
    step = model._train_step
    model._train_step = lambda x, *rest: (seen.append(x[0]), step(x, *rest))
    history = model.fit(x, y, validation_split=0.25, epochs=2, verbose=0).history
    assert list(history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    first = np.concatenate(seen[:3])
    assert len(first) == 72
    assert not np.array_equal(first, x[:72])  # shuffled
    sort = np.lexsort(first.reshape(72, -1).T), np.lexsort(x[:72].reshape(72, -1).T)
    np.testing.assert_array_equal(first[sort[0]], x[:72][sort[1]])
    assert not np.array_equal(first, np.concatenate(seen[3:]))  # anew each epoch
    held_out = model.evaluate(x[72:], y[72:], verbose=0, return_dict=True)
    assert held_out["loss"] == pytest.approx(history["val_loss"][-1], rel=1e-6)
    given = model.fit(x, y, validation_data=(x[72:], y[72:]), verbose=0).history
    assert set(given) == {"accuracy", "loss", "val_accuracy", "val_loss"}


def test_the_same_seed_gives_the_same_run_to_the_bit(data):
    x, y = data

    def run():
        set_random_seed(11)
        model = small_model()
        last = model.pop()
        model.add(layers.Dropout(0.3))
        model.add(last)
        model.compile("adam", "sparse_categorical_crossentropy")
        history = model.fit(x, y, epochs=3, verbose=0).history["loss"]
        return history, model.get_weights()

    (loss, weights), (loss_again, weights_again) = run(), run()
    assert loss == loss_again
    for a, b in zip(weights, weights_again, strict=True):
        np.testing.assert_array_equal(a, b)


def test_initial_epoch_goes_on_where_an_earlier_training_stopped(data):
    model = small_model()
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(*data, epochs=2, verbose=0)
    assert model.fit(*data, epochs=5, initial_epoch=2, verbose=0).epoch == [2, 3, 4]


def test_sample_and_class_weights_weigh_the_loss(data):
    x, y = data
    models = [small_model() for _ in range(3)]
    for model in models:
        model.set_weights(models[0].get_weights())
        model.compile("sgd", "sparse_categorical_crossentropy")
    models[0].fit(x, y, class_weight={0: 3.0, 2: 0.5}, shuffle=False, verbose=0)
    weights = np.array([3.0, 1.0, 0.5])[y]
    models[1].fit(x, y, sample_weight=weights, shuffle=False, verbose=0)
    models[2].fit(x, y, shuffle=False, verbose=0)
    for a, b in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    assert not np.allclose(models[0].get_weights()[0], models[2].get_weights()[0])


def test_a_confident_mistake_neither_overflows_nor_loses_its_gradient():
    model = Sequential([layers.Dense(2, activation="softmax", input_shape=(1,))])
    model.set_weights([np.array([[1e4, -1e4]]), np.zeros(2)])
    x, y = np.ones((1, 1)), np.array([1])
    for loss, target in (
        ("sparse_categorical_crossentropy", y),
        ("categorical_crossentropy", np.eye(2)[y]),
    ):
        model.compile("sgd", loss)
        value, gradients = model.compute_gradients(x, target)
        assert value == pytest.approx(2e4)
        np.testing.assert_allclose(gradients[0], [[1, -1]])  # p - y
    sigmoid = Sequential([layers.Dense(1, activation="sigmoid", input_shape=(1,))])
    sigmoid.set_weights([np.array([[-200.0]]), np.zeros(1)])
    sigmoid.compile("sgd", "binary_crossentropy")
    value, gradients = sigmoid.compute_gradients(x, np.ones((1, 1)))
    assert value == pytest.approx(200)
    np.testing.assert_allclose(gradients[0], [[-1]])


def test_compute_gradients_is_what_fit_minimises_and_changes_nothing(data):
    x, y = data
    model = Sequential(
        [
            layers.Conv2D(3, 3, input_shape=(6, 6, 1), kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.Activation("tanh"),
            layers.Flatten(),
            layers.Dropout(0.4),
            layers.Dense(3, activation="softmax", activity_regularizer="l1"),
        ]
    )
    model.compile(optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    before = model.get_weights()
    loss, gradients = model.compute_gradients(x, y, training=True)
    again, same = model.compute_gradients(x, y, training=True)
    assert loss == again
    for a, b in zip(gradients, same, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    trainable = [w.numpy() for w in model.trainable_weights]
    assert model.train_on_batch(x, y) == pytest.approx(loss, rel=1e-6)
    for weight, old, gradient in zip(model.trainable_weights, trainable, gradients, strict=True):
        np.testing.assert_allclose(weight.numpy(), old - 0.1 * gradient, rtol=1e-5, atol=1e-7)
    assert gradient_check(model, x[:4], y[:4]).passed


def test_batches_one_at_a_time(data):
    x, y = data
    model = small_model()
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    result = model.test_on_batch(x, y, return_dict=True)
    assert model.evaluate(x, y, verbose=0, return_dict=True)["loss"] == pytest.approx(
        result["loss"], rel=1e-5
    )
    losses_ = [model.train_on_batch(x, y)[0] for _ in range(20)]
    assert losses_[-1] < losses_[0]


def test_frozen_weights_stay_and_the_rest_learns(data):
    model = small_model()
    model.layers[0].trainable = False
    model.compile("adam", "sparse_categorical_crossentropy")
    before = model.get_weights()
    model.fit(*data, verbose=0)
    after = model.get_weights()
    np.testing.assert_array_equal(before[0], after[0])
    assert not np.array_equal(before[2], after[2])
    model.layers[0].trainable = True
    model.fit(*data, verbose=0)
    assert not np.array_equal(model.get_weights()[0], after[0])


def test_two_models_that_share_layers_train_in_turn(data):
    from minicnn import Model

    x, y = data
    model = small_model()
    other = Model(model.inputs, layers.Dense(1)(model.layers[2].output))
    model.compile("adam", "sparse_categorical_crossentropy")
    other.compile("adam", "mse")
    kernel = model.layers[0].kernel
    for _ in range(2):
        for one, target in ((model, y), (other, y[:, None].astype(float))):
            before = kernel.numpy()
            one.fit(x, target, verbose=0)
            assert not np.array_equal(kernel.numpy(), before)
    np.testing.assert_array_equal(kernel.numpy(), model.get_weights()[0])


def test_regularizers_and_constraints_act(data):
    x, y = data
    model = small_model(kernel_constraint="max_norm", kernel_regularizer="l2")
    model.set_weights([w * 3 for w in model.get_weights()])
    model.compile(optimizers.SGD(0.01), "sparse_categorical_crossentropy")
    plain = small_model()
    plain.set_weights(model.get_weights())
    plain.compile("sgd", "sparse_categorical_crossentropy")
    penalty = 0.01 * (model.layers[-1].kernel.numpy() ** 2).sum()
    total = model.evaluate(x, y, verbose=0)
    assert total == pytest.approx(plain.evaluate(x, y, verbose=0) + penalty, rel=1e-5)
    model.fit(x, y, verbose=0)
    norms = np.linalg.norm(model.layers[-1].kernel.numpy(), axis=0)
    assert (norms < 2 + 1e-5).all()


def test_a_generator_trains_with_steps_per_epoch(data):
    x, y = data

    def forever():
        while True:
            for start in range(0, 96, 32):
                yield x[start : start + 32], y[start : start + 32]

    model = small_model()
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert model.fit(forever(), steps_per_epoch=4, epochs=2, verbose=0).epoch == [0, 1]
    assert np.isfinite(model.evaluate(forever(), steps=2, verbose=0))
    batches = [(x[:50], y[:50], np.ones(50)), (x[50:], y[50:], np.ones(46))]
    stream = iter(batches)
    assert model.evaluate(stream, verbose=0) == pytest.approx(
        model.evaluate(x, y, verbose=0), rel=1e-5
    )


def test_stop_training_ends_the_run(data):
    from minicnn.callbacks import Callback

    class Stop(Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    model = small_model()
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert model.fit(*data, epochs=9, callbacks=[Stop()], verbose=0).epoch == [0, 1]


def test_validation_data_may_be_a_list(data):
    x, y = data
    model = small_model()
    model.compile("sgd", "sparse_categorical_crossentropy")
    for weight in (None, np.linspace(0, 2, 24)):
        given = [x[72:], y[72:]] + ([] if weight is None else [weight])
        history = model.fit(x, y, validation_data=given, verbose=0).history
        expected = model.evaluate(x[72:], y[72:], sample_weight=weight, verbose=0)
        assert history["val_loss"] == [pytest.approx(expected, rel=1e-6)]


def test_wrong_validation_data_are_called_so(data):
    x, y = data
    model = small_model()
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="validation data: y: has 5 samples, but x has 9"):
        model.fit(x, y, validation_data=(x[:9], y[:5]), verbose=0)
    for wrong in (0, "2"):
        with pytest.raises((TypeError, ValueError), match="validation_freq"):
            model.fit(x, y, validation_data=(x, y), validation_freq=wrong, verbose=0)


def test_a_generator_that_runs_out_is_reported(data):
    x, y = data
    model = small_model()
    model.compile("sgd", "sparse_categorical_crossentropy")

    def batches(n):
        for _ in range(n):
            yield x[:8], y[:8]

    with pytest.warns(UserWarning, match=r"ran out: 1 batches came where at least 2") as caught:
        model.fit(batches(3), epochs=2, steps_per_epoch=2, verbose=0)
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match=r"ran out: 0 batches came where at least 1"):
        model.fit(batches(3), epochs=2, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(batches(4), epochs=2, steps_per_epoch=2, verbose=0)
        model.fit(batches(3), verbose=0)


@pytest.mark.parametrize(
    "options",
    [
        {"run_eagerly": True, "jit_compile": False, "steps_per_execution": 1},
        {"run_eagerly": None, "jit_compile": None, "steps_per_execution": None},
        {"run_eagerly": False, "jit_compile": "auto"},
        {"jit_compile": True},
    ],
)
def test_how_keras_compiles_a_step_changes_nothing(data, options):
    def trained(**options):
        set_random_seed(2)
        model = small_model()
        model.compile("sgd", "sparse_categorical_crossentropy", **options)
        return model.fit(*data, verbose=0).history["loss"]

    assert trained(**options) == trained()


def test_the_learning_rate_is_set_and_read_as_a_number(data):
    model = small_model()
    model.compile(optimizers.SGD(0.5), "sparse_categorical_crossentropy")
    model.optimizer.learning_rate = 0.25
    assert float(model.optimizer.learning_rate) == 0.25
    _, gradients = model.compute_gradients(*data, training=True)
    before = [w.numpy() for w in model.trainable_weights]
    model.train_on_batch(*data)
    for weight, old, gradient in zip(model.trainable_weights, before, gradients, strict=True):
        np.testing.assert_allclose(weight.numpy(), old - 0.25 * gradient, rtol=1e-5, atol=1e-7)


def test_crossentropy_is_the_one_that_fits_the_targets(data):
    x, labels = data
    for name, y in (("crossentropy", labels), ("CE", to_categorical(labels, 3))):
        set_random_seed(4)
        model = small_model()
        model.compile("sgd", name)
        set_random_seed(4)
        plain = small_model()
        kind = "sparse_categorical" if y.ndim == 1 else "categorical"
        plain.compile("sgd", f"{kind}_crossentropy")
        # First data that cannot be used: the choice is not made for good.
        with pytest.raises(ValueError, match=r"^y_true: "):
            model.fit(x, to_categorical(labels, 4) if y.ndim == 1 else labels + 9, verbose=0)
        assert (
            model.fit(x, y, shuffle=False, verbose=0).history
            == plain.fit(x, y, shuffle=False, verbose=0).history
        )
    model = Sequential([layers.Dense(1, activation="sigmoid", input_dim=2)])
    model.compile("sgd", "crossentropy")
    value, gradients = model.compute_gradients(np.ones((4, 2)), np.array([0, 1, 1, 0]))
    p = model(np.ones((1, 2)))[0, 0]
    assert value == pytest.approx(-(np.log(p) + np.log(1 - p)) / 2, rel=1e-5)
    assert gradients[1][0] == pytest.approx(p - 0.5, abs=1e-6)


@pytest.mark.parametrize("batch_size", [7, 64, 100, 1000])
def test_small_batches_are_gathered_together(monkeypatch, batch_size):
    """Which changes nothing about them."""
    x, y = np.arange(2000.0).reshape(500, 4), np.arange(500)
    seen = []
    for together in (1, 2500, 2**19):
        monkeypatch.setattr(batches, "TOGETHER", together)
        order = SeedGenerator(seed=3)
        drawn = batches.ArrayBatches([x], [y], [None], batch_size, order, textbook, None)
        seen.append([(x.copy(), y.copy(), w) for (x,), (y,), (w,) in drawn])
    for one, *others in zip(*seen, strict=True):
        assert len(one[0]) == min(batch_size, 500) or one is seen[0][-1]
        assert one[2] is None
        assert np.array_equal(one[0][:, 0], 4 * one[1])
        for other in others:
            assert np.array_equal(one[0], other[0])
            assert np.array_equal(one[1], other[1])
    assert sorted(np.concatenate([y for _, y, _ in seen[0]])) == list(range(500))


class Pieces(PyDataset):
    def __init__(self, x, y):
        self.x, self.y, self.orders, self.begun = x, y, [], 0

    def __len__(self):
        return 8

    def __getitem__(self, index):
        self.orders[-1].append(index)
        return self.x[12 * index : 12 * index + 12], self.y[12 * index : 12 * index + 12]

    def on_epoch_begin(self):
        self.begun += 1
        self.orders.append([])

    def on_epoch_end(self):
        self.orders[-1] = tuple(self.orders[-1])


def test_batches_of_ones_own_come_in_another_order_each_epoch(data):
    model = small_model()
    model.compile("sgd", "sparse_categorical_crossentropy")
    pieces = Pieces(*data)
    model.fit(pieces, epochs=3, verbose=0)
    assert [sorted(order) for order in pieces.orders] == [list(range(8))] * 3
    assert len(set(pieces.orders)) > 1
    model.evaluate(pieces, verbose=0)
    assert pieces.orders[-1] == tuple(range(8))
    model.fit(pieces, epochs=1, steps_per_epoch=3, shuffle=False, verbose=0)
    assert pieces.orders[-1] == (0, 1, 2)  # a tuple: the end was told, too
    assert pieces.begun == 5


def test_batches_of_ones_own_say_what_they_lack():
    model = small_model()
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(NotImplementedError, match=r"PyDataset does not define __len__\(\)"):
        model.fit(PyDataset(), verbose=0)


@pytest.mark.parametrize("kind", ["dataset", "batches", "generator"])
def test_the_first_batch_of_a_data_set_builds_the_model(data, kind):
    """Before the training begins, so that callbacks find weights; and no batch is lost by it."""
    x, y = data

    class Sixteen(PyDataset):
        def __len__(self):
            return len(x) // 16

        def __getitem__(self, index):
            return x[16 * index : 16 * index + 16], y[16 * index : 16 * index + 16]

    class Weights(callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.model.set_weights(weights)

    def history(first, **options):
        model = Sequential([*first, layers.Flatten(), layers.Dense(3, activation="softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy")
        sources = {
            "dataset": lambda: Dataset.from_tensor_slices((x, y)).batch(16),
            "batches": Sixteen,
            "generator": lambda: iter([Sixteen()[i] for i in range(4)]),
        }
        steps = 2 if kind == "generator" else None
        return model.fit(
            sources[kind](), epochs=2, steps_per_epoch=steps, shuffle=False, verbose=0,
            callbacks=[Weights()],
        ).history  # fmt: skip

    rng = np.random.default_rng(1)
    weights = [rng.normal(size=(x[0].size, 3)), rng.normal(size=3)]
    assert history([]) == history([Input(x.shape[1:])])


def test_an_empty_data_set_cannot_build_a_model():
    model = Sequential([layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="x: expected at least one batch"):
        model.fit(iter([]), steps_per_epoch=1)
