"""Who imports whom, and what an import costs."""

import ast
import importlib
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

import minicnn

ROOT = Path(minicnn.__file__).parent

# From the ground up. A module may import what stands on a line above its own, and its neighbours on
# the same line; never anything further down. An entry stands for a module and all that is in it.
FLOORS = [
    {"minicnn.registry", "minicnn.shapes", "minicnn.validation"},
    {"minicnn.custom_objects"},
    {"minicnn.configurable"},
    {"minicnn.backends"},
    {"minicnn.backend"},
    {"minicnn.random", "minicnn.variables"},
    {
        "minicnn.activations",
        "minicnn.constraints",
        "minicnn.initializers",
        "minicnn.regularizers",
    },
    {"minicnn.losses", "minicnn.metrics", "minicnn.optimizers", "minicnn.schedules"},
    {"minicnn.callbacks", "minicnn.data", "minicnn.datasets"},
    {"minicnn.preprocessing"},
    {"minicnn.utils"},
    {"minicnn.layers", "minicnn.symbolic"},
    {"minicnn.models"},
    {"minicnn.saving"},
    {"minicnn.exporting"},
    {"minicnn.checking", "minicnn.tracing"},
    {"minicnn.plot"},
]
# These stand beside the house: data and callbacks know nothing of layers, and the other way round.
ASIDE = {"minicnn.callbacks", "minicnn.data", "minicnn.datasets"}
HEAVY = {"PIL", "cupy", "h5py", "matplotlib", "numba", "onnx", "pooch", "rich", "scipy"}


