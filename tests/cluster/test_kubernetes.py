"""docs/kubernetes.yaml and the section "Kubernetes" of docs/cluster.md: what must agree, and Dask's commands in them."""

import ast
import re
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.clusters import ROOT

PAGE = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Kubernetes")[2].partition("\n## ")[0]
SERVICE, SCHEDULER, WORKERS = YAML(typ="safe").load_all((ROOT / "docs" / "kubernetes.yaml").read_text(encoding="utf-8"))
DEPLOYMENTS = {"scheduler": SCHEDULER, "worker": WORKERS}
PROGRAM = ast.parse(re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)[0])
OPERATOR = {  # the arguments of make_cluster_spec
    keyword.arg: ast.literal_eval(keyword.value)
    for call in ast.walk(PROGRAM)
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "make_cluster_spec"
    for keyword in call.keywords
}


def container(deployment: dict[str, Any]) -> dict[str, Any]:
    """The container of a Deployment, which has one."""
    (found,) = deployment["spec"]["template"]["spec"]["containers"]
    return found


def of_worker(command: list[str]) -> dict[str, Any]:
    """The parameters that `dask worker` takes from its arguments. Raises click.NoSuchOption for an unknown one."""
    from distributed.cli.dask_worker import main

    assert command[:2] == ["dask", "worker"]
    return main.make_context("worker", command[2:]).params


def test_selectors_find_the_pods() -> None:
    for deployment in DEPLOYMENTS.values():
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert SERVICE["spec"]["selector"] == SCHEDULER["spec"]["template"]["metadata"]["labels"]
    assert SCHEDULER["spec"]["template"]["metadata"]["labels"] != WORKERS["spec"]["template"]["metadata"]["labels"]


def test_the_workers_have_one_thread_and_the_address_of_the_service() -> None:
    found = of_worker(container(WORKERS)["args"])
    assert found["scheduler"] == f"tcp://{SERVICE['metadata']['name']}:{SERVICE['spec']['ports'][0]['port']}"
    assert found["nthreads"] == 1


def test_the_scheduler_listens_at_its_default_ports() -> None:
    """8786 for the service and 8787 for the probe."""
    from distributed.cli.dask_scheduler import main

    command = container(SCHEDULER)["args"]
    assert command[:2] == ["dask", "scheduler"]
    found = main.make_context("scheduler", command[2:]).params
    assert (found["port"], found["dashboard_address"]) == (None, ":8787")
    assert SERVICE["spec"]["ports"] == [{"port": 8786}]
    assert container(SCHEDULER)["readinessProbe"]["httpGet"]["port"] == 8787


def test_dask_ends_a_worker_before_the_kernel_does() -> None:
    """Dask's limit leaves 0.5 of the 2 GiB of the container to the process that watches the worker."""
    assert of_worker(container(WORKERS)["args"])["memory_limit"] == "1.5GiB"
    assert container(WORKERS)["resources"]["limits"]["memory"] == "2Gi"


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_pod_meets_the_standard_restricted_and_has_a_folder_for_temporary_files(name: str) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards lists the first four."""
    pod, each = DEPLOYMENTS[name]["spec"]["template"]["spec"], container(DEPLOYMENTS[name])
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert each["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert "USER 1000\n" in SECTION  # of the image
    (volume,) = pod["volumes"]
    assert "emptyDir" in volume
    assert each["volumeMounts"] == [{"name": volume["name"], "mountPath": "/tmp"}]
    assert pod["automountServiceAccountToken"] is False


def test_the_commands_of_the_page_name_what_the_manifest_has() -> None:
    names = {f"{each['kind'].lower()}/{each['metadata']['name']}" for each in (SERVICE, SCHEDULER, WORKERS)}
    assert set(re.findall(r"(?:service|deployment)/[\w-]+", SECTION)) == names
    assert set(re.findall(r"wait_for_workers\((\d+)\)", SECTION)) == {str(WORKERS["spec"]["replicas"])}


def test_the_operator_gets_what_the_manifest_has() -> None:
    command = OPERATOR["worker_command"].split()
    ours, theirs = (of_worker(each) for each in (container(WORKERS)["args"], command))
    assert theirs == ours | {"scheduler": None}  # from the environment of the pod
    assert OPERATOR["n_workers"] == WORKERS["spec"]["replicas"]
    assert OPERATOR["image"] == container(WORKERS)["image"] == container(SCHEDULER)["image"]
    assert OPERATOR["resources"] == container(WORKERS)["resources"] == container(SCHEDULER)["resources"]
    assert OPERATOR["env"] == {each["name"]: each["value"] for each in container(SCHEDULER)["env"]}


def test_the_setting_of_the_scheduler_exists() -> None:
    import dask
    import distributed

    (name,) = OPERATOR["env"]
    key = name.removeprefix("DASK_").lower().replace("__", ".")
    assert distributed.__name__ == "distributed"  # its import defines the settings
    assert dask.config.get(key) == 3
