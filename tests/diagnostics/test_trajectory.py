"""What is kept while models are trained, when, of which seed, and the tables that are made of it."""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.datasets import circles
from pipeline.diagnostics import measure, trajectory
from pipeline.initializers import fan_scaling
from pipeline.networks import parameters, reference
from pipeline.networks.activations import ACTIVATIONS
from pipeline.networks.parameters import Parameters
from pipeline.training import executors, gradient_descent
from tests.sampling import bits, sample_models

SHIPPED = Path(__file__).parents[2] / "params.yaml"
HE = fan_scaling.he_normal()
ACTIVE = [ACTIVATIONS["relu"], ACTIVATIONS["tanh"]]
X, Y = circles(60, 0.05, 1)
SEEDS = [0, 3, 7]
MOMENTS = [0, 1, 2, 5, 40]
FULL: dict[str, Any] = {}
BATCHES: dict[str, Any] = {"batch_size": 16, "momentum": 0.9}  # the last batch of an epoch is smaller


def one(models: Parameters, index: int) -> Parameters:
    return [(W[index : index + 1], b[index : index + 1]) for W, b in models]


def train(models: Parameters, seeds: Sequence[int], record_at: Sequence[int], **how: Any) -> gradient_descent.Trained:
    return gradient_descent.train(models, X, Y, ACTIVE, learning_rate=0.1, record_at=record_at, seeds=seeds, **how)


@pytest.mark.parametrize("how", [FULL, BATCHES], ids=["full", "batches"])
def test_the_model_that_is_followed_is_that_of_the_run(how: dict[str, Any]) -> None:
    """A model and its perturbed, kept at moments of their own, end where the model ends among all seeds, and alone."""
    run = train(sample_models(HE, SEEDS), SEEDS, [0, 20, 40], **how)
    shown = one(sample_models(HE, SEEDS), 1)
    followed = train(parameters.with_perturbed_copies(shown), [3, 3], MOMENTS, keep=True, **how)
    alone = train(shown, [3], [40], **how)
    last = followed.snapshots[-1]
    assert bits(one(last, 0)) == bits(one(run.parameters, 1)) == bits(alone.parameters)
    assert bits(last) == bits(followed.parameters)
    assert bits(one(last, 1)) != bits(alone.parameters)  # the perturbed
    assert followed.costs[0, -1] == run.costs[1, -1] == alone.costs[0, -1]
    assert bits(followed.snapshots[0]) == bits(parameters.with_perturbed_copies(shown))


@pytest.mark.parametrize("how", [FULL, BATCHES], ids=["full", "batches"])
@pytest.mark.parametrize(
    "arithmetic", [gradient_descent.COMPILED, gradient_descent.REFERENCE], ids=["compiled", "reference"]
)
def test_a_snapshot_is_where_a_shorter_training_ends(
    how: dict[str, Any], arithmetic: gradient_descent.Arithmetic
) -> None:
    kept = train(sample_models(HE, SEEDS), SEEDS, MOMENTS, keep=True, arithmetic=arithmetic, **how)
    assert len(kept.snapshots) == len(MOMENTS)
    for moment, snapshot in zip(MOMENTS, kept.snapshots, strict=True):
        assert bits(snapshot) == bits(train(sample_models(HE, SEEDS), SEEDS, [moment], **how).parameters)
        assert [(W.shape, b.shape) for W, b in snapshot] == [
            ((3, n, k), (3, n, 1)) for k, n in [(2, 10), (10, 5), (5, 1)]
        ]
    record = [reference.cost(snapshot, reference.samples(X, Y), ACTIVE) for snapshot in kept.snapshots]
    assert np.stack(record, axis=1).tobytes() == kept.costs.tobytes()


def test_keeping_changes_nothing_else_and_is_left_out_unless_asked_for() -> None:
    start = sample_models(HE, SEEDS)
    before = bits(start)
    kept, plain = (train(start, SEEDS, MOMENTS, keep=keep) for keep in (True, False))
    assert bits(start) == before
    assert plain.snapshots == train(start, SEEDS, MOMENTS).snapshots == []
    assert bits(kept.parameters) == bits(plain.parameters)
    assert kept.costs.tobytes() == plain.costs.tobytes()
    arrays = [array for snapshot in [start, *kept.snapshots] for layer in snapshot for array in layer]
    assert not any(np.shares_memory(x, y) for i, x in enumerate(arrays) for y in arrays[:i])


