"""Losses with arguments and random data that suits them, for the tests of values and gradients."""

import numpy as np

# Class, arguments, kind of targets, kind of predictions.
CASES = [
    ("CategoricalCrossentropy", {}, "one-hot", "probabilities"),
    ("CategoricalCrossentropy", {}, "mixtures", "positive"),
    ("CategoricalCrossentropy", {"label_smoothing": 0.1}, "one-hot", "probabilities"),
    ("CategoricalCrossentropy", {"from_logits": True}, "one-hot", "real"),
    (
        "CategoricalCrossentropy",
        {"from_logits": True, "label_smoothing": 0.3},
        "mixtures",
        "real",
    ),
    ("SparseCategoricalCrossentropy", {}, "labels", "probabilities"),
    ("SparseCategoricalCrossentropy", {}, "labels", "positive"),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, "labels", "real"),
    ("SparseCategoricalCrossentropy", {"ignore_class": 1}, "labels", "probabilities"),
    (
        "SparseCategoricalCrossentropy",
        {"ignore_class": 0, "from_logits": True},
        "labels",
        "real",
    ),
    ("BinaryCrossentropy", {}, "binary", "unit"),
    ("BinaryCrossentropy", {"label_smoothing": 0.2}, "binary", "unit"),
    ("BinaryCrossentropy", {"from_logits": True}, "unit", "real"),
    ("CategoricalFocalCrossentropy", {}, "one-hot", "probabilities"),
    (
        "CategoricalFocalCrossentropy",
        {"alpha": 0.6, "gamma": 1.5, "label_smoothing": 0.1},
        "mixtures",
        "positive",
    ),
    ("CategoricalFocalCrossentropy", {"from_logits": True, "gamma": 0}, "one-hot", "real"),
    ("BinaryFocalCrossentropy", {}, "binary", "unit"),
    (
        "BinaryFocalCrossentropy",
        {"apply_class_balancing": True, "alpha": 0.7, "gamma": 0.5, "label_smoothing": 0.2},
        "binary",
        "unit",
    ),
    ("BinaryFocalCrossentropy", {"from_logits": True}, "unit", "real"),
    ("MeanSquaredError", {}, "real", "real"),
    ("MeanAbsoluteError", {}, "real", "real"),
    ("MeanAbsolutePercentageError", {}, "real", "real"),
    ("MeanSquaredLogarithmicError", {}, "positive", "real"),
    ("Huber", {}, "real", "real"),
    ("Huber", {"delta": 0.4}, "real", "real"),
    ("LogCosh", {}, "real", "real"),
    ("Hinge", {}, "signs", "real"),
    ("Hinge", {}, "binary", "real"),
    ("SquaredHinge", {}, "signs", "real"),
    ("SquaredHinge", {}, "binary", "real"),
    ("CategoricalHinge", {}, "one-hot", "real"),
    ("KLDivergence", {}, "probabilities", "probabilities"),
    ("CosineSimilarity", {}, "real", "real"),
    ("Poisson", {}, "positive", "positive"),
]
IDS = [f"{name}-{kwargs}-{true}-{pred}" for name, kwargs, true, pred in CASES]

REDUCTIONS = ["sum_over_batch_size", "mean", "sum", "mean_with_sample_weight"]


def draw(rng, kind, shape, dtype):
    """Random data of a kind, of the shape of the predictions."""
    x = rng.normal(size=shape)
    classes = shape[-1]
    labels = rng.integers(0, classes, shape[:-1])
    e = np.exp(x)
    data = {
        "real": lambda: x,
        "positive": lambda: e,
        "unit": lambda: 1 / (1 + np.exp(-x)),
        "probabilities": lambda: e / e.sum(axis=-1, keepdims=True),
        "mixtures": lambda: e / e.sum(axis=-1, keepdims=True),
        "labels": lambda: labels,
        "one-hot": lambda: np.eye(classes)[labels],
        "binary": lambda: rng.integers(0, 2, shape),
        "signs": lambda: 2 * rng.integers(0, 2, shape) - 1,
    }[kind]()
    return data if kind == "labels" else data.astype(dtype)
