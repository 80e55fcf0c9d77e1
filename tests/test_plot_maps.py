"""minicnn.plot.feature_maps and filters."""

import numpy as np
import pytest

from minicnn import Sequential, layers, plot
from minicnn.plot.kernels import BETWEEN


def drawn(figure):
    return [axes.images[0].get_array() for axes in figure.axes if axes.images]


def grid(figure):
    """(rows, columns) in which the pictures stand."""
    corners = [axes.get_position().p0 for axes in figure.axes if axes.images]
    return tuple(len({round(corner[i], 6) for corner in corners}) for i in (1, 0))


# -- feature maps --------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [(), (1,)])
def test_each_channel_is_a_map(rng, batch):
    maps = rng.normal(size=(*batch, 5, 7, 6))
    figure = plot.feature_maps(maps)
    assert [axes.get_title() for axes in figure.axes] == list("012345")
    for k, picture in enumerate(drawn(figure)):
        np.testing.assert_array_equal(picture, maps.reshape(5, 7, 6)[..., k])


@pytest.mark.parametrize(
    ("c", "columns", "expected"),
    [(32, None, (4, 8)), (64, None, (8, 8)), (6, 2, (3, 2)), (6, None, (2, 3)), (3, 9, (1, 3))],
)
def test_rows_and_columns(c, columns, expected):
    figure = plot.feature_maps(np.zeros((2, 2, c)), columns)
    assert grid(figure) == expected
    assert len(drawn(figure)) == c


def test_each_map_has_its_own_scale_or_all_have_one():
    maps = np.stack([np.eye(2), 10 * np.eye(2), -np.ones((2, 2))], axis=-1)
    limits = [a.images[0].get_clim() for a in plot.feature_maps(maps).axes]
    assert limits[:2] == [(0, 1), (0, 10)]
    *pictures, bar = plot.feature_maps(maps, same_scale=True).axes
    assert [a.images[0].get_clim() for a in pictures] == [(-1, 10)] * 3
    assert pictures[-1].images[0].colorbar.ax is bar


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        (np.zeros((2, 4, 4, 3)), r"got shape \(2, 4, 4, 3\); take one picture's maps: maps\[0\]"),
        (np.zeros((1, 10)), r"maps: expected one picture's maps, .* got shape \(1, 10\)$"),
        (np.zeros((4, 4, 0)), "maps: there is nothing to draw"),
        (np.full((4, 4, 2), np.inf), "maps: expected finite values, got inf"),
    ],
)
def test_errors_of_feature_maps(maps, message):
    with pytest.raises(ValueError, match=message):
        plot.feature_maps(maps)


def test_a_layers_output_can_be_drawn(rng):
    output = layers.Conv2D(4, 3)(rng.random((1, 8, 8, 1)))
    np.testing.assert_array_equal(drawn(plot.feature_maps(output))[2], output[0, ..., 2])


# -- filters -------------------------------------------------------------------------------------


def test_filters_over_three_channels_are_in_colour_with_grey_for_zero(rng):
    kernel = rng.normal(size=(5, 4, 3, 7))
    kernel[0, 0, :, 0] = 0
    largest = abs(kernel).max()
    figure = plot.filters(kernel)
    pictures = drawn(figure)
    assert len(pictures) == len(figure.axes) == 7
    np.testing.assert_allclose(pictures[0][0, 0], [0.5, 0.5, 0.5])
    for k, picture in enumerate(pictures):
        np.testing.assert_allclose(picture, (kernel[..., k] / largest + 1) / 2)
    assert figure.get_suptitle() == "7 filters"


def test_filters_over_one_channel_are_drawn_one_by_one_around_zero(rng):
    kernel = rng.normal(size=(3, 2, 1, 6))
    figure = plot.filters(kernel, columns=2)
    assert grid(figure) == (3, 2)
    for k, axes in enumerate(figure.axes[:6]):
        assert axes.get_title() == str(k)
        np.testing.assert_array_equal(axes.images[0].get_array(), kernel[:, :, 0, k])
        low, high = axes.images[0].get_clim()
        assert -low == high == abs(kernel).max()


def tile(figure, filter_, channel, kh, kw):
    """The weights of one filter on one channel, read from the middles of their pixels at the
    places where the numbers beside and above say they are."""
    axes = figure.axes[0]
    y, x = axes.get_yticks()[filter_], axes.get_xticks()[channel]
    picture = axes.images[0].get_array()
    weight = (axes.get_yticks()[1] - axes.get_yticks()[0] - BETWEEN) / kh
    rows = np.rint(y + (np.arange(kh) - (kh - 1) / 2) * weight).astype(int)
    columns = np.rint(x + (np.arange(kw) - (kw - 1) / 2) * weight).astype(int)
    return picture[np.ix_(rows, columns)]


