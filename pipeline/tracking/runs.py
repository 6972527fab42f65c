"""The content of the MLflow runs of a result: the result itself, its initializers and its models."""

import functools
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pipeline.config import schema
from pipeline.diagnostics import measure
from pipeline.networks.parameters import Parameters, take
from pipeline.storage import atomic_files, jobs, measurements, reports, samples, trained
from pipeline.tracking import provenance
from pipeline.tracking.content import Details, MetricPoint, Network, Run
from pipeline.tracking.mlflow_api import entities
from pipeline.tracking.publish import FULL, SETTINGS, Result

MEASURED = ("initial_cost", "final_cost", "train_accuracy", "test_accuracy", "largest_rise")  # columns of runs.csv
QUARTILES = ("q25", "median", "q75")  # columns of reports/cost_curves.csv
COUNTED = ("initial_label", "behaviour")  # columns of reports/comparison.csv: numbers of models with each label
SHARED = ("data.", "network.", "training.")  # keys of params.yaml that concern all models
SHOWN = ("comparison.highlight_seed", "comparison.target_accuracy")  # keys that concern what is shown of an initializer
AUDITS = "audits"  # the section of params.yaml on which no initializer or model depends
MAX_NOTE = 7000  # characters; MLflow cuts a description at 8000, and links and the verdict of the audit are added
MEASURED_APART = (  # in reports/, by no stage of dvc.yaml
    *("audit_benchmark", "audit_suitability", "benchmark", "benchmark_stages", "labels", "replications"),
)
LONGEST = 500  # characters of a parameter's value


class Inputs(NamedTuple):
    """What the runs of a result are made from."""

    P: schema.Params
    leaves: Mapping[str, str]  # params.yaml as {"network.hidden_sizes": "[10, 5]"}
    committed: Mapping[str, str]  # the same of the current commit; empty if there is none
    data: tuple[entities.DatasetInput, entities.DatasetInput]  # the training and the test set


def result(P: schema.Params) -> Result:
    """The content of all runs of the result that the files of the current folder hold. Raises FileError."""
    data = data_set(P, "train"), data_set(P, "test")
    inputs = Inputs(P, of_results(leaves("params.yaml")), of_results(provenance.committed_params()), data)
    table = atomic_files.read_table(reports.REPORTS / "runs.csv")
    models = {}
    for name in P.initializers:
        settings = digest_of(own_params(inputs, name), [each.dataset.digest for each in inputs.data])
        models[settings] = list(models_of(inputs, name, table[table["initializer"] == name], settings))
    return Result(result_run(inputs), list(initializer_runs(inputs)), models, provenance.experiment())


