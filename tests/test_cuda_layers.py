"""Every layer on arrays of a GPU, over the stand-in: like the textbook, and recorded the same."""

import cuda_cpu
import numpy as np
import pytest
from layer_cases import CASES, RANDOM_CASES

import minicnn
from minicnn import backend
from minicnn.backends import cupy, numpy as textbook
from minicnn.backends.cupy.recording import Count

pytestmark = pytest.mark.skipif(
    cuda_cpu.reason_to_skip() is not None, reason=str(cuda_cpu.reason_to_skip())
)
EVERY_CASE = {**CASES, **RANDOM_CASES}


def made(case, floor, monkeypatch):
    """The layer on a floor, with weights that are the same on all, and inputs."""
    monkeypatch.setattr(backend, "_current", floor)
    layer = case.make(minicnn)
    merges = isinstance(case.shape, list)
    layer.ensure_built(case.shapes if merges else case.shape)
    rng = np.random.default_rng(0)
    for weight in layer.weights:
        weight.assign(rng.uniform(0.1, 0.6, weight.shape))
    xs = [floor.asarray(rng.normal(size=shape), "float32") for shape in case.shapes]
    return layer, xs if merges else xs[0]


def passed(layer, x, training):
    """Forward and backward with a random dy; everything that comes of it, on the layer's floor."""
    y, saved = layer.forward(x, training)
    dy = layer.ops.asarray(np.random.default_rng(1).normal(size=y.shape), "float32")
    dx = layer.backward(dy, saved)
    gradients = [w.gradient for w in layer.trainable_weights]
    return [
        y,
        *(dx if isinstance(dx, list) else [dx]),
        *gradients,
        *(w.value for w in layer.weights),
    ]


@pytest.fixture(autouse=True)
def door():
    from cuda_cpu.door import Door
    from cuda_cpu.floor import opened

    with opened(Door()) as door:
        yield door


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", EVERY_CASE)
def test_like_the_textbook(name, training, monkeypatch):
    case = EVERY_CASE[name]
    found = passed(*made(case, cupy, monkeypatch), training)
    expected = passed(*made(case, textbook, monkeypatch), training)
    for array, exact in zip(found, expected, strict=True):
        assert array.dtype == exact.dtype == np.float32
        assert array.shape == exact.shape
        error = np.abs(cupy.to_numpy(array) - exact).max(initial=0)
        assert error <= 1e-4 * np.abs(exact).max(initial=0)


@pytest.mark.parametrize("name", EVERY_CASE)
def test_a_layer_can_be_recorded(name, door, monkeypatch):
    """It asks the device for no number, and brings none there, while it trains."""
    case = EVERY_CASE[name]
    layer, x = made(case, cupy, monkeypatch)
    expected = [cupy.to_numpy(array) for array in passed(layer, x, True)]
    layer, x = made(case, cupy, monkeypatch)
    y, saved = layer.forward(x, False)
    dy = cupy.asarray(np.random.default_rng(1).normal(size=y.shape), "float32")
    layer.backward(dy, saved)  # makes the gradients
    for weight in layer.trainable_weights:
        weight.gradient.fill(0)
    if name in RANDOM_CASES:
        layer.forward(x, True)  # as it is, like the first steps of a training
        layer.seed_generator.step = Count(cupy.asarray([0], "uint64"))
    with door.allocating_from(door.private_memory()):
        door.begin_capture()
        y, saved = layer.forward(x, True)
        dx = layer.backward(dy, saved)
        graph = door.end_capture()
    door.replay(graph)
    gradients = [w.gradient for w in layer.trainable_weights]
    found = [y, *(dx if isinstance(dx, list) else [dx]), *gradients]
    found += [w.value for w in layer.weights]
    for array, exact in zip(found, expected, strict=True):
        assert np.array_equal(cupy.to_numpy(array), exact)
