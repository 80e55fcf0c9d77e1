"""The benchmarks of a GPU, as far as they can be shown without one."""

import argparse
import json
import subprocess
import sys
from types import SimpleNamespace

import cuda_cpu
import numpy as np
import pytest

from benchmarks import (
    agreement,
    compare,
    convolutions,
    gpu,
    gpu_run,
    kernels,
    measure,
    ops,
    ops_cases,
)
from benchmarks.__main__ import main
from benchmarks.course import MODELS
from benchmarks.gpu_plan import Budget, GpuPlan, lanes
from benchmarks.gpu_report import gpu_table, wrong
from benchmarks.gpu_run import GpuRun
from benchmarks.peers import ENVIRONMENTS, PEERS
from benchmarks.peers.process import PeerError, PeerLate, PeerProcess
from benchmarks.peers.samples import one_hot, samples
from benchmarks.stages import save_weights
from minicnn import backend
from minicnn.backends import cupy as floor
from minicnn.backends.cupy.status import Status, gpu_status

over_the_stand_in = pytest.mark.skipif(
    cuda_cpu.reason_to_skip() is not None, reason=str(cuda_cpu.reason_to_skip())
)


@pytest.fixture(autouse=True)
def textbook(monkeypatch):
    """Nothing to compile, and no process to import anything large."""
    monkeypatch.setenv("MINICNN_BACKEND", "numpy")
    monkeypatch.setattr(backend, "_current", None)


@pytest.fixture
def stand_in(monkeypatch):
    from cuda_cpu.door import Door
    from cuda_cpu.floor import opened

    monkeypatch.setattr(backend, "_found", lambda package: True)
    with opened(Door()) as door:
        yield door


# -- the budget -------------------------------------------------------------------------------


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_a_budget_is_used_up():
    clock = Clock()
    whole = Budget(60, clock)
    part = whole.part(0.25)
    assert (whole.left, part.left) == (60, 15)
    clock.now += 50
    assert (whole.left, part.left) == (10, -35)
    assert part.part(0.5).left == 0


# -- the protocol, with processes that only pretend ---------------------------------------------


class Pretended:
    """A worker's process: what takes how long, and what fails.

    Args:
        seconds: by command; ``ask`` moves the clock on.
        fails: commands that end the process.
    """

    made = []
    all_asked = []

    def __init__(self, name, clock, seconds, fails):
        self.name, self.clock, self.seconds, self.fails = name, clock, seconds, fails
        self.alive, self.closed = True, False
        self.asked = []
        self.made.append(self)

    def ask(self, command, **arguments):
        assert self.alive
        assert not self.closed
        self.asked.append(command)
        self.all_asked.append((self.name, command))
        taken, patience = self.seconds.get(command, 0.0), self.patience()
        self.clock.now += max(0.0, min(taken, patience))
        if command in self.fails or taken > patience:
            self.alive = False
            kind = PeerLate if taken > patience else PeerError
            raise kind(f"{self.name} ended during {command!r}")
        return {
            "load": {"seconds": 1.0},
            "build": {"backend": "pretended", "seconds": 1.0},
            "data": {"steps": 10},
            "step": {"seconds": 1.0},
            "epoch": {"seconds": 0.02 if self.name == "minicnn" else 0.1},
            "check": {"losses": [2.0, 1.9]},
            "masks": {"same": True},
            "agreement": {"float32": 1e-6, "float64": 1e-14, "same": True},
            "kernel": {"rate": 1e12},
            "convolution": {"forward": {"flops": 1e9, "implicit": 1e-3, "columns": 2e-3}},
        }[command]

    def close(self):
        self.closed = True


@pytest.fixture
def pretended(monkeypatch):
    """Makes a run in which processes pretend: ``make(seconds, fails, **plan)``."""
    monkeypatch.setattr(Pretended, "made", [])
    monkeypatch.setattr(Pretended, "all_asked", [])
    monkeypatch.setattr("benchmarks.stages.time.sleep", lambda seconds: None)

    def make(seconds=None, fails=None, **plan):
        clock = Clock()
        plan = GpuPlan(plan.pop("models", ["lenet"]), ["minicnn", "torch", "jax"], **plan)
        run = GpuRun(plan, lambda line: None)
        fails = fails or {}
        run.process = lambda name: Pretended(name, clock, seconds or {}, fails.get(name, ()))
        return run, clock

    return make


FILES = {name: f"{name}.npz" for name in MODELS}


def test_every_peer_has_one_process_for_all_models(pretended):
    run, clock = pretended(models=["lenet", "convnet"])
    with run:
        run.start(run.plan.peers, Budget(100, clock))
        train, check = run.models(FILES, Budget(100, clock))
    assert list(train) == list(check) == ["lenet", "convnet"]
    assert sorted(train["lenet"]["peers"]) == ["jax", "minicnn", "torch"]
    assert train["lenet"]["peers"]["minicnn"]["epochs"] == [0.02] * run.plan.rounds
    assert [process.name for process in Pretended.made].count("torch") == 1
    assert all(process.closed for process in Pretended.made)
    assert run.left_out == run.failures == []


