"""replications/dvc.yaml and its digests of code against the folders, the real imports, and the pipeline's own dvc.yaml."""

import ast
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline.replications import paper, targets

ROOT = Path(__file__).parents[2]
STAGES = YAML(typ="safe").load(ROOT / "replications" / "dvc.yaml")["stages"]
OWN = [name for name in STAGES if name not in ("code", "replicate", "report")]  # stages of single replications
NAMES = sorted([*STAGES["replicate"]["foreach"], *OWN])
PRINTING = {"pipeline/stages/__init__.py", "pipeline/stages/progress.py"}  # no result depends on them


def imported_files(file: Path, found: set[Path]) -> set[Path]:
    """The files of the package that a file imports, through others too, wherever in it the import stands."""
    for path in imports(file) - found:
        found.add(path)
        imported_files(path, found)
    return found


@cache
def imports(file: Path) -> frozenset[Path]:
    """The files of the package that a file itself imports."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            path = ROOT / Path(*name.split("."))
            path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
            if name.split(".")[0] == "pipeline" and path.exists():
                found.add(path)
    return frozenset(found)


@cache
def is_docstring(file: Path) -> bool:
    """Whether a file consists of its docstring."""
    return len(ast.parse(file.read_text(encoding="utf-8")).body) == 1


def paths(stage: dict, *sections: str) -> list[str]:
    entries = [entry for section in sections for entry in stage.get("do", stage).get(section, [])]
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def test_every_replication_has_its_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert paper.names() == NAMES
    assert paths(STAGES["code"], "deps") == ["pipeline", *(f"replications/{name}/replication.py" for name in NAMES)]


def stage_of(name: str) -> dict:
    return STAGES[name if name in OWN else "replicate"]


def outs(name: str) -> list[str]:
    return [path.replace("${item}", name) for path in paths(stage_of(name), "outs", "metrics")]


@pytest.mark.parametrize("name", NAMES)
def test_a_stage_has_the_files_that_the_command_writes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    tables = [f"_{table}.csv" for table in getattr(paper.load_module(name), "TABLES", ())]
    assert sorted(outs(name)) == sorted(
        f"reports/replications/{name}{end}" for end in (".csv", ".json", ".png", *tables)
    )


def test_every_stage_runs_in_the_repository() -> None:
    assert all(stage.get("do", stage)["wdir"] == ".." for stage in STAGES.values())


def names_of(files: set[Path]) -> set[str]:
    """Files of the repository by name, without packages that hold a docstring alone."""
    return {path.relative_to(ROOT).as_posix() for path in files if not is_docstring(path)}


@pytest.mark.parametrize("name", NAMES)
def test_the_digest_of_a_replication_covers_what_it_imports_and_nothing_else(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By another search for imports than that of `sources`."""
    monkeypatch.chdir(ROOT)
    found = {run := ROOT / "pipeline/replications/run.py"}
    for file in (run, ROOT / "replications" / name / "replication.py"):
        imported_files(file, found)
    assert names_of(targets.code_of_replication(name)) == names_of(found) - PRINTING
    item = name if name in OWN else "${item}"
    assert paths(stage_of(name), "deps") == [f"replications/code/{item}.sha256", f"replications/{item}"]


def test_the_report_depends_on_all_digests_and_results() -> None:
    """Its own digest, replications/code/report.sha256, is one of them."""
    report = ROOT / "pipeline/replications/report.py"
    assert names_of(targets.code_of("pipeline.replications.report")) == (
        names_of(imported_files(report, {report})) - PRINTING
    )
    assert paths(STAGES["report"], "deps") == ["replications/code", "reports/replications"]


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The package and the replications in another folder, with their digests."""
    for folder in ("pipeline", "replications"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "code"))
    return tmp_path


def digests(folder: Path) -> dict[str, str]:
    """What the stage `code` writes, by the names of files."""
    command = [sys.executable, "-m", "pipeline.replications.targets", "--digests"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return {path.name.removesuffix(".sha256"): path.read_text() for path in (folder / "replications/code").iterdir()}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before | after if before.get(name) != after.get(name)}


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def test_digests_change_with_the_code_that_is_imported(copied: Path) -> None:
    before = digests(copied)
    assert set(before) == {*NAMES, "report"}
    expected: dict[str, set[str]] = {
        "pipeline/theory/linear_networks.py": {"saxe_2013"},  # no other paper has linear networks
        "pipeline/replications/publish.py": set(),
        "pipeline/replications/report.py": {"report"},
        "pipeline/stages/progress.py": set(),
        "replications/lu_2019/replication.py": {"lu_2019"},
    }
    for path in expected:
        append(copied / path, "# changed\n")
    after = digests(copied)  # once for all, since no two of them change the same digest
    assert changed(before, after) == set().union(*expected.values())
    append(copied / "pipeline/numerics/sums.py", "# changed\n")
    assert changed(after, digests(copied)) == set(before)


def test_digests_of_modules_that_import_more_or_cannot_be_parsed(copied: Path) -> None:
    """The other papers can be run: a message comes from the paper's own stage."""
    before = digests(copied)
    (copied / "replications/lu_2019/more.py").write_text("from pipeline.theory import linear_networks\n")
    after = digests(copied)
    assert changed(before, after) == {"lu_2019"}
    append(copied / "pipeline/theory/linear_networks.py", "# changed\n")
    assert changed(after, digests(copied)) == {"lu_2019", "saxe_2013"}
    append(copied / "replications/he_2015/replication.py", "def :\n")
    (copied / "replications/hayou_2019/replication.py").unlink()
    assert changed(after, digests(copied)) == {"lu_2019", "saxe_2013", "he_2015", "hayou_2019"}
    shutil.rmtree(copied / "replications/poole_2016")
    assert set(digests(copied)) == {*NAMES, "report"} - {"poole_2016"}


def test_the_pipeline_reads_no_file_of_these_stages() -> None:
    """`dvc repro` runs the stages whose outputs its own read: a folder that contains one of these would be read."""
    made = [*paths(STAGES["report"], "outs"), *(path for name in NAMES for path in outs(name))]
    pipeline = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"].values()
    assert [
        (dep, out) for stage in pipeline for dep in paths(stage, "deps") for out in made if out.startswith(dep)
    ] == []


def test_results_are_committed_and_not_cached() -> None:
    """A replication that is refused leaves its previous results: DVC deletes outputs without `persist` first."""
    outs = [
        out for stage in STAGES.values() for key in ("outs", "metrics") for out in stage.get("do", stage).get(key, [])
    ]
    assert all(list(out.values()) == [{"cache": False, "persist": True}] for out in outs)


def test_dvc_lock_has_the_stages_and_dependencies_of_dvc_yaml_alone() -> None:
    """DVC reads it after each stage of an experiment of the laboratory, in proportion to its length."""
    locked = YAML(typ="safe").load(ROOT / "replications" / "dvc.lock")["stages"]
    expected = {stage: set(paths(STAGES[stage], "deps")) for stage in ("code", "report", *OWN)}
    for name in STAGES["replicate"]["foreach"]:
        expected[f"replicate@{name}"] = {dep.replace("${item}", name) for dep in paths(STAGES["replicate"], "deps")}
    assert {stage: {dep["path"] for dep in each["deps"]} for stage, each in locked.items()} == expected
