"""compile, fit, evaluate: how a model learns.

The heart is the loop over epochs and batches at the end of ``fit``; what happens to one batch is in
``step.py``. All else here brings the data in and the results out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import optimizers
from minicnn.callbacks import CallbackList, History
from minicnn.callbacks.base import as_floats
from minicnn.metrics import Metric
from minicnn.models.batches import Batches, Round
from minicnn.models.objective import Objective
from minicnn.models.step import Stepper
from minicnn.models.unpacking import make_batches, split_validation, validation_parts
from minicnn.random import SeedGenerator
from minicnn.shapes import positive_int
from minicnn.validation import about, choice


class Trainer(Stepper):
    """What a model can do once it is drawn. Mixed into ``Model``."""

    def _init_training(self) -> None:
        self.optimizer: Any = None
        self.loss: Any = None
        self.history: History | None = None
        self.stop_training = False
        self._compiled: dict[str, Any] | None = None
        self._begin_anew()
        self._shuffle: SeedGenerator | None = None
        self.rounds: list[Round] = []
        self.start_at = (0, 0, 0)

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool | None = False,
        steps_per_execution: int | None = 1,
        jit_compile: bool | str | None = "auto",
    ) -> None:
        """Choose how the model is trained. May be called again at will.

        Args:
            optimizer: a name in any case, or an object from ``minicnn.optimizers``.
            loss: a name, a ``Loss``, or a function of ``minicnn.losses``; for several outputs a
                list, or a dict by output name.
            loss_weights: the factor of each output's loss, as a list or dict.
            metrics: what to report besides: names, objects or functions; for several outputs a
                list of lists, or a dict by output name.
            weighted_metrics: metrics that take the sample weights into account.
            run_eagerly, steps_per_execution, jit_compile: how Keras's backends compile a step. They
                change nothing here; more than one step per execution is refused.

        Raises:
            ValueError, TypeError: if a name is unknown or an object is of the wrong kind.
        """
        choice(run_eagerly, "run_eagerly", (False, True, None))
        choice(steps_per_execution, "steps_per_execution", (1, None))
        choice(jit_compile, "jit_compile", ("auto", False, True, None))
        compiled = {
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
        }
        optimizer = optimizers.get(optimizer)
        if self.graph is not None and loss is not None:
            Objective(self.graph, self.output_names, ops=self.ops, **compiled)  # raises if wrong
        self.optimizer, self.loss, self._compiled = optimizer, loss, compiled
        self._begin_anew()

    # -- the loops ----------------------------------------------------------------------------

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | list[int] = 1,
    ) -> History:
        """Train the model.

        Args:
            x: the inputs: an array (samples first), a list or dict of them for several inputs, a
                ``Dataset``, or anything that yields batches (x, y) or (x, y, sample_weight).
            y: the targets, unless ``x`` yields them.
            batch_size: samples per step, 32 by default.
            epochs: train until this epoch.
            verbose: 0 silent, 1 a progress bar, 2 one line per epoch.
            callbacks: a list of ``minicnn.callbacks``.
            validation_split: this part of the samples is kept for validation: the last ones, taken
                before any shuffling.
            validation_data: (x, y), (x, y, sample_weight), the same as a list, or a data set.
            shuffle: whether arrays are shuffled anew before each epoch.
            class_weight: a factor for the loss of each class.
            sample_weight: a factor for the loss of each sample.
            initial_epoch: start counting here, to go on with an earlier training.
            steps_per_epoch: batches per epoch; all there are, by default. The next epoch goes on
                with the batch after them.
            validation_steps, validation_batch_size: the same for the validation.
            validation_freq: validate after every this many epochs, or after those in this list,
                counted from 1.

        Returns:
            A ``History``: its ``history`` maps the name of each figure to its value at each epoch.

        Raises:
            ValueError, TypeError: if the data do not fit the model; the weights are unchanged then.
        """
        self._require_compiled("fit")
        _due(1, validation_freq)  # raises if it is wrong
        x, y, sample_weight, validation_data = split_validation(
            x, y, sample_weight, validation_split, validation_data
        )
        if shuffle and self._shuffle is None:
            self._shuffle = SeedGenerator()
        batches = make_batches(
            self, x, y, sample_weight, batch_size, steps_per_epoch, "steps_per_epoch",
            class_weight=class_weight, shuffle=self._shuffle if shuffle else None, goes_on=True,
        )  # fmt: skip
        validation = None
        if validation_data is not None:
            with about("validation data"):
                validation = make_batches(
                    self, *validation_parts(validation_data),
                    validation_batch_size or batch_size, validation_steps, "validation_steps",
                )  # fmt: skip
        if self.graph is None:  # arrays would have built it
            batches.source.look()
        hooks = self._hooks(callbacks, verbose, epochs=epochs, steps=batches.steps, train=True)
        self.rounds = [one.round for one in (batches, validation) if one is not None]
        self.stop_training, self.start_at = False, (initial_epoch, 0, 0)
        logs: dict[str, Any] = {}
        train_step = self._fastest_train_step()
        hooks.on_train_begin()
        first_epoch, first_step, used = self.start_at  # a callback may have moved it just now
        batches.begin(used)
        for epoch in range(first_epoch, epochs):
            self.reset_metrics()
            hooks.on_epoch_begin(epoch)
            self._prepare_training(watched=hooks.runs_others)
            for step, (inputs, targets, sample_weights) in enumerate(batches):
                if epoch == first_epoch and step < first_step:
                    continue  # done before this training was interrupted
                hooks.on_train_batch_begin(step)
                train_step(inputs, targets, sample_weights)
                hooks.on_train_batch_end(step, self._logs)
                if self.stop_training:
                    break
            logs = self._logs()
            if validation is not None and _due(epoch + 1, validation_freq):
                logs |= {f"val_{k}": v for k, v in self._test(validation, hooks).items()}
            hooks.on_epoch_end(epoch, logs)
            if self.stop_training:
                break
        hooks.on_train_end(logs)
        return self.history

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """The loss and the metrics on other data.

        Returns:
            The loss, or a list in the order of ``metrics_names`` if there are metrics, or a dict.
        """
        self._require_compiled("evaluate")
        batches = make_batches(self, x, y, sample_weight, batch_size, steps, "steps")
        logs = self._test(batches, self._hooks(callbacks, verbose, steps=batches.steps))
        return self._report(logs, return_dict)

    def _test(self, batches: Batches, hooks: CallbackList) -> dict[str, Any]:
        self.reset_metrics()
        hooks.on_test_begin()
        for step, (inputs, targets, sample_weights) in enumerate(batches):
            hooks.on_test_batch_begin(step)
            self._test_step(inputs, targets, sample_weights)
            hooks.on_test_batch_end(step, self._logs)
        logs = self._logs()
        hooks.on_test_end(logs)
        return logs

    # -- one batch at a time ------------------------------------------------------------------

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: dict[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """One training step; returns the loss and the metrics of this batch."""
        self._require_compiled("train_on_batch")
        batch = self._one_batch(x, y, sample_weight, class_weight)
        self._prepare_training()
        self.reset_metrics()
        self._train_step(*batch)
        return self._report(self._logs(), return_dict)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """The loss and the metrics on one batch."""
        self._require_compiled("test_on_batch")
        batch = self._one_batch(x, y, sample_weight)
        self.reset_metrics()
        self._test_step(*batch)
        return self._report(self._logs(), return_dict)

    def compute_gradients(
        self, x: Any, y: Any, sample_weight: Any = None, training: bool = False
    ) -> tuple[float, list[np.ndarray]]:
        """The value and the gradient of what ``fit`` minimises: loss plus penalties.

        Leaves the model as it was: neither weights nor moving statistics nor random masks move on.

        Returns:
            ``(loss, gradients)``: a float, and arrays in the order of ``trainable_weights``.
        """
        self._require_compiled("compute_gradients")
        batch = self._one_batch(x, y, sample_weight)
        self._prepare_training()
        with self.unchanged_state():
            x, targets, sample_weights = batch
            total, _, _ = self._loss_and_gradients(
                x, self._on_floor(targets), self._on_floor(sample_weights), training=training
            )
        return float(total), [
            np.array(self.ops.to_numpy(variable.gradient))
            for variable in self._parameters.variables
        ]

    # -- what is behind -----------------------------------------------------------------------

    def _one_batch(
        self, x: Any, y: Any, sample_weight: Any, class_weight: Any = None
    ) -> tuple[Any, Any, Any]:
        batches = make_batches(
            self, x, y, sample_weight, 2**62, None, "steps", class_weight=class_weight
        )
        return next(iter(batches))

    def _require_compiled(self, method: str) -> None:
        if self._compiled is None:
            raise ValueError(f"{method}: model {self.name!r} is not compiled; call compile() first")
        if self.loss is None:
            raise ValueError(f"{method}: model {self.name!r} was compiled without a loss")

    def _hooks(
        self, callbacks: Any, verbose: Any, steps: int | None, epochs: int = 1, train: bool = False
    ) -> CallbackList:
        verbose = 1 if verbose == "auto" else verbose
        if verbose not in (0, 1, 2):
            raise ValueError(f"verbose: expected 0, 1, 2 or 'auto', got {verbose!r}")
        params = {"verbose": int(verbose), "epochs": epochs, "steps": steps}
        hooks = CallbackList(callbacks, train, verbose != 0, model=self, params=params)
        if train:
            self.history = hooks.history
        return hooks

    @property
    def metrics_names(self) -> list[str]:
        """The names of what ``evaluate`` returns, in its order; known after the first batch."""
        return [] if self._objective is None else list(self._objective.results())

    @property
    def metrics(self) -> list[Metric]:
        """What keeps the figures that ``evaluate`` returns: the running mean of the loss, those of
        several outputs' losses, the compiled metrics. Empty before the first batch."""
        return [] if self._objective is None else self._objective.trackers()

    def reset_metrics(self) -> None:
        """Start the running means of loss and metrics anew."""
        if self._objective is not None:
            self._objective.reset()

    def _logs(self) -> dict[str, Any]:
        return dict(sorted(self.objective.results().items()))

    def _report(self, logs: dict[str, Any], return_dict: bool) -> Any:
        logs = as_floats(logs)
        if return_dict:
            return logs
        values = [logs[name] for name in self.metrics_names]
        return values if len(values) > 1 else values[0]


def _due(epoch: int, validation_freq: Any) -> bool:
    """Whether to validate after this epoch, counted from 1."""
    if isinstance(validation_freq, list):
        return epoch in validation_freq
    return epoch % positive_int(validation_freq, "validation_freq") == 0
