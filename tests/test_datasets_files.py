"""Reading the data sets' files: the formats, and what is said of a file that is not right."""

import gzip
import io
import pickle
import struct
import tarfile

import numpy as np
import pytest

from minicnn.datasets import cifar10, cifar100, fashion_mnist, mnist

IDX_NAMES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


def idx(array):
    """The bytes of a gzipped IDX file, built from the format's description."""
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(header + array.tobytes())


def archive(members, kind=tarfile.REGTYPE):
    """The bytes of a .tar.gz with these members."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.type = kind
            info.size = len(content)
            info.linkname = "/etc/passwd"
            tar.addfile(info, io.BytesIO(content) if kind == tarfile.REGTYPE else None)
    return buffer.getvalue()


def cifar_records(x, *labels):
    """One record after the other: the label bytes, then the planes of red, green and blue."""
    records = []
    for i, picture in enumerate(x):
        records.append(bytes(int(label[i]) for label in labels))
        records += [picture[:, :, channel].tobytes() for channel in range(3)]
    return b"".join(records)


@pytest.fixture
def grey(rng):
    x_train, x_test = (rng.integers(0, 256, (n, 28, 28), np.uint8) for n in (7, 3))
    y_train, y_test = (rng.integers(0, 10, n, np.uint8) for n in (7, 3))
    return x_train, y_train, x_test, y_test


@pytest.fixture
def colour(rng):
    """CIFAR-10: five training files of different lengths, and one of test pictures."""
    x = [rng.integers(0, 256, (n, 32, 32, 3), np.uint8) for n in (2, 1, 3, 1, 2, 4)]
    y = [rng.integers(0, 10, len(part), np.uint8) for part in x]
    names = [f"cifar-10-batches-bin/data_batch_{i}.bin" for i in range(1, 6)]
    names.append("cifar-10-batches-bin/test_batch.bin")
    members = {name: cifar_records(*part) for name, *part in zip(names, x, y, strict=True)}
    arrays = np.concatenate(x[:5]), np.concatenate(y[:5])[:, None], x[5], y[5][:, None]
    return arrays, members


def write_idx(folder, arrays):
    folder.mkdir(exist_ok=True)
    for name, array in zip(IDX_NAMES, arrays, strict=True):
        (folder / name).write_bytes(idx(array))


def write_npz(path, arrays):
    np.savez(path, **dict(zip(("x_train", "y_train", "x_test", "y_test"), arrays, strict=True)))


def assert_same(loaded, arrays):
    (x_train, y_train), (x_test, y_test) = loaded
    for got, expected in zip((x_train, y_train, x_test, y_test), arrays, strict=True):
        np.testing.assert_array_equal(got, expected)
        assert got.dtype == np.uint8
        assert got.flags.writeable


@pytest.mark.parametrize("module", [mnist, fashion_mnist])
@pytest.mark.parametrize("place", ["", "own folder"])
def test_idx_files(module, place, grey, tmp_path):
    name = module.__name__.rsplit(".")[-1]
    write_idx(tmp_path / name if place else tmp_path, grey)
    assert_same(module.load_data(path=tmp_path), grey)


def test_npz_file_or_a_folder_with_it(grey, tmp_path):
    write_npz(tmp_path / "mnist.npz", grey)
    assert_same(mnist.load_data(path=tmp_path / "mnist.npz"), grey)
    assert_same(mnist.load_data(path=str(tmp_path)), grey)


def test_npz_labels_take_the_shape_of_the_data_set(grey, colour, tmp_path):
    x_train, y_train, x_test, y_test = grey
    write_npz(tmp_path / "mnist.npz", (x_train, y_train[:, None], x_test, y_test.astype(int)))
    assert_same(mnist.load_data(tmp_path), grey)
    (x_train, y_train, x_test, y_test), _ = colour
    write_npz(tmp_path / "cifar10.npz", (x_train, y_train[:, 0], x_test, y_test))
    assert_same(cifar10.load_data(tmp_path), colour[0])


def test_cifar10_archive(colour, tmp_path):
    arrays, members = colour
    members = {"cifar-10-batches-bin/readme.html": b"<p>not needed</p>", **members}
    # The order within the archive does not matter, the numbers in the names do.
    shuffled = dict(sorted(members.items(), reverse=True))
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(archive(shuffled))
    before = sorted(tmp_path.rglob("*"))
    assert_same(cifar10.load_data(tmp_path / "cifar-10-binary.tar.gz"), arrays)
    assert_same(cifar10.load_data(tmp_path), arrays)
    assert sorted(tmp_path.rglob("*")) == before, "nothing may be unpacked to disk"


def test_cifar100_archive_has_two_labels(rng, tmp_path):
    x_train, x_test = (rng.integers(0, 256, (n, 32, 32, 3), np.uint8) for n in (5, 2))
    coarse = [rng.integers(0, 20, n, np.uint8) for n in (5, 2)]
    fine = [rng.integers(0, 100, n, np.uint8) for n in (5, 2)]
    members = {
        "cifar-100-binary/train.bin": cifar_records(x_train, coarse[0], fine[0]),
        "cifar-100-binary/test.bin": cifar_records(x_test, coarse[1], fine[1]),
    }
    (tmp_path / "cifar-100-binary.tar.gz").write_bytes(archive(members))
    expected = x_train, fine[0][:, None], x_test, fine[1][:, None]
    assert_same(cifar100.load_data(path=tmp_path), expected)
    expected = x_train, coarse[0][:, None], x_test, coarse[1][:, None]
    assert_same(cifar100.load_data("coarse", path=tmp_path), expected)


def test_cifar100_label_mode():
    with pytest.raises(ValueError, match="label_mode: expected 'fine' or 'coarse', got 'medium'"):
        cifar100.load_data(label_mode="medium")


def test_cifar100_fine_labels_are_not_coarse_ones(rng, tmp_path):
    x = rng.integers(0, 256, (2, 32, 32, 3), np.uint8)
    write_npz(tmp_path / "cifar100.npz", (x, np.array([3, 20]), x, np.array([0, 1])))
    assert cifar100.load_data(path=tmp_path)[0][1].tolist() == [[3], [20]]
    with pytest.raises(ValueError, match=r"y_train has labels 3 to 20; .* the classes 0 to 19"):
        cifar100.load_data("coarse", tmp_path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file: file[: len(file) // 2], "end-of-stream"),
        (lambda file: b"<html>404</html>", "gzipped IDX file"),
        (lambda file: gzip.compress(b"<html>404</html>"), "no IDX header"),
        (lambda file: gzip.compress(gzip.decompress(file)[:-5]), r"ends after \d+ of \d+ bytes"),
        (lambda file: gzip.compress(gzip.decompress(file) + b"!"), "there is more in it"),
        (lambda file: gzip.compress(b"\0\0\x08\x03" + b"\xff" * 12), "its header states"),
        (lambda file: gzip.compress(b"\0\0\x08\x03\0\0"), "ends after 2 of 12 bytes"),
        (lambda file: b"", "no IDX header"),
    ],
)
def test_broken_idx_file(damage, message, grey, tmp_path):
    write_idx(tmp_path, grey)
    file = tmp_path / IDX_NAMES[0]
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(ValueError, match=message) as caught:
        mnist.load_data(tmp_path)
    assert IDX_NAMES[0] in str(caught.value)


def test_truncated_or_foreign_archive(colour, tmp_path):
    _, members = colour
    path = tmp_path / "cifar-10-binary.tar.gz"
    whole = archive(members)
    for content in (whole[: len(whole) // 2], b"", b"<html>404</html>"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"cifar-10-binary.tar.gz: expected cifar10's binary"):
            cifar10.load_data(path)


def test_archive_with_wrong_members(colour, tmp_path):
    _, members = colour
    path = tmp_path / "cifar-10-binary.tar.gz"
    name = "cifar-10-batches-bin/data_batch_3.bin"
    path.write_bytes(archive({**members, name: members[name][:-1]}))
    with pytest.raises(ValueError, match=rf"{name} in it has 9218 bytes; .* 3073 bytes are due"):
        cifar10.load_data(path)
    path.write_bytes(archive({**members, name: b""}))
    with pytest.raises(ValueError, match=f"{name} in it has 0 bytes"):
        cifar10.load_data(path)
    path.write_bytes(archive({key: members[key] for key in members if key != name}))
    with pytest.raises(ValueError, match=f"it lacks {name}"):
        cifar10.load_data(path)


def test_archive_with_links_is_refused(colour, tmp_path):
    path = tmp_path / "cifar-10-binary.tar.gz"
    path.write_bytes(archive(colour[1], kind=tarfile.SYMTYPE))
    with pytest.raises(ValueError, match="data_batch_1"):
        cifar10.load_data(path)


class Bomb:
    """Unpickling it would create a file: proof that something ran."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_file_cannot_run_code(tmp_path, grey):
    trap, path = tmp_path / "trap", tmp_path / "mnist.npz"
    poisoned = np.empty(1, object)
    poisoned[0] = Bomb(trap)
    write_npz(path, (poisoned, *grey[1:]))
    with pytest.raises(ValueError, match="pickle"):
        mnist.load_data(path)
    path.write_bytes(pickle.dumps(Bomb(trap)))
    with pytest.raises(ValueError, match="no zip archive"):
        mnist.load_data(path)
    assert not trap.exists()


