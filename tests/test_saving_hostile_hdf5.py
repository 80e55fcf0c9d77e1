"""HDF5 files with links, bombs, strange types and holes; and good files with broken bytes."""

import functools
import json
import os
import struct

import h5py
import numpy as np
import pytest
from hostile_files import (
    good_arrays,
    good_config,
    hdf5_bytes,
    keras_file,
    refused,
    watched,
)

from minicnn.models import load_model, model_from_json
from minicnn.saving import hdf5

KERNEL = "layers/conv2d/vars/0"
BIAS = "layers/conv2d/vars/1"


@pytest.fixture
def path(tmp_path):
    load_model(keras_file(tmp_path / "warm.keras"))
    (tmp_path / "warm.keras").unlink()
    return str(tmp_path / "m.keras")


def refuse_both(path, weights, match=None):
    """As a whole model, and as weights alone, which then change nothing."""
    refused(keras_file(path, weights=weights), match)
    model = fresh_model()
    before = model.get_weights()
    name = path.replace(".keras", ".weights.h5")
    with open(name, "wb") as file:
        file.write(weights)
    refused(name, match, model.load_weights)
    assert all(map(np.array_equal, model.get_weights(), before))


def fresh_model():
    return model_from_json(json.dumps(good_config(compiled=False)))


def test_the_good_file_is_good(path):
    name = path.replace(".keras", ".weights.h5")
    with open(name, "wb") as file:
        file.write(hdf5_bytes())
    model = fresh_model()
    with watched(os.path.dirname(path)):
        model.load_weights(name)
    assert all((weight == 1).all() for weight in model.get_weights())


# -- links and storage elsewhere --------------------------------------------------------------


def replace(path, make):
    """Put something else in the place of an array or a group."""

    def spoil(file):
        del file[path]
        group, _, name = path.rpartition("/")
        make(file[group or "/"], name)

    return spoil


LINKS = {
    "external": h5py.ExternalLink("/tmp/other.h5", "/a"),
    "soft": h5py.SoftLink("/layers/dense/vars/0"),
    "dangling": h5py.SoftLink("/nowhere"),
    "itself": h5py.SoftLink(f"/{KERNEL}"),
}


@pytest.mark.parametrize("name", LINKS)
@pytest.mark.parametrize("place", [KERNEL, "layers/conv2d", "layers", "optimizer/vars/0"])
def test_links(path, name, place):
    weights = hdf5_bytes(spoil=replace(place, lambda g, n: g.__setitem__(n, LINKS[name])))
    refuse_both(path, weights, "link to elsewhere")


def test_a_group_in_itself(path):
    def spoil(file):
        file["layers/dense/layers"] = file["layers"]

    refuse_both(path, hdf5_bytes(spoil=spoil), "under two names")


def test_an_array_under_many_names(path):
    def spoil(file):
        for i in range(2, 1000):
            file[f"layers/conv2d/vars/{i}"] = file[KERNEL]

    refuse_both(path, hdf5_bytes(spoil=spoil), "under two names")


def test_numbers_in_another_file(path):
    secret = "/etc/passwd" if os.path.exists("/etc/passwd") else __file__

    def spoil(group, name):
        group.create_dataset(name, (3, 3, 2, 4), "f4", external=[(secret, 0, 288)])

    refuse_both(path, hdf5_bytes(spoil=replace(KERNEL, spoil)), "in another file")


def test_virtual_arrays(path):
    def spoil(group, name):
        layout = h5py.VirtualLayout((3, 3, 2, 4), "f4")
        layout[:] = h5py.VirtualSource("/tmp/other.h5", "a", (3, 3, 2, 4))
        group.create_virtual_dataset(name, layout)

    refuse_both(path, hdf5_bytes(spoil=replace(KERNEL, spoil)), "in another file")


# -- sizes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [KERNEL, "layers/dense/vars/0", "layers/unused/vars/0"])
@pytest.mark.parametrize("chunks", [None, (1024, 1024)])
def test_an_array_of_terabytes_that_takes_no_room(path, place, chunks):
    def spoil(file):
        if place in file:
            del file[place]
        file.create_dataset(place, (2**20, 2**20), "f4", chunks=chunks)

    refuse_both(path, hdf5_bytes(spoil=spoil), "bytes are there")


def test_the_right_shape_without_numbers(path):
    weights = hdf5_bytes(
        spoil=replace(KERNEL, lambda g, n: g.create_dataset(n, (3, 3, 2, 4), "f4"))
    )
    refuse_both(path, weights, "bytes are there")


