"""minicnn.plot.images, predictions and misclassified."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_hex

from minicnn import Variable, plot
from minicnn.plot.gallery import RIGHT, WRONG

NAMES = ["cat", "dog", "frog"]


def titles(figure):
    return [axes.get_title() for axes in figure.axes]


def drawn(figure):
    return [axes.images[0].get_array() for axes in figure.axes]


def numbered(n):
    """Pictures that can be told from each other: number i is i / n all over."""
    return np.broadcast_to(np.arange(n)[:, None, None] / n, (n, 4, 4))


def numbers(figure, n):
    return [round(float(picture[0, 0]) * n) for picture in drawn(figure)]


# -- pictures ------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (1, 5, 7), (1, 5, 7, 1)])
def test_one_grey_picture_in_any_form(rng, shape):
    x = rng.random(shape)
    (picture,) = drawn(plot.images(x))
    np.testing.assert_array_equal(picture, x.reshape(5, 7))


@pytest.mark.parametrize("shape", [(5, 7, 3), (1, 5, 7, 3)])
def test_one_colour_picture(rng, shape):
    x = rng.random(shape)
    (picture,) = drawn(plot.images(x))
    np.testing.assert_array_equal(picture, x.reshape(5, 7, 3))


@pytest.mark.parametrize(
    ("values", "black_to_white"),
    [
        ([0.0, 0.25, 1.0], [0, 0.25, 1]),
        ([0.0, 51.0, 255.0], [0, 0.2, 1]),
        (np.array([0, 51, 204], np.uint8), [0, 0.2, 0.8]),
        ([0, 4, 16], [0, 0.25, 1]),
        ([0, 1, 1], [0, 1, 1]),
        ([-1.0, 0.0, 3.0], [0, 0.25, 1]),
        ([0, 500, 1000], [0, 0.5, 1]),
        ([-2.0, -2.0, -2.0], [0, 0, 0]),
        (np.array([0, 0.5, 1], np.float16), [0, 0.5, 1]),
        (np.array([False, True, True]), [0, 1, 1]),
    ],
)
def test_pixels_are_scaled_by_the_range_they_come_in(values, black_to_white):
    (picture,) = drawn(plot.images(np.asarray(values).reshape(1, 3)))
    np.testing.assert_allclose(picture[0], black_to_white, rtol=1e-12)


def test_all_pictures_of_a_call_have_one_range():
    x = np.array([[[0, 10]], [[0, 200]]])
    np.testing.assert_allclose(drawn(plot.images(x, columns=1, rows=1)), [[[0, 10 / 255]]])


def test_a_range_can_be_given():
    (picture,) = drawn(plot.images([[0, 5, 20]], value_range=(0, 10)))
    np.testing.assert_array_equal(picture, [[0, 0.5, 1]])


def test_grey_is_drawn_on_a_fixed_scale():
    (axes,) = plot.images(np.full((4, 4), 0.5)).axes
    assert axes.images[0].get_clim() == (0, 1)
    assert axes.images[0].get_cmap().name == "gray"


@pytest.mark.parametrize(("n", "rows", "columns"), [(7, 2, 3), (3, 5, 5), (60, 5, 5), (5, 9, 2)])
def test_rows_and_columns(n, rows, columns):
    figure = plot.images(numbered(n), rows=rows, columns=columns)
    count = min(n, rows * columns)
    assert numbers(figure, n) == list(range(count))
    corners = np.array([axes.get_position().p0 for axes in figure.axes])
    row = np.unique(-corners[:, 1].round(6), return_inverse=True)[1]
    column = np.unique(corners[:, 0].round(6), return_inverse=True)[1]
    wide = min(columns, n)
    np.testing.assert_array_equal(row, np.arange(count) // wide)
    np.testing.assert_array_equal(column, np.arange(count) % wide)


def test_pictures_keep_their_shape_and_do_not_overlap():
    figure = plot.images(np.zeros((4, 6, 12)), labels=["one", "two", "three", "four"], columns=2)
    boxes = [axes.get_window_extent() for axes in figure.axes]
    for i, box in enumerate(boxes):
        assert box.width / box.height == pytest.approx(2)
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])


# -- labels --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "labels",
    [
        [0, 2],
        np.array([[0], [2]], np.uint8),
        np.array([0.0, 2.0], np.float32),
        [[1, 0, 0], [0, 0, 1]],
        Variable(np.array([0, 2])),
    ],
)
def test_labels_in_any_form(labels):
    assert titles(plot.images(numbered(2), labels)) == ["0", "2"]
    assert titles(plot.images(numbered(2), labels, NAMES)) == ["cat", "frog"]


def test_labels_may_be_words():
    assert titles(plot.images(numbered(2), np.array(["owl", "cost $5 or $6"]))) == [
        "owl",
        "cost $5 or $6",
    ]


def test_a_label_with_dollars_is_no_formula():
    figure = plot.images(numbered(1), ["$x_$"])
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_long_labels_stay_above_their_own_picture(rng):
    names = ["automobile", "airplane", "a rather long class name of many words", "cat"]
    true, predicted = [0, 0, 2, 3, 2], [0, 1, 2, 2, 1]
    figure = plot.predictions(rng.random((5, 8, 8)), true, predicted, names, rows=1)
    assert titles(figure) == [
        "P: automobile (A: automobile)",
        "P: airplane\n(A: automobile)",
        "P: a rather long class name\nof many words\n(A: a rather long class name\nof many words)",
        "P: a rather long class\nname of many words\n(A: cat)",
        "P: airplane\n(A: a rather long class\nname of many words)",
    ]
    figure.draw_without_rendering()
    boxes = [axes.title.get_window_extent() for axes in figure.axes]
    assert not any(one.overlaps(other) for one, other in pairwise(boxes))
    assert all(box.x0 >= 0 and box.y1 <= figure.bbox.y1 for box in boxes)


def test_a_long_label_gets_a_second_line():
    (title,) = titles(plot.images(numbered(1), ["a label that is longer than a picture is wide"]))
    assert title == "a label that is longer than a\npicture is wide"


# -- predictions ---------------------------------------------------------------------------------


def test_right_is_green_and_wrong_is_red_bold_and_framed():
    figure = plot.predictions(numbered(2), [1, 1], [1, 0], NAMES)
    right, wrong = figure.axes
    assert titles(figure) == ["P: dog (A: dog)", "P: cat (A: dog)"]
    assert [to_hex(a.title.get_color()) for a in (right, wrong)] == [RIGHT, WRONG]
    assert [a.title.get_weight() for a in (right, wrong)] == ["normal", "bold"]
    assert not any(spine.get_visible() for spine in right.spines.values())
    assert all(spine.get_visible() for spine in wrong.spines.values())
    assert {to_hex(spine.get_edgecolor()) for spine in wrong.spines.values()} == {WRONG}


def test_green_is_green_and_red_is_red():
    (r, g, b), (r2, g2, b2) = (np.array([int(c[i : i + 2], 16) for i in (1, 3, 5)])
                               for c in (RIGHT, WRONG))  # fmt: skip
    assert g > 2 * max(r, b)
    assert r2 > 2 * max(g2, b2)


def test_probabilities_tell_the_confidence():
    y_pred = [[0.1, 0.26, 0.64], [0.995, 0.005, 0.0]]
    figure = plot.predictions(numbered(2), [[2], [1]], np.float32(y_pred), NAMES)
    assert titles(figure) == ["P: frog (A: frog)\n64 %", "P: cat (A: dog)\n100 %"]


def test_a_sigmoids_output_is_the_probability_of_label_1():
    figure = plot.predictions(numbered(3), [1, 0, 1], [[0.9], [0.2], [0.4]], NAMES)
    assert titles(figure) == ["P: dog (A: dog)\n90 %", "P: cat (A: cat)\n80 %",
                              "P: cat (A: dog)\n60 %"]  # fmt: skip


@pytest.mark.parametrize("y_pred", [[[-3.0, 4.0, 1.0]], [1], [[1]], [1.0], [True]])
def test_logits_and_labels_tell_no_confidence(y_pred):
    assert titles(plot.predictions(numbered(1), [1], y_pred, NAMES)) == ["P: dog (A: dog)"]


def test_names_that_do_not_fit_into_a_line_get_two():
    names = ["pickup_truck_of_1950", "lawn_mower"]
    assert titles(plot.predictions(numbered(1), [1], [0], names)) == [
        "P: pickup_truck_of_1950\n(A: lawn_mower)"
    ]


def test_the_first_ones_are_taken_unless_there_is_a_seed():
    n, y = 50, np.arange(50)
    first = plot.predictions(numbered(n), y, y, rows=2, columns=3)
    assert numbers(first, n) == [0, 1, 2, 3, 4, 5]
    drawn_with = [
        numbers(plot.predictions(numbered(n), y, y, rows=2, columns=3, seed=seed), n)
        for seed in (0, 0, 1)
    ]
    assert drawn_with[0] == drawn_with[1] != drawn_with[2]


def test_a_seed_draws_no_picture_twice():
    n, y = 20, np.arange(20)
    figure = plot.predictions(numbered(n), y, y, rows=4, columns=5, seed=0)
    assert sorted(numbers(figure, n)) == list(range(n))


def test_titles_belong_to_the_pictures_that_a_seed_draws():
    n, y = 50, np.arange(50)
    figure = plot.predictions(numbered(n), y, (y + 1) % n, rows=2, columns=3, seed=3)
    expected = [f"P: {(i + 1) % n} (A: {i})" for i in numbers(figure, n)]
    assert titles(figure) == expected


# -- misclassified -------------------------------------------------------------------------------


def test_only_wrong_ones_are_drawn_and_counted():
    n, y = 40, np.arange(40)
    y_pred = np.where(y % 4 == 0, (y + 1) % n, y)
    figure = plot.misclassified(numbered(n), y, y_pred, rows=2, columns=3, seed=0)
    shown = numbers(figure, n)
    assert len(set(shown)) == 6
    assert all(i % 4 == 0 for i in shown)
    assert titles(figure) == [f"P: {i + 1} (A: {i})" for i in shown]
    assert figure.get_suptitle() == "10 of 40 misclassified (25.0 %); 6 of them are shown"


def test_the_choice_of_wrong_ones_repeats_with_the_seed():
    n, y = 40, np.arange(40)
    choices = [
        numbers(plot.misclassified(numbered(n), y, y[::-1], rows=2, columns=3, seed=s), n)
        for s in (5, 5, 6)
    ]
    assert choices[0] == choices[1] != choices[2]


def test_all_wrong_ones_are_drawn_where_there_is_room():
    figure = plot.misclassified(numbered(4), [0, 1, 1, 0], [1, 1, 0, 0], columns=6)
    assert sorted(numbers(figure, 4)) == [0, 2]
    assert "shown" not in figure.get_suptitle()


def test_it_says_so_when_nothing_is_wrong():
    figure = plot.misclassified(np.zeros((1200, 2, 2)), np.ones(1200), np.ones(1200))
    assert figure.axes == []
    assert figure.get_suptitle() == "None of 1,200 pictures is misclassified"


# -- errors --------------------------------------------------------------------------------------

P = numbered(3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plot.images(np.zeros(5)), r"x: expected pictures as .* got shape \(5,\)"),
        (lambda: plot.images(np.zeros((2, 8, 8, 4))), r"x: expected 1 channel .*\(2, 8, 8, 4\)"),
        (lambda: plot.images(np.zeros((0, 8, 8))), r"x: there is nothing to draw .*\(0, 8, 8\)"),
        (lambda: plot.images([["a"]]), "x: expected an array of numbers, got"),
        (lambda: plot.images([[1, 2], [3]]), "x: expected an array, got one that NumPy refuses"),
        (lambda: plot.images({"image": 1}), "x: expected an array of numbers, got dict"),
        (lambda: plot.images([[np.nan, 1]]), r"x: expected finite values, got nan \(1 of 2"),
        (lambda: plot.images(P, value_range=(1, 1)), "value_range: expected .* black < white"),
        (lambda: plot.images(P, rows=0), "rows: expected a positive int, got 0"),
        (lambda: plot.images(P, [1, 2]), "x and labels: expected equally many, got 3 in x, 2 in"),
        (lambda: plot.images(P, ["a"]), "x and labels: expected equally many"),
        (lambda: plot.images(P, [0, 1, 3], NAMES), "class_names: there are 3 names, .* label 3"),
        (lambda: plot.images(P, [0, 1, 1.5]), "labels: expected whole numbers as labels, got 1.5"),
        (lambda: plot.images(P, [0, 1, -1]), "labels: expected labels from 0 on, got -1"),
        (lambda: plot.images(P, np.zeros((3, 2, 2))), r"labels: expected labels .*\(3, 2, 2\)"),
        (lambda: plot.images(P, []), "labels: there is nothing to draw"),
        (lambda: plot.predictions(P, [1, 1], [1, 1, 1]), "got 3 in x, 2 in y_true, 3 in y_pred"),
        (lambda: plot.predictions(P, [1, 1, 1], [1]), "got 3 in x, 3 in y_true, 1 in y_pred"),
        (lambda: plot.predictions(P, [1, 1, 9], [1] * 3, NAMES), "y_true goes from 0 to 2"),
        (lambda: plot.predictions(P, [1] * 3, [1, 1, 9], NAMES), "y_pred goes from 0 to 2"),
        (lambda: plot.predictions(P, [1] * 3, [np.nan] * 3), "y_pred: expected finite values"),
        (lambda: plot.misclassified(P, [1], [1, 1, 1]), "expected equally many"),
        (lambda: plot.misclassified(P, [1] * 3, [1] * 3, columns=-1), "columns: expected"),
    ],
)
def test_errors_name_the_argument_and_what_came(call, message):
    with pytest.raises(ValueError, match=message):
        call()