def test_rounds_become_fewer(pretended):
    """An epoch takes 2 s: there is time for two rounds of three peers after the one to warm up."""
    run, clock = pretended({"epoch": 2.0}, rounds=5)
    with run:
        run.start(run.plan.peers, Budget(100, clock))
        begun = clock.now
        train, _ = run.models(FILES, Budget(20.0, clock))
    assert {len(own["epochs"]) for own in train["lenet"]["peers"].values()} == {2}
    assert clock.now - begun == 18
    assert run.left_out == ["the training step of lenet: 3 of 5 rounds"]


def test_what_has_no_time_is_named(pretended):
    run, clock = pretended(models=["lenet", "model3"], batches=(64,))
    with run:
        run.start(run.plan.peers, Budget(100, clock))
        nothing = Budget(0, clock)
        assert run.models(FILES, nothing) == ({}, {})
        assert run.batches(FILES, nothing) == {}
        assert run.kernels(nothing) == {}
        run.plan.least = 1.0
        assert run.agreement(Budget(0.5, clock)) == {"masks": True}
    assert run.left_out[:3] == [
        "the training step of lenet: no time",
        "the training step of model3: no time",
        "the training step of model3 at batch size 64: no time",
    ]
    assert "the kernel copy: no time" in run.left_out
    assert "the agreement of model3: no time" in run.left_out


def test_to_take_too_long_is_no_failure_and_does_not_eat_the_time_of_others(pretended):
    """To get ready may take twice what there is for each model, and no more."""
    models = ["lenet", "model3", "convnet", "inside"]
    run, clock = pretended({"step": 1e6}, models=models)
    with run:
        run.start(run.plan.peers, Budget(100, clock))
        begun = clock.now
        train, _ = run.models(FILES, Budget(60, clock))
    assert clock.now - begun == 60  # 30 of 60, 20 of 30 (5 each for two others), 5 of 10, 5 of 5
    assert [part["peers"] for part in train.values()] == [{}] * 4
    assert run.failures == []
    for model in models:
        assert f"minicnn, the training step of {model}: it took too long" in run.left_out


def test_a_peer_that_fails_is_started_anew(pretended):
    run, clock = pretended(fails={"torch": ("build",)}, models=["lenet", "model3"])
    with run:
        run.start(run.plan.peers, Budget(100, clock))
        train, _ = run.models(FILES, Budget(100, clock))
    assert [sorted(part["peers"]) for part in train.values()] == [["jax", "minicnn"]] * 2
    assert run.left_out == [
        f"torch, the training step of {model}: it failed (torch ended during 'build')"
        for model in ("lenet", "model3")
    ]
    loaded = [process.asked[0] for process in Pretended.made if process.name == "torch"]
    assert loaded == ["load", "load"]
    assert [failure["peer"] for failure in run.failures] == ["torch"] * 2


def test_a_process_that_has_failed_is_asked_no_more(pretended):
    """After an error on a GPU, everything else in that process fails, too."""
    run, clock = pretended(models=["lenet", "model3"])
    with run:
        run.start(run.plan.peers, Budget(100, clock))
        process = run.processes["minicnn"]
        usual = process.ask

        def ask(command, **more):
            if command in ("kernel", "check"):
                raise PeerError("cudaErrorIllegalAddress")
            return usual(command, **more)

        process.ask = ask
        assert len(run.kernels(Budget(100, clock))) == len(kernels.cases(1))  # all but the copy
        assert process.closed
        assert process.alive  # it did answer
        run.processes["torch"].ask = ask
        train, _ = run.models(FILES, Budget(100, clock))
    assert [sorted(part["peers"]) for part in train.values()] == [
        ["jax", "minicnn"],
        ["jax", "minicnn", "torch"],
    ]
    assert run.broken == set()


def test_a_peer_without_a_gpu_takes_no_part(pretended):
    run, clock = pretended(fails={"jax": ("load",)})
    with run:
        run.start(run.plan.peers, Budget(100, clock))
        train, _ = run.models(FILES, Budget(100, clock))
    assert sorted(run.names) == ["minicnn", "torch"]
    assert sorted(train["lenet"]["peers"]) == ["minicnn", "torch"]
    assert run.left_out == ["jax: jax ended during 'load'"]


def test_what_computes_something_else_is_not_timed(pretended):
    run, clock = pretended()
    run.plan.peers.append("torch-channels-last")
    with run:
        run.start(run.plan.peers, Budget(100, clock))
        usual = run.processes["jax"].ask
        run.processes["jax"].ask = lambda command, **more: (
            {"losses": [2.0, 1.5]} if command == "check" else usual(command, **more)
        )
        train, check = run.models(FILES, Budget(100, clock))
    assert "jax" not in train["lenet"]["peers"]
    assert check["lenet"]["jax"] == [2.0, 1.5]
    assert run.left_out == ["jax, the training step of lenet: it computes something else"]


