"""What the MLflow runs of a result contain, read back from the miniature laboratory's store, and what identifies them."""

import importlib.metadata
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from ruamel.yaml import YAML

from pipeline.config import params
from pipeline.storage import atomic_files, trained
from pipeline.tracking import provenance, runs
from pipeline.tracking.store import EXPERIMENTS
from tests.conftest import Laboratory
from tests.stores import artifacts, logged_models
from tests.stores import runs as stored

ROOT = Path(__file__).parents[2]
SEEDS, INITIALIZERS = (3, 5), ("zeros", "small", "he")


@pytest.fixture(scope="module")
def client(finished: Laboratory) -> MlflowClient:
    return MlflowClient(finished.store)


def test_the_result(finished: Laboratory, client: MlflowClient) -> None:
    (result,) = stored(client, "results")
    start = finished.run("git", "rev-list", "--max-parents=0", "HEAD").stdout.strip()
    assert result.info.run_name == f"committed params {start[:7]}"
    names = artifacts(client, result.info.run_id)
    assert {"params.yaml", "dvc.lock", "reports/comparison.md", "reports/figures/cost_curves.png"} < set(names)
    tags = result.data.tags
    assert tags["mlflow.source.git.commit"] == start
    assert tags["git.dirty"] == "false"  # DVC has just written reports, jobs and dvc.lock
    assert tags["version.numpy"] == np.__version__
    assert tags["version.numba"] == importlib.metadata.version("numba")
    assert tags["processor"]
    links, _, report = tags["mlflow.note.content"].partition("\n\n")
    assert report.startswith("# Comparison of initializers")
    for level in ("initializers", "models"):
        assert (
            f"[{level}](#/experiments/{client.get_experiment_by_name(EXPERIMENTS[level]).experiment_id}/runs?" in links
        )
    lock = YAML(typ="safe").load(finished.root / "dvc.lock")
    known = {out["path"]: out["md5"] for out in lock["stages"]["dataset"]["outs"]}
    used = {given.tags[0].value: given.dataset.digest for given in result.inputs.dataset_inputs}
    assert used == {"train": known["data/train.csv"], "test": known["data/test.csv"]}


def test_the_parameters_of_a_result_are_the_leaves_of_params_yaml(client: MlflowClient) -> None:
    (result,) = stored(client, "results")
    params = result.data.params
    assert params["network.hidden_sizes"] == "[4, 3]"
    assert params["initializers.small.std"] == "0.01"
    assert params["seeds"] == "[3, 5]"
    assert params["tracking.curve_points"] == "0"
    assert len(params) == 6 + 2 + 5 + 1 + 4 + 5 + 2


def test_the_metrics_of_a_result_are_those_of_metrics_json(finished: Laboratory, client: MlflowClient) -> None:
    (result,) = stored(client, "results")
    table = pd.read_csv(finished.root / "reports" / "comparison.csv").set_index("initializer")
    for name in INITIALIZERS:
        assert result.data.metrics[f"{name}/share_at_target"] == table.loc[name, "share_at_target"]
        assert result.data.metrics[f"{name}/train_accuracy"] == table.loc[name, "train_accuracy_mean"]
        assert result.data.metrics[f"{name}/final_cost"] == table.loc[name, "final_cost_median"]


def test_a_result_has_the_audits_of_the_models_in_the_folder_audits(finished: Laboratory, client: MlflowClient) -> None:
    """A file of which MINIATURE expects nothing; no parameter of a result is one of audits."""
    (result,) = stored(client, "results")
    numbers = json.loads((finished.root / "reports" / "audit.json").read_text())
    assert numbers["models"] == 1
    assert {key: result.data.metrics[f"audit/{key}"] for key in numbers} == numbers
    assert {"reports/audit.md", "reports/audit.csv", "reports/figures/audit.png"} < set(
        artifacts(client, result.info.run_id)
    )
    verdict = (finished.root / "reports" / "audit.md").read_text(encoding="utf-8").splitlines()[2]
    assert f"## Audit of the models in audits/\n\n{verdict}" in result.data.tags["mlflow.note.content"]
    assert not any(key.startswith("audits") for key in result.data.params)


def test_expectations_of_audits_are_no_part_of_a_result() -> None:
    values = {"audits.a.pt.expect": "he_normal", "audits": "{}", "seeds": "[3]", "initializers.audits.recipe": "zeros"}
    assert runs.of_results(values) == {"seeds": "[3]", "initializers.audits.recipe": "zeros"}


