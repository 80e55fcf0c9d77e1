"""Whole models in ``.h5`` files that are broken, or want what they must not have."""

import copy
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from hostile_files import changed, good_config, layer, refused, watched
from test_saving_hostile_config import FUNCTIONS, PLACES, SPECIAL, placed
from test_saving_hostile_hdf5 import LINKS

from minicnn.models import load_model, model_from_json
from minicnn.optimizers import Adam

OLDER = Path(__file__).parent / "keras_files" / "older-2.15.0.h5"
KERNEL = "model_weights/conv/conv/kernel"
GOOD = [("activation", "Dense"), ("optimizer", "Adam")]


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """The bytes of a good file."""
    path = tmp_path_factory.mktemp("good") / "m.h5"
    model = model_from_json(json.dumps(good_config(compiled=False)))
    adam = Adam(name="adam")
    model.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(np.zeros((4, 6, 6, 2), np.float32), np.zeros(4, int), verbose=0)
    with pytest.warns(UserWarning, match="legacy"):
        model.save(path)
    return path.read_bytes()


@pytest.fixture
def path(good, tmp_path):
    path = tmp_path / "m.h5"
    path.write_bytes(good)
    with watched(tmp_path):
        load_model(path)
    return str(path)


def spoiled(path, spoil):
    with h5py.File(path, "a") as file:
        spoil(file)
    return path


def with_texts(path, **texts):
    """Attributes of the file exchanged, or taken away."""

    def spoil(file):
        for name, text in texts.items():
            del file.attrs[name]
            if text is not None:
                file.attrs[name] = text if isinstance(text, (bytes, str)) else json.dumps(text)

    return spoiled(path, spoil)


def with_config(path, config):
    """The config of a ``.keras`` file in the two attributes that an ``.h5`` file has instead."""
    config = copy.deepcopy(config)
    told = config.pop("compile_config")
    told["optimizer_config"] = told.pop("optimizer", None)
    return with_texts(path, model_config=config, training_config=told)


def nameless(data):
    """As before Keras 3: no class with its module."""
    if isinstance(data, dict):
        return {key: nameless(value) for key, value in data.items() if key != "module"}
    return [nameless(part) for part in data] if isinstance(data, list) else data


# -- configurations ---------------------------------------------------------------------------


def test_the_good_configuration_is_good(path):
    assert load_model(with_config(path, nameless(good_config()))).layers[1].name == "conv"


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("module", "name"), FUNCTIONS)
@pytest.mark.parametrize("strip", [nameless, lambda config: config])
def test_functions_of_others(path, place, module, name, strip):
    things = [
        {"module": module, "class_name": "function", "config": f"{module}.{name}"},
        {"module": module, "class_name": f"{module}>{name}", "config": {"args": ["touch x"]}},
    ]
    if name != "Dense":
        things.append({"module": module, "class_name": name, "config": {"args": ["touch x"]}})
    for thing in things:
        refused(with_config(path, strip(placed(place, thing))))


# Where the module is all that is wrong, nothing is wrong without it.
STRANGERS = [
    (place, thing)
    for place in PLACES
    for thing in map(nameless, SPECIAL)
    if place != "layer" and (place, thing["class_name"]) not in GOOD
]


@pytest.mark.parametrize(("place", "thing"), STRANGERS)
def test_classes_that_there_are_not(path, place, thing):
    refused(with_config(path, nameless(placed(place, thing))))


@pytest.mark.parametrize(
    "function",
    [
        ["4wEAAAA=", None, None],
        {"class_name": "__lambda__", "config": {"code": "4wEAAAA="}},
        "eval",
    ],
)
def test_code(path, function):
    config = good_config()
    layer(config["config"]["layers"], "relu").update(
        {"class_name": "Lambda", "config": {"name": "relu", "function": function}}
    )
    refused(with_config(path, nameless(config)), "no 'Lambda'")


@pytest.mark.parametrize(
    "text",
    [
        b"", b"null", b"[]", b"3", b'"x"', b"{", b"{}", b"\xff\xfe", b"[" * 9999,
        b'{"a": 1, "a": 2}',
        b'{"class_name": 3}', b'{"class_name": "Dense", "config": {"units": 3}}',
        b'{"class_name": "Sequential"}', b'{"class_name": "Sequential", "config": 3}',
        b'{"class_name": "Sequential", "config": [3]}',
        b'{"class_name": "Sequential", "config": {"layers": [[]]}}',
        b'{"class_name": "Sequential", "config": {"layers": [{"config": {"layers": [{}]}}]}}',
        b'{"class_name": "Model", "config": {"layers": [], "input_layers": 3, "output_layers": 3}}',
        b'{"class_name": "Model", "config": {"layers": [3, {"class_name": "ReLU", "config": [],'
        b'"name": [], "inbound_nodes": [[["x", 0, 0]]]}], "input_layers": 3, "output_layers":'
        b'[["x", 0, 0]]}}',
        None, np.zeros(3), [b"{}", b"{}"],
    ],
    ids=str,
)  # fmt: skip
def test_texts_that_describe_no_model(path, text):
    with h5py.File(path, "a") as file:
        del file.attrs["model_config"]
        if text is not None:
            file.attrs["model_config"] = text
    refused(path)


