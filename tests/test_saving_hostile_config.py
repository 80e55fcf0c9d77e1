"""Configurations that name what there is not, or describe what cannot be."""

import copy
import json

import pytest
from hostile_files import changed, good_config, hdf5_bytes, keras_file, layer, refused

from minicnn.models import load_model

LAYERS = ("config", "layers")
CONFIG = good_config()


@pytest.fixture
def path(tmp_path):
    load_model(keras_file(tmp_path / "warm.keras"))
    (tmp_path / "warm.keras").unlink()
    return str(tmp_path / "m.keras")


def spoiled(path, config, weights=None):
    return keras_file(path, json.dumps(config), weights)


# -- classes and functions --------------------------------------------------------------------

FUNCTIONS = [
    ("os", "system"),
    ("posix", "system"),
    ("subprocess", "Popen"),
    ("builtins", "eval"),
    ("builtins", "exec"),
    ("builtins", "__import__"),
    ("keras.utils", "get_file"),
    ("keras.config", "enable_unsafe_deserialization"),
    ("keras.saving", "load_model"),
    ("minicnn.saving", "load_model"),
    ("minicnn.saving.files", "save_model"),
    ("keras.layers", "Dense"),
]
PLACES = {
    "layer": None,
    "activation": (*LAYERS, "dense", "config", "activation"),
    "initializer": (*LAYERS, "dense", "config", "kernel_initializer"),
    "regularizer": (*LAYERS, "dense", "config", "kernel_regularizer"),
    "constraint": (*LAYERS, "dense", "config", "kernel_constraint"),
    "units": (*LAYERS, "dense", "config", "units"),
    "loss": ("compile_config", "loss"),
    "metric": ("compile_config", "metrics", 0),
    "weighted metric": ("compile_config", "weighted_metrics"),
    "optimizer": ("compile_config", "optimizer"),
    "learning rate": ("compile_config", "optimizer", "config", "learning_rate"),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("module", "name"), FUNCTIONS)
def test_functions_of_others(path, place, module, name):
    for thing in (
        {"module": module, "class_name": "function", "config": name, "registered_name": name},
        {
            "module": module,
            "class_name": name,
            "config": {"args": ["touch x"]},
            "registered_name": None,
        },
        {"module": module, "class_name": name, "config": ["touch x"], "registered_name": None},
    ):
        refused(spoiled(path, placed(place, thing)))


def placed(place, thing):
    if PLACES[place] is not None:
        return changed(CONFIG, PLACES[place], thing)
    config = copy.deepcopy(CONFIG)
    layer(config["config"]["layers"], "dense").update(thing)
    return config


