"""Find the best value of a parameter for each initializer, from experiments that differ only in it.

`python -m pipeline.experiments.sweep training.learning_rate` prints a table of the best values; `--figure`
draws all values.
"""

import argparse
import math
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.analysis.comparison import Table, seed_matters
from pipeline.analysis.estimators import mean, mean_interval, quantile
from pipeline.config.messages import corrected, fits, nearest
from pipeline.errors import UserError, exit_code
from pipeline.experiments import listing
from pipeline.experiments.listing import Experiment, initializers_of
from pipeline.figures import style, sweep_figure
from pipeline.numerics.sums import integer_sum
from pipeline.reporting import markdown
from pipeline.storage import atomic_files
from pipeline.tracking import provenance

COMPARED = ["initializer", "value", "seeds", "low", "median", "high", "share", "share_low", "share_high"]


def comparable(found: Sequence[Experiment], parameter: str) -> tuple[dict[float, Experiment], dict[str, str]]:
    """The experiments that differ in `parameter` alone, by its values in order, and {name: why} of those left out.

    Of several such groups the one with most values is taken. An experiment with another value is added to it if it also
    differs in its seeds, in the section `comparison`, or in the set of initializers: no model depends on those.
    Raises UserError if there are fewer than two values.
    """
    known = {key: None for each in found for key in each.params}
    if parameter not in known:
        raise UserError(corrected(f"no experiment has the parameter {parameter}", nearest(parameter, known)))
    able = [each for each in found if each.state == "success" and fits(each.params.get(parameter), float)]
    families: dict[str, dict[float, Experiment]] = {}
    for each in able:
        rest = repr(sorted((key, repr(other)) for key, other in each.params.items() if key != parameter))
        families.setdefault(rest, {}).setdefault(float(each.params[parameter]), each)
    family = max(families.values(), key=lambda values: len(values), default={})
    left_out = {}
    for each in found:
        if each in family.values():
            continue
        others = {key: None for member in family.values() for key in _differences(each, member, parameter)}
        value: Any = each.params.get(parameter)
        if each.state != "success":
            left_out[each.name] = f"{each.state}, {each.reason}" if each.reason else each.state
        elif not fits(value, float):
            left_out[each.name] = f"{parameter} is not a number"
        elif others:
            left_out[each.name] = f"differs in {', '.join(others)}"
        elif float(value) in family:
            left_out[each.name] = f"{family[float(value)].name} has the same value"
        else:
            family[float(value)] = each
    if len(family) < 2:
        advice = f"`dvc exp run --queue -S '{parameter}=...,...'` queues some"
        why = "".join(f"\n{name}: {reason}" for name, reason in left_out.items())
        raise UserError(f"no two finished experiments differ in {parameter} alone, as a number; {advice}.{why}")
    return dict(sorted(family.items())), left_out


def _differences(one: Experiment, other: Experiment, parameter: str) -> list[str]:
    """The parameters, other than `parameter`, that differ and on which a model of both experiments depends."""
    in_both = {*initializers_of(one.params)} & {*initializers_of(other.params)}
    return [
        key
        for key in {**one.params, **other.params}
        if key != parameter
        and one.params.get(key) != other.params.get(key)
        and not re.match(r"(seeds|comparison)\b", key)
        and (not key.startswith("initializers.") or key.split(".")[1] in in_both)
    ]


def over_common_seeds(models: Mapping[float, Table]) -> tuple[dict[float, Table], list[str]]:
    """The rows of runs.csv of the seeds that all experiments with an initializer have, and remarks on the others.

    An initializer in only one experiment, or without a common seed, is left out. Raises UserError if all are.
    """
    remarks: dict[str, list[str]] = {}
    kept = []
    for name in dict.fromkeys(name for runs in models.values() for name in runs["initializer"]):
        seeds = [set(runs.loc[runs["initializer"] == name, "seed"]) for runs in models.values()]
        seeds = [each for each in seeds if each]
        common = set.intersection(*seeds)
        if len(seeds) == 1:
            remarks.setdefault("not compared, in one experiment only", []).append(name)
            continue
        if not common:
            remarks.setdefault("not compared, no seed is in all experiments", []).append(name)
            continue
        if any(each != common for each in seeds):
            n = f"{len(common)} seed" + ("s" if len(common) > 1 else "")
            remarks.setdefault(f"compared over the {n} in common", []).append(name)
        if len(seeds) < len(models):
            remarks.setdefault(f"in {len(seeds)} of the {len(models)} experiments", []).append(name)
        kept += [(name, seed) for seed in common]
    lines = [f"{remark}: {', '.join(names)}" for remark, names in remarks.items()]
    if not kept:
        raise UserError(f"there is nothing to compare; {'; '.join(lines)}.")
    rows = pd.DataFrame(kept, columns=["initializer", "seed"])
    return {value: runs.merge(rows, on=["initializer", "seed"]) for value, runs in models.items()}, lines