def digest_of(*parts: Any) -> str:
    """The SHA-256 of values of JSON."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def leaves(path: str) -> dict[str, str]:
    """The values of a file in YAML under the names that `dvc params diff` prints, as in `network.hidden_sizes`."""
    return provenance.leaves(atomic_files.read_bytes(Path(path)))


def of_results(values: Mapping[str, str]) -> dict[str, str]:
    """The leaves without those of AUDITS: another audit is another report of the same result."""
    return {key: value for key, value in values.items() if key.partition(".")[0] != AUDITS}


def own_params(inputs: Inputs, name: str) -> dict[str, str]:
    """The parameters of the models of an initializer, without the seed."""
    prefix = f"initializers.{name}."
    recipe = {key.removeprefix(prefix): value for key, value in inputs.leaves.items() if key.startswith(prefix)}
    return {"initializer": name} | recipe | {k: v for k, v in inputs.leaves.items() if k.startswith(SHARED)}


def difference(inputs: Inputs, name: str) -> str:
    """What differs from the committed parameters of the models of an initializer, as in ", activation=tanh"."""
    concerned = (*SHARED, f"initializers.{name}.")
    found = {k: v for k, v in inputs.leaves.items() if k.startswith(concerned)}
    known = {k: v for k, v in inputs.committed.items() if k.startswith(concerned)}
    is_new = not any(key.startswith(concerned[-1]) for key in known)
    changed = [] if not inputs.committed or is_new else provenance.differences(found, known)
    return "".join(f", {re.sub(r'^[^=]*[.]', '', each)}" for each in provenance.first(changed))


def cut(values: Mapping[str, str]) -> dict[str, str]:
    """The values, long ones cut and with a digest, so that different ones remain different."""
    return {k: v if len(v) <= LONGEST else f"{v[:LONGEST]}... {digest_of(v)[:8]}" for k, v in values.items()}


# ---------------------------------------------------------------------------------------------------------------------
# The result


def result_run(inputs: Inputs) -> Run:
    """The run of the result: all parameters, the metrics of each initializer, tables and figures."""
    P = inputs.P
    made = [trained.RUNS / name / file for name in P.initializers for file in sorted(trained.RUN_FILES)]
    made += [trained.TRAJECTORIES / f"{name}.npz" for name in P.initializers]
    data = [each.dataset.digest for each in inputs.data]
    identity = digest_of(inputs.leaves, [file_digest(path) for path in made], data)
    tables = sorted(p for p in reports.REPORTS.glob("*.*") if p.is_file() and p.stem not in MEASURED_APART)
    files = [*tables, *(reports.METRICS / f"{name}.json" for name in P.initializers)]
    files += sorted(reports.FIGURES.glob("*.png"))
    metrics = [
        (f"{name}/{key}", value, 0) for name, found in numbers(P.initializers).items() for key, value in found.items()
    ]
    audited = reports.read_audit()
    metrics += [(f"audit/{key}", float(value), 0) for key, value in audited.items()]
    report = first_sections(atomic_files.read_bytes(reports.REPORTS / "comparison.md").decode())
    if audited.get("models"):  # the heading and the verdict
        audit = atomic_files.read_bytes(reports.REPORTS / "audit.md").decode()
        report += "\n\n#" + "\n\n".join(audit.split("\n\n")[:2])
    content = digest_of([(path.as_posix(), file_digest(path)) for path in files])
    files += [path for path in (Path("params.yaml"), Path("dvc.lock")) if path.is_file()]
    details = Details(files=[(path, path.as_posix()) for path in files], data=inputs.data)
    name, tags = provenance.name(inputs.leaves, inputs.committed), {"mlflow.note.content": report} | provenance.origin()
    return Run(name, identity, cut(inputs.leaves), tags, metrics, content, lambda folder: details)


def first_sections(report: str) -> str:
    """The sections of a report before its figures, as many of the first ones as a description in MLflow may hold."""
    first, *sections = re.split(r"\n(?=##+ )", report.partition("\n## Figures")[0])
    for section in sections:
        longer = f"{first}\n{section}"
        if len(longer) > MAX_NOTE:
            return f"{first}\n\nMore in reports/comparison.md, below Artifacts."
        first = longer
    return first


def numbers(names: Iterable[str]) -> dict[str, dict[str, float]]:
    """The numbers of reports/metrics/ that are defined: {"he": {"share_at_target": 0.31}}."""
    return {
        name: {key: float(value) for key, value in values.items() if value is not None}
        for name, values in reports.read_metrics(names).items()
    }


def file_digest(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(atomic_files.read_bytes(path)).hexdigest()


# ---------------------------------------------------------------------------------------------------------------------
# Initializers


def initializer_runs(inputs: Inputs) -> Iterator[Run]:
    """One run per initializer: the quartiles of the cost over its seeds, and its numbers in reports/metrics/."""
    P, seeds = inputs.P, {k: v for k, v in inputs.leaves.items() if k == "seeds" or k.startswith(("seeds.", *SHOWN))}
    bands = atomic_files.read_table(reports.REPORTS / "cost_curves.csv")
    compared = atomic_files.read_table(reports.REPORTS / "comparison.csv").set_index("initializer")
    of_initializer = numbers(P.initializers)
    for name in P.initializers:
        band = bands[bands["initializer"] == name]
        metrics: list[MetricPoint] = [
            (f"cost_{key}", value, step)
            for key in QUARTILES
            for step, value in zip(band["iteration"].tolist(), band[key].tolist(), strict=True)
        ]
        metrics += [(key, value, 0) for key, value in of_initializer[name].items()]
        params = cut(own_params(inputs, name) | seeds)
        row: Any = compared.loc[name]
        tags = {each: str(row[each]) for each in COUNTED}
        files = [trained.RUNS / name / file for file in ("weights.npz", "costs.csv")]
        identity = digest_of(params, tags, metrics, [file_digest(path) for path in files])
        details = functools.partial(initializer_details, P, name, band)
        yield Run(f"{name}{difference(inputs, name)}", identity, params, tags, metrics, "", details)


def initializer_details(P: schema.Params, name: str, band: pd.DataFrame, folder: Path) -> Details:
    """The weights and costs of all models of an initializer, and a figure of the costs."""
    from pipeline.tracking import images  # takes a second: it imports Matplotlib

    files = [(trained.RUNS / name / file, file) for file in ("weights.npz", "costs.csv")]
    return Details(files=files, images=[("costs", 0, images.costs(P, name, band))])


# ---------------------------------------------------------------------------------------------------------------------
# Models


def models_of(inputs: Inputs, name: str, table: pd.DataFrame, settings: str) -> Iterator[Run]:
    """One run per model of an initializer, in the order of seeds."""
    P = inputs.P
    when = jobs.read_training_job().record_at
    costs = trained.read_costs(name, P.seeds, when)["cost"].reshape(len(P.seeds), len(when))
    stacked = trained.read_final_weights(name, P.seeds, P.layers_dims)
    gradients = measured_gradients(P, name)
    common = cut(own_params(inputs, name))
    title = difference(inputs, name)
    rows = table.set_index("seed")
    thin = points(len(when), P.tracking.curve_points)
    for index, seed in enumerate(P.seeds):
        alone = take(stacked, [index])
        row: Any = rows.loc[seed]
        trained_bytes = hashlib.sha256(costs[index].tobytes())
        for pair in alone:
            for array in pair:
                trained_bytes.update(np.ascontiguousarray(array).tobytes())
        params = common | {"seed": str(seed)}
        metrics = [(key, float(row[key]), 0) for key in MEASURED if not pd.isna(row[key])]
        tags = {SETTINGS: settings, "initial_label": str(row["initial_label"])}
        identity = digest_of(params, tags, metrics, trained_bytes.hexdigest())
        curve = [("cost", cost, step) for step, cost in zip(when.tolist(), costs[index].tolist(), strict=True)]
        if is_detailed(P, seed):
            curve += [("first_gradient", size, l) for l, size in enumerate(gradients[index], start=1)]
            detail, details = FULL, functools.partial(model_details, inputs, name, seed, alone, curve)
        else:
            detail, details = len(thin), functools.partial(curve_details, [curve[place] for place in thin])
        yield Run(f"{name} seed {seed}{title}", identity, params, tags, metrics, detail, details)


def is_detailed(P: schema.Params, seed: int) -> bool:
    """Whether models of a seed, highlighted or named, have the full curve, boundaries and a logged model."""
    return seed in {P.comparison.highlight_seed, *P.tracking.detailed_seeds}


def curve_details(metrics: Sequence[MetricPoint], folder: Path) -> Details:
    """A curve alone."""
    return Details(metrics)


def points(n_recorded: int, n_points: int) -> list[int]:
    """The indices of `n_points` of the recorded costs, evenly spaced, with the first and the last."""
    if n_points < 2 or n_points >= n_recorded:
        return list(range(n_recorded))[-n_points:] if n_points else []
    return [round(place * (n_recorded - 1) / (n_points - 1)) for place in range(n_points)]


def model_details(
    inputs: Inputs, name: str, seed: int, model: Parameters, metrics: Sequence[MetricPoint], folder: Path
) -> Details:
    """The curves `metrics`, the data sets, the decision boundaries and the saved network of a model."""
    from pipeline.tracking import images

    P, path = inputs.P, folder / "weights.npz"
    trained.write_weights(path, [seed], model)
    network = Network(path, P.data.n_inputs, P.network.activation_names)
    return Details(metrics, (), images.boundaries(P, name, seed, model), inputs.data, network)


def measured_gradients(P: schema.Params, name: str) -> list[list[float]]:
    """The RMS of the gradient of the cost by the weights of each layer at initialization: [model][layer]."""
    n_layers = len(P.layers_dims) - 1
    layers, _ = measurements.read_measurements(name, P.seeds, n_layers, measure.COLUMNS)
    sizes: list[list[float]] = layers["weight_gradient_rms"].reshape(len(P.seeds), n_layers).tolist()
    return sizes


def data_set(P: schema.Params, use: str) -> entities.DatasetInput:
    """The training or the test set (`use`: "train" or "test") as an input of runs, with the digest that DVC uses."""
    path = samples.DATA / f"{use}.csv"
    names = [(f"x{j}", "double") for j in range(1, P.data.n_inputs + 1)] + [("y", "long")]
    n_rows = P.data.n_train if use == "train" else P.data.n_test
    data = entities.Dataset(
        f"{P.data.name} {use}",
        hashlib.md5(atomic_files.read_bytes(path), usedforsecurity=False).hexdigest(),
        "local",
        json.dumps({"uri": path.as_posix()}),
        json.dumps({"mlflow_colspec": [{"name": name, "type": kind, "required": True} for name, kind in names]}),
        json.dumps({"num_rows": n_rows, "num_elements": n_rows * len(names)}),
    )
    return entities.DatasetInput(data, [entities.InputTag("mlflow.data.context", use)])
