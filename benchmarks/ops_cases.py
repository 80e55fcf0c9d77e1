"""The operations that ``python -m benchmarks ops`` measures: arrays, calls, and what they cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Calls = dict[str, Callable[[], Any]]  # what to time: "forward" and, where there is one, "backward"


@dataclass(frozen=True)
class Case:
    """One operation on one shape.

    Attributes:
        name: what the table calls it.
        arrays: makes its arrays, given a random generator.
        ours: the calls for a floor of minicnn, given the floor and the arrays.
        torch: the same for PyTorch, given its module and the arrays.
        flops: multiplications and additions of each call, by its name; 0 if it is not a product.
        bytes: what each call has to read and write, in float32.
    """

    name: str
    arrays: Callable[[np.random.Generator], list[np.ndarray]]
    ours: Callable[[Any, list[np.ndarray]], Calls]
    torch: Callable[[Any, list[np.ndarray]], Calls]
    flops: dict[str, int]
    bytes: dict[str, int]


def normal(*shapes: tuple[int, ...]) -> Callable[[np.random.Generator], list[np.ndarray]]:
    """Arrays of normally distributed float32 numbers."""
    return lambda rng: [rng.standard_normal(shape, np.float32) for shape in shapes]


def nchw(torch: Any, x: np.ndarray) -> Any:
    """Images for PyTorch: its axes, in the memory layout of NHWC, which is its faster one."""
    return tensor(torch, x.transpose(0, 3, 1, 2))


def tensor(torch: Any, array: np.ndarray) -> Any:
    """An array for PyTorch, on the device that it computes on by default."""
    return torch.from_numpy(array).to(torch.get_default_device())


# -- products -----------------------------------------------------------------------------------


def conv(n: int, size: int, c: int, f: int, padding: str, first: bool = False) -> Case:
    """A 3x3 convolution with bias. A network's ``first`` layer needs no dx."""
    out = size if padding == "same" else size - 2
    shapes = (n, size, size, c), (3, 3, c, f), (f,), (n, out, out, f)

    def ours(ops: Any, arrays: list[np.ndarray]) -> Calls:
        x, W, b, dy = arrays
        return {
            "forward": lambda: ops.conv2d(x, W, b, padding=padding),
            "backward": lambda: ops.conv2d_backward(
                dy, x, W, padding=padding, input_gradient=not first
            ),
        }

    def torch_twin(torch: Any, arrays: list[np.ndarray]) -> Calls:
        x, dy = nchw(torch, arrays[0]), nchw(torch, arrays[3])
        W = tensor(torch, arrays[1].transpose(3, 2, 0, 1).copy())
        W = W.to(memory_format=torch.channels_last)
        b, border = tensor(torch, arrays[2]), [1, 1] if padding == "same" else [0, 0]
        return {
            "forward": lambda: torch.nn.functional.conv2d(x, W, b, padding=border),
            "backward": lambda: torch.ops.aten.convolution_backward(
                dy, x, W, [f], [1, 1], border, [1, 1], False, [0, 0], 1, [not first, True, True]
            ),
        }

    flops = 2 * n * out * out * 9 * c * f
    sizes = [4 * int(np.prod(shape)) for shape in shapes]
    name = f"conv {n} x {size}x{size}, {c} -> {f}, {padding}" + (", first" if first else "")
    return Case(
        name,
        normal(*shapes),
        ours,
        torch_twin,
        {"forward": flops, "backward": flops if first else 2 * flops},
        {"forward": sum(sizes), "backward": sum(sizes) + sizes[1] + (0 if first else sizes[0])},
    )


def dense(n: int, inputs: int, units: int) -> Case:
    """A fully connected layer with bias."""
    shapes = (n, inputs), (inputs, units), (units,), (n, units)

    def ours(ops: Any, arrays: list[np.ndarray]) -> Calls:
        x, W, b, dy = arrays
        return {
            "forward": lambda: ops.dense(x, W, b),
            "backward": lambda: ops.dense_backward(dy, x, W),
        }

    def torch_twin(torch: Any, arrays: list[np.ndarray]) -> Calls:
        x, W, b, dy = (tensor(torch, array) for array in arrays)
        return {
            "forward": lambda: torch.addmm(b, x, W),
            "backward": lambda: (dy @ W.t(), x.t() @ dy, dy.sum(0)),
        }

    flops = 2 * n * inputs * units
    sizes = [4 * int(np.prod(shape)) for shape in shapes]
    return Case(
        f"dense {n} x {inputs} -> {units}",
        normal(*shapes),
        ours,
        torch_twin,
        {"forward": flops, "backward": 2 * flops},
        {"forward": sum(sizes), "backward": sum(sizes) + sizes[0] + sizes[1]},
    )


