"""Background threads of pipelines: order, errors, clean ends. Each test would hang if one did."""

import gc
import os
import subprocess
import sys
import threading
import time
import traceback

import numpy as np
import pytest

from minicnn.data import AUTOTUNE, Dataset, threads as machinery

pytestmark = pytest.mark.timeout(30)

PIPELINES = {
    "map": lambda d: d.map(lambda i: i, num_parallel_calls=4),
    "prefetch": lambda d: d.prefetch(3),
    "both": lambda d: d.map(lambda i: i, num_parallel_calls=4).prefetch(3),
    "prefetch first": lambda d: d.prefetch(3).map(lambda i: i, num_parallel_calls=AUTOTUNE),
    "deep": lambda d: d.prefetch(2).shuffle(3, seed=0).batch(1).prefetch(2).unbatch().cache(),
    "zip": lambda d: Dataset.zip(d.prefetch(2), d.prefetch(2)),
    "repeat": lambda d: d.prefetch(2).repeat(),
    "concatenate": lambda d: d.prefetch(2).concatenate(d.prefetch(2)),
}


@pytest.fixture(params=PIPELINES.values(), ids=PIPELINES.keys())
def pipeline(request):
    return request.param


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def background():
    return [thread for thread in threading.enumerate() if thread.name == "minicnn-data"]


# -- order ------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 3, 8, AUTOTUNE])
def test_threaded_map_keeps_the_order(threads):
    rng = np.random.default_rng(0)
    delays = rng.random(60) * 0.004

    def slow(i):
        time.sleep(delays[i])
        return i

    assert list(Dataset.range(60).map(slow, num_parallel_calls=threads)) == list(range(60))


def test_threaded_map_works_at_the_same_time():
    meeting = threading.Barrier(4)  # passes only four at once
    dataset = Dataset.range(8).map(lambda i: meeting.wait(timeout=10) * 0 + i, 4)
    assert list(dataset) == list(range(8))


@pytest.mark.parametrize("n", [1, 2, 7, AUTOTUNE])
def test_prefetch_keeps_the_order(n):
    dataset = Dataset.range(50).map(lambda i: time.sleep(0.001 * (i % 3)) or i).prefetch(n)
    for _ in range(2):
        assert list(dataset) == list(range(50))


def test_prefetch_works_ahead_but_no_further_than_asked():
    made = []
    reached = threading.Event()

    def make(i):
        made.append(i)
        if i == 3:
            reached.set()
        return i

    iterator = iter(Dataset.range(100).map(make).prefetch(3))
    assert next(iterator) == 0
    assert reached.wait(timeout=10)  # 0 is used, 1, 2 and 3 are ready
    time.sleep(0.05)
    assert made == [0, 1, 2, 3]
    iterator.close()


# -- leaving ----------------------------------------------------------------------------------


def test_no_thread_is_left_after_a_whole_loop(pipeline):
    for _ in pipeline(Dataset.range(20)).take(60):
        pass
    assert not background()


def test_no_thread_is_left_after_break(pipeline):
    for _ in pipeline(Dataset.range(1000)):
        assert background()
        break
    assert not background()


def test_no_thread_is_left_after_take(pipeline):
    assert len(list(pipeline(Dataset.range(1000)).take(5))) == 5
    assert not background()


def test_no_thread_is_left_when_the_iterator_is_dropped(pipeline):
    iterator = pipeline(Dataset.range(1000)).as_numpy_iterator()
    iterator.next()
    assert background()
    del iterator
    assert not background()


def test_no_thread_is_left_when_the_garbage_collector_finds_the_iterator(pipeline):
    class Circle:
        pass

    circle = Circle()
    circle.itself = circle
    circle.iterator = iter(pipeline(Dataset.range(1000)))
    next(circle.iterator)
    del circle
    gc.collect()
    assert not background()


def test_no_thread_is_left_when_the_loop_raises(pipeline):
    # The traceback keeps the loop's frame alive, but not the threads.
    with pytest.raises(KeyError) as caught:
        for _ in pipeline(Dataset.range(1000)).map(lambda *element: {}["missing"]):
            pass
    assert caught.tb is not None
    assert not background()


