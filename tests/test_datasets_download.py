"""Downloads, against a server on this machine that can be made to misbehave."""

import dataclasses
import gzip
import hashlib
import http.server
import io
import os
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest

from minicnn.datasets import cache, fashion_mnist, load, mnist
from minicnn.datasets.sources import SOURCES, RemoteFile

pytest.importorskip("pooch")


@pytest.fixture(scope="module")
def files():
    """MNIST in small: what the server has, by name."""
    rng = np.random.default_rng(5)

    def idx(array, shape):
        header = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">u4").tobytes()
        return gzip.compress(header + array.tobytes(), mtime=0)

    content = {}
    for part, n in (("train", 40), ("t10k", 10)):
        images = rng.integers(0, 256, (n, 28, 28), np.uint8)
        labels = rng.integers(0, 10, n, np.uint8)
        content[f"{part}-images-idx3-ubyte.gz"] = idx(images, images.shape)
        content[f"{part}-labels-idx1-ubyte.gz"] = idx(labels, labels.shape)
    return content


class Server(http.server.ThreadingHTTPServer):
    """Serves ``files``; ``misbehave`` maps a name to what to do instead of sending it whole."""

    daemon_threads = True

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.misbehave = {}
        self.requests = []
        self.two = threading.Barrier(2)
        self.half_way, self.go_on = threading.Event(), threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.lstrip("/")
        self.server.requests.append(name)
        content = self.server.files[name]
        fault = self.server.misbehave.get(name)
        if fault == "missing":
            self.send_error(404)
            return
        if fault == "tampered":
            content = content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]
        if fault == "short":
            content = content[:-100]
        if fault == "wait for two":
            self.server.two.wait(timeout=60)
        self.send_response(200)
        if fault != "no length":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        half = len(content) // 2
        self.wfile.write(content[:half])
        if fault == "stops half way":
            self.server.half_way.set()
            self.server.go_on.wait(timeout=60)
        if fault != "breaks off":
            self.wfile.write(content[half:])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(files, monkeypatch):
    """A running server, which the tables name in place of the real ones."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server(files)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    for name in ("mnist", "fashion_mnist"):
        point_to(monkeypatch, name, server.url, files)
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def point_to(monkeypatch, name, url, files):
    here = tuple(
        RemoteFile(
            file.name,
            url + file.name,
            hashlib.sha256(files[file.name]).hexdigest(),
            len(files[file.name]),
        )
        for file in SOURCES[name].files
    )
    monkeypatch.setitem(SOURCES, name, dataclasses.replace(SOURCES[name], files=here))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty cache folder."""
    monkeypatch.setenv("MINICNN_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


def contents(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def assert_is_all(loaded, files):
    (x_train, y_train), (x_test, y_test) = loaded
    assert x_train.tobytes() == gzip.decompress(files["train-images-idx3-ubyte.gz"])[16:]
    assert y_train.tobytes() == gzip.decompress(files["train-labels-idx1-ubyte.gz"])[8:]
    assert x_test.tobytes() == gzip.decompress(files["t10k-images-idx3-ubyte.gz"])[16:]
    assert y_test.tobytes() == gzip.decompress(files["t10k-labels-idx1-ubyte.gz"])[8:]


@pytest.mark.parametrize("module", [mnist, fashion_mnist])
def test_download_once_and_then_from_the_cache(module, server, folder, files, capfd):
    name = module.__name__.rsplit(".")[-1]
    assert_is_all(module.load_data(), files)
    assert contents(folder) == sorted(os.path.join(name, file) for file in files)
    assert f"{name}: train-images-idx3-ubyte.gz" in capfd.readouterr().err
    assert len(server.requests) == 4
    assert_is_all(module.load_data(), files)
    assert len(server.requests) == 4
    assert capfd.readouterr().err == ""


def test_progress_in_a_notebook_is_a_line_that_changes(server, folder, files, monkeypatch):
    stream = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})()
    monkeypatch.setattr(sys, "stderr", stream)
    mnist.load_data()
    bars = stream.getvalue().split("\n")[:-1]
    assert len(bars) == 4
    assert all("\r" in bar and "gz" in bar for bar in bars)  # written anew, in its place


def test_server_that_does_not_say_how_much_will_come(server, folder, files):
    server.misbehave = dict.fromkeys(files, "no length")
    assert_is_all(mnist.load_data(), files)


@pytest.mark.parametrize("fault", ["tampered", "short", "breaks off", "missing"])
def test_bad_transfer_leaves_nothing_and_can_be_tried_again(fault, server, folder, files):
    bad = "t10k-images-idx3-ubyte.gz"
    server.misbehave = {bad: fault}
    with pytest.raises(OSError, match=f"mnist: {bad} could not be downloaded") as caught:
        mnist.load_data()
    good = ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"]
    assert contents(folder) == [os.path.join("mnist", name) for name in good]
    assert sorted(os.listdir(folder / "mnist")) == good
    if fault in ("tampered", "short"):
        assert hashlib.sha256(files[bad]).hexdigest() in str(caught.value)
    server.misbehave = {}
    assert_is_all(mnist.load_data(), files)
    assert server.requests.count(good[0]) == 1, "what was intact is not fetched again"


@pytest.mark.parametrize("damage", [lambda file: file[:-1], lambda file: b"\0" * len(file)])
def test_damaged_file_in_the_cache_is_fetched_again(damage, server, folder, files):
    mnist.load_data()
    path = folder / "mnist" / "train-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    assert_is_all(mnist.load_data(), files)
    assert path.read_bytes() == files[path.name]


def test_damaged_file_in_the_cache_is_never_used(server, folder, files):
    mnist.load_data()
    path = folder / "mnist" / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(gzip.decompress(files[path.name])[:-1] + b"\7"))
    server.misbehave = {path.name: "missing"}
    with pytest.raises(OSError, match="404"):
        mnist.load_data()


