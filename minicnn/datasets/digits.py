"""The 1,797 handwritten digits that come with the library.

Scans of digits that 13 people wrote on a form. Each pixel counts the inked points in a block of 4x4
of the scan, so it runs from 0 (paper) to 16 (ink).

The data are E. Alpaydin and C. Kaynak's: Optical Recognition of Handwritten Digits, UCI Machine
Learning Repository, 1998, https://doi.org/10.24432/C50P49, licence CC BY 4.0. They are the test
part of that collection, from the copy in the scikit-learn package, reordered and divided in two;
``DIGITS-LICENSE.txt`` beside this file says exactly how.
"""

from __future__ import annotations

from importlib import resources

import numpy as np

from minicnn.datasets import readers


def load_data() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """The digits, always divided in the same way.

    The test set holds 30 scans of each digit. The same people wrote both parts, so a good test
    score says little about anybody else's handwriting.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: the pictures as uint8 of shape (n, 8, 8) with
        values 0 to 16, the digits as uint8 of shape (n,); n is 1,497 and 300.

    >>> (x_train, y_train), (x_test, y_test) = load_data()
    >>> x_train.shape, y_train.shape, x_test.shape, y_test.shape
    ((1497, 8, 8), (1497,), (300, 8, 8), (300,))
    >>> int(x_train.max())
    16
    """
    with resources.as_file(resources.files("minicnn.datasets") / "digits.npz") as path:
        x_train, y_train, x_test, y_test = readers.read_npz(path)
    return (x_train, y_train), (x_test, y_test)
