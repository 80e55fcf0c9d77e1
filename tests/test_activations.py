"""Activations as objects: names, parameters, what they save, what they refuse."""

import numpy as np
import pytest

from minicnn import activations, backend
from minicnn.activations import Activation
from minicnn.checking import numerical_gradient, relative_error

NAMES = [
    "elu",
    "exponential",
    "gelu",
    "hard_sigmoid",
    "hard_silu",
    "leaky_relu",
    "linear",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "tanh",
]


@pytest.mark.parametrize("name", NAMES)
def test_is_found_under_its_name(name):
    activation = getattr(activations, name)
    assert activation.name == activation.__name__ == name
    for spelling in (name, name.upper(), name.replace("_", ""), type(activation).__name__):
        assert activations.get(spelling) is activation
    assert activations.get(activation) is activation
    made = activations.get(type(activation))
    assert type(made) is type(activation)
    assert made.parameters == activation.parameters


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_forward_and_backward(ops, rng, name, dtype):
    """The pair agrees with finite differences, and what it saves has the input's dtype."""
    activation = activations.get(name)
    z = rng.normal(size=(3, 4))
    z[np.abs(z) < 1e-3] = 0.01
    dy = rng.normal(size=(3, 4))
    expected = numerical_gradient(lambda z: float((dy * activation.forward(ops, z)[0]).sum()), z)
    y, saved = activation.forward(ops, z.astype(dtype))
    dz = activation.backward(ops, dy.astype(dtype), saved)
    assert y.dtype == dz.dtype == dtype
    assert relative_error(dz, expected) < (1e-6 if dtype == "float64" else 1e-5)
    assert saved is None if name == "linear" else saved.dtype == dtype


def test_relu_keeps_the_output_only(ops):
    """The next layer keeps its input anyway, so keeping y costs nothing and z can go."""
    for name in ("relu", "sigmoid", "tanh", "softmax"):
        y, saved = activations.get(name).forward(ops, np.ones((2, 2)))
        assert saved is y


def test_calling_on_arrays():
    assert activations.relu([-1, 2]).dtype == np.float32
    assert activations.relu(np.array([1, 2], np.uint8)).dtype == np.float32
    assert activations.relu(np.array([-1.0, 2.0])).dtype == np.float64
    assert np.array_equal(activations.linear(np.array([1.0, 2.0])), [1, 2])
    assert np.array_equal(activations.relu([3.0, 9.0], max_value=6), [3, 6])
    assert np.array_equal(activations.relu([9.0]), [9])  # the object has not changed
    y = activations.softmax(np.arange(6.0).reshape(2, 3), axis=0)
    assert np.abs(y.sum(axis=0) - 1).max() < 1e-15
    assert activations.sigmoid(np.array([[1.0]]).T[::-1]).shape == (1, 1)


def test_calling_on_something_else():
    with pytest.raises(TypeError, match=r"x of activation 'relu'.*array of real numbers"):
        activations.relu(object())
    with pytest.raises(TypeError, match="array of real numbers"):
        activations.relu(np.array([1j]))


def test_parameters():
    leaky = activations.LeakyReLU(negative_slope=0.5)
    assert np.array_equal(leaky([-2.0]), [-1])
    assert leaky.parameters == {"negative_slope": 0.5}
    assert "negative_slope=0.5" in repr(leaky)
    assert np.array_equal(activations.Softmax(axis=0)([[1.0], [1.0]]), [[0.5], [0.5]])
    assert isinstance(activations.ELU(np.float32(0.5)).parameters["alpha"], float)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: activations.ReLU(negative_slope=-1), ValueError, "negative_slope.*got -1"),
        (lambda: activations.ReLU(max_value=-1), ValueError, "max_value"),
        (lambda: activations.ReLU(threshold=float("nan")), ValueError, "threshold"),
        (lambda: activations.LeakyReLU("a"), TypeError, "negative_slope.*got 'a'"),
        (lambda: activations.ELU(alpha=None), TypeError, "alpha"),
        (lambda: activations.Softmax(axis=1.5), TypeError, "axis.*got 1.5"),
        (lambda: activations.Softmax(axis=()), TypeError, "axis"),
        (lambda: activations.get("rellu"), ValueError, "unknown activation 'rellu'.*Did you mean"),
        (lambda: activations.get(3), TypeError, "activation: expected None, a name"),
        (lambda: activations.get(np.tanh), TypeError, "write a class with forward"),
        (lambda: activations.get(lambda x: x), TypeError, "write a class with forward"),
        (lambda: activations.get(dict), TypeError, "activation: expected"),
    ],
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_get_none_is_linear():
    assert activations.get(None) is activations.linear
    assert activations.get("swish") is activations.silu
    assert activations.get("hard_swish") is activations.hard_silu


def test_own_activation():
    class Cube(Activation):
        name = "cube"

        def forward(self, ops, z):
            return z**3, z

        def backward(self, ops, dy, saved):
            return 3 * saved**2 * dy

    class Duck:
        """No base class, only the two methods."""

        forward, backward = Cube.forward, Cube.backward

    cube, duck = Cube(), Duck()
    assert activations.get(cube) is cube
    assert activations.get(duck) is duck
    assert isinstance(activations.get(Cube), Cube)
    assert np.array_equal(cube([2.0]), [8])


class FakeLayer:
    """As much of a layer as an activation needs."""

    def __init__(self, weights=()):
        self.name, self.ops, self.weights, self.shape = "fake", None, list(weights), None

    def ensure_built(self, input_shape):
        self.shape = input_shape

    def forward(self, x, training):
        assert self.ops is not None
        assert training is False
        return 2 * x, "saved"

    def backward(self, dy, saved):
        assert saved == "saved"
        return 2 * dy


def test_a_layer_as_activation():
    ops, layer = backend.current(), FakeLayer()
    activation = activations.get(layer)
    y, saved = activation.forward(ops, np.ones((2, 3)))
    assert np.array_equal(y, np.full((2, 3), 2))
    assert np.array_equal(activation.backward(ops, y, saved), np.full((2, 3), 4))
    assert layer.shape == (2, 3)
    assert layer.ops is ops
    assert activation.name == "fake"


def test_a_layer_with_weights_is_no_activation():
    with pytest.raises(ValueError, match="layer 'fake' has weights"):
        activations.get(FakeLayer(weights=[1])).forward(backend.current(), np.ones((2, 3)))
