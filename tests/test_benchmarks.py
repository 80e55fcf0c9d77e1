"""The benchmarks: statistics, tables, and the protocol, with minicnn as the only peer."""

import argparse
import doctest
import importlib
import json
import math
import subprocess
import sys

import numpy as np
import pytest

import minicnn
from benchmarks import compare, figures, goals, measure, report, sketch
from benchmarks.__main__ import main
from benchmarks.course import MODELS
from benchmarks.measure import Summary, Table
from benchmarks.peers import PEERS, Peer
from benchmarks.peers.process import ROOT, PeerError, PeerProcess
from benchmarks.peers.samples import one_hot, samples
from benchmarks.stages import Plan, Run, save_weights


@pytest.fixture(autouse=True)
def textbook(monkeypatch):
    """Nothing to compile, and no process to import anything large."""
    monkeypatch.setenv("MINICNN_BACKEND", "numpy")


def small_plan(**changes):
    plan = Plan(["lenet"], ["minicnn"], rounds=2, steps=2, pause=0.0)
    plan.predictions, plan.lesson_images, plan.matmul_size = 150, 64, 32
    for name, value in changes.items():
        setattr(plan, name, value)
    return plan


@pytest.mark.parametrize("name", ["measure", "sketch"])
def test_examples_in_docstrings(name):
    outcome = doctest.testmod(importlib.import_module(f"benchmarks.{name}"))
    assert outcome.attempted > 0
    assert outcome.failed == 0


# -- measure.py -------------------------------------------------------------------------------


def test_summary():
    assert Summary.of(iter([5.0, 1.0, 2.0, 4.0])) == Summary(3.0, 1.0, 5.0, 4)
    with pytest.raises(ValueError, match="at least one"):
        Summary.of([])


@pytest.mark.parametrize(
    ("value", "text"), [(0.99996, "1.00"), (9.999, "10.0"), (123456.0, "123456"), (0, "0")]
)
def test_significant(value, text):
    assert measure.significant(value) == text


def test_repeat_measures_each_call():
    calls = []
    times = measure.repeat(lambda: calls.append(0), 0.0, least=4)
    assert len(times) == len(calls) == 4
    assert all(t >= 0 for t in times)


def test_machine_is_described():
    facts = json.loads(json.dumps(measure.machine()))
    assert facts["cores"] >= 1
    assert facts["packages"]["numpy"] == np.__version__
    text = measure.describe(facts)
    assert facts["date"] in text
    assert f"numpy {np.__version__}" in text
    assert "MINICNN_BACKEND=numpy" in text


def test_matmul_rate_is_a_rate():
    assert 1e6 < measure.matmul_rate(64, 0.01) < 1e15


def test_table_escapes_bars():
    text = Table("T", ["a", "b"], [["x|y", "1"]]).markdown()
    assert "| x\\|y | 1 |" in text


def test_table_is_shown_with_brackets(capsys):
    Table("T", ["a", "b"], [["[red]x", "1 [2]"]], notes="[note]").show()
    printed = capsys.readouterr().out
    for text in ("[red]x", "1 [2]", "[note]"):
        assert text in printed


def test_json_is_whole_or_not_there(tmp_path):
    path = measure.write_json(tmp_path / "new" / "a.json", {"x": [1, 2]})
    with pytest.raises(TypeError):
        measure.write_json(path, {"x": object()})
    assert json.loads(path.read_text()) == {"x": [1, 2]}
    assert [p.name for p in path.parent.iterdir()] == ["a.json"]


