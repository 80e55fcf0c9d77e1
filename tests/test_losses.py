"""Losses: reductions, weights, gradients, checks of targets."""

import warnings

import numpy as np
import pytest
from loss_cases import CASES, IDS, REDUCTIONS, draw

from minicnn import losses, metrics
from minicnn.checking import numerical_gradient, relative_error

each_case = pytest.mark.parametrize(("name", "kwargs", "true", "pred"), CASES, ids=IDS)


def make(rng, name, kwargs, true, pred, shape, dtype=float, **more):
    loss = getattr(losses, name)(**kwargs, **more)
    return loss, draw(rng, true, shape, dtype), draw(rng, pred, shape, dtype)


# -- gradients --------------------------------------------------------------------------------


@each_case
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
def test_gradient(rng, name, kwargs, true, pred, reduction, weighted):
    loss, y_true, y_pred = make(rng, name, kwargs, true, pred, (6, 4), reduction=reduction)
    weights = rng.uniform(0.2, 2, 6) if weighted else None
    value, dy = loss.value_and_gradient(y_true, y_pred, weights)
    numeric = numerical_gradient(lambda p: loss.value(y_true, p, weights), y_pred)
    assert np.abs(numeric).max() > 1e-3
    assert relative_error(dy, numeric) < 1e-6
    assert abs(value - loss(y_true, y_pred, weights)) < 1e-12


@each_case
@pytest.mark.parametrize(
    ("shape", "weights_shape"),
    [((1, 4), (1,)), ((3, 2, 4, 5), (3,)), ((3, 2, 4, 5), (3, 2, 4)), ((3, 2, 4, 5), (3, 1, 4, 1))],
)
def test_gradient_of_dense_predictions(rng, name, kwargs, true, pred, shape, weights_shape):
    """One sample alone; and a class for each pixel, with weights for images or pixels."""
    loss, y_true, y_pred = make(rng, name, kwargs, true, pred, shape)
    if true == "labels":
        y_true[:1] = 2  # one sample alone must not be the ignored one
    weights = rng.uniform(0.2, 2, weights_shape)
    _, dy = loss.value_and_gradient(y_true, y_pred, weights)
    numeric = numerical_gradient(lambda p: loss.value(y_true, p, weights), y_pred)
    assert np.abs(numeric).max() > 1e-3
    assert relative_error(dy, numeric) < 1e-6


FUSED = [
    case
    for case in CASES
    if "Crossentropy" in case[0] and "Focal" not in case[0] and "from_logits" not in case[1]
]


@pytest.mark.parametrize(("name", "kwargs", "true", "pred"), FUSED)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_gradient_together_with_the_activation(rng, ops, name, kwargs, true, pred, reduction):
    """From z, the gradient is that of loss(activation(z))."""
    loss, y_true, z = make(rng, name, kwargs, true, "real", (6, 4), reduction=reduction)
    activation = getattr(ops, loss.fused_activation)
    weights = rng.uniform(0.2, 2, 6)
    value, dz, y_pred = loss.value_and_gradient_from_logits(y_true, z, weights)
    np.testing.assert_allclose(y_pred, activation(z), rtol=1e-12)
    apart = loss.value(y_true, activation(z), weights)
    numeric = numerical_gradient(lambda z: loss.value(y_true, activation(z), weights), z)
    assert abs(value - apart) < 1e-9
    assert np.abs(numeric).max() > 1e-3
    assert relative_error(dz, numeric) < 1e-6


def test_what_can_be_fused():
    assert losses.CategoricalCrossentropy().fused_activation == "softmax"
    assert losses.SparseCategoricalCrossentropy().fused_activation == "softmax"
    assert losses.BinaryCrossentropy().fused_activation == "sigmoid"
    assert losses.CategoricalCrossentropy(from_logits=True).fused_activation is None
    assert losses.MeanSquaredError().fused_activation is None
    with pytest.raises(TypeError, match="mean_squared_error: has no form from logits"):
        losses.MeanSquaredError().value_and_gradient_from_logits(np.ones((2, 1)), np.ones((2, 1)))


def test_a_confident_mistake_keeps_its_gradient():
    z = np.array([[1e4, -1e4]], np.float32)
    loss = losses.SparseCategoricalCrossentropy()
    value, dz, _ = loss.value_and_gradient_from_logits(np.array([1]), z)
    assert value == 2e4
    assert dz.tolist() == [[1, -1]]


