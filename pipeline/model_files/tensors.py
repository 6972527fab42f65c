"""A model as a list of named arrays, before any of its values are read."""

import math
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")
FLOATS = ("float64", "float32", "float16", "bfloat16")  # number formats of weights


def count(shape: Iterable[int]) -> int:
    """The number of values of an array of a shape."""
    return math.prod(shape)


class Tensor(NamedTuple):
    """An array of a model.

    `read` returns the values in the shape and the number format in which they are stored, a memory map where the file
    allows one; bfloat16 is returned as float32, which represents it exactly: see `from_bfloat16`. Each call opens the
    file again, so nothing stays in memory when the result is no longer used.
    """

    name: str  # as the file or the object names it, such as "features.0.weight" or "dense/kernel"
    shape: tuple[int, ...]
    dtype: str  # as stored: "float32", "float16", "bfloat16", "int64", ...
    read: Callable[[], NDArray[Any]]
    storage: Hashable = None  # equal for two tensors that share their memory (tied weights); None: shared with none


class LeftOut(ValueError):
    """An array that is not read: a sentence for the notes."""


def tensors_of(entries: Iterable[tuple[str, T]], tensor: Callable[[str, T], Tensor], notes: list[str]) -> list[Tensor]:
    """The tensors of named entries; those for which `tensor` raises LeftOut become notes."""
    found = []
    for name, entry in entries:
        try:
            found.append(tensor(name, entry))
        except LeftOut as reason:
            notes.append(str(reason))
    return found


class Module(NamedTuple):
    """What is known of the module that owns tensors, from the file or object."""

    kind: str  # its class, such as "Linear", "Conv2d", "Dense", "BatchNormalization"
    activation: str = ""  # applied to its output, in the laboratory's name; "" if not known
    groups: int = 1  # of a convolution
    bias: str = ""  # the name of its bias, where the names of arrays do not pair them
    layout: str = ""  # of its weight, as in `layers.Layer`, where it is not the framework's


@dataclass(frozen=True)
class Model:
    """The arrays of a model, in the order of the file or of the layers."""

    source: str  # the file's name, or the class of the object
    framework: str  # "pytorch", "keras", "flax", "sklearn", "onnx", or "" if unknown
    tensors: list[Tensor]
    # by the prefix of the tensors' names; of ONNX by the name of the weight
    modules: Mapping[str, Module] = field(default_factory=dict)
    trained: str = ""  # evidence of training in the file, such as "epoch is 12"; "": nothing
    notes: list[str] = field(default_factory=list)  # what of the file was left out


def has_weights(model: Model) -> bool:
    """Whether a model has an array that may be a weight."""
    return any(map(is_floats, model.tensors))


def is_floats(tensor: Tensor) -> bool:
    """Whether a tensor is an array of floats: not a single number, not empty."""
    return tensor.dtype in FLOATS and tensor.shape != () and 0 not in tensor.shape


class BFloat16(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of bfloat16 values of which each piece is converted to float32 when it is read.

    `array[2:5]` and `array[:, 2:5]` are float32 arrays of that piece; arithmetic, comparisons and `numpy.asarray`
    convert the whole.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, bits: NDArray[np.uint16]) -> None:
        self.bits = bits
        self.shape, self.ndim, self.size = bits.shape, bits.ndim, bits.size
        self.flags, self.strides = bits.flags, bits.strides

    @property
    def T(self) -> "BFloat16":
        return BFloat16(self.bits.T)

    def __len__(self) -> int:
        return len(self.bits)

    def __getitem__(self, key: Any) -> NDArray[np.float32]:
        return _float32(self.bits[key])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return _float32(self.bits).astype(self.dtype if dtype is None else dtype, copy=False)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        arrays = (_float32(each.bits) if isinstance(each, BFloat16) else each for each in inputs)
        return getattr(ufunc, method)(*arrays, **options)

    def astype(self, dtype: Any, **options: Any) -> NDArray[Any]:
        return _float32(self.bits).astype(dtype, **options)

    def reshape(self, *shape: Any) -> "BFloat16":
        return BFloat16(self.bits.reshape(*shape))

    def transpose(self, *axes: Any) -> "BFloat16":
        return BFloat16(self.bits.transpose(*axes))

    def ravel(self) -> "BFloat16":
        return BFloat16(self.bits.reshape(-1))


PIECEWISE = 1_000_000  # bfloat16 arrays with more values are converted piece by piece, a smaller one at once


def from_bfloat16(bits: NDArray[np.uint16]) -> NDArray[np.float32]:
    """The float32 values of an array of bfloat16 bits; of a large one a `BFloat16`, which acts as that array."""
    return cast(NDArray[np.float32], BFloat16(bits)) if bits.size > PIECEWISE else _float32(bits)


def _float32(bits: NDArray[np.uint16]) -> NDArray[np.float32]:
    wide = np.asarray(bits).astype(np.uint32)
    return np.left_shift(wide, 16, out=wide).view(np.float32)
