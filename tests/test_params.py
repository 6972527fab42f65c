"""What may stand in params.yaml, and the sentence for whatever may not."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import params
from pipeline.params import ParamsError

SHIPPED = (Path(__file__).parent.parent / "params.yaml").read_text()


def load(text: str, folder: Path) -> params.Params:
    (folder / "params.yaml").write_text(text)
    return params.load(folder / "params.yaml")


def test_the_shipped_file_is_the_tutorial(tmp_path: Path) -> None:
    """Against shared facts: layer sizes 2, 10, 5, 1; rate 0.01; 15,000 iterations; 300 and 100 points, noise 0.05."""
    P = load(SHIPPED, tmp_path)
    assert P.data.model_dump() == {
        "name": "circles",
        "n_train": 300,
        "n_test": 100,
        "noise": 0.05,
        "train_seed": 1,
        "test_seed": 2,
    }
    assert (P.network.hidden, P.network.activation) == ((10, 5), "relu")
    assert (P.training.iterations, P.training.learning_rate) == (15000, 0.01)
    assert 3 in P.seeds
    assert {"zeros", "random_x10", "he"} <= set(P.initializers)
    assert P.initializers["random_x10"].settings == {"sd": 10.0}


def test_seeds_may_be_written_as_a_row(tmp_path: Path) -> None:
    text = re.sub(r"(?m)^seeds:.*$", "seeds: {first: 5, last: 8}", SHIPPED)
    assert load(text, tmp_path).seeds == (5, 6, 7, 8)


def test_a_whole_number_may_stand_for_a_real_one(tmp_path: Path) -> None:
    P = load(SHIPPED.replace("noise: 0.05", "noise: 0"), tmp_path)
    assert type(P.data.noise) is float


SEEDS = re.search(r"(?m)^seeds:.*$", SHIPPED)[0]  # type: ignore[index]

# what stands in the file, what is put there, and the whole sentence
BAD = [
    (
        "learning_rate: 0.01",
        "learning_rate: -0.01",
        "training.learning_rate holds -0.01; it must be a number greater than 0.",
    ),
    ("learning_rate: 0.01", "learning_rate: 0", "training.learning_rate holds 0; it must be a number greater than 0."),
    (
        "learning_rate: 0.01",
        "learning_rate: .nan",
        "training.learning_rate holds nan; it must be a number greater than 0.",
    ),
    (
        "learning_rate: 0.01",
        "learning_rate: .inf",
        "training.learning_rate holds inf; it must be a number greater than 0.",
    ),
    (
        "learning_rate: 0.01",
        "learning_rate: true",
        "training.learning_rate holds True; it must be a number greater than 0.",
    ),
    (
        "learning_rate: 0.01",
        "learning_rate: 1e-3",
        "training.learning_rate holds what is 0.001 in YAML 1.2 and the text '1e-3' in YAML 1.1; write 0.001.",
    ),
    (
        "learning_rate: 0.01",
        'learning_rate: "1e-3"',
        "training.learning_rate holds the text '1e-3'; it must be a number greater than 0.",
    ),
    (
        "learning_rate: 0.01",
        "learning_rate:",
        "training.learning_rate holds nothing; it must be a number greater than 0.",
    ),
    ("iterations: 15000", "iterations: 0", "training.iterations holds 0; it must be a whole number of at least 1."),
    ("iterations: 15000", "iterations: 1.5", "training.iterations holds 1.5; it must be a whole number of at least 1."),
    (
        "iterations: 15000",
        "iteration: 15000",
        "training.iterations is missing; it must be a whole number of at least 1.",
    ),
    (
        "iterations: 15000",
        "iteration: 15000",
        "training.iteration is unknown; training has iterations, learning_rate, record_every (did you mean iterations?).",
    ),
    ("n_train: 300", "n_train: 0300", "data.n_train holds what is 300 in YAML 1.2 and 192 in YAML 1.1"),
    ("noise: 0.05", "noise: -1", "data.noise holds -1; it must be a number of at least 0."),
    ("name: circles", "name: squares", "data.name holds the text 'squares'; it must be one of circles"),
    ("name: circles", "name: on", "data.name holds what is the text 'on' in YAML 1.2 and True in YAML 1.1"),
    (
        "hidden: [10, 5]",
        "hidden: [10, 0]",
        "network.hidden[1] holds 0; it must be a list, each entry a whole number of at least 1.",
    ),
    (
        "hidden: [10, 5]",
        "hidden: 10",
        "network.hidden holds 10; it must be a list, each entry a whole number of at least 1.",
    ),
    ("activation: relu", "activation: reul", "network.activation holds the text 'reul'; it must be one of relu"),
    (
        "test_seed: 2",
        "test_seed: 4294967296",
        "data.test_seed holds 4294967296; it must be a whole number from 0 to 4294967295.",
    ),
    (SEEDS, "seeds: []", "seeds holds no seed; it must hold at least one."),
    (SEEDS, "seeds: [3, 1, 3]", "seeds holds 3 more than once; each seed may stand once."),
    (SEEDS, "seeds: [-1]", "seeds[0] holds -1; it must be a list, each entry a whole number from 0 to 4294967295"),
    (SEEDS, "seeds: 3", "seeds holds 3; it must be a list, each entry a whole number from 0 to 4294967295"),
    (SEEDS, "seeds: {first: 3}", "seeds.last is missing; it must be a whole number from 0 to 4294967295."),
    (SEEDS, "seeds: {first: 3, last: 2}", "seeds holds no seed; it must hold at least one."),
    (
        SEEDS,
        SEEDS + "\nspeed: 3",
        "speed is unknown; there are data, network, training, seeds, initializers, comparison (did you mean seeds?).",
    ),
    (SEEDS, SEEDS + "\nseeds: [1]", "gives the key seeds a second time; every key may stand once."),
    (SEEDS, SEEDS + "\n ]", "is not YAML"),
    (
        "  he: {",
        "  ../he: {",
        "initializers holds the name the text '../he'; a name is also a file's name and must be a letter",
    ),
    ("  he: {", "  nul: {", "initializers holds the name the text 'nul'; a name is also a file's name"),
    ("  he: {", "  7: {", "initializers holds the name 7; a name is also a file's name"),
    ("  he: {", "  Small: {", "initializers holds small and Small, which are one file name on macOS and Windows"),
    (
        "recipe: he_normal",
        "recipe: he",
        "initializers.he.recipe holds the text 'he'; it must be one of zeros, constant",
    ),
    (
        "he: {recipe: he_normal}",
        "he: {gain: 1.0}",
        "initializers.he.recipe is missing; it must be one of zeros, constant",
    ),
    (
        "he: {recipe: he_normal}",
        "he: he_normal",
        "initializers.he holds the text 'he_normal'; it must hold a recipe and its settings.",
    ),
    (
        "recipe: he_normal",
        "recipe: he_normal, sd: 1.0",
        "initializers.he has the unknown key sd; the recipe he_normal has no settings.",
    ),
    (
        "gain: 1.0",
        "gian: 1.0",
        "initializers.orthogonal has the unknown key gian; the recipe orthogonal has gain (did you mean gain?).",
    ),
    ("gain: 1.0", "gian: 1.0", "initializers.orthogonal lacks gain, which the recipe orthogonal needs."),
    ("sd: 10.0", "sd: ten", "initializers.random_x10.sd holds the text 'ten'; it must be a finite number."),
    ("sd: 10.0", "sd: -10.0", "initializers.random_x10: sd must be greater than 0, not -10.0."),
    (
        "confidence: 0.95",
        "confidence: 1.0",
        "comparison.confidence holds 1.0; it must be a number greater than 0 and less than 1.",
    ),
    ("reference: he", "reference: 3", "comparison.reference holds 3; it must be the name of an initializer."),
]


@pytest.mark.parametrize(("old", "new", "sentence"), BAD)
def test_what_may_not_stand_there(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    assert old in SHIPPED
    with pytest.raises(ParamsError) as raised:
        load(SHIPPED.replace(old, new), tmp_path)
    message = str(raised.value)
    assert sentence in message
    lines = message.split("\n")
    assert len(lines) == sum(row[:2] == (old, new) for row in BAD)  # one sentence for each thing that is wrong
    assert all(line.startswith("params.yaml: ") and line.endswith(".") for line in lines)
    assert not re.search(r"pydantic|Traceback|ValidationError|Input should|StrictStr", message)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "params.yaml holds nothing; it must hold the sections data, network,"),
        ("- 1\n", "params.yaml holds [1]; it must hold the sections data, network,"),
        ("data: 3\n", "data holds 3; it must be a section with the keys name, n_train"),
        ("seeds: [1]\n", "params.yaml: network is missing; it must be a section with the keys hidden, activation."),
        ("initializers: {}\n", "params.yaml: initializers holds no initializer; it must hold at least one."),
        ("initializers: [he]\n", "params.yaml: initializers holds ['he']; it must be a mapping from names to recipes."),
    ],
)
def test_other_documents(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ParamsError) as raised:
        load(text, tmp_path)
    assert sentence in str(raised.value)


def test_a_missing_or_undecodable_file(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"params\.yaml is missing"):
        params.load(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ParamsError, match=r"params\.yaml is not text in UTF-8\."):
        params.load(tmp_path / "params.yaml")


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["data", "network", "hidden", "training", "seeds", "initializers", "recipe", "he", "first", "last"]
            )
            | LEAVES,
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(DOCUMENTS)
def test_no_document_raises_anything_else(document: object) -> None:
    with pytest.raises(ParamsError) as raised:
        params.check(document)
    assert str(raised.value)


@given(st.text(max_size=60))
def test_no_text_raises_anything_else(text: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "params.yaml"
        path.write_text(text, encoding="utf-8", errors="replace")
        with pytest.raises(ParamsError):
            params.load(path)


def test_the_command_says_what_is_wrong_or_nothing_much(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(SHIPPED)
    assert params.main([str(path)]) == 0
    assert "8 initializers" in capsys.readouterr().out
    path.write_text(SHIPPED.replace("noise: 0.05", "noise: -1"))
    assert params.main([str(path)]) == 1
    assert capsys.readouterr().err == "params.yaml: data.noise holds -1; it must be a number of at least 0.\n"
