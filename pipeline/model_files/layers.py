"""The layers of a model: which arrays are weights, of which kind, in which layout, with which fans."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from pipeline.model_files import kinds, names
from pipeline.model_files.kinds import Group
from pipeline.model_files.names import BUFFER, STATISTIC
from pipeline.model_files.tensors import Model, Module, Tensor, count, is_floats

OUT_IN, IN_OUT = "out, in", "in, out"
TRANSPOSED, TRANSPOSED_LAST = "in, out, kernel", "kernel, out, in"  # of transposed convolutions: PyTorch; Keras


class Layer(NamedTuple):
    """Weights with their bias. Of a convolution, a unit is an output channel."""

    name: str  # the part of the names that weight and bias share, such as "features.0"
    kind: str  # "dense", "convolution", "embedding", "normalization", "recurrent" or "other"
    weight: Tensor
    bias: Tensor | None
    # As the framework's initializers compute them: of a convolution, input and output channels times the kernel's size.
    # A unit has other than fan_in inputs in transposed convolutions, and in Keras' depthwise ones and attention.
    fan_in: int
    fan_out: int
    units: int
    # "out, in", "in, out", of transposed convolutions "in, out, kernel" (PyTorch) and "kernel, out, in" (Keras);
    # "" if neither names nor neighbouring layers determine it
    layout: str
    activation: str = ""  # of the layer's output, in the laboratory's name; "" if not known
    hidden_size: int = 0  # of a recurrent layer
    tied_to: str = ""  # the name of the earlier layer with the same storage

    def biases(self) -> NDArray[np.float64]:
        """The biases (units,); 0 if the layer has none."""
        if self.bias is None:
            return np.zeros(self.units)
        return np.asarray(self.bias.read(), dtype=np.float64).reshape(-1)

    def matrix(self) -> NDArray[Any]:
        """The weights (units, inputs) in the format in which they are stored: a view of a memory map where possible.

        The kernels of transposed convolutions are copied; without a layout the second axis is that of the inputs.
        """
        values = self.weight.read()
        if self.layout == IN_OUT:
            return values.reshape(-1, self.units).T
        if self.layout == TRANSPOSED:
            n, m = values.shape[:2]
            groups = self.units // m
            return np.asarray(values).reshape(groups, n // groups, m, -1).swapaxes(1, 2).reshape(self.units, -1)
        if self.layout == TRANSPOSED_LAST:
            return cast(NDArray[Any], np.moveaxis(np.asarray(values), -2, 0).reshape(self.units, -1))
        return values.reshape(self.units, -1)


def layers(model: Model) -> list[Layer]:
    """The layers of a model in their order.

    Arrays of integers, statistics, gains of weight normalization and vectors of unknown use are left out.
    """
    if model.framework == "onnx":
        return _with_ties(_by_nodes(model))
    groups: dict[str, Group] = {}
    for tensor in model.tensors:
        module, separator, leaf = names.split(tensor.name)
        role = names.role(leaf)
        if not role:  # an array of its own, or with a name such as W1
            module, role = names.numbered(tensor.name) or (tensor.name, "")
            separator, leaf = "", tensor.name
        if is_floats(tensor) and role not in (STATISTIC, BUFFER):
            group = groups.setdefault(module, Group(module, separator))
            group.arrays[leaf], group.roles[leaf] = tensor, role
    framework = model.framework or _framework(groups)
    found = [layer for group in groups.values() for layer in _layers(group, framework, model.modules)]
    found = _with_following_biases(found) if not framework else found
    found = [layer for layer in found if layer.kind != "other" or count(layer.weight.shape) > max(layer.weight.shape)]
    return _with_ties(_with_layouts(found, model.framework, framework))


def trained(model: Model) -> str:
    """Why a model is not at initialization, by its file or its normalization layers; "" if neither shows it."""
    if model.trained:
        return model.trained
    for tensor in model.tensors:
        module, _, leaf = names.split(tensor.name)
        if leaf == "num_batches_tracked" and tensor.shape == () and tensor.read().any():
            return f"{module} has normalized {int(tensor.read())} batches in training mode"
        is_mean = leaf in ("running_mean", "moving_mean") or (leaf == "mean" and model.framework == "flax")
        if is_mean and np.asarray(tensor.read()).any():
            return f"the running mean of {module} is not 0: it has normalized batches in training mode"
    return ""


# ---------------------------------------------------------------------------------------------------------------------
# The layers of one module


def _framework(groups: dict[str, Group]) -> str:
    """The framework whose names a file without such a record has; "" if they are of none."""
    leaves = {leaf for group in groups.values() for leaf in group.arrays}
    if "kernel" in leaves:
        return "flax"
    dotted = any(group.separator == "." and "weight" in group.arrays for group in groups.values())
    return "pytorch" if dotted else ""


def _layers(group: Group, framework: str, modules: Mapping[str, Module]) -> list[Layer]:
    found: list[Layer] = []
    for leaf in kinds.weights_of(group):
        weight, bias = group.arrays[leaf], kinds.bias_of(group, leaf)
        alone = leaf in ("weight", "kernel", "embedding", "embeddings", "gamma", "scale")
        alone = alone or leaf.startswith(("weight_v", "weight_orig", "parametrizations.weight"))
        name = group.module if alone and group.module else f"{group.module}{group.separator}{leaf}"
        name = name if group.separator else leaf
        module = modules.get(weight.name) or kinds.nearest(modules, group.module, framework)
        layer = _layer(name, leaf, group, bias, framework, module)
        found.append(_in_layout(layer, module.layout) if module.layout and len(weight.shape) == 2 else layer)
    return found


def _layer(name: str, leaf: str, group: Group, bias: Tensor | None, framework: str, module: Module) -> Layer:
    weight = group.arrays[leaf]
    shape = weight.shape
    kind = kinds.kind(leaf, group, bias, module, framework)
    hidden = kinds.hidden_size(leaf, group) if kind == "recurrent" else 0
    channels_last = framework in ("keras", "flax", "sklearn")
    layout, units = OUT_IN, shape[0] if shape else 1
    fan_in, fan_out = kinds.fans(shape, channels_last)
    if kind == "normalization" or len(shape) < 2:
        layout, units, fan_in, fan_out = "", 1, count(shape), 1
    elif kind == "other":
        layout, units = "", count(shape[:-1])
        fan_in, fan_out = shape[-1], units
    elif kind == "embedding":
        units = count(shape[:-1])
        if framework == "flax":
            fan_in, fan_out = shape[-1], units
    elif not channels_last:
        if kind == "convolution" and kinds.is_transposed(module, shape, bias):
            layout, units = TRANSPOSED, kinds.transposed_units(shape, module)
    elif kind == "dense" and len(shape) > 2:  # dense over several axes
        outputs = len(bias.shape) if bias else 1 + (kinds.leaf_of(group.module) in kinds.HEADS)
        layout, units = IN_OUT, count(shape[len(shape) - outputs :])
        if framework == "flax":
            fan_in, fan_out = count(shape) // max(units, 1), units
    elif kind == "convolution" and "depthwise" in f"{module.kind} {name}".lower():
        layout, units = IN_OUT, shape[-2] * shape[-1]
    elif framework == "keras" and "transpose" in f"{module.kind} {name}".lower():
        layout, units = TRANSPOSED_LAST, shape[-2]
    else:
        layout, units = IN_OUT, shape[-1]
    shown = module.activation if kind in ("dense", "convolution") and leaf != "depthwise_kernel" else ""
    return Layer(name, kind, weight, bias, fan_in, fan_out, units, layout, shown, hidden)


def _by_nodes(model: Model) -> list[Layer]:
    """The layers of an ONNX graph, whose operations determine kind, layout and bias; other arrays: kind "other"."""
    tensors = {tensor.name: tensor for tensor in model.tensors if is_floats(tensor)}
    biases = {module.bias for module in model.modules.values()}
    found = []
    for name, weight in tensors.items():
        shape, module = weight.shape, model.modules.get(name, Module(""))
        own = name.removesuffix(".weight")
        kind = names.kind_of(module.kind) or "other"
        if name in biases or (kind == "other" and (len(shape) < 2 or count(shape) == max(shape))):
            continue
        layout = OUT_IN if kind == "embedding" else module.layout
        if kind == "normalization" or len(shape) < 2:
            kind, layout, units, fan_in, fan_out = "normalization", "", 1, count(shape), 1
        elif layout == IN_OUT:
            units, (fan_in, fan_out) = shape[-1], kinds.fans(shape, True)
        elif layout == TRANSPOSED:
            units, (fan_in, fan_out) = kinds.transposed_units(shape, module), kinds.fans(shape, False)
        elif layout == OUT_IN and kind not in ("recurrent", "embedding"):
            units, (fan_in, fan_out) = shape[0], kinds.fans(shape, False)
        else:
            units, fan_in, fan_out = count(shape[:-1]), shape[-1], shape[-2]
        bias, hidden = tensors.get(module.bias), shape[-2] // GATES_OF.get(module.kind, 1) if kind == "recurrent" else 0
        found.append(Layer(own, kind, weight, bias, fan_in, fan_out, units, layout, module.activation, hidden))
    return found


GATES_OF = {"LSTM": 4, "GRU": 3}

# ---------------------------------------------------------------------------------------------------------------------
# What follows from neighbouring layers


def _with_following_biases(found: list[Layer]) -> list[Layer]:
    """Layers in which a vector without a name of its own is the bias of the matrix before it."""
    result: list[Layer] = []
    for layer in found:
        last = result[-1] if result else None
        shape = layer.weight.shape
        is_vector = max(shape, default=0) == count(shape) and layer.name == layer.weight.name
        if last and not last.bias and len(last.weight.shape) > 1 and is_vector and count(shape) in last.weight.shape:
            result[-1] = last._replace(bias=layer.weight)
        else:
            result.append(layer)
    return result


CONV1D = ("c_attn", "c_fc", "c_proj", "q_attn")  # of GPT-2 in PyTorch: dense layers that are stored (in, out)


def _with_layouts(found: list[Layer], stated: str, framework: str) -> list[Layer]:
    """Layers of which dense ones have the layout that follows from lengths of biases and neighbouring layers."""
    dense = [layer for layer in found if layer.kind == "dense" and len(layer.weight.shape) == 2]
    if stated in ("keras", "flax", "sklearn", "onnx"):
        return found
    if stated or framework:  # the names are a framework's: only lengths of biases contradict
        swapped = {layer.name for layer in dense if layer.layout == OUT_IN and _votes([layer]) == {IN_OUT}}
        family = any(kinds.leaf_of(name) in CONV1D for name in swapped)
        swapped |= {layer.name for layer in dense if family and kinds.leaf_of(layer.name) in CONV1D}
        return [_in_layout(layer, IN_OUT) if layer.name in swapped else layer for layer in found]
    votes = _votes(dense)
    layout = votes.pop() if len(votes) == 1 else ""
    return [_in_layout(layer, layout) if layer in dense else layer for layer in found]


def _votes(dense: Sequence[Layer]) -> set[str]:
    """The layouts that agree with the length of a bias or the next layer's inputs, where the other layout does not."""
    votes = set()
    for layer in dense:
        n, m = layer.weight.shape
        if layer.bias and n != m and (length := count(layer.bias.shape)) in (n, m):
            votes.add(OUT_IN if length == n else IN_OUT)
    for layer, after in itertools.pairwise(dense):
        (n, m), (n_next, m_next) = layer.weight.shape, after.weight.shape
        if (m_next == n) != (n_next == m):
            votes.add(OUT_IN if m_next == n else IN_OUT)
    return votes


def _in_layout(layer: Layer, layout: str) -> Layer:
    n, m = layer.weight.shape
    if layout == IN_OUT:
        n, m = m, n
    return layer._replace(layout=layout, units=n, fan_out=n, fan_in=m)


def _with_ties(found: list[Layer]) -> list[Layer]:
    first: dict[Any, str] = {}
    result = []
    for layer in found:
        key = layer.weight.storage
        tied = "" if key is None else first.setdefault(key, layer.name)
        result.append(layer._replace(tied_to="" if tied == layer.name else tied))
    return result
