"""Stage `recipes`: try what params.yaml asks for before anything trains; write how each initializer is made.

It runs after every change of params.yaml, and is the one that prints warnings.

recipes/<initializer>.json changes when the recipe, its settings or the user's own code changes, and only then: it is
what `train` depends on.
"""

import dataclasses
import hashlib
import json
import sys

from pipeline.config import params, recipe_settings
from pipeline.initializers import recipes
from pipeline.initializers.layerwise import RECIPES
from pipeline.initializers.networkwise import NETWORK_RECIPES, NetworkSpec
from pipeline.storage import atomic_files, samples, trained
from pipeline.tracking import provenance


def resolve() -> None:
    """Write recipes/ and print warnings to stderr. Raises ParamsError for recipes that do not work."""
    P = params.load()
    for warning in params.warnings(P):
        print(warning, file=sys.stderr)
    if provenance.is_shallow():
        print(provenance.SHALLOW, file=sys.stderr)
    X, _ = samples.read_samples(samples.DATA / "train.csv", P.data.n_train, P.data.n_inputs, P.data.n_classes)
    birth = NetworkSpec(P.layers_dims, P.network.activations, X)
    doubtful = {name: recipe for name, recipe in P.initializers.items() if not recipe.used <= set(RECIPES)}
    told = {name: recipe_settings.dry_run(recipe, P.seeds[0], birth) for name, recipe in doubtful.items()}
    if any(told.values()):
        sentences = [f"params.yaml: initializers.{name} {end}." for name, end in told.items() if end]
        raise params.ParamsError("\n".join(sentences))
    for name, recipe in P.initializers.items():
        made = dataclasses.asdict(recipe)
        if not recipe.used <= {*RECIPES, *NETWORK_RECIPES}:
            made["code"] = code()
        atomic_files.write_text(trained.RECIPES / f"{name}.json", json.dumps(made, indent=2) + "\n")


def code() -> str:
    """The SHA-256 of the user's own modules: one may use another. What no import finds, as .#name.py, is left out."""
    digest = hashlib.sha256()
    for path in sorted(recipes.WATCHED.rglob("*.py")):
        if not all(part.isidentifier() for part in path.with_suffix("").parts):
            continue
        digest.update(path.as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


if __name__ == "__main__":
    from pipeline.stages import run

    sys.exit(run(resolve))