SPECIAL = [
    {"class_name": "__lambda__", "config": {"value": ["4wAAAAA=", None, None]}},
    {"class_name": "__tensor__", "config": {"value": [1.0], "dtype": "float32"}},
    {"class_name": "__numpy__", "config": {"value": [1.0], "dtype": "object"}},
    {"class_name": "__typespec__", "spec_name": "Popen", "module": "subprocess", "config": []},
    {"class_name": "__bytes__", "config": {"value": "x"}},
    {"class_name": "__slice__", "config": {"start": 0, "stop": 1, "step": 1}},
    *(
        {"module": "keras.layers", "class_name": name, "config": {"name": "dense"}}
        for name in (
            "Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "StringLookup",
            "Layer", "__class__", "Dense.__init__.__globals__", "dense", "Dense ", "KernelLayer",
        )
    ),
    {"module": None, "class_name": "Dense", "config": {"units": 3, "name": "dense"}},
    {"class_name": "Dense", "config": {"units": 3, "name": "dense"}},
    {"module": ["keras.layers"], "class_name": "Dense", "config": {"units": 3}},
    {"module": "keras.optimizers", "class_name": "Dense", "config": {"units": 3}},
    {"module": "keras.layers", "class_name": "Adam", "config": {}},
    {"module": "keras.layers", "class_name": ["Dense"], "config": {"units": 3}},
    {"module": "keras.layers", "class_name": {"a": 1}, "config": {"units": 3}},
    {"module": "keras.layers", "class_name": None, "config": {"units": 3}},
    {
        "module": "keras.layers",
        "class_name": "Dense",
        "config": {"units": 3},
        "registered_name": "pkg>X",
    },
    {"module": "keras.layers", "class_name": "Dense", "config": {"units": 3}, "registered_name": 3},
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("number", range(len(SPECIAL)))
def test_classes_that_there_are_not(path, place, number):
    thing = {"registered_name": None, **SPECIAL[number]}
    if place == "layer" and "module" not in SPECIAL[number]:
        config = placed(place, thing)
        del layer(config["config"]["layers"], "dense")["module"]
        refused(spoiled(path, config))
    else:
        refused(spoiled(path, placed(place, thing)))


@pytest.mark.parametrize(
    "place", ["activation", "initializer", "regularizer", "loss", "metric", "optimizer"]
)
@pytest.mark.parametrize(
    "value", ["__import__", "os.system", "eval", "", "\0", 3, True, ["relu"], {}, {"a": 1}]
)
def test_values_where_names_belong(path, place, value):
    if place == "optimizer" and value in ("", {}):
        value = 3.5
    if place in ("metric", "loss") and value in (["relu"], {}, {"a": 1}):
        value = {"no such output": "mse"}
    refused(spoiled(path, changed(CONFIG, PLACES[place], value)))


def test_the_model_itself(path):
    for key, value in [("class_name", "Dense"), ("module", None), ("config", {}), ("config", None)]:
        refused(spoiled(path, changed(CONFIG, (key,), value)))
    refused(spoiled(path, layer(CONFIG["config"]["layers"], "dense")))


@pytest.mark.parametrize(
    "key", ["__class__", "_weights", "add_weight", "units ", "", "input_shape", "kwargs"]
)
def test_arguments_that_there_are_not(path, key):
    keys = (*LAYERS, "dense", "config", key)
    refused(spoiled(path, changed(CONFIG, keys, [1])), "unknown argument")
    refused(spoiled(path, changed(CONFIG, ("compile_config", key), [1])), "compile_config")
    keys = ("compile_config", "optimizer", "config", key)
    refused(spoiled(path, changed(CONFIG, keys, [1])), "unknown argument")


@pytest.mark.parametrize("depth", [50, 10_000])
def test_activations_in_activations(path, depth):
    inner = json.dumps("relu")
    start = '{"module": "keras.layers", "class_name": "Activation", "config": {"activation": '
    nested = start * depth + inner + '}, "registered_name": null}' * depth
    text = json.dumps(changed(CONFIG, PLACES["activation"], "PLACE"))
    text = text.replace('"PLACE"', nested)
    if depth > 100:
        refused(keras_file(path, text), "nested deeper")
    else:
        load_model(keras_file(path, text))


# -- values -----------------------------------------------------------------------------------

VALUES = [
    *(("conv", "filters", v) for v in (0, -1, True, 3.0, "4", 2**31, 2**100, None, [4])),
    *(("conv", "kernel_size", v) for v in ([10**9, 10**9], 0, [3], [3, 3, 3], "3", None, 10**30)),
    *(("conv", "strides", v) for v in (0, [0, 1], -1, [1.5, 1])),
    *(("conv", "dilation_rate", v) for v in (0, -1, "x")),
    *(("conv", "groups", v) for v in (0, 3, True)),
    *(("conv", "padding", v) for v in ("sames", 3, None)),
    *(("conv", "use_bias", v) for v in (0, "no", None)),
    *(("conv", "trainable", v) for v in (0, "no", None)),
    *(("conv", "data_format", v) for v in ("channels_first", 3)),
    *(
        ("conv", "dtype", v)
        for v in ("object", "int8_from_float32", "float8", "U10", 3, {}, "int32")
    ),
    *(("pool", "pool_size", v) for v in (0, [0, 0], -2, 100, 10**9)),
    *(("pool", "strides", v) for v in (0, -2)),
    *(("drop", "rate", v) for v in (-1, 1.5, "x", None, True, 10**400)),
    *(("drop", "seed", v) for v in (-1, 1.5, "x", {})),
    *(("drop", "noise_shape", v) for v in ([1], [7, 7, 7, 7], "x", [-1, 1, 1, 1])),
    *(("norm", "epsilon", v) for v in (-1, "x", None)),
    *(("norm", "axis", v) for v in (9, -9, 0, "x", None, [1])),
    *(("norm", "momentum", v) for v in (-1, 2, "x")),
    *(("dense", "units", v) for v in (10**9, 2**62, 4, 2)),
    *(
        ("reshape", "target_shape", v)
        for v in ([17], [-1, -1], [0], [-2], 16, "x", [16.0], [2**40])
    ),
    *(
        ("x", "batch_shape", v)
        for v in ([-1, 6, 6, 2], [None, 10**12, 6, 2], [None, 6, 6], [0, 6, 6, 2])
    ),
    *(
        ("x", "batch_shape", v)
        for v in ("x", None, [None, 6.0, 6, 2], [[6], 6, 6, 2], [None, 2**62, 2**62, 2])
    ),
    *(("relu", "negative_slope", v) for v in (-1, "x", None)),
    *(("relu", "max_value", v) for v in (-1, "x", [1])),
]


@pytest.mark.parametrize("number", range(len(VALUES)))
def test_values_that_cannot_be(path, number):
    name, key, value = VALUES[number]
    refused(spoiled(path, changed(CONFIG, (*LAYERS, name, "config", key), value)))


@pytest.mark.parametrize("rate", [-1, "x", [0.1], True, None, 1e400])
def test_learning_rates_that_cannot_be(path, rate):
    text = json.dumps(changed(CONFIG, PLACES["learning rate"], rate)).replace("Infinity", "1e400")
    refused(keras_file(path, text))


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("ZeroPadding2D", {"padding": 10**9}),
        ("UpSampling2D", {"size": 10**9}),
        ("Resizing", {"height": 2**31, "width": 2**31}),
        ("Conv2DTranspose", {"filters": 1, "kernel_size": 1, "strides": 10**9}),
        ("Dense", {"units": 2**31}),
        ("Conv2D", {"filters": 1, "kernel_size": [1, 2**20]}),
        ("PReLU", {}),
    ],
)
def test_layers_that_blow_up(path, name, config):
    """With weights that the file does not have, or outputs that no computer holds."""
    config = {
        "module": "keras",
        "class_name": "Sequential",
        "config": {
            "layers": [
                {
                    "module": "keras.layers",
                    "class_name": "InputLayer",
                    "config": {"batch_shape": [None, 60_000, 60_000, 1]},
                },
                {"module": "keras.layers", "class_name": name, "config": config},
            ]
        },
    }
    refused(spoiled(path, config))


