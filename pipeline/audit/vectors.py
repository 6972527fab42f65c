"""The audit of what is not a weight matrix: biases, and the scales and shifts of normalization layers."""

import math
from collections.abc import Sequence

from pipeline.audit.judge import STRUCTURES
from pipeline.audit.local_faults import Weights
from pipeline.audit.results import Candidate, Finding, LayerAudit, Power
from pipeline.distributions import biases
from pipeline.distributions.explain import candidates
from pipeline.model_files.layers import Layer

TRAINED_BIAS = 0.5  # largest standard deviation of biases that training may have left


def bias_findings(
    layer: Layer, weights: Weights, wanted: str, n_tests: int, level: float, notes: list[str]
) -> list[Finding]:
    """What is wrong with the biases of a layer."""
    assert layer.bias is not None
    bounds = [1.0 / math.sqrt(layer.fan_in)]
    if layer.hidden_size:
        bounds.append(1.0 / math.sqrt(layer.hidden_size))
    laws = weights.expected if wanted and wanted not in STRUCTURES else candidates(weights.found)
    bounds += [one.law.family.bound * one.law.std for one in laws if one.law.family.bound < math.inf]
    bias = biases.classify(layer.bias.read(), layer.bias.dtype, tuple(bounds))
    if bias.name == "non_finite":
        return [Finding(layer.name, "non_finite", "biases are NaN or infinite", 0.0)]
    p = min(1.0, n_tests * bias.p)
    if bias.name in ("zeros", "constant", "gates") or p >= level:
        return []
    text = f"the biases are neither 0 nor the framework's default: {bias.text}"
    if wanted or bias.name == "other":
        return [Finding(layer.name, "bias", text, p)]
    notes.append(f"{layer.name}: {text}")
    return []


def audit_normalization(layer: Layer) -> LayerAudit:
    """The audit of a normalization layer, whose scale and shift start as constants."""
    scale = biases.classify(layer.weight.read(), layer.weight.dtype, ())
    n = math.prod(layer.weight.shape)
    return LayerAudit(
        layer, n, math.nan, scale.std, math.nan, "constant", [Candidate(scale.text, 1.0, 1.0)], [], 1.0, [],
        Power(1.0, ()),
    )  # fmt: skip


def normalization_findings(layer: Layer) -> list[Finding]:
    """What is wrong with the scale and shift of a normalization layer."""
    findings = []
    for what, tensor in (("scale", layer.weight), ("shift", layer.bias)):
        kind = "constant" if tensor is None else biases.classify(tensor.read(), tensor.dtype, ()).name
        if kind == "non_finite":
            findings.append(Finding(layer.name, "non_finite", f"its {what} is NaN or infinite", 0.0))
        elif kind not in ("zeros", "constant"):
            findings.append(Finding(layer.name, "normalization", f"its {what} is not constant", 0.0))
    return findings


def zero_scales(audits: Sequence[LayerAudit], notes: list[str]) -> list[Finding]:
    """A finding for each normalization layer if the scales of all of them are 0; a note if those of some are."""
    layers = [audit for audit in audits if audit.layer.kind == "normalization"]
    zero = [audit.layer.name for audit in layers if audit.std == 0.0]
    if len(zero) < len(layers):
        if zero:
            names = ", ".join(zero[:5]) + (", ..." if len(zero) > 5 else "")
            notes.append(
                f"the scale of {names} is 0, which is right for the last normalization of a residual branch only"
            )
        return []
    text = "its scale is 0, so that its output does not depend on its input"
    return [Finding(name, "normalization", text, 0.0) for name in zero]


def has_small_bias(audit: LayerAudit) -> bool:
    """Whether biases that follow no law are as small as training leaves them."""
    bias = audit.layer.bias
    return bias is not None and biases.classify(bias.read(), bias.dtype, ()).std < TRAINED_BIAS
