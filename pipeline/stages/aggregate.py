"""Stage `aggregate`: compare the initializers; write the tables and figures of reports/."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pipeline.analysis import comparison, published_results
from pipeline.config import params, schema
from pipeline.diagnostics import labels, measure, outcomes, trajectory
from pipeline.diagnostics.classes import class_counts
from pipeline.figures import data_figures, initialization_figures, plane, style, training_figures
from pipeline.networks import reference
from pipeline.networks.parameters import Parameters, take
from pipeline.numerics.sums import Array
from pipeline.reporting import comparison_report
from pipeline.stages import progress
from pipeline.storage import atomic_files, jobs, measurements, reports, resolved, trained
from pipeline.training import executors

Samples = tuple[Array, Array]
N_FIGURES = 5


def aggregate() -> None:
    """Write all files of reports/ except those of the stages `dataset` and `initialization`. Raises UserError."""
    P = params.load()
    n = len(P.initializers)
    description = f"Comparing {progress.count(n, 'initializer')}, {progress.count(n * len(P.seeds), 'model')}."
    with progress.task(description, 2 * n + N_FIGURES) as advance:
        write_reports(P, advance)


def write_reports(P: schema.Params, advance: progress.Advance) -> None:
    """The work of `aggregate`; `advance` is called twice for each initializer and once for each figure."""
    train, test = resolved.training_set(P.data), resolved.test_set(P.data)
    n_layers = len(P.layers_dims) - 1
    measured_at_initialization = {
        name: measurements.read_measurements(name, P.seeds, n_layers, measure.COLUMNS) for name in P.initializers
    }
    plan = labels.plan(P.training.learning_rate, P.training.momentum, P.training.iterations, train[1])
    model_labels = {
        name: labels.label_models(*measured_at_initialization[name], n_layers, plan) for name in P.initializers
    }
    training, activations = jobs.read_training_job(), P.network.activations
    when = training.snapshots_at

    def follow(name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        snapshots = trained.read_snapshots(name, when, P.layers_dims)
        return trajectory.follow(name, when, snapshots, *train, activations)

    followed = []
    with ThreadPoolExecutor(executors.n_cores()) as threads:
        for tables in threads.map(follow, P.initializers):
            followed.append(tables)
            advance(1)
    along, copies = (pd.concat(tables, ignore_index=True) for tables in zip(*followed, strict=True))
    costs = {name: trained.read_costs(name, P.seeds, training.record_at) for name in P.initializers}
    curves = comparison.curves_table(costs)
    C = P.comparison
    shown = P.comparison.highlight_seed
    initial = {name: jobs.read_models_job(name).initial_parameters(P.seeds, train[0]) for name in P.initializers}
    final = {name: trained.read_final_weights(name, P.seeds, P.layers_dims) for name in P.initializers}
    models = {name: take(stack, [P.seeds.index(shown)]) for name, stack in final.items()}
    measured, ended_parts = {}, []
    for name in P.initializers:
        curves_of_models = costs[name]["cost"].reshape(len(P.seeds), -1)
        measured[name] = {"seed": np.array(P.seeds)} | outcomes.metrics(
            initial[name], final[name], curves_of_models, train, test, activations
        )
        blocked = measured_at_initialization[name][1]["blocked_inputs"]
        ended_parts.append(outcomes.outcomes(name, P.seeds, initial[name], final[name], train[0], activations, blocked))
        advance(1)
    ended = pd.concat(ended_parts, ignore_index=True)
    for name, each in model_labels.items():
        label, reason = np.array(each).T
        measured[name] |= {"initial_label": label, "initial_label_reason": reason}
    runs = comparison.runs_table(measured, curves, ended, C.target_cost)
    compared = comparison.compare(runs, C.confidence, C.target_accuracy)
    paired = comparison.paired(runs, C.reference, P.data.n_train, P.data.n_test)
    bands = comparison.cost_bands(curves)
    printed = published_results.published(P, train[0])
    classes = class_counts(train[1], P.data.n_classes)
    text = comparison_report.comparison(C, runs, compared, paired, printed.accuracies, copies, ended, classes)
    drawn = {
        "accuracy": training_figures.accuracy(runs, compared, shown, C.target_accuracy, C.confidence),
        "boundaries": pictured(P, models, train, test, shown),
        "cost_curves": training_figures.cost_curves(bands, curves, printed.costs, shown),
        "along_training": initialization_figures.along_training(trajectory.shares(along), shown),
        "reproducibility": initialization_figures.reproducibility(copies, shown),
    }

    reports.write_table("runs", runs)
    reports.write_table("comparison", compared)
    reports.write_table("paired", paired)
    reports.write_table("cost_curves", bands)
    reports.write_table("along_training", along)
    reports.write_table("reproducibility", copies)
    atomic_files.write_text(reports.REPORTS / "comparison.md", text)
    reports.write_metrics(comparison.summary_metrics(compared))
    for name, figure in drawn.items():
        atomic_files.write_bytes(reports.FIGURES / f"{name}.png", style.png(figure))
        advance(1)


def pictured(P: schema.Params, models: dict[str, Parameters], train: Samples, test: Samples, seed: int) -> Figure:
    """The figure of the predictions of one seed: decision boundaries for 2 inputs, else confusion matrices."""

    def predicted(X: Array) -> dict[str, Array]:
        return {name: reference.predict(each, X, P.network.activations)[0] for name, each in models.items()}

    if P.data.n_inputs == 2:
        shape = data_figures.GRID, data_figures.GRID
        square = plane.square(plane.extent(train[0]), data_figures.GRID)
        grids = {name: probability.reshape(shape) for name, probability in predicted(square).items()}
        return data_figures.boundaries(grids, *train, seed)
    X, Y = test
    counts = {name: np.zeros((P.data.n_classes, P.data.n_classes)) for name in models}
    for name, probability in predicted(X).items():
        defined = ~np.isnan(probability).any(axis=-2)  # a model that diverged predicts no class
        np.add.at(counts[name], (Y[0].astype(np.int64)[defined], reference.classes(probability)[defined]), 1)
    return data_figures.confusions(counts, seed)


if __name__ == "__main__":
    from pipeline.stages import run_and_exit

    run_and_exit(aggregate)
