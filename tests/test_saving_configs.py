"""Objects as plain data and back; classes of one's own among them."""

import json

import numpy as np
import pytest
from layer_cases import CASES, RANDOM_CASES

import minicnn
from minicnn import (
    Input,
    Model,
    Sequential,
    activations,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    models,
    optimizers,
    regularizers,
    saving,
    schedules,
)
from minicnn.configurable import Configurable, serialize
from minicnn.layers import table

ALL_LAYERS = {**CASES, **RANDOM_CASES}


@pytest.mark.parametrize("name", ALL_LAYERS)
def test_every_layer_comes_back(name):
    layer = ALL_LAYERS[name].make(minicnn)
    data = json.loads(json.dumps(serialize(layer)))
    again = table.from_dict(data)
    assert type(again) is type(layer)
    assert serialize(again) == data
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()


def test_every_layer_can_be_named_in_a_file():
    there = {
        cls.__name__
        for name in layers.__all__
        if isinstance(cls := getattr(layers, name), type) and cls is not layers.Layer
    }
    assert there == set(table.LAYERS)
    tried = {type(case.make(minicnn)).__name__ for case in ALL_LAYERS.values()}
    assert there - tried == {"InputLayer"}


EXAMPLES = [
    (initializers, initializers.Constant(3)),
    (initializers, initializers.VarianceScaling(2, "fan_out", seed=5)),
    (regularizers, regularizers.L1L2(0.1, 0.2)),
    (regularizers, regularizers.OrthogonalRegularizer(0.3, "columns")),
    (constraints, constraints.MinMaxNorm(0.5, 2, 0.9, axis=[0, 1])),
    (losses, losses.Huber(2.0)),
    (losses, losses.CategoricalFocalCrossentropy([0.1, 0.2], 1.5)),
    (losses, losses.BinaryFocalCrossentropy(True, 0.7)),
    (losses, losses.Tversky(0.3, 0.7, axis=(1, 2, 3))),
    (losses, losses.Dice(axis=(1, 2))),
    (losses, losses.CategoricalCrossentropy(True, 0.1, reduction="sum")),
    (metrics, metrics.AUC(thresholds=[0.2, 0.5], curve="PR")),
    (metrics, metrics.Precision(top_k=3)),
    (metrics, metrics.F1Score("macro", 0.5)),
    (metrics, metrics.FBetaScore(beta=2.0)),
    (metrics, metrics.BinaryIoU([1], 0.3)),
    (metrics, metrics.R2Score(None, 2)),
    (metrics, metrics.TopKCategoricalAccuracy(2, name="top2")),
    (metrics, metrics.BinaryCrossentropy(from_logits=True)),
    (optimizers, optimizers.SGD(0.3, 0.9, True)),
    (optimizers, optimizers.Adam(0.01, clipnorm=1, weight_decay=0.1)),
    (optimizers, optimizers.RMSprop(schedules.PiecewiseConstantDecay([3], [0.1, 0.01]))),
]


@pytest.mark.parametrize(("module", "example"), EXAMPLES, ids=lambda part: type(part).__name__)
def test_examples_come_back_with_their_arguments(module, example):
    data = json.loads(json.dumps(serialize(example)))
    again = module.get(data)
    assert type(again) is type(example)
    assert serialize(again) == data
    assert data["config"] != {**type(example)().get_config(), "name": data["config"].get("name")}


def test_activations_are_names_and_layers_where_they_need_arguments():
    assert serialize(activations.relu) == "relu"
    assert layers.Dense(2, activation="swish").get_config()["activation"] == "silu"
    bent = layers.Dense(2, activation=activations.ReLU(0.1, 6))
    config = json.loads(json.dumps(bent.get_config()))
    again = layers.Dense.from_config(config)
    x = np.array([[-1.0, 9.0]])
    assert again.activation(x).tolist() == bent.activation(x).tolist() == [[-0.1, 6]]
    with pytest.raises(TypeError, match="Keras has no layer"):
        layers.Dense(2, activation=activations.GELU(True)).get_config()


def test_seeds_that_nobody_gave_are_not_written():
    assert layers.Dropout(0.5).get_config()["seed"] is None
    assert initializers.HeNormal().get_config() == {"seed": None}
    assert initializers.HeNormal(3).get_config() == {"seed": 3}
    assert initializers.HeNormal(minicnn.random.SeedGenerator(3)).get_config() == {"seed": None}


# -- classes of one's own ---------------------------------------------------------------------


