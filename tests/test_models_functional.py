"""Networks with branches, shared layers and models inside models."""

import numpy as np
import pytest

from minicnn import Input, Model, Sequential, gradient_check, layers, optimizers
from minicnn.checking import numerical_gradient, relative_error
from minicnn.models import clone_model


def branched():
    x = Input((6, 6, 2), name="picture")
    h = layers.Conv2D(3, 3, padding="same", activation="tanh", name="conv")(x)
    left = layers.AveragePooling2D(2, name="pool")(h)
    right = layers.Conv2D(3, 2, strides=2, name="stride")(h)
    y = layers.Flatten(name="flat")(layers.Add(name="sum")([left, right]))
    return Model(x, layers.Dense(4, name="out")(y), name="branched")


def test_a_tensor_that_feeds_two_layers_gets_the_sum_of_their_gradients(rng):
    model = branched()
    x = rng.normal(size=(2, 6, 6, 2)).astype(np.float32)
    dy = rng.normal(size=(2, 4)).astype(np.float32)
    _, tape = model.forward(x, False)
    dx = model.backward(dy, tape)
    step = 1e-2
    direction = rng.normal(size=x.shape).astype(np.float32)
    above, below = (model.forward(x + s * direction, False)[0] for s in (step, -step))
    numeric = float((dy * (above - below)).sum() / (2 * step))
    assert abs(float((dx * direction).sum()) - numeric) < 1e-3 * max(1, abs(numeric))


def test_a_layer_called_twice_shares_its_weights_and_adds_its_gradients(rng):
    a, b = Input((3,)), Input((3,))
    shared = layers.Dense(2, dtype="float64")
    model = Model([a, b], layers.Subtract(dtype="float64")([shared(a), shared(b)]))
    assert len(model.weights) == 2
    xs = [rng.normal(size=(4, 3)) for _ in range(2)]
    dy = rng.normal(size=(4, 2))
    _, tape = model.forward(xs, False)
    dxs = model.backward(dy, tape)
    np.testing.assert_allclose(shared.kernel.gradient, (xs[0] - xs[1]).T @ dy, rtol=1e-12)
    np.testing.assert_allclose(shared.bias.gradient, 0, atol=1e-12)
    np.testing.assert_allclose(dxs[0], -dxs[1])
    numeric = numerical_gradient(
        lambda x: float((dy * model.forward([x, xs[1]], False)[0]).sum()), xs[0]
    )
    assert relative_error(dxs[0], numeric) < 1e-8


def test_inputs_and_outputs_keep_the_form_in_which_they_were_given(rng):
    x = Input((3,), name="x")
    h = layers.Dense(4, name="h")(x)
    y = layers.Dense(2, name="y")(h)
    data = rng.normal(size=(5, 3))
    one, several = Model(x, y), Model([x], [h, y])
    assert one.predict(data, verbose=0).shape == (5, 2)
    parts = several.predict(data, verbose=0)
    assert [part.shape for part in parts] == [(5, 4), (5, 2)]
    assert [part.shape for part in several(data)] == [(5, 4), (5, 2)]
    np.testing.assert_array_equal(one({"x": data}), one([data]))
    assert several.output_names == ["h", "y"]


def test_dicts_of_inputs_and_outputs(rng):
    """Their keys name them, whatever the layers are called, and the model is the one of a list."""
    a, b = Input((3,), name="a"), Input((3,), name="b")
    difference = layers.Subtract()([a, b])
    model = Model({"right": b, "left": a}, {"y": layers.Dense(2)(difference), "d": difference})
    x = {name: rng.normal(size=(5, 3)).astype(np.float32) for name in ("left", "right")}
    assert (model.input_names, model.output_names) == (["left", "right"], ["d", "y"])
    assert (list(model.input), list(model.output)) == (["left", "right"], ["d", "y"])
    for made in (model(x), model.predict(x, verbose=0), model.predict_on_batch(x)):
        assert list(made) == ["d", "y"]
        np.testing.assert_array_equal(made["d"], x["left"] - x["right"])
        assert made["y"].shape == (5, 2)
    y = {"d": np.zeros((5, 3)), "y": np.ones((5, 2))}
    model.compile("sgd", {"d": None, "y": "mse"})
    assert set(model.fit(x, y, verbose=0).history) == {"loss"}
    copy = clone_model(model)
    copy.set_weights(model.get_weights())
    outer = Model([a, b], copy({"left": b, "right": a}))
    made, swapped = outer.predict([x["left"], x["right"]], verbose=0), [x["right"], x["left"]]
    np.testing.assert_array_equal(made["y"], model.predict(swapped, verbose=0)["y"])
    assert Model(a, {"only": a}).predict(x["left"], verbose=0)["only"].shape == (5, 3)
    with pytest.raises(ValueError, match=r"\['left', 'right'\], got \['a', 'b'\]"):
        model({"a": x["left"], "b": x["right"]})
    with pytest.raises(TypeError, match="outputs: the keys of a dict must be str"):
        Model(a, {1: a})


