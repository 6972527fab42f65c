"""README, CONTRIBUTING, the pages of docs/ and the Makefile against the repository."""

import ast
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dvc.utils.hydra import apply_overrides
from ruamel.yaml import YAML

from pipeline.config import params, yaml_file
from pipeline.datasets import DATASETS
from pipeline.errors import UserError
from pipeline.experiments.listing import METRICS
from pipeline.initializers.recipes import Recipe

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
LAYOUT = (ROOT / "docs" / "layout.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
EXPERIMENTS = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
TROUBLE = (ROOT / "docs" / "trouble.md").read_text(encoding="utf-8")
# Messages of docs/trouble.md that DVC, git, MLflow, SQLite or Linux print
FOREIGN = {
    "'./dvc.lock' is invalid",
    "validation failed",
    "structure is corrupted",
    "'params.yaml', YAML file structure is corrupted",
    "Unable to read RWLock-file",
    "is busy, it is being blocked by",
    "[Errno 28]",
    "file is not a database",
    "Success",
    "detected dubious ownership",
    "is not owned by current user",
    "exited with -9",
    "'.../dvc.yaml' does not exist",
    "ERROR: unexpected error",
    "output ... is specified in",
}
# What the program inserts into the messages that docs/trouble.md quotes
INSERTED = r"\.\.\.|^params\.yaml|5000|127\.0\.0\.1|No space left on device|found unexpected ':'"


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
    assert {*folders, *modules} == set(re.findall(r"(?m)^  (\w+(?:/|\.py)) ", tree))


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
    made = {"NAME.py", "__pycache__"}  # a placeholder, and a folder that Python writes
    links = {page.parent / link for link in re.findall(r"\]\((?!http)([^)#]+)\)", text)}
    paths = {ROOT / path for path in re.findall(r"`((?:pipeline|tests|benchmarks|own)/[\w./]+\w)`", text)}
    assert [str(path) for path in links | paths if path.name not in made and not path.exists()] == []
    modules = re.findall(r"python -m ((?:pipeline|benchmarks)[\w.]*\w)", text)
    assert [name for name in modules if importlib.util.find_spec(name) is None] == []


def test_every_make_target_has_a_line_of_help() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"(?m)^\.PHONY: (.*)$", makefile)[1].split()  # type: ignore[index]
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"(?m)^make (\w+) +\w", shown) == targets
    used = {target for page in PAGES for target in re.findall(r"[`$] ?make ([a-z]+)", page.read_text(encoding="utf-8"))}
    assert used <= set(targets)


def test_packages_are_compiled_in_a_folder_with_a_space(tmp_path: Path) -> None:
    """The line of `make install` that compiles the installed packages, whose failure make ignores."""
    folder = tmp_path / "with a space"
    packages = folder / "packages"
    tools = folder / ".venv" / "bin"
    tools.mkdir(parents=True)
    packages.mkdir()
    (packages / "module.py").touch()
    python = f'case "$*" in *purelib*) echo "{packages}";; *compileall*) exec {shlex.quote(sys.executable)} "$@";; esac'
    (tools / "python").write_text(f"#!/bin/sh\n{python}\n")
    (tools / "python").chmod(0o755)
    shutil.copy(ROOT / "Makefile", folder)
    for name in ("requirements.lock", "pyproject.toml"):
        (folder / name).touch()
    command = ["make", "PYTHON=true", "install"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert list(packages.glob("__pycache__/module.*.pyc")), done.stdout + done.stderr


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


def with_readmes_initializer(text: str) -> str:
    """params.yaml with `text` below `initializers`."""
    committed = (ROOT / "params.yaml").read_text(encoding="utf-8")
    return committed.replace("initializers:\n", f"initializers:\n{text}")


def test_dvc_can_set_a_value_beside_the_readmes_initializer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the function that `dvc exp run -S` calls."""
    monkeypatch.chdir(ROOT)  # for own/
    block = re.search(r"```yaml\ninitializers:\n((?:  .*\n)+)```", README)[1]  # type: ignore[index]
    path = tmp_path / "params.yaml"
    path.write_text(with_readmes_initializer(block), encoding="utf-8")
    apply_overrides(path, ["training.learning_rate=0.5"])
    P = params.load(path)
    assert P.training.learning_rate == 0.5
    assert P.initializers["mirrored"] == Recipe("own.example:mirrored", {"scale": 2.0})


def test_dvc_breaks_a_function_in_braces(tmp_path: Path) -> None:
    """As docs/trouble.md says; no page shows one."""
    path = tmp_path / "params.yaml"
    path.write_text(with_readmes_initializer('  mirrored: {recipe: "own.example:mirrored"}\n'), encoding="utf-8")
    apply_overrides(path, ["training.learning_rate=0.5"])
    with pytest.raises(UserError, match=r"is not valid YAML: found unexpected ':'"):
        yaml_file.read(path)
    files = [*PAGES, ROOT / "params.yaml", *(ROOT / "pipeline").rglob("*.py"), *(ROOT / "own").glob("*.py")]
    braces = re.compile(r"\{[^{}]*recipe: *[\"']?own\.")
    assert [path.name for path in files if braces.search(path.read_text(encoding="utf-8"))] == []


def test_dvc_changes_only_the_value_in_params_yaml(tmp_path: Path) -> None:
    committed = (ROOT / "params.yaml").read_text(encoding="utf-8")
    path = tmp_path / "params.yaml"
    path.write_text(committed, encoding="utf-8")
    apply_overrides(path, ["network.activation=tanh"])
    assert path.read_text(encoding="utf-8") == committed.replace("\n  activation: relu", "\n  activation: tanh")


def strings(path: Path) -> list[str]:
    """The strings in a Python file; in f-strings each inserted value is "..."."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            found.append("".join(part.value if isinstance(part, ast.Constant) else "..." for part in node.values))  # type: ignore[misc]
    return found


def test_the_messages_of_trouble_are_in_the_sources() -> None:
    cells = [row.split("|")[1] for row in re.findall(r"(?m)^\| (.*) \|$", TROUBLE)[1:]]
    printed_by = {"resolve", "make exps", "make study", "dvc.lock", "dvc exp list"}  # names, not messages
    quoted = [text for cell in cells for text in re.findall(r"`([^`]+)`", cell) if text not in printed_by]
    assert set(quoted) >= FOREIGN
    texts = [text for path in (ROOT / "pipeline").rglob("*.py") for text in strings(path)]
    sources = "\n".join([*texts, (ROOT / "Makefile").read_text(encoding="utf-8")])

    def is_printed(message: str) -> bool:
        pattern = re.compile(".*?".join(map(re.escape, re.split(INSERTED, message))))
        return bool(pattern.search(sources))  # within a line

    assert [message for message in quoted if message not in FOREIGN and not is_printed(message)] == []


def test_the_listing_in_experiments_is_the_programs() -> None:
    shown = EXPERIMENTS.partition("$ make exps METRIC=")[2].partition("```")[0]
    assert f"\nshare_at_target: {METRICS['share_at_target']}\n" in shown
    last = shown.strip().splitlines()[-1]
    printed = [text.strip() for text in strings(ROOT / "pipeline" / "experiments" / "listing.py")]
    assert re.sub(r": .*\.", ": ....", last) in printed


def test_experiments_lists_every_data_set() -> None:
    listed = re.search(r"(?m)^- `data.name`: (.*)$", EXPERIMENTS)[1]  # type: ignore[index]
    assert re.sub(r" \([^)]*\)", "", listed).rstrip(".").split(", ") == list(DATASETS)
