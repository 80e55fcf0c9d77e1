"""Pooling: windows, or whole images, reduced to their maximum or their mean.

How the gradients get back is said in ``minicnn/backends/numpy/pooling.py``.
"""

from __future__ import annotations

import math
from typing import Any

from minicnn.layers.base import Layer
from minicnn.layers.checks import channels_last
from minicnn.layers.window import WindowLayer


class Pooling2D(WindowLayer):
    """One number for each window and channel: (n, h, w, c) -> (n, oh, ow, c). No weights.

    Args:
        pool_size: the window, an int or (height, width).
        strides: by how much it moves on; by its own size by default.
        padding: ``"valid"`` or ``"same"``.
        data_format: ``None`` or ``"channels_last"``.
        kwargs: what every layer takes (``name``, ``input_shape``, ...).
    """

    needs_channels = False

    def __init__(
        self,
        pool_size: Any,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        strides = pool_size if strides is None else strides
        self.set_window("pool_size", pool_size, strides, padding, data_format=data_format)
        self.pool_size = self.window

    def flops(self, input_shape: Any, output_shape: Any) -> int:
        """Each pixel of a window is compared, or added, once."""
        return math.prod(output_shape) * math.prod(self.window)


class MaxPooling2D(Pooling2D):
    """y = the maximum of each window. Its gradient goes to where the (first) maximum was.

    Args:
        pool_size: the window, an int or (height, width); 2x2 by default.
        strides: by how much it moves on; by its own size by default.
        padding: ``"valid"`` or ``"same"`` (what lies outside the image is never the maximum).
        kwargs: as for every layer.

    >>> import numpy as np
    >>> MaxPooling2D()(np.arange(16).reshape(1, 4, 4, 1))[0, :, :, 0]
    array([[ 5.,  7.],
           [13., 15.]], dtype=float32)
    """

    def __init__(
        self,
        pool_size: Any = (2, 2),
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(pool_size, strides, padding, data_format, **kwargs)

    def forward(self, x: Any, training: bool) -> tuple[Any, Any]:
        y, argmax = self.ops.max_pool2d(x, self.pool_size, self.strides, self.padding)
        return y, (argmax, x.shape)

    def backward(self, dy: Any, saved: Any) -> Any:
        argmax, x_shape = saved
        return self.ops.max_pool2d_backward(
            dy, argmax, x_shape, self.pool_size, self.strides, self.padding
        )


class AveragePooling2D(Pooling2D):
    """y = the mean of each window. Every pixel gets its share of the gradient.

    Args:
        pool_size: the window, an int or (height, width).
        strides: by how much it moves on; by its own size by default.
        padding: ``"valid"`` or ``"same"`` (the mean is over what lies inside the image).
        kwargs: as for every layer.

    >>> import numpy as np
    >>> AveragePooling2D(2)(np.arange(16).reshape(1, 4, 4, 1))[0, :, :, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]], dtype=float32)
    """

    def forward(self, x: Any, training: bool) -> tuple[Any, Any]:
        y = self.ops.average_pool2d(x, self.pool_size, self.strides, self.padding)
        return y, x.shape

    def backward(self, dy: Any, saved: Any) -> Any:
        x_shape = saved
        return self.ops.average_pool2d_backward(
            dy, x_shape, self.pool_size, self.strides, self.padding
        )


class GlobalPooling2D(Layer):
    """One number for each image and channel: (n, h, w, c) -> (n, c). No weights.

    Args:
        data_format: ``None`` or ``"channels_last"``.
        keepdims: whether the output is (n, 1, 1, c) instead.
        kwargs: what every layer takes (``name``, ``input_shape``, ...).
    """

    input_rank = 4

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = channels_last(data_format)
        self.keepdims = bool(keepdims)

    def compute_output_shape(self, input_shape: Any) -> Any:
        n, c = input_shape[0], input_shape[-1]
        return (n, 1, 1, c) if self.keepdims else (n, c)


class GlobalMaxPooling2D(GlobalPooling2D):
    """y = the maximum of each channel. Its gradient goes to where the (first) maximum was.

    >>> import numpy as np
    >>> GlobalMaxPooling2D()(np.arange(18).reshape(1, 3, 3, 2))
    array([[16., 17.]], dtype=float32)
    """

    def forward(self, x: Any, training: bool) -> tuple[Any, Any]:
        y, argmax = self.ops.global_max_pool2d(x)
        return y.reshape(self.compute_output_shape(x.shape)), (argmax, x.shape)

    def backward(self, dy: Any, saved: Any) -> Any:
        argmax, (n, h, w, c) = saved
        return self.ops.global_max_pool2d_backward(dy.reshape(n, c), argmax, (n, h, w, c))


class GlobalAveragePooling2D(GlobalPooling2D):
    """y = the mean of each channel.

    >>> import numpy as np
    >>> GlobalAveragePooling2D(keepdims=True)(np.arange(18).reshape(1, 3, 3, 2)).shape
    (1, 1, 1, 2)
    """

    def forward(self, x: Any, training: bool) -> tuple[Any, Any]:
        y = self.ops.global_average_pool2d(x)
        return y.reshape(self.compute_output_shape(x.shape)), x.shape

    def backward(self, dy: Any, saved: Any) -> Any:
        n, h, w, c = saved
        return self.ops.global_average_pool2d_backward(dy.reshape(n, c), (n, h, w, c))


MaxPool2D = MaxPooling2D
AvgPool2D = AveragePooling2D
GlobalMaxPool2D = GlobalMaxPooling2D
GlobalAvgPool2D = GlobalAveragePooling2D
