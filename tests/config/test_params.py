"""Which params.yaml is valid, and the messages for invalid ones."""

import inspect
import json
import re
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import modify_yaml, parse_yaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from pipeline.config import params, schema, yaml_file
from pipeline.config.messages import OLD_KEYS
from pipeline.config.schema import MAX_SEEDS
from pipeline.errors import UserError
from pipeline.initializers.layerwise import RECIPES

COMMITTED = (Path(__file__).parents[2] / "params.yaml").read_text(encoding="utf-8")
SHIPPED = re.sub(r"(hidden_sizes:) .*\n  - 10\n  - 5\n", r"\1 [10, 5]\n", COMMITTED)  # on one line, to be replaced
SHIPPED = re.sub(r"(?ms)^audits:.*", "audits: {}\n", SHIPPED)  # which tests/config/test_audits.py has
SEEDS = re.search(r"(?m)^seeds:.*$", SHIPPED)[0]  # type: ignore[index]
JARGON = re.compile(
    r"pydantic|Traceback|Error|Input should|StrictStr|datetime|True|False|None|<unicode|literal for int"
)

SECTIONS = "data, network, training, seeds, initializers, comparison, tracking, audits"
KINDS = {  # of messages: the key is what the group matches
    "syntax": r"line \d+ is not valid YAML: .+()\.",
    "nested": r"the file is nested too deeply()\.",
    "scalar": r"(\S+) holds \S+, which is not a valid \w+\.",
    "duplicate": r"(\S+) is a duplicate key, on lines \d+ and \d+; .+",
    "alias": r"(\S+) is an alias; .+",
    "merge": r"(\S+) merges another section; .+",
    "name": r"(\S+): .+ is not a valid name; .+",
    "case": r"(\S+) holds \w+ and \w+, which are the same file name .+",
    "unique": r"(\S+) holds .+ more than once; .+",
    "empty": r"(\S+) is empty; .+",
    "missing": r"(\S+) is missing; .+",
    "unknown": r"(\S+) is unknown; (?:.+ has|did you mean .+\? It must be one of) .+",
    "renamed": r"(\S+) was renamed; write \S+\.",
    "value": r"(\S+) holds .+; .+",
}


def load(text: str, folder: Path) -> schema.Params:
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    return params.load(folder / "params.yaml")


def changed(old: str, new: str) -> str:
    assert SHIPPED.count(old) == 1
    return SHIPPED.replace(old, new)


def messages(text: str, folder: Path) -> list[str]:
    """The messages for an invalid file, without the path with which each begins."""
    with pytest.raises(UserError) as raised:
        load(text, folder)
    start = f"{(folder / 'params.yaml').as_posix()}: "
    lines = str(raised.value).split("\n")
    assert all(line.startswith(start) and line.endswith(".") for line in lines)
    sentences = [line.removeprefix(start) for line in lines]
    assert not JARGON.search("\n".join(sentences))
    return sentences


def kind_and_key(message: str) -> tuple[str, str]:
    """The first of KINDS that a message is of, and the key in it."""
    return next((kind, found[1]) for kind, pattern in KINDS.items() if (found := re.fullmatch(pattern, message)))


def test_the_shipped_file_is_the_tutorial(tmp_path: Path) -> None:
    """Against the published settings: layers 2, 10, 5, 1; rate 0.01; 15,000 iterations; 300 and 100 points, noise 0.05."""
    P = load(SHIPPED, tmp_path)
    assert P.data.model_dump() == {
        "name": "circles",
        "n_train": 300,
        "n_test": 100,
        "noise": 0.05,
        "train_seed": 1,
        "test_seed": 2,
    }
    assert (P.network.hidden_sizes, P.network.activation) == ((10, 5), "relu")
    assert (P.training.iterations, P.training.learning_rate) == (15000, 0.01)
    assert 1000 % P.training.record_every == 0  # the published costs are one in a thousand
    assert P.seeds == tuple(range(100))
    assert P.comparison.highlight_seed == 3
    assert {name: (recipe.recipe, recipe.settings) for name, recipe in P.initializers.items()} == {
        "zeros": ("zeros", {}),
        "constant": ("constant", {"value": 0.5}),
        "small": ("normal", {"std": 0.01}),
        "normal": ("normal", {"std": 1.0}),
        "random_x10": ("normal", {"std": 10.0}),
        "xavier": ("xavier_normal", {}),
        "he": ("he_normal", {}),
        "orthogonal": ("orthogonal", {}),
    }
    assert all((recipe.gain, recipe.bias, recipe.layers) == (1.0, 0.0, {}) for recipe in P.initializers.values())
    assert (P.training.samples_per_step, P.training.momentum) == (None, 0.0)
    assert P.layers_dims == [2, 10, 5, 1]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (SEEDS, "seeds: [3]"),
        (SEEDS, "seeds: [4294967295, 3]"),
        (SEEDS, "seeds: {first: 3, last: 3}"),
        (SEEDS, f"seeds: {{first: 1, last: {MAX_SEEDS}}}"),
        ("hidden_sizes: [10, 5]", "hidden_sizes: []"),  # logistic regression
        ("hidden_sizes: [10, 5]", "hidden_sizes: [1]"),
        ("noise: 0.05", "noise: 0"),
        ("noise: 0.05", "noise: 1e-3"),
        ("iterations: 15000", "iterations: 100"),  # as many as record_every
        ("target_accuracy: 0.99", "target_accuracy: 1"),
        ("highlight_seed: 3", "highlight_seed: 77"),
        ("reference: he", "reference: zeros"),
        ("  xavier: {", "  " + "x" * 64 + ": {"),
        ("  xavier: {", "  off: {"),  # text in YAML 1.2
        ("iterations: 15000", "iterations: 15_000"),
        ("std: 10.0", "std: 10"),
    ],
)
def test_valid_parameters(tmp_path: Path, old: str, new: str) -> None:
    load(changed(old, new), tmp_path)


