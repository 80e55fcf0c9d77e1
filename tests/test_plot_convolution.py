"""minicnn.plot.convolution: the kernel that slides over a picture."""

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.animation import AbstractMovieWriter, FuncAnimation
from matplotlib.patches import Rectangle
from PIL import Image

from minicnn import plot


class Recorder(AbstractMovieWriter):
    """Notes down what each frame of an animation shows."""

    def __init__(self):
        super().__init__()
        self.frames = []

    def setup(self, fig, outfile, dpi=None):
        self.figure = fig

    def grab_frame(self, **settings):
        left, _, right = self.figure.axes
        window, mark = (
            next(p for p in axes.patches if isinstance(p, Rectangle)) for axes in (left, right)
        )
        self.frames.append(
            {
                "window": tuple(round(v + 0.5) for v in window.get_xy()[::-1]),
                "size": (window.get_height(), window.get_width()),
                "mark": tuple(round(v + 0.5) for v in mark.get_xy()[::-1]),
                "output": right.images[0].get_array().copy(),
                "numbers": [t.get_text() for t in right.texts if t.get_visible()],
                "caption": self.figure.get_supxlabel(),
            }
        )

    def finish(self):
        pass


def frames(animation):
    recorder = Recorder()
    animation.save("nothing", writer=recorder)
    return recorder.frames


def slide(x, kernel, strides, before=(0, 0), after=(0, 0)):
    """The convolution by its definition: {(i, j): (window's corner, value)}."""
    x = np.pad(x, list(zip(before, after, strict=True)))
    kh, kw = kernel.shape
    return {
        (i, j): ((top, left), (x[top : top + kh, left : left + kw] * kernel).sum())
        for i, top in enumerate(range(0, x.shape[0] - kh + 1, strides[0]))
        for j, left in enumerate(range(0, x.shape[1] - kw + 1, strides[1]))
    }


@pytest.mark.parametrize(
    ("size", "kernel", "strides", "padding", "before", "after"),
    [
        ((4, 5), (3, 2), (1, 1), "valid", (0, 0), (0, 0)),
        ((5, 4), (2, 2), (2, 1), "valid", (0, 0), (0, 0)),
        ((4, 3), (3, 3), (1, 1), "same", (1, 1), (1, 1)),
        ((4, 4), (3, 3), (2, 2), "same", (0, 0), (1, 1)),
        ((3, 4), (2, 3), (1, 2), "SAME", (0, 0), (1, 1)),
    ],
)
def test_window_and_output_go_together(rng, size, kernel, strides, padding, before, after):
    x, W = rng.normal(size=size), rng.normal(size=kernel)
    expected = slide(x, W, strides, before, after)
    shown = frames(plot.convolution(x, W, strides, padding))
    assert [frame["mark"] for frame in shown] == list(expected)
    assert [frame["window"] for frame in shown] == [corner for corner, _ in expected.values()]
    assert {frame["size"] for frame in shown} == {kernel}
    values = [value for _, value in expected.values()]
    for k, frame in enumerate(shown):
        output = frame["output"].reshape(-1)
        assert (~np.ma.getmaskarray(output)).sum() == k + 1 == len(frame["numbers"])
        np.testing.assert_allclose(output[: k + 1], values[: k + 1], rtol=1e-12, atol=1e-14)
        i, j = frame["mark"]
        assert frame["caption"].startswith(f"output[{i}, {j}] = ")
        assert frame["caption"].endswith(f" = {values[k]:.4g}")


def test_padding_is_drawn_around_the_picture():
    recorder = Recorder()
    plot.convolution(np.ones((3, 3)), np.ones((3, 3)), padding="same").save("", writer=recorder)
    left = recorder.figure.axes[0]
    colours = left.images[0].get_array()
    assert colours.shape == (5, 5, 3)
    border = np.ones((5, 5), bool)
    border[1:-1, 1:-1] = False
    assert len(np.unique(colours[border], axis=0)) == 1
    red, _, blue = colours[0, 0]
    assert blue > red  # the picture itself is grey
    assert (np.ptp(colours[~border], axis=-1) == 0).all()
    assert [t.get_text() for t in left.texts].count("0") == border.sum()


def test_an_odd_row_of_padding_is_at_the_end():
    recorder = Recorder()
    x = np.full((3, 3), 7.0)
    plot.convolution(x, np.ones((2, 2)), padding="same").save("", writer=recorder)
    written = [text.get_text() for text in recorder.figure.axes[0].texts]
    assert np.reshape(written, (4, 4)).tolist() == [["7", "7", "7", "0"]] * 3 + [["0"] * 4]


