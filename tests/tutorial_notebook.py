"""Execute docs/tutorial.ipynb without Jupyter. `python -m tests.tutorial_notebook` stores its outputs.

The outputs of a cell are its printed text and its open figures, as those of `jupyter nbconvert --execute` with the inline
backend of matplotlib, but without dates, versions and other bytes that differ from run to run.
"""

import base64
import contextlib
import copy
import io
import json
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import matplotlib.style

NOTEBOOK = Path(__file__).parents[1] / "docs" / "tutorial.ipynb"


def read() -> dict[str, Any]:
    """The committed notebook."""
    notebook: dict[str, Any] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return notebook


def execute(notebook: dict[str, Any]) -> dict[str, Any]:
    """A copy of a notebook with the outputs of its code cells, which are run in order in one namespace."""
    notebook = copy.deepcopy(notebook)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    backend = matplotlib.get_backend()
    plt.switch_backend("Agg")
    try:
        with matplotlib.style.context("default"):
            cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
            for number, cell in enumerate(cells, 1):
                cell |= {"execution_count": number, "outputs": outputs(cell, namespace)}
    finally:
        plt.close("all")
        plt.switch_backend(backend)
    return notebook


def outputs(cell: dict[str, Any], namespace: dict[str, Any]) -> list[dict[str, Any]]:
    """The outputs of one code cell in the notebook format."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile("".join(cell["source"]), f"cell {cell['id']}", "exec"), namespace)
    text = printed.getvalue().splitlines(keepends=True)
    shown: list[dict[str, Any]] = [{"name": "stdout", "output_type": "stream", "text": text}] if text else []
    for number in plt.get_fignums():
        buffer = io.BytesIO()
        plt.figure(number).savefig(buffer, format="png", metadata={"Software": None})
        image = base64.b64encode(buffer.getvalue()).decode()
        shown.append({"data": {"image/png": image}, "metadata": {}, "output_type": "display_data"})
    plt.close("all")
    return shown


def text(notebook: dict[str, Any]) -> str:
    """The bytes of the file, as Jupyter writes them."""
    return json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    NOTEBOOK.write_text(text(execute(read())), encoding="utf-8")