def test_seeds_may_be_a_range(tmp_path: Path) -> None:
    assert load(changed(SEEDS, "seeds: {first: 2, last: 5}"), tmp_path).seeds == (2, 3, 4, 5)


def test_an_integer_is_a_valid_float(tmp_path: Path) -> None:
    P = load(changed("noise: 0.05", "noise: 0").replace("std: 10.0", "std: 10"), tmp_path)
    assert type(P.data.noise) is type(P.initializers["random_x10"].settings["std"]) is float


def test_parameters_are_immutable(tmp_path: Path) -> None:
    P = load(SHIPPED, tmp_path)
    with pytest.raises(ValueError, match="frozen"):
        P.training.iterations = 3  # type: ignore[misc]


def test_parameters_are_serialized_without_a_warning(tmp_path: Path) -> None:
    """Results in MLflow are identified by a digest of this text."""
    text = changed("activation: relu", "activation: [relu, tanh]")
    with warnings.catch_warnings(action="error"):
        found = json.loads(load(text, tmp_path).model_dump_json())
    assert found["network"] == {"hidden_sizes": [10, 5], "activation": ["relu", "tanh"]}
    assert found["seeds"] == list(range(100))
    whole = {"settings": {}, "gain": 1.0, "bias": 0.0, "layers": {}}
    assert found["initializers"]["he"] == {"recipe": "he_normal", **whole}
    assert found["initializers"]["small"] == {"recipe": "normal", **whole, "settings": {"std": 0.01}}


