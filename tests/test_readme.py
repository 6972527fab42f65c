"""README, CONTRIBUTING, the pages of docs/ and the Makefile against the repository."""

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
LAYOUT = (ROOT / "docs" / "layout.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_table_is_the_reports() -> None:
    """The README shows the first table of reports/comparison.md; copy it there when the results change."""
    report = (ROOT / "reports" / "comparison.md").read_text(encoding="utf-8")
    table = re.search(r"(?m)(^\|.*\n)+", report)[0]  # type: ignore[index]
    assert f"<!-- from reports/comparison.md -->\n{table}<!-- end -->" in README


def test_the_readme_has_at_most_200_lines_and_links_every_page() -> None:
    assert len(README.splitlines()) <= 200
    assert {f"docs/{path.name}" for path in PAGES[2:]} <= set(re.findall(r"\]\(([^)#]+)\)", README))


def test_the_layout_names_every_folder_and_module_of_the_package() -> None:
    tree = LAYOUT.partition("```text")[2].partition("```")[0]
    folders = {f"{path.parent.name}/" for path in (ROOT / "pipeline").glob("*/__init__.py")}
    modules = {path.name for path in (ROOT / "pipeline").glob("*.py")} - {"__init__.py"}
    assert {*folders, *modules, "published/"} == set(re.findall(r"(?m)^  (\w+(?:/|\.py)) ", tree))


def test_the_layout_names_every_stage() -> None:
    stages = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
    assert re.findall(r"(?m)^\| `(\w+)(?:@NAME)?` \|", LAYOUT) == list(stages)


def reads(stages: dict[str, Any]) -> dict[str, set[str]]:
    """For each stage those whose files it reads."""

    def paths(stage: dict[str, Any], *sections: str) -> list[str]:
        entries = [entry for section in sections for entry in stage.get("do", stage).get(section, [])]
        return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]

    def overlap(*paths: str) -> bool:
        one, other = (path.replace("${key}", "").rstrip("/") + "/" for path in paths)
        return one.startswith(other) or other.startswith(one)

    return {
        name: {
            other
            for other, writer in stages.items()
            if any(overlap(out, dep) for out in paths(writer, "outs", "metrics") for dep in paths(stage, "deps"))
        }
        for name, stage in stages.items()
    }


def test_the_diagram_of_the_stages_is_that_of_dvc_yaml() -> None:
    """Without the arrows that follow from others."""
    direct = reads(YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"])

    def ancestors(stage: str) -> set[str]:
        return direct[stage] | {far for near in direct[stage] for far in ancestors(near)}

    needed = {(one, stage) for stage in direct for one in direct[stage]}
    implied = {(far, stage) for stage in direct for near in direct[stage] for far in ancestors(near)}
    diagram = LAYOUT.partition("```mermaid")[2].partition("```")[0]
    arrows = re.findall(r"(?m)^    (\w+) --> (\w+)", diagram)
    assert sorted(arrows) == sorted(needed - implied)
    assert set(re.findall(r"(\w+)@NAME", diagram)) == {"train"}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_file_and_module_named_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = {page.parent / link for link in re.findall(r"\]\((?!http)([^)#]+)\)", text)}
    paths = {ROOT / path for path in re.findall(r"`((?:pipeline|tests|benchmarks|own)/[\w./]+\w)`", text)}
    assert [str(path) for path in links | paths if "NAME" not in path.name and not path.exists()] == []
    modules = re.findall(r"python -m ((?:pipeline|benchmarks)[\w.]*\w)", text)
    assert [name for name in modules if importlib.util.find_spec(name) is None] == []


def test_every_make_target_has_a_line_of_help() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"(?m)^\.PHONY: (.*)$", makefile)[1].split()  # type: ignore[index]
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"(?m)^make (\w+) +\w", shown) == targets
    used = {target for page in PAGES for target in re.findall(r"[`$] ?make ([a-z]+)", page.read_text(encoding="utf-8"))}
    assert used <= set(targets)


def test_make_repro_ends_with_the_comparison(tmp_path: Path) -> None:
    """In a folder whose name has a space; programs of the same names stand for those of .venv."""
    folder = tmp_path / "weight initialization"
    (folder / ".venv" / "bin").mkdir(parents=True)
    for name in ("requirements.lock", "pyproject.toml", "Makefile"):
        shutil.copy2(ROOT / name, folder / name)
    for name in ("dvc", "python"):
        program = folder / ".venv" / "bin" / name
        program.write_text(f'#!/bin/sh\necho {name} "$@"\n')
        program.chmod(0o755)
    (folder / ".venv" / "installed").touch()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # of `make test`
    environment["GIT_CEILING_DIRECTORIES"] = str(tmp_path)
    done = subprocess.run(["make", "repro"], cwd=folder, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "dvc config --local core.no_scm true",
        "dvc repro",
        "dvc repro",
        "python -m pipeline.reporting.summary",
    ]
