"""What may stand in params.yaml, and the sentence for whatever may not."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import modify_yaml, parse_yaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from pipeline.config import params, schema, strict_yaml
from pipeline.config.params import ParamsError
from pipeline.config.schema import MAX_SEEDS
from pipeline.datasets import DATASETS
from pipeline.networks.activations import ACTIVATIONS

SHIPPED = (Path(__file__).parents[2] / "params.yaml").read_text(encoding="utf-8")
SEEDS = re.search(r"(?m)^seeds:.*$", SHIPPED)[0]  # type: ignore[index]
JARGON = re.compile(
    r"pydantic|Traceback|Error|Input should|StrictStr|datetime|True|False|None|<unicode|literal for int"
)

ABOVE_0, AT_LEAST_0 = "a number greater than 0", "a number of at least 0"
WHOLE, SEED = "a whole number of at least 1", "a whole number from 0 to 4294967295"
SECTIONS = "data, network, training, seeds, initializers, comparison"
NAMED = "a letter, then up to 63 letters, digits or underscores, and no device name of Windows such as nul"
AN_ACTIVATION = f"one of {', '.join(ACTIVATIONS)}, or a list with one for each hidden layer"
EXCEPTIONS = "a mapping from numbers of layers to what they have otherwise, as {3: {gain: 0.5}}"
A_SEED = "one of the seeds that are trained"
AN_INITIALIZER = "one of the initializers, which are zeros, constant, small, normal, random_x10, xavier, he, orthogonal"
A_RECIPE = "a recipe of docs/initializers.md, or own.my_module:my_function"


def load(text: str, folder: Path) -> schema.Params:
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    return params.load(folder / "params.yaml")


def changed(old: str, new: str) -> str:
    assert SHIPPED.count(old) == 1
    return SHIPPED.replace(old, new)


def complaints(text: str, folder: Path) -> list[str]:
    """The sentences against a file, without the file's name, which each must begin with."""
    with pytest.raises(ParamsError) as raised:
        load(text, folder)
    lines = str(raised.value).split("\n")
    assert all(line.startswith("params.yaml: ") and line.endswith(".") for line in lines)
    assert not JARGON.search(str(raised.value))
    return [line.removeprefix("params.yaml: ") for line in lines]


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
def test_what_may_stand_there(tmp_path: Path, old: str, new: str) -> None:
    load(changed(old, new), tmp_path)


def test_seeds_may_be_written_as_a_row(tmp_path: Path) -> None:
    assert load(changed(SEEDS, "seeds: {first: 2, last: 5}"), tmp_path).seeds == (2, 3, 4, 5)


def test_a_whole_number_may_stand_for_a_real_one(tmp_path: Path) -> None:
    P = load(changed("noise: 0.05", "noise: 0").replace("std: 10.0", "std: 10"), tmp_path)
    assert type(P.data.noise) is type(P.initializers["random_x10"].settings["std"]) is float


def test_what_was_read_cannot_be_changed(tmp_path: Path) -> None:
    P = load(SHIPPED, tmp_path)
    with pytest.raises(ValueError, match="frozen"):
        P.training.iterations = 3  # type: ignore[misc]


