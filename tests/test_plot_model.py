"""minicnn.plot.model: the flow diagram, and the layout of its boxes."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from minicnn import Input, Model, Sequential, layers, plot
from minicnn.plot.layout import layered_layout


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def boxes(figure):
    """The extent of each box, in inches from the upper left corner, by the layer's name."""
    axes = figure.axes[0]
    outer = [p.get_bbox() for p in axes.patches if isinstance(p, FancyBboxPatch)]
    names = {}
    for text in axes.texts:
        if text.get_weight() != "bold":
            continue
        for box in outer:
            if (
                box.x0 < text.get_position()[0] < box.x1
                and box.y0 < text.get_position()[1] < box.y1
            ):
                names.setdefault(text.get_text(), box)
    return names


def arrows(figure):
    """(from, to) of each arrow, as names of boxes that it touches."""
    found = []
    for patch in figure.axes[0].patches:
        if isinstance(patch, FancyArrowPatch):
            line, head = patch.get_path().to_polygons(closed_only=False)
            tip = head[head[:, 1].argmax()]
            start = [n for n, b in boxes(figure).items() if near(line[0], b, b.y1)]
            end = [n for n, b in boxes(figure).items() if near(tip, b, b.y0)]
            found.append((*start, *end))
    return found


def near(point, box, y):
    return abs(point[1] - y) < 0.06 and box.x0 < point[0] < box.x1


# -- what is drawn -------------------------------------------------------------------------------


@pytest.fixture
def chain():
    return Sequential(
        [
            layers.Conv2D(4, 3, input_shape=(8, 8, 1), name="conv1"),
            layers.MaxPooling2D(name="pool1"),
            layers.Flatten(name="flat"),
            layers.Dense(10, name="output"),
        ],
        name="lenet",
    )


@pytest.fixture
def residual():
    x = Input((8, 8, 4), name="x")
    h = layers.Conv2D(4, 3, padding="same", name="conv1")(x)
    h = layers.Conv2D(4, 3, padding="same", name="conv2")(layers.ReLU(name="relu1")(h))
    return Model(x, layers.ReLU(name="relu2")(layers.Add(name="sum")([x, h])), name="residual")


def test_a_box_has_name_type_shape_and_number_of_parameters(chain):
    written = texts(plot.model(chain))
    assert written[:2] == ["lenet", "410 parameters"]
    assert written[-16:] == [
        *("conv1", "(None, 6, 6, 4)", "Conv2D", "40 parameters"),
        *("pool1", "(None, 3, 3, 4)", "MaxPooling2D", ""),
        *("flat", "(None, 36)", "Flatten", ""),
        *("output", "(None, 10)", "Dense", "370 parameters"),
    ]
    assert "InputLayer" in written


def test_a_chain_goes_straight_down(chain):
    figure = plot.model(chain)
    placed = boxes(figure)
    names = [layer.name for layer in chain.layers]
    assert len({round(placed[name].x0, 6) for name in names}) == 1
    assert all(placed[a].y1 < placed[b].y0 for a, b in pairwise(names))
    assert arrows(figure)[1:] == list(pairwise(names))
    assert arrows(figure)[0][1] == "conv1"


def test_branches_and_a_merge(residual):
    figure = plot.model(residual)
    assert sorted(arrows(figure)) == [
        ("conv1", "relu1"),
        ("conv2", "sum"),
        ("relu1", "conv2"),
        ("sum", "relu2"),
        ("x", "conv1"),
        ("x", "sum"),
    ]


def test_a_short_cut_passes_beside_the_boxes(residual):
    figure = plot.model(residual)
    (short_cut,) = [
        patch
        for patch, ends in zip(
            (p for p in figure.axes[0].patches if isinstance(p, FancyArrowPatch)),
            arrows(figure),
            strict=True,
        )
        if ends == ("x", "sum")
    ]
    line, _ = short_cut.get_path().to_polygons(closed_only=False)
    points = np.concatenate([np.linspace(p, q, 20) for p, q in pairwise(line)])
    for name in ("conv1", "relu1", "conv2"):
        box = boxes(figure)[name]
        inside = (points > box.p0).all(axis=1) & (points < box.p1).all(axis=1)
        assert not inside.any(), name


