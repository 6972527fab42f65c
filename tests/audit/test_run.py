"""The audit of layers: faults are found in the right layer with the right cause, correct networks give no alarm."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from pipeline.audit import local_faults
from pipeline.audit.local_faults import dependence
from pipeline.audit.results import ALARM, AS_INTENDED, CAUSES, NOT_CHECKED, NOT_INITIAL
from pipeline.audit.run import audit_layers
from pipeline.distributions.streams import matches, prefixes
from pipeline.model_files.layers import Layer
from tests.weights import Generator, bfloat16, draws, he, network, tensor

STD = math.sqrt(2 / 64)
LAYER = 3  # index of the layer that is made wrong


def put(fault: Callable[[Any, Generator], Any]) -> Callable[[list[Any], Generator], None]:
    def change(weights: list[Any], rng: Generator) -> None:
        weights[LAYER] = fault(weights[LAYER], rng)

    return change


def at(place: Any, value: float) -> Callable[[Any, Generator], Any]:
    def change(W: Any, rng: Generator) -> Any:
        W[place] = value
        return W

    return change


def copied(factor: float) -> Callable[[Any, Generator], Any]:
    def change(W: Any, rng: Generator) -> Any:
        W[5] = factor * W[9]
        return W

    return change


def correlated(W: Any, rng: Generator) -> Any:
    W[5] = 0.3 * W[5] + math.sqrt(1 - 0.3**2) * W[6]
    return W


FAULTS: dict[str, tuple[str, Callable[[list[Any], Generator], None]]] = {
    "NaN": ("non_finite", put(at((1, 2), math.nan))),
    "infinite": ("non_finite", put(at((1, 2), -math.inf))),
    "zeros": ("zeros", put(lambda W, rng: W * 0)),
    "constant": ("constant", put(lambda W, rng: W * 0 + 0.1)),
    "copied unit": ("equal_units", put(copied(1.0))),
    "mirrored unit": ("equal_units", put(copied(-1.0))),
    "scaled unit": ("equal_units", put(copied(0.5))),
    "all units equal": ("equal_units", put(lambda W, rng: np.tile(W[:1], (64, 1)))),
    "equal inputs": ("equal_units", put(lambda W, rng: np.tile(W[:, :1], (1, 64)))),
    "zero unit": ("zero_unit", put(at(7, 0.0))),
    "zero input": ("zero_unit", put(at((slice(None), 7), 0.0))),
    "masked": ("zero_weights", put(lambda W, rng: W * (rng.random(W.shape) > 0.3))),
    "x10": ("wrong_scale", put(lambda W, rng: W * 10)),
    "/10": ("wrong_scale", put(lambda W, rng: W / 10)),
    "xavier": ("wrong_law", put(lambda W, rng: W / math.sqrt(2))),
    "variance": ("wrong_law", put(lambda W, rng: W * STD)),
    "no sqrt 3": ("wrong_law", put(lambda W, rng: draws("uniform", W.shape, rng, STD / math.sqrt(3)))),
    "uniform": ("wrong_family", put(lambda W, rng: draws("uniform", W.shape, rng, STD))),
    "truncated": ("wrong_family", put(lambda W, rng: draws("truncated", W.shape, rng, STD))),
    "N(0, 1)": ("wrong_law", put(lambda W, rng: rng.normal(size=W.shape))),
    "shifted": ("shifted_mean", put(lambda W, rng: W + 0.05)),
    "positive": ("shifted_mean", put(lambda W, rng: rng.random(W.shape) * 0.3)),
    "one large weight": ("outliers", put(at((3, 4), 3.0))),
    "unit x5": ("uneven_units", put(lambda W, rng: W * np.where(np.arange(64) == 5, 5, 1)[:, None])),
    "input x5": ("uneven_units", put(lambda W, rng: W * np.where(np.arange(64) == 5, 5, 1))),
    "correlated units": ("dependent_units", put(correlated)),
    "Student's t": ("wrong_family", put(lambda W, rng: rng.standard_t(3, size=W.shape) * 0.1)),
    "sorted": ("not_initial", put(lambda W, rng: np.sort(W, axis=None).reshape(W.shape))),
    "orthogonal": ("wrong_law", put(lambda W, rng: stats.ortho_group.rvs(64, random_state=1))),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults(fault: str) -> None:
    """In a network each; benchmarks/audit.py has a hundred."""
    cause, change = FAULTS[fault]
    rng = np.random.default_rng(0)
    weights = he(rng)
    change(weights, rng)
    found = audit_layers(network(weights), expect="he_normal")
    assert found.state == ALARM
    assert {(one.layer, one.cause) for one in found.findings} == {(f"layer{LAYER + 1}", cause)}, found.findings
    assert found.findings[0].p < 0.01
    assert found.findings[0].cause in CAUSES


def test_the_most_certain_finding_comes_first() -> None:
    weights = he(np.random.default_rng(0))
    weights[1] = weights[1] * 1.1  # 64 x 64 weights: 9 standard errors
    weights[4][1, 2] = math.nan
    found = audit_layers(network(weights), expect="he_normal").findings
    assert [one.layer for one in found] == ["layer5", "layer2"]
    assert 0.0 == found[0].p < found[1].p


def test_angles_are_computed_only_where_the_distribution_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products of all units for each of the many repairs took a minute for a layer of 5,184 x 64 weights."""
    calls = []
    monkeypatch.setattr(local_faults, "dependence", lambda W: calls.append(W.shape) or dependence(W))
    rng = np.random.default_rng(0)
    found = audit_layers(network([rng.laplace(size=(64, 128))]))
    assert [one.cause for one in found.findings] == ["wrong_family"]
    assert len(calls) == 3  # of units at one scale, twice, and of ranks; none of the weights without the largest ones


