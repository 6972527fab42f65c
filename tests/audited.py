"""Audits of networks made of arrays, for the tests of what is made of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.audit.results import Audit
from pipeline.audit.run import audit_layers
from pipeline.model_files.layers import Layer
from tests.weights import tensor

Array = NDArray[Any]


def dense(name: str, W: Array) -> Layer:
    """A layer of weights (units, inputs) without biases."""
    return Layer(name, "dense", tensor(f"{name}.weight", W), None, W.shape[1], len(W), len(W), "out, in")


def audited(weights: Mapping[str, Array], expect: str | Mapping[str, str] = "", source: str = "model.pt") -> Audit:
    """The audit of dense layers {name: (units, inputs)}."""
    layers = [dense(name, W) for name, W in weights.items()]
    return audit_layers(layers, source=source, framework="pytorch", expect=expect)


def he(rng: np.random.RandomState, units: int, inputs: int) -> Array:
    """Weights of He initialization."""
    return rng.standard_normal((units, inputs)) * np.sqrt(2.0 / inputs)
