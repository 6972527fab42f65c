"""Models in memory: stand-ins with the attributes of each framework's classes, which write_examples.py's models have too."""

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier, MLPRegressor

from pipeline.errors import UserError
from pipeline.model_files.layers import layers, trained
from pipeline.model_files.objects import from_object


class Dtype:
    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return f"torch.{self.name}"


class FakeTensor:
    """A tensor of PyTorch: no __array__ without detach and cpu."""

    def __init__(self, array: Any, dtype: str = "float32", **attributes: Any) -> None:
        self.array = np.asarray(array, dtype if dtype.startswith("int") else np.float32)
        self.dtype, self.shape = Dtype(dtype), self.array.shape
        self.is_meta = self.is_quantized = self.detached = self.on_cpu = False
        self.__dict__ |= attributes

    def detach(self) -> "FakeTensor":
        return FakeTensor(self.array, self.dtype.name, detached=True)

    def cpu(self) -> "FakeTensor":
        assert self.detached
        return FakeTensor(self.array, self.dtype.name, on_cpu=True)

    def float(self) -> "FakeTensor":
        return FakeTensor(self.array, "float32", on_cpu=self.on_cpu)

    def numpy(self) -> Any:
        assert self.on_cpu
        assert self.dtype.name != "bfloat16"  # NumPy has no such type: PyTorch raises TypeError
        return self.array

    def data_ptr(self) -> int:
        return int(self.array.__array_interface__["data"][0])


class FakeModule:
    """A torch.nn.Module."""

    def __init__(self, children: dict[str, Any] | None = None, **tensors: Any) -> None:
        self.children_, self.tensors = children or {}, tensors

    def named_children(self) -> Any:
        return list(self.children_.items())

    def named_modules(self, prefix: str = "") -> Any:
        yield prefix, self
        for name, child in self.children_.items():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def named_parameters(self) -> Any:
        return list(self.state_dict().items())

    def state_dict(self) -> Any:
        found = OrderedDict(self.tensors)
        for name, child in self.children_.items():
            found.update((f"{name}.{key}", value) for key, value in child.state_dict().items())
        return found


def module(name: str, base: type = FakeModule, package: str = "torch.nn.modules.x") -> type:
    """A class of the given name and package."""
    return type(name, (base,), {"__module__": package})


Linear, Conv2d, ReLU, Tanh, Dropout, BatchNorm1d, Sequential = (
    module(name) for name in ("Linear", "Conv2d", "ReLU", "Tanh", "Dropout", "BatchNorm1d", "Sequential")
)


def linear(n: int, m: int, kind: type = Linear) -> Any:
    return kind(weight=FakeTensor(np.zeros((n, m))), bias=FakeTensor(np.zeros(n)))


def test_a_module_of_pytorch() -> None:
    own = module("OwnLinear", Linear, "user.code")
    inner = Sequential({"0": linear(5, 5, own), "1": Tanh()})
    conv = Conv2d(weight=FakeTensor(np.zeros((6, 2, 3, 3))))
    conv.groups = 2
    net = Sequential({"0": linear(5, 4), "1": BatchNorm1d(weight=FakeTensor(np.ones(5)), num_batches_tracked=FakeTensor(0, "int64")), "2": Dropout(), "3": ReLU(), "4": inner, "5": linear(3, 5), "6": linear(2, 3), "7": conv})  # fmt: skip
    model = from_object(
        module("DataParallel")(
            {"module": net},
        )
        if False
        else net
    )
    assert (model.source, model.framework) == ("Sequential", "pytorch")
    found = [(layer.name, layer.kind, layer.activation, layer.bias is not None) for layer in layers(model)]
    assert found == [
        ("0", "dense", "relu", True),
        ("1", "normalization", "", False),
        ("4.0", "dense", "tanh", True),
        ("5", "dense", "linear", True),
        ("6", "dense", "linear", True),
        ("7", "convolution", "", False),
    ]
    assert model.modules["7"].groups == 2
    assert model.modules["4.0"].kind == "Linear"  # the class of PyTorch from which the user's derives
    assert trained(model) == ""


