"""Where weights start.

An initializer is called with a shape and returns an array of that shape. How large random weights
should be depends on how many numbers each output sums over: too large, and signals explode from
layer to layer; too small, and they die. The variance-scaling family chooses the variance from the
two fans of a kernel (:func:`compute_fans`).

Sources: Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward neural
networks"; He et al. (2015), "Delving deep into rectifiers"; LeCun et al. (1998), "Efficient
BackProp"; Saxe et al. (2014), "Exact solutions to the nonlinear dynamics of learning in deep linear
neural networks".
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.configurable import Configurable, deserialize, serialize
from minicnn.random import SeedGenerator
from minicnn.registry import lookup
from minicnn.validation import number

# The standard deviation of a standard normal that is cut off at -2 and 2:
# sqrt(1 - 4 phi(2) / (2 Phi(2) - 1)), with the normal's density phi and its integral Phi.
TRUNCATED_STDDEV = 0.87962566103423978


class Initializer(Configurable):
    """Base class: a subclass defines ``__call__(shape, dtype)``.

    >>> class Alternating(Initializer):
    ...     def __call__(self, shape, dtype=np.float32):
    ...         return (np.arange(math.prod(shape)) % 2).reshape(shape).astype(dtype)
    >>> Alternating()((2, 2))
    array([[0., 1.],
           [0., 1.]], dtype=float32)
    """

    keras_module = "keras.initializers"

    def __call__(self, shape: Sequence[int], dtype: Any = np.float32) -> np.ndarray:
        """An array of the given shape and dtype."""
        raise NotImplementedError(f"{type(self).__name__} does not define __call__(shape, dtype)")


# -- without chance ---------------------------------------------------------------------------


class Constant(Initializer):
    """``value`` everywhere (or an array that broadcasts to the shape)."""

    def __init__(self, value: Any = 0.0):
        if not np.issubdtype(np.asarray(value).dtype, np.number):
            raise TypeError(f"value: expected a number, got {value!r}")
        self.value = value

    def __call__(self, shape: Sequence[int], dtype: Any = np.float32) -> np.ndarray:
        return np.full(_checked_shape(shape), self.value, np.dtype(dtype or np.float32))


class Zeros(Constant):
    """0 everywhere: where biases start."""

    def __init__(self) -> None:
        super().__init__(0.0)


class Ones(Constant):
    """1 everywhere."""

    def __init__(self) -> None:
        super().__init__(1.0)


class Identity(Initializer):
    """``gain`` times the identity matrix, for shapes (rows, columns)."""

    def __init__(self, gain: float = 1.0):
        self.gain = number(gain, "gain")

    def __call__(self, shape: Sequence[int], dtype: Any = np.float32) -> np.ndarray:
        shape = _checked_shape(shape)
        if len(shape) != 2:
            raise ValueError(f"shape: Identity makes matrices (rows, columns), got {shape}")
        return np.eye(*shape, dtype=np.dtype(dtype or np.float32)) * self.gain


# -- by chance --------------------------------------------------------------------------------


class RandomInitializer(Initializer):
    """Base class of all that draw numbers.

    Args:
        seed: an integer gives the same numbers at each call. ``None`` takes an integer from the
            library's seed (see ``minicnn.utils.set_random_seed``) when the initializer is made. A
            ``minicnn.random.SeedGenerator`` gives other numbers at each call.
    """

    def __init__(self, seed: int | SeedGenerator | None = None):
        self.given_seed = seed
        self.seed = seed if isinstance(seed, SeedGenerator) else SeedGenerator(seed).seed

    def argument_value(self, name: str) -> Any:
        if name == "seed":
            return None if isinstance(self.given_seed, SeedGenerator) else self.given_seed
        return super().argument_value(name)

    @classmethod
    def from_config(cls, config: Any) -> RandomInitializer:
        if isinstance(config, dict) and isinstance(config.get("seed"), dict):
            config = {**config, "seed": None}  # a generator of Keras, whose numbers are not ours
        return super().from_config(config)

    def _generator(self) -> np.random.Generator:
        page = self.seed.next() if isinstance(self.seed, SeedGenerator) else (self.seed, 0)
        return np.random.default_rng(page)


class RandomNormal(RandomInitializer):
    """Normal with the given mean and standard deviation."""

    def __init__(
        self, mean: float = 0.0, stddev: float = 0.05, seed: int | SeedGenerator | None = None
    ):
        super().__init__(seed)
        self.mean = number(mean, "mean")
        self.stddev = number(stddev, "stddev", "[0, inf)")

    def __call__(self, shape: Sequence[int], dtype: Any = np.float32) -> np.ndarray:
        z = self._generator().standard_normal(_checked_shape(shape))
        return (self.mean + self.stddev * z).astype(_checked_dtype(dtype))


class RandomUniform(RandomInitializer):
    """Uniform between ``minval`` (inclusive) and ``maxval`` (exclusive)."""

    def __init__(
        self, minval: float = -0.05, maxval: float = 0.05, seed: int | SeedGenerator | None = None
    ):
        super().__init__(seed)
        self.minval = number(minval, "minval")
        self.maxval = number(maxval, "maxval", f"[{self.minval}, inf)")

    def __call__(self, shape: Sequence[int], dtype: Any = np.float32) -> np.ndarray:
        u = self._generator().uniform(self.minval, self.maxval, _checked_shape(shape))
        return u.astype(_checked_dtype(dtype))


class TruncatedNormal(RandomInitializer):
    """Normal, but what lies more than two standard deviations from the mean is drawn again.

    ``stddev`` is that of the normal before the cut; what comes out has 0.8796 times as much.
    """

    def __init__(
        self, mean: float = 0.0, stddev: float = 0.05, seed: int | SeedGenerator | None = None
    ):
        super().__init__(seed)
        self.mean = number(mean, "mean")
        self.stddev = number(stddev, "stddev", "[0, inf)")

    def __call__(self, shape: Sequence[int], dtype: Any = np.float32) -> np.ndarray:
        generator = self._generator()
        # As one row, so that a shape () is an array that can be written to.
        z = generator.standard_normal(math.prod(_checked_shape(shape)))
        while (outside := np.abs(z) > 2).any():
            z[outside] = generator.standard_normal(np.count_nonzero(outside))
        return (self.mean + self.stddev * z).astype(_checked_dtype(dtype)).reshape(shape)


class VarianceScaling(RandomInitializer):
    """Random weights whose variance is scale / n, with n from the shape's fans.

    A sum of n products of independent weights (mean 0, variance 1/n) and inputs has the inputs'
    variance: signals keep their size from layer to layer. ReLU throws away half of it, hence He's
    scale of 2.

    Args:
        scale: a positive number.
        mode: n is ``"fan_in"``, ``"fan_out"`` or their mean, ``"fan_avg"``.
        distribution: ``"truncated_normal"`` (or ``"normal"``), ``"untruncated_normal"``, or
            ``"uniform"``, on [-limit, limit] with limit = sqrt(3 scale / n).
        seed: see :class:`RandomInitializer`.
    """

    keras_only = {"input_axes": (None,), "output_axes": (None,)}

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | SeedGenerator | None = None,
    ):
        super().__init__(seed)
        self.scale = number(scale, "scale", "(0, inf)")
        self.mode = _one_of(("fan_in", "fan_out", "fan_avg"), mode, "mode")
        names = ("truncated_normal", "untruncated_normal", "uniform", "normal")
        name = _one_of(names, distribution, "distribution")
        self.distribution = "truncated_normal" if name == "normal" else name

    def __call__(self, shape: Sequence[int], dtype: Any = np.float32) -> np.ndarray:
        fan_in, fan_out = compute_fans(shape)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1, n)
        if self.distribution == "uniform":
            # The variance of a uniform on [-limit, limit] is limit^2 / 3.
            limit = math.sqrt(3 * variance)
            return RandomUniform(-limit, limit, self.seed)(shape, dtype)
        if self.distribution == "untruncated_normal":
            return RandomNormal(0.0, math.sqrt(variance), self.seed)(shape, dtype)
        stddev = math.sqrt(variance) / TRUNCATED_STDDEV
        return TruncatedNormal(0.0, stddev, self.seed)(shape, dtype)


class GlorotUniform(VarianceScaling):
    """Uniform on [-limit, limit], limit = sqrt(6 / (fan_in + fan_out)): Keras's default."""

    def __init__(self, seed: int | SeedGenerator | None = None):
        super().__init__(1.0, "fan_avg", "uniform", seed)


