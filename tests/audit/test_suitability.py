"""Labels of the audit with and without data, its predictions, and why there are none for some networks."""

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from pipeline.audit.batch import as_batch
from pipeline.audit.results import AS_INTENDED, LayerAudit, Suitability
from pipeline.audit.run import audit_layers
from pipeline.audit.suitability import NOT_DECIDED, saturated_share, suitability
from pipeline.datasets import DATASETS
from pipeline.diagnostics import labels, measure, signals
from pipeline.errors import UserError
from pipeline.networks.activations import ACTIVATIONS
from pipeline.theory import correlation
from tests.weights import draws, network


def audits(sizes: list[int], std: Any, biases: list[Any] | None = None, seed: int = 0) -> list[LayerAudit]:
    """The audits of a network of normal weights, std(fan_in, layer) being their standard deviation."""
    rng = np.random.default_rng(seed)
    shapes = list(zip(sizes[1:], sizes[:-1], strict=True))
    weights = [draws("normal", shape, rng, std(shape[1], l)) for l, shape in enumerate(shapes, start=1)]
    return audit_layers(network(weights, biases or [])).layers


def he(fan_in: int, layer: int) -> float:
    return math.sqrt(2.0 / fan_in)


def judged(*arguments: Any, **settings: Any) -> Suitability:
    found = suitability(*arguments, **settings)
    assert isinstance(found, Suitability)
    return found


def test_a_healthy_network() -> None:
    """He and ReLU: signal and gradient stay within sampling errors, and any depth can be trained."""
    found = judged(audits([64] * 6 + [1], he), "relu")
    assert (found.label, found.activation, found.trainable_depth) == ("healthy", "relu", math.inf)
    # 4,096 weights: each variance has an error of sqrt(2 / 4096) = .022, and five factors one of .05.
    np.testing.assert_allclose(found.signal[:6], 2.0, rtol=0.2)
    assert found.gradient[-1] == 1.0
    assert found.measured_signal == []


def test_the_gradient_of_layers_of_unequal_width() -> None:
    """Each ReLU layer multiplies it by fan_out Var(W) / 2 (He et al. 2015, eq. 14), by the weights' own mean square."""
    layers = audits([20, 40, 80, 10], he)
    found = judged(layers, "relu")
    last = layers[2].std ** 2 * 10 / 2.0
    np.testing.assert_allclose(found.gradient, [layers[1].std ** 2 * 80 / 2.0 * last, last, 1.0], rtol=1e-12)


@pytest.mark.parametrize(("factor", "label"), [(0.3, "vanishing"), (3.0, "exploding")])
def test_wrong_scales_in_deep_networks(factor: float, label: str) -> None:
    """30 layers of .3 or 3 times He: the variance changes by 10^-30 and 10^28."""
    found = judged(audits([64] * 30 + [1], lambda fan_in, l: factor * he(fan_in, l)), "relu")
    assert found.label == label
    assert found.signal[-2] / found.signal[0] == pytest.approx(factor**56, rel=1.0)
    assert found.trainable_depth == pytest.approx(6.0 / abs(math.log(factor**2)), rel=0.05)


@pytest.mark.parametrize("ratio", [0.7, 0.5, 0.35])
def test_a_harmless_deviation_is_no_alarm(ratio: float) -> None:
    """Digits with a last hidden standard deviation down to .03 of the first's train as with He's weights.

    Four layers with factors of .7 to .35 have .34 to .04 of it.
    """
    layers = audits([64, 64, 64, 64, 10], lambda fan_in, l: ratio * he(fan_in, l))
    assert judged(layers, "relu").label in ("healthy", NOT_DECIDED)


def test_a_doubtful_network_is_not_decided() -> None:
    """GELU behind 15 layers of He, whose trainable depth is 9 layers."""
    found = judged(audits([64] * 15 + [1], he), "gelu")
    assert found.label == NOT_DECIDED
    assert "by theory" in found.reason
    assert found.trainable_depth == pytest.approx(9.0, rel=0.15)  # 6 / ln 2: GELU's slope at 0 is 1/2


def test_labels_near_the_bound_are_not_decided() -> None:
    """The steps that .5 times He needs in 12 layers are known by a factor of 10 for the gradient: 10 or 100 for them.

    So between a number of steps with which it certainly stalls and one with which it does not lie 2 decades at least.
    """
    layers = audits([64] * 12 + [1], lambda fan_in, l: 0.5 * he(fan_in, l))
    found = [judged(layers, "relu", steps=10**k) for k in range(1, 12)]
    names = [each.label for each in found]
    assert names[0] == "vanishing"
    close = [each for each in found if each.label == NOT_DECIDED and "margin of error" in each.reason]
    assert len(close) >= 2
    assert names == ["vanishing"] * names.count("vanishing") + [NOT_DECIDED] * names.count(NOT_DECIDED)


