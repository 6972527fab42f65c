"""Functions with a slip each. `WRONG` has what they should draw, the cause and words of the reason.

Not a test module: `test_grade` grades them.
"""

from typing import NamedTuple

import numpy as np


class Wrong(NamedTuple):
    """What a grade must say."""

    expect: str
    cause: str
    words: str


WRONG: dict[str, Wrong] = {}


def wrong(cause, words, expect="he_normal"):
    def add(function):
        WRONG[function.__name__] = Wrong(expect, cause, words)
        return function

    return add


@wrong("wrong_scale", "2/fan_in where sqrt(2/fan_in) was expected: the square root is missing")
def no_root(rng, fan_out, fan_in):
    return rng.randn(fan_out, fan_in) * (2 / fan_in)


@wrong("wrong_scale", "sqrt(2/fan_out) where sqrt(2/fan_in) was expected: it uses fan_out instead of fan_in")
def other_fan(rng, fan_out, fan_in):
    return rng.randn(fan_out, fan_in) * np.sqrt(2 / fan_out)


@wrong("wrong_scale", "sqrt(1/fan_in) where sqrt(2/fan_in) was expected: the 2 is missing")
def no_two(rng, fan_out, fan_in):
    return rng.randn(fan_out, fan_in) * np.sqrt(1 / fan_in)


@wrong("wrong_scale", "sqrt(2/(fan_in + fan_out)) where sqrt(2/fan_in) was expected")
def sum_of_fans(rng, fan_out, fan_in):
    return rng.randn(fan_out, fan_in) * np.sqrt(2 / (fan_in + fan_out))


@wrong("wrong_scale", "sqrt(2)/fan_in where sqrt(2/fan_in) was expected: the square root does not include fan_in")
def half_root(rng, fan_out, fan_in):
    return rng.randn(fan_out, fan_in) * np.sqrt(2) / fan_in


@wrong("wrong_scale", "2/sqrt(fan_in) where sqrt(2/fan_in) was expected: the square root does not include 2")
def root_of_fan(rng, fan_out, fan_in):
    return rng.randn(fan_out, fan_in) * 2 / np.sqrt(fan_in)


@wrong("wrong_scale", "sqrt(2*fan_in) where sqrt(2/fan_in) was expected: it is multiplied by fan_in instead of divided")
def multiplied(rng, fan_out, fan_in):
    return rng.randn(fan_out, fan_in) * np.sqrt(2 * fan_in)


@wrong("wrong_scale", "1 where sqrt(2/fan_in) was expected: the draws are not scaled")
def unscaled(rng, fan_out, fan_in):
    return rng.randn(fan_out, fan_in)


@wrong("wrong_scale", "0.01 for layers of every shape")
def hundredth(rng, fan_out, fan_in):
    return rng.randn(fan_out, fan_in) * 0.01


@wrong("wrong_scale", "1.50 times the expected sqrt(2/fan_in)")
def larger(rng, fan_out, fan_in):
    return rng.randn(fan_out, fan_in) * np.sqrt(2 / fan_in) * 1.5


@wrong("wrong_scale", "sqrt(2/fan_in)/sqrt(3) where sqrt(2/fan_in) was expected: U(-a, a) has", "he_uniform")
def limit_is_std(rng, fan_out, fan_in):
    a = np.sqrt(2 / fan_in)
    return rng.uniform(-a, a, (fan_out, fan_in))


@wrong("wrong_scale", "cutting at 2 standard deviations", "he_truncated_normal")
def uncorrected(rng, fan_out, fan_in):
    z = rng.standard_normal((fan_out, fan_in))
    while (outside := np.abs(z) > 2).any():
        z[outside] = rng.standard_normal(int(outside.sum()))
    return z * np.sqrt(2 / fan_in)


@wrong("shifted_mean", "no weight is negative: draws from [0, 1), as by np.random.rand, are not centred")
def rand_for_randn(rng, fan_out, fan_in):
    return rng.rand(fan_out, fan_in) * np.sqrt(2 / fan_in)


@wrong("shifted_mean", "no weight is negative: absolute values?")
def positive(rng, fan_out, fan_in):
    return np.abs(rng.randn(fan_out, fan_in)) * np.sqrt(2 / fan_in)


@wrong("wrong_family", "the draws are uniform, where normal ones were expected")
def uniform_for_normal(rng, fan_out, fan_in):
    a = np.sqrt(6 / fan_in)
    return rng.uniform(-a, a, (fan_out, fan_in))


@wrong("wrong_family", "the weights take only 2 different values")
def signs(rng, fan_out, fan_in):
    return rng.choice([-1.0, 1.0], size=(fan_out, fan_in)) * np.sqrt(2 / fan_in)


@wrong("ignores_generator", "the same weights for every generator")
def own_seed(rng, fan_out, fan_in):
    return np.random.RandomState(3).randn(fan_out, fan_in) * np.sqrt(2 / fan_in)


