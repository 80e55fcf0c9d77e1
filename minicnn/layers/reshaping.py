"""Layers that only move numbers: flatten, reshape, permute, pad, crop, enlarge. No weights."""

from __future__ import annotations

import math
from typing import Any

from minicnn.backends.numpy.resampling import INTERPOLATIONS
from minicnn.layers.base import Layer
from minicnn.layers.checks import axis_number, channels_last
from minicnn.shapes import borders, cropped_output_shape, pair, positive_int


class Identity(Layer):
    """y = x. Holds a place, or gives a value a name.

    >>> import numpy as np
    >>> Identity()(np.ones((1, 2)))
    array([[1., 1.]], dtype=float32)
    """

    def forward(self, x: Any, training: bool) -> tuple[Any, Any]:
        return x, None

    def backward(self, dy: Any, saved: Any) -> Any:
        return dy


class Reshaping(Layer):
    """The same numbers in the same order in another shape, which the subclass computes."""

    def forward(self, x: Any, training: bool) -> tuple[Any, Any]:
        return x.reshape(self.compute_output_shape(x.shape)), x.shape

    def backward(self, dy: Any, saved: Any) -> Any:
        x_shape = saved
        return dy.reshape(x_shape)


class Flatten(Reshaping):
    """Each sample as one row: (n, h, w, c) -> (n, h w c).

    Args:
        data_format: ``None`` or ``"channels_last"``.
        kwargs: what every layer takes (``name``, ``input_shape``, ...).

    >>> import numpy as np
    >>> Flatten()(np.ones((2, 4, 4, 3))).shape
    (2, 48)
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = channels_last(data_format)

    def check_input_shape(self, input_shape: Any) -> None:
        if not isinstance(input_shape, tuple) or not input_shape:
            raise ValueError(
                f"input of layer {self.name!r} (Flatten): expected one array with a batch axis, "
                f"got shape {input_shape}"
            )

    def compute_output_shape(self, input_shape: Any) -> Any:
        n, *sizes = input_shape
        return (n, None if None in sizes else math.prod(sizes))


class Reshape(Reshaping):
    """Each sample in another shape: (n, ...) -> (n, \\*target_shape).

    Args:
        target_shape: the shape of a sample; one size may be -1, which stands for what is left.
        kwargs: what every layer takes (``name``, ``input_shape``, ...).

    Raises:
        ValueError, TypeError: if the shape is wrong, or a sample has another number of elements.

    >>> import numpy as np
    >>> Reshape((-1, 2))(np.ones((3, 4))).shape
    (3, 2, 2)
    """

    def __init__(self, target_shape: Any, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(target_shape, (tuple, list)):
            raise TypeError(f"target_shape: expected a tuple of ints, got {target_shape!r}")
        self.target_shape = tuple(axis_number(size, "target_shape") for size in target_shape)
        if any(size < -1 for size in self.target_shape) or self.target_shape.count(-1) > 1:
            raise ValueError(
                f"target_shape: expected sizes >= 0 and at most one -1, got {target_shape!r}"
            )

    def compute_output_shape(self, input_shape: Any) -> Any:
        n, *sizes = input_shape
        known = math.prod(size for size in self.target_shape if size != -1)
        if None in sizes:
            return (n, *(None if size == -1 else size for size in self.target_shape))
        total = math.prod(sizes)
        free = -1 in self.target_shape
        if (known == 0 or total % known) if free else total != known:
            formula = " * ".join(str(size) for size in sizes) or "1"
            raise ValueError(
                f"target_shape of layer {self.name!r} (Reshape): {self.target_shape} does not hold "
                f"the {formula} = {total} elements of a sample, in input shape {input_shape}"
            )
        return (n, *(total // known if size == -1 else size for size in self.target_shape))


class Permute(Layer):
    """The axes of each sample in another order.

    Args:
        dims: the axes, counted from 1, in the order that they are to have: ``(2, 1)`` transposes.
        kwargs: what every layer takes (``name``, ``input_shape``, ...).

    Raises:
        ValueError, TypeError: if these are not the numbers from 1 on, each once.

    >>> import numpy as np
    >>> Permute((3, 1, 2))(np.ones((8, 28, 20, 3))).shape
    (8, 3, 28, 20)
    """

    def __init__(self, dims: Any, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(dims, (tuple, list)):
            raise TypeError(f"dims: expected a tuple of ints, got {dims!r}")
        self.dims = tuple(axis_number(axis, "dims") for axis in dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(f"dims: expected the axes from 1 on, each once, got {dims!r}")
        self.input_rank = 1 + len(self.dims)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tuple(input_shape[axis] for axis in (0, *self.dims))

    def forward(self, x: Any, training: bool) -> tuple[Any, Any]:
        return x.transpose(0, *self.dims).copy(), None

    def backward(self, dy: Any, saved: Any) -> Any:
        order = (0, *self.dims)
        return dy.transpose(sorted(order, key=order.__getitem__)).copy()


class RepeatVector(Layer):
    """Each vector several times: (samples, features) -> (samples, n, features).

    Args:
        n: how many times.
        kwargs: what every layer takes (``name``, ``input_shape``, ...).

    >>> import numpy as np
    >>> RepeatVector(2)(np.array([[1, 2]]))
    array([[[1., 2.],
            [1., 2.]]], dtype=float32)
    """

    input_rank = 2

    def __init__(self, n: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.n = positive_int(n, "n")

    def compute_output_shape(self, input_shape: Any) -> Any:
        samples, features = input_shape
        return (samples, self.n, features)

    def forward(self, x: Any, training: bool) -> tuple[Any, Any]:
        return x[:, None].repeat(self.n, axis=1), None

    def backward(self, dy: Any, saved: Any) -> Any:
        return dy.sum(axis=1)


class ZeroPadding2D(Layer):
    """Zeros around each image: (n, h, w, c) -> (n, top + h + bottom, left + w + right, c).

    Args:
        padding: an int for all sides, (height, width), or ((top, bottom), (left, right)).
        data_format: ``None`` or ``"channels_last"``.
        kwargs: what every layer takes (``name``, ``input_shape``, ...).

    >>> import numpy as np
    >>> ZeroPadding2D(((1, 0), (0, 2)))(np.ones((1, 1, 1, 1)))[0, :, :, 0]
    array([[0., 0., 0.],
           [1., 0., 0.]], dtype=float32)
    """

    input_rank = 4

    def __init__(self, padding: Any = (1, 1), data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.padding = borders(padding, "padding")
        self.data_format = channels_last(data_format)

    def compute_output_shape(self, input_shape: Any) -> Any:
        n, h, w, c = input_shape
        (top, bottom), (left, right) = self.padding
        return (
            n,
            None if h is None else top + h + bottom,
            None if w is None else left + w + right,
            c,
        )

    def forward(self, x: Any, training: bool) -> tuple[Any, Any]:
        return self.ops.zero_pad2d(x, self.padding), None

    def backward(self, dy: Any, saved: Any) -> Any:
        return self.ops.zero_pad2d_backward(dy, self.padding)


class Cropping2D(Layer):
    """Cut rows and columns off: (n, h, w, c) -> (n, h - top - bottom, w - left - right, c).

    Args:
        cropping: an int for all sides, (height, width), or ((top, bottom), (left, right)).
        data_format: ``None`` or ``"channels_last"``.
        kwargs: what every layer takes (``name``, ``input_shape``, ...).

    Raises:
        ValueError: if nothing would be left.

    >>> import numpy as np
    >>> Cropping2D(1)(np.arange(16).reshape(1, 4, 4, 1))[0, :, :, 0]
    array([[ 5.,  6.],
           [ 9., 10.]], dtype=float32)
    """

    input_rank = 4

    def __init__(
        self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.cropping = borders(cropping, "cropping")
        self.data_format = channels_last(data_format)

    def compute_output_shape(self, input_shape: Any) -> Any:
        n, _, _, c = input_shape
        return (n, *cropped_output_shape(self.name, input_shape, self.cropping), c)

    def forward(self, x: Any, training: bool) -> tuple[Any, Any]:
        return self.ops.crop2d(x, self.cropping), x.shape

    def backward(self, dy: Any, saved: Any) -> Any:
        x_shape = saved
        return self.ops.crop2d_backward(dy, x_shape, self.cropping)


class UpSampling2D(Layer):
    """Enlarge each image by whole factors: (n, h, w, c) -> (n, h size[0], w size[1], c).

    Args:
        size: the factors, an int or (height, width).
        data_format: ``None`` or ``"channels_last"``.
        interpolation: ``"nearest"`` (repeat each pixel) or ``"bilinear"``.
        kwargs: what every layer takes (``name``, ``input_shape``, ...).

    >>> import numpy as np
    >>> UpSampling2D((1, 2))(np.array([[1, 2]]).reshape(1, 1, 2, 1))[0, :, :, 0]
    array([[1., 1., 2., 2.]], dtype=float32)
    """

    input_rank = 4

    def __init__(
        self,
        size: Any = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.size = pair(size, "size")
        self.data_format = channels_last(data_format)
        if not isinstance(interpolation, str) or interpolation.lower() not in INTERPOLATIONS:
            raise ValueError(
                f"interpolation: expected one of {INTERPOLATIONS}, got {interpolation!r}"
            )
        self.interpolation = interpolation.lower()

    def compute_output_shape(self, input_shape: Any) -> Any:
        n, h, w, c = input_shape
        down, across = self.size
        return (n, None if h is None else h * down, None if w is None else w * across, c)

    def forward(self, x: Any, training: bool) -> tuple[Any, Any]:
        return self.ops.upsample2d(x, self.size, self.interpolation), x.shape

    def backward(self, dy: Any, saved: Any) -> Any:
        x_shape = saved
        return self.ops.upsample2d_backward(dy, x_shape, self.size, self.interpolation)