def test_an_intermediate_model_holds_the_very_same_layers(rng):
    model = Sequential(
        [
            layers.Conv2D(4, 3, input_shape=(8, 8, 1)),
            layers.MaxPooling2D(),
            layers.Conv2D(5, 2),
        ]
    )
    views = Model(inputs=model.inputs, outputs=[layer.output for layer in model.layers])
    assert all(layer in views.layers for layer in model.layers)
    maps = views(rng.normal(size=(3, 8, 8, 1)))
    assert [m.shape for m in maps] == [(3, 6, 6, 4), (3, 3, 3, 4), (3, 2, 2, 5)]
    first = Model(inputs=model.inputs, outputs=model.layers[0].output)
    x = rng.normal(size=(1, 8, 8, 1))
    np.testing.assert_array_equal(first.predict(x, verbose=0), model.layers[0](x))
    model.layers[0].set_weights([w * 2 for w in model.layers[0].get_weights()])
    np.testing.assert_array_equal(first.predict(x, verbose=0), model.layers[0](x))


def test_a_model_may_begin_in_the_middle_of_another(rng):
    model = branched()
    tail = Model(model.get_layer("conv").output, model.output)
    head = Model(model.input, model.get_layer("conv").output)
    x = rng.normal(size=(2, 6, 6, 2))
    np.testing.assert_allclose(tail(head(x)), model(x), rtol=1e-6)


def test_models_nest_and_share(rng):
    def block(filters):
        x = Input((5, 5, filters))
        h = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        return Model(x, layers.Add()([x, layers.Conv2D(filters, 3, padding="same")(h)]))

    inner = block(2)
    x = Input((5, 5, 2))
    twice = Model(x, layers.Flatten()(inner(inner(x))))
    assert twice.count_params() == inner.count_params()
    data = rng.normal(size=(3, 5, 5, 2))
    np.testing.assert_allclose(twice(data), inner(inner(data)).reshape(3, -1), rtol=1e-5)


def test_a_summary_says_what_is_connected_to_what(capsys):
    branched().summary(line_length=120)
    printed = capsys.readouterr().out
    assert "Connected to" in printed
    assert "pool[0][0]" in printed
    assert "stride[0][0]" in printed


def test_wrong_connections_are_refused():
    x, other = Input((3,), name="x"), Input((3,), name="other")
    y = layers.Add()([x, other])
    with pytest.raises(ValueError, match=r"depends on the input 'other'.*\['x'\]"):
        Model(x, y)
    with pytest.raises(TypeError, match="inputs: expected symbolic tensors"):
        Model(np.zeros((1, 3)), y)
    with pytest.raises(ValueError, match="outputs: expected at least one"):
        Model(x, [])
    with pytest.raises(TypeError, match="symbolic tensors alone"):
        layers.Add()([x, np.zeros((1, 3))])
    with pytest.raises(ValueError, match=r"names in a model must differ.*\['d'\]"):
        Model(x, layers.Dense(2, name="d")(layers.Dense(2, name="d")(x)))
    with pytest.raises(TypeError, match="no value yet"):
        np.asarray(y)


def test_an_input_of_another_shape_is_refused_by_name():
    model = branched()
    with pytest.raises(ValueError, match=r"input 'picture' of model 'branched'.*\(None, 6, 6, 2\)"):
        model(np.zeros((1, 5, 6, 2)))
    with pytest.raises(ValueError, match="expected a dict with the keys"):
        model({"foto": np.zeros((1, 6, 6, 2))})


def test_several_outputs_train_with_a_loss_each(rng):
    x = Input((4,), name="x")
    h = layers.Dense(8, activation="relu")(x)
    kind = layers.Dense(3, activation="softmax", name="kind")(h)
    size = layers.Dense(1, name="size")(h)
    model = Model(x, [kind, size])
    model.compile(
        optimizers.Adam(0.02),
        loss={"kind": "sparse_categorical_crossentropy", "size": "mse"},
        loss_weights={"kind": 1.0, "size": 0.5},
        metrics={"kind": "accuracy"},
    )
    data = rng.normal(size=(64, 4))
    labels, sizes = (data[:, 0] > 0).astype(int), data[:, :1] * 2
    history = model.fit(data, {"kind": labels, "size": sizes}, epochs=20, verbose=0).history
    assert set(history) == {"loss", "kind_loss", "size_loss", "kind_accuracy"}
    for total, a, b in zip(
        history["loss"], history["kind_loss"], history["size_loss"], strict=True
    ):
        assert total == pytest.approx(a + 0.5 * b, rel=1e-5)
    assert history["loss"][-1] < history["loss"][0] / 2
    assert model.metrics_names == ["loss", "kind_loss", "size_loss", "kind_accuracy"]


