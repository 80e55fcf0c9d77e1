"""What all optimizers share: clipping, weight decay, learning rates that change, memory.

The step itself is ``_apply``: clip the gradients, decay the weights, and call ``update``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from minicnn import backend
from minicnn.configurable import Configurable, serialize
from minicnn.schedules import LearningRateSchedule, from_dict
from minicnn.validation import number
from minicnn.variables import ParameterVector, Variable

LearningRate: TypeAlias = "float | LearningRateSchedule | Callable[[], float]"
_PLAIN = (int, float, str, type(None))  # bool is an int
# What these arguments of Keras 2 are called today.
_RENAMED = {
    "lr": "write learning_rate",
    "decay": "write learning_rate=schedules.InverseTimeDecay(learning_rate, 1, decay)",
}


class Rate(float):
    """The learning rate that an optimizer shows: a number that, like the variable that Keras shows,
    can also be asked for ``numpy()`` or ``value``, and be given another value with ``assign``."""

    def __new__(cls, value: float, optimizer: Optimizer):
        rate = super().__new__(cls, value)
        rate._optimizer = optimizer
        return rate

    def numpy(self) -> np.float32:
        """The number, as NumPy has it."""
        return np.float32(self)

    @property
    def value(self) -> np.float32:
        """The number, as NumPy has it."""
        return self.numpy()

    def assign(self, value: float) -> None:
        """Set the optimizer's learning rate."""
        self._optimizer.learning_rate = value

    def __reduce__(self) -> tuple[type[float], tuple[float]]:
        return float, (float(self),)


