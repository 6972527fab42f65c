"""Bring an MLflow store into the state in which a result, its initializers and its models are in it exactly once.

A run is identified by a digest of its content, its tag `identity`. Publishing searches the runs of these identities,
creates those that are missing, adds the names of the result to their tag `results`, and deletes unfinished and
duplicate runs. The run of the result is finished last. A process that is killed leaves unfinished runs and no result;
publishing again completes it.

In a local store one process publishes at a time (`store.writing`). At a server several may publish the same result at
once: then each repeats these steps until nothing is left to do. Of several finished runs of one identity, each process
keeps the one with the smallest id.
"""

import contextlib
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from pipeline.errors import UserError
from pipeline.tracking.content import Run, add_details, log
from pipeline.tracking.mlflow_api import MlflowException
from pipeline.tracking.store import LEVELS, FinishedRun, Store, insert_runs, retry, set_tags

IDENTITY = "identity"  # tag of a run: the digest of its content
RESULTS = "results"  # tag of a run: the names of the results that contain it, as |one|other|
SETTINGS = "settings"  # tag of a model: the digest of all its parameters but the seed
DETAIL = "detail"  # tag of a run: which of its details are logged; of a model "full" or a number of points
FULL = 1_000_000  # detail of a model with everything; smaller ones are numbers of points of the cost curve
NOTE = "mlflow.note.content"  # tag of a run: its description
MAX_TAG = 5000  # characters of a tag's value, MLflow's limit
PASSES = 20  # over a result at a server, before giving up


class Result(NamedTuple):
    """One result of the pipeline."""

    run: Run
    initializers: Sequence[Run]
    models: Mapping[str, Sequence[Run]]  # by the settings that they share
    experiment: str  # the DVC experiment that made it; empty outside experiments


def publish(store: Store, result: Result, advance: Callable[[int], object] = lambda n: None) -> bool:
    """Publish a result; returns whether anything was missing. `advance` is called with each number of models done."""
    if store.is_local:
        for level in LEVELS:
            _delete_unfinished(store, level)
        return _publish(store, result, advance) > 0
    for number in range(PASSES):
        if not _publish(store, result, advance, number == 0):
            return number > 0
    raise UserError(f"MLflow's store {store.uri} changes faster than the result can be published.")


def publish_runs(store: Store, level: str, runs: Sequence[Run]) -> int:
    """Publish runs that belong to no result, such as replications; returns the number of those that were missing."""
    if store.is_local:
        _delete_unfinished(store, level)
    start = int(time.time() * 1000)
    changes = [
        _put(store, level, _same(store, level, run), [run], [run.name], start - place) for place, run in enumerate(runs)
    ]
    return len([n for n in changes if n])


def _delete_unfinished(store: Store, level: str) -> None:
    """Delete the runs of a process that was killed."""
    for run in store.search(level, "attributes.status = 'RUNNING'"):
        delete(store, run)


def _publish(store: Store, result: Result, advance: Callable[[int], object], is_first: bool = True) -> int:
    """Do what is missing; returns the number of runs created, changed or deleted.

    Only the first pass replaces tables and figures: another process may publish other ones of the same result.
    """
    before = _same(store, "results", result.run)
    names = _names(store, result, before)
    n_changes, start = 0, int(time.time() * 1000)
    for settings, runs in result.models.items():
        present = store.search("models", f"tags.{SETTINGS} = '{settings}'")
        n_changes += _put(store, "models", present, runs, names, start)
        start -= len(runs)
        advance(len(runs))
    found = [row for run in result.initializers for row in _same(store, "initializers", run)]
    n_changes += _put(store, "initializers", found, result.initializers, names, start)
    note = f"{_links(store, names[0])}\n\n{result.run.tags.get(NOTE, '')}"
    whole = result.run._replace(name=names[0], tags={**result.run.tags, NOTE: note})
    whole = whole if is_first or not before else whole._replace(detail=before[0].data.tags[DETAIL])
    if any(_is_behind(run, whole) for run in before):
        identities = {run.identity for runs in [*result.models.values(), result.initializers] for run in runs}
        n_changes += release(store, names, identities)
    return n_changes + _put(store, "results", before, [whole], names, int(time.time() * 1000))


def _same(store: Store, level: str, run: Run) -> list[Any]:
    return store.search(level, f"tags.{IDENTITY} = '{run.identity}'")


