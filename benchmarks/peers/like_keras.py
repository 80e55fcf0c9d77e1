"""minicnn, or Keras on one of its backends. One text for both."""

from __future__ import annotations

import importlib
from typing import Any

from benchmarks.course import CourseModel
from benchmarks.peers.samples import one_hot


class LikeKeras:
    """Trains as the lessons do: ``fit`` on arrays, with the accuracy as a metric.

    Args:
        package: ``"minicnn"`` or ``"keras"``. It is imported here.
    """

    def __init__(self, package: str):
        self.kit = importlib.import_module(package)

    @property
    def backend(self) -> str:
        """What does the arithmetic."""
        backend = self.kit.backend
        return backend.backend() if hasattr(backend, "backend") else backend.name()

    def build(
        self, course: CourseModel, dropout: bool = True, optimizer: str | None = None
    ) -> None:
        """Draw the model and compile it; ``optimizer`` takes the place of the lesson's."""
        self.course = course
        self.model = course.build(self.kit, dropout)
        self.model.compile(
            optimizer=optimizer or course.optimizer, loss=course.loss, metrics=["accuracy"]
        )

    def set_weights(self, weights: list[Any]) -> None:
        """Arrays in Keras's order and layout."""
        self.model.set_weights(weights)

    def prepare(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Pictures and labels in the form that :meth:`fit` takes."""
        return x, (one_hot(y) if self.course.loss == "categorical_crossentropy" else y)

    def fit(self, x: Any, y: Any) -> float:
        """One epoch; returns its mean loss."""
        history = self.model.fit(x, y, batch_size=self.course.batch_size, epochs=1, verbose=0)
        return float(history.history["loss"][0])

    def predict(self, x: Any) -> Any:
        """Probabilities (n, classes)."""
        return self.model.predict(x, batch_size=self.course.batch_size, verbose=0)
