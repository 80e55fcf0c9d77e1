"""Where Keras has its helpers for pictures, too."""

from minicnn.preprocessing import image
from minicnn.preprocessing.directory import image_dataset_from_directory

__all__ = ["image", "image_dataset_from_directory"]
