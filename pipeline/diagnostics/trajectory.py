"""What becomes of symmetry, saturation and a last bit while a model is trained, from its snapshots. Pure."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.diagnostics import measure
from pipeline.diagnostics.signals import weight_change
from pipeline.networks import reference
from pipeline.networks.activations import Activation
from pipeline.networks.parameters import Parameters, concatenate, take
from pipeline.numerics.sums import Array


def follow(
    name: str,
    iterations: NDArray[np.int64],
    snapshots: Sequence[Parameters],
    X: Array,
    Y: Array,
    activations: Sequence[Activation],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two tables, from stacks of a model and its twin at each of `iterations`.

    A row an iteration and layer: all that `births` measures of a layer of the model. And a row an iteration: its cost,
    the |difference| of the twin's, and the largest |difference| of a weight or bias.
    """
    models, others = (concatenate([take(stack, [i]) for stack in snapshots]) for i in range(2))
    B = measure.measure(models, X, Y, activations)
    n_layers = len(models)
    measured = {
        "initializer": name,
        "iteration": np.repeat(iterations, n_layers),
        "layer": np.tile(np.arange(1, n_layers + 1), len(iterations)),
    }
    with np.errstate(over="ignore", invalid="ignore"):
        cost = reference.cost(others, reference.samples(X, Y), activations)
        twins = {
            "initializer": name,
            "iteration": iterations,
            "cost": B.models["cost"],
            "cost_difference": np.abs(cost - B.models["cost"]),
            "weight_difference": weight_change(models, others),
        }
    columns = {column: values.ravel() for column, values in B.layers.items()}
    return pd.DataFrame(measured | columns), pd.DataFrame(twins)


def shares(rows: pd.DataFrame) -> pd.DataFrame:
    """A row an initializer and iteration: shares of what is possible, over the hidden layers of what `follow` gives.

    distinct: distinct units. rank: effective rank of the weights over full rank. dead: units. saturated: outputs.
    All are nan where a weight is not finite; the first three without hidden layers.
    """
    made = []
    for (name, iteration), group in rows.groupby(["initializer", "iteration"], sort=False):
        hidden, last = group.iloc[:-1], group.iloc[-1]
        units = hidden["units"].sum()
        finite = bool(group["effective_rank"].notna().all())
        defined = finite and units > 0
        made.append(
            {
                "initializer": name,
                "iteration": iteration,
                "distinct": hidden["told_apart"].sum() / units if defined else np.nan,
                "rank": math.fsum(hidden["effective_rank"]) / hidden["full_rank"].sum() if defined else np.nan,
                "saturated": last["saturated"] if finite else np.nan,
                "dead": hidden["dead"].sum() / units if defined else np.nan,
            }
        )
    return pd.DataFrame(made)
