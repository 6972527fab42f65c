"""Publishing: each run is in the store exactly once, whatever the store contained and how many processes publish."""

import contextlib
import itertools
import math
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, ViewType
from sqlalchemy import event
from sqlalchemy.orm import Session

from pipeline.errors import UserError
from pipeline.storage import trained
from pipeline.tracking import publish, store
from pipeline.tracking.content import Details, Network, Run
from pipeline.tracking.publish import FULL, Result
from pipeline.tracking.store import LEVELS
from tests.marks import slow
from tests.stores import artifacts, logged_models, runs

DATA = [DatasetInput(Dataset("circles train", "a" * 32, "local", "{}"), [InputTag("mlflow.data.context", "train")])]


def run(name: str, identity: str = "", detail: Any = 0, details: Callable[[Path], Details] | None = None) -> Run:
    initializer, _, seed = name.partition(" seed ")
    params = {"initializer": initializer, "seed": seed or "all"}
    return Run(
        name, identity or name, params, {}, [("train_accuracy", 0.75, 0)], detail, details or (lambda _: Details())
    )


def result(
    identity: str = "abc", names: Sequence[str] = ("he seed 3", "he seed 4"), experiment: str = "", content: str = "1"
) -> Result:
    """A result with models of these names, and with a table that holds `content`."""

    def details(folder: Path) -> Details:
        (folder / "table.csv").write_text(content)
        return Details(files=[(folder / "table.csv", "reports/table.csv")], data=DATA)

    whole = Run(
        f"result {identity}", identity, {"network.hidden_sizes": "[10, 5]"}, {"note": content}, [], content, details
    )
    return Result(whole, [run("he")], {"settings": [with_settings(run(name)) for name in names]}, experiment)


def with_settings(model: Run) -> Run:
    return model._replace(tags={publish.SETTINGS: "settings"})


def with_models(made: Result, models: Sequence[Run]) -> Result:
    return made._replace(models={"settings": [with_settings(model) for model in models]})


def detailed(*, fail: str = "", points: int = 2) -> Run:
    """A model with a curve of so many points, data and a saved network; `fail` interrupts it before or after it is saved."""

    def details(folder: Path) -> Details:
        trained.write_weights(folder / "w.npz", [3], [(np.ones((1, 1, 2)), np.ones((1, 1, 1)))])
        network = Network(folder / "w.npz", 2, [])
        if fail == "before":
            raise KeyboardInterrupt
        curve = [("cost", 1.0 / (i + 1), 10 * i) for i in range(points)]
        return Details(curve, data=DATA, model=network)

    return run("he seed 3", detail=FULL, details=details)


def client(root: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{root.as_posix()}/mlflow.db")


def put(root: Path, made: Result) -> bool:
    with store.writing(root) as opened:
        return publish.publish(opened, made)


def state(root: Path) -> dict[str, dict[str, str]]:
    """The tag `results` of each run by its name, for each level; every run is finished and there once."""
    found: dict[str, dict[str, str]] = {}
    for level in LEVELS:
        rows = runs(client(root), level)
        assert {row.info.status for row in rows} <= {"FINISHED"}
        assert len({row.data.tags["identity"] for row in rows}) == len(rows)
        found[level] = {row.info.run_name: row.data.tags["results"] for row in rows}
    return found


def only(root: Path, level: str, name: str) -> Any:
    (found,) = (row for row in runs(client(root), level) if row.info.run_name == name)
    return found


# ---------------------------------------------------------------------------------------------------------------------
# Content


def test_the_content_of_a_result_can_be_read_back(root: Path) -> None:
    assert put(root, result())
    tag = "|result abc|"
    models = {"he seed 3": tag, "he seed 4": tag}
    assert state(root) == {"results": {"result abc": tag}, "initializers": {"he": tag}, "models": models}
    row = only(root, "results", "result abc")
    assert row.data.params == {"network.hidden_sizes": "[10, 5]"}
    assert artifacts(client(root), row.info.run_id) == ["reports/table.csv"]
    (data,) = row.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest, data.tags[0].value) == ("circles train", "a" * 32, "train")
    model = only(root, "models", "he seed 4")
    assert model.data.params == {"initializer": "he", "seed": "4"}
    assert model.data.metrics == {"train_accuracy": 0.75}