def test_saturation() -> None:
    found = judged(audits([64] * 20 + [1], lambda fan_in, l: 300.0 / math.sqrt(fan_in)), "sigmoid", steps=300)
    assert found.label in ("saturated", "exploding", NOT_DECIDED)
    # The share of |z| > 3.6369 for N(0, 100): 2 Phi(-.36369); the slope jumps there by the nodes' spacing.
    assert saturated_share(ACTIVATIONS["sigmoid"], 100.0) == pytest.approx(0.7161, abs=0.01)
    assert saturated_share(ACTIVATIONS["relu"], 100.0) == 0.0
    for name in ("tanh", "sigmoid", "hardtanh", "hard_sigmoid"):  # the same rule as for measured networks
        z = np.random.RandomState(0).standard_normal((1, 1, 20_000)) * 3.0
        phi = ACTIVATIONS[name]
        share = signals.saturated_share(z, np.asarray(phi.phi(z)), phi)[0]
        assert saturated_share(phi, 9.0) == pytest.approx(share, abs=0.02)  # 5 sampling errors, and one node


def test_the_trainable_depth_of_a_chaotic_network() -> None:
    """6 xi_c by the accurate quadrature of `theory.correlation`, for tanh with sigma_w2 = 2 in wide layers."""
    found = judged(audits([200] * 6 + [1], lambda fan_in, l: math.sqrt(2.0 / fan_in)), "tanh")
    tanh = ACTIVATIONS["tanh"]
    q = 0.6179647701671268  # the fixed point of q -> 2 E[tanh(sqrt(q) z)^2]
    assert 2.0 * correlation.pair_expectation(tanh.phi, q, 1.0) == pytest.approx(q, rel=1e-6)
    xi = correlation.xi_c(2.0 * correlation.pair_expectation(tanh.phi, q, 1.0), 2.0, 0.0, tanh)
    assert found.trainable_depth == pytest.approx(6.0 * xi, rel=0.1)  # the weights' variance has an error of .003
    assert "chaotic" in found.reason


def test_no_trainable_depth_without_two_hidden_layers() -> None:
    assert math.isnan(judged(audits([8, 16, 1], he), "relu").trainable_depth)


def test_small_constant_biases_are_allowed() -> None:
    layers = audits([64] * 4 + [1], he, [np.full(64, 0.1)] * 3 + [np.zeros(1)])
    assert judged(layers, "relu").label == "healthy"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"activation": ""}, "the activation of layer1 is not known"),
        ({"activation": "mish"}, "the activation of layer1 is mish, which theory does not cover"),
        ({"kind": "embedding"}, "layer2 is a layer of kind embedding"),
        ({"sizes": True}, "layer2 with 12 inputs does not follow layer1 with 16 units"),
        ({"weights": np.nan}, "layer2 has weights that are not finite"),
        ({"bias": 3.0}, "layer1 has biases of mean 3, but theory assumes mean 0"),
        ({"mean": 0.5}, "layer2 has weights of mean 0."),
        ({"ones": True}, "the weights of layer2 are constant"),
    ],
)
def test_why_a_network_is_not_predicted(change: dict[str, Any], reason: str) -> None:
    rng = np.random.default_rng(0)
    weights = [draws("normal", (16, 8), rng, 0.5), draws("normal", (12, 16), rng, 0.35)]
    biases = [np.full(16, change.get("bias", 0.0)), np.zeros(12)]
    if "sizes" in change:
        weights[1] = weights[1][:, :12]
    if "weights" in change:
        weights[1][0, 0] = change["weights"]
    weights[1] = np.ones((12, 16)) if "ones" in change else weights[1] + change.get("mean", 0.0)
    layers = network(weights, biases)
    if "kind" in change:
        layers[1] = layers[1]._replace(kind=change["kind"])
    found = suitability(audit_layers(layers).layers, change.get("activation", "relu"))
    assert isinstance(found, str)
    assert reason in found
    assert suitability([], "relu") == "the model has no layers with weights"


def test_convolutions_are_not_decided_but_predicted() -> None:
    """Eight channels of 3 x 3 keep the signal with He's weights, and the gradient: fan_out is 72."""
    rng = np.random.default_rng(1)
    kernels = [draws("normal", (8, 72), rng, math.sqrt(2.0 / 72)) for _ in range(3)]
    layers = [layer._replace(fan_out=72) for layer in network(kernels, kind="convolution")]
    found = judged(audit_layers(layers).layers, "relu")
    assert found.label == NOT_DECIDED
    assert "convolution" in found.reason
    np.testing.assert_allclose(found.signal, 2.0, rtol=0.5)  # 576 weights: .06 per layer, 5 errors of three
    np.testing.assert_allclose(found.gradient, 1.0, rtol=0.5)