# -- the graph --------------------------------------------------------------------------------


def node(*histories, shape=(None, 4, 4, 4)):
    tensors = [
        {
            "class_name": "__keras_tensor__",
            "config": {"shape": list(shape), "dtype": "float32", "keras_history": list(history)},
        }
        for history in histories
    ]
    return [{"args": [tensors] if len(tensors) > 1 else tensors, "kwargs": {}}]


RELU = (*LAYERS, "relu", "inbound_nodes")


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (RELU, node(["add", 0, 0]), "circle"),
        (RELU, node(["relu", 0, 0]), "circle"),
        (RELU, node(["nowhere", 0, 0]), "there is none"),
        (RELU, node(["drop", -1, 0]), "keras_history"),
        (RELU, node(["drop", 99, 0]), "there is none"),
        (RELU, node(["drop", 0, 5]), "no output 5"),
        (RELU, node(["drop", 0, True]), "keras_history"),
        (RELU, node(["drop", 0]), "keras_history"),
        (RELU, node(["drop", 0, 0], shape=(None, 4, 4, 5)), "said to have shape"),
        (RELU, node(["drop", 0, 0], shape=(None, 4, 4)), "said to have shape"),
        (RELU, node(["drop", 0, 0], shape=("x",)), "shape"),
        (RELU, [], "there is none"),
        (RELU, None, "inbound_nodes"),
        (RELU, [3], "inbound_nodes"),
        (RELU, [{"args": [], "kwargs": {}}], "one argument"),
        (RELU, [{"args": ["/etc/passwd"], "kwargs": {}}], "tensors only"),
        (RELU, [{"args": [{"file": "/etc/passwd"}], "kwargs": {}}], "tensors only"),
        (RELU, [{"args": [{"x": node(["drop", 0, 0])[0]["args"][0]}], "kwargs": {}}], "a dict"),
        (RELU, [{"args": [3.5], "kwargs": {}}], "tensors only"),
        (RELU, [{"args": node(["drop", 0, 0])[0]["args"] * 2, "kwargs": {}}], "one argument"),
        ((*RELU, 0, "kwargs"), {"training": True}, "training"),
        ((*RELU, 0, "kwargs"), {"mask": "/etc/passwd"}, "mask"),
        ((*RELU, 0, "kwargs"), {"mask": {"x": None, "y": "/etc/passwd"}}, "mask"),
        ((*RELU, 0, "kwargs"), {"file": "/etc/passwd"}, "file"),
        ((*RELU, 0, "kwargs"), [1], "kwargs"),
        ((*RELU, 0, "kwargs"), None, "kwargs"),
        ((*LAYERS, "add", "inbound_nodes"), node(["norm", 0, 0]), "expected a list"),
        ((*LAYERS, "relu", "name"), "other", "beside it"),
        ((*LAYERS, "relu", "config", "name"), "norm", "beside it|named"),
        (("config", "input_layers"), ["relu", 0, 0], "not among inputs"),
        (("config", "input_layers"), ["nowhere", 0, 0], "no output"),
        (("config", "input_layers"), [], "input_layers"),
        (("config", "output_layers"), ["dense", 1, 0], "no output"),
        (("config", "output_layers"), ["dense", 0, 1], "no output"),
        (("config", "output_layers"), "dense", "output_layers"),
        (("config", "output_layers"), {}, "output_layers"),
        (("config", "output_layers"), {"a": "dense"}, "output_layers"),
        (("config", "output_layers"), {"a\0": ["dense", 0, 0]}, "printable"),
        (("config", "output_layers"), {"a": ["dense", 9, 0]}, "no output"),
        (("config", "output_layers"), KeyError, "output_layers"),
        (("config", "layers"), [], None),
        (("config", "layers"), {}, "list of layers"),
        (("config", "layers"), [3], "layer"),
        (("config", "trainable"), 3, "trainable"),
        (("config", "something"), 3, "something"),
    ],
)
def test_graphs_that_cannot_be(path, keys, value, message):
    refused(spoiled(path, changed(CONFIG, keys, value)), message)


