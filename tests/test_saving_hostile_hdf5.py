"""HDF5 files with links, bombs, strange types and holes; and good files with broken bytes."""

import json
import os

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
