"""Stage `aggregate`: read every model that params.yaml asks for; write tables, figures and the comparison."""

import json
import sys

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pipeline import (
    along_training,
    birth_figures,
    figures,
    network,
    outcomes,
    params,
    publications,
    report,
    statistics,
    storage,
    verdicts,
)
from pipeline.initializers import Parameters
from pipeline.network_initializers import Birth
from pipeline.sums import Array

Samples = tuple[Array, Array]


def aggregate() -> None:
    """Write everything in reports/ but the figure of the data."""
    P = params.load()
    storage.prune(list(P.initializers))
    sizes = P.data.n_inputs, P.data.n_classes
    train = storage.read_samples(storage.DATA / "train.csv", P.data.n_train, *sizes)
    test = storage.read_samples(storage.DATA / "test.csv", P.data.n_test, *sizes)
    read = {name: storage.read_run(name, P.seeds, P.training.record_at) for name in P.initializers}
    n_layers = len(P.layers_dims) - 1
    births = {name: storage.read_birth(name, P.seeds, n_layers) for name in P.initializers}
    plan = verdicts.plan(P.training.learning_rate, P.training.momentum, P.training.iterations, train[1])
    words = {name: verdicts.verdicts(*births[name], n_layers, plan) for name in P.initializers}
    when, activations = P.training.snapshots_at, P.network.activations
    followed = [
        along_training.follow(name, when, storage.read_snapshots(name, when, P.layers_dims), *train, activations)
        for name in P.initializers
    ]
    along, twins = (pd.concat(tables, ignore_index=True) for tables in zip(*followed, strict=True))
    curves = statistics.curves_table({name: columns for name, (_, columns) in read.items()})
    C = P.comparison
    shown = P.comparison.tutorial_seed
    trained = {
        name: storage.read_weights(storage.RUNS / name / "weights.npz", P.seeds, P.layers_dims)
        for name in P.initializers
    }
    models = {name: one_of(stack, P.seeds.index(shown)) for name, stack in trained.items()}
    known = Birth(P.layers_dims, activations, train[0])
    ended = pd.concat(
        [
            outcomes.outcomes(
                name, recipe, P.seeds, trained[name], known, read[name][0]["weight_change"], births[name][1]["silent"]
            )
            for name, recipe in P.initializers.items()
        ],
        ignore_index=True,
    )

    born = {name: dict(zip(("at_birth", "at_birth_measured"), np.array(words[name]).T, strict=True)) for name in words}
    measured = {name: columns | born[name] for name, (columns, _) in read.items()}
    runs = statistics.runs_table(measured, curves, ended, C.target_cost)
    compared = statistics.comparison(runs, C.confidence, C.target_accuracy)
    paired = statistics.paired(runs, C.reference, P.data.n_train, P.data.n_test)
    bands = statistics.cost_bands(curves)
    printed = publications.published(P, train[0])
    classes = outcomes.class_counts(train[1], P.data.n_classes)
    text = report.comparison(
        runs, compared, paired, printed.accuracies, twins, ended, classes, shown_seed=shown, **C.model_dump()
    )
    drawn = {
        "accuracy": figures.accuracy(runs, compared, shown, C.target_accuracy, C.confidence),
        "boundaries": pictured(P, models, train, test, shown),
        "cost_curves": figures.cost_curves(bands, curves, printed.costs, shown),
        "along_training": birth_figures.along_training(along_training.shares(along), shown),
        "reproducibility": birth_figures.reproducibility(twins, shown),
    }

    storage.write_table("runs", runs)
    storage.write_table("comparison", compared)
    storage.write_table("paired", paired)
    storage.write_table("cost_curves", bands)
    storage.write_table("along_training", along)
    storage.write_table("reproducibility", twins)
    storage.write_text(storage.REPORTS / "comparison.md", text)
    storage.write_text(storage.REPORTS / "metrics.json", json.dumps(statistics.metrics(compared), indent=2) + "\n")
    for name, figure in drawn.items():
        storage.write_bytes(storage.FIGURES / f"{name}.png", figures.png(figure))


def one_of(stack: Parameters, index: int) -> Parameters:
    """A single model of a stack: W (n_l, n_{l-1}) and b (n_l, 1) of each layer."""
    return [(W[index], b[index]) for W, b in stack]


def pictured(P: params.Params, models: dict[str, Parameters], train: Samples, test: Samples, seed: int) -> Figure:
    """What the models of one seed have learned: boundaries in the plane, or which class they take for which."""

    def predicted(X: Array) -> dict[str, Array]:
        return {name: network.predict(each, X, P.network.activations) for name, each in models.items()}

    if P.data.n_inputs == 2:
        shape = figures.GRID, figures.GRID
        square = figures.square(figures.extent(train[0]))
        grids = {name: probability.reshape(shape) for name, probability in predicted(square).items()}
        return figures.boundaries(grids, *train, seed)
    X, Y = test
    counts = {name: np.zeros((P.data.n_classes, P.data.n_classes)) for name in models}
    for name, probability in predicted(X).items():
        defined = ~np.isnan(probability).any(axis=-2)  # a model that diverged predicts no class
        np.add.at(counts[name], (Y[0].astype(np.int64)[defined], network.classes(probability)[defined]), 1)
    return figures.confusions(counts, seed)


if __name__ == "__main__":
    from pipeline.stages import run

    sys.exit(run(aggregate))