# What stands in the file, what replaces it, the kind of the only problem, its key, and the suggestion
RATE, STEPS, NOISE = "learning_rate: 0.01", "iterations: 15000", "noise: 0.05"
BAD = [
    (RATE, "learning_rate: -0.01", "value", "training.learning_rate", ""),
    (RATE, "learning_rate: 0", "value", "training.learning_rate", ""),
    (RATE, "learning_rate: .nan", "value", "training.learning_rate", ""),
    (RATE, "learning_rate: .inf", "value", "training.learning_rate", ""),
    (RATE, "learning_rate: true", "value", "training.learning_rate", ""),
    (RATE, "learning_rate: \"1e-3\"", "value", "training.learning_rate", ""),
    (RATE, "learning_rate:", "value", "training.learning_rate", ""),
    (RATE, "learning_rate: [0.01]", "value", "training.learning_rate", ""),
    (NOISE, "noise: -1", "value", "data.noise", ""),
    (NOISE, "noise: -.inf", "value", "data.noise", ""),
    (NOISE, "noise: 2001-01-01", "value", "data.noise", ""),
    (NOISE, "noise: 1" + "0" * 400, "value", "data.noise", ""),
    (NOISE, "noise: 0x" + "f" * 5000, "value", "data.noise", ""),
    (STEPS, "iterations: 0", "value", "training.iterations", ""),
    (STEPS, "iterations: 1.5", "value", "training.iterations", ""),
    (STEPS, STEPS + ".0", "value", "training.iterations", ""),
    (STEPS, "iterations: true", "value", "training.iterations", ""),
    ("record_every: 100", "record_every: 0", "value", "training.record_every", ""),
    ("record_every: 100", "record_every: 15001", "value", "training.record_every", ""),
    ("n_train: 300", "n_train: 0", "value", "data.n_train", ""),
    ("n_test: 100", "n_test: -5", "value", "data.n_test", ""),
    ("train_seed: 1", "train_seed: -1", "value", "data.train_seed", ""),
    ("test_seed: 2", "test_seed: 4294967296", "value", "data.test_seed", ""),
    ("highlight_seed: 3", "highlight_seed: 3.0", "value", "comparison.highlight_seed", ""),
    ("target_cost: 0.1", "target_cost: 0", "value", "comparison.target_cost", ""),
    ("target_accuracy: 0.99", "target_accuracy: 99", "value", "comparison.target_accuracy", ""),
    ("target_accuracy: 0.99", "target_accuracy: 0", "value", "comparison.target_accuracy", ""),
    ("confidence: 0.95", "confidence: 1.0", "value", "comparison.confidence", ""),
    ("confidence: 0.95", "confidence: 0", "value", "comparison.confidence", ""),
    ("name: circles", "name: squares", "value", "data.name", ""),
    ("name: circles", "name: 3", "value", "data.name", ""),
    ("activation: relu", "activation: reul", "value", "network.activation", "relu"),
    ("reference: he", "reference: 3", "value", "comparison.reference", ""),
    ("reference: he", "reference: ../he", "value", "comparison.reference", ""),
    ("  he: {", "  ../he: {", "name", "initializers", ""),
    ("  he: {", "  he.normal: {", "name", "initializers", ""),
    ("  he: {", "  he normal: {", "name", "initializers", ""),
    ("  he: {", "  _he: {", "name", "initializers", ""),
    ("  he: {", "  hé: {", "name", "initializers", ""),
    ("  he: {", "  7: {", "name", "initializers", ""),
    ("  he: {", "  \"\": {", "name", "initializers", ""),
    ("  he: {", "  \"he\\n\": {", "name", "initializers", ""),
    ("  he: {", f"  {'h' * 65}: {{", "name", "initializers", ""),
    ("  he: {", "  con: {", "name", "initializers", ""),
    ("  he: {", "  nul: {", "name", "initializers", ""),
    ("  he: {", "  AUX: {", "name", "initializers", ""),
    ("  he: {", "  Prn: {", "name", "initializers", ""),
    ("  he: {", "  com1: {", "name", "initializers", ""),
    ("  he: {", "  LPT9: {", "name", "initializers", ""),
    ("highlight_seed: 3", "highlight_seed: 300", "value", "comparison.highlight_seed", ""),
    (SEEDS, "seeds: {first: 0, last: 2}", "value", "comparison.highlight_seed", ""),
    (SEEDS, "seeds: [14, 15]", "value", "comparison.highlight_seed", ""),
    ("reference: he", "reference: He", "value", "comparison.reference", "he"),
    ("reference: he", "reference: xaiver", "value", "comparison.reference", "xavier"),
    ("reference: he", "reference: lecun", "value", "comparison.reference", ""),
    ("  xavier: {", "  Small: {", "case", "initializers", ""),
    ("hidden_sizes: [10, 5]", "hidden_sizes: [10, 0]", "value", "network.hidden_sizes[1]", ""),
    ("hidden_sizes: [10, 5]", "hidden_sizes: [10.0, 5]", "value", "network.hidden_sizes[0]", ""),
    ("hidden_sizes: [10, 5]", "hidden_sizes: 10", "value", "network.hidden_sizes", ""),
    (SEEDS, "seeds: []", "empty", "seeds", ""),
    (SEEDS, "seeds: [3, 1, 3]", "unique", "seeds", ""),
    (SEEDS, "seeds: [-1]", "value", "seeds[0]", ""),
    (SEEDS, "seeds: [0, 4294967296]", "value", "seeds[1]", ""),
    (SEEDS, "seeds: [1.0]", "value", "seeds[0]", ""),
    (SEEDS, "seeds: [false]", "value", "seeds[0]", ""),
    (SEEDS, "seeds: ['1']", "value", "seeds[0]", ""),
    (SEEDS, "seeds: 3", "value", "seeds", ""),
    (SEEDS, "seeds: {first: 3}", "missing", "seeds.last", ""),
    (SEEDS, "seeds: {first: 0, lsat: 3}", "unknown", "seeds.lsat", "last"),
    (SEEDS, "seeds: {first: 0, last: 1.5}", "value", "seeds.last", ""),
    (SEEDS, "seeds: {first: 3, last: 2}", "value", "seeds.last", ""),
    (SEEDS, "seeds: {first: 0, last: 4294967295}", "value", "seeds", ""),
    (STEPS, "iteration: 15000", "unknown", "training.iteration", "iterations"),
    (STEPS + " ", "#", "missing", "training.iterations", ""),
    (NOISE, NOISE + "\n  7: 3", "unknown", "data.7", ""),
    (SEEDS, SEEDS + "\nspeed: 3", "unknown", "speed", "seeds"),
    (SEEDS, SEEDS + "\n\"a\\nb\": 3", "unknown", "'a\\\\nb'", ""),
    ("\nnetwork:", "\nnetwrok:", "unknown", "netwrok", "network"),
    (NOISE, NOISE + "\n  noise: 1", "duplicate", "data.noise", ""),
    ("std: 10.0", "std: 10.0, std: 1.0", "duplicate", "initializers.random_x10.std", ""),
    ("  he: {", "  zeros: {", "duplicate", "initializers.zeros", ""),
    ("recipe: he_normal", "recipe: he", "value", "initializers.he.recipe", ""),
    ("recipe: he_normal", "recipe: [zeros]", "value", "initializers.he.recipe", ""),
    ("he: {recipe: he_normal}", "he: {gain: 1.0}", "missing", "initializers.he.recipe", ""),
    ("he: {recipe: he_normal}", "he: he_normal", "value", "initializers.he", ""),
    ("recipe: he_normal", "recipe: he_normal, std: 1.0", "unknown", "initializers.he.std", ""),
    ("recipe: he_normal", "recipie: he_normal", "unknown", "initializers.he.recipie", "recipe"),
    ("recipe: orthogonal", "recipe: orthogonal, gian: 1.0", "unknown", "initializers.orthogonal.gian", "gain"),
    (", std: 10.0", "", "missing", "initializers.random_x10.std", ""),
    ("std: 10.0", "std: ten", "value", "initializers.random_x10.std", ""),
    ("std: 10.0", "std: true", "value", "initializers.random_x10.std", ""),
    ("std: 10.0", "std: .nan", "value", "initializers.random_x10.std", ""),
    ("std: 10.0", "std: -10.0", "value", "initializers.random_x10.std", ""),
    ("recipe: he_normal", "recipe: variance_scaling, scale: 1, mode: in", "value", "initializers.he.mode", ""),
    ("recipe: he_normal", "recipe: variance_scaling, scale: 1, mode: 2", "value", "initializers.he.mode", ""),
    ("recipe: he_normal", "recipe: he_norml", "value", "initializers.he.recipe", "he_normal"),
    ("recipe: he_normal", "recipe: he_normal, gain: big", "value", "initializers.he.gain", ""),
    ("recipe: he_normal", "recipe: he_normal, bias: .inf", "value", "initializers.he.bias", ""),
    ("recipe: he_normal", "recipe: he_normal, layers: 3", "value", "initializers.he.layers", ""),
    ("recipe: he_normal", "recipe: he_normal, layers: {4: {gain: 2}}", "value", "initializers.he.layers", ""),
    ("recipe: he_normal", "recipe: he_normal, layers: {0: {gain: 2}}", "value", "initializers.he.layers", ""),
    ("recipe: he_normal", "recipe: he_normal, layers: {3: 2}", "value", "initializers.he.layers[3]", ""),
    ("recipe: he_normal", "recipe: he_normal, layers: {3: {std: 2}}", "unknown", "initializers.he.layers[3].std", ""),
    ("recipe: he_normal", "recipe: he_normal, layers: {3: {Gian: 2}}", "unknown", "initializers.he.layers[3].Gian", "gain"),
    ("recipe: he_normal", "recipe: he_normal, layers: {3: {recipe: normal}}", "missing", "initializers.he.layers[3].std", ""),
    ("recipe: he_normal", "recipe: he_normal, layers: {3: {recipe: lsuv}}", "value", "initializers.he.layers[3].recipe", ""),
    ("recipe: he_normal", "recipe: he_normal, layers: {3: {recipe: [zeros]}}", "value", "initializers.he.layers[3].recipe", ""),
    ("recipe: he_normal", "recipe: he_normal, layers: {3: {recipe: zeros, layers: {}}}", "unknown", "initializers.he.layers[3].layers", ""),
    ("recipe: he_normal", "recipe: he_norml, gain: big", "value", "initializers.he.recipe", "he_normal"),
    ("recipe: he_normal", "recipe: 'own.exampel:mirrored'", "value", "initializers.he.recipe", ""),
    ("recipe: he_normal", "recipe: 'own.example:mirored'", "value", "initializers.he.recipe", "mirrored"),
    ("recipe: he_normal", "recipe: 'own.example:mirrored', scale: two", "value", "initializers.he.scale", ""),
    ("recipe: he_normal", "recipe: 'own.example:mirrored', size: 2", "unknown", "initializers.he.size", ""),
    ("recipe: he_normal", "recipe: 'pipeline.numerics.random:normal'", "value", "initializers.he.recipe", ""),
    ("recipe: he_normal", "recipe: 'math:sqrt'", "value", "initializers.he.recipe", ""),
    ("batch_size: full", "batch_size: all", "value", "training.batch_size", ""),
    ("batch_size: full", "batch_size: 0", "value", "training.batch_size", ""),
    ("momentum: 0.0", "momentum: 1", "value", "training.momentum", ""),
    ("activation: relu", "activation: [relu]", "value", "network.activation", ""),
    ("activation: relu", "activation: [relu, reul]", "value", "network.activation", "relu"),
    (NOISE, "noise: 1:30", "value", "data.noise", ""),
    (NOISE, "noise: _1", "value", "data.noise", ""),
    (STEPS, "iterations: 1e4", "value", "training.iterations", ""),
    ("name: circles", "name: on", "value", "data.name", ""),
    (NOISE, NOISE + "\n  on: 1", "unknown", "data.on", ""),
    ("recipe: he_normal", "recipe: own.example:mirrored", "syntax", "", ""),
    (NOISE, "noise: 2001-99-99", "scalar", "data.noise", ""),
    ("hidden_sizes: [10, 5]", "hidden_sizes: &a [*a]", "alias", "network.hidden_sizes[0]", ""),
    (NOISE, "<<: {noise: 0.05}", "merge", "data.'<<'", ""),
    (NOISE, "noise: [1", "syntax", "", ""),
    (NOISE, "\tnoise: 1", "syntax", "", ""),
    (NOISE, "noise: \x00", "syntax", "", ""),
    (NOISE, "noise: !!python/name:os.system", "syntax", "", ""),
    (NOISE, NOISE + "\n---\n", "syntax", "", ""),
    (NOISE, "noise: " + "[" * 1000, "nested", "", ""),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "kind", "key", "suggestion"), BAD, ids=[new[:40] for _, new, *_ in BAD])
