"""Models as MLflow loads them back, against the network that the pipeline trains."""

import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient, pyfunc
from ruamel.yaml import YAML

from pipeline.errors import UserError
from pipeline.networks import reference
from pipeline.networks.activations import ACTIVATIONS
from pipeline.storage import samples, trained
from pipeline.tracking import publish, pyfunc_model
from pipeline.tracking.model_source import model_source
from tests.conftest import Laboratory


def test_the_stored_code_has_the_pipelines_activations_and_imports_nothing_of_it() -> None:
    namespace: dict[str, Any] = {"__name__": "model"}
    source = model_source()
    imported = {line.split()[1].split(".")[0] for line in source.splitlines() if re.match(r"(from|import) ", line)}
    assert imported == {"collections", "math", "mlflow", "numpy", "typing"}
    exec(compile(source, "model.py", "exec"), namespace)
    z = np.concatenate([np.linspace(-800.0, 800.0, 999), np.linspace(-5.0, 5.0, 999)])
    assert list(namespace["ACTIVATIONS"]) == list(ACTIVATIONS)
    for name, activation in ACTIVATIONS.items():
        assert namespace["ACTIVATIONS"][name].phi(z).tobytes() == activation.phi(z).tobytes()


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_loaded_model_predicts_the_pipelines_labels(tmp_path: Path, name: str, n_outputs: int) -> None:
    rng = np.random.RandomState(5)
    sizes = [4, 7, 5, n_outputs]
    parameters = [(rng.randn(1, n, m), rng.randn(1, n, 1)) for m, n in pairwise(sizes)]
    X = rng.randn(4, 500)
    logits = reference.forward_propagation(parameters, X, [ACTIVATIONS[name]] * 2)[0][-1]
    parameters[-1][1][:] -= np.median(logits, axis=-1, keepdims=True)  # every class occurs
    trained.write_weights(tmp_path / "w.npz", [3], parameters)
    folder = tmp_path / "model"
    folder.mkdir()
    pyfunc_model.write(folder, pyfunc_model.Network(tmp_path / "w.npz", 4, [name, name]), "f" * 32)
    model = pyfunc.load_model(str(folder))
    expected = reference.classes(reference.predict(parameters, X, [ACTIVATIONS[name]] * 2))[0]
    assert len(set(expected)) > 1
    assert model.predict(X.T).tolist() == expected.tolist()
    assert model.predict(pd.DataFrame(X.T, columns=["x1", "x2", "x3", "x4"])).tolist() == expected.tolist()
    assert model.metadata.run_id == "f" * 32
    assert model.metadata.model_uuid not in ("f" * 32, pyfunc_model.SOME_MODEL)


def test_nothing_is_pickled_and_no_path_of_this_computer_is_told(tmp_path: Path) -> None:
    trained.write_weights(tmp_path / "w.npz", [3], [(np.ones((1, 1, 2)), np.ones((1, 1, 1)))])
    (tmp_path / "model").mkdir()
    pyfunc_model.write(tmp_path / "model", pyfunc_model.Network(tmp_path / "w.npz", 2, []), "f" * 32)
    files = sorted((tmp_path / "model").iterdir())
    names = ["MLmodel", "model.py", "python_env.yaml", "requirements.txt", "weights.npz"]
    assert [file.name for file in files] == names
    reported = YAML(typ="safe").load(files[0])["flavors"]["python_function"]
    assert "cloudpickle_version" not in reported
    assert reported["model_code_path"] == "model.py"
    assert not any(str(folder).encode() in file.read_bytes() for file in files for folder in (tmp_path, Path.cwd()))