def test_several_inputs_and_outputs():
    a, b = Input((3,), name="a"), Input((5,), name="b")
    h = layers.Concatenate(name="join")([a, b])
    net = Model([a, b], [layers.Dense(1, name="age")(h), layers.Dense(2, name="sex")(h)])
    figure = plot.model(net)
    assert set(arrows(figure)) == {("a", "join"), ("b", "join"), ("join", "age"), ("join", "sex")}
    placed = boxes(figure)
    assert placed["a"].y0 == placed["b"].y0
    assert placed["age"].y0 == placed["sex"].y0
    middle = (placed["a"].x0 + placed["b"].x1) / 2
    assert placed["join"].x0 + placed["join"].x1 == pytest.approx(2 * middle)


def test_a_late_input_stands_right_above_its_layer():
    a, b = Input((3,), name="a"), Input((3,), name="b")
    h = layers.Dense(3, name="d2")(layers.Dense(3, name="d1")(a))
    placed = boxes(plot.model(Model([a, b], layers.Add(name="sum")([h, b]))))
    assert placed["b"].y0 == placed["d2"].y0 > placed["a"].y0


def test_a_layer_that_is_called_twice_has_two_boxes_and_shares_its_parameters():
    a, b = Input((3,), name="a"), Input((3,), name="b")
    dense = layers.Dense(4, name="shared")
    written = texts(plot.model(Model([a, b], layers.Add()([dense(a), dense(b)]))))
    assert written.count("shared") == 2
    assert written.count("16 parameters") == 2  # of the first box and of the model
    assert written.count("shared parameters") == 1


def test_a_tensor_that_goes_in_twice_has_one_arrow():
    a = Input((3,), name="a")
    assert arrows(plot.model(Model(a, layers.Add(name="twice")([a, a])))) == [("a", "twice")]


def test_a_model_inside_a_model_is_one_box_with_a_double_border(residual):
    x = Input((8, 8, 4), name="x")
    figure = plot.model(Model(x, layers.Flatten(name="flat")(residual(x))))
    assert "residual" in texts(figure)
    assert f"{residual.count_params()} parameters" in texts(figure)
    assert "conv1" not in texts(figure)
    assert sum(isinstance(p, FancyBboxPatch) for p in figure.axes[0].patches) == 4


def test_a_model_that_begins_inside_another_one(chain):
    part = Model(chain.layers[0].output, chain.output)
    figure = plot.model(part)
    assert arrows(figure) == [("conv1", "pool1"), ("pool1", "flat"), ("flat", "output")]
    assert texts(figure)[2:6] == ["conv1", "(None, 6, 6, 4)", "Input", ""]


def test_a_model_without_shapes_is_a_chain_of_its_layers():
    net = Sequential([layers.Conv2D(4, 3, name="conv"), layers.Dense(2, name="dense")])
    figure = plot.model(net)
    assert arrows(figure) == [("conv", "dense")]
    assert texts(figure)[1] == "not built yet"
    assert texts(figure).count("shape not known yet") == 2
    assert texts(figure).count("not built") == 2


def test_no_text_leaves_its_box_or_meets_another(residual):
    long = Sequential(
        [
            layers.Dense(
                1000, input_shape=(1000,), name="a_rather_long_name_for_a_layer_of_a_network"
            )
        ]
    )
    for figure in (plot.model(residual), plot.model(long)):
        figure.draw_without_rendering()
        to_display = figure.axes[0].transData
        extents = [t.get_window_extent() for t in figure.axes[0].texts if t.get_text()]
        assert not any(a.overlaps(b) for i, a in enumerate(extents) for b in extents[i + 1 :])
        placed = [box.transformed(to_display) for box in boxes(figure).values()]
        for extent in extents[2:]:
            assert any(
                box.x0 < extent.x0 and extent.x1 < box.x1 and extent.y0 > min(box.y0, box.y1)
                for box in placed
            )


