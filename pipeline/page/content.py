"""What the page shows, as a dictionary for JSON: settings, data, initializers, and the committed results of all models.

NaN and infinity, the costs of diverged models, become None. The size is bounded for any params.yaml: what is left out
then is named in the sentences `notes`, and the reason why the page does not train in `not_live`.
"""

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pipeline.analysis.published_results import Published
from pipeline.config.schema import Params
from pipeline.figures.plane import extent
from pipeline.initializers.networkwise import NetworkSpec
from pipeline.initializers.recipes import Recipe, sample_parameters, settings_of
from pipeline.networks import kernel, reference
from pipeline.networks.activations import ACTIVATIONS
from pipeline.networks.parameters import Parameters, take
from pipeline.numerics.sums import Array, integer_sum
from pipeline.page.javascript import is_translated
from pipeline.theory import variances

MODELS = 1_400  # whose results are on the page, at most: 140 bytes each
SAMPLES = 2_400  # training and test samples together, at most: 45 bytes each
STEP_FLOPS = 5e6  # of a step, at most: about 10 ms in a browser, so that the page stays responsive
DRAWN = 2_000  # initial parameters of a recipe that the page cannot draw, at most
CURVES = 640  # points of all cost curves together, but at least 9 of each
SIDE = 48  # points along the side of a committed decision boundary
# The recipes of RECIPES in initialization.js; of the others the page has the highlighted seed's initial parameters.
PORTED = {
    *("zeros", "ones", "constant", "uniform", "normal", "truncated_normal", "truncated_normal_absolute"),
    *("variance_scaling", "pytorch_linear", "sklearn_mlp", "orthogonal", "identity"),
    *("sparse", "martens_sparse", "zero_init"),
    *(f"{name}_{kind}" for name in ("he", "xavier", "lecun") for kind in ("normal", "uniform", "truncated_normal")),
}

Samples = tuple[Array, Array]


