"""Configurations that older versions of Keras wrote."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from minicnn.models import load_model, model_from_json
from minicnn.saving import older_config

OLDER = Path(__file__).parent / "keras_files" / "older-2.15.0.h5"
NORMAL = {"scale": 2.0, "mode": "fan_in", "distribution": "normal", "seed": None}
OF_2_2 = {
    "class_name": "Sequential",
    "config": [
        {
            "class_name": "Sequential",
            "config": [
                {
                    "class_name": "Conv2D",
                    "config": {
                        "name": "conv",
                        "trainable": True,
                        "batch_input_shape": [None, 6, 6, 2],
                        "dtype": "float32",
                        "filters": 3,
                        "kernel_size": [3, 3],
                        "activation": "linear",
                        "kernel_initializer": {"class_name": "VarianceScaling", "config": NORMAL},
                        "bias_initializer": {"class_name": "Zeros", "config": {"dtype": "float32"}},
                        "kernel_regularizer": None,
                        "activity_regularizer": None,
                    },
                },
                {"class_name": "LeakyReLU", "config": {"name": "leaky", "alpha": 0.2}},
            ],
        },
        {"class_name": "SpatialDropout2D", "config": {"rate": 0.0, "noise_shape": None}},
        {
            "class_name": "Conv2DTranspose",
            "config": {"filters": 2, "kernel_size": [2, 2], "groups": 1, "output_padding": None},
        },
        {"class_name": "GlobalAveragePooling2D", "config": {}},
        {
            "class_name": "Dense",
            "config": {
                "units": 4,
                "activation": "softmax",
                "kernel_regularizer": {"class_name": "L1L2", "config": {"l1": 0.001, "l2": 0.01}},
                "kernel_constraint": {"class_name": "MaxNorm", "config": {"max_value": 2}},
            },
        },
    ],
}
TOLD_2_2 = {
    "optimizer_config": {
        "class_name": "Adam",
        "config": {"lr": 0.01, "beta_1": 0.9, "decay": 0.5, "epsilon": None, "amsgrad": False},
    },
    "loss": "sparse_categorical_crossentropy",
    "metrics": ["accuracy"],
    "sample_weight_mode": None,
    "loss_weights": None,
}


def test_keras_2_2(tmp_path):
    """Chains as lists without input layers, initializers by their old names, ``lr``."""
    path = tmp_path / "m.h5"
    path.write_bytes(OLDER.read_bytes())
    with h5py.File(path, "a") as file:
        file.attrs["model_config"] = json.dumps(OF_2_2).encode()
        file.attrs["training_config"] = json.dumps(TOLD_2_2).encode()
        file.attrs["keras_version"] = b"2.2.4"
    model, numbers = load_model(path), np.load(OLDER.with_suffix(".npz"))
    assert np.abs(model.predict(numbers["x"], verbose=0) - numbers["predictions"]).max() < 1e-6
    conv = model.layers[0].layers[0]
    assert conv.kernel_initializer.distribution == "truncated_normal"
    assert model.layers[-1].kernel_regularizer.l1 == 0.001
    assert model.layers[-1].kernel_constraint.max_value == 2
    assert model.optimizer.epsilon == 1e-7
    assert model.optimizer.iterations == 1
    assert float(model.optimizer.learning_rate) == pytest.approx(0.01 / (1 + 0.5))
    assert list(model.train_on_batch(numbers["x"], numbers["y"], return_dict=True)) == [
        "accuracy",
        "loss",
    ]


def entry(kind, name, *nodes, **config):
    return {
        "class_name": kind,
        "config": {"name": name, **config},
        "name": name,
        "inbound_nodes": [[[*one, {}] for one in node] for node in nodes],
    }


def network(kind, *layers, outputs):
    shape = [None, 4]
    first = entry("InputLayer", "x", batch_input_shape=shape, sparse=False, ragged=False)
    ends = {"input_layers": [["x", 0, 0]], "output_layers": outputs}
    return {"class_name": kind, "config": {"name": "net", "layers": [first, *layers], **ends}}


@pytest.mark.parametrize("kind", ["Model", "Functional"])
@pytest.mark.parametrize("start", [0, 1])
def test_calls_of_a_model_inside_count_from_0_or_from_1(kind, start, rng):
    """Keras 2 counted from 1, but for chains whose input it did not know."""
    inner = network(kind, entry("Dense", "d", [["x", 0, 0]], units=4), outputs=[["d", 0, 0]])
    twice = {**inner, **entry("", "inner", [["x", 0, 0]], [["inner", start, 0]])}
    twice |= {"class_name": kind, "config": {**inner["config"], "name": "inner"}}
    chain = entry("Sequential", "chain", [["inner", start, 0]], [["inner", start + 1, 0]])
    chain["config"]["layers"] = [{"class_name": "ReLU", "config": {"name": "r"}}]
    add = entry("Add", "add", [["chain", start, 0], ["chain", start + 1, 0]])
    ends = [["add", 0, 0], ["inner", start + 1, 0], ["chain", start, 0]]
    data = network(kind, twice, chain, add, outputs=ends)
    model = model_from_json(json.dumps(older_config.layer(data)))
    x = rng.normal(size=(5, 4)).astype(np.float32)
    W = model.weights[0].numpy()
    expected = [np.maximum(x @ W, 0) + np.maximum(x @ W @ W, 0), x @ W @ W, np.maximum(x @ W, 0)]
    for y, wanted in zip(model.predict(x, verbose=0), expected, strict=True):
        assert np.abs(y - wanted).max() < 1e-5
    again = model_from_json(model.to_json())
    assert older_config.layer(again.get_config()) == again.get_config()


def test_what_compile_was_told():
    wrapper = {"class_name": "MeanMetricWrapper", "config": {"name": "a_acc", "fn": "mae"}}
    loss = {"reduction": "auto", "name": "huber", "delta": 2.0, "fn": "huber"}
    schedule = {"class_name": "ExponentialDecay", "config": {"decay_steps": 3, "name": None}}
    made = older_config.compile_config(
        {
            "optimizer_config": {
                "class_name": "Custom>SGD",
                "config": {"learning_rate": schedule, "is_legacy_optimizer": False},
            },
            "loss": {"a": {"class_name": "Huber", "config": loss}, "b": None},
            "metrics": [[wrapper], ["mse"]],
        },
        ["a", "b"],
    )
    assert made["optimizer"]["class_name"] == "SGD"
    rate = made["optimizer"]["config"]["learning_rate"]
    assert (rate["module"], rate["config"]) == ("keras.optimizers.schedules", {"decay_steps": 3})
    assert made["loss"]["a"]["config"] == {
        "reduction": "sum_over_batch_size",
        "name": "huber",
        "delta": 2.0,
    }
    assert made["loss"]["b"] is None
    assert made["metrics"][0][0]["config"]["name"] == "acc"
    assert made["metrics"][0][0]["config"]["fn"]["config"] == "mae"
    assert made["metrics"][1] == ["mse"]


@pytest.mark.parametrize("data", [None, 3, "x", [], [1], {}, {"class_name": 3}, {"config": []}])
def test_what_is_not_understood_stays(data):
    assert older_config.layer(data) == data
    assert older_config.outputs(data) == []
    told = {"loss": data, "optimizer_config": data, "metrics": [data, [data]]}
    told = older_config.compile_config(told, ["a", "b"])
    assert told["optimizer"] == data
    assert told["metrics"] == [data, [data]]
