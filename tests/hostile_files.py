"""Good files for the tests to spoil, and a door that must stay shut."""

import codecs
import contextlib
import copy
import io
import json
import os
import sys
import time
import zipfile

import numpy as np
import pytest

SECONDS, MEGABYTES = 1.0, 200

# What Python and NumPy import when they first need it, and what zipfile does.
for codec in ("ascii", "cp437", "utf-8"):
    codecs.lookup(codec)
str(np.dtype("S4")), np.zeros(1, "S4").astype(str)


def good_config(compiled=True):
    """The configuration of a small network, as Keras would write it. Always a new object."""
    from minicnn import Input, Model, layers
    from minicnn.configurable import serialize

    x = Input((6, 6, 2), name="x")
    h = layers.Conv2D(4, 3, name="conv")(x)
    h = layers.BatchNormalization(name="norm")(h)
    h = layers.Dropout(0.2, name="drop")(h)
    h = layers.Add(name="add")([h, layers.ReLU(name="relu")(h)])
    h = layers.MaxPooling2D(2, name="pool")(h)
    h = layers.Reshape((16,), name="reshape")(h)
    model = Model(x, layers.Dense(3, activation="softmax", name="dense")(h), name="net")
    config = json.loads(json.dumps(serialize(model)))
    if compiled:
        config["compile_config"] = {
            "optimizer": {
                "module": "keras.optimizers",
                "class_name": "Adam",
                "config": {"name": "adam", "learning_rate": 0.001},
                "registered_name": None,
            },
            "loss": "sparse_categorical_crossentropy",
            "metrics": ["accuracy"],
        }
    return config


def good_arrays():
    """The weights for it, by their paths in the HDF5 file."""
    shapes = {
        "layers/conv2d/vars": [(3, 3, 2, 4), (4,)],
        "layers/batch_normalization/vars": [(4,)] * 4,
        "layers/dense/vars": [(16, 3), (3,)],
    }
    arrays = {
        f"{group}/{number}": np.ones(shape, np.float32)
        for group, members in shapes.items()
        for number, shape in enumerate(members)
    }
    arrays["optimizer/vars/0"] = np.array(0, np.int64)
    arrays["optimizer/vars/1"] = np.array(0.001, np.float32)
    return arrays


def hdf5_bytes(arrays=None, spoil=None):
    """An HDF5 file with these arrays; ``spoil(file)`` may do to it what it likes."""
    import h5py

    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        for path, array in (good_arrays() if arrays is None else arrays).items():
            file[path] = array
        for group in file.get("layers", {}).values():
            group["vars"].attrs["name"] = group.name.rpartition("/")[2]
        if spoil is not None:
            spoil(file)
    return memory.getvalue()


def keras_file(path, config=None, weights=None, members=(), compression=zipfile.ZIP_STORED):
    """A ``.keras`` file; ``config`` may be text or bytes as well, ``members`` come besides."""
    if config is None:
        config = good_config()
    if not isinstance(config, (str, bytes)):
        config = json.dumps(config)
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("config.json", config)
        archive.writestr("model.weights.h5", hdf5_bytes() if weights is None else weights)
        for name, data in members:
            archive.writestr(name, data)
    return path


def changed(config, keys, value):
    """A copy of a nested config with one place changed. A str finds a layer by its name."""
    config = copy.deepcopy(config)
    place = config
    for key in keys[:-1]:
        place = (
            layer(place, key) if isinstance(place, list) and isinstance(key, str) else place[key]
        )
    if value is KeyError:
        del place[keys[-1]]
    else:
        place[keys[-1]] = value
    return config


def layer(entries, name):
    return next(entry for entry in entries if entry["name"] == name)


EVENTS = []  # what Python's audit hook reports while a file is being loaded
WATCHING = False


def note(event, args):
    if not WATCHING:
        return
    written = event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+")
    if written or event.split(".")[0] in ("subprocess", "socket", "ctypes", "marshal"):
        EVENTS.append((event, args))
    if event in ("os.system", "os.exec", "pickle.find_class", "exec", "compile"):
        EVENTS.append((event, args))


sys.addaudithook(note)


@contextlib.contextmanager
def watched(folder):
    """While the block lasts: little time, little memory, no new module, no new file, no code, no
    process and no connection."""
    global WATCHING
    files, modules = set(os.listdir(folder)), set(sys.modules)
    EVENTS.clear()
    reset_peak_memory()
    memory, start = peak_memory(), time.process_time()
    WATCHING = True
    try:
        yield
    finally:
        WATCHING = False
        seconds, megabytes = time.process_time() - start, peak_memory() - memory
    assert seconds < SECONDS, seconds
    assert megabytes < MEGABYTES, megabytes
    assert set(os.listdir(folder)) == files
    assert not set(sys.modules) - modules, set(sys.modules) - modules
    assert not EVENTS, [event for event, _ in EVENTS]


def refused(path, match=None, load=None):
    """Loading it is a ValueError with a message, and nothing else happens."""
    from minicnn.models import load_model

    with watched(os.path.dirname(path)), pytest.raises(ValueError, match=match) as caught:
        (load or load_model)(path)
    message = str(caught.value)
    assert message.strip()
    assert len(message) < 2000
    assert message.isprintable() or "\n" in message


def reset_peak_memory():
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def peak_memory():
    """In megabytes; 0 where nobody tells."""
    try:
        with open("/proc/self/status") as file:
            line = next(line for line in file if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return 0
    return int(line.split()[1]) / 1024
