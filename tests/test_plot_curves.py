"""minicnn.plot.history."""

from types import SimpleNamespace

import numpy as np
import pytest

from minicnn import plot

FIRST = {
    "accuracy": [0.5, 0.6],
    "loss": [3.0, 2.0],
    "val_accuracy": [0.4, 0.5],
    "val_loss": [4.0, 3.0],
}
SECOND = {
    "accuracy": [0.7, 0.8, 0.9],
    "loss": [1.5, 1.2, 1.0],
    "val_accuracy": [0.6, 0.7, 0.7],
    "val_loss": [2.5, 2.2, 2.1],
}


def curves(axes):
    """The curves of a panel by their labels; the lines between runs have none."""
    return {
        line.get_label(): (list(line.get_xdata()), list(line.get_ydata()))
        for line in axes.get_lines()
        if not line.get_label().startswith("_")
    }


def test_loss_and_metric_side_by_side_on_training_and_validation_data():
    loss, accuracy = plot.history(FIRST).axes
    assert [loss.get_title(), accuracy.get_title()] == ["loss", "accuracy"]
    assert loss.get_position().x1 < accuracy.get_position().x0
    assert loss.get_position().y0 == pytest.approx(accuracy.get_position().y0)
    assert curves(loss) == {
        "training": ([1, 2], [3.0, 2.0]),
        "validation": ([1, 2], [4.0, 3.0]),
    }
    assert curves(accuracy) == {
        "training": ([1, 2], [0.5, 0.6]),
        "validation": ([1, 2], [0.4, 0.5]),
    }
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["training", "validation"]
    assert loss.get_xlabel() == "epoch"


def test_training_and_validation_differ_in_colour_and_dashes():
    (training, validation) = plot.history({"loss": [1, 2], "val_loss": [1, 2]}).axes[0].get_lines()
    assert training.get_color() != validation.get_color()
    assert training.get_linestyle() != validation.get_linestyle()


def test_several_runs_are_joined_with_a_line_between_them():
    loss, accuracy = plot.history([FIRST, SECOND]).axes
    assert curves(loss)["training"] == ([1, 2, 3, 4, 5], [3.0, 2.0, 1.5, 1.2, 1.0])
    assert curves(accuracy)["validation"] == ([1, 2, 3, 4, 5], [0.4, 0.5, 0.6, 0.7, 0.7])
    for axes in (loss, accuracy):
        (border,) = [line for line in axes.get_lines() if line.get_label().startswith("_")]
        assert list(border.get_xdata()) == [2.5, 2.5]


def test_a_run_without_validation_leaves_a_gap():
    second = {key: values for key, values in SECOND.items() if not key.startswith("val_")}
    loss, _ = plot.history([FIRST, second]).axes
    np.testing.assert_array_equal(curves(loss)["validation"][1], [4, 3, np.nan, np.nan, np.nan])


def test_what_fit_returns_is_taken_too():
    first = SimpleNamespace(history=FIRST, epoch=[0, 1])
    second = SimpleNamespace(history=SECOND, epoch=[2, 3, 4])
    assert curves(plot.history([first, second]).axes[0])["training"][0] == [1, 2, 3, 4, 5]
    assert curves(plot.history(second).axes[0])["training"][0] == [3, 4, 5]
    assert curves(plot.history([first, SECOND]).axes[0])["training"][0] == [1, 2, 3, 4, 5]


def test_a_single_epoch_shows_as_a_point_at_a_whole_number():
    (axes,) = plot.history({"loss": [0.5]}).axes
    assert axes.get_lines()[0].get_marker() == "o"
    low, high = axes.get_xlim()
    ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert ticks == [1]


def test_many_metrics_fill_rows_of_three():
    names = ["mae", "loss", "top_k_accuracy", "auc"]
    figure = plot.history({name: [1.0, 2.0] for name in names})
    assert [a.get_title() for a in figure.axes] == ["loss", "mae", "top k accuracy", "auc"]
    figure.draw_without_rendering()
    tops = [round(a.get_position().y1, 3) for a in figure.axes]
    assert tops[0] == tops[1] == tops[2] > tops[3]


def test_metrics_can_be_chosen():
    assert [a.get_title() for a in plot.history(FIRST, metrics=["accuracy"]).axes] == ["accuracy"]
    assert [a.get_title() for a in plot.history(FIRST, metrics="loss").axes] == ["loss"]


def test_a_learning_rate_has_no_legend():
    loss, rate = plot.history({"loss": [1.0], "learning_rate": [0.1]}).axes
    assert loss.get_legend() is not None
    assert rate.get_title() == "learning rate"
    assert rate.get_legend() is None


def test_a_loss_that_became_nan_is_drawn_as_far_as_it_goes():
    (axes,) = plot.history({"loss": [1.0, np.nan, np.nan]}).axes
    np.testing.assert_array_equal(curves(axes)["training"][1], [1, np.nan, np.nan])


@pytest.mark.parametrize(
    ("history", "message"),
    [
        ([], "history: expected what fit returned, .* got an empty list"),
        ({}, "history: there are no epochs"),
        ({"loss": []}, "history: there are no epochs"),
        ({"loss": [1, 2], "val_loss": [1]}, "as many values in each list, got {'loss': 2, 'val_l"),
        ([1.0, 0.5], "history: expected what fit returned, .* got float"),
        (None, "history: expected what fit returned, .* got NoneType"),
        ({"loss": ["a"]}, r"history\['loss'\]: expected an array of numbers"),
    ],
)
def test_errors(history, message):
    with pytest.raises(ValueError, match=message):
        plot.history(history)


def test_an_unknown_metric_is_an_error_that_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"metrics: expected some of \['loss', 'accuracy'\], got"):
        plot.history(FIRST, metrics=["acc"])
