"""Models drawn from a recipe: options, exceptions for layers, and functions of the user's own."""

import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import recipe_settings
from pipeline.config.validation import Problems
from pipeline.initializers import fan_scaling, layerwise, recipes
from pipeline.initializers.networkwise import NETWORK_RECIPES, NetworkSpec
from pipeline.initializers.recipes import Layer, Recipe
from pipeline.networks.activations import ACTIVATIONS
from tests.digests import digest_of_recipe
from tests.initializer_cases import cases

WIDTHS = [2, 10, 5, 1]
SPEC = NetworkSpec(WIDTHS, [ACTIVATIONS["relu"]] * 2, np.random.RandomState(0).randn(2, 30))


def sample_models(recipe: Recipe, seed: int = 3):
    return recipes.sample_parameters(recipe, seed, SPEC)


def same(a, b) -> bool:
    return all(x.tobytes() == y.tobytes() for p, q in zip(a, b, strict=True) for x, y in zip(p, q, strict=True))


def test_one_stream_layer_after_layer() -> None:
    """The tutorial's draws: np.random.seed(3), then randn for W1, W2, W3."""
    rng = np.random.RandomState(3)
    for (W, b), (fan_in, fan_out) in zip(sample_models(Recipe("normal", {"std": 10.0})), pairwise(WIDTHS), strict=True):
        np.testing.assert_allclose(W, rng.randn(fan_out, fan_in) * 10, rtol=1e-14)  # our logarithm is not NumPy's
        assert b.tobytes() == np.zeros((fan_out, 1)).tobytes()


def test_gain_and_bias_for_every_recipe() -> None:
    for name in ("he_normal", "orthogonal", "pytorch_linear", "lsuv"):
        plain, changed = sample_models(Recipe(name)), sample_models(Recipe(name, gain=3.0, bias=0.25))
        for (W, b), (V, c) in zip(plain, changed, strict=True):
            assert (V == 3.0 * W).all()
            assert (c == b + 0.25).all()


def test_exceptions_for_layers() -> None:
    layers = {2: Layer(gain=0.5), 3: Layer("constant", {"value": 0.1}, bias=2.0)}
    plain, changed = sample_models(Recipe("he_normal")), sample_models(Recipe("he_normal", gain=3.0, layers=layers))
    assert (changed[0][0] == 3.0 * plain[0][0]).all()
    assert (changed[1][0] == 0.5 * plain[1][0]).all()
    assert (changed[2][0] == 3.0 * 0.1).all()  # the gain of all, and the layer's own recipe and bias
    assert (changed[2][1] == 2.0).all()


def test_a_layers_own_recipe_draws_in_its_turn() -> None:
    """The layers after it draw on from where it stopped."""
    changed = sample_models(Recipe("he_normal", layers={1: Layer("normal", {"std": 1.0})}))
    assert same(changed[1:], sample_models(Recipe("he_normal"))[1:])
    without = sample_models(Recipe("he_normal", layers={1: Layer("zeros")}))  # draws nothing
    rng = np.random.RandomState(3)
    assert (without[1][0] == fan_scaling.he_normal()(rng, 5, 10)).all()


def test_an_exception_in_a_network_drawn_as_a_whole() -> None:
    plain, changed = (
        sample_models(Recipe("lsuv")),
        sample_models(Recipe("lsuv", layers={3: Layer("zeros"), 1: Layer(gain=2.0)})),
    )
    assert (changed[0][0] == 2.0 * plain[0][0]).all()
    assert (changed[1][0] == plain[1][0]).all()
    assert not changed[2][0].any()


@pytest.mark.parametrize("name", [*layerwise.RECIPES, *NETWORK_RECIPES])
def test_every_recipe_can_be_found_and_its_settings_listed(name: str) -> None:
    assert callable(recipes.find(name))
    assert not {"gain", "bias", "layers", "recipe"} & set(recipes.settings_of(name))  # every recipe has those


@pytest.mark.parametrize("name", [*layerwise.RECIPES, *NETWORK_RECIPES])
def test_every_recipe_has_the_bits_of_its_digest(name: str) -> None:
    """On this processor; test_any_processor has the others."""
    assert cases(name).digest == digest_of_recipe(name)


