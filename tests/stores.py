"""What an MLflow store contains, read back through MLflow's own client."""

import re
from collections import Counter
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

from pipeline.tracking.publish import names_of
from pipeline.tracking.store import EXPERIMENTS, LEVELS

Published = list[tuple[str, dict[str, Any]]]


def runs(client: MlflowClient, level: str, filter_string: str = "") -> list[Run]:
    """Every run of a level that is not deleted."""
    experiment = client.get_experiment_by_name(EXPERIMENTS[level])
    found: list[Run] = []
    token = None
    while experiment:
        ids = [experiment.experiment_id]
        page = client.search_runs(ids, filter_string, ViewType.ACTIVE_ONLY, 1000, page_token=token)
        found += page
        token = page.token
        if not token:
            break
    return found


def logged_models(client: MlflowClient) -> list[Any]:
    """The logged models of the store."""
    experiment = client.get_experiment_by_name(EXPERIMENTS["models"])
    return list(client.search_logged_models([experiment.experiment_id])) if experiment else []


def published(uri: str, with_histories: bool = True) -> Published:
    """Names and contents of all runs, without what differs from one publishing to the next: ids, dates, commits.

    Of metrics without their histories, each of which takes a request, there are the last values.
    """
    client = MlflowClient(uri)
    models = {model.source_run_id: model for model in logged_models(client)}
    assert len(models) == len(logged_models(client))
    found = []
    for level in LEVELS:
        for run in runs(client, level):
            metrics: dict[str, Any] = dict(run.data.metrics)
            if with_histories:
                for key in metrics:
                    history = client.get_metric_history(run.info.run_id, key)
                    metrics[key] = sorted((m.step, m.value) for m in history)
            model = models.pop(run.info.run_id, None)
            content = {
                "level": level,
                "identity": run.data.tags["identity"],
                "results": [without_commit(name) for name in names_of(run)],
                "detail": run.data.tags["detail"],
                "status": run.info.status,
                "params": run.data.params,
                "metrics": metrics,
                "artifacts": sorted(artifacts(client, run.info.run_id)),
                "model": (model.name, str(model.status), sorted(m.key for m in model.metrics)) if model else None,
            }
            found.append((without_commit(run.info.run_name), content))
    assert not models  # each belongs to a run
    return sorted(found, key=repr)


def without_commit(name: str) -> str:
    return re.sub(r"^committed params \w+$", "committed params", name)


def artifacts(client: MlflowClient, run: str, folder: str | None = None) -> list[str]:
    """The paths of a run's artifacts; of those that MLflow names by step, time and a random id, the step stays."""
    found = []
    for file in client.list_artifacts(run, folder):
        found += (
            artifacts(client, run, file.path)
            if file.is_dir
            else [re.sub(r"[%+]\d{10,}[%+][-0-9a-f]{36}", "", file.path)]
        )
    return found


def assert_whole(uri: str, n_results: int, one: Published) -> None:
    """There are `n_results` results, each with as many initializers and models as `one`, and no run is there twice."""
    found = published(uri, with_histories=False)
    identities = Counter(content["identity"] for _, content in found)
    assert set(identities.values()) == {1}
    assert {content["status"] for _, content in found} == {"FINISHED"}
    names = {content["results"][0] for _, content in found if content["level"] == "results"}
    assert len(names) == sum(content["level"] == "results" for _, content in found) == n_results
    for level in LEVELS:
        contained = Counter(name for _, c in found if c["level"] == level for name in c["results"])
        n_rows = sum(content["level"] == level for _, content in one)
        assert {name: contained[name] for name in names} == dict.fromkeys(names, n_rows)
        expected = {tuple(content["artifacts"]) for _, content in one if content["level"] == level}
        assert {tuple(content["artifacts"]) for _, content in found if content["level"] == level} == expected