def _names(store: Store, result: Result, before: Sequence[Any]) -> list[str]:
    """The names of a result: those that it has, and that of the DVC experiment; else its own, made unique."""
    known = [name for run in sorted(before, key=_age) for name in names_of(run)]
    new = re.sub('["|]', "", result.experiment or ("" if known else result.run.name))  # they end names and filters
    if new and new not in known:
        others = contained(store, "results", [new])
        taken = any(run.data.tags[IDENTITY] != result.run.identity for run in others)
        known.append(f"{new} {result.run.identity[:8]}" if taken else new)
    return list(dict.fromkeys(known))


def contains(name: str) -> str:
    """The filter for the runs that the result of a name contains."""
    return f'tags.{RESULTS} LIKE "%|{name}|%"'


def filtered(experiment: str, filter_string: str) -> str:
    """The URL of the runs of an experiment that match a filter, relative to the address of the server."""
    return f"#/experiments/{experiment}/runs?workflowType=machine_learning&searchFilter={quote(filter_string, safe='')}"


def _links(store: Store, name: str) -> str:
    """Links to the initializers and models of a result, in Markdown."""
    links = {level: filtered(store.ids[level], contains(name)) for level in ("initializers", "models")}
    return " · ".join(f"[{level}]({link})" for level, link in links.items())


def _age(run: Any) -> tuple[int, str]:
    return int(run.info.start_time), str(run.info.run_id)


def names_of(run: Any) -> list[str]:
    """The names of the results that contain an MLflow run."""
    return [name for name in run.data.tags.get(RESULTS, "").split("|") if name]


def _joined(names: Iterable[str]) -> str:
    """The value of the tag `results`; the first names are left out if it is too long."""
    kept = list(dict.fromkeys(names))
    while len(value := f"|{'|'.join(kept)}|") > MAX_TAG:
        kept.pop(0)
    return value


def _is_behind(run: Any, wanted: Run) -> bool:
    """Whether the details of an MLflow run have to be logged."""
    have = run.data.tags.get(DETAIL, "0")
    if isinstance(wanted.detail, str):
        return bool(have != wanted.detail)
    return have != "full" and int(have) < wanted.detail


def _detail(run: Run) -> str:
    """The value of the tag `detail` of a run with all its details."""
    return "full" if run.detail == FULL else str(run.detail)


def _put(store: Store, level: str, found: Sequence[Any], runs: Sequence[Run], names: Sequence[str], start: int) -> int:
    """Make each of `runs` exist once, in the results `names`; `found` are the present runs of their identities.

    Returns the number of changes. Runs start at `start`, in ms, each one millisecond before the previous one, so that
    MLflow, which lists the newest first, keeps the order.
    """
    n_changes = 0
    missing: list[tuple[Run, int]] = []
    kept: list[list[Any]] = []
    present = defaultdict(list)
    for each in found:
        present[each.data.tags.get(IDENTITY)].append(each)
    for place, run in enumerate(runs):
        same = sorted(present[run.identity], key=lambda each: str(each.info.run_id))
        finished = [each for each in same if each.info.status == "FINISHED"]
        if not finished:
            missing.append((run, start - place))
        else:
            kept.append(finished)
            if _is_behind(finished[0], run):
                _update(store, level, finished[0].info, run)
                n_changes += 1
        for each in same:
            if not finished or each.info.run_id != finished[0].info.run_id:
                delete(store, each)
                n_changes += 1
    _create_all(store, level, missing, names)
    # In a local store all at once; at a server a tag is written directly after it is read, since others write it too
    for runs_at_once in [kept] if store.is_local else [[finished] for finished in kept]:
        _set_names(store, renamed := [pair for each in runs_at_once for pair in _renamed(store, each, names)])
        n_changes += len(renamed)
    return n_changes + len(missing)


def _renamed(store: Store, finished: Sequence[Any], names: Sequence[str]) -> list[tuple[Any, Sequence[str]]]:
    """The first of the finished runs of one identity and the names of all their results, if its tag has other ones."""
    wanted = _joined(dict.fromkeys([*names_of(finished[0]), *names]))
    if not store.is_local and (len(finished) > 1 or wanted != finished[0].data.tags.get(RESULTS)):
        finished = [store.client.get_run(each.info.run_id) for each in finished]  # with names added meanwhile
    all_names = list(dict.fromkeys([name for each in finished for name in names_of(each)] + list(names)))
    return [(finished[0], all_names)] if _joined(all_names) != finished[0].data.tags.get(RESULTS) else []


