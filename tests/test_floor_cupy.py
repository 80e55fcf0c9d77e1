"""The cupy floor as a whole: its operations, what it says without a GPU, and, with one, whether
that computes what a CPU does."""

import gc
import importlib.util
import inspect
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import FunctionType, SimpleNamespace

import numpy as np
import pytest

from minicnn import backend
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


def test_importing_touches_neither_cupy_nor_a_gpu(tmp_path):
    program = (
        "import ctypes, sys\n"
        "loaded, CDLL = [], ctypes.CDLL\n"
        "ctypes.CDLL = lambda name, *more, **options: ("
        "loaded.append(str(name)) or CDLL(name, *more, **options))\n"
        "import minicnn, minicnn.backends.cupy, minicnn.backends.cupy.cuda\n"
        "from minicnn import backend, datasets, layers, models, optimizers\n"
        "print([name for name in ('cupy', 'cuda', 'numba') if name in sys.modules])\n"
        "print([name for name in loaded if 'cuda' in name])"
    )
    printed, warned = run_python(program, tmp_path)
    assert printed.splitlines() == ["[]", "[]"]
    assert warned == ""


def run_python(program, folder):
    """What a new process prints, in which packages are found in ``folder`` first."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[1],
        env={**os.environ, "PYTHONPATH": str(folder), "MINICNN_BACKEND": ""},
    )  # fmt: skip
    return done.stdout.strip(), done.stderr


# -- without a GPU --------------------------------------------------------------------------------


class CudaError(RuntimeError):
    """As CuPy's CUDARuntimeError is one."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


class FakeDevice:
    """A GPU, the calling thread's current one while it is entered or once it is used."""

    current = threading.local()

    def __init__(self, index=None):
        self.id = index or 0

    def use(self):
        self.current.id = self.id

    def __enter__(self):
        self.before = getattr(self.current, "id", 0)
        self.use()

    def __exit__(self, *exception):
        self.current.id = self.before


class FakeStream:
    """A stream belongs to the device that was current when it was made. Each thread has a stack of
    those that it has entered, and as in CuPy leaving one goes back to the one below."""

    current = threading.local()
    ptr = 0x77

    def __init__(self, non_blocking):
        assert non_blocking
        self.device = getattr(FakeDevice.current, "id", 0)

    def use(self):
        if self.device != getattr(FakeDevice.current, "id", 0):
            raise RuntimeError("the stream is another device's")
        self.current.stream = self

    def __enter__(self):
        self.use()
        self.current.entered = [*getattr(self.current, "entered", []), self]

    def __exit__(self, *exception):
        *self.current.entered, _ = self.current.entered
        self.current.stream = (self.current.entered or [None])[-1]


SPEC = SimpleNamespace(origin="cupy")


def fake_cupy(
    built_for=13020, version=13000, devices=1, nvrtc=(13, 0), answer=42, memory=(2**33, 2**34)
):
    """As much of CuPy as :mod:`status` and :class:`Cuda` ask."""

    def given(result):
        def function():
            if isinstance(result, Exception):
                raise result
            return result

        return function

    class RawKernel:
        def __init__(self, code, name):
            pass

        def __call__(self, grid, block, args):
            args[0][0] = answer

    class ndarray(np.ndarray):
        """With an address, and the stream that was current when it was made."""

        data = SimpleNamespace(ptr=0x1000)

    def empty(shape, dtype):
        made = np.empty(shape, dtype).view(ndarray)
        made.stream = getattr(FakeStream.current, "stream", None)
        return made

    return SimpleNamespace(
        __spec__=SPEC,
        cuda=SimpleNamespace(
            runtime=SimpleNamespace(
                driverGetVersion=given(version),
                runtimeGetVersion=given(built_for),
                getDeviceCount=given(devices),
                memGetInfo=given(memory),
                CUDARuntimeError=CudaError,
            ),
            nvrtc=SimpleNamespace(getVersion=given(nvrtc)),
            Device=FakeDevice,
            Stream=FakeStream,
        ),
        RawKernel=RawKernel,
        ndarray=ndarray,
        empty=empty,
        zeros=np.zeros,
        int32=np.int32,
    )


def fake_cublas():
    """A library whose functions succeed."""
    names = ("cublasCreate_v2", "cublasSetStream_v2", "cublasSetWorkspace_v2", "cublasGemmEx")
    return SimpleNamespace(**{name: Succeeds() for name in names})


class Succeeds(SimpleNamespace):
    """A function that can be given attributes, as those of ctypes."""

    def __call__(self, *args):
        return 0


