"""Stage `initialization`: report the models of all initializers before training, beside the predictions of theory.

It needs no training: `dvc repro initialization` stops here.
"""

from pipeline.analysis import initialization_table
from pipeline.analysis.initialization_table import InitialMeasurements
from pipeline.config import params, schema
from pipeline.diagnostics import labels, measure
from pipeline.figures import initialization_figures, style
from pipeline.initializers.networkwise import NetworkSpec
from pipeline.reporting import initialization_report
from pipeline.stages import progress
from pipeline.storage import atomic_files, measurements, reports, resolved
from pipeline.theory import predictions, variances

N_FIGURES = 2


def initialization() -> None:
    """Write reports/initialization.csv, reports/initialization.md and their figures. Raises UserError."""
    P = params.load()
    n = len(P.initializers)
    with progress.task(f"Reporting {progress.count(n, 'initializer')} at initialization.", n + N_FIGURES) as advance:
        write_reports(P, advance)


def write_reports(P: schema.Params, advance: progress.Advance) -> None:
    """The work of `initialization`; `advance` is called once for each initializer and each figure."""
    X, Y = resolved.training_set(P.data)
    network = NetworkSpec(P.layers_dims, P.network.activations, X)
    n_layers = len(P.layers_dims) - 1
    plan = labels.plan(P.training.learning_rate, P.training.momentum, P.training.iterations, Y)
    entries, model_labels, histograms = {}, {}, {}
    without_law: dict[str, str] = {}
    estimated = [name for name, recipe in P.initializers.items() if variances.is_own(recipe)]
    for name, recipe in P.initializers.items():
        layers, models = measurements.read_measurements(name, P.seeds, n_layers, measure.COLUMNS)
        units = measurements.read_units(name, P.seeds, n_layers)
        law = variances.without_theory(P.network.activations) or (
            variances.estimate(layers, P.layers_dims) if name in estimated else variances.laws(recipe, network)
        )
        if isinstance(law, str):
            without_law[name] = law
        theory = None if isinstance(law, str) else predictions.predict(law, P.layers_dims, X, P.network.activations)
        dead = [units[f"dead{l}"] for l in range(1, n_layers)]
        entries[name] = InitialMeasurements(layers, models, dead, theory)
        model_labels[name] = labels.label_models(layers, models, n_layers, plan)
        histograms[name] = initialization_figures.pooled(units, n_layers)
        advance(1)
    table = initialization_table.initialization_table(entries)
    text = initialization_report.report(table, model_labels, without_law, P.layers_dims, estimated)
    drawn = {
        "depth": initialization_figures.depth(table),
        "activations": initialization_figures.activations(histograms),
    }
    reports.write_table("initialization", table)
    atomic_files.write_text(reports.REPORTS / "initialization.md", text)
    for name, figure in drawn.items():
        atomic_files.write_bytes(reports.FIGURES / f"{name}.png", style.png(figure))
        advance(1)


if __name__ == "__main__":
    from pipeline.stages import run_and_exit

    run_and_exit(initialization)
