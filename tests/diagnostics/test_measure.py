"""The columns of `measure`: each against its plain computation, layer by layer, and the same on other processors."""

import hashlib
import math
import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.diagnostics import histograms, measure
from pipeline.diagnostics.measure import Measurements
from pipeline.networks import probes
from pipeline.networks.activations import ACTIVATIONS, Activation
from pipeline.networks.parameters import Parameters
from pipeline.numerics.sums import Array
from tests.processors import IMITATIONS, output

EDGE = math.atanh(math.sqrt(0.9))  # 1 - tanh(z)^2 = 0.1
ROUNDED = {"effective_rank", "jacobian_mean_square", "jacobian_largest", "jacobian_smallest"}
SAMPLES = 13  # more than probes.N_JACOBIANS, and no whole number of lanes
CASES = [  # widths that all differ in a network, so that a column in the wrong layer shows
    ([3, 6, 4, 1], ["tanh", "relu"]),
    ([5, 2, 6, 4, 3], ["relu", "tanh", "relu"]),  # a softmax; a first layer narrower than the inputs
    ([4, 7, 1], ["tanh"]),
    ([2, 1, 3], ["tanh"]),  # one hidden unit
    ([3, 1], []),
    ([2, 4], []),
]


def of(names: Sequence[str]) -> list[Activation]:
    return [ACTIVATIONS[name] for name in names]


def hand_made(layers: Sequence[int]) -> tuple[Parameters, Array, Array]:
    """Four models of normal weights and biases, the first three with a twist, if they have hidden layers.

    0: the first two units have equal weights in and out. 1: in alone, and all weights are so large that it saturates.
    2: biases that leave many units of a ReLU without any sample, and some samples without a unit.
    """
    rng = np.random.RandomState(0)
    models = [(rng.randn(4, n, k) / math.sqrt(k), rng.randn(4, n, 1) / 2) for k, n in pairwise(layers)]
    X, Y = rng.randn(layers[0], SAMPLES), rng.randint(0, max(2, layers[-1]), (1, SAMPLES)).astype(float)
    if len(layers) > 2:
        for W, b in models:
            W[1] *= 4.0
            b[2] -= 2.0
        W, b = models[0]
        W[:2, 1:2], b[:2, 1:2] = W[:2, :1], b[:2, :1]
        models[1][0][0, :, 1:2] = models[1][0][0, :, :1]
    return models, X, Y


def rounded(value: float) -> float:
    return float(f"{value:.5e}")


def singular_values(M: Array) -> Array:
    s = np.linalg.svd(M, compute_uv=False)
    return np.where(s < 1e-14 * s[0], 0.0, s)  # rounding


def n_unique(rows: Array) -> int:
    return len({tuple(np.round(row, 12)) for row in rows})  # BLAS may round equal rows in different ways


