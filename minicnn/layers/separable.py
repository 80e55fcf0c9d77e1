"""Convolutions that treat the channels apart: depthwise, and depthwise followed by 1x1."""

from __future__ import annotations

from typing import Any

from minicnn import constraints, initializers, regularizers
from minicnn.layers.kernel import KernelLayer
from minicnn.layers.window import WindowLayer
from minicnn.shapes import positive_int
from minicnn.variables import Variable


class DepthwiseConv2D(WindowLayer, KernelLayer):
    """y = f(W * x + b), where each kernel sees one channel only.

    Input (n, h, w, c), output (n, oh, ow, c m), with m the ``depth_multiplier``; W is
    (kh, kw, c, m), b is (c m,). Channel i of the input makes the channels i m, ..., i m + m - 1.

    Args:
        kernel_size: an int or (height, width).
        strides: by how many pixels a kernel moves on.
        padding: ``"valid"`` (kernels stay within the image) or ``"same"`` (zeros around it).
        depth_multiplier: how many kernels each channel has.
        data_format: ``None`` or ``"channels_last"``.
        dilation_rate: the distance between the pixels that a kernel looks at.
        activation: f, the identity by default.
        depthwise_initializer, depthwise_regularizer, depthwise_constraint: those of W.
        kwargs: ``use_bias``, ``bias_initializer``, ``bias_regularizer``, ``bias_constraint``, and
            what every layer takes (``name``, ``input_shape``, ...).

    Raises:
        ValueError, TypeError: if an argument is wrong, or the kernel is larger than the image.

    >>> import numpy as np
    >>> DepthwiseConv2D(2, depth_multiplier=3)(np.ones((1, 4, 4, 2))).shape
    (1, 3, 3, 6)
    """

    not_in_config = frozenset({"kernel_initializer", "kernel_regularizer", "kernel_constraint"})
    keras_only = {"groups": (1,)}  # Keras 2 wrote it

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        activation: Any = None,
        *,
        depthwise_initializer: Any = "glorot_uniform",
        depthwise_regularizer: Any = None,
        depthwise_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(
            activation,
            kernel_initializer=depthwise_initializer,
            kernel_regularizer=depthwise_regularizer,
            kernel_constraint=depthwise_constraint,
            **kwargs,
        )
        self.depth_multiplier = positive_int(depth_multiplier, "depth_multiplier")
        self.set_window("kernel_size", kernel_size, strides, padding, dilation_rate, data_format)
        self.kernel_size = self.window

    def argument_value(self, name: str) -> Any:
        return super().argument_value(name.replace("depthwise_", "kernel_"))

    def output_channels(self, c: int | None) -> int | None:
        return c * self.depth_multiplier

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        c, m = self.channels, self.depth_multiplier
        self.add_kernel_and_bias((*self.kernel_size, c, m), c * m)

    def preactivation(self, x: Any, training: bool) -> tuple[Any, Any]:
        W, b = self.kernel_and_bias()
        z = self.ops.depthwise_conv2d(x, W, b, self.strides, self.padding, self.dilation_rate)
        return z, x

    def preactivation_backward(self, dz: Any, saved: Any, input_gradient: bool = True) -> Any:
        x = saved
        W, windows = self.kernel.value, (self.strides, self.padding, self.dilation_rate)
        dx, dW, db = self.ops.depthwise_conv2d_backward(dz, x, W, *windows, input_gradient)
        self.add_gradients(dW, db)
        return dx


class SeparableConv2D(WindowLayer, KernelLayer):
    """u = D * x channel by channel, then y = f(P * u + b) pixel by pixel.

    A convolution in two steps, first over space, then over channels, with far fewer weights.
    Input (n, h, w, c), output (n, oh, ow, filters); the depthwise kernel D is (kh, kw, c, m), with
    m the ``depth_multiplier``, the pointwise kernel P is (1, 1, c m, filters), b is (filters,).

    Args:
        filters: how many channels the output has.
        kernel_size: that of D, an int or (height, width).
        strides: by how many pixels D moves on.
        padding: ``"valid"`` (kernels stay within the image) or ``"same"`` (zeros around it).
        data_format: ``None`` or ``"channels_last"``.
        dilation_rate: the distance between the pixels that D looks at.
        depth_multiplier: how many kernels each channel has.
        activation: f, the identity by default.
        depthwise_initializer, depthwise_regularizer, depthwise_constraint: those of D.
        pointwise_initializer, pointwise_regularizer, pointwise_constraint: those of P.
        kwargs: ``use_bias``, ``bias_initializer``, ``bias_regularizer``, ``bias_constraint``, and
            what every layer takes (``name``, ``input_shape``, ...).

    Raises:
        ValueError, TypeError: if an argument is wrong, or the kernel is larger than the image.

    >>> import numpy as np
    >>> layer = SeparableConv2D(8, 3)
    >>> layer(np.ones((1, 5, 5, 4))).shape, layer.count_params()
    ((1, 3, 3, 8), 76)
    """

    not_in_config = frozenset({"kernel_initializer", "kernel_regularizer", "kernel_constraint"})
    keras_only = {"groups": (1,), **dict.fromkeys(not_in_config)}  # Keras 2 wrote them

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        depth_multiplier: int = 1,
        activation: Any = None,
        *,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        **kwargs: Any,
    ):
        # The pointwise step is a convolution with a 1x1 kernel: it has the place of the kernel.
        super().__init__(
            activation,
            kernel_initializer=pointwise_initializer,
            kernel_regularizer=pointwise_regularizer,
            kernel_constraint=pointwise_constraint,
            **kwargs,
        )
        self.filters = positive_int(filters, "filters")
        self.depth_multiplier = positive_int(depth_multiplier, "depth_multiplier")
        self.set_window("kernel_size", kernel_size, strides, padding, dilation_rate, data_format)
        self.kernel_size = self.window
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)
        self.depthwise_constraint = constraints.get(depthwise_constraint)
        self.depthwise_kernel: Variable | None = None

    def argument_value(self, name: str) -> Any:
        return super().argument_value(name.replace("pointwise_", "kernel_"))

    def output_channels(self, c: int | None) -> int | None:
        return self.filters

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        c, m = self.channels, self.depth_multiplier
        self.depthwise_kernel = self.add_weight(
            (*self.kernel_size, c, m),
            self.depthwise_initializer,
            "depthwise_kernel",
            regularizer=self.depthwise_regularizer,
            constraint=self.depthwise_constraint,
        )
        self.add_kernel_and_bias((1, 1, c * m, self.filters), self.filters, "pointwise_kernel")

    @property
    def pointwise_kernel(self) -> Variable | None:
        """P."""
        return self.kernel

    def preactivation(self, x: Any, training: bool) -> tuple[Any, Any]:
        D = self.depthwise_kernel.value
        P, b = self.kernel_and_bias()
        u = self.ops.depthwise_conv2d(x, D, None, self.strides, self.padding, self.dilation_rate)
        return self.ops.conv2d(u, P, b), (x, u)

    def preactivation_backward(self, dz: Any, saved: Any, input_gradient: bool = True) -> Any:
        x, u = saved
        du, dP, db = self.ops.conv2d_backward(
            dz, u, self.kernel.value, strides=(1, 1), padding="valid", dilation=(1, 1), groups=1
        )
        D, windows = self.depthwise_kernel.value, (self.strides, self.padding, self.dilation_rate)
        dx, dD, _ = self.ops.depthwise_conv2d_backward(du, x, D, *windows, input_gradient)
        self.depthwise_kernel.add_gradient(dD)
        self.add_gradients(dP, db)
        return dx


SeparableConvolution2D = SeparableConv2D
