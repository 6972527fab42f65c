"""What is measured of networks, against theory, plain loops, and other processors."""

import math
from collections.abc import Sequence
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest

from pipeline.datasets import circles
from pipeline.diagnostics import histograms, spectra, symmetry
from pipeline.diagnostics import signals as signals_module
from pipeline.initializers import fan_scaling, fixed_scale, structured
from pipeline.initializers.registry import Initializer
from pipeline.networks import parameters as network_parameters
from pipeline.networks import reference
from pipeline.networks.activations import ACTIVATIONS, Activation
from pipeline.networks.parameters import Parameters
from pipeline.networks.saturation import flat_below
from pipeline.numerics import matmul
from pipeline.numerics.sums import Array, lane_sum, pad
from pipeline.training import gradient_descent
from tests.activation_cases import CASES
from tests.marks import slow
from tests.processors import LIBRARIES, imitated, output
from tests.sampling import sample_models

RELU, TANH = ACTIVATIONS["relu"], ACTIVATIONS["tanh"]
X, Y = circles(300, 0.05, 1)


def measured(init: Initializer, activation: Activation = RELU, seeds: Sequence[int] = (3,)) -> signals_module.Signals:
    return signals_module.signals(sample_models(init, seeds), X, Y, [activation] * 2)


def some_models(layers: Sequence[int], n_models: int = 3, m: int = 13) -> tuple[Parameters, Array, Array]:
    rng = np.random.RandomState(0)
    models = [(rng.randn(n_models, n, k) / math.sqrt(k), rng.randn(n_models, n, 1) / 2) for k, n in pairwise(layers)]
    labels = rng.randint(0, max(2, layers[-1]), (1, m)).astype(float)
    return models, rng.randn(layers[0], m), labels


def bits(arrays: Sequence[Array]) -> list[bytes]:
    return [np.asarray(array).tobytes() for array in arrays]


def flat(signals: signals_module.Signals) -> list[Array]:
    return [array for field in signals for array in (field if isinstance(field, (tuple, list)) else [field])]


def assert_within_5_errors(samples: Array, expected: float) -> None:
    """The mean of independent numbers lies within five standard errors."""
    assert abs(samples.mean() - expected) < 5 * samples.std(ddof=1) / math.sqrt(len(samples))


@pytest.mark.parametrize("n_models", [1, 2])
@pytest.mark.parametrize(("n", "k", "m"), [(1, 1, 1), (7, 5, 13), (20, 33, 8), (13, 7, 600)])
def test_products_have_the_bits_of_the_reference(n: int, k: int, m: int, n_models: int) -> None:
    rng = np.random.RandomState(0)
    W, A, D = rng.randn(n_models, n, k), rng.randn(n_models, k, m), rng.randn(n_models, n, m)
    assert matmul.product(W, A).tobytes() == reference.product(W, A).tobytes()
    assert matmul.product(W, A[0]).tobytes() == reference.product(W, A[0]).tobytes()
    turned, other_way = W.swapaxes(1, 2), rng.randn(n_models, m, k).swapaxes(1, 2)
    assert matmul.product(turned, D).tobytes() == reference.product(turned, D).tobytes()
    assert matmul.product(W, other_way).tobytes() == reference.product(W, other_way).tobytes()
    for inputs in (A, A[:1], other_way):
        slow = lane_sum(pad(D)[..., :, None, :] * pad(inputs)[..., None, :, :])
        fast = matmul.product_over_samples(D, inputs[0] if len(inputs) < n_models else inputs)
        assert fast.tobytes() == slow.tobytes()


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("layers", [[2, 10, 5, 1], [3, 4], [3, 1], [4, 6, 5, 10]])
def test_passes_have_the_bits_of_the_reference(layers: list[int], activation: str) -> None:
    models, points, labels = some_models(layers)
    activations = [ACTIVATIONS[activation]] * (len(layers) - 2)
    S = reference.samples(points, labels)
    slow_Z, slow_A = reference.forward_propagation(models, S.X, activations)
    Z, A = signals_module.forward(models, points, activations)
    assert bits([*Z, *A]) == bits([array[..., :13] for array in [*slow_Z, *slow_A]])
    _, dW = signals_module.backward(models, Z, A, labels, activations)
    slow = reference.backward_propagation(models, slow_Z, slow_A, S.Y, S.weight, activations)
    assert bits(dW) == bits([gradient for gradient, _ in slow])


