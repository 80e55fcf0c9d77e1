"""The course's pictures, a call each.

Every function returns a matplotlib figure (``convolution`` an animation) that a notebook shows when
it is the value of a cell, and that ``savefig`` saves. Nothing needs a display, and no figure stays
behind in pyplot. Arrays may come from any backend.
"""

from minicnn.plot.confusion import confusion_matrix
from minicnn.plot.curves import history
from minicnn.plot.diagram import model
from minicnn.plot.gallery import images, misclassified, predictions
from minicnn.plot.kernels import filters
from minicnn.plot.maps import feature_maps
from minicnn.plot.sliding import convolution

__all__ = [
    "confusion_matrix",
    "convolution",
    "feature_maps",
    "filters",
    "history",
    "images",
    "misclassified",
    "model",
    "predictions",
]