def test_invalid_parameters(tmp_path: Path, old: str, new: str, kind: str, key: str, suggestion: str) -> None:
    (message,) = messages(changed(old, new), tmp_path)
    assert kind_and_key(message) == (kind, key)
    assert message.endswith(".")
    before, _, question = message.partition("did you mean ")
    assert question.partition("?")[0] == suggestion
    assert not (suggestion and "must be" in before)  # the suggestion is before the list of what is allowed


def test_messages_name_key_value_and_what_is_allowed(tmp_path: Path) -> None:
    """A handful of whole messages; the other tests look at kinds and keys."""
    for old, new, message in [
        (RATE, "learning_rate: -0.01", "training.learning_rate holds -0.01; it must be a number greater than 0."),
        (RATE, 'learning_rate: "1e-3"', "training.learning_rate holds the text '1e-3'; it must be a number greater than 0."),
        ("record_every: 100", "record_every: 15001", "training.record_every holds 15001; it must be a whole number from 1 to training.iterations, which is 15000."),
        ("activation: relu", "activation: [relu]", "network.activation holds ['relu']; it must be a list of 2 activations, one for each hidden layer, or a single one for all."),
        (SEEDS, "seeds: [14, 15]", "comparison.highlight_seed holds 3; it must be one of the seeds 14, 15."),
        (STEPS, "iteration: 15000", "training.iteration is unknown; did you mean iterations? It must be one of iterations, learning_rate, batch_size, momentum, record_every."),
        (SEEDS, SEEDS + "\nspeed: 3", f"speed is unknown; did you mean seeds? It must be one of {SECTIONS}."),
        (NOISE, NOISE + "\n  noise: 1", "data.noise is a duplicate key, on lines 7 and 8; remove one."),
        (", std: 10.0", "", "initializers.random_x10.std is missing; it must be a finite number greater than 0."),
        ("std: 10.0", "std: -10.0", "initializers.random_x10.std holds -10.0; it must be greater than 0."),
        ("curve_points: 0", "curve_points: -1", "tracking.curve_points holds -1; it must be a whole number of at least 0."),
        ("detailed_seeds: []", "detailed_seeds: [5, 100]", "tracking.detailed_seeds holds 100; it must hold only seeds that are trained: 0 to 99."),
        ("detailed_seeds: []", "detailed_seeds: 5", "tracking.detailed_seeds holds 5; it must be a list, each entry a whole number from 0 to 4294967295."),
        ("recipe: he_normal", "recipe: he_normal, std: 1.0", "initializers.he.std is unknown; the recipe he_normal has negative_slope, mode, gain, bias, layers."),
    ]:  # fmt: skip
        assert messages(changed(old, new), tmp_path) == [message]