def test_an_initializer_has_the_quartiles_of_its_costs_its_weights_and_a_figure(
    finished: Laboratory, client: MlflowClient, tmp_path: Path
) -> None:
    (he,) = stored(client, "initializers", "params.initializer = 'he'")
    costs = atomic_files.read_csv(finished.root / "runs" / "he" / "costs.csv", trained.COSTS)["cost"].reshape(2, -1)
    for key, share in {"cost_q25": 0.25, "cost_median": 0.5, "cost_q75": 0.75}.items():
        history = [(m.step, m.value) for m in client.get_metric_history(he.info.run_id, key)]
        expected = np.quantile(costs, share, axis=0)  # other roundings in the interpolation: some 1e-16
        assert history == [(step, pytest.approx(c, rel=1e-14)) for step, c in zip((0, 20, 40), expected, strict=True)]
    table = pd.read_csv(finished.root / "reports" / "comparison.csv").set_index("initializer")
    assert he.data.metrics["share_at_target"] == table.loc["he", "share_at_target"]
    every = pd.read_csv(finished.root / "reports" / "runs.csv").set_index("initializer").loc["he"]
    for labels in ("behaviour", "initial_label"):
        assert set(he.data.tags[labels].split(", ")) == {f"{k} {n}" for k, n in every[labels].value_counts().items()}
    names = artifacts(client, he.info.run_id)
    assert {"weights.npz", "costs.csv"} < set(names)
    assert any(name.startswith("images/costs") for name in names)
    weights = client.download_artifacts(he.info.run_id, "weights.npz", str(tmp_path))
    assert Path(weights).read_bytes() == (finished.root / "runs" / "he" / "weights.npz").read_bytes()


def test_every_model_has_its_parameters_and_measurements(finished: Laboratory, client: MlflowClient) -> None:
    table = pd.read_csv(finished.root / "reports" / "runs.csv").set_index(["initializer", "seed"])
    models = {(run.data.params["initializer"], int(run.data.params["seed"])): run for run in stored(client, "models")}
    assert set(models) == {(name, seed) for name in INITIALIZERS for seed in SEEDS}
    (result,) = stored(client, "results")
    for key, run in models.items():
        assert {"network.hidden_sizes": "[4, 3]", "training.learning_rate": "0.1"}.items() <= run.data.params.items()
        for name in ("final_cost", "train_accuracy", "test_accuracy", "largest_rise"):
            assert run.data.metrics[name] == table.loc[key, name]
        assert run.data.tags["initial_label"] == table.loc[key, "initial_label"]
        assert run.data.tags["results"] == f"|{result.info.run_name}|"
    assert models["small", 5].data.params["std"] == "0.01"


def test_the_highlighted_seeds_models_have_a_curve_boundaries_gradients_data_and_a_logged_model(
    finished: Laboratory, client: MlflowClient, tmp_path: Path
) -> None:
    assert {model.name for model in logged_models(client)} == {"zeros-seed-3", "small-seed-3", "he-seed-3"}
    (he,) = stored(client, "models", "params.initializer = 'he' and params.seed = '3'")
    costs = atomic_files.read_csv(finished.root / "runs" / "he" / "costs.csv", trained.COSTS)
    history = client.get_metric_history(he.info.run_id, "cost")
    assert [m.value for m in history] == costs["cost"][costs["seed"] == 3].tolist()
    layers = pd.read_csv(finished.root / "diagnostics" / "he" / "layers.csv").set_index("seed")
    gradients = client.get_metric_history(he.info.run_id, "first_gradient")
    assert [(m.step, m.value) for m in gradients] == list(enumerate(layers.loc[3, "weight_gradient_rms"], start=1))
    pictures = [name for name in artifacts(client, he.info.run_id) if name.endswith(".png")]
    steps = sorted(int(re.search(r"step.(\d+)", name)[1]) for name in pictures)  # type: ignore[index]
    assert steps == [0, 1, 10, 40]
    (model,) = (m for m in logged_models(client) if m.name == "he-seed-3")
    assert {metric.key for metric in model.metrics} == set(runs.MEASURED)
    path = Path(client.download_artifacts(he.info.run_id, "", str(tmp_path)))
    assert not list(path.rglob("*.npz"))
    (other,) = stored(client, "models", "params.initializer = 'he' and params.seed = '5'")
    assert artifacts(client, other.info.run_id) == []
    assert "cost" not in other.data.metrics


