"""Files that are no good ``.keras`` archives, or whose JSON is meant to harm."""

import json
import os
import struct
import sys
import time
import zipfile

import numpy as np
import pytest
from hostile_files import good_config, hdf5_bytes, keras_file, peak_memory, refused, watched

from minicnn.models import load_model


@pytest.fixture
def path(tmp_path):
    load_model(keras_file(tmp_path / "warm.keras"))  # what is imported late, is now
    (tmp_path / "warm.keras").unlink()
    return str(tmp_path / "m.keras")


def test_the_good_file_is_good(path):
    keras_file(path)
    with watched(os.path.dirname(path)):
        model = load_model(path)
    assert model.name == "net"
    assert model.optimizer.iterations == 0


def test_the_watch_is_awake(tmp_path):
    """What the other tests rely on: too much time, memory, a file and a module are noticed."""

    def slow():
        end = time.process_time() + 1.1
        while time.process_time() < end:
            pass

    actions = [
        slow,
        lambda: (tmp_path / "new").write_bytes(b""),
        lambda: sys.modules.setdefault("a_new_module", sys),
        lambda: eval("1"),
    ]
    if peak_memory():
        actions.append(lambda: np.ones(300 * 2**20, np.uint8))
    for action in actions:
        with pytest.raises(AssertionError), watched(tmp_path):
            action()
    del sys.modules["a_new_module"]


# -- the file and the archive -----------------------------------------------------------------


def test_a_folder(path):
    os.mkdir(path)
    refused(path, "expected a file")


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="POSIX")
def test_devices_and_pipes(path):
    os.symlink("/dev/zero", path)
    refused(path, "expected a file")
    os.unlink(path)
    os.mkfifo(path)
    refused(path, "expected a file")


@pytest.mark.parametrize(
    "data", [b"", b"PK\x03\x04", b"not a zip" * 1000, b"\x89HDF\r\n\x1a\n" + b"\0" * 99]
)
def test_no_archive(path, data):
    with open(path, "wb") as file:
        file.write(data)
    refused(path)


def test_cut_off_and_changed(path):
    keras_file(path)
    with open(path, "rb") as file:
        data = file.read()
    for length in range(1, len(data), len(data) // 23):
        with open(path, "wb") as file:
            file.write(data[:length])
        refused(path, "not a readable .keras file")
    place = data.index(b"\x89HDF") + 3000  # within the weights: the checksum does not fit
    with open(path, "wb") as file:
        file.write(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    refused(path, "CRC")


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_a_member_is_missing(path, name):
    with zipfile.ZipFile(path, "w") as archive:
        for other in ("config.json", "model.weights.h5"):
            if other != name:
                archive.writestr(other, b"{}")
    refused(path, f"no {name}")


def test_weights_in_another_form(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(good_config()))
        archive.writestr("model.weights.npz", b"")
    refused(path, "no model.weights.h5")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_twice(path):
    keras_file(path, members=[("config.json", "{}")])
    refused(path, "config.json twice")


def patch_headers(path, offset_local, offset_central, data, name=b"config.json"):
    """Overwrite bytes of a member's two headers."""
    with open(path, "rb") as file:
        raw = bytearray(file.read())
    local = raw.index(b"PK\x03\x04")
    while raw[local + 30 : local + 30 + len(name)] != name:
        local = raw.index(b"PK\x03\x04", local + 1)
    central = raw.index(b"PK\x01\x02")
    while raw[central + 46 : central + 46 + len(name)] != name:
        central = raw.index(b"PK\x01\x02", central + 1)
    raw[local + offset_local : local + offset_local + len(data)] = data
    raw[central + offset_central : central + offset_central + len(data)] = data
    with open(path, "wb") as file:
        file.write(raw)


def test_encrypted(path):
    keras_file(path)
    patch_headers(path, 6, 8, struct.pack("<H", 1))
    refused(path, "encrypted")


@pytest.mark.parametrize("compression", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_compressed_in_another_way(path, compression):
    keras_file(path, compression=compression)
    refused(path, "compressed in a way")


def test_deflated_is_fine(path):
    load_model(keras_file(path, compression=zipfile.ZIP_DEFLATED))


@pytest.mark.parametrize("size", [10, 2**31, 2**32 - 2])
@pytest.mark.parametrize("name", [b"config.json", b"model.weights.h5"])
@pytest.mark.parametrize("where", ["unpacked", "packed", "both"])
def test_a_size_that_is_a_lie(path, size, name, where):
    keras_file(path)
    if where != "packed":
        patch_headers(path, 22, 24, struct.pack("<I", size), name)
    if where != "unpacked":
        patch_headers(path, 18, 20, struct.pack("<I", size), name)
    refused(path)


def test_bombs(path):
    keras_file(path, b" " * 2**29, compression=zipfile.ZIP_DEFLATED)
    refused(path, "config.json unpacks")
    keras_file(path, weights=b"\0" * 2**29, compression=zipfile.ZIP_DEFLATED)
    refused(path, "model.weights.h5 unpacks")


def test_thousands_of_members(path):
    keras_file(path, members=[(f"assets/{i}", b"") for i in range(5000)])
    refused(path, "5002 members")


@pytest.mark.parametrize("name", ["../../x", "/x", "..\\x", "assets/../../x", "x" * 60000])
def test_members_of_other_names_are_never_unpacked(path, name):
    keras_file(path, members=[(name, b"data")])
    with watched(os.path.dirname(path)):
        load_model(path)


def test_members_that_are_links(path):
    keras_file(path)
    link = zipfile.ZipInfo("config.json")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("model.weights.h5", hdf5_bytes())
    refused(path, "is a link")


def test_files_of_keras_2(path):
    keras_file(path, members=[("metadata.json", '{"keras_version": "2.15.0"}')])
    refused(path, "written by Keras 2.15.0")


# -- JSON -------------------------------------------------------------------------------------

MANY = json.dumps({"a": [{"b": []}] * 2})


@pytest.mark.parametrize(
    "text",
    [
        b"[]",
        b"null",
        b"3",
        b'"Sequential"',
        b"",
        b"{",
        b'{"a": 1,}',
        b"\xff\xfe{}",
        json.dumps(good_config()).encode("utf-16"),
        b'{"module": "\xff"}',
        b'{"class_name": "Sequential", "class_name": "Functional"}',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b"[" * 200_000,
        b"[" * 200_000 + b"]" * 200_000,
        b'{"a":' * 100_000,
        b'{"a": ' + b"9" * 100_000 + b"}",
        b'{"a": ' + b"-" + b"9" * 5000 + b"}",
        b"[" + b"[]," * 1_000_000 + b"[]]",
        b"[" + b"1," * 4_000_000 + b"1]",
        b"[" * 300 + b"]" * 300,
    ],
    ids=lambda text: repr(text[:12]),
)
def test_text_that_is_no_configuration(path, text):
    refused(keras_file(path, text))


def test_a_million_layers(path):
    entry = {"module": "keras.layers", "class_name": "ReLU", "config": {}}
    text = json.dumps(
        {"module": "keras", "class_name": "Sequential", "config": {"layers": [entry] * 1_000_000}}
    )
    refused(keras_file(path, text, compression=zipfile.ZIP_DEFLATED), "config.json")


@pytest.mark.parametrize(
    "name", ["", "a\0b", "\ud800", 3, None, ["conv"], "x" * 10_000, "a\nb", "\x1b[2J"]
)
def test_names_that_are_none(path, name):
    config = good_config()
    entry = config["config"]["layers"][1]
    entry["config"]["name"] = entry["name"] = name
    refused(keras_file(path, json.dumps(config)))
