"""The text and the JSON of audits that are made by hand."""

import dataclasses
import json
import math

import pytest

from pipeline.audit.command import numbers
from pipeline.audit.command.as_json import document
from pipeline.audit.command.table import COLUMNS
from pipeline.audit.command.text import text
from pipeline.audit.law_names import documented
from pipeline.audit.results import (
    ALARM,
    AS_INTENDED,
    CAUSES,
    NOT_CHECKED,
    NOT_INITIAL,
    Audit,
    Finding,
    Suitability,
)
from tests.audit.examples import broken, healthy, layer_audit


def blocks(audit: Audit) -> list[str]:
    """The parts of the text between empty lines."""
    return text(audit).rstrip("\n").split("\n\n")


def rows(audit: Audit) -> list[list[str]]:
    """The rows of the table of layers, split at two or more blanks."""
    lines = next(block for block in blocks(audit) if block.startswith("layer ")).splitlines()[2:]
    return [[cell for cell in line.split("  ") if cell] for line in lines]


def transformer(findings: list[Finding]) -> Audit:
    """Six weights in each of 48 blocks: 288 layers."""
    shapes = {"attn.q": (768, 768), "attn.k": (768, 768), "attn.v": (768, 768), "attn.o": (768, 768)}
    shapes |= {"mlp.fc1": (3072, 768), "mlp.fc2": (768, 3072)}
    layers = [
        layer_audit(f"model.layers.{i}.{name}", shape, ("normal(std=0.02)", "truncated_normal(std=0.02)"), 0.02)
        for i in range(48)
        for name, shape in shapes.items()
    ]
    return Audit("big.safetensors", "pytorch", ALARM if findings else AS_INTENDED, 0.01, layers, findings)


def test_the_verdict_comes_first_and_names_layer_fault_certainty_and_effect() -> None:
    first, *_ = blocks(broken())
    words = " ".join(first.split())
    assert words.startswith("ALARM in layer fc3 of model.pt: 3 of 4,096 weights are NaN. This is certain.")
    assert "1 other layer too: fc2" in words
    assert words.endswith(" With relu the network is not expected to train (vanishing: 20,000 steps needed).")
    uncertain = dataclasses.replace(broken(), findings=broken().findings[1:])
    assert "would show this with a probability of 3e-41." in " ".join(blocks(uncertain)[0].split())


def test_a_healthy_network_says_what_would_have_been_missed() -> None:
    assert blocks(healthy())[0].startswith("OK: model.pt is initialized as intended: 3 layers with 12,288 weights")
    *_, missed = blocks(healthy())
    # the example's factor is 1 + 4 / sqrt(4096) = 1.0625, and is rounded up: 1.06 would be missed
    assert missed.splitlines()[-1].split() == ["layers.0-2", "4,096", "1.07", "none"]
    small = dataclasses.replace(healthy(), layers=[layer_audit("a", (10, 10))])
    assert blocks(small)[-1].splitlines()[-1].split() == ["a", "100", "1.4", "all"]
    assert "missed" not in text(broken())


@pytest.mark.parametrize(
    ("state", "head"),
    [(NOT_INITIAL, "NOT AT INITIALIZATION: layer a of m.pt: "), (NOT_CHECKED, "NOT CHECKED: layer a of m.pt: ")],
)
def test_what_is_not_at_initialization_is_not_called_wrong(state: str, head: str) -> None:
    finding = Finding("a", "not_initial", "batches were counted: 500", 0.0)
    healthy = Suitability("relu", "healthy", "", [], [], math.inf)
    shown = text(Audit("m.pt", "", state, 0.01, [layer_audit("a")], [finding], healthy))
    assert ("is expected to train" in " ".join(shown.split())) == (state != NOT_INITIAL)
    assert shown.startswith(head)
    assert "ALARM" not in shown
    assert ("before the first training step" in shown) == (state == NOT_INITIAL)


def test_a_network_of_documented_laws_that_do_not_suit_it() -> None:
    """The prediction is no certainty, and is stated once in the verdict."""
    predicted = Suitability("tanh", "collapsed", "correlation 1 - 1e-9", [], [], 5.0)
    finding = Finding("", "unsuitable", "with the measured variances the network is collapsed", math.nan, "fix()")
    layers = [layer_audit(f"{i}", laws=("pytorch_linear",)) for i in range(30)]
    audit = Audit("m.pt", "pytorch", ALARM, 0.01, layers, [finding], predicted)
    assert " ".join(blocks(audit)[0].split()) == (
        "ALARM in m.pt: each layer is drawn from pytorch_linear, but this does not suit the network. With tanh the "
        "network is not expected to train (collapsed: correlation 1 - 1e-9)."
    )
    assert blocks(audit)[3].splitlines()[0] == "m.pt: unsuitable, predicted"