def test_npz_that_is_something_else(grey, tmp_path):
    path = tmp_path / "mnist.npz"
    np.savez(path, x_train=grey[0], images=grey[1])
    with pytest.raises(ValueError, match=r"holds \['images', 'x_train'\], and lacks \['y_train'"):
        mnist.load_data(path)
    write_npz(path, grey)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"mnist.npz: expected an .npz file"):
        mnist.load_data(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({0: lambda x: x[:, :, :27]}, r"x_train is uint8 of shape \(7, 28, 27\).*\(n, 28, 28\)"),
        ({0: lambda x: x / 255}, "x_train is float64"),
        ({2: lambda x: x[:0], 3: lambda y: y[:0]}, r"x_test is uint8 of shape \(0, 28, 28\)"),
        ({1: lambda y: y[:-1]}, r"y_train is uint8 of shape \(6,\).*\(7,\) or \(7, 1\)"),
        ({1: lambda y: y + 0.5}, "y_train is float64"),
        ({3: lambda y: y * 0 + 10}, "y_test has labels 10 to 10; mnist has the classes 0 to 9"),
        ({3: lambda y: y.astype(int) * 0 - 1}, "y_test has labels -1 to -1"),
    ],
)
def test_arrays_that_cannot_be_mnist(change, message, grey, tmp_path):
    arrays = [change.get(i, lambda a: a)(array) for i, array in enumerate(grey)]
    write_npz(tmp_path / "mnist.npz", arrays)
    with pytest.raises(ValueError, match=message):
        mnist.load_data(tmp_path)


def test_path_without_a_copy(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"mnist.npz or with train-images.* holds none"):
        mnist.load_data(tmp_path)
    with pytest.raises(FileNotFoundError, match="is missing"):
        cifar10.load_data(tmp_path / "nowhere.npz")
    (tmp_path / "labels.gz").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match="is another file"):
        mnist.load_data(tmp_path / "labels.gz")
    with pytest.raises(TypeError, match="path: expected a path or None, got 3"):
        mnist.load_data(3)