# what stands in the file, what is put there, and all that is said
RATE, STEPS, NOISE = "learning_rate: 0.01", "iterations: 15000", "noise: 0.05"
BAD = [
    # numbers
    (RATE, "learning_rate: -0.01", f"training.learning_rate holds -0.01; it must be {ABOVE_0}."),
    (RATE, "learning_rate: 0", f"training.learning_rate holds 0; it must be {ABOVE_0}."),
    (RATE, "learning_rate: .nan", f"training.learning_rate holds nan; it must be {ABOVE_0}."),
    (RATE, "learning_rate: .inf", f"training.learning_rate holds inf; it must be {ABOVE_0}."),
    (RATE, "learning_rate: true", f"training.learning_rate holds true; it must be {ABOVE_0}."),
    (RATE, 'learning_rate: "1e-3"', f"training.learning_rate holds the text '1e-3'; it must be {ABOVE_0}."),
    (RATE, "learning_rate:", f"training.learning_rate holds nothing; it must be {ABOVE_0}."),
    (RATE, "learning_rate: [0.01]", f"training.learning_rate holds [0.01]; it must be {ABOVE_0}."),
    (NOISE, "noise: -1", f"data.noise holds -1; it must be {AT_LEAST_0}."),
    (NOISE, "noise: -.inf", f"data.noise holds -inf; it must be {AT_LEAST_0}."),
    (NOISE, "noise: 2001-01-01", f"data.noise holds 2001-01-01; it must be {AT_LEAST_0}."),
    (NOISE, "noise: 1" + "0" * 400, f"data.noise holds a number of more than 57 digits; it must be {AT_LEAST_0}."),
    (NOISE, "noise: 0x" + "f" * 5000, f"data.noise holds a number of more than 57 digits; it must be {AT_LEAST_0}."),
    (STEPS, "iterations: 0", f"training.iterations holds 0; it must be {WHOLE}."),
    (STEPS, "iterations: 1.5", f"training.iterations holds 1.5; it must be {WHOLE}."),
    (STEPS, "iterations: 15000.0", f"training.iterations holds 15000.0; it must be {WHOLE}."),
    (STEPS, "iterations: true", f"training.iterations holds true; it must be {WHOLE}."),
    ("record_every: 100", "record_every: 0", f"training.record_every holds 0; it must be {WHOLE}."),
    (
        "record_every: 100",
        "record_every: 15001",
        "training.record_every holds 15001; it must be a whole number from 1 to training.iterations, which is 15000.",
    ),
    ("n_train: 300", "n_train: 0", f"data.n_train holds 0; it must be {WHOLE}."),
    ("n_test: 100", "n_test: -5", f"data.n_test holds -5; it must be {WHOLE}."),
    ("train_seed: 1", "train_seed: -1", f"data.train_seed holds -1; it must be {SEED}."),
    ("test_seed: 2", "test_seed: 4294967296", f"data.test_seed holds 4294967296; it must be {SEED}."),
    ("highlight_seed: 3", "highlight_seed: 3.0", f"comparison.highlight_seed holds 3.0; it must be {SEED}."),
    ("target_cost: 0.1", "target_cost: 0", f"comparison.target_cost holds 0; it must be {ABOVE_0}."),
    (
        "target_accuracy: 0.99",
        "target_accuracy: 99",
        f"comparison.target_accuracy holds 99; it must be {ABOVE_0} and at most 1.",
    ),
    (
        "target_accuracy: 0.99",
        "target_accuracy: 0",
        f"comparison.target_accuracy holds 0; it must be {ABOVE_0} and at most 1.",
    ),
    ("confidence: 0.95", "confidence: 1.0", f"comparison.confidence holds 1.0; it must be {ABOVE_0} and less than 1."),
    ("confidence: 0.95", "confidence: 0", f"comparison.confidence holds 0; it must be {ABOVE_0} and less than 1."),
    # names
    ("name: circles", "name: squares", f"data.name holds the text 'squares'; it must be one of {', '.join(DATASETS)}."),
    ("name: circles", "name: 3", f"data.name holds 3; it must be one of {', '.join(DATASETS)}."),
    (
        "activation: relu",
        "activation: reul",
        f"network.activation holds the text 'reul'; it must be {AN_ACTIVATION} (did you mean relu?).",
    ),
    ("reference: he", "reference: 3", f"comparison.reference holds 3; it must be an initializer's name: {NAMED}."),
    (
        "reference: he",
        "reference: ../he",
        f"comparison.reference holds the text '../he'; it must be an initializer's name: {NAMED}.",
    ),
    *(
        (
            "  he: {",
            f"  {name}: {{",
            f"initializers holds the name {shown}; a name becomes a file's and must be {NAMED}.",
        )
        for name, shown in [
            ("../he", "'../he'"),
            ("he.normal", "'he.normal'"),
            ("he normal", "'he normal'"),
            ("_he", "'_he'"),
            ("hé", "'hé'"),
            ("7", "7"),
            ('""', "''"),
            (r'"he\n"', r"'he\n'"),
            ("h" * 65, "'" + "h" * 56 + "..."),
            *((device, f"'{device}'") for device in ("con", "nul", "AUX", "Prn", "com1", "LPT9")),
        ]
    ),
    (
        "highlight_seed: 3",
        "highlight_seed: 300",
        f"comparison.highlight_seed holds 300; it must be {A_SEED}, which are 0 to 99.",
    ),
    (SEEDS, "seeds: {first: 0, last: 2}", f"comparison.highlight_seed holds 3; it must be {A_SEED}, which are 0 to 2."),
    (SEEDS, "seeds: [14, 15]", f"comparison.highlight_seed holds 3; it must be {A_SEED}, which are 14, 15."),
    (
        "reference: he",
        "reference: He",
        f"comparison.reference holds the text 'He'; it must be {AN_INITIALIZER} (did you mean he?).",
    ),
    (
        "reference: he",
        "reference: xaiver",
        f"comparison.reference holds the text 'xaiver'; it must be {AN_INITIALIZER} (did you mean xavier?).",
    ),
    ("reference: he", "reference: lecun", f"comparison.reference holds the text 'lecun'; it must be {AN_INITIALIZER}."),
    (
        "  xavier: {",
        "  Small: {",
        "initializers holds small and Small, which are one file name on macOS and Windows; "
        "names must differ in more than case.",
    ),
    # lists
    ("hidden_sizes: [10, 5]", "hidden_sizes: [10, 0]", f"network.hidden_sizes[1] holds 0; it must be {WHOLE}."),
    ("hidden_sizes: [10, 5]", "hidden_sizes: [10.0, 5]", f"network.hidden_sizes[0] holds 10.0; it must be {WHOLE}."),
    (
        "hidden_sizes: [10, 5]",
        "hidden_sizes: 10",
        f"network.hidden_sizes holds 10; it must be a list, each entry {WHOLE}.",
    ),
    (SEEDS, "seeds: []", "seeds holds no seed; it must hold at least one."),
    (SEEDS, "seeds: [3, 1, 3]", "seeds holds 3 more than once; each seed may stand once."),
    (SEEDS, "seeds: [-1]", f"seeds[0] holds -1; it must be {SEED}."),
    (SEEDS, "seeds: [0, 4294967296]", f"seeds[1] holds 4294967296; it must be {SEED}."),
    (SEEDS, "seeds: [1.0]", f"seeds[0] holds 1.0; it must be {SEED}."),
    (SEEDS, "seeds: [false]", f"seeds[0] holds false; it must be {SEED}."),
    (SEEDS, "seeds: ['1']", f"seeds[0] holds the text '1'; it must be {SEED}."),
    (SEEDS, "seeds: 3", f"seeds holds 3; it must be a list, each entry {SEED}, or {{first: ..., last: ...}}."),
    (SEEDS, "seeds: {first: 3}", f"seeds.last is missing; it must be {SEED}."),
    (SEEDS, "seeds: {first: 0, lsat: 3}", "seeds.lsat is unknown; seeds has first, last (did you mean last?)."),
    (SEEDS, "seeds: {first: 0, last: 1.5}", f"seeds.last holds 1.5; it must be {SEED}."),
    (SEEDS, "seeds: {first: 3, last: 2}", "seeds.last holds 2; it must be at least seeds.first, which is 3."),
    (SEEDS, "seeds: {first: 0, last: 4294967295}", "seeds holds more than 100000 seeds; it must hold at most as many."),
    # keys: one slip, one sentence
    (
        STEPS,
        "iteration: 15000",
        "training.iteration is unknown; training has iterations, learning_rate, batch_size, momentum, record_every (did you mean iterations?).",
    ),
    (STEPS + " ", "#", f"training.iterations is missing; it must be {WHOLE}."),
    (
        NOISE,
        "noise: 0.05\n  7: 3",
        "data.7 is unknown; data has name, n_train, n_test, noise, train_seed, test_seed.",
    ),
    (SEEDS, SEEDS + "\nspeed: 3", f"speed is unknown; there are {SECTIONS} (did you mean seeds?)."),
    (SEEDS, SEEDS + '\n"a\\nb": 3', rf"'a\\nb' is unknown; there are {SECTIONS}."),
    ("\nnetwork:", "\nnetwrok:", f"netwrok is unknown; there are {SECTIONS} (did you mean network?)."),
    (NOISE, NOISE + "\n  noise: 1", "data.noise stands on line 7 and again on line 8; once is enough."),
    (
        "std: 10.0",
        "std: 10.0, std: 1.0",
        "initializers.random_x10.std stands on line 33 and again on line 33; once is enough.",
    ),
    ("  he: {", "  zeros: {", "initializers.zeros stands on line 29 and again on line 35; once is enough."),
    # recipes and their settings
    ("recipe: he_normal", "recipe: he", f"initializers.he.recipe holds the text 'he'; it must be {A_RECIPE}."),
    ("recipe: he_normal", "recipe: [zeros]", f"initializers.he.recipe holds ['zeros']; it must be {A_RECIPE}."),
    ("he: {recipe: he_normal}", "he: {gain: 1.0}", f"initializers.he.recipe is missing; it must be {A_RECIPE}."),
    (
        "he: {recipe: he_normal}",
        "he: he_normal",
        "initializers.he holds the text 'he_normal'; it must be a recipe and its settings, as {recipe: zeros}.",
    ),
    (
        "recipe: he_normal",
        "recipe: he_normal, std: 1.0",
        "initializers.he.std is unknown; the recipe he_normal has negative_slope, mode, gain, bias, layers.",
    ),
    (
        "recipe: orthogonal",
        "recipe: orthogonal, gian: 1.0",
        "initializers.orthogonal.gian is unknown; the recipe orthogonal has gain, bias, layers (did you mean gain?).",
    ),
    (
        ", std: 10.0",
        "",
        "initializers.random_x10.std is missing; the recipe normal needs it, and it must be a finite number.",
    ),
    ("std: 10.0", "std: ten", "initializers.random_x10.std holds the text 'ten'; it must be a finite number."),
    ("std: 10.0", "std: true", "initializers.random_x10.std holds true; it must be a finite number."),
    ("std: 10.0", "std: .nan", "initializers.random_x10.std holds nan; it must be a finite number."),
    ("std: 10.0", "std: -10.0", "initializers.random_x10.std holds -10.0; it must be greater than 0."),
    (
        "recipe: he_normal",
        "recipe: variance_scaling, scale: 1, mode: in",
        "initializers.he.mode holds the text 'in'; it must be one of fan_in, fan_out, fan_avg, fan_geo_avg.",
    ),
    (
        "recipe: he_normal",
        "recipe: variance_scaling, scale: 1, mode: 2",
        "initializers.he.mode holds 2; it must be text.",
    ),
    (
        "recipe: he_normal",
        "recipe: he_norml",
        f"initializers.he.recipe holds the text 'he_norml'; it must be {A_RECIPE} (did you mean he_normal?).",
    ),
    (
        "recipe: he_normal",
        "recipe: he_normal, gain: big",
        "initializers.he.gain holds the text 'big'; it must be a finite number.",
    ),
    (
        "recipe: he_normal",
        "recipe: he_normal, bias: .inf",
        "initializers.he.bias holds inf; it must be a finite number.",
    ),
    ("recipe: he_normal", "recipe: he_normal, layers: 3", f"initializers.he.layers holds 3; it must be {EXCEPTIONS}."),
    (
        "recipe: he_normal",
        "recipe: he_normal, layers: {4: {gain: 2}}",
        "initializers.he.layers holds 4; a layer's number must be a whole number from 1 to 3, the output's.",
    ),
    (
        "recipe: he_normal",
        "recipe: he_normal, layers: {0: {gain: 2}}",
        "initializers.he.layers holds 0; a layer's number must be a whole number from 1 to 3, the output's.",
    ),
    (
        "recipe: he_normal",
        "recipe: he_normal, layers: {3: 2}",
        "initializers.he.layers[3] holds 2; it must be a recipe or options, as {gain: 0.5}.",
    ),
    (
        "recipe: he_normal",
        "recipe: he_normal, layers: {3: {std: 2}}",
        "initializers.he.layers[3].std is unknown; a layer has recipe, its settings, gain and bias.",
    ),
    (
        "recipe: he_normal",
        "recipe: he_normal, layers: {3: {Gian: 2}}",
        "initializers.he.layers[3].Gian is unknown; a layer has recipe, its settings, gain and bias (did you mean gain?).",
    ),
    (
        "recipe: he_normal",
        "recipe: he_normal, layers: {3: {recipe: normal}}",
        "initializers.he.layers[3].std is missing; the recipe normal needs it, and it must be a finite number.",
    ),
    (
        "recipe: he_normal",
        "recipe: he_normal, layers: {3: {recipe: lsuv}}",
        "initializers.he.layers[3].recipe holds the text 'lsuv', which makes whole networks; it must be one for a layer.",
    ),
    # of the user's own
    (
        "recipe: he_normal",
        "recipe: 'own.exampel:mirrored'",
        "initializers.he.recipe holds the text 'own.exampel:mirrored'; own.exampel cannot be imported: No module named 'own.exampel'.",
    ),
    (
        "recipe: he_normal",
        "recipe: 'own.example:mirored'",
        "initializers.he.recipe holds the text 'own.example:mirored'; own.example has no function mirored (did you mean mirrored?).",
    ),
    (
        "recipe: he_normal",
        "recipe: 'own.example:mirrored', scale: two",
        "initializers.he.scale holds the text 'two'; it must be a finite number.",
    ),
    (
        "recipe: he_normal",
        "recipe: 'own.example:mirrored', size: 2",
        "initializers.he.size is unknown; the recipe own.example:mirrored has scale, gain, bias, layers.",
    ),
    (
        "recipe: he_normal",
        "recipe: 'pipeline.numerics.random:normal'",
        "initializers.he.recipe holds the text 'pipeline.numerics.random:normal'; pipeline/numerics/random.py must be in the folder own, whose changes DVC detects.",
    ),
    (
        "recipe: he_normal",
        "recipe: 'math:sqrt'",
        "initializers.he.recipe holds the text 'math:sqrt'; its first arguments must be rng, fan_out, fan_in, not x.",
    ),
    # training, activations and sizes
    ("batch_size: full", "batch_size: all", f"training.batch_size holds the text 'all'; it must be {WHOLE}, or full."),
    ("batch_size: full", "batch_size: 0", f"training.batch_size holds 0; it must be {WHOLE}, or full."),
    ("momentum: 0.0", "momentum: 1", "training.momentum holds 1; it must be a number of at least 0 and less than 1."),
    (
        "activation: relu",
        "activation: [relu]",
        "network.activation holds 1 activations; it must be one activation for each hidden layer, of which there are 2, or a single one for all.",
    ),
    (
        "activation: relu",
        "activation: [relu, reul]",
        f"network.activation holds ['relu', 'reul']; it must be {AN_ACTIVATION} (did you mean relu?).",
    ),
    # what no YAML 1.2 takes for the kind wanted
    (NOISE, "noise: 1:30", f"data.noise holds the text '1:30'; it must be {AT_LEAST_0}."),
    (NOISE, "noise: _1", f"data.noise holds the text '_1'; it must be {AT_LEAST_0}."),
    (STEPS, "iterations: 1e4", f"training.iterations holds 10000.0; it must be {WHOLE}."),
    ("name: circles", "name: on", f"data.name holds the text 'on'; it must be one of {', '.join(DATASETS)}."),
    (NOISE, NOISE + "\n  on: 1", "data.on is unknown; data has name, n_train, n_test, noise, train_seed, test_seed."),
    ("recipe: he_normal", "recipe: own.example:mirrored", "line 35 is not YAML: found unexpected ':'."),
    (NOISE, "noise: 2001-99-99", "data.noise holds 2001-99-99, which cannot be read as timestamp; write it in full."),
    (
        "hidden_sizes: [10, 5]",
        "hidden_sizes: &a [*a]",
        "network.hidden_sizes[0] holds an alias; write the value itself.",
    ),
    (NOISE, "<<: {noise: 0.05}", "data.'<<' merges another section; write its keys themselves."),
    # no YAML at all
    (NOISE, "noise: [1", "line 8 is not YAML: expected ',' or ']', but got '<scalar>'."),
    (NOISE, "\tnoise: 1", "line 7 is not YAML: found character '\\t' that cannot start any token."),
    (NOISE, "noise: \x00", "line 7 is not YAML: it holds a character that is not allowed."),
    (NOISE, "noise: !!python/name:os.system", None),
    (NOISE, NOISE + "\n---\n", None),
    (NOISE, "noise: " + "[" * 3000, "the file is nested too deeply."),
]