@pytest.mark.parametrize(
    ("new", "old", "message"),
    [
        ("hidden_sizes: [10, 5]", "hidden: [10, 5]", "network.hidden was renamed; write network.hidden_sizes."),
        ("highlight_seed: 3", "tutorial_seed: 3", "comparison.tutorial_seed was renamed; write comparison.highlight_seed."),
        ("std: 10.0", "sd: 10.0", "initializers.random_x10.sd was renamed; write initializers.random_x10.std."),
        ("he_normal}", "he_normal, fan: fan_out}", "initializers.he.fan was renamed; write initializers.he.mode."),
        ("he_normal}", "he_normal, slope: 0.1}", "initializers.he.slope was renamed; write initializers.he.negative_slope."),
        ("he_normal}", "martens_sparse, connections: 5}", "initializers.he.connections was renamed; write initializers.he.n_connections."),
        ("he_normal}", "he_normal, layers: {2: {recipe: normal, sd: 1}}}", "initializers.he.layers[2].sd was renamed; write initializers.he.layers[2].std."),
    ],
)  # fmt: skip
def test_a_key_of_an_earlier_version_is_answered_with_its_new_name(
    tmp_path: Path, new: str, old: str, message: str
) -> None:
    assert messages(changed(new, old), tmp_path) == [message]