def test_results_are_put_on_a_page(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- a: begin -->\nold\n<!-- a: end -->\nafter\n")
    for _ in range(2):
        measure.put_on_page(page, "a", "new\n")
    assert page.read_text() == "before\n<!-- a: begin -->\n\nnew\n\n<!-- a: end -->\nafter\n"
    with pytest.raises(ValueError, match="b: begin"):
        measure.put_on_page(page, "b", "new")


def test_the_page_has_places_for_results():
    text = compare.PAGE.read_text(encoding="utf-8")
    for mark in ("compare", "ops"):
        assert text.count(f"<!-- {mark}: begin -->") == text.count(f"<!-- {mark}: end -->") == 1


# -- sketch.py --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("dropout", [True, False])
def test_sketch_is_the_model(name, dropout):
    course = MODELS[name]
    parts = sketch.sketch(course, dropout)[1:]
    layers = course.build(minicnn, dropout).layers
    assert [p.kind for p in parts] == [type(layer).__name__ for layer in layers]
    assert [p.weights for p in parts] == [layer.count_params() for layer in layers]
    assert sum(p.weights for p in parts) == course.weights
    shapes = [layer.nodes[0].outputs[0].shape[1:] for layer in layers]
    assert [p.output_shape for p in parts] == shapes


def test_flops_are_those_of_the_products():
    parts = [part for part in sketch.sketch(MODELS["convnet"]) if part.weights]
    by_hand = [
        2 * 26 * 26 * 64 * 3 * 3 * 1,
        2 * 11 * 11 * 64 * 3 * 3 * 64,
        2 * 3 * 3 * 64 * 3 * 3 * 64,
        2 * 576 * 64,
        2 * 64 * 10,
    ]
    assert [part.flops for part in parts] == by_hand
    assert sketch.step_flops(MODELS["convnet"]) == 64 * (2 * by_hand[0] + 3 * sum(by_hand[1:]))


# -- the peers --------------------------------------------------------------------------------


def test_only_what_makes_a_difference_takes_part():
    plan = Plan(list(MODELS), list(PEERS))
    assert "torch-channels-last" in plan.peers_of("lenet")
    assert "torch-channels-last" not in plan.peers_of("dense-cifar")
    assert "torch-fused" in plan.peers_of("dense-cifar")
    assert "torch-fused" not in plan.peers_of("lenet")


def test_a_peer_without_its_packages_is_not_installed():
    assert PEERS["minicnn"].installed
    assert not Peer("x", "torch", "X", ("no_such_package_at_all",)).installed


def test_samples_repeat():
    course = MODELS["lenet"]
    (x, y), (x2, y2) = samples(course, 5), samples(course, 5)
    assert x.shape == (5, 28, 28, 1)
    assert x.dtype == np.float32
    assert np.array_equal(x, x2)
    assert np.array_equal(y, y2)
    assert np.array_equal(one_hot(y).argmax(1), y)


def test_worker_trains_and_predicts(tmp_path):
    weights = str(save_weights(["lenet"], tmp_path)["lenet"])
    with PeerProcess("minicnn") as peer:
        assert peer.ask("load")["seconds"] >= 0
        assert peer.ask("build", model="lenet", weights=weights)["backend"] == "numpy"
        peer.ask("data", steps=2)
        first, epoch = peer.ask("step"), peer.ask("epoch")
        assert first["seconds"] > 0
        assert epoch["seconds"] > 0
        assert math.isfinite(epoch["loss"])
        if sys.platform != "win32":
            assert epoch["faults"] >= 0
            assert 10 * 2**20 < peer.ask("memory")["peak"] < 2**34
        peer.ask("images", images=130)
        assert peer.ask("predict")["shape"] == [130, 10]


def test_check_follows_gradient_descent(tmp_path):
    """What a worker answers is what the model does here."""
    weights = save_weights(["lenet"], tmp_path)["lenet"]
    with PeerProcess("minicnn") as peer:
        peer.ask("load")
        losses = peer.ask("check", model="lenet", weights=str(weights), steps=3)["losses"]
    course = MODELS["lenet"]
    model = course.build(minicnn, dropout=False)
    with np.load(weights) as file:
        model.set_weights([file[name] for name in file.files])
    model.compile("sgd", course.loss)
    x, y = samples(course, course.batch_size)
    expected = [model.train_on_batch(x, one_hot(y)) for _ in range(3)]
    assert np.max(np.abs(np.divide(losses, expected) - 1)) < 1e-6
    assert losses[0] > losses[1] > losses[2]


def test_worker_goes_on_after_an_error():
    with PeerProcess("none") as peer:
        with pytest.raises(PeerError, match=r"none failed in 'no_such_command'(.|\n)*Attribute"):
            peer.ask("no_such_command")
        assert peer.ask("matmul", size=16, seconds=0.0)["rate"] > 0


def test_what_a_library_prints_is_no_answer():
    script = (
        "from benchmarks.peers import worker\n"
        "worker.Worker.noise = lambda self: print('noise') or {'heard': True}\n"
        "worker.main('none')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        input='{"command": "noise"}\n',
        capture_output=True,
        text=True,
    )
    assert done.stdout == '{"heard": true}\n'
    assert done.stderr.strip() == "noise"


def test_a_process_that_dies_is_noticed():
    with PeerProcess("none") as peer:
        peer._process.kill()
        with pytest.raises(PeerError, match="none ended during 'memory'"):
            peer.ask("memory")


def test_a_process_that_hangs_is_ended():
    with (
        PeerProcess("none", patience=1.0) as peer,
        pytest.raises(PeerError, match="none ended during 'matmul'"),
    ):
        peer.ask("matmul", size=8, seconds=60.0)


# -- the stages -------------------------------------------------------------------------------


def test_a_run_from_end_to_end(tmp_path):
    results = compare.measure(small_plan(), list(compare.STAGES), tmp_path / "compare.json")
    assert results == json.loads((tmp_path / "compare.json").read_text())
    assert results["failures"] == []
    assert report.outliers(results["check"]) == {"lenet": []}
    part = results["train"]["lenet"]
    assert part["peers"]["minicnn"]["steps"] == len(part["matmul"]) == 2
    assert len(part["peers"]["minicnn"]["epochs"]) == len(part["peers"]["minicnn"]["predict"]) == 2
    assert len(results["startup"]["minicnn"]) == 2
    assert {k: len(v) for k, v in results["lesson"].items()} == {
        "minicnn, empty cache": 2,
        "minicnn": 2,
    }
    compare.show(results, tmp_path, page=False)
    text = (tmp_path / "compare.md").read_text(encoding="utf-8")
    for table in report.tables(results):
        assert f"### {table.title}" in text
        assert all(len(row) == len(table.headings) for row in table.rows), table.title
    assert len(report.tables(results)) == 9
    assert (tmp_path / "compare.png").read_bytes().startswith(b"\x89PNG")


def test_a_peer_that_fails_is_left_out(monkeypatch, tmp_path):
    said = []
    run = Run(small_plan(peers=["minicnn", "minicnn-textbook"]), said.append)
    weights = tmp_path / "lenet.npz"
    np.savez(weights, *MODELS["lenet"].build(minicnn).get_weights())
    monkeypatch.setenv("MINICNN_BACKEND", "no such floor")  # the textbook peer has its own
    results = run.train("lenet", weights)
    assert list(results["peers"]) == ["minicnn-textbook"]
    assert len(results["peers"]["minicnn-textbook"]["epochs"]) == 2
    assert [failure["peer"] for failure in run.failures] == ["minicnn"]
    assert "no such floor" in run.failures[0]["message"]
    assert any("LEFT OUT" in line for line in said)


@pytest.mark.parametrize("name", ["minicnn", "minicnn-textbook"])
def test_what_computes_something_else_is_not_timed(name, monkeypatch, tmp_path):
    """A peer is left out; without minicnn, there is nothing to compare."""
    losses = {"a": [2.0, 1.9], "minicnn": [2.0, 1.9], "minicnn-textbook": [2.0, 1.9]}
    losses[name] = [2.0, 1.95]
    timed = []
    monkeypatch.setattr(Run, "check", lambda self, weights: {"lenet": losses})
    monkeypatch.setattr(Run, "train", lambda self, *arguments: timed.append(arguments))
    results = compare.measure(small_plan(), ["train"], tmp_path / "compare.json")
    assert report.outliers(results["check"]) == {"lenet": [name]}
    if name == "minicnn":
        assert timed == []
        assert "train" not in results
    else:
        assert [(model, left_out) for model, _, left_out in timed] == [("lenet", [name])]


@pytest.mark.parametrize(
    "losses",
    [
        [2.00005, 1.90005],  # another loss
        [2.0, 1.902],  # another gradient
        [2.0, 2.1],
        [2.0, float("nan")],
        [float("inf"), 1.9],
    ],
)
def test_outliers_are_noticed(losses):
    same = {"a": [2.0, 1.9], "b": [2.0000001, 1.9], "c": [2.0, 1.9000001]}
    assert report.outliers({"lenet": same | {"d": losses}}) == {"lenet": ["d"]}
    assert report.outliers({"lenet": same, "model3": {}}) == {"lenet": [], "model3": []}


# -- tables -----------------------------------------------------------------------------------


def timings(milliseconds, **more):
    """A peer's figures, for epochs of two steps."""
    usual = {
        "backend": "x", "import": 1.0, "build": 0.5, "first_step": 2.0, "steps": 2, "loss": 1.0,
        "epochs": [2e-3 * ms for ms in milliseconds], "faults": [3] * len(milliseconds),
        "peak": 100 * 2**20, "predict": [0.5],
    }  # fmt: skip
    return usual | more


@pytest.fixture
def results():
    peers = {
        "minicnn": timings([1.0, 2.0, 6.0]),
        "keras-tensorflow": timings([9.0, 8.0, 10.0], peak=350 * 2**20),
        "keras-jax": timings([3.0, 3.0, 3.0], predict=[0.75]),
        "torch": timings([5.0, 5.0, 5.0]),
        "torch-channels-last": timings([4.0, 2.5, 2.5]),
        "torch-fused": timings([0.5, 0.5, 0.5]),
    }
    part = {"flops": 1e9, "matmul": [1e12, 0.9e12, 1.1e12], "peers": peers}
    return {
        "plan": {"rounds": 3, "predictions": 100, "lesson_images": 640},
        "machine": measure.machine(),
        "failures": [],
        "train": {"model3": part},
        "startup": {"minicnn": [0.2], "keras-tensorflow": [4.0], "keras-jax": [1.0, 3.0, 1.2]},
        "lesson": {"minicnn, empty cache": [8.0], "minicnn": [5.0], "keras-jax": [6.0]},
    }


def test_advantage_is_over_the_best_of_a_family(results):
    peers = results["train"]["model3"]["peers"]
    assert report.best(peers, report.KERAS, report.step_time) == "keras-jax"
    assert report.advantage(peers, report.KERAS, report.step_time) == pytest.approx((1.5, 3.0))
    assert report.advantage(peers, report.TORCH, report.step_time) == pytest.approx((1.25, 2.5))
    without = {name: f for name, f in peers.items() if name != "minicnn"}
    assert all(map(math.isnan, report.advantage(without, report.KERAS, report.step_time)))


def test_step_table(results):
    table = next(t for t in report.tables(results) if t.title == "Training step, ms")
    (row,) = table.rows
    cells = dict(zip(table.headings, row, strict=True))
    assert cells["model (batch)"] == "model3 (64)"
    assert cells["minicnn"] == "2.00 (1.00-6.00)"
    assert cells["PyTorch"] == "2.50 (2.50-4.00)*"  # the faster layout
    assert cells["x best Keras"] == "1.50 (3.00)"
    assert cells["x best PyTorch"] == "1.25 (2.50)"  # not of the fused one
    assert "channels last" in table.notes


def test_rate_table(results):
    table = next(t for t in report.tables(results) if t.title == "Training step, GFLOP/s")
    cells = dict(zip(table.headings, table.rows[0], strict=True))
    assert cells["minicnn"] == "500 (50%)"
    assert cells["matrix product"] == "1000 (900-1100)"


def test_goals_are_sorted_by_what_was_reached(results):
    rows = {row[0]: row for row in goals.goal_table(results).rows}
    assert rows["training step: times faster than the fastest Keras"][3:] == [
        "-", "model3 1.50", "-",
    ]  # fmt: skip
    assert rows["training step: share of the matrix-product rate"][4] == "model3 0.50"
    assert rows["predict: times faster than the fastest peer"][4] == "model3 1.00"
    assert rows["peak memory: times less than Keras/TensorFlow"][4] == "model3 3.50"
    assert rows["import and build: times quicker than importing the quickest Keras"][4] == (
        "model3 6.00"
    )
    assert rows["first epoch: times quicker than the fastest Keras"][5] == "convnet 1.20"
    assert rows["the same with an empty kernel cache"][5] == "convnet 0.75"
    assert "training step: times within 0.2 ms" not in rows  # dense-mnist was not measured


def test_tables_need_no_peers(results):
    part = results["train"]["model3"]
    part["peers"] = {"minicnn": part["peers"]["minicnn"]}
    del results["lesson"], results["startup"]
    table = next(t for t in report.tables(results) if t.title == "Training step, ms")
    assert table.rows[0][-1] == "nan (nan)"
    reached = [row[0] for row in goals.goal_table(results).rows]
    assert reached == ["training step: share of the matrix-product rate"]


def test_picture_shows_every_model(results, tmp_path):
    results["train"]["lenet"] = results["train"]["model3"]
    path = figures.draw_steps(results["train"], tmp_path / "new" / "a.png")
    assert path.read_bytes().startswith(b"\x89PNG")


# -- the command line -------------------------------------------------------------------------


def options(*arguments):
    parser = argparse.ArgumentParser()
    compare.add_arguments(parser)
    return parser.parse_args(list(arguments))


def test_options_become_a_plan():
    plan = compare.plan_of(options("--models", "lenet", "--peers", "minicnn", "--quick"))
    assert (plan.models, plan.peers, plan.rounds, plan.steps) == (["lenet"], ["minicnn"], 2, 4)
    plan = compare.plan_of(options("--peers", "minicnn", "--rounds", "7"))
    assert plan.rounds == 7
    assert (plan.steps_of("dense-mnist"), plan.steps_of("model3")) == (240, 60)


@pytest.mark.parametrize(
    "arguments", [["--models", "no-such-model"], ["--peers", "caffe"], ["--rounds", "0"]]
)
def test_wrong_options(arguments, capsys):
    with pytest.raises(SystemExit):
        options(*arguments)
    assert arguments[0] in capsys.readouterr().err


def test_a_peer_that_is_not_there_is_named(monkeypatch):
    absent = Peer("minicnn-textbook", "minicnn", "X", ("no_such_package",))
    monkeypatch.setitem(PEERS, "minicnn-textbook", absent)
    with pytest.raises(SystemExit, match="minicnn-textbook needs no_such_package"):
        compare.plan_of(options("--peers", "minicnn-textbook"))


def test_results_can_be_shown_again(results, tmp_path, capsys):
    file = measure.write_json(tmp_path / "old.json", results)
    assert main(["compare", "--results", str(file), "--out", str(tmp_path)]) == 0
    assert "2.00 (1.00-6.00)" in capsys.readouterr().out
    assert (tmp_path / "compare.md").exists()


def test_results_go_on_the_page(results, tmp_path, monkeypatch):
    page = tmp_path / "page" / "README.md"
    page.parent.mkdir()
    page.write_text(compare.PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(compare, "PAGE", page)
    compare.show(results, tmp_path / "out", page=True)
    text = page.read_text(encoding="utf-8")
    for shown in ("2.00 (1.00-6.00)", "(compare.png)", results["machine"]["date"], "3 rounds"):
        assert shown in text
    for linked in ("compare.png", "compare.json"):
        assert (page.parent / linked).read_bytes()
