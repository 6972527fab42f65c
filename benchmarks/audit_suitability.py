"""The labels of the audit, with and without data, against training: reports/audit_suitability.md.

`python -m benchmarks.audit_suitability` trains networks of 3 to 50 layers at weights from 0.3 to 3 times those of He or
LeCun, at three learning rates, and compares what training reaches with the labels of `audit.suitability` (twenty
minutes on one core). `--outcomes FILE` saves the final costs, or reads them if the file exists; the rest takes ten
minutes. The labels without data are also compared with the outcomes in reports/labels.csv.
"""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import labels
from benchmarks.labels import Problem, outcome
from pipeline.audit.local_faults import dependence
from pipeline.audit.results import LayerAudit, Power, Suitability
from pipeline.audit.suitability import NOT_DECIDED, suitability
from pipeline.datasets import DATASETS
from pipeline.diagnostics.classes import class_counts
from pipeline.diagnostics.labels import LABEL_RULES, RATES
from pipeline.distributions.structures import structure
from pipeline.distributions.summary import summarize
from pipeline.initializers import recipes
from pipeline.initializers.networkwise import NetworkSpec
from pipeline.initializers.recipes import Layer as Exceptions
from pipeline.initializers.recipes import Recipe
from pipeline.model_files.layers import Layer
from pipeline.model_files.tensors import Tensor
from pipeline.networks.activations import ACTIVATIONS
from pipeline.networks.parameters import Parameters, stack
from pipeline.numerics.sums import Array
from pipeline.reporting.markdown import table
from pipeline.storage import atomic_files, reports
from pipeline.training import gradient_descent

SCALES = (0.3, 0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0, 3.0)
STEPS = {"digits": 300, "circles": 1000}
DEPTHS = {"digits": (3, 10, 20, 50), "circles": (3, 10, 20)}
WIDTH = 24
LEARNING_RATES = (0.01, 0.1, 1.0)
SEED = 0
OUTCOMES = ("learned", "between", "failed")
FAULTS = {rule.name for rule in LABEL_RULES if rule.name not in RATES}


def problems() -> list[Problem]:
    """Two data sets, three activations, and three or four depths in layers."""
    return [
        Problem(data, [WIDTH] * (depth - 1), activation, STEPS[data])
        for data in STEPS
        for activation in ("relu", "tanh", "gelu")
        for depth in DEPTHS[data]
    ]


def initializers(activation: str, n_layers: int) -> dict[str, Recipe]:
    """Weights of SCALES times He's or LeCun's, and a last or first layer of another scale."""
    base = "lecun_normal" if activation == "tanh" else "he_normal"
    found = {f"{base} × {scale:g}": Recipe(base, gain=scale) for scale in SCALES}
    found["pytorch_linear"] = Recipe("pytorch_linear")
    found["normal 1"] = Recipe("normal", {"std": 1.0})
    found["last layer × 0.01"] = Recipe(base, layers={n_layers: Exceptions(gain=0.01)})
    found["last layer × 30"] = Recipe(base, layers={n_layers: Exceptions(gain=30.0)})
    found["first layer × 0.01"] = Recipe(base, layers={1: Exceptions(gain=0.01)})
    found["orthogonal"] = Recipe("orthogonal", gain=1.0 if activation == "tanh" else 2.0**0.5)
    if activation != "tanh":
        found["looks_linear"] = Recipe("looks_linear")  # solves deep problems, for comparison
    return found


def networks(problem: Problem, seed: int) -> tuple[Array, Array, dict[str, Parameters]]:
    """Training samples, and one network per initializer."""
    data = DATASETS[problem.data]
    noise = 0.05 if data.n_samples is None else 0.0
    (X, Y), _ = data.split(labels.N_SAMPLES, 60, noise, 2 * seed + 1, 2 * seed + 2)
    dims = [data.n_inputs, *problem.hidden, 1 if data.n_classes == 2 else data.n_classes]
    spec = NetworkSpec(dims, [ACTIVATIONS[problem.activation]] * len(problem.hidden), X)
    found = {
        name: recipes.sample_parameters(recipe, seed, spec)
        for name, recipe in initializers(problem.activation, len(dims) - 1).items()
    }
    return X, Y, found


