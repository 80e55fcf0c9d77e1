"""The gradients of layers and models, checked entry by entry.

The idea is that of ``differences.py``: move a number a by h in both directions, and compare the
gradient with (L(a + h) - L(a - h)) / 2h. What this file adds is care about three things that would
spoil it: rounding, kinks, and everything that a forward pass changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.checking.report import GradientCheck, Row
from minicnn.checking.state import in_float64, with_inner_layers

# At a kink the slope jumps. The backward returns the slope of one side; the central difference lies
# between the two, and so is off by at most half of the jump. The rest is room for rounding.
PART_OF_THE_JUMP = 0.6
# By how many roundings of float64, each relative to the whole sum, a difference may be off.
ROUNDINGS = 10


def gradient_check(
    layer_or_model: Any,
    x: Any,
    y: Any = None,
    *,
    training: bool = False,
    step: float = 1e-5,
    tolerance: float = 1e-6,
    max_entries: int = 100,
    seed: int = 0,
) -> GradientCheck:
    """Compare the gradients of a layer or a model with finite differences, in float64.

    Without ``y`` the gradients are those of L = sum(dy * output), for all weights and inputs, with
    a random dy, which then is the gradient of L for the output. (Were dy all ones, many faults
    would not show: the outputs of a softmax always sum to 1, so its gradient would be zero.) In a
    model the penalties on its layers' outputs are added. With ``y`` they are those of the loss with
    which the model was compiled, for all trainable weights, from ``model.compute_gradients``.

    Each entry is moved by ``step`` in both directions. If relu or max-pooling have a kink within
    the step, the two sides have different slopes: such an entry is measured again with a tenth and
    a hundredth of the step, and left out if the kink is still there; the table counts these. Random
    masks are the same at every evaluation. Whatever happens, the layer is left as it was: weights,
    dtype, moving statistics, random steps.

    Args:
        layer_or_model: a layer (a model is one, too), built or not.
        x: an input, or a list of inputs. Avoid ties (whole numbers under a max-pooling): kinks.
        y: the targets for a compiled model.
        training: whether to check the pass of training, with masks and batch statistics.
        step: h of the central differences.
        tolerance: how large an error may be, relative to the largest entry of an array's gradient
            (or to what the rounding of float64 lets one see, if that is more).
        max_entries: how many entries of each array are compared; of a larger array a random sample.
        seed: of that sample and of dy.

    Raises:
        ValueError: if ``backward`` returns gradients of a wrong shape.

    >>> from minicnn import layers
    >>> check = gradient_check(layers.Dense(3, "tanh", name="d"), np.ones((2, 4)))
    >>> check.passed, [row.name for row in check.rows]
    (True, ['input', 'd/kernel', 'd/bias'])
    """
    rng = np.random.default_rng(seed)
    layer = layer_or_model
    if y is None:
        layer.ensure_built([np.shape(part) for part in x] if isinstance(x, list) else np.shape(x))
    else:
        layer.compute_gradients(x, y)  # builds the model, or says what is wrong with x and y
    with in_float64(layer) as frozen:
        if y is None:
            probe, arrays = _layer_gradients(layer, x, training, frozen, rng)
        else:
            probe, arrays = _model_gradients(layer, x, y, training)
        rows = [
            _check_array(name, value, gradient, probe, step, tolerance, max_entries, rng)
            for name, value, gradient in arrays
        ]
    return GradientCheck(rows, tolerance)


# Something to check: its name, a function that returns the array, the analytic gradient.
Subject = tuple[str, Callable[[], Any], np.ndarray]


class _Probe:
    """The slope of L = sum(dy * output) when one entry of an array is moved.

    Outputs are subtracted before they are summed: what does not change leaves no rounding error.

    Args:
        outputs: evaluates the layer.
        dys: a weight for every output.
    """

    def __init__(self, outputs: Callable[[], list[Any]], dys: list[Any]):
        self.outputs, self.dys = outputs, dys
        self.here = outputs()
        squares = (((dy * y) ** 2).sum() for dy, y in zip(dys, self.here, strict=True))
        self.size = math.sqrt(sum(float(square) for square in squares))

    def rounding(self, h: float) -> float:
        """How far a difference quotient may be off because float64 has 16 digits only."""
        return ROUNDINGS * float(np.finfo(np.float64).eps) * self.size / h

    def slope_and_jump(self, array: Any, index: tuple[int, ...], h: float) -> tuple[float, float]:
        """The central difference, and the difference of the two one-sided ones."""
        kept = float(array[index])
        array[index] = kept + h
        above = self.outputs()
        array[index] = kept - h
        below = self.outputs()
        array[index] = kept
        slope = jump = 0.0
        for dy, a, y, b in zip(self.dys, above, self.here, below, strict=True):
            slope += float((dy * (a - b)).sum())
            jump += float((dy * ((a - y) - (y - b))).sum())
        return slope / (2 * h), jump / h


def _check_array(
    name: str,
    value: Callable[[], Any],
    gradient: np.ndarray,
    probe: _Probe,
    step: float,
    tolerance: float,
    max_entries: int,
    rng: np.random.Generator,
) -> Row:
    """Compare the gradient of one array with finite differences."""
    places = np.arange(gradient.size)
    if gradient.size > max_entries:
        places = np.sort(rng.choice(gradient.size, max_entries, replace=False))
    entries = [tuple(int(i) for i in np.unravel_index(p, gradient.shape)) for p in places]
    analytic = gradient.reshape(-1)[places]
    numeric = np.array([probe.slope_and_jump(value(), entry, step)[0] for entry in entries])
    scale = max(np.abs(gradient).max(initial=0.0), np.abs(numeric).max(initial=0.0))

    def relative_to_scale(difference: Any, h: float) -> Any:
        tiny = float(np.finfo(np.float64).tiny)
        with np.errstate(invalid="ignore"):  # an infinite gradient: NaN, which passes no test
            return np.abs(difference) / max(scale, probe.rounding(h) / tolerance, tiny)

    error = relative_to_scale(analytic - numeric, step)
    on_kink = np.zeros(len(entries), bool)
    for i in np.flatnonzero(~(error < tolerance)):  # NaN, too
        for h in (step / 10, step / 100):
            numeric[i], jump = probe.slope_and_jump(value(), entries[i], h)
            error[i] = relative_to_scale(analytic[i] - numeric[i], h)
            if error[i] < tolerance:
                break
        else:  # still off at the smallest step: on a kink, or wrong
            on_kink[i] = abs(analytic[i] - numeric[i]) <= PART_OF_THE_JUMP * abs(jump)
    compared = np.flatnonzero(~on_kink)
    worst = compared[np.argmax(error[compared])] if len(compared) else None
    return Row(
        name,
        gradient.shape,
        checked=len(compared),
        left_out=int(on_kink.sum()),
        max_relative_error=float("nan") if worst is None else float(error[worst]),
        worst=() if worst is None else entries[worst],
        analytic=float("nan") if worst is None else float(analytic[worst]),
        numeric=float("nan") if worst is None else float(numeric[worst]),
        zero=bool(scale <= probe.rounding(step)),
    )


# -- what is checked --------------------------------------------------------------------------


def _layer_gradients(
    layer: Any, x: Any, training: bool, frozen: Callable[[Callable], Any], rng: np.random.Generator
) -> tuple[_Probe, list[Subject]]:
    """The gradients of sum(dy * output), for the inputs and the weights of a layer."""
    takes_list = isinstance(x, list)
    xs = [layer.ops.asarray(np.array(part, np.float64)) for part in (x if takes_list else [x])]

    def forward() -> tuple[list[Any], bool, Any]:
        y, saved = frozen(lambda: layer.forward(list(xs) if takes_list else xs[0], training))
        return (y, True, saved) if isinstance(y, list) else ([y], False, saved)

    def outputs() -> list[Any]:
        ys, _, saved = forward()
        # Copies: the output of a Flatten is a view of the input, which is about to be moved. The
        # activity penalties of a model have their gradient in its backward, and so count here.
        return [*(y.copy() for y in ys), np.array(sum(getattr(saved, "penalties", [])))]

    ys, gives_list, saved = forward()
    dys = [layer.ops.asarray(rng.standard_normal(y.shape)) for y in ys]
    dx = layer.backward([dy.copy() for dy in dys] if gives_list else dys[0].copy(), saved)
    subjects: list[Subject] = []
    for number, (part, d) in enumerate(zip(xs, dx if takes_list else [dx], strict=True)):
        name = f"input {number}" if takes_list else "input"
        subjects.append((name, lambda part=part: part, _gradient(layer, name, d, part)))
    for name, variable in _named_weights(layer):
        gradient = _gradient(layer, name, variable.gradient, variable.value)
        subjects.append((name, lambda variable=variable: variable.value, gradient))
    return _Probe(outputs, [*dys, np.ones(())]), subjects


def _model_gradients(model: Any, x: Any, y: Any, training: bool) -> tuple[_Probe, list[Subject]]:
    """The gradients of a compiled model's loss, for its weights."""
    _, gradients = model.compute_gradients(x, y, training=training)
    subjects: list[Subject] = [
        (name, lambda variable=variable: variable.value, _gradient(model, name, d, variable.value))
        for (name, variable), d in zip(_named_weights(model), gradients, strict=True)
    ]

    def outputs() -> list[Any]:
        return [np.array(model.compute_gradients(x, y, training=training)[0])]

    return _Probe(outputs, [np.ones(())]), subjects


def _gradient(layer: Any, name: str, gradient: Any, value: Any) -> np.ndarray:
    if gradient is None:  # nothing comes back: as good as zero
        return np.zeros(value.shape)
    gradient = np.array(layer.ops.to_numpy(gradient))
    if gradient.shape != tuple(value.shape):
        raise ValueError(
            f"backward of layer {layer.name!r}: the gradient for {name!r} has shape "
            f"{gradient.shape}, expected that of the array, {tuple(value.shape)}"
        )
    return gradient


def _named_weights(layer: Any) -> list[tuple[str, Any]]:
    """The trainable weights, in order, named after layer and weight: "conv2d/kernel"."""
    owners = {
        id(weight): one.name
        for one in with_inner_layers(layer)
        for weight in one.weights
        if not hasattr(one, "layers")
    }
    return [
        (f"{owners.get(id(weight), layer.name)}/{weight.name}", weight)
        for weight in layer.trainable_weights
    ]
