"""Weights that are updated on the way back, each piece as soon as its gradient is there.

To update the weights of a large dense product takes a third of the time of the product itself: the
weights come through memory once more, and so do their gradient and what an optimizer remembers of
them. But the product that computes the gradient has just read the weights, for the gradient of its
inputs. If they are updated then and there, they need not come again; and the gradient, of which
only a piece is wanted at a time, never leaves the core.

So an optimizer can be asked for its update before there is a gradient. It gets an
:class:`AwaitedGradient` in its place, which keeps the formula with all its numbers until then.
When that may be done the model knows (``models/step.py``): nobody must want to see the gradient
as a whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.backends.numba.threads import crew, keep_elementwise, launch_elementwise

# The gradients of fewer weights are in a cache until the update.
LARGE = 2**16
# So many weights a core updates in a nanosecond, or more.
RATE = 2


def carry_out(kernel: Any, *arguments: Any) -> None:
    """Update all weights.

    Args:
        kernel, arguments: as for :class:`Update`.
    """
    launch_elementwise(kernel, crew(arguments[0].size // RATE), *arguments)


class Update:
    """A formula with its vectors and numbers, to be carried out for any part of the weights.

    Args:
        kernel: one of ``updates_kernels``.
        arguments: the weights, their gradient, and the rest.
    """

    def __init__(self, kernel: Any, *arguments: Any):
        self._kernel, self._arguments = kernel, arguments
        self._kept: tuple[np.ndarray, int] | None = None

    def __call__(self) -> None:
        """Update all weights; their gradient is there."""
        carry_out(self._kernel, *self._arguments)

    def part(self, first: int, last: int) -> None:
        """Update the weights from ``first`` to ``last``."""
        of_part = (a[first:last] if isinstance(a, np.ndarray) else a for a in self._arguments)
        carry_out(self._kernel, *of_part)

    def for_kernels(self) -> tuple[int, int]:
        """The address of a function that does it, and the place that this wants to be told."""
        if self._kept is None:
            self._kept = keep_elementwise(self._kernel, *self._arguments)
        memory, function = self._kept
        return function, memory.ctypes.data


def awaited_gradient(parameters: Any) -> AwaitedGradient | None:
    """What can stand for the gradient of a ``ParameterVector`` before there is one.

    ``None`` if none of its weights are many enough to gain from that.
    """
    sizes = [gradient.size for gradient in parameters.gradients]
    return AwaitedGradient(parameters) if max(sizes, default=0) >= LARGE else None


class AwaitedGradient:
    """Takes the place of the gradient in an optimizer's ``update``, before there is one.

    Args:
        parameters: the ``ParameterVector`` whose gradient is meant.

    Attributes:
        vector: where the gradient will be, apart from the pieces that have been used by then.
    """

    def __init__(self, parameters: Any):
        self.vector = parameters.gradient
        self._update: Any = None
        self._pieces = [
            Piece(place.start, gradient) if gradient.size >= LARGE else None
            for place, gradient in zip(parameters.slices, parameters.gradients, strict=True)
        ]

    def postpone(self, update: Callable[[], None]) -> None:
        """What is to be done with the gradient: an :class:`Update`, or another function that does
        it for all weights together."""
        self._update = update
        for piece in self._pieces:
            if piece is not None:
                piece.update, piece.used = update, False

    @property
    def pieces(self) -> list[Piece | None]:
        """For each variable what ``dense_backward`` takes in dW's place if it shall update it."""
        in_parts = isinstance(self._update, Update)
        return self._pieces if in_parts else [None] * len(self._pieces)

    def finish(self) -> None:
        """Update all weights that were not updated on the way."""
        used = [piece for piece in self.pieces if piece is not None and piece.used]
        if not used:
            self._update()
            return
        starts = [0, *(piece.first + piece.gradient.size for piece in used)]
        ends = [*(piece.first for piece in used), len(self.vector)]
        for first, last in zip(starts, ends, strict=True):
            if first < last:
                self._update.part(first, last)


class Piece:
    """One variable of those that await their gradient.

    Args:
        first: where it begins in the vector of weights.
        gradient: room for its gradient, of its shape.

    Attributes:
        update: an :class:`Update` of the vector.
        used: whether this variable has been updated.
    """

    def __init__(self, first: int, gradient: np.ndarray):
        self.first, self.gradient = first, gradient
        self.update: Any = None
        self.used = False

    def use(self) -> tuple[int, int, int]:
        """What a kernel needs in order to update the variable: the last arguments of
        ``dense_kernels.backward``."""
        self.used = True
        return *self.update.for_kernels(), self.first
