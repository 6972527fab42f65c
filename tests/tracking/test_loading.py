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
from pipeline.networks.parameters import take
from pipeline.storage import samples, trained
from pipeline.tracking import loading
from pipeline.tracking.content import Network, model_source, write_model
from tests.conftest import Laboratory
from tests.stores import logged_models


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
    write_model(folder, Network(tmp_path / "w.npz", 4, [name, name]), "f" * 32)
    model = pyfunc.load_model(str(folder))
    expected = reference.classes(reference.predict(parameters, X, [ACTIVATIONS[name]] * 2))[0]
    assert len(set(expected)) > 1
    assert model.predict(X.T).tolist() == expected.tolist()
    assert model.predict(pd.DataFrame(X.T, columns=["x1", "x2", "x3", "x4"])).tolist() == expected.tolist()
    assert model.metadata.run_id == "f" * 32


def test_nothing_is_pickled_and_no_path_of_this_computer_is_reported(tmp_path: Path) -> None:
    trained.write_weights(tmp_path / "w.npz", [3], [(np.ones((1, 1, 2)), np.ones((1, 1, 1)))])
    (tmp_path / "model").mkdir()
    write_model(tmp_path / "model", Network(tmp_path / "w.npz", 2, []), "f" * 32)
    files = sorted((tmp_path / "model").iterdir())
    names = ["MLmodel", "model.py", "python_env.yaml", "requirements.txt", "weights.npz"]
    assert [file.name for file in files] == names
    reported = YAML(typ="safe").load(files[0])["flavors"]["python_function"]
    assert "cloudpickle_version" not in reported
    assert reported["model_code_path"] == "model.py"
    assert not any(str(folder).encode() in file.read_bytes() for file in files for folder in (tmp_path, Path.cwd()))


def test_a_logged_model_works_without_the_laboratory(finished: Laboratory, tmp_path: Path) -> None:
    (model,) = (m for m in logged_models(MlflowClient(finished.store)) if m.name == "he-seed-3")
    code = (
        "import sys; sys.modules['pipeline'] = None\n"  # to import it fails
        "import mlflow, pandas\n"
        f"mlflow.set_tracking_uri({finished.store!r})\n"
        f"model = mlflow.pyfunc.load_model('models:/{model.model_id}')\n"
        "assert model.metadata.signature.inputs.inputs[0].shape == (-1, 2)\n"
        f"print(*model.predict(pandas.read_csv({str(finished.root / 'data' / 'test.csv')!r})[['x1', 'x2']]))\n"
    )
    environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    X, _ = samples.read_samples(finished.root / "data" / "test.csv", 20, 2, 2)
    weights = trained.read_weights(finished.root / "runs" / "he" / "weights.npz", (3, 5), [2, 4, 3, 1])
    model = [(W[:1], b[:1]) for W, b in weights]
    expected = reference.classes(reference.predict(model, X, [ACTIVATIONS["relu"]] * 2))[0]
    assert done.stdout.split() == [str(label) for label in expected]


# ---------------------------------------------------------------------------------------------------------------------
# Any model, by one line


def examples_labels(laboratory: Laboratory, folder: Path, X: np.ndarray, *lines: str) -> list[list[str]]:
    """The predictions of the model that the example of docs/tracking.md loads, then after each line, in another folder."""
    page = (laboratory.root / "docs" / "tracking.md").read_text(encoding="utf-8")
    (example,) = (code for code in re.findall(r"(?s)```python\n(.*?)```", page) if "load_model" in code)
    np.save(folder / "X.npy", X)
    code = "".join(f"{line}\nprint('labels', *model.predict(numpy.load('X.npy')))\n" for line in (example, *lines))
    environment = laboratory.environment | {"PYTHONPATH": str(laboratory.root)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    printed = [line.split() for line in done.stdout.splitlines()]
    return [words[1:] for words in printed if words[:1] == ["labels"]]


def labels(laboratory: Laboratory, X: np.ndarray, seed: int = 3) -> list[str]:
    """What the weights of He's model of a seed in runs/ predict."""
    weights = trained.read_weights(laboratory.root / "runs" / "he" / "weights.npz", (3, 5), [2, 4, 3, 1])
    model = take(weights, [(3, 5).index(seed)])
    return [str(label) for label in reference.classes(reference.predict(model, X.T, [ACTIVATIONS["relu"]] * 2))[0]]


def test_the_example_of_the_documentation_loads_models_of_this_and_of_other_results(
    experimented: Laboratory, tmp_path: Path
) -> None:
    """In any folder, in a repository that holds the result of an experiment, and back at the committed result."""
    laboratory = experimented.copied(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    X = np.random.RandomState(0).uniform(-1.5, 1.5, (400, 2))
    laboratory.run("git", "restore", ".")
    laboratory.run("dvc", "exp", "apply", "rate-1")
    other, other_5 = labels(laboratory, X), labels(laboratory, X, 5)
    assert examples_labels(laboratory, elsewhere, X) == [other]
    laboratory.run("git", "restore", ".")
    laboratory.run("dvc", "checkout")
    first, first_5 = labels(laboratory, X), labels(laboratory, X, 5)
    assert first != other
    lines = ['model = load_model("he", 5)', 'model = load_model("he", 5, "rate-1")']
    assert examples_labels(laboratory, elsewhere, X, *lines) == [first, first_5, other_5]
    assert [path.name for path in elsewhere.iterdir()] == ["X.npy"]  # no empty database


def test_a_model_that_does_not_exist_is_reported_and_no_store_is_created(
    finished: Laboratory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def refused(initializer: str = "he", seed: int = 3, result: str = "") -> str:
        with pytest.raises(UserError) as error:
            loading.load_model(initializer, seed, result, tmp_path)
        assert "\n" not in str(error.value)
        return str(error.value)

    assert refused() == f"{tmp_path / 'tracked.json'} does not exist; run `dvc repro` to create it."
    (tmp_path / "tracked.json").write_text("{")
    assert refused() == f"{tmp_path / 'tracked.json'} is damaged; delete it and run `dvc repro`."
    shutil.copy(finished.root / "tracked.json", tmp_path)
    assert "mlflow.db does not exist; `dvc repro --single-item --force track` publishes" in refused()
    assert not (tmp_path / "mlflow.db").exists()
    (tmp_path / "mlflow.db").write_bytes(b"no database " * 100)
    assert "cannot be used (" in refused()
    shutil.copy(finished.root / "mlflow.db", tmp_path)
    assert " has no model of the initializer hee and seed 3 in the result committed params " in refused("hee")
    assert " has no model of the initializer he and seed 4 in the result committed params " in refused("he", 4)
    assert refused(result="rate").endswith(" has no model of the initializer he and seed 3 in the result rate.")
    (tmp_path / "tracked.json").write_text('{"result": "0123456789"}')
    assert "does not hold the result 01234567 of tracked.json; `dvc repro --single-item" in refused()
