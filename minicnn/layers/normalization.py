"""Layers that bring their input to mean 0 and variance 1, or to length 1.

The gradients are derived in ``minicnn/backends/numpy/normalization.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import constraints, initializers, regularizers
from minicnn.layers.base import Layer
from minicnn.layers.checks import axes_of, axis_number, axis_of, check_size
from minicnn.validation import number
from minicnn.variables import Variable


class Normalizing(Layer):
    """y = gamma x^ + beta, with x^ = (x - mean) / sqrt(variance + epsilon).

    Args:
        epsilon: keeps the quotient finite.
        center: whether there is a beta.
        scale: whether there is a gamma.
        beta_initializer, gamma_initializer: where they start.
        beta_regularizer, gamma_regularizer: penalties on them, added to the loss.
        beta_constraint, gamma_constraint: applied to them after each update.
        kwargs: what every layer takes (``name``, ``input_shape``, ...).
    """

    def __init__(
        self,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.epsilon = number(epsilon, "epsilon", "[0, inf)")
        self.center = bool(center)
        self.scale = bool(scale)
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.gamma: Variable | None = None
        self.beta: Variable | None = None
        self.rank: int | None = None  # of the inputs for which the layer was built

    def check_input_shape(self, input_shape: Any) -> None:
        if self.rank not in (None, len(input_shape)):
            raise ValueError(
                f"input of layer {self.name!r} ({type(self).__name__}): expected rank "
                f"{self.rank}, got shape {input_shape}"
            )

    def add_gamma_and_beta(self, shape: tuple[int, ...], input_shape: Any) -> None:
        """Make gamma and beta of the given shape, unless they are switched off."""
        self.rank = len(input_shape)
        if self.scale:
            self.gamma = self.add_weight(
                shape,
                self.gamma_initializer,
                "gamma",
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
            )
        if self.center:
            self.beta = self.add_weight(
                shape,
                self.beta_initializer,
                "beta",
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
            )

    def gamma_and_beta(self) -> tuple[Any, Any]:
        """The arrays (gamma, beta), with ``None`` for what is switched off."""
        return (
            None if self.gamma is None else self.gamma.value,
            None if self.beta is None else self.beta.value,
        )

    def add_gradients(self, dgamma: Any, dbeta: Any) -> None:
        """Add to the gradients of gamma and beta."""
        if self.gamma is not None:
            self.gamma.add_gradient(dgamma.reshape(self.gamma.shape))
        if self.beta is not None:
            self.beta.add_gradient(dbeta.reshape(self.beta.shape))


class BatchNormalization(Normalizing):
    """y = gamma x^ + beta, where each channel of the batch gets mean 0 and variance 1.

    While training, mean and variance are those of the batch, over all its pixels (the variance
    divides by their number, not by one less), and two running means keep them for later:

        moving <- momentum moving + (1 - momentum) batch

    A prediction must not depend on what else is in its batch. So otherwise, and while the layer's
    ``trainable`` is off, the running means are used, and left alone. gamma, beta and the running
    means have one number for each channel.

    Args:
        axis: that of the channels, the last by default.
        momentum: of the running means, between 0 and 1.
        epsilon: added to the variance.
        moving_mean_initializer, moving_variance_initializer: where the running means start.
        kwargs: ``center``, ``scale``, the initializers, regularizers and constraints of gamma and
            beta, and what every layer takes (``name``, ``input_shape``, ...).

    Raises:
        ValueError, TypeError: if an argument or the input's shape is wrong.

    Source: Ioffe and Szegedy (2015), Batch normalization: accelerating deep network training by
    reducing internal covariate shift.

    >>> import numpy as np
    >>> BatchNormalization()(np.array([[1.0], [3.0]]), training=True).round(2)
    array([[-1.],
           [ 1.]], dtype=float32)
    """

    keras_only = {
        "synchronized": None,
        "renorm": (False,),
        "renorm_clipping": None,
        "renorm_momentum": None,
    }

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        *,
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        **kwargs: Any,
    ):
        super().__init__(epsilon, center, scale, **kwargs)
        self.axis = axis_number(axis)
        self.momentum = number(momentum, "momentum", "[0, 1]")
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.moving_mean: Variable | None = None
        self.moving_variance: Variable | None = None

    def check_input_shape(self, input_shape: Any) -> None:
        super().check_input_shape(input_shape)
        axis_of(self, input_shape, self.axis)
        channels = self.moving_mean.size if self.built else None
        check_size(self, input_shape, self.axis, "channels", channels)

    def build(self, input_shape: Any) -> None:
        shape = (input_shape[self.axis],)
        self.add_gamma_and_beta(shape, input_shape)
        self.moving_mean = self.add_weight(
            shape, self.moving_mean_initializer, "moving_mean", trainable=False
        )
        self.moving_variance = self.add_weight(
            shape, self.moving_variance_initializer, "moving_variance", trainable=False
        )

    def forward(self, x: Any, training: bool) -> tuple[Any, Any]:
        gamma, beta = self.gamma_and_beta()
        axis = axis_of(self, x.shape, self.axis)
        if not (training and self.trainable):
            weights = [gamma, beta, self.moving_mean.value, self.moving_variance.value]
            sizes = tuple(x.shape[axis] if i == axis else 1 for i in range(x.ndim))
            weights = [None if w is None else w.reshape(sizes) for w in weights]
            y, saved = self.ops.batch_norm_inference(x, *weights, self.epsilon)
            return y, (self.ops.batch_norm_inference_backward, saved)
        axes = tuple(i for i in range(x.ndim) if i != axis)
        y, mean, variance, saved = self.ops.batch_norm(x, gamma, beta, self.epsilon, axes)
        self.update(self.moving_mean, mean)
        self.update(self.moving_variance, variance)
        return y, (self.ops.batch_norm_backward, saved)

    def update(self, moving: Variable, batch: Any) -> None:
        """moving <- momentum moving + (1 - momentum) batch, in place."""
        moving.value[...] = self.momentum * moving.value + (1 - self.momentum) * batch

    def backward(self, dy: Any, saved: Any) -> Any:
        operation, saved = saved
        dx, dgamma, dbeta = operation(dy, saved)
        self.add_gradients(dgamma, dbeta)
        return dx


class LayerNormalization(Normalizing):
    """y = gamma x^ + beta, where each sample gets mean 0 and variance 1 along some axes.

    The batch plays no part in it: training and prediction are the same. gamma and beta have the
    shape of those axes.

    Args:
        axis: an int, or a list of them; the last by default.
        epsilon: added to the variance.
        kwargs: ``center``, ``scale``, the initializers, regularizers and constraints of gamma and
            beta, and what every layer takes (``name``, ``input_shape``, ...).

    Raises:
        ValueError, TypeError: if an argument or the input's shape is wrong.

    Source: Ba, Kiros and Hinton (2016), Layer normalization.

    >>> import numpy as np
    >>> LayerNormalization()(np.array([[1.0, 3.0], [10.0, 30.0]])).round(2)
    array([[-1.,  1.],
           [-1.,  1.]], dtype=float32)
    """

    keras_only = {"rms_scaling": (False,)}

    def __init__(
        self,
        axis: Any = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        **kwargs: Any,
    ):
        super().__init__(epsilon, center, scale, **kwargs)
        several = isinstance(axis, (list, tuple))
        self.axis = [axis_number(one) for one in (axis if several else [axis])]
        if not self.axis:
            raise ValueError("axis: expected an int or several, got an empty list")

    def axes(self, input_shape: Any) -> tuple[int, ...]:
        """The axes along which the mean is taken, in order, counted from the front.

        Raises:
            ValueError: if the input has no such axis, or one is named twice.
        """
        return axes_of(self, input_shape, self.axis)

    def check_input_shape(self, input_shape: Any) -> None:
        super().check_input_shape(input_shape)
        known = self.gamma or self.beta
        for i, axis in enumerate(self.axes(input_shape)):
            size = None if known is None else known.shape[i]
            check_size(self, input_shape, axis, f"elements on axis {axis}", size)

    def build(self, input_shape: Any) -> None:
        shape = tuple(input_shape[axis] for axis in self.axes(input_shape))
        self.add_gamma_and_beta(shape, input_shape)

    def forward(self, x: Any, training: bool) -> tuple[Any, Any]:
        return self.ops.layer_norm(x, *self.gamma_and_beta(), self.epsilon, self.axes(x.shape))

    def backward(self, dy: Any, saved: Any) -> Any:
        dx, dgamma, dbeta = self.ops.layer_norm_backward(dy, saved)
        self.add_gradients(dgamma, dbeta)
        return dx


class UnitNormalization(Layer):
    """y = x / |x|, where |x| = sqrt(sum x^2) is the length along some axes. No weights.

    A length below 1e-12 counts as that much, so that zeros stay zeros. Stretching x does not change
    y, so the gradient is the part of dy at right angles to y::

        dx = (dy - y sum(y dy)) / |x|

    and 0 where x is as short as that: it has no direction, and dy / 1e-12 would throw the weights
    before it out of all bounds.

    Args:
        axis: an int, or a list of them; the last by default.
        kwargs: what every layer takes (``name``, ``input_shape``, ...).

    >>> import numpy as np
    >>> UnitNormalization()(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]], dtype=float32)
    """

    shortest = 1e-12

    def __init__(self, axis: Any = -1, **kwargs: Any):
        super().__init__(**kwargs)
        several = isinstance(axis, (list, tuple))
        self.axis = [axis_number(one) for one in axis] if several else axis_number(axis)

    def axes(self, input_shape: Any) -> tuple[int, ...]:
        """The axes along which the length is taken, in order, counted from the front.

        Raises:
            ValueError: if the input has no such axis, or one is named twice.
        """
        several = isinstance(self.axis, list)
        return axes_of(self, input_shape, self.axis if several else [self.axis])

    def check_input_shape(self, input_shape: Any) -> None:
        self.axes(input_shape)

    def forward(self, x: Any, training: bool) -> tuple[Any, Any]:
        length = np.sqrt((x * x).sum(axis=self.axes(x.shape), keepdims=True))
        y = x / np.maximum(length, self.shortest)
        return y, (y, length)

    def backward(self, dy: Any, saved: Any) -> Any:
        y, length = saved
        along = (y * dy).sum(axis=self.axes(y.shape), keepdims=True)
        dx = (dy - y * along) / np.maximum(length, self.shortest)
        return np.where(length > self.shortest, dx, 0)