def test_a_single_layer_has_no_activation() -> None:
    single = dataclasses.replace(healthy(), suitability=Suitability("", "healthy", "", [], [], math.nan))
    assert " ".join(blocks(single)[0].split()).endswith(" The network is expected to train.")


def test_laws_of_measured_scales_are_one_family_and_constants_are_no_draws() -> None:
    scales = [layer_audit(f"proj.{i}", laws=(f"normal(std=0.005{i})",), std=0.005 + i * 1e-4) for i in range(4)]
    norms = [layer_audit(f"norm.{i}", (64,), laws=(f"all {i % 2}",), std=float(i % 2)) for i in range(6)]
    norms = [
        dataclasses.replace(each, layer=each.layer._replace(kind="normalization"), structure="constant")
        for each in norms
    ]
    audit = Audit("m.pt", "", AS_INTENDED, 0.01, [*scales, *norms], [])
    assert [(row[0], row[4]) for row in rows(audit)] == [
        ("proj.0-3 (4)", "normal(std=...)"),
        ("norm.{0,2,4} (3)", "all 0"),
        ("norm.{1,3,5} (3)", "all 1"),
    ]
    assert "drawn from normal(std=...)." in " ".join(text(audit).split())
    assert "norm" not in blocks(audit)[-1].replace("normal", "")


def test_a_trained_model_needs_no_repair_of_its_layers() -> None:
    findings = [
        Finding("", "not_initial", "the optimizer has made steps", 0.0, "save()"),
        Finding("a", "wrong_family", "a distribution that no initializer has", 1e-9, "draw()"),
    ]
    shown = text(Audit("m.pt", "", NOT_INITIAL, 0.01, [layer_audit("a")], findings))
    assert "save()" in shown
    assert "draw()" not in shown


def test_an_audit_without_layers_shows_its_notes() -> None:
    assert text(Audit("m.pt", "", NOT_CHECKED, 0.01, [], [], None, ["the file has no weights"])) == (
        "NOT CHECKED: m.pt.\n\nNote: the file has no weights.\n"
    )


def test_findings_have_their_fix_in_the_words_of_the_framework() -> None:
    assert blocks(broken())[4].splitlines() == [
        "fc2: wrong law, p = 3e-41",
        "    The weights follow xavier_normal (standard deviation 0.125), not he_normal (0.177).",
        "    Fix:",
        '        nn.init.kaiming_normal_(model.fc2.weight, nonlinearity="relu")',
    ]


def test_layers_that_differ_in_the_name_alone_are_one_row() -> None:
    assert [row[0] for row in rows(healthy(50))] == ["layers.0-49 (50)"]
    assert len(rows(transformer([]))) == 6
    assert len(rows(healthy(2))) == 2
    mixed = dataclasses.replace(healthy(), layers=[*healthy(5).layers, layer_audit("layers.5", (32, 64))])
    assert [row[0] for row in rows(mixed)] == ["layers.0-4 (5)", "layers.5"]


def test_an_alarm_has_a_row_of_its_own() -> None:
    finding = Finding("model.layers.17.attn.k", "zeros", "all weights are 0", 0.0, "fix()")
    shown = rows(transformer([finding]))
    assert len(shown) == 7
    assert [row[0] for row in shown if "zeros" in row[-1]] == ["model.layers.17.attn.k"]
    assert shown[1][0].startswith("model.layers.{0-16,18-47}.")


def test_equal_alarms_of_many_layers_are_one_finding_that_lists_them() -> None:
    findings = [
        Finding(
            f"model.layers.{i}.mlp.fc1", "wrong_scale", f"the standard deviation is 0.0{30 + i}", 10.0**-i, f"fix({i})"
        )
        for i in range(40, 20, -1)
    ]
    shown = [block for block in blocks(transformer(findings)) if "wrong scale, p" in block]
    assert shown == [
        "model.layers.21-40.mlp.fc1 (20 layers): wrong scale, p ≤ 1e-21\n"
        "    model.layers.40.mlp.fc1: the standard deviation is 0.070.\n"
        "    Fix, and the others likewise:\n        fix(40)"
    ]


def test_lines_fit_into_a_terminal() -> None:
    long = layer_audit("a_rather_long_name.of_a_layer." * 3 + "weight", (4096, 11008), ("normal(std=0.02)",) * 9)
    for audit in (healthy(50), broken(), transformer([]), dataclasses.replace(healthy(), layers=[long])):
        assert max(map(len, text(audit).splitlines())) <= COLUMNS


