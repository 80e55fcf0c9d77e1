"""Every layer, in the forms in which the tests look at it.

A case is a function of a kit, ``minicnn`` or ``keras``, that makes the layer from ``kit.layers``,
and the shape of one input, or a list of shapes for a layer that merges.
"""

from typing import Any, NamedTuple


class Case(NamedTuple):
    make: Any
    shape: Any

    @property
    def shapes(self):
        """The shapes of the inputs, as a list."""
        return self.shape if isinstance(self.shape, list) else [self.shape]


IMAGE = (3, 7, 6, 4)  # no two sizes alike, none a multiple of the usual strides

CASES = {
    "dense": Case(lambda k: k.layers.Dense(3, activation="tanh"), (4, 5)),
    "dense no bias": Case(lambda k: k.layers.Dense(3, use_bias=False), (4, 5)),
    "dense on images": Case(lambda k: k.layers.Dense(5, activation="softmax"), (2, 3, 4, 6)),
    "conv": Case(lambda k: k.layers.Conv2D(5, 3), IMAGE),
    "conv strided": Case(
        lambda k: k.layers.Conv2D(5, (3, 2), strides=(2, 3), padding="same"), IMAGE
    ),
    "conv even kernel": Case(lambda k: k.layers.Conv2D(2, (2, 4), padding="same"), IMAGE),
    "conv dilated": Case(lambda k: k.layers.Conv2D(2, (2, 3), dilation_rate=(3, 2)), IMAGE),
    "conv dilated same": Case(
        lambda k: k.layers.Conv2D(2, 3, dilation_rate=2, padding="same"), IMAGE
    ),
    "conv grouped": Case(lambda k: k.layers.Conv2D(6, 2, groups=2, strides=2), IMAGE),
    "conv no bias": Case(lambda k: k.layers.Conv2D(3, 1, use_bias=False), IMAGE),
    "conv activated": Case(lambda k: k.layers.Conv2D(3, 3, activation="gelu"), IMAGE),
    "depthwise": Case(lambda k: k.layers.DepthwiseConv2D(3), IMAGE),
    "depthwise multiplied": Case(
        lambda k: k.layers.DepthwiseConv2D(
            (2, 3), strides=2, padding="same", depth_multiplier=3, activation="sigmoid"
        ),
        IMAGE,
    ),
    "depthwise dilated": Case(
        lambda k: k.layers.DepthwiseConv2D(2, dilation_rate=2, use_bias=False), IMAGE
    ),
    "separable": Case(lambda k: k.layers.SeparableConv2D(5, 3), IMAGE),
    "separable strided": Case(
        lambda k: k.layers.SeparableConv2D(
            3, (3, 2), strides=2, padding="same", depth_multiplier=2, activation="tanh"
        ),
        IMAGE,
    ),
    "separable no bias": Case(
        lambda k: k.layers.SeparableConv2D(3, 2, dilation_rate=2, use_bias=False), IMAGE
    ),
    "transpose": Case(lambda k: k.layers.Conv2DTranspose(3, (3, 2)), IMAGE),
    "transpose strided": Case(lambda k: k.layers.Conv2DTranspose(3, 3, strides=(2, 3)), IMAGE),
    "transpose same": Case(
        lambda k: k.layers.Conv2DTranspose(3, (3, 4), strides=2, padding="same"), IMAGE
    ),
    "transpose short kernel": Case(
        lambda k: k.layers.Conv2DTranspose(2, 2, strides=3, use_bias=False), IMAGE
    ),
    "transpose output padding": Case(
        lambda k: k.layers.Conv2DTranspose(
            2, 3, strides=2, padding="same", output_padding=1, activation="elu"
        ),
        IMAGE,
    ),
    "transpose dilated": Case(lambda k: k.layers.Conv2DTranspose(2, 3, dilation_rate=2), IMAGE),
    "max pool": Case(lambda k: k.layers.MaxPooling2D(), IMAGE),
    "max pool overlapping": Case(lambda k: k.layers.MaxPooling2D((3, 2), strides=1), IMAGE),
    "max pool same": Case(
        lambda k: k.layers.MaxPooling2D((2, 3), strides=2, padding="same"), IMAGE
    ),
    "average pool": Case(lambda k: k.layers.AveragePooling2D((2, 3)), IMAGE),
    "average pool same": Case(
        lambda k: k.layers.AveragePooling2D((3, 2), strides=(2, 1), padding="same"), IMAGE
    ),
    "global max": Case(lambda k: k.layers.GlobalMaxPooling2D(), IMAGE),
    "global max kept": Case(lambda k: k.layers.GlobalMaxPooling2D(keepdims=True), IMAGE),
    "global average": Case(lambda k: k.layers.GlobalAveragePooling2D(), IMAGE),
    "global average kept": Case(lambda k: k.layers.GlobalAveragePooling2D(keepdims=True), IMAGE),
    "flatten": Case(lambda k: k.layers.Flatten(), IMAGE),
    "flatten numbers": Case(lambda k: k.layers.Flatten(), (5,)),
    "reshape": Case(lambda k: k.layers.Reshape((6, -1, 2)), IMAGE),
    "zero padding": Case(lambda k: k.layers.ZeroPadding2D(((1, 0), (2, 3))), IMAGE),
    "cropping": Case(lambda k: k.layers.Cropping2D(((1, 2), (0, 3))), IMAGE),
    "upsampling": Case(lambda k: k.layers.UpSampling2D((2, 3)), IMAGE),
    "upsampling bilinear": Case(
        lambda k: k.layers.UpSampling2D((3, 2), interpolation="bilinear"), IMAGE
    ),
    "batch norm": Case(lambda k: k.layers.BatchNormalization(), IMAGE),
    "batch norm of rows": Case(lambda k: k.layers.BatchNormalization(momentum=0.7), (6, 5)),
    "batch norm axis": Case(
        lambda k: k.layers.BatchNormalization(axis=1, epsilon=0.1, scale=False), IMAGE
    ),
    "batch norm bare": Case(
        lambda k: k.layers.BatchNormalization(center=False, scale=False), IMAGE
    ),
    "layer norm": Case(lambda k: k.layers.LayerNormalization(), IMAGE),
    "layer norm axes": Case(
        lambda k: k.layers.LayerNormalization(axis=[1, 3], center=False), IMAGE
    ),
    "layer norm inner axis": Case(lambda k: k.layers.LayerNormalization(axis=2), IMAGE),
    "activation": Case(lambda k: k.layers.Activation("silu"), IMAGE),
    "relu": Case(lambda k: k.layers.ReLU(), IMAGE),
    "relu bounded": Case(
        lambda k: k.layers.ReLU(max_value=1.5, negative_slope=0.1, threshold=0.3), IMAGE
    ),
    "leaky relu": Case(lambda k: k.layers.LeakyReLU(), IMAGE),
    "prelu": Case(lambda k: k.layers.PReLU(), IMAGE),
    "prelu shared": Case(lambda k: k.layers.PReLU(shared_axes=[1, 2]), IMAGE),
    "elu": Case(lambda k: k.layers.ELU(alpha=0.7), IMAGE),
    "softmax": Case(lambda k: k.layers.Softmax(), IMAGE),
    "softmax axis": Case(lambda k: k.layers.Softmax(axis=1), IMAGE),
    "rescaling": Case(lambda k: k.layers.Rescaling(1 / 127.5, offset=-1), IMAGE),
    "rescaling channels": Case(
        lambda k: k.layers.Rescaling([1.0, 2.0, 3.0, 4.0], offset=[0.1, 0.2, 0.3, 0.4]), IMAGE
    ),
    "normalization": Case(
        lambda k: k.layers.Normalization(mean=[0.1, -0.2, 0.3, 0], variance=[1.5, 4, 1, 2.25]),
        IMAGE,
    ),
    "normalization inverted": Case(
        lambda k: k.layers.Normalization(axis=None, mean=3.0, variance=0.5, invert=True), IMAGE
    ),
    "normalization axes": Case(
        lambda k: k.layers.Normalization((-1, 2), mean=[1, 2, 3, 4.0], variance=[4, 3, 2, 1.0]),
        IMAGE,
    ),
    "unit norm": Case(lambda k: k.layers.UnitNormalization(), IMAGE),
    "unit norm axes": Case(lambda k: k.layers.UnitNormalization(axis=[1, 3]), IMAGE),
    "identity": Case(lambda k: k.layers.Identity(), IMAGE),
    "permute": Case(lambda k: k.layers.Permute((3, 1, 2)), IMAGE),
    "repeat vector": Case(lambda k: k.layers.RepeatVector(3), (4, 5)),
    "activity regularization": Case(
        lambda k: k.layers.ActivityRegularization(l1=0.01, l2=0.02), IMAGE
    ),
    "resizing larger": Case(lambda k: k.layers.Resizing(9, 11), IMAGE),
    "resizing smaller": Case(lambda k: k.layers.Resizing(3, 5), IMAGE),
    "resizing nearest": Case(lambda k: k.layers.Resizing(14, 4, interpolation="nearest"), IMAGE),
    "resizing cropped": Case(lambda k: k.layers.Resizing(4, 9, crop_to_aspect_ratio=True), IMAGE),
    "resizing padded": Case(
        lambda k: k.layers.Resizing(4, 9, pad_to_aspect_ratio=True, fill_value=0.7), IMAGE
    ),
    "center crop": Case(lambda k: k.layers.CenterCrop(4, 3), IMAGE),
    "center crop of less": Case(lambda k: k.layers.CenterCrop(5, 8), IMAGE),
    "add": Case(lambda k: k.layers.Add(), [IMAGE, IMAGE, IMAGE]),
    "add broadcast": Case(lambda k: k.layers.Add(), [(3, 1, 6, 4), (3, 7, 1, 4), (3, 4)]),
    "subtract": Case(lambda k: k.layers.Subtract(), [IMAGE, (3, 1, 1, 4)]),
    "multiply": Case(lambda k: k.layers.Multiply(), [IMAGE, (3, 7, 1, 1), IMAGE]),
    "average": Case(lambda k: k.layers.Average(), [IMAGE, IMAGE, (3, 4)]),
    "maximum": Case(lambda k: k.layers.Maximum(), [IMAGE, IMAGE, (3, 7, 1, 4)]),
    "minimum": Case(lambda k: k.layers.Minimum(), [IMAGE, IMAGE]),
    "concatenate": Case(lambda k: k.layers.Concatenate(), [(2, 3, 4, 1), (2, 3, 4, 3)]),
    "concatenate axis": Case(
        lambda k: k.layers.Concatenate(axis=1), [(2, 1, 4, 3), (2, 5, 4, 3), (2, 2, 4, 3)]
    ),
}

