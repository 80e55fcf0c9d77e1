"""The lessons' models: from the same weights and the same batches, without dropout, minicnn's and
Keras's loss curves lie on each other."""

import os

import numpy as np
import pytest

keras = pytest.importorskip("keras")

import minicnn  # noqa: E402
from benchmarks.course import MODELS  # noqa: E402
from minicnn.datasets import cifar10, mnist  # noqa: E402
from minicnn.utils import set_random_seed, to_categorical  # noqa: E402

pytestmark = pytest.mark.keras


def pictures(model, count):
    """The lesson's real pictures where MINICNN_DATA holds them; otherwise made-up ones of ten
    kinds, that a network can learn to tell apart."""
    if os.environ.get("MINICNN_DATA"):
        (x, y), _ = (mnist if model.data == "mnist" else cifar10).load_data()
        x, y = x[:count].reshape(-1, *model.input_shape), y[:count].reshape(-1)
    else:
        rng = np.random.default_rng(0)
        y = rng.integers(0, 10, count)
        kinds = rng.integers(0, 256, (10, *model.input_shape))
        x = (kinds[y] + rng.integers(0, 256, (count, *model.input_shape))) // 2
    labels = to_categorical(y, 10) if model.loss.startswith("categorical") else y
    return (x / 255).astype(np.float32), labels


def curves(model, steps):
    """The loss of each step, minicnn's and Keras's."""
    set_random_seed(0)
    ours, theirs = model.build(minicnn, dropout=False), model.build(keras, dropout=False)
    theirs.set_weights(ours.get_weights())
    for one in (ours, theirs):
        one.compile(model.optimizer, model.loss)
    x, y = pictures(model, 20 * model.batch_size)
    losses = []
    for step in range(steps):
        rows = slice(step % 20 * model.batch_size, (step % 20 + 1) * model.batch_size)
        losses.append([float(one.train_on_batch(x[rows], y[rows])) for one in (ours, theirs)])
    return np.array(losses).T


@pytest.fixture
def double():
    """Both libraries compute in float64. In float32 two correct programs drift apart within some
    dozen steps, for each rounds in its own way and training makes the differences grow."""
    if keras.backend.backend() != "jax":
        pytest.skip("only on JAX does Keras compute everything in float64")
    import jax

    kept = keras.config.floatx(), keras.config.dtype_policy()
    jax.config.update("jax_enable_x64", True)
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    minicnn.backend.set_floatx("float64")
    yield
    minicnn.backend.set_floatx("float32")
    keras.config.set_floatx(kept[0])
    keras.config.set_dtype_policy(kept[1])
    jax.config.update("jax_enable_x64", False)


def distance(ours, theirs):
    return np.abs(ours - theirs) / np.abs(theirs)


@pytest.mark.parametrize("name", ["dense-mnist", "lenet", "dense-cifar", "model3"])
def test_the_first_steps_in_float32(name):
    ours, theirs = curves(MODELS[name], 5)
    assert distance(ours, theirs).max() < 1e-3


@pytest.mark.parametrize("name", ["dense-mnist", "lenet", "model3"])
def test_the_first_steps(name, double):
    ours, theirs = curves(MODELS[name], 20)
    assert distance(ours, theirs).max() < 1e-9


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", list(MODELS))
def test_two_hundred_steps(name, double):
    ours, theirs = curves(MODELS[name], 200)
    assert theirs[-20:].mean() < theirs[:20].mean()
    assert distance(ours, theirs).max() < 1e-3
    print(f"{name}: largest relative distance {distance(ours, theirs).max():.1e}")