OWN = """
import numpy as np

def good(rng, fan_out, fan_in, *, size: float = 1.0, wild: bool = False):
    return size * rng.random_sample((fan_out, fan_in))

def odd_names(rng, fan_out, fan_in, *, copy: int, model_dump="", _private=1):
    return np.zeros((fan_out, fan_in))

def with_biases(rng, fan_out, fan_in):
    return rng.random_sample((fan_out, fan_in)), np.ones((fan_out, 1))

def transposed(rng, fan_out, fan_in):
    return np.zeros((fan_in, fan_out))

def single(rng, fan_out, fan_in):
    return np.zeros((fan_out, fan_in), dtype=np.float32)

def nan(rng, fan_out, fan_in):
    return np.full((fan_out, fan_in), np.nan)

def nothing(rng, fan_out, fan_in):
    return None

def three(rng, fan_out, fan_in):
    return np.zeros((fan_out, fan_in)), np.zeros((fan_out, 1)), 3

def flat_biases(rng, fan_out, fan_in):
    return np.zeros((fan_out, fan_in)), np.zeros(fan_out)

def drawn_elsewhere(rng, fan_out, fan_in):
    return np.random.default_rng().random((fan_out, fan_in))

def broken(rng, fan_out, fan_in):
    return 1 / 0

def leaves(rng, fan_out, fan_in):
    exit(3)

def silent(rng, fan_out, fan_in):
    raise ValueError

def in_numpy(rng, fan_out, fan_in):
    return np.linalg.cholesky(np.zeros((2, 3)))

def no_weights(rng, fan_out, fan_in):
    return None, np.zeros((fan_out, 1))

def whole(rng, fan_out, fan_in):
    return 3

def wrong_arguments(fan_out, fan_in):
    return np.zeros((fan_out, fan_in))

def unknown_annotation(rng, fan_out, fan_in, *, size: "floot"):
    return np.zeros((fan_out, fan_in))

number = 3
"""


