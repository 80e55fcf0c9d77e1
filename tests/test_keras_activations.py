"""Every activation against Keras: values and gradients."""

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from keras_reference import keras_gradient  # noqa: E402

from minicnn import activations, backend  # noqa: E402

pytestmark = pytest.mark.keras

CASES = [
    ("linear", {}),
    ("relu", {}),
    ("relu", {"negative_slope": 0.3}),
    ("relu", {"max_value": 1.5}),
    ("relu", {"max_value": 6}),
    ("relu", {"threshold": 0.7}),
    ("relu", {"negative_slope": 0.3, "max_value": 2.0, "threshold": 0.5}),
    ("leaky_relu", {}),
    ("leaky_relu", {"negative_slope": 0.05}),
    ("relu6", {}),
    ("elu", {}),
    ("elu", {"alpha": 0.4}),
    ("selu", {}),
    ("gelu", {}),
    ("gelu", {"approximate": True}),
    ("sigmoid", {}),
    ("tanh", {}),
    ("softplus", {}),
    ("softsign", {}),
    ("silu", {}),
    ("swish", {}),
    ("mish", {}),
    ("exponential", {}),
    ("hard_sigmoid", {}),
    ("hard_silu", {}),
    ("hard_swish", {}),
    ("softmax", {}),
    ("softmax", {"axis": 1}),
    ("softmax", {"axis": (1, 2)}),
    ("log_softmax", {}),
    ("log_softmax", {"axis": 1}),
]


@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_activation(rng, name, parameters):
    theirs = getattr(keras.activations, name)
    ours = getattr(activations, name)
    z = (3 * rng.normal(size=(4, 5, 3))).astype(np.float32)
    for kink in (0, 0.5, 0.7, 1.5, 2, 3, -3, 6):
        z = np.where(np.abs(z - kink) < 1e-3, np.float32(kink + 0.01), z)
    dy = rng.normal(size=z.shape).astype(np.float32)

    expected = keras.ops.convert_to_numpy(theirs(keras.ops.convert_to_tensor(z), **parameters))
    y = ours(z, **parameters)
    # The largest values are e^9: relative there, absolute below 1.
    scale = np.maximum(np.abs(expected), 1)
    assert (np.abs(y - expected) / scale).max() < 1e-5

    _, (expected,) = keras_gradient(
        lambda z: keras.ops.sum(theirs(z, **parameters) * keras.ops.convert_to_tensor(dy)), z
    )
    activation = type(ours)(**{**ours.parameters, **parameters})
    _, saved = activation.forward(backend.current(), z)
    dz = activation.backward(backend.current(), dy, saved)
    scale = np.maximum(np.abs(expected), 1)
    assert (np.abs(dz - expected) / scale).max() < 1e-4


def test_get_names_as_keras():
    for name in ("relu", "leaky_relu", "swish", "hard_swish", "log_softmax", "exponential"):
        assert keras.activations.get(name).__name__ == activations.get(name).__name__
    assert keras.activations.get(None).__name__ == activations.get(None).__name__
