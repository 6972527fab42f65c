"""What an MLflow store holds, read through MLflow's own client: to compare two stores, and to find what stands there twice."""

import re
from collections import Counter
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

from pipeline.tracking.publish import EXPERIMENT

Published = list[tuple[str, dict[str, Any]]]


def runs(client: MlflowClient) -> list[Run]:
    """Every run of ours that is not deleted."""
    experiment = client.get_experiment_by_name(EXPERIMENT)
    found: list[Run] = []
    token = None
    while experiment:
        page = client.search_runs([experiment.experiment_id], "", ViewType.ACTIVE_ONLY, 1000, page_token=token)
        found += page
        token = page.token
        if not token:
            break
    return found


def published(uri: str) -> Published:
    """Names and contents of all runs, without what differs from one publishing to the next: ids, dates, commits."""
    client = MlflowClient(uri)
    all_runs = runs(client)
    names = {run.info.run_id: run.info.run_name for run in all_runs}
    found = []
    for run in all_runs:
        parent = run.data.tags.get("mlflow.parentRunId")
        histories = {key: client.get_metric_history(run.info.run_id, key) for key in run.data.metrics}
        content = {
            "level": run.data.tags.get("level"),
            "fingerprint": run.data.tags.get("fingerprint"),
            "parent": names.get(parent, "a run that is not there") if parent else None,
            "status": run.info.status,
            "params": run.data.params,
            "metrics": {key: sorted((m.step, m.value) for m in history) for key, history in histories.items()},
            "artifacts": sorted(artifacts(client, run.info.run_id)),
        }
        found.append((run.info.run_name, content))
    return sorted(found, key=repr)


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
    """Every result of `n_results` is there once, finished, with children and artifacts as many as `one` has."""
    found = published(uri)
    results = [content["fingerprint"] for _, content in found if content["level"] == "pipeline"]
    assert len(set(results)) == len(results) == n_results
    assert {content["status"] for _, content in found} == {"FINISHED"}
    names = Counter(name for name, content in found if content["level"] != "pipeline")
    assert names == {name: n_results for name, content in one if content["level"] != "pipeline"}
    children = Counter(content["parent"] for _, content in found if content["level"] != "pipeline")
    assert set(children.values()) == {len(one) - 1}
    assert sum(len(content["artifacts"]) for _, content in found) == n_results * sum(
        len(content["artifacts"]) for _, content in one
    )