def compared(models: Mapping[float, Table], target: float, confidence: float) -> Table:
    """One row per initializer and value: quartiles of the final cost over seeds, and the share of seeds at the target.

    `models` holds the rows of runs.csv for each value, over the same seeds; `target` is an accuracy on the training
    samples. The interval of the share is that of `mean_interval`; NaN if all seeds have identical results.
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
    """One row per initializer: the value with the lowest median of the final cost, and the next best.

    lower_in: the number of seeds whose final cost is lower with the best value than with the next best. The best value
    is NaN if all values have the same median.
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


def sweep_report(chosen: Table, target: float, confidence: float) -> str:
    """The table of `best` in Markdown; "lower in" is its column lower_in.

    A note is added if no such count can be significant: the smallest two-sided p-value of a sign test over n seeds is
    2^(1 - n).
    """
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
        half = f"{_shown(row['low'])} to {_shown(row['high'])}"
        costs = [_shown(row["median"]), half, f"{100 * row['share']:.0f} %"]
        if math.isnan(row["best"]):
            rows.append([row["initializer"], "all identical", *costs, "–", "–"])
            continue
        lower = (
            "seeds identical"
            if row["low"] == row["high"] and row["seeds"] > 1
            else f"{row['lower_in']} of {row['seeds']} seeds"
        )
        end = " *" if row["at_end"] else ""
        rows.append([row["initializer"], f"{row['best']:g}{end}", *costs, f"{row['next_best']:g}", lower])
    note = (
        "\n\n\\* the lowest or highest value tried: a better one may lie beyond it." if chosen["at_end"].any() else ""
    )
    n, needed = int(chosen["seeds"].max()), math.ceil(1.0 - math.log2(1.0 - confidence))
    if n < needed:
        note += (
            f"\n\nToo few seeds for significance: the smallest two-sided p-value of a sign test over {n} is "
            f"{2.0 ** (1 - n):.4g}; at {100 * confidence:g} % confidence at least {needed} seeds are needed."
        )
    return markdown.table(heads, rows) + note


def _shown(cost: float) -> str:
    return f"{cost:.4g}" if math.isfinite(cost) else "diverged"


def _final_costs(runs: Table, name: str) -> list[float]:
    """The final costs in the order of seeds; infinite where training diverged."""
    own = runs[runs["initializer"] == name].sort_values("seed")
    return [cost if math.isfinite(cost) else math.inf for cost in own["final_cost"].tolist()]


def study(parameter: str, rev: str, figure: Path | None) -> str:
    """Compare the experiments based on `rev`, draw `figure` if it is given, and return the report in Markdown.

    Raises UserError.
    """
    found = listing.read_experiments(rev)[1:]  # without the workspace
    family, left_out = comparable(found, parameter)
    models, remarks = over_common_seeds({value: listing.read_models(each) for value, each in family.items()})
    params = next(iter(family.values())).params
    target, confidence = params["comparison.target_accuracy"], params["comparison.confidence"]
    rows = compared(models, target, confidence)
    chosen = best(rows, models)
    if figure:
        drawn = sweep_figure.study(rows, chosen, parameter, found[0].params.get(parameter), target, confidence)
        atomic_files.write_bytes(figure, style.png(drawn))
    values = ", ".join(f"{value:g} ({each.name})" for value, each in family.items())
    lines = [f"{parameter}: {values}"]
    lines += [f"left out: {name} ({reason})" for name, reason in left_out.items()] + remarks
    return "\n".join(lines) + f"\n\n{sweep_report(chosen, target, confidence)}\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.experiments.sweep", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("parameter", nargs="?", default="training.learning_rate", help="a number in params.yaml")
    parser.add_argument("--figure", type=Path, metavar="PATH", help="the PNG to draw")
    parser.add_argument("--rev", default="HEAD", help="the commit on which the experiments are based")
    given = parser.parse_args(arguments)
    if provenance.is_shallow():
        print(provenance.SHALLOW, file=sys.stderr)
    return exit_code(lambda: print(study(given.parameter, given.rev, given.figure), end=""))


if __name__ == "__main__":
    sys.exit(main())