def test_large_batches_are_those_of_pytorch_and_minicnn(pretended):
    run, clock = pretended(models=["lenet", "model3"], batches=(64, 1024))
    with run:
        run.start(run.plan.peers, Budget(100, clock))
        results = run.batches(FILES, Budget(100, clock))
    assert list(results) == ["model3 at 1024", "model3 at 64"]  # there is a goal for the large one
    assert sorted(results["model3 at 64"]["peers"]) == ["minicnn", "torch"]
    assert results["model3 at 1024"]["flops"] == 16 * results["model3 at 64"]["flops"]
    assert [run.plan.steps_at(size) for size in (64, 256, 1024, 4096)] == [120, 96, 24, 8]
    assert [run.plan.steps_of(model) for model in ("dense-mnist", "mini-alexnet")] == [480, 120]


def test_a_measurement_that_fails_is_named(pretended):
    run, clock = pretended(fails={"minicnn": ("kernel",)})
    with run:
        assert run.kernels(Budget(100, clock)) == {}
    assert len(run.left_out) == len(run.failures) == 1 + len(kernels.cases(1))
    assert "kernel copy 0.5: it failed" in run.left_out


def test_who_gets_ready_beside_others(pretended):
    """PyTorch's cuDNN measures its algorithms then: of those who do not compile, one at a time."""
    names = ["minicnn", "torch", "torch-channels-last", "torch-compiled", "torch-fused", "jax"]
    assert lanes(names) == [
        ["minicnn", "torch", "torch-channels-last", "torch-fused"], ["torch-compiled"], ["jax"],
    ]  # fmt: skip
    assert lanes(["keras-jax", "keras-torch"]) == [["keras-jax"], ["keras-torch"]]
    run, clock = pretended()
    run.plan.peers = ["minicnn", "torch", "torch-fused", "jax"]
    run.plan.models = ["model3"]
    with run:
        run.start(run.plan.peers, Budget(100, clock))
        Pretended.all_asked.clear()
        run.models(FILES, Budget(100, clock))
    ready = ["check", "build", "data", "step", "epoch"]
    quick = [name for name, _ in Pretended.all_asked if name != "jax"][: 3 * len(ready)]
    assert quick == [n for n in ("minicnn", "torch", "torch-fused") for _ in ready]


def test_what_was_found_is_kept_at_once(pretended):
    """A run that is ended in the middle of a part leaves what it had."""
    run, clock = pretended(models=["lenet", "model3", "convnet"], batches=(64, 1024))
    kept = []
    run.keep = lambda results: kept.append(json.loads(json.dumps(results)))
    with run:
        for part in ("agreement", "kernels", "train", "batches"):
            run.carry_out(part, Budget(100, clock), FILES)
    assert {"masks": True} in [results["agreement"] for results in kept]
    assert ["copy"] in [list(results.get("kernels", {})) for results in kept]
    assert ["lenet", "model3"] in [list(results.get("train", {})) for results in kept]
    assert ["model3 at 1024"] in [list(results.get("batches", {})) for results in kept]
    for results in kept:  # and a table can be made of each
        assert gpu_table(results).headings
        assert wrong(results) == []
    assert list(kept[-1]["check"]) == ["lenet", "model3", "convnet"]


def test_a_part_that_breaks_down_does_not_lose_the_others(pretended, monkeypatch):
    run, clock = pretended()

    def boom(budget):
        raise KeyError("nobody thought of this")

    monkeypatch.setattr(run, "kernels", boom)
    with run:
        for part in ("agreement", "kernels", "train"):
            run.carry_out(part, Budget(100, clock), FILES)
    assert run.left_out == ["the rest of kernels: it failed"]
    assert list(run.results["train"]) == list(run.results["agreement"])[1:] == ["lenet"]
    assert "nobody thought of this" in wrong(run.results)[0]


class Pytest:
    """Takes the place of ``subprocess.run``: what pytest prints, and how it ends."""

    def __init__(self, lines, status):
        self.lines, self.status = lines, status

    def __call__(self, command, timeout, stdout, **options):
        self.command, self.timeout = command, timeout
        stdout.write("\n".join(self.lines))
        if self.status is None:
            raise subprocess.TimeoutExpired(command, timeout)
        return SimpleNamespace(returncode=self.status)


@pytest.mark.parametrize(("status", "last"), [(0, "9 passed in 3s"), (1, "1 failed, 8 passed")])
def test_the_tests_are_run(pretended, monkeypatch, status, last):
    lines = ["E  the reason", "FAILED tests/test_a.py::test_b - assert", f"== {last} =="]
    tests = Pytest(lines if status else lines[2:], status)
    monkeypatch.setattr(gpu_run.subprocess, "run", tests)
    run, clock = pretended()
    results = run.tests(Budget(50, clock))
    assert tests.command[3:5] == ["-m", "gpu"]
    assert tests.timeout == 50
    assert results["status"] == status
    assert results["summary"] == last
    assert len(results["failed"]) == status
    assert ("the reason" in results.get("printed", "")) == bool(status)


