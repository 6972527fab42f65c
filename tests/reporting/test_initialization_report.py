"""initialization.md from a table worked by hand, and from networks of odd shapes."""

import math
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from pipeline.analysis import initialization_table
from pipeline.analysis.initialization_table import InitialMeasurements, reported
from pipeline.datasets import circles
from pipeline.diagnostics import labels, measure
from pipeline.diagnostics.labels import LABEL_RULES, Label
from pipeline.diagnostics.measure import LAYER_QUANTITIES, MODEL_QUANTITIES
from pipeline.figures.initialization_figures import Histogram
from pipeline.initializers.networkwise import NetworkSpec
from pipeline.initializers.recipes import Recipe, sample_parameters
from pipeline.networks.activations import ACTIVATIONS
from pipeline.networks.parameters import stack
from pipeline.reporting import initialization_report
from pipeline.theory import predictions, variances
from tests.analysis.test_initialization_table import COLUMNS

NAN = math.nan
HEALTHY = [Label("healthy", "")]
Cells = Mapping[tuple[str, str, int], tuple[float, ...]]


def initialization_csv(names: Sequence[str], layers_dims: Sequence[int], cells: Cells) -> pd.DataFrame:
    """initialization.csv in which everything is as it would be of healthy networks, but for the `cells` given: (mean, sd,
    predicted, deviation) by initializer, quantity and layer, or 0 for a whole model's; nothing for a row that lacks."""
    rows = []
    for name in names:
        for l, units in enumerate(layers_dims[1:], start=1):
            usual = dict.fromkeys(reported(LAYER_QUANTITIES), 1.0) | {"units": units, "unique_incoming_outgoing": units}
            usual |= {"dead": 0.0, "dead_for_all": 0.0, "saturated": 0.0}
            if l == len(layers_dims) - 1:
                del usual["dead_for_all"]
            rows += [(name, quantity, l, mean) for quantity, mean in usual.items()]
        rows += [(name, quantity, 0, 1.0) for quantity in reported(MODEL_QUANTITIES)]
    made = []
    for name, quantity, l, mean in rows:
        values = cells.get((name, quantity, l), (mean, 0.0, NAN, NAN))
        if values:
            made.append((name, quantity, l or None, 3, values[0], values[1], *[values[0]] * 3, *values[2:]))
    return pd.DataFrame(made, columns=COLUMNS).astype({"layer": "Int64"})


def written(
    cells: Cells | None = None,
    layers_dims: Sequence[int] = (2, 4, 3, 1),
    words: Mapping[str, Sequence[Label]] | None = None,
    unpredicted: Mapping[str, str] | None = None,
    estimated: Sequence[str] = (),
) -> str:
    words = words or {"b": HEALTHY * 3}
    made = initialization_csv(list(words), layers_dims, cells or {})
    return initialization_report.report(made, words, unpredicted or {}, layers_dims, estimated)


def tables(text: str) -> list[list[list[str]]]:
    """The cells of each table but the list of quantities, row by row, without heads."""
    text = text.partition("\n\n## Quantities")[0]
    blocks = [block.split("\n") for block in text.split("\n\n") if block.startswith("|")]
    return [[[cell.strip() for cell in line[1:-1].split("|")] for line in block[2:]] for block in blocks]


def drawn_models(
    inits: Mapping[str, Recipe], layers_dims: Sequence[int], activation: str = "relu", seeds: Sequence[int] = (0, 1, 2)
) -> tuple[pd.DataFrame, str, dict[str, list[Histogram]]]:
    """initialization.csv, initialization.md and the histograms of real networks on circles, as the stage makes them."""
    X, Y = circles(20, 0.05, 1)
    n_layers, activations = len(layers_dims) - 1, [ACTIVATIONS[activation]] * (len(layers_dims) - 2)
    spec = NetworkSpec(list(layers_dims), activations, X)
    found, words, unpredicted, histograms = {}, {}, {}, {}
    for name, recipe in inits.items():
        B = measure.measure(stack([sample_parameters(recipe, seed, spec) for seed in seeds]), X, Y, activations)
        columns = {"layer": np.tile(np.arange(1, n_layers + 1), len(seeds))}
        columns |= {column: values.ravel() for column, values in B.layers.items()}
        law = variances.laws(recipe, spec)
        if isinstance(law, str):
            unpredicted[name] = law
        theory = None if isinstance(law, str) else predictions.predict(law, layers_dims, X, activations)
        found[name] = InitialMeasurements(columns, B.models, B.dead, theory)
        words[name] = labels.label_models(columns, B.models, n_layers, labels.plan(0.01, 0.0, 15_000, Y))
        counts = [*B.A_counts.sum(axis=0), B.Z_counts[:, -1].sum(axis=0)]
        histograms[name] = [Histogram(0, values) for values in counts]
    made = initialization_table.initialization_table(found)
    return made, initialization_report.report(made, words, unpredicted, layers_dims), histograms