class Scale(layers.Layer):
    """y = factor s x."""

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, input_shape):
        self.s = self.add_weight((input_shape[-1],), "ones", "s")

    def forward(self, x, training):
        return self.factor * x * self.s.value, x

    def backward(self, dy, saved):
        self.s.add_gradient(self.factor * (dy * saved).sum(axis=0))
        return self.factor * dy * self.s.value


class Hidden(layers.Layer):
    """Keeps its argument under another name, as Keras layers may, and says so itself."""

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self._factor = factor

    def get_config(self):
        return {**super().get_config(), "factor": self._factor}

    def forward(self, x, training):
        return self._factor * x, None

    def backward(self, dy, saved):
        return self._factor * dy


class Square(activations.Activation):
    name = "square"

    def forward(self, ops, z):
        return z * z, z

    def backward(self, ops, dy, saved):
        return 2 * saved * dy


class Fourth(losses.Loss):
    def call(self, y_true, y_pred):
        return np.sum((y_pred - y_true) ** 4, axis=-1)

    def gradient(self, y_true, y_pred):
        return 4 * (y_pred - y_true) ** 3


class Worst(metrics.Mean):
    def update_state(self, y_true, y_pred, sample_weight=None):
        super().update_state(np.abs(y_true - y_pred).max(axis=-1), sample_weight)


class Signs(optimizers.Optimizer):
    def slot_values(self):
        return {"last": 0.0}

    def update(self, ops, w, g, lr):
        self.slots["last"][...] = np.sign(g) + self.slots["last"] / 2
        w -= lr * self.slots["last"]


class Halving(schedules.LearningRateSchedule):
    def __init__(self, start):
        self.start = start

    def __call__(self, step):
        return self.start * 0.5**step


def sixth(shape, dtype=np.float32):
    return np.full(shape, 1 / 6, dtype)


def median_error(y_true, y_pred):
    return np.median(np.abs(y_true - y_pred), axis=-1)


OWN = {
    thing.__name__: thing
    for thing in (Scale, Hidden, Square, Fourth, Worst, Signs, Halving, sixth, median_error)
}


def own_model():
    model = Sequential(
        [
            Input((4,)),
            Scale(0.5, name="scale"),
            Hidden(2.0),
            layers.Dense(3, activation=Square(), kernel_initializer=sixth),
        ]
    )
    model.compile(Signs(Halving(0.1)), Fourth(), metrics=[Worst(name="worst"), median_error])
    return model


def test_own_classes_travel(rng, tmp_path):
    model, x = own_model(), rng.normal(size=(6, 4)).astype(np.float32)
    y = rng.normal(size=(6, 3)).astype(np.float32)
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "m.keras")
    with pytest.raises(ValueError, match=r"'scale' \('Scale'\): .*no 'Scale'.*custom_objects"):
        models.load_model(tmp_path / "m.keras")
    loaded = models.load_model(tmp_path / "m.keras", custom_objects=OWN)
    with saving.custom_object_scope(OWN):
        in_scope = models.load_model(tmp_path / "m.keras")
    for one in (loaded, in_scope, model):
        one.fit(x, y, epochs=2, verbose=0)
    for one in (loaded, in_scope):
        assert all(map(np.array_equal, one.get_weights(), model.get_weights()))
        assert one.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)
    assert loaded.metrics_names == ["loss", "worst", "median_error"]


@saving.register_keras_serializable("tests", "scaling")
class Registered(Scale):
    pass


def test_registered_classes_need_no_naming():
    model = Sequential([Input((4,)), Registered(0.5)])
    config = json.loads(model.to_json())["config"]["layers"][1]
    assert config["registered_name"] == "tests>scaling"
    loaded = models.model_from_json(model.to_json())
    assert type(loaded.layers[0]) is Registered
    assert saving.get_registered_name(Registered) == "tests>scaling"
    assert saving.get_registered_object("tests>scaling") is Registered
    assert "tests>scaling" in saving.get_custom_objects()


def test_a_custom_object_must_be_of_the_kind_that_is_wanted():
    text = Sequential([Input((4,)), Scale(0.5)]).to_json()
    with pytest.raises(ValueError, match="Fourth is no Layer"):
        models.model_from_json(text, custom_objects={"Scale": Fourth})


def test_a_subclass_of_model():
    class Doubled(Model):
        pass

    x = Input((3,))
    model = Doubled(x, layers.Dense(2)(x), name="doubled")
    loaded = models.model_from_json(model.to_json(), custom_objects={"Doubled": Doubled})
    assert type(loaded) is Doubled
    assert loaded.name == "doubled"


