"""README, CONTRIBUTING, the pages of docs/ and the Makefile against the repository."""

import importlib.util
import re
import subprocess
from pathlib import Path

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