def test_reused_seed() -> None:
    rng = np.random.default_rng(0)
    weights = he(rng)
    weights[4] = 0.5 * weights[1]
    found = audit_layers(network(weights))
    assert [(one.layer, one.cause) for one in found.findings] == [("layer5", "same_draws")]
    assert "layer2" in found.findings[0].text


def test_the_p_value_of_reused_draws_is_corrected_for_the_network() -> None:
    """Six layers and one test of all pairs: seven times the p-value of the pairs."""
    rng = np.random.default_rng(12)
    weights = he(rng)
    weights[4] = 0.15 * weights[1] + math.sqrt(1 - 0.15**2) * weights[4]
    (match,) = matches([prefixes(W) for W in weights], 0.01)
    assert 1e-200 < match.p < 1e-5
    (found,) = audit_layers(network(weights)).findings
    assert found.cause == "same_draws"
    assert math.isclose(found.p, 7 * match.p, rel_tol=1e-12)


def test_correct_networks() -> None:
    """Of 40 networks of 6 layers at .01, at most as many alarms as come up once in 100,000 times.

    That is 5; with a probability of .3 of an alarm there would be more in 99 of 100 cases.
    """
    alarms = [0, 0]
    for seed in range(40):
        rng = np.random.default_rng(seed)
        layers = network(he(rng, width=24), [np.zeros(24)] * 6)
        for k, expect in enumerate(("he_normal", "")):
            alarms[k] += audit_layers(layers, expect=expect).state != AS_INTENDED
    assert max(alarms) <= stats.binom.ppf(1 - 1e-5, 40, 0.01)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_rounded_networks(dtype: str) -> None:
    rng = np.random.default_rng(1)
    weights = [bfloat16(W) if dtype == "bfloat16" else W.astype(dtype) for W in he(rng)]
    found = audit_layers(network(weights, dtype=dtype), expect="he_normal")
    assert found.state == AS_INTENDED, found.findings
    assert all("he_normal" in layer.candidates[0].law for layer in found.layers)


def test_layout_that_is_not_known() -> None:
    """Both readings of the fans are possible, and the report says which fits."""
    rng = np.random.default_rng(2)
    W = draws("normal", (40, 90), rng, math.sqrt(2 / 40))  # stored (in, out), or drawn for fan_out
    assert audit_layers(network([W], layout=""), expect="he_normal").state == AS_INTENDED
    assert audit_layers(network([W], layout="out, in"), expect="he_normal").state == ALARM


@pytest.mark.parametrize(("fans", "right"), [((64, 64), True), ((256, 1024), True), ((64, 1024), False)])
def test_the_fans_of_attention_in_all_versions_of_keras(fans: tuple[int, int], right: bool) -> None:
    """(inputs, heads, size of a head): 3.15 takes 64 inputs and 64 outputs, earlier versions 4 x 64 and 16 x 64."""
    kernel = draws("uniform", (64, 4, 16), np.random.default_rng(0), math.sqrt(2 / sum(fans)))
    layer = Layer("mha/key", "dense", tensor("mha/key/kernel", kernel), None, 256, 1024, 64, "in, out")
    assert (audit_layers([layer], expect="xavier_uniform").state == AS_INTENDED) == right


def test_biases() -> None:
    rng = np.random.default_rng(3)
    weights = he(rng)

    def state(values: Any, expect: str = "he_normal") -> str:
        return audit_layers(network(weights, [values] * 6), expect=expect).state

    assert state(np.zeros(64)) == state(np.full(64, 0.01)) == AS_INTENDED
    assert state(rng.uniform(-1 / 8, 1 / 8, size=64)) == AS_INTENDED  # PyTorch's default
    assert state(rng.normal(size=64)) == ALARM
    assert state(rng.normal(size=64), expect="") == AS_INTENDED  # a law, if not a documented one: a note
    found = audit_layers(network(weights, [rng.normal(size=64)] * 6))
    assert any("biases" in note for note in found.notes)


