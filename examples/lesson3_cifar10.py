# %% [markdown]
# # Lesson 3: CIFAR-10, the pipeline and overfitting
#
# CIFAR-10: 60,000 colour pictures, 32 by 32 pixels, of ten kinds of things. They are small, varied
# and hard. We build an input pipeline, then three networks, and watch the second one learn its
# pictures by heart.
#
# `--epochs N` and `--images N` make a quick run.

# %%
import numpy as np
from common import Options, save

import minicnn
from minicnn import datasets
from minicnn.data import AUTOTUNE
from minicnn.layers import Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from minicnn.models import Model, Sequential
from minicnn.utils import set_random_seed

options = Options()
set_random_seed(options.seed)

# %% [markdown]
# ## The pipeline
# The data set yields dictionaries. `map` turns each into what `fit` wants, a picture with values
# from 0 to 1 and a one-hot label. `shard(10, 9)` is the last of ten interleaved parts: it is kept
# for validation, and the other nine are joined for training.

# %%
(raw_train, raw_test), info = datasets.load("cifar10", split=["train", "test"], with_info=True)
raw_train, raw_test = options.take(raw_train), options.take(raw_test)
names = info.features["label"].names
print(names)


def prepare(sample):
    """A picture with values from 0 to 1, and its label as ten numbers."""
    image = sample["image"].astype("float32") / 255.0
    return image, np.eye(10, dtype="float32")[sample["label"]]


prepared = raw_train.map(prepare, num_parallel_calls=AUTOTUNE)
validation = prepared.shard(10, 9)
train = prepared.shard(10, 0)
for part in range(1, 9):
    train = train.concatenate(prepared.shard(10, part))

train = train.cache().shuffle(5000).batch(64).prefetch(AUTOTUNE)
validation = validation.cache().batch(64).prefetch(AUTOTUNE)
test = raw_test.map(prepare, num_parallel_calls=AUTOTUNE).cache().batch(64).prefetch(AUTOTUNE)
print(f"batches: {len(train)} for training, {len(validation)} for validation, {len(test)} to test")

# %%
images, labels = train.as_numpy_iterator().next()
save(
    minicnn.plot.images(images, labels.argmax(axis=1), class_names=names, rows=5, columns=5),
    "lesson3_pictures",
)


# %% [markdown]
# All three networks are trained, drawn and tested in the same way.


# %%
def train_and_show(model, name, epochs):
    history = model.fit(train, epochs=options.epochs(epochs), validation_data=validation)
    save(minicnn.plot.history(history), f"lesson3_{name}_history")
    loss, accuracy = model.evaluate(test, verbose=0)
    print(f"{name}: test loss {loss:.4f}, test accuracy {accuracy:.4f}")


# %% [markdown]
# ## First: no convolution at all
# 789,258 weights and plain gradient descent. Guessing would be right in 10 of a hundred pictures;
# this is right in 35 to 40.

# %%
model1 = Sequential(
    [
        Flatten(input_shape=(32, 32, 3)),
        Dense(256, activation="sigmoid"),
        Dense(10, activation="softmax"),
    ]
)
model1.summary()
model1.compile(optimizer="SGD", loss="categorical_crossentropy", metrics=["accuracy"])
train_and_show(model1, "model1", epochs=10)

# %% [markdown]
# ## Second: one convolution and many weights
# 4,196,618 weights, nearly all of them between the feature maps and the dense layer. Look at the
# curves: the training accuracy climbs and climbs while the validation accuracy stands still, and
# the validation loss turns upwards. The network learns its pictures by heart: it overfits. It is
# right in about 55 of a hundred pictures that it has not seen.

# %%
model2 = Sequential(
    [
        Conv2D(32, (3, 3), activation="relu", padding="same", input_shape=(32, 32, 3)),
        Flatten(),
        Dense(128, activation="relu"),
        Dense(10, activation="softmax"),
    ]
)
model2.summary()
model2.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
train_and_show(model2, "model2", epochs=10)

# %% [markdown]
# ## Third: deep, narrow and forgetful
# Three convolutions with pooling between them, and dropout, which in each training step switches
# off half of the units before the last layer, so that none can rely on another. 94,890 weights: a
# forty-fourth of the second network's, and yet it is right in about 70 of a hundred pictures.

# %%
model3 = Sequential(
    [
        Conv2D(32, (3, 3), activation="relu", padding="same", input_shape=(32, 32, 3)),
        MaxPooling2D((2, 2)),
        Conv2D(32, (3, 3), activation="relu", padding="same"),
        MaxPooling2D((2, 2)),
        Conv2D(64, (3, 3), activation="relu", padding="same"),
        MaxPooling2D((2, 2)),
        Flatten(),
        Dense(64, activation="relu"),
        Dropout(0.5),
        Dense(10, activation="softmax"),
    ]
)
model3.summary()
model3.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
train_and_show(model3, "model3", epochs=30)

# %% [markdown]
# ## Its answers
# "P" is what the network predicts, "A" the actual thing; green is right, red is wrong.

# %%
images, labels = test.as_numpy_iterator().next()
save(
    minicnn.plot.predictions(
        images, labels.argmax(axis=1), model3.predict(images), class_names=names
    ),
    "lesson3_predictions",
)

# %% [markdown]
# ## What the convolutions see
# A model that ends at several layers at once, called on a batch, gives a list: one array of feature
# maps for each convolution.

# %%
convolutions = [layer for layer in model3.layers if isinstance(layer, Conv2D)]
views = Model(inputs=model3.inputs, outputs=[layer.output for layer in convolutions])
maps = views(images[:1])
for number, (part, columns) in enumerate(zip(maps, (8, 8, 8), strict=True), start=1):
    print(f"convolution {number}: {part.shape}")
    save(minicnn.plot.feature_maps(part[0], columns=columns), f"lesson3_maps{number}")
