"""Lines of code that repair a layer: valid Python, functions that exist, and the law that was meant.

Each line of LINES was also executed in PyTorch 2.13, Keras 3, Flax and scikit-learn, for every cause, law and kind of
layer, and the moments of what it drew were compared with the law.
"""

import ast
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from pipeline.audit.fixes.fix import fix
from pipeline.audit.results import CAUSES
from pipeline.distributions.laws import BY_NAME, Fans, law
from pipeline.initializers.layerwise import RECIPES
from pipeline.initializers.networkwise import NETWORK_RECIPES
from pipeline.model_files.layers import Layer
from pipeline.model_files.tensors import Tensor

# Functions and attributes in the documentation of the frameworks.
DOCUMENTED = {
    "pytorch": {
        "nn.init": "constant_ eye_ kaiming_normal_ kaiming_uniform_ normal_ ones_ orthogonal_ sparse_ trunc_normal_ "
        "uniform_ xavier_normal_ xavier_uniform_ zeros_",
        "nn": "LayerNorm",
        "torch": "from_numpy manual_seed save",
    },
    "keras": {
        "keras.initializers": "Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity LecunNormal LecunUniform "
        "Ones Orthogonal RandomNormal RandomUniform TruncatedNormal VarianceScaling Zeros",
        "keras.layers": "Conv2D Dense Embedding LSTM LayerNormalization",
        "keras.utils": "set_random_seed",
    },
    "flax": {
        "nn.initializers": "constant glorot_normal glorot_uniform he_normal he_uniform lecun_normal lecun_uniform normal "
        "ones orthogonal truncated_normal uniform variance_scaling zeros",
        "nn": "BatchNorm Conv Dense Embed LayerNorm OptimizedLSTMCell",
        "jax.random": "normal split truncated_normal uniform",
        "jnp": "asarray float32",
        "flax.serialization": "to_bytes",
    },
}
NUMPY = {"np": "full ones savez zeros", "np.random": "RandomState default_rng", "scipy.stats.truncnorm": "rvs"}
LAWS = [
    *(name for name in BY_NAME if " " not in name.replace(", ", ",")),
    *(recipe for recipe in RECIPES if recipe not in ("variance_scaling", "truncated_normal_absolute")),
    *NETWORK_RECIPES,
    *(
        "orthogonal(gain=1.5)",
        "normal(mean=0.1, std=0.2)",
        "truncated_normal(mean=0.1, std=0.2)",
        "uniform(low=-0.1, high=0.2)",
        "constant(value=0.5)",
    ),
    *("sparse(sparsity=0.5)", "identity(value=2)"),
]
LAWS = [name for name in LAWS if name not in ("normal", "uniform", "constant", "sparse", "truncated_normal")]


def layer(framework: str, kind: str = "dense", activation: str = "") -> Layer:
    """A layer of 48 inputs and 96 units, a convolution of 3 x 3 and 4 to 8 channels, or another kind."""
    transposed = framework in ("keras", "flax", "sklearn")
    shape: tuple[int, ...] = (48, 96) if transposed else (96, 48)
    fans = (48, 96, 96)
    if kind == "convolution":
        shape, fans = ((3, 3, 4, 8) if transposed else (8, 4, 3, 3)), (36, 72, 8)
    elif kind == "normalization":
        shape, fans = (8,), (8, 8, 8)
    elif kind == "recurrent":
        shape, fans = ((20, 120) if transposed else (120, 20)), (20, 120, 120)
    names = {"pytorch": ("features.0.weight", "features.0.bias"), "sklearn": ("coefs_[0]", "intercepts_[0]")}
    weight, bias = names.get(framework, ("block/dense/kernel", "block/dense/bias"))
    tensors = [
        Tensor(name, size, "float32", lambda size=size: np.zeros(size))  # type: ignore[misc]
        for name, size in ((weight, shape), (bias, (fans[2],)))
    ]
    name = weight.rpartition("." if framework == "pytorch" else "/")[0] or "0"
    layout = "in, out" if transposed else "out, in"
    return Layer(name, kind, tensors[0], tensors[1], *fans, layout, activation, 30 if kind == "recurrent" else 0)


