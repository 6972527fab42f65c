"""Mutual exclusion of the processes that publish the same result to an MLflow store, on one or more computers.

Exactly one process publishes a result. Each candidate creates an unfinished parent run. Of the live candidates that
see each other, the one with the smallest run id waits until it is alone, and the others withdraw. A result is published
once its parent run is finished. A process that is killed leaves a parent run whose heartbeat stops.
"""

import contextlib
import os
import platform
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import ViewType

FINGERPRINT = "fingerprint"  # tag of a parent run: the result that it represents
OF = "pipeline"  # tag of a child run: the result that it belongs to
SIGN = "publisher"  # tag of an unfinished parent run: computer, process and time of the last heartbeat
PAUSE = 5.0  # seconds between two heartbeats
DEAD = 60.0  # seconds without a heartbeat after which a process of another computer is considered dead


def claim(
    client: MlflowClient, experiment: str, fingerprint: str, create: Callable[[int], str]
) -> tuple[str, int | None]:
    """The id of the parent run of a result and, if this process has to publish it, its start in ms, otherwise None.

    `create(start)` creates a parent run with the fingerprint and a heartbeat and returns its id. Waits while another
    process publishes the result; deletes the remains of interrupted ones.
    """
    own, start = "", 0
    signs: dict[str, tuple[str, float]] = {}
    try:
        while True:
            parents = search(client, experiment, f"tags.{FINGERPRINT} = '{fingerprint}'")
            others = [run for run in parents if run.info.run_id != own]
            done = [str(run.info.run_id) for run in others if run.info.status == "FINISHED"]
            alive = [str(run.info.run_id) for run in others if is_alive(run, signs)]
            if own and (done or min(alive, default=own) < own):
                client.delete_run(own)
                own = ""
            if done:
                return min(done), None
            if own and not alive:
                delete_remains(client, experiment, fingerprint, others)
                return own, start
            if not own and not alive:
                start = int(time.time() * 1000)
                own = create(start)
                continue
            if own:
                client.set_tag(own, SIGN, sign())
            time.sleep(random.uniform(0.3, 0.9))
    except BaseException:
        give_up(client, own)
        raise


def give_up(client: MlflowClient, parent: str) -> None:
    """Mark an unfinished parent run as killed, so that no process waits for its heartbeat to time out.

    Errors of the store are ignored.
    """
    with contextlib.suppress(Exception):
        if parent:
            client.set_terminated(parent, "KILLED")


def sign() -> str:
    """The heartbeat of this process: computer, process id, time in s."""
    return f"{platform.node()} {os.getpid()} {time.time():.3f}"


def is_alive(run: Any, signs: dict[str, tuple[str, float]]) -> bool:
    """Whether a process still publishes a parent run. `signs` stores each last heartbeat and when it was first seen.

    A dead process of this computer is detected at once, except on Windows; others after DEAD seconds without a new
    heartbeat by the clock of this computer, so clocks need not be synchronized.
    """
    heartbeat = run.data.tags.get(SIGN, "")
    if run.info.status != "RUNNING" or not heartbeat:
        return False
    node, process, _ = heartbeat.rsplit(" ", 2)
    if os.name == "posix" and node == platform.node() and not is_running(int(process)):
        return False
    known, since = signs.get(run.info.run_id, ("", 0.0))
    if known != heartbeat:
        signs[run.info.run_id] = heartbeat, time.monotonic()
        return True
    return time.monotonic() - since < DEAD


def is_running(process: int) -> bool:
    """Whether a process with this id exists on this computer. Not for Windows, where os.kill would end it."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def delete_remains(client: MlflowClient, experiment: str, fingerprint: str, parents: Sequence[Any]) -> None:
    """Delete unfinished parent runs and all child runs of the result, also those whose parent run a user deleted."""
    for run in [*search(client, experiment, f"tags.{OF} = '{fingerprint}'"), *parents]:
        client.delete_run(run.info.run_id)


def search(client: MlflowClient, experiment: str, filter_string: str) -> list[Any]:
    """All runs that match a filter, without deleted ones."""
    runs: list[Any] = []
    token: str | None = None
    while True:
        page = client.search_runs([experiment], filter_string, ViewType.ACTIVE_ONLY, page_token=token)
        runs += page
        token = page.token
        if not token:
            return runs