@pytest.mark.parametrize("how", [FULL, BATCHES], ids=["full", "batches"])
def test_snapshots_of_slices_are_put_together_in_order(how: dict[str, Any]) -> None:
    """More models than slices, so that each slice has several; by threads of its own or by an executor."""
    seeds = list(range(2 * gradient_descent.SLICES * executors.n_cores() + 3))
    together = train(sample_models(HE, seeds), seeds, [0, 7], keep=True, **how)
    with ThreadPoolExecutor(1) as executor:
        by_executor = train(sample_models(HE, seeds), seeds, [0, 7], keep=True, executor=executor, **how)
    for index in (0, 1, len(seeds) // 2, len(seeds) - 1):
        alone = train(one(sample_models(HE, seeds), index), [seeds[index]], [0, 7], keep=True, **how)
        for moment in range(2):
            assert bits(one(together.snapshots[moment], index)) == bits(alone.snapshots[moment])
    for snapshot, other in zip(together.snapshots, by_executor.snapshots, strict=True):
        assert bits(snapshot) == bits(other)


def test_snapshots_of_a_model_that_diverges_have_one_nan() -> None:
    kept = gradient_descent.train(
        sample_models(HE, [3]), X, Y, ACTIVE, learning_rate=1e200, record_at=[0, 9], keep=True
    )
    values = np.concatenate([array.ravel() for layer in kept.snapshots[1] for array in layer])
    assert np.isnan(values).any()
    assert {value.tobytes() for value in values[np.isnan(values)]} == {np.float64(np.nan).tobytes()}


def follow(snapshots: Sequence[Parameters], moments: Sequence[int] = MOMENTS) -> tuple[pd.DataFrame, pd.DataFrame]:
    return trajectory.follow("he", np.array(moments), snapshots, X, Y, ACTIVE)


def test_follow_measures_the_model_at_each_moment() -> None:
    followed = train(parameters.with_perturbed_copies(sample_models(HE, [3])), [3, 3], MOMENTS, keep=True)
    rows, copies = follow(followed.snapshots)
    assert rows["initializer"].tolist() == ["he"] * 15
    assert rows["iteration"].tolist() == np.repeat(MOMENTS, 3).tolist()
    assert rows["layer"].tolist() == [1, 2, 3] * 5
    for moment, snapshot in zip(MOMENTS, followed.snapshots, strict=True):
        B = measure.measure(one(snapshot, 0), X, Y, ACTIVE)
        there = rows[rows["iteration"] == moment]
        assert set(rows.columns) == {"initializer", "iteration", "layer", *B.layers}
        for name, values in B.layers.items():
            assert there[name].to_numpy().tobytes() == values[0].tobytes()
    assert copies.columns.tolist() == ["initializer", "iteration", "cost", "cost_difference", "weight_difference"]
    assert copies["initializer"].tolist() == ["he"] * 5
    assert copies["iteration"].tolist() == MOMENTS
    model, perturbed = followed.costs
    assert copies["cost"].tolist() == model.tolist()
    assert copies["cost_difference"].tolist() == np.abs(perturbed - model).tolist()
    largest = max(abs(W).max() for W, _ in sample_models(HE, [3])[:1])
    assert copies["weight_difference"][0] == math.ldexp(1.0, math.frexp(largest)[1] - 53)  # 1 ulp of the largest


def test_differences_of_perturbed_copies() -> None:
    """Of whatever weight or bias differs most, in either direction, at its own moment."""
    snapshots = []
    for layer, part, difference in [(0, 0, 0.25), (1, 1, -0.5), (2, 0, 2.0), (2, 1, 0.0)]:
        models = [(np.concatenate([W, W]), np.concatenate([b, b])) for W, b in sample_models(HE, [3])]
        models[1][0][:, 0, 0] = [0.0, 2.0**-10]  # everywhere a small one besides
        place = models[layer][part][:, 0, 0]
        place[:] = [1.0, 1.0 + difference]
        snapshots.append(models)
    _, copies = follow(snapshots, [0, 1, 2, 3])
    assert copies["weight_difference"].tolist() == [0.25, 0.5, 2.0, 2.0**-10]
    for moment, models in enumerate(snapshots):
        model, perturbed = reference.cost(models, reference.samples(X, Y), ACTIVE)
        assert copies["cost"][moment] == model
        assert copies["cost_difference"][moment] == abs(perturbed - model)
    assert (copies["cost_difference"] > 0.0).tolist() == [True] * 4


def test_a_model_that_diverges_is_followed_to_the_end() -> None:
    """Through numbers whose squares are beyond the largest, inf and nan, without a warning."""
    copies = parameters.with_perturbed_copies(sample_models(HE, [3]))
    trained = gradient_descent.train(copies, X, Y, ACTIVE, learning_rate=1e200, record_at=[0, 1, 9], keep=True)
    _, differences = follow(trained.snapshots, [0, 1, 9])
    assert np.isfinite(differences.iloc[0, 2:].astype(float)).all()
    assert differences["weight_difference"][1] > 1e150
    assert differences.iloc[2, 2:].isna().all()


def table(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    columns = [
        "initializer",
        "iteration",
        "layer",
        "units",
        "unique_incoming_outgoing",
        "effective_rank",
        "full_rank",
        "saturated",
        "dead",
    ]
    return pd.DataFrame(rows, columns=columns)


def test_shares_by_hand() -> None:
    rows = table(
        [
            ("zeros", 0, 1, 10, 1, 0.0, 2, 0.0, 10),
            ("zeros", 0, 2, 6, 1, 0.0, 6, 0.0, 6),
            ("zeros", 0, 3, 1, 1, 0.0, 1, 0.25, 0),
            ("he", 0, 1, 10, 10, 1.5, 2, 0.75, 1),
            ("he", 0, 2, 6, 6, 4.5, 6, 0.5, 3),
            ("he", 0, 3, 1, 1, 1.0, 1, 0.125, 0),
            ("he", 20, 1, 10, 9, 1.0, 2, 0.75, 2),
            ("he", 20, 2, 6, 3, 3.0, 6, 0.5, 0),
            ("he", 20, 3, 1, 1, 1.0, 1, 1.0, 0),
        ]
    )
    expected = [
        ("zeros", 0, 2 / 16, 0.0, 0.25, 1.0),
        ("he", 0, 1.0, 6.0 / 8, 0.125, 4 / 16),
        ("he", 20, 12 / 16, 4.0 / 8, 1.0, 2 / 16),
    ]
    columns = ["initializer", "iteration", "unique_units", "rank", "saturated", "dead"]
    pd.testing.assert_frame_equal(trajectory.shares(rows), pd.DataFrame(expected, columns=columns))


def test_shares_without_hidden_layers() -> None:
    found = trajectory.shares(table([("he", 0, 1, 1, 1, 1.0, 1, 0.5, 0), ("he", 9, 1, 1, 1, 1.0, 1, 0.75, 0)]))
    assert found["saturated"].tolist() == [0.5, 0.75]
    assert found[["unique_units", "rank", "dead"]].isna().all(axis=None)


def test_shares_of_a_model_that_diverged_are_not_defined() -> None:
    """A weight that is not finite has no rank; its units are neither dead nor distinct, its outputs not saturated."""
    first = [("he", 0, 1, 4, 4, 1.5, 2, 0.75, 1), ("he", 0, 2, 1, 1, 1.0, 1, 0.5, 0)]
    for gone in (1, 2):  # in the hidden layer, in the last one
        rows = table([*first, *(("he", 9, l, 4, 4, np.nan if l == gone else 1.0, 2, 0.0, 4) for l in (1, 2))])
        found = trajectory.shares(rows)
        assert found.iloc[0, 2:].tolist() == [1.0, 0.75, 0.5, 0.25]
        assert found.iloc[1, 2:].isna().all()


def rank_shares(snapshots: Sequence[Parameters]) -> list[float]:
    """exp(entropy) of the singular values of both hidden layers, over the 2 + 5 that are possible (Roy & Vetterli 2007)."""
    shares = []
    for snapshot in snapshots:
        total = 0.0
        for W, _ in snapshot[:2]:
            s = np.linalg.svd(W[0], compute_uv=False)
            p = s[s > 1e-12] / s.sum()
            total += math.exp(-sum(p * np.log(p)))
        shares.append(total / 7)
    return shares


def test_shares_of_what_is_followed() -> None:
    """Units that are one stay one, and the others tell themselves apart; the share counts them over hidden layers."""
    models = sample_models(HE, [3])
    for W, b in models[:2]:  # the first two units of both hidden layers are one
        W[:, 1], b[:, 1] = W[:, 0], b[:, 0]
    for W, _ in models[1:]:
        W[:, :, 1] = W[:, :, 0]
    followed = train(parameters.with_perturbed_copies(models), [3, 3], MOMENTS, keep=True)
    found = trajectory.shares(follow(followed.snapshots)[0])
    assert found["iteration"].tolist() == MOMENTS
    assert found["unique_units"].tolist() == [13 / 15] * 5
    ranks = rank_shares(followed.snapshots)
    np.testing.assert_allclose(found["rank"], ranks, rtol=1e-5)  # of six digits