def test_wrapped_modules() -> None:
    parallel = module("DataParallel")({"module": linear(5, 4)})
    parallel.module = parallel.children_["module"]
    compiled = module("OptimizedModule")({"_orig_mod": parallel})
    compiled._orig_mod = parallel
    assert [tensor.name for tensor in from_object(compiled).tensors] == ["weight", "bias"]


def test_the_class_of_a_module_decides() -> None:
    transposed = module("ConvTranspose2d")(weight=FakeTensor(np.zeros((4, 4, 2, 2))))
    embedding = module("Embedding")(weight=FakeTensor(np.zeros((9, 4))))
    block = module("TransformerEncoderLayer")({"linear1": linear(8, 4), "linear2": linear(4, 8)})
    block.linear1, block.activation = block.children_["linear1"], type("f", (), {"__name__": "gelu"})()
    block.activation.__name__ = "gelu"
    gpt = module("Conv1D", package="transformers.pytorch_utils")(
        weight=FakeTensor(np.zeros((4, 4))), bias=FakeTensor(np.zeros(4))
    )
    found = {
        layer.name: layer
        for layer in layers(from_object(FakeModule({"up": transposed, "tokens": embedding, "block": block, "c": gpt})))
    }
    assert found["up"].layout == "in, out, kernel"
    assert found["tokens"].kind == "embedding"
    assert (found["block.linear1"].activation, found["block.linear2"].activation) == ("gelu", "")
    assert (found["c"].kind, found["c"].layout) == ("dense", "in, out")


def test_tied_tensors() -> None:
    shared = FakeTensor(np.zeros((9, 4)))
    model = FakeModule({"a": Linear(weight=shared), "b": Linear(weight=shared), "c": linear(9, 4)})
    assert [layer.tied_to for layer in layers(from_object(model))] == ["", "a", ""]


def test_bfloat16_and_values() -> None:
    values = np.array([[1.0, -2.0]], np.float32)
    model = from_object({"a.weight": FakeTensor(values, "bfloat16"), "b.weight": FakeTensor(values)})
    assert [tensor.dtype for tensor in model.tensors] == ["bfloat16", "float32"]
    assert all(np.array_equal(tensor.read(), values) for tensor in model.tensors)
    assert model.framework == "pytorch"


