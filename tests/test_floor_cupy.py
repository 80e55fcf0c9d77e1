"""The cupy floor as a whole: its operations, what it says without a GPU, and, with one, whether
that computes what a CPU does."""

import inspect
import subprocess
import sys
from pathlib import Path
from types import FunctionType, SimpleNamespace

import numpy as np
import pytest

from minicnn.backends import cupy as floor, numpy as textbook
from minicnn.backends.cupy import cuda, device, status


def operations(module):
    return {name: f for name, f in vars(module).items() if isinstance(f, FunctionType)}


def test_every_operation_of_the_textbook_is_there():
    mine = operations(floor)
    for name, operation in operations(textbook).items():
        parameters = inspect.signature(operation).parameters
        expected = [(p.name, p.kind, p.default) for p in parameters.values()]
        parameters = inspect.signature(mine[name]).parameters
        assert [(p.name, p.kind, p.default) for p in parameters.values()] == expected, name


def test_every_file_of_the_textbook_has_its_twin():
    files = {path.name for path in Path(textbook.__file__).parent.glob("*.py")}
    assert files <= {path.name for path in Path(floor.__file__).parent.glob("*.py")}


def test_importing_touches_neither_cupy_nor_a_gpu():
    program = (
        "import sys, minicnn.backends.cupy, minicnn.backends.cupy.cuda\n"
        "print([name for name in ('cupy', 'cuda', 'numba') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[1],
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


# -- without a GPU --------------------------------------------------------------------------------


class CudaError(RuntimeError):
    """As CuPy's CUDARuntimeError is one."""


def fake_cupy(driver=13000, built_for=13020, devices=1, nvrtc=(13, 0), answer=42):
    """As much of CuPy as :mod:`status` asks."""

    def device_count():
        if isinstance(devices, Exception):
            raise devices
        return devices

    def nvrtc_version():
        if isinstance(nvrtc, Exception):
            raise nvrtc
        return nvrtc

    class RawKernel:
        def __init__(self, code, name):
            pass

        def __call__(self, grid, block, args):
            args[0][0] = answer

    return SimpleNamespace(
        cuda=SimpleNamespace(
            runtime=SimpleNamespace(
                driverGetVersion=lambda: driver,
                runtimeGetVersion=lambda: built_for,
                getDeviceCount=device_count,
                CUDARuntimeError=CudaError,
            ),
            nvrtc=SimpleNamespace(getVersion=nvrtc_version),
        ),
        RawKernel=RawKernel,
        zeros=np.zeros,
        int32=np.int32,
    )


@pytest.fixture
def pretend(monkeypatch):
    """Put a module, or nothing, into the place of CuPy."""

    def put(cupy, cublas=lambda: "cuBLAS"):
        monkeypatch.setitem(sys.modules, "cupy", cupy)
        monkeypatch.setattr(status, "load_cublas", cublas)

    monkeypatch.setattr(device, "_door", None)
    status.gpu_status.cache_clear()
    yield put
    status.gpu_status.cache_clear()


def missing_cublas():
    raise ImportError("no libcublas.so.13")


@pytest.mark.parametrize(
    ("cupy", "reason"),
    [
        (None, r'CuPy is not installed; pip install "minicnn\[gpu\]"'),
        (fake_cupy(driver=0), "has no NVIDIA driver; install one"),
        (
            fake_cupy(driver=12040),
            r"driver is for CUDA 12.4, but this CuPy for CUDA 13.2; .*pip uninstall cupy-cuda13x; "
            r'pip install "cupy-cuda12x\[ctk\]"',
        ),
        (fake_cupy(devices=0), "the NVIDIA driver finds no GPU"),
        (fake_cupy(devices=CudaError("cudaErrorNoDevice")), r"no GPU \(cudaErrorNoDevice\)"),
        (fake_cupy(nvrtc=RuntimeError("no libnvrtc")), r"NVRTC is missing \(no libnvrtc\); pip"),
        (fake_cupy(answer=41), "a first small kernel did not do"),
        (SimpleNamespace(), "CUDA cannot be used: AttributeError"),
    ],
)
def test_what_is_missing(pretend, cupy, reason):
    pretend(cupy)
    for _ in range(2):
        assert not floor.gpu_status().usable
        with pytest.raises(RuntimeError, match=f'"cupy" cannot be used: .*{reason}.*"numba"'):
            floor.prepare()
    with pytest.raises(RuntimeError, match=reason):
        floor.asarray(np.zeros(3))


def test_a_missing_library_of_products(pretend):
    pretend(fake_cupy(), missing_cublas)
    assert "cuBLAS is missing (no libcublas.so.13)" in floor.gpu_status().reason


def test_a_newer_driver_will_do(pretend):
    pretend(fake_cupy(driver=14000))
    assert floor.gpu_status() == (True, "ready")


def test_the_answer_is_kept(pretend):
    pretend(None)
    first = floor.gpu_status()
    pretend(fake_cupy())
    assert floor.gpu_status() is first


def test_a_broken_cupy_is_named(pretend, monkeypatch, tmp_path):
    (tmp_path / "cupy.py").write_text("import a_part_of_cupy_that_is_not_there\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    pretend(None)
    monkeypatch.delitem(sys.modules, "cupy")
    assert "No module named 'a_part_of_cupy_that_is_not_there'" in floor.gpu_status().reason


def test_one_gpu_a_process(monkeypatch):
    monkeypatch.setattr(device, "_door", SimpleNamespace(index=0))
    floor.prepare()
    floor.prepare(0)
    with pytest.raises(RuntimeError, match=r'"cupy:1" cannot be used: .*computes on "cupy:0"'):
        floor.prepare(1)


# -- the door to a GPU ----------------------------------------------------------------------------


class Pinned(bytearray):
    """Host memory, as CuPy hands it out."""

    def size(self):
        return len(self)


class Event:
    def __init__(self, log):
        self.log = log

    def record(self, stream):
        self.log.append(("record", id(self)))

    def synchronize(self):
        self.log.append(("wait", id(self)))


def test_copies_take_turns_in_pinned_memory(rng):
    """A copy must not overwrite what an earlier one may not have fetched yet."""
    log, fetched = [], []
    cupy = SimpleNamespace(
        cuda=SimpleNamespace(alloc_pinned_memory=Pinned, Event=lambda disable_timing: Event(log))
    )
    out = SimpleNamespace(set=lambda host, stream: fetched.append(host))
    staging = cuda.Staging(cupy, stream="stream", depth=2)
    arrays = [rng.normal(size=shape) for shape in ((2, 3), (4,), (2, 2), (5, 5))]
    for n, array in enumerate(arrays):
        staging.copy(array, out)
        recorded = [event for what, event in log if what == "record"]
        waited = [event for what, event in log if what == "wait"]
        assert len(recorded) == n + 1
        assert waited == recorded[: max(0, n - 1)]  # for the copy before the last
        assert np.array_equal(fetched[n], array)
    assert fetched[0].base is not fetched[1].base


def test_kernels_are_announced_once(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("CUPY_CACHE_DIR", str(tmp_path / "cache"))
    door = object.__new__(cuda.Cuda)
    door.cupy = SimpleNamespace(__version__="14.2.0")
    for capability, announced in (("90", True), ("90", False), ("80", True)):
        door.device = SimpleNamespace(compute_capability=capability)
        door._announce()
        assert ("compiling the GPU's kernels" in capsys.readouterr().err) == announced


NAMES = (
    *("RawKernel", "RawModule.compile", "RawModule.get_function", "ndarray.get", "ndarray.set"),
    *("cuda.Device.compute_capability", "cuda.Event.record", "cuda.Event.synchronize"),
    *("cuda.Graph.launch", "cuda.Graph.upload", "cuda.MemoryPool.malloc"),
    *("cuda.PinnedMemoryPointer.size", "cuda.Stream.begin_capture", "cuda.Stream.end_capture"),
    *("cuda.Stream.synchronize", "cuda.Stream.use", "cuda.alloc_pinned_memory"),
    *("cuda.memory.OutOfMemoryError", "cuda.nvrtc.getVersion", "cuda.runtime.CUDARuntimeError"),
    *("cuda.runtime.driverGetVersion", "cuda.runtime.getDeviceCount", "cuda.runtime.memGetInfo"),
    *("cuda.runtime.runtimeGetVersion", "cuda.runtime.streamCaptureModeRelaxed"),
    *("cuda.using_allocator", "get_default_memory_pool"),
)


def test_cupy_has_what_the_door_asks_for():
    cupy = pytest.importorskip("cupy")
    for name in NAMES:
        found = cupy
        for part in name.split("."):
            found = getattr(found, part)


def test_the_textbook_uses_on_the_gpu_what_cupy_has():
    """Some operations are the textbook's own, on CuPy's arrays: every function of NumPy that they
    call must be there."""
    import cuda_cpu

    cupy = pytest.importorskip("cupy")
    if cuda_cpu.reason_to_skip():
        pytest.skip(cuda_cpu.reason_to_skip())
    import test_ops_losses
    from cuda_cpu import arrays
    from cuda_cpu.door import Door
    from cuda_cpu.floor import NumpyFloor, opened

    rng = np.random.default_rng(0)
    arrays.used.clear()
    with opened(Door()) as door:
        ops = NumpyFloor(door)
        for name, options, true, pred in test_ops_losses.FROM_PREDICTIONS:
            data = [test_ops_losses.draw(rng, kind, (4, 3), np.float32) for kind in (true, pred)]
            getattr(ops, name)(*data, **options)
            getattr(ops, f"{name}_backward")(*data, **options)
        x = rng.normal(size=(2, 3, 4))
        ops.prelu_backward(x, ops.prelu(x, x[0]), x[0])
        for name in ("softmax", "log_softmax"):
            getattr(ops, f"{name}_backward")(
                x, None, getattr(ops, name)(x, axis=(0, 1)), axis=(0, 1)
            )
        _, saved = ops.layer_norm(x, x[:, 0, 0], None, 1e-3, (0,))
        ops.layer_norm_backward(x, saved)
    assert len(arrays.used) > 20
    for name in arrays.used:
        assert hasattr(cupy, name.removeprefix("numpy.")), name


# -- with a GPU -------------------------------------------------------------------------------


@pytest.mark.gpu
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-4)])
def test_the_gpu_computes_what_the_cpu_does(gpu_floor, dtype, tolerance):
    from cuda_cpu.calls import CALLS
    from test_cuda_kernels import Textbook

    for call in CALLS.values():
        expected = call(Textbook(), np.random.default_rng(0), dtype)
        first, second = (call(gpu_floor, np.random.default_rng(0), dtype) for _ in range(2))
        for array, again, exact in zip(first, second, expected, strict=True):
            assert np.array_equal(array, again)  # to the bit
            error = np.abs(array.astype(float) - exact.astype(float)).max(initial=0)
            assert error <= tolerance * np.abs(exact.astype(float)).max(initial=0)


@pytest.mark.gpu
def test_the_gpu_replays_what_it_computes(gpu_floor, rng):
    """The same as over the stand-in, with a CUDA graph: equal to the bit, and twice."""
    from test_cuda_recording import Net, Recorder, assert_same, data, train

    from minicnn.backends.cupy.batches import Resident

    resident = Resident(list(data(rng)), np.float32)
    states = []
    for recorded in (False, True, True):
        net = Net()

        def plain(x, targets, weights, net=net):
            net.step(*([floor.asarray(part[0])] for part in (x, targets, weights)))

        recorder = Recorder(net.step, net.changing, np.float32)
        train(net, recorder if recorded else plain, resident)
        assert len(recorder.recordings) == recorded
        states.append(net.state())
    assert_same(states[1], states[0])
    assert_same(states[2], states[0])
