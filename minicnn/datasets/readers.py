"""From the files of a data set to arrays. Nothing here unpickles, and nothing unpacks to disk.

Every reader returns ``x_train, y_train, x_test, y_test``, all uint8. A file that is cut off, or
that is something else, is a ValueError that names it.
"""

from __future__ import annotations

import gzip
import math
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from minicnn.datasets.sources import Source

KEYS = ("x_train", "y_train", "x_test", "y_test")
# What the standard library raises when a compressed file is cut off or was never one.
BROKEN = (
    EOFError,
    ValueError,
    gzip.BadGzipFile,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]

IDX_MOST_BYTES = 1 << 30  # as much as a header can make this process ask for

# In the CIFAR files a picture is 3 planes (red, green, blue) of 32 rows of 32 bytes. In CIFAR-10
# one byte of label stands before it, in CIFAR-100 two: the coarse one and the fine one.
CIFAR_PICTURE = (3, 32, 32)
CIFAR_LABELS = {"cifar10": ("fine",), "cifar100": ("coarse", "fine")}
CIFAR_TRAIN_MEMBERS = {
    "cifar10": [f"cifar-10-batches-bin/data_batch_{i}.bin" for i in range(1, 6)],
    "cifar100": ["cifar-100-binary/train.bin"],
}
CIFAR_TEST_MEMBERS = {
    "cifar10": ["cifar-10-batches-bin/test_batch.bin"],
    "cifar100": ["cifar-100-binary/test.bin"],
}
CIFAR_MOST_PICTURES = 50_000  # in one member
COARSE_CLASSES = 20


def read_npz(path: Path) -> Arrays:
    """An ``.npz`` file with the arrays ``x_train``, ``y_train``, ``x_test`` and ``y_test``."""
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("it is no zip archive")
        with np.load(path, allow_pickle=False) as file:
            missing = [key for key in KEYS if key not in file]
            if missing:
                raise ValueError(f"it holds {sorted(file)}, and lacks {missing}")
            return tuple(file[key] for key in KEYS)
    except BROKEN as error:
        raise ValueError(
            f"{path}: expected an .npz file with {', '.join(KEYS)}; {error}"
        ) from error


def read_official(source: Source, paths: Sequence[Path], label_mode: str = "fine") -> Arrays:
    """The official files of a data set, in the order in which ``source.files`` lists them.

    Args:
        source: the data set.
        paths: its files on this machine.
        label_mode: "fine" or "coarse", for CIFAR-100.
    """
    if source.layout == "idx":
        x_train, y_train, x_test, y_test = (read_idx(path) for path in paths)
        return x_train, y_train, x_test, y_test
    return read_cifar(source.layout, paths[0], label_mode)


def read_idx(path: Path) -> np.ndarray:
    """A gzipped file in MNIST's IDX form, of bytes.

    Two zero bytes, the type (8: unsigned byte), the number of dimensions, each dimension as a
    big-endian 32-bit integer, then the elements in C order
    (http://yann.lecun.com/exdb/mnist/).
    """
    try:
        with gzip.open(path, "rb") as file:
            magic = file.read(4)
            if magic[:3] != b"\x00\x00\x08" or magic[3:] not in (b"\x01", b"\x03"):
                raise ValueError(f"it begins with {magic!r}, which is no IDX header of bytes")
            shape = np.frombuffer(_exactly(file, 4 * magic[3]), ">u4").tolist()
            if math.prod(shape) > IDX_MOST_BYTES:
                raise ValueError(f"its header states {shape}, more than {IDX_MOST_BYTES} bytes")
            elements = _exactly(file, math.prod(shape))
            if file.read(1):
                raise ValueError(f"there is more in it than the {shape} that its header states")
    except BROKEN as error:
        raise ValueError(f"{path}: expected a gzipped IDX file; {error}") from error
    return np.frombuffer(elements, np.uint8).reshape(shape).copy()


def read_cifar(layout: str, path: Path, label_mode: str = "fine") -> Arrays:
    """The binary distribution of CIFAR-10 or CIFAR-100, a ``.tar.gz``, read in memory.

    A record is the label bytes and then the picture (https://www.cs.toronto.edu/~kriz/cifar.html).
    """
    labels = CIFAR_LABELS[layout]
    record = len(labels) + math.prod(CIFAR_PICTURE)
    try:
        members = _read_members(
            path, CIFAR_TRAIN_MEMBERS[layout] + CIFAR_TEST_MEMBERS[layout], record
        )
    except BROKEN as error:
        raise ValueError(f"{path}: expected {layout}'s binary .tar.gz; {error}") from error

    def arrays(names: list[str]) -> tuple[np.ndarray, np.ndarray]:
        content = b"".join(members[name] for name in names)
        records = np.frombuffer(content, np.uint8).reshape(-1, record)
        planes = records[:, len(labels) :].reshape(-1, *CIFAR_PICTURE)
        y = records[:, labels.index(label_mode)].reshape(-1, 1)
        return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), y.copy()

    return *arrays(CIFAR_TRAIN_MEMBERS[layout]), *arrays(CIFAR_TEST_MEMBERS[layout])


def check_arrays(source: Source, arrays: Arrays, where: str, classes: int) -> Arrays:
    """``arrays`` with the labels in the data set's shape, if they can be that data set.

    The numbers of pictures are free: a smaller copy is a copy.

    Raises:
        ValueError: naming the array, what it is and what was expected.
    """
    checked = []
    for part, x, y in (("train", *arrays[:2]), ("test", *arrays[2:])):
        if x.dtype != np.uint8 or x.shape[1:] != source.image_shape or len(x) == 0:
            expected = f"uint8 of shape (n, {', '.join(map(str, source.image_shape))})"
            raise ValueError(
                f"{where}: x_{part} is {x.dtype} of shape {x.shape}; {expected} is due"
            )
        if y.dtype.kind not in "iu" or y.shape not in ((len(x),), (len(x), 1)):
            raise ValueError(
                f"{where}: y_{part} is {y.dtype} of shape {y.shape}; "
                f"integers of shape ({len(x)},) or ({len(x)}, 1) are due"
            )
        if y.min() < 0 or y.max() >= classes:
            raise ValueError(
                f"{where}: y_{part} has labels {y.min()} to {y.max()}; "
                f"{source.name} has the classes 0 to {classes - 1}"
            )
        checked += [x, y.astype(np.uint8).reshape(len(x), *source.label_shape)]
    return tuple(checked)


def _exactly(file: gzip.GzipFile, size: int) -> bytes:
    content = file.read(size)
    if len(content) != size:
        raise ValueError(f"it ends after {len(content)} of {size} bytes")
    return content


def _read_members(path: Path, names: list[str], record: int) -> dict[str, bytes]:
    """The named members of an archive. What else is in it is passed over."""
    members = {}
    with tarfile.open(path, "r:gz") as archive:
        for member in archive:
            if member.name not in names:
                continue
            pictures, rest = divmod(member.size, record)
            if not member.isfile() or rest or not 0 < pictures <= CIFAR_MOST_PICTURES:
                raise ValueError(
                    f"{member.name} in it has {member.size} bytes; "
                    f"1 to {CIFAR_MOST_PICTURES} records of {record} bytes are due"
                )
            members[member.name] = archive.extractfile(member).read()
    missing = [name for name in names if name not in members]
    if missing:
        raise ValueError(f"it lacks {', '.join(missing)}")
    return members
