"""The origin of a result: its name, git commit, versions, user and computer."""

import getpass
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

SHALLOW = (
    "warning: this is a shallow clone, in which `dvc exp run` with --queue or --temp loses its results although it "
    "reports success. `git fetch --unshallow` completes the clone; experiments without --queue and --temp are kept."
)
# What DVC writes before the result is published
OUTPUTS = ("dvc.lock", "replications/dvc.lock", "replications/code", "jobs", "reports", "docs/replications.md")
NAMED = 3  # differences in the name of a result
PACKAGES = ("numpy", "numba", "matplotlib", "scikit-learn", "dvc", "mlflow")  # that numbers and figures depend on


def origin() -> dict[str, str]:
    """Tags: commit, whether files differ from it, user, computer and versions. Prints why a commit is missing."""
    tags = {"mlflow.source.name": "dvc.yaml", "mlflow.source.type": "LOCAL", "processor": processor()}
    tags["os"] = f"{platform.system()} {platform.release()} {platform.machine()}"  # such as Linux 6.1 x86_64
    tags |= {"version.python": platform.python_version()} | {f"version.{name}": version(name) for name in PACKAGES}
    if who := user():
        tags["mlflow.user"] = who
    if commit := git("rev-parse", "HEAD"):
        changed = git("status", "--porcelain", "--", ".", *(f":(exclude){path}" for path in OUTPUTS))
        tags |= {"mlflow.source.git.commit": commit, "git.dirty": str(bool(changed)).lower()}
    else:
        print(f"The git commit is not recorded with this result: {git_problem()}", file=sys.stderr)
    return tags


def experiment() -> str:
    """The name of the DVC experiment that runs the pipeline; empty outside experiments."""
    return os.environ.get("DVC_EXP_NAME", "")


def name(leaves: Mapping[str, str], committed: Mapping[str, str]) -> str:
    """The name of a result outside DVC experiments: how its parameters differ from the committed ones."""
    if not committed:
        return "uncommitted params"
    changed = first(differences(leaves, committed))
    return ", ".join(changed) or f"committed params {git('rev-parse', '--short=7', 'HEAD')}"


def first(changed: Sequence[str]) -> list[str]:
    """The first differences, and how many more there are."""
    return [*changed[:NAMED], f"{len(changed) - NAMED} more"] if len(changed) > NAMED else list(changed)


def differences(leaves: Mapping[str, str], committed: Mapping[str, str]) -> list[str]:
    """The leaves that differ from the committed ones, as in `training.learning_rate=5.0`."""
    changed = [f"{key}={value}" for key, value in leaves.items() if committed.get(key) != value]
    return [each if len(each) <= 60 else f"{each[:57]}..." for each in changed] + [
        f"{key} removed" for key in committed if key not in leaves
    ]


def committed_params() -> dict[str, str]:
    """The leaves of params.yaml in the current commit; empty if there is none."""
    text = git("show", "HEAD:./params.yaml")
    try:
        return leaves(text.encode()) if text else {}
    except YAMLError:
        return {}


def parse(content: bytes) -> Any:
    """The document in a file of YAML, as DVC reads it."""
    return YAML(typ="safe").load(content)


def leaves(content: bytes) -> dict[str, str]:
    """The values in a file of YAML as text, under the names that `dvc params diff` prints."""
    return {key: str(value) for key, value in flat(parse(content)).items()}


def flat(document: Any, prefix: str = "") -> dict[str, Any]:
    """{"network": {"hidden_sizes": [10, 5]}} as {"network.hidden_sizes": [10, 5]}."""
    if not isinstance(document, dict):
        return {prefix: document}
    return {
        key: value
        for name, part in document.items()
        for key, value in flat(part, f"{prefix}.{name}" if prefix else str(name)).items()
    }


def git(*arguments: str) -> str:
    """The output of a git command; empty if it fails."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def is_shallow() -> bool:
    """Whether the repository in which DVC was called is a shallow clone, as after `git clone --depth 1`."""
    return git("-C", os.environ.get("DVC_ROOT", "."), "rev-parse", "--is-shallow-repository") == "true"


def git_problem() -> str:
    """Why git has no commit for the current folder, and the remedy, on one line; empty if it has one."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--verify", "HEAD"], capture_output=True, text=True, env=os.environ | {"LC_ALL": "C"}
        )
    except OSError as error:
        return f"git cannot be run ({error.strerror}); install it."
    if done.returncode == 0:
        return ""
    if found := re.search(r"dubious ownership in repository at '(.*)'", done.stderr):
        folder = shlex.quote(found.group(1))
        return f"the repository belongs to another user; run `git config --global --add safe.directory {folder}`."
    if "not a git repository" in done.stderr:
        clone = "clone the repository, or run `git init && git add -A && git commit -m start`"
        return f"this folder is not a git repository; {clone}, then `dvc config --local core.no_scm false`."
    if "Needed a single revision" in done.stderr:
        return "the repository has no commit yet; run `git add -A && git commit -m start`."
    return f"git failed: {' '.join(done.stderr.split()) or 'no message'}"


def user() -> str:
    """The name of the user; empty if there is none, as in some containers."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def processor() -> str:
    """The name of the processor, such as Intel(R) Xeon(R) ...; its architecture if the name is unknown."""
    name = platform.processor()
    if sys.platform == "linux" and (cpus := Path("/proc/cpuinfo")).is_file():
        found = re.search(r"^model name\s*:\s*(.+)$", cpus.read_text(), re.MULTILINE)
        name = found.group(1) if found else name
    return name or platform.machine()