@each_case
def test_float32_stays_float32(rng, name, kwargs, true, pred):
    loss, y_true, y_pred = make(rng, name, kwargs, true, pred, (6, 4), np.float32)
    y_true = y_true.astype(np.float64) if true != "labels" else y_true
    weights = rng.uniform(0.2, 2, 6)
    for reduction in REDUCTIONS:
        loss.reduction = reduction
        value, dy = loss.value_and_gradient(y_true, y_pred, weights)
        assert value.dtype == dy.dtype == np.float32
        value, dy = loss.value_and_gradient(y_true, y_pred)
        assert value.dtype == dy.dtype == np.float32
        assert np.ndim(value) == 0
    assert loss(y_true, y_pred).dtype == np.float32


def test_dtype_of_the_computation(rng):
    y_true, y_pred = np.zeros((4, 3), np.float32), draw(rng, "real", (4, 3), np.float32)
    value, dy = losses.MeanSquaredError(dtype="float64").value_and_gradient(y_true, y_pred)
    assert value.dtype == np.float64
    assert dy.dtype == np.float32


def test_label_smoothing():
    y_pred = np.array([[0.2, 0.5, 0.3]])
    smoothed = losses.CategoricalCrossentropy(label_smoothing=0.3)([[0, 1, 0]], y_pred)
    assert abs(smoothed - losses.CategoricalCrossentropy()([[0.1, 0.8, 0.1]], y_pred)) < 1e-12
    smoothed = losses.BinaryCrossentropy(label_smoothing=0.3)([[0, 1, 0]], y_pred)
    assert abs(smoothed - losses.BinaryCrossentropy()([[0.15, 0.85, 0.15]], y_pred)) < 1e-12


# -- weights and reductions -------------------------------------------------------------------


def test_reductions():
    y_true, y_pred = np.zeros((3, 2)), np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    weights = np.array([1.0, 0.0, 2.0])

    def reduced(reduction, weights=None):
        return losses.MeanSquaredError(reduction=reduction)(y_true, y_pred, weights)

    assert reduced("sum_over_batch_size") == reduced("mean") == 14 / 3
    assert reduced("sum_over_batch_size", weights) == reduced("mean", weights) == 19 / 3
    assert reduced("sum") == 14
    assert reduced("sum", weights) == 19
    assert reduced("mean_with_sample_weight") == 14 / 3
    assert reduced("mean_with_sample_weight", weights) == 19 / 3
    assert reduced("mean_with_sample_weight", 2 * weights) == 19 / 3
    assert reduced(None).tolist() == reduced("none").tolist() == [1, 4, 9]
    assert reduced(None, weights).tolist() == [1, 0, 18]


def test_weights_of_zero_give_zero():
    y_true, y_pred, weights = np.zeros((2, 1)), np.ones((2, 1)), np.zeros(2)
    loss = losses.MeanSquaredError(reduction="mean_with_sample_weight")
    with np.errstate(all="raise"):
        value, dy = loss.value_and_gradient(y_true, y_pred, weights)
    assert value == 0
    assert dy.tolist() == [[0], [0]]
    assert loss(y_true, np.array([[1.0], [2.0]]), [1, -1]) == 0


def test_weights_may_have_a_last_axis():
    y_true, y_pred = np.zeros((3, 2)), np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    weights = np.array([1.0, 0.0, 2.0])
    loss = losses.MeanSquaredError()
    assert loss(y_true, y_pred, weights[:, np.newaxis]) == loss(y_true, y_pred, weights) == 19 / 3
    assert loss(y_true, y_pred, 2.0) == 28 / 3


@pytest.mark.parametrize("shape", [(2,), (3, 2), (1, 3), (3, 1, 1), (3, 3)])
def test_weights_that_do_not_fit(shape):
    with pytest.raises(ValueError, match=r"sample_weight: expected one weight for each sample"):
        losses.MeanSquaredError()(np.zeros((3, 2)), np.ones((3, 2)), np.ones(shape))


def test_bad_weights():
    loss, y = losses.MeanSquaredError(), np.ones((2, 1))
    with pytest.raises(ValueError, match=r"sample_weight: expected finite numbers, got nan"):
        loss(y, y, [1, np.nan])
    with pytest.raises(TypeError, match=r"sample_weight: expected numbers"):
        loss(y, y, ["a", "b"])