@pytest.mark.parametrize("fails", [False, True])
def test_tests_that_take_too_long_are_named(pretended, monkeypatch, fails):
    """Those that ended count."""
    lines = ["tests/test_a.py::test_b[cupy] PASSED [  1%]", "tests/test_a.py::test_c "]
    if fails:
        lines.insert(1, "[gw1] [  2%] FAILED tests/test_a.py::test_d ")  # from one of several
        lines.insert(1, "tests/test_a.py::test_e[0] FAILED [  2%]")
    monkeypatch.setattr(gpu_run.subprocess, "run", Pytest(lines, None))
    run, clock = pretended()
    results = run.tests(Budget(50, clock))
    assert results["status"] == fails
    assert results["summary"] == f"1 passed, {2 * fails} failed"
    assert results["failed"] == lines[1 : 1 + 2 * fails]
    assert run.left_out == ["the rest of the tests: 50 s were over"]
    monkeypatch.setattr(gpu_run.subprocess, "run", Pytest(["collecting ..."], None))
    assert run.tests(Budget(50, clock)) == {}


def test_real_processes(tmp_path):
    """The same with workers, on the CPU."""
    plan = GpuPlan(["lenet"], ["minicnn", "minicnn-textbook"], rounds=2, steps=2, device="cpu")
    weights = save_weights(["lenet", "model3"], tmp_path)
    with GpuRun(plan, lambda line: None) as run:
        run.start(plan.peers, Budget(60))
        train, check = run.models(weights, Budget(60))
        run.plan.models, run.plan.batches = ["model3"], (8,)
        batches = run.batches(weights, Budget(60))
    assert run.left_out == run.failures == []
    one, other = check["lenet"]["minicnn"], check["lenet"]["minicnn-textbook"]
    assert np.abs(np.subtract(one, other)).max() < 1e-5  # each shuffles its batch in its own way
    assert len(train["lenet"]["peers"]["minicnn-textbook"]["epochs"]) == 2
    assert len(batches["model3 at 8"]["peers"]["minicnn"]["epochs"]) == 2


# -- peers on a GPU ---------------------------------------------------------------------------


@pytest.mark.skipif(gpu_status().usable, reason="there is a GPU")
def test_a_worker_without_a_gpu_says_so():
    with (
        PeerProcess("minicnn", device="gpu") as peer,
        pytest.raises(PeerError, match=r"cupy.*(cannot be used|not installed)"),
    ):
        peer.ask("load", device="gpu")


def test_pytorch_without_a_gpu_says_so():
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    from benchmarks.peers.torch_peer import Torch

    with pytest.raises(RuntimeError, match="this PyTorch sees no GPU"):
        Torch(device="gpu")


def test_on_a_gpu_float32_is_float32():
    assert ENVIRONMENTS["gpu"]["NVIDIA_TF32_OVERRIDE"] == "0"
    torch = SimpleNamespace(
        cuda=SimpleNamespace(is_available=lambda: True),
        backends=SimpleNamespace(cudnn=SimpleNamespace(allow_tf32=True)),
        set_float32_matmul_precision=lambda precision: chosen.append(precision),
    )
    from benchmarks.peers.torch_peer import use_gpu

    chosen = []
    use_gpu(torch)
    assert chosen == ["highest"]
    assert torch.backends.cudnn.allow_tf32 is False


def test_an_epoch_is_timed_from_its_beginning():
    """As on a GPU, where the data are brought there before."""
    from benchmarks.peers.like_keras import LikeKeras

    peer = LikeKeras("minicnn")
    peer.on_gpu, waited = True, []
    peer._wait = lambda: waited.append(peer.epoch_seconds)
    course = MODELS["dense-mnist"]
    peer.build(course)
    x, y = peer.prepare(*samples(course, 128))
    assert np.isfinite(peer.fit(x, y))
    assert peer.epoch_seconds > 0
    assert waited == [None, None]  # before the clock is started, and before it is read


