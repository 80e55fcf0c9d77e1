"""Convolution, depthwise and transposed: against loops, finite differences and their adjoints."""

from itertools import product
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings, strategies as st

from minicnn.backends import numpy as floor
from minicnn.backends.numpy import conv, windows
from minicnn.checking import numerical_gradient, relative_error


class Case(NamedTuple):
    """One convolution. In a transposed one ``filters`` are the channels that come out."""

    image: tuple = (2, 5, 6, 4)
    kernel: tuple = (3, 2)
    filters: int = 4  # of a depthwise convolution: the depth multiplier
    strides: tuple = (1, 1)
    padding: str = "valid"
    dilation: tuple = (1, 1)
    groups: int = 1
    output_padding: tuple | None = None


CASES = [
    Case(kernel=kernel, strides=strides, padding=padding, dilation=dilation, groups=groups)
    for kernel, strides, padding, dilation, groups in product(
        [(1, 1), (2, 3), (4, 2)],
        [(1, 1), (2, 1), (3, 2)],
        ["valid", "same"],
        [(1, 1), (1, 2)],
        [1, 2],
    )
]
ODD_CASES = [
    Case(image=(1, 1, 1, 1), kernel=(1, 1), filters=1),
    Case(image=(1, 1, 7, 2), kernel=(1, 7), filters=3),
    Case(image=(1, 2, 1, 1), kernel=(5, 4), filters=2, padding="same"),
    Case(image=(3, 6, 6, 1), kernel=(2, 2), filters=2, strides=(3, 3)),
    Case(image=(1, 7, 5, 6), kernel=(2, 2), filters=6, groups=6, padding="same"),
    Case(image=(2, 4, 4, 2), kernel=(1, 1), filters=3, strides=(3, 2), padding="same"),
    Case(image=(1, 6, 7, 2), kernel=(2, 2), filters=2, dilation=(3, 2), padding="same"),
    Case(image=(1, 7, 9, 2), kernel=(2, 3), filters=2, dilation=(3, 2), strides=(2, 3)),
]
TRANSPOSED_CASES = [
    *(case._replace(filters=3) for case in CASES if case.groups == 1),
    Case(strides=(2, 3), output_padding=(1, 2)),
    Case(strides=(2, 3), output_padding=(0, 2), padding="same"),
    Case(kernel=(4, 4), strides=(2, 2), output_padding=(0, 1), padding="same"),
    Case(image=(1, 1, 1, 1), kernel=(3, 2), filters=1, padding="same"),
]


# -- the definitions, one number at a time -------------------------------------------------------


