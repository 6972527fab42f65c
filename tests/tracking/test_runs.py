"""What a result is to MLflow: which files make it another one."""

from pathlib import Path

import pytest

from pipeline.config import params
from pipeline.tracking.runs import fingerprint
from tests.conftest import MINIATURE

NAMES = ("zeros", "small", "he")
FILES = [
    *(f"runs/{name}/{file}" for name in NAMES for file in ("weights.npz", "costs.csv")),
    *(f"diagnostics/{name}/{file}" for name in NAMES for file in ("layers.csv", "models.csv", "units.npz")),
    *(f"trajectories/{name}.npz" for name in NAMES),
    "reports/comparison.csv",
]


@pytest.fixture
def result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file in the place of each that a result consists of."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(MINIATURE)
    for file in FILES:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_text("content")
    return tmp_path


@pytest.mark.usefixtures("result")
@pytest.mark.parametrize("file", FILES)
def test_every_file_of_a_result_is_in_its_fingerprint(file: str) -> None:
    P = params.load()
    before = fingerprint(P)
    assert (fingerprint(P), len(before)) == (before, 64)
    Path(file).write_text("other")
    assert fingerprint(P) != before


@pytest.mark.usefixtures("result")
@pytest.mark.parametrize(
    ("old", "new"), [("confidence: 0.95", "confidence: 0.9"), ("highlight_seed: 3", "highlight_seed: 5")]
)
def test_the_parameters_are_in_the_fingerprint(old: str, new: str) -> None:
    before = fingerprint(params.load())
    Path("params.yaml").write_text(MINIATURE.replace(old, new))
    assert fingerprint(params.load()) != before


@pytest.mark.usefixtures("result")
def test_files_that_are_no_result_are_not_in_the_fingerprint() -> None:
    before = fingerprint(params.load())
    for file in ("runs/gone/weights.npz", "reports/benchmark.md", "runs/he/notes.txt"):
        Path(file).parent.mkdir(exist_ok=True)
        Path(file).write_text("content")
    assert fingerprint(params.load()) == before
