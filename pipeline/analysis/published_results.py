"""Published results, and which models of an experiment they can be compared with."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline.config import replications
from pipeline.config.replications import Experiment
from pipeline.config.schema import Params
from pipeline.initializers.networkwise import NetworkSpec
from pipeline.initializers.recipes import sample_parameters
from pipeline.networks.parameters import Parameters
from pipeline.numerics.sums import Array
from pipeline.storage import atomic_files, reports

ACCURACIES = ("initializer", "train_accuracy", "test_accuracy")
COSTS = ("initializer", "iteration", "publications", "cost_min", "cost_median", "cost_max")


class Published(NamedTuple):
    """Published results under the names that the initializers have in the experiment; no rows where there are none."""

    accuracies: pd.DataFrame  # columns ACCURACIES
    costs: pd.DataFrame  # columns COSTS


def published(P: Params, X: Array) -> Published:
    """The published results of the models of `P` that have the highlighted seed.

    A result is included only if data, network, training and seed are those of the publication and the initial
    parameters are equal in every element, whatever the initializer is called and however its recipe is written. `X` is
    the training inputs, which some recipes look at. Without the folder of published results there are none.
    """
    if not reports.PUBLISHED.is_dir():
        return Published(pd.DataFrame(columns=list(ACCURACIES)), pd.DataFrame(columns=list(COSTS)))
    accuracies, costs = (
        atomic_files.read_table(reports.PUBLISHED / f"{name}.csv") for name in ("accuracies", "cost_curves")
    )
    Q = replications.load(reports.PUBLISHED / "params.yaml", Experiment)
    names = same_models(P, Q, X) if same_settings(P, Q) else []
    return Published(_renamed(accuracies, names), _renamed(costs, names))


def same_settings(P: Params, Q: Experiment) -> bool:
    """Whether P's models of the highlighted seed and Q's differ in nothing but their initial parameters.

    How often costs are recorded does not matter, nor does a name for what has the same effect: one activation or a list
    of the same for every layer, a full batch or one of at least all samples.
    """
    return _settings(P) == _settings(Q) and P.comparison.highlight_seed in Q.seeds


def _settings(P: Params | Experiment) -> tuple[object, ...]:
    batch = min(P.training.samples_per_step or P.data.n_train, P.data.n_train)
    how = P.training.iterations, P.training.learning_rate, P.training.momentum, batch
    return P.data, P.network.hidden_sizes, P.network.activation_names, how


def same_models(P: Params, Q: Experiment, X: Array) -> list[tuple[str, str]]:
    """Pairs of an initializer of P and one of Q that give equal initial parameters for the highlighted seed of P."""
    known = NetworkSpec(P.layers_dims, P.network.activations, X)
    seed = P.comparison.highlight_seed
    ours, theirs = (
        {name: sample_parameters(recipe, seed, known) for name, recipe in recipes.items()}
        for recipes in (P.initializers, Q.initializers)
    )
    return [(name, other) for name, one in ours.items() for other, printed in theirs.items() if _equal(one, printed)]


def _equal(one: Parameters, other: Parameters) -> bool:
    pairs = [pair for layers in zip(one, other, strict=True) for pair in zip(*layers, strict=True)]
    return all(np.array_equal(a, b) for a, b in pairs)


def _renamed(table: pd.DataFrame, names: list[tuple[str, str]]) -> pd.DataFrame:
    rows = [table[table["initializer"] == other].assign(initializer=name) for name, other in names]
    return pd.concat(rows, ignore_index=True) if rows else table.iloc[:0]
