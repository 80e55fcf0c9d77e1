"""Exported models run in onnxruntime and predict the same."""

import builtins
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from layer_cases import CASES, RANDOM_CASES
from test_models_residual import residual_network

import minicnn
from benchmarks import course
from minicnn import Input, Model, Sequential, activations, layers

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

EXAMPLES = Path(__file__).parents[1] / "examples"


def session(path):
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    return runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run(path, model, xs):
    names = [tensor.name for tensor in model.inputs]
    return session(path).run(None, dict(zip(names, xs, strict=True)))


def unusual(model, rng):
    """Weights and statistics as after a training: nothing is 0 or 1."""
    model.set_weights(
        [np.abs(w + 0.2 * rng.normal(size=w.shape)) + 0.01 for w in model.get_weights()]
    )
    return model


def check(model, xs, path, **options):
    model.export(path, **options)
    onnx.checker.check_model(str(path), full_check=True)
    predicted = model.predict_on_batch(xs if len(xs) > 1 else xs[0])
    expected = predicted if isinstance(predicted, list) else [predicted]
    made = run(path, model, xs)
    assert len(made) == len(expected)
    for a, b in zip(made, expected, strict=True):
        assert a.shape == b.shape
        assert np.abs(a - b).max() < 1e-5 * max(1, np.abs(b).max())


def random_inputs(shapes, rng, batch=None):
    return [rng.normal(size=(batch or shape[0], *shape[1:])).astype(np.float32) for shape in shapes]


ALL = {**CASES, **RANDOM_CASES}
NEED_SIZES = {
    "flatten", "reshape", "batch norm axis", "layer norm axes", "layer norm inner axis", "prelu",
    "dropout shared", "alpha dropout shared", "normalization axes",
    "resizing larger", "resizing smaller", "resizing nearest",
    "resizing cropped", "resizing padded", "center crop", "center crop of less", "random crop",
}  # fmt: skip
IMAGES = [name for name, case in ALL.items() if all(len(shape) == 4 for shape in case.shapes)]


def check_layer(case, shapes, rng, path):
    inputs = [Input(shape) for shape in shapes]
    y = case.make(minicnn)(inputs if isinstance(case.shape, list) else inputs[0])
    model = unusual(Model(inputs, y), rng)
    for batch in (None, 1):  # any number of samples
        check(model, random_inputs(case.shapes, rng, batch), path)


@pytest.mark.parametrize("name", ALL)
def test_every_layer(name, rng, tmp_path):
    case = ALL[name]
    check_layer(case, [shape[1:] for shape in case.shapes], rng, tmp_path / "m.onnx")


@pytest.mark.parametrize("name", sorted(set(IMAGES) - NEED_SIZES))
def test_every_layer_on_images_of_any_size(name, rng, tmp_path):
    case = ALL[name]
    shapes = [(None, None, shape[-1]) for shape in case.shapes]
    check_layer(case, shapes, rng, tmp_path / "m.onnx")


@pytest.mark.parametrize("name", sorted(set(activations._TABLE)))
def test_every_activation(name, rng, tmp_path):
    x = Input((7, 5, 3))
    model = Model(x, layers.Conv2D(4, 2, activation=name)(x))
    check(model, random_inputs([(2, 7, 5, 3)], rng), tmp_path / "m.onnx")


@pytest.mark.parametrize(
    "activation",
    [
        activations.ReLU(0.1, 1.5, 0.2),
        activations.ReLU(0.0, None, 0.3),
        activations.GELU(True),
        activations.ELU(0.4),
        activations.Softmax((1, 2)),
        activations.LogSoftmax((1, 3)),
        layers.LeakyReLU(0.25),
    ],
    ids=str,
)
def test_activations_with_arguments(activation, rng, tmp_path):
    x = Input((7, 5, 3))
    model = Model(x, layers.Activation(activation)(x))
    check(model, random_inputs([(2, 7, 5, 3)], rng), tmp_path / "m.onnx")


def normalized(*first):
    return [*first, layers.BatchNormalization(), layers.ReLU()]


