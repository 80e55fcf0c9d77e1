"""Layers that end in an activation function: z = g(x), then y = f(z)."""

from __future__ import annotations

from typing import Any

from minicnn import activations
from minicnn.layers.base import Layer


class ActivatedLayer(Layer):
    """A layer in two parts: the pre-activation z = g(x), and the activation y = f(z).

    A subclass defines g, as ``preactivation`` and ``preactivation_backward``. They stand apart
    because the last layer of a classifier is differentiated together with the loss: where a softmax
    meets a cross-entropy, dL/dz is simply p - t (predicted probabilities minus targets), and
    training asks for z instead of y.

    Args:
        activation: a name, a member of ``minicnn.activations``, or ``None`` for the identity.
        kwargs: what every layer takes.
    """

    def __init__(self, activation: Any = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.activation = activations.get(activation)

    def forward(self, x: Any, training: bool) -> tuple[Any, Any]:
        z, saved = self.preactivation(x, training)
        y, saved_by_activation = self.activation.forward(self.ops, z)
        return y, (saved, saved_by_activation)

    def backward(self, dy: Any, saved: Any, input_gradient: bool = True) -> Any:
        saved, saved_by_activation = saved
        dz = self.activation.backward(self.ops, dy, saved_by_activation)
        return self.preactivation_backward(dz, saved, input_gradient)

    def preactivation(self, x: Any, training: bool) -> tuple[Any, Any]:
        """``(z, saved)``: z = g(x), and what the way back will need."""
        raise NotImplementedError

    def preactivation_backward(self, dz: Any, saved: Any, input_gradient: bool = True) -> Any:
        """dx, from dz; adds to the gradients of the weights in g."""
        raise NotImplementedError

    @classmethod
    def from_config(cls, config: Any) -> ActivatedLayer:
        activation = config.get("activation") if isinstance(config, dict) else None
        if isinstance(activation, dict) and activation.get("module") == "keras.layers":
            from minicnn.layers.table import from_dict

            config = {**config, "activation": from_dict(activation)}
        return super().from_config(config)