@pytest.mark.parametrize("largest", [1.0, 100.0, 1e5, 1e10])
def test_numbers_fit_into_their_pixels(largest, rng):
    recorder = Recorder()
    x, W = largest * rng.normal(size=(9, 9)), rng.normal(size=(5, 5))
    plot.convolution(x, W).save("", writer=recorder)
    left, middle, right = recorder.figure.axes
    assert len(left.texts) == (81 if largest <= 100 else 0)
    assert len(middle.texts) == W.size
    for axes, n in ((left, 9), (middle, 5), (right, 5)):
        pixel = axes.transData.transform((1, 1)) - axes.transData.transform((0, 0))
        boxes = [text.get_window_extent() for text in axes.texts]
        assert len(boxes) in (0, n * n)
        assert all(box.width < pixel[0] and box.height < abs(pixel[1]) for box in boxes)
    if largest <= 100:
        written = [float(text.get_text()) for text in left.texts]
        np.testing.assert_allclose(written, x.ravel(), rtol=0, atol=0.05 * largest)


def test_titles_tell_the_sizes():
    recorder = Recorder()
    plot.convolution(np.zeros((6, 5)), np.ones((3, 2)), 2).save("nothing", writer=recorder)
    assert [axes.get_title() for axes in recorder.figure.axes] == [
        "picture, 6 × 5",
        "kernel, 3 × 2",
        "output, 2 × 2",
    ]
    assert recorder.figure.get_suptitle() == "strides (2, 2), padding 'valid'"


def test_a_large_output_comes_several_pixels_a_frame_up_to_the_last(rng):
    x = rng.random((14, 15))
    shown = frames(plot.convolution(x, np.ones((1, 1)), most_frames=10))
    assert 9 <= len(shown) <= 11
    assert shown[0]["mark"] == (0, 0)
    assert shown[-1]["mark"] == (13, 14)
    assert shown[-1]["numbers"] == []
    assert not np.ma.getmaskarray(shown[-1]["output"]).any()
    np.testing.assert_allclose(shown[-1]["output"], x)


def test_a_single_position_is_one_frame():
    (frame,) = frames(plot.convolution(np.ones((2, 2)), np.ones((2, 2))))
    assert frame["numbers"] == ["4"]


@pytest.mark.parametrize("shape", [(1, 2, 1), (1, 2)])
def test_channels_of_one_are_taken(shape):
    (frame,) = frames(plot.convolution(np.ones(shape), np.ones((1, 2, 1, 1))))
    assert frame["numbers"] == ["2"]


def test_it_saves_as_gif_and_shows_in_a_notebook(tmp_path):
    animation = plot.convolution(np.arange(12).reshape(3, 4), np.ones((2, 2)), interval=100)
    assert isinstance(animation, FuncAnimation)
    animation.save(tmp_path / "convolution.gif", writer="pillow")
    with Image.open(tmp_path / "convolution.gif") as gif:
        assert gif.n_frames == 6
        assert gif.info["duration"] == 100
    html = animation._repr_html_()
    assert html.count("data:image/png;base64") == 6
    assert pyplot.get_fignums() == []


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: plot.convolution(np.ones((4, 4, 3)), np.ones((2, 2))),
            ValueError,
            r"image: expected one channel, .* got shape \(4, 4, 3\); .* image.mean\(axis=-1\)",
        ),
        (
            lambda: plot.convolution(np.ones((4, 4)), np.ones((2, 2, 1, 8))),
            ValueError,
            r"kernel: expected one channel, .* got shape \(2, 2, 1, 8\)",
        ),
        (lambda: plot.convolution(np.ones(4), np.ones((2, 2))), ValueError, r"got shape \(4,\)"),
        (lambda: plot.convolution([[np.nan]], [[1]]), ValueError, "image: expected finite"),
        (
            lambda: plot.convolution(np.ones((2, 4)), np.ones((3, 3))),
            ValueError,
            r"a window of 3 .* does not fit on an input of 2 .* floor\(\(2 - 3\) / 1\) \+ 1 = 0",
        ),
        (lambda: plot.convolution([[1]], [[1]], 0), ValueError, "strides: expected ints of at"),
        (lambda: plot.convolution([[1]], [[1]], 1, "full"), ValueError, "padding: expected"),
        (lambda: plot.convolution([[1]], [[1]], most_frames=0), ValueError, "most_frames: expec"),
        (lambda: plot.convolution([[1]], [[1]], interval=0.5), TypeError, "interval: expected"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
