# %% [markdown]
# # Lesson 5: a mini AlexNet on raw CIFAR-10
#
# AlexNet won the ImageNet contest of 2012 and began the age of deep learning. Ours has its plan,
# cut down to pictures of 32 by 32 pixels: five convolutions, three poolings, two large dense layers
# with dropout; 2,023,370 weights. Pixels go in as they are, from 0 to 255.
#
# `--epochs N` and `--images N` make a quick run.

# %%
import numpy as np
from common import Options, save

import minicnn
from minicnn import Input, Model
from minicnn.activations import relu, softmax
from minicnn.datasets import cifar10
from minicnn.layers import (
    Activation,
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    MaxPooling2D,
)
from minicnn.losses import sparse_categorical_crossentropy
from minicnn.models import Sequential
from minicnn.utils import set_random_seed

options = Options()
set_random_seed(options.seed)
NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]

# %% [markdown]
# ## What a convolution does to a picture's size
# A layer can be called on a picture directly. Change the numbers and look at the shapes: each pixel
# of the output is one place where the kernel fits.

# %%
picture = np.random.default_rng(0).random((1, 32, 32, 3))
for filters, kernel_size, strides in ((1, 1, 1), (4, 3, 1), (10, 5, 2), (6, 10, 3)):
    maps = Conv2D(filters, kernel_size, strides=strides)(picture)
    print(f"{filters} kernels of {kernel_size}x{kernel_size}, stride {strides}: {maps.shape}")

# %% [markdown]
# ## The data
# The last 10,000 training pictures are for validation.

# %%
(x_train, y_train), (x_test, y_test) = cifar10.load_data()
x_train, y_train = options.images(x_train, y_train)
x_test, y_test = options.images(x_test, y_test)
kept = min(10_000, len(x_train) // 5)
x_val, y_val = x_train[-kept:], y_train[-kept:].astype("float32")
x_train, y_train = x_train[:-kept], y_train[:-kept]
print(f"training {x_train.shape} {y_train.shape}, validation {x_val.shape}, test {x_test.shape}")
save(minicnn.plot.images(x_train, y_train, class_names=NAMES), "lesson5_pictures")

# %% [markdown]
# ## The model
# First the convolutions (831,424 weights), then, added to them, the layers that decide.

# %%
model = Sequential(
    [
        Conv2D(48, 3, padding="same", activation=relu, input_shape=(32, 32, 3), name="conv1"),
        MaxPooling2D(3),
        Conv2D(128, 3, padding="same", activation=relu, name="conv2"),
        MaxPooling2D(3),
        Conv2D(192, 3, padding="same", activation=relu, name="conv3"),
        Conv2D(192, 3, padding="same", activation=relu, name="conv4"),
        Conv2D(128, 3, padding="same", activation=relu, name="conv5"),
        MaxPooling2D(3),
    ]
)
print(f"convolutions: {model.count_params():,} weights, output {model.output_shape}")
for layer in (
    Flatten(),
    Dense(1024, activation=relu),
    Dropout(rate=0.5),
    Dense(1024, activation=relu),
    Dense(10, activation=softmax),
):
    model.add(layer)
model.summary()
save(minicnn.plot.model(model), "lesson5_model")

# %% [markdown]
# `fit` takes the labels as they are, class numbers in a column. After ten epochs about two thirds
# of the test pictures are recognized.

# %%
model.compile(optimizer="adam", loss=sparse_categorical_crossentropy, metrics=["accuracy"])
history = model.fit(
    x_train,
    y_train,
    batch_size=128,
    epochs=options.epochs(10),
    validation_data=(x_val, y_val),
)
save(minicnn.plot.history(history), "lesson5_history")
results = model.evaluate(x_test, y_test, verbose=0)
for name, value in zip(model.metrics_names, results, strict=True):
    print(f"test {name}: {value:.4f}")

# %%
save(
    minicnn.plot.predictions(
        x_test[:25], y_test[:25], model.predict(x_test[:25]), class_names=NAMES
    ),
    "lesson5_predictions",
)
save(minicnn.plot.filters(model.get_layer("conv1")), "lesson5_filters")

# %% [markdown]
# ## Task 1: nothing but convolutions
# A convolution with stride 2 halves a picture as well as a pooling does, and the average over each
# of the last ten feature maps takes the place of the dense layers.

# %%
convolutional = Sequential(
    [
        Conv2D(32, 3, strides=2, padding="same", activation="relu", input_shape=(32, 32, 3)),
        Conv2D(64, 3, strides=2, padding="same", activation="relu"),
        Conv2D(128, 3, padding="same", activation="relu"),
        Conv2D(10, 1),
        GlobalAveragePooling2D(),
        Activation("softmax"),
    ],
    name="fully_convolutional",
)


# %% [markdown]
# ## Task 2: residual blocks
# A block adds what it computes to what it was given: if it has nothing to say, it passes the
# picture on. The block is a model of its own and is used like a layer. BatchNormalization keeps
# the numbers in it at a steady scale.


# %%
def residual_block(shape, filters, strides, name):
    x = Input(shape)
    h = Conv2D(filters, 3, strides=strides, padding="same", use_bias=False)(x)
    h = Activation("relu")(BatchNormalization()(h))
    h = BatchNormalization()(Conv2D(filters, 3, padding="same", use_bias=False)(h))
    if strides > 1 or shape[-1] != filters:
        shortcut = Conv2D(filters, 1, strides=strides, use_bias=False)(x)
    else:
        shortcut = x
    return Model(x, Activation("relu")(Add()([h, shortcut])), name=name)


x = Input((32, 32, 3))
h = Conv2D(16, 3, padding="same", activation="relu")(x)
h = residual_block((32, 32, 16), 16, 1, "stage1")(h)
h = residual_block((32, 32, 16), 32, 2, "stage2")(h)
h = residual_block((16, 16, 32), 64, 2, "stage3")(h)
h = GlobalAveragePooling2D()(h)
residual = Model(x, Dense(10, activation="softmax")(h), name="residual")
residual.summary()
save(minicnn.plot.model(residual.get_layer("stage2")), "lesson5_residual_block")

# %%
for variant in (convolutional, residual):
    variant.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    variant.fit(
        x_train / 255.0,
        y_train,
        batch_size=128,
        epochs=options.epochs(3),
        validation_data=(x_val / 255.0, y_val),
        verbose=2,
    )
    accuracy = variant.evaluate(x_test / 255.0, y_test, verbose=0)[1]
    print(f"{variant.name}: {variant.count_params():,} weights, test accuracy {accuracy:.4f}")