@pytest.fixture
def pretend(monkeypatch):
    """Put a module, or nothing, into the place of CuPy, and a driver that answers ``cuInit``."""

    def put(cupy, cublas=fake_cublas, starts=0):
        driver = None if starts is None else SimpleNamespace(cuInit=lambda flags: starts)
        monkeypatch.setattr(status, "load_driver", lambda: driver)
        monkeypatch.setitem(sys.modules, "cupy", cupy)
        monkeypatch.setattr(status, "load_cublas", cublas)
        monkeypatch.setattr(cuda, "load_cublas", cublas)

    monkeypatch.setattr(device, "_door", None)
    monkeypatch.setattr(backend, "_current", None)
    monkeypatch.delenv("MINICNN_BACKEND", raising=False)
    status.gpu_status.cache_clear()
    yield put
    status.gpu_status.cache_clear()
    for local in (FakeDevice.current, FakeStream.current):
        local.__dict__.clear()


def missing_cublas():
    raise ImportError("no libcublas.so.13")


OUT_OF_MEMORY = CudaError(2, "cudaErrorMemoryAllocation: out of memory")


@pytest.mark.parametrize(
    ("cupy", "starts", "reason"),
    [
        (None, 0, r'CuPy is not installed; pip install "minicnn\[gpu\]"'),
        (fake_cupy(), None, "has no NVIDIA driver; install one"),
        (fake_cupy(), 100, "the NVIDIA driver finds no GPU; .*CUDA_VISIBLE_DEVICES"),
        (fake_cupy(), 999, r"the NVIDIA driver does not start \(error 999\); look at nvidia-smi"),
        (
            fake_cupy(version=12040),
            0,
            r"driver is for CUDA 12.4, but this CuPy for CUDA 13.2; .*pip uninstall cupy-cuda13x; "
            r'pip install "cupy-cuda12x\[ctk\]"',
        ),
        (fake_cupy(nvrtc=RuntimeError("no libnvrtc")), 0, r"NVRTC is missing \(no libnvrtc\); pip"),
        (fake_cupy(answer=41), 0, "a first small kernel did not do"),
        (
            fake_cupy(memory=(100 * 2**20, 2**33)),
            0,
            "too little memory: 100 MiB of 8192 MiB are free, and at least 256 MiB are needed; .*"
            "nvidia-smi",
        ),
        (fake_cupy(memory=OUT_OF_MEMORY), 0, "too little memory: 0 MiB are free, and at least 256"),
        (fake_cupy(memory=CudaError(4, "unloading")), 0, "cannot be used: CudaError: unloading"),
        (SimpleNamespace(__spec__=SPEC), 0, "CUDA cannot be used: AttributeError"),
    ],
)
def test_what_is_missing(pretend, cupy, starts, reason):
    pretend(cupy, starts=starts)
    for _ in range(2):
        assert not floor.gpu_status().usable
        with pytest.raises(RuntimeError, match=f'"cupy" cannot be used: .*{reason}.*"numba"'):
            floor.prepare()
    with pytest.raises(RuntimeError, match=reason):
        floor.asarray(np.zeros(3))
    if cupy is not None:
        with pytest.raises(RuntimeError, match=reason):
            backend.use("cupy")
    assert backend._current is None
    assert backend.name() != "cupy"  # the default goes on without, and says nothing


def test_a_missing_library_of_products(pretend):
    pretend(fake_cupy(), missing_cublas)
    assert "cuBLAS is missing (no libcublas.so.13)" in floor.gpu_status().reason


def test_a_newer_driver_will_do(pretend):
    pretend(fake_cupy(version=14000))
    assert floor.gpu_status() == (True, "ready")


def test_a_usable_gpu_is_the_default(pretend):
    pretend(fake_cupy())
    assert backend.name() == "cupy"
    assert device.door().index == 0


def test_a_gpu_is_chosen_by_its_number(pretend):
    pretend(fake_cupy(devices=2))
    with pytest.raises(RuntimeError, match=r'"cupy:2" cannot be used: this machine has 2 GPUs, n'):
        backend.use("cupy:2")
    backend.use("cupy:1")
    assert backend.name() == "cupy"
    assert device.door().index == device.door().stream.device == 1
    backend.use("cupy")
    with pytest.raises(RuntimeError, match=r'"cupy:0" cannot be used: .*computes on "cupy:1"'):
        backend.use("cupy:0")


