"""Sequential in all the forms that Keras knows."""

import numpy as np
import pytest

import minicnn
from minicnn import Input, Sequential, layers


def lesson_model():
    return Sequential(
        [
            layers.Conv2D(4, 3, activation="relu", input_shape=(8, 8, 1), name="conv1"),
            layers.MaxPooling2D((2, 2), name="pool1"),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )


def test_a_block_within_a_model_shows_where_it_stands_there(rng):
    tensor = Input((4,))
    block = Sequential([Input((4,)), layers.Dense(3), layers.ReLU()])
    drawn_with = block.output
    model = minicnn.Model(tensor, layers.Dense(2)(block(layers.Rescaling(2)(tensor))))
    x = rng.normal(size=(5, 4)).astype(np.float32)
    seen = minicnn.Model(model.input, block.output).predict(x, verbose=0)
    np.testing.assert_array_equal(seen, block.predict(2 * x, verbose=0))
    assert block.outputs == [drawn_with]
    assert block.input is model.layers[1].output


def test_every_way_of_giving_the_input_shape_builds_the_same_network(rng):
    x = rng.normal(size=(2, 8, 8, 1))

    def rest():
        return [layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3)]

    models = [
        Sequential([Input((8, 8, 1)), *rest()]),
        Sequential([Input(shape=[8, 8, 1]), *rest()]),
        Sequential([layers.InputLayer(shape=(8, 8, 1)), *rest()]),
        Sequential([layers.Conv2D(4, 3, input_shape=[8, 8, 1]), *rest()[1:]]),
        Sequential(rest()),
    ]
    by_add = Sequential()
    by_add.add(Input((8, 8, 1)))
    for layer in rest():
        by_add.add(layer)
    models.append(by_add)
    models[-2](x)  # built by its first batch
    for model in models:
        assert [type(layer).__name__ for layer in model.layers] == ["Conv2D", "Flatten", "Dense"]
        assert model.count_params() == 9 * 4 + 4 + 36 * 4 * 3 + 3
        assert model.output_shape == (None, 3)
        assert model.input_shape == (None, 8, 8, 1)
        model.set_weights(models[0].get_weights())
        np.testing.assert_array_equal(model(x), models[0](x))


def test_names_are_numbered_as_keras_does():
    minicnn.backend.clear_session()
    model = Sequential([layers.Dense(2, input_shape=(3,)), layers.Dense(2), layers.ReLU()])
    assert [layer.name for layer in model.layers] == ["dense", "dense_1", "re_lu"]
    assert model.name == "sequential"
    assert Sequential().name == "sequential_1"
    old = model.predict(np.ones((1, 3)), verbose=0)
    minicnn.backend.clear_session()
    assert Sequential([layers.MaxPooling2D()]).layers[0].name == "max_pooling2d"
    np.testing.assert_array_equal(model.predict(np.ones((1, 3)), verbose=0), old)


def test_pop_takes_the_last_layer_away_and_another_may_follow(rng):
    model = lesson_model()
    x = rng.normal(size=(2, 8, 8, 1))
    kept = model.get_layer("conv1").get_weights()[0]
    last = model.pop()
    assert type(last) is layers.Dense
    assert model.output_shape == (None, 36)
    model.add(layers.Dense(5))
    assert model.predict(x, verbose=0).shape == (2, 5)
    np.testing.assert_array_equal(model.get_layer("conv1").get_weights()[0], kept)
    for _ in range(4):
        model.pop()
    assert model.layers == []
    with pytest.raises(ValueError, match="no layer to take away"):
        model.pop()


def test_layers_are_found_by_name_and_by_index():
    model = lesson_model()
    assert model.get_layer("pool1") is model.layers[1]
    assert model.get_layer(index=0) is model.layers[0]
    with pytest.raises(ValueError, match=r"no layer 'pool2'; it has: conv1, pool1"):
        model.get_layer("pool2")
    with pytest.raises(ValueError, match="4 layers, got 4"):
        model.get_layer(index=4)


def test_a_layer_that_does_not_fit_is_refused_and_the_model_stays_as_it_was():
    model = Sequential([layers.Conv2D(4, 3, input_shape=(8, 8, 1))])
    with pytest.raises(ValueError, match="conv2d"):
        model.add(layers.Conv2D(4, 9, name="too_large_conv2d"))
    assert len(model.layers) == 1
    assert model.output_shape == (None, 6, 6, 4)
    with pytest.raises(TypeError, match="expected a layer"):
        model.add("dense")
    with pytest.raises(ValueError, match="names in a model must differ"):
        model.add(layers.Dense(1, name=model.layers[0].name))
    with pytest.raises(ValueError, match="must come first"):
        model.add(Input((3,)))


def test_a_chain_that_does_not_fit_its_first_batch_builds_no_weights():
    model = Sequential([layers.Conv2D(4, 3), layers.Conv2D(4, 7), layers.Flatten()])
    with pytest.raises(ValueError, match="conv2d"):
        model(np.zeros((1, 8, 8, 1)))
    assert not any(layer.built for layer in model.layers)
    assert model(np.zeros((1, 9, 9, 2))).shape == (1, 4)


