"""Every loss against Keras: values and gradients, with weights and every reduction."""

import json

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from keras_reference import keras_gradient  # noqa: E402
from loss_cases import CASES, IDS, REDUCTIONS, draw  # noqa: E402

from minicnn import losses  # noqa: E402
from minicnn.checking import relative_error  # noqa: E402

pytestmark = pytest.mark.keras

each_case = pytest.mark.parametrize(("name", "kwargs", "true", "pred"), CASES, ids=IDS)


def pair(name, kwargs, reduction="sum_over_batch_size"):
    return [getattr(m, name)(**kwargs, reduction=reduction) for m in (losses, keras.losses)]


def data(true, pred, shape, seed=0):
    rng = np.random.default_rng(seed)
    return draw(rng, true, shape, np.float32), draw(rng, pred, shape, np.float32)


def compare(mine, theirs, y_true, y_pred, weights=None):
    expected, (expected_dy,) = keras_gradient(lambda p: theirs(y_true, p, weights), y_pred)
    value, dy = mine.value_and_gradient(y_true, y_pred, weights)
    assert np.abs(expected_dy).max() > 1e-3
    assert abs(value - expected) < 1e-5 * max(1, abs(expected))
    assert relative_error(dy, expected_dy) < 1e-4
    assert abs(mine(y_true, y_pred, weights) - expected) < 1e-5 * max(1, abs(expected))


@each_case
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
def test_value_and_gradient(name, kwargs, true, pred, reduction, weighted):
    mine, theirs = pair(name, kwargs, reduction)
    weights = np.array([0.5, 2, 0, 1, 3, 0.1], np.float32) if weighted else None
    compare(mine, theirs, *data(true, pred, (6, 4)), weights)


@each_case
def test_one_sample(name, kwargs, true, pred):
    y_true, y_pred = data(true, pred, (1, 4), seed=5)
    compare(*pair(name, kwargs), y_true, y_pred)
    compare(*pair(name, kwargs), y_true, y_pred, np.array([0.7], np.float32))


@each_case
@pytest.mark.parametrize("weights_shape", [None, (3, 2, 5), (3, 1, 1)])
def test_dense_predictions(name, kwargs, true, pred, weights_shape):
    """One class for each pixel; weights for pixels, or images as (n, 1, 1)."""
    if keras.backend.backend() == "torch" and name.startswith("Sparse"):
        pytest.skip("Keras on PyTorch cannot differentiate a sparse loss of four axes")
    weights = None
    if weights_shape:
        weights = np.random.default_rng(1).uniform(0, 2, weights_shape).astype(np.float32)
    y_true, y_pred = data(true, pred, (3, 2, 5, 4))
    compare(*pair(name, kwargs), y_true, y_pred, weights)


@each_case
@pytest.mark.parametrize("reduction", ["none", None])
def test_no_reduction(name, kwargs, true, pred, reduction):
    mine, theirs = pair(name, kwargs, reduction)
    y_true, y_pred = data(true, pred, (6, 4))
    weights = np.array([0.5, 2, 0, 1, 3, 0.1], np.float32)
    for w in (None, weights):
        values = mine(y_true, y_pred, w)
        expected = keras.ops.convert_to_numpy(theirs(y_true, y_pred, w))
        assert values.shape == expected.shape == (6,)
        assert relative_error(values, expected) < 1e-5


@each_case
def test_function_form(name, kwargs, true, pred):
    mine = getattr(losses, name)(**kwargs)
    function = next(f for f, cls in losses._CLASSES.items() if cls is type(mine))
    y_true, y_pred = data(true, pred, (6, 4))
    expected = getattr(keras.losses, function.__name__)(y_true, y_pred, **kwargs)
    values = function(y_true, y_pred, **kwargs)
    assert relative_error(values, keras.ops.convert_to_numpy(expected)) < 1e-5


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [("Dice", {}), ("Tversky", {}), ("Tversky", {"alpha": 0.2, "beta": 0.9})],
)
@pytest.mark.parametrize("axis", [None, (1, 2, 3), [1, 2]])
def test_regions(name, kwargs, axis):
    """In pictures: values of batches, of pictures, of the channels of pictures."""
    y_true, y_pred = data("binary", "unit", (3, 4, 5, 2))
    for reduction in ("sum_over_batch_size", "sum"):
        mine, theirs = pair(name, {**kwargs, "axis": axis}, reduction)
        compare(mine, theirs, y_true, y_pred)
    if axis == (1, 2, 3):
        compare(mine, theirs, y_true, y_pred, np.array([0.5, 2, 1], np.float32))
    assert mine.name == theirs.name
    expected = json.loads(json.dumps(theirs.get_config()))
    assert mine.get_config() == {key: expected[key] for key in expected if key != "dtype"}
    assert mine.from_config(expected).get_config() == expected
    values = getattr(losses, name.lower())(y_true, y_pred, **kwargs, axis=axis)
    expected = getattr(keras.losses, name.lower())(y_true, y_pred, **kwargs, axis=axis)
    assert np.shape(values) == expected.shape
    assert relative_error(values, keras.ops.convert_to_numpy(expected)) < 1e-5