INITS = {
    "he": Recipe("he_normal", {}),
    "zeros": Recipe("zeros", {}),
    "constant": Recipe("constant", {"value": 0.5}),
    "x10": Recipe("normal", {"std": 10.0}),
}


def test_labels() -> None:
    words = {"b": [Label("healthy", ""), Label("saturated", "61 % of outputs"), Label("saturated", "85 % of outputs")]}
    cells = {
        ("b", "initial_cost", 0): (0.7918, 0.1441, 0.7884, 0.2361),
        ("b", "saturated", 1): (0.9, 0.0, NAN, NAN),  # of hidden units: not shown here
        ("b", "saturated", 3): (0.357, 0.0, NAN, NAN),
        ("b", "unique_incoming_outgoing", 1): (1.5, 0.5, NAN, NAN),
        ("b", "dead", 1): (0.25, 0.5, NAN, NAN),
        ("b", "dead", 2): (0.16, 0.5, NAN, NAN),
        ("b", "dead_for_all", 2): (2.0, NAN, NAN, NAN),
    }
    (row,), *_ = tables(written(cells, words=words))
    word = ["saturated 2, healthy 1", "saturated: 61 % of outputs"]  # the first of the two
    assert row == ["b", *word, "0.792 ± 0.144", "0.788", "+0.2", "35.7 %", "4.5 of 7", "0.41; 2"]
    (row,), *_ = tables(written())
    assert row == ["b", "healthy 3", "–", "1", "–", "–", "0 %", "7 of 7", "0; 0"]


def test_layer_by_layer() -> None:
    cells = {
        ("b", "preactivation_mean_square", 1): (83.2, 24.3, 83.0, 0.08),
        ("b", "gradient_ratio", 1): (12644.0, 13000.0, 12500.0, 0.1),
        ("b", "effective_rank", 1): (1.954, 0.1, NAN, NAN),
        ("b", "preactivation_mean_square", 2): (8.324e-5, 2.432e-5, 8.3e-5, -1.84),
        ("b", "gradient_ratio", 2): (),
        ("b", "saturated", 2): (0.125, 0.1, NAN, NAN),
        ("b", "effective_rank", 2): (),
    }
    _, rows, *_ = tables(written(cells))
    assert rows[0] == ["b", "1", "83.2 ± 24.3", "83", "+0.1", "12,644 ± 13,000", "12,500", "+0.1", "0 %", "1.95"]
    assert rows[1] == ["b", "2", "8.32e−5 ± 2.43e−5", "8.3e−5", "−1.8", "–", "–", "–", "12.5 %", "–"]
    assert rows[2] == ["b", "3", "1", "–", "–", "1", "–", "–", "0 %", "1"]


def test_a_mean_over_some_of_the_models_says_how_many() -> None:
    cells = {("b", "log_growth", 0): (-1.1, 1.01, -0.931, -1.7), ("b", "effective_rank", 2): (1.5, 0.1, NAN, NAN)}
    table = initialization_csv(["b"], (2, 4, 3, 1), cells)
    table.loc[table["quantity"].isin(["log_growth", "effective_rank"]), "seeds"] = 2
    _, layers, _, (typical,) = tables(initialization_report.report(table, {"b": HEALTHY * 3}, {}, (2, 4, 3, 1)))
    assert typical[4:] == ["−1.1 ± 1.01 (2 of 3)", "−0.931", "−1.7"]
    assert layers[1][2:] == ["1", "–", "–", "1", "–", "–", "0 %", "1.5 (2 of 3)"]