def modules():
    """Every module of the package by name, with its syntax tree."""
    trees = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        trees[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return trees


def statements(body):
    """What runs when the module is imported: no function bodies, no TYPE_CHECKING blocks."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from statements(node.orelse)
            continue
        yield node
        for part in ("body", "orelse", "finalbody", "handlers"):
            yield from statements(getattr(node, part, []))


def imports(name, tree, known, is_package):
    """The modules of the package that importing ``name`` imports."""
    found = set()
    for node in statements(tree.body):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name in known}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = name.split(".") if is_package else name.split(".")[:-1]
                here = here[: len(here) - node.level + 1]
                base = ".".join(here + ([base] if base else []))
            for alias in node.names:
                submodule = f"{base}.{alias.name}"
                found |= {submodule if submodule in known else base} & known
    return found - {name}


def graph():
    trees = modules()
    packages = {
        ".".join(path.relative_to(ROOT.parent).parts[:-1]) for path in ROOT.rglob("__init__.py")
    }
    return {name: imports(name, tree, set(trees), name in packages) for name, tree in trees.items()}


def top(name):
    return ".".join(name.split(".")[:2])


def floor_of(name):
    return next((i for i, names in enumerate(FLOORS) if top(name) in names), None)


def circle(edges):
    """One import circle, as the list of its modules, or None."""
    state, path = {}, []

    def visit(name):
        state[name] = "open"
        path.append(name)
        for other in sorted(edges[name]):
            if state.get(other) == "open":
                return [*path[path.index(other) :], other]
            if other not in state:
                found = visit(other)
                if found:
                    return found
        state[name] = "done"
        path.pop()
        return None

    for name in sorted(edges):
        if name not in state:
            found = visit(name)
            if found:
                return found
    return None


def test_no_import_circles():
    found = circle(graph())
    assert found is None, " -> ".join(found)


def test_every_module_has_its_floor():
    homeless = {top(name) for name in graph() if floor_of(name) is None} - {"minicnn"}
    assert not homeless, f"say in FLOORS where they belong: {homeless}"


def test_imports_point_down():
    wrong = [
        f"{name} imports {other}"
        for name, others in graph().items()
        for other in others
        if floor_of(name) is not None
        and (floor_of(other) is None or floor_of(other) > floor_of(name))
    ]
    assert not wrong, "\n".join(wrong)


def test_what_stands_aside_is_not_imported_by_layers():
    wrong = [
        f"{name} imports {other}"
        for name, others in graph().items()
        for other in others
        if top(name) in {"minicnn.layers", "minicnn.symbolic"} and top(other) in ASIDE
    ]
    assert not wrong, "\n".join(wrong)


def test_graph_sees_circles_and_directions():
    """The checks above, on a small package with every kind of import."""
    trees = {
        "minicnn.a": "import os\nfrom minicnn.b import thing\n",
        "minicnn.b": "try:\n    import minicnn.c\nexcept ImportError:\n    pass\n",
        "minicnn.c": "class C:\n    from . import a\n",
        "minicnn.d": "def f():\n    import minicnn.a\n",
        "minicnn.e": "if TYPE_CHECKING:\n    from minicnn import d\nelse:\n    from . import a\n",
    }
    known = set(trees)
    edges = {name: imports(name, ast.parse(text), known, False) for name, text in trees.items()}
    assert edges == {
        "minicnn.a": {"minicnn.b"},
        "minicnn.b": {"minicnn.c"},
        "minicnn.c": {"minicnn.a"},
        "minicnn.d": set(),
        "minicnn.e": {"minicnn.a"},
    }
    assert circle(edges) == ["minicnn.a", "minicnn.b", "minicnn.c", "minicnn.a"]
    edges["minicnn.c"] = set()
    assert circle(edges) is None


def run(program):
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT.parent,
    ).stdout


@pytest.mark.parametrize(
    "statement",
    [
        "import minicnn",
        "from minicnn import layers, models, losses, metrics, optimizers, schedules",
        "from minicnn import callbacks, data, datasets, plot",
    ],
)
def test_import_brings_nothing_heavy(statement):
    loaded = run(f"{statement}\nimport sys\nprint(*sys.modules)").split()
    assert not HEAVY & set(loaded)


def test_import_time():
    """At most one and a half times that of NumPy, each in a fresh process, medians compared.

    Pairs of measurements alternate, so that a busy machine disturbs both alike; a second and a
    third series decide when the first one looks bad.
    """

    def seconds(module):
        start = f"import time; start = time.perf_counter(); import {module}"
        return float(run(f"{start}; print(time.perf_counter() - start)"))

    seconds("numpy"), seconds("minicnn")  # what the disk has to read, it reads now
    ratios = []
    for _ in range(3):
        pairs = [(seconds("minicnn"), seconds("numpy")) for _ in range(5)]
        ours, theirs = (statistics.median(times) for times in zip(*pairs, strict=True))
        ratios.append(ours / theirs)
        if ratios[-1] <= 1.5:
            return
        time.sleep(1)
    pytest.fail(f"import minicnn took {ratios} times as long as import numpy")


@pytest.mark.parametrize("name", [name for name in minicnn.__all__ if name != "__version__"])
def test_public_names_are_there(name):
    value = getattr(minicnn, name)
    assert value is not None
    if name in minicnn._MODULES:
        assert value is importlib.import_module(f"minicnn.{name}")


def test_unknown_name():
    with pytest.raises(AttributeError, match="module 'minicnn' has no attribute 'layer'"):
        minicnn.layer  # noqa: B018
    assert "layers" in dir(minicnn)


def test_what_keras_has_besides_is_answered_with_what_to_write():
    for ask in (lambda: minicnn.ops, lambda: minicnn.layers.Lambda):
        with pytest.raises(AttributeError, match="write a Layer"):
            ask()
    with pytest.raises(ImportError, match="use Rescaling"):
        from minicnn.layers import Lambda  # noqa: F401
    assert not hasattr(minicnn.layers, "Lambda")
    with pytest.raises(AttributeError, match=r"'minicnn\.layers' has no attribute 'Danse'$"):
        minicnn.layers.Danse  # noqa: B018


@pytest.mark.keras
def test_what_is_said_to_be_in_keras_is_there():
    keras = pytest.importorskip("keras")
    assert all(hasattr(keras, name) for name in minicnn._INSTEAD)
    assert all(hasattr(keras.layers, name) for name in minicnn.layers._INSTEAD)


@pytest.mark.keras
def test_the_backend_says_what_keras_says_of_itself():
    keras = pytest.importorskip("keras")
    assert minicnn.backend.image_data_format() == keras.backend.image_data_format()
    assert type(minicnn.backend.backend()) is type(keras.backend.backend())
    assert minicnn.backend.backend() == minicnn.backend.name()


def test_what_keras_has_elsewhere_is_named():
    for module, name, instead in (
        (minicnn, "config", "minicnn.backend"),
        (minicnn.backend, "get_value", r"float\(optimizer.learning_rate\)"),
        (minicnn.utils, "get_file", "pooch.retrieve"),
    ):
        with pytest.raises(AttributeError, match=f"has no attribute '{name}'; .*{instead}"):
            getattr(module, name)