# These draw at random while training, so that only the tests of minicnn alone look at that.
RANDOM_CASES = {
    "dropout": Case(lambda k: k.layers.Dropout(0.4, seed=1), IMAGE),
    "dropout shared": Case(lambda k: k.layers.Dropout(0.4, (None, 1, 6, None), seed=1), IMAGE),
    "spatial dropout": Case(lambda k: k.layers.SpatialDropout2D(0.4, seed=1), IMAGE),
    "alpha dropout": Case(lambda k: k.layers.AlphaDropout(0.4, seed=1), IMAGE),
    "alpha dropout shared": Case(
        lambda k: k.layers.AlphaDropout(0.4, (None, 1, 6, None), seed=1), IMAGE
    ),
    "gaussian dropout": Case(lambda k: k.layers.GaussianDropout(0.4, seed=1), IMAGE),
    "gaussian noise": Case(lambda k: k.layers.GaussianNoise(0.3, seed=1), IMAGE),
    "random flip": Case(lambda k: k.layers.RandomFlip(seed=1), IMAGE),
    "random flip across": Case(lambda k: k.layers.RandomFlip("horizontal", seed=2), IMAGE),
    "random flip down": Case(lambda k: k.layers.RandomFlip("vertical", seed=2), IMAGE),
    "random translation": Case(lambda k: k.layers.RandomTranslation(0.3, 0.2, seed=1), IMAGE),
    "random rotation": Case(
        lambda k: k.layers.RandomRotation(0.1, fill_mode="constant", fill_value=0.3, seed=1), IMAGE
    ),
    "random zoom": Case(lambda k: k.layers.RandomZoom(0.3, fill_mode="wrap", seed=1), IMAGE),
    "random zoom of each axis": Case(
        lambda k: k.layers.RandomZoom((0.1, 0.4), 0.2, "nearest", seed=1), IMAGE
    ),
    "random crop": Case(lambda k: k.layers.RandomCrop(4, 3, seed=1), IMAGE),
    "random contrast": Case(lambda k: k.layers.RandomContrast(0.5, (-2, 2), seed=1), IMAGE),
    "random brightness": Case(lambda k: k.layers.RandomBrightness(0.2, (-2, 2), seed=1), IMAGE),
}
