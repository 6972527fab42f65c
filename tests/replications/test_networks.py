"""Networks of replications: their laws, and the order of results."""

import time

import numpy as np

from pipeline.initializers.networkwise import NetworkSpec
from pipeline.initializers.recipes import Recipe, sample_parameters
from pipeline.networks.activations import ACTIVATIONS
from pipeline.replications.networks import measured, measured_by_seed, network, small_networks, unit_columns

SPEC = NetworkSpec([30, 400, 50], [ACTIVATIONS["tanh"]], np.ones((30, 1)))


def test_a_network_has_the_weights_of_its_seed_and_normal_biases() -> None:
    recipe = Recipe("lecun_normal", gain=2.0)
    plain, biased = network(recipe, 7, SPEC), network(recipe, 7, SPEC, 0.3)
    for l, (W, b) in enumerate(sample_parameters(recipe, 7, SPEC)):
        assert W.tobytes() == plain[l][0].tobytes() == biased[l][0].tobytes()
        assert b.tobytes() == plain[l][1].tobytes()
    b = np.concatenate([b.ravel() for _, b in biased])
    assert abs(b.std() / 0.3 - 1.0) < 5 / np.sqrt(2 * b.size)  # standard errors
    assert abs(b.mean()) < 5 * 0.3 / np.sqrt(b.size)
    assert abs(np.corrcoef(b[:400], biased[0][0].ravel()[:400])[0, 1]) < 5 / 20  # not the draws of the weights


def test_small_networks_have_the_recipes_law_in_each_network() -> None:
    models = small_networks(Recipe("he_normal", gain=3.0), np.random.RandomState(0), 500, [8, 5, 4])
    assert [W.shape for W, _ in models] == [(500, 5, 8), (500, 4, 5)]
    for W, b in models:
        assert not b.any()
        variance = 9.0 * 2.0 / W.shape[2]
        assert abs(W.var() / variance - 1.0) < 5 * np.sqrt(2 / W.size)
    first, second = models[0][0][:250].ravel(), models[0][0][250:].ravel()
    assert abs(np.corrcoef(first, second)[0, 1]) < 5 / np.sqrt(first.size)


def test_results_come_in_the_order_of_the_items() -> None:
    done: list[int] = []

    def slow_at_first(item: int) -> int:
        time.sleep(0.05 if item == 0 else 0.0)
        return item * item

    assert measured(slow_at_first, [0, 1, 2, 3], done.append) == [0, 1, 4, 9]
    assert done == [1, 1, 1, 1]


def test_columns_have_mean_square_1() -> None:
    X = unit_columns(np.random.RandomState(0), 300, 5)
    np.testing.assert_allclose((X * X).mean(axis=0), 1.0, rtol=1e-14)


def test_results_are_grouped_by_item_in_the_order_of_seeds() -> None:
    """Also if later ones are finished first."""

    def work(name: str, seed: int) -> str:
        time.sleep(0.01 if seed == 5 else 0.0)
        return f"{name}{seed}"

    done: list[int] = []
    found = measured_by_seed(work, ["b", "a"], [5, 3, 4], done.append)
    assert found == {"b": ["b5", "b3", "b4"], "a": ["a5", "a3", "a4"]}
    assert list(found) == ["b", "a"]
    assert done == [1] * 6