@pytest.mark.parametrize(("old", "new", "sentence"), BAD, ids=[new[:40] for _, new, _ in BAD])
def test_what_may_not_stand_there(tmp_path: Path, old: str, new: str, sentence: str | None) -> None:
    said = complaints(changed(old, new), tmp_path)
    assert said == [sentence] if sentence else (len(said) == 1 and "line " in said[0])


def test_each_problem_has_its_sentence_at_once(tmp_path: Path) -> None:
    text = changed(RATE, "learning_rate: -1").replace("n_test: 100", "n_test: 0").replace("std: 10.0", "std: -10.0")
    text = text.replace("record_every: 100", "record_every: 20000").replace("recipe: he_normal", "recipe: he")
    said = {sentence.split(" ")[0] for sentence in complaints(text.replace(SEEDS, "seeds: [1, 1, -1]"), tmp_path)}
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
    ours = repr(strict_yaml.read(tmp_path / "params.yaml"))
    assert ours == repr(parse_yaml(document, "params.yaml"))
    with modify_yaml(str(tmp_path / "params.yaml")) as rewritten:
        rewritten["c"] = 0
    assert repr({**strict_yaml.read(tmp_path / "params.yaml"), "c": 0}) == ours.replace("]}", "], 'c': 0}")


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
    with pytest.raises(ParamsError) as raised:
        load(text, tmp_path)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "data: 3\n",
            "data holds 3; it must be a section with the keys name, n_train, n_test, noise, train_seed, test_seed.",
        ),
        ("seeds: [1]\n", "network is missing; it must be a section with the keys hidden_sizes, activation."),
        ("initializers: {}\n", "initializers holds no initializer; it must hold at least one."),
        ("initializers: [he]\n", "initializers holds ['he']; it must be a mapping from names to recipes."),
        ("data: {}\n", "initializers is missing; it must be a mapping from names to recipes."),
    ],
)
def test_other_documents(tmp_path: Path, text: str, sentence: str) -> None:
    assert sentence in complaints(text, tmp_path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"^\S+params\.yaml is missing; run in the folder that holds it\.$"):
        params.load(tmp_path / "params.yaml")
    with pytest.raises(ParamsError, match=r" cannot be read: .+\.$"):
        params.load(tmp_path)
    with pytest.raises(ParamsError, match=r" is not the name of a file\.$"):
        params.load("params\0.yaml")
    (tmp_path / "params.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ParamsError, match=r"^params\.yaml is not text in UTF-8\.$"):
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


def refusal(read: Callable[[], schema.Params]) -> str | None:
    """What is said against a document, in whole sentences; None if it is taken."""
    try:
        read()
    except ParamsError as error:
        lines = str(error).split("\n")
    else:
        return None
    assert all(line.startswith("params.yaml") and line.endswith(".") and len(line) < 400 for line in lines)
    return "\n".join(lines)


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
        refusal(lambda: params.load(path))


def test_the_command_says_what_is_wrong_or_nothing_much(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(SHIPPED, encoding="utf-8")
    assert params.main([str(path)]) == 0
    assert capsys.readouterr().out == f"{path} is valid: 8 initializers x 100 seeds.\n"
    path.write_text(changed(NOISE, "noise: -1"), encoding="utf-8")
    assert params.main([str(path)]) == 1
    assert capsys.readouterr() == ("", "params.yaml: data.noise holds -1; it must be a number of at least 0.\n")


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
    (sentence,) = complaints(changed(place, place.split(":")[0] + f": {name}"), tmp_path)
    assert sentence.endswith(f" (did you mean {suggested}?).")


def test_keys_are_suggested_whatever_their_case(tmp_path: Path) -> None:
    (sentence,) = complaints(changed(RATE, "learningRate: 0.01"), tmp_path)
    assert sentence.endswith("(did you mean learning_rate?).")


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
def test_what_is_valid_and_hardly_intended_is_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, warned: list[str]
) -> None:
    assert params.warnings(load(SHIPPED, tmp_path)) == []
    path = tmp_path / "params.yaml"
    path.write_text(changed(old, new), encoding="utf-8")
    assert params.main([str(path)]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(": warning: ")[2].startswith(words) for line, words in zip(lines, warned, strict=True)] == [
        True
    ] * len(warned)


def test_seeds_of_measured_data_may_be_equal(tmp_path: Path) -> None:
    """Its training and test samples are never the same, whatever the seeds."""
    text = (
        changed("name: circles", "name: digits")
        .replace("noise: 0.05", "noise: 0")
        .replace("test_seed: 2", "test_seed: 1")
    )
    assert params.warnings(load(text, tmp_path)) == []