# -- one pass through memory ----------------------------------------------------------------------


def depthwise(n: int, size: int, c: int) -> Case:
    """A 3x3 depthwise convolution with bias, padding "same"."""
    shapes = (n, size, size, c), (3, 3, c, 1), (c,), (n, size, size, c)

    def ours(ops: Any, arrays: list[np.ndarray]) -> Calls:
        x, W, b, dy = arrays
        return {
            "forward": lambda: ops.depthwise_conv2d(x, W, b, padding="same"),
            "backward": lambda: ops.depthwise_conv2d_backward(dy, x, W, padding="same"),
        }

    def torch_twin(torch: Any, arrays: list[np.ndarray]) -> Calls:
        x, dy, b = nchw(torch, arrays[0]), nchw(torch, arrays[3]), tensor(torch, arrays[2])
        W = tensor(torch, arrays[1].transpose(2, 3, 0, 1).copy())
        return {
            "forward": lambda: torch.nn.functional.conv2d(x, W, b, padding=1, groups=c),
            "backward": lambda: torch.ops.aten.convolution_backward(
                dy, x, W, [c], [1, 1], [1, 1], [1, 1], False, [0, 0], c, [True, True, True]
            ),
        }

    size_of_x = 4 * n * size * size * c
    return Case(
        f"depthwise {n} x {size}x{size}x{c}",
        normal(*shapes),
        ours,
        torch_twin,
        {},
        {"forward": 2 * size_of_x, "backward": 3 * size_of_x},
    )


def max_pool(n: int, size: int, c: int, k: int) -> Case:
    """Maxima of k x k pixels, k apart."""
    out = size // k
    shapes = (n, size, size, c), (n, out, out, c)

    def ours(ops: Any, arrays: list[np.ndarray]) -> Calls:
        x, dy = arrays
        argmax = ops.max_pool2d(x, (k, k), (k, k))[1]
        return {
            "forward": lambda: ops.max_pool2d(x, (k, k), (k, k)),
            "backward": lambda: ops.max_pool2d_backward(dy, argmax, x.shape, (k, k), (k, k)),
        }

    def torch_twin(torch: Any, arrays: list[np.ndarray]) -> Calls:
        x, dy = (nchw(torch, array) for array in arrays)
        aten = torch.ops.aten
        argmax = aten.max_pool2d_with_indices(x, [k, k])[1]
        return {
            "forward": lambda: aten.max_pool2d_with_indices(x, [k, k]),
            "backward": lambda: aten.max_pool2d_with_indices_backward(
                dy, x, [k, k], [k, k], [0, 0], [1, 1], False, argmax
            ),
        }

    x_size, y_size = (4 * int(np.prod(shape)) for shape in shapes)
    moved = x_size + y_size * 5 // 4  # a byte for each maximum tells where it was
    return Case(
        f"max-pool {n} x {size}x{size}x{c}, {k}x{k}",
        normal(*shapes),
        ours,
        torch_twin,
        {},
        {"forward": moved, "backward": moved},
    )


