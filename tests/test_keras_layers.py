"""Every layer against Keras: arguments, names, shapes, outputs, gradients, moving statistics."""

import inspect

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from keras_reference import keras_gradient  # noqa: E402
from layer_cases import CASES, RANDOM_CASES  # noqa: E402

import minicnn  # noqa: E402
from minicnn import layers  # noqa: E402

pytestmark = pytest.mark.keras

# What Keras has besides: lower precision, other layouts in memory, other backends.
KERAS_ONLY = {
    "autocast",
    "lora_alpha",
    "lora_rank",
    "optional",
    "quantization_config",
    "ragged",
    "renorm",
    "renorm_clipping",
    "renorm_momentum",
    "sparse",
    "input_tensor",
    "synchronized",
    "tensor",
}
CLASSES = [
    name
    for name in layers.__all__
    if name not in ("Input", "Layer") and isinstance(getattr(layers, name), type)
]


def both(case, seed=0):
    """Both libraries' layer with the same random weights, and the inputs."""
    rng = np.random.default_rng(seed)
    xs = [rng.normal(size=shape).astype(np.float32) for shape in case.shapes]
    x = xs if isinstance(case.shape, list) else xs[0]
    mine, theirs = case.make(minicnn), case.make(keras)
    mine(x)
    theirs(x)
    weights = [rng.uniform(0.2, 1.2, w.shape).astype(np.float32) for w in mine.weights]
    signs = [
        1 if w.name.endswith("variance") else rng.choice([-1, 1], w.shape) for w in mine.weights
    ]
    weights = [sign * weight for sign, weight in zip(signs, weights, strict=True)]
    mine.set_weights(weights)
    theirs.set_weights(weights)
    return mine, theirs, xs, x


def error(mine, reference):
    """The largest difference, relative to the largest entry where that is above 1."""
    reference = np.asarray(reference)
    assert mine.shape == reference.shape
    return np.abs(mine - reference).max() / max(1.0, np.abs(reference).max())


FAULTS_OF_KERAS_ON_TORCH = {
    "layer norm inner axis": "hands an inner axis to F.layer_norm, which knows the last ones only",
    "average pool same": "repeats the border where the padding is uneven, and counts it",
}
BATCH_NORMS = [name for name in CASES if name.startswith("batch norm")]


@pytest.mark.usefixtures("floor")
@pytest.mark.parametrize(
    ("name", "training"),
    [(name, False) for name in CASES] + [(name, True) for name in BATCH_NORMS],
)
def test_outputs_and_gradients(name, training):
    case = CASES[name]
    if keras.backend.backend() == "torch" and name in FAULTS_OF_KERAS_ON_TORCH:
        pytest.skip(FAULTS_OF_KERAS_ON_TORCH[name])
    mine, theirs, xs, x = both(case)
    several = isinstance(case.shape, list)
    options = {}
    if "training" in inspect.signature(theirs.call).parameters:
        options["training"] = training
    fixed = [v.value for v in theirs.non_trainable_variables]
    weights = [w.numpy() for w in mine.trainable_weights]
    y, saved = mine.forward(list(xs) if several else x, training)
    dy = np.random.default_rng(1).normal(size=y.shape).astype(np.float32)
    dx = mine.backward(dy, saved)

    def loss(*arrays):
        inputs = list(arrays[: len(xs)]) if several else arrays[0]
        y, _ = theirs.stateless_call(list(arrays[len(xs) :]), fixed, inputs, **options)
        return keras.ops.sum(keras.ops.multiply(y, dy))

    _, expected = keras_gradient(loss, *xs, *weights)
    gradients = [*(dx if several else [dx]), *(w.gradient for w in mine.trainable_weights)]
    for gradient, reference in zip(gradients, expected, strict=True):
        assert error(gradient, reference) < 1e-4
    assert error(y, keras.ops.convert_to_numpy(theirs(x, **options))) < 1e-5


@pytest.mark.usefixtures("floor")
@pytest.mark.parametrize("name", BATCH_NORMS)
def test_moving_statistics(name):
    mine, theirs, _, x = both(CASES[name])
    rng = np.random.default_rng(3)
    for _ in range(4):
        batch = (rng.normal(1, 2, x.shape)).astype(np.float32)
        y = mine(batch, training=True)
        assert error(y, keras.ops.convert_to_numpy(theirs(batch, training=True))) < 1e-5
    for weight, reference in zip(mine.get_weights(), theirs.get_weights(), strict=True):
        assert error(weight, reference) < 1e-5
    assert error(mine(x), keras.ops.convert_to_numpy(theirs(x))) < 1e-5


