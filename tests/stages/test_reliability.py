"""Full disks, read-only stores, damage, malice, and many publishers at once: a sentence, and nothing lost."""

import hashlib
import io
import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from dvc.utils.hydra import apply_overrides

from tests.conftest import RESULTS, Laboratory
from tests.stores import assert_whole, published

# ---------------------------------------------------------------------------------------------------------------------
# Full and read-only


@contextmanager
def mounted(folder: Path, *how: str) -> Iterator[None]:
    """Something mounted on a folder, if we may."""
    if subprocess.run(["mount", *how, folder], capture_output=True).returncode:
        pytest.skip("only root may mount, and not in every container")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.parametrize("stage", ["dataset", "train", "aggregate"])
def test_a_file_that_cannot_be_written_leaves_the_old_one(
    laboratory: Laboratory, finished: Laboratory, stage: str
) -> None:
    """`ulimit -f 1` ends every file after 1024 bytes, as a quota or a full disk does."""
    module = [f"pipeline.stages.{stage}", *(["--initializer", "he"] if stage == "train" else [])]
    limited = ["bash", "-c", 'ulimit -f 1 && exec "$@"', "bash", "python", "-m", *module]
    done = laboratory.run(*limited, check=False)
    assert done.returncode == 1
    assert done.stdout.endswith(" cannot be written: File too large.\n")
    folder = {"dataset": "data/", "train": "runs/he/", "aggregate": "reports/"}[stage]
    assert done.stdout.splitlines()[-1].startswith(folder)
    assert laboratory.results() == finished.results()
    assert not list(laboratory.root.rglob("*.part"))


