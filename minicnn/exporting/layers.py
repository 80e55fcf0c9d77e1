"""What each layer is in ONNX.

Images are brought into ONNX's order (channels first) where an operation wants that, and back where
the order of the numbers matters: before they are flattened, and at the door.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from minicnn import layers
from minicnn.activations import LayerActivation
from minicnn.backend import epsilon
from minicnn.exporting import moving
from minicnn.exporting.activations import activate
from minicnn.exporting.builder import Builder, Value
from minicnn.shapes import padding_for, same_padding, span, transposed_output_size

Shape = tuple[int | None, ...]
# What a batch normalization after a layer does to each channel: y = scale x + shift.
Folded = tuple[np.ndarray, np.ndarray]


def emit(
    b: Builder, layer: Any, xs: list[Value], shape: Shape, folded: Folded | None = None
) -> Value:
    """Put a layer into the graph.

    Args:
        xs: its inputs.
        shape: of its output, as minicnn sees it.
        folded: what is to be folded into its weights.

    Raises:
        ValueError: if the layer is not one of the library's.
    """
    if type(layer) not in _TABLE:
        raise ValueError(
            f"layer {layer.name!r} ({type(layer).__name__}): there is no way to write it in ONNX"
        )
    if type(layer) in CAN_FOLD:
        return _TABLE[type(layer)](b, layer, xs[0], shape, folded)
    if isinstance(layer, layers.merging.Merging):
        return _TABLE[type(layer)](b, layer, xs, shape)
    return _TABLE[type(layer)](b, layer, xs[0], shape)


# -- layers with kernels ----------------------------------------------------------------------


def _kernel_and_bias(
    kernel: Any, bias: Any, out_axes: tuple[int, ...], folded: Folded | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """(W, b) as arrays, with a batch normalization folded in."""
    W = kernel.numpy()
    b = None if bias is None else bias.numpy()
    if folded is not None:
        scale, shift = folded
        sizes = [W.shape[axis] if axis in out_axes else 1 for axis in range(W.ndim)]
        W = W * scale.reshape(sizes)
        b = shift if b is None else b * scale + shift
    return W, b


def _activated(b: Builder, layer: Any, z: Value) -> Value:
    """The layer's activation of its z; it may be a layer, too."""
    activation = layer.activation
    if isinstance(activation, LayerActivation):
        return emit(b, activation.layer, [z], z.shape)
    return activate(b, activation, z)


def _with_bias(b: Builder, inputs: list[str], bias: np.ndarray | None) -> list[str]:
    return inputs if bias is None else [*inputs, b.constant(bias)]


def _dense(b: Builder, layer: Any, x: Value, shape: Shape, folded: Folded | None) -> Value:
    W, bias = _kernel_and_bias(layer.kernel, layer.bias, (1,), folded)
    x = b.nhwc(x)
    if len(x.shape) == 2:
        y = b.op("Gemm", *_with_bias(b, [x.name, b.constant(W)], bias))
    else:
        y = b.op("MatMul", x.name, b.constant(W))
        y = y if bias is None else b.op("Add", y, b.constant(bias))
    return _activated(b, layer, Value(y, shape))


def _conv(b: Builder, layer: Any, x: Value, shape: Shape, folded: Folded | None) -> Value:
    W, bias = _kernel_and_bias(layer.kernel, layer.bias, (3,), folded)
    y = _convolved(b, layer, x, W.transpose(3, 2, 0, 1), bias, layer.groups)
    return _activated(b, layer, Value(y, shape, True))


def _depthwise(b: Builder, layer: Any, x: Value, shape: Shape, folded: Folded | None) -> Value:
    W, bias = _kernel_and_bias(layer.kernel, layer.bias, (2, 3), folded)
    y = _convolved(b, layer, x, _as_grouped(W), bias, W.shape[2])
    return _activated(b, layer, Value(y, shape, True))


