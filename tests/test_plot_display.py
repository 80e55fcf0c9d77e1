"""What all pictures have in common: lazy imports, no figure left behind, showing in a notebook."""

import gc
import os
import subprocess
import sys
import types
import weakref

import matplotlib.figure
import numpy as np
import pytest
from matplotlib import pyplot

from minicnn import Sequential, layers, plot
from minicnn.plot.display import Figure, text_colour

PICTURES = np.linspace(0, 1, 4 * 5 * 6).reshape(4, 5, 6)
LABELS = [0, 1, 2, 1]
WRONG = [0, 1, 1, 1]


class OnGpu:
    """An array that must be fetched, as CuPy's must."""

    def __init__(self, values):
        self.values = np.asarray(values)

    def get(self):
        return self.values

    def __array__(self, *args, **kwargs):
        raise TypeError("implicit conversion is not allowed")


def a_model():
    return Sequential([layers.Dense(3, input_shape=(4,)), layers.Dense(2)])


FIGURES = {
    "images": lambda a: plot.images(a(PICTURES), a(LABELS)),
    "predictions": lambda a: plot.predictions(a(PICTURES), a(LABELS), a(WRONG)),
    "misclassified": lambda a: plot.misclassified(a(PICTURES), a(LABELS), a(WRONG), seed=0),
    "misclassified, none": lambda a: plot.misclassified(a(PICTURES), a(LABELS), a(LABELS)),
    "history": lambda a: plot.history({"loss": [a(2.0), a(1.0)]}),
    "confusion_matrix": lambda a: plot.confusion_matrix(a(LABELS), a(WRONG)),
    "feature_maps": lambda a: plot.feature_maps(a(PICTURES)),
    "filters in one picture": lambda a: plot.filters(a(PICTURES.reshape(4, 5, 2, 3))),
    "filters one by one": lambda a: plot.filters(a(PICTURES.reshape(4, 5, 1, 6))),
    "model": lambda a: plot.model(a_model()),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_picture_is_a_figure_that_draws_itself_and_leaves_nothing_in_pyplot(name):
    figure = FIGURES[name](np.asarray)
    assert isinstance(figure, matplotlib.figure.Figure)
    png = figure._repr_png_()
    assert png.startswith(b"\x89PNG")
    width, height = np.frombuffer(png[16:24], ">u4")  # the header of a PNG file
    assert (width, height) == pytest.approx(figure.get_size_inches() * figure.dpi, abs=1)
    assert pyplot.get_fignums() == []


@pytest.mark.parametrize("name", [n for n in FIGURES if n != "model"])
def test_arrays_of_a_gpu_are_fetched(name):
    on_cpu, on_gpu = FIGURES[name](np.asarray), FIGURES[name](OnGpu)
    assert on_cpu._repr_png_() == on_gpu._repr_png_()


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_is_cut_off_at_the_borders(name):
    figure = FIGURES[name](np.asarray)
    figure.draw_without_rendering()
    drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert drawn.x0 > -0.01
    assert drawn.y0 > -0.01
    assert drawn.x1 < width + 0.01
    assert drawn.y1 < height + 0.01


def test_a_figure_nobody_holds_is_gone():
    figure = plot.images(PICTURES)
    gone = weakref.ref(figure)
    del figure
    gc.collect()
    assert gone() is None


def test_importing_plot_does_not_import_matplotlib():
    code = "import sys, minicnn.plot; print('matplotlib' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_works_without_a_display_and_without_pyplot(tmp_path):
    code = (
        "import sys, numpy, minicnn.plot as plot\n"
        "plot.images(numpy.zeros((2, 8, 8))).savefig(sys.argv[1])\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "MPLBACKEND")}
    file = tmp_path / "images.png"
    out = subprocess.check_output(
        [sys.executable, "-c", code, str(file)], text=True, env=environment
    )
    assert out.strip() == "False"
    assert file.read_bytes().startswith(b"\x89PNG")


def test_show_displays_in_the_middle_of_a_notebooks_cell(monkeypatch):
    shown = []
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    ipython.display = types.ModuleType("IPython.display")
    ipython.display.display = shown.append
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)
    figure = plot.images(PICTURES)
    figure.show()
    assert shown == [figure]
    assert pyplot.get_fignums() == []


def test_show_hands_the_figure_to_pyplot_for_a_window_and_takes_it_back(monkeypatch):
    shown = []
    monkeypatch.setattr(pyplot, "show", lambda: shown.append(pyplot.gcf()))
    monkeypatch.setitem(sys.modules, "IPython", None)
    figure = plot.images(PICTURES)
    figure.show()
    assert shown == [figure]
    assert pyplot.get_fignums() == []
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_a_figure_has_the_size_it_was_given():
    assert tuple(Figure(3, 2).get_size_inches()) == (3, 2)


def test_text_is_black_on_bright_and_white_on_dark_colours():
    assert [text_colour(c) for c in ("white", "yellow", "lightgray")] == ["black"] * 3
    assert [text_colour(c) for c in ("black", "navy", "darkred")] == ["white"] * 3
