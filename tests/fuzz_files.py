"""Good files with some bytes broken: a model comes of them, or a ValueError, and nothing else.

``python tests/fuzz_files.py --minutes 10`` goes on for so long; the tests run a short piece of it.
"""

import argparse
import faulthandler
import functools
import json
import os
import pathlib
import random
import tempfile
import time

import h5py
import make_keras_files
import numpy as np
from hostile_files import good_config, hdf5_bytes, keras_file, watched

KINDS = (
    *("weights", "archive", "configuration", "backup"),
    *("old weights", "old model", "old configuration"),
)
FOLDER = pathlib.Path(__file__).parent / "keras_files"
OLD, NETWORK = FOLDER / "sequential-2.15.0.h5", FOLDER / "functional-2.15.0.h5"


def break_bytes(data, rng):
    """1 to 16 bytes changed; texts at places that matter to texts."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 16)):
        place = rng.randrange(len(data))
        data[place] = rng.choice([0, 1, 0x7F, 0xFF, data[place] ^ (1 << rng.randrange(8))])
    return bytes(data)


def break_text(text, rng):
    """Some of the numbers, names and brackets of a JSON text exchanged for others."""
    data = bytearray(text.encode())
    for _ in range(rng.randint(1, 3)):
        place, piece = rng.randrange(len(data)), rng.randrange(len(data))
        length = rng.randint(1, 12)
        data[place : place + length] = rng.choice(
            [b"0", b"-1", b"1e9", b"null", b"[]", b"{}", b'"', data[piece : piece + length]]
        )
    return bytes(data)


@functools.cache
def backup():
    """A model, and the file that a training of it leaves when it is interrupted."""
    import minicnn
    from minicnn.models import model_from_json

    model = model_from_json(json.dumps(good_config(compiled=False)))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x, y = np.zeros((12, 6, 6, 2), np.float32), np.zeros(12, int)

    class Stop(minicnn.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                raise KeyboardInterrupt

    with tempfile.TemporaryDirectory() as folder:
        keep = minicnn.callbacks.BackupAndRestore(folder, save_freq=1)
        watch = minicnn.callbacks.EarlyStopping("loss", restore_best_weights=True)
        try:
            model.fit(x, y, batch_size=4, verbose=0, callbacks=[watch, keep, Stop()])
        except KeyboardInterrupt:
            return model, keep.path.read_bytes()


def fuzz(folder, kind, seed):
    """Make one broken file and load it; whether it was refused."""
    from minicnn.models import load_model, model_from_json

    rng = random.Random(f"{kind} {seed}")
    path = os.path.join(folder, "m.keras")
    if kind == "weights":
        path = os.path.join(folder, "m.weights.h5")
        with open(path, "wb") as file:
            file.write(break_bytes(hdf5_bytes(), rng))
        load = model_from_json(json.dumps(good_config(compiled=False))).load_weights
    elif kind == "old weights":
        import minicnn

        path = os.path.join(folder, "m.h5")
        with open(path, "wb") as file:
            file.write(break_bytes(OLD.read_bytes(), rng))
        load = make_keras_files.sequential(minicnn).load_weights
    elif kind.startswith("old"):
        path = os.path.join(folder, "m.h5")
        data = NETWORK.read_bytes()
        with open(path, "wb") as file:
            file.write(break_bytes(data, rng) if kind == "old model" else data)
        if kind == "old configuration":
            with h5py.File(path, "a") as file:
                name = rng.choice(["model_config", "training_config"])
                text = break_text(file.attrs[name], rng)
                file.attrs[name] = text.replace(b"\0", b"")
        load = load_model
    elif kind == "backup":
        from minicnn.saving import training_state

        model, data = backup()
        path = os.path.join(folder, "latest.weights.h5")
        with open(path, "wb") as file:
            file.write(break_bytes(data, rng))
        load = functools.partial(training_state.load, model=model)
    elif kind == "archive":
        with open(keras_file(path), "rb") as file:
            data = break_bytes(file.read(), rng)
        with open(path, "wb") as file:
            file.write(data)
        load = load_model
    else:
        keras_file(path, break_text(json.dumps(good_config()), rng))
        load = load_model
    with watched(folder):
        try:
            load(path)
        except ValueError:
            return True
    return False


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    end, seed = time.time() + 60 * options.minutes, options.seed
    refused = dict.fromkeys(KINDS, 0)
    with tempfile.TemporaryDirectory() as folder:
        while time.time() < end:
            for kind in KINDS:
                # What takes so long is stuck, perhaps in C: the file stays in the folder.
                faulthandler.dump_traceback_later(120, exit=True)
                try:
                    refused[kind] += fuzz(folder, kind, seed)
                except BaseException:
                    print(f"kind {kind!r}, seed {seed}")
                    raise
            seed += 1
        faulthandler.cancel_dump_traceback_later()
    print(f"{seed - options.seed} files of each kind, refused: {refused}")


if __name__ == "__main__":
    main()