@pytest.mark.parametrize("layers", [[2, 6, 5, 1], [3, 4, 4, 3]])
def test_signals_against_plain_loops(layers: list[int]) -> None:
    models, points, labels = some_models(layers)
    activations = [TANH, RELU]
    S = signals_module.signals(models, points, labels, activations)
    for model in range(3):
        a, inputs, forward = points, [points], []
        for l in range(3):
            W, b = (array[model] for array in models[l])
            forward.append(W @ a + b)
            a = [np.tanh, lambda z: np.maximum(z, 0)][l](forward[l]) if l < 2 else None
            inputs.append(a)
        logits = forward[2]
        if layers[-1] == 1:
            back = (1 / (1 + np.exp(-logits)) - labels) / 13
        else:
            p = np.exp(logits) / np.exp(logits).sum(axis=0)
            back = (p - (np.arange(3)[:, None] == labels)) / 13
        for l in (2, 1, 0):
            # a few ulp of numbers of size 1; the reference adds in another order
            values = forward[l]
            expected = values.mean(), values.std(), (values**2).mean(), math.sqrt((back**2).mean())
            measured = [moment[model, l] for moment in (*S.Z, S.dZ)]
            np.testing.assert_allclose(measured, expected, rtol=1e-13, atol=1e-15)
            assert S.dW[model, l] == pytest.approx(math.sqrt(((back @ inputs[l].T) ** 2).mean()), rel=1e-13)
            if l > 0:
                values = inputs[l]
                expected = values.mean(), values.std(), (values**2).mean()
                np.testing.assert_allclose([moment[model, l - 1] for moment in S.A], expected, rtol=1e-13, atol=1e-15)
                slope = [1 - inputs[1] ** 2, forward[1] > 0][l - 1]
                back = (models[l][0][model].T @ back) * slope
    assert S.cost.tobytes() == reference.cost(models, reference.samples(points, labels), activations).tobytes()


def test_the_models_beside_it_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    models, points, labels = some_models([2, 6, 5, 1], n_models=5)

    def everything() -> list[bytes]:
        S = signals_module.signals(models, points, labels, [TANH, RELU])
        return bits([*flat(S), spectra.jacobians(models, points, [TANH, RELU])])

    together = everything()
    for size in (1, 13 * 12 * 2):
        monkeypatch.setattr(signals_module, "PIECE", size)
        assert everything() == together


def test_zeros() -> None:
    zeros = sample_models(fixed_scale.zeros(), (0, 1))
    S = signals_module.signals(zeros, X, Y, [RELU] * 2)
    for numbers in (*S.Z, *S.A, S.dW):
        assert not numbers.any()
    assert S.dZ[:, :2].tolist() == [[0.0, 0.0]] * 2
    assert S.dZ[:, 2] == pytest.approx(0.5 / 300, abs=1e-18)  # sigmoid(0) - y is 1/2 or -1/2
    np.testing.assert_allclose(S.cost, math.log(2), rtol=0, atol=1e-15)
    assert [units.all() for units in S.dead] == [True, True]
    assert symmetry.symmetry(zeros).unique_incoming.tolist() == [[1, 1, 1]] * 2
    assert np.isnan(symmetry.symmetry(zeros).largest_cosine).all()
    assert spectra.effective_ranks(zeros).tolist() == [[0.0] * 3] * 2
    assert S.unique_activations.tolist() == [[1, 1, 1]] * 2


