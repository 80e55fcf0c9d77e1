"""Metrics: what they count, over batches, with weights; names and errors."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from minicnn import backend, losses, metrics
from minicnn.metrics.confusion import confusion_counts


def test_mean_and_sum_over_batches():
    mean, total = metrics.Mean(), metrics.Sum()
    assert mean.result() == total.result() == 0
    for values in ([1.0, 2.0], [6.0]):
        mean.update_state(values)
        total.update_state(values)
    assert mean.result() == 3
    assert total.result() == 9
    mean.reset_state()
    total.reset_state()
    assert mean.result() == total.result() == 0
    assert mean([4.0]) == total([4.0]) == 4


def test_weighted_mean_and_sum():
    values, weights = np.array([1.0, 2.0, 6.0]), np.array([1.0, 0.0, 3.0])
    assert metrics.Mean()(values, weights) == 19 / 4
    assert metrics.Sum()(values, weights) == 19
    assert metrics.Mean()(values, weights[:, np.newaxis]) == 19 / 4
    assert metrics.Mean()(values, 0 * weights) == 0
    # A number and how many samples it stands for: how a running loss is kept.
    mean = metrics.Mean()
    mean.update_state(np.float32(2), sample_weight=64)
    mean.update_state(np.float32(5), sample_weight=32)
    assert mean.result() == 3


def test_values_of_several_axes():
    values = np.arange(12.0).reshape(2, 3, 2)
    assert metrics.Mean()(values) == 5.5
    assert metrics.Mean()(values, [1, 3]) == (2.5 + 3 * 8.5) / 4
    assert metrics.Sum()(values, [1, 3]) == 15 + 3 * 51
    weights = np.array([[1, 0, 0], [0, 0, 1]])
    assert metrics.Mean()(values, weights) == (0.5 + 10.5) / 2
    with pytest.raises(ValueError, match=r"sample_weight: .*\(2, 3, 2\).*got \(3,\)"):
        metrics.Mean()(values, [1, 2, 3])


def test_totals_keep_the_dtype():
    assert metrics.Mean()(np.ones(3, np.float32)).dtype == np.float32
    assert metrics.Mean()(np.ones(3, np.float64)).dtype == np.float64
    assert metrics.Mean()([True, False]).dtype == np.float32
    mean = metrics.Mean(dtype="float64")
    assert mean(np.ones(3, np.float32)).dtype == np.float64
    accuracy = metrics.CategoricalAccuracy()
    assert accuracy(np.eye(3), np.eye(3, dtype=np.float32)).dtype == np.float32
    assert isinstance(accuracy.totals["total"], np.ndarray)
    assert accuracy.totals["total"].shape == ()


# -- accuracy ---------------------------------------------------------------------------------


def test_accuracies():
    y_pred = np.array([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.3, 0.3, 0.4]], np.float32)
    labels = np.array([1, 2, 2])
    one_hot = np.eye(3)[labels]
    assert metrics.SparseCategoricalAccuracy()(labels, y_pred) == np.float32(2 / 3)
    assert metrics.SparseCategoricalAccuracy()(labels[:, np.newaxis], y_pred) == np.float32(2 / 3)
    assert metrics.CategoricalAccuracy()(one_hot, y_pred) == np.float32(2 / 3)
    assert metrics.CategoricalAccuracy()(one_hot, y_pred, [0, 1, 1]) == 0.5
    assert metrics.TopKCategoricalAccuracy(k=2)(one_hot, y_pred) == np.float32(2 / 3)
    assert metrics.SparseTopKCategoricalAccuracy(k=3)(labels, y_pred) == 1
    assert metrics.SparseTopKCategoricalAccuracy(k=1)(labels, y_pred) == np.float32(2 / 3)
    assert metrics.Accuracy()([1, 2, 3], [1, 2, 4]) == np.float32(2 / 3)
    assert metrics.BinaryAccuracy()([1, 0, 1], [[0.6], [0.5], [0.5]]) == np.float32(2 / 3)
    assert metrics.BinaryAccuracy(threshold=0.4)([1, 0, 1], [[0.6], [0.5], [0.5]]) == np.float32(
        2 / 3
    )


def test_accuracy_of_pixels():
    y_pred = np.zeros((2, 3, 4, 5), np.float32)
    y_pred[..., 2] = 1
    labels = np.full((2, 3, 4), 2)
    labels[0, 0] = 1
    assert metrics.sparse_categorical_accuracy(labels, y_pred).shape == (2, 3, 4)
    assert abs(metrics.SparseCategoricalAccuracy()(labels, y_pred) - 20 / 24) < 1e-6
    assert abs(metrics.SparseCategoricalAccuracy()(labels, y_pred, [1, 0]) - 8 / 12) < 1e-6
    assert metrics.SparseTopKCategoricalAccuracy(k=5)(labels, y_pred) == 1


def test_ties_and_nan_in_the_top_k():
    """Equals of the k-th are in, as in Keras; a network of NaNs knows nothing."""
    y_pred = np.array([[0.5, 0.5, 0.5], [np.nan, np.nan, np.nan]], np.float32)
    assert metrics.sparse_top_k_categorical_accuracy([2, 0], y_pred, k=1).tolist() == [1, 0]


def test_targets_of_the_wrong_kind():
    y_pred, one_hot = np.ones((4, 3)), np.ones((4, 3))
    for function in (metrics.categorical_accuracy, metrics.top_k_categorical_accuracy):
        with pytest.raises(ValueError, match=r"\(4, 3\), got \(4,\).*'sparse_categorical_accuracy"):
            function(np.ones(4), y_pred)
    for function in (
        metrics.sparse_categorical_accuracy,
        metrics.sparse_top_k_categorical_accuracy,
    ):
        with pytest.raises(ValueError, match=r"shape \(4,\), got \(4, 3\).*'categorical_accuracy'"):
            function(one_hot, y_pred)
    with pytest.raises(ValueError, match=r"\(4, 3\), got \(3, 3\)"):
        metrics.BinaryAccuracy()(np.ones((3, 3)), y_pred)
    for metric in (metrics.Precision(), metrics.Recall(), metrics.AUC(), metrics.TruePositives()):
        with pytest.raises(ValueError, match=r"got \(4,\).*to_categorical"):
            metric.update_state(np.ones(4), y_pred)
    with pytest.raises(ValueError, match="k: expected at most the 3 classes, got 4"):
        metrics.SparseTopKCategoricalAccuracy(k=4)(np.ones(4), y_pred)


# -- precision, recall, AUC -------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_confusion_counts(seed, n, number_of_thresholds):
    """Against counting one by one; thresholds in any order, and some predictions on them."""
    rng = np.random.default_rng(seed)
    thresholds = rng.choice([0.0, 0.1, 0.25, 0.5, 0.75, 1.0], number_of_thresholds)
    y_true, w = rng.integers(0, 2, n), rng.uniform(0, 2, n)
    y_pred = np.where(rng.uniform(size=n) < 0.3, rng.choice(thresholds, n), rng.uniform(size=n))
    counts = confusion_counts(y_true, y_pred, thresholds, w)
    for i, threshold in enumerate(thresholds):
        expected = dict.fromkeys(("tp", "fp", "fn", "tn"), 0.0)
        for truth, p, weight in zip(y_true, y_pred, w, strict=True):
            yes = p > threshold
            expected[("tp" if yes else "fn") if truth else ("fp" if yes else "tn")] += weight
        for name, count in expected.items():
            assert abs(counts[name][i] - count) < 1e-9


def test_precision_and_recall():
    y_true = np.array([1, 1, 1, 0, 0])
    y_pred = np.array([0.9, 0.8, 0.3, 0.7, 0.2], np.float32)
    precision, recall = metrics.Precision(), metrics.Recall()
    assert precision.result() == recall.result() == 0
    for part in (slice(0, 2), slice(2, 5)):
        precision.update_state(y_true[part], y_pred[part])
        recall.update_state(y_true[part], y_pred[part])
    assert precision.result() == np.float32(2 / 3)
    assert recall.result() == np.float32(2 / 3)
    weights = [1, 0, 2, 3, 1]
    assert metrics.Precision()(y_true, y_pred, weights) == np.float32(1 / 4)
    assert metrics.Recall()(y_true, y_pred, weights) == np.float32(1 / 3)
    several = metrics.Recall(thresholds=[0.5, 0.1, 0.95])(y_true, y_pred)
    assert np.array_equal(several, np.array([2 / 3, 1, 0], np.float32))
    assert metrics.Precision(thresholds=0.75)(y_true, y_pred) == 1
    assert metrics.Precision(thresholds=0.95)(y_true, y_pred) == 0
    precision.reset_state()
    assert precision.result() == 0


def test_precision_of_columns_and_top_k():
    y_true = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]])
    y_pred = np.array([[0.2, 0.7, 0.1], [0.3, 0.6, 0.1], [0.1, 0.1, 0.8]], np.float32)
    assert metrics.Precision(class_id=1)(y_true, y_pred) == 0.5
    assert metrics.Recall(class_id=0)(y_true, y_pred) == 0
    assert metrics.Precision(top_k=1)(y_true, y_pred) == np.float32(2 / 3)
    assert metrics.Recall(top_k=2)(y_true, y_pred) == 1
    # Of equals the first ones are taken, so that there are never more than k.
    assert metrics.Precision(top_k=1)([[0, 1]], [[0.5, 0.5]]) == 0


def test_auc_of_a_perfect_and_a_useless_ranking():
    y_true = np.repeat([0, 1], 50)
    perfect = np.linspace(0, 1, 100, dtype=np.float32)
    assert abs(metrics.AUC()(y_true, perfect) - 1) < 1e-6
    assert abs(metrics.AUC()(y_true, 1 - perfect)) < 1e-6
    assert abs(metrics.AUC(curve="PR")(y_true, perfect) - 1) < 1e-6
    assert abs(metrics.AUC()(y_true, np.full(100, 0.3)) - 0.5) < 1e-6
    assert metrics.AUC().result() == 0


def test_auc_is_the_chance_of_a_right_order(rng):
    y_true, scores = rng.integers(0, 2, 300), rng.uniform(size=300)
    scores = 0.5 * scores + 0.3 * y_true * rng.uniform(size=300)
    pairs = scores[y_true == 1][:, np.newaxis] - scores[y_true == 0]
    expected = (pairs > 0).mean()
    assert abs(metrics.AUC(num_thresholds=10_000)(y_true, scores) - expected) < 1e-3
    z = np.log(scores / (1 - scores))
    assert abs(metrics.AUC(num_thresholds=10_000, from_logits=True)(y_true, z) - expected) < 1e-3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: metrics.Precision(thresholds=1.5), "thresholds"),
        (lambda: metrics.Precision(thresholds=[]), "thresholds"),
        (lambda: metrics.Recall(top_k=0), "top_k"),
        (lambda: metrics.Recall(class_id=-1)([[1, 0]], [[0.5, 0.5]]), "class_id"),
        (lambda: metrics.AUC(num_thresholds=1), "num_thresholds"),
        (lambda: metrics.AUC(curve="area"), "curve"),
        (lambda: metrics.AUC(summation_method="sum"), "summation_method"),
        (lambda: metrics.TopKCategoricalAccuracy(k=0), "k"),
        (lambda: metrics.Precision(top_k=3)([[1, 0]], [[0.5, 0.5]]), "top_k"),
        (lambda: metrics.Precision(class_id=2)([[1, 0]], [[0.5, 0.5]]), "class_id"),
    ],
)
def test_bad_values(make, message):
    with pytest.raises(ValueError, match=f"^{message}: "):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: metrics.Precision(thresholds="half"), "thresholds"),
        (lambda: metrics.Recall(top_k=1.5), "top_k"),
        (lambda: metrics.Recall(class_id=1.5), "class_id"),
        (lambda: metrics.AUC(num_thresholds=20.0), "num_thresholds"),
        (lambda: metrics.TopKCategoricalAccuracy(k="five"), "k"),
        (lambda: metrics.BinaryAccuracy(threshold=None), "threshold"),
        (lambda: metrics.Mean(name=3), "name"),
        (lambda: metrics.MeanMetricWrapper("accuracy"), "fn"),
    ],
)
def test_bad_types(make, message):
    with pytest.raises(TypeError, match=f"^{message}: "):
        make()


# -- losses and functions as metrics ----------------------------------------------------------


def test_f_scores_by_hand():
    y_true, y_pred = [[1, 0], [1, 0], [0, 1]], [[0.9, 0.8], [0.3, 0.4], [0.1, 0.9]]
    assert np.abs(metrics.F1Score(threshold=0.5)(y_true, y_pred) - [2 / 3, 2 / 3]).max() < 1e-6
    assert abs(metrics.F1Score("micro", threshold=0.5)(y_true, y_pred) - 4 / 6) < 1e-6
    # Precision 1, recall 1/2: the recall counts four times as much.
    score = metrics.FBetaScore(beta=2.0, threshold=0.5)(y_true, y_pred)
    assert abs(score[0] - 5 * 0.5 / (4 * 1 + 0.5)) < 1e-6
    assert metrics.F1Score().result() == 0


def test_regions_by_hand():
    y_true = np.array([[0, 0, 1], [1, 255, 1]])
    y_pred = np.array([[0, 1, 1], [1, 1, 0]])
    metric = metrics.MeanIoU(3)  # class 2 does not occur, 255 is no class
    assert metric.result() == 0
    assert abs(metric(y_true, y_pred) - (1 / 3 + 2 / 4) / 2) < 1e-9
    assert abs(metrics.IoU(3, [1])(y_true, y_pred) - 2 / 4) < 1e-9
    # Weights of the pictures, with numbers that float32 could not count on from.
    metric.reset_state()
    metric.update_state(y_true, y_pred, np.array([2**24, 1]))
    assert metric.totals["matrix"].tolist() == [[2**24, 2**24, 0], [1, 2**24 + 1, 0], [0, 0, 0]]


def test_r2_by_hand(rng):
    y, p = 1e4 + rng.normal(size=(2, 50, 1))
    expected = 1 - ((y - p) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    metric = metrics.R2Score()
    assert metric.result() == 0
    metric.update_state(y[:20], p[:20])
    assert abs(metric(y[20:], p[20:]) - expected) < 1e-6
    assert metrics.R2Score()(np.ones((3, 1)), np.zeros((3, 1))) == 0


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: metrics.F1Score("mean"), ValueError, "average: .*got 'mean'"),
        (lambda: metrics.F1Score(threshold=0), ValueError, r"threshold: .*\(0, 1\], got 0"),
        (lambda: metrics.FBetaScore(beta=0), ValueError, "beta: .*got 0"),
        (lambda: metrics.F1Score()([1, 0], [0.5, 1]), ValueError, r"y_pred: f1_score .*\(2,\)"),
        (lambda: metrics.R2Score("mean"), ValueError, "class_aggregation: .*got 'mean'"),
        (lambda: metrics.R2Score(num_regressors=-1), ValueError, "num_regressors: .*got -1"),
        (lambda: metrics.R2Score()([1], [1.0]), ValueError, r"y_pred: r2_score .*\(1,\)"),
        (lambda: metrics.MeanIoU(0), ValueError, "num_classes: .*got 0"),
        (lambda: metrics.IoU(2, [2]), ValueError, r"target_class_ids: .*0 to 1, got \[2\]"),
        (lambda: metrics.IoU(2, []), ValueError, "target_class_ids: .*got"),
        (
            lambda: metrics.MeanIoU(2)(np.zeros((2, 3)), np.zeros((2, 3, 2))),
            ValueError,
            r"y_true: .*12 predictions of shape \(2, 3, 2\), got 6 of shape \(2, 3\)",
        ),
    ],
)
def test_errors_of_scores(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_losses_as_metrics(rng):
    y_true, y_pred = rng.normal(size=(6, 3)), rng.normal(size=(6, 3))
    metric = metrics.MeanSquaredError()
    for part in (slice(0, 4), slice(4, 6)):
        metric.update_state(y_true[part], y_pred[part])
    assert abs(metric.result() - np.mean((y_true - y_pred) ** 2)) < 1e-12
    weights = rng.uniform(size=6)
    expected = losses.MeanSquaredError(reduction="mean_with_sample_weight")(y_true, y_pred, weights)
    assert abs(metrics.MeanSquaredError()(y_true, y_pred, weights) - expected) < 1e-12
    root = metrics.RootMeanSquaredError()(y_true, y_pred)
    assert abs(root - np.sqrt(np.mean((y_true - y_pred) ** 2))) < 1e-12
    labels, p = np.array([0, 1, 2]), np.full((3, 3), 1 / 3)
    assert abs(metrics.SparseCategoricalCrossentropy()(labels, p) - np.log(3)) < 1e-12


def test_a_function_as_metric():
    def LargestError(y_true, y_pred):
        return np.abs(y_true - y_pred).max(axis=-1)

    metric = metrics.get(LargestError)
    assert metric.name == "largest_error"
    y_true = np.zeros((2, 2))
    assert metric(y_true, [[1, -3], [2, 0]]) == 2.5
    assert metrics.get(losses.MeanSquaredError()).name == "mean_squared_error"
    assert metrics.get(losses.MeanSquaredError())(y_true, [[1, -3], [2, 0]]) == 3.5


# -- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        ("mse", metrics.MeanSquaredError),
        ("MAE", metrics.MeanAbsoluteError),
        ("AUC", metrics.AUC),
        ("auc", metrics.AUC),
        ("precision", metrics.Precision),
        ("TopKCategoricalAccuracy", metrics.TopKCategoricalAccuracy),
        ("top_k_categorical_accuracy", metrics.TopKCategoricalAccuracy),
        ("sparse_categorical_crossentropy", metrics.SparseCategoricalCrossentropy),
        (metrics.Recall, metrics.Recall),
        (metrics.Recall(), metrics.Recall),
        (losses.mean_squared_error, metrics.MeanSquaredError),
        (metrics.categorical_accuracy, metrics.MeanMetricWrapper),
    ],
)
def test_get(identifier, expected):
    assert type(metrics.get(identifier)) is expected


def test_get_refuses():
    assert metrics.get(None) is None
    with pytest.raises(ValueError, match=r"unknown metric 'acuracy'.*Did you mean"):
        metrics.get("acuracy")
    with pytest.raises(TypeError, match="got 3"):
        metrics.get(3)
    with pytest.raises(ValueError, match="got None"):
        metrics.resolve(None, None, (2,), (2,))


def test_automatic_names():
    backend.clear_session()
    names = [metric.name for metric in (metrics.Precision(), metrics.Precision(), metrics.AUC())]
    assert names == ["precision", "precision_1", "auc"]
    assert metrics.Precision(name="p").name == "p"


def test_resolved_crossentropy_follows_the_loss():
    loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    metric = metrics.resolve("crossentropy", loss, (None,), (None, 3))
    z, labels = np.array([[2.0, 0.0, -3.0]]), np.array([1])
    assert abs(metric(labels, z) - loss(labels, z)) < 1e-12
    assert metric.name == "crossentropy"
