"""Every metric against Keras, over several batches."""

import warnings

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from loss_cases import draw  # noqa: E402

from minicnn import losses, metrics  # noqa: E402

pytestmark = pytest.mark.keras

# Class, arguments, kind of targets, kind of predictions.
CASES = [
    ("Accuracy", {}, "binary", "binary"),
    ("BinaryAccuracy", {}, "binary", "unit"),
    ("BinaryAccuracy", {"threshold": 0.3}, "binary", "unit"),
    ("CategoricalAccuracy", {}, "one-hot", "probabilities"),
    ("SparseCategoricalAccuracy", {}, "labels", "probabilities"),
    ("TopKCategoricalAccuracy", {"k": 2}, "one-hot", "probabilities"),
    ("TopKCategoricalAccuracy", {}, "one-hot", "probabilities"),
    ("SparseTopKCategoricalAccuracy", {"k": 3}, "labels", "probabilities"),
    ("Precision", {}, "binary", "unit"),
    ("Precision", {"thresholds": 0.3}, "binary", "unit"),
    ("Precision", {"thresholds": [0.7, 0.2]}, "binary", "unit"),
    ("Precision", {"thresholds": [0.0, 0.25, 0.5, 0.75, 1.0]}, "binary", "unit"),
    ("Precision", {"top_k": 2}, "one-hot", "probabilities"),
    ("Precision", {"top_k": 2, "class_id": 1}, "one-hot", "probabilities"),
    ("Precision", {"top_k": 3, "thresholds": 0.2}, "one-hot", "probabilities"),
    ("Precision", {"class_id": 1, "thresholds": 0.2}, "one-hot", "probabilities"),
    ("Recall", {}, "binary", "unit"),
    ("Recall", {"thresholds": [0.2, 0.6, 0.7]}, "binary", "unit"),
    ("Recall", {"top_k": 2}, "one-hot", "probabilities"),
    ("Recall", {"class_id": 0, "thresholds": 0.2}, "one-hot", "probabilities"),
    ("TruePositives", {}, "binary", "unit"),
    ("TruePositives", {}, "one-hot", "probabilities"),
    ("FalsePositives", {"thresholds": 0.3}, "binary", "unit"),
    ("FalseNegatives", {"thresholds": [0.7, 0.2]}, "binary", "unit"),
    ("TrueNegatives", {"thresholds": [0.0, 0.25, 1.0]}, "one-hot", "probabilities"),
    ("AUC", {}, "binary", "unit"),
    ("AUC", {"num_thresholds": 7}, "binary", "unit"),
    ("AUC", {"curve": "PR"}, "binary", "unit"),
    ("AUC", {"curve": "PR", "num_thresholds": 5}, "binary", "unit"),
    ("AUC", {"summation_method": "minoring", "num_thresholds": 5}, "binary", "unit"),
    ("AUC", {"summation_method": "majoring", "num_thresholds": 5}, "binary", "unit"),
    ("AUC", {"curve": "PR", "summation_method": "majoring"}, "binary", "unit"),
    ("AUC", {"curve": "PR", "summation_method": "minoring"}, "binary", "unit"),
    ("AUC", {"thresholds": [0.8, 0.1, 0.3]}, "binary", "unit"),
    ("AUC", {"from_logits": True}, "binary", "real"),
    ("F1Score", {}, "one-hot", "probabilities"),
    ("F1Score", {"average": "micro", "threshold": 0.3}, "binary", "unit"),
    ("F1Score", {"average": "macro"}, "binary", "unit"),
    ("FBetaScore", {"average": "weighted", "beta": 2.0}, "one-hot", "probabilities"),
    ("FBetaScore", {"beta": 0.5, "threshold": 0.6}, "binary", "unit"),
    ("R2Score", {}, "real", "real"),
    ("R2Score", {"class_aggregation": None}, "real", "real"),
    ("R2Score", {"class_aggregation": "variance_weighted_average"}, "real", "real"),
    ("MeanSquaredError", {}, "real", "real"),
    ("RootMeanSquaredError", {}, "real", "real"),
    ("MeanAbsoluteError", {}, "real", "real"),
    ("MeanAbsolutePercentageError", {}, "real", "real"),
    ("MeanSquaredLogarithmicError", {}, "positive", "real"),
    ("LogCoshError", {}, "real", "real"),
    ("Hinge", {}, "binary", "real"),
    ("SquaredHinge", {}, "signs", "real"),
    ("CategoricalHinge", {}, "one-hot", "real"),
    ("KLDivergence", {}, "probabilities", "probabilities"),
    ("BinaryCrossentropy", {}, "binary", "unit"),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "binary", "real"),
    ("CategoricalCrossentropy", {"label_smoothing": 0.1}, "one-hot", "probabilities"),
    ("CategoricalCrossentropy", {"from_logits": True}, "one-hot", "real"),
    ("SparseCategoricalCrossentropy", {}, "labels", "probabilities"),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, "labels", "real"),
    ("SparseCategoricalCrossentropy", {"ignore_class": 1}, "labels", "probabilities"),
]
each_case = pytest.mark.parametrize(
    ("name", "kwargs", "true", "pred"), CASES, ids=[f"{c[0]}-{c[1]}" for c in CASES]
)