class GlorotNormal(VarianceScaling):
    """Truncated normal of standard deviation sqrt(2 / (fan_in + fan_out))."""

    def __init__(self, seed: int | SeedGenerator | None = None):
        super().__init__(1.0, "fan_avg", "truncated_normal", seed)


class HeUniform(VarianceScaling):
    """Uniform on [-limit, limit], limit = sqrt(6 / fan_in): for ReLU."""

    def __init__(self, seed: int | SeedGenerator | None = None):
        super().__init__(2.0, "fan_in", "uniform", seed)


class HeNormal(VarianceScaling):
    """Truncated normal of standard deviation sqrt(2 / fan_in): for ReLU."""

    def __init__(self, seed: int | SeedGenerator | None = None):
        super().__init__(2.0, "fan_in", "truncated_normal", seed)


class LecunUniform(VarianceScaling):
    """Uniform on [-limit, limit], limit = sqrt(3 / fan_in)."""

    def __init__(self, seed: int | SeedGenerator | None = None):
        super().__init__(1.0, "fan_in", "uniform", seed)


class LecunNormal(VarianceScaling):
    """Truncated normal of standard deviation sqrt(1 / fan_in): for SELU."""

    def __init__(self, seed: int | SeedGenerator | None = None):
        super().__init__(1.0, "fan_in", "truncated_normal", seed)


