"""Models: which layer feeds which, and how they learn."""

from minicnn.models.model import Model
from minicnn.models.sequential import Sequential

__all__ = ["Model", "Sequential"]
