# %% [markdown]
# # A convolutional network learns real handwritten digits
#
# 1,797 scans of handwritten digits, 8 by 8 pixels each, come with the library (the UCI optical
# digits collection). A small convolutional network sees 1,497 of them and is then asked about the
# 300 that it has never seen. Run it with `python examples/quickstart.py`; it needs no network, and
# half a minute.

# %%
from pathlib import Path

import numpy as np

import minicnn
from minicnn import layers
from minicnn.datasets import digits
from minicnn.utils import set_random_seed

set_random_seed(1)
(x_train, y_train), (x_test, y_test) = digits.load_data()
print(f"{len(x_train)} digits to learn from, {len(x_test)} to be tested on")

# %% [markdown]
# ## The model
# Two convolutions look for strokes, a pooling layer keeps the strongest answer of each 2x2 field,
# dropout keeps the network from relying on single pixels, and the dense layers decide.

# %%
model = minicnn.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Rescaling(1 / 16),
        layers.Conv2D(16, 3, padding="same", activation="relu"),
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Dropout(0.25),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]
)
model.summary()

# %% [markdown]
# ## Training
# In each step the network answers for 32 digits, the loss says how wrong it was, the backward pass
# says how each weight had a part in that, and Adam changes the weights a little.

# %%
model.compile(
    optimizer="adam",
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
history = model.fit(x_train, y_train, epochs=15, validation_split=0.1)

# %% [markdown]
# ## The test
# Digits that the network has never seen.

# %%
loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
print(f"test accuracy: {accuracy:.1%} (loss {loss:.3f})")

# %% [markdown]
# ## Two pictures
# The curves of the training, and test digits with the network's answers: "P" is what it predicts,
# "A" the actual digit, and red is wrong.

# %%
probabilities = model.predict(x_test, verbose=0)
wrong = np.flatnonzero(probabilities.argmax(axis=1) != y_test)
right = np.setdiff1d(np.arange(len(y_test)), wrong)
shown = np.concatenate([wrong, right])[:25]  # the mistakes first

here = Path(__file__).parent if "__file__" in globals() else Path()
curves = minicnn.plot.history(history)
curves.savefig(here / "quickstart_history.png")
answers = minicnn.plot.predictions(x_test[shown], y_test[shown], probabilities[shown])
answers.savefig(here / "quickstart_digits.png")
print(f"see {here / 'quickstart_history.png'} and {here / 'quickstart_digits.png'}")
