"""predict: the way forward alone, batch after batch.

A batch costs something by itself: every weight is read, the cores are woken for every layer, and
Python goes through the network. So where it makes no difference to anybody, predict takes several
batches at once. That needs about as much memory as to train with one of them, since no layer's
output is kept longer than the next layer reads it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import activations
from minicnn.layers.table import LAYERS
from minicnn.models.batches import ArrayBatches
from minicnn.models.graph import Graph
from minicnn.models.unpacking import make_batches


class Predictor:
    """What a model answers. Mixed into ``Model``."""

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """The model's outputs for ``x``, as NumPy arrays: one, or a list or a dict for several
        outputs, as the model was drawn.

        Args:
            x: the inputs, as for ``fit``.
            batch_size: samples a step, 32 by default. Small batches of an array may be computed
                together, if no layer can tell and there are no ``callbacks``.
            verbose: 0 silent, 1 a progress bar, 2 a line at the end.
            steps: stop after so many batches.
            callbacks: a list of ``minicnn.callbacks``.

        Raises:
            ValueError, TypeError: if the data do not fit the model.
        """
        batches = make_batches(self, x, None, None, batch_size, steps, "steps", predicting=True)
        hooks = self._hooks(callbacks, verbose, steps=batches.steps)
        total, several = batches.steps, 1
        if isinstance(batches.source, ArrayBatches) and steps is None and not callbacks:
            samples = getattr(self.ops, "SAMPLES_AT_ONCE", 0)
            several = max(1, samples // batches.source.batch_size) if _apart(self.graph) else 1
            batches.source.join(several)
        hooks.on_predict_begin()
        results, done = [], 0
        for inputs, _, _ in batches:
            hooks.on_predict_batch_begin(done)
            results.append(self._predict_step(inputs))
            done += several
            last = done if total is None else min(done, total)
            hooks.on_predict_batch_end(last - 1, {"outputs": results[-1]})
        hooks.on_predict_end()
        if not results:
            raise ValueError("x: expected at least one batch, got an empty data set")
        outputs = [np.concatenate(parts) for parts in zip(*results, strict=True)]
        return self._as_drawn(outputs if self.gives_list else outputs[0])

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch."""
        return self.predict(x, batch_size=2**62, verbose=0)

    def _predict_step(self, x: list[Any]) -> list[Any]:
        xs = [self.ops.asarray(part, self.dtype) for part in x]
        return [self.ops.to_numpy(y) for y in self.graph.forward(xs, False, keep=False)[0]]


def _apart(graph: Graph) -> bool:
    """Whether what comes out for a sample depends on this sample alone, for certain: somebody's own
    layer or activation may look at the whole batch, and so does a softmax along the first axis."""
    known = all(_looks_at_samples_one_by_one(node.layer) for node in graph.nodes)
    return known and all(len(tensor.shape) > 1 for node in graph.nodes for tensor in node.outputs)


def _looks_at_samples_one_by_one(layer: Any) -> bool:
    activation = getattr(layer, "activation", activations.linear)
    return (
        type(layer) in _LAYERS
        and type(activation) in _ACTIVATIONS
        and activation.parameters.get("axis", -1) == -1
        and getattr(layer, "axis", -1) in (-1, [-1])
    )


_LAYERS = set(LAYERS.values())
_ACTIVATIONS = {
    type(a) for a in vars(activations).values() if isinstance(a, activations.Activation)
}
