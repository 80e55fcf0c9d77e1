"""Which layers a file may name."""

from __future__ import annotations

from typing import Any

from minicnn import layers
from minicnn.configurable import deserialize

LAYERS: dict[str, type[layers.Layer]] = {
    cls.__name__: cls
    for cls in (
        layers.Activation,
        layers.ActivityRegularization,
        layers.Add,
        layers.AlphaDropout,
        layers.Average,
        layers.AveragePooling2D,
        layers.BatchNormalization,
        layers.CenterCrop,
        layers.Concatenate,
        layers.Conv2D,
        layers.Conv2DTranspose,
        layers.Cropping2D,
        layers.Dense,
        layers.DepthwiseConv2D,
        layers.Dropout,
        layers.ELU,
        layers.Flatten,
        layers.GaussianDropout,
        layers.GaussianNoise,
        layers.GlobalAveragePooling2D,
        layers.GlobalMaxPooling2D,
        layers.Identity,
        layers.InputLayer,
        layers.LayerNormalization,
        layers.LeakyReLU,
        layers.MaxPooling2D,
        layers.Maximum,
        layers.Minimum,
        layers.Multiply,
        layers.Normalization,
        layers.PReLU,
        layers.Permute,
        layers.RandomBrightness,
        layers.RandomContrast,
        layers.RandomCrop,
        layers.RandomFlip,
        layers.RandomRotation,
        layers.RandomTranslation,
        layers.RandomZoom,
        layers.ReLU,
        layers.RepeatVector,
        layers.Rescaling,
        layers.Reshape,
        layers.Resizing,
        layers.SeparableConv2D,
        layers.Softmax,
        layers.SpatialDropout2D,
        layers.Subtract,
        layers.UnitNormalization,
        layers.UpSampling2D,
        layers.ZeroPadding2D,
    )
}


def from_dict(data: dict[str, Any]) -> layers.Layer:
    """The layer that Keras's dict form (see ``minicnn.configurable``) describes.

    Raises:
        ValueError: if it describes none, or one that there is not.
    """
    return deserialize(data, LAYERS, "keras.layers", "layer", layers.Layer)