CHAINS = {
    "convolutions": lambda: [
        *normalized(layers.Conv2D(4, 3, padding="same")),
        *normalized(layers.Conv2D(6, 3, groups=2, use_bias=False)),
        *normalized(layers.DepthwiseConv2D(2, depth_multiplier=2)),
        *normalized(layers.SeparableConv2D(4, 2, use_bias=False)),
        *normalized(layers.Conv2DTranspose(3, 2, strides=2)),
        layers.Flatten(),
        *normalized(layers.Dense(5)),
        layers.Dense(3, activation="softmax"),
    ],
    "not after an activation": lambda: [
        layers.Conv2D(4, 3, activation="relu"),
        layers.BatchNormalization(),
        layers.BatchNormalization(),
    ],
}


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("fold", [True, False])
def test_folded_and_kept(name, fold, rng, tmp_path):
    model = unusual(Sequential([Input((9, 8, 2)), *CHAINS[name]()]), rng)
    check(model, random_inputs([(3, 9, 8, 2)], rng), tmp_path / "m.onnx", fold_batch_norm=fold)
    kinds = [node.op_type for node in onnx.load(tmp_path / "m.onnx").graph.node]
    left = (
        {"convolutions": 0, "not after an activation": 2}[name]
        if fold
        else kinds.count("BatchNormalization")
    )
    assert kinds.count("BatchNormalization") == left
    assert fold or left == sum(isinstance(one, layers.BatchNormalization) for one in model.layers)


def test_what_is_read_elsewhere_is_not_folded(rng, tmp_path):
    x = Input((6, 6, 2))
    h = layers.Conv2D(3, 3)(x)
    model = unusual(Model(x, [layers.BatchNormalization()(h), layers.ReLU()(h)]), rng)
    check(model, random_inputs([(2, 6, 6, 2)], rng), tmp_path / "m.onnx")
    whole = unusual(Model(x, [h, layers.BatchNormalization()(h)]), rng)
    check(whole, random_inputs([(2, 6, 6, 2)], rng), tmp_path / "m.onnx")