@pytest.mark.usefixtures("floor")
def test_frozen_batch_norm():
    case = CASES["batch norm"]
    mine, theirs, _, x = both(case)
    mine.trainable = theirs.trainable = False
    y = mine(x, training=True)
    assert error(y, keras.ops.convert_to_numpy(theirs(x, training=True))) < 1e-5
    for weight, reference in zip(mine.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, reference)


def test_activity_regularization():
    """The penalty of a batch, and its gradient in a training step."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, 5)).astype(np.float32)
    y = rng.normal(size=(6, 3)).astype(np.float32)
    weights = [rng.normal(size=(5, 3)).astype(np.float32), np.zeros(3, np.float32)]
    found = []
    for kit in (minicnn, keras):
        model = kit.Sequential(
            [
                kit.layers.Input((5,)),
                kit.layers.Dense(3),
                kit.layers.ActivityRegularization(l1=0.1, l2=0.2),
            ]
        )
        model.set_weights(weights)
        model.compile(kit.optimizers.SGD(0.1), "mse")
        found.append((float(model.train_on_batch(x, y)), model.get_weights()))
    (mine, moved), (theirs, expected) = found
    assert abs(mine - theirs) < 1e-5 * theirs
    for weight, reference in zip(moved, expected, strict=True):
        assert error(weight, reference) < 1e-5


def test_vectors_without_a_length():
    x = np.array([[0, 0, 0], [1e-13, 0, 0], [3e-12, 4e-12, 0]], np.float32)
    mine, theirs = minicnn.layers.UnitNormalization(), keras.layers.UnitNormalization()
    assert error(mine(x), keras.ops.convert_to_numpy(theirs(x))) < 1e-5


@pytest.mark.parametrize("name", {**CASES, **RANDOM_CASES})
def test_names_and_shapes(name):
    """Automatic names (Keras counts per class), output shapes, weights' names and shapes."""
    case = {**CASES, **RANDOM_CASES}[name]
    minicnn.backend.clear_session()
    keras.backend.clear_session()
    shapes = [(None, *shape[1:]) for shape in case.shapes]
    for _ in range(2):
        mine, theirs = case.make(minicnn), case.make(keras)
        assert mine.name == theirs.name
    outputs = []
    for kit, layer in ((minicnn, mine), (keras, theirs)):
        tensors = [kit.layers.Input(batch_shape=shape) for shape in shapes]
        outputs.append(layer(tensors if isinstance(case.shape, list) else tensors[0]))
    assert outputs[0].shape == tuple(outputs[1].shape)
    assert mine.count_params() == theirs.count_params()
    for kind in ("weights", "trainable_weights", "non_trainable_weights"):
        described = [(w.name, w.shape) for w in getattr(mine, kind)]
        expected = [(w.name, tuple(w.shape)) for w in getattr(theirs, kind) if "seed" not in w.name]
        assert described == expected


@pytest.mark.parametrize("name", ["relu", "conv", "max pool", "flatten", "global average"])
def test_unknown_sizes(name):
    shape = (None, None, None, 3)
    mine = CASES[name].make(minicnn)(minicnn.Input(batch_shape=shape))
    theirs = CASES[name].make(keras)(keras.Input(batch_shape=shape))
    assert mine.shape == tuple(theirs.shape)


def parameters(cls):
    """The arguments of a class and their defaults, those that it hands on to its parents too."""
    found = {}
    for parent in cls.__mro__:
        if "__init__" not in vars(parent):
            continue
        for parameter in inspect.signature(parent.__init__).parameters.values():
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                found.setdefault(parameter.name, parameter.default)
    found.pop("self", None)
    return found


def plain(value):
    """Names in any case are the same, and so are lists and tuples."""
    if isinstance(value, str):
        return value.lower()
    return tuple(value) if isinstance(value, list) else value


