"""Softmax and cross-entropy of one sample after the other."""

from __future__ import annotations

import math

from minicnn.backends.numba.compiling import kernel


@kernel
def softmax_cross_entropy(z, t, values, p):
    """values = -sum t log p, p = softmax(z), for every row."""
    for i in range(len(z)):
        logits, targets, row = z[i], t[i], p[i]
        largest = logits[0]
        for k in range(1, len(row)):
            # A NaN is not equal to itself; the textbook's maximum is NaN then, and so are all p.
            if logits[k] > largest or logits[k] != logits[k]:
                largest = logits[k]
        total = row.dtype.type(0)
        for k in range(len(row)):
            row[k] = math.exp(logits[k] - largest)
            total += row[k]
        log_total = math.log(total)
        value = row.dtype.type(0)
        for k in range(len(row)):
            value -= targets[k] * (logits[k] - largest - log_total)
            row[k] /= total
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
        logits, row = z[i], p[i]
        largest = logits[0]
        for k in range(1, len(row)):
            if logits[k] > largest or logits[k] != logits[k]:
                largest = logits[k]
        total = row.dtype.type(0)
        for k in range(len(row)):
            row[k] = math.exp(logits[k] - largest)
            total += row[k]
        for k in range(len(row)):
            row[k] /= total
        label = int(labels[i])
        known = labels[i] == label and 0 <= label < len(row)
        values[i] = math.log(total) + largest - logits[label] if known else 0


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