def numpy(x):
    return np.asarray(keras.ops.convert_to_numpy(x))


@each_case
@pytest.mark.parametrize("weighted", [False, True])
def test_three_batches_a_reset_and_one_more(name, kwargs, true, pred, weighted):
    rng = np.random.default_rng(0)
    mine, theirs = getattr(metrics, name)(**kwargs), getattr(keras.metrics, name)(**kwargs)
    for n in (7, 5, 1, 0, 6):
        if n == 0:
            mine.reset_state()
            theirs.reset_state()
            continue
        y_true, y_pred = draw(rng, true, (n, 6), np.float32), draw(rng, pred, (n, 6), np.float32)
        weights = rng.uniform(0, 2, n).astype(np.float32) if weighted else None
        mine.update_state(y_true, y_pred, weights)
        theirs.update_state(y_true, y_pred, weights)
        expected = numpy(theirs.result())
        assert np.shape(mine.result()) == expected.shape
        assert np.abs(mine.result() - expected).max() < 1e-5 * max(1, np.abs(expected).max())


COUNTED = {"Precision", "Recall", "AUC", "F1Score", "FBetaScore", "R2Score"}
COUNTED |= {"TruePositives", "FalsePositives", "FalseNegatives", "TrueNegatives"}
DENSE = [case for case in CASES if case[0] not in COUNTED]


@pytest.mark.parametrize(("name", "kwargs", "true", "pred"), DENSE)
@pytest.mark.parametrize("weights_shape", [None, (3, 2, 4)])
def test_dense_predictions(name, kwargs, true, pred, weights_shape):
    rng = np.random.default_rng(0)
    mine, theirs = getattr(metrics, name)(**kwargs), getattr(keras.metrics, name)(**kwargs)
    shape = (3, 2, 4, 6)
    y_true, y_pred = draw(rng, true, shape, np.float32), draw(rng, pred, shape, np.float32)
    weights = rng.uniform(0, 2, weights_shape).astype(np.float32) if weights_shape else None
    theirs.update_state(y_true, y_pred, weights)
    expected = numpy(theirs.result())
    assert abs(mine(y_true, y_pred, weights) - expected) < 1e-5 * max(1, abs(expected))


@each_case
def test_default_names(name, kwargs, true, pred):
    keras.backend.clear_session()
    metrics.base.backend.clear_session()
    for _ in range(2):
        assert getattr(metrics, name)().name == getattr(keras.metrics, name)().name


def test_adjusted_r2():
    rng = np.random.default_rng(0)
    y_true, y_pred = rng.normal(size=(2, 9, 1)).astype(np.float32)
    for k in (2, 7):
        expected = numpy(keras.metrics.R2Score(num_regressors=k)(y_true, y_pred))
        assert abs(metrics.R2Score(num_regressors=k)(y_true, y_pred) - expected) < 1e-4
    for k in (8, 20):
        with pytest.warns(UserWarning, match="R2"):
            expected = numpy(keras.metrics.R2Score(num_regressors=k)(y_true, y_pred))
        with pytest.warns(UserWarning, match=f"num_regressors: {k} .* 9 numbers"):
            found = metrics.R2Score(num_regressors=k)(y_true, y_pred)
        assert abs(found - expected) < 1e-5