def test_an_old_name_is_unknown_where_nothing_replaces_it(tmp_path: Path) -> None:
    (message,) = messages(changed("recipe: he_normal", "recipe: orthogonal, sd: 1.0"), tmp_path)
    assert kind_and_key(message) == ("unknown", "initializers.he.sd")


def test_all_old_keys_are_tested_and_their_new_names_exist(tmp_path: Path) -> None:
    P = load(SHIPPED, tmp_path)
    settings = {name for entry in RECIPES.values() for name in inspect.signature(entry.factory).parameters}
    for old, new in OLD_KEYS.items():
        section = old.split(".")[0]
        assert new in (settings if section == "initializers" else type(getattr(P, section)).model_fields)
        assert old.split(".")[-1] not in settings


def test_measured_data_has_a_limited_number_of_samples(tmp_path: Path) -> None:
    """The breast cancer data set of scikit-learn has 569 samples."""
    text = changed("name: circles", "name: breast_cancer").replace("noise: 0.05", "noise: 0.0")
    for n_test in (1, 269):
        assert load(text.replace("n_test: 100", f"n_test: {n_test}"), tmp_path).data.n_test == n_test
    (message,) = messages(text.replace("n_test: 100", "n_test: 270"), tmp_path)
    assert message.startswith("data.n_test holds 270; it must be at most 569 together with data.n_train, 300:")


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    text = changed(RATE, "learning_rate: -1").replace("n_test: 100", "n_test: 0").replace("std: 10.0", "std: -10.0")
    text = text.replace("record_every: 100", "record_every: 20000").replace("recipe: he_normal", "recipe: he")
    said = {sentence.split(" ")[0] for sentence in messages(text.replace(SEEDS, "seeds: [1, 1, -1]"), tmp_path)}
    assert said == {
        "training.learning_rate",
        "training.record_every",
        "data.n_test",
        "initializers.random_x10.std",
        "initializers.he.recipe",
        "seeds",
        "seeds[2]",
    }


SPELLINGS = [
    "0.001",
    "1e-3",
    "1e-05",
    "1E5",
    "1.e5",
    "1e+3",
    "1.0e-300",
    ".5",
    "5.",
    "+.5",
    "-0",
    "010",
    "0x10",
    "0o10",
    "0b11",
]
SPELLINGS += [
    "1_000",
    "1_000.5",
    "1e400",
    ".inf",
    "-.inf",
    ".NaN",
    "'1e-3'",
    "1:30",
    "1e",
    "on",
    "off",
    "yes",
    "No",
    "True",
    "~",
]


@pytest.mark.parametrize("text", SPELLINGS)
def test_a_value_is_read_as_dvc_reads_it(tmp_path: Path, text: str) -> None:
    """Before a stage runs, by its library in C; and when -S writes the file anew, by its round trip."""
    document = f"a: {text}\nb:\n- {text}\n"
    (tmp_path / "params.yaml").write_text(document)
    ours = repr(yaml_file.read(tmp_path / "params.yaml"))
    assert ours == repr(parse_yaml(document, "params.yaml"))
    with modify_yaml(str(tmp_path / "params.yaml")) as rewritten:
        rewritten["c"] = 0
    assert repr({**yaml_file.read(tmp_path / "params.yaml"), "c": 0}) == ours.replace("]}", "], 'c': 0}")


