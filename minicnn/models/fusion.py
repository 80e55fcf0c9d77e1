"""Neighbours in a graph that a floor computes in one go: convolution, ReLU and max-pooling.

The layers stay as they are. Where a graph has a ``Conv2D`` with a ReLU, and perhaps a
``MaxPooling2D`` that alone reads its output, one step takes their place, if the floor has an
operation for it: the large arrays between them then never leave the processor's cache.
"""

from __future__ import annotations

from typing import Any

from minicnn.activations import ReLU
from minicnn.layers.convolution import Conv2D
from minicnn.layers.pooling import MaxPooling2D
from minicnn.variables import Variable


class ConvReLUPool:
    """y = the maxima of max(W * x + b, 0), or that itself: layers as one step of a graph.

    Args:
        conv: a convolution with a ReLU.
        pool: a max-pooling whose windows neither overlap nor reach over the border, or ``None``.
    """

    activity_regularizer = None
    can_skip_input_gradient = True

    def __init__(self, conv: Conv2D, pool: MaxPooling2D | None):
        self.conv, self.pool = conv, pool
        self.pool_size = None if pool is None else pool.pool_size
        self.windows = (conv.strides, conv.padding, conv.dilation_rate, conv.groups)

    @property
    def trainable_weights(self) -> list[Variable]:
        return self.conv.trainable_weights

    def forward(self, x: Any, training: bool) -> tuple[Any, Any]:
        W, b = self.conv.kernel_and_bias()
        return self.conv.ops.conv2d_relu(x, W, b, *self.windows, self.pool_size)

    def backward(self, dy: Any, saved: Any, input_gradient: bool = True) -> Any:
        W, places = self.conv.kernel.value, self.conv.places_for_gradients
        dx, dW, db = self.conv.ops.conv2d_relu_backward(
            dy, saved, W, *self.windows, self.pool_size, input_gradient, places
        )
        self.conv.add_gradients(dW, db)
        return dx


def neighbours(steps: list[Any], kept: list[int]) -> dict[int, tuple[ConvReLUPool, list[int]]]:
    """The steps that can be carried out together.

    Args:
        steps: the calls of a graph.
        kept: the places of the graph's outputs: these arrays are wanted.

    Returns:
        For the number of each convolution that can be joined with its activation: what takes its
        place, and the numbers of the steps that it carries out.
    """
    readers: dict[int, list[int]] = {}
    for number, step in enumerate(steps):
        for place in step.inputs:
            readers.setdefault(place, []).append(number)
    found = {}
    for number, step in enumerate(steps):
        if not _is_conv_relu(step.layer):
            continue
        after = readers.get(step.outputs[0], [])
        if len(after) == 1 and step.outputs[0] not in kept and _is_pool(steps[after[0]].layer):
            found[number] = (ConvReLUPool(step.layer, steps[after[0]].layer), [number, after[0]])
        else:
            found[number] = (ConvReLUPool(step.layer, None), [number])
    return found


def _is_conv_relu(layer: Any) -> bool:
    return (
        type(layer) is Conv2D
        and hasattr(layer.ops, "conv2d_relu")
        and layer.activity_regularizer is None
        and type(layer.activation) is ReLU
        and layer.activation.parameters == ReLU().parameters
    )


def _is_pool(layer: Any) -> bool:
    return (
        type(layer) is MaxPooling2D
        and layer.activity_regularizer is None
        and layer.padding == "valid"
        and layer.strides == layer.pool_size
    )
