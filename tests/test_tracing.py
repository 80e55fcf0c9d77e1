"""One step under the microscope."""

import numpy as np
import pytest

from minicnn import Input, Model, Sequential, layers, trace


def small_model():
    model = Sequential(
        [
            layers.Conv2D(3, 3, activation="relu", input_shape=(6, 6, 2), name="conv"),
            layers.MaxPooling2D(2, name="pool"),
            layers.Flatten(name="flat"),
            layers.Dropout(0.5, name="drop"),
            layers.Dense(4, activation="softmax", name="out"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def test_every_layer_is_seen_forward_and_backward(rng):
    model = small_model()
    x, y = rng.normal(size=(5, 6, 6, 2)).astype(np.float32), rng.integers(0, 4, 5)
    loss, gradients = model.compute_gradients(x, y, training=True)
    step = trace(model, x, y)
    assert step.loss == loss
    conv, pool, _, drop, out = step.calls
    np.testing.assert_array_equal(conv.output, model.layers[0](x))
    assert (conv.input_shape, conv.output_shape) == ((5, 6, 6, 2), (5, 4, 4, 3))
    assert conv.parameters == 57
    assert conv.flops == 2 * 5 * 4 * 4 * 3 * 3 * 2 * 3
    assert pool.flops == 5 * 2 * 2 * 3 * 4
    assert out.flops == 2 * 5 * 12 * 4
    assert conv.bytes == 5 * 4 * 4 * 3 * 4
    assert conv.formula.startswith("y = f(W * x + b)")
    # At the last layer z and dL/dz = (p - y) / n are seen, which make up the bias's gradient.
    np.testing.assert_allclose(out.gradient.sum(axis=0), gradients[-1], rtol=1e-5)
    assert out.gradient.shape == out.output.shape
    assert drop.gradient.shape == (5, 12)
    assert (drop.output == 0).any()
    assert all(call.forward_seconds > 0 and call.backward_seconds > 0 for call in step.calls)


def test_nothing_is_left_behind(rng):
    model = small_model()
    x, y = rng.normal(size=(5, 6, 6, 2)), rng.integers(0, 4, 5)
    before = model.get_weights()
    trace(model, x, y)
    assert not any("forward" in vars(layer) or "backward" in vars(layer) for layer in model.layers)
    for now, kept in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, kept)
    with pytest.raises(ValueError, match="y"):
        trace(model, x, y[:2])
    assert not any("forward" in vars(layer) for layer in model.layers)
    model.fit(x, y, verbose=0)


def test_a_layer_called_twice_and_a_model_inside_are_seen_at_each_call(rng):
    inner = Sequential([layers.Dense(3, input_shape=(3,), name="deep")], name="inner")
    a, b = Input((3,)), Input((3,))
    model = Model([a, b], layers.Dense(1, name="out")(layers.Add(name="sum")([inner(a), inner(b)])))
    model.compile("sgd", "mse")
    x = [rng.normal(size=(4, 3)) for _ in range(2)]
    step = trace(model, x, rng.normal(size=(4, 1)))
    names = [call.layer.split()[0] for call in step.calls]
    assert sorted(names) == ["deep", "deep", "inner", "inner", "out", "sum"]
    deep = [call for call in step.calls if call.layer.startswith("deep")]
    kernel = sum(data.T @ call.gradient for data, call in zip(x, deep, strict=True))
    np.testing.assert_allclose(kernel, inner.layers[0].kernel.gradient, rtol=1e-4, atol=1e-6)


def test_the_table_in_a_terminal_and_in_a_notebook(rng):
    step = trace(small_model(), rng.normal(size=(2, 6, 6, 2)), np.array([0, 3]))
    printed, html = str(step), step._repr_html_()
    for text in ("conv (Conv2D)", "(2, 4, 4, 3)", "backward ms", f"loss {step.loss:.6g}"):
        assert text in printed
        assert text in html
    assert html.count("<tr>") == 6
    assert step.rows()[0][-1] in html.replace("&#x27;", "'")


def test_the_transposed_convolution_counts_the_places_of_its_input():
    layer = layers.Conv2DTranspose(3, 2, strides=2)
    y = layer(np.zeros((1, 4, 4, 5)))
    assert layer.flops((1, 4, 4, 5), y.shape) == 2 * 16 * 2 * 2 * 3 * 5


def test_in_a_notebook_the_table_is_text_and_displays_nothing_else(rng, monkeypatch):
    shown = []
    step = trace(small_model(), rng.normal(size=(2, 6, 6, 2)), np.array([0, 3]))
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr("rich.jupyter.display", lambda *parts: shown.append(parts))
    assert "conv (Conv2D)" in str(step)
    assert shown == []
