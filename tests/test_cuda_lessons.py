"""The five lessons run unchanged on the cupy floor, over the stand-in, on a few random images."""

import runpy
import sys
from pathlib import Path

import cuda_cpu
import numpy as np
import pytest

from minicnn import backend
from minicnn.backends import cupy
from minicnn.backends.cupy import implicit_gemm
from minicnn.backends.cupy.recording import Recording

EXAMPLES = Path(__file__).parents[1] / "examples"
LESSONS = sorted(path.name for path in EXAMPLES.glob("lesson*.py"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        cuda_cpu.reason_to_skip() is not None, reason=str(cuda_cpu.reason_to_skip())
    ),
]


@pytest.fixture
def few_images(tmp_path, monkeypatch):
    """Data sets of the right names and shapes in the place of MNIST and CIFAR-10."""
    rng = np.random.default_rng(0)
    for name, image, labels in (("mnist", (28, 28), ()), ("cifar10", (32, 32, 3), (1,))):
        arrays = {}
        for part, count in (("train", 80), ("test", 40)):
            arrays[f"x_{part}"] = rng.integers(0, 256, (count, *image), dtype=np.uint8)
            arrays[f"y_{part}"] = (np.arange(count) % 10).astype(np.uint8).reshape(count, *labels)
        np.savez(tmp_path / f"{name}.npz", **arrays)
    monkeypatch.setenv("MINICNN_DATA", str(tmp_path))


def test_there_are_five():
    assert len(LESSONS) == 5


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_runs(lesson, few_images, tmp_path, monkeypatch):
    from cuda_cpu.door import Door
    from cuda_cpu.floor import opened

    replayed = []
    replay = Recording.replay
    monkeypatch.setattr(
        Recording, "replay", lambda *args: (replayed.append(lesson), replay(*args))[1]
    )
    for path in EXAMPLES.glob("*.py"):  # pictures go into a folder beside the lesson
        (tmp_path / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", [lesson, "--epochs", "3", "--images", "20"])
    monkeypatch.setattr(backend, "_current", cupy)
    monkeypatch.setattr(implicit_gemm, "RESULTS", 0)  # so few images do what many would
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "common", raising=False)
    with opened(Door()) as door:
        runpy.run_path(str(tmp_path / lesson), run_name="__main__")
        assert backend.name() == "cupy"
    assert replayed  # the third step of an epoch's kind is a recorded one
    assert {"product_small", "add_bias"} <= door.launched
    assert list((tmp_path / "output").iterdir())
    sys.modules.pop("common", None)