REGIONS = [
    ("IoU", {"target_class_ids": [0, 3]}, "labels", "labels"),
    ("IoU", {"target_class_ids": (2,), "ignore_class": 1}, "labels", "labels"),
    ("IoU", {"target_class_ids": [1, 2], "sparse_y_pred": False}, "labels", "unit"),
    ("MeanIoU", {}, "labels", "labels"),
    ("MeanIoU", {"sparse_y_true": False, "axis": -1}, "one-hot", "labels"),
    ("OneHotIoU", {"target_class_ids": [0]}, "one-hot", "probabilities"),
    ("OneHotMeanIoU", {"ignore_class": 2}, "one-hot", "probabilities"),
    ("OneHotMeanIoU", {"sparse_y_pred": True}, "one-hot", "labels"),
    ("BinaryIoU", {"threshold": 0.3}, "binary", "unit"),
    ("BinaryIoU", {"target_class_ids": [1]}, "binary", "unit"),
]


@pytest.mark.parametrize(("name", "kwargs", "true", "pred"), REGIONS)
@pytest.mark.parametrize("weighted", [False, True])
def test_regions(name, kwargs, true, pred, weighted):
    """In whole pictures; labels beyond the classes are left out."""
    rng = np.random.default_rng(0)
    if name != "BinaryIoU":
        kwargs = {"num_classes": 4, **kwargs}
    mine = getattr(metrics, name)(**kwargs, dtype="float32")
    theirs = getattr(keras.metrics, name)(**kwargs, dtype="float32")
    last = 5 if "labels" in (true, pred) and name in ("IoU", "MeanIoU") else 4
    for n in (3, 2, 0, 2):
        if n == 0:
            mine.reset_state()
            theirs.reset_state()
            continue
        size = {"labels": last}
        y_true = draw(rng, true, (n, 5, 6, size.get(true, 4)), np.float32)
        y_pred = draw(rng, pred, (n, 5, 6, size.get(pred, 4)), np.float32)
        weights = None
        if weighted:
            shape = y_true.shape if name == "BinaryIoU" else (n, 5, 6)
            weights = rng.uniform(0, 2, shape).astype(np.float32)
        mine.update_state(y_true, y_pred, weights)
        theirs.update_state(y_true, y_pred, weights)
        assert abs(mine.result() - numpy(theirs.result())) < 1e-5


@pytest.mark.parametrize("case", REGIONS, ids=lambda case: case[0])
def test_configs_of_regions(case):
    name, kwargs, _, _ = case
    if name != "BinaryIoU":
        kwargs = {"num_classes": 4, **kwargs}
    theirs = getattr(keras.metrics, name)(**kwargs, name="a")
    mine = getattr(metrics, name)(**kwargs, name="a")
    described = {key: value for key, value in theirs.get_config().items() if key != "dtype"}
    assert mine.get_config() == described
    again = getattr(metrics, name).from_config(theirs.get_config())
    # Whole numbers there: they cut weights off.
    y = [
        np.array(one) if sparse else np.eye(4)[one]
        for one, sparse in (
            ([0, 1, 1, 0], again.sparse_y_true),
            ([0, 1, 0, 0], again.sparse_y_pred),
        )
    ]
    weights = np.array([1.6, 1, 1, 1], np.float32)
    for _ in range(2):
        again.update_state(*y, weights)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras tells
            theirs.update_state(*y, weights)
    assert abs(again.result() - numpy(theirs.result())) < 1e-6
    np.testing.assert_array_equal(again.totals["matrix"], numpy(theirs.total_cm))
    assert again.dtype == np.int32


