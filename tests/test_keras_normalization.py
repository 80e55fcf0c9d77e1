"""Normalization against Keras: what is learned from data, and files in both directions."""

import numpy as np
import pytest

keras = pytest.importorskip("keras")
pytest.importorskip("h5py")

import minicnn  # noqa: E402

pytestmark = pytest.mark.keras


def network(kit, layer):
    return kit.Sequential([kit.layers.Input((4, 5, 3)), layer, kit.layers.Flatten()])


@pytest.mark.parametrize(
    "options",
    [{}, {"axis": None}, {"axis": (1, -1)}, {"axis": 2, "invert": True}],
    ids=str,
)
@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
def test_the_same_is_learned_and_travels(options, ending, rng, tmp_path):
    x = rng.normal([1, -2, 30], [1, 0.1, 4], size=(20, 4, 5, 3)).astype(np.float32)
    ours, theirs = (kit.layers.Normalization(**options) for kit in (minicnn, keras))
    for layer in (ours, theirs):
        layer.adapt(x)
    assert np.abs(ours.mean - np.asarray(theirs.mean)).max() < 1e-6 * np.abs(ours.mean).max()
    assert np.abs(ours.variance / np.asarray(theirs.variance) - 1).max() < 1e-5
    assert ours.mean.shape == tuple(theirs.mean.shape)
    expected = np.asarray(theirs(x))
    size = np.abs(expected).max()
    assert np.abs(ours(x) - expected).max() < 1e-5 * size

    for model, other in ((minicnn, keras), (keras, minicnn)):
        written = network(model, {minicnn: ours, keras: theirs}[model])
        path = str(tmp_path / f"from {model.__name__}{ending}")
        if ending == ".keras":
            written.save(path)
            read = other.models.load_model(path)
        else:
            written.save_weights(path)
            read = network(other, other.layers.Normalization(**options))
            read.load_weights(path)
        y = np.asarray(read(x)).reshape(x.shape)
        assert np.abs(y - expected).max() < 1e-5 * size
