"""minicnn, or Keras on one of its backends. One text for both."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from typing import Any

from benchmarks.course import CourseModel
from benchmarks.peers.samples import one_hot


class LikeKeras:
    """Trains as the lessons do: ``fit`` on arrays, with the accuracy as a metric.

    Args:
        package: ``"minicnn"`` or ``"keras"``. It is imported here.
        device: ``"cpu"`` or ``"gpu"``.

    Attributes:
        epoch_seconds: on a GPU, what the last epoch took from its beginning to the end of all that
            the GPU had to do. minicnn brings the data to the GPU before the first epoch of a
            ``fit``, which trains for many epochs elsewhere, but for one here.

    Raises:
        RuntimeError: if there should be a GPU and the library sees none.
    """

    def __init__(self, package: str, device: str = "cpu"):
        self.kit = importlib.import_module(package)
        self.on_gpu, self.epoch_seconds = device == "gpu", None
        if self.on_gpu:
            self._wait = _gpu_of(self.backend)

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
        options = {"batch_size": self.course.batch_size, "epochs": 1, "verbose": 0}
        if self.on_gpu:
            options["callbacks"] = [self._stopwatch()]
        history = self.model.fit(x, y, **options)
        return float(history.history["loss"][0])

    def _stopwatch(self) -> Any:
        """A callback that measures the epoch."""
        peer = self

        class Stopwatch(self.kit.callbacks.Callback):
            def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
                peer._wait()  # minicnn's data are still on their way
                self.begun = time.perf_counter()

            def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
                peer._wait()
                peer.epoch_seconds = time.perf_counter() - self.begun

        return Stopwatch()

    def predict(self, x: Any) -> Any:
        """Probabilities (n, classes)."""
        return self.model.predict(x, batch_size=self.course.batch_size, verbose=0)


def _gpu_of(backend: str) -> Callable[[], Any]:
    """What waits until a backend's GPU has done all that it was asked for.

    Raises:
        RuntimeError: if the backend sees no GPU.
    """
    if backend == "cupy":
        from minicnn.backends.cupy import device

        return device.door().synchronize
    library = importlib.import_module(backend)
    if backend == "torch":
        from benchmarks.peers.torch_peer import use_gpu

        use_gpu(library)
        return library.cuda.synchronize
    if backend == "jax" and library.default_backend() == "gpu":
        return lambda: None  # a step is one program: its loss is there when its weights are
    if backend == "tensorflow" and library.config.list_physical_devices("GPU"):
        library.config.experimental.enable_tensor_float_32_execution(False)
        return library.experimental.sync_devices
    raise RuntimeError(f"{backend} sees no GPU")
