"""The audit of the layers of a network."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pipeline.audit.fixes.fix import fix
from pipeline.audit.judge import examine, fault
from pipeline.audit.local_faults import Weights
from pipeline.audit.results import (
    ALARM,
    AS_INTENDED,
    NOT_CHECKED,
    NOT_INITIAL,
    Audit,
    Candidate,
    Finding,
    LayerAudit,
    Power,
)
from pipeline.audit.suitability import NOT_DECIDED, as_chain, suitability
from pipeline.audit.vectors import (
    audit_normalization,
    bias_findings,
    has_small_bias,
    normalization_findings,
    zero_scales,
)
from pipeline.distributions.explain import candidates
from pipeline.distributions.families import NORMAL
from pipeline.distributions.laws import BY_NAME
from pipeline.distributions.power import separated, std_factor
from pipeline.distributions.streams import matches, prefixes
from pipeline.distributions.structures import RANDOM
from pipeline.model_files.layers import Layer
from pipeline.numerics.sums import Array, integer_sum

JUDGED = ("dense", "convolution", "recurrent", "other")  # kinds to which an expectation for the whole network applies
# Structures that depend on a seed
WITH_DRAWS = ("random", "orthogonal", "sparse", "martens_sparse", "looks_linear", "data_dependent")
FROM_DATA = ("lsuv", "data_dependent")  # initializers that use data
SAME = 0.999  # correlation above which two layers hold the same draws, and not only similar ones


def audit_layers(
    layers: Sequence[Layer],
    *,
    source: str = "",
    framework: str = "",
    expect: str | Mapping[str, str] = "",
    activation: str = "",
    data: Any = None,
    level: float = 0.01,
    trained: str = "",
) -> Audit:
    """The audit of layers in the order of the network.

    `expect` is the law or structure of the catalogue that the weights should have, for all layers or by layer name; ""
    stands for any law. `activation` is that of the hidden layers, "" if unknown or known of each layer. `data` is a
    batch of inputs (m, n_0). `trained` is a reason why the model is not at initialization, if the file has one.

    At most a share `level` of networks whose weights are drawn as expected gets an alarm. Raises KeyError for a law
    that is not in the catalogue.
    """
    checked = [layer for layer in layers if not layer.tied_to]
    notes = [f"{layer.name} shares its weights with {layer.tied_to}" for layer in layers if layer.tied_to]
    n_tests = (
        1
        + (len(checked) if data is not None else 0)
        + integer_sum(1 + (layer.bias is not None) for layer in checked if layer.kind != "normalization")
    )
    audits: list[LayerAudit] = []
    found: list[Finding] = []
    draws: list[tuple[str, tuple[Array, Array]]] = []
    families: list[str] = []  # of the weights of each layer that is not a normalization
    for layer in checked:
        if layer.kind == "normalization":
            audits.append(audit_normalization(layer))
            found += normalization_findings(layer)
            continue
        wanted = expect.get(layer.name, "") if isinstance(expect, Mapping) else expect if layer.kind in JUDGED else ""
        weights, matrix = examine(layer, wanted)
        p = min(1.0, n_tests * weights.p)
        if p < level:
            found.append(fault(layer.name, weights, matrix, wanted, p))
        if layer.bias is not None:
            found += bias_findings(layer, weights, wanted, n_tests, level, notes)
        audits.append(_layer_audit(layer, weights, wanted, level / n_tests))
        families.append(weights.found[0].law.family.name if weights.found else NORMAL.name)
        if not weights.summary.non_finite and weights.structure.name in WITH_DRAWS:
            draws.append((layer.name, prefixes(matrix)))
        del matrix  # before the next layer is mapped
    if len(draws) > 1:
        found += _same_draws(audits, draws, level, n_tests, notes)
    predicted = suitability(audits, activation, data)  # which raises UserError for a batch that does not fit
    if data is not None:
        found += _data_dependent(audits, families, activation, data, level, n_tests, notes)
    found += zero_scales(audits, notes)
    place = {audit.layer.name: i for i, audit in enumerate(audits)}
    found.sort(key=lambda one: (one.p, place[one.layer]))
    state = _state(audits, found, trained)
    judged = None if isinstance(predicted, str) else predicted
    if isinstance(predicted, str):
        notes.append(f"training was not predicted: {predicted}")
    laws = {audit.layer.name: (audit.expected or [_documented(audit)])[0] for audit in audits}
    layer_of = {audit.layer.name: audit.layer for audit in audits}
    found = [
        one._replace(fix=fix(one.cause, layer_of[one.layer], laws[one.layer], framework, activation)) for one in found
    ]
    if trained and layers:
        found.insert(0, Finding("", "not_initial", trained, 0.0, fix("not_initial", layers[0], "", framework)))
    if judged and state in (AS_INTENDED, ALARM) and judged.label not in ("healthy", NOT_DECIDED):
        text = f"with the measured variances the network is {judged.label}: {judged.reason}"
        first = checked[0]
        line = "" if found else fix("unsuitable", first, laws[first.name], framework, activation)
        found.append(Finding("", "unsuitable", text, math.nan, line))
        state = ALARM
    audits = [replace(audit, findings=[one for one in found if one.layer == audit.layer.name]) for audit in audits]
    return Audit(source, framework, state, level, audits, found, judged, notes)


def _documented(audit: LayerAudit) -> str:
    """The most likely law of a layer that an initializer documents; "" if there is none."""
    names = [name for candidate in audit.candidates for name in candidate.law.split(" = ")]
    return next((name for name in names if name in BY_NAME and BY_NAME[name].documented), "")


def _data_dependent(
    audits: Sequence[LayerAudit],
    families: Sequence[str],
    activation: str,
    data: Any,
    level: float,
    n_tests: int,
    notes: list[str],
) -> list[Finding]:
    """A finding for each layer whose weights depend on the batch, unless they should or nothing is expected of them."""
    chain = as_chain(audits, activation)
    if isinstance(chain, str) or not chain.dense:
        notes.append(f"dependence on the data was not tested: {chain if isinstance(chain, str) else 'convolutions'}")
        return []
    from pipeline.audit.batch import as_batch  # these need llvmlite
    from pipeline.audit.data import data_dependence

    layers = [audit.layer for audit in audits]
    X, _ = as_batch(data, layers[0].fan_in, layers[-1].units)
    found = []
    for audit, p in zip(audits, data_dependence(layers, families, chain.activations, X), strict=True):
        if not n_tests * p < level:  # NaN too
            continue
        text = f"the mean square of its pre-activations on the batch has probability {p:.1g} for independent weights"
        if audit.expected and audit.expected[0] not in FROM_DATA:
            found.append(Finding(audit.layer.name, "data_dependent", text, n_tests * p))
        else:
            notes.append(f"{audit.layer.name}: {text}: they were scaled on these data, or trained")
    return found


def _layer_audit(layer: Layer, weights: Weights, wanted: str, level: float) -> LayerAudit:
    summary = weights.summary
    n = summary.n
    if summary.non_finite:
        found = []
    elif weights.structure is not RANDOM:
        found = [Candidate(str(weights.structure), 1.0, 1.0)]
    else:
        found = [Candidate(one.law.name, one.p, one.share) for one in candidates(weights.found)]
    finite = not summary.non_finite
    return LayerAudit(
        layer=layer,
        n=n,
        mean=summary.mean if finite else math.nan,
        std=math.sqrt(summary.mean_square) if finite else math.nan,
        largest=summary.largest if finite else math.nan,
        structure=weights.structure.name,
        candidates=found,
        expected=[wanted] if wanted else [],
        p=weights.p,
        findings=[],
        power=Power(std_factor(n, level), tuple(separated(n))),
    )


def _same_draws(
    audits: Sequence[LayerAudit],
    draws: Sequence[tuple[str, tuple[Array, Array]]],
    level: float,
    n_tests: int,
    notes: list[str],
) -> list[Finding]:
    """A finding for each layer whose draws are those of an earlier one."""
    found = []
    layers = {audit.layer.name: audit.layer for audit in audits}
    for match in matches([values for _, values in draws], level / n_tests):
        first, second = draws[match.first][0], draws[match.second][0]
        one, other = layers[first], layers[second]
        if match.equal and "embedding" in (one.kind, other.kind) and one.weight.shape == other.weight.shape:
            notes.append(f"{second} has the weights of {first}: an output layer tied to the embedding")
            continue
        if match.equal:
            text = f"the weights are those of {first}: the layer was copied, or the same seed was used"
        elif match.correlation > SAME:
            text = f"the first {match.length} weights are those of {first} up to scale: the same seed was used"
        else:
            text = (
                f"the first {match.length} weights have a correlation of {match.correlation:.3g} with those of {first}"
            )
        found.append(Finding(second, "same_draws", text, min(1.0, n_tests * match.p)))
    return found


def _state(audits: Sequence[LayerAudit], found: Sequence[Finding], trained: str) -> str:
    """The verdict: if half of the layers follow no distribution of an initializer, the network is a trained one."""
    judged = {audit.layer.name: audit for audit in audits if audit.layer.kind != "normalization"}
    if not judged:
        return NOT_CHECKED
    weights = {one.layer for one in found if one.cause == "not_initial"}
    biases = {one.layer for one in found if one.cause == "bias"}
    moved = weights | {name for name in biases if has_small_bias(judged[name])}
    if trained or 2 * len(moved) > len(judged) or (weights and 2 * len(weights) >= len(judged)):
        return NOT_INITIAL
    return ALARM if found else AS_INTENDED