def test_constant_units_are_one_before_and_after_training() -> None:
    constant = sample_models(fixed_scale.constant(value=0.5))
    trained = gradient_descent.train(constant, X, Y, [RELU] * 2, learning_rate=0.01, record_at=[15000]).parameters
    for parameters in (constant, trained):
        same = symmetry.symmetry(parameters)
        assert same.unique_incoming.tolist() == same.unique_incoming_outgoing.tolist() == [[1, 1, 1]]
        assert same.largest_cosine[0, :2].tolist() == [1.0, 1.0]
        assert np.isnan(same.largest_cosine[0, 2])  # one unit
        assert spectra.rounded(spectra.effective_ranks(parameters)).tolist() == [[1.0, 1.0, 1.0]]
        assert signals_module.signals(parameters, X, Y, [RELU] * 2).unique_activations.tolist() == [[1, 1, 1]]
    assert signals_module.weight_change(constant, trained) > 0.01


def test_he_keeps_the_second_moment_of_the_data() -> None:
    S = measured(fan_scaling.he_normal(), seeds=range(200))
    assert np.mean(X[0] ** 2 + X[1] ** 2) == pytest.approx(0.830449, abs=5e-7)
    for l in range(3):
        assert_within_5_errors(S.Z.second[:, l], 0.830449)


def test_the_first_cost_of_x10() -> None:
    assert measured(fixed_scale.normal(std=10.0)).cost[0] == pytest.approx(1773.585954937, abs=1e-9)


def test_saturation_begins_at_a_tenth_of_the_slope() -> None:
    edge = math.atanh(math.sqrt(0.9))  # 1 - tanh(z)^2 = 0.1
    for activation, z in ((TANH, edge), (ACTIVATIONS["sigmoid"], 2 * edge)):  # sigmoid(z) = (1 + tanh(z / 2)) / 2
        for sign in (-1, 1):
            Z = np.array([[[sign * (z + 1e-9), sign * (z - 1e-9), 0.0, sign * 300.0]]])
            assert signals_module.saturated_share(Z, activation.phi(Z), activation).tolist() == [0.5]
    bounded = [name for name, activation in ACTIVATIONS.items() if flat_below(activation) > 0.0]
    assert bounded == [name for name, exact in CASES.items() if exact.bounded]
    relu6 = ACTIVATIONS["relu6"]
    Z = np.array([[[-300.0, -1e-9, 0.0, 3.0, 5.9, 6.1, 300.0, 1e-9]]])  # below 0 it is inactive, as ReLU is
    assert signals_module.saturated_share(Z, relu6.phi(Z), relu6).tolist() == [0.25]
    Z = np.full((1, 1, 4), -300.0)
    assert signals_module.saturated_share(Z, RELU.phi(Z), RELU).tolist() == [0.0]
    Z = np.random.RandomState(0).randn(1, 100, 1000)
    expected = 1 - math.erf(edge / math.sqrt(2))
    error = math.sqrt(expected * (1 - expected) / Z.size)
    assert signals_module.saturated_share(Z, TANH.phi(Z), TANH)[0] == pytest.approx(expected, abs=5 * error)


def test_saturated_outputs() -> None:
    z = 2 * math.atanh(math.sqrt(0.9))
    logit = np.array([[[z + 1e-9, z - 1e-9, -z - 1e-9, -z + 1e-9, 0.0, 800.0, -800.0, 1.0]]])
    assert signals_module.saturated_outputs(logit).tolist() == [0.5]
    two_classes = np.concatenate([logit, np.zeros_like(logit)], axis=1)  # softmax([z, 0]) is sigmoid(z)
    assert signals_module.saturated_outputs(two_classes).tolist() == [0.5]
    assert signals_module.saturated_outputs(np.zeros((1, 1000, 3))).tolist() == [0.0]  # p = 1/1000 each: undecided