def test_from_the_input_to_the_last_hidden_layer() -> None:
    cells = {
        ("b", "correlation", 1): (0.9, 0.1, 0.9, 0.0),
        ("b", "correlation", 2): (0.29, 0.458, 0.318, -0.6),  # of the last hidden layer
        ("b", "correlation", 3): (0.8, 0.1, 0.8, 0.0),
        ("b", "jacobian_mean_square", 0): (1.14e-7, 6.58e-8, 1.25e-7, -1.7),
        ("b", "jacobian_largest", 0): (3.93e-4, 0.0, NAN, NAN),
        ("b", "jacobian_smallest", 0): (1.04e-4, 0.0, NAN, NAN),
        ("b", "blocked_inputs", 0): (0.0446, 0.0867, 0.0322, 1.4),
        ("b", "log_growth", 0): (-1.1, 1.01, -0.931, -1.7),
    }
    text = written(cells)
    *_, (maps,), (typical,) = tables(text)
    assert maps[:4] == ["b", "0.29 ± 0.458", "0.318", "−0.6"]
    assert maps[4:] == ["1.14e−7 ± 6.58e−8", "1.25e−7", "−1.7", "0.000393, 0.000104"]
    assert typical == ["b", "4.46 % ± 8.67 %", "3.22 %", "+1.4", "−1.1 ± 1.01", "−0.931", "−1.7"]
    assert "Correlation: of the pre-activations of layer 2 at" in text
    nowhere = {("b", f"jacobian_{end}", 0): () for end in ("mean_square", "largest", "smallest")}
    assert tables(written(nowhere))[-2][0][4:] == ["–", "–", "–", "–, –"]  # not finite in any model
    assert tables(written({("b", "log_growth", 0): ()}))[-1][0][4:] == ["–", "–", "–"]  # every input is blocked


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ((0.0, 0.0, 0.0, 0.0), ["0", "0", "+0.0"]),
        ((-0.5, 0.25, NAN, NAN), ["−0.5 ± 0.25", "–", "–"]),
        ((1234.4, 1e-10, 1e5, 3.04), ["1,234", "1e5", "+3.0"]),  # a spread of rounding errors is none
        ((1.5e12, math.inf, -1e-12, NAN), ["1.5e12", "−1e−12", "–"]),
        ((999.4, 0.0, 999.6, NAN), ["999", "1,000", "–"]),
        ((2.0, NAN, 2.0, 0.0), ["2", "2", "+0.0"]),  # a single model
        ((NAN, NAN, 2.0, NAN), ["–", "2", "–"]),  # not finite in some model
        ((1e150, 2e150, math.inf, NAN), ["1e150 ± 2e150", "inf", "–"]),
    ],
)
def test_numbers_have_three_digits(cell: tuple[float, ...], shown: list[str]) -> None:
    _, rows, *_ = tables(written({("b", "preactivation_mean_square", 1): cell}))
    assert rows[0][2:5] == shown


def test_deep_networks_show_eight_layers_the_first_and_the_last_among_them() -> None:
    _, rows, *_ = tables(written(layers_dims=[2, *[100] * 50, 1], words={"a": HEALTHY, "b": HEALTHY}))
    shown = [int(row[1]) for row in rows if row[0] == "a"]
    assert shown == [1, 8, 15, 22, 30, 37, 44, 51]  # 1 + 50 k / 7: 1, 8.1, 15.3, 22.4, 29.6, 36.7, 43.9, 51
    assert [int(row[1]) for row in rows if row[0] == "b"] == shown
    for n in range(1, 300):
        layers = initialization_table.layers_to_show(n)
        assert (len(layers), layers[0], layers[-1]) == (min(n, 8), 1, n)
        gaps = {after - before for before, after in pairwise(layers)}
        assert not gaps or min(gaps) >= 1
        assert n <= 8 or max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize(
    ("layers_dims", "sizes", "logarithm"),
    [
        ([2, 10, 5, 1], "2, 10, 5, 1", "ln 2 = 0.6931"),
        ([2, *[100] * 50, 1], "2, 50 of 100, 1", "ln 2 = 0.6931"),
        ([64, 20, 20, 5, 5, 5, 10], "64, 2 of 20, 3 of 5, 10", "ln 10 = 2.303"),
        ([30, 3], "30, 3", "ln 3 = 1.099"),
    ],
)
def test_sizes_of_the_layers_and_the_cost_of_knowing_nothing(
    layers_dims: list[int], sizes: str, logarithm: str
) -> None:
    text = written(layers_dims=layers_dims, words={"a": HEALTHY * 3, "b": HEALTHY * 2})
    assert f"2 initializers, 5 models, layers {sizes}: measured" in text
    assert f"With zero logits the cost is {logarithm}. " in text


