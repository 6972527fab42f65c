"""Write a trained network as a folder for `mlflow.pyfunc.load_model`: MLmodel, weights.npz and code, nothing pickled.

`mlflow.pyfunc.save_model` writes the same, but runs the code and copies the weights twice for every model.
"""

import functools
import platform
import shutil
import uuid
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mlflow import pyfunc
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec

from pipeline.tracking.model_source import model_source

SOME_RUN, SOME_MODEL = "0" * 32, "1" * 32


class Network(NamedTuple):
    """A network to be saved."""

    weights: Path  # of this model only, written by `trained.write_weights`
    n_inputs: int
    activations: Sequence[str]  # of each hidden layer


def write(folder: Path, network: Network, run_id: str) -> None:
    """Write the model of a run into an empty folder."""
    shutil.copyfile(network.weights, folder / "weights.npz")
    (folder / "model.py").write_text(model_source(), encoding="utf-8")
    (folder / "requirements.txt").write_text("".join(f"{name}=={version(name)}\n" for name in ("mlflow", "numpy")))
    python = f"python: {platform.python_version()}\ndependencies:\n- -r requirements.txt\n"
    (folder / "python_env.yaml").write_text(python)
    text = described(network.n_inputs, tuple(network.activations))
    (folder / "MLmodel").write_text(text.replace(SOME_RUN, run_id).replace(SOME_MODEL, uuid.uuid4().hex))


@functools.cache  # MLflow takes 7 ms to write it
def described(n_inputs: int, activations: tuple[str, ...]) -> str:
    """The text of the file MLmodel, with the placeholders SOME_RUN and SOME_MODEL for ids."""
    samples = Schema([TensorSpec(np.dtype(np.float64), (-1, n_inputs))])
    labels = Schema([TensorSpec(np.dtype(np.int64), (-1,))])
    model = Model(
        artifact_path="model", run_id=SOME_RUN, signature=ModelSignature(samples, labels), model_uuid=SOME_MODEL
    )
    pyfunc.add_to_model(
        model,
        loader_module="mlflow.pyfunc.loaders.code_model",
        python_env="python_env.yaml",
        model_config={"activations": list(activations)},
        model_code_path="model.py",
        artifacts={"weights": {"path": "weights.npz", "uri": "weights.npz"}},
        streamable=False,
    )
    return str(model.to_yaml())