def test_no_gradient_without_reduction():
    with pytest.raises(ValueError, match="reduction: mean_squared_error"):
        losses.MeanSquaredError(reduction=None).value_and_gradient(np.ones((2, 1)), np.ones((2, 1)))


def test_ignored_class():
    """As if the ignored samples were not there."""
    y_pred = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.3, 0.3, 0.4], [0.5, 0.4, 0.1]])
    labels, kept = np.array([0, 255, 1, 255]), [0, 2]
    weights = np.array([1.0, 2.0, 3.0, 4.0])
    for reduction in REDUCTIONS:
        some = losses.SparseCategoricalCrossentropy(ignore_class=255, reduction=reduction)
        whole = losses.SparseCategoricalCrossentropy(reduction=reduction)
        assert some(labels, y_pred) == whole(labels[kept], y_pred[kept])
        value, dy = some.value_and_gradient(labels.astype(np.uint8), y_pred, weights)
        value_of_kept, dy_of_kept = whole.value_and_gradient(
            labels[kept], y_pred[kept], weights[kept]
        )
        assert abs(value - value_of_kept) < 1e-12
        assert np.abs(dy[kept] - dy_of_kept).max() < 1e-12
        assert not dy[[1, 3]].any()
        assert some.call(labels, y_pred)[[1, 3]].tolist() == [0, 0]


def test_all_ignored():
    loss = losses.SparseCategoricalCrossentropy(ignore_class=-1, from_logits=True)
    with np.errstate(all="raise"):
        value, dy = loss.value_and_gradient(np.array([-1, -1]), np.ones((2, 3)))
    assert value == 0
    assert not dy.any()


# -- targets ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int64", "float32", "float64", "bool"])
def test_label_dtypes(dtype):
    labels = np.array([0, 1, 1]).astype(dtype)
    y_pred = np.array([[0.7, 0.3], [0.4, 0.6], [0.9, 0.1]], np.float32)
    expected = -np.log([0.7, 0.6, 0.1])
    sparse = losses.sparse_categorical_crossentropy
    categorical = losses.categorical_crossentropy
    binary = losses.binary_crossentropy
    one_hot = np.array([[1, 0], [0, 1], [0, 1]]).astype(dtype)
    assert np.abs(sparse(labels, y_pred) - expected).max() < 1e-6
    assert np.abs(sparse(labels[:, np.newaxis], y_pred) - expected).max() < 1e-6
    assert np.abs(categorical(one_hot, y_pred) - expected).max() < 1e-6
    assert np.abs(binary(labels, y_pred[:, 1:]) - expected).max() < 1e-6
    assert np.abs(binary(labels[:, np.newaxis], y_pred[:, 1:]) - expected).max() < 1e-6


def test_prepared_forms():
    sparse = losses.SparseCategoricalCrossentropy()
    prepared = sparse.prepare([[3.0], [0.0]], (None, 10))
    assert prepared.dtype == np.int32
    assert prepared.tolist() == [3, 0]
    assert sparse.prepare(prepared, (2, 10)).tolist() == [3, 0]
    assert sparse.prepare(np.zeros((2, 4, 5, 1)), (None, 4, 5, 21)).shape == (2, 4, 5)
    assert losses.BinaryCrossentropy().prepare([True, False], (None, 1)).shape == (2, 1)
    assert losses.MeanSquaredError().prepare(np.zeros((2, 1)), (2,)).shape == (2,)


def error(loss, y_true, output_shape):
    with pytest.raises((TypeError, ValueError)) as caught:
        losses.get(loss).prepare(np.asarray(y_true), output_shape)
    return f"{type(caught.value).__name__}: {caught.value}"


def test_labels_out_of_range():
    message = error("sparse_categorical_crossentropy", [3, 0, 10, 12], (None, 10))
    assert message == (
        "ValueError: y_true: expected labels from 0 to 9 for an output of 10 classes, "
        "got 10 at index 2"
    )
    message = error("sparse_categorical_crossentropy", np.full((2, 3, 4), -1), (2, 3, 4, 5))
    assert "got -1 at index (0, 0, 0)" in message
    message = error("sparse_categorical_crossentropy", [0, 1], (None, 1))
    assert "for a single output unit use BinaryCrossentropy" in message
    message = error(losses.SparseCategoricalCrossentropy(ignore_class=255), [0, 255, 7], (3, 5))
    assert "got 7 at index 2" in message
    message = error("binary_crossentropy", [[0], [2]], (None, 1))
    assert "needs targets from 0 to 1, got 2 at index (1, 0)" in message
    assert "got -1 at index" in error("binary_crossentropy", [[1], [-1]], (None, 1))


