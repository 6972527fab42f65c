"""replications/dvc.yaml against the folders, the real imports, and the pipeline's own dvc.yaml."""

import ast
from functools import cache
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline.replications import paper

ROOT = Path(__file__).parents[2]
STAGES = YAML(typ="safe").load(ROOT / "replications" / "dvc.yaml")["stages"]
OWN = [name for name in STAGES if name not in ("replicate", "report")]  # stages of single replications
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
    read = [path for path in paths(STAGES["report"], "deps") if path.startswith("replications/")]
    assert read == [f"replications/{name}/replication.py" for name in NAMES]


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


@pytest.mark.parametrize("name", NAMES)
def test_a_stage_depends_on_what_it_imports(name: str) -> None:
    found: set[Path] = set()
    for file in (ROOT / "pipeline/replications/run.py", ROOT / "replications" / name / "replication.py"):
        imported_files(file, found)
    files = {path.relative_to(ROOT).as_posix() for path in found} - PRINTING
    deps = paths(stage_of(name), "deps")
    docstrings = {file for file in files if is_docstring(ROOT / file)}
    assert {
        file for file in files - docstrings if not any(file == dep or file.startswith(f"{dep}/") for dep in deps)
    } == set()


def test_no_dependency_is_superfluous() -> None:
    """Each is imported by some replication, or is the replication itself; all stages have the same."""
    found = {ROOT / "pipeline/replications/run.py"}
    for file in [ROOT / "pipeline/replications/run.py", *(ROOT / "replications").glob("*/replication.py")]:
        imported_files(file, found)
    files = {path.relative_to(ROOT).as_posix() for path in found}
    deps = paths(STAGES["replicate"], "deps")
    unused = {dep for dep in deps if not any(file == dep or file.startswith(f"{dep}/") for file in files)}
    assert unused == {"replications/${item}"}
    for name in OWN:
        assert paths(STAGES[name], "deps") == [dep.replace("${item}", name) for dep in deps]


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