def test_more_parameters_and_metrics_than_mlflow_takes_in_one_call(root: Path) -> None:
    params = {f"p{i}": str(i) for i in range(250)}
    metrics = [("cost", float(i), i) for i in range(1200)]
    big = run("he seed 3")._replace(params=params, metrics=metrics)
    put(root, with_models(result(), [big]))
    row = only(root, "models", "he seed 3")
    assert row.data.params == params
    history = client(root).get_metric_history(row.info.run_id, "cost")
    assert [(m.step, m.value) for m in history] == [(i, float(i)) for i in range(1200)]
    assert row.data.metrics == {"cost": 1199.0}


def rows(root: Path) -> dict[str, list[tuple]]:
    """The tables of a store with the runs' names for their ids, without times and the ids of experiments' artifacts."""
    found = {}
    with contextlib.closing(sqlite3.connect(root / "mlflow.db")) as connection:
        connection.row_factory = sqlite3.Row
        names = dict(tuple(row) for row in connection.execute("SELECT run_uuid, name FROM runs"))
        for table in store.TABLES:
            found[table] = []
            for row in connection.execute(f"SELECT * FROM {table}"):
                values = {key: row[key] for key in row.keys()}  # noqa: SIM118
                run_id = values["run_uuid"]
                if table == "runs":
                    assert values["artifact_uri"].endswith(f"/mlartifacts/models/{run_id}/artifacts")
                    assert values.pop("artifact_uri").startswith("file:///")
                    assert values["end_time"] - values["start_time"] == 0
                found[table].append(sorted((values | {"run_uuid": names[run_id]}).items(), key=str))
            found[table].sort(key=str)
    return found


METRICS = [
    ("final_cost", math.inf, 0),
    ("rise", -math.inf, 0),
    ("share", math.nan, 0),
    ("cost", 0.5, 10),
    ("cost", 2.0, 0),
]


@pytest.mark.parametrize("has_tables", [True, False], ids=["tables as expected", "another column"])
def test_runs_without_details_are_written_as_mlflow_writes_them(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_tables: bool
) -> None:
    """All in one transaction without MLflow, or one by one by MLflow if its tables have another form."""
    monkeypatch.setattr(publish.time, "time", lambda: 1e9)
    models = [with_settings(run(f"he seed {seed}")._replace(metrics=METRICS)) for seed in range(3)]
    calls = []
    create_run = MlflowClient.create_run
    monkeypatch.setattr(
        MlflowClient, "create_run", lambda *given, **named: (calls.append(given), create_run(*given, **named))[1]
    )
    if not has_tables:
        monkeypatch.setitem(store.TABLES, "tags", ("key", "value", "run_uuid", "new"))
    with store.writing(root) as opened:
        assert publish._put(opened, "models", [], models, ["one"], 1000) == 3
    assert len(calls) == (0 if has_tables else 3)
    other = tmp_path / "other"
    other.mkdir()
    with store.writing(other) as opened:
        for place, model in enumerate(models):
            publish._create(opened, "models", model, ["one"], 1000 - place)
    assert rows(root) == rows(other)
    assert len(rows(root)["metrics"]) == 15
    found = [(row.info.run_name, row.data.metrics["cost"]) for row in runs(client(root), "models")]
    assert found == [("he seed 0", 0.5), ("he seed 1", 0.5), ("he seed 2", 0.5)]


def test_mlflow_lists_the_models_in_order(root: Path) -> None:
    names = [f"he seed {seed}" for seed in range(5)]
    put(root, result(names=names))
    assert [row.info.run_name for row in runs(client(root), "models")] == names


def test_a_detailed_model_is_a_logged_model_with_metrics_and_results(root: Path) -> None:
    put(root, with_models(result(), [detailed(points=1200)]))  # more than MLflow takes in one call
    put(root, with_models(result("def"), [detailed(points=1200)]))
    (model,) = logged_models(client(root))
    assert (model.name, str(model.status), model.params["seed"]) == ("he-seed-3", "READY", "3")
    assert {metric.key: metric.value for metric in model.metrics} == {"train_accuracy": 0.75}
    assert model.tags["results"] == "|result abc|result def|"
    row = only(root, "models", "he seed 3")
    assert model.source_run_id == row.info.run_id
    assert [output.model_id for output in row.outputs.model_outputs] == [model.model_id]
    assert len(client(root).get_metric_history(row.info.run_id, "cost")) == 1200
    assert len(client(root).get_metric_history(row.info.run_id, "train_accuracy")) == 1


