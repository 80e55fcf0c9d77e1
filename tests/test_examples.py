"""The examples run from top to bottom, on small made-up data in the place of the real."""

import builtins
import os
import runpy
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from minicnn import plot

EXAMPLES = Path(__file__).parent.parent / "examples"
PICTURES = {
    "lesson1_mnist": 4,
    "lesson2_lenet": 6,
    "lesson3_cifar10": 8,
    "lesson4_inside": 4,
    "lesson5_mini_alexnet": 6,
}


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory):
    """A cache folder with an mnist.npz and a cifar10.npz of a few random pictures."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for name, shape, labels in (("mnist", (28, 28), ()), ("cifar10", (32, 32, 3), (1,))):
        arrays = {}
        for part, count in (("train", 130), ("test", 70)):
            arrays[f"x_{part}"] = rng.integers(0, 256, (count, *shape), np.uint8)
            arrays[f"y_{part}"] = rng.permutation(np.arange(count) % 10).astype(np.uint8)
            arrays[f"y_{part}"] = arrays[f"y_{part}"].reshape(count, *labels)
        np.savez(folder / f"{name}.npz", **arrays)
    return folder


@pytest.mark.parametrize("lesson", list(PICTURES))
def test_a_lesson(lesson, data_folder, tmp_path):
    for script in ("common.py", f"{lesson}.py"):
        (tmp_path / script).write_text((EXAMPLES / script).read_text(encoding="utf-8"), "utf-8")
    environment = {**os.environ, "MINICNN_DATA": str(data_folder), "MPLBACKEND": "Agg"}
    result = subprocess.run(
        [sys.executable, tmp_path / f"{lesson}.py", "--epochs", "1", "--images", "130"],
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        timeout=280,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert "Warning" not in result.stderr
    pictures = list((tmp_path / "output").iterdir())
    assert len(pictures) >= PICTURES[lesson]
    assert all(picture.stat().st_size > 1000 for picture in pictures)


def test_a_notebook_shows_every_picture_once(tmp_path, monkeypatch):
    shown = []
    ipython = types.ModuleType("IPython.display")
    ipython.display = shown.append
    monkeypatch.setitem(sys.modules, "IPython.display", ipython)
    (tmp_path / "common.py").write_text((EXAMPLES / "common.py").read_text("utf-8"), "utf-8")
    save = runpy.run_path(str(tmp_path / "common.py"))["save"]
    figure = plot.images(np.zeros((2, 8, 8)))
    assert save(figure, "script") is None
    assert shown == []
    monkeypatch.setattr(builtins, "get_ipython", lambda: None, raising=False)
    assert save(figure, "notebook") is None  # a value would be shown a second time
    assert shown == [figure]
    assert sorted(path.name for path in (tmp_path / "output").iterdir()) == [
        "notebook.png",
        "script.png",
    ]


def test_the_quickstart_reads_at_least_97_percent_of_the_digits(tmp_path):
    script = tmp_path / "quickstart.py"
    script.write_text((EXAMPLES / "quickstart.py").read_text(encoding="utf-8"), "utf-8")
    namespace = runpy.run_path(str(script))
    assert namespace["accuracy"] >= 0.97
    for picture in ("quickstart_history.png", "quickstart_digits.png"):
        assert (tmp_path / picture).stat().st_size > 5000


def test_backpropagation_by_hand_finds_the_gradients_of_the_library(tmp_path):
    script = tmp_path / "backpropagation.py"
    script.write_text((EXAMPLES / "backpropagation.py").read_text(encoding="utf-8"), "utf-8")
    namespace = runpy.run_path(str(script))  # asks its own judge for every gradient on the way
    assert namespace["difference"] < 1e-12
    assert namespace["accuracy"] >= 0.95
    assert (tmp_path / "backpropagation_dx.png").stat().st_size > 5000
