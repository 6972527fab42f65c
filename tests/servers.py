"""The servers of compose.yaml without Docker: Debian's PostgreSQL, moto for S3, and MLflow by its own command line there.

All listen on 127.0.0.1 alone and are gone afterwards.
"""

import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.browser import free_port

logging.getLogger("werkzeug").setLevel(logging.ERROR)  # moto's server tells each request
COMPOSE: dict[str, Any] = YAML(typ="safe").load(Path(__file__).parent.parent / "compose.yaml")
SECRETS = {
    "POSTGRES_PASSWORD": "of-postgres-in-a-test",
    "S3_ACCESS_KEY": "key-in-a-test",
    "S3_SECRET_KEY": "of-s3-in-a-test",
    "MLFLOW_ADMIN_PASSWORD": "of-the-admin-in-a-test",
    "MLFLOW_SECRET_KEY": "of-flask-in-a-test",
}
BUCKET = "laboratory"


def filled(value: Any, variables: Mapping[str, str]) -> Any:
    """A part of compose.yaml with its ${...} filled in, as Docker does. Raises KeyError for what has to be set."""
    if isinstance(value, dict):
        return {key: filled(part, variables) for key, part in value.items()}
    if isinstance(value, list):
        return [filled(part, variables) for part in value]
    if not isinstance(value, str):
        return value
    defaults = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", value))
    return re.sub(r"\$\{(\w+)[^}]*\}", lambda found: (defaults | dict(variables))[found[1]], value)


def programs_of_postgres() -> Path | None:
    """The folder of PostgreSQL's programs; Debian keeps them off the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    on_path = shutil.which("postgres")
    return found[-1].parent if found else Path(on_path).resolve().parent if on_path else None


@contextmanager
def postgres(password: str) -> Iterator[int]:
    """PostgreSQL with an empty database `mlflow` of a user `mlflow`; gives its port."""
    programs = programs_of_postgres()
    assert programs
    other = "postgres" if os.getuid() == 0 else None  # it refuses to be root
    folder = Path(tempfile.mkdtemp(prefix="postgres"))
    port = free_port()
    try:
        (folder / "password").write_text(password)
        if other:
            shutil.chown(folder, "postgres")
            shutil.chown(folder / "password", "postgres")
        made = [f"--pgdata={folder}/data", "--username=mlflow", f"--pwfile={folder}/password", "--auth=scram-sha-256"]
        made.append("--no-sync")  # what is lost with a power cut does not matter here
        subprocess.run([programs / "initdb", *made], check=True, capture_output=True, cwd="/", user=other, group=other)
        where = ["-F", "-D", f"{folder}/data", "-k", folder, "-h", "127.0.0.1", "-p", str(port)]
        with running([programs / "postgres", *where], {}, folder / "said.txt", other):
            call = [programs / "createdb", "--host=127.0.0.1", f"--port={port}", "--username=mlflow", "mlflow"]
            environment = {"PGPASSWORD": password, "PATH": os.environ["PATH"]}
            wait(lambda: subprocess.run(call, env=environment, capture_output=True).returncode == 0)
            yield port
    finally:
        shutil.rmtree(folder)


@contextmanager
def s3() -> Iterator[str]:
    """An S3 with one empty bucket; gives its address."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    try:
        bucket(address).create()
        yield address
    finally:
        server.stop()


def bucket(address: str) -> Any:
    """boto3's own view of the bucket."""
    import boto3

    keys = {"aws_access_key_id": SECRETS["S3_ACCESS_KEY"], "aws_secret_access_key": SECRETS["S3_SECRET_KEY"]}
    return boto3.resource("s3", endpoint_url=address, region_name="us-east-1", **keys).Bucket(BUCKET)


@contextmanager
def mlflow(s3_address: str, postgres_port: int, folder: Path) -> Iterator[str]:
    """The service `mlflow` of compose.yaml, elsewhere than in a container; gives its address."""
    service = filled(COMPOSE["services"]["mlflow"], SECRETS)
    port = free_port()
    replaced = {"--host": "127.0.0.1", "--port": port}
    options = [option.split("=", 1) for option in service["command"][2:]]
    command = [Path(sys.executable).parent / "mlflow", "server"]
    command += [f"{name}={replaced.get(name, value)}" for name, value in options]
    environment = service["environment"] | {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(postgres_port),
        "MLFLOW_S3_ENDPOINT_URL": s3_address,
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "mlflow_auth.ini"),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "HOME": "/nonexistent",  # of nobody, who runs it in the container
    }
    (folder / "mlflow_auth.ini").write_text(COMPOSE["configs"]["mlflow_auth"]["content"])
    address = f"http://127.0.0.1:{port}"
    with running(command, environment, folder / "said.txt"):
        wait(lambda: status(f"{address}/health") == 200)
        yield address


def status(address: str, **headers: str) -> int:
    """The status of HTTP with which an address answers; 0 if it does not."""
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


@contextmanager
def running(command: list[Any], environment: Mapping[str, str], log: Path, user: str | None = None) -> Iterator[None]:
    """A process and its children, of another user or ours, ended together; what it said is shown when something fails."""
    how: dict[str, Any] = {"cwd": "/", "start_new_session": True, "user": user, "group": user}
    with log.open("wb") as said:
        process = subprocess.Popen(command, env=environment or None, stdout=said, stderr=said, **how)
    try:
        yield
    except BaseException:
        print(log.read_text()[-5000:])
        raise
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait(is_ready: Any) -> None:
    """Wait until a server answers; five minutes at most."""
    end = time.monotonic() + 300
    while not is_ready():
        assert time.monotonic() < end, "the server does not answer"
        time.sleep(0.2)
