"""The transposed convolution: from a small image to a larger one."""

from __future__ import annotations

from typing import Any

from minicnn.layers.kernel import KernelLayer
from minicnn.layers.window import WindowLayer
from minicnn.shapes import pair, positive_int, transposed_window_output_shape


class Conv2DTranspose(WindowLayer, KernelLayer):
    """y = f(W^T x + b): a convolution's way back, from its output's shape to its input's.

    Every pixel of the input lays down the kernels, times its value, on the output; where they
    overlap they add up. That is what ``Conv2D`` does backward. Input (n, h, w, c), output
    (n, oh, ow, filters); W is (kh, kw, filters, c), b is (filters,).

    Args:
        filters: how many channels the output has.
        kernel_size: an int or (height, width).
        strides: by how many pixels of the output a step in the input moves on.
        padding: ``"valid"`` (all of it is kept: oh = (h - 1) s + max(K, s)) or ``"same"``
            (oh = h s).
        output_padding: chooses another of the sizes that the output can have (``output_padding`` of
            ``transposed_output_size`` in ``minicnn/shapes.py``).
        data_format: ``None`` or ``"channels_last"``.
        dilation_rate: the distance between the pixels on which a kernel is laid; not with strides.
        activation: f, the identity by default.
        kwargs: the options of every kernel layer (``use_bias``, ``kernel_initializer``, ...) and
            of every layer (``name``, ``input_shape``, ...).

    Raises:
        ValueError, TypeError: if an argument is wrong.

    >>> import numpy as np
    >>> layer = Conv2DTranspose(1, 2, strides=2, kernel_initializer="ones")
    >>> layer(np.array([[1, 2]]).reshape(1, 1, 2, 1))[0, :, :, 0]
    array([[1., 1., 2., 2.],
           [1., 1., 2., 2.]], dtype=float32)
    """

    keras_only = {"groups": (1,)}  # Keras 2 wrote it

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        activation: Any = None,
        **kwargs: Any,
    ):
        super().__init__(activation, **kwargs)
        self.filters = positive_int(filters, "filters")
        self.set_window("kernel_size", kernel_size, strides, padding, dilation_rate, data_format)
        self.forbid_dilated_strides()
        self.kernel_size = self.window
        self.output_padding = None
        if output_padding is not None:
            self.output_padding = pair(output_padding, "output_padding", minimum=0)
            if any(p >= s for p, s in zip(self.output_padding, self.strides, strict=True)):
                raise ValueError(
                    f"output_padding: expected less than strides={self.strides}, got "
                    f"{self.output_padding}"
                )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if self.output_padding is None:
            del config["output_padding"]  # which Keras before 3.15 does not know
        return config

    def output_image_size(self, input_shape: Any) -> tuple[int | None, int | None]:
        return transposed_window_output_shape(
            self.name,
            input_shape,
            self.window,
            self.strides,
            self.padding,
            self.dilation_rate,
            self.output_padding,
        )

    def output_channels(self, c: int | None) -> int | None:
        return self.filters

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.add_kernel_and_bias((*self.kernel_size, self.filters, self.channels), self.filters)

    def flops(self, input_shape: Any, output_shape: Any) -> int:
        """The kernels are laid down once at each place of the input."""
        return super().flops(output_shape, input_shape)

    def preactivation(self, x: Any, training: bool) -> tuple[Any, Any]:
        W, b = self.kernel_and_bias()
        z = self.ops.conv2d_transpose(
            x, W, b, self.strides, self.padding, self.dilation_rate, self.output_padding
        )
        return z, x

    def preactivation_backward(self, dz: Any, saved: Any, input_gradient: bool = True) -> Any:
        x = saved
        W, windows = self.kernel.value, (self.strides, self.padding, self.dilation_rate)
        dx, dW, db = self.ops.conv2d_transpose_backward(
            dz, x, W, *windows, self.output_padding, input_gradient
        )
        self.add_gradients(dW, db)
        return dx


Convolution2DTranspose = Conv2DTranspose