def test_without_a_server_the_error_says_what_to_do(folder, files, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        point_to(monkeypatch, "mnist", url, files)
        with pytest.raises(OSError, match="could not be downloaded") as caught:
            mnist.load_data()
    message = str(caught.value)
    for name in files:
        assert url + name in message
        assert str(folder / "mnist" / name) in message
    assert str(folder / "mnist.npz") in message
    assert "path=" in message
    # Whoever does what it says needs neither a server nor pooch.
    monkeypatch.setitem(sys.modules, "pooch", None)
    for name, content in files.items():
        (folder / "mnist" / name).write_bytes(content)
    assert_is_all(mnist.load_data(), files)


def test_own_npz_in_the_cache_folder(folder, rng):
    x, y = rng.integers(0, 256, (3, 28, 28), np.uint8), np.arange(3, dtype=np.uint8)
    folder.mkdir()
    np.savez(folder / "mnist.npz", x_train=x, y_train=y, x_test=x[:1], y_test=y[:1])
    np.testing.assert_array_equal(mnist.load_data()[0][0], x)


def test_without_pooch_the_error_says_what_to_install(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r"pip install 'minicnn\[datasets\]'") as caught:
        mnist.load_data()
    assert "train-images-idx3-ubyte.gz" in str(caught.value)
    monkeypatch.delenv("MINICNN_DATA")
    with pytest.raises(ImportError, match="MINICNN_DATA"):
        mnist.load_data()


def test_cache_folder_of_the_platform(monkeypatch):
    import pooch

    monkeypatch.delenv("MINICNN_DATA", raising=False)
    assert cache.cache_folder() == pooch.os_cache("minicnn")


def test_load_downloads_into_data_dir(server, files, tmp_path, monkeypatch):
    monkeypatch.delenv("MINICNN_DATA", raising=False)
    train, test = load("mnist", split=["train", "test"], data_dir=tmp_path)
    assert (len(train), len(test)) == (40, 10)
    assert contents(tmp_path) == sorted(os.path.join("mnist", name) for name in files)
    first = next(iter(train))["image"]
    assert first.shape == (28, 28, 1)
    assert first.tobytes() == gzip.decompress(files["train-images-idx3-ubyte.gz"])[16:][: 28 * 28]


def test_another_process_was_faster(server, folder, files, monkeypatch):
    """Windows refuses to replace a file that somebody reads; then that file will do."""
    replace = os.replace

    def refuse(source, target):
        replace(source, target)
        raise PermissionError(13, "being used by another process", str(target))

    monkeypatch.setattr(cache.os, "replace", refuse)
    assert_is_all(mnist.load_data(), files)
    monkeypatch.setattr(cache.os, "replace", lambda source, target: refuse(source, f"{target}.old"))
    (folder / "mnist" / "train-images-idx3-ubyte.gz").unlink()
    with pytest.raises(PermissionError):
        mnist.load_data()


PROGRAM = """
import dataclasses, hashlib, sys
from minicnn.datasets import mnist
from minicnn.datasets.sources import SOURCES, RemoteFile

url, known = sys.argv[1], dict(zip(sys.argv[2::3], zip(sys.argv[3::3], sys.argv[4::3])))
files = tuple(
    RemoteFile(file.name, url + file.name, known[file.name][0], int(known[file.name][1]))
    for file in SOURCES["mnist"].files
)
SOURCES["mnist"] = dataclasses.replace(SOURCES["mnist"], files=files)
for line in sys.stdin:
    (x, y), (x_test, y_test) = mnist.load_data()
    content = b"".join(array.tobytes() for array in (x, y, x_test, y_test))
    print(hashlib.sha256(content).hexdigest(), flush=True)
"""


@pytest.fixture
def start(server, files):
    """Starts processes that load MNIST once for each line they read, and answer with its sum."""
    processes = []

    def start_one():
        arguments = [server.url]
        for name, content in files.items():
            arguments += [name, hashlib.sha256(content).hexdigest(), str(len(content))]
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        command = [sys.executable, "-c", PROGRAM, *arguments]
        processes.append(subprocess.Popen(command, text=True, **pipes))
        return processes[-1]

    yield start_one
    server.go_on.set()
    for process in processes:
        _, errors = process.communicate(timeout=60)
        print(errors)


def ask(process):
    process.stdin.write("go\n")
    process.stdin.flush()


def test_two_processes_at_once(server, start, folder, files):
    """Both fetch every file at the same time, and both get everything."""
    server.misbehave = dict.fromkeys(files, "wait for two")
    offsets = {name: 16 if "images" in name else 8 for name in files}
    whole = b"".join(gzip.decompress(files[name])[offsets[name] :] for name in files)
    expected = hashlib.sha256(whole).hexdigest()
    processes = [start(), start()]
    for rounds in (1, 2, 3):
        for path in (folder / "mnist").glob("*"):
            path.unlink()
        for process in processes:
            ask(process)
        assert [process.stdout.readline().strip() for process in processes] == [expected] * 2
        assert sorted(os.listdir(folder / "mnist")) == sorted(files)
        assert len(server.requests) == 8 * rounds


def test_process_that_is_killed_half_way(server, start, folder, files):
    server.misbehave = {"train-images-idx3-ubyte.gz": "stops half way"}
    process = start()
    ask(process)
    assert server.half_way.wait(timeout=60)
    process.kill()
    process.wait(timeout=60)
    server.go_on.set()
    server.misbehave = {}
    assert not (folder / "mnist" / "train-images-idx3-ubyte.gz").exists()
    assert_is_all(mnist.load_data(), files)
