"""A small version of the benchmark of the audit, and the other tools' checks on networks worked out by hand."""

import math

import numpy as np
import pytest

from benchmarks import audit, audit_faults, audit_networks, audit_rivals
from benchmarks.audit_faults import FAULTS
from benchmarks.audit_networks import Network, draw, healthy
from pipeline.audit.results import CAUSES
from pipeline.distributions.laws import Fans, law
from tests.marks import slow


def network(stds: list[float], activation: str = "relu", width: int = 64) -> Network:
    """Layers of He's normal law, each multiplied."""
    rng = np.random.default_rng(0)
    weights = [draw("he_normal", width, width, rng) * std for std in stds]
    return Network(weights, [None] * len(weights), activation, "he_normal", "float64")


def test_the_condition_of_sagemaker() -> None:
    """The variance of pre-activations follows the square of the factors: the last layer's outputs are no inputs."""
    assert not audit_rivals.sagemaker(network([1, 1, 1, 1]))
    assert not audit_rivals.sagemaker(network([1, 2.5, 1, 1]))  # 6.25
    assert audit_rivals.sagemaker(network([1, 4, 1, 1]))  # 16
    assert audit_rivals.sagemaker(network([1, 1, 0.25, 1]))
    assert not audit_rivals.sagemaker(network([1, 1, 1, 100]))
    assert not audit_rivals.sagemaker(network([10, 1, 1, 1]))  # every layer is larger
    assert audit_rivals.sagemaker(network([1, 0, 1, 1]))


def test_the_check_of_the_deep_checker() -> None:
    """Variances between 1 / 2.70554 and 2.70554 times He's pass: factors of the standard deviation up to 1.645."""
    assert not audit_rivals.deep_checker(network([1, 1.55, 0.65]))
    assert audit_rivals.deep_checker(network([1, 1.75, 1]))
    assert audit_rivals.deep_checker(network([1, 0.57, 1]))
    assert not audit_rivals.deep_checker(
        network([0.75, 0.75], "tanh")
    )  # of square layers Glorot's std is 0.71 times He's
    assert audit_rivals.deep_checker(network([1.3], "tanh"))
    assert not audit_rivals.deep_checker(network([1.3], "gelu"))
    assert audit_rivals.deep_checker(network([0.0]))
    assert audit_rivals.deep_checker(network([math.nan]))


@pytest.mark.parametrize("name", [*audit_networks.LAWS, "orthogonal"])
def test_laws_of_the_networks(name: str) -> None:
    """Standard deviation, to 5 standard errors of it, and bound of 30,000 weights; the recipes draw the same law."""
    rng = np.random.default_rng(1)
    drawn = [draw(name, 150, 200, rng)]
    if name in audit_networks.LABORATORY:
        drawn.append(audit_networks.recipe_draw(name, 150, 200, np.random.RandomState(1)))
    for W in drawn:
        assert W.shape == (150, 200)
        if name == "orthogonal":
            np.testing.assert_allclose(W @ W.T, np.eye(150), atol=1e-12)
            continue
        family, variance = audit_networks.LAWS[name]
        std = math.sqrt(variance(200, 150))
        assert abs(W.std() / std - 1) < 5 / math.sqrt(2 * W.size)
        bound = {"normal": math.inf, "uniform": math.sqrt(3), "truncated_normal": 2 / 0.8796}[family]
        assert abs(W).max() <= bound * std
        assert law(name, Fans(200, 150)).std == pytest.approx(std, rel=1e-6)


def test_faults_are_what_they_say() -> None:
    kinds = [fault.kind for fault in FAULTS]
    assert len(set(kinds)) == len(kinds) >= 20
    assert {fault.cause for fault in FAULTS} <= {"", *CAUSES}
    for fault in FAULTS:
        if fault.kind.startswith("trained"):
            continue
        first, again = audit_faults.case(fault, 2), audit_faults.case(fault, 2)
        for W, V in zip(first.network.weights, again.network.weights, strict=True):
            np.testing.assert_array_equal(W, V)
        assert first.faulty <= {layer.name for layer in first.network.layers()}
        assert first.faulty


@pytest.mark.parametrize("n", [2, *slow(5)])
def test_small_benchmark(n: int) -> None:
    """Networks that are as intended, some kinds of faults, a layer of some laws: a report of all parts."""
    good = [audit.run_healthy(index) for index in range(n)]
    assert good[1] == audit.run_healthy(1)
    shown = [kind for kind, fault in enumerate(FAULTS) if fault.kind in ("zeros", "scale x10", "NaN", "equal units")]
    bad = [audit.run_faulty(kind, 0) for kind in shown]
    assert all(one.detected and one.cause and one.layer for one in bad)
    named = [audit.run_named(name, (64, 64), 0) for name in audit.LAWS[-n:]]
    assert all(one.listed and not one.wrong_alone for one in named)
    text = audit.report(good, bad, named)
    assert "| he_normal " in text
    assert "| scale x10 " in text
    lines = audit.as_csv(good, bad, named).splitlines()
    assert "detected, cause, layer right,zeros,,1,1,1,1" in [line.replace('"', "") for line in lines]


def test_healthy_networks_differ() -> None:
    sizes = [tuple(W.shape for W in healthy(index).weights) for index in range(50)]
    depths = [len(shapes) for shapes in sizes]
    assert 2 <= min(depths) < max(depths) <= 50
    widths = [units for shapes in sizes for units, _ in shapes[:-1]]
    assert 16 <= min(widths) < max(widths) <= 256
    assert len({healthy(index).dtype for index in range(50)}) == 4
