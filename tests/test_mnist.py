"""The course's convnet on real MNIST, where MINICNN_DATA names a folder that holds it."""

import os
from pathlib import Path

import numpy as np
import pytest

import minicnn
from benchmarks.course import MODELS
from minicnn.datasets import mnist
from minicnn.utils import set_random_seed, to_categorical

FILE = Path(os.environ.get("MINICNN_DATA", "no such folder"), "mnist.npz")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FILE.exists(), reason="MINICNN_DATA names no folder with mnist.npz"),
]


def test_6000_digits_and_3_epochs_suffice_for_95_percent():
    set_random_seed(1)
    (x, y), (x_test, y_test) = mnist.load_data(FILE)
    model = MODELS["convnet"].build(minicnn)
    model.compile("rmsprop", "categorical_crossentropy", metrics=["accuracy"])
    x, y = x[:6000, ..., np.newaxis] / 255, to_categorical(y[:6000], 10)
    model.fit(x, y, batch_size=64, epochs=3, verbose=0)
    x_test, y_test = x_test[..., np.newaxis] / 255, to_categorical(y_test, 10)
    assert model.evaluate(x_test, y_test, verbose=0)[1] >= 0.95
