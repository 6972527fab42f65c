"""Networks whose weights are drawn as documented, for the benchmark of the audit.

Variances are written out here once more, from the papers and the frameworks' documentation, and half of the networks
are drawn by NumPy's own generator: neither the audit's catalogue nor the laboratory's recipes are trusted.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.initializers.layerwise import RECIPES
from pipeline.model_files.layers import Layer
from pipeline.model_files.tensors import Tensor

Matrix = NDArray[Any]
Generator = np.random.Generator
STD_WITHIN_2 = 0.8796256610342398  # of N(0, 1) truncated at ±2
FAMILIES = ("normal", "uniform", "truncated_normal")

# Name in the catalogue -> family, variance as a function of (fan_in, fan_out)
LAWS: dict[str, tuple[str, Callable[[int, int], float]]] = {
    **{f"he_{family}": (family, lambda i, o: 2 / i) for family in FAMILIES},
    **{f"he_{family}(mode='fan_out')": (family, lambda i, o: 2 / o) for family in FAMILIES},
    **{f"xavier_{family}": (family, lambda i, o: 2 / (i + o)) for family in FAMILIES},
    **{f"lecun_{family}": (family, lambda i, o: 1 / i) for family in FAMILIES},
    **{f"xavier_{family}(gain=5/3)": (family, lambda i, o: 25 / 9 * 2 / (i + o)) for family in FAMILIES[:2]},
    **{f"xavier_{family}(gain=sqrt(2))": (family, lambda i, o: 4 / (i + o)) for family in FAMILIES[:2]},
    **{f"kaiming_{family}(nonlinearity='tanh')": (family, lambda i, o: 25 / 9 / i) for family in FAMILIES[:2]},
    "pytorch_linear": ("uniform", lambda i, o: 1 / (3 * i)),
    "normal(std=0.02)": ("normal", lambda i, o: 0.0004),
    "truncated_normal(std=0.02)": ("truncated_normal", lambda i, o: 0.0004 * STD_WITHIN_2**2),
    "uniform(low=-0.05, high=0.05)": ("uniform", lambda i, o: 0.05**2 / 3),
}
# The laboratory's recipe for a name, where it has one
LABORATORY: dict[str, tuple[str, dict[str, Any]]] = {
    **{f"{rule}_{family}": (f"{rule}_{family}", {}) for rule in ("he", "xavier", "lecun") for family in FAMILIES},
    **{f"he_{family}(mode='fan_out')": (f"he_{family}", {"mode": "fan_out"}) for family in FAMILIES},
    "pytorch_linear": ("pytorch_linear", {}),
    "normal(std=0.02)": ("normal", {"std": 0.02}),
    "truncated_normal(std=0.02)": ("truncated_normal", {"std": 0.02}),
    "uniform(low=-0.05, high=0.05)": ("uniform", {"low": -0.05, "high": 0.05}),
    "orthogonal": ("orthogonal", {}),
}
# Per activation: laws with which networks of any depth train, and laws that are usual in networks of few layers.
SUITABLE: dict[str, list[str]] = {
    "relu": [
        *(f"he_{family}{mode}" for family in FAMILIES for mode in ("", "(mode='fan_out')")),
        *(f"xavier_{family}(gain=sqrt(2))" for family in FAMILIES[:2]),
        "orthogonal",
    ],
    "tanh": [*(f"{rule}_{family}" for rule in ("xavier", "lecun") for family in FAMILIES), "orthogonal"],
    "gelu": [*(f"he_{family}" for family in FAMILIES), "orthogonal"],
}
SHALLOW: dict[str, list[str]] = {
    "relu": ["pytorch_linear", "uniform(low=-0.05, high=0.05)"],
    "tanh": [
        *(f"xavier_{family}(gain=5/3)" for family in FAMILIES[:2]),
        *(f"kaiming_{family}(nonlinearity='tanh')" for family in FAMILIES[:2]),
        "pytorch_linear",
    ],
    "gelu": [
        *(f"{rule}_{family}" for rule in ("xavier", "lecun") for family in FAMILIES),
        "normal(std=0.02)",
        "truncated_normal(std=0.02)",
        "pytorch_linear",
    ],
}
SHALLOW_LAYERS = 2  # hidden layers, at most
FORMATS = {"float64": 0.3, "float32": 0.5, "float16": 0.1, "bfloat16": 0.1}


@dataclass
class Network:
    """Weights (units, fan_in), biases (units,) or None, and how they are stored."""

    weights: list[Matrix]
    biases: list[Matrix | None]
    activation: str
    expect: str
    dtype: str = "float32"
    layout: str = "out, in"
    scales: list[Matrix] = field(default_factory=list)  # of normalization layers at the end

    def layers(self) -> list[Layer]:
        found = []
        for l, (W, b) in enumerate(zip(self.weights, self.biases, strict=True), start=1):
            units, fan_in = W.shape
            stored = as_format(W if self.layout == "out, in" else np.ascontiguousarray(W.T), self.dtype)
            bias = None if b is None else self.tensor(f"{l}.bias", as_format(b, self.dtype))
            weight = self.tensor(f"{l}.weight", stored)
            found.append(Layer(str(l), "dense", weight, bias, fan_in, units, units, self.layout, self.activation))
        for l, scale in enumerate(self.scales, start=1):
            weight = self.tensor(f"norm{l}.weight", as_format(scale, self.dtype))
            shift = self.tensor(f"norm{l}.bias", as_format(np.zeros(len(scale)), self.dtype))
            found.append(Layer(f"norm{l}", "normalization", weight, shift, len(scale), 1, 1, ""))
        return found

    def tensor(self, name: str, values: Matrix) -> Tensor:
        return Tensor(name, values.shape, self.dtype, lambda: values)


def as_format(values: Matrix, dtype: str) -> Matrix:
    """Values as a file in this format gives them back; bfloat16, rounded to nearest even, as float32."""
    with np.errstate(over="ignore", invalid="ignore"):
        if dtype != "bfloat16":
            return values.astype(dtype)
        bits = values.astype(np.float32).view(np.uint32).astype(np.uint64)
        rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
        return rounded.astype(np.uint32).view(np.float32)


def draws(family: str, shape: tuple[int, ...], std: float, rng: Generator) -> Matrix:
    """Independent draws of mean 0 and this standard deviation."""
    if family == "uniform":
        return rng.uniform(-1, 1, shape) * (math.sqrt(3) * std)
    values = rng.normal(size=shape)
    while family == "truncated_normal" and (outside := abs(values) > 2).any():
        values[outside] = rng.normal(size=np.count_nonzero(outside))
    return values * (std / STD_WITHIN_2 if family == "truncated_normal" else std)


def draw(name: str, fan_out: int, fan_in: int, rng: Generator, gain: float = 1.0) -> Matrix:
    """A matrix (fan_out, fan_in) drawn by a law of LAWS, or orthogonal with a gain."""
    if name == "orthogonal":
        tall = rng.normal(size=(max(fan_out, fan_in), min(fan_out, fan_in)))
        Q, R = np.linalg.qr(tall)
        Q = Q * np.sign(np.diag(R)) * gain
        return Q if fan_out >= fan_in else Q.T
    family, variance = LAWS[name]
    return draws(family, (fan_out, fan_in), math.sqrt(variance(fan_in, fan_out)), rng)


def recipe_draw(name: str, fan_out: int, fan_in: int, rng: np.random.RandomState) -> Matrix:
    """The same by the laboratory's recipe."""
    recipe, settings = LABORATORY[name]
    drawn = RECIPES[recipe].factory(**settings)(rng, fan_out, fan_in)
    W: Matrix = drawn[0] if isinstance(drawn, tuple) else drawn
    return W


