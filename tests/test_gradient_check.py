"""The gradient checker itself: it finds faults, knows kinks, and leaves everything as it was."""

import numpy as np
import pytest

import minicnn
from minicnn import Input, Model, Sequential, gradient_check, layers
from minicnn.checking import numerical_gradient, relative_error
from minicnn.utils import set_random_seed


class Square(minicnn.Layer):
    """y = s x^2, with a fault of one's choice in the backward."""

    def __init__(self, input_factor=2.0, weight_factor=1.0, **options):
        super().__init__(**options)
        self.input_factor, self.weight_factor = input_factor, weight_factor

    def build(self, input_shape):
        self.s = self.add_weight((), "ones", "s")

    def forward(self, x, training):
        return self.s.value * x * x, x

    def backward(self, dy, saved):
        self.s.add_gradient(self.weight_factor * (dy * saved * saved).sum())
        return self.input_factor * self.s.value * saved * dy


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def test_numerical_gradient_of_a_polynomial():
    x = normal(3, 2)
    gradient = numerical_gradient(lambda x: float((x**3).sum()), x)
    assert relative_error(gradient, 3 * x**2) < 1e-9
    with pytest.raises(TypeError, match="float64"):
        numerical_gradient(lambda x: 0.0, x.astype(np.float32))


def test_right_gradients_pass():
    check = gradient_check(Square(name="sq"), normal(4, 3))
    assert check
    assert check.passed
    assert check.max_relative_error < 1e-9
    assert [(row.name, row.shape, row.checked) for row in check.rows] == [
        ("input", (4, 3), 12),
        ("sq/s", (), 1),
    ]


@pytest.mark.parametrize(
    ("faults", "guilty"),
    [
        ({"input_factor": 2 + 1e-5}, "input"),
        ({"input_factor": -2.0}, "input"),
        ({"input_factor": 0.0}, "input"),
        ({"input_factor": float("nan")}, "input"),
        ({"input_factor": float("inf")}, "input"),
        ({"weight_factor": 1 + 1e-5}, "sq/s"),
        ({"weight_factor": 0.0}, "sq/s"),
        ({"weight_factor": float("nan")}, "sq/s"),
    ],
)
def test_wrong_gradients_fail(faults, guilty):
    check = gradient_check(Square(name="sq", **faults), normal(4, 3))
    assert not check
    assert not check.passed
    assert [row.name for row in check.rows if not row.max_relative_error < 1e-6] == [guilty]
    assert not check.max_relative_error < 1e-6
    assert f"{guilty} " in str(check)
    assert "FAILED" in str(check)


def test_one_wrong_entry_is_named():
    class Odd(Square):
        def backward(self, dy, saved):
            dx = super().backward(dy, saved)
            dx[1, 2] *= 1.001
            return dx

    check = gradient_check(Odd(), normal(4, 3))
    assert check.rows[0].worst == (1, 2)
    assert np.abs(check.rows[0].analytic / check.rows[0].numeric - 1.001) < 1e-6


def test_random_upstream_gradients_find_what_ones_would_hide():
    """The rows of a softmax sum to 1: with dy = 1 every gradient is zero, right or wrong."""

    class NoSoftmax(layers.Softmax):
        def backward(self, dy, saved, input_gradient=True):
            return np.zeros_like(dy)

    x = normal(3, 4)
    layer = layers.Softmax()
    layer.ensure_built(x.shape)
    y, saved = layer.forward(x, False)
    assert np.abs(layer.backward(np.ones_like(y), saved)).max() < 1e-15
    assert gradient_check(layers.Softmax(), x).passed
    assert not gradient_check(NoSoftmax(), x).passed


# -- kinks ----------------------------------------------------------------------------------------


def test_a_kink_within_the_step_is_measured_with_a_smaller_one():
    x = normal(4, 3)
    x[0, 0], x[1, 1] = 5e-6, -5e-6  # nearer to the kink than the step
    check = gradient_check(layers.ReLU(), x)
    assert check.passed
    assert (check.rows[0].checked, check.rows[0].left_out) == (12, 0)


