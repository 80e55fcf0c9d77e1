"""Layers that disturb their input while training and let it pass otherwise, or put a price on it.
No weights."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn import regularizers
from minicnn.backends.numpy.activation import SELU_ALPHA, SELU_SCALE
from minicnn.layers.base import Layer
from minicnn.layers.checks import channels_last
from minicnn.layers.reshaping import Identity
from minicnn.random import SeedGenerator
from minicnn.shapes import positive_int
from minicnn.validation import number

# What SELU approaches on the far left.
LOWEST = -SELU_SCALE * SELU_ALPHA


class Dropout(Layer):
    """While training, y = x / (1 - rate) with probability 1 - rate, else 0; otherwise y = x.

    The factor keeps the mean of y at x, so that nothing has to be done when training is over
    (Srivastava et al., 2014, Dropout: a simple way to prevent neural networks from overfitting).
    The mask is a function of the layer's seed and of how many were drawn before.

    Args:
        rate: the probability of being dropped, between 0 and 1.
        noise_shape: the shape of the mask, which broadcasts against x (with ``None`` for a size of
            x): ``(None, 1, 1, None)`` drops whole channels. By default that of x.
        seed: of the masks; by default a new one from the global seed.
        kwargs: what every layer takes (``name``, ``input_shape``, ...).

    Raises:
        ValueError, TypeError: if an argument is wrong.

    >>> import numpy as np
    >>> y = Dropout(0.5, seed=1)(np.ones((4, 100)), training=True)
    >>> np.unique(y), bool(abs(y.mean() - 1) < 0.2)
    (array([0., 2.], dtype=float32), True)
    """

    def __init__(
        self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.rate = number(rate, "rate", "[0, 1]")
        self.noise_shape = None
        if noise_shape is not None:
            if not isinstance(noise_shape, (tuple, list)):
                raise TypeError(f"noise_shape: expected a tuple, got {noise_shape!r}")
            self.noise_shape = tuple(
                None if size is None else positive_int(size, "noise_shape") for size in noise_shape
            )
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)

    def check_input_shape(self, input_shape: Any) -> None:
        super().check_input_shape(input_shape)
        if self.noise_shape is not None:
            fits = len(self.noise_shape) == len(input_shape) and all(
                mask in (None, 1, size) or size is None
                for mask, size in zip(self.noise_shape, input_shape, strict=True)
            )
            if not fits:
                raise ValueError(
                    f"noise_shape of layer {self.name!r} ({type(self).__name__}): "
                    f"{self.noise_shape} does not broadcast against an input of shape {input_shape}"
                )

    def forward(self, x: Any, training: bool) -> tuple[Any, Any]:
        if not training or self.rate == 0:
            return x, None
        seed, step = self.seed_generator.next()
        return self.ops.dropout(x, self.rate, seed, step, self.noise_shape)

    def backward(self, dy: Any, saved: Any) -> Any:
        mask = saved
        return dy if mask is None else self.ops.dropout_backward(dy, mask, self.rate)


class SpatialDropout2D(Dropout):
    """Dropout of whole channels of an image, whose pixels are too alike to be dropped one by one.

    Args:
        rate: the probability of being dropped, between 0 and 1.
        data_format: ``None`` or ``"channels_last"``.
        seed: of the masks; by default a new one from the global seed.
        kwargs: what every layer takes (``name``, ``input_shape``, ...).

    Source: Tompson et al. (2014), Efficient object localization using convolutional networks.

    >>> import numpy as np
    >>> y = SpatialDropout2D(0.5, seed=1)(np.ones((2, 3, 3, 4)), training=True)
    >>> bool((y == y[:, :1, :1, :]).all())
    True
    """

    input_rank = 4
    not_in_config = frozenset({"noise_shape", "trainable"})  # Keras rejects it here
    keras_only = {"trainable": (True, False), "noise_shape": (None,)}  # and Keras 2 wrote this

    def __init__(
        self, rate: float, data_format: str | None = None, seed: int | None = None, **kwargs: Any
    ):
        super().__init__(rate, (None, 1, 1, None), seed, **kwargs)
        self.data_format = channels_last(data_format)


class AlphaDropout(Dropout):
    """Dropout that keeps mean 0 and variance 1, for networks with the activation SELU.

    While training, an element is dropped with probability ``rate``, not to 0 but to l, the lowest
    value of SELU, and all are scaled and shifted then::

        y = a x + b    where the mask is true,    y = a l + b    elsewhere,

        a = 1 / sqrt((1 - rate) (1 + rate l^2)),    b = -a rate l

    Otherwise y = x.

    Args:
        rate: the probability of being dropped, at least 0 and less than 1.
        noise_shape: the shape of the mask, as for :class:`Dropout`.
        seed: of the masks; by default a new one from the global seed.
        kwargs: what every layer takes (``name``, ``input_shape``, ...).

    Source: Klambauer et al. (2017), Self-normalizing neural networks.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(100, 100))
    >>> y = AlphaDropout(0.3, seed=1)(x, training=True)
    >>> bool(abs(y.mean()) < 0.02), bool(abs(y.std() - 1) < 0.02)
    (True, True)
    """

    def __init__(
        self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any
    ):
        super().__init__(number(rate, "rate", "[0, 1)"), noise_shape, seed, **kwargs)

    def forward(self, x: Any, training: bool) -> tuple[Any, Any]:
        _, mask = super().forward(x, training)
        if mask is None:
            return x, None
        a = self._scale()
        b = -a * self.rate * LOWEST
        return np.where(mask, a * x + b, a * LOWEST + b), mask

    def backward(self, dy: Any, saved: Any) -> Any:
        mask = saved
        return dy if mask is None else self._scale() * (dy * mask)

    def _scale(self) -> float:
        """The number a."""
        return 1 / math.sqrt((1 - self.rate) * (1 + self.rate * LOWEST**2))


class GaussianDropout(Layer):
    """While training, y = x m with m from a normal distribution of mean 1; otherwise y = x.

    Its standard deviation sqrt(rate / (1 - rate)) is that of Dropout's mask (Srivastava et al.,
    2014, section 10).

    Args:
        rate: of the dropout that has the same variance, at least 0 and less than 1.
        seed: of the noise; by default a new one from the global seed.
        kwargs: what every layer takes (``name``, ``input_shape``, ...).

    >>> import numpy as np
    >>> y = GaussianDropout(0.5, seed=1)(np.ones((10, 1000)), training=True)
    >>> bool(abs(y.mean() - 1) < 0.03), bool(abs(y.std() - 1) < 0.03)
    (True, True)
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.rate = number(rate, "rate", "[0, 1)")
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)

    def forward(self, x: Any, training: bool) -> tuple[Any, Any]:
        if not training or self.rate == 0:
            return x, None
        seed, step = self.seed_generator.next()
        deviation = math.sqrt(self.rate / (1 - self.rate))
        m = 1 + deviation * self.ops.random_normal(x.shape, seed, step, x.dtype)
        return x * m, m

    def backward(self, dy: Any, saved: Any) -> Any:
        m = saved
        return dy if m is None else dy * m


