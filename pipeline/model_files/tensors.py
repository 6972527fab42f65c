"""A model as a list of named arrays, before any of its values are read."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from numpy.typing import NDArray


class Tensor(NamedTuple):
    """An array of a model.

    `read` returns the values in the shape and the number format in which they are stored, a memory map where the file
    allows one; bfloat16 is returned as float32, which represents it exactly. Each call opens the file again, so nothing
    stays in memory when the result is no longer used.
    """

    name: str  # as the file or the object names it, such as "features.0.weight" or "dense/kernel"
    shape: tuple[int, ...]
    dtype: str  # as stored: "float32", "float16", "bfloat16", "int64", ...
    read: Callable[[], NDArray[Any]]
    storage: Hashable = None  # equal for two tensors that share their memory (tied weights); None: shared with none


class Module(NamedTuple):
    """What the file or object says of the module that owns tensors."""

    kind: str  # its class, such as "Linear", "Conv2d", "Dense", "BatchNormalization"
    activation: str = ""  # applied to its output, in the laboratory's name; "" if not known
    groups: int = 1  # of a convolution


@dataclass(frozen=True)
class Model:
    """The arrays of a model, in the order of the file or of the layers."""

    source: str  # the file's name, or the class of the object
    framework: str  # "pytorch", "keras", "flax", "sklearn", "onnx", or "" if the file does not tell
    tensors: list[Tensor]
    modules: Mapping[str, Module] = field(default_factory=dict)  # by the prefix of the tensors' names
