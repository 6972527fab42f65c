"""The MLflow runs of a result: one for the result, one per initializer and one per model."""

import hashlib
import itertools
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from PIL.Image import Image

from pipeline.analysis import comparison, estimators, published_results
from pipeline.config import schema
from pipeline.diagnostics import measure
from pipeline.figures import data_figures, style, training_figures
from pipeline.initializers.recipes import Recipe
from pipeline.networks import reference
from pipeline.networks.parameters import Parameters, take
from pipeline.numerics.sums import Array
from pipeline.storage import atomic_files, jobs, measurements, reports, samples, trained
from pipeline.tracking import provenance, pyfunc_model, thumbnails
from pipeline.tracking.publish import Data, Run

FINAL = ("initial_cost", "final_cost", "train_accuracy", "test_accuracy", "iterations_to_target")
SPREAD = ("min", "q25", "median", "q75", "max")  # columns of reports/cost_curves.csv
OVER_SEEDS = ("train_accuracy_mean", "test_accuracy_mean", "share_at_target")  # columns of reports/comparison.csv


def fingerprint(P: schema.Params) -> str:
    """The SHA-256 of parameters, models, measurements and tables; equal results have equal fingerprints."""
    digest = hashlib.sha256(P.model_dump_json().encode())
    runs = [trained.RUNS / name / file for name in P.initializers for file in sorted(trained.RUN_FILES)]
    measured = [
        measurements.DIAGNOSTICS / name / file
        for name in P.initializers
        for file in sorted(measurements.DIAGNOSTICS_FILES)
    ]
    trajectories = [trained.TRAJECTORIES / f"{name}.npz" for name in P.initializers]
    for path in [*runs, *measured, *trajectories, reports.REPORTS / "comparison.csv"]:
        digest.update(hashlib.sha256(atomic_files.read_bytes(path)).digest())
    return digest.hexdigest()


def whole(P: schema.Params) -> Run:
    """The parent run of the result: tables, figures, parameters and origin."""
    files = [(path, "") for path in (Path("params.yaml"), Path("dvc.lock")) if path.is_file()]
    tables = sorted(path for path in reports.REPORTS.glob("*.*") if path.is_file() and path.stem != "benchmark")
    files += [(path, "reports") for path in tables]
    files += [(path, "reports/figures") for path in sorted(reports.FIGURES.glob("*.png"))]
    given = {"initializers": ", ".join(P.initializers), "n_seeds": len(P.seeds)} | flat(settings(P))
    description = atomic_files.read_bytes(reports.REPORTS / "comparison.md").decode().partition("\n## Figures")[0]
    tags = {"level": "pipeline", "mlflow.note.content": description} | provenance.origin()
    name = f"{provenance.experiment() or 'pipeline'} {fingerprint(P)[:8]}"
    return Run(name, given, tags, files=files)  # no metrics: their charts would precede those of the models


def rooms(folder: str) -> Iterator[Path]:
    """Two folders, alternating: while the files of a run in one are published, the next are written to the other."""
    return itertools.cycle([Path(folder) / "one", Path(folder) / "other"])


def ahead(runs: Iterator[Run]) -> Generator[Run]:
    """The same runs, each made by a thread while the previous one is published. Closing waits for the thread."""
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, runs, None)
        while (run := following.result()) is not None:
            following = thread.submit(next, runs, None)
            yield run


def children(P: schema.Params, folders: Iterator[Path], bar: Any) -> Iterator[Run]:
    """The child runs of a result: one per initializer, then one per model. The files of each are in the next folder."""
    given = Given(
        samples.read_samples(samples.DATA / "train.csv", P.data.n_train, P.data.n_inputs, P.data.n_classes),
        atomic_files.read_table(reports.REPORTS / "runs.csv"),
        [data_set(P, "train"), data_set(P, "test")],
    )
    yield from initializers(P, published_results.published(P, given.train[0]).costs, folders)
    for name in P.initializers:
        for run in models(P, name, given, folders):
            yield run
            bar.update()


class Given(NamedTuple):
    """Data that the runs of all models share."""

    train: tuple[Array, Array]
    table: pd.DataFrame  # reports/runs.csv
    data: list[Data]


def initializers(P: schema.Params, published: pd.DataFrame, folders: Iterator[Path]) -> Iterator[Run]:
    """One run per initializer: quantiles of the cost over seeds at each recorded iteration, and a figure of them.

    `published` holds the published costs to be shown in the figure, if any.
    """
    bands = atomic_files.read_table(reports.REPORTS / "cost_curves.csv")
    compared = atomic_files.read_table(reports.REPORTS / "comparison.csv")
    for name, recipe in P.initializers.items():
        columns = trained.read_costs(name, P.seeds, jobs.read_training_job().record_at)
        curves = comparison.curves_table({name: columns})
        band, row = bands[bands["initializer"] == name], compared[compared["initializer"] == name].iloc[0]
        steps = band["iteration"].tolist()
        costs = columns["cost"].reshape(len(P.seeds), len(steps)).T.tolist()
        metrics = [(f"cost_{key}", value, step) for key in SPREAD for step, value in zip(steps, band[key], strict=True)]
        metrics += [("cost_mean", estimators.mean(values), step) for step, values in zip(steps, costs, strict=True)]
        metrics += [(key, float(row[key]), 0) for key in OVER_SEEDS]
        path = next(folders) / "costs.png"
        atomic_files.write_bytes(
            path, style.png(training_figures.cost_curves(band, curves, published, P.comparison.highlight_seed))
        )
        given = {"initializer": name, "n_seeds": len(P.seeds)} | recipe_params(recipe) | flat(settings(P))
        tags = {"level": "initializer", "behaviour": row["behaviour"], "initial_label": row["initial_label"]}
        yield Run(f"{name}, {len(P.seeds)} seeds", given, tags, metrics, [(path, "")])


