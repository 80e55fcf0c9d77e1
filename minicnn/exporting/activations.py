"""What each activation function is in ONNX."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from minicnn.exporting.builder import Builder, Value


def activate(b: Builder, activation: Any, value: Value) -> Value:
    """y = f(z).

    Raises:
        ValueError: if the function is not one of the library's.
    """
    name, parameters = getattr(activation, "name", None), getattr(activation, "parameters", {})
    if name in ("softmax", "log_softmax"):
        return _softmax(b, value, name, parameters["axis"])
    if name not in _TABLE or not type(activation).__module__.startswith("minicnn."):
        raise ValueError(f"activation {name!r}: there is no way to write it in ONNX")
    return replace(value, name=_TABLE[name](b, value.name, **parameters))


def _relu(
    b: Builder, z: str, negative_slope: float, max_value: float | None, threshold: float
) -> str:
    if threshold:
        # Below the threshold y is a line through it, and at it y jumps: two cases.
        below = b.op("Mul", b.op("Sub", z, b.constant(threshold)), b.constant(negative_slope))
        y = b.op("Where", b.op("Greater", z, b.constant(threshold)), z, below)
    else:
        y = b.op("LeakyRelu", z, alpha=negative_slope) if negative_slope else b.op("Relu", z)
    return y if max_value is None else b.op("Min", y, b.constant(max_value))


def _gelu(b: Builder, z: str, approximate: bool) -> str:
    if approximate:
        cubic = b.op("Mul", b.op("Mul", z, b.op("Mul", z, z)), b.constant(0.044715))
        inner = b.op("Mul", b.op("Add", z, cubic), b.constant(math.sqrt(2 / math.pi)))
        p = b.op("Tanh", inner)
    else:
        p = b.op("Erf", b.op("Mul", z, b.constant(math.sqrt(0.5))))
    return b.op("Mul", b.op("Mul", z, b.constant(0.5)), b.op("Add", p, b.constant(1.0)))


def _softmax(b: Builder, value: Value, name: str, axis: Any) -> Value:
    value = b.nhwc(value)
    if not isinstance(axis, tuple):
        kind = "Softmax" if name == "softmax" else "LogSoftmax"
        return replace(value, name=b.op(kind, value.name, axis=axis))
    axes = b.whole(*axis)
    z = b.op("Sub", value.name, b.op("ReduceMax", value.name, axes))
    if name == "log_softmax":
        return replace(value, name=b.op("Sub", z, b.op("ReduceLogSumExp", z, axes)))
    e = b.op("Exp", z)
    return replace(value, name=b.op("Div", e, b.op("ReduceSum", e, axes)))


_TABLE: dict[str, Callable[..., str]] = {
    "linear": lambda b, z: z,
    "relu": _relu,
    "relu6": lambda b, z: b.op("Clip", z, b.constant(0.0), b.constant(6.0)),
    "leaky_relu": lambda b, z, negative_slope: b.op("LeakyRelu", z, alpha=negative_slope),
    "elu": lambda b, z, alpha: b.op("Elu", z, alpha=alpha),
    "selu": lambda b, z: b.op("Selu", z),
    "gelu": _gelu,
    "sigmoid": lambda b, z: b.op("Sigmoid", z),
    "tanh": lambda b, z: b.op("Tanh", z),
    "softplus": lambda b, z: b.op("Softplus", z),
    "softsign": lambda b, z: b.op("Softsign", z),
    "silu": lambda b, z: b.op("Mul", z, b.op("Sigmoid", z)),
    "mish": lambda b, z: b.op("Mul", z, b.op("Tanh", b.op("Softplus", z))),
    "exponential": lambda b, z: b.op("Exp", z),
    "hard_sigmoid": lambda b, z: b.op("HardSigmoid", z, alpha=1 / 6, beta=0.5),
    "hard_silu": lambda b, z: b.op("HardSwish", z),
}