def test_what_unpacks_to_gigabytes(path):
    def spoil(file):
        for i in range(3):
            name = f"layers/dense/bomb{i}"
            data = file.create_dataset(name, (2**26,), "f4", chunks=(2**22,), compression="gzip")
            data[:] = 0

    refuse_both(path, hdf5_bytes(spoil=spoil), "too much to be true")


def test_gzip_in_measure_is_fine(path):
    def spoil(group, name):
        data = np.full((3, 3, 2, 4), 2.5, ">f8")
        group.create_dataset(name, data=data, compression="gzip", shuffle=True, fletcher32=True)

    model = load_model(keras_file(path, weights=hdf5_bytes(spoil=replace(KERNEL, spoil))))
    assert (model.get_weights()[0] == 2.5).all()
    assert model.get_weights()[0].dtype == np.float32


def test_other_filters(path):
    def spoil(group, name):
        group.create_dataset(name, data=np.zeros((3, 3, 2, 4), "f4"), compression="lzf")

    refuse_both(path, hdf5_bytes(spoil=replace(KERNEL, spoil)), "packed in a way")


def test_a_filter_that_there_is_not(path):
    def spoil(group, name):
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((3, 3, 2, 4))
        properties.set_filter(32_999, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple((3, 3, 2, 4))
        dataset = h5py.h5d.create(group.id, name.encode(), h5py.h5t.NATIVE_FLOAT, space, properties)
        h5py.Dataset(dataset)[...] = 0

    refuse_both(path, hdf5_bytes(spoil=replace(KERNEL, spoil)), "packed in a way")


# -- types and shapes -------------------------------------------------------------------------

STRANGE = {
    "texts": np.full((3, 3, 2, 4), b"abcd"),
    "integers": np.zeros((3, 3, 2, 4), np.int32),
    "truths": np.zeros((3, 3, 2, 4), bool),
    "complex": np.zeros((3, 3, 2, 4), np.complex64),
    "compound": np.zeros((3, 3, 2, 4), [("a", "f4"), ("b", "f4")]),
    "opaque": np.zeros((3, 3, 2, 4), "V2"),
    "wide opaque": np.zeros((3, 3, 2, 4), "V4"),
    "transposed": np.zeros((4, 2, 3, 3), np.float32),
    "flat": np.zeros(72, np.float32),
    "one more": np.zeros((3, 3, 2, 5), np.float32),
    "empty": np.zeros((3, 3, 0, 4), np.float32),
    "a number": np.float32(0),
}
if np.dtype(np.longdouble).itemsize > 8:
    STRANGE["long double"] = np.zeros((3, 3, 2, 4), np.longdouble)


@pytest.mark.parametrize("name", STRANGE)
def test_arrays_of_other_things(path, name):
    refuse_both(path, hdf5_bytes({**good_arrays(), KERNEL: STRANGE[name]}))


@pytest.mark.parametrize(
    "dtype", [h5py.string_dtype(), h5py.vlen_dtype("f4"), h5py.ref_dtype, h5py.enum_dtype({"a": 1})]
)
def test_arrays_of_stranger_things(path, dtype):
    weights = hdf5_bytes(
        spoil=replace(
            KERNEL, lambda g, n: g.create_dataset(n, (3, 3, 2, 4), dtype, chunks=(1,) * 4)
        )
    )
    refuse_both(path, weights)


def test_an_array_without_a_shape(path):
    weights = hdf5_bytes(
        spoil=replace(KERNEL, lambda g, n: g.create_dataset(n, data=h5py.Empty("f4")))
    )
    refuse_both(path, weights, "without a shape")


def test_bfloat16_that_says_so_is_read(path):
    def spoil(group, name):
        data = np.full((3, 3, 2, 4), 0x4020, "<u2").view("V2")  # 2.5
        group.create_dataset(name, data=data).attrs["dtype"] = "bfloat16"

    model = load_model(keras_file(path, weights=hdf5_bytes(spoil=replace(KERNEL, spoil))))
    assert (model.get_weights()[0] == 2.5).all()


@pytest.mark.parametrize("dtype", ["V4", "V1", "<u2", "f4,f4"])
def test_other_things_that_say_they_are_bfloat16(path, dtype):
    def spoil(group, name):
        array = np.zeros((3, 3, 2, 4), dtype)
        group.create_dataset(name, data=array).attrs["dtype"] = "bfloat16"

    refuse_both(path, hdf5_bytes(spoil=replace(KERNEL, spoil)), "expected numbers of kind")


def test_half_precision_is_read(path):
    weights = hdf5_bytes({**good_arrays(), KERNEL: np.full((3, 3, 2, 4), 2.5, np.float16)})
    assert (load_model(keras_file(path, weights=weights)).get_weights()[0] == 2.5).all()


def test_groups_and_arrays_in_each_other_s_place(path):
    weights = hdf5_bytes(spoil=replace(KERNEL, lambda g, n: g.create_group(n)))
    refuse_both(path, weights)
    weights = hdf5_bytes(spoil=replace("layers/conv2d", lambda g, n: g.create_dataset(n, data=1.0)))
    refuse_both(path, weights)
    weights = hdf5_bytes(spoil=lambda file: file.__setitem__("layers/type", np.dtype("f4")))
    refuse_both(path, weights, "neither a group nor an array")


@pytest.mark.parametrize(
    ("old", "new"),
    [(BIAS, "2"), (BIAS, "00"), (BIAS, "01"), (BIAS, "x"), (BIAS, "-1"), (BIAS, None)],
)
def test_numbers_of_arrays(path, old, new):
    arrays = good_arrays()
    array = arrays.pop(old)
    if new is not None:
        arrays[f"{old.rpartition('/')[0]}/{new}"] = array
    refuse_both(path, hdf5_bytes(arrays))


def test_one_array_too_many(path):
    refuse_both(path, hdf5_bytes({**good_arrays(), "layers/conv2d/vars/2": np.zeros(4, "f4")}))


def test_names_that_are_no_text(path):
    def spoil(file):
        h5py.h5g.create(file["layers"].id, b"\xff\xfe\xfa")

    refuse_both(path, hdf5_bytes(spoil=spoil))


@pytest.mark.parametrize("data", [b"", b"\0" * 5000, b"\x89HDF\r\n\x1a\n", b"x" * 10])
def test_no_hdf5_at_all(path, data):
    refused(keras_file(path, weights=data))


def test_cut_off(path):
    whole = hdf5_bytes()
    for length in range(8, len(whole) - 1, len(whole) // 17):
        refused(keras_file(path, weights=whole[:length]))


@pytest.mark.parametrize(
    "arrays",
    [
        {"optimizer/vars/0": np.array(-1)},
        {"optimizer/vars/0": np.array(np.nan)},
        {"optimizer/vars/0": np.array([0])},
        {"optimizer/vars/1": np.array(np.nan, np.float32)},
        {"optimizer/vars/1": np.array(-1, np.float32)},
        {"optimizer/vars/1": np.array([0.1], np.float32)},
        {"optimizer/vars/1": np.array(1)},
        {"optimizer/vars/2": np.zeros(3, np.float32)},
        {"optimizer/vars/3": np.zeros(3, np.float32)},
        {f"optimizer/vars/{i}": np.zeros(3, np.float32) for i in range(2, 14)},
        {"minicnn/learning_rate": np.array(np.nan)},
        {"minicnn/learning_rate": np.array([0.1])},
        {"minicnn/shuffle": np.array([0.5, 1.5])},
        {"minicnn/generators": np.array([[0.5, 1.5]])},
    ],
    ids=lambda arrays: next(iter(arrays)),
)
def test_states_of_optimizers_that_cannot_be(path, arrays):
    refused(keras_file(path, weights=hdf5_bytes({**good_arrays(), **arrays})))


# -- texts, which lie in a heap ---------------------------------------------------------------


def test_names_are_read(path):
    with hdf5.reading_bytes(hdf5_bytes()) as tree:
        assert tree.names == {
            f"layers/{n}/vars": n for n in ("batch_normalization", "conv2d", "dense")
        }


def heap_of(weights):
    """Where the first object of the only heap is."""
    assert weights.count(b"GCOL") == 1
    return weights.index(b"GCOL") + 16


HEAPS = {
    "a size of nothing": (-16 + 8, struct.pack("<Q", 0)),
    "a size of terabytes": (-16 + 8, struct.pack("<Q", 2**42)),
    "a size that overflows": (-16 + 8, struct.pack("<Q", 2**64 - 1)),
    "another version": (-16 + 4, b"\2"),
    "not there": (-16, b"XXXX"),
    # The library goes round in circles: nothing that is free, and takes no room, again and again.
    "a free object of size 0": (0, struct.pack("<HHIQ", 0, 0, 0, 0)),
    "an object of terabytes": (8, struct.pack("<Q", 2**42)),
    "an object that leads back": (8, struct.pack("<Q", 2**64 - 16)),
    "an object that is too short": (8, struct.pack("<Q", 3)),
    "no text": (16, b"\xff\xfe\xfd"),
}


@pytest.mark.parametrize("name", HEAPS)
def test_heaps_that_are_broken(path, name):
    place, data = HEAPS[name]
    weights = bytearray(hdf5_bytes())
    place += heap_of(weights)
    weights[place : place + len(data)] = data
    refuse_both(path, bytes(weights), "attribute name is broken")


@pytest.mark.parametrize(
    ("offset", "data"),
    [
        (0, struct.pack("<I", 2**32 - 1)),  # the library would take 4 GB for that
        (4, struct.pack("<Q", 8)),
        (4, struct.pack("<Q", 2**63)),
        (4, struct.pack("<Q", 2**64 - 1)),
        (12, struct.pack("<I", 999)),
    ],
)
def test_references_to_heaps_that_are_broken(path, offset, data):
    weights = bytearray(hdf5_bytes())
    # The length of "conv2d", the address of the heap, and the number there.
    address = struct.pack("<Q", heap_of(weights) - 16)
    place = weights.index(struct.pack("<I", len("conv2d")) + address) + offset
    weights[place : place + len(data)] = data
    refuse_both(path, bytes(weights), "attribute name is broken")


def test_sizes_of_addresses(path):
    properties = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    properties.set_sizes(4, 4)
    name = path.replace(".keras", ".weights.h5")
    with h5py.File(h5py.h5f.create(name.encode(), fcpl=properties)) as file:
        for key, array in good_arrays().items():
            file[key] = array
    refused(name, "addresses of", fresh_model().load_weights)


# -- files as Keras 2 wrote them --------------------------------------------------------------


def legacy_bytes(names=("conv", "norm", "dense"), weights=None, spoil=None):
    """The weights of the good network, as Keras 2 keeps those of a whole model."""
    layers = {"conv": "conv2d", "norm": "batch_normalization", "dense": "dense"}

    def write(file):
        root = file.create_group("model_weights")
        for name, kind in layers.items():
            arrays = [a for path, a in good_arrays().items() if path.startswith(f"layers/{kind}/")]
            group = root.create_group(name)
            for number, array in enumerate(arrays):
                group[f"{name}/w{number}:0"] = array
            listed = [f"{name}/w{number}:0" for number in range(len(arrays))]
            group.attrs["weight_names"] = (weights or {}).get(name, listed)
        root.attrs["layer_names"] = list(names)
        if spoil is not None:
            spoil(root)

    return hdf5_bytes({}, write)


def load_legacy(path, data, by_name):
    name = path.replace(".keras", ".h5")
    with open(name, "wb") as file:
        file.write(data)
    return name, functools.partial(fresh_model().load_weights, by_name=by_name)


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.filterwarnings("ignore:the file holds a whole model")
def test_the_good_file_of_keras_2_is_good(path, by_name):
    name, load = load_legacy(path, legacy_bytes(), by_name)
    with watched(os.path.dirname(path)):
        load(name)


LEGACY = {
    "no such layer": {"names": ["conv", "norm", "nowhere"]},
    "a path": {"names": ["conv", "norm", "../dense"]},
    "fewer layers": {"names": ["conv", "norm"]},
    "layers in another order": {"names": ["norm", "conv", "dense"]},
    "a weight that is not there": {"weights": {"dense": ["dense/w0:0", "dense/w9:0"]}},
    "a weight of another layer": {"weights": {"dense": ["../conv/conv/w0:0", "dense/w1:0"]}},
    "a group as a weight": {"weights": {"dense": ["dense", "dense/w1:0"]}},
    "one weight twice": {"weights": {"dense": ["dense/w0:0", "dense/w0:0"]}},
    "bytes that are no text": {"names": [b"\xff\xfe", b"norm", b"dense"]},
    "numbers as names": {"names": [1, 2, 3]},
    "a link": {"spoil": lambda root: root.__setitem__("more", h5py.SoftLink("/x"))},
    "names without end": {"spoil": lambda root: endless_names(root)},
}


def endless_names(root):
    del root.attrs["layer_names"]
    for number in range(2):
        root.attrs[f"layer_names{number}"] = np.full(60_000, b"x")


@pytest.mark.parametrize("name", LEGACY)
def test_files_of_keras_2_that_cannot_be(path, name):
    file, load = load_legacy(path, legacy_bytes(**LEGACY[name]), by_name=False)
    refused(file, load=load)