def test_an_entry_on_the_kink_is_left_out_and_counted():
    x = normal(4, 3)
    x[0, 0] = x[2, 1] = 0.0
    check = gradient_check(layers.ReLU(), x)
    assert check.passed
    assert (check.rows[0].checked, check.rows[0].left_out) == (10, 2)
    assert "2 left out on a kink" in str(check)


def test_ties_of_a_pooling_are_left_out():
    x = normal(1, 4, 4, 1)
    x[0, 0, 0, 0] = x[0, 1, 1, 0] = 9.0
    check = gradient_check(layers.MaxPooling2D(), x)
    assert check.passed
    assert check.rows[0].left_out == 2


def test_too_many_kinks_fail():
    check = gradient_check(layers.ReLU(), np.zeros((4, 3)))
    assert not check.passed
    assert np.isnan(check.max_relative_error)
    x = np.zeros((4, 3))
    x[0] = 1.0
    check = gradient_check(layers.ReLU(), x)
    assert check.max_relative_error < 1e-6
    assert not check.passed
    assert "too few" in str(check)


def test_a_kink_is_no_excuse_for_a_fault():
    class Wrong(layers.ReLU):
        def backward(self, dy, saved, input_gradient=True):
            return 1.01 * super().backward(dy, saved)

    x = normal(4, 3)
    x[0, 0], x[1, 1] = 0.0, 5e-6
    assert not gradient_check(Wrong(), x).passed


# -- nothing to see -------------------------------------------------------------------------------


def test_zero_on_both_sides_is_reported_and_never_everything():
    class Unused(Square):
        def build(self, input_shape):
            super().build(input_shape)
            self.unused = self.add_weight((2,), "ones", "unused")

    check = gradient_check(Unused(name="sq"), normal(4, 3))
    assert check.passed
    assert [row.zero for row in check.rows] == [False, False, True]
    assert "zero on both sides" in str(check)
    dead = gradient_check(layers.ReLU(), -1 - np.abs(normal(4, 3)))
    assert dead.max_relative_error < 1e-6
    assert not dead.passed


def test_gradients_of_a_wrong_shape_or_none():
    class Short(Square):
        def backward(self, dy, saved):
            return super().backward(dy, saved)[:2]

    class Nothing(Square):
        def backward(self, dy, saved):
            super().backward(dy, saved)

    with pytest.raises(ValueError, match=r"layer 'sq'.*'input'.*\(2, 3\).*\(4, 3\)"):
        gradient_check(Short(name="sq"), normal(4, 3))
    assert not gradient_check(Nothing(), normal(4, 3)).passed


def test_a_sample_of_the_entries_of_a_large_array():
    layer = layers.Dense(30)
    check = gradient_check(layer, normal(2, 20), max_entries=7)
    assert [row.checked for row in check.rows] == [7, 7, 7]
    again = gradient_check(layer, normal(2, 20), max_entries=7)
    assert [row.worst for row in again.rows] == [row.worst for row in check.rows]
    assert {row.worst for row in gradient_check(layer, normal(2, 20), max_entries=7, seed=1).rows}


# -- as it was before -----------------------------------------------------------------------------


def state_of(layer):
    values = [w.value for w in layer.weights]
    return (
        [id(v) for v in values],
        [v.copy() for v in values],
        [None if w.gradient is None else w.gradient.copy() for w in layer.weights],
        layer.dtype,
        dict(vars(layer.seed_generator)) if hasattr(layer, "seed_generator") else None,
    )


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.BatchNormalization(),
        lambda: layers.Dense(3),
        lambda: layers.Dropout(0.5),
    ],
)
def test_the_layer_is_left_as_it_was(make, training):
    layer = make()
    layer(normal(4, 3), training=True)
    for weight in layer.trainable_weights:
        weight.add_gradient(np.ones(weight.shape, np.float32))
    before = state_of(layer)
    assert gradient_check(layer, normal(4, 3), training=training).passed
    after = state_of(layer)
    np.testing.assert_equal(after, before)
    assert layer(normal(4, 3)).dtype == np.float32


def test_the_layer_is_left_as_it_was_after_an_error():
    class Broken(Square):
        def backward(self, dy, saved):
            raise RuntimeError("broken")

    layer = Broken()
    layer(normal(4, 3))
    before = state_of(layer)
    with pytest.raises(RuntimeError, match="broken"):
        gradient_check(layer, normal(4, 3))
    np.testing.assert_equal(state_of(layer), before)


