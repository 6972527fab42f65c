"""What is on the page for given parameters and results, and that the file is safe and small."""

import copy
import hashlib
import json
import math
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.analysis.published_results import Published
from pipeline.config import params
from pipeline.initializers.networkwise import NetworkSpec
from pipeline.initializers.recipes import sample_parameters
from pipeline.networks.activations import ACTIVATIONS, Activation
from pipeline.networks.parameters import stack
from pipeline.numerics.elementary import Operand
from pipeline.page import content as page_content
from pipeline.page import page

ROOT = Path(__file__).parents[2]
DOCUMENT: dict[str, Any] = {
    "data": {"name": "circles", "n_train": 12, "n_test": 8, "noise": 0.05, "train_seed": 1, "test_seed": 2},
    "network": {"hidden_sizes": [4, 3], "activation": "relu"},
    "training": {"iterations": 40, "learning_rate": 0.1, "batch_size": "full", "momentum": 0.0, "record_every": 20},
    "seeds": [3, 5],
    "initializers": {"zeros": {"recipe": "zeros"}, "he": {"recipe": "he_normal"}},
    "tracking": {"curve_points": 0, "detailed_seeds": []},
    "audits": {},
    "comparison": {
        **{"highlight_seed": 5, "reference": "he", "target_cost": 0.1, "target_accuracy": 0.99, "confidence": 0.95},
    },
}


def changed(**changes: Any) -> Any:
    """The checked parameters of DOCUMENT with other values: section_key=value, or section=value."""
    document = copy.deepcopy(DOCUMENT)
    for key, value in changes.items():
        section, _, name = key.partition("_")
        if section in document and name:
            document[section][name] = value
        else:
            document[key] = value
    return params.check(document)


def content(P: Any, costs: tuple[float, ...] = (0.5, math.inf)) -> dict[str, Any]:
    """The content for initial weights as final ones, and tables made up for them."""
    n_inputs = P.data.n_inputs
    rng = np.random.RandomState(0)

    def samples(m: int) -> tuple[Any, Any]:
        return rng.uniform(-1.0, 1.0, (n_inputs, m)), np.arange(float(m))[None] % P.data.n_classes

    train, test = samples(P.data.n_train), samples(P.data.n_test)
    spec = NetworkSpec(P.layers_dims, P.network.activations, train[0])
    drawn = {name: [sample_parameters(r, s, spec) for s in P.seeds[:2]] for name, r in P.initializers.items()}
    final = {name: stack([models[i % 2] for i in range(len(P.seeds))]) for name, models in drawn.items()}
    n, names = len(P.seeds), list(P.initializers)
    cost = np.resize(costs, n)
    runs = pd.concat(
        pd.DataFrame(
            {"initializer": name, "seed": P.seeds, "final_cost": cost, "train_accuracy": 0.75, "test_accuracy": 0.5}
        )
        for name in names
    )
    record_at = np.arange(0, P.training.iterations + 1, P.training.record_every)
    curves = pd.concat(
        pd.DataFrame(
            {"initializer": name, "iteration": record_at}
            | dict.fromkeys(("min", "q25", "median", "q75", "max"), 1.0 / 3.0)
        )
        for name in names
    )
    layers = range(1, len(P.layers_dims))
    initialization = pd.DataFrame(
        [
            {"initializer": name, "quantity": quantity, "layer": layer, "mean": 1.0 / 3.0, "predicted": math.nan}
            for name in names
            for quantity in ("preactivation_mean_square", "gradient_ratio")
            for layer in layers
        ]
    )
    published = Published(
        pd.DataFrame(columns=["initializer", "train_accuracy", "test_accuracy"]),
        pd.DataFrame([{"initializer": "he", "iteration": 0, "cost_median": math.inf}]),
    )
    return page_content.content(P, train, test, final, runs, curves, initialization, published)


def test_results_of_every_seed() -> None:
    he = content(changed())["initializers"]["he"]
    assert he["cost"] == [0.5, None]  # an infinite cost
    assert (he["train"], he["test"]) == ([9, 9], [4, 4])  # of 12 and 8
    assert he["curve"] == [[step, *[0.3333] * 5] for step in (0, 20, 40)]
    assert he["layers"]["gradient"] == [[0.3333, None]] * 3
    assert he["published"] == {"costs": [[0, None]]}
    assert len(set(he["digest"])) == 2


