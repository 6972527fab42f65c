"""The line of code that repairs a layer in its framework.

The lines assume the usual imports: `import torch` and `from torch import nn`, `import keras`, `import flax.linen as nn`
and `import jax`, or `import numpy as np`; RECIPES is in `pipeline.initializers.layerwise`, and `model` is the network.
"""

import math

from pipeline.audit.fixes.initializer_calls import draw, module_path, place, shown
from pipeline.audit.results import CAUSES
from pipeline.model_files.layers import Layer

RECOMMENDED = {  # laws near the edge of chaos, by activation; He's for others
    **dict.fromkeys(("tanh", "hardtanh", "linear", "elu", "selu"), "lecun_normal"),
    **dict.fromkeys(("sigmoid", "hard_sigmoid"), "xavier_uniform"),
}
CRITICAL_BIASES = {"gelu": 0.2, "silu": 0.6}  # variances of biases without which these have no edge of chaos
WITHOUT_EDGE = ("sigmoid", "hard_sigmoid", "softplus")  # deep networks of these require normalization layers
KERAS_NORMALIZATION = """layer = model.get_layer("{name}")
layer.set_weights([np.ones({size}), np.zeros({size}), *layer.get_weights()[2:]])"""
SAVE_INITIAL = {
    "pytorch": 'torch.save(model.state_dict(), "initial.pt")  # before the first step of the optimizer',
    "keras": 'model.save_weights("initial.weights.h5")  # before model.fit',
    "flax": 'open("initial.msgpack", "wb").write(flax.serialization.to_bytes(params))  # before the first update',
    "sklearn": 'model.set_params(solver="sgd", learning_rate_init=1e-300, max_iter=1).fit(X, y)  # as initialized',
    "": 'np.savez("initial.npz", *weights)  # before the first update',
}
ONE_STREAM = {
    "pytorch": "torch.manual_seed(0)  # once, before the first layer is made",
    "keras": "keras.utils.set_random_seed(0)  # once; then a new initializer, without a seed, for each layer",
    "flax": "key, layer_key = jax.random.split(key)  # a new key for each layer",
    "": "rng = np.random.default_rng(0)  # once, for all layers",
}
BIASES = {  # zeros, and normal draws; of PyTorch with its tensor for `{}`
    "pytorch": ("nn.init.zeros_({{}})", "nn.init.normal_({{}}, std={std})"),
    "keras": ("keras.initializers.Zeros()", "keras.initializers.RandomNormal(0.0, {std})"),
    "flax": ("nn.initializers.zeros", "nn.initializers.normal({std})"),
    "": ("np.zeros({n})", "np.random.default_rng().normal(0.0, {std}, size={n})"),
}


def fix(cause: str, layer: Layer, law: str, framework: str, activation: str = "") -> str:
    """One or two lines of code of the framework that repair a layer with one of CAUSES.

    The weights are drawn from `law`, or if that is "", from one for the activation of the layer, or for `activation`
    if it has none. `framework` is "pytorch", "keras", "flax", "sklearn", or another one, for which the
    line is NumPy's. For "unsuitable" no weights are drawn if the layer has the recommended law. Raises KeyError for an
    unknown cause.
    """
    CAUSES[cause]
    framework = framework if framework in SAVE_INITIAL else ""
    phi = layer.activation or activation
    recommended = RECOMMENDED.get(phi, "he_normal")
    if framework in ("keras", "flax"):  # whose normal initializers are truncated
        recommended = recommended.replace("_normal", "_truncated_normal")
    name = law or recommended
    if cause == "not_initial":
        return SAVE_INITIAL[framework]
    if cause == "normalization" or layer.kind == "normalization":
        return _normalization(layer, framework)
    if cause == "bias":
        return _biases(layer, name, framework, 0.0)
    if cause == "same_draws":
        line = draw(layer, name, framework).replace("np.random.default_rng()", "rng")
        return f"{ONE_STREAM.get(framework, ONE_STREAM[''])}\n{line}"
    if cause == "unsuitable":
        lines = [] if law == recommended else [draw(layer, recommended, framework)]
        variance = CRITICAL_BIASES.get(phi, 0.0)
        if phi in WITHOUT_EDGE:
            lines.append(_new_normalization(layer, framework))
        elif variance and layer.bias is not None:
            lines.append(_biases(layer, "", framework, variance))
        return "\n".join(lines)
    return draw(layer, name, framework)


def _biases(layer: Layer, name: str, framework: str, variance: float) -> str:
    """The line that sets the biases to 0, or draws them from N(0, variance), or as the law's default does."""
    if framework == "pytorch" and name in ("pytorch_linear", "pytorch_recurrent"):
        return f"{module_path(layer)}.reset_parameters()"
    zeros, normal = BIASES.get(framework, BIASES[""])
    made = (normal if variance else zeros).format(std=shown(math.sqrt(variance)), n=layer.units)
    return place(layer, made, framework, "bias")


def _normalization(layer: Layer, framework: str) -> str:
    """The lines that set scale and shift of a normalization layer to 1 and 0."""
    if framework == "pytorch":
        return f"{module_path(layer)}.reset_parameters()  # weight 1, bias 0"
    if framework == "keras":
        return KERAS_NORMALIZATION.format(name=layer.name.split("/")[-1], size=math.prod(layer.weight.shape))
    if framework == "flax":
        kind = next((kind for kind in ("LayerNorm", "GroupNorm") if kind in layer.name), "BatchNorm")
        running = "use_running_average=not train, " if kind == "BatchNorm" else ""
        return f"nn.{kind}({running}scale_init=nn.initializers.ones, bias_init=nn.initializers.zeros)"
    n = math.prod(layer.weight.shape)
    return f"scale, shift = np.ones({n}), np.zeros({n})  # {layer.name}"


def _new_normalization(layer: Layer, framework: str) -> str:
    """The line that makes a normalization layer to follow this one."""
    made = {
        "pytorch": f"nn.LayerNorm({layer.units})",
        "keras": "keras.layers.LayerNormalization()",
        "flax": "nn.LayerNorm()",
    }.get(framework, "z = (z - z.mean(axis=1, keepdims=True)) / z.std(axis=1, keepdims=True)")
    return f"{made}  # after each hidden layer: without it, deep networks of this activation do not train"