def test_labels_of_the_other_kind():
    one_hot = np.eye(10)[[3, 1]]
    message = error("sparse_categorical_crossentropy", one_hot, (None, 10))
    assert "these look like one-hot rows: use categorical_crossentropy" in message
    assert "got (2, 10)" in message
    for labels in ([3, 1], [[3], [1]]):
        message = error("categorical_crossentropy", labels, (None, 10))
        assert "use sparse_categorical_crossentropy" in message
        assert "to_categorical(y, 10)" in message
        assert "(None, 10)" in message


def test_labels_that_are_no_numbers():
    message = error("sparse_categorical_crossentropy", ["cat", "dog"], (None, 10))
    assert message.startswith("TypeError: y_true: expected numbers")
    assert "'cat'" in message
    assert "np.unique" in message
    assert "TypeError" in error("mse", np.array([None, 1.0]), (None, 1))
    for loss in ("sparse_categorical_crossentropy", "categorical_crossentropy", "mse", "bce"):
        shape = (3,) if loss.startswith("sparse") else (3, 2)
        y_true = np.zeros(shape)
        y_true[1] = np.nan
        assert "expected finite numbers, got nan at index" in error(loss, y_true, (None, 2))
    assert "got inf at index (1, 0)" in error("mse", [[0.0], [np.inf]], (None, 1))
    message = error("sparse_categorical_crossentropy", [0.0, 1.5], (None, 3))
    assert "needs whole numbers as labels, got 1.5 at index 1" in message


def test_targets_of_the_wrong_shape():
    for loss in ("sparse_categorical_crossentropy", "categorical_crossentropy", "mse", "hinge"):
        assert "for each of the 3 predictions" in error(loss, np.zeros((4, 1)), (3, 2))
        assert "expected at least one number" in error(loss, np.zeros((0, 2)), (0, 2))
        assert "expected one target for each sample" in error(loss, np.array(1.0), (3, 2))
    message = error("sparse_categorical_crossentropy", np.zeros((3, 2)), (3, 10))
    assert "shape (3,) or (3, 1), got (3, 2)" in message
    message = error("mse", np.zeros((3, 2)), (3, 4))
    assert "mean_squared_error" in message
    assert "(3, 4), got (3, 2)" in message
    # (3, 1) against (3, 4) would broadcast, and train nonsense.
    assert "(3, 4), got (3, 1)" in error("mse", np.zeros((3, 1)), (3, 4))


def test_one_class_is_no_choice():
    with pytest.warns(UserWarning, match="use binary_crossentropy"):
        losses.CategoricalCrossentropy().prepare(np.ones((3, 1)), (None, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        losses.CategoricalCrossentropy().prepare(np.ones((3, 2)), (None, 2))


# -- names and arguments ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        ("mse", losses.MeanSquaredError),
        ("MSE", losses.MeanSquaredError),
        ("mean_squared_error", losses.MeanSquaredError),
        ("MeanSquaredError", losses.MeanSquaredError),
        ("mae", losses.MeanAbsoluteError),
        ("mape", losses.MeanAbsolutePercentageError),
        ("msle", losses.MeanSquaredLogarithmicError),
        ("bce", losses.BinaryCrossentropy),
        ("kld", losses.KLDivergence),
        ("KLDivergence", losses.KLDivergence),
        ("Categorical_Crossentropy", losses.CategoricalCrossentropy),
        ("logcosh", losses.LogCosh),
        ("huber", losses.Huber),
        (losses.huber, losses.Huber),
        (losses.sparse_categorical_crossentropy, losses.SparseCategoricalCrossentropy),
        (losses.Hinge, losses.Hinge),
        (losses.SquaredHinge(), losses.SquaredHinge),
    ],
)
def test_get(identifier, expected):
    assert type(losses.get(identifier)) is expected