def content(
    P: Params,
    train: Samples,
    test: Samples,
    final: Mapping[str, Parameters],
    runs: pd.DataFrame,
    curves: pd.DataFrame,
    initialization: pd.DataFrame,
    published: Published,
) -> dict[str, Any]:
    """The content of the page.

    `train` and `test` are X (n_0, m) and Y (1, m); `final` has the stack of trained models of each initializer, one per
    seed; `runs`, `curves` and `initialization` are the tables reports/runs.csv, cost_curves.csv and initialization.csv.
    """
    not_live = reasons(P, train, test)
    seeds = shown_seeds(P)
    notes = []
    if len(seeds) < len(P.seeds):
        notes.append(f"Of {len(P.seeds):,} seeds, {len(seeds):,} are on this page; all are in reports/runs.csv.")
    spec = NetworkSpec(P.layers_dims, P.network.activations, train[0])
    places = [P.seeds.index(seed) for seed in seeds]
    initializers = {}
    for name, recipe in P.initializers.items():
        rows = runs[runs["initializer"] == name].iloc[places]
        models = take(final[name], places)
        initializers[name] = {
            **drawing(recipe, spec, P.comparison.highlight_seed),
            "law": law(recipe, spec),
            "cost": [finite(value) for value in rows["final_cost"].tolist()],
            "train": [round(value * P.data.n_train) for value in rows["train_accuracy"].tolist()],
            "test": [round(value * P.data.n_test) for value in rows["test_accuracy"].tolist()],
            "digest": [digest(models, place) for place in range(len(seeds))],
            "curve": thinned(curves[curves["initializer"] == name], max(9, CURVES // len(P.initializers))),
            "layers": measured(initialization[initialization["initializer"] == name], len(P.layers_dims) - 1),
            "published": printed(published, name),
        }
        if not_live and P.data.n_inputs == 2:
            model = take(final[name], [P.seeds.index(P.comparison.highlight_seed)])
            initializers[name]["boundary"] = boundary(model, P, extent(train[0]))
    is_drawn = P.data.n_inputs == 2 and train[1].size + test[1].size <= SAMPLES
    return {
        "not_live": not_live,
        "notes": notes,
        "data": {**P.data.model_dump(), "n_inputs": P.data.n_inputs, "n_classes": P.data.n_classes},
        "training": P.training.model_dump(),
        "comparison": P.comparison.model_dump(),
        "layers_dims": P.layers_dims,
        "activations": P.network.activation_names,
        "seeds": seeds,
        "n_seeds": len(P.seeds),
        "half": extent(train[0]) if P.data.n_inputs == 2 else None,
        "side": SIDE,
        "samples": {
            key: {"X": X.ravel().tolist(), "Y": Y[0].astype(int).tolist()} if is_drawn else None
            for key, (X, Y) in (("train", train), ("test", test))
        },
        "initializers": initializers,
    }


def reasons(P: Params, train: Samples, test: Samples) -> list[str]:
    """Clauses that say why the page does not train these models; empty if it does."""
    m = train[0].shape[1]
    found = []
    if P.data.n_inputs != 2:
        found.append(f"the data have {P.data.n_inputs} inputs, and the page draws two")
    if P.data.n_classes != 2:
        found.append(f"there are {P.data.n_classes} classes, and the page has the logistic loss of two")
    if P.training.samples_per_step is not None and P.training.samples_per_step < m:
        found.append(f"training uses batches of {P.training.samples_per_step} samples, and the page uses all samples")
    if m + test[0].shape[1] > SAMPLES:
        found.append(f"there are {m + test[0].shape[1]:,} samples, and the page holds at most {SAMPLES:,}")
    n = integer_sum((a + 1) * b for a, b in zip(P.layers_dims, P.layers_dims[1:], strict=False))
    for name in sorted(set(P.network.activation_names)):
        if not is_translated(ACTIVATIONS[name]):
            found.append(f"the activation {name} uses statements or operations that are not translated to JavaScript")
    if not found and 6 * n * m > STEP_FLOPS:
        found.append(f"the network has {n:,} parameters, which are too many for a smooth page")
    return found


def shown_seeds(P: Params) -> list[int]:
    """The seeds whose results are on the page: the first ones, and the highlighted one."""
    n = max(1, MODELS // len(P.initializers))
    if len(P.seeds) <= n:
        return list(P.seeds)
    first = [seed for seed in P.seeds if seed != P.comparison.highlight_seed][: n - 1]
    return [seed for seed in P.seeds if seed in {*first, P.comparison.highlight_seed}]


def drawing(recipe: Recipe, spec: NetworkSpec, seed: int) -> dict[str, Any]:
    """The settings from which the page draws initial parameters; for a recipe that is not PORTED, those of `seed`."""
    found: dict[str, Any] = {"recipe": recipe.recipe, "settings": settings(recipe.recipe, recipe.settings)}
    if recipe.used <= PORTED:
        layers = {
            l: {
                "recipe": layer.recipe,
                "settings": settings(layer.recipe, layer.settings) if layer.recipe else {},
                "gain": layer.gain,
                "bias": layer.bias,
            }
            for l, layer in recipe.layers.items()
        }
        return {**found, "gain": recipe.gain, "bias": recipe.bias, "layers": layers}
    parameters = sample_parameters(recipe, seed, spec)
    if integer_sum(W.size + b.size for W, b in parameters) > DRAWN:
        return {**found, "drawn": {}}
    return {**found, "drawn": {seed: [{"W": W.ravel().tolist(), "b": b.ravel().tolist()} for W, b in parameters]}}


def settings(recipe: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a recipe with its defaults."""
    defaults = {name: parameter.default for name, parameter in settings_of(recipe).items()}
    return {**defaults, **given}


def law(recipe: Recipe, spec: NetworkSpec) -> list[dict[str, float]] | str:
    """The variances of W and b of each layer, or the reason why theory makes no prediction."""
    if reason := variances.without_theory(spec.activations):
        return reason
    if any(kink != 0.0 for activation in spec.activations for kink in activation.kinks):
        return "has an activation with a kink away from 0, which this page does not integrate"
    laws = variances.laws(recipe, spec)
    return laws if isinstance(laws, str) else [{"weight": each.weight, "bias": each.bias} for each in laws]


def measured(table: pd.DataFrame, n_layers: int) -> dict[str, list[list[float | None]]]:
    """Mean over the seeds and prediction of the signal and the gradient of each layer, from initialization.csv."""
    found = {}
    for key, quantity in (("preactivation", "preactivation_mean_square"), ("gradient", "gradient_ratio")):
        rows = table[table["quantity"] == quantity].sort_values("layer")
        found[key] = [[short(row.mean), short(row.predicted)] for row in rows.itertuples()][:n_layers]
    return found


def thinned(bands: pd.DataFrame, n: int) -> list[list[float | None]]:
    """[iteration, min, q25, median, q75, max] of the cost over the seeds, at up to `n` recorded iterations."""
    chosen = np.unique(np.linspace(0, len(bands) - 1, min(len(bands), n)).round().astype(int))
    rows = bands.iloc[chosen]
    columns = [[short(value) for value in rows[name].tolist()] for name in ("min", "q25", "median", "q75", "max")]
    return [list(row) for row in zip(rows["iteration"].tolist(), *columns, strict=True)]


def printed(published: Published, name: str) -> dict[str, Any] | None:
    """The published accuracies and costs of the initializer; None if there are none."""
    costs = published.costs[published.costs["initializer"] == name]
    accuracies = published.accuracies[published.accuracies["initializer"] == name]
    if costs.empty and accuracies.empty:
        return None
    found: dict[str, Any] = {"costs": [[row.iteration, finite(row.cost_median)] for row in costs.itertuples()]}
    for row in accuracies.itertuples():
        found |= {"train": finite(row.train_accuracy), "test": finite(row.test_accuracy)}
    return found


def boundary(model: Parameters, P: Params, half: float) -> str:
    """The predicted classes, one digit each, on SIDE by SIDE points of the square, row after row from the top."""
    axis = half * (2.0 * (np.arange(SIDE) + 0.5) / SIDE - 1.0)
    X = np.stack([np.tile(axis, SIDE), np.repeat(-axis, SIDE)])
    classes = reference.classes(kernel.predict(model, X, P.network.activations))[0]
    return "".join(map(str, classes.tolist()))


def finite(value: Any) -> float | None:
    """The value as a float; None if it is missing or not finite."""
    return float(value) if value is not None and math.isfinite(value) else None


def short(value: Any) -> float | None:
    """The value to four significant digits."""
    number = finite(value)
    return None if number is None else float(f"{number:.4g}")


def digest(parameters: Parameters, place: int) -> str:
    """The SHA-256 in hexadecimal digits of the model at `place` of a stack: W1, b1, ... as little-endian doubles."""
    found = hashlib.sha256()
    for part in (part for layer in parameters for part in layer):
        found.update(np.ascontiguousarray(part[place], dtype="<f8").tobytes())
    return found.hexdigest()