class Orthogonal(RandomInitializer):
    """``gain`` times a random matrix with orthonormal columns (or rows, if there are fewer).

    A shape of more than two axes is seen as a matrix with all axes but the last one as rows. The
    matrix is the Q of the QR decomposition of a normal matrix; the signs of R's diagonal, which the
    decomposition leaves open, are made positive, so that all orthogonal matrices are equally likely
    (Mezzadri, 2007, "How to generate random matrices from the classical compact groups").
    """

    def __init__(self, gain: float = 1.0, seed: int | SeedGenerator | None = None):
        super().__init__(seed)
        self.gain = number(gain, "gain")

    def __call__(self, shape: Sequence[int], dtype: Any = np.float32) -> np.ndarray:
        shape = _checked_shape(shape)
        if len(shape) < 2:
            raise ValueError(f"shape: Orthogonal needs at least two axes, got {shape}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        a = self._generator().standard_normal((max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(a)
        q *= np.sign(np.diag(r))
        q = q if rows >= columns else q.T
        return (self.gain * q).reshape(shape).astype(_checked_dtype(dtype))


# -- fans and names ---------------------------------------------------------------------------


def compute_fans(shape: Sequence[int]) -> tuple[int, int]:
    """``(fan_in, fan_out)`` of a weight: how many numbers flow into and out of a unit.

    A matrix is (in, out). A kernel is (..., in, out), and each of its window's places counts: a
    3x3 kernel from 16 to 32 channels has the fans 9 * 16 and 9 * 32.

    >>> compute_fans((3, 3, 16, 32)), compute_fans((784, 30)), compute_fans((10,)), compute_fans(())
    ((144, 288), (784, 30), (10, 10), (1, 1))
    """
    shape = _checked_shape(shape)
    if not shape:
        return 1, 1
    if len(shape) == 1:
        return shape[0], shape[0]
    window = math.prod(shape[:-2])
    return window * shape[-2], window * shape[-1]


def get(identifier: Any) -> Any:
    """The initializer that ``identifier`` names.

    Args:
        identifier: a name in any case (``"he_normal"``, ``"HeNormal"``), an initializer, one of the
            classes, a function ``f(shape, dtype)``, an array of values, Keras's dict form of one
            (see ``minicnn.configurable``), or ``None``.

    Returns:
        Something to be called with ``(shape, dtype=...)``; ``None`` for ``None``.

    Raises:
        ValueError: if there is no initializer of that name.
        TypeError: if it is anything else.

    >>> get("he_normal").scale
    2.0
    """
    if identifier is None:
        return None
    if isinstance(identifier, str):
        return lookup(_TABLE, identifier, "initializer")()
    if isinstance(identifier, (np.ndarray, np.generic)):
        return GivenValues(identifier)
    if isinstance(identifier, dict):
        return deserialize(identifier, _TABLE, "keras.initializers", "initializer", Initializer)
    if inspect.isclass(identifier) and issubclass(identifier, Initializer):
        return identifier()
    if callable(identifier):
        return identifier
    raise TypeError(
        "initializer: expected a name such as 'glorot_uniform', an initializer, a function "
        f"f(shape, dtype) or an array, got {identifier!r}"
    )


class GivenValues(Initializer):
    """The numbers of a given array."""

    def __init__(self, values: np.ndarray):
        self.values = values

    def __call__(self, shape: Sequence[int], dtype: Any = np.float32) -> np.ndarray:
        if tuple(shape) != self.values.shape:
            raise ValueError(
                f"initializer: the array given as initial values has shape {self.values.shape}, "
                f"the weight needs {tuple(shape)}"
            )
        return np.array(self.values, dtype=np.dtype(dtype or np.float32))

    def serialized(self) -> dict[str, Any]:
        """Zeros in a file, which has the weights themselves in another place."""
        return serialize(Zeros())


def _checked_shape(shape: Sequence[int]) -> tuple[int, ...]:
    try:
        sizes = tuple(int(size) for size in shape)
    except TypeError:
        raise TypeError(f"shape: expected a tuple of sizes, got {shape!r}") from None
    if any(size < 0 for size in sizes):
        raise ValueError(f"shape: expected sizes of 0 or more, got {sizes}")
    return sizes


def _checked_dtype(dtype: Any) -> np.dtype:
    dtype = np.dtype(dtype or np.float32)
    if not np.issubdtype(dtype, np.floating):
        raise TypeError(f"dtype: random weights are floating-point numbers, got {dtype.name}")
    return dtype


def _one_of(allowed: Sequence[str], value: Any, name: str) -> str:
    if not isinstance(value, str) or value.lower() not in allowed:
        raise ValueError(f"{name}: expected one of {', '.join(allowed)}, got {value!r}")
    return value.lower()


# Keras's second names for the classes, as in ``initializers.glorot_uniform(seed=1)``.
constant, zeros, ones, identity = Constant, Zeros, Ones, Identity
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal
variance_scaling, orthogonal = VarianceScaling, Orthogonal
glorot_uniform, glorot_normal = GlorotUniform, GlorotNormal
he_uniform, he_normal = HeUniform, HeNormal
lecun_uniform, lecun_normal = LecunUniform, LecunNormal

_TABLE: dict[str, type[Initializer]] = {
    "constant": Constant,
    "zeros": Zeros,
    "zero": Zeros,
    "ones": Ones,
    "one": Ones,
    "identity": Identity,
    "random_normal": RandomNormal,
    "normal": RandomNormal,
    "random_uniform": RandomUniform,
    "uniform": RandomUniform,
    "truncated_normal": TruncatedNormal,
    "variance_scaling": VarianceScaling,
    "glorot_uniform": GlorotUniform,
    "glorot_normal": GlorotNormal,
    "he_uniform": HeUniform,
    "he_normal": HeNormal,
    "lecun_uniform": LecunUniform,
    "lecun_normal": LecunNormal,
    "orthogonal": Orthogonal,
}
