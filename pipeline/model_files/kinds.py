"""Of which kind the layer of an array is, and its fans: from the module's class, the names and the shape."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.model_files import names
from pipeline.model_files.names import BIAS, SCALE, SHIFT, WEIGHT
from pipeline.model_files.tensors import Module, Tensor, count

HEADS = ("query", "key", "value")  # of attention, whose kernels have shape (inputs, heads, size of a head)
GATE = re.compile("[ih][ifgornz]")  # of Flax's recurrent cells, such as "hf": from the hidden state to the forget gate
CELL = re.compile("cell|lstm|gru|rnn", re.IGNORECASE)
RECURRENT = ("weight_ih", "weight_hh", "weight_hr")  # of PyTorch


@dataclass
class Group:
    """The arrays of one module."""

    module: str
    separator: str
    arrays: dict[str, Tensor] = field(default_factory=dict)  # by the last part of the name
    roles: dict[str, str] = field(default_factory=dict)


def leaf_of(module: str) -> str:
    """The last part of a module's name."""
    return names.split(module)[2]


def nearest(modules: Mapping[str, Module], name: str, framework: str) -> Module:
    """What is known of a module; in Keras of the nearest module around it that is known."""
    while name not in modules and framework == "keras" and "/" in name:
        name = name.rpartition("/")[0]
    return modules.get(name, Module(""))


def weights_of(group: Group) -> list[str]:
    """The last parts of the names of a group's weights: as drawn, where they are reparametrized."""
    found = [leaf for leaf in group.arrays if group.roles[leaf] in (WEIGHT, SCALE, "")]
    return [leaf for leaf in found if leaf != "weight_v" or "weight_orig" not in found]  # of spectral normalization


def bias_of(group: Group, leaf: str) -> Tensor | None:
    """The bias that belongs to a weight of a group."""
    arrays = group.arrays
    if leaf in ("recurrent_kernel", "embedding", "embeddings"):
        return None
    if leaf == "depthwise_kernel" and "pointwise_kernel" in arrays:
        return None
    wanted = {"gamma": "beta", "in_proj_weight": "in_proj_bias"}.get(leaf, leaf.replace("weight_", "bias_"))
    if wanted in arrays and wanted != leaf:
        return arrays[wanted]
    if leaf.startswith(RECURRENT):
        return None
    roles = (SHIFT, BIAS) if group.roles[leaf] == SCALE else (BIAS,)
    own = [each for each, role in group.roles.items() if role in roles and each != "in_proj_bias"]
    return arrays[own[0]] if own else None


def kind(leaf: str, group: Group, bias: Tensor | None, module: Module, framework: str) -> str:
    """The kind of the layer of a weight, as in `layers.Layer`; a framework's dense weights have a name of their own."""
    role, rank = group.roles[leaf], len(group.arrays[leaf].shape)
    if rank < 2:
        alone = leaf == "gamma" and "beta" not in group.arrays and group.separator == "."  # of PyTorch: LayerScale
        slope = module.kind == "PReLU" or (leaf == "weight" and count(group.arrays[leaf].shape) == 1)
        return "normalization" if role in (WEIGHT, SCALE) and not alone and not slope else "other"
    if "recurrent_kernel" in group.arrays or leaf.startswith(RECURRENT):
        return "recurrent"
    if leaf.startswith("embedding"):
        return "embedding"
    if not role:
        return "embedding" if names.is_embedding(leaf) else "dense" if rank == 2 and not framework else "other"
    own = names.kind_of(module.kind)
    if own and own != "normalization":
        return "dense" if own == "convolution" and rank == 2 else own
    if leaf == "kernel" and GATE.fullmatch(leaf_of(group.module)) and CELL.search(group.module):
        return "recurrent"
    if rank == 2:
        vectors = leaf == "weight" and not bias and names.is_embedding(group.module)
        return "embedding" if vectors else "dense"
    several = (bias is not None and len(bias.shape) > 1) or leaf_of(group.module) in HEADS or "ttention" in group.module
    return "dense" if leaf == "kernel" and rank == 3 and several else "convolution"


def hidden_size(leaf: str, group: Group) -> int:
    """The hidden size of a recurrent layer; 0 if the arrays do not determine it."""
    arrays = group.arrays
    if "recurrent_kernel" in arrays:
        return arrays["recurrent_kernel"].shape[0]
    if leaf == "kernel":
        return arrays[leaf].shape[-1]
    end = "_".join(leaf.split("_")[2:])  # "l0", "l0_reverse", or "" of a cell
    projection = arrays.get(f"weight_hr_{end}")
    recurrent = projection or arrays.get(f"weight_hh_{end}" if end else "weight_hh")
    return recurrent.shape[-1] if recurrent else 0


def fans(shape: Sequence[int], channels_last: bool) -> tuple[int, int]:
    """fan_in and fan_out, as PyTorch computes them of (out, in, kernel), or Keras and JAX of (kernel, in, out)."""
    if len(shape) < 2:
        return count(shape), 1
    if channels_last:
        size = count(shape[:-2])
        return shape[-2] * size, shape[-1] * size
    size = count(shape[2:])
    return shape[1] * size, shape[0] * size


def transposed_units(shape: Sequence[int], module: Module) -> int:
    """The output channels of a transposed convolution whose kernel is (in, out / groups, kernel)."""
    return shape[1] * (module.groups if shape[0] % module.groups == 0 else 1)


def is_transposed(module: Module, shape: Sequence[int], bias: Tensor | None) -> bool:
    """Whether the kernel of a PyTorch convolution is that of a transposed one, (in, out, kernel)."""
    if module.kind:
        return "Transpose" in module.kind
    return bias is not None and bias.shape[0] != shape[0] and bias.shape[0] == shape[1]
