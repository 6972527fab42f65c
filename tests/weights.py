"""Weights drawn by NumPy's own generator, as layers without a file, for tests of distributions and of the audit."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.model_files.layers import Layer
from pipeline.model_files.tensors import Tensor

Generator = np.random.Generator
STD_WITHIN_2 = 0.8796256610342398  # scipy.stats.truncnorm.std(-2, 2)


def draws(family: str, shape: tuple[int, ...], rng: Generator, std: float = 1.0) -> Any:
    """Independent draws of a family with mean 0 and this standard deviation."""
    if family == "normal":
        return rng.normal(size=shape) * std
    if family == "uniform":
        return rng.uniform(-1.0, 1.0, size=shape) * (math.sqrt(3.0) * std)
    drawn = rng.normal(size=shape)
    while (outside := np.abs(drawn) > 2.0).any():
        drawn[outside] = rng.normal(size=int(outside.sum()))
    return drawn * (std / STD_WITHIN_2)


def bfloat16(values: Any) -> Any:
    """Values rounded to bfloat16, to nearest even, as float32."""
    bits = np.asarray(values, dtype=np.float32).view(np.uint32).astype(np.uint64)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
    return rounded.astype(np.uint32).view(np.float32)


class InMemory(Layer):
    """A layer whose weights are an array."""

    def matrix(self) -> Any:
        return self.weight.read()


def tensor(name: str, values: Any, dtype: str = "") -> Tensor:
    return Tensor(name, values.shape, dtype or str(values.dtype), lambda: values)


def network(
    weights: Sequence[Any], biases: Sequence[Any] = (), dtype: str = "", kind: str = "dense", layout: str = "out, in"
) -> list[Layer]:
    """Layers named layer1, layer2, ... with these weights (units, fan_in) and biases."""
    return [
        InMemory(
            f"layer{l}",
            kind,
            tensor(f"layer{l}.weight", W, dtype),
            tensor(f"layer{l}.bias", biases[l - 1], dtype) if biases else None,
            W.shape[1],
            W.shape[0],
            W.shape[0],
            layout,
        )
        for l, W in enumerate(weights, start=1)
    ]


def he(rng: Generator, n_layers: int = 6, width: int = 64) -> list[Any]:
    """Square layers of He's normal law."""
    return [draws("normal", (width, width), rng, math.sqrt(2.0 / width)) for _ in range(n_layers)]