@pytest.mark.parametrize("name", ["Mean", "Sum"])
@pytest.mark.parametrize(
    ("shape", "weights_shape"),
    [((4,), None), ((4,), (4,)), ((4,), (4, 1)), ((4,), (1,)), ((4,), ()), ((), ()), ((4, 3), (4,)),
     ((4, 3), (4, 1)), ((4, 3), (4, 3)), ((4, 3, 2), None), ((4, 3, 2), (4,)),
     ((4, 3, 2), (4, 3)), ((4, 3, 2), (4, 3, 2))],
)  # fmt: skip
def test_mean_and_sum(name, shape, weights_shape):
    rng = np.random.default_rng(0)
    mine, theirs = getattr(metrics, name)(), getattr(keras.metrics, name)()
    for _ in range(2):
        values = np.asarray(rng.normal(size=shape), np.float32)
        weights = None
        if weights_shape is not None:
            weights = np.asarray(rng.uniform(size=weights_shape), np.float32)
        theirs.update_state(values, weights)
        expected = numpy(theirs.result())
        assert abs(mine(values, weights) - expected) < 1e-5 * max(1, abs(expected))


@pytest.mark.parametrize(
    ("function", "true", "pred"),
    [
        ("binary_accuracy", "binary", "unit"),
        ("categorical_accuracy", "one-hot", "probabilities"),
        ("sparse_categorical_accuracy", "labels", "probabilities"),
        ("top_k_categorical_accuracy", "one-hot", "probabilities"),
        ("sparse_top_k_categorical_accuracy", "labels", "probabilities"),
        ("mean_squared_error", "real", "real"),
    ],
)
@pytest.mark.parametrize("shape", [(9, 6), (2, 3, 4, 6)])
def test_function_forms(function, true, pred, shape):
    rng = np.random.default_rng(0)
    y_true, y_pred = draw(rng, true, shape, np.float32), draw(rng, pred, shape, np.float32)
    expected = numpy(getattr(keras.metrics, function)(y_true, y_pred))
    values = getattr(metrics, function)(y_true, y_pred)
    assert values.shape == expected.shape
    assert np.abs(values - expected).max() < 1e-5


SHAPES = [((8,), (8, 1)), ((8, 1), (8, 1)), ((8,), (8, 4)), ((8, 1), (8, 4)), ((8, 4), (8, 4)),
          ((8, 5, 5), (8, 5, 5, 3)), ((8, 5, 5, 1), (8, 5, 5, 3)),
          ((8, 5, 5, 3), (8, 5, 5, 3))]  # fmt: skip


@pytest.mark.parametrize("identifier", ["accuracy", "acc", "Accuracy", "ACC"])
@pytest.mark.parametrize(("y_true_shape", "y_pred_shape"), SHAPES)
def test_accuracy_by_shape(identifier, y_true_shape, y_pred_shape):
    from keras.src.trainers.compile_utils import get_metric

    y_true, y_pred = np.zeros(y_true_shape), np.full(y_pred_shape, 0.5)
    theirs = get_metric(identifier, y_true, y_pred)
    mine = metrics.resolve(identifier, None, y_true_shape, y_pred_shape)
    assert type(mine).__name__ == type(theirs).__name__
    assert mine.name == theirs.name


@pytest.mark.parametrize(
    "identifier",
    ["R2Score", "f1_score",
     "mse", "MSE", "mae", "mean_squared_error", "MeanSquaredError", "AUC", "Precision", "recall",
     "TruePositives", "false_negatives",
     "sparse_categorical_accuracy", "TopKCategoricalAccuracy", "bce",
     "sparse_categorical_crossentropy"],
)  # fmt: skip
def test_names_of_what_is_given_by_name(identifier):
    from keras.src.trainers.compile_utils import get_metric

    y = np.zeros((4, 3))
    theirs = get_metric(identifier, y, y)
    mine = metrics.resolve(identifier, None, y.shape, y.shape)
    assert type(mine).__name__ == type(theirs).__name__
    assert mine.name == theirs.name


def test_names_of_objects_and_functions():
    from keras.src.trainers.compile_utils import get_metric

    def MyError(y_true, y_pred):
        return abs(y_true - y_pred)

    y = np.zeros((4, 3))
    for mine, theirs in [
        (MyError, MyError),
        (metrics.categorical_accuracy, keras.metrics.categorical_accuracy),
        (losses.mean_squared_error, keras.losses.mean_squared_error),
        (losses.Huber(), keras.losses.Huber()),
        (metrics.AUC(name="area"), keras.metrics.AUC(name="area")),
    ]:
        expected = get_metric(theirs, y, y).name
        assert metrics.resolve(mine, None, y.shape, y.shape).name == expected
