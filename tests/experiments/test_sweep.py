"""Which value of a parameter an initializer wants: worked examples."""

import math
import re
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from pipeline.errors import UserError
from pipeline.experiments import sweep
from pipeline.experiments.listing import Experiment, experiments_table
from pipeline.figures import style, sweep_figure

RATE = "training.learning_rate"


def experiment(name: str, state: str = "success", cost: float = 0.5, **params: object) -> Experiment:
    requested = {key.replace("__", "."): value for key, value in params.items()}
    return Experiment(
        name, name, state, requested, {"he.final_cost": cost, "he.test_accuracy": 0.9, "zeros.final_cost": 0.7}
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
COMPARED = sweep.compared(MODELS, target=0.99, confidence=0.95)
BEST = sweep.best(COMPARED, MODELS)


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
    assert sweep.sweep_report(BEST, 0.99, 0.95).splitlines()[2:4] == [
        "| he          |           0.1 |         0.3 |  0.2 to 0.7 |         20 % |      0.01 | 3 of 5 seeds |",
        "| zeros       | all identical |         0.7 |  0.7 to 0.7 |          0 % |         – |            – |",
    ]


@pytest.mark.parametrize(("n", "confidence"), [(5, 0.95), (6, 0.95), (6, 0.99), (8, 0.99), (7, 0.99)])
def test_too_few_seeds_for_significance_are_reported(n: int, confidence: float) -> None:
    """Against SciPy's sign test: the best value is lower in all n seeds."""
    models = {0.1: runs(he=[0.1] * n), 0.2: runs(he=[0.2] * n)}
    text = sweep.sweep_report(sweep.best(sweep.compared(models, 0.99, confidence), models), 0.99, confidence)
    p = scipy.stats.binomtest(n, n).pvalue
    assert (f"p-value of a sign test over {n} is {p:.4g};" in text) == (p > 1 - confidence)
    if p > 1 - confidence:
        needed = int(re.findall(r"at least (\d+) seeds", text)[0])
        assert scipy.stats.binomtest(needed, needed).pvalue <= 1 - confidence
        assert scipy.stats.binomtest(needed - 1, needed - 1).pvalue > 1 - confidence


def test_a_best_value_at_the_end_is_marked() -> None:
    two = {value: MODELS[value] for value in (0.01, 0.1)}
    (row, _) = sweep.best(sweep.compared(two, 0.99, 0.95), two).itertuples()
    assert row.at_end
    assert "\\* the lowest or highest value tried: a better one may lie beyond it." in sweep.sweep_report(
        sweep.best(sweep.compared(two, 0.99, 0.95), two), 0.99, 0.95
    )


def test_only_what_differs_in_the_parameter_alone_is_compared() -> None:
    found = [
        experiment("main", training__learning_rate=0.1, network__hidden_sizes=[9]),
        experiment("rate-1", training__learning_rate=0.3, network__hidden_sizes=[4]),
        experiment("rate-2", training__learning_rate=0.03, network__hidden_sizes=[4]),
        experiment("rate-3", "queued", training__learning_rate=0.5, network__hidden_sizes=[4]),
        experiment("again", training__learning_rate=0.3, network__hidden_sizes=[4]),
        experiment("old", "not reproduced", training__learning_rate=0.9, network__hidden_sizes=[4])._replace(
            reason="why"
        ),
        experiment("words", training__learning_rate="fast", network__hidden_sizes=[4]),
    ]
    family, left_out = sweep.comparable(found, RATE)
    assert [(value, each.name) for value, each in family.items()] == [(0.03, "rate-2"), (0.3, "rate-1")]
    assert left_out == {
        "main": "differs in network.hidden_sizes",
        "rate-3": "queued",
        "again": "rate-1 has the same value",
        "old": "not reproduced, why",
        "words": "training.learning_rate is not a number",
    }
    with pytest.raises(UserError, match=r"no two finished experiments differ in network\.hidden_sizes alone"):
        sweep.comparable(found[1:3], "network.hidden_sizes")
    with pytest.raises(UserError, match=r"training\.learn_rate; did you mean training\.learning_rate\?"):
        sweep.comparable(found, "training.learn_rate")
    with pytest.raises(UserError, match=r"no two .*\nold: not reproduced, why$"):
        sweep.comparable([found[1], found[5]], RATE)


def test_other_seeds_targets_and_initializers_do_not_part_experiments() -> None:
    """A model depends on none of them; but on its own recipe."""
    he, zeros = {"initializers__he__recipe": "he_normal"}, {"initializers__zeros__recipe": "zeros"}
    found = [
        experiment("main", training__learning_rate=0.1, seeds__last=99, comparison__reference="he", **he, **zeros),
        experiment("b", training__learning_rate=0.2, seeds__last=4, comparison__reference="he", **he),
        experiment("c", training__learning_rate=0.3, seeds=[3], comparison__reference="zeros", **zeros),
        experiment("d", training__learning_rate=0.4, seeds__last=99, initializers__he__recipe="zeros"),
    ]
    family, left_out = sweep.comparable(found, RATE)
    assert [each.name for each in family.values()] == ["main", "b", "c"]
    assert left_out == {"d": "differs in initializers.he.recipe"}


def test_seeds_in_common() -> None:
    models = {
        0.1: runs(he=[0.5, 0.4, 0.3, 0.2], small=[0.6, 0.7], zeros=[0.7] * 4),
        0.2: runs(he=[0.1, 0.6], alone=[0.3], small=[0.1, 0.2]),
        0.3: runs(he=[0.9, 0.8, 0.7], apart=[0.1], zeros=[0.7] * 4),
        0.4: runs(he=[0.3] * 5, apart=[0.2]),
    }
    models[0.4].loc[models[0.4]["initializer"] == "apart", "seed"] = 7
    kept, remarks = sweep.over_common_seeds(models)
    assert {value: rows[rows["initializer"] == "he"]["final_cost"].tolist() for value, rows in kept.items()} == {
        0.1: [0.5, 0.4],
        0.2: [0.1, 0.6],
        0.3: [0.9, 0.8],
        0.4: [0.3, 0.3],
    }
    assert remarks == [
        "compared over the 2 seeds in common: he",
        "in 2 of the 4 experiments: small, zeros",
        "not compared, in one experiment only: alone",
        "not compared, no seed is in all experiments: apart",
    ]
    rows = sweep.compared(kept, 0.99, 0.95)
    assert rows["initializer"].unique().tolist() == ["he", "small", "zeros"]
    he, small, _ = sweep.best(rows, kept).itertuples()
    assert (he.best, he.seeds, he.next_best, he.lower_in) == (0.4, 2, 0.2, 1)  # medians 0.45, 0.35, 0.85, 0.3
    assert (small.best, small.next_best, small.lower_in) == (0.2, 0.1, 2)
    sweep_figure.study(rows, sweep.best(rows, kept), RATE, 0.1, 0.99, 0.95)
    with pytest.raises(
        UserError, match=r"^there is nothing to compare; not compared, in one experiment only: he, zeros\.$"
    ):
        sweep.over_common_seeds({0.1: runs(he=[0.5]), 0.2: runs(zeros=[0.5])})


def test_experiments_side_by_side() -> None:
    main = experiment("main", training__learning_rate=0.1, network__hidden_sizes=[4, 3])
    workspace = main._replace(name="workspace")
    others = [
        experiment("slow", cost=0.6, training__learning_rate=0.01, network__hidden_sizes=[4, 3]),
        experiment("next", "queued", training__learning_rate=0.2, network__hidden_sizes=[4, 3]),
    ]
    assert experiments_table([workspace, main, *others], "final_cost").splitlines() == [
        "| experiment | training.learning_rate |     he |",
        "|------------|-----------------------:|-------:|",
        "| main       |                    0.1 |    0.5 |",
        "| slow       |                   0.01 |    0.6 |",
        "| next       |                    0.2 | queued |",
        "",
        "Identical in all: zeros.",
    ]
    stale = main._replace(state="not reproduced", reason="training.iterations: 200 in params.yaml, 3000 in dvc.lock")
    assert experiments_table([stale._replace(name="workspace"), stale, *others], "final_cost").splitlines() == [
        "| experiment | training.learning_rate |          state |",
        "|------------|-----------------------:|---------------:|",
        "| main       |                    0.1 | not reproduced |",
        "| slow       |                   0.01 |        success |",
        "| next       |                    0.2 |         queued |",
        "",
        "Not reproduced: these results were made with other parameters or code.",
        "",
        "- main: training.iterations: 200 in params.yaml, 3000 in dvc.lock",
    ]
    edited = workspace._replace(params={**main.params, RATE: 0.5})
    assert "| workspace  |                    0.5 |" in experiments_table([edited, main, *others], "final_cost")


def test_the_figure_shows_every_value_and_marks_the_best() -> None:
    figure = sweep_figure.study(COMPARED, BEST, RATE, 0.01, 0.99, 0.95)
    he = next(ax for ax in figure.axes if ax.get_title(loc="left") == "he")
    assert he.get_xscale() == "log"
    (line,) = [line for line in he.lines if line.get_marker() == "o" and len(line.get_xdata()) == 3]
    assert line.get_ydata().tolist() == [0.6, 0.3, 9.0]
    (mark,) = [line for line in he.lines if line.get_color() == style.ACCENT]
    assert (mark.get_xdata(), mark.get_ydata()) == ([0.1], [0.3])
    assert style.png(figure) == style.png(sweep_figure.study(COMPARED, BEST, RATE, 0.01, 0.99, 0.95))


def test_diverged_models_are_at_the_top_of_the_figure_and_named_in_the_table() -> None:
    long = "x" * 64
    models = {
        0.1: runs(he=[0.5] * 3, dead=[math.inf] * 3, **{long: [0.3] * 3}),
        1.0: runs(he=[0.4, math.nan, math.nan], dead=[1e20] * 3, **{long: [0.3] * 3}),
    }
    rows = sweep.compared(models, 0.99, 0.95)
    best = sweep.best(rows, models)
    cells = [
        [cell.strip() for cell in line.split("|")[1:5]] for line in sweep.sweep_report(best, 0.99, 0.95).splitlines()
    ]
    assert ["dead", "1 *", "1e+20", "1e+20 to 1e+20"] in cells
    never = {value: runs(dead=[math.inf, math.nan]) for value in (0.1, 1.0)}
    text = sweep.sweep_report(sweep.best(sweep.compared(never, 0.99, 0.95), never), 0.99, 0.95)
    assert "| diverged to diverged |" in text
    figure = sweep_figure.study(rows, best, RATE, 0.1, 0.99, 0.95)
    he, dead, other = [ax for ax in figure.axes if ax.get_yscale() == "log" and ax.get_visible()][:3]
    tops = [
        [line.get_xdata().tolist() for line in ax.lines if line.get_marker() == "^" and len(line.get_xdata())]
        for ax in (he, dead, other)
    ]
    assert tops == [[[1.0]], [[0.1, 1.0], [1.0]], []]  # the best of what is above is marked as such
    assert [text.get_text() for text in figure.legends[0].get_texts()][1] == "median above 10, or diverged"
    assert len(other.get_title(loc="left")) <= sweep_figure.LONGEST
    with warnings.catch_warnings(action="error"):  # a layout that collapses
        style.png(figure)
