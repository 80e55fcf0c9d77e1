"""A residual network: models nested in a model, shortcuts, batch normalization, global pooling."""

import numpy as np
import pytest

from minicnn import Input, Model, gradient_check, layers
from minicnn.datasets import digits
from minicnn.utils import set_random_seed

pytestmark = pytest.mark.usefixtures("floor")


def block(shape, filters, strides, name):
    """y = relu(x + f(x)), the shortcut a 1x1 convolution where the shape changes."""
    x = Input(shape)
    h = layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False)(x)
    h = layers.Activation("relu")(layers.BatchNormalization(momentum=0.9)(h))
    h = layers.Conv2D(filters, 3, padding="same", use_bias=False)(h)
    h = layers.BatchNormalization(momentum=0.9)(h)
    changes = strides > 1 or shape[-1] != filters
    shortcut = layers.Conv2D(filters, 1, strides=strides, use_bias=False)(x) if changes else x
    return Model(x, layers.Activation("relu")(layers.Add()([h, shortcut])), name=name)


def residual_network(width):
    x = Input((8, 8, 1))
    h = layers.Conv2D(width, 3, padding="same", activation="relu")(layers.Rescaling(1 / 16)(x))
    h = block((8, 8, width), width, 1, "stage1")(h)
    h = block((8, 8, width), 2 * width, 2, "stage2")(h)
    h = block((4, 4, 2 * width), 4 * width, 2, "stage3")(h)
    h = layers.GlobalAveragePooling2D()(h)
    return Model(x, layers.Dense(10, activation="softmax")(h), name="residual")


def test_it_learns_real_digits():
    set_random_seed(0)
    (x, y), (x_test, y_test) = digits.load_data()
    model = residual_network(8)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=4, batch_size=16, verbose=0)
    assert model.evaluate(x_test, y_test, verbose=0)[1] > 0.9


@pytest.mark.parametrize("training", [False, True])
def test_its_gradients_agree_with_finite_differences(training, rng):
    model = residual_network(2)
    # Off the kinks: with biases of zero, whole regions lie exactly where ReLU has no gradient.
    model.set_weights([w + 0.1 * rng.random(w.shape) for w in model.get_weights()])
    model.compile("sgd", "sparse_categorical_crossentropy")
    x, y = rng.integers(0, 17, (4, 8, 8, 1)), np.array([3, 1, 4, 1])
    assert gradient_check(model, x, y, training=training, max_entries=12).passed


def test_moving_statistics_of_nested_models_move_in_training_alone(rng):
    model = residual_network(2)
    model.compile("sgd", "sparse_categorical_crossentropy")
    normalization = model.get_layer("stage2").layers[2]
    assert type(normalization) is layers.BatchNormalization
    before = normalization.moving_variance.numpy()
    x, y = rng.integers(0, 17, (16, 8, 8, 1)), rng.integers(0, 10, 16)
    model.predict(x, verbose=0)
    model.evaluate(x, y, verbose=0)
    np.testing.assert_array_equal(normalization.moving_variance.numpy(), before)
    model.fit(x, y, verbose=0)
    assert not np.array_equal(normalization.moving_variance.numpy(), before)