@pytest.mark.parametrize("from_logits", [False, True])
def test_a_focus_on_rare_classes(from_logits):
    kwargs = {"alpha": [0.1, 0.2, 0.3, 0.4], "from_logits": from_logits}
    y_true, y_pred = data("one-hot", "real" if from_logits else "positive", (6, 4))
    compare(*pair("CategoricalFocalCrossentropy", kwargs), y_true, y_pred)


def test_nothing_there_and_nothing_found():
    zeros = np.zeros((2, 3, 3, 1), np.float32)
    for name in ("Dice", "Tversky"):
        mine, theirs = pair(name, {})
        assert mine(zeros, zeros) == float(theirs(zeros, zeros)) == 1


@each_case
def test_names_and_defaults(name, kwargs, true, pred):
    mine, theirs = [getattr(m, name)() for m in (losses, keras.losses)]
    assert mine.name == theirs.name
    assert mine.reduction == theirs.reduction


FUSED = [
    case
    for case in CASES
    if "Crossentropy" in case[0] and "Focal" not in case[0] and "from_logits" not in case[1]
]


@pytest.mark.parametrize(("name", "kwargs", "true", "pred"), FUSED)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_together_with_the_activation(name, kwargs, true, pred, reduction):
    """Where Keras's clip does not hold, softmax and loss in one are softmax, then loss."""
    mine, theirs = pair(name, kwargs, reduction)
    y_true, z = data(true, "real", (6, 4))
    activation = getattr(keras.activations, mine.fused_activation)
    weights = np.array([0.5, 2, 0, 1, 3, 0.1], np.float32)
    expected, (expected_dz,) = keras_gradient(lambda z: theirs(y_true, activation(z), weights), z)
    value, dz, _ = mine.value_and_gradient_from_logits(y_true, z, weights)
    assert np.abs(expected_dz).max() > 1e-3
    assert abs(value - expected) < 1e-5 * max(1, abs(expected))
    assert relative_error(dz, expected_dz) < 1e-4


@pytest.mark.parametrize("name", ["CategoricalCrossentropy", "BinaryCrossentropy", "KLDivergence"])
def test_certain_predictions(name):
    """Zeros and ones: what is clipped, and to what."""
    mine, theirs = pair(name, {}, None)
    y_true = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    y_pred = np.array([[1, 0, 0], [1, 0, 0], [0, 0.5, 0.5]], np.float32)
    expected = keras.ops.convert_to_numpy(theirs(y_true, y_pred))
    assert expected.max() > 5
    assert relative_error(mine(y_true, y_pred), expected) < 1e-5


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float64", "bool"])
@pytest.mark.parametrize("shape", [(6,), (6, 1)])
def test_label_forms(dtype, shape):
    labels = np.array([0, 1, 1, 0, 1, 0]).reshape(shape).astype(dtype)
    _, y_pred = data("real", "probabilities", (6, 4))
    for name, predictions in (
        ("SparseCategoricalCrossentropy", y_pred),
        ("BinaryCrossentropy", y_pred[:, :1]),
        ("MeanSquaredError", y_pred[:, :1]),
    ):
        mine, theirs = pair(name, {})
        expected = keras.ops.convert_to_numpy(theirs(labels, predictions))
        assert abs(mine(labels, predictions) - expected) < 1e-5


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_weight_forms(shape):
    y_true, y_pred = data("real", "real", (4, 3))
    weights = np.array([1, 2, 0, 3], np.float32).reshape(shape)
    for reduction in REDUCTIONS:
        mine, theirs = pair("MeanSquaredError", {}, reduction)
        expected = keras.ops.convert_to_numpy(theirs(y_true, y_pred, weights))
        assert abs(mine(y_true, y_pred, weights) - expected) < 1e-5


@pytest.mark.parametrize(
    ("y_true_shape", "y_pred_shape"),
    [((8,), (8, 1)), ((8, 1), (8, 1)), ((8,), (8, 4)), ((8, 1), (8, 4)), ((8, 4), (8, 4)),
     ((8, 5, 5), (8, 5, 5, 3)), ((8, 5, 5, 1), (8, 5, 5, 3)), ((8, 5, 5, 3), (8, 5, 5, 3))],
)  # fmt: skip
def test_crossentropy_by_shape(y_true_shape, y_pred_shape):
    from keras.src.trainers.compile_utils import get_loss

    y_true, y_pred = np.zeros(y_true_shape), np.full(y_pred_shape, 0.5)
    expected = get_loss("crossentropy", y_true, y_pred)
    assert losses.resolve("CE", y_true_shape, y_pred_shape).name == expected.fn.__name__