def _separable(b: Builder, layer: Any, x: Value, shape: Shape, folded: Folded | None) -> Value:
    D = layer.depthwise_kernel.numpy()
    P, bias = _kernel_and_bias(layer.kernel, layer.bias, (3,), folded)
    u = _convolved(b, layer, x, _as_grouped(D), None, D.shape[2])
    inputs = [u, b.constant(P.transpose(3, 2, 0, 1))]
    y = b.op("Conv", *_with_bias(b, inputs, bias))
    return _activated(b, layer, Value(y, shape, True))


def _as_grouped(W: np.ndarray) -> np.ndarray:
    """(kh, kw, c, m) -> (c m, 1, kh, kw): a convolution with a group for each channel."""
    kh, kw, c, m = W.shape
    return W.transpose(2, 3, 0, 1).reshape(c * m, 1, kh, kw)


def _convolved(b: Builder, layer: Any, x: Value, W: np.ndarray, bias: Any, groups: int) -> str:
    inputs = _with_bias(b, [b.nchw(x).name, b.constant(W)], bias)
    window = _window(layer, x.shape, layer.kernel_size, layer.dilation_rate)
    return b.op("Conv", *inputs, dilations=layer.dilation_rate, group=groups, **window)


def _window(layer: Any, shape: Shape, size: Any, dilation: Any = (1, 1)) -> dict[str, Any]:
    """Kernel, strides and padding of a window that slides over images of this shape."""
    window = {"kernel_shape": size, "strides": layer.strides}
    if layer.padding == "valid":
        return window
    sizes, pads = shape[1:3], []
    for n, k, s, d in zip(sizes, size, layer.strides, dilation, strict=True):
        if n is None and s > 1:  # the padding depends on the size
            return {**window, "auto_pad": "SAME_UPPER"}
        # With a stride of 1 it does not: any size will do.
        pads.append(same_padding(n or span(k, d), k, s, d))
    return {**window, "pads": _pads(pads)}


def _pads(borders: Any) -> list[int]:
    """((top, bottom), (left, right)) -> top, left, bottom, right."""
    return [before for before, _ in borders] + [after for _, after in borders]


def _transposed(b: Builder, layer: Any, x: Value, shape: Shape, folded: Folded | None) -> Value:
    W, bias = _kernel_and_bias(layer.kernel, layer.bias, (2,), folded)
    extra = layer.output_padding or (None, None)
    pads, output_padding = [], []
    for k, s, d, p in zip(
        layer.kernel_size, layer.strides, layer.dilation_rate, extra, strict=True
    ):
        size = transposed_output_size(1, k, s, layer.padding, d, p)
        pads.append(padding_for(size, 1, k, s, d))
        output_padding.append(max(size - span(k, d), 0))
    y = b.op(
        "ConvTranspose",
        *_with_bias(b, [b.nchw(x).name, b.constant(W.transpose(3, 2, 0, 1))], bias),
        kernel_shape=layer.kernel_size,
        strides=layer.strides,
        dilations=layer.dilation_rate,
        pads=_pads(pads),
        output_padding=output_padding,
    )
    return _activated(b, layer, Value(y, shape, True))


# -- pooling and normalization ----------------------------------------------------------------


def _pool(kind: str, **attributes: Any) -> Callable[..., Value]:
    def emit_pool(b: Builder, layer: Any, x: Value, shape: Shape) -> Value:
        window = _window(layer, x.shape, layer.pool_size)
        return Value(b.op(kind, b.nchw(x).name, **window, **attributes), shape, True)

    return emit_pool


def _global_pool(kind: str) -> Callable[..., Value]:
    def emit_pool(b: Builder, layer: Any, x: Value, shape: Shape) -> Value:
        y = Value(b.op(kind, b.nchw(x).name), (*shape[:1], 1, 1, *shape[-1:]), True)
        return y if layer.keepdims else Value(b.op("Flatten", y.name), shape)

    return emit_pool