def layer_by_layer(
    model: list[tuple[Array, Array]], X: Array, Y: Array, names: Sequence[str]
) -> tuple[list[dict[str, float]], dict[str, float], list[Array], list[Array]]:
    """What `measure` returns for one model W (n_l, n_{l-1}), b (n_l, 1), by plain NumPy; a dictionary a layer.

    And what it measures of the model, its Z, and its A without the inputs.
    """
    n_0, m = X.shape
    last = len(model) - 1
    phi = {"tanh": np.tanh, "relu": lambda z: np.maximum(z, 0.0)}
    slope = {"tanh": lambda z: 1.0 - np.tanh(z) ** 2, "relu": lambda z: 1.0 * (z > 0.0)}

    def forward(inputs: Array) -> tuple[list[Array], list[Array]]:
        Z, A = [], [inputs]
        for l, (W, b) in enumerate(model):
            Z.append(W @ A[-1] + b)
            if l < last:
                A.append(phi[names[l]](Z[-1]))
        return Z, A

    Z, A = forward(X)
    own = Y[0].astype(int)
    if len(Z[last]) == 1:
        p = 1.0 / (1.0 + np.exp(-Z[last]))
        costs = -np.log(np.where(own == 1, p[0], 1.0 - p[0]))
        delta = (p - Y) / m
        sure = np.abs(Z[last][0]) > 2.0 * EDGE  # sigmoid(2 z) = (1 + tanh z) / 2
    else:
        p = np.exp(Z[last]) / np.exp(Z[last]).sum(axis=0)
        costs = -np.log(p[own, range(m)])
        delta = (p - np.eye(len(p))[:, own]) / m
        sure = p.max(axis=0) > 0.5 + math.sqrt(0.9) / 2.0
    deltas = [delta]
    for l in range(last, 0, -1):
        deltas.insert(0, model[l][0].T @ deltas[0] * slope[names[l - 1]](Z[l - 1]))

    size = math.sqrt((X**2).mean())
    signs = np.array([1.0 if i % 2 == 0 else -1.0 for i in range(n_0)])
    right, _ = forward(size * np.stack([np.ones(n_0), signs], axis=1))

    rows = []
    for l, (W, b) in enumerate(model):
        hidden = l < last
        into = np.concatenate([W, b], axis=1)
        both = np.concatenate([into, model[l + 1][0].T], axis=1) if hidden else into
        lengths = [math.sqrt(row @ row) for row in W]
        shares = singular_values(W) / singular_values(W).sum()
        x, y = right[l].T
        rows.append(
            {
                "units": len(W),
                "weight_mean": W.mean(),
                "weight_mean_square": (W**2).mean(),
                "bias_mean": b.mean(),
                "bias_mean_square": (b**2).mean(),
                "preactivation_mean": Z[l].mean(),
                "preactivation_std": Z[l].std(),
                "preactivation_mean_square": (Z[l] ** 2).mean(),
                "activation_mean": A[l + 1].mean() if hidden else math.nan,
                "activation_std": A[l + 1].std() if hidden else math.nan,
                "activation_mean_square": (A[l + 1] ** 2).mean() if hidden else math.nan,
                "preactivation_gradient_rms": math.sqrt((deltas[l] ** 2).mean()),
                "weight_gradient_rms": math.sqrt(((deltas[l] @ A[l].T) ** 2).mean()),
                "saturated": (np.abs(Z[l]) > EDGE).mean() * (names[l] == "tanh") if hidden else sure.mean(),
                "dead": (Z[l] <= 0.0).all(axis=1).sum() * (names[l] == "relu") if hidden else 0,
                "unique_activations": n_unique(A[l + 1] if hidden else Z[l]),
                "unique_incoming": n_unique(into),
                "unique_incoming_outgoing": n_unique(both),
                "largest_cosine": max(
                    (abs(W[i] @ W[j]) / (lengths[i] * lengths[j]) for i in range(len(W)) for j in range(i)),
                    default=math.nan,
                ),
                "full_rank": min(W.shape),
                "effective_rank": math.exp(-sum(share * math.log(share) for share in shares if share > 0.0)),
                "correlation": x @ y / math.sqrt((x @ x) * (y @ y)),
            }
        )

    by_logits = []  # the derivative of each logit of each sample by all W and b
    residual = delta - delta.mean(axis=1, keepdims=True)
    total = [np.zeros_like(W) for W, _ in model]
    for k in range(len(Z[last])):
        for sample in range(m):
            d, parts = np.zeros(len(Z[last])), []
            d[k] = 1.0
            for l in range(last, -1, -1):
                parts += [np.outer(d, A[l][:, sample]), d]
                total[l] += residual[k, sample] * parts[-2]
                if l > 0:
                    d = model[l][0].T @ d * slope[names[l - 1]](Z[l - 1][:, sample])
            by_logits.append(np.concatenate([part.ravel() for part in parts]))
    n_out = len(Z[last])
    S = np.full((1, 1), 0.25) if n_out == 1 else np.eye(n_out) / n_out - 1.0 / n_out**2
    J = np.array(by_logits)
    eigenvalue = np.linalg.eigvals(J.T @ np.kron(S, np.eye(m)) @ J / m).real.max()

    spectra = []
    for sample in range(8):  # the first ones
        J = np.eye(n_0)
        for l in range(last):
            J = np.diag(slope[names[l]](Z[l][:, sample])) @ model[l][0] @ J
        spectra.append(singular_values(J))
    blocked_inputs = [
        any(name == "relu" and (z[:, sample] <= 0.0).all() for name, z in zip(names, Z, strict=False))
        for sample in range(m)
    ]
    growth = (A[last] ** 2).mean(axis=0) / (X**2).mean(axis=0) if last > 0 else np.zeros(m)
    logs = [math.log(factor) for factor in growth if factor > 0.0]
    whole = {
        "initial_cost": costs.mean(),
        "sharpness": eigenvalue,
        "centered_gradient": math.sqrt(sum((G**2).sum() for G in total)),
        "weight_norm": math.sqrt(sum((W**2).sum() for W, _ in model)),
        "blocked_inputs": np.mean(blocked_inputs),
        "log_growth": sum(logs) / len(logs) if logs else math.nan,
        "jacobian_mean_square": np.mean([(s**2).sum() / n_0 for s in spectra]),
        "jacobian_largest": np.mean([s[0] for s in spectra]),
        "jacobian_smallest": np.mean([s[-1] for s in spectra]),
    }
    return rows, whole, Z, A[1:]


