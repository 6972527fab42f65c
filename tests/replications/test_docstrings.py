"""The settings that the docstring of a replication describes, which the page prints, are those of its params.yaml."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.replications import paper

ROOT = Path(__file__).parents[2]
WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")
NUMBER = re.compile(r"(?<![\w₁])\d[\d,]*(?:\.\d+)?(?!\w)")


def n_hidden(s: Any) -> int:
    return len(s.network.hidden_sizes)


def width(s: Any) -> int:
    (size,) = set(s.network.hidden_sizes)
    return int(size)


def epochs(s: Any) -> float:
    return float(s.training.iterations / -(-s.data.n_train // s.training.batch_size))


def drawn(s: Any) -> int:
    return len(s.seeds) * s.replication.n_networks


# The phrases that a docstring must contain, made from the settings; and the numbers outside them, which are of theory,
# of the paper, or results.
PHRASES: dict[str, tuple[Callable[[Any, Any], list[str]], str]] = {
    "balduzzi_2017": (
        lambda s, own: [
            f"up to {max(own.depths)} ReLU layers of {width(s)} units, {len(s.seeds)} seeds",
            f"networks of {width(s)} units",
            f"{own.n_points} inputs on a quarter of a circle, gradients of {own.n_combinations} random combinations",
        ],
        "",
    ),
    "glorot_bengio_2010": (
        lambda s, own: [
            f"{WORDS[n_hidden(s)]} hidden layers of {width(s):,} tanh units, {own.n_inputs:,} inputs from N(0, 1)",
            f"cross-entropy of {own.n_classes} random classes, {own.n_samples} samples, {len(s.seeds)} seeds",
        ],
        "0.5 0.8 0.490 0.849 1 1 1 3 6 2016 2017",
    ),
    "hanin_rolnick_2018": (
        lambda s, own: [
            f"{drawn(s):,} networks of each shape",
            "is 1 for " + " and for ".join(f"{one.depth} layers of width {one.width}" for one in own.shapes),
            f"over {len(s.seeds)} seeds of {own.n_networks} networks",
        ],
        "1 1",
    ),
    "hayou_2019": (
        lambda s, own: [
            f"{n_hidden(s)} layers of {width(s):,} units, {own.n_samples} orthogonal inputs, {len(s.seeds)} seeds",
            f"{max(own.map_depths):,} iterations of the correlation map",
            f"The band at {min(own.map_depths)} iterations",
            f"at {own.map_depths[0]} layers, and 3 % at {own.map_depths[1]:,}",
        ],
        "1 0.4937 0.6048 2 3 4 1 2 1 1 0 0 1 2 1 0.9 1 1",
    ),
    "he_2015": (
        lambda s, own: [
            f"a network of {own.deep} layers converge",
            f"a network of {own.shallow} layers converges",
            f"fully connected layers of {own.width} units",
            f"momentum {s.training.momentum:g}, rate {s.training.learning_rate:g}, batches of {s.training.batch_size}",
            f"{epochs(s):g} epochs, {len(s.seeds)} seeds",
            f"At {own.deep} layers",
            f"in layers of {own.width} units",
        ],
        "2 10 1",
    ),
    "klambauer_2017": (
        lambda s, own: [
            f"{n_hidden(s)} SELU layers of {width(s)} units",
            f"{len(s.seeds)} seeds",
            f"{own.n_samples} normal inputs for each of {WORDS[len(own.variances)]} variances",
        ],
        "0 1 0 1 0 1",
    ),
    "lu_2019": (
        lambda s, own: [
            f"widths {min(own.widths)} to {max(own.widths)}, up to {own.n_layers} hidden layers",
            f"no biases, {drawn(s):,} networks of each width",
            f"over {len(s.seeds)} seeds of {own.n_networks:,} networks",
        ],
        "0 1 1 1 2 0 1 0 1 20,000",
    ),
    "mishkin_matas_2016": (
        lambda s, own: [
            f"ReLU layers of {own.width} units, networks of 10, 22 and 30 layers, {len(s.seeds)} seeds"
            if own.depths == (10, 22, 30)
            else f"networks of {own.depths} layers",
            f"LSUV uses {own.n_samples} samples",
            f"tolerance of {s.initializers['lsuv'].settings['tolerance']:g}",
            "at most ten steps" if s.initializers["lsuv"].settings["max_iterations"] == 10 else "at most other steps",
            f"{epochs(s):g} epochs of batches of {s.training.batch_size}, momentum {s.training.momentum:g}",
            f"rate {s.training.learning_rate:g}",
        ],
        "1 0.02 20 1 0.01",
    ),
    "pennington_2017": (
        lambda s, own: [
            f"{max(own.depths)} tanh layers of {width(s)} units, {len(s.seeds)} seeds",
            f"{WORDS[len(own.points)]} points of the critical line",
        ],
        "1 0 1 1 1 1 15",
    ),
    "phase_diagram": (
        lambda s, own: [
            f"{own.depth} layers of {own.width} units, {own.steps} steps of batches of {own.batch_size}",
            f"momentum {own.momentum:g}, the better of {WORDS[len(own.rates)]} rates, {len(s.seeds)} seeds",
            f"at least {own.trained:g}",
            f"σ_b² ends at {own.sigma_b2.last:g}",
        ],
        "1 0 0.5 9 0.8 0 0.7 6 1 2016 2017",
    ),
    "poole_2016": (
        lambda s, own: [
            f"{WORDS[n_hidden(s)]} tanh layers of {width(s):,} units",
            f"σ_b = {own.bias_std:g}, {len(s.seeds)} seeds",
            f"a circle of {own.n_points:,} points",
            f"{own.n_others} random directions for each of {WORDS[len(own.starts)]} other starts",
            f"geometric mean over {WORDS[n_hidden(s) - 1]} layers",
        ],
        "",
    ),
    "saxe_2013": (
        lambda s, own: [
            f"no seed learns within {own.depth.steps:,} steps",
            f"steps of {own.modes.time_step:g} follow with a delay",
            f"{len(own.modes.singular_values)}-{own.modes.hidden}-{len(own.modes.singular_values)} units",
            f"singular values {', '.join(f'{value:g}' for value in own.modes.singular_values)} in random bases",
            f"initial strength {own.modes.initial:g} in every mode, time step {own.modes.time_step:g}",
            f"{len(s.seeds)} seeds. Depth: {min(own.depth.depths)} to {max(own.depth.depths)} layers",
            f"of {own.depth.width} units, a rotation as target, at most {own.depth.steps:,} steps",
            f"the best of {WORDS[len(own.depth.rates)]} rates c / depth, {len(s.seeds)} seeds",
        ],
        "8 0 1",
    ),
    "schoenholz_2017": (
        lambda s, own: [
            f"tanh layers of {own.width} units, σ_b² = {own.sigma_b2:g}",
            f"depths from {min(own.depths)} to {max(own.depths)} layers, {s.training.iterations} steps",
            f"batches of {s.training.batch_size}, momentum {s.training.momentum:g}",
            f"rate {s.training.learning_rate:g} / depth, {len(s.seeds)} seeds",
            f"at least {own.trained:g}; at {max(own.depths)} layers none is",
            f"at {min(own.depths)} layers so many are",
        ],
        "64 1,000 200 0.88 20 2.5 6 6 1.7610",
    ),
    "tutorial": (
        lambda s, own: [
            f"{s.data.n_train} training and {s.data.n_test} test points",
            f"layers of {', '.join(map(str, s.layers_dims[:-1]))} and {s.layers_dims[-1]} units",
            f"{s.training.iterations:,} steps of rate {s.training.learning_rate:g}",
            f"of seed {s.seeds[0]}",
            f"over {own.n_seeds} seeds",
            f"or 298 of {s.data.n_train} points",
        ],
        "0 83 99 36 0 1 2024 95 99.33 99",
    ),
}


def differences(name: str, settings: Any, text: str) -> list[str]:
    """The phrases that a text does not contain, and the numbers in it that are neither in a phrase nor listed."""
    phrases, others = PHRASES[name]
    text = " ".join(text.split())
    found = []
    for phrase in phrases(settings, settings.replication):
        if not re.search(rf"(?<!\d){re.escape(phrase)}", text):
            found.append(phrase)
        text = text.replace(phrase, " … ", 1)
    numbers = [each.rstrip(",") for each in NUMBER.findall(text)]
    return found if numbers == others.split() else [*found, f"other numbers: {' '.join(numbers)}"]


@pytest.mark.parametrize("name", PHRASES)
def test_a_docstring_has_the_numbers_of_params_yaml(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    loaded = paper.load(name)
    assert differences(name, loaded.settings, inspect.getdoc(loaded.module) or "") == []


# The numbers in the other sentences: of figures, equations and settings of the paper.
IN_OTHER_SENTENCES = {
    "balduzzi_2017": "1",
    "glorot_bengio_2010": "3 2",
    "hanin_rolnick_2018": "1 20 1",
    "klambauer_2017": "2 0 1",
    "lu_2019": "0",
    "mishkin_matas_2016": "1",
    "phase_diagram": "2017 5 10 6",
    "poole_2016": "1 three 4 1,000 1",
    "saxe_2013": "3 seven 6",
    "schoenholz_2017": "10 two",
}


@pytest.mark.parametrize("name", PHRASES)
def test_other_sentences_are_true_of_other_settings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """FIGURE and the reasons of ANALYSIS and NOT_REPRODUCED hold no number of params.yaml."""
    monkeypatch.chdir(ROOT)
    module = paper.load_module(name)
    texts = [module.FIGURE, *getattr(module, "ANALYSIS", {}).values(), *getattr(module, "NOT_REPRODUCED", {}).values()]
    found = re.findall(rf"{NUMBER.pattern}|\b(?:{'|'.join(WORDS[2:])})\b", " ".join(texts))
    assert [each.rstrip(",") for each in found] == IN_OTHER_SENTENCES.get(name, "").split()


def test_all_replications_are_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert sorted(PHRASES) == paper.names()


def test_a_number_that_differs_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    loaded = paper.load("he_2015")
    text = inspect.getdoc(loaded.module) or ""
    other = loaded.settings.model_copy(update={"seeds": (1, 2, 3)})
    assert differences("he_2015", other, text)[0] == "20 epochs, 3 seeds"
    assert differences("he_2015", loaded.settings, text.replace("rate 0.01", "rate 0.02")) != []
    assert differences("he_2015", loaded.settings, f"{text} The test accuracy is 0.9.")[-1].endswith(" 0.9")