def test_a_disk_that_is_full_when_publishing(finished: Laboratory, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    with mounted(disk, "-t", "tmpfs", "-o", "size=100m", "tmpfs"):
        laboratory = finished.copied(disk)
        laboratory.unpublish()
        room = os.statvfs(disk)
        used = (room.f_blocks - room.f_bfree) * room.f_frsize
        # MLflow's empty tables take 900 kB, DVC's notes 20
        subprocess.run(["mount", "-o", f"remount,size={used + 300_000}", disk], check=True)
        done = laboratory.run("dvc", "repro", check=False)
        assert done.returncode != 0
        assert (
            f"MLflow's store {laboratory.store} cannot be used (database or disk is full); all other results"
            in done.stdout
        )
        assert "Traceback" not in done.stdout
        made = finished.results()
        made.pop("tracked.json")
        assert {name: content for name, content in laboratory.results().items() if name != "dvc.lock"} == {
            name: content for name, content in made.items() if name != "dvc.lock"
        }
        subprocess.run(["mount", "-o", "remount,size=100m", disk], check=True)
        assert laboratory.repro() == ["track"]
        assert laboratory.results() == finished.results()
        assert published(laboratory.store) == published(finished.store)


def test_a_store_that_is_read_only(laboratory: Laboratory, finished: Laboratory) -> None:
    folder = laboratory.root / "shared"
    folder.mkdir()
    (laboratory.root / "mlflow.db").rename(folder / "mlflow.db")
    laboratory.environment = laboratory.environment | {"MLFLOW_TRACKING_URI": "sqlite:///shared/mlflow.db"}
    laboratory.change("params.yaml", "confidence: 0.95", "confidence: 0.9")  # another result
    with mounted(folder, "--bind", folder):
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        done = laboratory.stage("track")
    assert (done.returncode, done.stdout.count("\n")) == (1, 1)
    assert "/shared/mlflow.db cannot be used (" in done.stdout
    assert re.search(
        r"\((Read-only file system|unable to open database file)\); all other results are complete",
        done.stdout,
    )
    assert laboratory.stage("track").returncode == 0
    assert_whole(f"sqlite:///{folder.as_posix()}/mlflow.db", 2, published(finished.store, with_histories=False))


# ---------------------------------------------------------------------------------------------------------------------
# Twelve at once

PUBLISHERS = """
import os, sys
from pipeline.stages import run, track  # once: to import MLflow takes longer than to publish

children = []
for folder in sys.argv[1:]:
    children.append(os.fork())
    if not children[-1]:
        os.chdir(folder)
        os._exit(run(track.track))
sys.exit(sum(os.waitpid(child, 0)[1] != 0 for child in children))
"""


def test_twelve_publishers_at_once_on_sqlite(finished: Laboratory, tmp_path: Path) -> None:
    """Six results, each from two folders, into a store that is not there yet."""
    folders = [tmp_path / str(number) for number in range(12)]
    for number, folder in enumerate(folders):
        folder.mkdir()
        for name in (*RESULTS, "dvc.lock"):
            (folder / name).symlink_to(finished.root / name)
        params = (finished.root / "params.yaml").read_text()
        (folder / "params.yaml").write_text(params.replace("confidence: 0.95", f"confidence: 0.{80 + number // 2}"))
    store = f"sqlite:///{tmp_path.as_posix()}/mlflow.db"
    command = ["python", "-c", PUBLISHERS, *map(str, folders)]
    done = finished.run(*command, check=False, MLFLOW_TRACKING_URI=store)
    assert done.returncode == 0, done.stdout
    assert_whole(store, 6, published(finished.store, with_histories=False))


# ---------------------------------------------------------------------------------------------------------------------
# Damage


def test_a_damaged_lock_is_named_and_may_be_deleted(laboratory: Laboratory, finished: Laboratory) -> None:
    lock = laboratory.root / "dvc.lock"
    whole = lock.read_text()
    for damaged, named in (
        ("", "'./dvc.lock' validation failed"),
        (whole[:40] + "\0", "'dvc.lock', YAML file structure is corrupted"),
        (whole.replace("  train@he:", "<<<<<<< HEAD\n  train@he:"), "'./dvc.lock' is invalid"),
    ):
        lock.write_text(damaged)
        done = laboratory.run("dvc", "repro", check=False)
        assert done.returncode != 0
        assert named in done.stdout
        assert "Traceback" not in done.stdout
    lock.unlink()
    assert laboratory.repro("train", "trajectories", "diagnose") == ["dataset", "resolve"]  # DVC's cache has the others
    made, expected = laboratory.results(), finished.results()
    assert made.pop("dvc.lock") != expected.pop("dvc.lock")  # it lacks the stages that come after
    assert made == expected


def test_damage_in_the_cache_is_named_with_the_way_out(laboratory: Laboratory, finished: Laboratory) -> None:
    weights = laboratory.root / "runs" / "he" / "weights.npz"
    digest = hashlib.md5(weights.read_bytes()).hexdigest()
    cached = laboratory.root / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:]
    cached.chmod(0o644)
    cached.write_bytes(cached.read_bytes()[:-40])
    cached.chmod(0o444)
    weights.unlink()
    laboratory.repro("train")  # DVC believes what lies in its cache
    said = laboratory.stage("aggregate").stdout.splitlines()[-1]
    assert said.startswith("runs/he/weights.npz is damaged: ")
    assert "; if it is damaged again, delete .dvc/cache as well." in said
    weights.unlink()
    laboratory.delete(".dvc/cache")
    assert "train@he" in laboratory.repro("train")
    assert laboratory.results() == finished.results()


def test_a_store_that_is_no_database_is_named(laboratory: Laboratory) -> None:
    laboratory.write("mlflow.db", "damaged " * 1000)
    done = laboratory.stage("track")
    assert done.returncode == 1
    assert done.stdout.startswith(
        f"MLflow's store {laboratory.store} cannot be used (file is not a database); all other results"
    )
    assert done.stdout.count("\n") == 1


# ---------------------------------------------------------------------------------------------------------------------
# Malice