# ---------------------------------------------------------------------------------------------------------------------
# Once


def test_the_same_result_is_published_once(root: Path) -> None:
    put(root, result())
    before = {row.info.run_id for level in LEVELS for row in runs(client(root), level)}
    assert not put(root, result())
    assert {row.info.run_id for level in LEVELS for row in runs(client(root), level)} == before


def test_a_model_of_several_results_is_there_once_and_names_them(root: Path) -> None:
    put(root, result())
    put(root, result("def", ["he seed 4", "he seed 5"], experiment="rate-5"))
    assert state(root)["models"] == {
        "he seed 3": "|result abc|",
        "he seed 4": "|result abc|rate-5|",
        "he seed 5": "|rate-5|",
    }
    opened = client(root)
    assert len(runs(opened, "models", "tags.results LIKE '%|rate-5|%'")) == 2
    assert len(runs(opened, "initializers", "tags.results LIKE '%|rate-5|%'")) == 1


def test_all_dvc_experiments_with_a_result_are_its_names(root: Path) -> None:
    for experiment in ("wild", "", "wilder", "wild"):
        put(root, result(experiment=experiment))
    found = state(root)
    assert found["results"] == {"wild": "|wild|wilder|"}
    assert set(found["models"].values()) == set(found["initializers"].values()) == {"|wild|wilder|"}


def test_two_results_of_the_same_name_are_distinguished(root: Path) -> None:
    put(root, result("a" * 64, experiment="rate"))
    put(root, result("b" * 64, experiment="rate"))
    assert state(root)["results"] == {"rate": "|rate|", "rate bbbbbbbb": "|rate bbbbbbbb|"}
    put(root, result("b" * 64, experiment="rate"))
    assert len(state(root)["results"]) == 2


def test_an_underscore_in_a_name_is_no_other_character(root: Path) -> None:
    put(root, result("a" * 64, experiment="rate-5"))
    put(root, result("b" * 64, experiment="rate_5"))
    assert state(root)["results"] == {"rate-5": "|rate-5|", "rate_5": "|rate_5|"}
    with store.writing(root) as opened:
        assert publish.release(opened, ["rate_5"]) == 3
    assert set(state(root)["models"].values()) == {"|rate-5|"}


@pytest.mark.parametrize("name", ["it's", 'a"b|c', *slow("100%", "naïve")])
def test_names_with_quotes_and_bars(root: Path, name: str) -> None:
    put(root, result(experiment=name))
    put(root, result(experiment=name))
    (tag,) = set(state(root)["models"].values())
    assert tag == f"|{name.replace('|', '').replace(chr(34), '')}|"


def test_a_tag_that_would_be_too_long_keeps_the_newest_names() -> None:
    names = [f"experiment {i:04}" for i in range(1000)]
    tag = publish._joined(names)
    assert len(tag) <= publish.MAX_TAG
    assert tag.endswith("|experiment 0999|")
    assert tag.startswith("|experiment ")


def test_changed_tables_of_the_same_models_replace_those_of_the_result(root: Path) -> None:
    put(root, result(content="old"))
    before = only(root, "results", "result abc")
    assert put(root, result(content="new"))
    after = only(root, "results", "result abc")
    assert after.info.run_id == before.info.run_id
    assert after.data.tags["note"] == "new"
    path = client(root).download_artifacts(after.info.run_id, "reports/table.csv", str(root))
    assert Path(path).read_text() == "new"
    assert not put(root, result(content="new"))


def test_rows_that_a_changed_result_no_longer_contains_are_released(root: Path) -> None:
    put(root, result("def", ["he seed 4"]))
    put(root, result(names=["he seed 3", "he seed 4"], content="old"))
    put(root, result(names=["he seed 5"], content="new"))
    assert state(root)["models"] == {"he seed 4": "|result def|", "he seed 5": "|result abc|"}


# ---------------------------------------------------------------------------------------------------------------------
# More detail of a model that is there