@wrong("ignores_generator", "the same weights for every seed")
def fixed_seed(fan_out, fan_in, seed):
    return np.random.RandomState(3).randn(fan_out, fan_in) * np.sqrt(2 / fan_in)


@wrong("global_state", "global generator")
def global_generator(rng, fan_out, fan_in):
    return np.random.randn(fan_out, fan_in) * np.sqrt(2 / fan_in)


@wrong("not_reproducible", "other weights for the same generator")
def unseeded(rng, fan_out, fan_in):
    return np.random.default_rng().standard_normal((fan_out, fan_in)) * np.sqrt(2 / fan_in)


@wrong("same_draws", "the same weights at every call")
def seeded_inside(fan_out, fan_in):
    np.random.seed(1)
    return np.random.randn(fan_out, fan_in) * np.sqrt(2 / fan_in)


@wrong("same_draws", "the layers 1 and 2 of a network hold the same draws")
def seeded_in_the_loop(layers_dims):
    parameters = {}
    for l in range(1, len(layers_dims)):
        np.random.seed(3)
        parameters[f"W{l}"] = np.random.randn(layers_dims[l], layers_dims[l - 1]) * np.sqrt(2 / layers_dims[l - 1])
    return parameters


@wrong("same_draws", "two layers drawn in succession hold the same draws")
def copied_generator(rng, fan_out, fan_in):
    copy = np.random.RandomState(rng.get_state()[1][:8])
    return copy.randn(fan_out, fan_in) * np.sqrt(2 / fan_in)


@wrong("transposed", "the transpose")
def inputs_by_outputs(rng, fan_out, fan_in):
    return rng.randn(fan_in, fan_out) * np.sqrt(2 / fan_in)


@wrong("wrong_shape", "of shape (9216,)")
def flat(rng, fan_out, fan_in):
    return rng.randn(fan_out * fan_in) * np.sqrt(2 / fan_in)


@wrong("wrong_shape", "the return statement")
def no_return(rng, fan_out, fan_in):
    W = rng.randn(fan_out, fan_in) * np.sqrt(2 / fan_in)  # noqa: F841


@wrong("wrong_shape", "W2 is missing")
def one_layer_less(layers_dims):
    return {"W1": np.random.randn(layers_dims[1], layers_dims[0]) * np.sqrt(2 / layers_dims[0])}


@wrong("wrong_dtype", "an array of int64")
def whole_numbers(rng, fan_out, fan_in):
    return rng.randint(-1, 2, (fan_out, fan_in))


@wrong("wrong_dtype", "a list for W")
def nested_lists(rng, fan_out, fan_in):
    return (rng.randn(fan_out, fan_in) * np.sqrt(2 / fan_in)).tolist()


@wrong("mutates", "changes its argument")
def popped(layers_dims):
    n, parameters = layers_dims.pop(0), {}
    for l, m in enumerate(list(layers_dims), 1):
        parameters[f"W{l}"] = np.random.randn(m, n) * np.sqrt(2 / n)
        n = m
    return parameters


@wrong("raises", "NameError: name 'sqrt' is not defined (line ")
def not_imported(rng, fan_out, fan_in):
    return rng.randn(fan_out, fan_in) * sqrt(2 / fan_in)  # noqa: F821


@wrong("zeros", "weights are 0")
def whole_division(rng, fan_out, fan_in):
    return rng.randn(fan_out, fan_in) * np.sqrt(2 // fan_in)


@wrong("zeros", "weights are 0")
def zeros(fan_out, fan_in):
    return np.zeros((fan_out, fan_in))


@wrong("constant", "weights are 0.5")
def half(fan_out, fan_in):
    return np.full((fan_out, fan_in), 0.5)


@wrong("non_finite", "are NaN or infinite")
def root_of_negative(rng, fan_out, fan_in):
    with np.errstate(all="ignore"):
        return np.sqrt(rng.randn(fan_out, fan_in)) * np.sqrt(2 / fan_in)


@wrong("equal_units", "")
def one_row(rng, fan_out, fan_in):
    return np.tile(rng.randn(1, fan_in) * np.sqrt(2 / fan_in), (fan_out, 1))


@wrong("equal_units", "")
def mirrored(rng, fan_out, fan_in):
    half = rng.randn(fan_out // 2, fan_in) * np.sqrt(2 / fan_in)
    return np.concatenate([half, -half])


@wrong("bias", "")
def random_biases(rng, fan_out, fan_in):
    return rng.randn(fan_out, fan_in) * np.sqrt(2 / fan_in), rng.randn(fan_out, 1)


@wrong("wrong_law", "", "orthogonal")
def normal_for_orthogonal(rng, fan_out, fan_in):
    return rng.randn(fan_out, fan_in) / np.sqrt(fan_in)
