"""Where a result comes from, as tags of a run: git, DVC, versions, the computer; as far as there is any."""

import getpass
import os
import platform
import re
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

SHALLOW = (
    "warning: this is a shallow clone, from which `dvc exp run` with --queue or --temp loses its results although it "
    "reports success. `git fetch --unshallow` completes the clone; experiments without --queue and --temp are kept."
)
PACKAGES = ("numpy", "numba", "matplotlib", "scikit-learn", "dvc", "mlflow")  # what numbers and pictures depend on


def origin() -> dict[str, str]:
    """Git's commit and whether anything differs from it, who and which computer publishes, and the versions there."""
    tags = {"mlflow.source.name": "dvc.yaml", "mlflow.source.type": "LOCAL", "processor": processor(), "os": system()}
    tags |= {"version.python": platform.python_version()} | {f"version.{name}": version(name) for name in PACKAGES}
    if who := user():
        tags["mlflow.user"] = who
    if commit := git("rev-parse", "HEAD"):
        tags |= {"mlflow.source.git.commit": commit, "git.dirty": str(bool(git("status", "--porcelain"))).lower()}
    else:
        print(f"The commit of git is not recorded with this result: {git_problem()}", file=sys.stderr)
    return tags


def experiment() -> str:
    """The name of the experiment in which DVC runs the pipeline, or nothing."""
    return os.environ.get("DVC_EXP_NAME", "")


def git(*arguments: str) -> str:
    """What git prints; empty where there is no git or no repository."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def is_shallow() -> bool:
    """Whether the repository that DVC was called in lacks commits, as after `git clone --depth 1`."""
    return git("-C", os.environ.get("DVC_ROOT", "."), "rev-parse", "--is-shallow-repository") == "true"


def git_problem() -> str:
    """Why git cannot give the commit of the current folder, and the remedy, as one line; empty if it can."""
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
    """Who is logged in, or nothing, as in some containers."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def system() -> str:
    """Linux 6.1 x86_64."""
    return f"{platform.system()} {platform.release()} {platform.machine()}"


def processor() -> str:
    """The processor's name: Intel(R) Xeon(R) ...; where nobody tells, its architecture."""
    told = platform.processor()
    if sys.platform == "linux" and (cpus := Path("/proc/cpuinfo")).is_file():
        named = re.search(r"^model name\s*:\s*(.+)$", cpus.read_text(), re.MULTILINE)
        told = named.group(1) if named else told
    return told or platform.machine()
