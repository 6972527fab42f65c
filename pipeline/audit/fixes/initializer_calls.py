"""The call of a framework that draws a layer's weights from a law.

The names are those of the registry; for laws that have none in a framework, its general initializer with numbers.
"""

import ast
import re
from collections.abc import Mapping
from typing import Any

from pipeline.audit.judge import fans_of
from pipeline.audit.law_names import cell_of, read_call, value_of
from pipeline.distributions.families import TRUNCATED, UNIFORM
from pipeline.distributions.laws import Law, law
from pipeline.initializers.fan_scaling import FANS, STD_WITHIN_2
from pipeline.initializers.layerwise import RECIPES
from pipeline.initializers.networkwise import NETWORK_RECIPES
from pipeline.initializers.recipes import settings_of
from pipeline.model_files.layers import Layer

FIXED = ("normal", "uniform", "truncated_normal")  # recipes that do not depend on the fans
OF_MATRICES = ("identity", "sparse")  # recipes that frameworks have for two dimensions only
DISTRIBUTIONS = {  # of families, as the third argument of variance_scaling
    "keras": {"normal": "untruncated_normal", "uniform": "uniform", "truncated": "truncated_normal"},
    "flax": {"normal": "normal", "uniform": "uniform", "truncated": "truncated_normal"},
}
DRAWS = {  # by the numbers of a law; of PyTorch with its tensor for `{}`
    "pytorch": {
        "normal": "nn.init.normal_({{}}, mean={mean}, std={std})",
        "uniform": "nn.init.uniform_({{}}, {low}, {high})",
        "truncated": "nn.init.trunc_normal_({{}}, mean={mean}, std={std}, a={a}, b={b})",
    },
    "keras": {
        "normal": "keras.initializers.RandomNormal({mean}, {std})",
        "uniform": "keras.initializers.RandomUniform({low}, {high})",
        "truncated": "keras.initializers.TruncatedNormal({mean}, {std})",
    },
    "flax": {
        "normal": "lambda key, shape, dtype=jnp.float32: {mean} + {std} * jax.random.normal(key, shape, dtype)",
        "uniform": "lambda key, shape, dtype=jnp.float32: jax.random.uniform(key, shape, dtype, {low}, {high})",
        "truncated": "lambda key, shape, dtype=jnp.float32: {mean} + {std} * "
        "jax.random.truncated_normal(key, -2.0, 2.0, shape, dtype)",
    },
    "": {
        "normal": "np.random.default_rng().normal({mean}, {std}, size={size})",
        "uniform": "np.random.default_rng().uniform({low}, {high}, size={size})",
        "truncated": "scipy.stats.truncnorm.rvs(-2, 2, loc={mean}, scale={std}, size={size})",
    },
}


def draw(layer: Layer, name: str, framework: str) -> str:
    """The line that draws the weights of a layer from a law of the catalogue or a recipe."""
    call = read_call(name)
    if call.name in NETWORK_RECIPES:
        return (
            f'parameters = sample_parameters(Recipe("{call.name}"), seed, NetworkSpec(layers_dims, activations, X))'
            "  # pipeline.initializers"
        )
    if framework == "pytorch" and call.name in ("pytorch_linear", "pytorch_recurrent"):
        return f"{module_path(layer)}.reset_parameters()"
    initializer = _of_pytorch(call.name, call.keywords) if framework == "pytorch" else ""
    if call.name not in OF_MATRICES or len(layer.weight.shape) == 2:
        initializer = initializer or _named(call.name, call.keywords, framework)
    initializer = initializer or _numeric(layer, name, framework)
    return place(layer, initializer, framework)


def _of_pytorch(recipe: str, settings: Mapping[str, Any]) -> str:
    """PyTorch's call for laws that differ from a recipe by a gain alone; "" for others."""
    kind = recipe.partition("_")[2]
    if recipe.startswith("kaiming_") and "nonlinearity" in settings:
        return f"nn.init.{recipe}_({{}}, nonlinearity={shown(settings['nonlinearity'])})"
    if recipe in ("xavier_normal", "xavier_uniform") and set(settings) == {"gain"}:
        return f"nn.init.xavier_{kind}_({{}}, gain={shown(settings['gain'])})"
    if recipe in ("lecun_normal", "lecun_uniform") and set(settings) == {"mode"}:
        return f'nn.init.kaiming_{kind}_({{}}, mode={shown(settings["mode"])}, nonlinearity="linear")'
    return ""


