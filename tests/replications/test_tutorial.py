"""The tutorial: published.csv against the two tables of published results, and a smaller experiment."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.initializers.recipes import Recipe
from pipeline.replications import paper

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "replications" / "tutorial"


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> paper.Paper:
    monkeypatch.chdir(ROOT)
    return paper.load("tutorial")


def small(loaded: paper.Paper, **changes: Any) -> paper.Paper:
    """One seed beside the published one, and only the initializer He."""
    settings = loaded.settings
    own = settings.replication.model_copy(update={"n_seeds": 2})
    chosen = {"initializers": {"he": settings.initializers["he"]}, "replication": own}
    rows = loaded.published[loaded.published["quantity"].str.endswith("He initialization")]
    return loaded._replace(settings=settings.model_copy(update=chosen | changes), published=rows)


def test_the_bands_are_those_of_the_published_tables(loaded: paper.Paper) -> None:
    table = loaded.published.set_index("quantity")
    accuracies = pd.read_csv(FOLDER / "accuracies.csv").set_index("initializer")
    costs = pd.read_csv(FOLDER / "cost_curves.csv").dropna()
    for name, shown in loaded.module.NAMES.items():
        for use in ("training", "test"):
            printed = accuracies.loc[name, {"training": "train_accuracy", "test": "test_accuracy"}[use]]
            row = table.loc[f"{use} accuracy of seed 3, {shown}"]
            assert row["published"] == printed
            assert (row["least"], row["most"]) == pytest.approx((printed - 5e-5, printed + 5e-5), abs=1e-12)
        assert table.loc[f"mean training accuracy, {shown}", "published"] == accuracies.loc[name, "train_accuracy"]
        curve = costs[costs["initializer"] == name]
        row = table.loc[f"costs of seed 3 within the published range, of {len(curve)}, {shown}"]
        assert set(row[["published", "least", "most"]]) == {len(curve)}
        last = curve.set_index("iteration").loc[14000]
        row = table.loc[f"cost of seed 3 before step 14,000, {shown}"]
        assert row["published"] == last["cost_median"]
        expected = (last["cost_min"] - 1e-12, last["cost_max"] + 1e-12)  # 12 decimals are printed
        assert (row["least"], row["most"]) == pytest.approx(expected, abs=1e-15)


def test_he_is_within_its_bands_twice_with_the_same_bits(loaded: paper.Paper) -> None:
    models: list[int] = []
    one = small(loaded)
    first = paper.measure(one, models.append)
    again = paper.measure(one, lambda n: None)
    assert repr(first.measurements) == repr(again.measurements)
    assert sum(models) == paper.total(one) == 3
    table = paper.rows(one, first.measurements)
    assert table["passed"].tolist() == [True, True, True, True, None, None]
    assert table["measured"].map(math.isfinite).all()
    assert paper.draw(one, first.tables).startswith(b"\x89PNG")


def test_zeros_are_predicted_by_theory(loaded: paper.Paper) -> None:
    one = small(loaded, initializers={"zeros": Recipe("zeros", {})})
    found = {each.quantity: each for each in paper.measure(one, lambda n: None).measurements}
    assert found["training accuracy of seed 3, zeros"][1:] == pytest.approx((0.5, math.nan, math.nan, 0.5), nan_ok=True)
    cost = found["cost of seed 3 before step 14,000, zeros"]
    assert cost.theory == math.log(2)
    assert cost.measured == pytest.approx(cost.theory, abs=1e-15)  # 4 ulp


@pytest.mark.parametrize("wrong", [Recipe("he_normal", {}, gain=1.0 + 1e-9), Recipe("xavier_normal", {})])
def test_another_scale_is_outside_the_bands(loaded: paper.Paper, wrong: Recipe) -> None:
    """A relative change of 1e-9 of the weights is seen in the costs, which are compared to 1e-12."""
    one = small(loaded, initializers={"he": wrong})
    table = paper.rows(one, paper.measure(one, lambda n: None).measurements)
    assert table["passed"].tolist()[2:] == [False, False, None, None]
