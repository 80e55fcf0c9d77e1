"""Every layer against finite differences, in float64, with random upstream gradients."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from layer_cases import CASES, RANDOM_CASES

import minicnn
from minicnn import gradient_check, layers

pytestmark = pytest.mark.usefixtures("floor")

EVERY_CASE = {**CASES, **RANDOM_CASES}


def inputs_for(case, seed=0):
    rng = np.random.default_rng(seed)
    xs = [rng.normal(size=shape) for shape in case.shapes]
    return xs if isinstance(case.shape, list) else xs[0]


def randomized(layer, x, seed=1):
    """Build the layer and move its weights: zeros and ones hide faults."""
    shapes = [part.shape for part in x] if isinstance(x, list) else x.shape
    layer.ensure_built(shapes)
    rng = np.random.default_rng(seed)
    for weight in layer.weights:
        move = rng.uniform(0.1, 0.6, weight.shape)  # positive: a variance stays one
        weight.assign(weight.numpy() + move)
    return layer


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", EVERY_CASE)
def test_gradients(name, training):
    case = EVERY_CASE[name]
    x = inputs_for(case)
    layer = randomized(case.make(minicnn), x)
    # Another seed than that of x: a dy that is x points the way that a unit length cannot go.
    check = gradient_check(layer, x, training=training, seed=7)
    assert check.passed, check
    assert check.max_relative_error < 1e-6
    assert not any(row.zero for row in check.rows), check
    assert len(check.rows) == len(case.shapes) + len(layer.trainable_weights)


@pytest.mark.parametrize("name", ["conv strided", "dense", "separable", "transpose", "depthwise"])
def test_first_layer_can_do_without_the_input_gradient(name):
    case = CASES[name]
    x = inputs_for(case).astype(np.float32)
    layer = randomized(case.make(minicnn), x)
    y, saved = layer.forward(x, training=True)
    dy = np.random.default_rng(2).normal(size=y.shape).astype(np.float32)
    assert layer.backward(dy, saved, input_gradient=False) is None
    alone = [w.gradient.copy() for w in layer.weights]
    for weight in layer.weights:
        weight.gradient = None
    assert layer.backward(dy, layer.forward(x, training=True)[1]).shape == x.shape
    for weight, gradient in zip(layer.weights, alone, strict=True):
        np.testing.assert_array_equal(weight.gradient, gradient)


@pytest.mark.parametrize("name", ["conv", "prelu", "layer norm"])
def test_gradients_add_up_when_a_layer_stands_twice(name):
    """Two calls, then two backwards in reverse order: nothing is kept on the layer in between."""
    case = CASES[name]
    first, second = inputs_for(case), inputs_for(case, seed=5)
    layer = randomized(case.make(minicnn), first)

    def backward(x, saved):
        return layer.backward(np.ones(x), saved)

    separate = []
    for x in (first, second):
        y, saved = layer.forward(x, training=True)
        dx = backward(y.shape, saved)
        separate.append((dx, [w.gradient.copy() for w in layer.weights]))
        for weight in layer.weights:
            weight.gradient = None
    y, saved_first = layer.forward(first, training=True)
    _, saved_second = layer.forward(second, training=True)
    np.testing.assert_array_equal(backward(y.shape, saved_second), separate[1][0])
    np.testing.assert_array_equal(backward(y.shape, saved_first), separate[0][0])
    for weight, one, other in zip(layer.weights, separate[0][1], separate[1][1], strict=True):
        np.testing.assert_allclose(weight.gradient, one + other, rtol=1e-6)


@st.composite
def windows(draw):
    """Arguments of a window that fits on the image, and the image's shape."""
    padding = draw(st.sampled_from(["valid", "same"]))
    window = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    strides = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    least = window if padding == "valid" else (1, 1)
    image = tuple(draw(st.integers(k, k + 4)) for k in least)
    n, c = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    return window, {"strides": strides, "padding": padding}, (n, *image, c)


@pytest.mark.parametrize(
    "make",
    [
        lambda window, options: layers.Conv2D(2, window, **options),
        lambda window, options: layers.DepthwiseConv2D(window, depth_multiplier=2, **options),
        lambda window, options: layers.SeparableConv2D(2, window, **options),
        lambda window, options: layers.Conv2DTranspose(2, window, **options),
        lambda window, options: layers.MaxPooling2D(window, **options),
        lambda window, options: layers.AveragePooling2D(window, **options),
    ],
    ids=["conv", "depthwise", "separable", "transpose", "max", "average"],
)
@given(case=windows(), seed=st.integers(0, 2**16))
@settings(max_examples=25, deadline=None)
def test_gradients_of_any_window(make, case, seed):
    window, options, shape = case
    x = np.random.default_rng(seed).normal(size=shape)
    layer = make(window, options)
    check = gradient_check(layer, x, max_entries=12, seed=seed)
    assert check.passed, check
    assert layer(x).shape == layer.compute_output_shape(x.shape)


@given(
    shapes=st.lists(st.tuples(st.just(2), *[st.sampled_from([1, 3])] * 2), min_size=2, max_size=3),
    kind=st.sampled_from(["Add", "Multiply", "Average", "Maximum", "Minimum"]),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=25, deadline=None)
def test_gradients_of_any_broadcast(shapes, kind, seed):
    rng = np.random.default_rng(seed)
    xs = [rng.normal(size=shape) for shape in shapes]
    layer = getattr(layers, kind)()
    check = gradient_check(layer, xs, seed=seed)
    losers = sum(row.zero for row in check.rows)  # an input may nowhere be the maximum
    assert check.passed, check
    assert losers == 0 or kind in ("Maximum", "Minimum")
    assert layer(xs).shape == layer.compute_output_shape(shapes)