def test_the_label_of_a_batch_is_that_of_the_diagnostics() -> None:
    """The rules of `diagnostics.labels` on the same weights and samples."""
    (X, Y), _ = DATASETS["digits"].split(150, 60, 0.05, 1, 2)
    for scale in (0.3, 1.0, 4.0):
        layers = audits([64] + [24] * 20 + [10], lambda fan_in, l, scale=scale: scale * he(fan_in, l))
        found = judged(layers, "relu", (X.T, Y[0]), 300)
        parameters = [(audit.layer.matrix()[None], np.zeros((1, audit.layer.units, 1))) for audit in layers]
        measured = measure.measure(parameters, X, Y, [ACTIVATIONS["relu"]] * 20)
        columns = {name: values[0] for name, values in measured.layers.items()} | {"layer": np.arange(21)}
        (label,) = labels.label_models(columns, measured.models, 21, labels.plan(1.0, 0.0, 300, Y))
        assert found.label == (label.name if label.name not in labels.RATES else "healthy")
        assert label.reason in found.reason or found.label == "healthy"
        np.testing.assert_array_equal(found.measured_signal, measured.layers["preactivation_mean_square"][0])
        assert found.measured_gradient[-1] == 1.0


def test_a_batch_without_classes() -> None:
    X = np.random.default_rng(2).normal(size=(500, 64))
    found = judged(audits([64] + [32] * 30 + [3], lambda fan_in, l: 0.3 * he(fan_in, l)), "relu", X)
    assert found.label == "vanishing"
    assert "classes assigned at random" in found.reason
    assert judged(audits([64] * 4 + [3], he), "relu", X).label == "healthy"


def test_inputs_that_are_not_standardized_are_named() -> None:
    """Pixels from 0 to 255, of mean square 255^2 / 3; no line redraws weights that have the recommended law."""
    rng = np.random.default_rng(5)
    layers = network([draws("normal", (n_out, n_in), rng, math.sqrt(2 / n_in)) for n_in, n_out in ((64, 32), (32, 4))])
    X = rng.random((100, 64))
    assert audit_layers(layers, activation="relu", data=X).state == AS_INTENDED
    (finding,) = audit_layers(layers, activation="relu", data=255 * X).findings
    assert (finding.cause, finding.fix) == ("unsuitable", "")
    assert "with inputs of mean square 2.2e+04: standardize them" in finding.text


def test_weights_beyond_theory_are_measured() -> None:
    """Weights of mean .5: no prediction, but a label of the batch."""
    rng = np.random.default_rng(3)
    weights = [draws("normal", (16, 8), rng, 0.5) + 0.5, draws("normal", (1, 16), rng, 0.35)]
    found = judged(audit_layers(network(weights)).layers, "relu", rng.normal(size=(50, 8)))
    assert (found.signal, found.gradient) == ([], [])
    assert len(found.measured_signal) == 2
    assert math.isnan(found.trainable_depth)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.ones((5, 3)), "data: X is an array of float64 of shape (5, 3); it must be numbers of shape (samples, 4)"),
        (np.ones(4), "shape (samples, 4)"),
        ((np.ones((2, 4)), np.array([0, 3])), "data: Y must be 2 class numbers from 0 to 2"),
        ((np.ones((2, 4)), np.array([0.5, 1.0])), "class numbers from 0 to 2"),
        ((np.ones((2, 4)), np.zeros(3)), "data: Y must be 2 class numbers"),
        ((np.ones((2, 4)), np.array(["a", "b"])), "class numbers"),
    ],
)
def test_a_batch_that_does_not_fit(data: Any, message: str) -> None:
    with pytest.raises(UserError) as error:
        as_batch(data, 4, 3)
    assert message in str(error.value)


def test_the_audit_of_a_batch_that_does_not_fit() -> None:
    rng = np.random.default_rng(4)
    layers = network([draws("normal", (16, 8), rng, 0.5), draws("normal", (3, 16), rng, 0.35)])
    with pytest.raises(
        UserError, match=r"data: X is an array of float64 of shape \(5, 7\); it must be numbers of shape"
    ):
        audit_layers(layers, activation="relu", data=np.ones((5, 7)))


def test_without_data_numba_is_not_imported() -> None:
    code = "import sys, pipeline.audit.suitability; print('numba' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
