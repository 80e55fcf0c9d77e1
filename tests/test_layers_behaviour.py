"""What layers do: shapes, dtypes, masks, moving statistics, names."""

import numpy as np
import pytest
from layer_cases import CASES, IMAGE, RANDOM_CASES

import minicnn
from minicnn import Input, backend, layers
from minicnn.symbolic import SymbolicTensor

EVERY_CASE = {**CASES, **RANDOM_CASES}


def arrays(case, dtype=np.float32):
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape).astype(dtype) for shape in case.shapes]


def call(layer, case, values):
    return layer(values if isinstance(case.shape, list) else values[0])


def flat(saved):
    """Every array in what a forward saved."""
    if isinstance(saved, np.ndarray):
        return [saved]
    if isinstance(saved, (list, tuple)):
        return [array for part in saved for array in flat(part)]
    return []


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", EVERY_CASE)
def test_dtype_is_kept_everywhere(name, dtype, training):
    case = EVERY_CASE[name]
    xs = arrays(case, dtype)
    layer = case.make(minicnn)
    layer.dtype = dtype
    call(layer, case, xs)
    x = xs if isinstance(case.shape, list) else xs[0]
    y, saved = layer.forward(x, training)
    dx = layer.backward(np.ones_like(y), saved)
    assert y.dtype == dtype
    assert all(d.dtype == dtype for d in (dx if isinstance(dx, list) else [dx]))
    kept = [a for a in flat(saved) if a.shape[-2:] != (2, 3)]  # places in pictures are float64
    assert all(a.dtype == dtype for a in kept if a.dtype.kind == "f")
    for weight in layer.weights:
        assert weight.dtype == dtype
        assert weight.gradient is None or weight.gradient.dtype == dtype


@pytest.mark.parametrize("name", EVERY_CASE)
def test_shape_is_known_before_the_data(name):
    """The symbolic call, the promise and the array agree, also where sizes are not known."""
    case = EVERY_CASE[name]
    layer = case.make(minicnn)
    y = call(layer, case, arrays(case))
    shape = case.shape
    assert y.shape == layer.compute_output_shape(shape)
    tensors = [Input(batch_shape=(None, *s[1:])) for s in case.shapes]
    symbolic = call(layer, case, tensors)
    assert isinstance(symbolic, SymbolicTensor)
    assert symbolic.shape == (None, *y.shape[1:])


@pytest.mark.parametrize("name", EVERY_CASE)
def test_inputs_are_left_alone(name):
    case = EVERY_CASE[name]
    xs = arrays(case)
    kept = [x.copy() for x in xs]
    layer = case.make(minicnn)
    call(layer, case, xs)
    y, saved = layer.forward(xs if isinstance(case.shape, list) else xs[0], training=True)
    dy = np.full_like(y, 0.5)
    layer.backward(dy, saved)
    for x, before in zip(xs, kept, strict=True):
        np.testing.assert_array_equal(x, before)
    assert (dy == 0.5).all()


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: layers.Conv2D(5, 3, strides=2, padding="same"), (None, None, None, 5)),
        (lambda: layers.DepthwiseConv2D(3, depth_multiplier=2), (None, None, None, 6)),
        (lambda: layers.SeparableConv2D(4, 3), (None, None, None, 4)),
        (lambda: layers.Conv2DTranspose(4, 3, strides=2), (None, None, None, 4)),
        (lambda: layers.MaxPooling2D(), (None, None, None, 3)),
        (lambda: layers.GlobalAveragePooling2D(), (None, 3)),
        (lambda: layers.Flatten(), (None, None)),
        (lambda: layers.Reshape((-1, 3)), (None, None, 3)),
        (lambda: layers.Reshape((6, 3)), (None, 6, 3)),
        (lambda: layers.ZeroPadding2D(2), (None, None, None, 3)),
        (lambda: layers.Cropping2D(2), (None, None, None, 3)),
        (lambda: layers.UpSampling2D(2), (None, None, None, 3)),
        (lambda: layers.BatchNormalization(), (None, None, None, 3)),
        (lambda: layers.LayerNormalization(), (None, None, None, 3)),
        (lambda: layers.PReLU(shared_axes=[1, 2]), (None, None, None, 3)),
        (lambda: layers.SpatialDropout2D(0.5), (None, None, None, 3)),
    ],
)
def test_images_of_unknown_size(make, shape):
    assert make()(Input((None, None, 3))).shape == shape