@pytest.mark.parametrize(
    ("n_recorded", "n_points", "expected"),
    [(5, 0, []), (5, 1, [4]), (5, 2, [0, 4]), (5, 3, [0, 2, 4]), (5, 5, [0, 1, 2, 3, 4]), (5, 99, [0, 1, 2, 3, 4])],
)
def test_points_of_a_curve_are_spread_evenly(n_recorded: int, n_points: int, expected: list[int]) -> None:
    assert runs.points(n_recorded, n_points) == expected


@pytest.mark.parametrize(("named", "expected"), [((), [3]), ((0, 5), [0, 3, 5])])
def test_the_highlighted_seed_and_those_named_are_detailed(named: tuple[int, ...], expected: list[int]) -> None:
    P = params.load(ROOT / "params.yaml")
    P = P.model_copy(update={"tracking": P.tracking.model_copy(update={"detailed_seeds": named})})
    assert [seed for seed in range(8) if runs.is_detailed(P, seed)] == expected


def test_long_values_remain_different() -> None:
    long = {"seeds": str(list(range(4000)))}
    other = {"seeds": str([*range(3999), 5000])}
    assert runs.cut(long) != runs.cut(other)
    assert len(runs.cut(long)["seeds"]) < 600
    assert runs.cut({"a": "b"}) == {"a": "b"}


# ---------------------------------------------------------------------------------------------------------------------
# Names


def test_a_result_is_named_by_what_differs_from_the_committed_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "git", lambda *arguments: "0123abc")
    committed = {"a.b": "1", "a.c": "2", "x.y": "3"}
    assert provenance.name(committed, committed) == "committed params 0123abc"
    assert provenance.name(committed | {"a.b": "5"}, committed) == "a.b=5"
    assert provenance.name({"a.b": "1", "a.c": "2", "z": "[1, 2]"}, committed) == "z=[1, 2], x.y removed"
    many = {f"k{i}": "0" for i in range(5)}
    assert provenance.name(committed | many, committed) == "k0=0, k1=0, k2=0, 2 more"
    assert provenance.name(committed, {}) == "uncommitted params"


def test_leaves_are_those_of_dvc_params_diff() -> None:
    document = {
        "network": {"hidden_sizes": [10, 5]},
        "initializers": {"he": {"layers": {"3": {"gain": 2.0}}}},
        "s": None,
    }
    expected = {"network.hidden_sizes": "[10, 5]", "initializers.he.layers.3.gain": "2.0", "s": "None"}
    assert provenance.leaves(json.dumps(document).encode()) == expected


# ---------------------------------------------------------------------------------------------------------------------
# Identity


def identities() -> tuple[str, str, set[str]]:
    """Of the result in the current folder, of its tables and figures, and of its models."""
    result = runs.result(params.load())
    models = {model.identity for each in result.models.values() for model in each}
    return result.run.identity, result.run.detail, models


def test_what_makes_another_result_and_what_another_model(
    laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(laboratory.root)
    result, content, models = identities()
    assert len(models) == 6

    laboratory.change("reports/comparison.md", "# Comparison", "# The comparison")
    same_result, other_content, same_models = identities()
    assert (same_result, same_models) == (result, models)
    assert other_content != content

    laboratory.change("params.yaml", "confidence: 0.95", "confidence: 0.9")
    other_result, _, same_models = identities()
    assert other_result != result
    assert same_models == models

    path = laboratory.root / "runs" / "he" / "weights.npz"
    weights = trained.read_weights(path, SEEDS, [2, 4, 3, 1])
    weights[0][0][1, 0, 0] += 2.0**-40  # of seed 5
    path.unlink()  # a link to DVC's cache
    trained.write_weights(path, SEEDS, weights)
    assert len(identities()[2] & models) == 5
    assert identities()[0] != other_result


def test_a_long_report_is_cut_between_sections() -> None:
    """MLflow itself would cut it within a line and warn."""
    table = "| a | b |\n" * 300
    report = f"# Title\n\nIn short.\n\n## One\n\n{table}\n### Two\n\n{table}\n## Three\n\n{table}\n## Figures\n\n![](a.png)\n"
    found = runs.first_sections(report)
    assert (
        found
        == f"# Title\n\nIn short.\n\n## One\n\n{table}\n### Two\n\n{table}\n\nMore in reports/comparison.md, below Artifacts."
    )
    assert len(found) < 7100
    assert runs.first_sections("# Title\n\n## One\n\ntext\n\n## Figures\n") == "# Title\n\n## One\n\ntext\n"