def test_names_may_have_dollars_in_them():
    net = Sequential([layers.Dense(1, input_shape=(1,), name="$a_$")], name="$b_$")
    assert plot.model(net)._repr_png_().startswith(b"\x89PNG")


def test_kinds_of_layers_differ_in_colour(chain):
    figure = plot.model(chain)
    colours = {
        name: patch.get_facecolor()
        for name, box in boxes(figure).items()
        for patch in figure.axes[0].patches
        if isinstance(patch, FancyBboxPatch) and np.allclose(patch.get_bbox(), box)
    }
    assert len({colours[name] for name in ("conv1", "pool1", "flat", "output")}) == 4


@pytest.mark.parametrize(
    ("thing", "error", "message"),
    [
        (Sequential(name="empty"), ValueError, "model: 'empty' has no layers to draw yet"),
        (layers.Dense(1), TypeError, "model: expected a Model or Sequential, got Dense"),
        ("net", TypeError, "model: expected a Model or Sequential, got str"),
    ],
)
def test_errors(thing, error, message):
    with pytest.raises(error, match=message):
        plot.model(thing)


# -- where the boxes stand -----------------------------------------------------------------------


@st.composite
def graphs(draw):
    """For each node some of those before it."""
    n = draw(st.integers(1, 12))
    return [draw(st.lists(st.integers(0, i - 1), max_size=3)) if i else [] for i in range(n)]


@given(sources=graphs())
@settings(max_examples=25, deadline=None)
def test_edges_go_down_and_places_do_not_overlap(sources):
    places, paths = layered_layout(sources)
    assert set(paths) == {(start, end) for end, before in enumerate(sources) for start in before}
    every = {id(place): place for place in places}
    for (start, end), path in paths.items():
        assert path[0] is places[start]
        assert path[-1] is places[end]
        assert [p.row for p in path] == list(range(places[start].row, places[end].row + 1))
        every.update((id(place), place) for place in path)
        assert len({place.x for place in path[1:-1]}) <= len(path)
    for row in {place.row for place in every.values()}:
        line = sorted((p for p in every.values() if p.row == row), key=lambda place: place.x)
        for left, right in pairwise(line):
            assert left.x + left.width / 2 <= right.x - right.width / 2 + 1e-9
    assert min(p.x - p.width / 2 for p in every.values()) == pytest.approx(0, abs=1e-9)


def test_two_branches_do_not_cross():
    #   0   1        0 feeds 3 and 1 feeds 2, so 0 or 1 must change sides
    #    \ /
    #    / \
    #   2   3
    places, _ = layered_layout([[], [], [1], [0]])
    assert (places[0].x < places[1].x) == (places[3].x < places[2].x)


def test_a_chain_with_short_cuts_is_straight():
    places, paths = layered_layout([[], [0], [1], [0, 2], [3], [4], [3, 5]])
    assert len({place.x for place in places}) == 1
    for edge in ((0, 3), (3, 6)):
        passages = paths[edge][1:-1]
        assert len({place.x for place in passages}) == 1
        assert abs(passages[0].x - places[0].x) > 0.5


def test_a_node_stands_in_the_middle_of_its_branches():
    places, _ = layered_layout([[], [0], [0], [0], [0], [1, 2, 3, 4], [5], [5]])
    x = [place.x for place in places]
    assert np.diff(sorted(x[1:5])) == pytest.approx(1)
    assert x[0] == pytest.approx(np.mean(x[1:5]))
    assert x[5] == pytest.approx(np.mean(x[1:5]))
    assert sorted(x[6:]) == pytest.approx([x[5] - 0.5, x[5] + 0.5])