def test_tanh_is_saturated_by_x10_and_hardly_by_xavier() -> None:
    wild = measured(fixed_scale.normal(std=10.0), TANH, range(20))
    mild = measured(fan_scaling.xavier_normal(), TANH, range(20))
    # z is N(0, 100 |x|^2) with |x| near 0.9: P(|z| > 1.818) = 0.84; next, of ten a near 1, N(0, 1000): 0.95;
    # the logits, of five, N(0, 500): P(|z| > 3.637) = 0.87
    assert (wild.saturated.mean(axis=0) > [0.8, 0.9]).all()
    assert wild.saturated_outputs.mean() > 0.75
    # z is N(0, |x|^2 / 6) with |x| at most 1.15: P(|z| > 1.818) = 1e-4
    assert (mild.saturated.mean(axis=0) < 0.001).all()
    assert (mild.saturated_outputs < 0.1).all()
    assert not measured(fixed_scale.normal(std=10.0)).saturated.any()  # ReLU


def test_dead_units() -> None:
    points = np.array([[1.0, 2.0, 0.5]])
    W = np.array([[[1.0], [-1.0], [0.0]], [[-1.0], [-2.0], [1.0]]])
    b = np.array([[[0.0], [0.0], [0.0]], [[1.0], [0.0], [0.0]]])
    output = np.ones((2, 1, 3)), np.zeros((2, 1, 1))
    (dead,) = signals_module.signals([(W, b), output], points, np.zeros((1, 3)), [RELU]).dead
    assert dead.tolist() == [[False, True, True], [False, True, False]]
    (dead,) = signals_module.signals([(W, b), output], points, np.zeros((1, 3)), [ACTIVATIONS["leaky_relu"]]).dead
    assert not dead.any()


def test_weight_change_and_distinct_units() -> None:
    W = np.array([[[1.0, 2.0], [1.0, 2.0], [3.0, 0.0]]])
    b = np.zeros((1, 3, 1))
    output = (np.ones((1, 1, 3)), np.zeros((1, 1, 1)))
    model = [(W, b), output]
    assert symmetry.unique_units(model).tolist() == [2]
    assert symmetry.unique_units([(W, np.array([[[0.0], [1.0], [0.0]]])), output]).tolist() == [3]
    assert symmetry.unique_units([output]).tolist() == [0]
    moved = [(W, b), (output[0] - 0.25, output[1])]
    assert signals_module.weight_change(model, moved).tolist() == [0.25]
    assert signals_module.weight_change(model, model).tolist() == [0.0]


def test_distinct_rows() -> None:
    last_bit = np.nextafter(1.0, 2.0)
    rows = np.array([[[1.0, 0.0], [1.0, -0.0], [last_bit, 0.0]], [[np.nan, 0.0], [np.nan, 0.0], [1.0, 0.0]]])
    assert symmetry.unique_rows(rows).tolist() == [2, 3]
    assert symmetry.unique_rows(np.array([[[5e-324], [-5e-324], [0.0], [-0.0]]])).tolist() == [3]
    parameters = [(rows[:1], np.array([[[0.0], [1.0], [0.0]]]))]
    assert symmetry.symmetry(parameters).unique_incoming.tolist() == [[3]]
    # two units of equal weights, and two that are equal on every sample though their weights are not
    W = np.array([[[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-2.0, 0.0]]])
    S = signals_module.signals([(W, np.zeros((1, 4, 1))), (np.ones((1, 1, 4)), np.zeros((1, 1, 1)))], abs(X), Y, [RELU])
    assert symmetry.unique_rows(W).tolist() == [3]
    assert S.unique_activations.tolist() == [[2, 1]]


