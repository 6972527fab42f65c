"""dvc.yaml and the digests of code against the real imports and the real parameters."""

import ast
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline.config import params, schema
from pipeline.numerics import sources
from pipeline.stages import aggregate, audit, dataset, initialization, page, track
from pipeline.storage import resolved
from tests.conftest import Laboratory

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


JOB_STAGES = ("train", "trajectories", "diagnose")  # they depend on digests of their code, in jobs/code/


def code_of(stage: str) -> set[str]:
    """The source files that a stage imports, without packages that hold a docstring alone."""
    own = ROOT / "pipeline" / "stages" / f"{stage}.py"
    docstrings = {path for path in (ROOT / "pipeline").rglob("__init__.py") if path.parent.name != "stages"}
    return {path.relative_to(ROOT).as_posix() for path in (imported_files(own) | {own}) - docstrings}


@pytest.mark.parametrize("stage", JOB_STAGES)
def test_the_digest_of_a_stage_covers_what_it_imports_and_nothing_else(stage: str) -> None:
    """By another search for imports than that of `sources`; without the module that only prints."""
    covered = {path.relative_to(ROOT).as_posix() for path in resolved.code_of_stage(stage)}
    docstrings = {path for path in covered if path.endswith("__init__.py") and not path.startswith("pipeline/stages/")}
    assert covered - docstrings == code_of(stage) - {"pipeline/stages/progress.py"}
    assert f"jobs/code/{stage}.sha256" in body(stage)["deps"]
    assert not any(dep.startswith("pipeline") for dep in body(stage)["deps"])


DIGEST = "jobs/code/pipeline.sha256"  # of the whole package; a part of jobs/


@pytest.mark.parametrize("stage", STAGES)
def test_the_other_stages_depend_on_the_whole_package(stage: str) -> None:
    """Those before `resolve`, which writes the digest, and `audit`, which does not need it, on the files themselves."""
    deps = body(stage)["deps"]
    assert ("pipeline" in deps) == (stage in ("dataset", "resolve", "audit"))
    assert ("pipeline" in deps or "jobs" in deps or DIGEST in deps) == (stage not in JOB_STAGES)
    assert deps == sorted(deps)


