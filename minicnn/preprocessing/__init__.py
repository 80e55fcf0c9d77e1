"""Where Keras has its helpers for pictures, too."""

from minicnn.preprocessing import image

__all__ = ["image"]