@pytest.mark.parametrize(
    "text", [b"3", b'"x"', b"{}x", b"\xff\xfe", b'{"x": 3}', b'{"optimizer_config": 3}']
)
def test_texts_that_describe_no_training(path, text):
    refused(with_texts(path, training_config=text))
    load_model(path, compile=False)


NODES = [
    [[["x", 0, 0, {}, 1]]],
    [[["x", 0, 0, 3]]],
    [[["x", 0]]],
    [[["x", "0", 0]]],
    [[["x", -1, 0]]],
    [[["x", 10**30, 0]]],
    [[["nowhere", 0, 0]]],
    [[["relu", 0, 0]]],
    [[["x", 0, 9]]],
    [[[["x", 0, 0]]]],
    [[]],
    [["x", 0, 0]],
    [[["norm", 0, 0, {"training": True}]]],
    [[["norm", 0, 0, {"mask": ["x", 0, 0]}]]],
    [[["norm", 0, 0, {"file": "/etc/passwd"}]]],
    [[["x", 0, 0]], 3],
    3,
    None,
    "x",
]


@pytest.mark.parametrize("number", range(len(NODES)))
def test_old_calls_that_cannot_be(path, number):
    keys = ("config", "layers", "relu", "inbound_nodes")
    refused(with_config(path, nameless(changed(good_config(), keys, NODES[number]))))


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (("dense", "config", "units"), 10**9, "not enough numbers"),
        (("dense", "config", "units"), 2**62, None),
        (("x", "config"), {"name": "x", "batch_input_shape": [None, 2**62, 2**62, 2]}, None),
        (("x", "config"), {"name": "x", "batch_input_shape": "x"}, None),
        (("norm", "config", "axis"), [[3]], None),
        (("norm", "config", "axis"), [1, 2], None),
        (("relu", "config", "alpha"), 3, "unknown argument"),
        (("drop", "config", "dtype"), {"class_name": "Policy", "config": []}, "dtype"),
        (("conv", "config", "kernel_initializer"), {"class_name": "Zeros", "config": 3}, None),
    ],
)
def test_values_that_cannot_be(path, keys, value, message):
    config = changed(good_config(), ("config", "layers", *keys), value)
    refused(with_config(path, nameless(config)), message)


# -- weights ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LINKS)
@pytest.mark.parametrize("place", [KERNEL, "model_weights/conv", "optimizer_weights"])
def test_links(path, place, name):
    def spoil(file):
        del file[place]
        file[place] = LINKS[name]

    refused(spoiled(path, spoil), "link to elsewhere")


def test_numbers_in_another_file(path):
    def spoil(file):
        del file[KERNEL]
        file.create_dataset(KERNEL, (3, 3, 2, 4), "f4", external=[(__file__, 0, 288)])

    refused(spoiled(path, spoil), "in another file")


@pytest.mark.parametrize(
    ("group", "name", "value", "message"),
    [
        ("model_weights", "layer_names", ["conv"], "weights for 1 layers"),
        ("model_weights", "layer_names", ["../../conv", "norm", "dense"], "weights for 2 layers"),
        ("model_weights", "layer_names", 3, "no model_config|no list of texts"),
        ("model_weights/conv", "weight_names", ["conv/kernel", "conv/nothing"], "not there"),
        ("model_weights/conv", "weight_names", ["conv/kernel"], "weights of the shapes"),
        ("model_weights/conv", "weight_names", ["conv/bias", "conv/kernel"], "of the shapes"),
        ("model_weights/conv", "weight_names", ["conv/kernel"] * 99, "weights of the shapes"),
        ("optimizer_weights", "weight_names", ["adam"], "not there"),
        ("optimizer_weights", "weight_names", ["adam/learning_rate"], "kind"),
        ("optimizer_weights", "weight_names", ["adam/momentum_0"], "expected a number"),
    ],
)
def test_names_that_lead_astray(path, group, name, value, message):
    refused(spoiled(path, lambda file: file[group].attrs.__setitem__(name, value)), message)


def test_cut_off(path, good):
    for length in range(0, len(good) - 1, len(good) // 17):
        Path(path).write_bytes(good[:length])
        refused(path)


def test_heaps_that_lie_in_each_other(tmp_path):
    """Each text says that its heap is all that is left of the file."""
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        for i in range(40):
            file.create_group(f"g{i}").attrs["name"] = "x" * 100_000
    data = path.read_bytes()
    place = -1
    while (place := data.find(b"GCOL", place + 1)) >= 0:
        data = data[: place + 8] + (len(data) - place).to_bytes(8, "little") + data[place + 16 :]
    path.write_bytes(data)
    refused(str(path), "expected at most")