def scale_and_shift(layer: layers.BatchNormalization) -> Folded:
    """gamma (x - mean) / sqrt(variance + epsilon) + beta as scale x + shift."""
    scale = 1 / np.sqrt(layer.moving_variance.numpy() + layer.epsilon)
    if layer.gamma is not None:
        scale = scale * layer.gamma.numpy()
    shift = -layer.moving_mean.numpy() * scale
    return scale, shift if layer.beta is None else shift + layer.beta.numpy()


def _batch_norm(b: Builder, layer: Any, x: Value, shape: Shape) -> Value:
    axis = layer.axis % len(shape)
    if axis == len(shape) - 1 and len(shape) in (2, 4):
        x = b.nchw(x)
        mean, variance = layer.moving_mean.numpy(), layer.moving_variance.numpy()
        gamma = np.ones_like(mean) if layer.gamma is None else layer.gamma.numpy()
        beta = np.zeros_like(mean) if layer.beta is None else layer.beta.numpy()
        numbers = [b.constant(array) for array in (gamma, beta, mean, variance)]
        y = b.op("BatchNormalization", x.name, *numbers, epsilon=layer.epsilon)
        return replace(x, name=y)
    x = b.nhwc(x)
    sizes = [-1 if i == axis else 1 for i in range(len(shape))]
    scale, shift = (b.constant(array.reshape(sizes)) for array in scale_and_shift(layer))
    return replace(x, name=b.op("Add", b.op("Mul", x.name, scale), shift))


def _layer_norm(b: Builder, layer: Any, x: Value, shape: Shape) -> Value:
    x = b.nhwc(x)
    normalized = layer.axes(shape)
    axes = b.whole(*normalized)
    centered = b.op("Sub", x.name, b.op("ReduceMean", x.name, axes))
    variance = b.op("ReduceMean", b.op("Mul", centered, centered), axes)
    y = b.op("Div", centered, b.op("Sqrt", b.op("Add", variance, b.constant(layer.epsilon))))
    sizes = [-1 if i in normalized else 1 for i in range(len(shape))]
    for kind, weight in (("Mul", layer.gamma), ("Add", layer.beta)):
        if weight is not None:
            known = iter(weight.shape)
            numbers = weight.numpy().reshape([next(known) if n < 0 else 1 for n in sizes])
            y = b.op(kind, y, b.constant(numbers))
    return replace(x, name=y)


def _unit_norm(b: Builder, layer: Any, x: Value, shape: Shape) -> Value:
    x = b.nhwc(x)
    length = b.op("ReduceL2", x.name, b.whole(*layer.axes(shape)))
    return replace(x, name=b.op("Div", x.name, b.op("Max", length, b.constant(layer.shortest))))


# -- layers that compute element by element ---------------------------------------------------


def _activation(b: Builder, layer: Any, x: Value, shape: Shape) -> Value:
    return _activated(b, layer, x)


def _prelu(b: Builder, layer: Any, x: Value, shape: Shape) -> Value:
    x = b.nhwc(x)
    return replace(x, name=b.op("PRelu", x.name, b.constant(layer.alpha.numpy())))


def _rescaling(b: Builder, layer: Any, x: Value, shape: Shape) -> Value:
    x = b.nhwc(x)
    scaled = b.op("Mul", x.name, b.constant(layer.scale))
    return replace(x, name=b.op("Add", scaled, b.constant(layer.offset)))


def _normalization(b: Builder, layer: Any, x: Value, shape: Shape) -> Value:
    x = b.nhwc(x)
    mean = b.constant(layer.mean)
    deviation = b.constant(np.maximum(np.sqrt(layer.variance), epsilon()))
    if layer.invert:
        return replace(x, name=b.op("Add", b.op("Mul", x.name, deviation), mean))
    return replace(x, name=b.op("Div", b.op("Sub", x.name, mean), deviation))


def _same(b: Builder, layer: Any, x: Value, shape: Shape) -> Value:
    return x


# -- layers that merge ------------------------------------------------------------------------


