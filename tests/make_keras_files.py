"""Writes the small models of tests/keras_files with whichever Keras is installed.

The files there were made in fresh virtual environments, with JAX as the backend, by

    pip install "keras==3.0.5" "jax<0.4.31" "jaxlib<0.4.31" "numpy<2" packaging
    pip install "keras==3.5.0" jax "numpy<2.2"
    pip install "keras==3.10.0" jax
    KERAS_BACKEND=jax python tests/make_keras_files.py

and those of Keras 2, of which only the ``.h5`` files are kept, by

    pip install "tensorflow-cpu==2.15.*"
    python tests/make_keras_files.py
"""

import pathlib

import numpy as np

FOLDER = pathlib.Path(__file__).parent / "keras_files"


def sequential(keras):
    # So weak that it does not matter: Keras 3.0 on JAX forgets it in the gradient.
    weak = keras.regularizers.L2(1e-7)
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((6, 6, 2)),
            layers.Conv2D(3, 3, padding="same", activation="elu", kernel_regularizer=weak),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.DepthwiseConv2D(2, activation=layers.LeakyReLU()),
            layers.Dropout(0.0),
            layers.Flatten(),
            layers.Dense(4, activation="softmax", kernel_constraint="max_norm"),
        ],
        name="chain",
    )


def functional(keras):
    layers = keras.layers
    x = layers.Input((6, 6, 2))
    t = layers.Input((6, 6, 2))
    h = layers.SeparableConv2D(2, 3, padding="same")(t)
    block = keras.Model(t, layers.Add()([t, layers.Activation("silu")(h)]), name="block")
    tail = keras.Sequential(
        [layers.Input((4,)), layers.Dense(4, activation="softmax")], name="tail"
    )
    h = block(block(x))
    a = layers.GlobalAveragePooling2D()(h)
    b = layers.GlobalMaxPooling2D()(h)
    shared = layers.Dense(2, activation="tanh", name="shared")
    return keras.Model(x, tail(layers.Concatenate()([shared(a), shared(b)])), name="net")


def older(keras):
    """As one wrote it before Keras 3."""
    layers = keras.layers
    first = layers.Conv2D(3, 3, input_shape=(6, 6, 2), kernel_initializer="he_normal")
    last = layers.Dense(4, activation="softmax", kernel_regularizer=keras.regularizers.l1_l2(1e-3))
    return keras.Sequential(
        [
            keras.Sequential([first, layers.LeakyReLU(0.2)], name="base"),
            layers.SpatialDropout2D(0.0),
            layers.Conv2DTranspose(2, 2),
            layers.GlobalAveragePooling2D(),
            last,
        ],
        name="older",
    )


def main():
    import keras

    FOLDER.mkdir(exist_ok=True)
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 6, 6, 2)).astype(np.float32), rng.integers(0, 4, 8)
    rate = keras.optimizers.schedules.CosineDecay(0.05, 10)
    # With a large epsilon, a gradient that is nearly zero moves nothing: what remains of it is
    # noise, which the size of a step would otherwise not depend on.
    adam, sgd = keras.optimizers.Adam(0.01, epsilon=0.1), keras.optimizers.SGD(rate, 0.9)
    is_old = keras.__version__.startswith("2.")
    pairs = [(sequential, adam), (functional, sgd)]
    if is_old:
        pairs.append((older, keras.optimizers.legacy.Adam(0.01, epsilon=0.1, decay=0.5)))
    for build, optimizer in pairs:
        model = build(keras)
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.train_on_batch(x, y)
        name = f"{build.__name__}-{keras.__version__}"
        if not is_old:
            model.save(FOLDER / f"{name}.keras")
        if is_old or build is sequential:
            model.save(FOLDER / f"{name}.h5")
        predictions = np.asarray(model(x))
        model.train_on_batch(x, y)
        later = {f"later{i}": w for i, w in enumerate(model.get_weights())}
        np.savez_compressed(FOLDER / f"{name}.npz", x=x, y=y, predictions=predictions, **later)


if __name__ == "__main__":
    main()
