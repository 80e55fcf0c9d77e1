"""Random data of the right shape. What a picture shows makes no step longer or shorter."""

from __future__ import annotations

from typing import Any

from benchmarks.course import CourseModel

CLASSES = 10


def samples(model: CourseModel, count: int, seed: int = 0) -> tuple[Any, Any]:
    """``(x, y)``: float32 pictures (count, h, w, c) in [0, 1), and int64 labels (count,)."""
    import numpy as np

    rng = np.random.default_rng(seed)
    x = rng.random((count, *model.input_shape), np.float32)
    return x, rng.integers(0, CLASSES, count)


def one_hot(y: Any) -> Any:
    """Labels (n,) as float32 rows (n, classes) with a 1 at the label."""
    import numpy as np

    return np.eye(CLASSES, dtype=np.float32)[y]
