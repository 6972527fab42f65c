"""Replications with trained networks: small settings, theory against published numbers, and faults that fail a row."""

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.cluster.connection import Workers
from pipeline.initializers.recipes import Recipe, sample_parameters
from pipeline.networks import reference
from pipeline.networks.activations import ACTIVATIONS
from pipeline.networks.parameters import take
from pipeline.numerics.matrices import determinant
from pipeline.replications import paper, phases, trained
from pipeline.replications.measurement import Replication
from pipeline.replications.phases import STANDARD, Variances, networks
from pipeline.replications.trained import deep, drawn, training_set
from tests import small_papers
from tests.small_papers import LINE_POINTS, TRAINED

FOLDER = Path(__file__).parents[2] / "replications"


def loaded(name: str) -> tuple[Any, Any]:
    """The module of a replication, and its small settings."""
    small = small_papers.small(name)
    return small.module, small.settings


def measured(name: str, **recipes: Recipe) -> tuple[Replication, int, int]:
    """The results with small settings, the number of models reported as finished, and the number announced.

    `recipes` take the place of initializers.
    """
    module, settings = loaded(name)
    if recipes:
        settings = settings.model_copy(update={"initializers": settings.initializers | recipes})
    finished: list[int] = []
    return module.measure(settings, finished.append), sum(finished), module.total(settings)


@pytest.fixture(autouse=True)
def _short_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Theory's lines in figures have few points."""
    for name in ("schoenholz_2017", "phase_diagram"):
        monkeypatch.setattr(paper.load_module(name), "LINE_POINTS", LINE_POINTS)


def values(result: Replication) -> dict[str, float]:
    """The measured numbers by their quantities."""
    return {one.quantity: one.measured for one in result.measurements}


@pytest.mark.parametrize("name", TRAINED)
def test_small_settings_twice(name: str) -> None:
    first, finished, announced = measured(name)
    second, _, _ = measured(name)
    assert finished == announced
    assert repr(first.measurements) == repr(second.measurements)
    for key, table in first.tables.items():
        assert table.to_csv() == second.tables[key].to_csv()
    assert len(values(first)) == len(first.measurements)


@pytest.mark.parametrize("name", TRAINED)
def test_its_figure_is_drawn(name: str) -> None:
    module, settings = loaded(name)
    figure = module.draw(module.measure(settings, lambda n: None).tables)
    for ax in figure.axes:
        assert ax.get_xlabel() or ax.get_ylabel()


@pytest.mark.parametrize("name", TRAINED)
def test_the_quantities_of_the_committed_settings_are_published(name: str) -> None:
    """Names follow from the settings; each committed row has its source."""
    assert paper.read_published(FOLDER / name / "published.csv")["source"].notna().all()


def test_lsuv_is_needed_for_unit_variance() -> None:
    """With He initialization in its place the variances leave the band from 0.9 to 1.1."""
    variances = [
        [value for key, value in values(measured("mishkin_matas_2016", **recipes)[0]).items() if "var" in key]
        for recipes in ({}, {"lsuv": Recipe("he_normal")})
    ]
    assert all(0.9 <= value <= 1.1 for value in variances[0])
    assert any(not 0.9 <= value <= 1.1 for value in variances[1])


def test_he_counts_only_lower_costs() -> None:
    """With Xavier initialization in both places no seed has a lower cost, which the band of 8 seeds refuses."""
    quantity = "seeds with a lower final cost for He than for Xavier, 5 layers, of 2"
    assert values(measured("he_2015", he=Recipe("xavier_normal"))[0])[quantity] == 0.0


def test_modes_follow_the_exact_solution() -> None:
    """With steps of 0.02; weights of twice the size, whose modes begin four times as strong, are earlier by ln 4 / (2 s)."""
    one, other = (
        [row for row in measured("saxe_2013", **recipes)[0].measurements if "half learned" in row.quantity]
        for recipes in ({}, {"orthogonal": Recipe("orthogonal", gain=2.0)})
    )
    assert [row.theory for row in one] == pytest.approx([1.0367, 1.3343, 1.9001, 3.4534], abs=5.1e-5)
    # Euler's method is late by about half a step for each e-folding of 1 / (2 s): 8 of them
    assert [row.measured for row in one] == pytest.approx([row.theory for row in one], abs=0.04)
    earlier = [row.theory - row.measured for row in other]
    assert earlier == pytest.approx([math.log(4) / (2 * s) for s in (4, 3, 2, 1)], abs=0.04)


@pytest.mark.parametrize("n", [1, 2, 5, 16])
def test_determinants_are_numpys(n: int) -> None:
    for seed in range(5):
        A = np.random.RandomState(seed).randn(n, n)
        assert determinant(A) == pytest.approx(np.linalg.det(A), rel=1e-10)  # condition numbers of some hundreds
    assert determinant(np.zeros((n, n))) == 0.0