def test_masks_stay_the_same_during_a_check():
    """And the check sees the mask: without it in the backward the gradients are wrong."""

    class Unmasked(layers.Dropout):
        def backward(self, dy, saved):
            return dy / (1 - self.rate)

    x = normal(4, 30)
    assert gradient_check(layers.Dropout(0.5, seed=1), x, training=True).passed
    assert not gradient_check(Unmasked(0.5, seed=1), x, training=True).passed


def test_the_table():
    check = gradient_check(layers.Dense(2, name="d"), normal(4, 3))
    lines = str(check).splitlines()
    assert " ".join(lines[0].split()) == "array shape checked error worst at analytic numeric"
    assert [line.split()[0] for line in lines[1:-1]] == ["input", "d/kernel", "d/bias"]
    assert lines[-1].startswith("passed: relative error")
    assert repr(check) == str(check)


# -- whole networks -------------------------------------------------------------------------------


def network_of_everything():
    """Every type of layer, branches, a layer used twice, a model inside, regularizers, kinks."""
    x, other = Input((8, 7, 2)), Input((3,))
    h = layers.Normalization(mean=[0.1, -0.2], variance=[2.0, 3.0])(x)
    h = layers.Rescaling(0.5, offset=0.1)(h)
    h = layers.GaussianNoise(0.1, seed=1)(h)
    h = layers.ZeroPadding2D(((1, 0), (0, 1)))(h)
    h = layers.Conv2D(4, 3, padding="same", activation="relu", kernel_regularizer="l2")(h)
    h = layers.BatchNormalization()(h)
    block = Sequential(
        [
            layers.Input((9, 8, 4)),
            layers.Conv2D(4, (2, 3), padding="same", groups=2, use_bias=False),
            layers.BatchNormalization(momentum=0.5),
            layers.SpatialDropout2D(0.2, seed=2),
            layers.LeakyReLU(),
        ]
    )
    h = layers.Add()([h, block(h)])
    twice = layers.DepthwiseConv2D(3, padding="same", bias_regularizer="l1")
    h = layers.Average()([twice(h), layers.ELU()(twice(h))])
    for number, picture in enumerate(
        [
            lambda seed: layers.RandomFlip(seed=seed),
            lambda seed: layers.RandomTranslation(0.1, 0.2, seed=seed),
            lambda seed: layers.RandomRotation(0.1, seed=seed),
            lambda seed: layers.RandomZoom(0.2, seed=seed),
            lambda seed: layers.RandomContrast(0.2, (-50, 50), seed=seed),
            lambda seed: layers.RandomBrightness(0.01, (-50, 50), seed=seed),
            lambda _: layers.Resizing(11, 12),
            lambda seed: layers.RandomCrop(10, 9, seed=seed),
            lambda _: layers.CenterCrop(9, 8),
        ]
    ):
        h = picture(number)(h)
    a = layers.MaxPooling2D((2, 3), strides=2, padding="same")(h)
    b = layers.AveragePooling2D((3, 2), strides=2, padding="same")(h)
    h = layers.Concatenate()([a, b])
    h = layers.SeparableConv2D(5, 3, activation="tanh", activity_regularizer="l2")(h)
    h = layers.LayerNormalization()(h)
    up = layers.UpSampling2D(2, interpolation="bilinear")(h)
    back = layers.Conv2DTranspose(5, 3, strides=2, padding="same")(h)
    h = layers.PReLU("ones", shared_axes=[1, 2])(layers.Subtract()([up, back]))
    h = layers.Cropping2D(((1, 0), (0, 1)))(h)
    h = layers.Maximum()([h, layers.Rescaling(-0.5)(h)])
    h = layers.Minimum()([h, layers.Rescaling(2.0, offset=-1.0)(h)])
    rows = layers.Permute((2, 1))(layers.RepeatVector(2)(layers.AlphaDropout(0.2, seed=5)(other)))
    gate = layers.Dense(5, activation="sigmoid")(layers.Flatten()(layers.Identity()(rows)))
    gate = layers.ActivityRegularization(l2=0.1)(layers.GaussianDropout(0.2, seed=4)(gate))
    h = layers.Multiply()([h, layers.Reshape((1, 1, -1))(gate)])
    top = layers.concatenate([layers.GlobalMaxPooling2D()(h), layers.GlobalAveragePooling2D()(h)])
    flat = layers.UnitNormalization()(layers.Dropout(0.3, seed=3)(layers.Flatten()(h)))
    classes = layers.Softmax(name="classes")(layers.Dense(4)(layers.Concatenate()([top, flat])))
    value = layers.Activation("softplus", name="value")(layers.Dense(1)(layers.ReLU()(top)))
    return Model([x, other], [classes, value])


