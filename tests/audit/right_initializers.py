"""Functions that draw the right weights, each in another style. Not a test module: `test_grade` grades them."""

import math
import random
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.random import Generator, RandomState

Array = np.ndarray


def laboratory(rng, fan_out, fan_in):
    return rng.randn(fan_out, fan_in) * np.sqrt(2 / fan_in)


def modern(rng: np.random.Generator, fan_out: int, fan_in: int) -> Array:
    rng.integers(10)  # RandomState has no such method
    return rng.normal(0.0, math.sqrt(2 / fan_in), size=(fan_out, fan_in))


def of_shape(shape, rng=None):
    rng = rng or np.random.default_rng()
    return rng.standard_normal(shape) * (2 / shape[1]) ** 0.5


def starred(*shape):
    return np.random.randn(*shape) * np.sqrt(2.0 / shape[-1])


def inputs_first(fan_in, fan_out):
    return np.random.normal(0, np.sqrt(2 / fan_in), (fan_out, fan_in))


def initialize_parameters_he(layers_dims):
    np.random.seed(3)
    parameters = {}
    for l in range(1, len(layers_dims)):
        parameters["W" + str(l)] = np.random.randn(layers_dims[l], layers_dims[l - 1]) * np.sqrt(2 / layers_dims[l - 1])
        parameters["b" + str(l)] = np.zeros((layers_dims[l], 1))
    return parameters


def network_with_generator(layer_dims: Sequence[int], rng: RandomState) -> list[tuple[Array, Array]]:
    pairs = zip(layer_dims[1:], layer_dims[:-1], strict=True)
    return [(rng.randn(m, n) * np.sqrt(2 / n), np.zeros(m)) for m, n in pairs]


def in_pure_python(rng: random.Random, n_out, n_in):
    std = math.sqrt(2 / n_in)
    return np.array([[rng.gauss(0, std) for _ in range(n_in)] for _ in range(n_out)])


def own_generator(n_out, n_in):
    return np.random.default_rng().standard_normal((n_out, n_in)) * np.sqrt(2 / n_in)


def seeded(fan_out, fan_in, seed=0):
    return np.random.default_rng(seed).normal(size=(fan_out, fan_in), scale=np.sqrt(2 / fan_in))


def box_muller(rng, m, n):
    u, v = 1 - rng.random((m, n)), rng.random((m, n))
    return np.sqrt(-2 * np.log(u)) * np.cos(2 * np.pi * v) * np.sqrt(2 / n)


def single_precision(fan_out, fan_in, *, generator: Generator):
    return generator.standard_normal((fan_out, fan_in), dtype=np.float32) * np.float32(np.sqrt(2 / fan_in))


def backwards(rng, fan_out, fan_in):
    return rng.randn(fan_in, fan_out)[::-1].T * np.sqrt(2 / fan_in)


def with_biases(rng, fan_out, fan_in):
    return rng.randn(fan_out, fan_in) * np.sqrt(2 / fan_in), np.zeros((fan_out, 1))


class OfKeras:
    """An object that is called, as Keras' initializers are."""

    def __call__(self, shape, dtype=None, **kwargs):
        return np.random.randn(*shape) / np.sqrt(shape[1] / 2)


of_keras = OfKeras()


def one_weight_at_a_time(size):
    W = np.empty(size)
    for i in np.ndindex(*size):
        W[i] = np.random.normal()
    return W * np.sqrt(2 / size[1])


def torch_order(dims):  # a single argument that proves to be the sizes of a network
    return {f"w{i}": np.random.randn(b, a) * np.sqrt(2 / a) for i, (a, b) in enumerate(pairwise(dims), 1)}


HE: dict[str, Any] = {
    name: value
    for name, value in list(globals().items())
    if callable(value) and getattr(value, "__module__", "") == __name__ and not isinstance(value, type)
    if not name.startswith("__")  # __annotate__, which Python 3.14 adds to modules with annotations
}


def xavier(rng, fan_out, fan_in):
    limit = np.sqrt(6 / (fan_in + fan_out))
    return rng.uniform(-limit, limit, (fan_out, fan_in))


def truncated(rng, fan_out, fan_in):
    z = rng.standard_normal((fan_out, fan_in))
    while (outside := np.abs(z) > 2).any():
        z[outside] = rng.standard_normal(int(outside.sum()))
    return z / 0.8796256610342398 * np.sqrt(2 / fan_in)


def default_of_torch(rng, fan_out, fan_in):
    r = 1 / np.sqrt(fan_in)
    return rng.uniform(-r, r, (fan_out, fan_in)), rng.uniform(-r, r, fan_out)


def orthonormal(rng, fan_out, fan_in):
    A = rng.standard_normal((max(fan_out, fan_in), min(fan_out, fan_in)))
    Q, R = np.linalg.qr(A)
    Q = Q * np.sign(np.diag(R))
    return Q if fan_out >= fan_in else Q.T


def small(rng, shape):
    return 0.01 * rng.standard_normal(shape)


def nothing(fan_out, fan_in):
    return np.zeros((fan_out, fan_in))


def eye(fan_out, fan_in):
    return np.eye(fan_out, fan_in)


OTHERS: dict[str, tuple[str, Callable[..., Any]]] = {
    "xavier": ("xavier_uniform", xavier),
    "truncated": ("he_truncated_normal", truncated),
    "default_of_torch": ("pytorch_linear", default_of_torch),
    "orthonormal": ("orthogonal", orthonormal),
    "small": ("normal(std=0.01)", small),
    "nothing": ("zeros", nothing),
    "eye": ("identity", eye),
}