def test_rotations_are_proper() -> None:
    module, settings = loaded("saxe_2013")
    X = module.whitened(8)
    np.testing.assert_allclose(X @ X.T, 16 * np.eye(8), rtol=1e-15)
    spec = module.NetworkSpec([8] * 5, [module.LINEAR] * 3, X)
    models = drawn(settings.initializers["orthogonal"], range(8), spec)
    signs = [[np.sign(np.linalg.det(whole(each, k))) for k in range(8)] for each in (models, turned(module, models))]
    assert set(signs[0]) == {-1.0, 1.0}
    assert set(signs[1]) == {1.0}


def turned(module: Any, models: Any) -> Any:
    """The models whose products have determinant 1."""
    return module.with_determinant_one(models)


def whole(models: Any, k: int) -> Any:
    """The product of all layers of model k."""
    result = np.eye(8)
    for W, _ in models:
        result = W[k] @ result
    return result


def test_networks_at_a_point_are_those_of_the_recipe() -> None:
    _, settings = loaded("phase_diagram")
    X, _ = training_set(settings.data)
    spec = deep(settings.data, 4, 6, ACTIVATIONS["tanh"], X)
    assert list(spec.layers_dims) == [64, 6, 6, 6, 10]
    models = networks([Variances(1.3, 0.0), Variances(2.0, 0.05)], drawn(STANDARD, [3, 4], spec))
    recipe = Recipe("mean_field_normal", {"weight_variance": 2.0, "bias_variance": 0.05})
    for ((W,), (b,)), (V, c) in zip(take(models, [3]), sample_parameters(recipe, 4, spec), strict=True):
        np.testing.assert_allclose(W, V, rtol=5e-16)  # a product of two square roots and the square root of a quotient
        np.testing.assert_allclose(b, c, rtol=5e-16)
    assert not any(b[:2].any() for _, b in models)


def test_accuracies_do_not_depend_on_groups_or_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """All points in one call of training with threads, and one point at a time on an executor as of a cluster."""
    _, settings = loaded("phase_diagram")
    X, Y = training_set(settings.data)
    spec = deep(settings.data, 4, 6, ACTIVATIONS["tanh"], X)
    points = [Variances(w, 0.05) for w in (0.5, 1.0, 2.0)]
    descent, rates = phases.Descent(30, 20, 0.9), [0.01, 0.05]
    found = []
    with ThreadPoolExecutor(1) as executor:
        for workers, size in ((Workers(None, 2, math.inf, ""), 1e9), (Workers(executor, 1, 1e6, ""), 0.0)):
            monkeypatch.setattr(phases, "MODELS_BYTES", size)
            speed = trained.Speed()
            arguments = points, [0, 1], spec, Y, descent, rates, workers, speed, lambda n: None
            found.append(phases.trained_accuracies(*arguments))
            n_weights = 64 * 6 + 2 * 6 * 6 + 6 * 10
            assert speed.flops == 6.0 * n_weights * 30 * 20 * 2 * len(points) * len(rates)
    assert found[0].shape == (2, 3, 2)
    assert found[0].tobytes() == found[1].tobytes()
    assert (found[0] > 0.12).any()  # a constant output is right for a tenth


def cells(module: Any, settings: Any, accuracy: Any) -> dict[str, float]:
    """The rows of the diagram for a given accuracy as a function of xi_c and sigma_w^2 minus the critical one."""
    tanh, own = ACTIVATIONS["tanh"], settings.replication
    points = [Variances(w, b) for b in (0.05, 0.1) for w in np.linspace(0.8, 4.0, 17).tolist()]
    theory = module.theory_of(points, tanh)
    edge = {b: module.critical_point(tanh, b).weight_variance for b in (0.05, 0.1)}
    found = [accuracy(at.xi_c, each.weight - edge[each.bias]) for each, at in zip(points, theory, strict=True)]
    table = module.table(points, theory, np.array(found).reshape(1, -1, 1), own.rates[:1])
    measurements, _ = module.measured(own.model_copy(update={"depth": 40}), table, tanh)
    return {one.quantity: one.measured for one in measurements}


