"""A file is there as a whole or not at all, whatever happens while it is written."""

import os
import random
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from minicnn import Input, Sequential, backend, layers, models
from minicnn.saving import atomic


def small_model():
    model = Sequential([Input((3,)), layers.Dense(4), layers.Dense(1)])
    model.compile("adam", "mse")
    return model


def test_a_new_file_and_one_that_is_replaced(tmp_path):
    path = tmp_path / "a b.txt"
    for text in (b"first", b"second"):
        with atomic.replacing(path) as file:
            file.write(text)
            assert not path.exists() or path.read_bytes() != text
        assert path.read_bytes() == text
    assert os.listdir(tmp_path) == ["a b.txt"]


def test_an_exception_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), atomic.replacing(path) as file:
        file.write(b"new")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.txt"]
    with pytest.raises(FileNotFoundError), atomic.replacing(tmp_path / "no" / "a.txt"):
        pass


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions and links")
def test_permissions_and_links_stay(tmp_path):
    path, link = tmp_path / "a.txt", tmp_path / "link.txt"
    path.write_bytes(b"old")
    path.chmod(0o640)
    link.symlink_to(path)
    with atomic.replacing(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    umask = os.umask(0o027)
    try:
        with atomic.replacing(tmp_path / "b.txt"):
            pass
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "b.txt").stat().st_mode) == 0o640


def test_leftovers_are_cleared_away_but_nothing_else(tmp_path):
    (tmp_path / ".a.txt.0123abcd.tmp").write_bytes(b"of a killed process")
    others = {".b.txt.0123abcd.tmp", "a.txt.tmp", "a.txt"}
    for name in others:
        (tmp_path / name).write_bytes(b"of somebody else")
    with atomic.replacing(tmp_path / "a.txt") as first:
        first.write(b"first")
        with atomic.replacing(tmp_path / "a.txt") as second:  # does not touch the first one's
            second.write(b"second")
    assert (tmp_path / "a.txt").read_bytes() == b"first"
    assert set(os.listdir(tmp_path)) == others


@pytest.mark.skipif(not hasattr(os, "fork"), reason="limits and forks are POSIX")
def test_a_disk_that_is_full(tmp_path):
    """A limit for the size of files stands for it: the kernel refuses to write on."""
    model = small_model()
    model.save(tmp_path / "m.keras")
    before = (tmp_path / "m.keras").read_bytes()
    program = f"""
import resource, signal
from minicnn.models import load_model
model = load_model({str(tmp_path / "m.keras")!r})
model.set_weights([w + 1 for w in model.get_weights()])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    model.save({str(tmp_path / "m.keras")!r})
except OSError as error:
    print("refused", error.errno)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("refused"), done
    assert (tmp_path / "m.keras").read_bytes() == before
    assert os.listdir(tmp_path) == ["m.keras"]


def test_an_exception_while_a_model_is_written(tmp_path, monkeypatch):
    model = small_model()
    model.save(tmp_path / "m.keras")
    model.save_weights(tmp_path / "m.weights.h5")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    model.set_weights([w + 1 for w in model.get_weights()])

    def fail(descriptor):
        raise OSError(5, "the disk is broken")

    monkeypatch.setattr(os, "fsync", fail)
    for save, name in ((model.save, "m.keras"), (model.save_weights, "m.weights.h5")):
        with pytest.raises(OSError, match="the disk is broken"):
            save(tmp_path / name)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_a_folder_that_is_read_only():
    """Nobody but root may write there, so that root must become somebody else."""
    model, nobody = small_model(), 65534
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "m.keras")
        model.save(path)
        before = path.read_bytes()
        os.chmod(name, 0o555)
        user = os.geteuid()
        if user == 0:
            os.seteuid(nobody)
        try:
            for target in (path, path.with_name("new.keras")):
                with pytest.raises(PermissionError, match=name):
                    model.save(target)
        finally:
            os.seteuid(user)
            os.chmod(name, 0o755)
        assert os.listdir(name) == ["m.keras"]
        assert path.read_bytes() == before


def test_without_locks_as_on_windows(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "fcntl", None)
    path = tmp_path / "m.keras"
    (tmp_path / ".m.keras.0123abcd.tmp").write_bytes(b"of a killed process")
    for _ in range(2):
        model = small_model()
        model.save(path)
        assert os.listdir(tmp_path) == ["m.keras"]
        loaded = models.load_model(path)
        assert all(map(np.array_equal, loaded.get_weights(), model.get_weights()))
    with pytest.raises(KeyboardInterrupt), atomic.replacing(path) as file:
        file.write(b"new")
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == ["m.keras"]
    assert models.load_model(path).get_config() == model.get_config()


def saving_again_and_again(path, pipe):
    """Trains and saves after each step; says so when a file is there. Never returns."""
    backend.use("numpy")  # threads of compiled kernels do not survive a fork
    model = small_model()
    x, y = np.ones((2, 3), np.float32), np.ones((2, 1), np.float32)
    while True:
        model.train_on_batch(x, y)
        model.save(path)
        os.write(pipe, b".")


def kill_at_random_moments(folder, times):
    rng = random.Random(0)
    path = folder / "m.keras"
    for _ in range(times):
        path.unlink(missing_ok=True)
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            try:
                saving_again_and_again(path, writer)
            finally:
                os._exit(1)
        os.close(writer)
        assert os.read(reader, 1) == b"."  # the first file is there
        time.sleep(rng.uniform(0, 0.03))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        done = 1
        while more := os.read(reader, 4096):
            done += len(more)
        os.close(reader)
        # The last one that was announced, or the one after it.
        assert models.load_model(path).optimizer.iterations in (done, done + 1)
        others = [name for name in os.listdir(folder) if name != "m.keras"]
        assert len(others) <= 1
        models.load_model(path).save(path)  # as the next process does
        assert os.listdir(folder) == ["m.keras"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_kills(tmp_path):
    kill_at_random_moments(tmp_path, 20)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_many_kills(tmp_path):
    kill_at_random_moments(tmp_path, 200)
