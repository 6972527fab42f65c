"""`make ui`: the address, and what is in its way."""

import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline.tracking import serve, store, ui_views
from tests import browser
from tests.conftest import Laboratory


def test_what_is_in_the_way_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*arguments: str) -> str:
        assert serve.main(arguments) == 1
        (line,) = capsys.readouterr().err.splitlines()
        return line

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert refused() == "MLFLOW_TRACKING_URI names a server; open its address in a browser."
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert refused("--port", "0") == "--port is 0; it must be a whole number from 1 to 65535."
    assert refused("--port", "65536").startswith("--port is 65536; ")
    assert refused() == "mlflow.db does not exist; run `dvc repro --single-item --force track` to create it."
    assert not list(tmp_path.iterdir())  # MLflow would have made an empty database
    (tmp_path / "mlflow.db").touch()
    with socket.socket() as other:
        other.bind((serve.HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        line = refused("--port", str(port))
    assert line.startswith(
        f"port {port} of 127.0.0.1 cannot be used (Address already in use); choose another, as in `make"
    )


def test_the_address_that_is_printed_answers(finished: Laboratory) -> None:
    port = browser.free_port()
    server = finished.start(sys.executable, "-m", "pipeline.tracking.serve", "--port", str(port))
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        address = line.partition(": ")[2].strip()
        client = MlflowClient(finished.store)
        initializers = client.get_experiment_by_name(store.EXPERIMENTS["initializers"]).experiment_id
        assert address == f"http://127.0.0.1:{port}/{ui_views.page(initializers, 'latest', True)}"
        browser.answering(address.partition("#")[0])
        with urllib.request.urlopen(address.partition("#")[0], timeout=60.0) as page:
            assert b"MLflow" in page.read()
    finally:
        server.terminate()
        server.communicate(timeout=60)


def test_make_hands_the_port_on() -> None:
    root = Path(__file__).parents[2]
    for arguments, port in ([], "5000"), (["PORT=5001"], "5001"):
        command = ["make", "--no-print-directory", "-n", "-o", "install", "ui", *arguments]
        done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
        assert done.stdout.splitlines()[-1] == f"python -m pipeline.tracking.serve --port {port}"
