"""The convolution of images with kernels. Written like ``dense.py``; the arithmetic, and how a
gradient gets through it, stand in ``minicnn/backends/numpy/conv.py``."""

from __future__ import annotations

from typing import Any

from minicnn.layers.kernel import KernelLayer
from minicnn.layers.window import WindowLayer
from minicnn.shapes import positive_int


class Conv2D(WindowLayer, KernelLayer):
    """y = f(W * x + b): each kernel in W slides over the image (the ``*``) and makes one channel.

    Input (n, h, w, c), output (n, oh, ow, filters); W is (kh, kw, c / groups, filters), b is
    (filters,). As everywhere in deep learning the kernel is not flipped.

    Args:
        filters: how many kernels there are.
        kernel_size: an int or (height, width).
        strides: by how many pixels a kernel moves on.
        padding: ``"valid"`` (kernels stay within the image) or ``"same"`` (zeros around it).
        data_format: ``None`` or ``"channels_last"``.
        dilation_rate: the distance between the pixels that a kernel looks at; not with strides.
        groups: into how many parts the channels are split; each kernel sees one of them.
        activation: f, the identity by default.
        kwargs: the options of every kernel layer (``use_bias``, ``kernel_initializer``, ...) and
            of every layer (``name``, ``input_shape``, ...).

    Raises:
        ValueError, TypeError: if an argument is wrong, or the kernel is larger than the image.

    >>> import numpy as np
    >>> x = np.arange(9).reshape(1, 3, 3, 1)
    >>> Conv2D(1, 2, kernel_initializer="ones")(x)[0, :, :, 0]
    array([[ 8., 12.],
           [20., 24.]], dtype=float32)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        groups: int = 1,
        activation: Any = None,
        **kwargs: Any,
    ):
        super().__init__(activation, **kwargs)
        self.filters = positive_int(filters, "filters")
        self.groups = positive_int(groups, "groups")
        if self.filters % self.groups:
            raise ValueError(
                f"groups: expected a divisor of filters={self.filters}, got {self.groups}"
            )
        self.set_window("kernel_size", kernel_size, strides, padding, dilation_rate, data_format)
        self.forbid_dilated_strides()
        self.kernel_size = self.window

    def check_input_shape(self, input_shape: Any) -> None:
        super().check_input_shape(input_shape)
        if input_shape[-1] % self.groups:
            raise ValueError(
                f"input of layer {self.name!r} (Conv2D): groups={self.groups} does not divide its "
                f"{input_shape[-1]} channels, in shape {input_shape}"
            )

    def output_channels(self, c: int | None) -> int | None:
        return self.filters

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        c = self.channels // self.groups
        self.add_kernel_and_bias((*self.kernel_size, c, self.filters), self.filters)

    def preactivation(self, x: Any, training: bool) -> tuple[Any, Any]:
        W, b = self.kernel_and_bias()
        z = self.ops.conv2d(x, W, b, self.strides, self.padding, self.dilation_rate, self.groups)
        return z, x

    def preactivation_backward(self, dz: Any, saved: Any, input_gradient: bool = True) -> Any:
        x = saved
        W, windows = self.kernel.value, (self.strides, self.padding, self.dilation_rate)
        dx, dW, db = self.ops.conv2d_backward(dz, x, W, *windows, self.groups, input_gradient)
        self.add_gradients(dW, db)
        return dx


Convolution2D = Conv2D