def test_no_thread_is_started_before_the_first_element(pipeline):
    iterator = iter(pipeline(Dataset.range(10)))
    assert not background()
    del iterator


def test_leaving_does_not_wait_for_a_call_that_hangs(monkeypatch):
    monkeypatch.setattr(machinery, "PATIENCE", 0.05)
    release = threading.Event()

    def hang(i):
        if i:
            release.wait()
        return i

    for dataset in (Dataset.range(9).map(hang, 2), Dataset.range(9).map(hang).prefetch(1)):
        for _ in dataset:
            break
    stuck = background()
    assert stuck
    assert all(thread.daemon for thread in stuck)
    release.set()
    for thread in stuck:
        thread.join(timeout=10)
    assert not background()


def test_leaving_while_holding_a_lock_that_a_call_needs(monkeypatch):
    # As when the garbage collector closes an iterator at an unlucky moment.
    monkeypatch.setattr(machinery, "PATIENCE", 0.05)
    lock = threading.Lock()

    def locked(i):
        with lock:
            return i

    iterator = iter(Dataset.range(1000).map(locked, num_parallel_calls=2))
    assert next(iterator) == 0
    with lock:
        iterator.close()
    deadline = time.monotonic() + 10
    while background() and time.monotonic() < deadline:
        time.sleep(0.01)


def test_generators_are_closed_by_the_thread_that_runs_them():
    closed = []

    def generator():
        try:
            yield from range(1000)
        finally:
            closed.append(threading.current_thread().name)

    for _ in Dataset.from_generator(generator).prefetch(2):
        break
    assert closed == ["minicnn-data"]


def test_the_interpreter_can_end_in_the_middle_of_a_loop():
    script = (
        "import time\n"
        "from minicnn.data import Dataset\n"
        "d = Dataset.range(9).map(lambda i: time.sleep(60 * (i > 1)) or i, 2).prefetch(2)\n"
        "iterator = iter(d)\n"
        "print(next(iterator), flush=True)\n"
    )
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=20,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "0"
    assert done.stderr == ""


# -- errors -----------------------------------------------------------------------------------


def broken_at_seven(i):
    if i == 7:
        raise LookupError("seven is missing")
    return i


BROKEN = {
    "map": lambda: Dataset.range(20).map(broken_at_seven),
    "threaded map": lambda: Dataset.range(20).map(broken_at_seven, 4),
    "prefetch": lambda: Dataset.range(20).map(broken_at_seven).prefetch(3),
    "above a threaded map": lambda: Dataset.range(20).map(broken_at_seven).map(lambda i: i, 4),
    "both": lambda: Dataset.range(20).map(broken_at_seven, 4).prefetch(3),
}


@pytest.mark.parametrize("make", BROKEN.values(), ids=BROKEN.keys())
def test_an_error_comes_in_its_turn_with_its_traceback(make):
    seen = []
    with pytest.raises(LookupError, match="seven is missing") as caught:
        for i in make():
            seen.append(i)
    assert seen == list(range(7))
    frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert frames[0] == "test_an_error_comes_in_its_turn_with_its_traceback"
    assert frames[-1] == "broken_at_seven"
    assert not background()


@pytest.mark.parametrize("make", BROKEN.values(), ids=BROKEN.keys())
def test_after_an_error_a_new_iteration_starts_afresh(make):
    dataset = make()
    for _ in range(2):
        with pytest.raises(LookupError):
            list(dataset)
    assert list(dataset.take(3)) == [0, 1, 2]


def test_system_exit_in_a_thread_reaches_the_loop():
    with pytest.raises(SystemExit):
        list(Dataset.range(3).map(lambda i: sys.exit(3), num_parallel_calls=2))


# -- many at once -----------------------------------------------------------------------------


def test_many_iterations_in_many_threads():
    dataset = Dataset.range(200).map(lambda i: i + 1, 3).cache().shuffle(200).prefetch(2)
    sums = []

    def read():
        for _ in range(5):
            sums.append(sum(dataset))

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(timeout=20)
    assert sums == [sum(range(201))] * 20


def test_starting_and_leaving_again_and_again():
    dataset = Dataset.range(100).map(lambda i: i, 4).prefetch(2)
    for _ in range(100):
        for i in dataset:
            if i == 3:
                break
    assert not background()
