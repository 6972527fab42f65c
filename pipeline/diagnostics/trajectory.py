"""Symmetry, saturation and the effect of a perturbation during the training of a model, from its snapshots."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.diagnostics import measure
from pipeline.diagnostics.signals import weight_change
from pipeline.networks import kernel, reference
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
    """Two tables of the model of the initializer `name`, from its snapshots at `iterations`.

    Each snapshot is a stack of two models: the model and its copy that was perturbed by 1 ulp before training. The
    first table has one row per iteration and layer, with the columns of `measure` for layers. The second has one row
    per iteration: the cost of the model in nats, the |difference| from that of the copy, and the largest |difference|
    of a weight or bias.
    """
    models, perturbed = (concatenate([take(stack, [i]) for stack in snapshots]) for i in range(2))
    layers = measure.measure_layers(models, X, Y, activations)
    n_layers = len(models)
    measured = {
        "initializer": name,
        "iteration": np.repeat(iterations, n_layers),
        "layer": np.tile(np.arange(1, n_layers + 1), len(iterations)),
    }
    with np.errstate(over="ignore", invalid="ignore"):
        S = reference.samples(X, Y)
        cost, other = (kernel.cost(stack, S, activations) for stack in (models, perturbed))
        copies = {
            "initializer": name,
            "iteration": iterations,
            "cost": cost,
            "cost_difference": np.abs(other - cost),
            "weight_difference": weight_change(models, perturbed),
        }
    columns = {column: values.ravel() for column, values in layers.items()}
    return pd.DataFrame(measured | columns), pd.DataFrame(copies)


def shares(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per initializer and iteration, from the first table of `follow`: four shares, each from 0 to 1.

    distinct and dead: of the hidden units; rank: the effective rank of the hidden layers' weights over their full rank;
    saturated: of the outputs. All are nan if a weight is not finite, and all but saturated without hidden layers.
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
                "unique_units": hidden["unique_incoming_outgoing"].sum() / units if defined else np.nan,
                "rank": math.fsum(hidden["effective_rank"]) / hidden["full_rank"].sum() if defined else np.nan,
                "saturated": last["saturated"] if finite else np.nan,
                "dead": hidden["dead"].sum() / units if defined else np.nan,
            }
        )
    return pd.DataFrame(made)
