# %% [markdown]
# # Lesson 4: inside a CNN
#
# One network, opened up: what each layer makes of a picture, how training is continued, and what
# happens when a part is taken out.
#
# `--epochs N` and `--images N` make a quick run.

# %%
import numpy as np
from common import Options, save

import minicnn
from minicnn import datasets
from minicnn.data import AUTOTUNE
from minicnn.layers import AveragePooling2D, Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from minicnn.models import Model, Sequential
from minicnn.utils import set_random_seed

options = Options()
set_random_seed(options.seed)

# %%
(raw_train, raw_test), info = datasets.load("cifar10", split=["train", "test"], with_info=True)
raw_train, raw_test = options.take(raw_train), options.take(raw_test)
names = info.features["label"].names


def prepare(sample):
    """A picture with values from 0 to 1, and its label as ten numbers."""
    image = sample["image"].astype("float32") / 255.0
    return image, np.eye(10, dtype="float32")[sample["label"]]


prepared = raw_train.map(prepare, num_parallel_calls=AUTOTUNE)
validation = prepared.shard(10, 9).cache().batch(64).prefetch(AUTOTUNE)
train = prepared.shard(10, 0)
for part in range(1, 9):
    train = train.concatenate(prepared.shard(10, part))
train = train.cache().shuffle(5000).batch(64).prefetch(AUTOTUNE)
test = raw_test.map(prepare).cache().batch(64).prefetch(AUTOTUNE)


# %% [markdown]
# ## The network
# 4,200,842 weights. Pooling and dropout can be switched off and the number of kernels changed: that
# is for the exercises below.


# %%
def build(kernels=32, pooling=MaxPooling2D, dropout=True):
    model = Sequential()
    model.add(Conv2D(kernels, (3, 3), activation="relu", padding="same", input_shape=(32, 32, 3)))
    if pooling is not None:
        model.add(pooling((2, 2)))
    if dropout:
        model.add(Dropout(0.5))
    model.add(Flatten())
    model.add(Dense(512, activation="relu"))
    model.add(Dense(10, activation="softmax"))
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    return model


model = build()
model.summary()

# %% [markdown]
# ## Ten epochs, and on to thirty
# `initial_epoch` goes on counting where the first training stopped. The optimizer keeps its state
# between the two, and the picture joins their histories.

# %%
first = model.fit(train, epochs=options.epochs(10), validation_data=validation)
second = model.fit(
    train,
    initial_epoch=options.epochs(10),
    epochs=options.epochs(10) + options.epochs(20),
    validation_data=validation,
)
save(minicnn.plot.history([first, second]), "lesson4_history")
print(model.evaluate(test, return_dict=True))

# %% [markdown]
# ## Layer by layer
# These models hold the very same layers as the trained one, not copies.

# %%
images, labels = test.as_numpy_iterator().next()
outputs = [layer.output for layer in model.layers[:2]]
views = Model(inputs=model.inputs, outputs=outputs)
assert all(layer in views.layers for layer in model.layers[:2])
for layer, maps in zip(model.layers[:2], views(images[:1]), strict=True):
    print(f"{layer.name}: {maps.shape}")
    save(minicnn.plot.feature_maps(maps[0], columns=8), f"lesson4_maps_{layer.name}")
save(minicnn.plot.filters(model.layers[0]), "lesson4_filters")

# %% [markdown]
# ## Exercises
# What does each part contribute? Without pooling and dropout, with four kernels only, and with the
# average of each window instead of its maximum.

# %%
for title, variant in (
    ("without pooling and dropout", build(pooling=None, dropout=False)),
    ("with 4 kernels", build(kernels=4)),
    ("with average pooling", build(pooling=AveragePooling2D)),
):
    run = variant.fit(
        train, epochs=options.epochs(5), validation_data=validation, verbose=2
    ).history
    print(
        f"{title}: {variant.count_params():,} weights, accuracy {run['accuracy'][-1]:.4f}, "
        f"validation {run['val_accuracy'][-1]:.4f}"
    )