@pytest.mark.parametrize("name", ["cupy:x", "cupy:", "cupy:-1", "numpy:1", "numba:0"])
def test_names_that_are_none(pretend, name):
    pretend(fake_cupy())
    with pytest.raises(ValueError, match=rf"expected 'cupy:' and the number of a GPU, got '{name}"):
        backend.use(name)
    assert backend._current is None


def test_without_cupy_it_says_what_to_install(pretend):
    pretend(None)
    with pytest.raises(
        ImportError, match=r'needs cupy, .*not installed; pip install "minicnn\[gpu'
    ):
        backend.use("cupy")


def test_every_thread_computes_on_the_same_gpu_and_stream(pretend):
    """CuPy keeps the current GPU and stream by thread; the stream of another GPU is an error."""
    pretend(fake_cupy(devices=2))
    backend.use("cupy:1")
    made = []
    thread = threading.Thread(target=lambda: made.append(device.empty(3, "float32")))
    thread.start()
    thread.join()
    made.append(device.empty(3, "float32"))
    assert [array.stream for array in made] == [device.door().stream] * 2


def test_leaving_another_stream_leads_back(pretend):
    """As at the end of CuPy's own ``get()`` of an array that is not in C order."""
    pretend(fake_cupy())
    backend.use("cupy")
    with FakeStream(non_blocking=True):
        pass
    assert device.empty(3, "float32").stream is device.door().stream


def test_private_memory_is_freed_with_what_stands_for_it():
    freed = []
    pool = SimpleNamespace(free_all_blocks=lambda: freed.append(FakeDevice.current.id))
    memory = cuda.PrivateMemory(pool, FakeDevice(1))
    assert memory.pool is pool
    assert freed == []
    del memory
    gc.collect()
    assert freed == [1]
    FakeDevice.current.__dict__.clear()


def test_the_default_choice_without_a_driver_is_silent_and_imports_no_cupy(tmp_path):
    (tmp_path / "cupy.py").write_text("raise RuntimeError('imported')\n", encoding="utf-8")
    program = (
        "import sys, minicnn\n"
        "from minicnn.backends.cupy import status\n"
        "status.load_driver = lambda: None\n"
        "print(minicnn.backend.name(), 'cupy' in sys.modules)\n"
        "minicnn.backend.use('numpy')\n"
        "try: minicnn.backend.use('cupy')\n"
        "except RuntimeError as error: print(error)"
    )
    printed, warned = run_python(program, tmp_path)
    chosen, error = printed.splitlines()
    assert chosen == ("numba False" if importlib.util.find_spec("numba") else "numpy False")
    assert warned == ""
    assert "this machine has no NVIDIA driver" in error


def test_a_folder_that_is_called_cupy_is_none(tmp_path):
    (tmp_path / "cupy").mkdir()
    program = (
        "import minicnn\nprint(minicnn.backend._found('cupy'), minicnn.backend._found('numpy'))"
    )
    found = run_python(program, tmp_path)[0].split()
    assert found[1] == "True"
    if not importlib.util.find_spec("cupy"):
        assert found[0] == "False"


def test_the_driver_of_this_machine_is_looked_for(monkeypatch):
    """By the name that NVIDIA's own library has."""
    asked = []

    def library(name):
        asked.append(name)
        raise OSError("no such file")

    monkeypatch.setattr(status.ctypes, "CDLL", library)
    assert status.load_driver() is None
    assert asked == ["nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"]


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


class Gpu:
    """Streams that do what they were asked for at any later time, in any order that events allow,
    with as much of CuPy as :class:`cuda.Staging` asks."""

    def __init__(self, seed):
        self.rng, self.queues = np.random.default_rng(seed), []
        gpu = self

        class Stream:
            def __init__(self, non_blocking):
                self.queue = []
                gpu.queues.append(self.queue)

            def push(self, work, ready=lambda: True):
                self.queue.append((ready, work))

            def wait_event(self, event):
                count = event.recorded
                self.push(lambda: None, lambda: event.done >= count)

        class Event:
            def __init__(self, disable_timing):
                self.recorded = self.done = 0

            def record(self, stream):
                self.recorded += 1
                stream.push(lambda count=self.recorded: setattr(self, "done", count))

            def synchronize(self):
                while self.done < self.recorded:
                    gpu.work()

        class Memory(bytearray):
            """Of the host or the device. A new piece is full of what its last user left there."""

            def __init__(self, size):
                super().__init__(b"?" * size)

            @property
            def ptr(self):
                return self

            def copy_from_host_async(self, source, size, stream):
                assert size <= min(len(self), len(source))
                stream.push(lambda: self.__setitem__(slice(size), source[:size]))

            copy_from_device_async = copy_from_host_async

        def pinned(size):
            """As much as was asked for, or more: CuPy gives a power of two."""
            return Memory(2 ** (size - 1).bit_length())

        self.Memory = Memory
        self.cuda = SimpleNamespace(
            Stream=Stream, Event=Event, alloc_pinned_memory=pinned, alloc=Memory
        )

    def work(self):
        """Do the next thing of one of the streams that have something to do and may do it."""
        able = [queue for queue in self.queues if queue and queue[0][0]()]
        if able:
            able[self.rng.integers(len(able))].pop(0)[1]()
        return bool(able)


