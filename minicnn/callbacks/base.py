"""The hooks that a callback may define.

The order of a training with validation::

    on_train_begin
        on_epoch_begin(0)
            on_train_batch_begin(0)  on_train_batch_end(0)  on_train_batch_begin(1) ...
            on_test_begin  on_test_batch_begin(0)  on_test_batch_end(0) ...  on_test_end
        on_epoch_end(0)
        on_epoch_begin(1) ...
    on_train_end
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from minicnn.backend import floor_of

Logs: TypeAlias = "dict[str, Any] | None"
# As training has them: perhaps numbers on a GPU, perhaps a function that fetches them.
RawLogs: TypeAlias = "Logs | Callable[[], dict[str, Any]]"


class Callback:
    """Something to do at certain moments of a training. Override the hooks you need:

    >>> class Patience(Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         if logs["loss"] < 0.1:
    ...             self.model.stop_training = True

    ``logs`` maps names to Python floats: at a batch the running means of loss and metrics, at the
    end of an epoch also the validation's, with ``val_`` before their names. What a callback writes
    into an epoch's ``logs``, the callbacks after it see, and the history keeps.

    Attributes:
        model: the model that is being trained.
        params: ``{"epochs": ..., "steps": batches an epoch or None, "verbose": ...}``.
        companions: all callbacks of the training, this one among them.
        state: the names of attributes that decide what the callback will do next (numbers, texts,
            and lists of arrays). ``BackupAndRestore`` keeps them.
        runs_last: whether its hooks come after those of the callbacks that stand behind it.
    """

    model: Any = None
    params: dict[str, Any] | None = None
    companions: Sequence[Callback] = ()
    state: tuple[str, ...] = ()
    runs_last = False

    # Whether the batch hooks take the logs as training has them. The progress bar does: it looks at
    # few of them, and looking at a number on a GPU means waiting for it.
    takes_raw_logs = False

    def set_model(self, model: Any) -> None:
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params

    def on_train_begin(self, logs: Logs = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs = None) -> None:
        """After the last epoch, with its logs."""

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Before each epoch, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """After each epoch and its validation."""

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before each training step, counted from 0 in each epoch."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After each training step."""
        self.on_batch_end(batch, logs)

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Another name of ``on_train_batch_begin``."""

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Another name of ``on_train_batch_end``."""

    def on_test_begin(self, logs: Logs = None) -> None:
        """Before an evaluation or a validation."""

    def on_test_end(self, logs: Logs = None) -> None:
        """After an evaluation or a validation."""

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before each batch of an evaluation or a validation."""

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After each batch of an evaluation or a validation."""

    def on_predict_begin(self, logs: Logs = None) -> None:
        """Before a prediction."""

    def on_predict_end(self, logs: Logs = None) -> None:
        """After a prediction."""

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before each batch of a prediction."""

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After each batch of a prediction; ``logs["outputs"]`` are its outputs."""


HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))


class LambdaCallback(Callback):
    """A callback made of functions, each given under the name of its hook.

    >>> seen = []
    >>> callback = LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs["loss"]))
    >>> callback.on_epoch_end(0, {"loss": 0.5})
    >>> seen
    [0.5]

    Raises:
        TypeError: if there is no such hook, or something is no function.
    """

    def __init__(self, **hooks: Callable[..., Any] | None):
        for name, function in hooks.items():
            if name not in HOOKS:
                raise TypeError(f"LambdaCallback: no hook {name!r}; there are {', '.join(HOOKS)}")
            if function is None:
                continue
            if not callable(function):
                raise TypeError(f"{name}: expected a function, got {function!r}")
            setattr(self, name, function)


def overrides(callback: Callback, hook: str) -> bool:
    """Whether calling this hook of the callback does anything."""
    names = [hook]
    if hook.startswith("on_train_batch_"):
        names.append(hook.replace("train_batch", "batch"))
    return any(
        name in vars(callback) or getattr(type(callback), name) is not getattr(Callback, name)
        for name in names
    )


def as_floats(logs: RawLogs) -> dict[str, Any]:
    """A new dict, sorted by name, with Python floats in the place of all numbers, and arrays of
    several numbers (one for each class, say) as NumPy arrays."""
    if callable(logs):
        logs = logs()
    return {name: _as_float(value) for name, value in sorted((logs or {}).items())}


def _as_float(value: Any) -> Any:
    if isinstance(value, (int, float)) or getattr(value, "ndim", None) == 0:
        return float(value)
    return floor_of(value).to_numpy(value) if hasattr(value, "ndim") else value
