"""minicnn: convolutional neural networks by hand, under Keras's API.

Everything is imported when it is first asked for, so that ``import minicnn`` costs hardly more than
``import numpy``::

    import minicnn
    from minicnn import layers, models

    model = models.Sequential([layers.Dense(10, activation="softmax")])
"""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

_MODULES = (
    "activations",
    "backend",
    "callbacks",
    "constraints",
    "data",
    "datasets",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "plot",
    "random",
    "regularizers",
    "saving",
    "schedules",
    "utils",
)
_NAMES = {
    "Input": "minicnn.layers",
    "Layer": "minicnn.layers",
    "Model": "minicnn.models",
    "Sequential": "minicnn.models",
    "Variable": "minicnn.variables",
    "gradient_check": "minicnn.checking",
    "trace": "minicnn.tracing",
}
__all__ = ["__version__", *_MODULES, *_NAMES]


def __getattr__(name: str):
    if name in _NAMES:
        value = getattr(importlib.import_module(_NAMES[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"minicnn.{name}")
    else:
        raise AttributeError(f"module 'minicnn' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