def test_every_model_is_compiled_as_in_a_new_process(monkeypatch):
    """PyTorch takes all models of a process for one function, compiles eight, and no more."""
    torch = pytest.importorskip("torch")
    from benchmarks.peers.torch_peer import Torch

    compile_, seen = torch.compile, []

    def backend(graph, inputs):
        seen.append([size for array in inputs for size in getattr(array, "shape", [])])
        return graph.forward

    monkeypatch.setattr(torch, "compile", lambda model, mode: compile_(model, backend=backend))
    peer = Torch(compiled=True)
    for count in range(1, 12):
        course = MODELS[("dense-mnist", "lenet", "dense-cifar")[count % 3]]
        peer.build(course)
        x, y = peer.prepare(*samples(course, 2))
        for _ in range(2):
            assert np.isfinite(peer.fit(x, y))
        assert len(seen) == count
    assert all(type(size) is int for sizes in seen for size in sizes)  # none is variable


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_jax_trains_the_same_model(optimizer):
    pytest.importorskip("jax")
    import minicnn
    from benchmarks.peers.jax_peer import Jax

    course = MODELS["lenet"]
    model = course.build(minicnn, dropout=False)
    model.compile(optimizer, course.loss)
    peer = Jax()
    peer.build(course, dropout=False, optimizer=optimizer)
    peer.set_weights(model.get_weights())
    x, y = samples(course, course.batch_size)
    theirs = [peer.fit(*peer.prepare(x, y)) for _ in range(4)]
    ours = [model.train_on_batch(x, one_hot(y)) for _ in range(4)]
    assert np.abs(np.subtract(theirs, ours)).max() < 1e-5
    assert ours[0] - ours[-1] > 1e-3
    error = peer.predict(peer.prepare(x, y)[0]) - model.predict(x, verbose=0)
    assert np.abs(error).max() < 1e-3


def test_jax_drops_units():
    pytest.importorskip("jax")
    from benchmarks.peers.jax_peer import Jax

    losses = []
    for dropout in (False, True):
        peer = Jax()
        peer.build(MODELS["inside"], dropout)
        losses.append(peer.fit(*peer.prepare(*samples(MODELS["inside"], 16))))
    assert abs(losses[0] - losses[1]) > 1e-6


# -- agreement and kernels, over the stand-in -----------------------------------------------------


@over_the_stand_in
def test_agreement_is_found(stand_in):
    found = agreement.of_model(MODELS["lenet"], "cupy")
    assert found["float32"] < 1e-4
    assert found["float64"] < 1e-9
    assert found["same"]
    assert agreement.same_masks("cupy")
    assert backend.name() == "numpy"
    assert backend.floatx() == "float32"


@over_the_stand_in
def test_faults_are_found(stand_in, monkeypatch):
    """A gradient that is off by 1 in 1,000; weights that depend on the run; another mask."""
    right, dropout = floor.dense_backward, floor.dropout

    def slightly_wrong(*args, **options):
        dx, dW, db = right(*args, **options)
        return dx, dW * 1.001, db

    monkeypatch.setattr(floor, "dense_backward", slightly_wrong)
    assert agreement.gradient_error(MODELS["dense-mnist"], "cupy", "float64") > 9e-4
    runs = []

    def different(*args, **options):
        dx, dW, db = right(*args, **options)
        runs.append(0)
        return dx, dW * (1 + 1e-6 * len(runs)), db

    monkeypatch.setattr(floor, "dense_backward", different)
    assert not agreement.of_model(MODELS["dense-mnist"], "cupy")["same"]
    monkeypatch.setattr(
        floor, "dropout", lambda x, rate, seed, step: dropout(x, rate, seed, step + 1)
    )
    assert not agreement.same_masks("cupy")


@over_the_stand_in
@pytest.mark.parametrize("name", ["copy", *kernels.cases(1)])
def test_every_kernel_can_be_measured(stand_in, monkeypatch, name):
    monkeypatch.setattr(kernels, "LARGE", 2**15)
    assert kernels.memory_rate(name, 0.0) > 0
    assert len(stand_in.launched) > 0 or name == "copy"


@over_the_stand_in
def test_both_ways_of_a_convolution_are_measured(stand_in, monkeypatch):
    case = ops_cases.conv(2, 4, 3, 8, "same", first=True)
    monkeypatch.setattr(convolutions, "cases", lambda: {case.name: case})
    found = convolutions.measured(case.name, 0.0)
    assert {"im2col", "product_small", "gradients_flat"} <= stand_in.launched
    assert found.keys() == {"forward", "backward"}
    for call in found.values():
        assert call["flops"] == 2 * 2 * 16 * 9 * 3 * 8
        assert min(call["implicit"], call["columns"]) > 0


def test_convolutions_are_measured_as_long_as_there_is_time(pretended):
    run, clock = pretended({"convolution": 30.0})
    found = run.convolutions(Budget(100, clock))
    names = list(convolutions.cases())
    assert list(found) == names[:3]
    assert run.left_out[-len(names) + 4 :] == [f"{name}: no time" for name in names[4:]]


@pytest.mark.parametrize(
    ("errors", "middle", "largest"),
    [
        ((1e-6, 0.1, 2e-6), 2e-6, 0.1),
        ((0.1, 0.2, 2e-6), 0.1, 0.2),
        ((1e-6, np.nan, 1e-6), np.nan, np.nan),
    ],
)
def test_one_kink_is_no_fault_in_float32(monkeypatch, errors, middle, largest):
    monkeypatch.setattr(agreement, "gradient_error", lambda *of, s=errors: s[of[-1]])
    monkeypatch.setattr(agreement, "trained", lambda *of: [np.zeros(1)])
    found = agreement.of_model(MODELS["lenet"], "cupy")
    assert np.array_equal(found["float32"], middle, equal_nan=True)
    assert np.array_equal(found["float64"], largest, equal_nan=True)


