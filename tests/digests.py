"""A digest of everything that must have the same bits on every processor, for test_any_processor.py."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from pipeline.analysis.estimators import mean_interval
from pipeline.datasets import DATASETS, circles
from pipeline.initializers import fan_scaling, fixed_scale
from pipeline.initializers.layerwise import RECIPES
from pipeline.initializers.networkwise import NETWORK_RECIPES, NetworkSpec
from pipeline.networks import kernel, reference
from pipeline.networks.activations import ACTIVATIONS
from pipeline.networks.losses import Loss
from pipeline.numerics import elementary, matrices, random, tails
from pipeline.theory import mean_field
from pipeline.theory.correlation import correlation_map
from pipeline.training import gradient_descent
from tests import small_papers
from tests.initializer_cases import first_settings
from tests.sampling import initialize_parameters, sample_models


def digest(arrays: Iterable[Any]) -> str:
    whole = hashlib.sha256()
    for array in arrays:
        whole.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
    return whole.hexdigest()[:16]


def flat(parameters: list[tuple[Any, Any]]) -> list[Any]:
    return [array for layer in parameters for array in layer]


def digest_of_recipe(name: str) -> str:
    """Of five models with the settings of the recipe's first case."""
    if name in RECIPES:
        init = RECIPES[name].factory(**first_settings(name))
        return digest(a for seed in range(5) for a in flat(initialize_parameters(init, seed, [30, 41, 20])))
    network = NETWORK_RECIPES[name].factory(**first_settings(name))
    spec = NetworkSpec([2, 41, 20, 1], [ACTIVATIONS["relu"]] * 2, circles(301, 0.05, 1)[0])
    return digest(a for seed in range(5) for a in flat(network(np.random.RandomState(seed), spec)))


def missing(found: Mapping[str, str], known: Mapping[str, str]) -> str:
    """The lines to paste for digests that are not known or empty: of an activation the pair that activation_cases has."""
    new = {name: value for name, value in found.items() if not known.get(name)}
    lines = []
    for name in ACTIVATIONS:
        keys = [f"{name} std {std}" for std in (10.0, 1.0)]
        if any(key in new for key in keys):
            first, second = (new.pop(key, found.get(key)) for key in keys)
            lines.append(f'"{name}": ("{first}", "{second}")')
    return "\n".join([*lines, *(f'"{name}": "{value}"' for name, value in new.items())])


def cases() -> Iterator[tuple[str, str]]:
    rng = np.random.RandomState(0)
    wide = np.ldexp(rng.random_sample(3000), rng.randint(-1074, 1024, 3000))  # np.geomspace has bits of its own
    x = np.concatenate([rng.random_sample(3000) * 80 - 40, wide, -wide, [np.inf, -np.inf, 0.0, -0.0]])
    for name in ("exp", "expm1", "softplus", "sigmoid", "tanh", "normal_pdf", "normal_cdf"):
        yield name, digest([getattr(elementary, name)(x)])
    yield "log", digest([elementary.log(wide[wide > 1e-300])])
    shapes = [(0.5, 1.7), (7.3, 2.0), (99.0, 130.0), (3e3, 2.9e3), (2e4, 2.1e4), (1e7, 1.001e7)]
    yield "gamma_tails", digest(tails.gamma_tails(*case) for case in shapes)
    shapes = [(0.3, 0.5, 7.5), (0.9, 3.0, 30.0), (1e-3, 0.5, 1e4), (0.51, 1e5, 1e5), (1e-5, 20.0, 1e6)]
    yield "beta_tail", digest([[tails.beta_tail(*case) for case in shapes]])
    points = (0.3, 0.8, 1.2, 9.0)
    yield "kolmogorov_tail", digest([[tails.kolmogorov_tail(t) for t in points]])
    yield "log_gamma", digest([[tails.log_gamma(t) for t in (*points, 30.0, 1e6)]])
    for name, draw in DATASETS.items():
        sets = [draw.split(301, 100, 0.05, seed, seed + 100) for seed in range(5)]
        yield name, digest(array for both in sets for part in both for array in part)
    for name in (*RECIPES, *NETWORK_RECIPES):
        yield name, digest_of_recipe(name)
    X, Y = circles(301, 0.05, 1)
    for name, activation in ACTIVATIONS.items():
        for std, steps in ((10.0, 3000), (1.0, 300)):
            init = fixed_scale.normal(std=std)
            initial = sample_models(init, range(4), [2, 10, 5, 1])
            trained = gradient_descent.train(
                initial, X, Y, [activation] * 2, learning_rate=0.01, record_at=[0, 7, steps]
            )
            yield f"{name} std {std}", digest([*flat(trained.parameters), trained.costs])
    S = reference.samples(X, Y)
    initial = sample_models(fan_scaling.he_normal(), [0], [2, 33, 17, 5, 1])
    activations = [ACTIVATIONS["relu"], ACTIVATIONS["tanh"], ACTIVATIONS["relu"]]
    for arithmetic in (reference, kernel):
        parameters = arithmetic.descend(
            reference.at_rest(initial), [S], activations, reference.UpdateRule(0.5), 100
        ).parameters
        yield f"{arithmetic.__name__}", digest([*flat(parameters), arithmetic.predict(parameters, X, activations)])
    initial = sample_models(fan_scaling.he_normal(), [0], [2, 33, 17, 3])
    S = reference.samples(X, np.concatenate([X, X[:1] * X[1:]]))
    activations, rule = [ACTIVATIONS["tanh"], ACTIVATIONS["linear"]], reference.UpdateRule(0.1)
    for arithmetic in (reference, kernel):
        parameters = arithmetic.descend(
            reference.at_rest(initial), [S], activations, rule, 100, Loss.SQUARED
        ).parameters
        costs = arithmetic.cost(parameters, S, activations, Loss.SQUARED)
        yield f"squared loss of {arithmetic.__name__}", digest([*flat(parameters), costs])
    for name in ("relu", "tanh", "gelu", "hardtanh", "relu6", "hard_sigmoid"):
        activation = ACTIVATIONS[name]
        values = [*mean_field.moments(activation, 1.7), *mean_field.fixed_points(1.2, 0.3, activation)]
        pairs = [correlation_map(c, 1.7, 1.2, 0.3, activation) for c in (-1.0, -0.99, 0.3, 1.0)]
        yield f"theory of {name}", digest([values, pairs])
    yield "wide orthonormal", digest([matrices.orthonormal(np.random.RandomState(0), 66, 90)])
    yield "many normal draws", digest([random.normal(np.random.RandomState(0), (20_001,))])
    yield "mean_interval", digest(mean_interval(np.arange(n) / 50, 0.95) for n in (2, 10, 50))
    for name in small_papers.SMALL:
        yield f"replications/{name}", small_papers.digest(small_papers.measured(name))
