"""README, CONTRIBUTING and the Makefile against what is really there."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_table_is_the_reports() -> None:
    """The README shows the first table of reports/comparison.md; copy it there when the results change."""
    report = (ROOT / "reports" / "comparison.md").read_text(encoding="utf-8")
    table = re.search(r"(?m)(^\|.*\n)+", report)[0]  # type: ignore[index]
    assert f"<!-- from reports/comparison.md -->\n{table}<!-- end -->" in README


@pytest.mark.parametrize("text", [README, CONTRIBUTING], ids=["README", "CONTRIBUTING"])
def test_every_file_named_is_there(text: str) -> None:
    named = set(re.findall(r"\]\((?!http)([^)#]+)\)", text)) | set(
        re.findall(r"`((?:pipeline|tests)/[\w./]+\w)`", text)
    )
    assert named
    assert [name for name in named if "NAME" not in name and not (ROOT / name).exists()] == []


def test_every_make_target_has_a_line_of_help() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"(?m)^\.PHONY: (.*)$", makefile)[1].split()  # type: ignore[index]
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"(?m)^make (\w+) +\w", shown) == targets
    assert {f"make {target}" for target in targets} >= set(
        re.findall(r"`?(make \w+)", README.replace("git and make", ""))
    )