def _named(recipe: str, given: Mapping[str, Any], framework: str) -> str:
    """The framework's own initializer for a recipe with these settings; "" if it has none.

    PyTorch's name has its tensor for `{}`. A setting at its default is left out where the call has it as a keyword.
    """
    entry = RECIPES.get(recipe)
    cell = cell_of(entry, framework) if entry is not None else None
    if entry is None or cell is None or recipe == "variance_scaling":
        return ""
    parameters = settings_of(recipe)
    defaults = {key: each.default for key, each in parameters.items() if each.default is not each.empty}
    settings: dict[str, Any] = {"gain": 1.0} | defaults | dict(given)
    arguments = [*cell.args, *(each.value for each in cell.keywords)] if isinstance(cell, ast.Call) else []
    mentioned = {node.id for argument in arguments for node in ast.walk(argument) if isinstance(node, ast.Name)}
    required = [key for key in parameters if key not in defaults]
    positional: list[str] = []
    if not isinstance(cell, ast.Call):
        positional = [shown(settings[key]) for key in required if key in settings]
        mentioned |= set(required)
    if set(required) - set(settings) or any(
        key not in mentioned and value != {"gain": 1.0, **defaults}.get(key) for key, value in settings.items()
    ):
        return ""
    keywords: list[str] = []
    if isinstance(cell, ast.Call):
        positional += [shown(value_of(argument, settings)) for argument in cell.args]
        for each in cell.keywords:
            value = value_of(each.value, settings)
            if not (isinstance(each.value, ast.Name) and value == defaults.get(each.value.id)):
                keywords.append(f"{each.arg}={shown(value)}")
    function = ast.unparse(cell.func if isinstance(cell, ast.Call) else cell)
    if function.startswith("kaiming") and not any(each.startswith(("a=", "nonlinearity=")) for each in keywords):
        keywords.append('nonlinearity="relu"')
    if positional == ["1.0"] and function.lower() in ("orthogonal", "orthogonal_", "identity"):
        positional = []
    if framework == "pytorch":
        return f"nn.init.{function}({', '.join(['{}', *positional, *keywords])})"
    module = "keras.initializers" if framework == "keras" else "nn.initializers"
    plain = framework == "flax" and function in ("zeros", "ones")  # initializers, not functions that return one
    return f"{module}.{function}" + ("" if plain else f"({', '.join([*positional, *keywords])})")


def _numeric(layer: Layer, name: str, framework: str) -> str:
    """An initializer by the numbers of the law; without a law, the laboratory's function for the recipe."""
    call = read_call(name)
    try:
        found = law(name, fans_of(layer)[0])
    except KeyError:
        return _array(layer, call.name, dict(call.keywords), framework)
    if framework in DISTRIBUTIONS and call.name not in FIXED:
        return _scaling(layer, found, call.name, call.keywords, framework)
    half = found.family.bound * found.std if found.family is UNIFORM else 0.0
    low, high = (shown(end) if abs(end) > 1e-9 * half else "0.0" for end in (found.mean - half, found.mean + half))
    std = found.std / STD_WITHIN_2 if found.family is TRUNCATED else found.std
    limits = {"low": low, "high": high, "a": shown(found.mean - 2.0 * std), "b": shown(found.mean + 2.0 * std)}
    draws = DRAWS.get(framework, DRAWS[""])[found.family.name]
    return draws.format(mean=shown(found.mean), std=shown(std), size=_shape(layer), **limits)


def _scaling(layer: Layer, found: Law, recipe: str, settings: Any, framework: str) -> str:
    """Keras' or JAX's variance_scaling that draws from a law."""
    fan = "fan_avg" if recipe.startswith(("xavier", "sklearn")) else settings.get("mode", "fan_in")
    scale = found.variance * FANS[fan](layer.fan_in, layer.fan_out)
    function = "keras.initializers.VarianceScaling" if framework == "keras" else "nn.initializers.variance_scaling"
    return f'{function}({shown(scale)}, "{fan}", "{DISTRIBUTIONS[framework][found.family.name]}")'


