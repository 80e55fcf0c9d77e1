"""A course model as a plain list of its layers and their shapes: what can be counted in it, and
what a library that does not speak Keras has to build."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from benchmarks.course import CourseModel

Shape = tuple[int, ...]


@dataclass
class Part:
    """One layer.

    Attributes:
        kind: the name of its class in Keras.
        options: what it was drawn with.
        input_shape, output_shape: of one sample.
    """

    kind: str
    options: dict[str, Any] = field(default_factory=dict)
    input_shape: Shape = ()
    output_shape: Shape = ()

    def connect(self, shape: Shape) -> Shape:
        """Remember the shape that comes in, and return the one that goes out."""
        self.input_shape = self.output_shape = shape
        options = self.options
        if self.kind == "Input":
            self.output_shape = tuple(options["shape"])
        elif self.kind == "Conv2D":
            cut = options["kernel_size"] - 1 if options["padding"] == "valid" else 0
            self.output_shape = (shape[0] - cut, shape[1] - cut, options["filters"])
        elif self.kind == "MaxPooling2D":
            size, stride = options["pool_size"], options["strides"]
            self.output_shape = (
                *((side - size) // stride + 1 for side in shape[:2]),
                shape[2],
            )
        elif self.kind == "Flatten":
            self.output_shape = (_product(shape),)
        elif self.kind == "Dense":
            self.output_shape = (options["units"],)
        return self.output_shape

    @property
    def weights(self) -> int:
        """How many weights it has."""
        if self.kind == "Conv2D":
            window = self.options["kernel_size"] ** 2 * self.input_shape[-1]
            return (window + 1) * self.options["filters"]
        if self.kind == "Dense":
            return (self.input_shape[0] + 1) * self.options["units"]
        return 0

    @property
    def flops(self) -> int:
        """Floating-point operations of its product, forward, for one sample: a multiplication and
        an addition for each weight (but not the bias) at each place."""
        if not self.weights:
            return 0
        places = _product(self.output_shape[:-1])
        return 2 * places * (self.weights - self.output_shape[-1])


class _Layers:
    """Stands in for ``keras.layers``, as far as the course goes."""

    def Input(self, shape: Shape) -> Part:
        return Part("Input", {"shape": shape})

    def Conv2D(
        self, filters: int, kernel_size: int, padding: str = "valid", activation: str | None = None
    ) -> Part:
        options = {"filters": filters, "kernel_size": kernel_size, "padding": padding}
        return Part("Conv2D", options | {"activation": activation})

    def MaxPooling2D(self, pool_size: int, strides: int | None = None) -> Part:
        return Part("MaxPooling2D", {"pool_size": pool_size, "strides": strides or pool_size})

    def Dropout(self, rate: float) -> Part:
        return Part("Dropout", {"rate": rate})

    def Flatten(self) -> Part:
        return Part("Flatten")

    def Dense(self, units: int, activation: str | None = None) -> Part:
        return Part("Dense", {"units": units, "activation": activation})


class _Kit:
    """Stands in for ``keras``."""

    layers = _Layers()

    @staticmethod
    def Sequential(parts: list[Part]) -> list[Part]:
        shape: Shape = ()
        for part in parts:
            shape = part.connect(shape)
        return parts


def sketch(model: CourseModel, dropout: bool = True) -> list[Part]:
    """The layers of a course model, the input first.

    >>> from benchmarks.course import MODELS
    >>> [(part.kind, part.output_shape) for part in sketch(MODELS["dense-mnist"])]
    [('Input', (28, 28, 1)), ('Flatten', (784,)), ('Dense', (30,)), ('Dense', (10,))]
    """
    return model.build(_Kit, dropout)


def has_convolution(model: CourseModel) -> bool:
    """Whether it has one (otherwise, memory layouts of pictures do not matter)."""
    return any(part.kind == "Conv2D" for part in sketch(model))


def step_flops(model: CourseModel) -> int:
    """Floating-point operations of the products of one training step, for a whole batch.

    A layer with weights multiplies three times as much as forward alone: y = x W, dW = x^T dy and
    dx = dy W^T; the first one needs no dx. Border pixels of "same" padding count like the others.
    Biases, activations, pooling, loss and optimizer are not counted.

    >>> from benchmarks.course import MODELS
    >>> step_flops(MODELS["dense-mnist"]) == 64 * 2 * (2 * 784 * 30 + 3 * 30 * 10)
    True
    """
    flops = [part.flops for part in sketch(model) if part.weights]
    return model.batch_size * (3 * sum(flops) - flops[0])


def _product(sizes: Shape) -> int:
    result = 1
    for size in sizes:
        result *= size
    return result