def test_the_digest_of_the_package_covers_its_files_in_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without what Python compiles and editors leave there."""
    shutil.copytree(ROOT / "pipeline", tmp_path / "pipeline")
    for name in (".#page.py", "page/.ipynb_checkpoints/page.py", "page/page.py~", "__pycache__/page.py.part"):
        (tmp_path / "pipeline" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "pipeline" / name).write_text("")
    monkeypatch.setattr(sources, "PACKAGE", tmp_path / "pipeline")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "pipeline"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert {path.relative_to(tmp_path).as_posix() for path in resolved.code_of_package()} == set(listed.stdout.split())


def test_packages_hold_docstrings_alone() -> None:
    """Their `__init__.py` are no dependencies of the stages; that of audit/, which exports `audit`, no stage that trains has."""
    assert not any(path.startswith("pipeline/audit/") for stage in JOB_STAGES for path in code_of(stage))
    for path in (ROOT / "pipeline").rglob("__init__.py"):
        if path.parent.name not in ("stages", "audit"):
            assert len(ast.parse(path.read_text()).body) == 1


@pytest.mark.parametrize("stage", JOB_STAGES)
def test_training_depends_on_no_check_figure_table_or_message(stage: str) -> None:
    folders = ["config", "theory", "analysis", "figures", "reporting", "tracking", "experiments"]
    if stage != "diagnose":
        folders.append("diagnostics")
    assert not any(path.startswith(f"pipeline/{folder}/") for path in code_of(stage) for folder in folders)
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
    by_digest = {stage for stage in JOB_STAGES if ROOT / path in resolved.code_of_stage(stage)}
    changed = [path, *([DIGEST] if ROOT / path in resolved.code_of_package() else [])]
    by_path = {
        stage
        for stage in STAGES
        for dep in body(stage)["deps"]
        if any(f"{each}/".startswith(f"{dep}/") for each in changed)
    }
    return by_digest | by_path


@pytest.mark.parametrize("path", ANALYSIS)
def test_another_analysis_trains_nothing(path: str) -> None:
    assert (ROOT / path).is_file()
    may_run = {"dataset", "resolve", "initialization", "aggregate", "audit", "page", "track"}
    if ANALYSIS[path] == "measurement":
        may_run.add("diagnose")
    assert stages_that_depend_on(path) == may_run


def test_another_text_of_progress_trains_and_measures_nothing() -> None:
    may_run = {"dataset", "resolve", "initialization", "aggregate", "audit", "page", "track"}
    assert stages_that_depend_on("pipeline/stages/progress.py") == may_run


def test_another_kernel_trains_everything() -> None:
    """Loops that are also those of the measurements measure again too."""
    for module in ("kernel", "kernel_passes", "kernel_activations", "kernel_output"):
        assert stages_that_depend_on(f"pipeline/networks/{module}.py") == set(STAGES) - {"diagnose"}
    for path in ("numerics/tiles.py", "numerics/loops.py", "numerics/machine_code.py"):
        assert stages_that_depend_on(f"pipeline/{path}") == set(STAGES)


def test_the_highlighted_seed_is_in_the_job_of_trajectories_alone() -> None:
    """No stage that trains depends on the section `comparison`, and only `trajectories` on jobs/trajectories.json."""
    assert {stage for stage in STAGES if "comparison" in body(stage).get("params", [])} == {"resolve"}
    assert stages_that_depend_on("jobs/experiment.json") == {"initialization", "aggregate", "page", "track"}
    assert stages_that_depend_on("jobs/trajectories.json") == {"trajectories", "aggregate", "track"}


READERS: dict[str, Callable[[], None]] = {
    "dataset": dataset.dataset,
    "initialization": initialization.initialization,
    "aggregate": aggregate.aggregate,
    "audit": audit.audit,
    "page": page.write_page,
    "track": track.track,
}


def test_every_other_stage_reads_jobs_or_checks_params_yaml() -> None:
    assert set(STAGES) == {*READERS, *JOB_STAGES, "resolve"}


@pytest.mark.parametrize("stage", READERS)
def test_a_stage_depends_on_the_sections_of_params_yaml_that_it_reads(
    laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """By its `params` in dvc.yaml, or by the sections in jobs/experiment.json."""
    monkeypatch.chdir(laboratory.root)
    P, used = params.load(), set()

    class Recorded(schema.Params):
        def __getattribute__(self, name: str) -> Any:
            if name in schema.Params.model_fields:
                used.add(name)
            return super().__getattribute__(name)

    recorded = Recorded.model_construct(**{name: getattr(P, name) for name in schema.Params.model_fields})
    monkeypatch.setattr(params, "load", lambda: recorded)
    READERS[stage]()
    declared = set(body(stage).get("params", []))
    if stage in stages_that_depend_on("jobs/experiment.json"):
        declared |= set(json.loads(Path("jobs/experiment.json").read_text()))
    assert used
    assert used <= declared


@pytest.mark.parametrize("stage", STAGES)
def test_stage_name_is_script_name(stage: str) -> None:
    assert body(stage)["cmd"].startswith(f"python -m pipeline.stages.{stage}")
    assert (ROOT / "pipeline" / "stages" / f"{stage}.py").exists()


def test_committed_reports_are_not_in_the_cache_and_survive_a_stage_that_is_refused() -> None:
    """What git keeps, DVC's cache need not; and whatever is cached git must ignore.

    DVC deletes outputs before a stage runs, without `persist`: right only for a folder of one file per initializer.
    """
    for stage in STAGES:
        for out in [*body(stage).get("outs", []), *body(stage).get("metrics", [])]:
            path, options = next(iter(out.items())) if isinstance(out, dict) else (out, {})
            kept = path.startswith(("reports/", "jobs"))
            expected = {"cache": False, "persist": True} if kept else {}
            if path.startswith("data/") or path == "tracked.json":
                expected = {"persist": True}
            assert options == ({"cache": False} if path == "reports/metrics" else expected), path


def test_dvc_yaml_fits_on_some_screens() -> None:
    assert len((ROOT / "dvc.yaml").read_text().splitlines()) <= 200


def test_dvc_lock_has_the_stages_of_dvc_yaml_alone() -> None:
    """DVC keeps those of stages that were renamed, and reads and writes them again after every stage."""
    locked = YAML(typ="safe").load(ROOT / "dvc.lock")["stages"]
    initializers = YAML(typ="safe").load(ROOT / "params.yaml")["initializers"]
    expected = {name for name in STAGES if "foreach" not in STAGES[name]}
    expected |= {f"{name}@{key}" for name in STAGES if "foreach" in STAGES[name] for key in initializers}
    assert set(locked) == expected