def log_uniform(rng: Generator, low: int, high: int) -> int:
    """A whole number from low to high, whose logarithm has a uniform distribution."""
    return int(math.exp(rng.uniform(math.log(low), math.log(high + 1))))


def healthy(index: int) -> Network:
    """The network of this number: 1 to 49 hidden layers of 16 to 256 units, of one width or each of its own."""
    rng = np.random.default_rng([14, index])
    activation = ("relu", "tanh", "gelu")[index % 3]
    laws = SUITABLE[activation] + SHALLOW[activation]
    expect = laws[index // 3 % len(laws)]
    n_hidden = log_uniform(rng, 2, 50) - 1
    if expect in SHALLOW[activation]:
        n_hidden = min(n_hidden, SHALLOW_LAYERS)
    width, mixed = log_uniform(rng, 16, 256), rng.random() < 0.5
    mixed = (
        mixed and expect != "orthogonal"
    )  # whose signal fades where layers widen: the variance is 1 / the larger fan
    hidden = [log_uniform(rng, 16, 256) if mixed else width for _ in range(n_hidden)]
    sizes = [int(rng.choice([2, 10, 32, 64, 128])), *hidden, int(rng.choice([1, 2, 10]))]
    legacy = np.random.RandomState(index)
    gain = 1.0 if activation == "tanh" else math.sqrt(2)
    by_recipe = expect in LABORATORY and rng.random() < 0.5 and (expect != "orthogonal" or gain == 1.0)
    weights = [
        recipe_draw(expect, fan_out, fan_in, legacy) if by_recipe else draw(expect, fan_out, fan_in, rng, gain)
        for fan_in, fan_out in pairwise(sizes)
    ]
    kind = ("none", "zeros", "default")[int(rng.integers(3))]
    biases: list[Matrix | None] = [None] * len(weights)
    if kind == "zeros":
        biases = [np.zeros(len(W)) for W in weights]
    elif kind == "default":  # of torch.nn.Linear
        biases = [rng.uniform(-1, 1, len(W)) / math.sqrt(W.shape[1]) for W in weights]
    dtype = str(rng.choice(list(FORMATS), p=list(FORMATS.values())))
    layout = "out, in" if rng.random() < 0.7 else "in, out"
    return Network(weights, biases, activation, expect, dtype, layout)
