"""Sizes: against counting windows one by one, and against values written down by hand."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from minicnn import shapes

sizes = st.integers(1, 12)
kernels = st.integers(1, 5)
strides = st.integers(1, 4)
dilations = st.integers(1, 3)


# -- arguments --------------------------------------------------------------------------------


def test_pair_takes_an_int_or_two():
    assert shapes.pair(3, "kernel_size") == (3, 3)
    assert shapes.pair((3, 1), "kernel_size") == (3, 1)
    assert shapes.pair([3, 1], "kernel_size") == (3, 1)
    assert shapes.pair(np.int64(2), "kernel_size") == (2, 2)
    assert shapes.pair(0, "output_padding", minimum=0) == (0, 0)


@pytest.mark.parametrize("value", [True, 3.0, "3", "33", None, (3, 2.0), (True, 1), [None, 2], {3}])
def test_pair_refuses_what_is_not_an_int(value):
    with pytest.raises(TypeError, match=r"strides: expected an int or two ints, got"):
        shapes.pair(value, "strides")


@pytest.mark.parametrize("value", [0, -1, (2, 0), (1, 2, 3), (4,), ()])
def test_pair_refuses_other_numbers(value):
    with pytest.raises(ValueError, match=r"strides: expected .*got"):
        shapes.pair(value, "strides")


def test_positive_int():
    assert shapes.positive_int(3, "filters") == 3
    assert type(shapes.positive_int(np.int8(3), "filters")) is int
    for value in (True, np.True_, 3.0, "3", None, (3,), np.ones(2)):
        with pytest.raises(TypeError, match=r"filters: expected a positive int, got"):
            shapes.positive_int(value, "filters")
    for value in (0, -3):
        with pytest.raises(ValueError, match=f"filters: expected a positive int, got {value}"):
            shapes.positive_int(value, "filters")


def test_borders_takes_the_three_forms_of_keras():
    assert shapes.borders(2, "padding") == ((2, 2), (2, 2))
    assert shapes.borders((1, 0), "padding") == ((1, 1), (0, 0))
    assert shapes.borders([(1, 2), [3, 0]], "padding") == ((1, 2), (3, 0))


@pytest.mark.parametrize("value", [-1, (1, -1), ((1, 2), (3, -4)), ((1, 2),), ((1, 2, 3), (4, 5))])
def test_borders_refuses_other_numbers(value):
    with pytest.raises(ValueError, match="cropping: expected"):
        shapes.borders(value, "cropping")


@pytest.mark.parametrize("value", [1.5, ((1, 2), 3.5), "12", ((1, 2), None)])
def test_borders_refuses_what_is_not_an_int(value):
    with pytest.raises(TypeError, match="cropping: expected"):
        shapes.borders(value, "cropping")


def test_padding_mode_takes_any_case():
    assert [shapes.padding_mode(p) for p in ("valid", "VALID", "Same")] == ["valid"] * 2 + ["same"]


def test_padding_mode_names_what_there_is():
    with pytest.raises(ValueError, match='padding: expected "valid" or "same", got \'full\''):
        shapes.padding_mode("full")
    with pytest.raises(TypeError, match='border: expected "valid" or "same", got 1'):
        shapes.padding_mode(1, "border")


def test_channels_that_a_kernel_is_not_for():
    shapes.check_channels((2, 5, 5, 4), (3, 3, 4, 8), 4)
    with pytest.raises(
        ValueError, match=r"\(3, 3, 3, 8\) is for images of 3 channels.*\(2, 5, 5, 4"
    ):
        shapes.check_channels((2, 5, 5, 4), (3, 3, 3, 8), 3)


# -- windows that gather ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "k", "s", "d", "valid", "same", "zeros"),
    [
        (28, 3, 1, 1, 26, 28, (1, 1)),
        (28, 2, 2, 1, 14, 14, (0, 0)),
        (13, 2, 2, 1, 6, 7, (0, 1)),
        (5, 2, 1, 1, 4, 5, (0, 1)),
        (5, 4, 1, 1, 2, 5, (1, 2)),
        (7, 3, 2, 1, 3, 4, (1, 1)),
        (8, 3, 2, 1, 3, 4, (0, 1)),
        (10, 3, 1, 3, 4, 10, (3, 3)),
        (32, 3, 3, 1, 10, 11, (0, 1)),
        (6, 1, 3, 1, 2, 2, (0, 0)),
    ],
)
def test_sizes_written_down_by_hand(n, k, s, d, valid, same, zeros):
    assert shapes.output_size(n, k, s, "valid", d) == valid
    assert shapes.output_size(n, k, s, "same", d) == same
    assert shapes.same_padding(n, k, s, d) == zeros


@settings(max_examples=100, deadline=None)
@given(n=sizes, k=kernels, s=strides, d=dilations)
def test_valid_counts_the_windows_that_fit(n, k, s, d):
    last_pixels = [start + (k - 1) * d for start in range(0, n, s)]
    fitting = sum(last < n for last in last_pixels)
    if fitting == 0:
        with pytest.raises(ValueError, match=r"floor\("):
            shapes.output_size(n, k, s, "valid", d)
    else:
        assert shapes.output_size(n, k, s, "valid", d) == fitting
        assert shapes.padding_for(n, fitting, k, s, d) == (0, 0)


@settings(max_examples=100, deadline=None)
@given(n=sizes, k=kernels, s=strides, d=dilations)
def test_same_pads_with_as_little_as_it_takes(n, k, s, d):
    count = len(range(0, n, s))
    assert shapes.output_size(n, k, s, "same", d) == count
    before, after = shapes.same_padding(n, k, s, d)
    assert 0 <= before <= after <= before + 1
    # The padded image has room for all windows, and with one zero less it would not.
    assert shapes.output_size(n + before + after, k, s, "valid", d) == count
    if after:
        less = n + before + after - 1
        assert less < shapes.span(k, d) or shapes.output_size(less, k, s, "valid", d) < count


def test_unknown_sizes_stay_unknown():
    assert shapes.output_size(None, 3, 2) is None
    assert shapes.transposed_output_size(None, 3, 2) is None
    assert shapes.cropped_size(None, 1, 1) is None
    assert shapes.window_output_shape("a", (None, None, 9, 1), (3, 3), (2, 2), "valid") == (None, 4)


def test_a_kernel_larger_than_its_input():
    with pytest.raises(
        ValueError, match=r"window of 5 .* input of 3 .*floor\(\(3 - 5\) / 1\) \+ 1"
    ):
        shapes.output_size(3, 5, 1)
    assert shapes.output_size(3, 5, 1, "same") == 3


def test_an_input_without_pixels():
    with pytest.raises(ValueError, match=r"input of 0 .*ceil\(0 / 2\) = 0"):
        shapes.output_size(0, 3, 2, "same")


# -- windows that scatter -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "k", "s", "padding", "extra", "size", "zeros"),
    [
        (14, 3, 2, "valid", None, 29, (0, 0)),
        (14, 3, 2, "same", None, 28, (0, 1)),
        (5, 2, 3, "valid", None, 15, (0, 0)),
        (5, 4, 2, "same", None, 10, (1, 1)),
        (5, 4, 2, "same", 1, 9, (1, 2)),
        (5, 3, 2, "same", 0, 9, (1, 1)),
        (5, 3, 2, "valid", 1, 12, (0, 0)),
        (1, 3, 1, "same", None, 1, (1, 1)),
    ],
)
def test_transposed_sizes_written_down_by_hand(n, k, s, padding, extra, size, zeros):
    assert shapes.transposed_output_size(n, k, s, padding, 1, extra) == size
    assert shapes.padding_for(size, n, k, s) == zeros


@settings(max_examples=100, deadline=None)
@given(n=sizes, k=kernels, s=strides, d=dilations, padding=st.sampled_from(shapes.PADDINGS))
def test_a_convolution_leads_back_to_the_size(n, k, s, d, padding):
    size = shapes.transposed_output_size(n, k, s, padding, d)
    assert shapes.output_size(size, k, s, padding, d) == n


@settings(max_examples=50, deadline=None)
@given(n=sizes, k=kernels, s=strides, d=dilations)
def test_output_padding_chooses_among_the_sizes_with_as_many_windows(n, k, s, d):
    chosen = [shapes.transposed_output_size(n, k, s, "valid", d, extra) for extra in range(s)]
    every = [m for m in range(1, 100) if m >= shapes.span(k, d)]
    assert chosen == [m for m in every if shapes.output_size(m, k, s, "valid", d) == n]


def test_output_padding_out_of_range():
    for extra in (2, -1):
        with pytest.raises(ValueError, match=f"output_padding: .* stride 2, got {extra}"):
            shapes.transposed_output_size(5, 3, 2, "same", 1, extra)


def test_a_transposed_convolution_that_leaves_nothing():
    with pytest.raises(ValueError, match=r"\(1 - 1\) \* 2 \+ 0 = 0"):
        shapes.transposed_output_size(1, 2, 2, "same", 1, 0)


# -- shapes for layers ----------------------------------------------------------------------------


def test_both_axes_have_their_own_sizes():
    shape = (None, 28, 20, 3)
    assert shapes.window_output_shape("c", shape, (3, 4), (1, 2), "valid") == (26, 9)
    assert shapes.window_output_shape("c", shape, (3, 4), (1, 2), "same") == (28, 10)
    assert shapes.window_output_shape("c", shape, (3, 4), (1, 1), "valid", (2, 3)) == (24, 11)
    assert shapes.transposed_window_output_shape("t", shape, (3, 4), (1, 2), "valid") == (30, 42)
    assert shapes.transposed_window_output_shape(
        "t", shape, (3, 4), (2, 2), "same", (1, 1), (1, 0)
    ) == (56, 38)
    assert shapes.cropped_output_shape("c", shape, ((1, 2), (0, 5))) == (25, 15)


def test_errors_name_layer_axis_and_formula():
    shape = (None, 9, 3, 8)
    with pytest.raises(ValueError, match=r"layer 'conv2': .*\(None, 9, 3, 8\), width: .*\(3 - 5\)"):
        shapes.window_output_shape("conv2", shape, (5, 5), (1, 1), "valid")
    with pytest.raises(ValueError, match=r"layer 'up': .*height: output_padding"):
        shapes.transposed_window_output_shape("up", shape, (3, 3), (1, 1), "same", (1, 1), (1, 1))
    with pytest.raises(ValueError, match=r"layer 'crop': .*width: .*3 - 1 - 2 = 0"):
        shapes.cropped_output_shape("crop", shape, ((1, 1), (1, 2)))
