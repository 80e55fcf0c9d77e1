"""Callbacks: what happens beside the training steps, at hooks that ``fit`` calls on its way."""

from minicnn.callbacks.base import Callback, LambdaCallback
from minicnn.callbacks.callback_list import CallbackList
from minicnn.callbacks.learning_rate import LearningRateScheduler, ReduceLROnPlateau
from minicnn.callbacks.progbar import ProgbarLogger
from minicnn.callbacks.records import CSVLogger, History
from minicnn.callbacks.stopping import EarlyStopping, TerminateOnNaN

__all__ = [
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "TerminateOnNaN",
]
