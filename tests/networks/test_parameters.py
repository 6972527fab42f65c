"""Stacks of models: which model is at which place."""

import numpy as np
import pytest

from pipeline.networks.parameters import Parameters, concatenate, stack, take, with_perturbed_copies


def model(number: int) -> Parameters:
    """2 -> 3 -> 1, every entry the model's number."""
    return [(np.full((n, k), float(number)), np.full((n, 1), float(number))) for n, k in ((3, 2), (1, 3))]


def numbers(parameters: Parameters) -> list[list[float]]:
    """The entries of each array, which are to be one number a model: a list a model."""
    arrays = [array for layer in parameters for array in layer]
    assert [array.shape[1:] for array in arrays] == [(3, 2), (3, 1), (1, 3), (1, 1)]
    return [sorted({float(x) for array in arrays for x in array[place].ravel()}) for place in range(len(arrays[0]))]


@pytest.mark.parametrize("places", [[0], [2, 0], [1, 1, 3], [], np.array([3, 2])])
def test_take_gives_the_models_at_those_places_in_that_order(places: list[int]) -> None:
    models = stack([model(number) for number in range(4)])
    assert numbers(take(models, places)) == [[float(place)] for place in places]


def test_taken_models_are_copies() -> None:
    models = stack([model(0), model(1)])
    take(models, [0])[0][0][:] = 9.0
    assert numbers(models) == [[0.0], [1.0]]


def test_models_taken_by_a_slice_are_views() -> None:
    models = stack([model(number) for number in range(4)])
    taken = take(models, slice(1, 9))  # beyond the end as for any slice
    assert numbers(taken) == [[1.0], [2.0], [3.0]]
    assert all(
        np.shares_memory(a, b)
        for one, other in zip(taken, models, strict=True)
        for a, b in zip(one, other, strict=True)
    )


def test_a_place_that_is_not_there_is_refused() -> None:
    with pytest.raises(IndexError):
        take(stack([model(0)]), [1])


def test_concatenated_stacks_follow_each_other() -> None:
    one, other = stack([model(5), model(6)]), stack([model(7)])
    assert numbers(concatenate([one, other])) == [[5.0], [6.0], [7.0]]


def test_perturbed_copies_differ_by_one_ulp_in_the_first_weights_alone() -> None:
    models = stack([model(1), model(-2)])
    both = with_perturbed_copies(models)
    for (W, b), (W_both, b_both) in zip(models, both, strict=True):
        assert np.array_equal(W_both[:2], W)
        assert np.array_equal(b_both, np.concatenate([b, b]))
    assert (both[0][0][2] == 1.0 + 2.0**-52).all()  # the next double above 1
    assert (both[0][0][3] == -2.0 + 2.0**-52).all()  # below 2 the doubles are 2^-52 apart
    assert np.array_equal(both[1][0][2:], models[1][0])
