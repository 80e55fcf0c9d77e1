"""minicnn.plot.confusion_matrix."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from minicnn import plot

TRUE = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2, 2])
PREDICTED = np.array([0, 0, 2, 1, 0, 2, 2, 2, 2, 1])
COUNTS = [[2, 0, 1], [1, 1, 0], [0, 1, 4]]


def cells(figure):
    """What is written in the cells, by (row, column)."""
    texts = figure.axes[0].texts
    return {(round(t.get_position()[1]), round(t.get_position()[0])): t for t in texts}


def matrix(figure):
    """The written numbers as an array."""
    texts = cells(figure)
    n = 1 + max(i for i, _ in texts)
    return [[float(texts[i, j].get_text()) for j in range(n)] for i in range(n)]


def test_counts_stand_in_the_cells_and_are_what_is_drawn():
    figure = plot.confusion_matrix(TRUE, PREDICTED)
    assert matrix(figure) == COUNTS
    assert cells(figure)[0, 0].get_text() == "2"
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), COUNTS)


def test_counts_agree_with_counting_one_by_one(rng):
    true, predicted = rng.integers(0, 7, (2, 300))
    expected = np.zeros((7, 7))
    for t, p in zip(true, predicted, strict=True):
        expected[t, p] += 1
    np.testing.assert_array_equal(matrix(plot.confusion_matrix(true, predicted)), expected)


def test_rows_are_actual_and_columns_predicted():
    axes = plot.confusion_matrix(TRUE, PREDICTED, ["cat", "dog", "frog"]).axes[0]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("actual", "predicted")
    assert [t.get_text() for t in axes.get_xticklabels()] == ["cat", "dog", "frog"]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["cat", "dog", "frog"]
    top, bottom = axes.get_ylim()[1], axes.get_ylim()[0]
    assert top < bottom  # the first label is at the top


@pytest.mark.parametrize(
    ("normalize", "sums"),
    [
        (True, lambda m: m.sum(axis=1)),
        ("true", lambda m: m.sum(axis=1)),
        ("pred", lambda m: m.sum(axis=0)),
        ("all", lambda m: m.sum()),
    ],
)
def test_shares_add_up_to_100_percent(normalize, sums):
    figure = plot.confusion_matrix(TRUE, PREDICTED, normalize=normalize)
    np.testing.assert_allclose(sums(figure.axes[0].images[0].get_array()), 100)
    assert "percent" in figure.axes[0].get_title()


def test_shares_are_written_with_one_decimal():
    figure = plot.confusion_matrix(TRUE, PREDICTED, normalize="true")
    assert matrix(figure) == [[66.7, 0, 33.3], [50, 50, 0], [0, 20, 80]]
    written = [cells(figure)[place].get_text() for place in ((0, 0), (0, 1), (1, 1))]
    assert written == ["66.7", "0", "50.0"]  # exactly nothing is no 0.0, which may be 0.04
    all_right = plot.confusion_matrix([0, 1], [0, 1], normalize="true")
    assert cells(all_right)[0, 0].get_text() == "100"


def test_a_label_that_never_occurs_has_shares_of_zero():
    figure = plot.confusion_matrix([0, 2], [0, 2], normalize=True)
    assert matrix(figure) == [[100, 0, 0], [0, 0, 0], [0, 0, 100]]


def test_class_names_give_the_size_even_if_the_last_ones_never_occur():
    assert np.shape(matrix(plot.confusion_matrix([0, 1], [1, 0], list("abcd")))) == (4, 4)


def test_probabilities_and_one_hot_rows_are_taken():
    one_hot, p = np.eye(3)[TRUE], np.eye(3)[PREDICTED] * 0.8 + 0.1
    assert matrix(plot.confusion_matrix(one_hot, p)) == COUNTS
    assert matrix(plot.confusion_matrix(TRUE[:, None], PREDICTED[:, None])) == COUNTS
    assert matrix(plot.confusion_matrix([0, 1], [[0.2], [0.9]])) == [[1, 0], [0, 1]]


def test_numbers_are_readable_on_their_colours(rng):
    figure = plot.confusion_matrix(*rng.integers(0, 9, (2, 5000)) ** 2 // 9)
    picture = figure.axes[0].images[0]
    for (i, j), text in cells(figure).items():
        background = np.array(picture.to_rgba(picture.get_array()[i, j])[:3])
        light = [
            0.05 + ((np.array(c) + 0.055) / 1.055) ** 2.4 @ [0.2126, 0.7152, 0.0722]
            for c in (background, to_rgb(text.get_color()))
        ]
        assert max(light) / min(light) > 4.5  # the contrast that WCAG 2 asks for


def test_many_classes_get_a_colour_bar_instead_of_numbers(rng):
    figure = plot.confusion_matrix(*rng.integers(0, 100, (2, 500)))
    axes, bar = figure.axes
    assert len(axes.texts) == 0
    assert bar.get_label() == "<colorbar>"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 1], [0]), "y_true and y_pred: expected equally many, got 2 in y_true, 1 in y_pred"),
        (([], []), "y_true: there is nothing to draw"),
        (([0, 2], [0, 1], ["a", "b"]), "class_names: there are 2 names, so y_true .* label 2"),
        (([0, 1], [0, 2], ["a", "b"]), "class_names: there are 2 names, so y_pred .* label 2"),
        (([0], [0], None, "rows"), "normalize: expected None, True, .* got 'rows'"),
        (([0.5], [0]), "y_true: expected whole numbers"),
        ((["cat"], [0]), "y_true: expected an array of numbers"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        plot.confusion_matrix(*arguments)
