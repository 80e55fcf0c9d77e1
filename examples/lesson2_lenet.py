# %% [markdown]
# # Lesson 2: a LeNet-like network on raw MNIST
#
# In 1998 LeNet-5 read the digits on cheques. Ours is its little sister: two convolutions, two
# poolings, one dense layer, 8,790 weights. The pictures go in as they are, pixels from 0 to 255.
#
# `--epochs N` and `--images N` make a quick run.

# %%
import numpy as np
from common import Options, save

import minicnn
from minicnn import backend as K
from minicnn.callbacks import EarlyStopping
from minicnn.datasets import mnist
from minicnn.layers import AveragePooling2D, Conv2D, Dense, Flatten, MaxPooling2D
from minicnn.models import Model, Sequential
from minicnn.utils import set_random_seed, to_categorical

options = Options()
set_random_seed(options.seed)

# %%
(x_train, y_train), (x_test, y_test) = mnist.load_data()
x_train, y_train = options.images(x_train, y_train)
x_test, y_test = options.images(x_test, y_test)
x_train, x_test = x_train[..., np.newaxis], x_test[..., np.newaxis]
labels_train, labels_test = to_categorical(y_train, 10), to_categorical(y_test, 10)
print(f"{x_train.shape}, {x_train.dtype}, from {x_train.min()} to {x_train.max()}")

# %% [markdown]
# ## The model
# `clear_session` starts the automatic names (conv2d, conv2d_1, ...) from the beginning.

# %%
K.clear_session()
model = Sequential()
model.add(
    Conv2D(6, (3, 3), strides=(1, 1), padding="same", activation="relu", input_shape=(28, 28, 1))
)
model.add(MaxPooling2D(pool_size=(2, 2), strides=2))
model.add(Conv2D(16, (3, 3), strides=(1, 1), padding="same", activation="relu"))
model.add(MaxPooling2D(pool_size=(2, 2), strides=2))
model.add(Flatten())
model.add(Dense(10, activation="softmax"))
model.summary()
save(minicnn.plot.model(model), "lesson2_model")

# %% [markdown]
# ## Training
# The last 30 % of the pictures are kept aside to see, after each epoch, how the network does on
# what it does not learn from. About 98 of a hundred are read correctly in the end.

# %%
model.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["accuracy"])
history = model.fit(
    x_train, labels_train, batch_size=128, epochs=options.epochs(10), validation_split=0.3
)
save(minicnn.plot.history(history), "lesson2_history")
loss, accuracy = model.evaluate(x_test, labels_test, verbose=0)
print(f"validation accuracy {history.history['val_accuracy'][-1]:.4f}, test {accuracy:.4f}")

# %% [markdown]
# ## What it confuses
# Row by row the digit that it was, column by column the digit that the network saw.

# %%
predicted = model.predict(x_test).argmax(axis=1)
save(minicnn.plot.confusion_matrix(y_test, predicted), "lesson2_confusion")

# %% [markdown]
# scikit-learn counts the same, if it is installed.

# %%
try:
    from sklearn.metrics import confusion_matrix
except ImportError:
    print("scikit-learn is not installed; the picture above has the counts")
else:
    print(confusion_matrix(y_test, predicted))

# %% [markdown]
# ## What the first convolution sees
# A model that shares the trained layers but ends after the first one. Clearing the session does
# not touch the models that exist.

# %%
K.clear_session()
first = Model(inputs=model.inputs, outputs=model.layers[0].output)
first.summary()
maps = first.predict(x_test[:1])
print(f"feature maps: {maps.shape}")
save(minicnn.plot.feature_maps(maps[0], columns=2), "lesson2_feature_maps")

# %% [markdown]
# ## Kernels by hand
# Nobody has to learn an edge detector: here is one for upright edges and one for level edges
# (Sobel's), set by hand into a convolution.

# %%
edges = Conv2D(2, 3, use_bias=False, padding="same")
picture = x_test[:1].astype("float32")
edges(picture)  # makes the weights
sobel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], "float32")
edges.set_weights([np.stack([sobel, sobel.T], axis=-1)[:, :, np.newaxis, :]])
save(minicnn.plot.feature_maps(edges(picture)[0]), "lesson2_edges")
save(
    minicnn.plot.convolution(x_test[0, ::2, ::2, 0], sobel, strides=1, padding="valid"),
    "lesson2_sliding_kernel",
)

# %% [markdown]
# ## Try it yourself
# The same network with average pooling, stopped when the validation loss has not improved for five
# epochs; `restore_best_weights` goes back to the best epoch.

# %%
variant = Sequential(
    [
        Conv2D(6, 3, padding="same", activation="relu", input_shape=(28, 28, 1)),
        AveragePooling2D(2),
        Conv2D(16, 3, padding="same", activation="relu"),
        AveragePooling2D(2),
        Flatten(),
        Dense(10, activation="softmax"),
    ]
)
variant.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
stopped = variant.fit(
    x_train,
    labels_train,
    batch_size=128,
    epochs=options.epochs(10),
    validation_split=0.3,
    callbacks=[EarlyStopping(monitor="val_loss", patience=5, restore_best_weights=True)],
    verbose=2,
)
print(f"average pooling: {variant.evaluate(x_test, labels_test, verbose=0)[1]:.4f}")