def test_weights_that_do_not_fit_change_nothing():
    model = lesson_model()
    before = model.get_weights()
    with pytest.raises(ValueError, match="has 4 weights, got 3"):
        model.set_weights(before[:3])
    wrong = [w + 1 for w in before]
    wrong[3] = wrong[3][:5]
    with pytest.raises(ValueError, match=r"'bias'.* has shape \(10,\), got \(5,\)"):
        model.set_weights(wrong)
    for weight, kept in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, kept)


@pytest.mark.parametrize("input_shape", [(28, 28, 1), (1000, 1000, 1)])
def test_a_summary_needs_no_compile(input_shape, capsys):
    model = Sequential(name="probe")
    model.add(layers.Conv2D(1, (3, 3), input_shape=input_shape, name="a"))
    model.summary()
    printed = capsys.readouterr().out
    assert 'Model: "probe"' in printed
    assert "a (Conv2D)" in printed
    assert f"(None, {input_shape[0] - 2}, {input_shape[1] - 2}, 1)" in printed
    assert "Total params: 10 (40.00 B)" in printed
    assert "Non-trainable params: 0 (0.00 B)" in printed


def test_a_summary_before_the_shapes_are_known_and_through_print_fn():
    lines = []
    Sequential([layers.Dense(3, name="late")]).summary(print_fn=lines.append)
    assert "late (Dense)" in lines[0]
    assert "?" in lines[0]
    assert "0 (unbuilt)" in lines[0]


def test_parameter_counts_of_the_course():
    def count(*args, **kwargs):
        return Sequential([layers.Conv2D(*args, **kwargs)]).count_params()

    assert count(1, (3, 3), input_shape=(28, 28, 1)) == 10
    assert count(1, (3, 3), input_shape=(1000, 1000, 1)) == 10
    assert count(1, (5, 5), input_shape=(28, 28, 1)) == 26
    assert count(1, (3, 3), input_shape=(28, 28, 3)) == 28
    assert count(2, (3, 3), input_shape=(28, 28, 3)) == 56
    assert count(10, (3, 3), input_shape=(28, 28, 3)) == 280


def test_unbuilt_models_say_what_is_missing():
    model = Sequential([layers.Dense(3)])
    for ask in (lambda: model.inputs, lambda: model.output_shape, model.count_params):
        with pytest.raises(ValueError, match="input_shape"):
            ask()


def test_a_model_may_stand_in_a_sequential(rng):
    inner = Sequential([layers.Dense(4, activation="relu", input_shape=(3,))], name="inner")
    outer = Sequential([inner, layers.Dense(2)])
    assert outer.count_params() == 16 + 10
    x = rng.normal(size=(5, 3))
    np.testing.assert_allclose(outer(x), outer.layers[1](inner(x)), rtol=1e-6)


def test_frozen_layers_count_as_not_trainable():
    model = lesson_model()
    model.layers[0].trainable = False
    assert len(model.trainable_weights) == 2
    assert [w.name for w in model.non_trainable_weights] == ["kernel", "bias"]
    model.trainable = False
    assert model.trainable_weights == []
    model.trainable = True
    assert len(model.trainable_weights) == 4


def test_input_dim_is_an_input_shape_of_one_axis():
    layer = layers.Dense(2, input_dim=3)
    assert Sequential([layer]).input_shape == (None, 3)
    assert "input_dim" not in layer.get_config()
    assert Sequential([layers.Dense(2, input_dim=np.int64(5))]).count_params() == 12


def test_keras_other_names_of_the_weights():
    model = Sequential([layers.Dense(2, input_dim=3), layers.BatchNormalization(name="norm")])
    names = [weight.name for weight in model.get_layer("norm").variables]
    assert names == ["gamma", "beta", "moving_mean", "moving_variance"]
    for one in (model, *model.layers):
        for kind in ("", "trainable_", "non_trainable_"):
            variables, weights = getattr(one, f"{kind}variables"), getattr(one, f"{kind}weights")
            assert [id(v) for v in variables] == [id(w) for w in weights]
    assert (len(model.trainable_variables), len(model.non_trainable_variables)) == (4, 2)


def test_a_part_of_a_weight_by_its_index():
    layer = Sequential([layers.Conv2D(4, 3, input_shape=(8, 8, 2))]).layers[0]
    part = layer.kernel[:, :, 0, 3]
    np.testing.assert_array_equal(part, layer.kernel.numpy()[:, :, 0, 3])
    assert part.shape == (3, 3)
    part[...] = 7  # a copy: the weights stay
    assert not (layer.kernel.numpy() == 7).any()
    assert layer.bias[-1] == 0
    with pytest.raises(IndexError):
        layer.bias[4]


def test_a_summary_in_a_notebook_is_printed_and_displays_nothing_else(monkeypatch, capsys):
    shown = []
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr("rich.jupyter.display", lambda *parts: shown.append(parts))
    lesson_model().summary()
    assert "conv1 (Conv2D)" in capsys.readouterr().out
    assert shown == []


def test_a_summary_says_which_layers_learn(capsys):
    model = lesson_model()
    model.layers[0].trainable = False
    model.summary(line_length=100, show_trainable=True)
    rows = {line.split()[1]: line.split()[-2] for line in capsys.readouterr().out.splitlines()
            if "(None" in line}  # fmt: skip
    assert (rows["conv1"], rows["pool1"]) == ("N", "-")
    assert rows[model.layers[-1].name] == "Y"
    model.summary(line_length=100)
    assert "Trainable" not in capsys.readouterr().out.splitlines()[2]
