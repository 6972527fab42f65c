"""Serve the runs of the local store with the web page of MLflow: `python -m pipeline.tracking.serve --port 5000`."""

import argparse
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import UserError, exit_code
from pipeline.tracking import store, ui_views

HOST = "127.0.0.1"


def check(port: int, uri: str) -> None:
    """Raise UserError if the store is a server or does not exist, or the port cannot be used."""
    if not 1 <= port <= 65535:
        raise UserError(f"--port is {port}; it must be a whole number from 1 to 65535.")
    if not uri.startswith(store.SQLITE):
        raise UserError("MLFLOW_TRACKING_URI names a server; open its address in a browser.")
    if not (path := store.database(uri)).is_file():
        raise UserError(f"{path.name} does not exist; run `dvc repro --single-item --force track` to create it.")
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as MLflow's server does
        try:
            listener.bind((HOST, port))
        except OSError as error:
            other = f"choose another, as in `make ui PORT={port + 1 if port < 65535 else 5001}`"
            raise UserError(f"port {port} of {HOST} cannot be used ({error.strerror}); {other}.") from error


def start_page() -> str:
    """The charts of the results, or of the initializers of a single one, relative to the address of the server.

    MLflow's start page if there are no results.
    """
    with store.reading(Path.cwd()) as opened:
        n_results = len(opened.search("results"))
        level, key = ("results", "chart") if n_results > 1 else ("initializers", "latest")
        return ui_views.page(opened.ids[level], key, True) if n_results else ""


def serve(port: int) -> None:
    """Print the address and replace this process by the server of MLflow. Raises UserError if it cannot be started."""
    uri = store.store_uri(Path.cwd())
    check(port, uri)
    print(f"Ready in a few seconds: http://{HOST}:{port}/{start_page()}", flush=True)
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    command = ["server", "--workers", "1", "--host", HOST, "--port", str(port)]
    os.execvp("mlflow", ["mlflow", *command, "--backend-store-uri", uri])


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line. Returns 1 if the server cannot be started."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.tracking.serve", description=__doc__)
    parser.add_argument("--port", type=int, default=5000)
    port = parser.parse_args(arguments).port
    return exit_code(lambda: serve(port))


if __name__ == "__main__":
    sys.exit(main())