class Malice:
    """What, unpickled, makes the folder `pwned`."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("pwned",)


@pytest.mark.parametrize(("stage", "name"), [("aggregate", "W1"), ("aggregate", "more"), ("track", "seeds")])
def test_loading_never_unpickles(laboratory: Laboratory, stage: str, name: str) -> None:
    path = laboratory.root / "runs" / "he" / "weights.npz"
    with np.load(path) as archive:
        arrays = {key: archive[key] for key in archive.files}
    pickled = np.empty(1, dtype=object)
    pickled[0] = Malice()
    np.savez(path, allow_pickle=True, **(arrays | {name: pickled}))
    done = laboratory.stage(stage)
    assert (done.returncode, "Traceback" in done.stdout) == (1, False)
    assert done.stdout.splitlines()[-1].startswith(
        "runs/he/weights.npz is damaged: it is not a complete .npz archive of numeric arrays"
    )
    assert not (laboratory.root / "pwned").exists()
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=True) as archive:  # it would have
        archive[name]
    os.rmdir("pwned")


@pytest.mark.parametrize("name", ["../outside", "a/b", "$(mkdir pwned)"])  # test_names.py has more
def test_a_name_stays_in_its_folder(laboratory: Laboratory, name: str) -> None:
    laboratory.change("params.yaml", "  he: {", f'  "{name}": {{recipe: zeros}}\n  he: {{')
    before = files(laboratory)
    done = laboratory.run("dvc", "repro", check=False)
    assert done.returncode != 0
    ours = "names are used in file names and must be a letter, then up to 63 letters"
    assert ours in done.stdout or "ERROR: output 'outside' is specified in" in done.stdout  # DVC sees it before us
    assert "Traceback" not in done.stdout
    assert "Running stage 'train" not in done.stdout
    by_hand = laboratory.stage("train", f"--initializer={name}")
    assert (by_hand.returncode, "Traceback" in by_hand.stdout) == (1, False)
    assert files(laboratory) <= before


def test_an_empty_name_is_reported(laboratory: Laboratory) -> None:
    """DVC stumbles over it before any stage runs; docs/trouble.md says what to do then."""
    laboratory.change("params.yaml", "  he: {", '  "": {recipe: zeros}\n  he: {')
    assert "ERROR: unexpected error" in laboratory.run("dvc", "repro", check=False).stdout
    reported = laboratory.run("python", "-m", "pipeline.config.params", check=False).stdout
    assert "names are used in file names and must be a letter, then up to 63 letters" in reported


def test_a_rejected_value_can_be_taken_back(laboratory: Laboratory) -> None:
    """Also one that keeps the size of the file, which git may overlook after DVC has written to its index."""
    params = laboratory.root / "params.yaml"
    apply_overrides(params, ["training.learning_rate=1000"])  # as DVC writes the file
    laboratory.run("git", "commit", "-q", "-a", "-m", "parameters")
    committed = params.read_text()
    done = laboratory.run("dvc", "exp", "run", "-S", "training.learning_rate=-100", check=False)
    assert done.returncode != 0
    assert "params.yaml: training.learning_rate holds -100; it must be" in done.stdout
    assert params.read_text() == committed.replace("learning_rate: 1000", "learning_rate: -100")
    laboratory.run("sh", "-c", "touch params.yaml && git restore params.yaml")
    assert params.read_text() == committed


def test_a_stage_that_refuses_its_parameters_leaves_its_files(laboratory: Laboratory) -> None:
    """DVC deletes outputs before a stage runs, if they have no `persist`."""
    kept = {path: (laboratory.root / path).read_bytes() for path in ("data/train.csv", "reports/figures/data.png")}
    laboratory.change("params.yaml", "noise: 0.05", "noise: -0.05")
    assert "data.noise holds -0.05" in laboratory.run("dvc", "repro", check=False).stdout
    assert {path: (laboratory.root / path).read_bytes() for path in kept} == kept


def files(laboratory: Laboratory) -> set[Path]:
    """All around and in the repository, DVC's own apart."""
    return {path for path in laboratory.root.parent.rglob("*") if ".dvc" not in path.parts}


# ---------------------------------------------------------------------------------------------------------------------
# Out of memory, slips on the command line, other folders, a folder without git


def sizes(laboratory: Laboratory, *hidden: int) -> None:
    """Other sizes of the hidden layers in the job of he, without running `resolve`."""
    path = laboratory.root / "jobs" / "initializers" / "he.json"
    job = json.loads(path.read_text())
    job |= {"layers_dims": [2, *hidden, 1], "activations": ["relu"] * len(hidden)}
    path.write_text(json.dumps(job))


COMMANDS = {"train": "train --initializer he", "diagnose": "diagnose"}


