"""Wrong arguments and wrong inputs: the error names what is wrong, what came, what was expected."""

import re

import numpy as np
import pytest

from minicnn import Input, layers

NHWC = r"data_format: .*channels_first.*NHWC"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: layers.Dense(0), ValueError, "units: .*got 0"),
        (lambda: layers.Dense(2.5), TypeError, "units: .*got 2.5"),
        (lambda: layers.Dense(3, "rellu"), ValueError, "unknown activation 'rellu'.*relu"),
        (lambda: layers.Dense(3, activation=abs), TypeError, "activation: .*forward.*backward"),
        (lambda: layers.Dense(3, kernel_initializer="he"), ValueError, "initializer 'he'"),
        (lambda: layers.Dense(3, kernel_regularizer="l3"), ValueError, "regularizer 'l3'"),
        (lambda: layers.Dense(3, kernel_constraint="norm"), ValueError, "constraint 'norm'"),
        (lambda: layers.Dense(3, units_in=4), TypeError, "Dense: unknown argument 'units_in'$"),
        (lambda: layers.Conv2D(3, 3, border_mode="same"), TypeError, "Conv2D: .*; write padding"),
        (lambda: layers.Flatten(batch_input_shape=(None, 3)), TypeError, "Flatten: .*input_shape"),
        (lambda: layers.Dense(3, name=7), TypeError, "name: .*got 7"),
        (lambda: layers.Dense(3, input_shape=5), TypeError, "input_shape: .*got 5"),
        (lambda: layers.Dense(3, input_shape=(2.5,)), TypeError, r"input_shape: .*got \(2.5,\)"),
        (lambda: layers.Dense(3, input_shape=(0,)), ValueError, r"input_shape: .*got \(0,\)"),
        (lambda: layers.Conv2D(0, 3), ValueError, "filters: .*got 0"),
        (lambda: layers.Conv2D(2, 0), ValueError, "kernel_size: .*got 0"),
        (lambda: layers.Conv2D(2, -1), ValueError, "kernel_size: .*got -1"),
        (lambda: layers.Conv2D(2, (3, 3, 3)), ValueError, "kernel_size: .*got 3"),
        (lambda: layers.Conv2D(2, 3.0), TypeError, "kernel_size: .*got 3.0"),
        (lambda: layers.Conv2D(2, 3, strides=0), ValueError, "strides: .*got 0"),
        (lambda: layers.Conv2D(2, 3, padding="full"), ValueError, "padding: .*got 'full'"),
        (lambda: layers.Conv2D(2, 3, padding=1), TypeError, "padding: .*got 1"),
        (lambda: layers.Conv2D(2, 3, dilation_rate=0), ValueError, "dilation_rate: .*got 0"),
        (lambda: layers.Conv2D(3, 3, groups=2), ValueError, "groups: .*filters=3, got 2"),
        (
            lambda: layers.Conv2D(2, 3, strides=2, dilation_rate=2),
            ValueError,
            r"strides, dilation_rate: .*\(2, 2\).*\(2, 2\)",
        ),
        (lambda: layers.Conv2D(2, 3, data_format="channels_first"), ValueError, NHWC),
        (lambda: layers.MaxPooling2D(data_format="channels_first"), ValueError, NHWC),
        (lambda: layers.Flatten("channels_first"), ValueError, NHWC),
        (lambda: layers.DepthwiseConv2D(3, depth_multiplier=0), ValueError, "depth_multiplier"),
        (lambda: layers.DepthwiseConv2D(3, kernel_initializer="ones"), TypeError, "kernel_init"),
        (lambda: layers.SeparableConv2D(0, 3), ValueError, "filters: .*got 0"),
        (
            lambda: layers.Conv2DTranspose(2, 3, strides=2, output_padding=2),
            ValueError,
            r"output_padding: .*strides=\(2, 2\), got \(2, 2\)",
        ),
        (lambda: layers.MaxPooling2D(0), ValueError, "pool_size: .*got 0"),
        (lambda: layers.MaxPooling2D(2, 0), ValueError, "strides: .*got 0"),
        (lambda: layers.AveragePooling2D(2, padding="x"), ValueError, "padding: .*got 'x'"),
        (lambda: layers.Reshape(4), TypeError, "target_shape: .*got 4"),
        (lambda: layers.Reshape((-1, -1)), ValueError, "target_shape: .*at most one -1"),
        (lambda: layers.Reshape((-2, 3)), ValueError, r"target_shape: .*got \(-2, 3\)"),
        (lambda: layers.ZeroPadding2D(-1), ValueError, "padding: .*got -1"),
        (lambda: layers.Cropping2D("x"), TypeError, "cropping: .*got 'x'"),
        (lambda: layers.UpSampling2D(0), ValueError, "size: .*got 0"),
        (lambda: layers.UpSampling2D(interpolation="cubic"), ValueError, "bilinear.*got 'cubic'"),
        (lambda: layers.Dropout(1.5), ValueError, r"rate: .*\[0, 1\], got 1.5"),
        (lambda: layers.Dropout(-0.1), ValueError, "rate: .*got -0.1"),
        (lambda: layers.Dropout(float("nan")), ValueError, "rate: .*got nan"),
        (lambda: layers.Dropout("half"), TypeError, "rate: .*got 'half'"),
        (lambda: layers.Dropout(0.5, noise_shape=3), TypeError, "noise_shape: .*got 3"),
        (lambda: layers.Dropout(0.5, noise_shape=(0,)), ValueError, "noise_shape: .*got 0"),
        (lambda: layers.Dropout(0.5, seed=-1), ValueError, "seed: .*got -1"),
        (lambda: layers.SpatialDropout2D(2), ValueError, "rate: .*got 2"),
        (lambda: layers.GaussianNoise(-1), ValueError, "stddev: .*got -1"),
        (lambda: layers.GaussianDropout(1), ValueError, r"rate: .*\[0, 1\), got 1"),
        (lambda: layers.AlphaDropout(1), ValueError, r"rate: .*\[0, 1\), got 1"),
        (lambda: layers.AlphaDropout(0.5, noise_shape=3), TypeError, "noise_shape: .*got 3"),
        (lambda: layers.ActivityRegularization(l2=-1), ValueError, "l2: .*got -1"),
        (lambda: layers.Permute(2), TypeError, "dims: .*got 2"),
        (lambda: layers.Permute((0, 1)), ValueError, r"dims: .*got \(0, 1\)"),
        (lambda: layers.Permute((1, 1)), ValueError, r"dims: .*got \(1, 1\)"),
        (lambda: layers.RepeatVector(0), ValueError, "n: .*got 0"),
        (lambda: layers.RepeatVector(1.5), TypeError, "n: .*got 1.5"),
        (lambda: layers.UnitNormalization("last"), TypeError, "axis: .*got 'last'"),
        (lambda: layers.BatchNormalization(momentum=2), ValueError, "momentum: .*got 2"),
        (lambda: layers.BatchNormalization(epsilon=-1), ValueError, "epsilon: .*got -1"),
        (lambda: layers.BatchNormalization(axis=[1, 2]), TypeError, r"axis: .*got \[1, 2\]"),
        (lambda: layers.LayerNormalization(axis="last"), TypeError, "axis: .*got 'last'"),
        (lambda: layers.LayerNormalization(axis=[]), ValueError, "axis: .*empty"),
        (lambda: layers.ReLU(max_value=-1), ValueError, "max_value: .*got -1"),
        (lambda: layers.LeakyReLU(-0.1), ValueError, "negative_slope: .*got -0.1"),
        (lambda: layers.PReLU(shared_axes=[0]), ValueError, r"shared_axes: .*batch.*got \[0\]"),
        (lambda: layers.Softmax(axis=1.5), TypeError, "axis: .*got 1.5"),
        (lambda: layers.Activation("nothing"), ValueError, "unknown activation 'nothing'"),
        (lambda: layers.Rescaling("x"), TypeError, "scale: .*got 'x'"),
        (lambda: layers.Rescaling(["x"]), TypeError, r"scale: .*got \['x'\]"),
        (lambda: layers.Concatenate(axis=None), TypeError, "axis: .*got None"),
        (lambda: Input(5), TypeError, "shape: .*got 5"),
        (lambda: Input(), ValueError, "shape: give shape or batch_shape"),
        (lambda: Input((3,), batch_shape=(None, 3)), ValueError, "shape: give shape or batch"),
        (lambda: Input(batch_size=2, batch_shape=(2, 3)), ValueError, "batch_size: "),
        (lambda: Input((-1, 3)), ValueError, r"shape: .*got \(-1, 3\)"),
    ],
)
def test_wrong_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "shape", "message"),
    [
        (lambda: layers.Dense(3, name="a"), (4,), r"'a' \(Dense\).*got shape \(4,\)"),
        (lambda: layers.Conv2D(2, 3, name="a"), (2, 5, 5), r"'a' \(Conv2D\): expected rank 4.*"),
        (lambda: layers.Permute((2, 1), name="a"), (2, 5), r"'a' \(Permute\): expected rank 3"),
        (lambda: layers.RepeatVector(2, name="a"), (2, 5, 5), r"'a' .*: expected rank 2"),
        (lambda: layers.UnitNormalization(2, name="a"), (2, 5), r"axis of layer 'a' .*got 2"),
        (lambda: layers.MaxPooling2D(name="a"), (2, 5), r"'a' \(MaxPooling2D\): expected rank 4"),
        (
            lambda: layers.Conv2D(2, (6, 3), name="a"),
            (2, 5, 5, 1),
            r"'a'.*\(2, 5, 5, 1\), height.*floor\(\(5 - 6\) / 1\) \+ 1 = 0, expected at least 1",
        ),
        (
            lambda: layers.Conv2D(2, 3, dilation_rate=3, name="a"),
            (2, 7, 6, 1),
            r"layer 'a'.*width.*dilation 3.*floor\(\(6 - 7\) / 1\) \+ 1 = 0",
        ),
        (lambda: layers.DepthwiseConv2D(6, name="a"), (2, 5, 5, 1), r"'a'.*floor\(\(5 - 6\)"),
        (lambda: layers.SeparableConv2D(2, 6, name="a"), (2, 5, 5, 1), r"'a'.*floor\(\(5 - 6\)"),
        (lambda: layers.MaxPooling2D(6, name="a"), (2, 5, 5, 1), r"'a'.*floor\(\(5 - 6\) / 6\)"),
        (lambda: layers.AveragePooling2D(6, name="a"), (2, 5, 5, 1), r"'a'.*floor\(\(5 - 6\)"),
        (lambda: layers.Conv2D(4, 3, groups=2, name="a"), (2, 5, 5, 3), r"'a'.*groups=2.*3 chan"),
        (lambda: layers.Cropping2D(3, name="a"), (2, 5, 9, 1), r"'a'.*height.*5 - 3 - 3 = -1"),
        (lambda: layers.Reshape((4, 2), name="a"), (2, 3, 3), r"'a'.*3 \* 3 = 9 elements"),
        (lambda: layers.Reshape((-1, 2), name="a"), (2, 3, 3), r"'a'.*3 \* 3 = 9 elements"),
        (lambda: layers.SpatialDropout2D(0.5, name="a"), (2, 3), "'a'.*expected rank 4"),
        (lambda: layers.Dropout(0.5, (None, 2), name="a"), (2, 3), r"'a'.*\(None, 2\).*\(2, 3\)"),
        (lambda: layers.BatchNormalization(axis=4, name="a"), (2, 3), r"axis of layer 'a'.*got 4"),
        (lambda: layers.LayerNormalization([1, -1], name="a"), (2, 3), r"'a'.*names an axis twice"),
        (lambda: layers.Softmax(axis=2, name="a"), (2, 3), r"axis of layer 'a'.*got 2"),
        (lambda: layers.PReLU(shared_axes=3, name="a"), (2, 3), r"axis of layer 'a'.*got 3"),
        (
            lambda: layers.Rescaling([1, 2], name="a"),
            (2, 3),
            r"scale of layer 'a'.*\(2,\).*\(2, 3\)",
        ),
        (lambda: layers.Add(name="a"), (2, 3), r"'a' \(Add\): expected a list of arrays"),
        (lambda: layers.Add(name="a"), [(2, 3), (2, 4)], r"'a'.*\(2, 3\), \(2, 4\): 3 and 4"),
        (lambda: layers.Add(name="a"), [(2, 3), (1, 3)], r"'a'.*different batch sizes"),
        (lambda: layers.Subtract(name="a"), [(2, 3)] * 3, r"'a'.*expected 2 arrays, got 3"),
        (lambda: layers.Subtract(name="a"), [(2, 3)], r"'a'.*expected 2 arrays, got 1"),
        (lambda: layers.Multiply(name="a"), [], r"'a'.*expected at least 1 arrays, got 0"),
        (lambda: layers.Concatenate(name="a"), [(2, 3), (2, 3, 1)], r"'a'.*different ranks"),
        (
            lambda: layers.Concatenate(name="a"),
            [(2, 3, 1), (2, 4, 1)],
            r"'a'.*different sizes on axis 1",
        ),
        (lambda: layers.Concatenate(axis=3, name="a"), [(2, 3), (2, 3)], r"axis of layer 'a'"),
    ],
)
def test_wrong_inputs(make, shape, message):
    layer = make()
    several = isinstance(shape, list)
    data = [np.zeros(s) for s in shape] if several else np.zeros(shape)
    with pytest.raises(ValueError, match=message):
        layer(data)
    assert not layer.built
    assert layer.weights == []
    if several and not shape:
        return
    tensors = [Input(batch_shape=s) for s in (shape if several else [shape])]
    with pytest.raises(ValueError, match=message):
        layer(tensors if several else tensors[0])
    assert layer.nodes == []


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Dense(2, name="a"),
        lambda: layers.Conv2D(2, 1, name="a"),
        lambda: layers.DepthwiseConv2D(1, name="a"),
        lambda: layers.SeparableConv2D(2, 1, name="a"),
        lambda: layers.Conv2DTranspose(2, 1, name="a"),
        lambda: layers.BatchNormalization(name="a"),
        lambda: layers.LayerNormalization(name="a"),
        lambda: layers.PReLU(shared_axes=[1, 2], name="a"),
    ],
)
def test_other_channels_than_it_was_built_for(make):
    layer = make()
    layer(np.zeros((2, 4, 5, 3)))
    kept = layer.get_weights()
    with pytest.raises(ValueError, match=r"input of layer 'a'.*expected 3 .*got 6 in shape"):
        layer(np.zeros((2, 4, 5, 6)))
    with pytest.raises(ValueError, match=r"input of layer 'a'.*got None in shape"):
        layer(Input((4, 5, None)))
    layer(np.ones((1, 7, 6, 3)))  # other sizes than those of the channels may change
    for weight, before in zip(layer.get_weights(), kept, strict=True):
        np.testing.assert_array_equal(weight, before)


