"""Arrays of NumPy, JAX and PyTorch as tensors of a model."""

from collections.abc import Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UserError
from pipeline.model_files.tensors import LeftOut, Tensor, from_bfloat16

UNREADABLE = "float8", "complex", "qint", "quint", "float4", "int4"


def is_torch(value: Any) -> bool:
    """Whether a value is a tensor of PyTorch."""
    return hasattr(value, "detach") and hasattr(value, "dtype")


def is_array(value: Any) -> bool:
    """Whether a value is an array of NumPy or JAX, or a tensor of PyTorch."""
    return is_torch(value) or (hasattr(value, "__array__") and hasattr(value, "dtype") and hasattr(value, "shape"))


def array_tensor(name: str, value: Any) -> Tensor:
    """The tensor of an array. Raises LeftOut if its type is not read, and UserError if it has no values."""
    if type(value).__name__ in ("UninitializedParameter", "UninitializedBuffer"):
        raise UserError(f"{name}: its shape is not known yet; call the model on a batch of data first")
    if getattr(value, "is_meta", False):
        action = 'call model.to_empty(device="cpu") and initialize the weights'
        raise UserError(f'{name}: is on the device "meta" and has no values; {action}')
    dtype = str(value.dtype).rpartition(".")[2]
    if getattr(value, "is_quantized", False) or dtype.startswith(UNREADABLE):
        raise LeftOut(f"{name} has the type {dtype}, which is left out")
    shape = tuple(int(n) for n in value.shape)
    return Tensor(name, shape, dtype, lambda: _values(value, dtype), _storage(value, shape))


def _values(value: Any, dtype: str) -> NDArray[Any]:
    if is_torch(value):
        value = value.full_tensor() if hasattr(value, "full_tensor") else value  # distributed
        value = value.detach().cpu()
        return np.asarray((value.float() if dtype == "bfloat16" else value).numpy())
    array = np.asarray(value)
    return from_bfloat16(array.view(np.uint16)) if dtype == "bfloat16" else array


def _storage(value: Any, shape: tuple[int, ...]) -> Hashable:
    """What is equal for arrays in the same memory."""
    if is_torch(value) and hasattr(value, "data_ptr"):
        place = value.data_ptr()
    elif hasattr(value, "__array_interface__"):
        place = value.__array_interface__["data"][0]
    else:
        place = id(value)
    return (place, tuple(sorted(shape))) if place else None