@saving.register_keras_serializable("tests")
class Around(layers.Layer):
    """A layer around another, which travels in its configuration as in Keras."""

    def __init__(self, inner, factors=(), **kwargs):
        super().__init__(**kwargs)
        self.inner, self.factors = inner, list(factors)

    @classmethod
    def from_config(cls, config):
        inner = saving.deserialize_keras_object(config.pop("inner"))
        return cls(inner, **config)

    def forward(self, x, training):
        return self.inner(x), None


def test_a_layer_in_a_layer(rng):
    model = Sequential([Input((3,)), Around(layers.Dense(2, use_bias=False, name="in"), [1, 2])])
    loaded = models.model_from_json(model.to_json())
    inner = loaded.layers[0].inner
    assert type(inner) is layers.Dense
    assert (inner.units, inner.use_bias, loaded.layers[0].factors) == (2, False, [1, 2])


@pytest.mark.parametrize(
    "thing",
    [
        activations.tanh,
        constraints.NonNeg(),
        initializers.Ones(),
        layers.ReLU(),
        losses.Hinge(),
        metrics.Recall(),
        optimizers.Lion(),
        regularizers.L1(),
        schedules.CosineDecay(0.1, 10),
        Registered(2.0),
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_any_object(thing):
    data = saving.serialize_keras_object({"a": [thing, 3, None]})
    again = saving.deserialize_keras_object(json.loads(json.dumps(data)))
    if thing is activations.tanh:
        assert again == {"a": ["tanh", 3, None]}
    else:
        assert type(again["a"][0]) is type(thing)
        assert again["a"][1:] == [3, None]


def test_any_object_that_there_is_not():
    data = {"module": "os", "class_name": "function", "config": "system", "registered_name": None}
    for one in (data, {**data, "module": None}, {**data, "module": "keras.layers"}):
        with pytest.raises(ValueError, match="no 'system'"):
            saving.deserialize_keras_object([one])


# -- what cannot be ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cls", "config", "message"),
    [
        (layers.Dense, {"units": 3, "unit": 4}, "unknown argument 'unit'"),
        (layers.Dense, {}, "units must be given"),
        (layers.Dense, {"units": 3, "use_bias": "no"}, "use_bias.*expected bool"),
        (layers.Dense, {"units": 3, "trainable": 1}, "trainable.*expected bool"),
        (layers.Dense, {"units": True}, "units"),
        (layers.Dense, {"units": 2.0}, "units"),
        (layers.Dense, {"units": 3, "name": 7}, "name"),
        (layers.Dense, [3], "expected a dict"),
        (layers.BatchNormalization, {"renorm": True}, "renorm.*no such option"),
        (layers.LayerNormalization, {"rms_scaling": True}, "rms_scaling"),
        (layers.Conv2D, {"filters": 1, "kernel_size": 1, "data_format": "channels_first"}, "NHWC"),
        (layers.InputLayer, {"batch_shape": [None, 3], "sparse": True}, "sparse"),
        (layers.Dense, {"units": 3, "dtype": "object"}, "dtype"),
        (layers.Dense, {"units": 3, "kernel_initializer": {"class_name": 3}}, "class_name"),
        (optimizers.Adam, {"use_ema": True}, "use_ema"),
        (optimizers.Adam, {"learning_rate": "x"}, "learning_rate"),
        (optimizers.SGD, {"learning_rate": True}, "learning_rate"),
        (losses.Huber, {"delta": 0}, "delta"),
    ],
)
def test_configs_that_cannot_be(cls, config, message):
    with pytest.raises(ValueError, match=message):
        cls.from_config(config)


def test_an_argument_that_is_not_kept_is_named():
    class Forgetful(layers.Layer):
        def __init__(self, factor, **kwargs):
            super().__init__(**kwargs)

    with pytest.raises(TypeError, match=r"Forgetful.*'factor'.*define\s+get_config"):
        Forgetful(2).get_config()


def test_mixed_precision_is_computed_in_float32():
    with pytest.warns(UserWarning, match="mixed_float16"):
        layer = layers.Dense.from_config({"units": 1, "dtype": "mixed_float16"})
    assert layer.dtype == "float32"
    policy = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float64"}}
    assert layers.Dense.from_config({"units": 1, "dtype": policy}).dtype == "float64"


def test_what_is_hidden_or_given_twice():
    class Base(Configurable):
        def __init__(self, a: int, b: int = 2):
            self.a, self.b = a, b

    class Derived(Base):
        not_in_config = frozenset({"b"})

        def __init__(self, c: str = "c", **kwargs):
            super().__init__(**kwargs)
            self.c = c

    assert Derived(a=1).get_config() == {"a": 1, "c": "c"}
    assert Derived.from_config({"a": 5}).a == 5
    with pytest.raises(ValueError, match="unknown argument 'b'"):
        Derived.from_config({"a": 5, "b": 1})