@pytest.mark.parametrize("rate", ["0.00001", "1e-05", "1e-3", "0.1", "1E-9"])
def test_a_learning_rate_that_dvc_sets_is_read_back(tmp_path: Path, rate: str) -> None:
    """`dvc exp run -S training.learning_rate=0.00001` writes 1e-05."""
    path = tmp_path / "params.yaml"
    path.write_text(SHIPPED, encoding="utf-8")
    apply_overrides(str(path), [f"training.learning_rate={rate}"])
    assert params.load(path).training.learning_rate == float(rate)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"params.yaml holds nothing; it must hold the sections {SECTIONS}."),
        ("# nothing\n", f"params.yaml holds nothing; it must hold the sections {SECTIONS}."),
        ("- 1\n", f"params.yaml holds [1]; it must hold the sections {SECTIONS}."),
        ("text\n", f"params.yaml holds the text 'text'; it must hold the sections {SECTIONS}."),
    ],
)
def test_what_is_no_mapping(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError) as raised:
        load(text, tmp_path)
    assert str(raised.value) == f"{tmp_path.as_posix()}/{message}"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "data: 3\n",
            "data holds 3; it must be a section with the keys name, n_train, n_test, noise, train_seed, test_seed.",
        ),
        ("seeds: [1]\n", "network is missing; it must be a section with the keys hidden_sizes, activation."),
        ("initializers: {}\n", "initializers is empty; it must hold at least one initializer."),
        ("initializers: [he]\n", "initializers holds ['he']; it must be a mapping from names to recipes."),
        ("data: {}\n", "initializers is missing; it must be a mapping from names to recipes."),
    ],
)
def test_other_documents(tmp_path: Path, text: str, sentence: str) -> None:
    assert sentence in messages(text, tmp_path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"^\S+params\.yaml does not exist; run the command in the folder that contains it\.$"
    ):
        params.load(tmp_path / "params.yaml")
    with pytest.raises(UserError, match=r" cannot be read: .+\.$"):
        params.load(tmp_path)
    with pytest.raises(UserError, match=r" is not a valid file name\.$"):
        params.load("params\0.yaml")
    (tmp_path / "params.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(UserError, match=r"^\S+/params\.yaml is not UTF-8 text\.$"):
        params.load(tmp_path / "params.yaml")


def test_a_byte_order_mark_and_carriage_returns_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + SHIPPED.replace("\n", "\r\n").encode())
    assert params.load(path) == load(SHIPPED, tmp_path)


CHARACTERS = st.characters(codec=None)  # lone surrogates too
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(CHARACTERS, max_size=5) | st.dates()
LEAVES |= st.sampled_from(["1e-3", "he", "zeros", "normal"]) | st.integers(300, 6000).map(lambda digits: 10**digits)
WORDS = ["data", "network", "hidden_sizes", "training", "iterations", "record_every", "seeds", "first", "last"]
WORDS += ["initializers", "he", "recipe", "std"]
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | LEAVES, inner, max_size=4),
    max_leaves=12,
)


def one_change(document: object, path: list[str], value: object) -> None:
    *parents, last = path
    for part in parents:
        document = document[part]  # type: ignore[index]
    document[last] = value  # type: ignore[index]


def refusal(read: Callable[[], schema.Params], file: str = "params.yaml") -> str | None:
    """The messages for a document, each on its line, without the name of the file; None if it is valid."""
    try:
        read()
    except UserError as error:
        lines = str(error).split("\n")
    else:
        return None
    assert all(line.startswith(file) and line.endswith(".") for line in lines)
    sentences = [line.removeprefix(file) for line in lines]
    assert all(len(sentence) < 400 for sentence in sentences)
    return "\n".join(sentences)


@given(DOCUMENTS)
def test_no_document_raises_anything_else(document: object) -> None:
    assert refusal(lambda: params.check(document))


@given(
    st.sampled_from(["data", "data noise", "network hidden_sizes", "training record_every", "training other", "seeds"])
    | st.sampled_from(["initializers", "initializers he", "initializers he recipe", "initializers small std", "x"]),
    DOCUMENTS,
)
def test_nothing_in_one_place_raises_anything_else(path: str, value: object) -> None:
    document = YAML(typ="safe").load(SHIPPED)
    one_change(document, path.split(), value)
    refusal(lambda: params.check(document))


