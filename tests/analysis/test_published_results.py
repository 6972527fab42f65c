"""Published results are shown beside the experiment that they are of, and beside no other."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from ruamel.yaml import YAML

from pipeline.analysis import published_results
from pipeline.config import params, replications
from pipeline.config.schema import Params
from pipeline.datasets import DATASETS
from pipeline.numerics.sums import Array
from pipeline.storage import reports

PARAMS = Path(__file__).parents[2] / "params.yaml"
ALL = {"zeros": 0.5, "random_x10": 0.83, "he": 0.9933}  # the printed training accuracies


def experiment(**changes: Any) -> Params:
    """The shipped experiment with other values, `section__key` for section.key."""
    document = YAML(typ="safe").load(PARAMS)
    for place, value in changes.items():
        section, _, key = place.partition("__")
        if key:
            document[section][key] = value
        else:
            document[section] = value
    return params.check(document)


def shown(P: Params) -> dict[str, float]:
    """The published training accuracy of each initializer that has one."""
    found = published_results.published(P, inputs(P))
    assert list(found.costs["initializer"].unique()) == found.accuracies["initializer"].tolist()
    return dict(zip(found.accuracies["initializer"], found.accuracies["train_accuracy"], strict=True))


def inputs(P: Params) -> Array:
    D = P.data
    (X, _), _ = DATASETS[D.name].split(D.n_train, D.n_test, D.noise, D.train_seed, D.test_seed)
    return X


def test_the_shipped_experiment_has_what_was_printed() -> None:
    assert shown(experiment()) == ALL
    table = published_results.published(experiment(), inputs(experiment())).costs.set_index(
        ["initializer", "iteration"]
    )
    assert table.loc[("he", 0), "cost_median"] == pytest.approx(0.883053746342, abs=1e-12)
    assert list(table.columns) == ["publications", "cost_min", "cost_median", "cost_max"]


@pytest.mark.parametrize(
    "changes",
    [
        {"training__record_every": 50},
        {"training__batch_size": 300},
        {"network__activation": ["relu", "relu"]},
        {"seeds": [3]},
        {"comparison__target_cost": 0.2},
    ],
)
def test_what_does_not_change_a_model_does_not_matter(changes: dict[str, Any]) -> None:
    assert shown(experiment(**changes)) == ALL


@pytest.mark.parametrize(
    "changes",
    [
        {"data__name": "digits", "data__n_train": 500, "network__hidden_sizes": [32]},
        {"data__name": "moons"},
        {"data__n_train": 299},
        {"data__n_test": 99},
        {"data__noise": 0.06},
        {"data__train_seed": 2},
        {"data__test_seed": 1},
        {"network__hidden_sizes": [10, 6]},
        {"network__hidden_sizes": [5, 10]},
        {"network__activation": "tanh"},
        {"network__activation": ["relu", "tanh"]},
        {"training__iterations": 14999},
        {"training__learning_rate": 0.003},
        {"training__batch_size": 299},
        {"training__momentum": 0.5},
        {"comparison__highlight_seed": 4},
        {"seeds": [4, 5], "comparison__highlight_seed": 4},
    ],
    ids=lambda changes: " ".join(f"{key}={value}" for key, value in changes.items()),
)
def test_another_experiment_has_nothing_published(changes: dict[str, Any]) -> None:
    assert shown(experiment(**changes)) == {}


def test_the_name_of_an_initializer_does_not_matter() -> None:
    given = {
        "first": {"recipe": "he_normal"},
        "spelled_out": {"recipe": "he_normal", "gain": 1.0, "bias": 0, "layers": {2: {"recipe": "he_normal"}}},
        "ten": {"recipe": "normal", "std": 1, "gain": 10},
        "nothing": {"recipe": "constant", "value": 0},
        "he": {"recipe": "xavier_normal"},
        "zeros": {"recipe": "zeros", "bias": 0.1},
        "random_x10": {"recipe": "normal", "std": 10.0, "layers": {3: {"gain": 0.5}}},
    }
    P = experiment(initializers=given, comparison__reference="he")
    assert shown(P) == {"first": 0.9933, "spelled_out": 0.9933, "ten": 0.83, "nothing": 0.5}


def test_an_installed_package_has_nothing_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is not in the wheel; the tables have the columns that are read."""
    expected = published_results.published(experiment(), inputs(experiment()))
    monkeypatch.setattr(reports, "PUBLISHED", tmp_path / "replications" / "tutorial")
    found = published_results.published(experiment(), inputs(experiment()))
    assert (len(found.accuracies), len(found.costs)) == (0, 0)
    assert [list(table.columns) for table in found] == [list(table.columns) for table in expected]


def test_the_settings_are_those_of_the_publication() -> None:
    """scikit-learn's circles, 300 and 100 points, noise 0.05, seeds 1 and 2; layers 2, 10, 5, 1; rate 0.01; seed 3."""
    Q = replications.load(reports.PUBLISHED / "params.yaml", replications.Experiment)
    assert Q.data.model_dump() == {
        "name": "circles",
        "n_train": 300,
        "n_test": 100,
        "noise": 0.05,
        "train_seed": 1,
        "test_seed": 2,
    }
    assert (Q.layers_dims, Q.network.activation_names) == ([2, 10, 5, 1], ["relu", "relu"])
    assert (Q.training.iterations, Q.training.learning_rate, Q.training.samples_per_step) == (15000, 0.01, None)
    assert (Q.training.momentum, Q.seeds) == (0.0, (3,))
    for name in ("accuracies", "cost_curves"):
        printed = pd.read_csv(reports.PUBLISHED / f"{name}.csv")
        assert set(printed["initializer"]) == set(Q.initializers)
