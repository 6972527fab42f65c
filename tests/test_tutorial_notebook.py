"""docs/tutorial.ipynb runs, and its stored outputs are those that it gives."""

import base64
import re
from typing import Any

import pytest

from pipeline.storage import reports
from tests import tutorial_notebook

STORED = tutorial_notebook.read()
CODE = [cell for cell in STORED["cells"] if cell["cell_type"] == "code"]
PROSE = "".join("".join(cell["source"]) + "\n" for cell in STORED["cells"] if cell["cell_type"] == "markdown")
UPDATE = "python -m tests.tutorial_notebook stores the outputs"


def printed(cell: dict[str, Any]) -> str:
    """The text that a code cell printed."""
    streams = [output["text"] for output in cell["outputs"] if output["output_type"] == "stream"]
    return "".join("".join(lines) for lines in streams)


def others(cell: dict[str, Any]) -> list[str]:
    """The types of a code cell's outputs that are not printed text, which a kernel may send in several parts."""
    return [output["output_type"] for output in cell["outputs"] if output["output_type"] != "stream"]


def test_the_stored_outputs_are_current() -> None:
    executed = tutorial_notebook.execute(STORED)
    new = [cell for cell in executed["cells"] if cell["cell_type"] == "code"]
    for cell, stored in zip(new, CODE, strict=True):
        assert printed(cell) == printed(stored), UPDATE
        assert cell["outputs"] == stored["outputs"], f"the figure of cell {cell['id']} differs; {UPDATE}"
    assert tutorial_notebook.text(executed) == tutorial_notebook.NOTEBOOK.read_text(encoding="utf-8"), UPDATE


def test_the_statements_hold() -> None:
    """The numbers behind the sentences that the notebook writes beside its outputs."""
    texts = {cell["id"]: printed(cell) for cell in CODE}
    assert re.findall(r"value (.*)", texts["zeros-gradients"]) == ["0.0"] * 6
    assert "changed in 15,000 steps: 0\n" in texts["zeros-gradients"]
    assert re.findall(r": (1 of \d+)", texts["constant"]) == ["1 of 10", "1 of 5"]
    before, after = map(float, re.findall(r"(\d\.\d+) (?:before|after)", texts["constant"]))
    assert after < 0.6931 < before  # ln 2
    ratios = [float(ratio) for ratio in re.findall(r"cross-entropy .* (\d+)\n", texts["random-gradients"])]
    assert len(ratios) == 3
    assert min(ratios) > 200
    assert re.search(r"above 0\.99 +1 +0\n", texts["random-gradients"])
    assert re.search(r"squared error +0 +0\.\d+\n", texts["random-gradients"])
    assert texts["published"].count("True") == 3
    x10, he = (float(value) for value in re.findall(r"cost: (\S+) at most", texts["ulp"]))
    assert x10 > 1e-3
    assert he < 1e-14
    assert "relu(z): 0.50   variance of relu(z): 0.34" in texts["he-variance"]  # 1/2, 1/2 - 1/(2 pi) = 0.341
    for name in ("he", "random_x10"):
        seed_3, mean, *_, reached = map(float, re.search(rf"(?m)^{name} +(.*)", texts["seeds"])[1].split())  # type: ignore[index]
        assert seed_3 > mean
        assert reached < 50
    assert float(re.search(r"p = (\S+)", texts["paired"])[1]) > 0.05  # type: ignore[index]


def test_every_figure_is_stored() -> None:
    figures = {
        cell["id"]: base64.b64decode(output["data"]["image/png"])
        for cell in CODE
        for output in cell["outputs"]
        if output["output_type"] == "display_data"
    }
    assert list(figures) == ["zeros-figure", "random-figure", "ulp", "he-figure", "seeds-figure"]
    assert all(image.startswith(b"\x89PNG") for image in figures.values())
    assert tutorial_notebook.NOTEBOOK.stat().st_size < 400_000


def test_links_exist() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", PROSE)
    assert links
    assert [link for link in links if not (tutorial_notebook.NOTEBOOK.parent / link).exists()] == []


def test_the_code_is_the_tutorials() -> None:
    """The three functions of the code blocks, but for formatting and the comments that ask for code."""
    blocks = (reports.PUBLISHED.parents[1] / "tests" / "tutorial_blocks.txt").read_text(encoding="utf-8")
    source = "\n".join("".join(cell["source"]) for cell in CODE)
    for name in ("zeros", "random", "he"):
        function = rf"(?m)^def initialize_parameters_{name}\(.*\n(?:(?:    .*)?\n)+?    return parameters$"
        assert plain(re.search(function, source)[0]) == plain(re.search(function, blocks)[0])  # type: ignore[index]


def plain(source: str) -> str:
    """Python source without comments on lines of their own, white space, and differences of quotes and of 2. and 2.0."""
    source = re.sub(r"(?m)^\s*# .*$", "", source).replace("'", '"').replace("2. /", "2.0 /")
    return re.sub(r"\s+", "", source)


def test_jupyter_prints_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the extra `notebook`: executed by a kernel."""
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(tutorial_notebook.NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    folder = str(tutorial_notebook.NOTEBOOK.parent)
    monkeypatch.setenv("PYTHONPATH", str(tutorial_notebook.NOTEBOOK.parents[1]))  # the kernel imports this repository
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": folder}}).execute()
    executed = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [printed(cell) for cell in executed] == [printed(cell) for cell in CODE]
    assert [others(cell) for cell in executed] == [others(cell) for cell in CODE]
