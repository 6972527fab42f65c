"""The content of an MLflow run, and logging it.

Models are saved as folders for `mlflow.pyfunc.load_model`: MLmodel, weights.npz and code, nothing pickled.
"""

import functools
import platform
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL.Image import Image

from pipeline.networks import activations
from pipeline.numerics import elementary
from pipeline.tracking.mlflow_api import Model, ModelSignature, Schema, TensorSpec, entities, pyfunc
from pipeline.tracking.store import Store, retry

CODE = Path(__file__).with_name("model_code.py")
MODULES = (elementary.__file__, activations.__file__, CODE)  # of the stored code; each needs only those before it
IMPORT = re.compile(r"^from pipeline\.[\w.]+ import (?:\([^)]*\)|.*)\n", re.MULTILINE)
BATCH = 1000  # metrics in one call, MLflow's limit
PARAMS = 100  # parameters in one call, MLflow's limit

MetricPoint = tuple[str, float, int]  # name, value, step


class Details(NamedTuple):
    """The larger part of the content of a run, made only if it is logged."""

    metrics: Sequence[MetricPoint] = ()
    files: Sequence[tuple[Path, str]] = ()  # a file and its path among the artifacts
    images: Iterable[tuple[str, int, Image]] = ()  # name, step, image; MLflow shows images of one name with a slider
    data: Sequence[entities.DatasetInput] = ()
    model: "Network | None" = None


class Run(NamedTuple):
    """The content of an MLflow run."""

    name: str
    identity: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Sequence[MetricPoint]
    detail: int | str  # of a model a number, of which larger ones replace smaller ones; else a digest of the details
    details: Callable[[Path], Details]  # the details, with files in an empty folder


class Network(NamedTuple):
    """A network to be saved."""

    weights: Path  # of this model only, written by `trained.write_weights`
    n_inputs: int
    activations: Sequence[str]  # of each hidden layer


@functools.cache
def model_source() -> str:
    """The code that is stored with a model: `model_code` and the modules that it needs, in one text.

    It runs without this package. Its activations are those of `networks.activations`, so it has every registered one.
    """
    return "\n\n".join(IMPORT.sub("", Path(str(module)).read_text(encoding="utf-8")) for module in MODULES)


def write_model(folder: Path, network: Network, run_id: str, model_id: str | None = None) -> None:
    """Write the model of a run into an empty folder; `model_id` is its id as a logged model of MLflow 3."""
    shutil.copyfile(network.weights, folder / "weights.npz")
    (folder / "model.py").write_text(model_source(), encoding="utf-8")
    (folder / "requirements.txt").write_text("".join(f"{name}=={version(name)}\n" for name in ("mlflow", "numpy")))
    python = f"python: {platform.python_version()}\ndependencies:\n- -r requirements.txt\n"
    (folder / "python_env.yaml").write_text(python)
    samples = Schema([TensorSpec(np.dtype(np.float64), (-1, network.n_inputs))])
    labels = Schema([TensorSpec(np.dtype(np.int64), (-1,))])
    model = Model(artifact_path="model", run_id=run_id, signature=ModelSignature(samples, labels), model_id=model_id)
    pyfunc.add_to_model(
        model,
        loader_module="mlflow.pyfunc.loaders.code_model",
        python_env="python_env.yaml",
        model_config={"activations": list(network.activations)},
        model_code_path="model.py",
        artifacts={"weights": {"path": "weights.npz", "uri": "weights.npz"}},
        streamable=False,
    )
    (folder / "MLmodel").write_text(str(model.to_yaml()))


def log(
    store: Store,
    info: Any,
    metrics: Sequence[MetricPoint],
    params: Mapping[str, str] | None = None,
    now: int = 0,
    model: str | None = None,
) -> None:
    """Log metrics and parameters in as few calls as the limits of MLflow allow.

    The time of a metric is the start of the run: MLflow ignores a metric that is logged twice. Metrics are logged in
    reverse order: MLflow stores the latest value of each name separately and would update it at every step.
    """
    when = now or info.start_time
    points = [entities.Metric(key, value, when, step, model_id=model) for key, value, step in reversed(metrics)]
    pairs = [entities.Param(key, value) for key, value in (params or {}).items()]
    first = BATCH - PARAMS
    store.client.log_batch(info.run_id, metrics=points[:first], params=pairs[:PARAMS])
    for begin in range(PARAMS, len(pairs), PARAMS):
        store.client.log_batch(info.run_id, params=pairs[begin : begin + PARAMS])
    for begin in range(first, len(points), BATCH):
        store.client.log_batch(info.run_id, metrics=points[begin : begin + BATCH])


def add_details(store: Store, level: str, info: Any, run: Run, tags: Mapping[str, str]) -> None:
    """Log the details of a run: curves, data sets, files, images and the model, which gets `tags`."""
    if run.detail == 0:
        return
    with tempfile.TemporaryDirectory() as made, tempfile.TemporaryDirectory() as artifacts:
        details = run.details(Path(made))
        if details.metrics:
            log(store, info, details.metrics)
        if details.data:
            retry(store.client.log_inputs, info.run_id, list(details.data))
        for path, name in details.files:
            (Path(artifacts) / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, Path(artifacts) / name)
        if details.files:
            store.client.log_artifacts(info.run_id, artifacts)
        for key, step, image in details.images:
            store.client.log_image(info.run_id, image, key=key, step=step)
        if details.model is not None:
            log_model(store, level, info, run, details.model, tags)


def log_model(store: Store, level: str, info: Any, run: Run, network: Network, tags: Mapping[str, str]) -> None:
    """Log a model of MLflow 3, with its parameters, metrics and signature."""
    model = store.client.create_logged_model(
        store.ids[level],
        name=f"{run.params['initializer']}-seed-{run.params['seed']}",
        source_run_id=info.run_id,
        tags=dict(tags),
        params=dict(run.params),
    )
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder), network, info.run_id, model.model_id)
        store.client.log_model_artifacts(model.model_id, folder)
    log(store, info, run.metrics, model=model.model_id)
    store.client.finalize_logged_model(model.model_id, "READY")
    store.client.log_outputs(info.run_id, [entities.LoggedModelOutput(model.model_id, step=0)])