def test_merging_inputs_of_unknown_size():
    unknown, known = Input((None, None, 3)), Input((4, 5, 3))
    assert layers.Add()([unknown, known]).shape == (None, None, None, 3)
    assert layers.Concatenate()([unknown, known]).shape == (None, 4, 5, 6)
    assert layers.Concatenate(axis=1)([unknown, known]).shape == (None, None, 5, 3)


def test_a_convolution_takes_a_picture_directly():
    picture = np.random.default_rng(0).random((1, 9, 8, 3))
    y = layers.Conv2D(3, 2)(picture)
    assert isinstance(y, np.ndarray)
    assert y.shape == (1, 8, 7, 3)
    assert y.dtype == np.float32


def test_edge_kernel_by_hand():
    image = np.zeros((1, 3, 4, 1))
    image[:, :, 2:] = 1
    layer = layers.Conv2D(1, (1, 2), use_bias=False)
    layer(image)
    layer.set_weights([np.array([-1.0, 1.0]).reshape(1, 2, 1, 1)])
    np.testing.assert_array_equal(layer(image)[0, :, :, 0], [[0, 1, 0]] * 3)


# -- random layers --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RANDOM_CASES)
def test_random_layers_repeat_with_their_seed(name):
    case = RANDOM_CASES[name]
    (x,) = arrays(case)
    first, second = case.make(minicnn), case.make(minicnn)
    a, b = first(x, training=True), first(x, training=True)
    assert (a != b).any()
    np.testing.assert_array_equal(second(x, training=True), a)
    prediction = first(x, training=False)
    np.testing.assert_array_equal(prediction, second(x, training=False))
    if prediction.shape == x.shape:
        np.testing.assert_array_equal(prediction, x)
    assert first.seed_generator.step == 2  # a prediction draws nothing


def test_dropout_keeps_the_mean_and_the_stated_share():
    x = np.ones((100, 400), np.float32)
    y = layers.Dropout(0.3, seed=3)(x, training=True)
    kept = y > 0
    assert np.abs(kept.mean() - 0.7) < 0.01
    np.testing.assert_allclose(y[kept], 1 / 0.7, rtol=1e-6)
    assert (layers.Dropout(1.0)(x, training=True) == 0).all()
    np.testing.assert_array_equal(layers.Dropout(0)(x, training=True), x)


def test_dropout_draws_the_mask_of_the_backward_once():
    layer = layers.Dropout(0.5, seed=3)
    x = np.ones((4, 50), np.float32)
    layer(x)
    y, saved = layer.forward(x, training=True)
    np.testing.assert_array_equal(layer.backward(x, saved), y)


def test_noise_shape_and_spatial_dropout_share_their_mask():
    x = np.ones((4, 5, 6, 7), np.float32)
    for layer in (layers.SpatialDropout2D(0.5, seed=2), layers.Dropout(0.5, (None, 1, 1, None), 2)):
        y = layer(x, training=True)
        assert (y == y[:, :1, :1]).all()
        assert 0 < (y > 0).mean() < 1


def test_gaussian_noise_has_the_stated_deviation():
    y = layers.GaussianNoise(0.25, seed=0)(np.zeros((200, 200)), training=True)
    assert np.abs(y.std() - 0.25) < 0.005
    assert np.abs(y.mean()) < 0.005


