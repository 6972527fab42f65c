"""Audits made by hand, for what prints and stores them."""

import math

import numpy as np

from pipeline.audit.results import ALARM, AS_INTENDED, Audit, Candidate, Finding, LayerAudit, Power, Suitability
from pipeline.model_files.layers import Layer
from pipeline.model_files.tensors import Tensor

ALL = (("normal", "uniform"), ("normal", "truncated"), ("truncated", "uniform"))


def layer_audit(
    name: str,
    shape: tuple[int, ...] = (64, 64),
    laws: tuple[str, ...] = ("he_normal",),
    std: float = 0.1767,
    p: float = 0.4,
    findings: tuple[Finding, ...] = (),
    kind: str = "dense",
) -> LayerAudit:
    """The audit of a layer without values."""
    n = math.prod(shape)
    weight = Tensor(f"{name}.weight", shape, "float32", lambda: np.zeros(shape, np.float32))
    layer = Layer(name, kind, weight, None, n // shape[0], shape[0], shape[0], "out, in")
    candidates = [Candidate(law, p, 1.0 / len(laws)) for law in laws]
    power = Power(1.0 + 4.0 / math.sqrt(n), ALL if n >= 200 else ())
    return LayerAudit(layer, n, 0.0, std, 3.5 * std, "random", candidates, ["he_normal"], p, list(findings), power)


def healthy(n_layers: int = 3) -> Audit:
    """A network of equal layers as intended."""
    layers = [
        layer_audit(f"layers.{i}", std=0.1767 + 0.0012 * (i % 3), p=0.1 + 0.8 * i / n_layers) for i in range(n_layers)
    ]
    suitability = Suitability("relu", "healthy", "", [1.0] * n_layers, [1.0] * n_layers, math.inf)
    return Audit("model.pt", "pytorch", AS_INTENDED, 0.01, layers, [], suitability)


def broken() -> Audit:
    """A network with two wrong layers of three."""
    law = Finding(
        "fc2",
        "wrong_law",
        "the weights follow xavier_normal (standard deviation 0.125), not he_normal (0.177)",
        3.2e-41,
        'nn.init.kaiming_normal_(model.fc2.weight, nonlinearity="relu")',
    )
    nan = Finding("fc3", "non_finite", "3 of 4,096 weights are NaN", 0.0, "nn.init.kaiming_normal_(model.fc3.weight)")
    layers = [
        layer_audit("fc1"),
        layer_audit("fc2", laws=("xavier_normal", "lecun_normal"), std=0.125, p=3.2e-41, findings=(law,)),
        layer_audit("fc3", laws=(), std=math.nan, p=0.0, findings=(nan,)),
    ]
    suitability = Suitability(
        "relu", "vanishing", "20,000 steps needed", [1.0, 0.5, math.nan], [math.inf] * 3, math.nan
    )
    return Audit(
        "model.pt", "pytorch", ALARM, 0.01, layers, [nan, law], suitability, ["biases of fc3 were not checked"]
    )