class ActivityRegularization(Identity):
    """y = x, with the penalty l1 sum |x| + l2 sum x^2 on it: the mean over the batch is added to
    the loss.

    Args:
        l1, l2: the two factors, not negative.
        kwargs: what every layer takes (``name``, ``input_shape``, ...).

    >>> ActivityRegularization(l2=0.1).activity_regularizer.get_config()
    {'l1': 0.0, 'l2': 0.1}
    """

    not_in_config = frozenset({"activity_regularizer"})

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any):
        super().__init__(activity_regularizer=regularizers.L1L2(l1, l2), **kwargs)
        self.l1 = self.activity_regularizer.l1
        self.l2 = self.activity_regularizer.l2


class GaussianNoise(Layer):
    """While training, y = x + noise from a normal distribution of mean 0; otherwise y = x.

    Args:
        stddev: the standard deviation of the noise, between 0 and 1 as in Keras.
        seed: of the noise; by default a new one from the global seed.
        kwargs: what every layer takes (``name``, ``input_shape``, ...).

    >>> import numpy as np
    >>> y = GaussianNoise(0.1, seed=1)(np.zeros((10, 100)), training=True)
    >>> bool(abs(y.std() - 0.1) < 0.01)
    True
    """

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.stddev = number(stddev, "stddev", "[0, 1]")
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)

    def forward(self, x: Any, training: bool) -> tuple[Any, Any]:
        if not training or self.stddev == 0:
            return x, None
        seed, step = self.seed_generator.next()
        return x + self.stddev * self.ops.random_normal(x.shape, seed, step, x.dtype), None

    def backward(self, dy: Any, saved: Any) -> Any:
        return dy
