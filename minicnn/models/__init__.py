"""Models: which layer feeds which, and how they learn."""

from __future__ import annotations

import importlib

from minicnn.models.model import Model
from minicnn.models.sequential import Sequential

_IN_SAVING = ("clone_model", "load_model", "model_from_json", "save_model")
__all__ = ["Model", "Sequential", *_IN_SAVING]


def __getattr__(name: str):
    if name not in _IN_SAVING:
        raise AttributeError(f"module 'minicnn.models' has no attribute {name!r}")
    return getattr(importlib.import_module("minicnn.saving"), name)
