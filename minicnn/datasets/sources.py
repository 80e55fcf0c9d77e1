"""Which data sets there are, and where their official files lie.

Each file is known by the SHA-256 of its bytes. The sums and sizes are those that the TensorFlow
Datasets project records for the same files (its ``url_checksums``).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RemoteFile:
    """One file of a data set: its name, where it is to be had, SHA-256, and size in bytes."""

    name: str
    url: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Source:
    """One data set: what is in it and which files it is read from.

    Attributes:
        name: as in ``minicnn.datasets.load(name)``.
        description: one sentence.
        homepage: where its authors describe it.
        image_shape: of one picture, as ``load_data`` returns it.
        label_shape: of one label, as ``load_data`` returns it.
        class_names: what the labels 0, 1, 2, ... mean.
        layout: how the files are built, "idx", "cifar10" or "cifar100" (see ``readers.py``), or
            "table" (see ``tables.py``).
        files: the official files.
    """

    name: str
    description: str
    homepage: str
    image_shape: tuple[int, ...]
    label_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    layout: str = ""
    files: tuple[RemoteFile, ...] = ()


_TEN_DIGITS = tuple("0123456789")

_CIFAR10_CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)

_CIFAR100_CLASSES = (
    "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus "
    "butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch "
    "crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo "
    "keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse "
    "mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy "
    "porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper "
    "snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television "
    "tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm"
)

_MNIST = "https://storage.googleapis.com/cvdf-datasets/mnist/"
_FASHION = "https://fashion-mnist.s3.eu-central-1.amazonaws.com/"
_CIFAR = "https://www.cs.toronto.edu/~kriz/"


def _idx_files(folder: str, *sums_and_sizes: tuple[str, int]) -> tuple[RemoteFile, ...]:
    """The four files of MNIST's form: training images and labels, test images and labels."""
    names = (
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
    )
    return tuple(
        RemoteFile(name, folder + name, sha256, size)
        for name, (sha256, size) in zip(names, sums_and_sizes, strict=True)
    )


_ALL = (
    Source(
        name="digits",
        description="1,797 scans of handwritten digits, 8x8 pixels in 17 shades of grey.",
        homepage="https://doi.org/10.24432/C50P49",
        image_shape=(8, 8),
        label_shape=(),
        class_names=_TEN_DIGITS,
    ),
    Source(
        name="mnist",
        description="70,000 scans of handwritten digits, 28x28 pixels in 256 shades of grey.",
        homepage="http://yann.lecun.com/exdb/mnist/",
        image_shape=(28, 28),
        label_shape=(),
        class_names=_TEN_DIGITS,
        layout="idx",
        files=_idx_files(
            _MNIST,
            ("440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609", 9_912_422),
            ("3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c", 28_881),
            ("8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6", 1_648_877),
            ("f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6", 4_542),
        ),
    ),
    Source(
        name="fashion_mnist",
        description="70,000 product pictures of clothes, 28x28 pixels in 256 shades of grey.",
        homepage="https://github.com/zalandoresearch/fashion-mnist",
        image_shape=(28, 28),
        label_shape=(),
        class_names=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        layout="idx",
        files=_idx_files(
            _FASHION,
            ("3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84", 26_421_880),
            ("a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845", 29_515),
            ("346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073", 4_422_102),
            ("67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5", 5_148),
        ),
    ),
    Source(
        name="cifar10",
        description="60,000 colour photographs of ten kinds of things, 32x32 pixels.",
        homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
        image_shape=(32, 32, 3),
        label_shape=(1,),
        class_names=_CIFAR10_CLASSES,
        layout="cifar10",
        files=(
            RemoteFile(
                "cifar-10-binary.tar.gz",
                _CIFAR + "cifar-10-binary.tar.gz",
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                170_052_171,
            ),
        ),
    ),
    Source(
        name="cifar100",
        description="60,000 colour photographs of a hundred kinds of things, 32x32 pixels.",
        homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
        image_shape=(32, 32, 3),
        label_shape=(1,),
        class_names=tuple(_CIFAR100_CLASSES.split()),
        layout="cifar100",
        files=(
            RemoteFile(
                "cifar-100-binary.tar.gz",
                _CIFAR + "cifar-100-binary.tar.gz",
                "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
                168_513_733,
            ),
        ),
    ),
)

SOURCES = {source.name: source for source in _ALL}
