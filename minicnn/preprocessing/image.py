"""Where Keras has its helpers for pictures: in and out of files, and changed at random."""

from minicnn.preprocessing.generator import ImageDataGenerator
from minicnn.preprocessing.iterators import DirectoryIterator, Iterator, NumpyArrayIterator
from minicnn.preprocessing.pictures import array_to_img, img_to_array, load_img, save_img

__all__ = [
    "DirectoryIterator",
    "ImageDataGenerator",
    "Iterator",
    "NumpyArrayIterator",
    "array_to_img",
    "img_to_array",
    "load_img",
    "save_img",
]