def batch_norm(n: int, size: int, c: int) -> Case:
    """Batch normalization while training."""
    shape = (n, size, size, c)

    def ours(ops: Any, arrays: list[np.ndarray]) -> Calls:
        x, dy, gamma, beta = arrays
        saved = ops.batch_norm(x, gamma, beta, 1e-3, (0, 1, 2))[3]
        return {
            "forward": lambda: ops.batch_norm(x, gamma, beta, 1e-3, (0, 1, 2)),
            "backward": lambda: ops.batch_norm_backward(dy, saved),
        }

    def torch_twin(torch: Any, arrays: list[np.ndarray]) -> Calls:
        x, dy = (nchw(torch, array) for array in arrays[:2])
        gamma, beta = (tensor(torch, array) for array in arrays[2:])
        aten = torch.ops.aten
        _, mean, deviation = aten.native_batch_norm(x, gamma, beta, None, None, True, 0.1, 1e-3)
        return {
            "forward": lambda: aten.native_batch_norm(x, gamma, beta, None, None, True, 0.1, 1e-3),
            "backward": lambda: aten.native_batch_norm_backward(
                dy, x, gamma, None, None, mean, deviation, True, 1e-3, [True, True, True]
            ),
        }

    size_of_x = 4 * int(np.prod(shape))
    return Case(
        f"batch norm {n} x {size}x{size}x{c}",
        normal(shape, shape, (c,), (c,)),
        ours,
        torch_twin,
        {},
        {"forward": 3 * size_of_x, "backward": 5 * size_of_x},
    )


def relu(n: int, size: int, c: int) -> Case:
    """ReLU."""
    shape = (n, size, size, c)

    def ours(ops: Any, arrays: list[np.ndarray]) -> Calls:
        z, dy = arrays
        y = ops.relu(z)
        return {
            "forward": lambda: ops.relu(z),
            "backward": lambda: ops.relu_backward(dy, None, y),
        }

    def torch_twin(torch: Any, arrays: list[np.ndarray]) -> Calls:
        z, dy = (tensor(torch, array) for array in arrays)
        y = torch.relu(z)
        return {
            "forward": lambda: torch.relu(z),
            "backward": lambda: torch.ops.aten.threshold_backward(dy, y, 0),
        }

    size_of_z = 4 * int(np.prod(shape))
    return Case(
        f"relu {n} x {size}x{size}x{c}",
        normal(shape, shape),
        ours,
        torch_twin,
        {},
        {"forward": 2 * size_of_z, "backward": 3 * size_of_z},
    )


