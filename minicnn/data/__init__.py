"""Input pipelines: :class:`Dataset` brings examples to the training, batch by batch."""

from minicnn.data.arguments import AUTOTUNE
from minicnn.data.dataset import (
    INFINITE_CARDINALITY,
    UNKNOWN_CARDINALITY,
    Dataset,
)
from minicnn.data.pydataset import PyDataset

__all__ = ["AUTOTUNE", "INFINITE_CARDINALITY", "UNKNOWN_CARDINALITY", "Dataset", "PyDataset"]
