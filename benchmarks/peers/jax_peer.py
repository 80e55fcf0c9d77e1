"""JAX by itself: the training step is one compiled program."""

from __future__ import annotations

from typing import Any

from benchmarks.course import CourseModel
from benchmarks.sketch import Part, sketch

Weights = list[Any]


class Jax:
    """The course's models in JAX, with Keras's hyperparameters, layouts and order of weights.

    As :class:`~benchmarks.peers.torch_peer.Torch` it gets the easier task: its data lie on the
    device, its labels are class numbers, and nobody asks it for the accuracy.

    Args:
        device: ``"cpu"`` or ``"gpu"``.

    Raises:
        RuntimeError: if there should be a GPU and JAX sees none.
    """

    def __init__(self, device: str = "cpu"):
        import jax

        if device == "gpu" and jax.default_backend() != "gpu":
            raise RuntimeError("this JAX sees no GPU")
        self.jax = jax

    @property
    def backend(self) -> str:
        """What does the arithmetic."""
        return f"jit on {self.jax.default_backend()}"

    def build(
        self, course: CourseModel, dropout: bool = True, optimizer: str | None = None
    ) -> None:
        """Make the step; ``optimizer`` takes the place of the lesson's."""
        jax, jnp = self.jax, self.jax.numpy
        self.course, self.parts = course, sketch(course, dropout)
        self.optimizer = optimizer or course.optimizer
        self.key = jax.random.key(0)
        shapes = [shape for part in self.parts if part.weights for shape in _shapes(part)]
        self.set_weights([0.05 * jax.random.normal(self.key, shape) for shape in shapes])

        def loss_of(weights: Weights, x: Any, y: Any, key: Any) -> Any:
            z = self._forward(weights, x, key)
            of_label = jnp.take_along_axis(z, y[:, None], 1)[:, 0]
            return (jax.nn.logsumexp(z, 1) - of_label).mean()

        def step(state: Any, x: Any, y: Any, order: Any, start: Any, count: int) -> Any:
            weights, slots, t, total = state
            rows = jax.lax.dynamic_slice_in_dim(order, start, count)
            key = jax.random.fold_in(self.key, t)
            loss, gradients = jax.value_and_grad(loss_of)(weights, x[rows], y[rows], key)
            each = zip(weights, gradients, slots, strict=True)
            updated = [self._update(w, g, slot, t + 1) for w, g, slot in each]
            return [w for w, _ in updated], [s for _, s in updated], t + 1, total + loss * count

        # The old state is given up: the new one may take its place in memory.
        self.step = jax.jit(step, donate_argnums=0, static_argnums=5)
        self.forward = jax.jit(lambda weights, x: jax.nn.softmax(self._forward(weights, x, None)))

    def _forward(self, weights: Weights, x: Any, key: Any) -> Any:
        """The pre-activation of the softmax; with dropout if there is a ``key``."""
        jax, lax, arrays = self.jax, self.jax.lax, iter(weights)
        for part in self.parts:
            options = part.options
            if part.kind == "Conv2D":
                layout = ("NHWC", "HWIO", "NHWC")
                W, b = next(arrays), next(arrays)
                x = lax.conv_general_dilated(
                    x, W, (1, 1), options["padding"].upper(), dimension_numbers=layout
                )
                x = x + b
            elif part.kind == "MaxPooling2D":
                window, stride = options["pool_size"], options["strides"]
                x = lax.reduce_window(
                    x, -float("inf"), lax.max,
                    (1, window, window, 1), (1, stride, stride, 1), "VALID",
                )  # fmt: skip
            elif part.kind == "Dropout" and key is not None:
                key, own = jax.random.split(key)
                keep = jax.random.bernoulli(own, 1 - options["rate"], x.shape)
                x = jax.numpy.where(keep, x / (1 - options["rate"]), 0)
            elif part.kind == "Flatten":
                x = x.reshape(len(x), -1)
            elif part.kind == "Dense":
                x = x @ next(arrays) + next(arrays)
            activation = {"relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid}
            x = activation.get(options.get("activation"), lambda z: z)(x)
        return x

    def _update(self, w: Any, g: Any, slot: Any, t: Any) -> tuple[Any, Any]:
        """``(weight, slots)`` after step number t, by Keras's formulas and defaults."""
        jnp, (m, v) = self.jax.numpy, slot
        if self.optimizer == "adam":
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            rate = 0.001 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
            return w - rate * m / (jnp.sqrt(v) + 1e-7), (m, v)
        if self.optimizer == "rmsprop":
            v = 0.9 * v + 0.1 * g * g
            return w - 0.001 * g / jnp.sqrt(v + 1e-7), (m, v)
        return w - 0.01 * g, (m, v)

    def set_weights(self, weights: Weights) -> None:
        """Arrays in Keras's order and layout."""
        jnp = self.jax.numpy
        weights = [jnp.array(w) for w in weights]
        m, v = {"adam": (True, True), "rmsprop": (False, True)}.get(self.optimizer, (False, False))

        def slot(w: Any, wanted: bool) -> Any:
            return jnp.zeros_like(w) if wanted else None

        slots = [(slot(w, m), slot(w, v)) for w in weights]
        self.state = weights, slots, jnp.zeros((), "int32"), jnp.zeros(())

    def prepare(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Pictures and labels on the device."""
        return self.jax.device_put(x), self.jax.device_put(y.astype("int32"))

    def fit(self, x: Any, y: Any) -> float:
        """One epoch; returns its mean loss."""
        jax, size = self.jax, self.course.batch_size
        weights, slots, t, _ = self.state
        self.state = weights, slots, t, jax.numpy.zeros(())
        order = jax.random.permutation(jax.random.fold_in(self.key, t), len(x))
        for start in range(0, len(x), size):
            count = min(size, len(x) - start)
            self.state = self.step(self.state, x, y, order, start, count)
        return float(self.state[3]) / len(x)  # there when the last step is done

    def predict(self, x: Any) -> Any:
        """Probabilities (n, classes), as a NumPy array."""
        import numpy as np

        size = self.course.batch_size
        parts = [self.forward(self.state[0], x[i : i + size]) for i in range(0, len(x), size)]
        return np.concatenate([np.asarray(part) for part in parts])


def _shapes(part: Part) -> list[tuple[int, ...]]:
    """The shapes of a layer's kernel and bias."""
    if part.kind == "Conv2D":
        size, filters = part.options["kernel_size"], part.options["filters"]
        return [(size, size, part.input_shape[-1], filters), (filters,)]
    units = part.options["units"]
    return [(part.input_shape[0], units), (units,)]