def test_gaussian_dropout_keeps_the_mean_and_has_the_deviation_of_dropout():
    x = np.full((200, 200), 3.0)
    y = layers.GaussianDropout(0.2, seed=0)(x, training=True)
    assert np.abs(y.mean() - 3) < 0.03
    assert np.abs(y.std() - 3 * np.sqrt(0.2 / 0.8)) < 0.03


def test_alpha_dropout_keeps_mean_and_variance():
    x = np.random.default_rng(0).normal(size=(300, 300)).astype(np.float32)
    y = layers.AlphaDropout(0.25, seed=3)(x, training=True)
    values, counts = np.unique(y, return_counts=True)
    low = values[counts.argmax()]  # what is dropped has one value
    dropped = y == low
    assert np.abs(dropped.mean() - 0.25) < 0.01
    assert np.abs(y.mean()) < 0.02
    assert np.abs(y.std() - 1) < 0.02
    # What is kept is moved along one straight line.
    slope, shift = np.polyfit(x[~dropped], y[~dropped], 1)
    assert np.abs(slope * x[~dropped] + shift - y[~dropped]).max() < 1e-5
    lowest = layers.Activation("selu")(np.array([-100.0]))[0]
    assert np.abs(slope * lowest + shift - low) < 1e-5
    np.testing.assert_array_equal(layers.AlphaDropout(0)(x, training=True), x)


def test_permute_goes_where_it_is_told():
    x = np.arange(24).reshape(1, 2, 3, 4)
    y = layers.Permute((3, 1, 2))(x)
    assert y[0, 3, 1, 2] == x[0, 1, 2, 3]
    assert y.flags.c_contiguous


# -- batch normalization --------------------------------------------------------------------------


def test_moving_statistics_follow_the_batches():
    rng = np.random.default_rng(0)
    layer = layers.BatchNormalization(momentum=0.6)
    mean, variance = np.zeros(4), np.ones(4)
    for _ in range(3):
        x = rng.normal(2, 3, IMAGE)
        layer(x, training=True)
        mean = 0.6 * mean + 0.4 * x.mean(axis=(0, 1, 2))
        variance = 0.6 * variance + 0.4 * x.var(axis=(0, 1, 2))
    np.testing.assert_allclose(layer.moving_mean.value, mean, rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance.value, variance, rtol=1e-5)
    expected = (x - mean) / np.sqrt(variance + 1e-3)
    assert np.abs(layer(x) - expected).max() < 1e-5


def test_frozen_batch_norm_is_in_inference_mode():
    x = np.random.default_rng(0).normal(5, 2, IMAGE)
    layer = layers.BatchNormalization(trainable=False)
    np.testing.assert_array_equal(layer(x, training=True), layer(x))
    np.testing.assert_array_equal(layer.moving_mean.value, 0)
    assert layer.trainable_weights == []
    assert len(layer.non_trainable_weights) == 4
    layer.trainable = True
    layer(x, training=True)
    assert (layer.moving_mean.value > 0).all()
    assert [w.name for w in layer.trainable_weights] == ["gamma", "beta"]
    assert [w.name for w in layer.non_trainable_weights] == ["moving_mean", "moving_variance"]


# -- ties, names, merging -------------------------------------------------------------------------


def test_ties_go_to_the_first():
    ones = np.ones((1, 4, 4, 1), np.float32)
    for layer in (layers.MaxPooling2D(), layers.GlobalMaxPooling2D()):
        y, saved = layer.ensure_built(ones.shape) and layer.forward(ones, training=True)
        dx = layer.backward(np.ones_like(y), saved)
        assert dx.sum() == y.size
        assert dx[0, 0, 0, 0] == 1
    for kind in (layers.Maximum, layers.Minimum):
        layer = kind()
        layer([ones, ones])
        y, saved = layer.forward([ones, ones], training=True)
        first, second = layer.backward(np.ones_like(y), saved)
        assert (first == 1).all()
        assert (second == 0).all()