def test_networks_of_networks(rng, tmp_path):
    def block(name):
        t = Input((6, 6, 4))
        h = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(t)))
        return Model(t, layers.Add()([t, h]), name=name)

    a, b = Input((6, 6, 4), name="a"), Input((4,), name="b")
    once, shared = block("once"), layers.Dense(4, name="shared")
    h = once(block("first")(once(a)))
    pooled = layers.GlobalAveragePooling2D()(h)
    tail = Sequential([Input((8,)), layers.Dropout(0.5), layers.Dense(3)], name="tail")
    y = tail(layers.Concatenate()([shared(pooled), shared(b)]))
    model = unusual(Model([a, b], [y, h, a]), rng)
    xs = random_inputs([(2, 6, 6, 4), (2, 4)], rng)
    check(model, xs, tmp_path / "m.onnx")
    made = onnx.load(tmp_path / "m.onnx")
    kernels = {tuple(one.dims) for one in made.graph.initializer}
    # The block that stands twice in it has its weights in it once.
    convolutions = [node for node in made.graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 3
    assert len({node.input[1] for node in convolutions}) == 2
    assert (4, 4, 3, 3) in kernels


def test_the_door(rng, tmp_path):
    """Images go in as in training, and the batch is free."""
    model = Sequential([Input((8, 6, 3), name="pictures"), layers.Conv2D(2, 3, name="last")])
    model.export(tmp_path / "m.onnx")
    opened = session(tmp_path / "m.onnx")
    (given,), (made,) = opened.get_inputs(), opened.get_outputs()
    assert (given.name, given.shape, given.type) == (
        "pictures",
        ["batch", 8, 6, 3],
        "tensor(float)",
    )
    assert (made.name, made.shape) == ("last", ["batch", 6, 4, 2])
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


def test_dicts_of_inputs_and_outputs_give_their_names(rng, tmp_path):
    a, b = Input((4,), name="a"), Input((4,), name="b")
    h = layers.Subtract()([a, b])
    model = Model({"second": a, "first": b}, {"y": layers.Dense(2)(h), "x": h})
    x = {name: rng.normal(size=(3, 4)).astype(np.float32) for name in ("first", "second")}
    model.export(tmp_path / "m.onnx")
    opened = session(tmp_path / "m.onnx")
    names = [one.name for one in opened.get_outputs()]
    for name, made in zip(names, opened.run(None, x), strict=True):
        assert np.abs(made - model.predict(x, verbose=0)[name]).max() < 1e-5
    assert names == ["x", "y"]


# -- the models of the course -----------------------------------------------------------------


def check_course_model(model, rng, path):
    """Batches of any size; dropout is gone, and of batch normalization what is to be kept."""
    shapes = [tensor.shape for tensor in model.inputs]
    chain = [one for one in model.all_layers() if not isinstance(one, Model)]
    normalizations = sum(isinstance(one, layers.BatchNormalization) for one in chain)
    for fold in (True, False) if normalizations else (True,):
        model.export(path, fold_batch_norm=fold)
        onnx.checker.check_model(str(path), full_check=True)
        opened = session(path)
        for batch in (1, 7):
            xs = [rng.uniform(size=(batch, *shape[1:])).astype(np.float32) for shape in shapes]
            made = opened.run(None, {one.name: x for one, x in zip(model.inputs, xs, strict=True)})
            predicted = model.predict_on_batch(xs if len(xs) > 1 else xs[0])
            expected = predicted if isinstance(predicted, list) else [predicted]
            for a, b in zip(made, expected, strict=True):
                assert a.shape == b.shape
                assert np.abs(a - b).max() < 1e-5
        graph = onnx.load(path).graph
        assert graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
        kinds = [node.op_type for node in graph.node]
        assert not [kind for kind in kinds if kind == "Dropout" or "Random" in kind]
        assert kinds.count("BatchNormalization") == (0 if fold else normalizations)


@pytest.mark.parametrize("name", course.MODELS)
def test_course_models(name, rng, tmp_path):
    minicnn.utils.set_random_seed(1)
    described = course.MODELS[name]
    model = described.build(minicnn)
    assert model.count_params() == described.weights
    # One step, so that no bias is zero.
    model.compile(described.optimizer, "sparse_categorical_crossentropy")
    x = rng.uniform(size=(8, *described.input_shape)).astype(np.float32)
    model.train_on_batch(x, np.arange(8))
    check_course_model(model, rng, tmp_path / "m.onnx")


def test_the_residual_network_of_the_course(rng, tmp_path):
    minicnn.utils.set_random_seed(1)
    model = residual_network(8)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(rng.uniform(size=(16, 8, 8, 1)), np.arange(16) % 10, batch_size=4, verbose=0)
    check_course_model(model, rng, tmp_path / "m.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("lesson", sorted(path.stem for path in EXAMPLES.glob("lesson*.py")))
def test_all_that_a_lesson_trains(lesson, rng, tmp_path, monkeypatch):
    for name, shape in (("mnist", (28, 28)), ("cifar10", (32, 32, 3))):
        x = rng.integers(0, 256, (130, *shape), np.uint8)
        y = (np.arange(130) % 10).astype(np.uint8)
        np.savez(tmp_path / f"{name}.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    for script in ("common.py", f"{lesson}.py"):
        (tmp_path / script).write_text((EXAMPLES / script).read_text(encoding="utf-8"), "utf-8")
    trained = {}
    original = Model.fit

    def fit(model, *args, **kwargs):
        trained[id(model)] = model
        return original(model, *args, **kwargs)

    monkeypatch.setattr(Model, "fit", fit)
    monkeypatch.setenv("MINICNN_DATA", str(tmp_path))
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "argv", [lesson, "--epochs", "1", "--images", "130"])
    runpy.run_path(str(tmp_path / f"{lesson}.py"), run_name="__main__")
    assert trained
    for model in trained.values():
        check_course_model(model, rng, tmp_path / "m.onnx")


# -- what cannot be ---------------------------------------------------------------------------


class Own(layers.Layer):
    def forward(self, x, training):
        return x, None


class OwnDense(layers.Dense):
    """Might compute anything."""


def test_what_cannot_be_exported(tmp_path):
    for layer in (Own(name="own"), OwnDense(2, name="own")):
        with pytest.raises(ValueError, match=r"layer 'own'.*no way to write it"):
            Sequential([Input((3,)), layer]).export(tmp_path / "m.onnx")
    with pytest.raises(ValueError, match=r"layer 'r'.*size of its input must be known, got .*None"):
        Sequential([Input((None, 5, 3)), layers.Resizing(2, 2, name="r")]).export(
            tmp_path / "m.onnx"
        )
    with pytest.raises(ValueError, match="not built"):
        Sequential([layers.Dense(2)]).export(tmp_path / "m.onnx")
    model = Sequential([Input((3,)), layers.Dense(2)])
    with pytest.raises(ValueError, match=r"ends in \.onnx"):
        model.export(tmp_path / "m.keras")
    with pytest.raises(ValueError, match="format"):
        model.export(tmp_path / "m.onnx", format="tf_saved_model")
    assert not list(tmp_path.iterdir())


def test_the_package_is_asked_for(monkeypatch, tmp_path):
    original = builtins.__import__

    def without(name, *args, **kwargs):
        if name.partition(".")[0] == "onnx":
            raise ModuleNotFoundError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    for name in [name for name in sys.modules if name.partition(".")[0] == "onnx"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ImportError, match="pip install"):
        Sequential([Input((3,)), layers.Dense(2)]).export(tmp_path / "m.onnx")


@pytest.mark.parametrize("invert", [False, True])
def test_what_a_normalization_learned(invert, rng, tmp_path):
    layer = layers.Normalization(invert=invert)
    layer.adapt(rng.normal([1, -2, 3], [1, 2, 3], (50, 4, 4, 3)))
    model = Sequential([Input((4, 4, 3)), layer, layers.Conv2D(2, 3)])
    check(model, random_inputs([(2, 4, 4, 3)], rng), tmp_path / "m.onnx")