def test_strange_but_not_wrong(path):
    """Calls of which nobody takes the output."""
    load_model(spoiled(path, changed(CONFIG, RELU, node(["drop", 0, 0]) * 3)))


def test_an_output_that_hangs_on_nothing(path):
    config = copy.deepcopy(CONFIG)
    config["config"]["layers"].append(
        {
            "module": "keras.layers",
            "class_name": "InputLayer",
            "config": {"batch_shape": [None, 3], "name": "lost"},
            "name": "lost",
            "inbound_nodes": [],
        }
    )
    config["config"]["output_layers"] = ["lost", 0, 0]
    refused(spoiled(path, config), "not among inputs")


def chain_of(count, make, path):
    entries = [
        {
            "module": "keras.layers",
            "class_name": "InputLayer",
            "config": {"batch_shape": [None, 2], "name": "l0"},
            "name": "l0",
            "inbound_nodes": [],
        }
    ]
    entries += [make(i) for i in range(1, count + 1)]
    config = {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": {
            "name": "chain",
            "layers": entries,
            "input_layers": ["l0", 0, 0],
            "output_layers": [f"l{count}", 0, 0],
        },
    }
    return keras_file(path, config, hdf5_bytes({}))


def test_fifty_doublings(path):
    def double(i):
        before = [f"l{i - 1}", 0, 0]
        return {
            "module": "keras.layers",
            "class_name": "Concatenate",
            "config": {"name": f"l{i}"},
            "name": f"l{i}",
            "inbound_nodes": node(before, before, shape=(None, 2**i)),
        }

    refused(chain_of(50, double, path), "no array can have the shape")


def test_models_in_models_that_are_called_by_the_billion(path):
    def wrapped(inner, level):
        before = ["in", 0, 0]
        calls = node(before, shape=(None, 2)) + node([f"m{level}", 0, 0], shape=(None, 2))
        entry = {
            "module": "keras.layers",
            "class_name": "InputLayer",
            "config": {"batch_shape": [None, 2], "name": "in"},
            "name": "in",
            "inbound_nodes": [],
        }
        first = 1 if inner["class_name"] == "Functional" else 0
        return {
            "module": "keras.src.models.functional",
            "class_name": "Functional",
            "config": {
                "name": f"m{level + 1}",
                "layers": [entry, {**inner, "name": f"m{level}", "inbound_nodes": calls}],
                "input_layers": before,
                "output_layers": [f"m{level}", 1 + first, 0],
            },
        }

    def tower(height):
        model = {"module": "keras.layers", "class_name": "ReLU", "config": {"name": "m0"}}
        for level in range(height):
            model = wrapped(model, level)
        return keras_file(path, model, hdf5_bytes({}))

    load_model(tower(8))
    refused(tower(40), "calls of layers")


def test_a_chain_of_5000_layers_works(path):
    def relu(i):
        return {
            "module": "keras.layers",
            "class_name": "ReLU",
            "config": {"name": f"l{i}"},
            "name": f"l{i}",
            "inbound_nodes": node([f"l{i - 1}", 0, 0], shape=(None, 2)),
        }

    assert len(load_model(chain_of(5000, relu, path)).layers) == 5001
