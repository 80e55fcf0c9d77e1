"""The eight models of the course, drawn with minicnn or with Keras from one description."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class CourseModel:
    """One model, as its lesson trains it.

    Attributes:
        name: how the tables call it.
        data: ``"mnist"`` or ``"cifar10"``: what it learns from.
        batch_size, optimizer, loss: how it is trained.
        weights: how many it has.
        layers: draws its layers, given a module of layers and whether dropout is wanted.
    """

    name: str
    data: str
    batch_size: int
    optimizer: str
    loss: str
    weights: int
    layers: Callable[[Any, bool], list[Any]]

    @property
    def input_shape(self) -> tuple[int, int, int]:
        return (28, 28, 1) if self.data == "mnist" else (32, 32, 3)

    def build(self, kit: Any, dropout: bool = True) -> Any:
        """The model, not compiled.

        Args:
            kit: ``minicnn`` or ``keras``.
            dropout: whether its dropout layers are left in.
        """
        drawn = self.layers(kit.layers, dropout)
        return kit.Sequential([kit.layers.Input(self.input_shape), *drawn])


def _dense_cifar(layers: Any, dropout: bool) -> list[Any]:
    return [
        layers.Flatten(),
        layers.Dense(256, activation="sigmoid"),
        layers.Dense(10, activation="softmax"),
    ]


def _wide_cifar(layers: Any, dropout: bool) -> list[Any]:
    return [
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]


def _inside(layers: Any, dropout: bool) -> list[Any]:
    return [
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        *([layers.Dropout(0.5)] if dropout else []),
        layers.Flatten(),
        layers.Dense(512, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]


def _model3(layers: Any, dropout: bool) -> list[Any]:
    return [
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(64, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
        *([layers.Dropout(0.5)] if dropout else []),
        layers.Dense(10, activation="softmax"),
    ]


def _lenet(layers: Any, dropout: bool) -> list[Any]:
    return [
        layers.Conv2D(6, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2, strides=2),
        layers.Conv2D(16, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2, strides=2),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ]


def _mini_alexnet(layers: Any, dropout: bool) -> list[Any]:
    return [
        layers.Conv2D(48, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(3),
        layers.Conv2D(128, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(3),
        layers.Conv2D(192, 3, padding="same", activation="relu"),
        layers.Conv2D(192, 3, padding="same", activation="relu"),
        layers.Conv2D(128, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(3),
        layers.Flatten(),
        layers.Dense(1024, activation="relu"),
        *([layers.Dropout(0.5)] if dropout else []),
        layers.Dense(1024, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]


def _dense_mnist(layers: Any, dropout: bool) -> list[Any]:
    return [
        layers.Flatten(),
        layers.Dense(30, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]


def _convnet(layers: Any, dropout: bool) -> list[Any]:
    return [
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(64, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]


_ONE_HOT, _SPARSE = "categorical_crossentropy", "sparse_categorical_crossentropy"

MODELS = {
    model.name: model
    for model in (
        CourseModel("dense-cifar", "cifar10", 64, "sgd", _ONE_HOT, 789_258, _dense_cifar),
        CourseModel("wide-cifar", "cifar10", 64, "adam", _ONE_HOT, 4_196_618, _wide_cifar),
        CourseModel("inside", "cifar10", 64, "adam", _ONE_HOT, 4_200_842, _inside),
        CourseModel("model3", "cifar10", 64, "adam", _ONE_HOT, 94_890, _model3),
        CourseModel("lenet", "mnist", 128, "rmsprop", _ONE_HOT, 8_790, _lenet),
        CourseModel("mini-alexnet", "cifar10", 128, "adam", _SPARSE, 2_023_370, _mini_alexnet),
        CourseModel("dense-mnist", "mnist", 64, "rmsprop", _ONE_HOT, 23_860, _dense_mnist),
        CourseModel("convnet", "mnist", 64, "rmsprop", _ONE_HOT, 112_074, _convnet),
    )
}