def dropout(n: int, units: int) -> Case:
    """Dropout of half of the units."""

    def ours(ops: Any, arrays: list[np.ndarray]) -> Calls:
        x, dy = arrays
        mask = ops.dropout(x, 0.5, 1, 1)[1]
        return {
            "forward": lambda: ops.dropout(x, 0.5, 1, 1),
            "backward": lambda: ops.dropout_backward(dy, mask, 0.5),
        }

    def torch_twin(torch: Any, arrays: list[np.ndarray]) -> Calls:
        x, dy = (tensor(torch, array) for array in arrays)
        aten = torch.ops.aten
        mask = aten.native_dropout(x, 0.5, True)[1]
        return {
            "forward": lambda: aten.native_dropout(x, 0.5, True),
            "backward": lambda: aten.native_dropout_backward(dy, mask, 2.0),
        }

    size_of_x = 4 * n * units
    return Case(
        f"dropout {n} x {units}",
        normal((n, units), (n, units)),
        ours,
        torch_twin,
        {},
        {"forward": size_of_x * 9 // 4, "backward": size_of_x * 9 // 4},
    )


def rotation(n: int, size: int, c: int) -> Case:
    """Each image turned by an angle of its own, bilinearly, and mirrored beyond its border."""

    def arrays(rng: np.random.Generator) -> list[np.ndarray]:
        t, m = rng.uniform(-0.6, 0.6, n), (size - 1) / 2  # the angles, and the middle
        cos, sin = np.cos(t), np.sin(t)
        A = [[cos, sin, m * (1 - cos - sin)], [-sin, cos, m * (1 - cos + sin)]]
        images = normal(*[(n, size, size, c)] * 2)(rng)
        return [*images, np.ascontiguousarray(np.moveaxis(np.array(A), 2, 0))]

    def ours(ops: Any, arrays: list[np.ndarray]) -> Calls:
        x, dy, A = arrays
        how = ("bilinear", "reflect")
        return {
            "forward": lambda: ops.affine2d(x, A, (size, size), *how),
            "backward": lambda: ops.affine2d_backward(dy, A, x.shape, *how),
        }

    def torch_twin(torch: Any, arrays: list[np.ndarray]) -> Calls:
        x, dy, A = nchw(torch, arrays[0]), nchw(torch, arrays[1]), arrays[2].astype(np.float32)
        # Columns before rows, both from -1 to 1: the middle is 0.
        turn = tensor(torch, A[:, ::-1, [1, 0, 2]] * np.array([1, 1, 0], np.float32))
        sample, how = torch.ops.aten.grid_sampler_2d, (0, 2, False)

        def grid() -> Any:
            return torch.nn.functional.affine_grid(turn, x.shape, align_corners=False)

        known, back = grid(), torch.ops.aten.grid_sampler_2d_backward
        return {
            "forward": lambda: sample(x, grid(), *how),
            "backward": lambda: back(dy, x, known, *how, [True, False]),
        }

    size_of_x = 4 * n * size * size * c
    return Case(
        f"rotation {n} x {size}x{size}x{c}",
        arrays,
        ours,
        torch_twin,
        {},
        {"forward": 2 * size_of_x, "backward": 2 * size_of_x},
    )


def cross_entropy(n: int, classes: int) -> Case:
    """Softmax and cross-entropy with one-hot targets."""

    def arrays(rng: np.random.Generator) -> list[np.ndarray]:
        z = rng.standard_normal((n, classes), np.float32)
        return [z, np.eye(classes, dtype=np.float32)[rng.integers(0, classes, n)]]

    def ours(ops: Any, arrays: list[np.ndarray]) -> Calls:
        z, t = arrays
        p = ops.softmax_cross_entropy(z, t)[1]
        return {
            "forward": lambda: ops.softmax_cross_entropy(z, t),
            "backward": lambda: ops.softmax_cross_entropy_backward(p, t),
        }

    def torch_twin(torch: Any, arrays: list[np.ndarray]) -> Calls:
        z, t = (tensor(torch, array) for array in arrays)
        log_p = torch.log_softmax(z, 1)
        return {
            "forward": lambda: -(t * torch.log_softmax(z, 1)).sum(1),
            "backward": lambda: torch.ops.aten._log_softmax_backward_data(
                -t, log_p, 1, torch.float32
            ),
        }

    size_of_z = 4 * n * classes
    return Case(
        f"softmax cross-entropy {n} x {classes}",
        arrays,
        ours,
        torch_twin,
        {},
        {"forward": 3 * size_of_z, "backward": 3 * size_of_z},
    )


def adam(weights: int) -> Case:
    """One step of Adam; there is no backward."""

    def ours(ops: Any, arrays: list[np.ndarray]) -> Calls:
        w, g = arrays
        m, v = np.zeros_like(w), np.zeros_like(w)
        return {"forward": lambda: ops.adam(w, g, m, v, None, 1e-3, 0.9, 0.999, 1e-7, 10)}

    def torch_twin(torch: Any, arrays: list[np.ndarray]) -> Calls:
        w = torch.nn.Parameter(tensor(torch, arrays[0]))
        w.grad = tensor(torch, arrays[1])
        optimizer = torch.optim.Adam([w], lr=1e-3, eps=1e-7, fused=True)
        return {"forward": optimizer.step}

    return Case(
        f"adam {weights:,} weights",
        normal((weights,), (weights,)),
        ours,
        torch_twin,
        {},
        {"forward": 7 * 4 * weights},
    )


CASES = [
    conv(64, 16, 32, 32, "same"),
    conv(64, 8, 32, 64, "same"),
    conv(64, 13, 64, 64, "valid"),
    conv(128, 10, 48, 128, "same"),
    conv(128, 3, 192, 192, "same"),
    conv(64, 32, 3, 32, "same", first=True),
    conv(64, 28, 1, 64, "valid", first=True),
    dense(64, 784, 30),
    dense(64, 3072, 256),
    dense(64, 8192, 512),
    dense(128, 1024, 1024),
    depthwise(64, 16, 64),
    max_pool(64, 32, 32, 2),
    max_pool(128, 28, 6, 2),
    max_pool(128, 32, 48, 3),
    batch_norm(64, 16, 32),
    relu(64, 32, 32),
    dropout(64, 8192),
    rotation(64, 32, 3),
    cross_entropy(64, 10),
    adam(100_000),
    adam(4_200_000),
]
