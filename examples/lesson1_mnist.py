# %% [markdown]
# # Lesson 1: MNIST, from dense to convolutional
#
# MNIST is a collection of 70,000 handwritten digits, 28 by 28 pixels each. We teach a computer to
# read them twice: with a network of fully connected layers, which sees a picture as a list of 784
# unrelated numbers, and with a convolutional network, which sees strokes and where they lie.
#
# `--epochs N` and `--images N` make a quick run.

# %%
from common import Options, save

import minicnn
from minicnn.datasets import mnist
from minicnn.layers import Conv2D, Dense, Flatten, MaxPooling2D
from minicnn.models import Sequential
from minicnn.utils import set_random_seed, to_categorical

options = Options()
set_random_seed(options.seed)

# %% [markdown]
# ## The data
# Each pixel is a number from 0 (paper) to 255 (ink). Networks learn best from small numbers, so we
# scale them to lie between 0 and 1. The answer to "which digit?" becomes ten numbers, one for each
# digit: 1 at the right one and 0 elsewhere ("one-hot").

# %%
(x_train, y_train), (x_test, y_test) = mnist.load_data()
x_train, y_train = options.images(x_train, y_train)
x_test, y_test = options.images(x_test, y_test)
train_images, test_images = x_train / 255.0, x_test / 255.0
train_labels, test_labels = to_categorical(y_train, 10), to_categorical(y_test, 10)
print(f"training: {train_images.shape}, test: {test_images.shape}")
save(minicnn.plot.images(x_train[:30], y_train[:30], rows=5, columns=6), "lesson1_digits")

# %% [markdown]
# ## A dense network
# `Flatten` lays the picture out as a list; 30 hidden units look at all of its 784 pixels each.
# That makes 784 x 30 + 30 weights in the hidden layer and 30 x 10 + 10 in the output: 23,860.

# %%
model = Sequential()
model.add(Flatten(input_shape=(28, 28)))
model.add(Dense(30, activation="relu", name="hidden"))
model.add(Dense(10, activation="softmax", name="output"))
model.summary()

# %%
model.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["accuracy"])
history = model.fit(
    train_images,
    train_labels,
    epochs=options.epochs(5),
    batch_size=64,
    validation_data=(test_images, test_labels),
)
save(minicnn.plot.history(history), "lesson1_dense_history")

# %% [markdown]
# How good is it on the pictures it has learnt from, and on those it has never seen? About 96 of a
# hundred digits are read correctly.

# %%
for kind, images, labels in (
    ("training", train_images, train_labels),
    ("test", test_images, test_labels),
):
    loss, accuracy = model.evaluate(images, labels, verbose=0)
    print(f"dense network, {kind}: loss {loss:.4f}, accuracy {accuracy:.4f}")

# %% [markdown]
# ## What a convolution costs
# A kernel is a small window of weights that slides over the picture. Its weights are the same
# wherever it stands, so their number depends on the kernel's size, on the channels that it sees and
# on the number of kernels, but not on the size of the picture.


# %%
def weights_of(*arguments, **options):
    return Sequential([Conv2D(*arguments, **options)]).count_params()


print("one 3x3 kernel on 28x28:       ", weights_of(1, (3, 3), input_shape=(28, 28, 1)))
print("one 3x3 kernel on 1000x1000:   ", weights_of(1, (3, 3), input_shape=(1000, 1000, 1)))
print("one 5x5 kernel:                ", weights_of(1, (5, 5), input_shape=(28, 28, 1)))
print("one 3x3 kernel, three channels:", weights_of(1, (3, 3), input_shape=(28, 28, 3)))
print("two of them:                   ", weights_of(2, (3, 3), input_shape=(28, 28, 3)))
print("ten of them:                   ", weights_of(10, (3, 3), input_shape=(28, 28, 3)))

# %% [markdown]
# ## A convolutional network
# Three convolutions with 64 kernels each. Pooling halves the picture between them, so that each
# later kernel sees a larger part of the digit. 112,074 weights, and about 99 of a hundred digits of
# the test are read correctly.

# %%
model = Sequential()
model.add(Conv2D(64, (3, 3), activation="relu", input_shape=(28, 28, 1), name="conv1"))
model.add(MaxPooling2D((2, 2), name="pool1"))
model.add(Conv2D(64, (3, 3), activation="relu", name="conv2"))
model.add(MaxPooling2D((2, 2), name="pool2"))
model.add(Conv2D(64, (3, 3), activation="relu", name="conv3"))
model.add(Flatten(name="flatten"))
model.add(Dense(64, activation="relu", name="hidden"))
model.add(Dense(10, activation="softmax", name="output"))
model.summary()

# %%
train_images = train_images.reshape((-1, 28, 28, 1))
test_images = test_images.reshape((-1, 28, 28, 1))
model.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["accuracy"])
history = model.fit(
    train_images,
    train_labels,
    epochs=options.epochs(5),
    batch_size=64,
    validation_data=(test_images, test_labels),
)
save(minicnn.plot.history(history), "lesson1_convnet_history")

# %%
for kind, images, labels in (
    ("training", train_images, train_labels),
    ("test", test_images, test_labels),
):
    loss, accuracy = model.evaluate(images, labels, verbose=0)
    print(f"convolutional network, {kind}: loss {loss:.4f}, accuracy {accuracy:.4f}")

# %% [markdown]
# ## Where it is still wrong
# Thirty of its mistakes. Would you have read them all correctly?

# %%
probabilities = model.predict(test_images)
save(
    minicnn.plot.misclassified(x_test, y_test, probabilities, rows=5, columns=6, seed=1),
    "lesson1_misclassified",
)