def _set_names(store: Store, renamed: Sequence[tuple[Any, Sequence[str]]]) -> None:
    """Write the names of the results that contain each run to its tag and to those of its logged models."""
    if store.is_local:
        set_tags(store, RESULTS, {run.info.run_id: _joined(names) for run, names in renamed})
    for run, names in renamed:
        with _unless_deleted(store, run.info.run_id):
            if not store.is_local:
                retry(store.client.set_tag, run.info.run_id, RESULTS, _joined(names))
            for model in run.outputs.model_outputs if run.outputs else ():
                store.client.set_logged_model_tags(model.model_id, {RESULTS: _joined(names)})


@contextlib.contextmanager
def _unless_deleted(store: Store, run_id: str) -> Iterator[None]:
    """Ignore an error of writing to a run if another process has deleted it, which keeps one of the same identity."""
    try:
        yield
    except MlflowException:
        info = store.client.get_run(run_id).info
        if info.lifecycle_stage != "deleted":
            raise
        _delete_models(store, info)  # saved after the run was deleted


def delete(store: Store, run: Any) -> None:
    """Delete a run and its logged models, which another process may have deleted already."""
    with contextlib.suppress(MlflowException):
        _delete_models(store, run.info)
        store.client.delete_run(run.info.run_id)


def _delete_models(store: Store, info: Any) -> None:
    for model in store.client.search_logged_models([info.experiment_id], f"source_run_id = '{info.run_id}'"):
        store.client.delete_logged_model(model.model_id)


def release(store: Store, names: Sequence[str], keep: Iterable[str] = ()) -> int:
    """Remove the names of a result from all initializers and models but those with the identities `keep`.

    Those that no other result contains are deleted. Returns the number of runs changed or deleted.
    """
    n_deleted = 0
    renamed: list[tuple[Any, Sequence[str]]] = []
    for level in ("models", "initializers"):
        for run in contained(store, level, names):
            if run.data.tags.get(IDENTITY) not in keep:
                if left := [name for name in names_of(run) if name not in names]:
                    renamed.append((run, left))
                else:
                    delete(store, run)
                    n_deleted += 1
    _set_names(store, renamed)
    return n_deleted + len(renamed)


def contained(store: Store, level: str, names: Sequence[str], also: str = "") -> list[Any]:
    """The runs of a level that a result with these names contains; `also` continues the filter."""
    found = {run.info.run_id: run for name in names for run in store.search(level, contains(name) + also)}
    return [run for run in found.values() if {*names} & {*names_of(run)}]  # LIKE takes _ for any character


def _create_all(store: Store, level: str, runs: Sequence[tuple[Run, int]], names: Sequence[str]) -> None:
    """Create runs, each with the time of its start; in a local store those without details in one transaction."""
    plain = [(run, start) for run, start in runs if store.is_local and run.detail == 0]
    rows = [FinishedRun(run.name, start, _tags(run, names), run.params, run.metrics) for run, start in plain]
    if rows and insert_runs(store, level, rows):
        runs = [(run, start) for run, start in runs if run.detail != 0]
    for run, start in runs:
        _create(store, level, run, names, start)


def _tags(run: Run, names: Sequence[str]) -> dict[str, str]:
    return {IDENTITY: run.identity, RESULTS: _joined(names), DETAIL: _detail(run)} | dict(run.tags)


def _create(store: Store, level: str, run: Run, names: Sequence[str], start: int) -> None:
    """Create a run with its content, then finish it."""
    tags = _tags(run, names)
    info = store.client.create_run(store.ids[level], start_time=start, tags=tags, run_name=run.name).info
    with _unless_deleted(store, info.run_id):
        log(store, info, run.metrics, run.params)
        add_details(store, level, info, run, {RESULTS: _joined(names)})
        if level == "models":  # three times as fast, and there are many
            store.client.set_terminated(info.run_id, end_time=start)
        else:  # without an end, since publishing took the time, not training
            store.client.update_run(info.run_id, "FINISHED")


def _update(store: Store, level: str, info: Any, run: Run) -> None:
    """Log the details of a run that has fewer or other ones; the last step is its tag."""
    names = names_of(store.client.get_run(info.run_id))
    with _unless_deleted(store, info.run_id):
        _delete_models(store, info)  # of an interrupted update
        if isinstance(run.detail, str):
            log(store, info, run.metrics, now=int(time.time() * 1000))
            for key, value in run.tags.items():
                store.client.set_tag(info.run_id, key, value)
        add_details(store, level, info, run, {RESULTS: _joined(names)})
        store.client.set_tag(info.run_id, DETAIL, _detail(run))
