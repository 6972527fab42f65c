"""Validation of the labels at initialization against training: reports/labels.md and reports/labels.csv.

`python -m benchmarks.labels` trains every network at four learning rates and compares the label with the outcome
(about five minutes on two cores). `--outcomes FILE` saves the final costs, or reads them if the file exists:
evaluating a changed rule then takes half a minute.
"""

import argparse
import csv
import io
import json
import math
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipeline.datasets import DATASETS
from pipeline.diagnostics import labels as labels_module
from pipeline.diagnostics import measure
from pipeline.diagnostics.classes import class_counts
from pipeline.diagnostics.labels import LABEL_RULES, RATES, Label, Plan
from pipeline.initializers import recipes
from pipeline.initializers.networkwise import NetworkSpec
from pipeline.initializers.recipes import Layer, Recipe
from pipeline.networks.activations import ACTIVATIONS, Activation
from pipeline.networks.parameters import Parameters, stack
from pipeline.numerics.sums import Array
from pipeline.reporting.markdown import table
from pipeline.storage import atomic_files, reports
from pipeline.training import gradient_descent

LEARNING_RATES = (0.003, 0.03, 0.3, 3.0)
N_SAMPLES = 200
LEARNED, FAILED = 0.9, 0.5  # of the gap between the entropy of the classes and the best cost of the problem
SOLVABLE = 0.1  # of the entropy: a problem on which the best network closes less is not counted


class Problem(NamedTuple):
    """Data, architecture, activation and number of steps."""

    data: str
    hidden: list[int]
    activation: str
    steps: int

    def __str__(self) -> str:
        sizes = [f"{n} × {size}" if n > 1 else f"{size}" for size, n in runs(self.hidden)]
        return f"{self.data}, {', '.join(sizes) or 'no hidden layer'}, {self.activation}"