def test_largest_cosine() -> None:
    W = np.array([[[1.0, 0.0], [0.0, 2.0], [-3.0, 3.0]], [[1.0, 1.0], [0.0, 0.0], [1.0, -1.0]]])
    np.testing.assert_allclose(symmetry.largest_cosine(W), [math.sqrt(0.5), 0.0], rtol=1e-15)
    assert np.isnan(symmetry.largest_cosine(W[1:, :2])[0])
    copies = np.repeat(np.random.RandomState(0).randn(50, 1, 30) * 1e200, 2, axis=1)
    assert symmetry.largest_cosine(copies * [[[1.0], [-1.0]]]).tolist() == [1.0] * 50
    W = np.random.RandomState(1).randn(1, 40, 17)
    units = W[0] / np.linalg.norm(W[0], axis=1, keepdims=True)
    slow = max(abs(units[i] @ units[j]) for i in range(40) for j in range(i))
    assert symmetry.largest_cosine(W)[0] == pytest.approx(slow, rel=1e-14)


def test_effective_rank() -> None:
    W = np.stack([np.diag([1.0, 1.0, 1.0, 0.0]), np.ones((4, 4)), np.outer([1, 2, 3, 4], [2, 0, 1, 0.1]), np.eye(4)])
    assert spectra.effective_rank(W) == pytest.approx([3, 1, 1, 4], rel=1e-14)
    shares = [0.75, 0.25]
    expected = math.exp(-sum(p * math.log(p) for p in shares))
    assert spectra.effective_rank(np.diag([6.0, 2.0])[None])[0] == pytest.approx(expected, rel=1e-14)
    assert spectra.effective_rank(np.full((1, 300, 280), 0.5))[0] == pytest.approx(1.0, rel=1e-14)
    assert np.isnan(spectra.effective_rank(np.full((1, 2, 2), np.nan))[0])


@pytest.mark.parametrize(
    ("shape", "scale"),
    [
        *product([(30, 20), (20, 30)], [1.0, 1e-200, 1e200]),
        *slow(*product([(300, 280), (280, 300)], [1.0, 1e-200, 1e200])),
    ],
)
def test_singular_values_of_wide_and_narrow_matrices(shape: tuple[int, int], scale: float) -> None:
    M = np.random.RandomState(0).randn(2, *shape)
    # the smallest is a hundredth of the largest, so its square is good to 1e4 times 1e-15
    np.testing.assert_allclose(
        spectra.singular_values(M * scale) / scale, np.linalg.svd(M, compute_uv=False), rtol=1e-11
    )


def test_the_quarter_circle_law() -> None:
    """n Var = 1: s has density sqrt(4 - s^2) / pi on [0, 2], whose mean is 8 / (3 pi)."""
    W = sample_models(fan_scaling.lecun_normal(), (0,), [1000, 1000])[0][0]
    s = spectra.singular_values(W)[0]
    # a sum over singular values fluctuates by no more than O(1) however many there are, and is off by as much
    assert s.mean() == pytest.approx(8 / (3 * math.pi), abs=2 / 1000)
    assert np.mean(s**2) == pytest.approx(1, abs=5 * math.sqrt(2) / 1000)
    assert s.max() == pytest.approx(2, abs=0.05)  # Tracy-Widom: n^(-2/3) is 0.01


def test_jacobians_against_plain_products() -> None:
    models, points, _ = some_models([3, 6, 5, 2])
    measured = spectra.jacobians(models, points, [TANH, RELU])
    assert measured.shape == (3, 13, 3)
    for model in range(3):
        (W1, b1), (W2, b2), _ = ((W[model], b[model, :, 0]) for W, b in models)
        for sample in range(13):
            z1 = W1 @ points[:, sample] + b1
            z2 = W2 @ np.tanh(z1) + b2
            hidden = np.diag(z2 > 0) @ W2 @ np.diag(1 - np.tanh(z1) ** 2) @ W1
            expected = np.linalg.svd(hidden, compute_uv=False)
            np.testing.assert_allclose(measured[model, sample], expected, rtol=0, atol=1e-14)  # 1e-15 of the largest
    assert (spectra.jacobians(models[:1], points, []) == 1.0).all()  # nothing is between