LINES = [
    (framework, kind, cause, expected, fix(cause, layer(framework, kind, activation), expected, framework))
    for framework in ("pytorch", "keras", "flax", "sklearn", "onnx", "")
    for kind in ("dense", "convolution", "recurrent", "normalization")
    for cause, expected, activation in (
        *((cause, "", activation) for cause in CAUSES for activation in ("relu", "tanh", "gelu", "sigmoid")),
        *(("wrong_law", name, "") for name in LAWS if "recurrent" not in name or kind == "recurrent"),
        ("bias", "pytorch_linear", ""),
    )
    if (kind == "normalization") == (cause == "normalization") and (framework != "sklearn" or kind == "dense")
]


def dotted(node: ast.AST) -> str:
    return ast.unparse(node) if isinstance(node, ast.Attribute | ast.Name) else ""


def test_there_is_a_line_for_every_cause() -> None:
    for framework in ("pytorch", "keras", "flax", "onnx"):
        assert {cause for one, _, cause, _, _ in LINES if one == framework} == set(CAUSES)
    with pytest.raises(KeyError):
        fix("unknown", layer("pytorch"), "", "pytorch")


def test_lines_are_python_with_functions_that_exist() -> None:
    """At most two lines. A name behind a documented module must be one of its documented functions."""
    own = {"RECIPES", "sample_parameters", "Recipe", "NetworkSpec", "open"}
    for framework, _, _, _, code in LINES:
        assert 1 <= len(code.split("\n")) <= 2, code
        modules = {**DOCUMENTED.get(framework, {}), **NUMPY}
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id in own, code
            elif isinstance(node, ast.Attribute):
                path = dotted(node)
                module = path.rpartition(".")[0]
                if module in modules and path not in modules:
                    assert path.rpartition(".")[2] in modules[module].split(), code


def test_every_documented_law_has_its_name() -> None:
    """A fix never names an initializer that the registry has not, and those of the registry are used."""
    assert fixed("pytorch", "he_normal") == 'nn.init.kaiming_normal_(model.features[0].weight, nonlinearity="relu")'
    assert fixed("pytorch", "xavier_uniform") == "nn.init.xavier_uniform_(model.features[0].weight)"
    assert (
        fixed("pytorch", "xavier_normal(gain=5/3)") == "nn.init.xavier_normal_(model.features[0].weight, gain=1.66667)"
    )
    assert fixed("pytorch", "he_uniform(mode='fan_out')") == (
        'nn.init.kaiming_uniform_(model.features[0].weight, mode="fan_out", nonlinearity="relu")'
    )
    assert fixed("pytorch", "pytorch_linear") == "model.features[0].reset_parameters()"
    assert fixed("pytorch", "he_truncated_normal") == (  # sqrt(2 / 48) / .8796256610342398
        "nn.init.trunc_normal_(model.features[0].weight, mean=0.0, std=0.232058, a=-0.464116, b=0.464116)"
    )
    assert fixed("keras", "he_truncated_normal") == (
        "keras.layers.Dense(96, kernel_initializer=keras.initializers.HeNormal())  # dense"
    )
    assert fixed("keras", "he_normal") == (
        'keras.layers.Dense(96, kernel_initializer=keras.initializers.VarianceScaling(2.0, "fan_in", '
        '"untruncated_normal"))  # dense'
    )
    assert fixed("flax", "lecun_truncated_normal") == (
        "nn.Dense(96, kernel_init=nn.initializers.lecun_normal())  # dense"
    )
    assert fixed("flax", "zeros") == "nn.Dense(96, kernel_init=nn.initializers.zeros)  # dense"
    assert fixed("sklearn", "normal(std=0.02)") == (
        "model.coefs_[0][:] = np.random.default_rng().normal(0.0, 0.02, size=(48, 96))"
    )
    assert fixed("onnx", "uniform(low=0, high=1)").startswith(
        "W = np.random.default_rng().uniform(0.0, 1.0, size=(96, 48))"
    )


