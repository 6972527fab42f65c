"""dvc.yaml against the real imports and the real parameters."""

import ast
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
STAGES: dict[str, dict] = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]


def body(stage: str) -> dict:
    return STAGES[stage].get("do", STAGES[stage])


def module_file(name: str) -> Path | None:
    path = ROOT / Path(*name.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return file if file.exists() else None


def imported_files(file: Path, found: set[Path] | None = None) -> set[Path]:
    """The files of the package that `file` imports, through others too, wherever in it the import stands."""
    found = set() if found is None else found
    for node in ast.walk(ast.parse(file.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            imported = module_file(name) if name.split(".")[0] == "pipeline" else None
            if imported and imported not in found:
                found.add(imported)
                imported_files(imported, found)
    return found


@pytest.mark.parametrize("stage", STAGES)
def test_the_code_dependencies_cover_the_real_imports_and_all_are_used(stage: str) -> None:
    own = ROOT / "pipeline" / "stages" / f"{stage}.py"
    docstrings = {path for path in (ROOT / "pipeline").rglob("__init__.py") if path.parent.name != "stages"}
    real = {path.relative_to(ROOT).as_posix() for path in (imported_files(own) | {own}) - docstrings}
    listed = [dep for dep in body(stage)["deps"] if dep.startswith("pipeline")]
    covered = {dep: [path for path in real if path == dep or path.startswith(f"{dep}/")] for dep in listed}
    assert real - {path for paths in covered.values() for path in paths} == set()
    assert [dep for dep, paths in covered.items() if not paths] == []
    assert body(stage)["deps"] == sorted(body(stage)["deps"])


def test_packages_hold_docstrings_alone() -> None:
    """Their `__init__.py` are no dependencies of the stages."""
    for path in (ROOT / "pipeline").rglob("__init__.py"):
        if path.parent.name != "stages":
            assert len(ast.parse(path.read_text()).body) == 1


@pytest.mark.parametrize("stage", ["train", "trajectories", "diagnose"])
def test_training_depends_on_no_check_figure_table_or_message(stage: str) -> None:
    folders = ["config", "theory", "analysis", "figures", "reporting", "tracking", "experiments"]
    if stage != "diagnose":
        folders.append("diagnostics")
    assert not any(f"pipeline/{folder}" in dep for dep in body(stage)["deps"] for folder in folders)
    assert "pipeline" not in body(stage)["deps"]
    assert "params" not in body(stage)


ANALYSIS = {  # one file of each class that must train nothing when it changes
    "pipeline/figures/training_figures.py": "figure",
    "pipeline/analysis/comparison.py": "table",
    "pipeline/reporting/comparison_report.py": "table",
    "pipeline/diagnostics/signals.py": "measurement",
    "pipeline/theory/predictions.py": "prediction",
    "pipeline/config/messages.py": "message",
    "pipeline/config/params.py": "validation rule",
}


def stages_that_depend_on(path: str) -> set[str]:
    """The stages of dvc.yaml that run again when the file `path` of the repository changes."""
    return {stage for stage in STAGES for dep in body(stage)["deps"] if path == dep or path.startswith(f"{dep}/")}


@pytest.mark.parametrize("path", ANALYSIS)
def test_another_analysis_trains_nothing(path: str) -> None:
    assert (ROOT / path).is_file()
    may_run = {"dataset", "resolve", "initialization", "aggregate", "track"}
    if ANALYSIS[path] == "measurement":
        may_run.add("diagnose")
    assert stages_that_depend_on(path) == may_run


def test_another_kernel_trains_everything() -> None:
    assert stages_that_depend_on("pipeline/networks/kernel.py") == set(STAGES)


def test_the_highlighted_seed_is_in_the_job_of_trajectories_alone() -> None:
    """No stage that trains depends on the section `comparison`, and only `trajectories` on jobs/trajectories.json."""
    assert {stage for stage in STAGES if "comparison" in body(stage).get("params", [])} == {
        "resolve",
        "initialization",
        "aggregate",
        "track",
    }
    assert stages_that_depend_on("jobs/trajectories.json") == {"trajectories", "aggregate", "track"}


@pytest.mark.parametrize("stage", STAGES)
def test_stage_name_is_script_name(stage: str) -> None:
    assert body(stage)["cmd"].startswith(f"python -m pipeline.stages.{stage}")
    assert (ROOT / "pipeline" / "stages" / f"{stage}.py").exists()


def test_committed_reports_are_not_in_the_cache() -> None:
    """What git keeps, DVC's cache need not; and whatever is cached git must ignore."""
    for stage in STAGES:
        for out in [*body(stage).get("outs", []), *body(stage).get("metrics", [])]:
            path, options = next(iter(out.items())) if isinstance(out, dict) else (out, {})
            special = {"tracked.json": {"persist": True}, "jobs": {"cache": False, "persist": True}}
            assert options == special.get(path, {"cache": False} if path.startswith("reports/") else {})


def test_dvc_yaml_fits_on_some_screens() -> None:
    assert len((ROOT / "dvc.yaml").read_text().splitlines()) <= 200
