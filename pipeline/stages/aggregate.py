"""Stage `aggregate`: read every model that params.yaml asks for; write tables, figures and the comparison."""

import json
import sys

import pandas as pd

from pipeline import figures, network, params, report, statistics, storage
from pipeline.sums import Array


def aggregate() -> None:
    """Write everything in reports/ but the figure of the data."""
    P = params.load()
    storage.prune_runs(list(P.initializers))
    train = storage.read_samples(storage.DATA / "train.csv", P.data.n_train)
    read = {name: storage.read_run(name, P.seeds, P.training.record_at) for name in P.initializers}
    curves = statistics.curves_table({name: columns for name, (_, columns) in read.items()})
    C = P.comparison
    shown = C.tutorial_seed if C.tutorial_seed in P.seeds else P.seeds[0]
    probabilities = {name: boundary(P, name, shown, train) for name in P.initializers}

    runs = statistics.runs_table({name: columns for name, (columns, _) in read.items()}, curves, C.target_cost)
    compared = statistics.comparison(runs, C.confidence, C.target_accuracy)
    paired = statistics.paired(runs, C.reference, P.data.n_train, P.data.n_test)
    bands = statistics.cost_bands(curves)
    published = pd.read_csv(storage.PUBLISHED / "accuracies.csv")
    published_costs = pd.read_csv(storage.PUBLISHED / "cost_curves.csv")
    text = report.comparison(runs, compared, paired, published, **C.model_dump())
    drawn = {
        "accuracy": figures.accuracy(runs, compared, shown, C.target_accuracy, C.confidence),
        "boundaries": figures.boundaries(probabilities, *train, shown),
        "cost_curves": figures.cost_curves(bands, curves[curves["seed"] == shown], published_costs, shown),
    }

    write_table("runs", runs)
    write_table("comparison", compared)
    write_table("paired", paired)
    write_table("cost_curves", bands)
    storage.write_text(storage.REPORTS / "comparison.md", text)
    storage.write_text(storage.REPORTS / "metrics.json", json.dumps(statistics.metrics(compared), indent=2) + "\n")
    for name, figure in drawn.items():
        storage.write_bytes(storage.FIGURES / f"{name}.png", figures.png(figure))


def write_table(name: str, table: statistics.Table) -> None:
    """Write reports/<name>.csv: floats as `repr`, what is missing as an empty field."""
    storage.write_text(storage.REPORTS / f"{name}.csv", table.to_csv(index=False, lineterminator="\n"))


def boundary(P: params.Params, name: str, seed: int, train: tuple[Array, Array]) -> Array:
    """The probability of class 1 on a square grid, for the model of `name` and `seed`."""
    X, Y = train
    layers_dims = [len(X), *P.network.hidden, len(Y)]
    parameters = storage.read_weights(storage.RUNS / name / "weights.npz", P.seeds, layers_dims)
    index = P.seeds.index(seed)
    model = [(W[index], b[index]) for W, b in parameters]
    return network.predict(model, figures.square(), P.network.activations).reshape(figures.GRID, figures.GRID)


if __name__ == "__main__":
    from pipeline.stages import run

    sys.exit(run(aggregate))