def final_costs(problem: Problem, seed: int) -> dict[str, list[float]]:
    """{initializer: final cost at each learning rate}, in nats; inf for a cost that is not finite."""
    X, Y, found = networks(problem, seed)
    activations = [ACTIVATIONS[problem.activation]] * len(problem.hidden)
    columns = [
        gradient_descent.train(
            stack(list(found.values())), X, Y, activations, learning_rate=rate, record_at=[problem.steps]
        ).costs[:, 0]
        for rate in LEARNING_RATES
    ]
    rows = np.stack(columns, axis=1)
    return {name: np.where(np.isfinite(row), row, np.inf).tolist() for name, row in zip(found, rows, strict=True)}


def audited(parameters: Parameters) -> list[LayerAudit]:
    """The audits of the layers of a network, as far as `suitability` reads them."""
    found = []
    for l, (W, b) in enumerate(parameters, start=1):
        units, fan_in = W.shape
        weight = Tensor(f"{l}.weight", W.shape, "float64", lambda W=W: W)  # type: ignore[misc]
        bias = Tensor(f"{l}.bias", (units,), "float64", lambda b=b: b[:, 0])  # type: ignore[misc]
        layer = Layer(f"{l}", "dense", weight, bias, fan_in, units, units, "out, in")
        values = summarize(W, "float64")
        kind = structure(W, values, dependence(W)).name
        std = math.sqrt(values.mean_square)
        found.append(LayerAudit(layer, W.size, values.mean, std, values.largest, kind, [], [], 1.0, [], Power(1.0, ())))
    return found


def study(chosen: Sequence[Problem], costs: dict[str, dict[str, list[float]]], seed: int) -> list[dict[str, Any]]:
    """One row per network of a problem that some network solves: its outcome and its two labels."""
    rows = []
    for problem in chosen:
        X, Y, found = networks(problem, seed)
        finals, entropy = costs[str(problem)], class_counts(Y).entropy
        gap = entropy - min(min(each) for each in finals.values())
        if gap < labels.SOLVABLE * entropy:
            continue
        for name, parameters in found.items():
            layers = audited(parameters)
            theory = suitability(layers, problem.activation, steps=problem.steps)
            data = suitability(layers, problem.activation, (X.T, Y[0]), problem.steps)
            closed = (entropy - min(finals[name])) / gap
            rows.append(
                {
                    "problem": str(problem),
                    "layers": len(layers),
                    "initializer": name,
                    "outcome": outcome(closed),
                    "theory": theory.label if isinstance(theory, Suitability) else theory,
                    "data": data.label if isinstance(data, Suitability) else data,
                }
            )
    return rows


def validated(name: str, chosen: Sequence[Problem]) -> list[dict[str, Any]]:
    """The labels without data of networks of one of `labels.SETS`, whose outcomes are in reports/labels.csv."""
    table_of_outcomes = atomic_files.read_table(reports.REPORTS / "labels.csv")
    columns = (table_of_outcomes[key].tolist() for key in ("set", "problem", "initializer", "outcome"))
    outcomes = {row[:3]: row[3] for row in zip(*columns, strict=True)}
    rows = []
    for problem in chosen:
        for initializer, parameters in labels.networks(problem, labels.SETS[name][1])[3].items():
            if found := outcomes.get((name, str(problem), initializer)):
                theory = suitability(audited(parameters), problem.activation, steps=problem.steps)
                label = theory.label if isinstance(theory, Suitability) else theory
                network = {"set": name, "problem": str(problem), "initializer": initializer}
                rows.append(network | {"activation": problem.activation, "outcome": found, "theory": label})
    return rows


def kind(label: str) -> str:
    """Healthy, faulty, not decided, or not predicted, for a label or a reason why there is none."""
    if label in ("healthy", NOT_DECIDED):
        return label
    return "faulty" if label in FAULTS else "not predicted"