def test_the_report_has_the_rule_of_every_label() -> None:
    text = written()
    for kind in LABEL_RULES:
        assert f"- **{kind.name}**: {kind.rule}." in text
        assert kind.why in text


def agreement(text: str) -> str:
    """The end of the section before the figures, from the number of predictions that agree on."""
    return text.partition("more reliable measure.\n\n")[2].partition("\n\n## Figures")[0]


def test_where_theory_is_silent_is_said_and_why() -> None:
    unpredicted = {"odd": "has weights of mean 0.5, but theory assumes mean 0", "own": "has weights of your own making"}
    text = written(words={"b": HEALTHY, "odd": HEALTHY, "own": HEALTHY}, unpredicted=unpredicted)
    assert agreement(text).endswith(
        "of the prediction:\n\n"
        "- odd: no prediction, because it has weights of mean 0.5, but theory assumes mean 0;\n"
        "- own: no prediction, because it has weights of your own making."
    )
    assert "no prediction" not in written()


def test_where_theory_hangs_on_the_weights_themselves_is_said() -> None:
    words = {"b": HEALTHY, "mine": HEALTHY, "odd": HEALTHY}
    text = written(words=words, unpredicted={"odd": "is odd"}, estimated=["mine", "odd"])
    assert agreement(text).endswith(
        "of the prediction:\n\n"
        "- mine: predictions from the variances estimated from the weights, taken as uncorrelated;\n"
        "- odd: no prediction, because it is odd."
    )
    assert agreement(written(words=words, estimated=["mine"])).endswith(", taken as uncorrelated.")


def test_what_lies_beyond_the_bound_of_three_seeds_is_named_the_farthest_first() -> None:
    """The bound is 19.2067 (SciPy), as test_estimators.py checks."""
    cells = {
        ("b", "preactivation_mean_square", 1): (1.0, 1.0, 1.5, 19.2),  # just within
        ("b", "preactivation_mean_square", 2): (0.767, 1.0, 0.83, -19.21),
        ("b", "initial_cost", 0): (0.9, 1.0, 0.7, 45.0),
        ("b", "correlation", 2): (0.4, 1.0, -2.9e-16, -120.0),
        ("b", "gradient_ratio", 1): (5.0, 0.0, 4.0, NAN),  # a prediction that nothing can be said about
    }
    assert agreement(written(cells)) == (
        "1 of 4 measured means lie within 19.2 standard errors of the prediction:\n\n"
        "- further away: b correlation in layer 2 (0.4, not 0), b initial_cost (0.9, not 0.7), "
        "b preactivation_mean_square in layer 2 (0.767, not 0.83)."
    )
    within = {key: cell for key, cell in cells.items() if abs(cell[3]) <= 19.2}
    assert agreement(written(within)) == "1 of 1 measured means lie within 19.2 standard errors of the prediction."
    assert "A mean differs from its prediction if |z| is above 19.2: for normal values of 3 seeds" in written(within)


