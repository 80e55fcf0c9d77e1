"""All callbacks of a training as one."""

from __future__ import annotations

from typing import Any

from minicnn.callbacks.base import HOOKS, Callback, LambdaCallback, RawLogs, as_floats, overrides
from minicnn.callbacks.progbar import ProgbarLogger
from minicnn.callbacks.records import History


class CallbackList:
    """Calls the hooks of several callbacks, in their order.

    Which callbacks define which hooks is found out once, so a batch costs nothing for hooks that
    nobody defines. Callbacks get the logs as Python floats, sorted by name. Whoever calls a hook
    may give a function that returns the logs instead: it is called only if a callback wants to see
    them.

    Args:
        callbacks: a callback, or a list of them, or ``None``.
        add_history: whether to append a ``History`` if there is none.
        add_progbar: whether to append a ``ProgbarLogger`` if there is none.
        model: what the callbacks see as ``model``.
        params: what they see as ``params``.

    Attributes:
        history: the ``History`` among the callbacks, or ``None``.
        runs_others: whether there is somebody's own code among them, which may look at anything.

    Raises:
        TypeError: if something is no callback.
    """

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        params: dict[str, Any] | None = None,
    ):
        self.callbacks = _flat(callbacks)
        for wanted, kind in ((add_history, History), (add_progbar, ProgbarLogger)):
            if wanted and not any(isinstance(c, kind) for c in self.callbacks):
                self.callbacks.append(kind())
        self.callbacks.sort(key=lambda callback: callback.runs_last)
        self.history = next((c for c in self.callbacks if isinstance(c, History)), None)
        self.runs_others = not all(_ours(callback) for callback in self.callbacks)
        for callback in self.callbacks:
            callback.companions = self.callbacks
            if model is not None:
                callback.set_model(model)
            if params is not None:
                callback.set_params(params)
        self._calls = {
            hook: [
                (getattr(callback, hook), callback.takes_raw_logs and "batch" in hook)
                for callback in self.callbacks
                if overrides(callback, hook)
            ]
            for hook in HOOKS
        }

    def on_train_begin(self, logs: RawLogs = None) -> None:
        self._call("on_train_begin", (), logs)

    def on_train_end(self, logs: RawLogs = None) -> None:
        self._call("on_train_end", (), logs)

    def on_epoch_begin(self, epoch: int, logs: RawLogs = None) -> None:
        self._call("on_epoch_begin", (epoch,), logs)

    def on_epoch_end(self, epoch: int, logs: RawLogs = None) -> None:
        self._call("on_epoch_end", (epoch,), logs)

    def on_train_batch_begin(self, batch: int, logs: RawLogs = None) -> None:
        self._call("on_train_batch_begin", (batch,), logs)

    def on_train_batch_end(self, batch: int, logs: RawLogs = None) -> None:
        self._call("on_train_batch_end", (batch,), logs)

    def on_test_begin(self, logs: RawLogs = None) -> None:
        self._call("on_test_begin", (), logs)

    def on_test_end(self, logs: RawLogs = None) -> None:
        self._call("on_test_end", (), logs)

    def on_test_batch_begin(self, batch: int, logs: RawLogs = None) -> None:
        self._call("on_test_batch_begin", (batch,), logs)

    def on_test_batch_end(self, batch: int, logs: RawLogs = None) -> None:
        self._call("on_test_batch_end", (batch,), logs)

    def on_predict_begin(self, logs: RawLogs = None) -> None:
        self._call("on_predict_begin", (), logs)

    def on_predict_end(self, logs: RawLogs = None) -> None:
        self._call("on_predict_end", (), logs)

    def on_predict_batch_begin(self, batch: int, logs: RawLogs = None) -> None:
        self._call("on_predict_batch_begin", (batch,), logs)

    def on_predict_batch_end(self, batch: int, logs: RawLogs = None) -> None:
        self._call("on_predict_batch_end", (batch,), logs)

    def _call(self, hook: str, place: tuple[int, ...], logs: RawLogs) -> None:
        floats = None  # one dict for all: a callback sees what those before it have added
        for function, takes_raw_logs in self._calls[hook]:
            if takes_raw_logs:
                function(*place, logs)
                continue
            if floats is None:
                floats = as_floats(logs)
            function(*place, floats)


def _ours(callback: Callback) -> bool:
    kind = type(callback)
    return kind.__module__.startswith("minicnn.callbacks.") and kind is not LambdaCallback


def _flat(callbacks: Any) -> list[Callback]:
    if callbacks is None:
        return []
    if isinstance(callbacks, CallbackList):
        return list(callbacks.callbacks)
    if isinstance(callbacks, (list, tuple)):
        return [callback for part in callbacks for callback in _flat(part)]
    if not isinstance(callbacks, Callback):
        raise TypeError(f"callbacks: expected Callback objects, got {callbacks!r}")
    return [callbacks]
