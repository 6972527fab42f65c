"""compose.yaml as far as it can be checked without Docker; test_servers.py runs the command line of its MLflow."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import servers

ROOT = Path(__file__).parents[2]
SERVICES: dict[str, dict] = servers.COMPOSE["services"]
TEAM = (ROOT / "docs" / "team.md").read_text(encoding="utf-8")


def test_every_published_port_listens_on_the_own_computer_alone() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert [port for port in ports if not re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)] == []
    assert not any("network_mode" in service for service in SERVICES.values())


def test_no_secret_stands_in_it_and_none_has_a_default() -> None:
    for service in SERVICES.values():
        for name, value in service["environment"].items():
            if re.search("PASSWORD|KEY|SECRET", name):
                assert re.fullmatch(r"\$\{\w+(:\?[^}]*)?\}", value), name
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"\$\{(\w+):\?", text)) == set(servers.SECRETS)
    assert not re.search(r"://[^/@\s]*:[^/@\s]*@", text)  # no password in an address
    for name in servers.SECRETS:
        rest = {key: value for key, value in servers.SECRETS.items() if key != name}
        with pytest.raises(KeyError, match=name):
            servers.filled(servers.COMPOSE, rest)


def test_the_secrets_of_the_instructions_are_those_it_asks_for(tmp_path: Path) -> None:
    code = re.search(r"(?s)python3 -c '(import secrets.*?)' > \.env", TEAM)[1]  # type: ignore[index]
    made = [
        dict(line.split("=", 1) for line in subprocess.check_output([sys.executable, "-c", code], text=True).split())
        for _ in range(2)
    ]
    assert set(made[0]) == set(servers.SECRETS)
    assert all(len(secret) >= 32 for secret in made[0].values())
    assert not set(made[0].values()) & set(made[1].values())
    assert "/.env" in (ROOT / ".gitignore").read_text().split()


def test_versions_are_pinned_and_mlflow_is_the_locks() -> None:
    images = [service["image"] for service in SERVICES.values() if "image" in service]
    made = SERVICES["mlflow"]["build"]["dockerfile_inline"]
    for image in [*images, re.search("FROM (.*)", made)[1]]:  # type: ignore[index]
        assert re.search(r":\d+\.\d+", image), image
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    installed = re.search(r"--constraint /requirements\.lock (.*)", made)[1]  # type: ignore[index]
    for name in re.findall(r"[\w-]+(?=\[|\b)", installed.replace("[auth]", "")):
        assert re.search(rf"(?m)^{name}==", lock), name


def test_every_service_keeps_its_data_and_tells_its_health() -> None:
    assert all("healthcheck" in service and service["restart"] == "unless-stopped" for service in SERVICES.values())
    kept = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert kept == set(servers.COMPOSE["volumes"]) == {"postgres", "s3"}
    needed = SERVICES["mlflow"]["depends_on"]
    assert needed == {name: {"condition": "service_healthy"} for name in ("postgres", "s3")}


def test_accounts_are_on_and_telemetry_is_off() -> None:
    mlflow, s3 = SERVICES["mlflow"], SERVICES["s3"]
    assert "--app-name=basic-auth" in mlflow["command"]
    assert any(option.startswith("--allowed-hosts=") for option in mlflow["command"])
    assert not any("*" in option.replace(":*", "") for option in mlflow["command"])  # any port, not any host
    assert mlflow["environment"]["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert "-master.telemetry=false" in s3["command"]