def fixed(framework: str, name: str, cause: str = "wrong_law", kind: str = "dense", activation: str = "") -> str:
    return fix(cause, layer(framework, kind, activation), name, framework)


def test_other_causes() -> None:
    assert fixed("pytorch", "he_normal", "bias") == "nn.init.zeros_(model.features[0].bias)"
    assert fixed("pytorch", "pytorch_linear", "bias") == "model.features[0].reset_parameters()"
    assert "torch.manual_seed(0)" in fixed("pytorch", "he_normal", "same_draws")
    assert fixed("", "he_normal", "same_draws").split("\n")[1].startswith("W = rng.normal(0.0, 0.204124")
    assert "torch.save(model.state_dict()" in fixed("pytorch", "", "not_initial")
    gelu = fixed("pytorch", "", "unsuitable", activation="gelu").split("\n")
    assert gelu[1] == "nn.init.normal_(model.features[0].bias, std=0.447214)"  # variance .2
    assert fixed("pytorch", "he_normal", "unsuitable", activation="gelu") == gelu[1]  # the weights are right
    assert fixed("pytorch", "he_normal", "unsuitable", activation="relu") == ""
    assert "LayerNorm(96)" in fixed("pytorch", "", "unsuitable", activation="sigmoid")
    assert "HeNormal()" in fixed("keras", "", "zeros", activation="relu")
    assert "linear" in fixed("pytorch", "", "zeros", activation="tanh")  # LeCun's normal in PyTorch's words


def drawn(code: str) -> Any:
    """What the lines of NumPy draw."""
    names: dict[str, Any] = {"np": np, "RECIPES": RECIPES, "scipy": __import__("scipy")}
    exec(code, names)
    return names["W"]


def test_the_bounds_of_a_truncated_law_move_with_its_mean() -> None:
    line = fixed("pytorch", "truncated_normal(mean=0.1, std=0.2)")  # within two standard deviations of the mean
    assert line == "nn.init.trunc_normal_(model.features[0].weight, mean=0.1, std=0.2, a=-0.3, b=0.5)"


WITH_MEAN = ["truncated_normal(mean=0.1, std=0.2)", "normal(mean=0.1, std=0.2)", "uniform(low=-0.1, high=0.2)"]


@pytest.mark.parametrize(
    "name", [*(name for name in BY_NAME if " " not in name and "recurrent" not in name), *WITH_MEAN]
)
def test_numpy_lines_draw_the_law(name: str) -> None:
    """Kolmogorov-Smirnov on 4,608 draws: a p-value above 1e-6, with no seed to fix."""
    W, expected = drawn(fixed("onnx", name)), law(name, Fans(48, 96))
    assert W.shape == (96, 48)
    x = np.sort((W.ravel() - expected.mean) / expected.std)
    distribution = {
        "normal": stats.norm(),
        "uniform": stats.uniform(-math.sqrt(3.0), 2.0 * math.sqrt(3.0)),
        "truncated": stats.truncnorm(-2.0, 2.0, scale=1.0 / stats.truncnorm.std(-2.0, 2.0)),
    }[expected.family.name]
    assert stats.kstest(x, distribution.cdf).pvalue > 1e-6


@pytest.mark.parametrize("name", ["orthogonal(gain=1.5)", "zero_init", "constant(value=0.5)", "sparse(sparsity=0.5)"])
def test_numpy_lines_of_structures(name: str) -> None:
    """Stored (in, out), the array is transposed."""
    W = drawn(fixed("onnx", name))
    assert W.shape == (96, 48)
    if "orthogonal" in name:
        np.testing.assert_allclose(W.T @ W, 2.25 * np.eye(48), atol=1e-12)
    stored = fix("wrong_law", layer("keras"), name, "")
    np.testing.assert_array_equal(drawn(stored), W.T)