def counts(rows: Sequence[dict[str, Any]], key: str, words: Sequence[str]) -> list[list[str]]:
    """A row of the numbers that learned, lie between and failed, for each kind of label."""
    return [
        [word, *(str(sum(kind(row[key]) == word and row["outcome"] == o for row in rows)) for o in OUTCOMES)]
        for word in words
    ]


def report(rows: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]]) -> str:
    """reports/audit_suitability.md."""
    parts = [
        "# Suitability in the audit, against training",
        f"{len(rows)} networks of {WIDTH} units per layer on {' and '.join(STEPS)}. A network learned if it closes at "
        f"least {100 * labels.LEARNED:g} % of the gap between the entropy of the classes and the best cost on that "
        f"problem at one of the learning rates {', '.join(f'{rate:g}' for rate in LEARNING_RATES)}, and failed at "
        f"{100 * labels.FAILED:g} % or less. Deep networks that need more steps than were taken "
        f"({', '.join(f'{steps:,} on {data}' for data, steps in STEPS.items())}) count as failed.",
    ]
    heads = ["label", *OUTCOMES]
    words = ["healthy", "faulty", NOT_DECIDED, "not predicted"]
    for key, title in (("theory", "Without data"), ("data", "With the training samples")):
        parts += [f"## {title}", table(heads, [line for line in counts(rows, key, words) if set(line[1:]) != {"0"}])]
        body = []
        for depth in DEPTHS["digits"]:
            own = [row for row in rows if row["layers"] == depth]
            for word in words:
                (line,) = counts(own, key, [word])
                if any(cell != "0" for cell in line[1:]):
                    body.append([f"{depth}", *line])
        parts.append(table(["layers", *heads], body, left=(1,)))
    for key, title in (("theory", "without data"), ("data", "with data")):
        wrong = [row for row in rows if kind(row[key]) == "faulty" and row["outcome"] == "learned"]
        listed = [f"- {row['problem']}, {row['initializer']}: {row[key]}" for row in wrong]
        parts += [f"## Learned, but labelled as faulty {title}", "\n".join(listed) or "None."]
    parts += [
        f"## The {len(others):,} networks of labels.md, without data",
        "48 problems, most recipes, gains, biases, and first and last layers of other scales. Networks whose weights "
        "are constant, identity, ZerO or looks-linear, or have a mean, are not predicted.",
    ]
    body = []
    for key, words_of in (("set", [*labels.SETS]), ("activation", ["relu", "tanh", "sigmoid"])):
        for value in words_of:
            body += [[value, *line] for line in counts([r for r in others if r[key] == value], "theory", words)]
    body += [["all", *line] for line in counts(others, "theory", words)]
    parts.append(table(["networks", *heads], body, left=(0, 1)))
    wrong = [row for row in others if kind(row["theory"]) == "faulty" and row["outcome"] == "learned"]
    listed = [f"- {row['set']}: {row['problem']}, {row['initializer']}: {row['theory']}" for row in wrong]
    parts += ["Learned, but labelled as faulty:", "\n".join(listed) or "None."]
    return "\n\n".join(parts) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line; returns 0."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.audit_suitability", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--outcomes", type=Path, metavar="FILE", help="where final costs are kept, or read from")
    path = parser.parse_args(arguments).outcomes
    costs: dict[str, dict[str, list[float]]] = json.loads(path.read_text()) if path and path.exists() else {}
    for problem in problems():
        if str(problem) not in costs:
            print(f"{problem} ...", file=sys.stderr)
            costs[str(problem)] = final_costs(problem, SEED)
            if path:
                path.write_text(json.dumps(costs))
    others = [row for name, (chosen, _) in labels.SETS.items() for row in validated(name, chosen)]
    rows = study(problems(), costs, SEED)
    atomic_files.write_text(reports.REPORTS / "audit_suitability.md", report(rows, others))
    return 0


if __name__ == "__main__":
    sys.exit(main())