def test_nan_is_never_beaten():
    a, b = np.array([[1.0, np.nan]]), np.array([[np.nan, 2.0]])
    assert np.isnan(layers.maximum([a, b])).all()
    assert np.isnan(layers.minimum([a, b])).all()


def test_functional_forms_of_the_merging_layers():
    a, b = np.array([[1.0, 5.0]]), np.array([[4.0, 2.0]])
    for name, expected in {
        "add": [[5, 7]],
        "subtract": [[-3, 3]],
        "multiply": [[4, 10]],
        "average": [[2.5, 3.5]],
        "maximum": [[4, 5]],
        "minimum": [[1, 2]],
        "concatenate": [[1, 5, 4, 2]],
    }.items():
        np.testing.assert_array_equal(getattr(layers, name)([a, b]), expected)
    assert layers.concatenate([a, b], axis=0).shape == (2, 2)
    assert layers.add([Input((3,)), Input((3,))], name="sum").name == "sum"


def test_weights_have_keras_names_and_order():
    layer = layers.SeparableConv2D(2, 3)
    layer(np.zeros(IMAGE))
    assert [w.name for w in layer.weights] == ["depthwise_kernel", "pointwise_kernel", "bias"]
    assert layer.depthwise_kernel.shape == (3, 3, 4, 1)
    assert layer.pointwise_kernel.shape == (1, 1, 4, 2)
    layer = layers.Conv2DTranspose(2, 3)
    layer(np.zeros(IMAGE))
    assert layer.kernel.shape == (3, 3, 2, 4)


def test_input_is_a_place_in_a_network():
    x = Input((28, 28, 1), batch_size=16, dtype="uint8", name="pixels")
    assert (x.shape, x.dtype, x.name) == ((16, 28, 28, 1), "uint8", "pixels")
    assert x.node.inputs == []
    assert Input(batch_shape=(None, 3)).shape == (None, 3)
    assert Input(()).shape == (None,)
    backend.clear_session()
    assert [Input((2,)).name, layers.InputLayer((2,)).name] == ["input_layer", "input_layer_1"]


def test_every_exported_name_exists():
    assert {"Conv2D", "MaxPool2D", "GlobalAvgPool2D", "concatenate"} <= set(layers.__all__)
    assert all(hasattr(layers, name) for name in layers.__all__)


def test_a_layer_that_is_built_by_hand_is_built_once():
    layer = layers.Dense(4)
    layer.build((None, 3))
    assert layer.built
    assert layer.count_params() == 16
    kernel = layer.kernel
    layer(np.ones((2, 3)))
    assert layer.kernel is kernel
    assert len(layer.weights) == 2


def test_a_weight_of_another_dtype():
    layer = layers.Layer()
    assert layer.add_weight((2,), "ones", dtype="float64").dtype == np.float64
    assert layer.add_weight((2,), "ones").dtype == np.float32


def test_input_layer_takes_the_older_name_of_its_shape():
    layer = layers.InputLayer(input_shape=(8, 8, 1))
    assert layer.output.shape == (None, 8, 8, 1)
    assert "input_shape" not in layer.get_config()
    with pytest.raises(ValueError, match="shape: give shape or batch_shape"):
        layers.InputLayer(input_shape=(3,), batch_shape=(None, 3))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_has_no_direction_gets_no_gradient_through_unit_normalization(dtype):
    layer = layers.UnitNormalization(dtype=dtype)
    x = np.array([[0.0, 0.0], [3.0, 4.0]], dtype)
    layer.ensure_built(x.shape)
    y, saved = layer.forward(x, True)
    dx = layer.backward(np.ones_like(y), saved)
    assert dx.dtype == dtype
    assert np.array_equal(dx[0], [0, 0])
    assert np.allclose(dx[1], [0.2 * (1 - 0.6 * 1.4), 0.2 * (1 - 0.8 * 1.4)], rtol=1e-6)