@given(
    st.text(max_size=60)
    | st.text("{}[]:,-?&*!|>%@`'\"# \n\t0123456789_.eExon~=<", max_size=40)
    | st.text("{}[]:,-?&*!|>'\"# 0123456789_.eExon~=<", max_size=20).map(lambda text: changed("0.05", text))
)
def test_no_text_raises_anything_else(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "params.yaml"
        path.write_text(text, encoding="utf-8", newline="")
        refusal(lambda: params.load(path), path.as_posix())


def test_the_command_prints_a_summary_or_the_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(SHIPPED, encoding="utf-8")
    assert params.main([str(path)]) == 0
    assert capsys.readouterr().out == f"{path} is valid: 8 initializers x 100 seeds.\n"
    path.write_text(changed(NOISE, "noise: -1"), encoding="utf-8")
    assert params.main([str(path)]) == 1
    assert capsys.readouterr() == ("", f"{path.as_posix()}: data.noise holds -1; it must be a number of at least 0.\n")


def test_reading_params_imports_nothing_heavy() -> None:
    code = (
        "import sys, pipeline.config.params; print(*{'numba', 'pandas', 'mlflow', 'sklearn', 'dvc'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


@pytest.mark.parametrize(
    ("place", "name", "suggested"),
    [
        # PyTorch 2.13, Keras 3 and JAX 0.10: docs/initializers.md
        *(("recipe: he_normal", name, "he_normal, which PyTorch calls kaiming_normal_") for name in ("kaiming_normal_", "kaiming_normal", "KaimingNormal", "kaiming_norml_")),
        ("recipe: he_normal", "kaiming_uniform_", "he_uniform, which PyTorch calls kaiming_uniform_"),
        ("recipe: he_normal", "xavier_normal_", "xavier_normal"),
        ("recipe: he_normal", "glorot_normal", "xavier_truncated_normal, which JAX calls glorot_normal"),
        ("recipe: he_normal", "GlorotNormal", "xavier_truncated_normal, which Keras calls GlorotNormal"),
        ("recipe: he_normal", "glorot_uniform", "xavier_uniform, which JAX calls glorot_uniform"),
        ("recipe: he_normal", "HeNormal", "he_truncated_normal, which Keras calls HeNormal"),
        ("recipe: he_normal", "HE_NORMAL", "he_normal"),
        ("recipe: he_normal", "trunc_normal_", "truncated_normal, which PyTorch calls trunc_normal_"),
        ("recipe: he_normal", "RandomNormal", "normal, which Keras calls RandomNormal"),
        ("recipe: he_normal", "eye_", "identity, which PyTorch calls eye_"),
        ("recipe: he_normal", "Zeros", "zeros"),
        ("recipe: he_normal", "LSUV", "lsuv"),
        *(("activation: relu", name, ours) for name, ours in [("ReLU", "relu"), ("Tanh", "tanh"), ("GELU", "gelu"), ("SiLU", "silu"), ("swish", "silu"), ("LeakyReLU", "leaky_relu"), ("Logistic", "sigmoid")]),
        ("activation: relu", "[tanh, SELU]", "selu"),
        *(("name: circles", name, ours) for name, ours in [("Circles", "circles"), ("make_moons", "moons"), ("BreastCancer", "breast_cancer"), ("load_digits", "digits")]),
    ],
)  # fmt: skip
def test_names_of_other_frameworks_and_cases_suggest_ours(
    tmp_path: Path, place: str, name: str, suggested: str
) -> None:
    (sentence,) = messages(changed(place, place.split(":")[0] + f": {name}"), tmp_path)
    assert f"; did you mean {suggested}? It must be " in sentence


def test_keys_are_suggested_whatever_their_case(tmp_path: Path) -> None:
    (sentence,) = messages(changed(RATE, "learningRate: 0.01"), tmp_path)
    assert "; did you mean learning_rate? It must be one of " in sentence


@pytest.mark.parametrize(
    ("old", "new", "warned"),
    [
        ("test_seed: 2", "test_seed: 1", ["data.train_seed and data.test_seed both hold 1: "]),
        (
            "batch_size: full",
            "batch_size: 301",
            ["training.batch_size holds 301, and there are 300 training samples: "],
        ),
        ("batch_size: full", "batch_size: 300", []),
        ("name: circles", "name: digits", ["data.noise holds 0.05, and digits is measured data: "]),
        ("  noise: 0.05", "  noise: 0", []),
        ("std: 0.01", "std: 1", ["initializers.small and initializers.normal are the same recipe: "]),
        ("  xavier: {", "  xavier: {gain: 2, ", []),
    ],
)
def test_warnings(tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, warned: list[str]) -> None:
    assert params.warnings(load(SHIPPED, tmp_path)) == []
    path = tmp_path / "params.yaml"
    path.write_text(changed(old, new), encoding="utf-8")
    assert params.main([str(path)]) == 0
    lines = capsys.readouterr().err.splitlines()
    start = f"{path.as_posix()}: warning: "
    assert [line.startswith(start + words) for line, words in zip(lines, warned, strict=True)] == [True] * len(warned)


def test_seeds_of_measured_data_may_be_equal(tmp_path: Path) -> None:
    """Its training and test samples are never the same, whatever the seeds."""
    text = (
        changed("name: circles", "name: digits")
        .replace("noise: 0.05", "noise: 0")
        .replace("test_seed: 2", "test_seed: 1")
    )
    assert params.warnings(load(text, tmp_path)) == []
