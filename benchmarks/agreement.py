"""Whether a fast floor computes what the textbook floor computes, over whole models."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.course import CourseModel
from benchmarks.peers.samples import one_hot, samples

BATCH = 16
STEPS = 6  # enough that the last ones are replayed from a recording
DRAWS = 3  # of weights, for the gradients


def of_model(course: CourseModel, floor: str) -> dict[str, Any]:
    """Compare the gradients of one batch, and two trainings with each other.

    A gradient jumps where a ReLU's input passes 0 and where two pixels of a window are equally
    large. In float32 it happens now and then that rounding puts the two floors on different sides
    of such a place, and their gradients apart by per cents; with other weights they agree. What is
    computed wrongly is wrong with all weights: so the middle one of three draws counts. In float64,
    where that is a billion times as rare, the worst of them does.

    Returns:
        ``"float32"`` and ``"float64"``: the largest error of any gradient, relative to the largest
        element of that gradient on the textbook floor; NaN if it is that in any draw; ``"same"``:
        whether two trainings from the same weights end in the same weights, to the bit.
    """
    errors = {
        dtype: float(counts([gradient_error(course, floor, dtype, seed) for seed in range(DRAWS)]))
        for dtype, counts in (("float32", np.median), ("float64", np.max))
    }
    first, second = (trained(course, floor) for _ in range(2))
    same = all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    return {**errors, "same": same}


def gradient_error(course: CourseModel, floor: str, dtype: str, seed: int = 0) -> float:
    """The largest relative error of a floor's gradients, without dropout.

    Args:
        seed: of the weights.
    """
    import minicnn

    x, y = batch(course, BATCH)
    found = {}
    minicnn.utils.set_random_seed(seed)
    weights = None
    for name in ("numpy", floor):
        with computing_on(name, dtype):
            model = compiled(course, dropout=False)
            if weights is None:
                weights = model.get_weights()
            model.set_weights(weights)
            found[name] = model.compute_gradients(x.astype(dtype), y)[1]
    return max(
        float(np.abs(found[floor][i] - exact).max() / np.abs(exact).max())
        for i, exact in enumerate(found["numpy"])
    )


def trained(course: CourseModel, floor: str) -> list[np.ndarray]:
    """The weights after some steps with dropout, from weights that are always the same."""
    import minicnn

    x, y = batch(course, STEPS * BATCH)
    with computing_on(floor, "float32"):
        minicnn.utils.set_random_seed(7)
        model = compiled(course, dropout=True)
        model.fit(x, y, batch_size=BATCH, epochs=1, verbose=0)
        return model.get_weights()


def same_masks(floor: str) -> bool:
    """Whether dropout keeps the same units as on the textbook floor."""
    from minicnn.backends import numpy as textbook

    with computing_on(floor, "float32") as ops:
        x = np.ones((64, 1031), np.float32)
        for rate, seed, step in ((0.5, 1, 1), (0.25, 2**40 + 3, 9), (0.1, 5, 2**33)):
            _, mask = ops.dropout(ops.asarray(x), rate, seed, step)
            if not np.array_equal(ops.to_numpy(mask), textbook.dropout(x, rate, seed, step)[1]):
                return False
    return True


def batch(course: CourseModel, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples, with targets as the model's loss wants them."""
    x, y = samples(course, count)
    return x, one_hot(y) if course.loss == "categorical_crossentropy" else y


def compiled(course: CourseModel, dropout: bool) -> Any:
    """The model on the floor in use."""
    import minicnn

    model = course.build(minicnn, dropout)
    model.compile(course.optimizer, course.loss)
    return model


@contextlib.contextmanager
def computing_on(floor: str, dtype: str) -> Iterator[Any]:
    """While this lasts, models are built on that floor and compute in ``dtype``."""
    import minicnn

    before = minicnn.backend.current(), minicnn.backend.floatx()
    minicnn.backend.use(floor)
    minicnn.backend.set_floatx(dtype)
    try:
        yield minicnn.backend.current()
    finally:
        minicnn.backend.use(before[0].__name__.rpartition(".")[2])
        minicnn.backend.set_floatx(before[1])
