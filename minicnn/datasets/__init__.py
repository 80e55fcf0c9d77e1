"""Real pictures to learn from: five data sets, as arrays or as input pipelines; and two tables.

``digits`` comes with the library. The others are read from a local copy, or downloaded once::

    (x_train, y_train), (x_test, y_test) = minicnn.datasets.mnist.load_data()
    train, test = minicnn.datasets.load("cifar10", split=["train", "test"])
"""

from minicnn.datasets import (
    boston_housing,
    california_housing,
    cifar10,
    cifar100,
    digits,
    fashion_mnist,
    mnist,
)
from minicnn.datasets.pipelines import load

__all__ = [
    "boston_housing",
    "california_housing",
    "cifar10",
    "cifar100",
    "digits",
    "fashion_mnist",
    "load",
    "mnist",
]