def test_the_diagram_recovers_a_known_multiple() -> None:
    """Networks that train exactly up to 4 xi_c, best 0.3 above the edge; then the opposite of it."""
    module, settings = loaded("phase_diagram")
    rows = cells(module, settings, lambda xi, d: (0.9 if 4.0 * xi >= 40.0 else 0.3) - 0.02 * abs(d - 0.3))
    assert rows["area under the ROC curve of ξ_c"] == 1.0
    assert rows["multiple of ξ_c that separates trained networks"] == pytest.approx(4.0, rel=0.15)  # the grid's gaps
    assert rows["share of cells that agree with the fitted multiple"] == 1.0
    assert rows["share of cells that agree with 6 ξ_c"] < 1.0
    ends = [rows[f"{end} distance of the best σ_w² from the critical one"] for end in ("smallest", "largest")]
    assert all(abs(end - 0.3) <= 0.1 + 1e-12 for end in ends)  # half a cell
    assert rows["share of the cells with 6 ξ_c below half the depth that are trained"] == 0.0
    opposite = cells(module, settings, lambda xi, d: 0.3 if 4.0 * xi >= 40.0 else 0.9)
    assert opposite["area under the ROC curve of ξ_c"] == 0.0
    assert opposite["share of the cells with 6 ξ_c below half the depth that are trained"] == 1.0


@pytest.mark.parametrize("name", ["schoenholz_2017", "phase_diagram"])
def test_a_fitted_multiple_has_no_interval_over_seeds(name: str) -> None:
    """It is one number for all cells: the gap between the two nearest ones is not an interval."""
    (row,) = [one for one in measured(name)[0].measurements if one.quantity.startswith("multiple of")]
    assert math.isfinite(row.measured)
    assert math.isnan(row.low)
    assert math.isnan(row.high)


def test_critical_variance_of_the_replication() -> None:
    result, _, _ = measured("schoenholz_2017")
    assert math.isclose(result.measurements[0].theory, 1.7609546, rel_tol=1e-7)


@pytest.mark.parametrize("name", ["he_2015", "mishkin_matas_2016"])
def test_costs_are_those_of_all_training_samples(name: str) -> None:
    """LSUV looks at fewer samples than the networks are trained on. The cost before training, of Xavier's weights."""
    module, settings = loaded(name)
    X, Y = training_set(settings.data)
    own = settings.replication
    depth = own.deep if name == "he_2015" else own.depths[-1]
    spec = deep(settings.data, depth, own.width, ACTIVATIONS["relu"], X)
    expected = [
        float(reference.cost([(W[None], b[None]) for W, b in model], reference.samples(X, Y), spec.activations)[0])
        for model in (sample_parameters(settings.initializers["xavier"], seed, spec) for seed in settings.seeds)
    ]
    costs = module.measure(settings, lambda n: None).tables["costs"]
    first = costs[(costs["initializer"] == "xavier") & (costs["epoch"] == 0.0)]
    if "depth" in costs:
        first = first[first["depth"] == depth]
    assert first["cost"].tolist() == expected


@pytest.mark.parametrize(("batch_size", "per_epoch"), [(20, 3), (25, 3), ("full", 1)])
def test_the_table_of_costs(batch_size: int | str, per_epoch: int) -> None:
    """An epoch of 60 samples has three batches of 20, or of 25, 25 and 10; each full-batch step is an epoch."""
    _, settings = loaded("he_2015")
    training = settings.training.model_copy(update={"batch_size": batch_size})
    settings = settings.model_copy(update={"training": training, "seeds": (3, 8)})
    table = trained.cost_table([[2.3, 1.0], [2.2, 0.5]], settings, [0, 4], depth=5)
    assert list(table.columns) == ["depth", "seed", "epoch", "cost"]
    assert table["seed"].tolist() == [3, 3, 8, 8]
    assert table["epoch"].tolist() == [0.0, 4 / per_epoch] * 2
    assert table["cost"].tolist() == [2.3, 1.0, 2.2, 0.5]
    assert set(table["depth"]) == {5}


def test_networks_that_agree_with_a_multiple() -> None:
    """Trained at and below it and not trained above it."""
    assert phases.n_agree([1.0, 6.0, 7.0, math.inf, 2.0], [True, True, False, True, False], 6.0) == 3


def test_the_line_of_depth_scales() -> None:
    """xi_c = -1 / ln chi_1 in the ordered phase, where the correlation's fixed point is 1 (Schoenholz et al. 2017)."""
    line = phases.depth_scales(ACTIVATIONS["tanh"], 0.5, 1.5, 0.05, 3)
    assert line["sigma_w2"].tolist() == [0.5, 1.0, 1.5]
    for sigma_w2, xi_c in zip(line["sigma_w2"], line["xi_c"], strict=True):
        z, weights = np.polynomial.hermite_e.hermegauss(80)
        weights = weights / math.sqrt(2 * math.pi)
        q = 1.0
        for _ in range(500):
            q = sigma_w2 * float(weights @ np.tanh(math.sqrt(q) * z) ** 2) + 0.05
        chi_1 = sigma_w2 * float(weights @ np.cosh(math.sqrt(q) * z) ** -4.0)
        assert xi_c == pytest.approx(-1 / math.log(chi_1), rel=1e-9)  # the quadratures agree to 12 digits