class Optimizer(Configurable):
    """The base class. Write your own with ``slot_values`` and ``update``.

    >>> class SignDescent(Optimizer):
    ...     def update(self, ops, w, g, lr):
    ...         w -= lr * np.sign(g)
    >>> weights = ParameterVector([Variable(np.array([1.0, 2.0]))], backend.current())
    >>> weights.gradient[:2] = 3.0, -0.1
    >>> optimizer = SignDescent(learning_rate=0.5)
    >>> optimizer.apply(weights)
    >>> weights.variables[0].value, optimizer.iterations
    (array([0.5, 2.5]), 1)

    Args:
        learning_rate: a number, a schedule, or a function without arguments that returns a number.
        weight_decay: each step takes ``learning_rate * weight_decay`` of every weight away.
        clipnorm: the gradient of each weight array is scaled down to this length if it is longer.
        clipvalue: every element of the gradient is cut off at plus and minus this value.
        global_clipnorm: the gradient of all weights together is scaled down to this length.
        name: of the optimizer; by default the class's, numbered as Keras does.

    Attributes:
        iterations: how many steps have been done.
        rate_cell: where a step that a floor has recorded reads the learning rate; else ``None``.
        slots: what the optimizer remembers about every weight, by name: flat vectors that run along
            the vector of weights.

    Raises:
        ValueError: if a number is out of range, or more than one of ``clipnorm``, ``clipvalue`` and
            ``global_clipnorm`` is given.
        TypeError: if something is not a number, or there is no such argument.
    """

    keras_module = "keras.optimizers"
    keras_only = {
        "use_ema": (False,),
        "ema_momentum": None,
        "ema_overwrite_frequency": None,
        "gradient_accumulation_steps": (None,),
        "loss_scale_factor": (None,),
    }

    def __init__(
        self,
        learning_rate: LearningRate,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        name: str | None = None,
        **unknown: Any,
    ):
        for argument in unknown:
            hint = f"; {_RENAMED[argument]}" if argument in _RENAMED else ""
            raise TypeError(f"{type(self).__name__}: unknown argument {argument!r}{hint}")
        self._learning_rate = _checked_rate(learning_rate)
        self.weight_decay = (
            None if weight_decay is None else number(weight_decay, "weight_decay", "[0, inf)")
        )
        clips = {
            "clipnorm": clipnorm,
            "clipvalue": clipvalue,
            "global_clipnorm": global_clipnorm,
        }
        given = [f"{key}={value}" for key, value in clips.items() if value is not None]
        if len(given) > 1:
            raise ValueError(
                "clipnorm, clipvalue and global_clipnorm: expected at most one of them, got "
                + ", ".join(given)
            )
        for key, value in clips.items():
            setattr(self, key, None if value is None else number(value, key, "(0, inf)"))
        self.name = name or backend.auto_name(type(self).__name__)
        self.iterations = 0
        self.rate_cell: Any = None
        self.slots: dict[str, Any] = {}
        self._parameters: ParameterVector | None = None
        self._parked: dict[int, tuple[Variable, dict[str, Any]]] = {}
        self._undecayed: tuple[set[int], tuple[str, ...]] = (set(), ())

    # -- what an optimizer defines ------------------------------------------------------------

    def slot_values(self) -> dict[str, float]:
        """The slots by name, each with the value that it starts from."""
        return {}

    def update(self, ops: ModuleType, w: Any, g: Any, lr: float) -> None:
        """One step: change the vector of weights and ``self.slots`` in place."""
        raise NotImplementedError(f"{type(self).__name__} does not define update(ops, w, g, lr)")

    def settings(self) -> tuple[tuple[str, Any], ...]:
        """The numbers and switches that the update is made with, the learning rate apart."""
        return tuple(
            [
                (name, value)
                for name, value in vars(self).items()
                if name[0] != "_" and name != "iterations" and isinstance(value, _PLAIN)
            ]
        )

    # -- the learning rate --------------------------------------------------------------------

    @property
    def learning_rate(self) -> Rate:
        """The learning rate of the next step."""
        return Rate(self.present_rate(), self)

    @learning_rate.setter
    def learning_rate(self, value: LearningRate) -> None:
        is_number = not callable(value)
        if is_number and isinstance(self._learning_rate, LearningRateSchedule):
            raise TypeError(
                f"learning_rate of {self.name!r}: it follows a schedule "
                f"({type(self._learning_rate).__name__}), so it cannot be set to {value!r}. Give "
                "the optimizer a number when you make it, or set another schedule"
            )
        self._learning_rate = _checked_rate(value)

    def present_rate(self) -> float:
        """The same as a plain number, for the update."""
        rate = self._learning_rate
        if isinstance(rate, LearningRateSchedule):
            return float(rate(self.iterations))
        return float(rate()) if callable(rate) else rate

    @property
    def schedule(self) -> LearningRateSchedule | None:
        """The schedule that the learning rate follows, if it does."""
        rate = self._learning_rate
        return rate if isinstance(rate, LearningRateSchedule) else None

    @property
    def has_fixed_rate(self) -> bool:
        """Whether the learning rate is a number, and not what a schedule or a function gives."""
        return not callable(self._learning_rate)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor, with the present learning rate."""
        rate = self.present_rate() if self.schedule is None else serialize(self.schedule)
        return {**super().get_config(), "learning_rate": rate}

    @classmethod
    def from_config(cls, config: Any) -> Optimizer:
        if isinstance(config, dict) and isinstance(config.get("learning_rate"), dict):
            config = {**config, "learning_rate": from_dict(config["learning_rate"])}
        return super().from_config(config)

    # -- the step -----------------------------------------------------------------------------

    def build(self, parameters: ParameterVector) -> None:
        """Make the slots for these weights.

        Called again with another vector, it takes along what it remembers about every weight: one
        that moved to another place, and one that was away for a while because it was frozen.
        """
        if parameters is self._parameters:
            return
        self._park()
        initial = self.slot_values()
        self.slots = {
            name: np.full_like(parameters.value, value) for name, value in initial.items()
        }
        for variable, place in zip(parameters.variables, parameters.slices, strict=True):
            _, remembered = self._parked.pop(id(variable), (variable, {}))
            for name in self.slots.keys() & remembered.keys():
                self.slots[name][place] = remembered[name]
        self._parameters = parameters

    def _park(self) -> None:
        """Set aside what the slots hold, by weight. The weight itself is kept, too, so that its id
        goes to no other object."""
        if self._parameters is None:
            return
        for variable, place in zip(
            self._parameters.variables, self._parameters.slices, strict=True
        ):
            values = {name: slot[place].copy() for name, slot in self.slots.items()}
            self._parked[id(variable)] = (variable, values)

    @property
    def takes_pieces(self) -> bool:
        """Whether weights may be updated one by one, each as soon as it has its gradient: nothing
        but the update is done, and for each element by itself. Of a class that somebody else wrote
        one cannot know."""
        others = (self.clipnorm, self.clipvalue, self.global_clipnorm, self.weight_decay)
        ours = type(self).__module__.startswith("minicnn.optimizers.")
        return ours and all(other is None for other in others)

    def prepare(self, parameters: ParameterVector) -> None:
        """Before the backward pass. If the floor updates weights during that pass (see
        ``ParameterVector.awaited``), tell it now how; otherwise there is nothing to do yet."""
        if parameters.awaited is not None:
            self.build(parameters)
            self.update(parameters.ops, parameters.value, parameters.awaited, self.present_rate())

    def apply(self, parameters: ParameterVector) -> None:
        """Do one step in place: clip the gradients, decay the weights, update them.

        Clipping changes ``parameters.gradient``. The constraints of weights are not applied here.
        """
        if parameters.awaited is not None:
            parameters.awaited.finish()
        else:
            self._apply(parameters)
        self.iterations += 1

    def _apply(self, parameters: ParameterVector) -> None:
        self.build(parameters)
        ops = parameters.ops
        lr = self.present_rate() if self.rate_cell is None else self.rate_cell
        self._clip(parameters)
        if self.weight_decay is not None:
            for part in self._decaying(parameters):
                ops.weight_decay(part, lr, self.weight_decay)
        self.update(ops, parameters.value, parameters.gradient, lr)

    def _clip(self, parameters: ParameterVector) -> None:
        ops, g = parameters.ops, parameters.gradient
        if self.clipnorm is not None:
            for place in parameters.slices:
                ops.clip_by_norm(g[place], self.clipnorm)
        elif self.global_clipnorm is not None:
            ops.clip_by_norm(g, self.global_clipnorm)
        elif self.clipvalue is not None:
            ops.clip_by_value(g, self.clipvalue)

    def exclude_from_weight_decay(
        self, var_list: Sequence[Variable] | None = None, var_names: Sequence[str] | None = None
    ) -> None:
        """Name the weights that ``weight_decay`` leaves alone.

        Args:
            var_list: these weights.
            var_names: all weights in whose name one of these is found, such as ``["bias"]``.

        Raises:
            ValueError: if training has begun.
        """
        if self._parameters is not None:
            raise ValueError(
                f"exclude_from_weight_decay of {self.name!r}: expected to be called before "
                f"training begins, but {self.iterations} steps are done"
            )
        self._undecayed = ({id(v) for v in var_list or ()}, tuple(var_names or ()))

    def _decaying(self, parameters: ParameterVector) -> list[Any]:
        """The parts of the vector of weights that decay: one piece, if it is all of them."""
        ids, names = self._undecayed
        if not ids and not names:
            return [parameters.value]
        return [
            parameters.value[place]
            for variable, place in zip(parameters.variables, parameters.slices, strict=True)
            if id(variable) not in ids and not any(re.search(n, variable.name) for n in names)
        ]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} iterations={self.iterations}>"


def _checked_rate(value: Any) -> Any:
    if isinstance(value, type):
        raise TypeError(f"learning_rate: expected a number or a schedule, got the class {value!r}")
    return value if callable(value) else number(value, "learning_rate", "[0, inf)")
