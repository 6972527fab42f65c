"""Who publishes a result: one process of all that want to, on one computer or many, at any store of MLflow.

Who wants to publish makes a parent run first, unfinished, and goes on only when no other's is alive. Of two that see
each other the larger id gives way and the smaller waits, so one that went on before it could be seen is waited for.
Once the parent is finished the result is published. Whoever dies leaves a parent that gives no more sign of life.
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

FINGERPRINT = "fingerprint"  # tag of a parent: the result that it stands for
OF = "pipeline"  # tag of a child: the result that it belongs to
SIGN = "publisher"  # tag of a parent that is not finished: its computer, its process, its last sign of life
PAUSE = 5.0  # seconds between two signs
DEAD = 60.0  # seconds without a sign after which a process of another computer counts as dead


def claim(
    client: MlflowClient, experiment: str, fingerprint: str, create: Callable[[int], str]
) -> tuple[str, int | None]:
    """The parent of a result, and when it started, in ms, if it is ours to publish; None if it is published.

    `create` makes a parent with that start, the fingerprint and a sign. Waits while another process publishes the
    result; deletes what an interrupted one left.
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
    """End a parent that is not finished, so that nobody need wait for it to count as dead; if the store answers."""
    with contextlib.suppress(Exception):
        if parent:
            client.set_terminated(parent, "KILLED")


def sign() -> str:
    """This process, alive now."""
    return f"{platform.node()} {os.getpid()} {time.time():.3f}"


def is_alive(run: Any, signs: dict[str, tuple[str, float]]) -> bool:
    """Whether somebody still works on a parent. `signs` keeps the last sign of each and when it was seen first.

    A dead process of this computer is known at once, except on Windows; any other when no new sign came for DEAD
    seconds of our own clock, so that clocks need not agree.
    """
    given = run.data.tags.get(SIGN, "")
    if run.info.status != "RUNNING" or not given:
        return False
    node, process, _ = given.rsplit(" ", 2)
    if os.name == "posix" and node == platform.node() and not is_running(int(process)):
        return False
    known, since = signs.get(run.info.run_id, ("", 0.0))
    if known != given:
        signs[run.info.run_id] = given, time.monotonic()
        return True
    return time.monotonic() - since < DEAD


def is_running(process: int) -> bool:
    """Whether there is a process of that number on this computer, which is not Windows."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def delete_remains(client: MlflowClient, experiment: str, fingerprint: str, parents: Sequence[Any]) -> None:
    """Delete unfinished parents and all children of the result: of those, and of a parent that a user deleted alone."""
    for run in [*search(client, experiment, f"tags.{OF} = '{fingerprint}'"), *parents]:
        client.delete_run(run.info.run_id)


def search(client: MlflowClient, experiment: str, filter_string: str) -> list[Any]:
    """All runs that a filter lets through, deleted ones apart."""
    runs: list[Any] = []
    token: str | None = None
    while True:
        page = client.search_runs([experiment], filter_string, ViewType.ACTIVE_ONLY, page_token=token)
        runs += page
        token = page.token
        if not token:
            return runs
