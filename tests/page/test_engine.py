"""The arithmetic of the page in a browser: every bit as in the reference, for each recipe and activation."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.config import params
from pipeline.diagnostics.measure import measure
from pipeline.initializers.layerwise import RECIPES
from pipeline.initializers.networkwise import NetworkSpec
from pipeline.initializers.recipes import Layer, Recipe, sample_parameters
from pipeline.networks import reference
from pipeline.networks.activations import ACTIVATIONS
from pipeline.networks.parameters import stack
from pipeline.networks.reference import UpdateRule
from pipeline.page import page
from pipeline.page.content import PORTED, digest, drawing
from pipeline.theory import predictions, variances
from tests import browser

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (browser.CHROMIUM and browser.DRIVER), reason=browser.NEEDED),
]
SIZES = [2, 5, 3, 1]
SETTINGS: dict[str, dict[str, Any]] = {
    "constant": {"value": 0.3},
    "uniform": {"low": -0.3, "high": 0.7},
    "normal": {"std": 10.0},
    "truncated_normal": {"std": 0.7, "low": -0.5, "high": 0.8},
    "truncated_normal_absolute": {"std": 0.7, "mean": 0.1, "low": -0.5, "high": 0.8},
    "variance_scaling": {"scale": 3.0, "mode": "fan_geo_avg", "distribution": "truncated_normal"},
    "he_normal": {"negative_slope": 0.3, "mode": "fan_out"},
    "sklearn_mlp": {"activation": "logistic"},
    "identity": {"value": 0.9},
    "sparse": {"sparsity": 0.4},
    "martens_sparse": {"n_connections": 3},
}


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Browser]:
    """A page that has the engine alone, with all activations."""
    folder = tmp_path_factory.mktemp("engine")
    (folder / "engine.html").write_text(f"<script>'use strict';{page.engine(list(ACTIVATIONS))}</script>")
    with browser.browser(folder) as opened:
        opened.open((folder / "engine.html").as_uri())
        yield opened


def spec(layers_dims: list[int], activations: list[str], m: int = 30) -> NetworkSpec:
    rng = np.random.RandomState(11)
    return NetworkSpec(layers_dims, [ACTIVATIONS[name] for name in activations], rng.uniform(-1.0, 1.0, (2, m)))


def drawn_in_page(tab: browser.Browser, recipe: Recipe, seed: int, layers_dims: list[int], scale: float = 1.0) -> str:
    content = drawing(recipe, spec(layers_dims, []), seed)
    script = "return digest_of(sample_parameters(...arguments))"
    return str(tab.run(script, json.loads(json.dumps(content)), seed, layers_dims, scale))


def test_the_ported_recipes_are_those_of_the_page(tab: browser.Browser) -> None:
    """The names as page.content lists them; at present every recipe of a single layer."""
    assert set(tab.run("return Object.keys(RECIPES)")) == PORTED
    assert set(RECIPES) >= PORTED


@pytest.mark.parametrize("name", sorted(PORTED))
@pytest.mark.parametrize("seed", [0, 4294967295])
def test_initial_parameters_have_the_same_bits(tab: browser.Browser, name: str, seed: int) -> None:
    """Wide and narrow layers, with an odd number of draws, so that the cached draw of a pair crosses layers."""
    layers_dims = [3, 7, 5, 5, 1]
    recipe = Recipe(name, SETTINGS.get(name, {}))
    expected = digest(stack([sample_parameters(recipe, seed, spec(layers_dims, []))]), 0)
    assert drawn_in_page(tab, recipe, seed, layers_dims) == expected


def test_gain_bias_and_exceptions_for_layers(tab: browser.Browser) -> None:
    layers = {2: Layer(recipe="uniform", settings={"low": -1.0, "high": 2.0}, gain=0.5), 3: Layer(bias=0.25)}
    recipe = Recipe("normal", {"std": 0.3}, gain=1.7, bias=-0.1, layers=layers)
    expected = digest(stack([sample_parameters(recipe, 8, spec(SIZES, []))]), 0)
    assert drawn_in_page(tab, recipe, 8, SIZES) == expected


def test_a_recipe_that_the_page_cannot_draw_comes_with_its_parameters(tab: browser.Browser) -> None:
    recipe, network = Recipe("looks_linear"), spec(SIZES, ["relu", "relu"])
    expected = digest(stack([sample_parameters(recipe, 8, network)]), 0)
    content = json.loads(json.dumps(drawing(recipe, network, 8)))
    assert tab.run("return digest_of(sample_parameters(...arguments))", content, 8, SIZES, 1.0) == expected


def test_the_scale_multiplies_weights_and_not_biases(tab: browser.Browser) -> None:
    parameters = sample_parameters(Recipe("pytorch_linear"), 8, spec(SIZES, []))
    expected = digest(stack([[(W * 0.03, b) for W, b in parameters]]), 0)
    assert drawn_in_page(tab, Recipe("pytorch_linear"), 8, SIZES, 0.03) == expected


POINTS = [0.0, -0.0, 5e-324, 1e-300, 1e-9, 0.3, 1.0, 2.9, 3.0, 6.0, 21.9, 22.5, 38.9, 40.1, 709.9, 745.2, 800.0, 1e300]
BITS = """
const view = new DataView(new ArrayBuffer(8));
return arguments[1].map(Number).map(Function("z", `return ${arguments[0]}`)).map(value => {
  if (Number.isNaN(value)) return "nan";
  view.setFloat64(0, value);
  return view.getBigUint64(0).toString(16).padStart(16, "0");
})"""


def bits(values: Any) -> list[str]:
    return ["nan" if np.isnan(value) else np.float64(value).tobytes()[::-1].hex() for value in values]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_have_the_same_bits(tab: browser.Browser, name: str) -> None:
    rng = np.random.RandomState(5)
    z = np.array([*POINTS, *(-point for point in POINTS), np.inf, -np.inf, np.nan, *rng.uniform(-9.0, 9.0, 500)])
    texts = [repr(value).replace("inf", "Infinity").replace("nan", "NaN") for value in z.tolist()]
    phi, slope = ACTIVATIONS[name].phi, ACTIVATIONS[name].slope
    with np.errstate(all="ignore"):
        expected = bits(phi(z)), bits(slope(z, phi(z)))
    assert tab.run(BITS, f"ACTIVATIONS.{name}.phi(z)", texts) == expected[0]
    assert tab.run(BITS, f"ACTIVATIONS.{name}.slope(z, ACTIVATIONS.{name}.phi(z))", texts) == expected[1]


TRAIN = """
const [layers_dims, names, X, Y, parameters, rule, steps] = arguments;
const S = samples(Float64Array.from(X), Float64Array.from(Y), layers_dims[0]);
const setup = {layers_dims, activations: names.map(name => ACTIVATIONS[name]), train: S, test: S, rule};
const arrays = parameters.map(([W, b]) => ({W: Float64Array.from(W), b: Float64Array.from(b)}));
const model = new Model(arrays, setup);
for (let step = 0; step < steps; step++) model.step();
return [digest_of(model.parameters), model.cost(), model.correct(S)]"""


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize(("hidden", "momentum"), [([5, 3], 0.0), ([4], 0.9)])
def test_training_has_the_same_bits(tab: browser.Browser, name: str, hidden: list[int], momentum: float) -> None:
    """30 steps on 30 samples, which do not fill the last block of eight; weights so large that some outputs saturate."""
    activations = [name] * len(hidden)
    network = spec([2, *hidden, 1], activations)
    Y = np.random.RandomState(6).randint(0, 2, (1, 30)).astype(np.float64)
    start = sample_parameters(Recipe("normal", {"std": 1.5}), 7, network)
    S = reference.samples(network.X, Y)
    models = reference.descend(
        reference.at_rest(stack([start])), [S], network.activations, UpdateRule(0.2, momentum), 30
    )
    probability = reference.predict(models.parameters, network.X, network.activations)
    expected = [
        digest(models.parameters, 0),
        float(reference.cost(models.parameters, S, network.activations)[0]),
        round(30 * float(reference.accuracy(probability, Y)[0])),
    ]
    rule = {"learning_rate": 0.2, "momentum": momentum}
    given = [[W.ravel().tolist(), b.ravel().tolist()] for W, b in start]
    done = tab.run(TRAIN, network.layers_dims, activations, network.X.ravel().tolist(), Y[0].tolist(), given, rule, 30)
    assert done == expected


MEASURE = TRAIN.replace("[digest_of(model.parameters), model.cost(), model.correct(S)]", "model.measure()")
PREDICT = """
const [layers_dims, names, X, laws, scale] = arguments;
const S = samples(Float64Array.from(X), new Float64Array(X.length / layers_dims[0]), layers_dims[0]);
return predict(laws, scale, layers_dims, names.map(name => ACTIVATIONS[name]), S)"""


@pytest.mark.parametrize("name", ["relu", "tanh", "sigmoid", "linear"])
def test_measurements_and_predictions_are_those_of_the_pipeline(tab: browser.Browser, name: str) -> None:
    """To rounding errors of sums of 150 numbers and of the quadrature: 1e-12."""
    network = spec(SIZES, [name, name])
    Y = np.arange(30.0)[None] % 2
    recipe = Recipe("xavier_normal")
    start = sample_parameters(recipe, 7, network)
    measured = measure(stack([start]), network.X, Y, network.activations)
    given = [[W.ravel().tolist(), b.ravel().tolist()] for W, b in start]
    rule = {"learning_rate": 0.1, "momentum": 0.0}
    names = [name, name]
    found = tab.run(MEASURE, SIZES, names, network.X.ravel().tolist(), Y[0].tolist(), given, rule, 0)
    gradient = measured.layers["preactivation_gradient_rms"][0]
    assert found["preactivation"] == pytest.approx(measured.layers["preactivation_mean_square"][0], rel=1e-12)
    assert found["gradient"] == pytest.approx((gradient / gradient[-1]) ** 2, rel=1e-12)
    assert found["cost"] == measured.models["initial_cost"][0]
    assert found["dead"] == measured.layers["dead"][0, :-1].tolist()
    assert found["distinct"] == measured.layers["unique_incoming"][0, :-1].tolist()
    assert found["saturated"] == measured.layers["saturated"][0, -1]

    scale = 1.7
    laws = variances.laws(recipe, network)
    assert isinstance(laws, list)
    scaled = [law._replace(weight=law.weight * scale * scale) for law in laws]
    expected = predictions.predict(scaled, SIZES, network.X, network.activations)
    plain = [{"weight": law.weight, "bias": law.bias} for law in laws]
    found = tab.run(PREDICT, SIZES, names, network.X.ravel().tolist(), plain, scale)
    assert found["preactivation"] == pytest.approx(expected.layers["preactivation_mean_square"], rel=1e-12)
    assert found["gradient"] == pytest.approx(expected.layers["gradient_ratio"], rel=1e-12)


@pytest.mark.parametrize("value", [0.0, -0.0, 5e-324, -5e-324, 1.0, -1.0, 0.1, -1e300, 1.7976931348623157e308])
def test_the_next_double(tab: browser.Browser, value: float) -> None:
    with np.errstate(over="ignore"):
        expected = bits([np.nextafter(value, np.inf)])
    assert tab.run(BITS, "next_after(z)", [repr(value)]) == expected


@pytest.mark.parametrize("length", [0, 1, 55, 56, 63, 64, 65, 119, 120, 1000])
def test_sha256(tab: browser.Browser, length: int) -> None:
    """Lengths about the ends of blocks, against hashlib."""
    content = bytes(i * 7 % 256 for i in range(length))
    assert tab.run("return sha256(Uint8Array.from(arguments[0]))", list(content)) == hashlib.sha256(content).hexdigest()


def test_the_recipes_of_the_default_experiment_are_all_drawn_by_the_page() -> None:
    root = Path(__file__).parents[2]
    assert all(recipe.used <= PORTED for recipe in params.load(root / "params.yaml").initializers.values())
