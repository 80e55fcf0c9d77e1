"""Whole models against Keras: the same weights, the same data, the same figures."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

keras = pytest.importorskip("keras")

import minicnn  # noqa: E402
from minicnn.utils import set_random_seed  # noqa: E402

pytestmark = [pytest.mark.keras, pytest.mark.usefixtures("floor")]


def sequential(kit):
    """The same small network from either library."""
    layers = kit.layers
    return kit.Sequential(
        [
            layers.Input((8, 8, 2)),
            layers.Conv2D(4, 3, padding="same", activation="relu", kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Conv2D(6, 3, activity_regularizer="l1"),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(5, activation="softmax", bias_regularizer="l1"),
        ]
    )


def residual(kit):
    """Three stages of nested residual blocks."""
    layers = kit.layers

    def block(shape, filters, strides, name):
        x = kit.Input(shape)
        h = layers.Conv2D(filters, 3, strides=strides, padding="same")(x)
        h = layers.Activation("relu")(layers.BatchNormalization()(h))
        h = layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same")(h))
        shortcut = x
        if strides != 1:
            shortcut = layers.Conv2D(filters, 1, strides=strides)(x)
        y = layers.Activation("relu")(layers.Add()([h, shortcut]))
        return kit.Model(x, y, name=name)

    x = kit.Input((8, 8, 2))
    h = block((8, 8, 2), 2, 1, "stage1")(x)
    h = block((8, 8, 2), 4, 2, "stage2")(h)
    h = block((4, 4, 4), 8, 2, "stage3")(h)
    h = layers.GlobalAveragePooling2D()(h)
    return kit.Model(x, layers.Dense(5, activation="softmax")(h))


def batches_of(kit, x, y, size):
    """A data set of one's own, from either library, that writes down what is asked of it."""

    class Batches(kit.utils.PyDataset):
        def __init__(self):
            super().__init__(workers=1)
            self.asked = []

        def __len__(self):
            return -(-len(x) // size)

        def __getitem__(self, index):
            self.asked.append(index)
            rows = slice(index * size, (index + 1) * size)
            return x[rows], y[rows]

        def on_epoch_end(self):
            self.asked.append("end")

    return Batches()


def twins(build):
    set_random_seed(5)
    ours, theirs = build(minicnn), build(keras)
    weights = [w + 0.01 for w in ours.get_weights()]
    assert [w.shape for w in weights] == [tuple(w.shape) for w in theirs.get_weights()]
    ours.set_weights(weights)
    theirs.set_weights(weights)
    return ours, theirs


@pytest.fixture
def data(rng):
    x = rng.normal(size=(50, 8, 8, 2)).astype(np.float32)
    return x, rng.integers(0, 5, 50)


@pytest.mark.parametrize("build", [sequential, residual])
def test_layers_and_weights_come_in_keras_order(build):
    ours, theirs = twins(build)
    kinds, keras_kinds = (
        [type(layer).__name__ for layer in model.layers] for model in (ours, theirs)
    )
    assert [kind.replace("Model", "Functional") for kind in kinds] == keras_kinds
    assert ours.count_params() == theirs.count_params()


@pytest.mark.parametrize("build", [sequential, residual])
def test_history_and_evaluate_agree(build, data):
    x, y = data
    ours, theirs = twins(build)
    results = []
    for model, kit in ((ours, minicnn), (theirs, keras)):
        model.compile(
            kit.optimizers.SGD(0.05, momentum=0.9),
            "sparse_categorical_crossentropy",
            metrics=["accuracy", "sparse_top_k_categorical_accuracy"],
        )
        weights = np.linspace(0.5, 2, 40)
        history = model.fit(
            x[:40], y[:40], epochs=3, batch_size=16, shuffle=False, verbose=0,
            sample_weight=weights, validation_data=(x[40:], y[40:]),
        ).history  # fmt: skip
        scores = model.evaluate(x, y, batch_size=16, verbose=0)
        results.append((history, scores, model.predict(x, verbose=0), model.get_weights()))
    (history, scores, outputs, weights), (k_history, k_scores, k_outputs, k_weights) = results
    assert list(history) == list(k_history)
    for name in history:
        np.testing.assert_allclose(history[name], k_history[name], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(scores, k_scores, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(outputs, k_outputs, atol=1e-4)
    for a, b in zip(weights, k_weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


@pytest.mark.parametrize(
    ("loss", "last", "labels"),
    [
        ("categorical_crossentropy", ("softmax", 4), "one-hot"),
        ("binary_crossentropy", ("sigmoid", 1), "binary"),
        ("mse", (None, 2), "real"),
        ("mae", ("tanh", 2), "real"),
        ("huber", (None, 2), "real"),
        ("kl_divergence", ("softmax", 4), "one-hot"),
        ("hinge", ("tanh", 1), "binary"),
    ],
)
def test_every_loss_trains_as_in_keras(loss, last, labels, rng):
    activation, units = last
    x = rng.normal(size=(32, 6)).astype(np.float32)
    y = {
        "one-hot": np.eye(4, dtype=np.float32)[rng.integers(0, 4, 32)],
        "binary": rng.integers(0, 2, (32, 1)).astype(np.float32),
        "real": rng.normal(size=(32, units)).astype(np.float32),
    }[labels]

    def build(kit):
        return kit.Sequential(
            [
                kit.layers.Input((6,)),
                kit.layers.Dense(8, activation="relu"),
                kit.layers.Dense(units, activation=activation),
            ]
        )

    ours, theirs = twins(build)
    histories = []
    for model in (ours, theirs):
        metrics = ["accuracy"] if labels != "real" else ["mae", "mse"]
        model.compile("rmsprop", loss, metrics=metrics)
        run = model.fit(x, y, epochs=5, batch_size=8, shuffle=False, verbose=0)
        histories.append(run.history)
    assert list(histories[0]) == list(histories[1])
    for name, values in histories[0].items():
        np.testing.assert_allclose(values, histories[1][name], rtol=1e-4, atol=1e-4)


def test_class_weights_and_validation_split_agree(data):
    x, y = data
    ours, theirs = twins(sequential)
    histories = []
    for model in (ours, theirs):
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["acc"])
        run = model.fit(
            x, y, epochs=2, shuffle=False, verbose=0, validation_split=0.3,
            class_weight={0: 2.0, 1: 0.5, 2: 1.0, 3: 1.0, 4: 3.0},
        )  # fmt: skip
        histories.append(run.history)
    assert list(histories[0]) == list(histories[1])
    for name, values in histories[0].items():
        np.testing.assert_allclose(values, histories[1][name], rtol=1e-4, atol=1e-4)


def test_train_on_batch_agrees(data):
    x, y = data
    ours, theirs = twins(residual)
    for model in (ours, theirs):
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    for start in (0, 20):
        batch = x[start : start + 20], y[start : start + 20]
        np.testing.assert_allclose(
            ours.train_on_batch(*batch), theirs.train_on_batch(*batch), rtol=1e-4, atol=1e-4
        )


def test_the_order_of_layers_is_keras_order_on_random_graphs(rng):
    for _ in range(15):
        parents = [
            [int(rng.integers(0, max(1, k))) for _ in range(rng.integers(1, 4))] for k in range(12)
        ]

        def build(kit, parents=parents):
            first, second = kit.Input((3,), name="in_a"), kit.Input((3,), name="in_b")
            tensors = [first, second]
            shared = kit.layers.Dense(3, name="shared")
            for k, before in enumerate(parents):
                inputs = [tensors[(p + k) % len(tensors)] for p in before]
                if len(inputs) == 1:
                    layer = shared if k % 5 == 0 else kit.layers.Dense(3, name=f"d{k}")
                    tensors.append(layer(inputs[0]))
                else:
                    tensors.append(kit.layers.Add(name=f"a{k}")(inputs))
            return kit.Model([first, second], [tensors[-1], tensors[6]])

        names = [[layer.name for layer in build(kit).layers] for kit in (minicnn, keras)]
        assert names[0] == names[1]


@pytest.mark.parametrize("targets", ["labels", "one-hot", "binary"])
def test_crossentropy_trains_as_in_keras(targets, rng):
    x = rng.normal(size=(24, 6)).astype(np.float32)
    units = 1 if targets == "binary" else 3
    labels = rng.integers(0, max(units, 2), 24)
    y = np.eye(3, dtype=np.float32)[labels] if targets == "one-hot" else labels

    def build(kit):
        last = kit.layers.Dense(units, activation="sigmoid" if units == 1 else "softmax")
        return kit.Sequential([kit.layers.Input((6,)), last])

    histories = []
    for model in twins(build):
        model.compile("sgd", "crossentropy")
        histories.append(model.fit(x, y, epochs=3, shuffle=False, verbose=0).history)
    assert list(histories[0]) == list(histories[1])
    for name, values in histories[0].items():
        np.testing.assert_allclose(values, histories[1][name], rtol=1e-4)


def test_a_list_as_validation_data_agrees(data):
    x, y = data
    values = []
    for model in twins(sequential):
        model.compile("sgd", "sparse_categorical_crossentropy")
        history = model.fit(x, y, validation_data=[x[:20], y[:20]], shuffle=False, verbose=0)
        values.append(history.history["val_loss"])
    np.testing.assert_allclose(values[0], values[1], rtol=1e-4)


def test_data_that_run_out_are_reported_by_both(data):
    x, y = data

    def batches():
        for start in (0, 10, 20):
            yield x[start : start + 10], y[start : start + 10]

    values = []
    for model in twins(sequential):
        model.compile("sgd", "sparse_categorical_crossentropy")
        with pytest.warns(UserWarning, match="ran out"):
            history = model.fit(batches(), epochs=2, steps_per_epoch=2, verbose=0)
        values.append(history.history["loss"])
    assert len(values[0]) == 2
    np.testing.assert_allclose(values[0], values[1], rtol=1e-4)


@settings(max_examples=8, deadline=None)
@given(
    stream=st.booleans(),
    steps_per_epoch=st.integers(1, 5),
    validation_steps=st.none() | st.integers(1, 2),
    validation_freq=st.integers(1, 2) | st.just([1, 3]),
    initial_epoch=st.integers(0, 1),
)
@pytest.mark.filterwarnings("ignore:.*ran out of data", "ignore:the data ran out")
def test_epochs_of_some_steps_go_on_where_the_last_one_stopped(stream, **options):
    x = np.linspace(-1, 1, 28, dtype=np.float32).reshape(14, 2)
    y = np.cos(5 * x)

    results = []
    models = twins(lambda kit: kit.Sequential([kit.Input((2,)), kit.layers.Dense(2)]))
    for kit, model in zip((minicnn, keras), models, strict=True):
        model.compile("sgd", "mse")
        data = {"x": x, "y": y, "batch_size": 4}
        if stream:
            data = {"x": batches_of(kit, x, y, 4)}
        history = model.fit(
            **data, **options, validation_data=(x, y), validation_batch_size=5,
            epochs=4, shuffle=False, verbose=0,
        )  # fmt: skip
        results.append((history.epoch, history.history, model.get_weights()))
    (epochs, mine, weights), (their_epochs, theirs, their_weights) = results
    assert epochs == their_epochs
    assert list(mine) == list(theirs)
    for name in mine:
        np.testing.assert_allclose(mine[name], theirs[name], rtol=1e-4)
    for ours, other in zip(weights, their_weights, strict=True):
        assert np.abs(ours - other).max() < 1e-5


@pytest.mark.parametrize("losses", [(1, 1, 1), (1, 0, 1), (0, 1, 0)])
def test_what_is_reported_of_several_outputs(losses, rng):
    x = rng.normal(size=(12, 4)).astype(np.float32)
    y = [rng.integers(0, 3, 12), rng.normal(size=(12, 1)), rng.integers(0, 2, 12)]
    weights = [rng.random(12) for _ in y]

    def build(kit):
        tensor, layers = kit.Input((4,)), kit.layers
        return kit.Model(
            tensor,
            [
                layers.Dense(3, activation="softmax", name="kind")(tensor),
                layers.Dense(1, name="size")(tensor),
                layers.Dense(1, activation="sigmoid", name="alive")(tensor),
            ],
        )

    results = []
    for model in twins(build):
        names = ("sparse_categorical_crossentropy", "mse", "binary_crossentropy")
        model.compile(
            "sgd",
            [name if wanted else None for name, wanted in zip(names, losses, strict=True)],
            metrics=[["accuracy", "accuracy"], ["mae"], ["accuracy"]],
            weighted_metrics=[["accuracy"], ["mse", "mae"], ["accuracy", "accuracy"]],
        )
        history = model.fit(x, y, sample_weight=weights, epochs=2, shuffle=False, verbose=0)
        results.append((history.history, model.evaluate(x, y, verbose=0)))
    (mine, evaluated), (theirs, their_evaluated) = results
    assert list(mine) == list(theirs)
    for name in mine:
        np.testing.assert_allclose(mine[name], theirs[name], rtol=1e-4, err_msg=name)
    np.testing.assert_allclose(evaluated, their_evaluated, rtol=1e-4)


def test_arithmetic_on_tensors_agrees(rng):
    x = [rng.normal(size=(4, 3)).astype(np.float32) for _ in range(2)]
    results = []
    for kit in (minicnn, keras):
        a, b = kit.Input((3,)), kit.Input((3,))
        results.append(kit.Model([a, b], (a + b) * a - b).predict(x, verbose=0))
    np.testing.assert_allclose(results[0], results[1], rtol=1e-6, atol=1e-6)


def test_a_nested_summary_has_keras_rows(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")  # where Keras cuts the table off
    texts = []
    for kit in (minicnn, keras):
        layers = kit.layers
        deep = kit.Sequential([layers.Input((3,)), layers.Dense(3, name="deepest")], name="deep")
        block = kit.Sequential([layers.Input((3,)), layers.Dense(3, name="hidden"), deep])
        frozen = layers.Dense(2, name="frozen", trainable=False)
        model = kit.Sequential([layers.Input((3,)), block, layers.ReLU(name="relu"), frozen])
        model.summary(120, print_fn=texts.append, expand_nested=True, show_trainable=True)
    names = ("hidden", "deep", "deepest", "relu", "frozen")
    rows = [
        {name: line.split("│")[2:5] for line in text.splitlines() for name in names
         if f" {name} (" in line}
        for text in texts
    ]  # fmt: skip
    ours, theirs = ({k: [c.strip() for c in v] for k, v in row.items()} for row in rows)
    assert list(ours) == list(names)
    assert ours == theirs
    assert ours["frozen"][-1] == "N"


@pytest.mark.parametrize("name", ["SGD", "Adam", "Nadam", "RMSprop", "Adadelta"])
def test_a_summary_counts_as_keras_does(name, data, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")

    def build(kit):
        inner = kit.Input((8, 8, 2))
        block = kit.Model(inner, kit.layers.Conv2D(2, 3, name="conv")(inner), name="block")
        last = kit.layers.Dense(5, activation="softmax", name="last", trainable=False)
        flat = kit.layers.Flatten(name="flat")
        return kit.Sequential([kit.Input((8, 8, 2)), block, flat, last], name="m")

    found = []
    for model in twins(build):
        texts = []
        model.compile(name, "sparse_categorical_crossentropy")
        model.summary(160, print_fn=texts.append)
        model.fit(*data, verbose=0)
        model.summary(160, print_fn=texts.append)
        lines = [line for text in texts for line in text.splitlines()]
        # Without the memory in brackets: Keras counts the steps in 4 bytes or 8, as its backend.
        found.append(
            [[cell.strip() for cell in line.split("│")] for line in lines if line[0] == "│"]
            + [line.split(" (")[0] for line in lines if "params:" in line]
        )
    assert found[0] == found[1]
    assert found[0][-1].startswith(" Optimizer params: ")


def test_the_variables_have_keras_order():
    ours, theirs = twins(sequential)
    for kind in ("variables", "trainable_variables", "non_trainable_variables"):
        shapes = [[tuple(v.shape) for v in getattr(model, kind)] for model in (ours, theirs)]
        # Keras counts the seeds of random layers among the variables; there are none here.
        assert shapes[0] == shapes[1]


def test_leaky_relu_takes_its_old_argument_with_a_warning():
    for kit in (minicnn, keras):
        with pytest.warns(UserWarning, match="negative_slope"):
            layer = kit.layers.LeakyReLU(alpha=0.25)
        assert layer.negative_slope == 0.25
        y = np.asarray(layer(np.array([[-1.0, 2.0]], np.float32)))
        assert y.tolist() == [[-0.25, 2.0]]


def test_a_data_set_of_ones_own(rng):
    ours, theirs = twins(sequential)
    x, y = rng.normal(size=(20, 8, 8, 2)).astype(np.float32), rng.integers(0, 5, 20)
    figures, asked = [], []
    for kit, model in ((minicnn, ours), (keras, theirs)):
        model.compile(kit.optimizers.SGD(0.01), "sparse_categorical_crossentropy")
        data, held_out = batches_of(kit, x, y, 8), batches_of(kit, x, y, 8)
        history = model.fit(data, epochs=2, verbose=0, shuffle=False, validation_data=held_out)
        assert data.asked.count("end") >= 2
        # Keras looks at a batch before the first epoch.
        asked.append([index for index in data.asked if index != "end"][-6:])
        figures.append([history.history, model.evaluate(data, verbose=0)])
        figures[-1].append(model.predict(data, verbose=0))
    assert asked[0] == asked[1] == [0, 1, 2, 0, 1, 2]
    (mine, loss, made), (theirs, their_loss, theirs_made) = figures
    assert mine.keys() == theirs.keys()
    for name in mine:
        assert np.abs(np.subtract(mine[name], theirs[name])).max() < 1e-4
    assert abs(loss - their_loss) < 1e-4
    assert np.abs(made - theirs_made).max() < 1e-4


def test_the_learning_rate_set_from_a_callback(rng):
    ours, theirs = twins(sequential)
    x, y = rng.normal(size=(16, 8, 8, 2)).astype(np.float32), rng.integers(0, 5, 16)
    losses = []
    for kit, model in ((minicnn, ours), (keras, theirs)):

        class Halve(kit.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                rate = self.model.optimizer.learning_rate
                rate.assign(rate.numpy() / 2)

        model.compile(kit.optimizers.SGD(0.02), "sparse_categorical_crossentropy")
        history = model.fit(x, y, epochs=3, verbose=0, shuffle=False, callbacks=[Halve()])
        losses.append(history.history["loss"])
        assert abs(float(model.optimizer.learning_rate) - 0.0025) < 1e-9
    assert np.abs(np.subtract(*losses)).max() < 1e-4


def test_numbers_beside_tensors(rng):
    made = []
    x = rng.integers(0, 256, (4, 8, 8, 2)).astype(np.float32)
    for kit in (minicnn, keras):
        tensor = kit.Input((8, 8, 2))
        model = kit.Model(tensor, 1 - (tensor / 127.5 - 1.0) * 2.0 + (-tensor))
        made.append(model.predict(x, verbose=0))
    assert np.abs(made[0] - made[1]).max() < 1e-4


def written(kit):
    """A model and a block of one's own, as classes with ``call``, from either library. (On JAX,
    Keras 3.15 trains with the statistics of batches only where ``training`` is handed on.)"""
    layers = kit.layers

    class Block(layers.Layer):
        def __init__(self, filters, strides=1, **kwargs):
            super().__init__(**kwargs)
            self.activation = kit.activations.get("relu")
            self.norm = layers.BatchNormalization()
            self.main = [
                layers.Conv2D(filters, 3, padding="same", kernel_regularizer="l2"),
                self.activation,
                layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False),
            ]
            self.skip = layers.Conv2D(filters, 1, strides=strides)

        def call(self, inputs, training=False):
            x = self.norm(inputs, training=training)
            for layer in self.main:
                x = layer(x)
            return self.activation(x + self.skip(inputs))

    class Net(kit.Model):
        def __init__(self, classes):
            super().__init__()
            self.blocks = [Block(4), Block(6, 2)]
            self.pool = layers.GlobalAveragePooling2D()
            self.dropout = layers.Dropout(0.0)
            self.scores = layers.Dense(classes, activation="softmax")

        def call(self, x, training=False):
            for block in self.blocks:
                x = block(x, training=training)
            return self.scores(self.dropout(self.pool(x), training=training))

    return Net(5)


def test_a_model_written_as_a_class_trains_as_in_keras(data):
    x, y = data
    ours, theirs = written(minicnn), written(keras)
    ours(x), theirs(x)
    assert [w.shape for w in ours.weights] == [tuple(w.shape) for w in theirs.weights]
    assert ours.name == theirs.name
    ours.set_weights([np.array(w) for w in theirs.get_weights()])
    results = []
    for model, kit in ((ours, minicnn), (theirs, keras)):
        model.compile(kit.optimizers.SGD(0.05), "sparse_categorical_crossentropy", metrics=["acc"])
        history = model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0).history
        results.append((history, model.evaluate(x, y, verbose=0), model.predict(x, verbose=0)))
    (history, scores, outputs), (k_history, k_scores, k_outputs) = results
    assert list(history) == list(k_history)
    for name in history:
        np.testing.assert_allclose(history[name], k_history[name], rtol=1e-4)
    np.testing.assert_allclose(scores, k_scores, rtol=1e-4)
    np.testing.assert_allclose(outputs, k_outputs, atol=1e-4)


def test_the_penalties_of_weights_agree():
    ours, theirs = twins(sequential)
    assert len(ours.losses) == len(theirs.losses) > 1
    for mine, other in zip(ours.losses, theirs.losses, strict=True):
        np.testing.assert_allclose(mine, np.asarray(other), rtol=1e-5)