@pytest.mark.parametrize("p", [0.0, 5e-324, 1e-200, 3.2e-41, 0.00999, 0.0101, 0.5, 0.996, 1.0, math.nan])
def test_a_printed_probability_is_within_its_last_digit(p: float) -> None:
    shown = numbers.probability(p)
    if math.isnan(p):
        assert shown == "–"
    elif p == 0.0:
        assert shown == "certain"
    elif p < 1e-99:
        assert shown == "<1e-99"
    else:
        assert float(shown) == pytest.approx(p, rel=0.05 if p >= 0.001 else 0.5)  # two digits, or one


@pytest.mark.parametrize(
    ("std", "n", "shown"),
    [
        (0.02, 100, "0.020"),
        (0.17678, 10_000, "0.177"),
        (1.0, 64, "1.0"),
        (0.0, 9, "0"),
        (math.nan, 9, "–"),
        (12.34, 10, "12"),
    ],
)
def test_a_standard_deviation_has_the_digits_that_its_sampling_error_allows(std: float, n: int, shown: str) -> None:
    assert numbers.deviation(std, n) == shown


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([3], "3"),
        ([0, 1, 2], "0-2"),
        ([0, 2, 4, 6], "0,2..6"),
        ([2, 4, 6], "2,4,6"),
        ([0, 1, 5, 7, 8], "0-1,5,7-8"),
        ([4, 2], "2,4"),
    ],
)
def test_numbers_of_layers(values: list[int], shown: str) -> None:
    assert numbers.ranges(values) == shown


@pytest.mark.parametrize(
    ("x", "shown"),
    [(1.0625, "1.07"), (1.02, "1.02"), (1.31, "1.4"), (2.0, "2.0"), (11.2, "12"), (math.inf, "any"), (math.nan, "any")],
)
def test_a_factor_is_rounded_up(x: float, shown: str) -> None:
    assert numbers.factor(x) == shown


# ---------------------------------------------------------------------------------------------------------------------
# JSON


def test_json_is_strict_and_has_null_for_what_is_not_finite() -> None:
    def refuse(constant: str) -> float:
        raise AssertionError(constant)

    read = json.loads(document([broken(), healthy()], {"x.pt": "x.pt does not exist."}), parse_constant=refuse)
    assert read["version"] == 1
    assert read["errors"] == [{"source": "x.pt", "message": "x.pt does not exist."}]
    first, second = read["audits"]
    assert (first["ok"], second["ok"]) == (False, True)
    assert first["layers"][2]["std"] is None
    assert first["suitability"]["gradient"] == [None] * 3
    assert second["suitability"]["trainable_depth"] is None
    assert first["findings"][1]["p"] == 3.2e-41  # every bit
    assert first["layers"][1]["shape"] == [64, 64]


def test_json_has_every_field_of_the_results() -> None:
    """A field that is added to the results must be added to the JSON, or left out here with a reason."""
    audit = json.loads(document([broken()], {}))["audits"][0]
    assert set(audit) == {field.name for field in dataclasses.fields(Audit)} | {"ok"}
    layer = broken().layers[0]
    described = {"weight", "bias", "hidden_size"}  # arrays; and what only their layout needs
    own = {field.name for field in dataclasses.fields(layer)} - {"layer"}
    assert set(audit["layers"][0]) == own | (set(layer.layer._fields) - described) | {"shape", "dtype"}
    assert all(finding["cause"] in CAUSES for finding in audit["findings"])


# ---------------------------------------------------------------------------------------------------------------------
# Names of laws


def test_the_expected_law_is_named_first_and_mistakes_only_if_nothing_else_explains_the_weights() -> None:
    assert documented(["pytorch_linear = lecun_uniform without the factor sqrt(3)", "uniform(low=-0.1, high=0.1)"]) == [
        "pytorch_linear"
    ]
    assert documented(["he_normal = he_normal(mode='fan_out')"], ["he_normal(mode='fan_out')"]) == [
        "he_normal(mode='fan_out')",
        "he_normal",
    ]
    assert documented(["lecun_uniform without the factor sqrt(3)"]) == ["lecun_uniform without the factor sqrt(3)"]
    assert documented(["normal(std=0.0177)"]) == ["normal(std=0.0177)"]
    assert documented(["normal(std=0.3)", "normal(std=0.301)"], ["normal(std=0.3)"]) == ["normal(std=0.3)"]


def test_a_layer_that_many_laws_explain_is_not_named() -> None:
    many = layer_audit(
        "head", (2, 5), ("he_normal", "he_uniform", "lecun_normal", "lecun_uniform", "xavier_normal", "xavier_uniform")
    )
    unknown = dataclasses.replace(many, expected=[])
    shown = text(Audit("m.pt", "", AS_INTENDED, 0.01, [unknown], []))
    assert "drawn from laws that so few weights do not distinguish." in " ".join(shown.split())
    assert "  6 laws  " in shown
    assert "he_normal" not in shown