@pytest.mark.parametrize("stage", COMMANDS)
def test_a_network_that_does_not_fit_into_memory(laboratory: Laboratory, stage: str) -> None:
    """3 GB of addresses; a matrix of 20,000 x 20,000 doubles takes 3.2 GB."""
    sizes(laboratory, 20000, 20000)
    before = laboratory.results()
    limited = f"ulimit -v 3000000; exec python -m pipeline.stages.{COMMANDS[stage]}"
    done = laboratory.run("bash", "-c", limited, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout
    sentence = done.stdout.splitlines()[-1]
    # (3 + 20001 + 1) 20,000 + 1 parameters of 8 bytes: 3.2008e9 bytes, divided by 2^30
    small = ": the weights of one model take 2.98 GiB" in sentence  # a computer with less than 12 GB
    assert sentence.startswith("Out of memory (Unable to allocate 2.98 GiB ") or small
    assert sentence.endswith("; choose smaller network.hidden_sizes or fewer seeds.")
    assert laboratory.results() == before


@pytest.mark.parametrize("stage", COMMANDS)
def test_a_network_larger_than_the_memory_of_the_computer(laboratory: Laboratory, stage: str) -> None:
    """Two matrices of 10^12 doubles: reported before anything is allocated, which Linux might grant."""
    sizes(laboratory, 1000000, 1000000, 1000000)
    done = laboratory.stage(*COMMANDS[stage].split())
    # (3e6 + 2 (1e6 + 1) 1e6 + 1e6 + 1) parameters of 8 bytes: 1.600005e13, divided by 2^40: 14.55 TiB
    copies = {"train": "58.2 TiB", "diagnose": "29.1 TiB"}[stage]  # two of each of two models, or of one
    assert (done.returncode, done.stdout.count("\n")) == (1, 1)
    assert done.stdout.startswith(f"Out of memory (at least {copies} are needed, and this computer has ")
    assert (
        ": the weights of one model take 14.6 TiB); choose smaller network.hidden_sizes or fewer seeds.\n"
        in done.stdout
    )


def test_in_a_subfolder(laboratory: Laboratory) -> None:
    """docs/trouble.md says what to do there."""
    docs = ["sh", "-c", 'cd docs && exec "$@"', "sh"]
    done = laboratory.run(*docs, "dvc", "repro", check=False)
    assert done.returncode != 0
    assert "dvc.yaml' does not exist" in done.stdout
    assert laboratory.run(*docs, "dvc", "--cd", "..", "repro").stdout.endswith("Data and pipelines are up to date.\n")
    module = [*docs, "env", f"PYTHONPATH={laboratory.root}", "python", "-m"]
    for stage in ("dataset", "resolve"):
        done = laboratory.run(*module, *f"pipeline.stages.{stage}".split(), check=False)
        assert (done.returncode, done.stdout) == (
            1,
            "params.yaml does not exist; run the command in the folder that contains it.\n",
        )


def test_without_git_everything_works_but_experiments(laboratory: Laboratory, finished: Laboratory) -> None:
    """As after a ZIP download. Make sets DVC's core.no_scm; what needs git says so."""
    laboratory.delete(".git", "data", "runs", "diagnostics")  # DVC's cache has them
    laboratory.unpublish()
    laboratory.environment = laboratory.environment | {"GIT_CEILING_DIRECTORIES": str(laboratory.root.parent)}
    assert "is not a git repository" in laboratory.run("dvc", "repro", check=False).stdout
    said = laboratory.run("make", "-o", "install", "repro").stdout
    assert re.search(r"\| he +\| +2 \|", said.splitlines()[-5])  # the comparison, then where to look next
    assert "The git commit is not recorded with this result: this folder is not a git repository; clone" in said
    assert laboratory.results() == finished.results()
    done = laboratory.run("make", "-o", "install", "exps", check=False)
    assert done.returncode != 0
    assert done.stdout.startswith("the experiments cannot be read: this folder is not a git repository; clone")
    assert "Traceback" not in done.stdout
    laboratory.run("sh", "-c", "git init -q && git add -A && git commit -q -m start")  # the remedy
    laboratory.run("dvc", "config", "--local", "core.no_scm", "false")
    assert laboratory.run("make", "-o", "install", "exps").stdout.startswith("There are no experiments based on HEAD")


def test_docs_that_cannot_be_made_stay_as_they_were(laboratory: Laboratory) -> None:
    page = laboratory.root / "docs" / "initializers.md"
    before = page.read_bytes()
    laboratory.change(
        "pipeline/reporting/initializers_page.py",
        'if __name__ == "__main__":\n',
        'if __name__ == "__main__":\n    1 / 0\n',
    )
    assert laboratory.run("make", "-o", "install", "docs", check=False).returncode != 0
    assert page.read_bytes() == before