def test_the_digest_is_that_of_the_doubles_in_order() -> None:
    """Of the second model, W1 = [1 2] and b1 = [-0.0]."""
    parameters = [(np.array([[[9.0, 9.0]], [[1.0, 2.0]]]), np.array([[[9.0]], [[-0.0]]]))]
    expected = hashlib.sha256(struct.pack("<3d", 1.0, 2.0, -0.0)).hexdigest()
    assert page_content.digest(parameters, 1) == expected


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, []),
        ({"network_activation": "gelu"}, []),
        ({"training_batch_size": 12}, []),
        ({"training_batch_size": 5}, ["batches of 5"]),
        ({"data_name": "breast_cancer"}, ["30 inputs"]),
        ({"data_name": "digits"}, ["64 inputs", "10 classes"]),
        ({"network_hidden_sizes": [400, 400], "data_n_train": 100}, ["162,001 parameters"]),
        ({"data_n_train": 4000}, ["4,008 samples"]),
    ],
)
def test_why_the_page_does_not_train(changes: dict[str, Any], words: list[str]) -> None:
    found = content(changed(**changes))
    assert len(found["not_live"]) == len(words)
    assert all(word in clause for word, clause in zip(words, found["not_live"], strict=True))
    is_drawn = found["data"]["n_inputs"] == 2 and words != ["4,008 samples"]
    assert (found["samples"]["train"] is not None) == is_drawn
    boundaries = ["boundary" in each for each in found["initializers"].values()]
    assert boundaries == [bool(words) and found["data"]["n_inputs"] == 2] * 2
    json.loads(page.embedded(found))


def repeated(z: Operand) -> Operand:
    for _ in range(2):
        z = 0.5 * z
    return z


def repeated_slope(z: Operand, a: Operand) -> Operand:
    return 0.25 + 0.0 * z


def test_an_activation_that_is_not_translated_is_not_trained_by_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ACTIVATIONS, "repeated", Activation(repeated, repeated_slope))
    found = content(changed(network_activation=["relu", "repeated"]))
    (clause,) = found["not_live"]
    assert clause == "the activation repeated uses statements or operations that are not translated to JavaScript"
    assert "function repeated" not in page.html(found)
    assert "ACTIVATIONS = {relu: " in page.html(found)


def test_a_recipe_that_the_page_cannot_draw_has_the_parameters_of_the_highlighted_seed() -> None:
    P = changed(initializers={"he": {"recipe": "he_normal"}, "lsuv": {"recipe": "lsuv"}})
    found = content(P)["initializers"]
    assert "drawn" not in found["he"]
    ((seed, layers),) = found["lsuv"]["drawn"].items()
    assert seed == 5
    assert [len(layer["W"]) for layer in layers] == [8, 12, 3]
    assert found["lsuv"]["law"] == "has weights that depend on the training data, but theory assumes independent ones"
    assert [law["weight"] for law in found["he"]["law"]] == [1.0, 0.5, 2.0 / 3.0]


def test_a_text_in_the_parameters_stays_text() -> None:
    found = content(changed())
    found["notes"] = ["</script><script>alert(1)</script><!-- & \u2028"]
    text = page.embedded(found)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text)["notes"] == found["notes"]
    whole = page.html(found)
    assert whole.count("</script") == whole.count("<script") == 3


def test_the_page_names_no_other_file() -> None:
    text = page.html(content(changed()))
    assert "http:" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "https:" not in text
    assert " src=" not in text
    assert "import(" not in text
    assert "default-src 'none'" in text


def test_the_same_content_gives_the_same_bytes() -> None:
    assert page.html(content(changed())) == page.html(content(changed()))


@pytest.mark.parametrize(
    "changes",
    [
        {"seeds": list(range(3000)), "comparison_highlight_seed": 2999},
        {"data_n_train": 2300, "data_n_test": 100},
        {"training_iterations": 10_000, "training_record_every": 1},
        {"network_hidden_sizes": [3] * 100},
        {"initializers": {f"he{k}": {"recipe": "he_normal"} for k in range(60)}, "comparison_reference": "he7"},
        {"data_n_train": 2000, "data_n_test": 400, "seeds": list(range(900)), "network_activation": "gelu"},
    ],
)
def test_the_size_is_bounded(changes: dict[str, Any]) -> None:
    P = changed(**changes)
    found = content(P, costs=(0.12345678901234567,))
    assert len(page.html(found).encode()) <= 400_000
    if len(P.seeds) == 3000:
        assert len(found["seeds"]) == 700
        assert found["seeds"][-1] == 2999
        assert found["notes"] == ["Of 3,000 seeds, 700 are on this page; all are in reports/runs.csv."]


def test_the_committed_page_is_the_one_that_the_sources_make() -> None:
    """From the data in it: a change of a script, text or style needs `dvc repro page`."""
    text = (ROOT / "reports" / "laboratory.html").read_text(encoding="utf-8")
    (data,) = re.findall(r'<script type="application/json" id="data">(.*)</script>', text)
    assert page.html(json.loads(data)) == text