@pytest.mark.parametrize("kind", ["BatchNormalization", "LayerNormalization", "PReLU"])
def test_other_rank_than_it_was_built_for(kind):
    layer = getattr(layers, kind)(name="a")
    layer(np.zeros((2, 4, 3)))
    with pytest.raises(ValueError, match=re.escape(f"'a' ({kind}): expected rank 3")):
        layer(np.zeros((2, 4, 3, 3)))


def test_channels_must_be_known():
    with pytest.raises(ValueError, match=r"'a'.*known number of channels.*None"):
        layers.Conv2D(2, 3, name="a")(Input((8, 8, None)))
    with pytest.raises(ValueError, match=r"'a'.*known number of features.*None"):
        layers.Dense(2, name="a")(layers.Flatten()(Input((None, None, 3))))
    assert layers.MaxPooling2D()(Input((8, 8, None))).shape == (None, 4, 4, None)


def test_set_weights_changes_all_or_nothing():
    layer = layers.Dense(2, name="a")
    layer(np.zeros((1, 3)))
    kept = layer.get_weights()
    with pytest.raises(ValueError, match=r"'bias' of 'a' has shape \(2,\), got \(3,\)"):
        layer.set_weights([np.ones((3, 2)), np.ones(3)])
    with pytest.raises(ValueError, match="'a' has 2 weights, got 1"):
        layer.set_weights([np.ones((3, 2))])
    for weight, before in zip(layer.get_weights(), kept, strict=True):
        np.testing.assert_array_equal(weight, before)
    with pytest.raises(ValueError, match="not built"):
        layers.Dense(2).count_params()