def line_of(text: str) -> int:
    """The number of the only line of OWN with this text."""
    (number,) = (number for number, line in enumerate(OWN.split("\n"), start=1) if text in line)
    return number


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module in the folder `own` of the working directory, with functions right and wrong."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "__init__.py").touch()
    (tmp_path / "own" / "mine.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    ours = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "own"}
    yield "own.mine"
    for name in [name for name in sys.modules if name.split(".")[0] == "own"]:
        del sys.modules[name]
    sys.modules.update(ours)


def test_a_function_of_ones_own(own: str) -> None:
    rng = np.random.RandomState(3)
    for (W, b), (fan_in, fan_out) in zip(
        sample_models(Recipe(f"{own}:good", {"size": 2.0})), pairwise(WIDTHS), strict=True
    ):
        assert (W == 2.0 * rng.random_sample((fan_out, fan_in))).all()
        assert not b.any()
    assert all((b == 1.5).all() for _, b in sample_models(Recipe(f"{own}:with_biases", bias=0.5)))
    assert recipe_settings.dry_run(Recipe(f"{own}:good"), 3, SPEC) == ""


@pytest.mark.parametrize(
    ("function", "reported"),
    [
        ("transposed", "returned W of shape (2, 10); expected (10, 2)"),
        ("single", "returned an array of float32 for W; expected an array of float64"),
        ("nan", "returned W with NaN or infinity; expected finite numbers"),
        ("nothing", "returned None; expected W or (W, b)"),
        ("no_weights", "returned None for W; expected an array of float64"),
        ("whole", "returned an int for W; expected an array of float64"),
        ("three", "returned 3 values for a layer; expected W or (W, b)"),
        ("flat_biases", "returned b of shape (10,); expected (10, 1)"),
        (
            "drawn_elsewhere",
            "returned different weights when called again with the same seed; it must draw from rng only",
        ),
        ("broken", f"raised ZeroDivisionError: division by zero (own/mine.py, line {line_of('1 / 0')})"),
        ("leaves", f"raised SystemExit: 3 (own/mine.py, line {line_of('exit(3)')})"),
        ("silent", f"raised ValueError (own/mine.py, line {line_of('raise ValueError')})"),
    ],
)
def test_what_is_wrong_with_a_function_of_ones_own(own: str, function: str, reported: str) -> None:
    assert recipe_settings.dry_run(Recipe(f"{own}:{function}"), 3, SPEC) == reported


def test_the_place_of_an_exception_is_in_the_users_code(own: str) -> None:
    """NumPy raises it; the line is that of the call."""
    problem = recipe_settings.dry_run(Recipe(f"{own}:in_numpy"), 3, SPEC)
    assert problem.startswith("raised LinAlgError: ")
    assert problem.endswith(f" (own/mine.py, line {line_of('cholesky')})")


def recipe_message(recipe: str) -> str:
    """The message for a recipe in params.yaml."""
    with pytest.raises(Problems) as raised:
        recipe_settings.read_recipe({"recipe": recipe}, "initializers.x", 3)
    (message,) = raised.value.messages
    return message


@pytest.mark.parametrize(
    ("recipe", "reported"),
    [
        ("own.mine:number", "own.mine.number is not a function but an int."),
        ("own.mine:numbr", "own.mine has no function numbr."),  # what is similar is not a function
        ("own.mine:god", "own.mine has no function god (did you mean good?)."),
        ("own.mine:unknown_annotation", "its arguments cannot be read: NameError: name 'floot' is not defined."),
        (
            "mine:good",
            "mine cannot be imported: No module named 'mine' (did you mean own.mine:good?).",
        ),
        *(
            (spelling, f"did you mean own.mine:good? I{recipes.MUST_BE[1:]}.")
            for spelling in ("own/mine.py:good", "own.mine.good", "mine.good")
        ),
        (
            "own.other:good",
            "own.other cannot be imported: No module named 'own.other'.",
        ),
        ("own.leaves:good", "own.leaves cannot be imported: SystemExit: 3 (own/leaves.py, line 3)."),
    ],
)
def test_what_is_wrong_with_the_name_of_a_function_of_ones_own(own: str, recipe: str, reported: str) -> None:
    Path("own/leaves.py").write_text("import sys\n\nsys.exit(3)\n")
    message = recipe_message(recipe)
    assert message == f"initializers.x.recipe holds the text '{recipe}'; {reported}"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"recipe": "normal"}, "std is missing; it must be a finite number greater than 0."),
        ({"recipe": "normal", "std": "ten"}, "std holds the text 'ten'; it must be a finite number greater than 0."),
        ({"recipe": "normal", "std": -1}, "std holds -1; it must be greater than 0."),
        ({"recipe": "normal", "std": -1.0}, "std holds -1.0; it must be greater than 0."),
        ({"recipe": "constant"}, "value is missing; it must be a finite number."),
        ({"recipe": "sparse"}, "sparsity is missing; it must be a finite number from 0 to 1."),
        ({"recipe": "uniform", "low": 1.0}, "high is missing; it must be a finite number greater than low."),
        ({"recipe": "martens_sparse", "n_connections": 0.5}, "n_connections holds 0.5; it must be a whole number at least 1."),
    ],
)  # fmt: skip
def test_a_message_about_a_setting_has_its_bound_and_its_value_as_written(
    settings: dict[str, object], message: str
) -> None:
    with pytest.raises(Problems) as raised:
        recipe_settings.read_recipe(settings, "initializers.x", 3)
    assert raised.value.messages == [f"initializers.x.{message}"]


def test_settings_of_a_function_of_ones_own(own: str) -> None:
    given = {"recipe": f"{own}:good", "size": 2, "wild": True, "gain": 3}
    recipe = recipe_settings.read_recipe(given, "initializers.x", 3)
    assert recipe == Recipe(f"{own}:good", {"size": 2.0, "wild": True}, gain=3.0)
    assert type(recipe.settings["size"]) is type(recipe.gain) is float
    odd = {"recipe": f"{own}:odd_names", "copy": 2, "model_dump": "text"}
    assert recipe_settings.read_recipe(odd, "initializers.x", 3) == Recipe(odd.pop("recipe"), odd)
    with pytest.raises(Problems) as raised:
        recipe_settings.read_recipe(given | {"wild": 1, "size": "big", "wlid": 2}, "initializers.x", 3)
    assert raised.value.messages == [
        "initializers.x.wlid is unknown; did you mean wild? It must be one of size, wild, gain, bias, layers.",
        "initializers.x.size holds the text 'big'; it must be a finite number.",
        "initializers.x.wild holds 1; it must be true or false.",
    ]
    with pytest.raises(ValueError, match="first arguments must be rng, fan_out, fan_in, not fan_out, fan_in"):
        recipes.find(f"{own}:wrong_arguments")


def test_the_worked_example_mirrors_its_units() -> None:
    from own.example import mirrored

    W = mirrored(np.random.RandomState(0), 301, 200)
    assert (W[151:] == -W[:150]).all()
    n = 151 * 200
    assert abs((W[:151] ** 2).mean() / (2 / 200) - 1) < 5 * np.sqrt(2 / n)  # five standard errors
