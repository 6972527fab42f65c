"""Delete a result from the MLflow store: `python -m pipeline.tracking.delete NAME`; without a name, list the results.

The initializers and models that no other result contains are deleted too. In a local store, `mlflow gc` then removes
their artifacts, with those of all runs that were deleted before, and the database shrinks.
"""

import argparse
import contextlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import UserError, exit_code
from pipeline.tracking import store
from pipeline.tracking.publish import IDENTITY, delete, names_of, release
from pipeline.tracking.store import Store


def listing(opened: Store) -> str:
    """The results in the store, one per line: the beginning of the identity, and the names."""
    found = opened.search("results")
    lines = [f"{run.data.tags[IDENTITY][:8]}  {', '.join(names_of(run))}" for run in found]
    return "\n".join(lines) or f"MLflow's store {opened.uri} has no results."


def delete_result(opened: Store, name: str) -> int:
    """Delete a result by a name or by the first eight characters of its identity, with what it alone contains.

    Returns the number of initializers and models that were deleted or lost the name. Raises UserError.
    """
    found = [run for run in opened.search("results") if name in [*names_of(run), run.data.tags[IDENTITY][:8]]]
    if len(found) != 1:
        raise UserError(
            f"{len(found)} results in MLflow's store {opened.uri} have the name {name}; one name or id can be given. "
            f"There are:\n{listing(opened)}"
        )
    n_released = release(opened, names_of(found[0]))
    delete(opened, found[0])
    return n_released


def collect(uri: str) -> None:
    """Remove all deleted runs and logged models of a local store with their artifacts, and shrink the database."""
    command = [sys.executable, "-m", "mlflow", "gc", "--backend-store-uri", uri, "--tracking-uri", uri]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise UserError(f"`mlflow gc` failed: {done.stderr.strip().splitlines()[-1:]}")
    with contextlib.closing(sqlite3.connect(store.database(uri))) as connection:
        connection.execute("VACUUM")


def main(arguments: Sequence[str] | None = None) -> int:
    """Delete a result, or list all. Returns 1 if there is no such result."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.tracking.delete", description=__doc__)
    parser.add_argument("name", nargs="?", default="", help="a name of the result, or the id that the list shows")
    name = parser.parse_args(arguments).name
    return exit_code(lambda: _list_or_delete(name))


def _list_or_delete(name: str) -> None:
    root = Path(os.environ.get("DVC_ROOT") or ".").resolve()
    with store.reading(root) as opened:  # reports a missing store instead of creating one
        if not name:
            print(listing(opened))
            return
    with store.writing(root) as opened:
        n = delete_result(opened, name)
        if opened.is_local:
            collect(opened.uri)
            print(f"Deleted {name}: {n} initializers and models belonged to it.")
        else:
            print(f"Deleted {name}: `mlflow gc` on the server removes the artifacts.")


if __name__ == "__main__":
    sys.exit(main())