def _array(layer: Layer, recipe: str, settings: dict[str, Any], framework: str) -> str:
    """An initializer that returns the array of the laboratory's function for a recipe that has no law."""
    constants = {"zeros": 0.0, "ones": 1.0, "constant": settings.get("value", 0.0)}
    if recipe in constants:
        return f"np.full({_shape(layer)}, {shown(constants[recipe])})"
    gain = settings.pop("gain", 1.0)
    given = ", ".join(f"{key}={shown(value)}" for key, value in settings.items())
    drawn = f'RECIPES["{recipe}"].factory({given})(np.random.RandomState(0), {layer.units}, {layer.fan_in})'
    drawn = drawn if gain == 1.0 else f"{shown(gain)} * {drawn}"
    reshape = f".reshape({_shape(layer)})" if len(layer.weight.shape) != 2 else ""
    if framework == "pytorch":
        return f"{{}}.data.copy_(torch.from_numpy({drawn}){reshape})"
    transposed = framework in DISTRIBUTIONS or layer.layout == "in, out"
    drawn = f"({drawn}){'.T' if transposed else ''}{reshape}"
    if framework == "keras":
        return f"keras.initializers.Constant({drawn})"
    if framework == "flax":
        return f"lambda key, shape, dtype=jnp.float32: jnp.asarray({drawn}, dtype)"
    return drawn


def place(layer: Layer, initializer: str, framework: str, what: str = "kernel") -> str:
    """The line that applies an initializer to the weights ("kernel") or the biases ("bias") of a layer."""
    tensor = layer.bias if what == "bias" and layer.bias is not None else layer.weight
    if framework == "pytorch":
        return initializer.format(torch_path(tensor.name))
    if framework == "sklearn":
        index = re.search(r"\d+", tensor.name)
        kind = "intercepts_" if what == "bias" else "coefs_"
        return f"model.{kind}[{index[0] if index else 0}][:] = {initializer}"
    if framework in ("keras", "flax"):
        return _constructor(layer, initializer, framework, what)
    return f"{'b' if what == 'bias' else 'W'} = {initializer}  # {tensor.name}"


def _constructor(layer: Layer, initializer: str, framework: str, what: str) -> str:
    """The call of Keras or Flax that makes the layer, with the initializer as an argument."""
    keras = framework == "keras"
    module, shape, end = (
        ("keras.layers", layer.weight.shape, "_initializer") if keras else ("nn", layer.weight.shape, "_init")
    )
    name = re.split(r"[/.]", layer.name)[-1] or layer.name
    if layer.kind == "convolution":
        kernel = tuple(shape[:-2])
        function = f"{module}.Conv{len(kernel)}D" if keras else f"{module}.Conv"
        return f"{function}({layer.units}, {kernel}, {what}{end}={initializer})  # {name}"
    if layer.kind == "embedding":
        function = f"{module}.Embedding" if keras else f"{module}.Embed"
        return f"{function}({shape[0]}, {shape[-1]}, embedding{'s' if keras else ''}{end}={initializer})  # {name}"
    if layer.kind == "recurrent":
        cell = "keras.layers.LSTM" if keras else "nn.OptimizedLSTMCell"
        return f"{cell}({layer.hidden_size or layer.units}, {what}{end}={initializer})  # {name}, or its own class"
    return f"{module}.Dense({layer.units}, {what}{end}={initializer})  # {name}"


def module_path(layer: Layer) -> str:
    """The module of PyTorch that owns the weights."""
    return torch_path(layer.weight.name.rpartition(".")[0])


def torch_path(name: str) -> str:
    """model.features[0].weight for features.0.weight."""
    path = "model"
    for part in filter(None, name.split(".")):
        path += f"[{part}]" if part.isdecimal() else f".{part}" if part.isidentifier() else f'.get_submodule("{part}")'
    return path


def _shape(layer: Layer) -> str:
    return str(tuple(layer.weight.shape))


def shown(value: Any) -> str:
    """A setting as Python code, numbers with six digits."""
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, int) or value == round(value):
        return repr(float(value)) if isinstance(value, float) else repr(value)
    return f"{value:.6g}"