def test_a_model_gets_the_details_that_another_result_needs_and_keeps_them(root: Path) -> None:
    put(root, with_models(result(), [run("he seed 3")]))
    first = only(root, "models", "he seed 3")
    put(root, with_models(result("def"), [detailed()]))
    put(root, with_models(result("ghi"), [run("he seed 3")]))
    row = only(root, "models", "he seed 3")
    assert row.info.run_id == first.info.run_id
    assert row.data.tags["detail"] == "full"
    assert len(client(root).get_metric_history(row.info.run_id, "cost")) == 2
    assert len(logged_models(client(root))) == 1


def test_a_curve_with_more_points_is_added(root: Path) -> None:
    def points(n: int) -> Run:
        return run("he seed 3", detail=n, details=lambda _: Details([("cost", float(i), i) for i in range(n)]))

    for n, expected in ((2, 2), (4, 4), (3, 4)):
        put(root, with_models(result(), [points(n)]))
        row = only(root, "models", "he seed 3")
        assert len(client(root).get_metric_history(row.info.run_id, "cost")) == expected


# ---------------------------------------------------------------------------------------------------------------------
# Interrupted


CALLS = ("before", "create_logged_model", "log_model_artifacts", "log_outputs", "update_run")


@pytest.mark.parametrize(
    ("when", "exists"),
    [*itertools.product(CALLS, [False]), ("set_terminated", False), *slow(*itertools.product(CALLS, [True]))],
)
def test_an_interrupted_publishing_is_completed(
    root: Path, monkeypatch: pytest.MonkeyPatch, when: str, exists: bool
) -> None:
    """`exists`: the model is there already, without its details."""
    if exists:
        put(root, with_models(result("def"), [run("he seed 3")]))

    def interrupted(*arguments: Any, **named: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        if when == "create_logged_model":  # interrupted after it, not before
            create = MlflowClient.create_logged_model

            def create_then_stop(*arguments: Any, **named: Any) -> None:
                create(*arguments, **named)
                raise KeyboardInterrupt

            patched.setattr(MlflowClient, when, create_then_stop)
        elif when != "before":
            patched.setattr(MlflowClient, when, interrupted)
        with pytest.raises(KeyboardInterrupt):
            put(root, with_models(result(), [detailed(fail=when)]))
    assert not runs(client(root), "results", "tags.identity = 'abc' and attributes.status = 'FINISHED'")
    put(root, with_models(result(), [detailed()]))
    assert state(root)["models"] == {"he seed 3": "|result def|result abc|" if exists else "|result abc|"}
    (model,) = logged_models(client(root))
    assert str(model.status) == "READY"
    row = only(root, "models", "he seed 3")
    keys = ("cost", "train_accuracy")
    assert [len(client(root).get_metric_history(row.info.run_id, key)) for key in keys] == [2, 1]


# ---------------------------------------------------------------------------------------------------------------------
# Several publishers at a server, without a lock


def server(root: Path) -> store.Store:
    """The local store as if it were a server: publishing repeats its steps until nothing is left to do."""
    with store.writing(root) as opened:
        pass

    class Server(store.Store):
        is_local = False  # type: ignore[assignment]

    return Server(*opened)


def test_of_duplicates_the_smallest_id_stays_with_all_names(root: Path) -> None:
    opened = server(root)
    publish.publish(opened, result(experiment="one"))
    publish.publish(opened, result("def", experiment="other"))
    duplicate = result(experiment="one")
    for level, each in (("models", duplicate.models["settings"][0]), ("results", duplicate.run)):
        publish._create(opened, level, each, ["one"], 5)
    ids = sorted(row.info.run_id for row in runs(client(root), "models", "params.seed = '3'"))
    assert len(ids) == 2
    publish.publish(opened, duplicate)
    assert only(root, "models", "he seed 3").info.run_id == ids[0]
    assert set(state(root)["models"].values()) == {"|one|other|"}
    assert len(state(root)["results"]) == 2


def test_a_run_that_another_process_deletes_while_it_is_written_is_no_error(root: Path) -> None:
    """The other process has finished the same run first."""
    opened = server(root)

    def details(folder: Path) -> Details:
        (mine,) = (row for row in runs(client(root), "models") if row.info.status == "RUNNING")
        client(root).delete_run(mine.info.run_id)
        publish._create(opened, "models", with_settings(run("he seed 3")), ["theirs"], 5)
        return Details([("cost", 1.0, 0)])

    made = with_models(result(), [run("he seed 3", detail=1, details=details)])
    first = itertools.chain([details], itertools.repeat(lambda _: Details([("cost", 1.0, 0)])))
    model = made.models["settings"][0]._replace(details=lambda folder: next(first)(folder))
    publish.publish(opened, made._replace(models={"settings": [model]}))
    assert state(root)["models"] == {"he seed 3": "|theirs|result abc|"}


def test_a_run_that_another_process_deletes_before_it_gets_a_name_is_no_error(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other process keeps a run of the same identity with a smaller id."""
    opened = server(root)
    publish.publish(opened, result())
    set_names = publish._set_names
    deleted = []

    def delete_before(opened_store: Any, renamed: Sequence[tuple[Any, Sequence[str]]]) -> None:
        for row, _ in renamed:
            if row.data.tags["identity"] == "he seed 3" and not deleted:
                deleted.append(row)
                client(root).delete_run(row.info.run_id)
                publish._create(opened, "models", with_settings(run("he seed 3")), ["theirs"], 5)
        set_names(opened_store, renamed)

    monkeypatch.setattr(publish, "_set_names", delete_before)
    publish.publish(opened, result("def", experiment="mine"))
    assert deleted
    assert state(root)["models"] == {"he seed 3": "|theirs|mine|", "he seed 4": "|result abc|mine|"}


@pytest.mark.parametrize("is_there", [False, True])
def test_a_run_that_another_process_deletes_while_its_model_is_saved_leaves_no_model(
    root: Path, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    """`is_there`: without its details, which are added; else it is being created."""
    opened = server(root)
    if is_there:
        publish.publish(opened, with_models(result(), [run("he seed 3")]))
    create_model = MlflowClient.create_logged_model
    deleted = []

    def delete_before(*arguments: Any, source_run_id: str, **named: Any) -> Any:
        if not deleted:
            deleted.append(source_run_id)
            client(root).delete_run(source_run_id)
            publish._create(opened, "models", with_settings(run("he seed 3")), ["theirs"], 5)
        return create_model(*arguments, source_run_id=source_run_id, **named)

    monkeypatch.setattr(MlflowClient, "create_logged_model", delete_before)
    publish.publish(opened, with_models(result("def"), [detailed()]))
    assert state(root)["models"] == {"he seed 3": "|theirs|result def|"}
    (model,) = logged_models(client(root))
    assert model.source_run_id == only(root, "models", "he seed 3").info.run_id != deleted[0]


def test_names_that_two_results_add_at_the_same_time_are_both_kept(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reads the tag before the other writes it; the name that the later write drops is added again."""
    opened = server(root)
    publish.publish(opened, result())
    set_names = publish._set_names
    overwritten = []

    def overwrite(opened_store: Any, renamed: Sequence[tuple[Any, Sequence[str]]]) -> None:
        set_names(opened_store, renamed)
        for row, _ in renamed:
            if row.data.tags["identity"] == "he seed 3" and not overwritten:
                overwritten.append(row)
                client(root).set_tag(row.info.run_id, "results", "|result abc|other|")

    monkeypatch.setattr(publish, "_set_names", overwrite)
    publish.publish(opened, result("def", experiment="mine"))
    assert overwritten
    assert state(root)["models"]["he seed 3"] == "|result abc|other|mine|"


@pytest.mark.parametrize(
    ("moment", "name"),
    [("_put", "he seed 3"), ("_create_all", "he seed 3"), ("_set_names", "he seed 4")],
    ids=["after the search", "before runs are created", "while the tag of the run before it is written"],
)
def test_a_name_that_another_process_adds_meanwhile_is_kept(
    root: Path, monkeypatch: pytest.MonkeyPatch, moment: str, name: str
) -> None:
    """The other process has finished, so it will not add the name again. To create runs takes seconds."""
    opened = server(root)
    publish.publish(opened, result())
    function = getattr(publish, moment)
    added = []

    def add_before(*arguments: Any) -> Any:
        if not added and (moment == "_set_names" or arguments[1] == "models"):
            added.append(only(root, "models", name))
            client(root).set_tag(added[0].info.run_id, "results", "|result abc|other|")
        return function(*arguments)

    monkeypatch.setattr(publish, moment, add_before)
    publish.publish(opened, result("def", ["he seed 3", "he seed 4", "he seed 5"], experiment="mine"))
    assert added
    both = {"he seed 3": "|result abc|mine|", "he seed 4": "|result abc|mine|", "he seed 5": "|mine|"}
    assert state(root)["models"] == both | {name: "|result abc|other|mine|"}


@pytest.mark.parametrize("has_table", [True, False], ids=["table as expected", "no such table"])
def test_tags_of_many_runs_are_changed_whatever_the_tables_of_mlflow(
    root: Path, monkeypatch: pytest.MonkeyPatch, has_table: bool
) -> None:
    """All in one transaction without MLflow, or one by one by MLflow if its table of tags has another form."""
    with store.writing(root) as opened:
        publish.publish(opened, result())
        present = {row.info.run_id: row.data.tags for row in runs(client(root), "models")}
        assert len(present) == 2
        calls = []
        set_tag = MlflowClient.set_tag
        monkeypatch.setattr(MlflowClient, "set_tag", lambda *given: (calls.append(given), set_tag(*given)))
        if not has_table:
            monkeypatch.setattr(store.sqlite3, "connect", lambda path: sqlite3.Connection(":memory:"))
        store.set_tags(opened, "results", {run_id: f"|{run_id}|" for run_id in present})
        monkeypatch.undo()
    assert len(calls) == (0 if has_table else 2)
    for row in runs(client(root), "models"):
        assert row.data.tags == present[row.info.run_id] | {"results": f"|{row.info.run_id}|"}


def test_no_tag_is_changed_unless_all_of_them_exist(root: Path) -> None:
    with store.writing(root) as opened:
        publish.publish(opened, result())
        ids = [row.info.run_id for row in runs(client(root), "models")]
        path = store.database(opened.uri)
        assert not store._updated(path, "results", {ids[0]: "|new|", "no such run": "|new|"})
        assert state(root)["models"] == {"he seed 3": "|result abc|", "he seed 4": "|result abc|"}
        assert store._updated(path, "results", dict.fromkeys(ids, "|new|"))
        assert state(root)["models"] == {"he seed 3": "|new|", "he seed 4": "|new|"}


@contextlib.contextmanager
def outrun(database: Path, table: str) -> Iterator[list[tuple]]:
    """Whenever MLflow is about to insert rows into `table`, another connection inserts them first; they are collected."""
    outrun: list[tuple] = []

    def insert(session: Any, *_: Any) -> None:
        for row in [row for row in session.new if row.__tablename__ == table]:
            names = [column.name for column in row.__table__.columns]
            values = [getattr(row, name) for name in names]
            sql = f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
            with contextlib.closing(sqlite3.connect(database)) as other, other:
                other.execute(sql, values)
            outrun.append(tuple(values))

    event.listen(Session, "before_flush", insert)
    try:
        yield outrun
    finally:
        event.remove(Session, "before_flush", insert)


@pytest.mark.parametrize("table", ["experiments", "experiment_tags", "datasets"])
def test_what_another_process_writes_first_is_no_error(root: Path, table: str) -> None:
    with outrun(root / "mlflow.db", table) as rows:
        with store.writing(root) as opened:
            publish.publish(opened, result())
            store.set_experiment_tags(opened, "results", {"mlflow.note.content": "note"})
        assert client(root).get_experiment_by_name(store.EXPERIMENTS["results"]).tags["mlflow.note.content"] == "note"
    assert rows
    assert [len(rows) for rows in state(root).values()] == [2, 1, 1]


# ---------------------------------------------------------------------------------------------------------------------
# The store


@pytest.mark.slow
def test_what_a_deleted_database_left_does_not_spoil_the_new_one(root: Path) -> None:
    """SQLite would mend the new database with the log of the old one."""
    path = root / "mlflow.db"
    assert publishing(root, ["old"]) == 0  # in another process: MLflow keeps its connections to a deleted file
    killed = "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1]);"
    killed += "c.execute(\"UPDATE alembic_version SET version_num = 'x'\"); c.commit(); os._exit(0)"
    subprocess.run([sys.executable, "-c", killed, str(path)], check=True)
    assert (root / "mlflow.db-wal").stat().st_size > 0
    path.unlink()
    assert publishing(root, ["abc"]) == 0
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert set(state(root)["results"]) == {"result abc"}


@pytest.mark.slow
def test_the_database_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow cannot continue half-made tables; of six processes that created them at once, five crashed."""

    def killed(*arguments: object) -> None:
        (tmp_path / "mlflow.db.part").write_text("half made")
        raise KeyboardInterrupt

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with monkeypatch.context() as patched:
        patched.setattr(store, "SqlAlchemyStore", killed)
        with pytest.raises(KeyboardInterrupt):
            put(tmp_path, result())
    assert not (tmp_path / "mlflow.db").exists()
    assert publishing(tmp_path, ["a", "b", "b"]) == 0
    found = state(tmp_path)
    assert set(found["results"]) == {"result a", "result b"}
    assert {frozenset(tag.strip("|").split("|")) for tag in found["models"].values()} == {frozenset(found["results"])}


PUBLISHERS = """
import os, sys
from pathlib import Path
from tests.tracking import test_publish  # once: to import MLflow takes longer than to publish

children = []
for identity in sys.argv[2:]:
    children.append(os.fork())
    if not children[-1]:
        test_publish.put(Path(sys.argv[1]), test_publish.result(identity))
        os._exit(0)
sys.exit(sum(os.waitpid(child, 0)[1] != 0 for child in children))
"""


def publishing(root: Path, identities: Sequence[str]) -> int:
    """How many fail of as many processes, which publish a result each, all at once."""
    command = [sys.executable, "-c", PUBLISHERS, str(root), *identities]
    return subprocess.run(command, cwd=Path(__file__).parents[2]).returncode


def test_a_deleted_experiment_comes_back(root: Path) -> None:
    put(root, result())
    name = store.EXPERIMENTS["models"]
    client(root).delete_experiment(client(root).get_experiment_by_name(name).experiment_id)
    put(root, result("def"))
    assert client(root).get_experiment_by_name(name).lifecycle_stage == "active"


def test_runs_of_the_previous_version_stay_as_they_are(root: Path) -> None:
    old = client(root)
    experiment = old.create_experiment("weight initialization")
    parent = old.create_run(experiment, tags={"fingerprint": "abc", "level": "pipeline"}).info.run_id
    old.log_batch(parent, metrics=[Metric("cost", 1.0, 0, 0)])
    put(root, result())
    assert [row.info.run_id for row in old.search_runs([experiment], "", ViewType.ALL)] == [parent]
    assert old.get_run(parent).data.metrics == {"cost": 1.0}


@pytest.mark.parametrize(
    "uri", ["http://user:secret@127.0.0.1:9", "sqlite:///{folder}/table.csv/mlflow.db", "nonsense://x"]
)
def test_a_store_that_does_not_respond_is_reported_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    (tmp_path / "table.csv").write_text("")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri.format(folder=tmp_path.as_posix()))
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    with pytest.raises(UserError) as raised:
        put(tmp_path, result())
    message = str(raised.value)
    assert message.startswith("MLflow's store ")
    assert "set MLFLOW_TRACKING_URI to an available store" in message
    assert "secret" not in message
    assert "\n" not in message
    assert sum(waits) < 60.0  # MLflow itself would try again for several minutes


@pytest.mark.parametrize("name", ["ünï 100 %", *slow("a b", "a#b", "a&b=c;d")])
def test_folders_with_characters_that_mean_something_in_a_url(root: Path, name: str) -> None:
    folder = root / name
    folder.mkdir()
    (root / "mlflow.db").rename(folder / "mlflow.db")
    put(folder, with_models(result(), [detailed()]))
    assert {path.name for path in root.iterdir()} == {name}
    assert {"mlflow.db", "mlartifacts"} < {path.name for path in folder.iterdir()}
    with store.reading(folder) as opened:
        (row,) = opened.search("results")
        path = opened.client.download_artifacts(row.info.run_id, "reports/table.csv", str(root))
    assert Path(path).read_text() == "1"
    assert len(list(folder.rglob("table.csv"))) == len(list(folder.rglob("weights.npz"))) == 1


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", "sqlite:///{root}/mlflow.db"),
        ("sqlite:///other.db", "sqlite:///{root}/other.db"),
        ("sqlite:////tmp/x.db", "sqlite:////tmp/x.db"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
    ],
)
def test_the_store_is_anchored_at_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, expected: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", given)
    assert store.store_uri(tmp_path) == expected.format(root=tmp_path.as_posix())
