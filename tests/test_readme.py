"""What the README says, done."""

import re
from pathlib import Path

import numpy as np
import pytest

from minicnn.utils import set_random_seed

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README.read_text(encoding="utf-8"), re.M | re.S)


@pytest.fixture
def data_folder(tmp_path, monkeypatch, rng):
    """MNIST and CIFAR-10 in small, where the data sets are looked for first."""
    monkeypatch.setenv("MINICNN_DATA", str(tmp_path))
    for name, shape in (("mnist", (28, 28)), ("cifar10", (32, 32, 3))):
        x = rng.integers(0, 256, (10, *shape), np.uint8)
        y = np.arange(10, dtype=np.uint8)
        np.savez(tmp_path / f"{name}.npz", x_train=x, y_train=y, x_test=x, y_test=y)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.strip().splitlines()[0])
def test_example(block, data_folder, tmp_path, monkeypatch):
    for package in ("keras", "onnx", "onnxruntime"):
        if f"import {package}" in block:
            pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    set_random_seed(0)
    namespace = {"__name__": "readme"}
    exec(compile(block, "README.md", "exec"), namespace)
    if "accuracy" in namespace:
        assert namespace["accuracy"] > 0.9


def test_there_are_examples():
    assert len(BLOCKS) == 6


def test_the_two_lines_are_at_the_top():
    """``.ci/run`` reads them from here and runs them."""
    head = README.read_text(encoding="utf-8").split("\n## ")[0]
    lines = [line for line in head.splitlines() if line.startswith("python3 -m venv .venv && ")]
    assert len(lines) == 2
    assert lines[0].endswith("/python examples/quickstart.py")
    assert lines[1].endswith("/python -m pytest -n auto")


def test_every_named_path_is_there():
    text = re.sub(r"^```.*?^```$", "", README.read_text(encoding="utf-8"), flags=re.M | re.S)
    paths = re.findall(r"`((?:minicnn|examples|\.ci)/[^`*]+)`", text)
    assert paths
    missing = [path for path in paths if not (README.parent / path).exists()]
    assert not missing