def runs(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """(size, number) of each run of equal sizes."""
    return [(size, len(list(group))) for size, group in groupby(sizes)]


# The rules and their thresholds were chosen on these networks ...
FIRST = [
    Problem("digits", [], "relu", 300),
    Problem("breast_cancer", [], "relu", 1000),
    Problem("circles", [10, 5], "relu", 4000),
    Problem("spirals", [100], "relu", 12000),
    Problem("moons", [32, 32], "relu", 1000),
    Problem("xor", [16] * 4, "relu", 1000),
    Problem("gaussian_quantiles", [20] * 10, "relu", 1000),
    Problem("digits", [64] * 4, "relu", 300),
    Problem("breast_cancer", [20, 7, 5], "relu", 1000),
    Problem("breast_cancer", [20] * 30, "relu", 1000),
    Problem("gaussian_quantiles", [256], "relu", 1000),
    Problem("circles", [10, 5], "tanh", 4000),
    Problem("digits", [64] * 2, "tanh", 300),
    Problem("breast_cancer", [20] * 20, "tanh", 1000),
    Problem("gaussian_quantiles", [50] * 4, "tanh", 1000),
    Problem("moons", [20, 20], "sigmoid", 1000),
    Problem("digits", [64], "sigmoid", 300),
    Problem("xor", [16] * 3, "sigmoid", 1000),
]
SECOND = [
    Problem("spirals", [80], "relu", 12000),
    Problem("circles", [12, 8], "relu", 4000),
    Problem("moons", [24] * 3, "relu", 1000),
    Problem("xor", [24] * 8, "relu", 1000),
    Problem("digits", [48] * 2, "relu", 300),
    Problem("breast_cancer", [16] * 15, "relu", 1000),
    Problem("gaussian_quantiles", [40] * 3, "relu", 1000),
    Problem("circles", [24] * 3, "tanh", 3000),
    Problem("moons", [16] * 24, "tanh", 1000),
    Problem("breast_cancer", [12, 8], "tanh", 1000),
    Problem("digits", [40] * 6, "tanh", 600),
    Problem("gaussian_quantiles", [128], "tanh", 1000),
    Problem("circles", [20], "sigmoid", 4000),
    Problem("breast_cancer", [24] * 2, "sigmoid", 1000),
    Problem("xor", [20], "sigmoid", 1000),
    Problem("digits", [96], "sigmoid", 300),
]
# ... and then left as they were for these.
HELD_OUT = [
    Problem("spirals", [60], "relu", 12000),
    Problem("circles", [16, 8], "relu", 4000),
    Problem("moons", [20] * 6, "relu", 1000),
    Problem("xor", [32] * 2, "relu", 1000),
    Problem("digits", [40] * 5, "relu", 300),
    Problem("breast_cancer", [20] * 22, "relu", 1000),
    Problem("gaussian_quantiles", [30] * 2, "tanh", 1000),
    Problem("circles", [20] * 2, "tanh", 4000),
    Problem("digits", [48] * 3, "tanh", 300),
    Problem("xor", [16] * 14, "tanh", 1000),
    Problem("moons", [40], "sigmoid", 1000),
    Problem("gaussian_quantiles", [24] * 2, "sigmoid", 1000),
    Problem("breast_cancer", [16] * 4, "sigmoid", 1000),
    Problem("digits", [32] * 2, "sigmoid", 300),
]
SETS = {  # problems, and the seed of data and weights
    "first development set": (FIRST, 0),
    "second development set": (SECOND, 1),
    "held-out set": (HELD_OUT, 2),
}


def initializers(n_layers: int) -> dict[str, Recipe]:
    """All recipes, gains from 0.3 to 100, biases, and first or last layers that are small, large or zero."""
    normal = {f"normal {std:g}": Recipe("normal", {"std": std}) for std in (1e-4, 0.01, 0.1, 1.0, 3.0, 10.0)}
    plain = ["zeros", "he_normal", "he_uniform", "xavier_normal", "lecun_normal", "pytorch_linear", "sklearn_mlp"]
    plain += ["orthogonal", "identity", "zero_init", "lsuv", "data_dependent", "random_walk", "looks_linear"]
    scaled = [("xavier_normal", gain) for gain in (0.3, 5.0 / 3.0, 3.0, 10.0)]
    scaled += [("he_normal", gain) for gain in (0.5, 1.5, 3.0)] + [("orthogonal", gain) for gain in (0.5, 2.0**0.5)]
    return (
        {name: Recipe(name) for name in plain}
        | normal
        | {f"{name} × {gain:.3g}": Recipe(name, gain=gain) for name, gain in scaled}
        | {
            "constant 0.5": Recipe("constant", {"value": 0.5}),
            "ones × 0.1": Recipe("ones", gain=0.1),
            "sparse": Recipe("sparse", {"sparsity": 0.8, "std": 0.3}),
            "martens_sparse": Recipe("martens_sparse", {"n_connections": 5}),
            "truncated_normal 0.02": Recipe("truncated_normal", {"std": 0.02}),
            "uniform ± 0.5": Recipe("uniform", {"low": -0.5, "high": 0.5}),
            "uniform 0 to 1": Recipe("uniform", {"low": 0.0, "high": 1.0}),
            "variance_scaling fan_out": Recipe("variance_scaling", {"scale": 2.0, "mode": "fan_out"}),
            "he_normal, bias -1": Recipe("he_normal", bias=-1.0),
            "he_normal, bias 1": Recipe("he_normal", bias=1.0),
            "xavier_normal, bias 3": Recipe("xavier_normal", bias=3.0),
            "he_normal, last layer 0": Recipe("he_normal", layers={n_layers: Layer("zeros")}),
            "xavier_normal, last layer 0": Recipe("xavier_normal", layers={n_layers: Layer("zeros")}),
            "he_normal, last layer × 0.01": Recipe("he_normal", layers={n_layers: Layer(gain=0.01)}),
            "he_normal, last layer × 100": Recipe("he_normal", layers={n_layers: Layer(gain=100.0)}),
            "xavier_normal, last layer × 30": Recipe("xavier_normal", layers={n_layers: Layer(gain=30.0)}),
            "he_normal, first layer × 0.01": Recipe("he_normal", layers={1: Layer(gain=0.01)}),
            "he_normal, first layer × 30": Recipe("he_normal", layers={1: Layer(gain=30.0)}),
        }
    )


def networks(problem: Problem, seed: int) -> tuple[Array, Array, list[Activation], dict[str, Parameters]]:
    """Training samples, activations, and one network per initializer that supports the architecture."""
    data = DATASETS[problem.data]
    noise = 0.05 if data.n_samples is None else 0.0
    (X, Y), _ = data.split(N_SAMPLES, 60, noise, 2 * seed + 1, 2 * seed + 2)
    layers = [data.n_inputs, *problem.hidden, 1 if data.n_classes == 2 else data.n_classes]
    activations = [ACTIVATIONS[problem.activation]] * len(problem.hidden)
    found = {}
    for name, recipe in initializers(len(layers) - 1).items():
        try:
            found[name] = recipes.sample_parameters(recipe, seed, NetworkSpec(layers, activations, X))
        except ValueError:  # looks_linear and random_walk reject some activations
            continue
    return X, Y, activations, found


def final_costs(problem: Problem, seed: int) -> dict[str, list[float]]:
    """{initializer: final cost at each of LEARNING_RATES}, in nats; inf for a cost that is not finite."""
    X, Y, activations, found = networks(problem, seed)
    at_rates = [
        gradient_descent.train(
            stack(list(found.values())), X, Y, activations, learning_rate=rate, record_at=[problem.steps]
        ).costs[:, 0]
        for rate in LEARNING_RATES
    ]
    return {
        name: [float(costs[i]) if math.isfinite(costs[i]) else math.inf for costs in at_rates]
        for i, name in enumerate(found)
    }


def labels(problem: Problem, seed: int) -> tuple[list[list[Label]], float]:
    """The label of each network for each of LEARNING_RATES, and the entropy of the classes."""
    X, Y, activations, found = networks(problem, seed)
    entropy = class_counts(Y).entropy
    n_layers = len(problem.hidden) + 1
    B = measure.measure(stack(list(found.values())), X, Y, activations)
    columns = {name: values.ravel() for name, values in B.layers.items()}
    columns["layer"] = np.tile(np.arange(1, n_layers + 1), len(found))
    at_rates = [
        labels_module.label_models(columns, B.models, n_layers, Plan(rate, problem.steps, entropy))
        for rate in LEARNING_RATES
    ]
    return [list(of_model) for of_model in zip(*at_rates, strict=True)], entropy


def outcome(closed: float) -> str:
    """The outcome (learned, between or failed) of a network that closed that share of the gap."""
    return "learned" if closed >= LEARNED else "failed" if closed <= FAILED else "between"


def study(name: str, costs: dict[str, dict[str, list[float]]]) -> list[dict[str, Any]]:
    """One row per network of one of SETS, without problems that no network solves, and the costs of every problem."""
    problems, seed = SETS[name]
    rows = []
    for problem in problems:
        of_models, entropy = labels(problem, seed)
        finals = costs[str(problem)]
        gap = entropy - min(min(each) for each in finals.values())
        if gap < SOLVABLE * entropy:
            continue
        for (initializer, each), given in zip(finals.items(), of_models, strict=True):
            shares = [(entropy - cost) / gap for cost in each]
            fault = next((v for v in given if v.name not in RATES), None)
            rows.append(
                {
                    "set": name,
                    "problem": str(problem),
                    "steps": problem.steps,
                    "initializer": initializer,
                    "label": fault.name if fault else "none",
                    "measured": fault.reason if fault else "",
                    "closed": f"{max(shares):.3f}",
                    "outcome": outcome(max(shares)),
                }
                | {f"label_{rate:g}": v.name for rate, v in zip(LEARNING_RATES, given, strict=True)}
                | {f"outcome_{rate:g}": outcome(share) for rate, share in zip(LEARNING_RATES, shares, strict=True)}
            )
    return rows


def confusion(rows: Sequence[dict[str, Any]]) -> dict[str, list[int]]:
    """{label: numbers of networks that learned, lie between and failed}."""
    words = [*(rule.name for rule in LABEL_RULES if rule.name not in RATES), "none"]
    outcomes = ("learned", "between", "failed")
    return {word: [sum(r["label"] == word and r["outcome"] == o for r in rows) for o in outcomes] for word in words}


def report(rows: Sequence[dict[str, Any]]) -> str:
    """reports/labels.md."""
    parts = ["# Labels at initialization against outcomes", summary(rows)]
    for name in SETS:
        chosen = [row for row in rows if row["set"] == name]
        heads = ["label", "learned", "between", "failed"]
        body = [[word, *map(str, counts)] for word, counts in confusion(chosen).items()]
        n_problems = len({row["problem"] for row in chosen})
        parts += [f"## {name.capitalize()}: {len(chosen)} networks, {n_problems} problems", table(heads, body)]
    parts += ["## At a given learning rate", rates(rows)]
    parts += ["## Problems", problems_table(rows)]
    return "\n\n".join(parts) + "\n"


def shares(rows: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """The shares labelled as faulty, of the networks that learned and of those that failed."""
    found = []
    for word in ("learned", "failed"):
        group = [row["label"] != "none" for row in rows if row["outcome"] == word]
        found.append(group.count(True) / max(1, len(group)))
    return found[0], found[1]


def summary(rows: Sequence[dict[str, Any]]) -> str:
    """How many networks of each set are labelled as faulty, of those that learned and of those that failed."""
    body = []
    for name, chosen in [*((n, [r for r in rows if r["set"] == n]) for n in SETS), ("all", list(rows))]:
        learned, failed = shares(chosen)
        counts = [str(sum(row["outcome"] == word for row in chosen)) for word in ("learned", "failed")]
        body.append([name, counts[0], f"{100 * learned:.1f} %", counts[1], f"{100 * failed:.1f} %"])
    return table(["networks", "learned", "labelled as faulty", "failed", "labelled as faulty"], body)


def rates(rows: Sequence[dict[str, Any]]) -> str:
    """Table of outcomes at each learning rate, of networks not labelled as faulty, by the label for that rate."""
    body = []
    for word in RATES:
        for rate in LEARNING_RATES:
            own = [row[f"outcome_{rate:g}"] for row in rows if row[f"label_{rate:g}"] == word]
            if own:
                body.append([word, f"{rate:g}", *(str(own.count(o)) for o in ("learned", "between", "failed"))])
    return table(["label", "learning rate", "learned", "between", "failed"], body)


def problems_table(rows: Sequence[dict[str, Any]]) -> str:
    """The problems, and how many networks learned and failed, and how many of them are labelled as faulty."""
    body = []
    for problem in dict.fromkeys(row["problem"] for row in rows):
        own = [row for row in rows if row["problem"] == problem]
        cells = []
        for word in ("learned", "failed"):
            group = [row["label"] != "none" for row in own if row["outcome"] == word]
            cells += [str(len(group)), str(group.count(True))]
        body.append([own[0]["set"], problem, f"{own[0]['steps']:,}", *cells])
    heads = ["set", "problem", "steps", "learned", "labelled", "failed", "labelled"]
    return table(heads, body, left=(0, 1))


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line; returns 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.labels", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--outcomes", type=Path, metavar="FILE", help="where final costs are kept, or read from")
    path = parser.parse_args(arguments).outcomes
    costs: dict[str, dict[str, dict[str, list[float]]]] = {name: {} for name in SETS}
    if path and path.exists():
        costs |= json.loads(path.read_text())
    for name, (problems, seed) in SETS.items():
        for problem in problems:
            if str(problem) not in costs[name]:
                print(f"{problem} ...", file=sys.stderr)
                costs[name][str(problem)] = final_costs(problem, seed)
                if path:
                    path.write_text(json.dumps(costs))
    rows = [row for name in SETS for row in study(name, costs[name])]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    atomic_files.write_text(reports.REPORTS / "labels.csv", text.getvalue())
    atomic_files.write_text(reports.REPORTS / "labels.md", report(rows))
    print(summary(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