def models(P: schema.Params, name: str, given: Given, folders: Iterator[Path]) -> Iterator[Run]:
    """One run per model of an initializer, in the order of seeds."""
    record_at = jobs.read_training_job().record_at
    when, curves = record_at.tolist(), trained.read_costs(name, P.seeds, record_at)
    costs = curves["cost"].reshape(len(P.seeds), len(when)).tolist()
    stacked = trained.read_final_weights(name, P.seeds, P.layers_dims)
    gradients = first_gradients(P, name)
    table = given.table[given.table["initializer"] == name].set_index("seed")
    common = {"initializer": name} | recipe_params(P.initializers[name]) | flat(settings(P))
    over = thumbnails.samples(*given.train) if P.data.n_inputs == 2 else None
    points = thumbnails.square(data_figures.extent(given.train[0]))
    for index, seed in enumerate(P.seeds):
        folder = next(folders)
        weights, picture = folder / "weights.npz", folder / "boundary.png"
        row: Any = table.loc[seed]
        alone = take(stacked, [index])
        trained.write_weights(weights, [seed], alone)
        metrics = [("cost", cost, step) for step, cost in zip(when, costs[index], strict=True)]
        metrics += [(key, float(row[key]), 0) for key in FINAL if not pd.isna(row[key])]
        metrics += [("first_gradient", size, l) for l, size in enumerate(gradients[index], start=1)]
        images: Iterable[tuple[str, int, Image]] = ()
        if over is not None:
            atomic_files.write_bytes(picture, thumbnails.png(boundary(P, alone, points, over)))
            if seed == P.comparison.highlight_seed:
                images = (("boundary", step, boundary(P, model, points, over)) for step, model in snapshots(P, name))
        yield Run(
            f"{name} seed {seed}",
            common | {"seed": seed},
            {"level": "model", "behaviour": str(row["behaviour"]), "initial_label": str(row["initial_label"])},
            metrics,
            [] if over is None else [(picture, "")],
            pyfunc_model.Network(weights, P.data.n_inputs, P.network.activation_names),
            given.data,
            images,
        )


def boundary(P: schema.Params, model: Parameters, points: Array, over: Image) -> Image:
    """The image of the decision boundary of a model at the grid `points`, with the samples `over` drawn on it."""
    probability = reference.predict(model, points, P.network.activations)
    return thumbnails.boundary(probability.ravel(), over)


def snapshots(P: schema.Params, name: str) -> Iterator[tuple[int, Parameters]]:
    """The model of the highlighted seed during training: iteration and weights."""
    when = jobs.read_training_job().snapshots_at
    for step, pair in zip(when.tolist(), trained.read_snapshots(name, when, P.layers_dims), strict=True):
        yield step, take(pair, [0])


def first_gradients(P: schema.Params, name: str) -> list[list[float]]:
    """The RMS of the gradient of the cost by the weights of each layer at initialization: [model][layer]."""
    n_layers = len(P.layers_dims) - 1
    layers, _ = measurements.read_measurements(name, P.seeds, n_layers, measure.COLUMNS)
    sizes: list[list[float]] = layers["weight_gradient_rms"].reshape(len(P.seeds), n_layers).tolist()
    return sizes


def data_set(P: schema.Params, use: str) -> Data:
    """The training or the test set (`use`: "train" or "test"), with the digest that DVC uses."""
    path = samples.DATA / f"{use}.csv"
    content = atomic_files.read_bytes(path)
    columns = {f"x{j}": "double" for j in range(1, P.data.n_inputs + 1)} | {"y": "long"}
    n_rows = P.data.n_train if use == "train" else P.data.n_test
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return Data(f"{P.data.name} {use}", digest, path.as_posix(), columns, n_rows, use)


def recipe_params(recipe: Recipe) -> dict[str, Any]:
    """A recipe as parameters of an MLflow run: its name, settings, gain, bias and exceptions for layers."""
    given: dict[str, Any] = {f"recipe.{key}": value for key, value in recipe.settings.items()}
    given |= {"gain": recipe.gain, "bias": recipe.bias} | {f"layer {l}": layer for l, layer in recipe.layers.items()}
    return {"recipe": recipe.recipe} | given


def settings(P: schema.Params) -> dict[str, Any]:
    """The parameters that all models share."""
    return P.model_dump(include={"data", "network", "training"})


def flat(sections: dict[str, Any]) -> dict[str, Any]:
    """{section: {key: value}} as {section.key: value}."""
    return {f"{section}.{key}": value for section, keys in sections.items() for key, value in keys.items()}