def compiled():
    set_random_seed(5)  # there are weights with which a tanh lets next to nothing through
    model = network_of_everything()
    rng = np.random.default_rng(5)
    model.set_weights([w + rng.uniform(0.05, 0.3, w.shape) for w in model.get_weights()])
    model.compile(
        "adam",
        {"classes": "sparse_categorical_crossentropy", "value": "mse"},
        loss_weights={"classes": 1.0, "value": 0.5},
    )
    x = [normal(5, 8, 7, 2), normal(5, 3, seed=1)]
    y = [np.array([0, 3, 1, 2, 2]), normal(5, 1, seed=2)]
    return model, x, y


@pytest.mark.parametrize("training", [False, True])
def test_the_loss_of_a_network_of_every_layer(training):
    model, x, y = compiled()
    check = gradient_check(model, x, y, training=training, max_entries=12)
    assert check.passed, check
    assert [row.shape for row in check.rows] == [w.shape for w in model.trainable_weights]
    assert len({row.name for row in check.rows}) == len(check.rows)
    kinds = {type(layer).__name__ for layer in model.all_layers()}
    every = {name for name in layers.__all__ if isinstance(getattr(layers, name), type)}
    missing = {getattr(layers, name).__name__ for name in every} - kinds - {"Layer"}
    assert missing == set()


@pytest.mark.parametrize("training", [False, True])
def test_a_model_is_a_layer(training):
    """Two inputs, two outputs, random upstream gradients for both."""
    model, x, _ = compiled()
    check = gradient_check(model, x, training=training, max_entries=12)
    assert check.passed, check
    assert [row.name for row in check.rows[:2]] == ["input 0", "input 1"]


def test_a_fault_deep_inside_is_found(monkeypatch):
    model, x, y = compiled()
    right = model.ops.layer_norm_backward

    def wrong(dy, saved):
        dx, dgamma, dbeta = right(dy, saved)
        return 1.001 * dx, dgamma, dbeta

    monkeypatch.setattr(model.ops, "layer_norm_backward", wrong)
    check = gradient_check(model, x, y, max_entries=12)
    failed = {row.name.split("/")[0] for row in check.rows if row.max_relative_error > 1e-6}
    names = [row.name.split("/")[0] for row in check.rows]
    norm = next(i for i, name in enumerate(names) if name.startswith("layer_normalization"))
    assert failed, check
    assert failed <= set(names[:norm])  # all that lies before it, nothing after it


def test_training_goes_on_as_if_no_check_had_been():
    results = []
    for check in (False, True):
        minicnn.utils.set_random_seed(0)
        model = Sequential(
            [
                layers.Dense(5, "relu", input_shape=(3,)),
                layers.BatchNormalization(),
                layers.Dropout(0.5),
                layers.Dense(2, "softmax"),
            ]
        )
        model.compile("adam", "sparse_categorical_crossentropy")
        x, y = normal(6, 3), np.array([0, 1, 1, 0, 1, 0])
        model.fit(x, y, epochs=2, verbose=0)
        if check:
            assert gradient_check(model, x, y, training=True).passed
            assert gradient_check(model, x).passed
        model.fit(x, y, epochs=2, verbose=0)
        results.append(model.get_weights())
    for weight, other in zip(*results, strict=True):
        assert weight.dtype == np.float32
        np.testing.assert_array_equal(weight, other)


def test_a_model_is_built_by_its_check():
    model = Sequential([layers.Dense(4, "tanh"), layers.Dense(1)])
    model.compile("sgd", "mse")
    assert gradient_check(model, normal(3, 2), normal(3, 1)).passed
    assert gradient_check(Sequential([layers.Dense(4, "tanh")]), normal(3, 2)).passed