def image_of_windows(case):
    """For both axes: how many windows, and the padding before the image."""
    result = []
    for n, k, s, d in zip(case.image[1:3], case.kernel, case.strides, case.dilation, strict=True):
        reach = (k - 1) * d + 1
        if case.padding == "valid":
            result.append(((n - reach) // s + 1, 0))
        else:
            count = int(np.ceil(n / s))
            result.append((count, max((count - 1) * s + reach - n, 0) // 2))
    return result


def naive_conv2d(x, W, case):
    (oh, top), (ow, left) = image_of_windows(case)
    kh, kw, c, f = W.shape
    y = np.zeros((len(x), oh, ow, f))
    for n, r, q, k, i, j, ch in np.ndindex(len(x), oh, ow, f, kh, kw, c):
        row = r * case.strides[0] + i * case.dilation[0] - top
        col = q * case.strides[1] + j * case.dilation[1] - left
        group = k // (f // case.groups)
        if 0 <= row < x.shape[1] and 0 <= col < x.shape[2]:
            y[n, r, q, k] += x[n, row, col, group * c + ch] * W[i, j, ch, k]
    return y


def naive_depthwise_conv2d(x, W, case):
    (oh, top), (ow, left) = image_of_windows(case)
    kh, kw, c, m = W.shape
    y = np.zeros((len(x), oh, ow, c * m))
    for n, r, q, ch, k, i, j in np.ndindex(len(x), oh, ow, c, m, kh, kw):
        row = r * case.strides[0] + i * case.dilation[0] - top
        col = q * case.strides[1] + j * case.dilation[1] - left
        if 0 <= row < x.shape[1] and 0 <= col < x.shape[2]:
            y[n, r, q, ch * m + k] += x[n, row, col, ch] * W[i, j, ch, k]
    return y


def naive_conv2d_transpose(x, W, case):
    """Every pixel of x lays W down on a plane with room for all; then the plane is cut."""
    n, h, w, _ = x.shape
    kh, kw, out, _ = W.shape
    (sh, sw), (dh, dw) = case.strides, case.dilation
    plane = np.zeros((n, h * sh + kh * dh + sh, w * sw + kw * dw + sw, out))
    for r, q, i, j in np.ndindex(h, w, kh, kw):
        plane[:, r * sh + i * dh, q * sw + j * dw] += x[:, r, q] @ W[i, j].T
    cut = []
    for axis, size in enumerate((h, w)):
        s, reach = case.strides[axis], (case.kernel[axis] - 1) * case.dilation[axis] + 1
        p = None if case.output_padding is None else case.output_padding[axis]
        if case.padding == "valid":
            start, length = 0, (size - 1) * s + (max(reach, s) if p is None else reach + p)
        else:
            length = size * s if p is None else (size - 1) * s + reach % 2 + p
            start = max((size - 1) * s + reach - length, 0) // 2
        cut.append(slice(start, start + length))
    return plane[:, cut[0], cut[1]]


# -- the three operations in one form ------------------------------------------------------------


class Operation(NamedTuple):
    """A forward, its backward, its definition, and what of a case it takes."""

    name: str
    naive: object
    options: tuple

    def kernel_shape(self, case):
        c = case.image[3]
        if self.name == "conv2d":
            return (*case.kernel, c // case.groups, case.filters)
        if self.name == "depthwise_conv2d":
            return (*case.kernel, c, case.filters)
        return (*case.kernel, case.filters, c)

    def arrays(self, case, rng, dtype=np.float64):
        """x, W and b."""
        W = rng.normal(size=self.kernel_shape(case)).astype(dtype)
        outputs = case.filters * (case.image[3] if self.name == "depthwise_conv2d" else 1)
        x = rng.normal(size=case.image).astype(dtype)
        return x, W, rng.normal(size=outputs).astype(dtype)

    def keywords(self, case):
        return {option: getattr(case, option) for option in self.options}

    def forward(self, ops, case, x, W, b=None):
        return getattr(ops, self.name)(x, W, b, **self.keywords(case))

    def backward(self, ops, case, dy, x, W, **more):
        return getattr(ops, f"{self.name}_backward")(dy, x, W, **self.keywords(case), **more)


CONV = Operation("conv2d", naive_conv2d, ("strides", "padding", "dilation", "groups"))
DEPTHWISE = Operation(
    "depthwise_conv2d", naive_depthwise_conv2d, ("strides", "padding", "dilation")
)
TRANSPOSE = Operation(
    "conv2d_transpose",
    naive_conv2d_transpose,
    ("strides", "padding", "dilation", "output_padding"),
)
PLAIN = [case for case in CASES if case.groups == 1] + [c for c in ODD_CASES if c.groups == 1]
ALL = (
    [(CONV, case) for case in CASES + ODD_CASES]
    + [(DEPTHWISE, case._replace(filters=m)) for case in PLAIN for m in (1, 3)]
    + [(TRANSPOSE, case) for case in TRANSPOSED_CASES]
)
FEW = ALL[::9]


def named(pair):
    operation, case = pair
    own = [
        f"{field}={value}"
        for field, value, default in zip(case._fields, case, Case(), strict=True)
        if value != default
    ]
    return "-".join([operation.name, *own]).replace(" ", "")


every_case = pytest.mark.parametrize(("operation", "case"), ALL, ids=map(named, ALL))
few_cases = pytest.mark.parametrize(("operation", "case"), FEW, ids=map(named, FEW))


def assert_gradients(ops, operation, case, rng):
    x, W, b = operation.arrays(case, rng)
    dy = rng.normal(size=operation.forward(ops, case, x, W, b).shape)
    gradients = operation.backward(ops, case, dy, x, W)

    def loss(_):
        return float((operation.forward(ops, case, x, W, b) * dy).sum())

    for array, gradient in zip((x, W, b), gradients, strict=True):
        assert gradient.shape == array.shape
        assert relative_error(gradient, numerical_gradient(loss, array)) < 1e-6
    return gradients


# -- tests ---------------------------------------------------------------------------------------


@every_case
def test_forward_is_the_definition(ops, rng, operation, case):
    x, W, b = operation.arrays(case, rng)
    expected = operation.naive(x, W, case)
    y = operation.forward(ops, case, x, W)
    assert y.shape == expected.shape
    assert relative_error(y, expected) < 1e-12
    assert relative_error(operation.forward(ops, case, x, W, b), expected + b) < 1e-12


@every_case
def test_backward_is_the_adjoint(ops, rng, operation, case):
    """The forward is linear in x and in W: <dy, A x> = <A^T dy, x> for an x that A^T never saw."""
    x, W, _ = operation.arrays(case, rng)
    other_x, other_W, _ = operation.arrays(case, rng)
    y = operation.forward(ops, case, x, W)
    dy = rng.normal(size=y.shape)
    dx, dW, db = operation.backward(ops, case, dy, x, W)
    scale = np.linalg.norm(dy) * np.linalg.norm(y)
    along_x = (dy * operation.forward(ops, case, other_x, W)).sum()
    along_W = (dy * operation.forward(ops, case, x, other_W)).sum()
    assert abs(along_x - (dx * other_x).sum()) < 1e-12 * scale
    assert abs(along_W - (dW * other_W).sum()) < 1e-12 * scale
    assert relative_error(db, dy.sum(axis=(0, 1, 2))) < 1e-12


@few_cases
def test_gradients_against_finite_differences(ops, rng, operation, case):
    gradients = assert_gradients(ops, operation, case, rng)
    assert all(np.abs(gradient).max() > 0 for gradient in gradients)


axis_of_windows = st.tuples(
    st.integers(1, 6), st.integers(1, 4), st.integers(1, 3), st.integers(1, 2)
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    operation=st.sampled_from([CONV, DEPTHWISE, TRANSPOSE]),
    height=axis_of_windows,
    width=axis_of_windows,
    batch=st.integers(1, 2),
    channels=st.integers(1, 2),
    filters=st.integers(1, 2),
    groups=st.integers(1, 2),
    padding=st.sampled_from(["valid", "same"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_gradients_of_any_shape(
    ops, operation, height, width, batch, channels, filters, groups, padding, seed
):
    (h, kh, sh, dh), (w, kw, sw, dw) = height, width
    if padding == "valid" and operation is not TRANSPOSE:
        assume((kh - 1) * dh < h and (kw - 1) * dw < w)
    case = Case(
        image=(batch, h, w, channels * groups),
        kernel=(kh, kw),
        filters=filters * groups,
        strides=(sh, sw),
        padding=padding,
        dilation=(dh, dw),
        groups=groups,
    )
    rng = np.random.default_rng(seed)
    x, W, _ = operation.arrays(case, rng)
    expected = operation.naive(x, W, case)
    assert relative_error(operation.forward(ops, case, x, W), expected) < 1e-12
    assert_gradients(ops, operation, case, rng)


@few_cases
def test_float32_stays_float32(ops, rng, operation, case):
    x, W, b = operation.arrays(case, rng, np.float32)
    y = operation.forward(ops, case, x, W, b)
    dy = rng.normal(size=y.shape).astype(np.float32)
    gradients = operation.backward(ops, case, dy, x, W)
    wide = [array.astype(np.float64) for array in (dy, x, W)]
    expected = [operation.naive(x, W, case) + b, *operation.backward(ops, case, *wide)]
    for array, exact in zip((y, *gradients), expected, strict=True):
        assert array.dtype == np.float32
        assert relative_error(array, exact) < 1e-5


@few_cases
def test_arguments_stay_as_they_are(ops, rng, operation, case):
    x, W, b = operation.arrays(case, rng)
    dy = rng.normal(size=operation.forward(ops, case, x, W, b).shape)
    before = [array.copy() for array in (x, W, b, dy)]
    operation.forward(ops, case, x, W, b)
    operation.backward(ops, case, dy, x, W)
    for array, copy in zip((x, W, b, dy), before, strict=True):
        assert np.array_equal(array, copy)


@few_cases
def test_memory_layout_does_not_matter(ops, rng, operation, case):
    x, W, b = operation.arrays(case, rng)
    dy = rng.normal(size=operation.forward(ops, case, x, W).shape)
    strided = np.repeat(x, 2, axis=2)[:, :, ::2]
    expected = operation.forward(ops, case, x, W, b), *operation.backward(ops, case, dy, x, W)
    x, W, dy = strided, np.asfortranarray(W), np.asfortranarray(dy)
    got = operation.forward(ops, case, x, W, b), *operation.backward(ops, case, dy, x, W)
    for array, other in zip(got, expected, strict=True):
        assert relative_error(array, other) < 1e-12


@pytest.mark.parametrize("operation", [CONV, DEPTHWISE, TRANSPOSE], ids=lambda o: o.name)
def test_without_the_input_gradient(ops, rng, operation):
    case = Case()
    x, W, b = operation.arrays(case, rng)
    dy = rng.normal(size=operation.forward(ops, case, x, W, b).shape)
    _, dW, db = operation.backward(ops, case, dy, x, W)
    none, same_dW, same_db = operation.backward(ops, case, dy, x, W, input_gradient=False)
    assert none is None
    assert np.array_equal(dW, same_dW)
    assert np.array_equal(db, same_db)


def test_an_unwanted_input_gradient_costs_nothing(rng, monkeypatch):
    monkeypatch.setattr(conv, "scatter", lambda *_: pytest.fail("dx was computed"))
    x, W, _ = CONV.arrays(Case(), rng)
    dy = np.ones_like(floor.conv2d(x, W))
    assert floor.conv2d_backward(dy, x, W, input_gradient=False)[0] is None


def test_pixels_in_no_window_get_no_gradient(ops, rng):
    case = Case(image=(1, 6, 6, 1), kernel=(2, 2), filters=1, strides=(3, 3))
    x, W, _ = CONV.arrays(case, rng)
    dx, _, _ = CONV.backward(ops, case, np.ones((1, 2, 2, 1)), x, W)
    used = np.array([True, True, False, True, True, False])
    assert (dx[0, :, :, 0] != 0).tolist() == np.outer(used, used).tolist()


def test_dx_is_dy_convolved_with_the_flipped_kernel(ops, rng):
    x, W = rng.normal(size=(2, 5, 6, 3)), rng.normal(size=(3, 2, 3, 4))
    dy = rng.normal(size=ops.conv2d(x, W).shape)
    framed = np.pad(dy, ((0, 0), (2, 2), (1, 1), (0, 0)))
    flipped = W[::-1, ::-1].transpose(0, 1, 3, 2)
    dx, _, _ = ops.conv2d_backward(dy, x, W)
    assert relative_error(dx, ops.conv2d(framed, flipped)) < 1e-12


def test_edges_of_a_picture(ops):
    picture = np.zeros((1, 4, 6, 1))
    picture[:, :, 3:] = 1
    sobel = np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])[:, :, None, None]
    assert ops.conv2d(picture, sobel)[0, :, :, 0].tolist() == [[0, 4, 4, 0]] * 2


def test_many_groups_are_a_depthwise_convolution(ops, rng):
    x, W = rng.normal(size=(2, 5, 6, 3)), rng.normal(size=(3, 2, 3, 2))
    grouped = W.reshape(3, 2, 1, 6)
    assert relative_error(ops.conv2d(x, grouped, groups=3), ops.depthwise_conv2d(x, W)) < 1e-12


def test_transposed_convolution_is_the_gradient_of_convolution(ops, rng):
    x, W = rng.normal(size=(2, 7, 9, 3)), rng.normal(size=(3, 3, 3, 4))
    for padding in ("valid", "same"):
        dy = rng.normal(size=ops.conv2d(x, W, None, (2, 2), padding).shape)
        dx, _, _ = ops.conv2d_backward(dy, x, W, (2, 2), padding)
        y = ops.conv2d_transpose(dy, W, None, (2, 2), padding, output_padding=(0, 0))
        assert relative_error(y, dx) < 1e-12


@few_cases
def test_block_by_block_is_the_same(rng, monkeypatch, operation, case):
    """The matrix of windows is made for a few images at a time; here for one."""
    x, W, b = operation.arrays(case, rng)
    dy = rng.normal(size=operation.forward(floor, case, x, W).shape)
    whole = operation.forward(floor, case, x, W, b), *operation.backward(floor, case, dy, x, W)
    monkeypatch.setattr(windows, "COLUMN_BYTES", 1)
    ones = operation.forward(floor, case, x, W, b), *operation.backward(floor, case, dy, x, W)
    for array, other in zip(ones, whole, strict=True):
        assert relative_error(array, other) < 1e-12


def test_blocks_cover_the_batch_within_the_limit(monkeypatch):
    x = np.zeros((7, 5, 5, 2), np.float32)
    on = windows.Windows.on((5, 5), (3, 3), (1, 1), "valid")
    one = windows.im2col(x[:1], on).nbytes
    monkeypatch.setattr(windows, "COLUMN_BYTES", 3 * one)
    parts = [x[block] for block in windows.blocks(x, on)]
    assert [len(part) for part in parts] == [3, 3, 1]
    assert max(windows.im2col(part, on).nbytes for part in parts) == 3 * one


def test_an_empty_batch(ops, rng):
    for operation in (CONV, DEPTHWISE, TRANSPOSE):
        x, W, b = operation.arrays(Case(image=(0, 5, 6, 4)), rng)
        y = operation.forward(ops, Case(), x, W, b)
        dx, dW, db = operation.backward(ops, Case(), y, x, W)
        assert y.shape == (0, *operation.forward(ops, Case(), np.zeros((1, 5, 6, 4)), W).shape[1:])
        assert dx.shape == x.shape
        assert not dW.any()
        assert dW.shape == W.shape
        assert not db.any()
        assert db.shape == b.shape


def test_what_does_not_fit(ops):
    x = np.zeros((1, 4, 4, 4))
    with pytest.raises(ValueError, match=r"window of 5 .*floor\(\(4 - 5\) / 1\)"):
        ops.conv2d(x, np.zeros((5, 5, 4, 1)))
    with pytest.raises(ValueError, match=r"\(2, 2, 3, 1\) is for images of 3 channels"):
        ops.conv2d(x, np.zeros((2, 2, 3, 1)))
    with pytest.raises(ValueError, match="of 8 channels"):
        ops.conv2d(x, np.zeros((2, 2, 4, 2)), groups=2)
    with pytest.raises(ValueError, match="groups: 2 does not divide the 3 filters"):
        ops.conv2d(x, np.zeros((2, 2, 2, 3)), groups=2)
    with pytest.raises(ValueError, match="of 1 channels"):
        ops.depthwise_conv2d(x, np.zeros((2, 2, 1, 1)))
    with pytest.raises(ValueError, match="of 2 channels"):
        ops.conv2d_transpose(x, np.zeros((2, 2, 4, 2)))
    with pytest.raises(ValueError, match=r"output_padding: .*stride 2, got 2"):
        ops.conv2d_transpose(x, np.zeros((3, 3, 1, 4)), strides=(2, 2), output_padding=(2, 2))
