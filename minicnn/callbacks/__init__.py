"""Callbacks: what happens beside the training steps, at hooks that ``fit`` calls on its way."""

from minicnn.callbacks.backup import BackupAndRestore
from minicnn.callbacks.base import Callback, LambdaCallback
from minicnn.callbacks.callback_list import CallbackList
from minicnn.callbacks.checkpoint import ModelCheckpoint
from minicnn.callbacks.learning_rate import LearningRateScheduler, ReduceLROnPlateau
from minicnn.callbacks.progbar import ProgbarLogger
from minicnn.callbacks.records import CSVLogger, History
from minicnn.callbacks.stopping import EarlyStopping, TerminateOnNaN
from minicnn.callbacks.tensorboard import TensorBoard

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "TensorBoard",
    "TerminateOnNaN",
]
