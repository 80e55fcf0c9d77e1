"""The proxy that the tests of the compiled floor rest on finds what it is there to find."""

import types

import numpy as np
import pytest
from float32_twin import Float32Twin


def twin_of(operation):
    return Float32Twin(types.SimpleNamespace(operation=operation))


def halve(x, y):
    x *= x.dtype.type(0.5)
    return x + y, np.arange(2), None


def test_what_comes_back_is_the_run_in_float64():
    x = np.array([1.0, 1 / 3])
    total, places, nothing = twin_of(halve).operation(x, y=x.copy())
    np.testing.assert_array_equal(x, [0.5, 1 / 6])
    np.testing.assert_array_equal(total, [1.5, 1 / 6 + 1 / 3])
    assert total.dtype == np.float64
    assert places.tolist() == [0, 1]
    assert nothing is None


def in_place_only(x):
    x += 1e-4 * (x.dtype == np.float32)


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (lambda x: x.astype(np.float64), "operation: result is float64 where float32 went in"),
        (lambda x: x * (1 + 1e-4 * (x.dtype == np.float32)), "operation: result: off by"),
        (lambda x: x + (np.nan if x.dtype == np.float32 else 0), "operation: result: off by nan"),
        (lambda x: np.array([x.dtype == np.float32]), "operation: result"),
        (in_place_only, "operation: argument: off by"),
    ],
    ids=["dtype", "value", "nan", "index", "in place"],
)
def test_it_refuses(operation, message):
    with pytest.raises(AssertionError, match=message):
        twin_of(operation).operation(np.array([1.0, 2.0]))


def test_float32_is_passed_on():
    x = np.ones(3, np.float32)
    assert twin_of(lambda x: x).operation(x) is x