class UninitializedParameter(FakeTensor):
    def __getattribute__(self, name: str) -> Any:
        if name == "shape":
            raise RuntimeError("not known")
        return super().__getattribute__(name)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"a.weight": FakeTensor(np.zeros((2, 2)), is_meta=True)}, r'^a.weight: is on the device "meta" and has no values; call model.to_empty'),
        (FakeModule(weight=FakeTensor(np.zeros((2, 2)), "qint8", is_quantized=True)), "^FakeModule: contains no weights: weight has the type qint8, which is left out$"),
        ({"a": FakeTensor(np.zeros((2, 2)), "float8_e4m3fn")}, "contains no weights: a has the type float8_e4m3fn"),
        (FakeModule(weight=UninitializedParameter(np.zeros(2))), "^weight: its shape is not known yet; call the model on a batch of data first$"),
        (MLPClassifier(), "^MLPClassifier: is not fitted: scikit-learn draws the weights in fit, and trains them; call fit first$"),
        (3.5, "^float: is no model that can be read; pass a torch.nn.Module or its state_dict"),
        ("weights", "^str: is no model that can be read; .*or the path of a file$"),
        ({}, "^dict: contains no arrays; pass"),
        ({"a": 1}, "^dict: contains no arrays; pass"),
        ([], "^list: contains no weights$"),
        ([1.0], "^list: its item 0 is float; pass"),
        ({"a": np.zeros((2, 2), int)}, "^dict: contains no weights$"),
    ],
)  # fmt: skip
def test_what_is_not_read(model: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        from_object(model)


# ---------------------------------------------------------------------------------------------------------------------
# Keras


class Variable:
    def __init__(self, path: str, shape: tuple[int, ...]) -> None:
        self.path, self.values = path, np.zeros(shape, np.float32)

    def numpy(self) -> Any:
        return self.values


class KerasLayer:
    trainable = True

    def __init__(
        self, name: str, weights: list[Variable], config: dict[str, Any] | None = None, layers: Any = ()
    ) -> None:
        self.name, self.weights, self.config, self.layers = name, weights, config, list(layers)

    def get_weights(self) -> Any:
        return [variable.numpy() for variable in self.weights]

    def get_config(self) -> Any:
        if self.config is None:
            raise NotImplementedError("a subclass has no get_config")
        return self.config


class Dense(KerasLayer):
    pass


def dense(name: str, n: int, m: int, prefix: str = "net") -> Dense:
    return Dense(name, [Variable(f"{prefix}/{name}/kernel", (n, m)), Variable(f"{prefix}/{name}/bias", (m,))])


def test_a_model_of_keras() -> None:
    parts = [dense("first", 4, 5), KerasLayer("act", []), dense("second", 5, 3)]
    entries = [
        {"class_name": "Dense", "config": {"name": "first", "activation": "linear"}},
        {"class_name": "LeakyReLU", "config": {"name": "act"}},
        {
            "class_name": "Dense",
            "config": {"name": "second", "activation": {"class_name": "function", "config": "gelu"}},
        },
    ]
    net = type("Sequential", (KerasLayer,), {})(
        "net", [v for part in parts for v in part.weights], {"layers": entries}, parts
    )
    model = from_object(net)
    assert (model.source, model.framework) == ("Sequential", "keras")
    found = [
        (layer.name, layer.kind, layer.activation, layer.layout, layer.bias.name if layer.bias else "")
        for layer in layers(model)
    ]
    assert found == [
        ("first", "dense", "leaky_relu", "in, out", "first/bias"),
        ("second", "dense", "gelu", "in, out", "second/bias"),
    ]
    assert trained(model) == ""
    net.optimizer = type("Adam", (), {"iterations": 12})()
    assert trained(from_object(net)) == "its optimizer has made 12 steps"


def test_subclassed_nested_and_unbuilt_models_of_keras() -> None:
    relu = dense("a", 4, 5)
    relu.activation = type("f", (), {"__name__": "x"})()
    relu.activation.__name__ = "relu"
    inner = KerasLayer("inner", relu.weights, None, [relu])
    own = Variable("net/scale_matrix", (3, 3))
    net = KerasLayer("net", [*inner.weights, own], None, [inner])
    assert [(layer.name, layer.activation) for layer in layers(from_object(net))] == [
        ("a", "relu"),
        ("net/scale_matrix", ""),
    ]
    with pytest.raises(
        UserError,
        match=r"^KerasLayer: has no weights yet; build it: model.build\(input_shape\), or call it on a batch of data$",
    ):
        from_object(KerasLayer("net", []))


# ---------------------------------------------------------------------------------------------------------------------
# Flax, scikit-learn, NumPy


def test_parameters_of_flax() -> None:
    params = {"params": {"Dense_10": {"kernel": np.zeros((5, 3)), "bias": np.zeros(3)}, "Dense_9": {"kernel": np.zeros((4, 5))}}, "batch_stats": {"BatchNorm_0": {"mean": np.zeros(5)}}}  # fmt: skip
    model = from_object(params)
    assert [layer.name for layer in layers(model)] == ["Dense_9", "Dense_10"]
    assert (model.framework, trained(model)) == ("flax", "")
    params["batch_stats"]["BatchNorm_0"]["mean"][2] = 1.0
    assert (
        trained(from_object(params))
        == "the running mean of batch_stats/BatchNorm_0 is not 0: it has normalized batches in training mode"
    )
    state = type("TrainState", (), {"params": params["params"], "opt_state": (), "step": 7})()
    assert trained(from_object(state)) == "step is 7"
    linen = type("Mlp", (module("Module", object, "flax.linen.module"),), {})()
    with pytest.raises(
        UserError, match=r"^Mlp: a module of Flax holds no parameters; pass those of model.init\(key, inputs\)$"
    ):
        from_object(linen)


def test_modules_of_nnx() -> None:
    variable = module("Variable", object, "flax.nnx.variablelib")
    base = module("Module", object, "flax.nnx.module")

    def param(shape: tuple[int, ...]) -> Any:
        return type("Param", (variable,), {"value": np.zeros(shape, np.float32)})()

    def nnx(kind: str, **attributes: Any) -> Any:
        made = type(kind, (base,), {})()
        made.__dict__ |= attributes
        return made

    first = nnx("Linear", kernel=param((4, 5)), bias=param((5,)), name=None)
    net = nnx("Net", layers=[first, nnx("Linear", kernel=param((5, 3)), bias=None)], again=first)
    net.itself = net
    model = from_object(net)
    assert [(layer.name, layer.kind, layer.units) for layer in layers(model)] == [
        ("layers/0", "dense", 5),
        ("layers/1", "dense", 3),
    ]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("solver", "rate", "moved"), [("sgd", 1e-300, ""), ("sgd", 1e-3, "1 iteration"), ("lbfgs", 1e-300, "1 iteration")]
)
def test_scikit_learn_without_a_step_is_at_initialization(solver: str, rate: float, moved: str) -> None:
    """As the fix for a trained model says: a learning rate of 1e-300. The solver lbfgs has none."""
    model = MLPClassifier((7,), solver=solver, learning_rate_init=rate, max_iter=1, random_state=0)
    model.fit(np.random.RandomState(0).randn(30, 4), np.arange(30) % 3)
    assert trained(from_object(model)) == (moved and f"fit has trained it for {moved}")


