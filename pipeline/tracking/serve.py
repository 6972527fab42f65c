"""Serve the runs of mlflow.db with the web page of MLflow: `python -m pipeline.tracking.serve --port 5000`."""

import argparse
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import UserError

HOST = "127.0.0.1"
DATABASE = Path("mlflow.db")
PAGE = "/#/experiments/1/runs?viewStateShareKey=results&workflowType=machine_learning"


class ServeError(UserError):
    """The page cannot be served; the message has one line."""


def check(port: int) -> None:
    """Raise ServeError if mlflow.db does not exist or the port cannot be used."""
    if not 1 <= port <= 65535:
        raise ServeError(f"--port is {port}; it must be a whole number from 1 to 65535.")
    if not DATABASE.is_file():
        raise ServeError(f"{DATABASE} does not exist; run `dvc repro --single-item --force track` to create it.")
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as MLflow's server does
        try:
            listener.bind((HOST, port))
        except OSError as error:
            other = f"choose another, as in `make ui PORT={port + 1 if port < 65535 else 5001}`"
            raise ServeError(f"port {port} of {HOST} cannot be used ({error.strerror}); {other}.") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the address and replace this process by the server of MLflow. Returns 1 if it cannot be started."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.tracking.serve", description=__doc__)
    parser.add_argument("--port", type=int, default=5000)
    port = parser.parse_args(arguments).port
    try:
        check(port)
    except ServeError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Ready in a few seconds: http://{HOST}:{port}{PAGE}", flush=True)
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    command = ["server", "--workers", "1", "--host", HOST, "--port", str(port)]
    os.execvp("mlflow", ["mlflow", *command, "--backend-store-uri", f"sqlite:///{DATABASE}"])


if __name__ == "__main__":
    sys.exit(main())