def test_he_keeps_small_changes_on_average() -> None:
    models = sample_models(fan_scaling.he_normal(), range(300), [8] * 5 + [1])
    points = np.random.RandomState(0).randn(8, 1)
    s = spectra.jacobians(models, points, [RELU] * 4)
    assert_within_5_errors((s[:, 0] ** 2).mean(axis=1), 1.0)


def test_orthogonal_linear_networks_are_isometries() -> None:
    models = sample_models(structured.orthogonal(), range(3), [20] * 31)
    J = spectra.jacobians(models, np.zeros((20, 2)), [ACTIVATIONS["linear"]] * 29)
    np.testing.assert_allclose(J, 1.0, rtol=0, atol=1e-13)


@pytest.mark.parametrize("n", [300, *slow(1000)])
def test_correlations_follow_the_map_of_relu(n: int) -> None:
    """c -> (sqrt(1 - c^2) + c arccos(-c)) / pi (Cho & Saul 2009, order 1) from 0."""
    models = sample_models(fan_scaling.he_normal(), range(12), [2, n, n, n, n])
    c = signals_module.correlations(models, np.array([1.0, 0.0]), np.array([0.0, 1.0]), [RELU] * 3)
    for l, expected in enumerate([0.0, 0.318309886, 0.493731090, 0.604825720]):
        assert_within_5_errors(c[:, l], expected)
    assert (c.std(axis=0) < 2 / math.sqrt(n)).all()


def test_correlations_of_hand_made_layers() -> None:
    models, points, _ = some_models([3, 6, 5, 1])
    x, y = points[:, 0] * 1e150, points[:, 1] * 1e150
    c = signals_module.correlations(models, x, y, [TANH, RELU])
    first = models[0][0][0] @ points[:, :2]  # what the biases add is far below rounding
    expected = first[:, 0] @ first[:, 1] / math.sqrt((first[:, 0] @ first[:, 0]) * (first[:, 1] @ first[:, 1]))
    assert c[0, 0] == pytest.approx(expected, rel=1e-14)
    assert (abs(c[:, 2]) == 1.0).all()
    assert (signals_module.correlations(models, x, x, [TANH, RELU]) == 1.0).all()
    zeros = sample_models(fixed_scale.zeros())
    assert np.isnan(signals_module.correlations(zeros, x[:2], y[:2], [RELU] * 2)).all()


@pytest.mark.parametrize(("init", "low", "high"), [("he", 0.0, 1e-12), ("x10", 1e-6, 0.1)])
def test_a_last_bit_after_training(init: str, low: float, high: float) -> None:
    start = {"he": fan_scaling.he_normal(), "x10": fixed_scale.normal(std=10.0)}[init]
    copies = network_parameters.with_perturbed_copies(sample_models(start))
    trained = gradient_descent.train(copies, X, Y, [RELU] * 2, learning_rate=0.01, record_at=[15000], keep=True)
    assert low <= abs(trained.costs[1, 0] - trained.costs[0, 0]) < high
    (end,) = trained.snapshots
    one, other = ([(W[i : i + 1], b[i : i + 1]) for W, b in end] for i in range(2))
    assert low < signals_module.weight_change(one, other)[0]


def test_perturbed_copies() -> None:
    parameters = [(np.array([[[1.0, -1.0]], [[0.0, 4.0]]]), np.zeros((2, 1, 1)))]
    ((W, b),) = network_parameters.with_perturbed_copies(parameters)
    assert W.tolist()[:2] == parameters[0][0].tolist()
    assert W[2:].tolist() == [[[1.0 + 2.0**-52, -1.0 + 2.0**-53]], [[2.0**-1074, 4.0 + 2.0**-50]]]
    assert not b.any()