@pytest.mark.parametrize(("kind", "output"), [(MLPClassifier, ""), (MLPRegressor, "linear")])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_multilayer_perceptrons_of_scikit_learn(kind: type, output: str) -> None:
    model = kind(hidden_layer_sizes=(7, 5), activation="logistic", max_iter=2, random_state=0)
    model.fit(np.random.RandomState(0).randn(30, 4), np.arange(30) % 3)
    found = from_object(model)
    assert [(layer.name, layer.activation, layer.fan_in, layer.units) for layer in layers(found)] == [
        ("coefs_[0]", "sigmoid", 4, 7),
        ("coefs_[1]", "sigmoid", 7, 5),
        ("coefs_[2]", output, 5, 3 if kind is MLPClassifier else 1),
    ]
    assert trained(found) == "fit has trained it for 2 iterations"
    for layer, coefs in zip(layers(found), model.coefs_, strict=True):
        assert np.shares_memory(layer.matrix(), coefs)


@pytest.mark.parametrize(
    ("model", "names", "layout"),
    [
        ([(np.zeros((5, 4)), np.zeros(5)), (np.zeros((3, 5)), np.zeros(3))], ["W1", "W2"], "out, in"),
        ([np.zeros((4, 5)), np.zeros(5), np.zeros((5, 3)), np.zeros(3)], ["arrays[0]", "arrays[2]"], "in, out"),
        ([np.zeros((4, 5)), np.zeros((5, 3))], ["arrays[0]", "arrays[1]"], "in, out"),
        (np.zeros((4, 5)), ["W1"], ""),
        (
            {"W1": np.zeros((5, 4)), "b1": np.zeros((5, 1)), "W2": np.zeros((1, 5)), "b2": np.zeros((1, 1))},
            ["W1", "W2"],
            "out, in",
        ),
    ],
)
def test_arrays(model: Any, names: list[str], layout: str) -> None:
    found = layers(from_object(model))
    assert [layer.name for layer in found] == names
    assert {layer.layout for layer in found} == {layout}
    first = (
        model if isinstance(model, np.ndarray) else next(iter(model.values())) if isinstance(model, dict) else model[0]
    )
    assert np.shares_memory(found[0].matrix(), first[0] if isinstance(first, tuple) else first)
