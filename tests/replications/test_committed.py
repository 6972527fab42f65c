"""The committed rows of the fast replications come back byte for byte."""

from pathlib import Path

import pytest

from pipeline.replications import paper
from tests.marks import slow

ROOT = Path(__file__).parents[2]
FAST = ["hayou_2019", *slow("balduzzi_2017", "klambauer_2017")]  # a few seconds each


@pytest.mark.parametrize("name", FAST)
def test_a_fast_paper(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    loaded = paper.load(name)
    rows = paper.rows(loaded, paper.measure(loaded, lambda n: None).measurements)
    committed = Path(f"reports/replications/{name}.csv").read_text(encoding="utf-8")
    assert rows.to_csv(index=False, lineterminator="\n") == committed


def test_the_published_seed_of_the_tutorial(monkeypatch: pytest.MonkeyPatch) -> None:
    """With 3 instead of 301 models: the rows of seed 3."""
    monkeypatch.chdir(ROOT)
    loaded = paper.load("tutorial")
    own = loaded.settings.replication.model_copy(update={"n_seeds": 1})
    settings = loaded.settings.model_copy(update={"replication": own})
    rows = paper.rows(loaded, paper.measure(loaded._replace(settings=settings), lambda n: None).measurements)
    committed = Path("reports/replications/tutorial.csv").read_text(encoding="utf-8")
    found = rows.to_csv(index=False, lineterminator="\n")
    assert found.splitlines()[:13] == committed.splitlines()[:13]
    assert rows["quantity"][12].startswith("mean training accuracy")