def test_gradients_of_several_outputs_and_inputs_agree_with_finite_differences(rng):
    a, b = Input((3,), name="a"), Input((2,), name="b")
    h = layers.Concatenate()([layers.Dense(4, activation="tanh")(a), b])
    model = Model([a, b], [layers.Dense(2, activation="softmax")(h), layers.Dense(1)(h)])
    model.compile("sgd", loss=["categorical_crossentropy", "mse"], loss_weights=[1.0, 2.0])
    x = [rng.normal(size=(6, 3)), rng.normal(size=(6, 2))]
    y = [np.eye(2)[rng.integers(0, 2, 6)], rng.normal(size=(6, 1))]

    assert gradient_check(model, x, y).passed


def test_a_summary_expands_models_within_the_model(capsys):
    deep = Sequential([layers.Dense(3, name="deepest")], name="deep")
    deep.build((None, 3))
    block = Sequential([layers.Input((3,)), layers.Dense(3, name="hidden"), deep], name="block")
    x = Input((3,), name="x")
    model = Model(x, layers.Add(name="sum")([x, block(x)]))
    model.summary(line_length=120)
    assert "hidden" not in capsys.readouterr().out
    model.summary(line_length=120, expand_nested=True, show_trainable=True)
    printed = capsys.readouterr().out
    lines = [line for line in printed.splitlines() if "(None" in line]
    names = [line[1:].split("(")[0].rstrip() for line in lines]
    assert names == [" x", " block", "   └ hidden", "   └ deep", "       └ deepest", " sum"]
    assert [cell.strip() for cell in lines[2].split("│")[2:4]] == ["(None, 3)", "12"]
    assert "block[0][0]" in printed
    model.summary(120, [0.3, 0.6, 0.7, 1.0], print, True, True)  # Keras's order of the arguments
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize(
    ("draw", "kind", "compute"),
    [
        (lambda a, b: a + b, layers.Add, np.add),
        (lambda a, b: a - b, layers.Subtract, np.subtract),
        (lambda a, b: a * b, layers.Multiply, np.multiply),
    ],
)
def test_sums_differences_and_products_of_tensors_are_layers(rng, draw, kind, compute):
    a, b = (Input((3,), dtype="float64") for _ in range(2))
    model = Model([a, b], draw(a, b))
    assert type(model.layers[-1]) is kind
    assert model.layers[-1].dtype == "float64"
    x = [rng.normal(size=(4, 3)) for _ in range(2)]
    made, _ = model.forward(x, False)
    assert made.dtype == np.float64
    np.testing.assert_array_equal(made, compute(*x))


ROW = np.array([1.0, 2.0, 4.0])


@pytest.mark.parametrize(
    "compute",
    [
        lambda x: x + 1,
        lambda x: 3 + x,
        lambda x: x - 0.5,
        lambda x: 1 - x,
        lambda x: 2.0 * x,
        lambda x: np.float32(2) * x,
        lambda x: x / 255,
        lambda x: -x,
        lambda x: (x - ROW) / ROW,
        lambda x: ROW - x,
    ],
)
def test_a_number_beside_a_tensor_makes_a_rescaling(rng, compute):
    tensor = Input((3,), dtype="float64")
    model = Model(tensor, compute(tensor))
    assert {type(layer) for layer in model.layers[1:]} == {layers.Rescaling}
    x = rng.normal(size=(4, 3))
    made, _ = model.forward(x, False)
    assert made.dtype == np.float64
    assert relative_error(made, compute(x)) < 1e-12


@pytest.mark.parametrize(
    ("draw", "error", "message"),
    [
        (lambda x: x + "1", TypeError, "offset: expected a number, got '1'"),
        (lambda x: x * None, TypeError, "scale: expected a number, got None"),
        (lambda x: x / x, TypeError, "unsupported operand"),
        (lambda x: 1 / x, TypeError, "unsupported operand"),
        (lambda x: x + np.ones(2), ValueError, r"offset of layer .*\(2,\) does not broadcast"),
    ],
)
def test_what_cannot_stand_beside_a_tensor(draw, error, message):
    with pytest.raises(error, match=message):
        draw(Input((3,)))


@pytest.mark.parametrize(
    ("name", "hint"),
    [("fit_generator", "fit takes generators"), ("predict_classes", "np.argmax")],
)
def test_methods_of_older_versions_are_answered_with_those_of_today(name, hint):
    for model in (branched(), Sequential([layers.Dense(2)])):
        with pytest.raises(AttributeError, match=f"'{model.name}' has no {name}; .*{hint}"):
            getattr(model, name)
        with pytest.raises(AttributeError, match="object has no attribute 'fitt'"):
            model.fitt  # noqa: B018
