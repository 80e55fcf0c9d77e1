"""Softmax and cross-entropy of one sample after the other."""

from __future__ import annotations

import math

from minicnn.backends.numba.activation_kernels import softmax_of_row
from minicnn.backends.numba.compiling import kernel


@kernel
def softmax_cross_entropy(z, t, values, p):
    """values = -sum t log p, p = softmax(z), for every row."""
    for i in range(len(z)):
        largest, total = softmax_of_row(i, z, p)
        log_total = math.log(total)
        value = values.dtype.type(0)
        for k in range(z.shape[1]):
            value -= t[i, k] * (z[i, k] - largest - log_total)
        values[i] = value


@kernel
def softmax_cross_entropy_backward(p, t, dz):
    """dz = p sum t - t, for every row."""
    for i in range(len(p)):
        probabilities, targets, row = p[i], t[i], dz[i]
        total = row.dtype.type(0)
        for k in range(len(row)):
            total += targets[k]
        for k in range(len(row)):
            row[k] = probabilities[k] * total - targets[k]


@kernel
def sparse_softmax_cross_entropy(z, labels, values, p):
    """values = -log p_label, p = softmax(z), for every row."""
    for i in range(len(z)):
        largest, total = softmax_of_row(i, z, p)
        label = int(labels[i])
        known = labels[i] == label and 0 <= label < z.shape[1]
        values[i] = math.log(total) + largest - z[i, label] if known else 0


@kernel
def sparse_softmax_cross_entropy_backward(p, labels, dz):
    """dz = p, less 1 at the label, for every row; 0 where the label is no class."""
    for i in range(len(p)):
        probabilities, row = p[i], dz[i]
        label = int(labels[i])
        known = labels[i] == label and 0 <= label < len(row)
        for k in range(len(row)):
            row[k] = probabilities[k] if known else 0
        if known:
            row[label] -= 1
