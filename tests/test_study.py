"""Which value of a parameter an initializer wants: worked examples."""

import math

import numpy as np
import pandas as pd
import pytest

from pipeline import figures, study, study_figures
from pipeline.experiments import Experiment, ExperimentsError, table

RATE = "training.learning_rate"


def experiment(name: str, state: str = "success", cost: float = 0.5, **params: object) -> Experiment:
    asked = {key.replace("__", "."): value for key, value in params.items()}
    return Experiment(
        name, name, state, asked, {"he.final_cost": cost, "he.test_accuracy": 0.9, "zeros.final_cost": 0.7}
    )


def runs(**costs: list[float]) -> pd.DataFrame:
    """A model is at the target if its cost is below 0.2."""
    rows = [
        (name, seed, 1.0, cost, 1.0 if cost < 0.2 else 0.5)
        for name, values in costs.items()
        for seed, cost in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=["initializer", "seed", "initial_cost", "final_cost", "train_accuracy"])


MODELS = {
    0.01: runs(he=[0.4, 0.5, 0.6, 0.7, 0.8], zeros=[0.7] * 5),
    0.1: runs(he=[0.1, 0.2, 0.3, 0.7, 1.0], zeros=[0.7] * 5),
    1.0: runs(he=[0.1, 0.15, math.inf, math.nan, 9.0], zeros=[0.7] * 5),
}
COMPARED = study.compared(MODELS, target=0.99, confidence=0.95)
BEST = study.best(COMPARED, MODELS)


def test_quartiles_and_shares() -> None:
    he = COMPARED[COMPARED["initializer"] == "he"]
    assert he["value"].tolist() == [0.01, 0.1, 1.0]
    for value, row in zip((0.01, 0.1), he.itertuples(), strict=False):
        costs = MODELS[value]["final_cost"][:5]
        assert [row.low, row.median, row.high] == np.quantile(costs, [0.25, 0.5, 0.75]).tolist()
    assert he["share"].tolist() == [0.0, 0.2, 0.4]
    assert he["median"].tolist()[2] == 9.0  # what diverged counts as worse than any cost
    inside = (he["share_low"] <= he["share"]) & (he["share"] <= he["share_high"])
    assert inside.all()
    assert COMPARED[COMPARED["initializer"] == "zeros"][["share_low", "share_high"]].isna().all(axis=None)


def test_the_lowest_median_is_best_and_is_counted_against_the_next() -> None:
    he, zeros = BEST.itertuples()
    assert (he.best, he.median, he.next_best, he.at_end) == (0.1, 0.3, 0.01, False)
    assert he.lower_in == 3  # 0.1 < 0.4, 0.2 < 0.5, 0.3 < 0.6; 0.7 is equal, 1.0 higher
    assert math.isnan(zeros.best)
    assert study.report(BEST, 0.99).splitlines()[2:] == [
        "| he          |          0.1 |         0.3 |  0.2 to 0.7 |         20 % |      0.01 | 3 of 5 seeds |",
        "| zeros       | all the same |         0.7 |  0.7 to 0.7 |          0 % |         – |            – |",
    ]


def test_a_best_value_at_the_end_is_marked() -> None:
    two = {value: MODELS[value] for value in (0.01, 0.1)}
    (row, _) = study.best(study.compared(two, 0.99, 0.95), two).itertuples()
    assert row.at_end
    assert study.report(study.best(study.compared(two, 0.99, 0.95), two), 0.99).endswith(
        "\\* at the end of what was tried: a better value may lie beyond."
    )


def test_only_what_differs_in_the_parameter_alone_is_compared() -> None:
    found = [
        experiment("main", training__learning_rate=0.1, seeds__last=99),
        experiment("rate-1", training__learning_rate=0.3, seeds__last=9),
        experiment("rate-2", training__learning_rate=0.03, seeds__last=9),
        experiment("rate-3", "queued", training__learning_rate=0.5, seeds__last=9),
        experiment("again", training__learning_rate=0.3, seeds__last=9),
    ]
    family, others = study.comparable(found, RATE)
    assert [(value, each.name) for value, each in family.items()] == [(0.03, "rate-2"), (0.3, "rate-1")]
    assert [each.name for each in others] == ["main", "rate-3", "again"]
    with pytest.raises(ExperimentsError, match=r"no two finished experiments differ in seeds\.last alone"):
        study.comparable(found[1:3], "seeds.last")
    with pytest.raises(ExperimentsError, match=r"training\.learn_rate \(did you mean training\.learning_rate\?\)"):
        study.comparable(found, "training.learn_rate")


def test_experiments_side_by_side() -> None:
    main = experiment("main", training__learning_rate=0.1, network__hidden=[4, 3])
    workspace = main._replace(name="workspace")
    others = [
        experiment("slow", cost=0.6, training__learning_rate=0.01, network__hidden=[4, 3]),
        experiment("next", "queued", training__learning_rate=0.2, network__hidden=[4, 3]),
    ]
    assert table([workspace, main, *others], "final_cost").splitlines() == [
        "| experiment | training.learning_rate |     he |",
        "|------------|-----------------------:|-------:|",
        "| main       |                    0.1 |    0.5 |",
        "| slow       |                   0.01 |    0.6 |",
        "| next       |                    0.2 | queued |",
        "",
        "The same in all: zeros.",
    ]
    edited = workspace._replace(params={**main.params, RATE: 0.5})
    assert "| workspace  |                    0.5 |" in table([edited, main, *others], "final_cost")


def test_the_figure_shows_every_value_and_marks_the_best() -> None:
    figure = study_figures.study(COMPARED, BEST, RATE, 0.01, 0.99, 0.95)
    he = next(ax for ax in figure.axes if ax.get_title(loc="left") == "he")
    assert he.get_xscale() == "log"
    (line,) = [line for line in he.lines if line.get_marker() == "o" and len(line.get_xdata()) == 3]
    assert line.get_ydata().tolist() == [0.6, 0.3, 9.0]
    (mark,) = [line for line in he.lines if line.get_color() == figures.ACCENT]
    assert (mark.get_xdata(), mark.get_ydata()) == ([0.1], [0.3])
    assert figures.png(figure) == figures.png(study_figures.study(COMPARED, BEST, RATE, 0.01, 0.99, 0.95))