def test_a_draw_of_weights_is_always_the_same(monkeypatch):
    drawn, compiled = [], agreement.compiled

    def noting(course, dropout):
        model = compiled(course, dropout)
        drawn.append(model.get_weights()[0])
        return model

    monkeypatch.setattr(agreement, "compiled", noting)
    for seed in (1, 1, 2):
        agreement.gradient_error(MODELS["dense-mnist"], "numpy", "float32", seed)
    one, again, other = drawn[::2]  # both floors build the model
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_what_kernels_have_to_move():
    cases = kernels.cases(2**20)
    n = 2**20 // 2**15

    def moved(name):
        case, call = cases[name]
        return case.bytes[call]

    assert moved("sgd") == 3 * 4 * 2**20
    assert moved("adam") == 7 * 4 * 2**20
    assert moved("average-pool") == 4 * 2**20 * 5 // 4
    assert moved("im2col") == moved("col2im") == 4 * (n // 9) * 2**15 * 10
    assert set(kernels.WITH_GOAL) < set(cases)


def test_a_turn_lasts_as_long_as_asked():
    calls, waits = [], []
    seconds = kernels.turn(lambda: calls.append(0), lambda: waits.append(len(calls)), 0.01)
    assert 0 < seconds < 1e-3
    assert waits[-1] == len(calls) > 100


@over_the_stand_in
def test_ops_on_the_device(stand_in, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(ops, "missing_gpu", lambda: None)
    monkeypatch.setattr(kernels, "gpu_facts", lambda: FACTS)
    arguments = ["ops", "--device", "gpu", "--quick", "--only", "cross-entropy"]
    assert main([*arguments, "--sides", "cupy", "--out", str(tmp_path)]) == 0
    results = json.loads((tmp_path / "ops.json").read_text())
    assert results["sides"] == ["cupy"]
    assert set(results["cases"][0]["calls"]) == {"forward", "backward"}
    text = (tmp_path / "ops.md").read_text()
    for part in ("cupy, ms", "cuBLAS's float32 product", "NVIDIA Nothing"):
        assert part in text
    assert main([*arguments, "--sides", "numba", "--out", str(tmp_path)]) == 1
    assert "numba does not compute on the gpu" in capsys.readouterr().out


# -- the GPU's name ---------------------------------------------------------------------------

FACTS = {
    "name": "NVIDIA Nothing", "memory": 8 * 2**30, "compute_capability": "9.0",
    "driver": "580.65.06", "driver_cuda": "13.0", "cuda": "13.2", "nvrtc": "13.5", "cupy": "14.2.0",
}  # fmt: skip


def test_the_gpu_is_described(monkeypatch, stand_in_cupy):
    monkeypatch.setattr(
        kernels.subprocess, "run", lambda *args, **options: SimpleNamespace(stdout="580.65.06\n")
    )
    assert kernels.gpu_facts() == FACTS
    text = measure.describe({**measure.machine(), "gpu": FACTS})
    for part in ("NVIDIA Nothing, 8 GiB", "driver 580.65.06 for CUDA 13.0", "CuPy 14.2.0"):
        assert part in text


@pytest.fixture
def stand_in_cupy(monkeypatch):
    from minicnn.backends.cupy import device

    properties = {"name": b"NVIDIA Nothing", "totalGlobalMem": 8 * 2**30, "major": 9, "minor": 0}
    runtime = SimpleNamespace(
        getDeviceProperties=lambda index: properties,
        driverGetVersion=lambda: 13000,
        runtimeGetVersion=lambda: 13020,
    )
    nvrtc = SimpleNamespace(getVersion=lambda: (13, 5))
    cupy = SimpleNamespace(__version__="14.2.0", cuda=SimpleNamespace(runtime=runtime, nvrtc=nvrtc))
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setattr(device, "_door", SimpleNamespace(index=0))


def test_without_nvidia_smi(monkeypatch):
    def absent(*args, **options):
        raise FileNotFoundError

    monkeypatch.setattr(kernels.subprocess, "run", absent)
    assert kernels.driver_version() is None
    assert "driver for CUDA 13.0" in measure.describe_gpu({**FACTS, "driver": None})


# -- the table --------------------------------------------------------------------------------


def figures(milliseconds):
    return {"backend": "x", "steps": 2, "epochs": [2e-3 * ms for ms in milliseconds]}


@pytest.fixture
def results():
    found = {"float32": 2e-6, "float64": 1e-13, "same": True}
    return {
        "machine": {**measure.machine(), "gpu": FACTS},
        "plan": {"device": "gpu"},
        "failures": [],
        "left_out": ["the kernel adam: no time"],
        "minutes": 7.1,
        "tests": {"status": 0, "summary": "300 passed in 60s", "failed": []},
        "agreement": {"masks": True, "lenet": found, "model3": {**found, "float32": 3e-5}},
        "kernels": {"copy": 4e12, "max-pool": 3.4e12, "sgd": 2.6e12, "im2col": 1e12, "relu": 3e12},
        "convolutions": {
            "conv 64": {"forward": {"flops": 1e10, "implicit": 5e-4, "columns": 1e-3}},
        },
        "train": {
            "model3": {
                "flops": 1e9,
                "peers": {
                    "minicnn": figures([0.1, 0.2, 0.9]),
                    "torch": figures([1.0]),
                    "torch-channels-last": figures([0.7]),
                    "torch-compiled": figures([0.25]),
                    "keras-jax": figures([0.3]),
                    "keras-torch": figures([2.0]),
                    "jax": figures([0.1]),
                    "torch-fused": figures([0.5]),
                },
            }
        },
        "check": {"model3": {"minicnn": [2.0, 1.9], "torch": [2.0, 1.9]}},
        "batches": {
            "model3 at 64": {
                "flops": 1e9, "peers": {"minicnn": figures([1]), "torch": figures([2])},
            },
            "model3 at 1024": {
                "flops": 1e9, "peers": {"minicnn": figures([2]), "torch": figures([1])},
            },
        },
    }  # fmt: skip


def test_the_table(results):
    table = gpu_table(results)
    assert all(len(row) == len(table.headings) for row in table.rows)
    rows = {(row[0], row[1]): row[2:] for row in table.rows}
    assert rows["step, against PyTorch eager", "model3"] == [
        "0.200", "0.700*", "3.50", "4", "2", "enough",
    ]  # fmt: skip
    compiled = rows["step, against torch.compile, reduce-overhead", "model3"]
    assert compiled[1:] == ["0.250", "1.25", "1.5", "1", "enough"]
    keras = rows["step, against the fastest Keras", "model3"]
    assert keras[1:] == ["0.300 Keras/JAX", "1.50", "5", "2", "BELOW"]
    assert rows["step, against JAX", "model3"][2:] == ["0.50", "", "", ""]
    assert rows["large batch, against PyTorch eager", "model3 at 1024"][-1] == "BELOW"
    assert rows["small batch, against PyTorch eager", "model3 at 64"][-1] == ""
    memory = {of: row for (figure, of), row in rows.items() if figure.startswith("memory")}
    assert memory["max-pool"] == ["3400 GB/s", "4000 GB/s", "85%", "0.8", "0.6", "goal"]
    assert [memory[name][-1] for name in ("sgd", "im2col", "relu")] == ["enough", "BELOW", ""]
    assert rows["gradients, float32: relative error", "model3, the worst of 2"][-1] == "right"
    assert rows["tests that need a GPU", "pytest -m gpu"][2] == "300 passed in 60s"
    implicit = rows["implicit GEMM, against im2col and cuBLAS", "conv 64: forward, 20.0 TFLOP/s"]
    assert implicit == ["0.500", "1.00", "2.00", "", "", ""]
    assert "Left out: the kernel adam: no time." in table.notes
    assert wrong(results) == []


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (lambda r: r["tests"].update(status=1, failed=["FAILED x"]), "the tests: 300"),
        (lambda r: r["agreement"]["lenet"].update(float64=2e-9), "lenet: gradients in float64"),
        (
            lambda r: r["agreement"]["lenet"].update(float32=float("nan")),
            "lenet: gradients in float32 are off by nan",
        ),
        (lambda r: r["agreement"]["model3"].update(same=False), "model3: two trainings differ"),
        (lambda r: r["agreement"].update(masks=False), "dropout drops other units"),
        (
            lambda r: r["check"]["model3"].update(minicnn=[3.0, 1.9], jax=[2.0, 1.9]),
            "model3: another loss",
        ),
        (
            lambda r: r["failures"].append({"peer": "minicnn", "model": "m", "message": "boom"}),
            "minicnn failed: m: boom",
        ),
    ],
)
def test_what_is_wrong_is_said(results, tmp_path, capsys, fault, line):
    fault(results)
    assert wrong(results)[0].startswith(line)
    file = measure.write_json(tmp_path / "old.json", results)
    assert main(["gpu", "--results", str(file), "--out", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert f"WRONG: {line}" in printed


def test_parts_that_were_not_measured_have_no_rows():
    assert gpu_table({"left_out": []}).rows == []
    assert wrong({}) == []


def test_the_worst_error_is_shown(results):
    results["agreement"]["lenet"]["float32"] = float("nan")
    rows = [row for row in gpu_table(results).rows if row[0].startswith("gradients, float32")]
    assert rows[0][1].startswith("lenet")
    assert rows[0][-1] == "WRONG"


# -- the command line -------------------------------------------------------------------------


def test_without_a_gpu_it_says_what_is_missing(monkeypatch, capsys):
    reason = "this machine has no NVIDIA driver"
    monkeypatch.setattr("minicnn.backends.cupy.status.gpu_status", lambda: Status(False, reason))
    for command in (["gpu"], ["compare", "--device", "gpu"], ["ops", "--device", "gpu"]):
        assert main(command) == 2
        assert capsys.readouterr().out == f"no GPU can be used: {reason}\n"


def options(*arguments):
    parser = argparse.ArgumentParser()
    gpu.add_arguments(parser)
    return parser.parse_args(list(arguments))


def test_options_become_a_plan():
    plan = gpu.plan_of(options("--minutes", "2", "--models", "lenet", "--peers", "torch"))
    assert (plan.minutes, plan.models, plan.peers) == (2.0, ["lenet"], ["minicnn", "torch"])
    assert plan.device == "gpu"
    plan = gpu.plan_of(options())
    assert plan.models == list(MODELS)
    assert 60 * plan.minutes < 480
    assert [name for name in plan.peers if name == "minicnn-textbook"] == []
    assert sorted([*plan.peers, *plan.absent, "minicnn-textbook"]) == sorted(PEERS)
    assert [name for name in plan.absent if PEERS[name].installed] == []
    plan.absent.append("somebody")
    assert "somebody: it is not installed" in GpuRun(plan).left_out
    assert gpu.plan_of(options("--peers", "torch")).absent == []
    assert "jax" in compare.standard_peers("gpu") or not PEERS["jax"].installed
    assert "jax" not in compare.standard_peers("cpu")


@pytest.mark.parametrize(
    "arguments", [["--minutes", "0"], ["--parts", "nothing"], ["--models", "x"], ["--peers", "x"]]
)
def test_wrong_options(arguments, capsys):
    with pytest.raises(SystemExit):
        options(*arguments)
    assert arguments[0] in capsys.readouterr().err


def test_every_part_is_measured_and_written(monkeypatch, tmp_path):
    """The order of the parts, and that each has its share of the time."""
    given = {}

    class Stage(GpuRun):
        def gpu(self, budget):
            return FACTS

        def start(self, names, budget):
            self.names = list(names)

        def __getattribute__(self, name):
            if name in ("agreement", "kernels", "convolutions", "tests", "batches", "models"):

                def part(*arguments):
                    given[name] = arguments[-1].left
                    self._leave_out(name)
                    self.results[name] = {}

                return part
            return super().__getattribute__(name)

    monkeypatch.setattr(gpu, "GpuRun", Stage)
    plan = GpuPlan(["lenet"], ["minicnn"], minutes=1.0)
    results = gpu.measure(plan, list(gpu.PARTS), tmp_path / "gpu.json")
    parts = ["agreement", "kernels", "convolutions", "tests", "models", "batches"]
    assert list(given) == parts
    assert all(0 < left <= 60 for left in given.values())
    assert 11 < given["agreement"] <= 12
    assert results == json.loads((tmp_path / "gpu.json").read_text())
    assert results["left_out"] == list(given)
    assert results["machine"]["gpu"] == FACTS
    assert gpu.measure(plan, ["tests"], tmp_path / "b.json")["left_out"] == ["tests"]


def test_a_run_that_is_ended_leaves_its_numbers(monkeypatch, tmp_path):
    class Stage(GpuRun):
        def gpu(self, budget):
            return FACTS

        def kernels(self, budget):
            self.results["kernels"] = {}
            for name, rate in (("copy", 4e12), ("adam", 3e12)):
                self._enter("kernels", name, rate)
            raise KeyboardInterrupt

    monkeypatch.setattr(gpu, "GpuRun", Stage)
    file = tmp_path / "gpu.json"
    with pytest.raises(KeyboardInterrupt):
        gpu.measure(GpuPlan(["lenet"], ["minicnn"], minutes=1.0), ["kernels", "train"], file)
    assert main(["gpu", "--results", str(file), "--out", str(tmp_path / "out")]) == 0
    assert "| adam | 3000 GB/s | 4000 GB/s | 75% |" in (tmp_path / "out" / "gpu.md").read_text()


def test_the_table_goes_on_the_page(results, tmp_path, monkeypatch):
    page = tmp_path / "page" / "README.md"
    page.parent.mkdir()
    text = gpu.PAGE.read_text(encoding="utf-8")
    assert text.count("<!-- gpu: begin -->") == text.count("<!-- gpu: end -->") == 1
    page.write_text(text, encoding="utf-8")
    monkeypatch.setattr(gpu, "PAGE", page)
    gpu.show(results, tmp_path / "out", page=True)
    text = page.read_text(encoding="utf-8")
    for shown in ("NVIDIA Nothing", "580.65.06", "| 3.50 | 4 | 2 | enough |", "7.1 minutes"):
        assert shown in text
    assert json.loads((page.parent / "gpu.json").read_text())["minutes"] == 7.1