def assert_column(name: str, found: Any, expected: float) -> None:
    if name in ROUNDED:
        assert found == rounded(expected), name
    elif name == "sharpness":  # a lower bound, from few steps of the power iteration
        assert 0.9 * expected < found < expected * (1.0 + 1e-12)
    else:  # some ulp of numbers of size 1 to 30, which are added in another order
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14, err_msg=name)


@pytest.mark.parametrize(("layers", "names"), CASES, ids=lambda value: "-".join(map(str, value)))
def test_every_column_of_every_layer(layers: list[int], names: list[str]) -> None:
    models, X, Y = hand_made(layers)
    B = measure.measure(models, X, Y, of(names))
    n_layers = len(layers) - 1
    assert {column.shape for column in B.layers.values()} == {(4, n_layers)}
    assert {column.shape for column in B.models.values()} == {(4,)}
    assert [units.shape for units in B.dead] == [(4, n) for n in layers[1:-1]]
    for model in range(4):
        one = [(W[model], b[model]) for W, b in models]
        rows, whole, Z, A = layer_by_layer(one, X, Y, names)
        assert set(B.models) == set(whole), "layer_by_layer computes every quantity"
        for name, value in whole.items():
            assert_column(name, B.models[name][model], value)
        for l, row in enumerate(rows):
            assert set(B.layers) == set(row), "layer_by_layer computes every quantity"
            for name, value in row.items():
                assert_column(name, B.layers[name][model, l], value)
            assert B.Z_counts[model, l].tolist() == histograms.histogram(Z[l][None])[0].tolist()
            if l < n_layers - 1:
                assert B.A_counts[model, l].tolist() == histograms.histogram(A[l][None])[0].tolist()
                never = (Z[l] <= 0.0).all(axis=1) & (names[l] == "relu")
                assert B.dead[l][model].tolist() == never.tolist()
    assert B.A_counts.shape == (4, n_layers - 1, len(histograms.bin_edges()) + 1)


def test_the_hand_made_models_are_what_they_are_meant_to_be() -> None:
    """Else a column of zeros would pass in any layer."""
    models, X, Y = hand_made([5, 2, 6, 4, 3])
    B = measure.measure(models, X, Y, of(["relu", "tanh", "relu"]))
    assert B.layers["unique_incoming_outgoing"].tolist() == [[1, 6, 4, 3], *[[2, 6, 4, 3]] * 3]
    assert B.layers["unique_incoming"].tolist() == [[1, 6, 4, 3], [1, 6, 4, 3], *[[2, 6, 4, 3]] * 2]
    assert B.layers["full_rank"].tolist() == [[2, 2, 4, 3]] * 4
    assert B.layers["dead"][2].tolist() == [1, 0, 3, 0]
    assert 0.0 < B.models["blocked_inputs"][2] < 1.0
    assert (B.layers["saturated"][1] > 0.0).tolist() == [False, True, False, True]


def test_two_inputs_at_a_right_angle() -> None:
    for n_inputs, correlation in [(1, 1.0), (2, 0.0), (3, 1 / 3), (30, 0.0), (63, 1 / 63)]:
        X = np.random.RandomState(0).randn(n_inputs, 40) + 1.0
        assert probes.mean_square(X) == pytest.approx((X**2).mean(), rel=1e-14)
        x, y = probes.orthogonal_inputs(X)
        assert x.shape == y.shape == (n_inputs,)
        for one in (x, y):
            np.testing.assert_allclose(one**2, (X**2).mean(), rtol=1e-14)
        assert x @ y / (x @ x) == pytest.approx(correlation, abs=1e-15)
    assert probes.mean_square(np.array([[3.0, 4.0, 0.0], [0.0, -1.0, 2.0]])) == 5.0