def _elementwise(kind: str) -> Callable[..., Value]:
    def emit_elementwise(b: Builder, layer: Any, xs: list[Value], shape: Shape) -> Value:
        first = _aligned(b, xs)
        y = first[0].name
        if kind in ("Sum", "Max", "Min", "Mean"):
            y = b.op(kind, *(x.name for x in first))
        else:
            for x in first[1:]:
                y = b.op(kind, y, x.name)
        return Value(y, shape, first[0].channels_first)

    return emit_elementwise


def _aligned(b: Builder, xs: list[Value]) -> list[Value]:
    """In one order and of one rank. ONNX puts missing axes first, minicnn after the batch."""
    rank = max(len(x.shape) for x in xs)
    if all(len(x.shape) == rank and x.channels_first for x in xs):
        return xs
    aligned = []
    for x in map(b.nhwc, xs):
        missing = rank - len(x.shape)
        if missing:
            axes = b.whole(*range(1, 1 + missing))
            x = Value(b.op("Unsqueeze", x.name, axes), (*x.shape[:1], *[1] * missing, *x.shape[1:]))
        aligned.append(x)
    return aligned


def _concatenate(b: Builder, layer: Any, xs: list[Value], shape: Shape) -> Value:
    axis = layer.axis % len(shape)
    channels_first = len(shape) == 4 and all(x.channels_first for x in xs)
    if channels_first:
        axis = (0, 2, 3, 1)[axis]
    else:
        xs = [b.nhwc(x) for x in xs]
    return Value(b.op("Concat", *(x.name for x in xs), axis=axis), shape, channels_first)


_TABLE: dict[type, Callable[..., Value]] = {
    layers.Activation: _activation,
    layers.ActivityRegularization: _same,
    layers.Add: _elementwise("Sum"),
    layers.AlphaDropout: _same,
    layers.Average: _elementwise("Mean"),
    layers.AveragePooling2D: _pool("AveragePool", count_include_pad=0),
    layers.BatchNormalization: _batch_norm,
    layers.CenterCrop: moving.framing,
    layers.Concatenate: _concatenate,
    layers.Conv2D: _conv,
    layers.Conv2DTranspose: _transposed,
    layers.Cropping2D: moving.cropping,
    layers.Dense: _dense,
    layers.DepthwiseConv2D: _depthwise,
    layers.Dropout: _same,
    layers.ELU: _activation,
    layers.Flatten: moving.flatten,
    layers.GaussianDropout: _same,
    layers.GaussianNoise: _same,
    layers.GlobalAveragePooling2D: _global_pool("GlobalAveragePool"),
    layers.GlobalMaxPooling2D: _global_pool("GlobalMaxPool"),
    layers.Identity: _same,
    layers.LayerNormalization: _layer_norm,
    layers.LeakyReLU: _activation,
    layers.MaxPooling2D: _pool("MaxPool"),
    layers.Maximum: _elementwise("Max"),
    layers.Minimum: _elementwise("Min"),
    layers.Multiply: _elementwise("Mul"),
    layers.Normalization: _normalization,
    layers.PReLU: _prelu,
    layers.Permute: moving.permute,
    layers.RandomBrightness: _same,
    layers.RandomContrast: _same,
    layers.RandomCrop: moving.framing,
    layers.RandomFlip: _same,
    layers.RandomRotation: _same,
    layers.RandomTranslation: _same,
    layers.RandomZoom: _same,
    layers.ReLU: _activation,
    layers.RepeatVector: moving.repeat_vector,
    layers.Rescaling: _rescaling,
    layers.Reshape: moving.reshape,
    layers.Resizing: moving.framing,
    layers.SeparableConv2D: _separable,
    layers.Softmax: _activation,
    layers.SpatialDropout2D: _same,
    layers.Subtract: _elementwise("Sub"),
    layers.UnitNormalization: _unit_norm,
    layers.UpSampling2D: moving.upsampling,
    layers.ZeroPadding2D: moving.zero_padding,
}
# The layers that a batch normalization which follows can be folded into.
CAN_FOLD = {
    layers.Conv2D,
    layers.Conv2DTranspose,
    layers.Dense,
    layers.DepthwiseConv2D,
    layers.SeparableConv2D,
}