def test_a_published_model_works_without_the_laboratory(finished: Laboratory, tmp_path: Path) -> None:
    uri = f"sqlite:///{finished.root.as_posix()}/mlflow.db"
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(publish.EXPERIMENT).experiment_id
    (run,) = client.search_runs([experiment], "params.initializer = 'he' and params.seed = '5'")
    code = (
        "import sys; sys.modules['pipeline'] = None\n"  # to import it fails
        "import mlflow, pandas\n"
        f"mlflow.set_tracking_uri({uri!r})\n"
        f"model = mlflow.pyfunc.load_model('runs:/{run.info.run_id}/model')\n"
        f"print(*model.predict(pandas.read_csv({str(finished.root / 'data' / 'test.csv')!r})[['x1', 'x2']]))\n"
    )
    environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    X, _ = samples.read_samples(finished.root / "data" / "test.csv", 20, 2, 2)
    weights = trained.read_weights(finished.root / "runs" / "he" / "weights.npz", (3, 5), [2, 4, 3, 1])
    model = [(W[1:], b[1:]) for W, b in weights]
    expected = reference.classes(reference.predict(model, X, [ACTIVATIONS["relu"]] * 2))[0]
    assert done.stdout.split() == [str(label) for label in expected]


# ---------------------------------------------------------------------------------------------------------------------
# The example of docs/tracking.md


def examples_labels(laboratory: Laboratory, folder: Path, X: np.ndarray) -> list[str]:
    """The predictions of the model that the example of docs/tracking.md loads, run in another folder."""
    page = (laboratory.root / "docs" / "tracking.md").read_text(encoding="utf-8")
    (example,) = (code for code in re.findall(r"(?s)```python\n(.*?)```", page) if "load_model" in code)
    np.save(folder / "X.npy", X)
    code = f"{example}\nprint('labels', *model.predict(numpy.load('X.npy')))"
    environment = laboratory.environment | {"PYTHONPATH": str(laboratory.root)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].split()[1:]


def labels(laboratory: Laboratory, X: np.ndarray) -> list[str]:
    """What the weights of He's seed 3 in runs/ predict."""
    weights = trained.read_weights(laboratory.root / "runs" / "he" / "weights.npz", (3, 5), [2, 4, 3, 1])
    model = [(W[:1], b[:1]) for W, b in weights]
    return [str(label) for label in reference.classes(reference.predict(model, X.T, [ACTIVATIONS["relu"]] * 2))[0]]


def test_the_example_of_the_documentation_loads_the_model_of_this_result(
    laboratory: Laboratory, tmp_path: Path
) -> None:
    """In any folder, before and after another experiment is published to the same store, and back again."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    X = np.random.RandomState(0).uniform(-1.5, 1.5, (400, 2))
    first = labels(laboratory, X)
    assert examples_labels(laboratory, elsewhere, X) == first
    laboratory.run("dvc", "exp", "run", "-n", "other", "-S", "training.learning_rate=1.0")
    other = labels(laboratory, X)
    assert other != first
    assert examples_labels(laboratory, elsewhere, X) == other
    laboratory.run("git", "restore", ".")
    laboratory.run("dvc", "checkout")
    assert examples_labels(laboratory, elsewhere, X) == first
    assert [path.name for path in elsewhere.iterdir()] == ["X.npy"]  # no empty database


def test_a_model_that_is_not_there_is_reported_and_no_store_is_made(finished: Laboratory, tmp_path: Path) -> None:
    def refused(initializer: str = "he", seed: int = 3) -> str:
        with pytest.raises(UserError) as error:
            publish.load_model(initializer, seed, tmp_path)
        assert "\n" not in str(error.value)
        return str(error.value)

    assert refused() == f"{tmp_path / 'tracked.json'} does not exist; run `dvc repro` to create it."
    (tmp_path / "tracked.json").write_text("{")
    assert refused() == f"{tmp_path / 'tracked.json'} is damaged; delete it and run `dvc repro`."
    shutil.copy(finished.root / "tracked.json", tmp_path)
    assert refused().endswith("mlflow.db does not exist; `dvc repro --single-item --force track` publishes it.")
    assert not (tmp_path / "mlflow.db").exists()
    (tmp_path / "mlflow.db").write_bytes(b"no database " * 100)
    assert "cannot be used (" in refused()
    shutil.copy(finished.root / "mlflow.db", tmp_path)
    assert refused("hee").endswith(" has no model of the initializer hee and seed 3.")
    assert refused("he", 4).endswith(" has no model of the initializer he and seed 4.")
    (tmp_path / "tracked.json").write_text('{"fingerprint": "0123456789"}')
    assert "does not hold the result 01234567 of tracked.json; `dvc repro --single-item" in refused()
