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
    "preprocessing",
    "random",
    "regularizers",
    "saving",
    "schedules",
    "utils",
)
_NAMES = {
    "Initializer": "minicnn.initializers",
    "Input": "minicnn.layers",
    "Layer": "minicnn.layers",
    "Loss": "minicnn.losses",
    "Metric": "minicnn.metrics",
    "Model": "minicnn.models",
    "Optimizer": "minicnn.optimizers",
    "Regularizer": "minicnn.regularizers",
    "Sequential": "minicnn.models",
    "Variable": "minicnn.variables",
    "gradient_check": "minicnn.checking",
    "trace": "minicnn.tracing",
}
# What Keras has and this library lacks, and what to write instead.
_INSTEAD = {
    "applications": "there are no trained networks here; draw one, or load a .keras file",
    "ops": "on arrays use NumPy; between layers use the merging layers, or write a Layer",
    "config": "floatx, set_floatx, epsilon and image_data_format stand in minicnn.backend",
    "mixed_precision": "there is float32, and float64 with minicnn.backend.set_floatx",
}
__all__ = ["__version__", *_MODULES, *_NAMES]


def __getattr__(name: str):
    if name in _NAMES:
        value = getattr(importlib.import_module(_NAMES[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"minicnn.{name}")
    else:
        from minicnn.registry import absent

        raise absent("minicnn", name, _INSTEAD)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