def test_histogram() -> None:
    edges = histograms.bin_edges()
    assert edges[len(edges) // 2 :].tolist() == [m * 2.0**k for k in range(-100, 60) for m in np.arange(8, 16) / 8] + [
        2.0**60
    ]
    assert edges.tolist() == (-edges[::-1]).tolist()
    rng = np.random.RandomState(0)
    values = np.concatenate([rng.randn(3, 5, 40) * 10.0 ** rng.randint(-35, 22, (3, 5, 40)), np.zeros((3, 5, 2))], 2)
    counts = histograms.histogram(values)
    for model in range(3):  # NumPy's bins hold their lower edges; mirrored, below 0, so do ours
        above, below = (sign * values[model][sign * values[model] > 0.0] for sign in (1.0, -1.0))
        positive = [0.0, *edges[len(edges) // 2 :], np.inf]
        inside = len(edges) // 2
        assert counts[model, inside + 1 :].tolist() == np.histogram(above, positive)[0][1:].tolist()
        assert counts[model, :inside][::-1].tolist() == np.histogram(below, positive)[0][1:].tolist()
        assert counts[model].sum() == values[model].size
    at_edges = np.concatenate([edges, [np.inf, -np.inf, np.nan, -0.0]])[None, None]
    (counts,) = histograms.histogram(at_edges)
    assert counts[len(edges) // 2] == 1
    assert (counts[0], counts[-1]) == (2, 3)  # -2^60 and -inf; 2^60, inf and nan
    assert (np.delete(counts, [0, len(edges) // 2, -1]) == 1).all()


def test_histograms_of_a_network() -> None:
    S = measured(fan_scaling.he_normal(), seeds=range(4))
    assert S.Z_counts.sum(axis=2).tolist() == [[10 * 300, 5 * 300, 300]] * 4
    middle = len(histograms.bin_edges()) // 2
    assert not S.A_counts[:, :, :middle].any()
    assert (S.A_counts[:, :, middle] == S.Z_counts[:, :2, : middle + 1].sum(axis=2)).all()
    assert (S.A_counts[:, :, middle + 1 :] == S.Z_counts[:, :2, middle + 1 :]).all()


def test_silent_samples() -> None:
    """He's start is dead at one input with probability 1 - (1 - 2^-4)(1 - 2^-3), whatever the input (Lu et al. 2019)."""
    models = sample_models(fan_scaling.he_normal(), range(1000), [2, 4, 3, 1])
    S = signals_module.signals(models, X[:, :50], Y[:, :50], [RELU] * 2)
    expected = 1 - (1 - 2**-4) * (1 - 2**-3)
    assert_within_5_errors(S.blocked_inputs, expected)
    Z, _ = signals_module.forward(models, X[:, :50], [RELU] * 2)
    slow = [[any((z[model, :, m] <= 0).all() for z in Z[:2]) for m in range(50)] for model in range(20)]
    assert S.blocked_inputs[:20].tolist() == [sum(row) / 50 for row in slow]
    assert not measured(fan_scaling.he_normal(), TANH).blocked_inputs.any()


def test_log_growth() -> None:
    models, points, labels = some_models([3, 6, 5, 1])
    S = signals_module.signals(models, points, labels, [TANH, RELU])
    _, A = signals_module.forward(models, points, [TANH, RELU])
    sizes = (A[2] ** 2).mean(axis=1) / (points**2).mean(axis=0)
    for model in range(3):
        logs = [math.log(size) for size in sizes[model] if size > 0]
        assert S.log_growth[model] == pytest.approx(sum(logs) / len(logs), rel=1e-13)
    assert np.isnan(measured(fixed_scale.zeros()).log_growth).all()


def test_units_with_different_outgoing_weights() -> None:
    """Equal ways in do not make two units one, if their ways out differ: the first step parts them."""
    W1 = np.array([[[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]]])
    b1, b2 = np.zeros((1, 3, 1)), np.zeros((1, 1, 1))
    parameters = [(W1, b1), (np.array([[[0.5, 0.5, 0.25]]]), b2)]
    assert symmetry.symmetry(parameters).unique_incoming.tolist() == [[1, 1]]
    assert symmetry.symmetry(parameters).unique_incoming_outgoing.tolist() == [[2, 1]]
    trained = gradient_descent.train(parameters, X, Y, [RELU], learning_rate=0.1, record_at=[1, 100], keep=True)
    for snapshot in trained.snapshots:
        assert symmetry.symmetry(snapshot).unique_incoming_outgoing.tolist() == [[2, 1]]
    assert symmetry.symmetry(trained.snapshots[0]).unique_incoming.tolist() == [[2, 1]]


def test_a_diverged_model_is_no_error() -> None:
    models, points, labels = some_models([2, 4, 3, 1], n_models=2)
    broken = [(np.where(np.arange(2)[:, None, None] == 1, np.inf, W), b) for W, b in models]
    for activation in (RELU, TANH):
        for parameters in (broken, [(W * np.nan, b) for W, b in broken]):
            activations = [activation] * 2
            S = signals_module.signals(parameters, points, labels, activations)
            assert not np.isfinite(S.Z.second[1]).any()
            symmetry.symmetry(parameters)
            signals_module.correlations(parameters, points[:, 0], points[:, 1], activations)
            assert np.isnan(spectra.jacobians(parameters, points, activations)[1]).all()
            assert np.isnan(spectra.effective_ranks(parameters)[1]).all()
    alone = signals_module.signals([(W[:1], b[:1]) for W, b in models], points, labels, [TANH] * 2)
    beside = signals_module.signals(broken, points, labels, [TANH] * 2)
    assert bits([array[:1] for array in flat(beside)]) == bits(flat(alone))


def test_rounded() -> None:
    values = np.array([[1.0 / 3.0, 2.0 / 3e7], [123456789.0, -0.0], [np.inf, np.nan], [-1e-300 / 7, 0.1 + 0.2]])
    assert repr(spectra.rounded(values).tolist()) == (
        "[[0.333333, 6.66667e-08], [123457000.0, 0.0], [inf, nan], [-1.42857e-301, 0.3]]"
    )
    assert spectra.rounded(np.array([0.12345]), 2).tolist() == [0.12]


SCRIPT = """
import hashlib
import numpy as np
from pipeline.datasets import circles
from pipeline.diagnostics import signals, spectra, symmetry
from pipeline.initializers import fan_scaling, fixed_scale, structured
from pipeline.networks.activations import ACTIVATIONS
from pipeline.networks.parameters import stack
from tests.sampling import sample_models

X, Y = circles(300, 0.05, 1)
x, y = X[:, 0], X[:, 1]
for recipe, layers, name in (
    (fan_scaling.he_normal(), [2, 10, 5, 1], "relu"),
    (fixed_scale.constant(value=0.5), [2, 10, 5, 1], "relu"),
    (fixed_scale.normal(std=10.0), [2, *[40] * 20, 3], "tanh"),  # in chaos
    (fan_scaling.xavier_normal(), [2, *[300] * 4, 1], "gelu"),
    (structured.orthogonal(), [2, *[30] * 10, 1], "linear"),
):
    models = sample_models(recipe, range(3), layers)
    activations = [ACTIVATIONS[name]] * (len(layers) - 2)
    S = signals.signals(models, X, Y, activations)
    arrays = [array for field in S for array in (field if isinstance(field, (tuple, list)) else [field])]
    arrays += [*symmetry.symmetry(models), signals.correlations(models, x, y, activations)]
    print("exact", hashlib.sha256(b"".join(np.asarray(array).tobytes() for array in arrays)).hexdigest())
    J = spectra.jacobians(models, X[:, :4], activations)
    for values in (spectra.effective_ranks(models), J.mean(axis=2), J[..., 0]):
        print("rounded", spectra.rounded(values).tolist())
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def here(cache: Path) -> str:
    return output(SCRIPT, cache)


@pytest.mark.slow
@pytest.mark.parametrize("names", LIBRARIES.values(), ids=LIBRARIES)
def test_the_same_on_another_processor(names: tuple[str, ...], here: str, cache: Path) -> None:
    assert here.count("exact") == 5
    assert output(SCRIPT, cache, **imitated(names)) == here