@pytest.mark.parametrize("seed", range(20))
def test_copies_arrive_in_turn_however_late_the_gpu_is(seed):
    """No copy overwrites what an earlier one has not fetched or moved yet, nor comes too late."""
    gpu = Gpu(seed)
    stream = gpu.cuda.Stream(non_blocking=True)
    staging = cuda.Staging(gpu, stream, depth=2)
    out, seen, expected = SimpleNamespace(data=gpu.Memory(200)), [], []
    for _ in range(12):
        array = gpu.rng.normal(size=gpu.rng.integers(0, 25))
        staging.copy(array, out)
        expected.append(array.tobytes())
        stream.push(lambda size=array.nbytes: seen.append(bytes(out.data[:size])))
        for _ in range(gpu.rng.integers(0, 8)):
            gpu.work()
    while gpu.work():
        pass
    assert not any(gpu.queues)
    assert seen == expected


def test_the_next_batch_is_fetched_while_the_gpu_is_busy():
    gpu = Gpu(0)
    stream = gpu.cuda.Stream(non_blocking=True)
    staging = cuda.Staging(gpu, stream)
    out = SimpleNamespace(data=gpu.Memory(8))
    staging.copy(np.ones(1), out)
    while gpu.work():
        pass
    idle = []
    stream.push(lambda: None, lambda: bool(idle))  # a step that takes its time
    for _ in range(3):
        staging.copy(np.zeros(1), out)
    while gpu.work():
        pass
    fetched = [slot.fetched.done == slot.fetched.recorded for slot in staging.slots]
    assert fetched == [True, False, False, False]  # new buffers wait for the stream, once
    idle.append(True)
    while gpu.work():
        pass
    idle.clear()
    stream.push(lambda: None, lambda: bool(idle))
    for _ in range(4):
        staging.copy(np.full(1, 2.0), out)
    while gpu.work():
        pass
    assert all(slot.fetched.done == slot.fetched.recorded for slot in staging.slots)
    assert bytes(out.data) == np.zeros(1).tobytes()
    idle.append(True)
    while gpu.work():
        pass
    assert bytes(out.data) == np.full(1, 2.0).tobytes()


def test_kernels_are_announced_once(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("CUPY_CACHE_DIR", str(tmp_path / "cache"))
    door = object.__new__(cuda.Cuda)
    door.cupy = SimpleNamespace(__version__="14.2.0")
    for capability, announced in (("90", True), ("90", False), ("80", True)):
        door.device = SimpleNamespace(compute_capability=capability)
        door._announce()
        assert ("compiling the GPU's kernels" in capsys.readouterr().err) == announced


NAMES = (
    *("RawKernel", "RawModule.compile", "RawModule.get_function", "copyto", "ndarray.get"),
    *(
        "cuda.Device.compute_capability",
        "cuda.Device.use",
        "cuda.Event.record",
        "cuda.Event.synchronize",
    ),
    *("cuda.MemoryPointer.copy_from_device_async", "cuda.MemoryPointer.copy_from_host_async"),
    *("cuda.PinnedMemoryPointer.ptr", "cuda.Stream.wait_event", "cuda.alloc"),
    *("cuda.runtime.getDeviceProperties", "cuda.Device.__enter__", "cuda.Device.id"),
    *("cuda.Graph.launch", "cuda.Graph.upload", "cuda.MemoryPool.malloc"),
    *("cuda.PinnedMemoryPointer.size", "cuda.Stream.begin_capture", "cuda.Stream.end_capture"),
    *("cuda.Stream.synchronize", "cuda.Stream.use", "cuda.alloc_pinned_memory"),
    *("cuda.nvrtc.getVersion", "cuda.runtime.CUDARuntimeError"),
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

    resident = Resident(data(rng), np.float32)
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