def test_get_refuses():
    assert losses.get(None) is None
    with pytest.raises(ValueError, match=r"unknown loss 'mean_square_error'.*Did you mean"):
        losses.get("mean_square_error")
    with pytest.raises(TypeError, match=r"subclass minicnn\.losses\.Loss"):
        losses.get(lambda y_true, y_pred: y_pred)
    with pytest.raises(TypeError, match="got 3"):
        losses.get(3)


def test_every_function_is_its_class(rng):
    """One name for the function and the class, and the same values."""
    for name, kwargs, true, pred in CASES:
        loss, y_true, y_pred = make(rng, name, kwargs, true, pred, (5, 3), reduction=None)
        function = next(f for f, cls in losses._CLASSES.items() if cls is type(loss))
        assert type(losses.get(function)) is type(loss)
        assert np.array_equal(function(y_true, y_pred, **kwargs), loss(y_true, y_pred))


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"reduction: expected one of .*'average'"):
        losses.MeanSquaredError(reduction="average")
    with pytest.raises(ValueError, match=r"label_smoothing: .*1\.5"):
        losses.CategoricalCrossentropy(label_smoothing=1.5)
    with pytest.raises(ValueError, match="delta"):
        losses.Huber(delta=0)
    with pytest.raises(ValueError, match="axis"):
        losses.CategoricalCrossentropy(axis=1)
    with pytest.raises(ValueError, match=r"alpha: .*got -1"):
        losses.CategoricalFocalCrossentropy(alpha=[0.5, -1])
    with pytest.raises(ValueError, match=r"alpha of .*each of the 3 classes, got 2"):
        losses.CategoricalFocalCrossentropy(alpha=[0.5, 1])(np.eye(3), np.eye(3))
    with pytest.raises(ValueError, match=r"alpha: .*\[0, 1\], got 2"):
        losses.BinaryFocalCrossentropy(alpha=2)
    with pytest.raises(ValueError, match=r"gamma: .*got -1"):
        losses.BinaryFocalCrossentropy(gamma=-1)
    with pytest.raises(TypeError, match=r"axis: .*got 'all'"):
        losses.Dice(axis="all")
    with pytest.raises(ValueError, match=r"sample_weight: .*got \(3,\)"):
        losses.Dice()(np.eye(3), np.eye(3), np.ones(3))
    with pytest.raises(TypeError, match="ignore_class"):
        losses.SparseCategoricalCrossentropy(ignore_class="none")
    with pytest.raises(TypeError, match="name"):
        losses.MeanSquaredError(name=3)


def test_a_loss_of_ones_own(rng):
    class Cubic(losses.Loss):
        def call(self, y_true, y_pred):
            return np.sum(np.abs(y_pred - y_true) ** 3, axis=-1)

        def gradient(self, y_true, y_pred):
            e = y_pred - y_true
            return 3 * np.abs(e) * e

    loss = Cubic()
    y_true, y_pred, weights = rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), rng.uniform(size=4)
    _, dy = loss.value_and_gradient(y_true, y_pred, weights)
    numeric = numerical_gradient(lambda p: loss(y_true, p, weights), y_pred)
    assert relative_error(dy, numeric) < 1e-6
    assert loss.name.startswith("cubic")
    assert losses.get(loss) is loss
    with pytest.raises(NotImplementedError, match=r"Loss does not define call"):
        losses.Loss()(y_true, y_pred)


class Tensor:
    """An array of another library, whose dtype is not NumPy's."""

    dtype = "theirs"

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.array, dtype)


def test_arrays_of_other_libraries():
    x, y = np.random.default_rng(0).random((2, 5, 3))
    expected = losses.mean_squared_error(x, y)
    found = losses.mean_squared_error(Tensor(x), Tensor(y))
    assert found.dtype == np.float64
    assert np.array_equal(found, expected)
    assert losses.MeanSquaredError()(Tensor(x), Tensor(y)) == losses.MeanSquaredError()(x, y)


def test_losses_and_metrics_have_their_short_names():
    for module in (losses, metrics):
        assert module.mse is module.MSE is module.mean_squared_error
        assert module.mae is module.MAE is module.mean_absolute_error
        assert module.mape is module.MAPE is module.mean_absolute_percentage_error
        assert module.msle is module.MSLE is module.mean_squared_logarithmic_error
