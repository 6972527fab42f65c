"""Which value of a parameter does each initializer want? From experiments that differ in it alone.

`python -m pipeline.study training.learning_rate` prints a table of the best values; `--figure` draws all of them.
"""

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from pipeline import experiments, figures, markdown, storage, study_figures
from pipeline.experiments import Experiment, ExperimentsError
from pipeline.statistics import Table, mean, mean_interval, quantile, seed_matters
from pipeline.sums import integer_sum
from pipeline.wording import UserError, fits, hint, nearest

COMPARED = ["initializer", "value", "seeds", "low", "median", "high", "share", "share_low", "share_high"]


def comparable(found: Sequence[Experiment], parameter: str) -> tuple[dict[float, Experiment], list[Experiment]]:
    """The experiments that differ in `parameter` alone, by its values in order, and those left out.

    Of several such families the one with most values is taken. Raises ExperimentsError if none has two values.
    """
    known = {key: None for each in found for key in each.params}
    if parameter not in known:
        raise ExperimentsError(f"no experiment has the parameter {parameter}{hint(nearest(parameter, known))}.")
    families: dict[str, dict[float, Experiment]] = {}
    for each in found:
        value = each.params.get(parameter)
        if each.state == "success" and value is not None and fits(value, float):
            rest = repr(sorted((key, repr(other)) for key, other in each.params.items() if key != parameter))
            families.setdefault(rest, {}).setdefault(float(value), each)
    family = max(families.values(), key=len, default={})
    if len(family) < 2:
        advice = f"`dvc exp run --queue -S '{parameter}=...,...'` asks for some"
        raise ExperimentsError(f"no two finished experiments differ in {parameter} alone, as a number; {advice}.")
    return dict(sorted(family.items())), [each for each in found if each not in family.values()]


def compared(models: Mapping[float, Table], target: float, confidence: float) -> Table:
    """A row an initializer and value: quartiles of the final cost over seeds, and the share of seeds at the target.

    `models` holds the rows of runs.csv for each value; `target` is an accuracy on the training samples. The interval of
    the share is that of `mean_interval`; there is none where the seeds make no difference.
    """
    rows = []
    for value, runs in models.items():
        for name, group in runs.groupby("initializer", sort=False):
            costs = group["final_cost"].tolist()
            reached = (group["train_accuracy"] >= target).astype(float).tolist()
            quartiles = [quantile(costs, share) for share in (0.25, 0.5, 0.75)]
            share = mean(reached)
            interval = mean_interval(reached, confidence) if seed_matters(group) else (math.nan, math.nan)
            rows.append([name, value, len(group), *quartiles, share, *interval])
    return pd.DataFrame(rows, columns=COMPARED)


def best(rows: Table, models: Mapping[float, Table]) -> Table:
    """A row an initializer: the value with the lowest median of the final cost, the next best, and how they compare.

    lower_in: in how many seeds the best value ends lower than the next best. The best value is nan where all values
    give the same.
    """
    made = []
    for name, group in rows.groupby("initializer", sort=False):
        ordered = group.sort_values("median", kind="stable", na_position="last")
        first, second = ordered.iloc[0], ordered.iloc[1]
        pair = [_final_costs(models[row["value"]], str(name)) for row in (first, second)]
        same = group["median"].nunique(dropna=False) == 1
        made.append(
            {
                "initializer": name,
                "best": math.nan if same else first["value"],
                "at_end": not same and first["value"] in (group["value"].min(), group["value"].max()),
                **{key: first[key] for key in ("median", "low", "high", "share", "seeds")},
                "next_best": math.nan if same else second["value"],
                "lower_in": integer_sum(one < other for one, other in zip(*pair, strict=True)),
            }
        )
    return pd.DataFrame(made)


def report(chosen: Table, target: float) -> str:
    """The table of `best` in Markdown; lower in: how many seeds the best value beats the next best in."""
    heads = [
        "initializer",
        "best",
        "median cost",
        "middle half",
        f"seeds ≥ {100 * target:g} %",
        "next best",
        "lower in",
    ]
    rows = []
    for _, row in chosen.iterrows():
        costs = [f"{row['median']:.4g}", f"{row['low']:.4g} to {row['high']:.4g}", f"{100 * row['share']:.0f} %"]
        if math.isnan(row["best"]):
            rows.append([row["initializer"], "all the same", *costs, "–", "–"])
            continue
        lower = "seeds alike" if row["low"] == row["high"] else f"{row['lower_in']} of {row['seeds']} seeds"
        end = " *" if row["at_end"] else ""
        rows.append([row["initializer"], f"{row['best']:g}{end}", *costs, f"{row['next_best']:g}", lower])
    note = "\n\n\\* at the end of what was tried: a better value may lie beyond." if chosen["at_end"].any() else ""
    return markdown.table(heads, rows) + note


def _final_costs(runs: Table, name: str) -> list[float]:
    """Of every seed in order; infinite where training diverged."""
    own = runs[runs["initializer"] == name].sort_values("seed")
    return [cost if math.isfinite(cost) else math.inf for cost in own["final_cost"].tolist()]


def study(parameter: str, rev: str, figure: Path | None) -> str:
    """Compare the experiments that started from `rev`, draw `figure`, and tell what was found."""
    found = experiments.read(rev)[1:]  # without the workspace
    family, others = comparable(found, parameter)
    models = {value: experiments.models(each) for value, each in family.items()}
    asked = next(iter(family.values())).params
    target, confidence = asked["comparison.target_accuracy"], asked["comparison.confidence"]
    rows = compared(models, target, confidence)
    chosen = best(rows, models)
    if figure:
        drawn = study_figures.study(rows, chosen, parameter, found[0].params.get(parameter), target, confidence)
        storage.write_bytes(figure, figures.png(drawn))
    values = ", ".join(f"{value:g} ({each.name})" for value, each in family.items())
    told = [f"{parameter}: {values}"]
    if others:
        told.append(f"left out, not finished or different otherwise: {', '.join(each.name for each in others)}")
    return "\n".join(told) + f"\n\n{report(chosen, target)}\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.study", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parameter", nargs="?", default="training.learning_rate", help="a number in params.yaml")
    parser.add_argument("--figure", type=Path, metavar="PATH", help="the PNG to draw")
    parser.add_argument("--rev", default="HEAD", help="the commit that the experiments started from")
    given = parser.parse_args(arguments)
    try:
        print(study(given.parameter, given.rev, given.figure), end="")
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