def contents(B: Measurements) -> list[tuple[str, str, bytes]]:
    """Name, type and bytes of every array."""
    arrays = [*B.layers.items(), *B.models.items(), ("z", B.Z_counts), ("a", B.A_counts)]
    arrays += [(f"dead {l}", units) for l, units in enumerate(B.dead)]
    return [(name, f"{array.dtype} {array.shape}", array.tobytes()) for name, array in arrays]


@pytest.mark.parametrize(("layers", "names"), [CASES[1], CASES[4]], ids=["deep", "no hidden layer"])
def test_models_measured_apart_and_joined(layers: list[int], names: list[str]) -> None:
    models, X, Y = hand_made(layers)
    parts = [[(W[i:j], b[i:j]) for W, b in models] for i, j in ((0, 1), (1, 3), (3, 4))]
    apart = measure.concatenate([measure.measure(part, X, Y, of(names)) for part in parts])
    assert contents(apart) == contents(measure.measure(models, X, Y, of(names)))


@pytest.mark.parametrize(("layers", "names"), CASES)
def test_layers_alone_are_those_of_all_measurements(
    monkeypatch: pytest.MonkeyPatch, layers: list[int], names: list[str]
) -> None:
    """And the power iteration, most of the work in a deep network, is left out."""
    models, X, Y = hand_made(layers)
    expected = measure.measure(models, X, Y, of(names)).layers
    monkeypatch.setattr(measure, "sharpness", None)
    found = measure.measure_layers(models, X, Y, of(names))
    assert list(found) == list(expected)
    for column, values in found.items():
        assert (values.dtype, values.tobytes()) == (expected[column].dtype, expected[column].tobytes())


def test_models_that_diverged_are_no_error() -> None:
    models, X, Y = hand_made([3, 6, 4, 1])
    for value in (math.inf, -math.inf, math.nan):
        for place in range(3):
            broken = [(W.copy(), b) for W, b in models]
            broken[place][0][3] = value
            B = measure.measure(broken, X, Y, of(["tanh", "relu"]))
            assert math.isnan(B.layers["effective_rank"][3, place])
            assert np.isfinite([B.models["initial_cost"][:3], B.models["jacobian_mean_square"][:3]]).all()


def test_the_columns_of_zeros() -> None:
    zeros = [(np.zeros((1, n, k)), np.zeros((1, n, 1))) for k, n in pairwise([2, 5, 3, 1])]
    _, X, Y = hand_made([2, 1])
    B = measure.measure(zeros, X, Y, of(["relu", "relu"]))
    assert not B.layers["weight_gradient_rms"].any()
    assert B.layers["preactivation_gradient_rms"][0, :2].tolist() == [0.0, 0.0]
    assert B.layers["preactivation_gradient_rms"][0, 2] == pytest.approx(
        0.5 / SAMPLES, rel=1e-14
    )  # sigmoid(0) - y is 1/2 or -1/2
    assert B.layers["dead"].tolist() == [[5, 3, 0]]
    assert B.layers["unique_incoming_outgoing"].tolist() == [[1, 1, 1]]
    assert B.layers["effective_rank"].tolist() == [[0.0, 0.0, 0.0]]
    assert np.isnan(B.layers["correlation"]).all()
    assert [B.models[name][0] for name in ("blocked_inputs", "jacobian_mean_square", "jacobian_largest")] == [
        1.0,
        0.0,
        0.0,
    ]
    assert B.models["initial_cost"][0] == pytest.approx(math.log(2), rel=1e-15)
    assert math.isnan(B.models["log_growth"][0])


SCRIPT = """
from tests.diagnostics.test_measure import digests
for line in digests():
    print(line)
"""


def digests() -> list[str]:
    """Of every array, the rounded ones included."""
    lines = []
    for layers, names in [CASES[1], ([30, *[60] * 12, 10], ["tanh", "gelu"] * 6)]:
        B = measure.measure(*hand_made(layers), of(names))
        lines += [f"{name} {shape} {hashlib.sha256(content).hexdigest()}" for name, shape, content in contents(B)]
    return lines


@pytest.mark.slow
def test_the_same_on_another_processor(tmp_path: Path) -> None:
    """BLAS and LAPACK imitate one; what is compiled is this processor's, and may lie where it always does."""
    compiled = os.environ.get("NUMBA_CACHE_DIR", "")
    found = output(SCRIPT, tmp_path, NUMBA_CACHE_DIR=compiled, **IMITATIONS["openblas_nehalem"])
    assert found.splitlines() == digests()