def test_filters_over_other_channels_have_a_row_each_and_a_column_per_channel(rng):
    kernel = rng.normal(size=(3, 2, 4, 5))
    figure = plot.filters(kernel)
    axes = figure.axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == list("01234")
    assert [t.get_text() for t in axes.get_xticklabels()] == list("0123")
    for f in range(5):
        for c in range(4):
            np.testing.assert_array_equal(tile(figure, f, c, 3, 2), kernel[:, :, c, f])
    assert figure.get_suptitle() == "5 filters (rows), 4 channels (columns)"
    gaps = np.ma.getmaskarray(axes.images[0].get_array())
    assert gaps.all(axis=0).sum() == 3 * BETWEEN
    assert gaps.all(axis=1).sum() == 4 * BETWEEN


def test_what_is_left_out_is_said():
    figure = plot.filters(np.ones((3, 3, 20, 70)))
    title = " ".join(figure.get_suptitle().split())
    assert title == "the first 64 of 70 filters (rows), the first 16 of 20 channels (columns)"
    assert len(figure.axes[0].get_yticks()) == 64
    assert len(figure.axes[0].get_xticks()) == 16
    figure = plot.filters(np.ones((3, 3, 3, 9)), most_filters=4)
    assert len(drawn(figure)) == 4
    assert figure.get_suptitle() == "the first 4 of 9 filters"


def test_a_layer_gives_its_kernel_and_its_name(rng):
    model = Sequential([layers.Conv2D(2, 5, input_shape=(8, 8, 1), name="conv1")])
    figure = plot.filters(model.get_layer("conv1"))
    assert figure.get_suptitle() == "conv1: 2 filters"
    kernel = model.get_weights()[0]
    np.testing.assert_array_equal(drawn(figure)[1], kernel[:, :, 0, 1])


def test_a_weight_of_a_layer_is_a_kernel_too():
    layer = layers.Conv2D(2, 3)
    layer(np.zeros((1, 5, 5, 3)))
    assert len(drawn(plot.filters(layer.kernel))) == 2


def test_the_filters_of_a_transposed_convolution_are_those_of_its_outputs(rng):
    layer = layers.Conv2DTranspose(5, 3, name="up")
    layer(np.zeros((1, 4, 4, 2)))
    kernel = layer.get_weights()[0]  # (kh, kw, filters, channels)
    figure = plot.filters(layer)
    assert figure.get_suptitle().startswith("up: 5 filters (rows)")
    np.testing.assert_array_equal(tile(figure, 4, 1, 3, 3), kernel[:, :, 4, 1])


def test_depthwise_filters_are_over_one_channel_each():
    layer = layers.DepthwiseConv2D(3, depth_multiplier=2, name="depth")
    layer(np.zeros((1, 4, 4, 3)))
    kernel = layer.get_weights()[0]
    pictures = drawn(plot.filters(layer))
    assert len(pictures) == 6
    np.testing.assert_array_equal(pictures[3], kernel[:, :, 1, 1])


def test_a_kernel_of_zeros_is_drawn():
    assert drawn(plot.filters(np.zeros((3, 3, 3, 1))))[0].max() == 0.5


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (np.zeros((3, 3)), r"kernel: expected a layer, or a kernel .* got shape \(3, 3\)"),
        (np.zeros((3, 3, 1, 0)), r"got shape \(3, 3, 1, 0\)"),
        (np.full((1, 1, 1, 2), np.nan), "kernel: expected finite values"),
        (layers.Flatten(name="flat"), "layer 'flat' has no kernel .* it has no weights, or none"),
        (layers.Conv2D(4, 3, name="new"), "layer 'new' has no kernel .* none yet"),
        (Sequential([layers.Dense(2)], name="net"), "kernel: 'net' is a model; give one of its la"),
    ],
)
def test_errors_of_filters(kernel, message):
    with pytest.raises(ValueError, match=message):
        plot.filters(kernel)


def test_a_layer_without_kernel_shows_its_weights_shapes():
    layer = layers.Dense(2, name="dense")
    layer(np.zeros((1, 3)))
    with pytest.raises(ValueError, match=r"shapes \[\(3, 2\), \(2,\)\]"):
        plot.filters(layer)