def test_a_trained_network_is_not_called_wrong() -> None:
    """Low-rank changes and small biases in every layer, as gradient descent leaves them."""
    rng = np.random.default_rng(4)
    weights = [W + np.outer(rng.normal(size=64), rng.normal(size=64)) * 0.08 for W in he(rng)]
    for expect in ("", "he_normal"):
        assert audit_layers(network(weights, [rng.normal(size=64) * 0.05] * 6), expect=expect).state == NOT_INITIAL
    assert audit_layers(network(he(rng)), trained="a step counter of 100").state == NOT_INITIAL
    assert audit_layers(network(he(rng), [rng.standard_t(2, size=64) * 0.02] * 6)).state == NOT_INITIAL


@pytest.mark.parametrize(("n_layers", "state"), [(2, NOT_INITIAL), (3, ALARM)])
def test_half_of_the_layers_decide_whether_a_network_is_trained(n_layers: int, state: str) -> None:
    rng = np.random.default_rng(13)
    weights = he(rng, n_layers)
    weights[1] = weights[1] + np.outer(rng.normal(size=64), rng.normal(size=64)) * 0.08
    found = audit_layers(network(weights))
    assert [(one.layer, one.cause) for one in found.findings] == [("layer2", "not_initial")]
    assert found.state == state


def test_tied_weights_are_checked_once() -> None:
    rng = np.random.default_rng(5)
    first, second = network([W := he(rng)[0], W])
    assert audit_layers([first, second._replace(tied_to="layer1")]).state == AS_INTENDED
    assert audit_layers([first, second]).state == ALARM
    found = audit_layers([first._replace(kind="embedding"), second])  # stored twice
    assert found.state == AS_INTENDED
    assert any("tied to the embedding" in note for note in found.notes)


def test_normalization_layers() -> None:
    (layer,) = network([np.ones((1, 64))], [np.zeros(64)], kind="normalization")
    weights = network(he(np.random.default_rng(6), 2))
    assert audit_layers([*weights, layer], expect="he_normal").state == AS_INTENDED
    assert audit_layers([layer]).state == NOT_CHECKED
    (layer,) = network([1 + 0.1 * np.random.default_rng(7).normal(size=(1, 64))], kind="normalization")
    assert [one.cause for one in audit_layers([*weights, layer]).findings] == ["normalization"]


def test_scales_of_normalization_of_0() -> None:
    """Right for the last one of a residual branch, wrong for all."""
    weights = network(he(np.random.default_rng(9), 2))
    one, zero = (
        network([np.full((1, 64), value)], kind="normalization")[0]._replace(name=f"n{value}") for value in (1.0, 0.0)
    )
    found = audit_layers([*weights, one, zero])
    assert found.state == AS_INTENDED
    assert any("n0.0 is 0" in note for note in found.notes)
    found = audit_layers([*weights, zero])
    assert [(one.layer, one.cause) for one in found.findings] == [("n0.0", "normalization")]


def test_orthogonal_weights_of_every_shape() -> None:
    """A single unit is always orthogonal; two units in few bits may be."""
    rng = np.random.default_rng(10)
    Q = stats.ortho_group.rvs(64, random_state=2)
    for rows in (Q, Q[:1], Q[:, :1], bfloat16(Q[:2])):
        dtype = "bfloat16" if rows.dtype == np.float32 else "float64"
        assert audit_layers(network([rows], dtype=dtype), expect="orthogonal").state == AS_INTENDED, rows.shape
    assert audit_layers(network([draws("normal", (64, 64), rng)]), expect="orthogonal").state == ALARM


def test_weights_that_underflow() -> None:
    W = (he(np.random.default_rng(11))[0] * 1e-6).astype(np.float16)
    found = audit_layers(network([W], dtype="float16"), expect="he_normal")
    assert (found.state, found.findings[0].cause) == (ALARM, "zero_weights")


def test_expectation_for_one_layer() -> None:
    rng = np.random.default_rng(8)
    weights = he(rng, 3)
    weights[2] = weights[2][:10] * 0
    layers = network(weights)
    assert audit_layers(layers, expect={"layer1": "he_normal", "layer3": "zeros"}).state == AS_INTENDED
    assert audit_layers(layers).state == ALARM
    with pytest.raises(KeyError):
        audit_layers(layers, expect="unknown")


def test_no_layers() -> None:
    assert audit_layers([]).state == NOT_CHECKED


def test_zeros_that_may_be_meant_say_how_to_expect_them() -> None:
    layers = network([*he(np.random.default_rng(0), 1), np.zeros((10, 64))])
    (found,) = audit_layers(layers).findings
    assert (found.cause, found.text) == ("zeros", "all 640 weights are 0; if that is meant, expect it: layer2=zeros")
    assert [one.text for one in audit_layers(layers, expect="he_normal").findings] == ["all 640 weights are 0"]
    assert audit_layers(layers, expect={"layer2": "zeros"}).state == AS_INTENDED