def test_of_many_that_lie_beyond_twelve_are_named() -> None:
    cells = {("b", "preactivation_mean_square", l): (2.0, 1.0, 1.0, 20.0 + l) for l in range(1, 21)}
    text = agreement(written(cells, [2, *[5] * 19, 1], unpredicted={"odd": "is odd"}))
    assert text.startswith("0 of 20 measured means lie within")
    named = [int(layer) for layer in re.findall(r"in layer (\d+)", text)]
    assert named == list(range(20, 8, -1))
    assert "(2, not 1), and 8 more;\n- odd: no prediction, because it is odd." in text


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("layers_dims", [[2, 1], [2, 1, 1, 1], [2, 3], [2, *[3] * 20, 1]])
def test_networks_of_odd_shapes_are_reported(layers_dims: list[int], activation: str) -> None:
    made, text, _ = drawn_models(INITS, layers_dims, activation)
    words, layers, maps, typical = tables(text)
    assert [row[0] for row in words] == [row[0] for row in maps] == [row[0] for row in typical] == list(INITS)
    assert len(layers) == len(INITS) * min(8, len(layers_dims) - 1)
    assert set(made["layer"].dropna()) == set(range(1, len(layers_dims)))
    assert "- constant: no prediction, because it has weights of mean 0.5, but theory assumes mean 0." in text
    assert not re.search(r"\bnan\b|<NA>|None", text)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("std", [1e-170, 1e100, 1e150])
def test_networks_beyond_the_range_of_numbers_are_reported(std: float, activation: str) -> None:
    _, text, _ = drawn_models(
        {"far": Recipe("normal", {"std": std}), "he": Recipe("he_normal", {})}, [2, 4, 4, 4, 1], activation
    )
    assert len(tables(text)) == 4


def test_a_single_seed_has_no_spread() -> None:
    _, text, _ = drawn_models(INITS, [2, 4, 3, 1], seeds=[3])
    assert "±" not in "".join(line for line in text.split("\n") if line.startswith("|"))
    assert "measured means lie within rounding of the prediction" in text
    assert "|z| is above" not in text


def test_a_correlation_of_the_order_of_rounding_errors_is_shown_as_0() -> None:
    """Other quantities, such as variances of 1e-20, are shown as they are."""
    cells = {
        ("b", "correlation", 2): (1e-13, 0.458, -2.91e-16, -0.6),
        ("b", "jacobian_mean_square", 0): (1.14e-20, 0.0, 1.25e-20, -1.7),
    }
    *_, (maps,), _ = tables(written(cells))
    assert maps[:6] == ["b", "0 ± 0.458", "0", "−0.6", "1.14e−20", "1.25e−20"]


def test_the_quantities_of_initialization_csv_are_listed_with_their_units() -> None:
    text, listed = written(), {}
    for line in text.partition("## Quantities in initialization.csv")[2].strip().split("\n")[2:]:
        name, meaning, unit = (cell.strip() for cell in line[1:-1].split("|"))
        listed[name.strip("`")] = (meaning, unit)
    assert list(listed) == list(dict.fromkeys(initialization_csv(["b"], [2, 4, 3, 1], {})["quantity"]))
    assert all(meaning for meaning, _ in listed.values())
    assert listed["initial_cost"] == ("initial cost", "nats")
    assert {name for name, (_, unit) in listed.items() if unit == "share"} == {"saturated", "blocked_inputs"}


def test_tables_are_aligned() -> None:
    unpredicted = {"a_longer_name": "is odd"}
    hand = written(
        {("b", "preactivation_mean_square", 2): (-1e-12, 2e-13, 1.0, -100.0)},
        words={"b": HEALTHY, "a_longer_name": HEALTHY},
    )
    for text in (hand, written(unpredicted=unpredicted), drawn_models(INITS, [2, 4, 3, 1])[1]):
        blocks = [block.split("\n") for block in text.strip().split("\n\n") if block.startswith("|")]
        assert len(blocks) == 5
        assert all(len({len(line) for line in block}) == 1 for block in blocks)


def test_nothing_hangs_on_names() -> None:
    _, text, _ = drawn_models(INITS, [2, 4, 3, 1])
    others = dict(zip(INITS, ("q1", "q2345", "q2345678", "q11"), strict=True))  # as long, and no part of another word
    _, other, _ = drawn_models({others[name]: recipe for name, recipe in INITS.items()}, [2, 4, 3, 1])
    for name in sorted(others, key=len, reverse=True):
        other = other.replace(others[name], name)
    assert other == text


def test_the_figures_shown_are_those_that_the_stage_makes() -> None:
    outs = YAML(typ="safe").load(Path(__file__).parents[2] / "dvc.yaml")["stages"]["initialization"]["outs"]
    made = [name for out in outs for name in out if name.endswith(".png")]
    assert sorted(f"reports/{name}" for name in re.findall(r"!\[.+\]\((.+)\)", written())) == made
