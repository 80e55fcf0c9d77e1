"""What a model can do with files. How they are written and read stands in ``minicnn/saving``."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from minicnn.configurable import serialize_object
from minicnn.models.batches import Round
from minicnn.random import SeedGenerator
from minicnn.variables import ParameterVector

Path = str | os.PathLike[str]
M = TypeVar("M", bound="Saved")


class Saved:
    """Mixed into ``Model``."""

    def save(
        self,
        filepath: Path,
        overwrite: bool = True,
        include_optimizer: bool = True,
        save_format: str | None = None,
    ) -> None:
        """Write the whole model into a ``.keras`` file, which Keras 3 opens, too; or into an
        ``.h5`` file, its older format.

        It holds the layers, the weights, what ``compile`` was told, and where the training stands:
        the optimizer's memory and the random numbers to come. ``minicnn.models.load_model`` reads
        it. The file is there as a whole or not at all, whatever happens meanwhile.

        Args:
            filepath: ends in ``.keras``, or in ``.h5`` or ``.hdf5``, which brings a warning.
            overwrite: whether a file of that name may be replaced.
            include_optimizer: whether an ``.h5`` file holds what ``compile`` was told and the
                optimizer's memory. A ``.keras`` file always does, as in Keras.
            save_format: of older courses; the name of the file says it.

        Raises:
            ValueError: if the name has another ending, or two layers have one name.
            TypeError: if something in the model cannot be written down, such as a lambda.
            FileExistsError: if ``overwrite`` is off and there is such a file.
        """
        from minicnn import saving

        saving.save_model(self, filepath, overwrite, include_optimizer, save_format)

    def save_weights(self, filepath: Path, overwrite: bool = True) -> None:
        """Write the weights, and the optimizer's memory if there is one, into a ``.weights.h5``
        file, as Keras does.

        Args:
            filepath: ends in ``.weights.h5``.
            overwrite: whether a file of that name may be replaced.
        """
        from minicnn import saving

        saving.save_weights(self, filepath, overwrite)

    def load_weights(
        self, filepath: Path, skip_mismatch: bool = False, by_name: bool = False
    ) -> None:
        """Read weights from a file into this model.

        Args:
            filepath: a ``.weights.h5`` or ``.keras`` file, or an ``.h5`` file with weights or a
                whole model as Keras 2 keeps them.
            skip_mismatch: leave layers alone, with a warning, whose weights have other shapes.
            by_name: take the weights of those layers whose names stand in the file, wherever they
                are; by default the layers must be the same, in the same order.

        Raises:
            ValueError: if the weights do not fit, or the file is broken; the model is unchanged.
        """
        from minicnn import saving

        saving.load_weights(self, filepath, skip_mismatch, by_name)

    def export(self, filepath: Path, format: str = "onnx", fold_batch_norm: bool = True) -> None:
        """Write the model as an ONNX file, for other programs to run.

        The network takes images as in training, (batch, height, width, channels), in batches of any
        size, and does what ``predict`` does: dropout is gone. Takes the package onnx (the extra
        ``onnx``).

        Args:
            filepath: ends in ``.onnx``.
            format: ``"onnx"``.
            fold_batch_norm: whether a batch normalization after a convolution or a dense layer is
                folded into its weights, or kept as a step of its own.

        Raises:
            ValueError: if a layer of one's own is in it, the model is not built, or the name or the
                format is wrong.
            ImportError: if the package is not installed.
        """
        from minicnn.exporting import export_onnx

        if format != "onnx":
            raise ValueError(f"format: expected 'onnx', got {format!r}")
        export_onnx(self, filepath, fold_batch_norm)

    def __reduce__(self) -> tuple[Any, tuple[bytes]]:
        """What ``pickle`` and ``copy.deepcopy`` keep of a model: the ``.keras`` file."""
        with TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "model.keras")
            self.save(file)
            return _from_bytes, (file.read_bytes(),)

    def to_json(self, **kwargs: Any) -> str:
        """The layers and how they are connected, without weights, as JSON.
        ``minicnn.models.model_from_json`` reads it.

        Args:
            kwargs: passed on to ``json.dumps``, such as ``indent=2``.
        """
        from minicnn import saving

        return saving.to_json(self, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """The layers and how they are connected, as plain data."""
        from minicnn.saving.write_config import model_config

        return model_config(self)

    @classmethod
    def from_config(cls: type[M], config: Mapping[str, Any]) -> M:
        """A model from what :meth:`get_config` gave, with new weights.

        Raises:
            ValueError: if it does not describe one.
        """
        from minicnn.saving.read_config import Reader

        if cls.class_when_drawn() is not cls and "layers" not in config:
            return cls(**config)  # what its class's own get_config gave
        return Reader().model(cls.class_when_drawn(), config)

    def serialized(self) -> dict[str, Any]:
        """The model in Keras's form; one that is written as a class as the network it draws."""
        cls = self.class_when_drawn()
        if cls is type(self):
            return serialize_object(self)
        return {
            "module": cls.keras_module,
            "class_name": cls.keras_class,
            "config": Saved.get_config(self),
            "registered_name": None,
        }

    # -- what files keep of it ----------------------------------------------------------------

    @property
    def compile_arguments(self) -> dict[str, Any] | None:
        """What ``compile`` was told, but the optimizer; ``None`` before that."""
        return self._compiled

    def prepare_training(self) -> ParameterVector:
        """All trainable weights as one vector, and the optimizer's slots beside it."""
        self._prepare_training()
        return self._parameters

    @property
    def shuffle_generator(self) -> SeedGenerator | None:
        """Where the order of the samples comes from; ``None`` before the first shuffled epoch."""
        return self._shuffle

    @shuffle_generator.setter
    def shuffle_generator(self, generator: SeedGenerator | None) -> None:
        self._shuffle = generator

    # Set by ``fit``: how far it is in its data and the validation's; and where it starts, which a
    # callback may change when the training begins: with which epoch, with which step of it, and
    # after how many batches of the data that epoch began.
    rounds: list[Round]
    start_at: tuple[int, int, int]

    @property
    def order_generators(self) -> list[SeedGenerator]:
        """What the orders of the data of the last ``fit`` come from."""
        return [generator for one in self.rounds for generator in one.generators]

    @property
    def order_steps(self) -> list[int]:
        """Where each of those stood when the present round through its data began."""
        return [step for one in self.rounds for step in one.order_steps]

    def freeze_flag(self) -> None:
        """Say that the model is not trainable, without saying so to its layers."""
        self._trainable = False


def _from_bytes(data: bytes) -> Any:
    """The model in the bytes of a ``.keras`` file."""
    from minicnn import saving

    with TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "model.keras")
        file.write_bytes(data)
        return saving.load_model(file)