@pytest.mark.parametrize("name", CLASSES)
def test_arguments_and_defaults(name):
    mine = parameters(getattr(layers, name))
    theirs = {
        key: parameter.default
        for key, parameter in inspect.signature(getattr(keras.layers, name)).parameters.items()
        if parameter.kind is not parameter.VAR_KEYWORD and key not in KERAS_ONLY
    }
    assert set(theirs) <= set(mine)
    for key, default in theirs.items():
        assert plain(mine[key]) == plain(default), key


@pytest.mark.parametrize("name", CLASSES)
def test_arguments_by_position(name):
    """What both take by position comes in the same order."""

    def positional(cls):
        return [
            key
            for key, parameter in inspect.signature(cls).parameters.items()
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD and key not in KERAS_ONLY
        ]

    mine, theirs = positional(getattr(layers, name)), positional(getattr(keras.layers, name))
    assert mine == theirs[: len(mine)]


def test_aliases_and_functions():
    for name in layers.__all__:
        theirs = getattr(keras.layers, name)
        assert getattr(layers, name).__name__ == theirs.__name__
    mine = {name for name in layers.__all__ if isinstance(getattr(layers, name), type)}
    families = {getattr(keras.layers, name) for name in mine}
    theirs = {
        name
        for name in dir(keras.layers)
        if isinstance(getattr(keras.layers, name), type) and getattr(keras.layers, name) in families
    }
    assert mine == theirs


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda k: k.layers.Conv2D(0, 3), None),
        (lambda k: k.layers.Conv2D(2, 0), None),
        (lambda k: k.layers.Conv2D(2, (3, 3, 3)), None),
        (lambda k: k.layers.Conv2D(2, 3, padding="full"), None),
        (lambda k: k.layers.Conv2D(3, 3, groups=2), None),
        (lambda k: k.layers.Conv2D(2, 3, strides=2, dilation_rate=2), None),
        (lambda k: k.layers.Conv2DTranspose(2, 3, strides=2, output_padding=2), None),
        (lambda k: k.layers.DepthwiseConv2D(3, depth_multiplier=0), None),
        (lambda k: k.layers.Dropout(1.5), None),
        (lambda k: k.layers.GaussianNoise(-1), None),
        (lambda k: k.layers.GaussianDropout(2), None),
        (lambda k: k.layers.AlphaDropout(-0.5), None),
        (lambda k: k.layers.Permute((0, 1)), None),
        (lambda k: k.layers.Permute((2, 1)), (None, 3)),
        (lambda k: k.layers.RepeatVector(0), None),
        (lambda k: k.layers.RepeatVector(2), (None, 3, 3)),
        (lambda k: k.layers.UnitNormalization(3), (None, 3)),
        (lambda k: k.layers.Normalization(mean=[1, 2], variance=[1, 2]), (None, 3)),
        (lambda k: k.layers.Normalization(), (None, None)),
        (lambda k: k.layers.ReLU(max_value=-1), None),
        (lambda k: k.layers.LeakyReLU(-1), None),
        (lambda k: k.layers.Reshape((-1, -1)), None),
        (lambda k: k.layers.Conv2D(2, 6), (None, 5, 5, 1)),
        (lambda k: k.layers.Conv2D(2, 3), (None, 5, 5)),
        (lambda k: k.layers.Conv2D(4, 3, groups=2), (None, 5, 5, 3)),
        (lambda k: k.layers.MaxPooling2D(6), (None, 5, 5, 1)),
        (lambda k: k.layers.MaxPooling2D(2), (None, 5, 5)),
        (lambda k: k.layers.Cropping2D(3), (None, 5, 5, 1)),
        (lambda k: k.layers.Reshape((4, 2)), (None, 3, 3)),
        (lambda k: k.layers.BatchNormalization(axis=4), (None, 3)),
        (lambda k: k.layers.Add(), [(None, 3), (None, 4)]),
        (lambda k: k.layers.Add(), (None, 3)),
        (lambda k: k.layers.Subtract(), [(None, 3)] * 3),
        (lambda k: k.layers.Concatenate(), [(None, 3, 1), (None, 4, 1)]),
    ],
)
def test_both_refuse(make, shape):
    for kit in (minicnn, keras):
        with pytest.raises((ValueError, IndexError)):
            layer = make(kit)
            several = isinstance(shape, list)
            tensors = [kit.layers.Input(batch_shape=s) for s in (shape if several else [shape])]
            layer(tensors if several else tensors[0])
