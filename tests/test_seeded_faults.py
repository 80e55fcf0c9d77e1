"""Faults that from-scratch libraries really have, planted one by one: each is found by a check that
the tests use, and that the healthy code passes just before."""

import numpy as np
import pytest
import test_layers_behaviour
import test_layers_gradients
import test_ops_conv
import test_ops_updates

from minicnn import Sequential, backend, gradient_check, layers
from minicnn.backends import numpy as floor
from minicnn.losses import Loss
from minicnn.variables import Variable

FAULTS = []


@pytest.fixture(autouse=True)
def on_the_textbook_floor(monkeypatch):
    """Where the faults are planted."""
    monkeypatch.setattr(backend, "_current", floor)


def fault(check):
    """Enter a fault with the check that has to find it."""

    def enter(plant):
        FAULTS.append(pytest.param(plant, check, id=plant.__name__))
        return plant

    return enter


def gradients_of(make, shape, training=False):
    """A check: a layer's gradients against finite differences."""

    def check():
        x = np.random.default_rng(0).normal(size=shape)
        layer = test_layers_gradients.randomized(make(), x)
        result = gradient_check(layer, x, training=training)
        assert result.passed, result

    return check


def loss_gradients():
    """A check: the gradients of a small classifier's loss."""
    rng = np.random.default_rng(0)
    model = Sequential(
        [
            layers.Conv2D(2, 3, activation="tanh", input_shape=(6, 5, 1)),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    result = gradient_check(model, rng.normal(size=(4, 6, 5, 1)), rng.integers(0, 3, 4))
    assert result.passed, result


def definition_of_convolution():
    case = test_ops_conv.Case(kernel=(2, 4), padding="same")
    test_ops_conv.test_forward_is_the_definition(
        floor, np.random.default_rng(0), test_ops_conv.CONV, case
    )


def formula_of_momentum():
    test_ops_updates.test_formula(floor, np.random.default_rng(0), "heavy_ball", np.float64)


# An image of 5x5 holds 2x2 windows with a stride of 2 and with one of 3, of 2 and of 3 pixels: a
# wrong geometry gives right shapes.
SQUARE = (2, 5, 5, 3)


@fault(gradients_of(lambda: layers.Conv2D(4, 3), SQUARE))
def a_kernel_gradient_turned_by_180_degrees(monkeypatch):
    right = floor.conv2d_backward

    def wrong(*args, **options):
        dx, dW, db = right(*args, **options)
        return dx, dW[::-1, ::-1], db

    monkeypatch.setattr(floor, "conv2d_backward", wrong)


@fault(gradients_of(lambda: layers.Conv2D(4, 3), SQUARE))
def a_kernel_flipped_on_the_way_to_the_input(monkeypatch):
    right = floor.conv2d_backward

    def wrong(dy, x, W, *args, **options):
        dx, _, _ = right(dy, x, W[::-1, ::-1], *args, **options)
        return dx, *right(dy, x, W, *args, **options)[1:]

    monkeypatch.setattr(floor, "conv2d_backward", wrong)


@fault(gradients_of(lambda: layers.Conv2D(4, 2, strides=2), SQUARE))
def a_convolution_that_goes_back_with_the_wrong_stride(monkeypatch):
    right = floor.conv2d_backward

    def wrong(dy, x, W, strides, *args, **options):
        return right(dy, x, W, tuple(s + 1 for s in strides), *args, **options)

    monkeypatch.setattr(floor, "conv2d_backward", wrong)


@fault(gradients_of(lambda: layers.MaxPooling2D((2, 3), strides=2), SQUARE))
def a_pooling_window_transposed(monkeypatch):
    right = floor.max_pool2d_backward

    def wrong(dy, argmax, x_shape, pool_size, *args):
        return right(dy, argmax, x_shape, pool_size[::-1], *args)

    monkeypatch.setattr(floor, "max_pool2d_backward", wrong)


@fault(gradients_of(lambda: layers.AveragePooling2D((2, 3)), (2, 4, 6, 1)))
def a_mean_that_loses_its_count(monkeypatch):
    right = floor.average_pool2d_backward

    def wrong(dy, x_shape, pool_size, *args):
        return right(dy, x_shape, pool_size, *args) * pool_size[0] * pool_size[1]

    monkeypatch.setattr(floor, "average_pool2d_backward", wrong)


@fault(loss_gradients)
def a_loss_gradient_that_loses_the_number_of_samples(monkeypatch):
    right = Loss._reduced

    def wrong(self, *args):
        value, dy = right(self, *args)
        return value, dy * len(dy)

    monkeypatch.setattr(Loss, "_reduced", wrong)


@fault(gradients_of(lambda: layers.Dropout(0.4, seed=1), (5, 8), training=True))
def a_mask_ignored_on_the_way_back(monkeypatch):
    monkeypatch.setattr(floor, "dropout_backward", lambda dy, mask, rate: dy / (1 - rate))


@fault(gradients_of(lambda: layers.Dense(3), (4, 5)))
def a_bias_without_a_gradient(monkeypatch):
    right = floor.dense_backward

    def wrong(*args):
        dx, dW, db = right(*args)
        return dx, dW, np.zeros_like(db)

    monkeypatch.setattr(floor, "dense_backward", wrong)


@fault(gradients_of(lambda: layers.BatchNormalization(), SQUARE, training=True))
def batch_statistics_taken_for_constants(monkeypatch):
    monkeypatch.setattr(floor, "batch_norm_backward", floor.batch_norm_inference_backward)


@fault(test_layers_behaviour.test_moving_statistics_follow_the_batches)
def moving_statistics_that_do_not_move(monkeypatch):
    monkeypatch.setattr(layers.BatchNormalization, "update", lambda self, moving, batch: None)


@fault(test_layers_behaviour.test_moving_statistics_follow_the_batches)
def a_moving_variance_of_the_sample(monkeypatch):
    right = floor.batch_norm

    def wrong(x, *args):
        y, mean, variance, saved = right(x, *args)
        m = x.size // mean.size
        return y, mean, variance * m / (m - 1), saved

    monkeypatch.setattr(floor, "batch_norm", wrong)


@fault(formula_of_momentum)
def a_momentum_of_the_wrong_sign(monkeypatch):
    right = floor.sgd_momentum

    def wrong(w, g, velocity, lr, momentum, *args):
        right(w, g, velocity, lr, -momentum, *args)

    monkeypatch.setattr(floor, "sgd_momentum", wrong)


@fault(gradients_of(lambda: layers.Softmax(), (3, 5)))
def a_softmax_with_the_derivative_of_a_sigmoid(monkeypatch):
    monkeypatch.setattr(floor, "softmax_backward", lambda dy, z, y, axis=-1: dy * y * (1 - y))


@fault(gradients_of(lambda: layers.Dense(4, "relu"), (6, 5)))
def a_relu_that_lets_every_gradient_pass(monkeypatch):
    monkeypatch.setattr(floor, "relu_backward", lambda dy, z, y, **parameters: dy)


@fault(lambda: test_layers_gradients.test_gradients_add_up_when_a_layer_stands_twice("conv"))
def a_gradient_overwritten_where_it_should_be_added(monkeypatch):
    def wrong(self, gradient):
        self.gradient = np.array(gradient)

    monkeypatch.setattr(Variable, "add_gradient", wrong)


@fault(definition_of_convolution)
def the_odd_zero_of_the_padding_on_the_wrong_side(monkeypatch):
    right = floor.conv2d

    def wrong(x, W, *args, **options):
        turned = right(x[:, ::-1, ::-1], W[::-1, ::-1], *args, **options)
        return turned[:, ::-1, ::-1]

    monkeypatch.setattr(floor, "conv2d", wrong)


@fault(lambda: test_layers_behaviour.test_dtype_is_kept_everywhere("relu", "float32", True))
def an_activation_that_promotes(monkeypatch):
    right = floor.relu
    monkeypatch.setattr(floor, "relu", lambda z, **options: right(z, **options) * np.float64(1))


@pytest.mark.parametrize(("plant", "check"), FAULTS)
def test_the_fault_is_found(monkeypatch, plant, check):
    check()
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        check()
